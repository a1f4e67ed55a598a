"""Descriptors in the reactor, over every backend."""

import errno
import os

import pytest

from zcore import poller
from zcore import selftest_reactor as sr

from .driver import (
    ERR,
    IN,
    LINUX,
    ONESHOT,
    OUT,
    barrier,
    calls,
)


def test_readiness(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno(), [])
    r.script(h, [(sr.READ, h)])
    assert r.run((sr.SET, h, IN)) == [0]
    b.send(b"x")
    log = r.wait_log(1)
    assert [record[:3] for record in log] == [("handle", h, IN)]
    b.send(b"y")
    assert len(r.wait_log(2)) == 2


def test_level_triggered_until_read(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.run((sr.SET, h, IN))
    b.send(b"x")
    r.wait_log(20)
    r.run((sr.SET, h, 0))
    n = len(r.log())
    barrier(r)
    assert len(r.log()) == n


def test_only_what_is_asked(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.SET, h, IN)])
    b.send(b"x")
    r.run((sr.SET, h, OUT))
    r.wait_log(2)
    r.run((sr.REMOVE, h))
    log = r.log()
    assert log[0][2] == OUT
    assert {record[2] for record in log[1:]} == {IN}


def test_oneshot(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.run((sr.SET, h, IN | ONESHOT))
    b.send(b"x")
    r.wait_log(1)
    barrier(r)
    assert len(r.log()) == 1
    r.run((sr.SET, h, IN | ONESHOT))
    r.wait_log(2)
    barrier(r)
    assert len(r.log()) == 2
    # re-armed from its own function: every report is followed by another
    r.script(h, [(sr.SET, h, IN | ONESHOT)])
    r.run((sr.SET, h, IN | ONESHOT))
    r.wait_log(30)
    r.run((sr.REMOVE, h))


def test_set_while_the_same_is_armed_changes_nothing(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.run((sr.SET, h, IN | ONESHOT), (sr.SET, h, OUT | ONESHOT), (sr.SET, h, IN | ONESHOT))
    b.send(b"x")
    assert [record[:3] for record in r.wait_log(1)] == [("handle", h, IN)]
    barrier(r)
    assert len(r.log()) == 1


def test_nothing_and_back(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.READ, h)])
    r.run((sr.SET, h, IN))
    r.run((sr.SET, h, 0))
    b.send(b"x")
    barrier(r)
    assert r.log() == []
    r.run((sr.SET, h, IN))
    assert len(r.wait_log(1)) == 1


def test_handle_set_before_start(idle, pairs):
    a, b = pairs()
    h = idle.handle(a.fileno())
    idle.script(h, [(sr.READ, h)])
    t = idle.task([(sr.SET, h, IN)])
    idle.post(t)
    b.send(b"x")
    idle.start()
    assert [record[:2] for record in idle.wait_log(2)] == [("task", t), ("handle", h)]


def test_end_of_stream_reaches_who_reads(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.REMOVE, h)])
    r.run((sr.SET, h, IN))
    b.close()
    [(_, _, revents, _)] = r.wait_log(1)
    assert revents & IN


def test_hang_up_of_a_pipe_counts_as_readable(r):
    reading, writing = os.pipe()
    h = r.handle(reading)
    r.script(h, [(sr.REMOVE, h)])
    r.run((sr.SET, h, IN))
    os.close(writing)
    [(_, _, revents, _)] = r.wait_log(1)
    assert revents & IN
    assert not revents & OUT
    barrier(r)
    os.close(reading)


def test_removed_in_the_batch_is_not_called(r, pairs, gate):
    """Two handles are ready at once; whichever is first removes the other, closes it and frees its memory."""
    reading, open_gate = gate
    blocker = r.task([(sr.WAIT, reading)])
    for _ in range(10):
        (a, a2), (b, b2) = pairs(), pairs()
        x, y = r.handle(a.fileno()), r.handle(b.fileno())
        r.script(x, [(sr.FREE, y), (sr.REMOVE, x)])
        r.script(y, [(sr.FREE, x), (sr.REMOVE, y)])
        r.run((sr.SET, x, IN), (sr.SET, y, IN))
        before = len(r.log())
        r.post(blocker)
        r.wait_log(before + 1)
        a2.send(b"x")
        b2.send(b"x")
        open_gate()
        r.wait_log(before + 2)
        os.read(reading, 1)
        barrier(r)
        assert calls(r.log()[before:], "handle") in ([x], [y])


def test_freed_and_number_reused_in_the_batch(r, pairs, gate):
    """The number of a descriptor that is ready in the same batch is given to a silent one: no stale event."""
    reading, open_gate = gate
    blocker = r.task([(sr.WAIT, reading)])
    silent, _peer = pairs()
    ready = [pairs() for _ in range(6)]
    handles = [r.handle(a.fileno()) for a, _ in ready]
    numbers = [os.dup(a.fileno()) for a, _ in ready]
    targets = [r.handle(number) for number in numbers]
    for h, target in zip(handles, targets, strict=True):
        r.script(
            h,
            [
                (sr.REMOVE, target),
                (sr.DUP2, target, silent.fileno()),
                (sr.SET, target, IN),
                (sr.REMOVE, h),
            ],
        )
        r.script(target, [(sr.REMOVE, h), (sr.REMOVE, target)])
    r.post(blocker)
    # registered while the reactor is held, so that all are ready in one batch
    setter = r.task([(sr.SET, h, IN) for pair in zip(handles, targets, strict=True) for h in pair])
    r.post(setter)
    for _, b in ready:
        b.send(b"x")
    open_gate()
    # of each couple exactly one is called: the other was removed by it
    log = r.wait_log(2 + len(ready))
    barrier(r)
    assert r.log() == log
    called = set(calls(log, "handle"))
    for h, target in zip(handles, targets, strict=True):
        assert len({h, target} & called) == 1
    r.run(*[(sr.REMOVE, target) for target in targets])
    for number in numbers:
        os.close(number)


def test_registered_again_in_its_own_function(r, pairs):
    """Removed, given another descriptor and registered again, all from inside."""
    a, b = pairs()
    c, d = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.READ, h), (sr.REWIRE, h, c.fileno()), (sr.SET, h, IN | ONESHOT)])
    r.run((sr.SET, h, IN))
    b.send(b"xx")
    r.wait_log(1)
    barrier(r)
    assert len(r.log()) == 1
    d.send(b"y")
    assert len(r.wait_log(2)) == 2


def test_frees_itself(r, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.REMOVE, h), (sr.CLOSE, h), (sr.FREE, h)])
    a.detach()
    r.run((sr.SET, h, IN))
    b.send(b"x")
    r.wait_log(1)
    barrier(r)
    assert len(r.log()) == 1


def test_remove_with_changes_pending(r, pairs):
    nodes = []
    for _ in range(5):
        a, _b = pairs()
        nodes.append(r.handle(a.fileno()))
    r.run(*[(sr.SET, h, IN) for h in nodes])
    r.run(*[(sr.SET, h, IN | OUT) for h in nodes], *[(sr.FREE, nodes[i]) for i in (2, 0, 4)])
    log = r.wait_log(10)
    r.run((sr.REMOVE, nodes[1]), (sr.REMOVE, nodes[3]))
    assert set(calls(log, "handle")) == {nodes[1], nodes[3]}


def test_refusals(r, pairs):
    a, _b = pairs()
    closed = os.dup2(a.fileno(), 900)  # a number that nobody else takes meanwhile
    os.close(closed)
    h = r.handle(closed)
    assert r.run((sr.SET, h, IN)) == [-errno.EBADF]
    h = r.handle(-1)
    assert r.run((sr.SET, h, IN)) == [-errno.EBADF]
    x, y = r.handle(a.fileno()), r.handle(a.fileno())
    assert r.run((sr.SET, x, IN), (sr.SET, y, IN)) == [0, -errno.EEXIST]
    assert r.run((sr.SET, y, 0), (sr.REMOVE, y), (sr.SET, x, 0), (sr.SET, x, 0)) == [0, 0, 0, 0]
    assert r.run((sr.SET, y, IN | 0x1000)) == [-errno.EINVAL]


@pytest.mark.skipif(not LINUX, reason="epoll's refusal")
def test_refused_change_is_told_once(pairs):
    """The descriptor was closed behind the reactor's back; the change is refused and the owner hears POLL_ERR."""
    if "epoll" not in poller.available_backends():
        pytest.skip("no epoll")
    r = sr.ReactorProbe("epoll")
    r.start()
    a, _b = pairs()
    number = os.dup2(a.fileno(), 901)  # a number that nobody else takes meanwhile
    h = r.handle(number)
    r.run((sr.SET, h, IN))
    os.close(number)
    r.run((sr.SET, h, IN | OUT))
    [(_, index, revents, _)] = r.wait_log(1)
    assert index == h
    assert revents & ERR
    barrier(r)
    assert len(r.log()) == 1
    assert r.counters()["errors"] == 1
    r.run((sr.FREE, h))
    r.stop()
    r.free()


def test_more_events_than_a_batch(r, pairs):
    count = 300
    made = [pairs() for _ in range(count)]
    nodes = [r.handle(a.fileno()) for a, _ in made]
    for h in nodes:
        r.script(h, [(sr.READ, h)])
    for h in nodes:
        r.run((sr.SET, h, IN))
    for _, b in made:
        b.send(b"x")
    assert set(calls(r.wait_log(count), "handle")) == set(nodes)
