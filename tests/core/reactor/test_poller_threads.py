"""The poller and its surroundings: other threads, signals, children, descriptors."""

import errno
import os
import signal
import socket
import threading

import pytest

from zcore import selftest_poller as sp

from .driver import (
    IN,
    LONG,
    ONESHOT,
    OUT,
    raises,
)


def waiter(p, timeout=LONG):
    """Wait in another thread; (thread, list that will hold the result)."""
    result = []
    started = threading.Event()

    def run():
        started.set()
        try:
            result.extend(p.wait(timeout))
        except OSError as error:
            result.append(error.errno)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    return thread, result


def test_add_while_another_thread_waits(p, pair):
    thread, result = waiter(p)
    pair[1].send(b"x")
    p.add(pair[0].fileno(), IN, 4)
    thread.join(30)
    assert result == [(4, IN)]


def test_mod_while_another_thread_waits(p, pair):
    fd = pair[0].fileno()
    p.add(fd, IN, 4)
    thread, result = waiter(p)
    p.mod(fd, OUT | ONESHOT, 5)
    thread.join(30)
    assert result == [(5, OUT)]


def test_delete_while_another_thread_waits(p, pair):
    """After the delete nothing of that descriptor ends the wait."""
    with_end = socket.socketpair()
    p.add(pair[0].fileno(), IN, 4)
    p.add(with_end[0].fileno(), IN, 5)
    thread, result = waiter(p)
    p.delete(pair[0].fileno())
    pair[1].send(b"x")
    with_end[1].send(b"x")
    thread.join(30)
    assert result == [(5, IN)]
    for s in with_end:
        s.close()


def test_changes_race_with_a_waiter(p):
    """Descriptors come, change and go under a waiter's feet; at the end everything registered is reported."""
    pairs = [socket.socketpair() for _ in range(8)]
    end = socket.socketpair()
    p.add(end[0].fileno(), IN, 99)
    for _, b in pairs:
        b.send(b"x")
    finish = threading.Event()
    failures = []

    def wait():
        while not finish.is_set():
            for tag, events in p.wait(LONG):
                if tag == 99:
                    finish.set()
                elif not (0 <= tag < 8 and events & (IN | OUT)):
                    failures.append((tag, events))

    def change(i):
        fd = pairs[i][0].fileno()
        for n in range(300):
            p.add(fd, IN | (ONESHOT if n % 2 else 0), i)
            p.mod(fd, IN | OUT | ONESHOT, i)
            p.mod(fd, OUT, i)
            p.delete(fd)
        p.add(fd, IN, i)

    threads = [threading.Thread(target=change, args=(i,)) for i in range(8)]
    w = threading.Thread(target=wait, daemon=True)
    w.start()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    end[1].send(b"x")
    w.join(60)
    assert finish.is_set()
    assert failures == []
    end[0].recv(1)
    assert sorted(p.wait(LONG)) == [(i, IN) for i in range(8)]
    for a, b in [*pairs, end]:
        a.close()
        b.close()


@pytest.mark.parametrize("mode", [0, ONESHOT])
def test_an_event_never_meets_the_next_registration_of_its_number(p, mode):
    """One number stands in turn for a ready descriptor and for a silent one, while another thread waits."""
    (ready, r_peer), (silent, s_peer), end = socket.socketpair(), socket.socketpair(), socket.socketpair()
    r_peer.send(b"x")
    number = os.dup(silent.fileno())
    p.add(end[0].fileno(), IN, 99)
    seen = set()
    failures = []

    def wait():
        try:
            while 99 not in seen:
                seen.update(tag for tag, _ in p.wait(LONG))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    p.alternate(number, ready.fileno(), silent.fileno(), IN | mode, 20_000)
    end[1].send(b"x")
    thread.join(60)
    assert failures == []
    assert 99 in seen
    assert 2 not in seen
    os.close(number)
    for s in (ready, r_peer, silent, s_peer, *end):
        s.close()


def test_oneshot_rearmed_by_another_thread_loses_nothing(p, pair):
    """The waiter takes reports, another thread re-arms after each: every round must report."""
    fd = pair[0].fileno()
    pair[1].send(b"x")
    p.add(fd, IN | OUT | ONESHOT, 1)
    turn, back = threading.Semaphore(0), threading.Semaphore(0)

    def rearm():
        for _ in range(500):
            turn.acquire()
            p.mod(fd, IN | OUT | ONESHOT, 1)
            back.release()

    t = threading.Thread(target=rearm)
    t.start()
    for i in range(500):
        events = []
        while not events:
            events = p.wait(LONG)
        assert events == [(1, IN | OUT)] or (events[0][0] == 1 and events[0][1] in (IN, OUT))
        turn.release()
        if i % 2:
            back.acquire()
    for _ in range(250):
        back.acquire()
    t.join(30)
    assert not t.is_alive()


def test_second_waiter_of_poll_is_refused(pair):
    p = sp.PollerProbe("poll")
    p.add(pair[0].fileno(), IN, 1)
    result = []

    def wait():
        while not result:
            try:
                result.extend(p.wait(LONG))
            except OSError as error:
                assert error.errno == errno.EBUSY  # the main thread was inside just now

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    with raises(errno.EBUSY):
        while True:
            p.wait(0)
    pair[1].send(b"x")
    thread.join(30)
    assert result == [(1, IN)]
    p.close()


def test_signal_ends_a_wait(p):
    """-EINTR, so that the caller can look at the signal."""
    calls = []
    done = threading.Event()
    main = threading.get_ident()

    def send():
        while not done.wait(0.01):
            signal.pthread_kill(main, signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    sender = threading.Thread(target=send)
    sender.start()
    try:
        with raises(errno.EINTR):
            p.wait(LONG)
    finally:
        done.set()
        sender.join()
        signal.signal(signal.SIGUSR1, old)
    assert calls


def test_child_of_fork_does_not_touch_the_set(backend, pair):
    p = sp.PollerProbe(backend)
    fd = pair[0].fileno()
    p.add(fd, IN, 1)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            checks = []
            for call in (
                lambda: p.add(pair[1].fileno(), IN, 2),
                lambda: p.mod(fd, OUT, 2),
                lambda: p.delete(fd),
                lambda: p.wait(0),
            ):
                try:
                    call()
                    checks.append(None)
                except OSError as error:
                    checks.append(error.errno)
            own = p.fd
            p.close()
            gone = own < 0
            if own >= 0:
                try:
                    os.fstat(own)
                except OSError:
                    gone = True
            # a set of the child's own works
            q = sp.PollerProbe(backend)
            q.add(pair[1].fileno(), OUT, 3)
            fresh = q.wait(LONG) == [(3, OUT)]
            code = 0 if checks == [errno.ECHILD] * 4 and gone and fresh else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert p.wait(0) == []
    pair[1].send(b"x")
    assert p.wait(LONG) == [(1, IN)]
    p.close()


def test_descriptors_are_released(backend):
    def count():
        return len(os.listdir("/dev/fd"))

    before = count()
    probes = [sp.PollerProbe(backend) for _ in range(10)]
    assert count() > before
    for probe in probes:
        probe.close()
    assert count() == before


def test_descriptors_are_not_inherited(backend):
    before = set(os.listdir("/dev/fd"))
    p = sp.PollerProbe(backend)
    for name in set(os.listdir("/dev/fd")) - before:
        try:
            assert not os.get_inheritable(int(name))
        except OSError:
            pass  # the listing's own descriptor
    p.close()


def test_unknown_backend():
    with raises(errno.EINVAL):
        sp.PollerProbe(17)
