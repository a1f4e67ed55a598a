"""Peers that speak ZMTP 1.0, 2.0 and 3.0, and those that speak more than we know."""

import select

import pytest
from support.impl import zmq
from support.rawpeer import SIGNATURE, RawListener, RawPeer, greeting, message, ready, v1_message
from support.waiting import wait_for

SOCKET_TYPE = {"PAIR": 0, "PUB": 1, "SUB": 2, "REQ": 3, "REP": 4, "DEALER": 5, "ROUTER": 6, "PULL": 7, "PUSH": 8}


def test_signature_carries_the_identity_length(world):
    """The first ten bytes read as a ZMTP 1.0 identity header."""
    with RawListener() as listener:
        for name in (b"", b"abc"):
            dealer = world.socket(zmq.DEALER, **({"ROUTING_ID": name} if name else {}))
            dealer.connect(listener.endpoint)
            raw = listener.accept()
            assert raw.recv_exact(10) == b"\xff" + (len(name) + 1).to_bytes(8, "big") + b"\x7f"


# -- ZMTP 1.0: identity frame, then v1 frames


def test_v1_push_to_pull(world):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(b"\x01\x00")  # anonymous
        raw.send(v1_message(b"hi") + v1_message(b"a", b"", b"x" * 300))
        assert pull.recv_multipart() == [b"hi"]
        assert pull.recv_multipart() == [b"a", b"", b"x" * 300]


def test_v1_dealer_with_identity(world):
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(v1_message(b"old one"))
        raw.send(v1_message(b"question"))
        assert router.recv_multipart() == [b"old one", b"question"]
        router.send_multipart([b"old one", b"answer", b"y" * 254])
        raw.recv_exact(10)  # our signature, which is a v1 identity header of an anonymous peer
        assert raw.recv_exact(len(v1_message(b"answer", b"y" * 254))) == v1_message(b"answer", b"y" * 254)


def test_v1_subscriber_gets_everything(world):
    """Old subscribers filter for themselves."""
    pub = world.socket(zmq.PUB)
    endpoint = world.bind(pub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(b"\x01\x00")
        raw.recv_exact(10)
        wait_for(lambda: pub.send(b"topic") or select.select([raw.stream], [], [], 0.01)[0], "a message")
        assert raw.recv_exact(7) == v1_message(b"topic")


def test_v1_message_split_anywhere(world):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    stream = b"\x01\x00" + v1_message(b"a", b"bb")
    with RawPeer.connect(endpoint) as raw:
        for byte in stream:
            raw.send(bytes([byte]))
        assert pull.recv_multipart() == [b"a", b"bb"]


def test_v1_frame_of_length_zero_is_an_error(world):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(b"\x01\x00" + v1_message(b"good") + b"\x00")
        assert pull.recv() == b"good"
        raw.wait_closed()


# -- ZMTP 2.0


def v2_greeting(kind, identity=b""):
    return SIGNATURE + b"\x01" + bytes([SOCKET_TYPE[kind]]) + b"\x00" + bytes([len(identity)]) + identity


def test_v2_push_to_pull(world):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(v2_greeting("PUSH"))
        assert raw.recv_exact(14) == b"\xff" + bytes(7) + b"\x01\x7f\x03\x07\x00\x00"
        raw.send(message(b"a", b"x" * 300))
        assert pull.recv_multipart() == [b"a", b"x" * 300]


def test_v2_dealer_and_router(world):
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(v2_greeting("DEALER", b"two"))
        raw.recv_exact(14)
        raw.send(message(b"question"))
        assert router.recv_multipart() == [b"two", b"question"]
        router.send_multipart([b"two", b"answer"])
        assert raw.recv_message() == [b"answer"]


def test_v2_subscriber(world):
    pub = world.socket(zmq.XPUB)
    endpoint = world.bind(pub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(v2_greeting("SUB"))
        raw.recv_exact(14)
        raw.send(message(b"\x01top"))
        assert pub.recv() == b"\x01top"
        pub.send(b"other")
        pub.send(b"topic")
        assert raw.recv_message() == [b"topic"]


def test_v2_publisher(world):
    with RawListener() as listener:
        sub = world.socket(zmq.SUB)
        sub.set(int(zmq.SUBSCRIBE), b"top")
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.send(v2_greeting("PUB"))
        raw.recv_exact(14)
        assert raw.recv_message() == [b"\x01top"]
        raw.send_message(b"topic")
        assert sub.recv() == b"topic"


# -- ZMTP 3.0 and the future


@pytest.mark.parametrize(("major", "minor"), [(3, 0), (3, 1), (3, 2), (3, 255), (4, 0), (5, 7), (255, 255)])
def test_3_and_later(world, major, minor):
    """A newer peer is treated as the newest we know."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(greeting(major=major, minor=minor))
        assert raw.recv_greeting()[10:12] == b"\x03\x01"
        raw.send(ready(b"DEALER", b"peer"))
        raw.recv_ready()
        raw.send_message(b"x")
        assert router.recv_multipart() == [b"peer", b"x"]


def test_3_0_peer_gets_no_ping(world):
    """PING came with 3.1."""
    router = world.socket(zmq.ROUTER, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=40)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(v2_greeting("DEALER", b"old"))
        raw.recv_exact(14)
        raw.send_message(b"x")
        assert router.recv_multipart() == [b"old", b"x"]
        assert not router.poll(150)
        raw.send_message(b"still here")
        assert router.recv_multipart() == [b"old", b"still here"]
        router.send_multipart([b"old", b"back"])
        assert raw.recv_message() == [b"back"]


def test_identity_is_announced_by_those_who_have_one(world):
    """READY carries Identity from REQ, DEALER and ROUTER, and from nobody else."""
    expected = {"REQ": True, "DEALER": True, "ROUTER": True, "PUSH": False, "SUB": False, "PAIR": False, "REP": False}
    opposite = {
        "REQ": b"REP",
        "DEALER": b"DEALER",
        "ROUTER": b"DEALER",
        "PUSH": b"PULL",
        "SUB": b"PUB",
        "PAIR": b"PAIR",
    }
    with RawListener() as listener:
        for kind, has in expected.items():
            made = world.socket(getattr(zmq, kind))
            made.connect(listener.endpoint)
            raw = listener.accept()
            assert (b"Identity" in raw.handshake(opposite.get(kind, b"REQ"))) == has, kind
