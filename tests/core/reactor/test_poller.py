"""The poller's contract, the same for every backend."""

import errno
import os
import select
import socket
import time

import pytest

from zcore import poller
from zcore import selftest_poller as sp

from .driver import (
    ERR,
    HUP,
    IN,
    LONG,
    ONESHOT,
    OUT,
    raises,
)


def test_nothing_ready(p, pair):
    p.add(pair[0].fileno(), IN, 1)
    assert p.wait(0) == []
    assert p.wait(1_000) == []


def test_empty_set_times_out(p):
    assert p.wait(0) == []
    assert p.wait(200_000) == []


def test_readiness_is_level_triggered(p, pair):
    p.add(pair[0].fileno(), IN, 7)
    pair[1].send(b"x")
    assert p.wait(LONG) == [(7, IN)]
    assert p.wait(LONG) == [(7, IN)]
    pair[0].recv(1)
    assert p.wait(0) == []


def test_out(p, pair):
    p.add(pair[0].fileno(), OUT, 3)
    assert p.wait(LONG) == [(3, OUT)]


def test_both_directions_are_one_event(p, pair):
    p.add(pair[0].fileno(), IN | OUT, 9)
    assert p.wait(LONG) == [(9, OUT)]
    pair[1].send(b"x")
    assert p.wait(LONG) == [(9, IN | OUT)]


def test_mod_changes_direction_and_tag(p, pair):
    fd = pair[0].fileno()
    pair[1].send(b"x")
    p.add(fd, IN, 1)
    p.mod(fd, OUT, 2)
    assert p.wait(LONG) == [(2, OUT)]
    p.mod(fd, IN | OUT, 3)
    assert p.wait(LONG) == [(3, IN | OUT)]
    p.mod(fd, IN, 4)
    assert p.wait(LONG) == [(4, IN)]
    pair[0].recv(1)
    assert p.wait(0) == []


def test_delete(p, pair):
    fd = pair[0].fileno()
    pair[1].send(b"x")
    p.add(fd, IN | OUT, 1)
    p.delete(fd)
    assert p.wait(0) == []
    p.add(fd, IN, 2)
    assert p.wait(LONG) == [(2, IN)]


def test_delete_keeps_the_others(p):
    pairs = [socket.socketpair() for _ in range(20)]
    for i, (a, b) in enumerate(pairs):
        p.add(a.fileno(), IN, i)
        b.send(b"x")
    gone = {0, 7, 8, 19}
    for i in gone:
        p.delete(pairs[i][0].fileno())
    assert {tag for tag, _ in p.wait(LONG)} == set(range(20)) - gone
    for a, b in pairs:
        a.close()
        b.close()


@pytest.mark.parametrize("events", [IN, OUT, IN | OUT])
def test_oneshot_reports_once(p, pair, events):
    fd = pair[0].fileno()
    pair[1].send(b"x")
    p.add(fd, events | ONESHOT, 5)
    assert p.wait(LONG) == [(5, events)]
    assert p.wait(0) == []
    assert p.wait(0) == []
    p.mod(fd, events | ONESHOT, 6)
    assert p.wait(LONG) == [(6, events)]
    assert p.wait(0) == []


def test_oneshot_with_two_directions_reports_the_first_only(p, pair):
    fd = pair[0].fileno()
    p.add(fd, IN | OUT | ONESHOT, 5)
    assert p.wait(LONG) == [(5, OUT)]
    pair[1].send(b"x")
    assert p.wait(0) == []
    assert p.wait(0) == []
    p.mod(fd, IN | OUT | ONESHOT, 5)
    assert p.wait(LONG) == [(5, IN | OUT)]
    assert p.wait(0) == []


def test_oneshot_armed_while_idle(p, pair):
    fd = pair[0].fileno()
    p.add(fd, IN | ONESHOT, 5)
    assert p.wait(0) == []
    p.mod(fd, IN | ONESHOT, 6)
    pair[1].send(b"x")
    assert p.wait(LONG) == [(6, IN)]


def test_oneshot_and_lasting_replace_each_other(p, pair):
    fd = pair[0].fileno()
    pair[1].send(b"x")
    p.add(fd, IN | ONESHOT, 1)
    p.mod(fd, IN, 2)
    assert p.wait(LONG) == [(2, IN)]
    assert p.wait(LONG) == [(2, IN)]
    p.mod(fd, IN | ONESHOT, 3)
    assert p.wait(LONG) == [(3, IN)]
    assert p.wait(0) == []
    p.mod(fd, IN, 4)
    assert p.wait(LONG) == [(4, IN)]
    assert p.wait(LONG) == [(4, IN)]


def test_oneshot_hang_up_reports_once(p, pair):
    p.add(pair[0].fileno(), IN | ONESHOT, 1)
    pair[1].close()
    [(tag, events)] = p.wait(LONG)
    assert tag == 1
    assert events & (IN | HUP)
    assert p.wait(0) == []


def test_delete_after_oneshot_report(p, pair):
    fd = pair[0].fileno()
    pair[1].send(b"x")
    p.add(fd, IN | ONESHOT, 1)
    assert p.wait(LONG) == [(1, IN)]
    p.delete(fd)
    p.add(fd, IN, 2)
    assert p.wait(LONG) == [(2, IN)]


def test_end_of_stream(p, pair):
    p.add(pair[0].fileno(), IN, 1)
    pair[1].close()
    [(_, events)] = p.wait(LONG)
    assert events & (IN | HUP)


def test_hang_up_for_a_writer(p, pair):
    p.add(pair[0].fileno(), OUT, 1)
    pair[1].close()
    [(_, events)] = p.wait(LONG)
    assert events & HUP


def test_pipe_without_writer(p):
    r, w = os.pipe()
    p.add(r, IN, 1)
    os.close(w)
    [(_, events)] = p.wait(LONG)
    assert events & (IN | HUP)
    p.delete(r)
    os.close(r)


def test_refused_connection_is_reported(p):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()
    with socket.socket() as s:
        s.setblocking(False)
        assert s.connect_ex(address) in (errno.EINPROGRESS, errno.ECONNREFUSED)
        p.add(s.fileno(), OUT, 1)
        [(_, events)] = p.wait(LONG)
        assert events & (ERR | HUP | OUT)
        p.delete(s.fileno())


def test_errors(p, pair):
    fd = pair[0].fileno()
    with raises(errno.ENOENT):
        p.mod(fd, IN, 1)
    with raises(errno.ENOENT):
        p.delete(fd)
    with raises(errno.EINVAL):
        p.add(fd, 0, 1)
    with raises(errno.EINVAL):
        p.add(fd, ONESHOT, 1)
    with raises(errno.EINVAL):
        p.add(fd, IN | 0x1000, 1)
    p.add(fd, IN, 1)
    with raises(errno.EEXIST):
        p.add(fd, IN, 1)
    with raises(errno.EINVAL):
        p.mod(fd, 0, 1)
    with raises(errno.EBADF):
        p.add(-1, IN, 1)
    closed = os.dup(fd)
    os.close(closed)
    with raises(errno.EBADF):
        p.add(closed, IN, 1)
    with raises(errno.EINVAL):
        p.wait(0, 0)
    # a refused call leaves nothing behind
    reopened = os.dup(fd)
    assert reopened == closed
    p.add(reopened, IN, 2)
    p.delete(reopened)
    os.close(reopened)


def test_closed_poller(p, pair):
    p.close()
    p.close()
    assert p.fd == -1
    with raises(errno.EBADF):
        p.add(pair[0].fileno(), IN, 1)
    with raises(errno.EBADF):
        p.wait(0)


def test_number_reuse(p):
    """A new descriptor with the number of a deleted one is a new registration."""
    a, b = socket.socketpair()
    c, d = socket.socketpair()
    fd = a.fileno()
    b.send(b"x")
    p.add(fd, IN, 1)
    p.delete(fd)
    a.close()
    os.dup2(c.fileno(), fd)
    p.add(fd, IN, 2)
    assert p.wait(0) == []
    d.send(b"y")
    assert p.wait(LONG) == [(2, IN)]
    p.delete(fd)
    os.close(fd)
    for s in (b, c, d):
        s.close()


def test_high_descriptor_number(p, pair):
    import resource

    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 5000)
    high = os.dup2(pair[0].fileno(), limit - 1)
    p.add(high, IN, 1)
    pair[1].send(b"x")
    assert p.wait(LONG) == [(1, IN)]
    p.delete(high)
    os.close(high)


def test_aggregate_descriptor(p, backend, pair):
    if backend == "poll":
        assert p.fd == -1
        return
    p.add(pair[0].fileno(), IN, 1)
    assert select.select([p.fd], [], [], 0)[0] == []
    pair[1].send(b"x")
    assert select.select([p.fd], [], [], 30)[0] == [p.fd]
    pair[0].recv(1)
    assert select.select([p.fd], [], [], 0)[0] == []


def test_nested(p, backend, pair):
    """A set inside a set: what the reactor does with a socket's own."""
    if backend == "poll":
        pytest.skip("poll(2) has no descriptor to nest")
    outer = sp.PollerProbe("default")
    outer.add(p.fd, IN | ONESHOT, 1)
    p.add(pair[0].fileno(), IN, 2)
    assert outer.wait(0) == []
    pair[1].send(b"x")
    assert outer.wait(LONG) == [(1, IN)]
    assert p.wait(LONG) == [(2, IN)]
    outer.close()


def test_more_ready_than_fetched_all_get_their_turn(p):
    pairs = [socket.socketpair() for _ in range(60)]
    for i, (a, b) in enumerate(pairs):
        b.send(b"x")
        p.add(a.fileno(), IN, i)
    seen = set()
    for _ in range(40):
        events = p.wait(LONG, 7)
        assert 1 <= len(events) <= 7
        seen.update(tag for tag, _ in events)
    assert seen == set(range(60))
    for a, b in pairs:
        a.close()
        b.close()


@pytest.mark.parametrize("timeout", [1, 1_000, 50_000, 999_999, 1_000_000, 1_000_001, 3_500_000])
def test_never_early(p, timeout):

    begin = time.monotonic_ns()
    assert p.wait(timeout) == []
    assert time.monotonic_ns() - begin >= timeout


@pytest.fixture
def coarse():
    sp.force_coarse(True)
    yield
    sp.force_coarse(False)


@pytest.mark.skipif("epoll" not in poller.available_backends(), reason="no epoll here")
def test_epoll_without_pwait2(coarse, pair):

    p = sp.PollerProbe("epoll")
    p.add(pair[0].fileno(), IN, 1)
    begin = time.monotonic_ns()
    assert p.wait(300_000) == []
    assert time.monotonic_ns() - begin >= 300_000
    pair[1].send(b"x")
    assert p.wait(LONG) == [(1, IN)]
    assert p.wait(-1) == [(1, IN)]
    assert p.wait(0) == [(1, IN)]
    p.close()


def test_closed_behind_our_back_does_not_report_for_ever(p, pair):
    """Misuse: a descriptor is closed while registered.  No crash, no endless report."""
    fd = os.dup(pair[0].fileno())
    p.add(fd, IN, 1)
    os.close(fd)
    for _ in range(3):
        last = p.wait(0)
    assert last == []
