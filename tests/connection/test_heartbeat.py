"""PING and PONG (RFC 37): finding out that a peer is gone though its connection looks alive."""

import pytest
from support.adversary import Adversary
from support.impl import ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer, command
from support.waiting import Watch, wait_for


def test_ping_bytes(world):
    router = world.socket(zmq.ROUTER, HEARTBEAT_IVL=50, HEARTBEAT_TTL=1000, HEARTBEAT_TIMEOUT=10_000)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        assert raw.recv_exact(9) == bytes.fromhex("04 07 04") + b"PING" + b"\x00\x0a"
        raw.send(command(b"PONG"))
        assert raw.recv_command() == (b"PING", b"\x00\x0a")


@pytest.mark.parametrize("ttl", [0, 100, 6500, 65000, 200_000])
def test_ttl_is_sent_in_tenths_of_a_second(world, ttl):
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, HEARTBEAT_IVL=20, HEARTBEAT_TTL=ttl, HEARTBEAT_TIMEOUT=10_000)
        dealer.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"DEALER")
        # libzmq would keep more than 65.5 s modulo 65.5 s
        assert raw.recv_command() == (b"PING", (min(ttl, 65_000) // 100).to_bytes(2, "big"))


def test_silent_peer_is_disconnected(world):
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, HEARTBEAT_IVL=30, HEARTBEAT_TIMEOUT=60, RECONNECT_IVL=10)
        with Watch(dealer) as watch:
            dealer.connect(listener.endpoint)
            raw = listener.accept()
            raw.handshake(b"DEALER")
            watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            raw.wait_closed()
            watch.wait(zmq.EVENT_DISCONNECTED)
            raw = listener.accept()  # and tried again
            raw.handshake(b"DEALER")


def test_timeout_defaults_to_the_interval(world):
    router = world.socket(zmq.ROUTER, HEARTBEAT_IVL=40)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        assert b"PING" in raw.wait_closed()


@pytest.mark.parametrize("answer", ["pong", "message", "ping"])
def test_any_traffic_keeps_the_connection(world, answer):
    router = world.socket(zmq.ROUTER, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=2000)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        pings = 0
        while pings < 8:
            name, _ = raw.recv_command()
            pings += name == b"PING"
            if name == b"PING":
                raw.send({"pong": command(b"PONG"), "ping": command(b"PING", b"\0\0"), "message": b"\0\1x"}[answer])
        raw.send_message(b"alive")
        while router.recv_multipart()[1] != b"alive":
            pass


@pytest.mark.parametrize("context", [b"", b"x", b"0123456789abcdef", b"0123456789abcdef-too-long"])
def test_pong_echoes_the_context(world, context):
    """At most 16 bytes of it."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        raw.send(command(b"PING", b"\0\0" + context))
        assert raw.recv_command() == (b"PONG", context[:16])


def test_ttl_of_the_peer_ends_a_silent_connection(world):
    """A peer that announced a TTL and falls silent is taken for dead by us, though we send no PING ourselves."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        raw.send(command(b"PING", b"\x00\x01"))
        assert raw.recv_command()[0] == b"PONG"
        raw.wait_closed()


@ours_only
@pytest.mark.parametrize("ping", [b"", b"\x00"], ids=["none", "half"])
def test_ping_without_its_ttl(world, ping):
    """Malformed: that connection may end, but nothing of our memory leaves and others are served."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        raw.send(command(b"PING", ping))
        assert len(raw.wait_closed()) < 64
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DEALER")
        raw.send_message(b"served")
        assert router.recv_multipart()[1] == b"served"


@pytest.mark.parametrize("pair", sides())
def test_blackhole_is_noticed(world, pair):
    """The line swallows everything: the heartbeat ends the connection, and it returns with the line."""
    router = world.socket(zmq.ROUTER, pair[0], HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=300)
    dealer = world.socket(
        zmq.DEALER, pair[1], ROUTING_ID=b"d", HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=300, RECONNECT_IVL=10
    )
    with Adversary(world.bind(router, "tcp")) as relay:
        dealer.connect(relay.endpoint)
        dealer.send(b"before")
        assert router.recv_multipart() == [b"d", b"before"]
        relay.forward.swallow = relay.backward.swallow = True
        wait_for(lambda: relay.count >= 2, "a new attempt")
        relay.forward.swallow = relay.backward.swallow = False
        relay.cut()
        wait_for(lambda: dealer.send(b"after") or router.poll(20), "the way back")
        assert router.recv_multipart() == [b"d", b"after"]


@pytest.mark.parametrize("pair", sides())
def test_idle_connection_with_heartbeats_stays(world, pair):
    router = world.socket(zmq.ROUTER, pair[0], HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=3000, HEARTBEAT_TTL=3000)
    dealer = world.socket(zmq.DEALER, pair[1], HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=3000, HEARTBEAT_TTL=3000)
    with Adversary(world.bind(router, "tcp")) as relay:
        dealer.connect(relay.endpoint)
        dealer.send(b"hello")
        name, _ = router.recv_multipart()
        passed = relay.forward.passed, relay.backward.passed
        wait_for(
            lambda: relay.forward.passed > passed[0] + 100 and relay.backward.passed > passed[1] + 100,
            "ten PINGs each way",
        )
        assert relay.count == 1
        router.send_multipart([name, b"still"])
        assert dealer.recv() == b"still"


def test_no_heartbeat_before_the_handshake(world):
    router = world.socket(zmq.ROUTER, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=20, HANDSHAKE_IVL=300)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        assert b"PING" not in raw.wait_closed()
