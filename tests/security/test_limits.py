"""Strangers get little: room, time, and places; and what a mechanism needs is said where it is missing."""

import os
import subprocess
import sys
import textwrap

import pytest
from support.impl import needs_curve, ours_only, zmq
from support.rawpeer import RawPeer, greeting
from support.secure import MECHANISMS, PASSWORD, Keys, options_of, secure
from support.waiting import Watch, wait_for

pytestmark = ours_only
EACH = [pytest.param(name, marks=[needs_curve] if name == "CURVE" else []) for name in MECHANISMS]


def test_too_many_strangers_make_room(remote, monkeypatch):
    """A crowd of silent connections keeps nobody out: each may take a second, then the oldest gives way."""
    monkeypatch.setenv("PYZQ_STRANGERS", "8")
    peer = remote(own=True)
    port = peer.eval("(c := zmq.Context(), s := c.socket(zmq.PULL), s.bind_to_random_port('tcp://127.0.0.1'))[2]")
    crowd = [RawPeer.connect(f"tcp://127.0.0.1:{port}") for _ in range(24)]
    try:
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.linger = 0
            push.connect(f"tcp://127.0.0.1:{port}")
            push.send(b"let me in")
            assert peer.eval("s.recv()") == b"let me in"
        found = peer.eval("s.stats()['handshakes']")
        assert found["under_way"] <= 8
        assert found["failed"]["crowded"] >= 16
        assert found["succeeded"] == 1
    finally:
        for raw in crowd:
            raw.close()


def test_connections_that_are_known_are_no_strangers(remote, monkeypatch):
    monkeypatch.setenv("PYZQ_STRANGERS", "4")
    peer = remote(own=True)
    port = peer.eval("(c := zmq.Context(), s := c.socket(zmq.PULL), s.bind_to_random_port('tcp://127.0.0.1'))[2]")
    with zmq.Context() as context:
        sockets = [context.socket(zmq.PUSH) for _ in range(30)]
        for socket in sockets:
            socket.linger = 0
            socket.connect(f"tcp://127.0.0.1:{port}")
            socket.send(b"x")
        assert peer.eval("[s.recv() for _ in range(30)]") == [b"x"] * 30
        assert peer.eval("s.stats()['handshakes']") == {"succeeded": 30, "under_way": 0, "failed": {}, "violations": 0}
        context.destroy(0)


@pytest.mark.parametrize("mechanism", EACH)
def test_the_time_a_handshake_may_take(world, mechanism):
    server = world.socket(zmq.DEALER, HANDSHAKE_IVL=100, **options_of(mechanism)[0])
    endpoint = world.bind(server)
    with Watch(server) as watch:
        for said in (b"", greeting(mechanism=mechanism.encode())):
            with RawPeer.connect(endpoint) as raw:
                raw.send(said)
                raw.wait_closed()
                watch.wait(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    wait_for(lambda: server.stats()["handshakes"]["failed"] == {"timeout": 2}, "the count")


@pytest.mark.parametrize("mechanism", EACH)
def test_the_size_a_first_command_may_have(world, mechanism):
    """PLAIN and CURVE know how long their first command is at most; nobody may say more before it."""
    server = world.socket(zmq.DEALER, **options_of(mechanism)[0])
    with Watch(server) as watch, RawPeer.connect(world.bind(server)) as raw:
        raw.send(greeting(mechanism=mechanism.encode()))
        raw.recv_greeting()
        size = 65_537 if mechanism == "NULL" else 519
        raw.send(b"\x06" + size.to_bytes(8, "big"))
        raw.wait_closed()
        assert int(watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)["value"]) == int(zmq.PROTOCOL_ERROR_ZMTP_UNSPECIFIED)


# ---- secrets -----------------------------------------------------------------------------------------------


@needs_curve
def test_secrets_are_in_no_text(world):
    keys = Keys()
    server, client = world.socket(zmq.DEALER), world.socket(zmq.DEALER)
    secure(server, client, "CURVE", keys)
    plain = world.socket(zmq.DEALER, PLAIN_USERNAME=b"u", PLAIN_PASSWORD=PASSWORD)
    shown = [repr(one) + str(one) + repr(one.stats()) for one in (server, client, plain)]
    secrets = [keys.server_secret, keys.client_secret, PASSWORD]
    for option, value in (
        (zmq.CURVE_SECRETKEY, keys.server_secret + b"x"),
        (zmq.CURVE_SECRETKEY, keys.server_secret[:-1]),
        (zmq.CURVE_SECRETKEY, keys.server_secret[:-1] + b"\x7f"),
        (zmq.PLAIN_PASSWORD, PASSWORD * 100),
    ):
        with pytest.raises(zmq.ZMQError) as caught:
            server.set(int(option), value)
        shown.append(repr(caught.value) + str(caught.value))
    for text in shown:
        for secret in secrets:
            assert secret.decode()[:20] not in text


# ---- what is not there -------------------------------------------------------------------------------------


def in_a_process(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_pynacl_curve_says_what_it_needs():
    assert "PyNaCl" in in_a_process("""
        import sys
        sys.modules["nacl"] = sys.modules["nacl._sodium"] = None
        import pyzq as zmq
        assert not zmq.has("curve")
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            for option in (zmq.CURVE_SERVER, zmq.CURVE_SERVERKEY, zmq.CURVE_SECRETKEY, zmq.CURVE_PUBLICKEY):
                try:
                    socket.set(option, 1 if option == zmq.CURVE_SERVER else bytes(range(32)))
                except zmq.ZMQError as error:
                    assert error.errno == zmq.ENOTSUP
                    print(error)
                else:
                    raise SystemExit(f"{option!r} was taken")
            assert socket.mechanism == zmq.NULL
            socket.plain_server = 1
    """)


@needs_curve
def test_pynacl_is_imported_when_it_is_needed_and_not_before():
    assert (
        in_a_process("""
        import sys
        import pyzq as zmq
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.plain_server = 1
            socket.bind("tcp://127.0.0.1:*")
            assert zmq.has("curve")
            before = "nacl" in sys.modules
            socket.curve_secretkey = bytes(range(32))
            print(before, "nacl" in sys.modules)
    """)
        == "False True"
    )


def test_gssapi_is_not_there(world):
    assert not zmq.has("gssapi")
    socket = world.socket(zmq.DEALER)
    for option, value in ((zmq.GSSAPI_SERVER, 1), (zmq.GSSAPI_PRINCIPAL, b"me"), (zmq.GSSAPI_PLAINTEXT, 1)):
        with pytest.raises(zmq.ZMQError, match="library that is not built in"):
            socket.set(int(option), value)
    with RawPeer.connect(world.bind(socket)) as raw:
        raw.send(greeting(mechanism=b"GSSAPI"))
        raw.wait_closed()
