"""Runs the extension: python setup.py build_ext --inplace, then python run.py."""

import threading
import time

import embedded

import pyzq as zmq

COUNT = 1_000_000


def main() -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as source, context.socket(zmq.PULL) as sink:
        sink.bind("tcp://127.0.0.1:0")
        source.connect(sink.get_string(zmq.LAST_ENDPOINT))
        started = time.perf_counter()
        # Neither side holds the GIL, so the two threads run side by side.
        producer = threading.Thread(target=embedded.produce, args=(source, COUNT))
        producer.start()
        count, total = embedded.consume(sink)
        producer.join()
        elapsed = time.perf_counter() - started
        assert (count, total) == (COUNT, COUNT * (COUNT - 1) // 2), (count, total)

        # Both halves of a socket stay usable: this message is sent by Python and received by the extension.
        source.send_many([(7).to_bytes(8, "little"), b""])
        assert embedded.consume(sink) == (1, 7)
    print(f"{count} messages in {elapsed:.2f} s, their sum is {total}")


if __name__ == "__main__":
    main()
