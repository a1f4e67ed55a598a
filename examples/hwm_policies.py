"""High-water marks: how much may wait for a peer, and what happens when that is reached.

ZeroMQ's own answer depends on the socket type: PUSH waits, PUB drops the newest message.  With `pyzq.hwm` it is a
choice.  Here the peer is away while twenty messages are sent and at most five may wait; then it comes and receives
what was kept.
"""

import tempfile

import pyzq as zmq
from pyzq.hwm import Block, Disconnect, DropNewest, DropOldest, KeepLast, Policy

LIMIT = 5
SENT = [(b"rain" if n % 3 else b"sun", b"%d" % n) for n in range(20)]


def kept(policy: Policy) -> list[bytes]:
    """Send everything while nobody is there, and return what arrives when somebody comes."""
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        endpoint = f"ipc://{folder}/late"
        with context.socket(zmq.PUSH) as source, context.socket(zmq.PULL) as sink:
            source.hwm_policy = policy
            source.connect(endpoint)
            for parts in SENT:
                try:
                    source.send_multipart(parts)
                except zmq.Again:
                    # Block(timeout=...) gives up; the other policies never raise.
                    break
            # The counters know how many are waiting; that many arrive when the peer comes.
            waiting = source.stats()["send"]["queued"]
            sink.bind(endpoint)
            received = [sink.recv_multipart()[1] for _ in range(waiting)]
            assert not sink.poll(50)
            return received


def disconnected() -> dict[str, int]:
    """Publish to a subscriber that does not read until it is disconnected; return what was dropped, by reason."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher, context.socket(zmq.SUB) as subscriber:
        publisher.hwm_policy = Disconnect(messages=LIMIT)
        publisher.bind("tcp://127.0.0.1:0")
        subscriber.rcvhwm = LIMIT
        subscriber.reconnect_ivl = -1
        subscriber.connect(publisher.get_string(zmq.LAST_ENDPOINT))
        subscriber.subscribe(b"")
        assert publisher.recv() == b"\x01"
        # The end of its subscription is how a publisher learns that a subscriber is gone.
        while not publisher.poll(0):
            publisher.send(bytes(100_000))
        assert publisher.recv() == b"\x00"
        return publisher.stats()["send"]["dropped"]


def main() -> None:
    numbers = [number for _, number in SENT]
    for policy, expected in (
        (Block(timeout=50, messages=LIMIT), numbers[:LIMIT]),
        (DropNewest(messages=LIMIT), numbers[:LIMIT]),
        (DropOldest(messages=LIMIT), numbers[-LIMIT:]),
        (KeepLast(), numbers[-1:]),
        (KeepLast(key="first_frame"), [b"18", b"19"]),
    ):
        received = kept(policy)
        print(f"{policy!r}: {b', '.join(received).decode()}")
        assert received == expected, received
    print(f"Disconnect(messages={LIMIT}): {disconnected()}")


if __name__ == "__main__":
    main()
