"""Many messages in one call: send_many and recv_many.

A small message costs less than the Python call that sends it. `send_many` takes an iterable of messages and `recv_many`
returns a list of them; each is one call for the whole batch. A tuple or list among them is a multipart message. What is
sent is the same either way, so both ends can mix the calls as they like.
"""

import threading
import time

import pyzq as zmq

MESSAGES = 200_000
BATCH = 1000


def send_one_by_one(source: zmq.Socket) -> None:
    for number in range(MESSAGES):
        source.send(b"%d" % number)


def send_batches(source: zmq.Socket) -> None:
    # A generator will do: messages are taken from it as there is room for them.
    sent = source.send_many(b"%d" % number for number in range(MESSAGES))
    assert sent == MESSAGES


def receive_one_by_one(sink: zmq.Socket) -> None:
    for number in range(MESSAGES):
        assert int(sink.recv()) == number


def receive_batches(sink: zmq.Socket) -> None:
    number = 0
    while number < MESSAGES:
        # At least one message, and as many more as have arrived, up to BATCH.
        for message in sink.recv_many(BATCH):
            assert int(message) == number
            number += 1


def main() -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as source, context.socket(zmq.PULL) as sink:
        sink.bind("tcp://127.0.0.1:0")
        source.connect(sink.get_string(zmq.LAST_ENDPOINT))
        for title, send, receive in (
            ("one call for each message", send_one_by_one, receive_one_by_one),
            ("one call for many", send_batches, receive_batches),
        ):
            started = time.perf_counter()
            sender = threading.Thread(target=send, args=(source,))
            sender.start()
            receive(sink)
            sender.join()
            print(f"{title}: {MESSAGES} messages in {time.perf_counter() - started:.2f} s")

        # Multipart messages go in the same way.
        source.send_many([[b"weather", b"rain"], b"alone"])
        received = [sink.recv_multipart(), sink.recv_multipart()]
        assert received == [[b"weather", b"rain"], [b"alone"]], received


if __name__ == "__main__":
    main()
