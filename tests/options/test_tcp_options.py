"""Options that end up in the kernel, read back from a duplicate of the connection's own descriptor.

Monitor events carry the descriptor's number; it belongs to this process, so its options can be asked for.
"""

import fcntl
import os
import socket
import struct

import pytest
from support.impl import OURS, needs_draft, zmq
from support.rawpeer import RawListener, RawPeer
from support.waiting import Watch

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="reads Linux's socket options")


def both_ends(world, options, ask, transport="tcp"):
    """Values of ``ask(stream)`` on the accepted and on the connected descriptor, of sockets with the options."""
    bound, connected = world.socket(zmq.DEALER, **options), world.socket(zmq.DEALER, **options)
    with Watch(bound) as accepts, Watch(connected) as connects:
        world.link(bound, connected, transport)
        found = []
        for watch, event in ((accepts, zmq.EVENT_ACCEPTED), (connects, zmq.EVENT_CONNECTED)):
            number = int(watch.wait(event)["value"])
            # options are set before or right after the event; the handshake comes after both
            watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            with socket.socket(fileno=os.dup(number)) as stream:
                found.append(ask(stream))
        connected.send(b"x")
        assert bound.recv() == b"x"
    return found


def option(level, name):
    return lambda stream: stream.getsockopt(level, name)


def test_nagle_is_off(world):
    assert both_ends(world, {}, option(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == [1, 1]


@pytest.mark.parametrize(("value", "expected"), [(-1, 0), (0, 0), (1, 1)])
def test_keepalive(world, value, expected):
    got = both_ends(world, {"TCP_KEEPALIVE": value}, option(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    assert got == [expected, expected]


@pytest.mark.parametrize(
    ("name", "kernel", "value"),
    [
        ("TCP_KEEPALIVE_CNT", "TCP_KEEPCNT", 3),
        ("TCP_KEEPALIVE_IDLE", "TCP_KEEPIDLE", 77),
        ("TCP_KEEPALIVE_INTVL", "TCP_KEEPINTVL", 11),
    ],
)
def test_keepalive_details(world, name, kernel, value):
    ask = option(socket.IPPROTO_TCP, getattr(socket, kernel))
    assert both_ends(world, {"TCP_KEEPALIVE": 1, name: value}, ask) == [value, value]
    untouched = both_ends(world, {"TCP_KEEPALIVE": 1}, ask)
    with socket.socket() as plain:
        assert untouched == [ask(plain)] * 2


@pytest.mark.parametrize(("name", "kernel"), [("SNDBUF", "SO_SNDBUF"), ("RCVBUF", "SO_RCVBUF")])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_buffers(world, name, kernel, transport):
    if transport == "ipc" and not OURS:
        pytest.skip("libzmq sets them on tcp only")
    ask = option(socket.SOL_SOCKET, getattr(socket, kernel))
    assert both_ends(world, {name: 20_000}, ask, transport) == [40_000, 40_000]  # Linux doubles what is asked


@pytest.mark.parametrize("value", [0x28, 0xB8])
def test_tos(world, value):
    assert both_ends(world, {"TOS": value}, option(socket.IPPROTO_IP, socket.IP_TOS)) == [value, value]


@needs_draft
def test_priority(world):
    assert both_ends(world, {"PRIORITY": 5}, option(socket.SOL_SOCKET, socket.SO_PRIORITY)) == [5, 5]


def test_tcp_maxrt(world):
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", 18)
    assert both_ends(world, {"TCP_MAXRT": 4321}, option(socket.IPPROTO_TCP, user_timeout)) == [4321, 4321]


@needs_draft
def test_busy_poll(world):
    """Raising SO_BUSY_POLL may need a privilege; without it the connection works all the same."""
    so_busy_poll = 46
    got = both_ends(world, {"BUSY_POLL": 7}, option(socket.SOL_SOCKET, so_busy_poll))
    assert set(got) <= {0, 7}
    with socket.socket() as plain:
        try:
            plain.setsockopt(socket.SOL_SOCKET, so_busy_poll, 7)
        except OSError:
            return
    assert got == [7, 7]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="SO_BINDTODEVICE needs a privilege")
def test_bindtodevice(world):
    so_bindtodevice = 25
    try:
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, so_bindtodevice, b"lo")
    except OSError:
        pytest.skip("not permitted here")

    def ask(stream):
        return stream.getsockopt(socket.SOL_SOCKET, so_bindtodevice, 16).rstrip(b"\0")

    assert both_ends(world, {"BINDTODEVICE": b"lo"}, ask) == [b"lo", b"lo"]


def listener_descriptor(world, **options):
    made = world.socket(zmq.DEALER, **options)
    with Watch(made) as watch:
        world.bind(made, "tcp")
        return made, int(watch.wait(zmq.EVENT_LISTENING)["value"])


@pytest.mark.parametrize("value", [1, 7])
def test_backlog(world, value):
    """How many connections the kernel keeps for us, as the kernel shows it for a listening port."""
    made, number = listener_descriptor(world, BACKLOG=value)
    with socket.socket(fileno=os.dup(number)) as stream:
        # struct tcp_info of a listening socket: tcpi_sacked is its backlog
        info = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
    assert struct.unpack_from("I", info, 28)[0] == value
    made.close()


def test_listener_reuses_its_address(world):
    made, number = listener_descriptor(world)
    with socket.socket(fileno=os.dup(number)) as stream:
        assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    made.close()


def test_descriptors_are_not_inherited(world):
    """CLOEXEC on everything we open."""
    before = set(os.listdir("/proc/self/fd"))
    bound, connected = world.pair(zmq.DEALER, zmq.DEALER)
    world.link(world.socket(zmq.DEALER), connected, "ipc")
    connected.send(b"x")
    bound.poll(1000)
    bound.get(int(zmq.FD))
    for name in set(os.listdir("/proc/self/fd")) - before:
        try:
            assert fcntl.fcntl(int(name), fcntl.F_GETFD) & fcntl.FD_CLOEXEC, os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue


def test_use_fd_is_the_listener(world):
    with socket.create_server(("127.0.0.1", 0)) as given:
        number = os.dup(given.fileno())
        made = world.socket(zmq.PULL, USE_FD=number)
        made.bind(f"tcp://127.0.0.1:{given.getsockname()[1]}")
        with RawPeer.connect(f"tcp://127.0.0.1:{given.getsockname()[1]}") as raw:
            raw.handshake(b"PUSH")
            raw.send_message(b"through the given one")
            assert made.recv() == b"through the given one"


@pytest.mark.parametrize(("mask", "allowed"), [(b"127.0.0.1", True), (b"127.0.0.0/8", True), (b"10.0.0.0/8", False)])
def test_tcp_accept_filter(world, mask, allowed):
    pull = world.socket(zmq.PULL)
    pull.set(int(zmq.TCP_ACCEPT_FILTER), mask)
    endpoint = world.bind(pull, "tcp")
    with RawPeer.connect(endpoint) as raw:
        if allowed:
            raw.handshake(b"PUSH")
            raw.send_message(b"x")
            assert pull.recv() == b"x"
        else:
            assert raw.wait_closed() == b""


def test_tcp_accept_filters_add_up(world):
    pull = world.socket(zmq.PULL)
    for mask in (b"10.0.0.0/8", b"127.0.0.1/32"):
        pull.set(int(zmq.TCP_ACCEPT_FILTER), mask)
    with pytest.raises(zmq.ZMQError):
        pull.set(int(zmq.TCP_ACCEPT_FILTER), b"not an address")
    with RawPeer.connect(world.bind(pull, "tcp")) as raw:
        raw.handshake(b"PUSH")


@pytest.mark.parametrize(
    ("name", "mine"), [("IPC_FILTER_PID", os.getpid), ("IPC_FILTER_UID", os.geteuid), ("IPC_FILTER_GID", os.getegid)]
)
def test_ipc_filters(world, name, mine):
    for value, allowed in ((mine(), True), (mine() + 1, False)):
        pull = world.socket(zmq.PULL)
        try:
            pull.set(int(getattr(zmq, name)), value)
        except zmq.ZMQError:
            pytest.skip("this build has no ipc filters")
        with RawPeer.connect(world.bind(pull, "ipc")) as raw:
            if allowed:
                raw.handshake(b"PUSH")
            else:
                assert raw.wait_closed() == b""


# -- SOCKS


def socks_server(listener, name=None, password=None):
    """Serves one connection as a SOCKS 5 proxy (RFC 1928, 1929) and relays what follows by hand."""
    raw = listener.accept()
    version, count = raw.recv_exact(2)
    methods = raw.recv_exact(count)
    assert version == 5
    if name is None:
        assert 0 in methods
        raw.send(b"\x05\x00")
    else:
        assert 2 in methods
        raw.send(b"\x05\x02")
        assert raw.recv_exact(1) == b"\x01"
        assert raw.recv_exact(raw.recv_exact(1)[0]) == name
        assert raw.recv_exact(raw.recv_exact(1)[0]) == password
        raw.send(b"\x01\x00")
    assert raw.recv_exact(3) == b"\x05\x01\x00"
    kind = raw.recv_exact(1)[0]
    host = socket.inet_ntoa(raw.recv_exact(4)).encode() if kind == 1 else raw.recv_exact(raw.recv_exact(1)[0])
    port = int.from_bytes(raw.recv_exact(2), "big")
    raw.send(b"\x05\x00\x00\x01" + bytes(6))
    return raw, host, port


@pytest.mark.parametrize("login", [False, pytest.param(True, marks=needs_draft)])
def test_socks_proxy(world, login):
    with RawListener() as listener:
        options = {"SOCKS_PROXY": f"127.0.0.1:{listener.port}".encode()}
        if login:
            options.update(SOCKS_USERNAME=b"user", SOCKS_PASSWORD=b"secret")
        push = world.socket(zmq.PUSH, **options)
        push.connect("tcp://127.0.0.1:4321")
        raw, host, port = socks_server(listener, *((b"user", b"secret") if login else ()))
        assert (host, port) == (b"127.0.0.1", 4321)
        raw.handshake(b"PULL")
        push.send(b"through the proxy")
        assert raw.recv_message() == [b"through the proxy"]
