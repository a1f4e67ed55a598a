"""NULL, PLAIN, CURVE and ZAP by their effect, alone and with stock pyzmq (RFC 24, 26, 27)."""

import importlib

import pytest
from support.adversary import Adversary
from support.impl import OURS, needs_curve, needs_draft, ours_only, sides, zmq
from support.rawpeer import RawPeer, command, greeting
from support.waiting import Watch, nothing, wait_for
from support.zap import Zap


def accept(_):
    return b"200", b"the user"


def talk(client, server):
    client.send(b"hello")
    assert server.recv() == b"hello"
    server.send(b"x" * 200_000)
    assert client.recv() == b"x" * 200_000
    client.send_multipart([b"a", b"", b"c" * 1000])
    assert server.recv_multipart() == [b"a", b"", b"c" * 1000]


def keys():
    return zmq.curve_keypair()


@pytest.fixture
def curve_pair(world):
    """Two DEALERs with CURVE, not yet linked: server, client."""

    def make(side_server="impl", side_client="impl"):
        server_public, server_secret = keys()
        public, secret = keys()
        server = world.socket(zmq.DEALER, side_server, CURVE_SECRETKEY=server_secret, CURVE_SERVER=1)
        client = world.socket(
            zmq.DEALER,
            side_client,
            CURVE_SERVERKEY=server_public,
            CURVE_PUBLICKEY=public,
            CURVE_SECRETKEY=secret,
            RECONNECT_IVL=10,
        )
        return server, client

    return make


# -- PLAIN


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("pair", sides())
def test_plain(world, pair, transport):
    with Zap(world, pair[0], accept) as zap:
        server = world.socket(zmq.DEALER, pair[0], PLAIN_SERVER=1, ZAP_DOMAIN=b"test")
        client = world.socket(zmq.DEALER, pair[1], PLAIN_USERNAME=b"admin", PLAIN_PASSWORD=b"secret")
        world.link(server, client, transport)
        assert server.get(int(zmq.MECHANISM)) == int(zmq.PLAIN) == client.get(int(zmq.MECHANISM))
        talk(client, server)
        request = zap.requests[0]
        assert request[0] == b"1.0"
        assert request[2] == b"test"
        assert request[5:] == [b"PLAIN", b"admin", b"secret"]
        assert transport != "tcp" or request[3] == b"127.0.0.1"


@pytest.mark.parametrize("status", [b"400", b"500"])
@pytest.mark.parametrize("pair", sides())
def test_plain_refused(world, pair, status):
    with Zap(world, pair[0], lambda request: (status, b"")):
        server = world.socket(zmq.DEALER, pair[0], PLAIN_SERVER=1)
        client = world.socket(zmq.DEALER, pair[1], PLAIN_USERNAME=b"admin", PLAIN_PASSWORD=b"wrong")
        with Watch(server) as watch, Watch(client) as client_watch:
            world.link(server, client, "tcp")
            client.send(b"never")
            assert int(watch.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)["value"]) == int(status)
            assert int(client_watch.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)["value"]) == int(status)
            nothing(server)


def test_mechanisms_do_not_mix(world):
    server = world.socket(zmq.DEALER)
    client = world.socket(zmq.DEALER, PLAIN_USERNAME=b"u", PLAIN_PASSWORD=b"p")
    with Watch(server) as watch:
        world.link(server, client, "tcp")
        watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        nothing(server)
    assert not server.poll(0, int(zmq.POLLOUT))


def test_plain_username_none_resets(world):
    made = world.socket(zmq.DEALER, PLAIN_USERNAME=b"u", PLAIN_PASSWORD=b"p")
    assert made.get(int(zmq.MECHANISM)) == int(zmq.PLAIN)
    made.set(int(zmq.PLAIN_SERVER), 0)
    assert made.get(int(zmq.MECHANISM)) == int(zmq.NULL)


def test_user_id_and_metadata_reach_the_application(world):
    with Zap(world, "impl", accept):
        server = world.socket(zmq.DEALER, PLAIN_SERVER=1)
        client = world.socket(zmq.DEALER, PLAIN_USERNAME=b"u", PLAIN_PASSWORD=b"p")
        world.link(server, client, "tcp")
        client.send(b"x")
        assert server.recv(copy=False).get("User-Id") == "the user"


# -- CURVE


@needs_curve
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("pair", sides())
def test_curve(world, curve_pair, pair, transport):
    server, client = curve_pair(*pair)
    world.link(server, client, transport)
    assert server.get(int(zmq.MECHANISM)) == int(zmq.CURVE) == client.get(int(zmq.MECHANISM))
    talk(client, server)


@needs_curve
@pytest.mark.parametrize("pair", sides())
def test_curve_request_reply_and_subscriptions(world, pair):
    """Commands travel encrypted too: SUBSCRIBE and PING."""
    server_public, server_secret = keys()
    public, secret = keys()
    pub = world.socket(zmq.XPUB, pair[0], CURVE_SECRETKEY=server_secret, CURVE_SERVER=1, HEARTBEAT_IVL=20)
    sub = world.socket(
        zmq.SUB,
        pair[1],
        CURVE_SERVERKEY=server_public,
        CURVE_PUBLICKEY=public,
        CURVE_SECRETKEY=secret,
        HEARTBEAT_IVL=20,
    )
    sub.set(int(zmq.SUBSCRIBE), b"top")
    world.link(pub, sub, "tcp")
    assert pub.recv() == b"\x01top"
    nothing(pub, 100)  # heartbeats go on meanwhile
    pub.send_multipart([b"topic", b"body"])
    assert sub.recv_multipart() == [b"topic", b"body"]
    sub.set(int(zmq.UNSUBSCRIBE), b"top")
    assert pub.recv() == b"\x00top"


@needs_curve
@pytest.mark.parametrize("pair", sides())
def test_curve_zap_sees_the_client_key(world, curve_pair, pair):
    with Zap(world, pair[0], accept) as zap:
        server, client = curve_pair(*pair)
        server.set(int(zmq.ZAP_DOMAIN), b"dom")
        world.link(server, client, "tcp")
        talk(client, server)
        from_zap = zap.requests[0]
        assert from_zap[5] == b"CURVE"
        assert len(from_zap[6]) == 32
        assert from_zap[2] == b"dom"


@needs_curve
def test_curve_refused_by_zap(world, curve_pair):
    with Zap(world, "impl", lambda request: (b"400", b"")):
        server, client = curve_pair()
        server.set(int(zmq.ZAP_DOMAIN), b"dom")
        with Watch(server) as watch:
            world.link(server, client, "tcp")
            client.send(b"never")
            watch.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
            nothing(server)


@needs_curve
@pytest.mark.parametrize("pair", sides())
def test_curve_wrong_server_key(world, curve_pair, pair):
    server, client = curve_pair(*pair)
    client.set(int(zmq.CURVE_SERVERKEY), keys()[0])
    with Watch(server) as watch:
        world.link(server, client, "tcp")
        failed = watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        assert failed["value"] == int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
        client.send(b"never")
        nothing(server)


@needs_curve
def test_curve_against_null(world, curve_pair):
    server, client = curve_pair()
    plain = world.socket(zmq.DEALER)
    with Watch(server) as watch:
        world.link(server, plain, "tcp")
        watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    world.link(server, client, "tcp")
    talk(client, server)


@needs_curve
def test_curve_hides_and_protects(world, curve_pair):
    """A flipped byte in an encrypted message ends the connection; the plain text is never on the line."""
    server, client = curve_pair()
    with Adversary(world.bind(server, "tcp")) as relay:
        client.connect(relay.endpoint)
        talk(client, server)
        relay.forward.garble_next = 60
        client.send(b"this message is altered on its way" * 5)
        wait_for(lambda: relay.count == 2, "a new connection")
        relay.cut()
        wait_for(lambda: client.send(b"clean") or server.poll(20), "the way back")
        body = server.recv()
        assert body in (b"clean", b"this message is altered on its way" * 5)


@needs_curve
@pytest.mark.parametrize("size", [1, 2, 199])
def test_curve_handshake_in_dribbles(world, curve_pair, size):
    server, client = curve_pair()
    with Adversary(world.bind(server, "tcp")) as relay:
        relay.forward.chunk = relay.backward.chunk = size
        client.connect(relay.endpoint)
        client.send(b"hello")
        assert server.recv() == b"hello"


@needs_curve
@pytest.mark.parametrize(
    "hello", [b"", bytes(10), bytes(194), bytes(195), b"\x01\x00" + bytes(192), b"\x02\x00" + bytes(192)], ids=len
)
def test_curve_malformed_hello(world, curve_pair, hello):
    server, client = curve_pair()
    endpoint = world.bind(server, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(greeting(mechanism=b"CURVE"))
        raw.recv_greeting()
        raw.send(command(b"HELLO", hello))
        raw.wait_closed()
    client.connect(endpoint)
    talk(client, server)


@needs_curve
def test_curve_keys_in_both_forms(world):
    public, secret = keys()
    assert len(public) == 40
    z85 = importlib.import_module(f"{zmq.__name__}.utils.z85")
    raw_public, raw_secret = z85.decode(public), z85.decode(secret)
    made = world.socket(zmq.DEALER, CURVE_PUBLICKEY=raw_public, CURVE_SECRETKEY=raw_secret)
    if OURS:  # pyzmq asks libzmq with a buffer it does not take
        assert made.get(int(zmq.CURVE_PUBLICKEY)).rstrip(b"\0") in (public, raw_public)
    again = world.socket(zmq.DEALER, CURVE_PUBLICKEY=public, CURVE_SECRETKEY=secret)
    assert again.get(int(zmq.MECHANISM)) == made.get(int(zmq.MECHANISM))
    assert zmq.curve_public(secret) == public


@needs_curve
def test_curve_server_zero_resets(world):
    made = world.socket(zmq.DEALER, CURVE_SERVER=1)
    assert made.get(int(zmq.MECHANISM)) == int(zmq.CURVE)
    made.set(int(zmq.CURVE_SERVER), 0)
    assert made.get(int(zmq.MECHANISM)) == int(zmq.NULL)


# -- ZAP with NULL


@pytest.mark.parametrize("pair", sides())
def test_null_asks_zap_only_with_a_domain(world, pair):
    with Zap(world, pair[0], accept) as zap:
        server, client = world.socket(zmq.DEALER, pair[0]), world.socket(zmq.DEALER, pair[1])
        world.link(server, client, "tcp")
        talk(client, server)
        assert zap.requests == []
        asked, other = world.socket(zmq.DEALER, pair[0], ZAP_DOMAIN=b"dom"), world.socket(zmq.DEALER, pair[1])
        world.link(asked, other, "tcp")
        talk(other, asked)
        assert zap.requests[0][2] == b"dom"
        assert zap.requests[0][5] == b"NULL"


def test_null_refused_by_zap(world):
    with Zap(world, "impl", lambda request: (b"400", b"")):
        server, client = world.socket(zmq.DEALER, ZAP_DOMAIN=b"dom"), world.socket(zmq.DEALER)
        with Watch(server) as watch:
            world.link(server, client, "tcp")
            client.send(b"never")
            watch.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
            nothing(server)


@needs_draft
def test_zap_enforce_domain(world):
    """Without a handler nobody comes in."""
    server, client = world.socket(zmq.DEALER, ZAP_DOMAIN=b"d", ZAP_ENFORCE_DOMAIN=1), world.socket(zmq.DEALER)
    with Watch(server) as watch:
        world.link(server, client, "tcp")
        client.send(b"never")
        failures = {zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_AUTH}
        watch.wait({*failures, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL})
        nothing(server)


BAD_REPLIES = {
    "version": [b"9.9", b"1", b"200", b"", b"u", b""],
    "number": [b"1.0", b"77", b"200", b"", b"u", b""],
    "status": [b"1.0", b"1", b"999", b"", b"u", b""],
    "short": [b"1.0", b"1", b"200"],
    "metadata": [b"1.0", b"1", b"200", b"", b"u", b"\xffgarbage"],
    "empty": [b""],
}


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_bad_zap_replies(world, reply):
    """A handler that answers nonsense lets nobody in, and harms nothing else."""
    rep = world.socket(zmq.REP)
    rep.bind("inproc://zeromq.zap.01")
    server, client = world.socket(zmq.DEALER, ZAP_DOMAIN=b"dom"), world.socket(zmq.DEALER, RECONNECT_IVL=-1)
    with Watch(server) as watch:
        world.link(server, client, "tcp")
        client.send(b"never")
        rep.recv_multipart()
        rep.send_multipart(reply)
        failed = watch.wait({zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL})
        assert int(failed["value"]) or not OURS
        nothing(server)


@ours_only
def test_plain_without_handler_is_not_silent(world):
    """A PLAIN server nobody configured refuses openly instead of leaving the client hanging."""
    server = world.socket(zmq.DEALER, PLAIN_SERVER=1)
    client = world.socket(zmq.DEALER, PLAIN_USERNAME=b"u", PLAIN_PASSWORD=b"p", RECONNECT_IVL=-1)
    try:
        endpoint = world.bind(server, "tcp")
    except zmq.ZMQError:
        return
    with Watch(client) as watch:
        client.connect(endpoint)
        watch.wait(
            {zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL}
            | {zmq.EVENT_DISCONNECTED}
        )


def test_old_peers_are_refused_when_security_is_on(world):
    """ZMTP 1.0 and 2.0 know no mechanism."""
    with Zap(world, "impl", accept):
        server = world.socket(zmq.DEALER, PLAIN_SERVER=1)
        endpoint = world.bind(server, "tcp")
        with RawPeer.connect(endpoint) as raw:
            raw.send(b"\x01\x00\x03\x00hi")
            raw.wait_closed()
        nothing(server)
