"""Connecting: names, addresses in turn and side by side, time limits, sources, and what is left behind."""

import errno
import os
import socket
import sys

import pytest

from zcore.selftest_stream import Connecter, Listener, facts, never_made

from .driver import (
    LIMIT,
    WANT_IN,
    WANT_OUT,
    accept,
    adopt,
    drive,
    free_port,
    full_listener,
    needs_ipv6,
    needs_linux,
    wait_readable,
)

MS = 1_000_000
T0 = 1_000_000_000_000


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(LIMIT)
        yield made


@pytest.fixture
def full():
    """A port at which connects stay unanswered."""
    made, fillers = full_listener()
    yield made.getsockname()[1]
    for one in (made, *fillers):
        one.close()


def port_of(server):
    return server.getsockname()[1]


def establish(connecter, server):
    """Both ends, after a byte each way."""
    ours = adopt(connecter.take())
    theirs, _ = server.accept()
    theirs.settimeout(LIMIT)
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"
    theirs.sendall(b"y")
    assert ours.recv(1) == b"y"
    return ours, theirs


# -- one address


def test_numeric(server):
    connecter = Connecter(f"tcp://127.0.0.1:{port_of(server)}")
    assert drive(connecter) == "open"
    ours, theirs = establish(connecter, server)
    with ours, theirs:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert facts(ours.fileno())["remote"] == f"tcp://127.0.0.1:{port_of(server)}"


def test_waits_for_one_descriptor_to_turn_writable(full):
    connecter = Connecter(f"tcp://127.0.0.1:{full}")
    state, fd, events, until = connecter.step(T0)
    assert (state, events, until) == ("trying", WANT_OUT, -1)
    assert fd >= 0
    assert connecter.step(T0 + 3600 * 1000 * MS) == (state, fd, events, until)


def test_the_connection_is_taken_once(server):
    connecter = Connecter(f"tcp://127.0.0.1:{port_of(server)}")
    with pytest.raises(OSError) as caught:
        connecter.take()
    assert caught.value.errno == errno.ENOTCONN
    assert drive(connecter) == "open"
    for end in establish(connecter, server):
        end.close()
    with pytest.raises(OSError) as caught:
        connecter.take()
    assert caught.value.errno == errno.ENOTCONN
    assert connecter.step()[0] == "open"


def test_refused_and_again():
    port = free_port()
    connecter = Connecter(f"tcp://127.0.0.1:{port}")
    assert drive(connecter) == "failed"
    assert connecter.err == errno.ECONNREFUSED
    assert connecter.step() == ("failed", -1, 0, -1)
    with socket.create_server(("127.0.0.1", port)) as server:
        connecter.reset()
        assert drive(connecter) == "open"
        for end in establish(connecter, server):
            end.close()


def test_a_connection_never_taken_is_closed(server):
    connecter = Connecter(f"tcp://127.0.0.1:{port_of(server)}")
    assert drive(connecter) == "open"
    theirs, _ = server.accept()
    connecter.reset()
    with theirs:
        assert theirs.recv(1) == b""
    assert connecter.step()[0] in ("trying", "open")


def test_connection_to_itself_is_no_connection():
    """Source and destination the same: TCP joins both ends of one socket."""
    port = free_port()
    connecter = Connecter(f"tcp://127.0.0.1:{port};127.0.0.1:{port}")
    assert drive(connecter) == "failed"
    assert connecter.err in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)


@pytest.mark.parametrize(
    ("text", "kw", "number"),
    [
        ("tcp://[::1]:5", {}, errno.ENODEV),
        ("udp://127.0.0.1:5", {}, errno.EPROTONOSUPPORT),
        ("inproc://x", {}, errno.EPROTONOSUPPORT),
        ("tcp://127.0.0.1:5", {"proxy": "nonsense:port"}, errno.EINVAL),
        ("tcp://127.0.0.1:5", {"proxy": "[::1]:5"}, errno.ENODEV),
        ("tcp://[fe80::1%lo]:5", {"proxy": "127.0.0.1:5", "ipv6": 1}, errno.EINVAL),
    ],
)
def test_what_can_never_work_is_refused_at_once(text, kw, number):
    with pytest.raises(OSError) as caught:
        Connecter(text, **kw)
    assert caught.value.errno == number


def test_unknown_zone():
    connecter = Connecter("tcp://[fe80::1%nosuchif0]:5", ipv6=1)
    assert drive(connecter) == "failed"
    assert connecter.err == errno.ENODEV


@needs_ipv6
def test_ipv6():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        server.settimeout(LIMIT)
        connecter = Connecter(f"tcp://[::1]:{port_of(server)}", ipv6=1)
        assert drive(connecter) == "open"
        for end in establish(connecter, server):
            end.close()


def test_zeroed_structs_are_harmless():
    """Descriptor 0 is somebody's."""
    before = os.fstat(0)
    assert never_made() == ("failed", errno.EINVAL, errno.ENOTCONN, errno.EBADF)
    assert os.fstat(0).st_ino == before.st_ino


# -- names


def test_name_is_resolved_elsewhere(server):
    connecter = Connecter(f"tcp://some.host:{port_of(server)}")
    assert connecter.step() == ("naming", -1, 0, -1)
    assert connecter.name() == ("some.host", port_of(server))
    assert connecter.step()[0] == "naming"
    connecter.resolved([("127.0.0.1", port_of(server))])
    assert connecter.name() is None
    assert drive(connecter) == "open"
    for end in establish(connecter, server):
        end.close()


@pytest.mark.parametrize("number", [errno.ENODEV, 0])
def test_name_without_addresses(number):
    connecter = Connecter("tcp://some.host:5")
    connecter.step()
    connecter.resolved([], number)
    assert connecter.step()[0] == "failed"
    assert connecter.err == (number or errno.EHOSTUNREACH)
    connecter.reset()
    assert connecter.step()[0] == "naming"


def test_an_answer_that_comes_too_late_is_ignored():
    connecter = Connecter("tcp://some.host:5", connect_timeout_ms=100)
    assert connecter.step(T0) == ("naming", -1, 0, T0 + 100 * MS)
    assert connecter.step(T0 + 100 * MS)[0] == "failed"
    assert connecter.err == errno.ETIMEDOUT
    connecter.resolved([("127.0.0.1", 5)])
    assert connecter.step(T0)[0] == "failed"
    assert connecter.err == errno.ETIMEDOUT


def test_every_attempt_asks_again(server):
    connecter = Connecter(f"tcp://some.host:{port_of(server)}")
    asked = []

    def names(name, port):
        asked.append(name)
        return [("127.0.0.1", free_port() if len(asked) == 1 else port)], 0

    assert drive(connecter, names) == "failed"
    connecter.reset()
    assert drive(connecter, names) == "open"
    for end in establish(connecter, server):
        end.close()
    assert asked == ["some.host"] * 2


# -- several addresses


def test_a_refused_address_gives_way_at_once(server):
    connecter = Connecter("tcp://some.host:5")
    connecter.step()
    connecter.resolved([("127.0.0.1", free_port()), ("127.0.0.1", free_port()), ("127.0.0.1", port_of(server))])
    assert drive(connecter) == "open"
    for end in establish(connecter, server):
        end.close()


def test_a_silent_address_is_joined_by_the_next(server, full):
    connecter = Connecter("tcp://some.host:5")
    connecter.step(T0)
    connecter.resolved([("127.0.0.1", full), ("127.0.0.1", port_of(server))])
    state, first, events, until = connecter.step(T0)
    assert (state, events, until) == ("trying", WANT_OUT, T0 + 250 * MS)
    assert connecter.running == 1
    assert connecter.step(T0 + 249 * MS)[1] == first
    state, fd, events, until = connecter.step(T0 + 250 * MS)
    if state == "trying":
        assert (connecter.running, events, until) == (2, WANT_IN, -1)
        assert fd != first
        wait_readable(fd)
        assert connecter.step(T0 + 251 * MS)[0] == "open"
    assert connecter.running == 0
    for end in establish(connecter, server):
        end.close()


def test_many_silent_addresses_all_get_their_turn(server, full):
    connecter = Connecter("tcp://some.host:5")
    connecter.step(T0)
    others = [(f"127.0.0.{n}", full) for n in range(2, 6)] if sys.platform.startswith("linux") else []
    others = [pair for pair in others if silent(pair)]
    connecter.resolved([("127.0.0.1", full), *others, ("127.0.0.1", port_of(server))])
    now = T0
    for n in range(len(others) + 1):
        assert connecter.step(now)[0] == "trying"
        assert connecter.running == n + 1
        now += 250 * MS
    state, fd, *_ = connecter.step(now)
    if state == "trying":
        wait_readable(fd)
        assert connecter.step(now)[0] == "open"
    for end in establish(connecter, server):
        end.close()


def silent(pair):
    """Whether a connect there stays unanswered (a full queue of one address says nothing about another)."""
    with socket.socket() as one:
        one.setblocking(False)
        return one.connect_ex(pair) == errno.EINPROGRESS and one.connect_ex(pair) == errno.EALREADY


def test_a_late_first_address_still_wins(server, full):
    """The first is not given up when others join."""
    connecter = Connecter("tcp://some.host:5")
    connecter.step(T0)
    connecter.resolved([("127.0.0.1", port_of(server)), ("127.0.0.1", full)])
    # Not looked at until long after the first has answered.
    state = connecter.step(T0)[0]
    wait_readable(server)
    if state == "trying":
        state = connecter.step(T0 + 3600 * 1000 * MS)[0]
    assert state == "open"
    for end in establish(connecter, server):
        end.close()


@needs_ipv6
def test_families_take_turns():
    """Two addresses of one family that lead nowhere, and one of the other: that one is second."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        server.settimeout(LIMIT)
        made, fillers = full_listener()
        port = port_of(made)
        connecter = Connecter("tcp://some.host:5", ipv6=1)
        connecter.step(T0)
        connecter.resolved([("127.0.0.1", port), ("127.0.0.2", port), ("::1", port_of(server))])
        connecter.step(T0)
        state, fd, *_ = connecter.step(T0 + 250 * MS)
        if state == "trying":
            assert connecter.running == 2
            wait_readable(fd)
            assert connecter.step(T0 + 250 * MS)[0] == "open"
        for end in (*establish(connecter, server), made, *fillers):
            end.close()


def test_all_refused():
    connecter = Connecter("tcp://some.host:5")
    connecter.step()
    connecter.resolved([("127.0.0.1", free_port()) for _ in range(16)])
    assert drive(connecter) == "failed"
    assert connecter.err == errno.ECONNREFUSED


def test_giving_up_in_the_middle_closes_everything(full, server):
    connecter = Connecter("tcp://some.host:5")
    connecter.step(T0)
    connecter.resolved([("127.0.0.1", full), ("127.0.0.1", full), ("127.0.0.1", port_of(server))])
    connecter.step(T0)
    connecter.reset()
    assert connecter.running == 0
    connecter.step(T0)
    connecter.close()
    connecter.close()


# -- time


def test_connect_timeout(full):
    connecter = Connecter(f"tcp://127.0.0.1:{full}", connect_timeout_ms=2000)
    state, _, _, until = connecter.step(T0)
    assert (state, until) == ("trying", T0 + 2000 * MS)
    assert connecter.step(until - 1)[0] == "trying"
    assert connecter.step(until) == ("failed", -1, 0, -1)
    assert connecter.err == errno.ETIMEDOUT
    # Each attempt has its own limit.
    connecter.reset()
    assert connecter.step(T0 + 5000 * MS)[3] == T0 + 7000 * MS


def test_connect_timeout_covers_all_addresses(full):
    connecter = Connecter("tcp://some.host:5", connect_timeout_ms=300)
    connecter.step(T0)
    connecter.resolved([("127.0.0.1", full), ("127.0.0.2", free_port())])
    assert connecter.step(T0 + 100 * MS)[3] == T0 + 300 * MS
    assert connecter.step(T0 + 300 * MS)[0] == "failed"


def test_who_answered_in_time_has_won_however_late_it_is_seen(server):
    connecter = Connecter(f"tcp://127.0.0.1:{port_of(server)}", connect_timeout_ms=10)
    state = connecter.step(T0)[0]
    wait_readable(server)
    if state == "trying":
        state = connecter.step(T0 + 3600 * 1000 * MS)[0]
    assert state == "open"
    for end in establish(connecter, server):
        end.close()


# -- sources


@needs_linux
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2", "127.0.0.2:0", "lo", "*"])
def test_source_address(server, source):
    connecter = Connecter(f"tcp://{source};127.0.0.1:{port_of(server)}")
    assert drive(connecter) == "open"
    ours, theirs = establish(connecter, server)
    with ours, theirs:
        assert theirs.getpeername()[0] == (source.split(":")[0] if source[0] == "1" else "127.0.0.1")


def test_source_port(server):
    port = free_port()
    for _ in range(2):
        connecter = Connecter(f"tcp://127.0.0.1:{port};127.0.0.1:{port_of(server)}")
        assert drive(connecter) == "open"
        ours, theirs = establish(connecter, server)
        assert theirs.getpeername() == ("127.0.0.1", port)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        ours.close()
        theirs.close()


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("203.0.113.9", errno.EADDRNOTAVAIL),
        ("nosuchif0", errno.ENODEV),
        ("no.such.name.invalid", errno.ENODEV),
        ("[::1]", errno.ENODEV),
    ],
)
def test_impossible_source(server, source, number):
    connecter = Connecter(f"tcp://{source};127.0.0.1:{port_of(server)}")
    assert drive(connecter) == "failed"
    assert connecter.err == number


# -- ipc


def test_ipc(tmp_path):
    listener = Listener(f"ipc://{tmp_path}/s")
    connecter = Connecter(f"ipc://{tmp_path}/s", sndbuf=20000)
    assert drive(connecter) == "open"
    with adopt(connecter.take()) as ours, adopt(accept(listener)[1]) as theirs:
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in (20000, 40000)
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
        got = facts(ours.fileno(), connecter_text(tmp_path), 2)
        assert got["ids"] == (os.getuid(), os.getgid(), os.getpid())
        assert got["remote"] == connecter_text(tmp_path)
    listener.close()
    connecter.reset()
    assert drive(connecter) == "failed"
    assert connecter.err == errno.ENOENT


def connecter_text(tmp_path):
    return f"ipc://{tmp_path}/s"


def test_ipc_nobody_there(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
        connecter = Connecter(f"ipc://{tmp_path}/s")
        assert drive(connecter) == "failed"
        assert connecter.err == errno.ECONNREFUSED


@needs_linux
def test_ipc_full_backlog(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(0)
        connecters = [Connecter(f"ipc://{tmp_path}/s") for _ in range(4)]
        states = [drive(one) for one in connecters]
        assert states[0] == "open"
        assert states[-1] == "failed"
        assert connecters[-1].err == errno.EAGAIN
        for one in connecters:
            one.close()


@needs_linux
def test_ipc_abstract_with_pyzmq():
    """The length of an abstract name is part of it: ours and libzmq's are the same."""
    zmq = pytest.importorskip("zmq")
    name = f"ipc://@test-peer-{os.getpid()}"
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.bind(name)
        connecter = Connecter(name)
        assert drive(connecter) == "open"
        with adopt(connecter.take()) as ours:
            assert ours.recv(1) == b"\xff"
    name += "-2"
    listener = Listener(name)
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(name)
        with adopt(accept(listener)[1]) as theirs:
            assert theirs.recv(1) == b"\xff"
    listener.close()
