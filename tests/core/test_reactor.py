"""The reactor over every poller: descriptors, timers, tasks, sleep and wake-up, start and end."""

import errno
import os
import signal
import socket
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcore import poller
from zcore import selftest_poller as sp
from zcore import selftest_reactor as sr

IN, OUT, ERR, HUP, ONESHOT = sp.IN, sp.OUT, sp.ERR, sp.HUP, sp.ONESHOT
MS = 1_000_000
SECOND = 1_000_000_000
FAR = 3600 * SECOND
LINUX = sys.platform.startswith("linux")
SANITIZER = os.environ.get("PYZQ_SANITIZER", "")


@pytest.fixture(params=poller.available_backends())
def backend(request):
    return sp.BACKENDS[request.param]


@pytest.fixture
def pairs():
    """Socket pairs on demand."""
    made = []

    def make():
        pair = socket.socketpair()
        made.append(pair)
        return pair

    yield make
    for pair in made:
        for s in pair:
            try:
                s.close()
            except OSError:
                pass  # a test's script has closed it


@pytest.fixture
def idle(backend, pairs):
    """A reactor that has not been started; it ends before the sockets that it watches."""
    probe = sr.ReactorProbe(backend)
    yield probe
    probe.stop()
    probe.free()


@pytest.fixture
def r(idle):
    idle.start()
    return idle


@pytest.fixture
def gate():
    """A descriptor that scripts wait for, and the function that opens it."""
    reading, writing = os.pipe()
    yield reading, lambda: os.write(writing, b"x")
    os.close(reading)
    os.close(writing)


class Raises:
    def __init__(self, number):
        self.number = number

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert isinstance(error, OSError), "nothing was raised"
        assert error.errno == self.number
        return True


def calls(log, kind):
    """Numbers of the nodes of one kind in the order of their calls."""
    return [index for name, index, *_ in log if name == kind]


# ---- descriptors ----


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


def barrier(r):
    """Two turns: whatever was ready is reported by then."""
    r.run()
    r.run()


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
    r.script(h, [(sr.CLOSE, h), (sr.FREE, h)])
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
    r = sr.ReactorProbe(sp.BACKENDS["epoll"])
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


# ---- timers ----


def test_timers_in_order(r):
    timers = [r.timer() for _ in range(5)]
    r.run(*[(sr.TIMER, t, (5 - i) * MS) for i, t in enumerate(timers)])
    assert calls(r.wait_log(5), "timer") == timers[::-1]


def test_timer_set_again_and_cancelled(r):
    a, b, c = (r.timer() for _ in range(3))
    r.run(
        (sr.TIMER, a, FAR),
        (sr.TIMER, b, MS),
        (sr.TIMER, c, 3 * MS),
        (sr.TIMER, a, 2 * MS),
        (sr.CANCEL, b),
        (sr.CANCEL, b),
    )
    assert calls(r.wait_log(2), "timer") == [a, c]


def test_timer_is_never_early(r):
    t = r.timer()
    for delay in (0, 1, 1_000, 100_000, 1_500_000):
        begin = time.monotonic_ns()
        n = len(r.log())
        r.run((sr.TIMER, t, delay))
        r.wait_log(n + 1)
        assert time.monotonic_ns() - begin >= delay


def test_timer_hears_the_time_of_the_turn(r):
    t = r.timer()
    before = time.monotonic_ns()
    r.run((sr.TIMER_AT, t, before + MS))
    [(_, _, value, turn)] = r.wait_log(1)
    assert value == turn >= before + MS
    assert turn <= time.monotonic_ns()


def test_timer_in_the_past_fires_at_once(r):
    t = r.timer()
    r.run((sr.TIMER_AT, t, -5))
    r.wait_log(1)


def test_timer_sets_itself_again(r):
    t = r.timer()
    r.script(t, [(sr.TIMER, t, 10_000)])
    r.run((sr.TIMER, t, 0))
    r.wait_log(20)
    r.run((sr.CANCEL, t))
    n = len(r.log())
    barrier(r)
    assert len(r.log()) == n


def test_timer_frees_itself_and_another(r):
    other = r.timer()
    t = r.timer()
    r.script(t, [(sr.FREE, other), (sr.FREE, t)])
    r.run((sr.TIMER, other, MS), (sr.TIMER, t, 0))
    r.wait_log(1)
    barrier(r)
    assert calls(r.log(), "timer") == [t]


def test_earlier_timer_shortens_a_sleep(r):
    late, soon = r.timer(), r.timer()
    r.run((sr.TIMER, late, FAR))
    r.run((sr.TIMER, soon, MS))
    assert calls(r.wait_log(1), "timer") == [soon]
    r.run((sr.CANCEL, late))


def test_far_timer_does_not_overflow(r):
    t = r.timer()
    assert r.run((sr.TIMER_AT, t, 2**63 - 2)) == [0]
    barrier(r)
    assert r.log() == []
    r.run((sr.CANCEL, t))


def test_a_timer_that_is_always_due_starves_nothing(r, pairs):
    t = r.timer()
    r.script(t, [(sr.TIMER_AT, t, 0)])
    a, b = pairs()
    h = r.handle(a.fileno())
    r.script(h, [(sr.READ, h)])
    r.run((sr.SET, h, IN), (sr.TIMER_AT, t, 0))
    b.send(b"x")
    while not calls(r.log(), "handle"):
        r.run()
    r.run((sr.CANCEL, t))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), st.integers(0, 400_000))), min_size=1, max_size=30))
def test_timers_against_a_model(steps):
    """What was set last counts; a cancelled timer is silent; the rest fire in order, not early."""
    r = sr.ReactorProbe()
    timers = [r.timer() for _ in range(8)]
    base = time.monotonic_ns() + 5 * MS
    model = {}
    script = []
    for order, (index, delay) in enumerate(steps):
        if delay is None:
            model.pop(index, None)
            script.append((sr.CANCEL, timers[index]))
        else:
            model[index] = (base + delay, order)
            script.append((sr.TIMER_AT, timers[index], base + delay))
    t = r.task(script)
    r.post(t)
    r.start()
    log = r.wait_log(1 + len(model))
    r.stop()
    assert r.log() == log
    assert calls(log, "timer") == [timers[index] for index in sorted(model, key=model.get)]
    for (kind, index, value, _), due in zip(log[1:], sorted(model.values()), strict=True):
        assert kind == "timer"
        assert value >= due[0], index
    r.free()


# ---- tasks ----


def test_tasks_run_in_the_order_of_their_posts(r):
    nodes = [r.task([(sr.NOTE,)]) for _ in range(50)]
    for n in nodes:
        assert r.post(n)
    assert calls(r.wait_log(50), "task") == nodes


def test_queued_twice_runs_once(r, gate):
    reading, open_gate = gate
    blocker = r.task([(sr.WAIT, reading)])
    n = r.task()
    r.post(blocker)
    for _ in range(100):
        assert r.post(n)
    open_gate()
    barrier(r)
    assert r.seen(n) == (100, 100, 1)


def test_post_from_its_own_run_runs_again(r):
    n = r.task()
    r.script(n, [(sr.POST, n)])
    r.post(n)
    r.wait_log(5)
    r.run((sr.FREE, n))


def test_no_wake_up_while_awake(r, gate):
    """Posts to a reactor that is at work make no system call; the first to one that sleeps makes one."""
    reading, open_gate = gate
    blocker = r.task([(sr.WAIT, reading)])
    nodes = [r.task() for _ in range(100)]
    r.post(blocker)
    r.wait_log(1)
    before = r.counters()["signals"]
    for n in nodes:
        r.post(n)
    assert r.counters()["signals"] == before
    open_gate()
    barrier(r)
    assert all(r.seen(n)[2] == 1 for n in nodes)


def wait_asleep(r):
    """Until the reactor has nothing to do: posts of it are then wake-ups."""
    before = r.counters()
    while True:
        barrier(r)
        now = r.counters()
        if now["signals"] > before["signals"]:
            return


def test_one_wake_up_for_a_burst(r, gate):
    reading, open_gate = gate
    wait_asleep(r)
    n = r.task([(sr.WAIT, reading)])
    others = [r.task() for _ in range(20)]
    before = r.counters()
    r.post(n)
    r.wait_log(1)
    for o in others:
        r.post(o)
    open_gate()
    assert r.counters()["signals"] - before["signals"] <= 1
    barrier(r)
    assert all(r.seen(o)[2] == 1 for o in others)


def test_counters(r, pairs):
    a, b = pairs()
    h, t, k = r.handle(a.fileno()), r.timer(), r.task()
    r.script(h, [(sr.READ, h)])
    before = r.counters()
    r.run((sr.SET, h, IN), (sr.TIMER, t, 0), (sr.RETRY, k, 0))
    b.send(b"x")
    r.wait_log(2)
    barrier(r)
    while r.seen(k)[2] == 0:
        barrier(r)
    after = r.counters()
    assert after["timers"] - before["timers"] >= 1
    assert after["events"] - before["events"] >= 1
    assert after["retries"] - before["retries"] == 1
    assert after["tasks"] - before["tasks"] >= 3
    assert after["loops"] >= after["wakeups"] > before["wakeups"]
    assert after["errors"] == 0


def test_idle_makes_no_turns(idle, pairs):
    """While another reactor sleeps through 30 ms on a timer, the idle one does not move at all."""
    idle.start()
    a, _b = pairs()
    h = idle.handle(a.fileno())
    idle.run((sr.SET, h, IN))
    # The run's answer comes before its turn ends, and the wake-up of a post may still be on its way: settle first.
    clock = sr.ReactorProbe()
    clock.start()
    t = clock.timer()

    def pass_time(n):
        clock.run((sr.TIMER, t, 30 * MS))
        clock.wait_log(n)

    pass_time(1)
    before = idle.counters()
    pass_time(2)
    assert idle.counters() == before
    clock.stop()
    clock.free()


def test_every_last_post_is_seen(r):
    """8 threads, 100,000 posts each, to tasks of their own and to one they share: the last post of each is followed
    by a run that sees it."""
    own = [r.task() for _ in range(8)]
    shared = r.task()
    times = 100_000
    accepted = []

    def work(i):
        accepted.append(r.hammer(own[i], times) + r.hammer(shared, times // 8))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    barrier(r)
    assert accepted == [times + times // 8] * 8
    for n in own:
        posted, seen, runs = r.seen(n)
        assert posted == seen == times
        assert 1 <= runs <= times
    posted, seen, runs = r.seen(shared)
    assert posted == seen == times
    assert 1 <= runs <= times


def test_posts_to_a_reactor_that_keeps_falling_asleep(r):
    """Each post waits for the previous run, so most find the reactor asleep or falling asleep: none is lost."""
    n = r.task([(sr.NOTE,)])
    for i in range(2000):
        r.post(n)
        r.wait_log(i + 1)
    assert r.seen(n) == (2000, 2000, 2000)


def test_flood_of_tasks_does_not_starve_descriptors_and_timers(r, pairs):
    """Tasks that post themselves for ever, and more of them than one turn runs."""
    flood = [r.task() for _ in range(300)]
    for n in flood:
        r.script(n, [(sr.POST, n)])
    a, b = pairs()
    h, t = r.handle(a.fileno()), r.timer()
    r.script(h, [(sr.REMOVE, h)])
    r.run((sr.SET, h, IN), *[(sr.POST, n) for n in flood[:60]])
    for start in range(60, 300, 60):
        r.run(*[(sr.POST, n) for n in flood[start : start + 60]])
    b.send(b"x")
    r.run((sr.TIMER, t, 0))
    while True:
        log = r.log()
        if calls(log, "handle") and calls(log, "timer"):
            break
        r.run()
    for start in range(0, 300, 60):
        r.run(*[(sr.FREE, n) for n in flood[start : start + 60]])


def test_ready_descriptors_do_not_starve_tasks(r, pairs):
    nodes = []
    for _ in range(20):
        a, _b = pairs()
        nodes.append(r.handle(a.fileno()))
    r.run(*[(sr.SET, h, OUT) for h in nodes])
    for _ in range(20):
        r.run()
    r.run(*[(sr.REMOVE, h) for h in nodes])


def test_cancelled_task_does_not_run(r, gate):
    reading, open_gate = gate
    blocker = r.task([(sr.WAIT, reading)])
    nodes = [r.task() for _ in range(6)]
    canceller = r.task([(sr.CANCEL, nodes[i]) for i in (0, 3, 5)] + [(sr.FREE, nodes[1])])
    r.post(blocker)
    r.post(canceller)
    for n in nodes:
        r.post(n)
    open_gate()
    barrier(r)
    assert [r.seen(nodes[i])[2] for i in (0, 2, 3, 4, 5)] == [0, 1, 0, 1, 0]
    # what was cancelled can be posted again
    for i in (0, 3, 5):
        r.post(nodes[i])
    barrier(r)
    assert [r.seen(nodes[i])[2] for i in (0, 2, 3, 4, 5)] == [1] * 5


# ---- retries ----


def test_retry_runs_once_after_its_delay(r):
    k = r.task([(sr.NOTE,)])
    begin = time.monotonic_ns()
    r.run((sr.RETRY, k, 2 * MS))
    r.wait_log(1)
    assert time.monotonic_ns() - begin >= 2 * MS
    barrier(r)
    assert r.seen(k)[2] == 1


def test_retry_from_its_own_run(r):
    k = r.task()
    r.script(k, [(sr.RETRY, k, 10_000)])
    r.post(k)
    r.wait_log(10)
    r.run((sr.FREE, k))
    n = len(r.log())
    barrier(r)
    assert len(r.log()) == n


def test_a_post_replaces_the_retry(r):
    k = r.task([(sr.NOTE,)])
    t = r.timer()
    r.run((sr.RETRY, k, 2 * MS), (sr.POST, k), (sr.TIMER, t, 4 * MS))
    r.wait_log(2)
    assert r.seen(k)[2] == 1
    r.run((sr.RETRY, k, FAR), (sr.RETRY, k, 0))
    r.wait_log(3)
    barrier(r)
    assert r.seen(k)[2] == 2


def test_cancelled_retry(r):
    k = r.task()
    r.run((sr.RETRY, k, MS), (sr.CANCEL, k))
    t = r.timer()
    r.run((sr.TIMER, t, 3 * MS))
    r.wait_log(1)
    assert r.seen(k)[2] == 0


# ---- life ----


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


def thread_names():
    names = []
    for tid in thread_ids():
        try:
            with open(f"/proc/self/task/{tid}/comm") as f:
                names.append(f.read().strip())
        except OSError:
            pass  # it has ended meanwhile
    return names


def thread_ids():
    return os.listdir("/proc/self/task") if LINUX else []


def test_stop_of_one_never_started(backend):
    r = sr.ReactorProbe(backend)
    r.stop()
    r.stop()
    with Raises(errno.ESHUTDOWN):
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
    with Raises(errno.ESHUTDOWN):
        r.start()
    with pytest.raises(RuntimeError):
        r.run()
    r.stop()
    assert r.seen(n)[2] == 0


def test_stop_from_the_reactors_own_thread_is_refused(r):
    assert r.run((sr.STOP,)) == [-errno.EDEADLK]


def test_free_while_running_is_refused(r):
    with Raises(errno.EBUSY):
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
    with Raises(errno.EINVAL):
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


# ---- fork ----


# ThreadSanitizer loses track of threads that a forked child starts, and ends the child.
no_tsan = pytest.mark.skipif(SANITIZER == "tsan", reason="a forked child starts a thread")


def in_child(check):
    """Runs `check` in a forked child; its truth."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 2
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def error_of(call):
    try:
        call()
    except OSError as error:
        return error.errno
    return 0


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
