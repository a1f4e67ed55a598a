"""The poller's contract, the same for every backend."""

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest

from zcore import poller
from zcore import selftest_poller as sp

IN, OUT, ERR, HUP, ONESHOT = sp.IN, sp.OUT, sp.ERR, sp.HUP, sp.ONESHOT
SECOND = 1_000_000_000
LONG = 30 * SECOND


@pytest.fixture(params=poller.available_backends())
def backend(request):
    return request.param


@pytest.fixture
def p(backend):
    probe = sp.PollerProbe(backend)
    yield probe
    probe.close()


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    yield a, b
    a.close()
    b.close()


@contextlib.contextmanager
def raises(number):
    with pytest.raises(OSError) as caught:
        yield
    assert caught.value.errno == number


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


@pytest.mark.parametrize("timeout", [1, 1_000, 50_000, 999_999, 1_000_000, 1_000_001, 3_500_000])
def test_never_early(p, timeout):
    import time

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
    import time

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


# ---- the default ----


@pytest.fixture
def default():
    yield
    poller.set_default_backend(None)


def test_default_backend(default):
    best = poller.default_backend()
    assert best in poller.available_backends()
    for name in poller.available_backends():
        poller.set_default_backend(name)
        assert poller.default_backend() == name
        probe = sp.PollerProbe("default")
        assert (probe.fd == -1) == (name == "poll")
        probe.close()
    poller.set_default_backend(None)
    assert poller.default_backend() == best
    with pytest.raises(ValueError, match="no such poller"):
        poller.set_default_backend("select")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's choice")
def test_linux_never_chooses_the_double():
    assert poller.default_backend() != "kqueue"


def run_python(code, **environment):
    import zcore

    path = os.path.dirname(os.path.dirname(zcore.__file__))
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize("name", poller.available_backends())
def test_environment_chooses(name):
    out = run_python("from zcore import poller; print(poller.default_backend())", PYZQ_POLLER=name)
    assert out.stdout.strip() == name


def test_environment_with_an_unknown_name_warns():
    out = run_python("from zcore import poller; print(poller.default_backend())", PYZQ_POLLER="selekt")
    assert out.stdout.strip() == poller.default_backend()
    assert "PYZQ_POLLER is ignored" in out.stderr
