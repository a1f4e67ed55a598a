"""Publish-subscribe through a proxy: publishers and subscribers know the proxy and not each other.

XSUB faces the publishers and XPUB the subscribers; the proxy passes messages one way and subscriptions the other, so
that what nobody wants is not even sent to it.  It runs in a thread without holding the GIL.
"""

import threading

import pyzq as zmq

TOPICS = [b"sport", b"traffic", b"weather"]
PUBLISHERS = 2
REPORTS = 500


def relay(frontend: zmq.Socket, backend: zmq.Socket) -> None:
    """Move messages and subscriptions until the context is terminated."""
    with frontend, backend:
        try:
            zmq.proxy(frontend, backend)
        except zmq.ContextTerminated:
            pass


def publish(context: zmq.Context, endpoint: str, name: bytes) -> None:
    """Publish every report on every topic, once all topics are subscribed to."""
    # XPUB is PUB that also tells the program who subscribes: b"\x01" and the topic.
    with context.socket(zmq.XPUB) as publisher:
        # The default limit of 1000 messages would drop what a slow subscriber has no room for.
        publisher.sndhwm = 0
        publisher.connect(endpoint)
        wanted: set[bytes] = set()
        while wanted != set(TOPICS):
            wanted.add(publisher.recv()[1:])
        for number in range(REPORTS):
            for topic in TOPICS:
                publisher.send_multipart([topic, name, str(number).encode()])


def subscribe(context: zmq.Context, endpoint: str, topic: bytes, received: dict[bytes, int]) -> None:
    """Receive one topic and check that each publisher's reports come complete and in order."""
    with context.socket(zmq.SUB) as subscriber:
        subscriber.rcvhwm = 0
        subscriber.connect(endpoint)
        subscriber.subscribe(topic)
        following: dict[bytes, int] = {}
        while sum(following.values()) < PUBLISHERS * REPORTS:
            what, name, number = subscriber.recv_multipart()
            assert what == topic, what
            assert int(number) == following.get(name, 0), (name, number)
            following[name] = int(number) + 1
        received[topic] = sum(following.values())


def main() -> None:
    context = zmq.Context()
    frontend, backend = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    for side in frontend, backend:
        side.sndhwm = side.rcvhwm = 0
        side.bind("tcp://127.0.0.1:0")
    inward, outward = (side.get_string(zmq.LAST_ENDPOINT) for side in (frontend, backend))
    proxy = threading.Thread(target=relay, args=(frontend, backend))
    proxy.start()

    received: dict[bytes, int] = {}
    others = [threading.Thread(target=subscribe, args=(context, outward, topic, received)) for topic in TOPICS]
    others += [
        threading.Thread(target=publish, args=(context, inward, b"station %d" % n)) for n in range(PUBLISHERS)
    ]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()

    context.term()
    proxy.join()
    assert received == dict.fromkeys(TOPICS, PUBLISHERS * REPORTS), received
    print(", ".join(f"{topic.decode()}: {count} reports" for topic, count in sorted(received.items())))


if __name__ == "__main__":
    main()
