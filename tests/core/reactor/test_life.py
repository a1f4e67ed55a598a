"""Start, end, thread and fork of the reactor."""

import errno
import os
import signal
import sys
import threading

import pytest

from zcore import selftest_reactor as sr

from .driver import (
    IN,
    LINUX,
    MS,
    SANITIZER,
    calls,
    error_of,
    in_child,
    is_open,
    no_tsan,
    raises,
    thread_ids,
    thread_names,
    wait_asleep,
)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_start_is_idempotent_and_lazy(backend):
    name = f"once-{backend}"
    r = sr.ReactorProbe(backend, name=name.encode())
    starters = [threading.Thread(target=r.start) for _ in range(8)]
    assert r.counters()["loops"] == 0
    assert name not in thread_names()
    for t in starters:
        t.start()
    for t in starters:
        t.join()
    r.start()
    r.run()
    assert thread_names().count(name) == 1
    r.stop()
    r.free()


def test_stop_of_one_never_started(backend):
    r = sr.ReactorProbe(backend)
    r.stop()
    r.stop()
    with raises(errno.ESHUTDOWN):
        r.start()
    assert not r.post(r.task())
    r.free()


def test_stop_runs_what_is_queued(backend):
    """Also what was posted before the first start, and what tasks post, and retries that wait."""
    r = sr.ReactorProbe(backend)
    last = r.task([(sr.NOTE,)])
    retried = r.task([(sr.POST, last)])
    first = r.task([(sr.RETRY, retried, MS)])
    r.post(first)
    r.stop()
    assert calls(r.log(), "task") == [first, retried, last]
    r.free()


def test_stop_runs_a_long_queue(r, gate):
    reading, open_gate = gate
    blocker = r.task([(sr.WAIT, reading)])
    nodes = [r.task() for _ in range(900)]
    r.post(blocker)
    for n in nodes:
        r.post(n)
    open_gate()
    r.stop()
    assert all(r.seen(n)[2] == 1 for n in nodes)


def test_after_the_end(r, pairs):
    n = r.task()
    a, _b = pairs()
    h = r.handle(a.fileno())
    r.run((sr.SET, h, IN))
    r.stop()
    assert not r.post(n)
    assert not r.post(n)
    with raises(errno.ESHUTDOWN):
        r.start()
    with pytest.raises(RuntimeError):
        r.run()
    r.stop()
    assert r.seen(n)[2] == 0


def test_stop_from_the_reactors_own_thread_is_refused(r):
    assert r.run((sr.STOP,)) == [-errno.EDEADLK]


def test_free_while_running_is_refused(r):
    with raises(errno.EBUSY):
        r.free()
    r.run()


def test_posts_race_with_the_end(backend):
    """What reactor_post accepted has run, up to the end."""
    for _ in range(20):
        r = sr.ReactorProbe(backend)
        r.start()
        nodes = [r.task() for _ in range(4)]
        begun = threading.Barrier(5)

        def work(n, r=r, begun=begun):
            begun.wait()
            r.hammer(n, 5000)

        threads = [threading.Thread(target=work, args=(n,)) for n in nodes]
        for t in threads:
            t.start()
        begun.wait()
        r.stop()
        for t in threads:
            t.join()
        assert not r.post(nodes[0])
        r.free()


def test_is_current(r):
    assert not r.is_current()


def test_descriptors_and_threads_are_released(backend):
    def descriptors():
        return len(os.listdir("/dev/fd"))

    name = f"released-{backend}"
    before = descriptors()
    for _ in range(5):
        r = sr.ReactorProbe(backend, name=name.encode())
        r.start()
        r.run()
        r.stop()
        r.free()
        del r
    assert descriptors() == before
    # the system lists a thread for a moment after it has been joined
    for _ in range(10_000):
        if name not in thread_names():
            break
        os.sched_yield()
    assert name not in thread_names()


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_thread_options(backend):
    cpu = min(os.sched_getaffinity(0))
    before = set(thread_ids())
    r = sr.ReactorProbe(backend, name=b"a-name/IO/0", cpus=[cpu])
    r.start()
    r.run()
    [tid] = set(thread_ids()) - before
    with open(f"/proc/self/task/{tid}/comm") as f:
        assert f.read().strip() == "a-name/IO/0"
    with open(f"/proc/self/task/{tid}/status") as f:
        status = dict(line.split(":", 1) for line in f)
    assert status["Cpus_allowed_list"].strip() == str(cpu)
    blocked = int(status["SigBlk"], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR1):
        assert blocked >> (number - 1) & 1
    slack = f"/proc/{tid}/timerslack_ns"
    if os.path.exists(slack) and SANITIZER != "portable":
        with open(slack) as f:
            assert f.read().strip() == "1"
    r.stop()
    r.free()


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_default_name():
    before = set(thread_ids())
    r = sr.ReactorProbe()
    r.start()
    r.run()
    [tid] = set(thread_ids()) - before
    with open(f"/proc/self/task/{tid}/comm") as f:
        assert f.read().strip() == "pyzq-io"
    r.stop()
    r.free()


def test_scheduling_policy_is_taken_over():
    """SCHED_BATCH needs no privilege."""
    if not hasattr(os, "SCHED_BATCH"):
        pytest.skip("no SCHED_BATCH")
    before = set(thread_ids())
    r = sr.ReactorProbe(policy=os.SCHED_BATCH)
    r.start()
    r.run()
    [tid] = set(thread_ids()) - before
    assert os.sched_getscheduler(int(tid)) == os.SCHED_BATCH
    r.stop()
    r.free()


def test_unknown_backend():
    with raises(errno.EINVAL):
        sr.ReactorProbe(17)


def test_never_needs_the_gil(r):
    """The reactor works through a chain of timers while the main thread holds the GIL in one long call."""
    t = r.timer()
    r.script(t, [(sr.TIMER, t, 1_000)])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)
    try:
        r.run((sr.TIMER, t, 1_000))
        before = r.counters()["timers"]
        while r.counters()["timers"] < before + 50:
            pass
    finally:
        sys.setswitchinterval(interval)
    r.run((sr.CANCEL, t))


@no_tsan
def test_fork(r, backend, pairs):
    a, b = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.READ, h)])
    n = r.task([(sr.NOTE,)])
    r.run((sr.SET, h, IN))
    wait_asleep(r)

    def check():
        descriptors = [fd for fd in r.descriptors if fd >= 0]
        refused = (
            not r.post(n)
            and error_of(r.start) == errno.ECHILD
            and error_of(r.stop) == errno.ECHILD
            and error_of(lambda: sr.ReactorProbe.free(r)) == errno.ECHILD
            and not r.is_current()
        )
        r.forked()
        r.forked()
        closed = not any(is_open(fd) for fd in descriptors)
        own = sr.ReactorProbe(backend)
        own.start()
        k = own.task([(sr.NOTE,)])
        own.post(k)
        own.wait_log(1)
        own.stop()
        own.free()
        return refused and closed

    assert in_child(check)
    # the parent's works on
    b.send(b"x")
    r.post(n)
    assert sorted(calls(r.wait_log(2), "handle") + calls(r.log(), "task")) == sorted([h, n])


def test_forked_outside_a_child_does_nothing(r):
    r.forked()
    r.run()


@no_tsan
def test_fork_while_posts_are_under_way(r):
    """Children forked in the middle of everything can use a reactor of their own."""
    n = r.task()
    stop = threading.Event()

    def work():
        while not stop.is_set():
            r.hammer(n, 1000)

    t = threading.Thread(target=work)
    t.start()

    def check():
        r.forked()
        own = sr.ReactorProbe()
        own.start()
        own.run()
        own.stop()
        return True

    try:
        assert all(in_child(check) for _ in range(10))
    finally:
        stop.set()
        t.join()
