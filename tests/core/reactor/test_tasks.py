"""Tasks: posts from many threads, sleep and wake-up, fairness, cancelling, retries."""

import threading
import time

from zcore import selftest_reactor as sr

from .driver import FAR, IN, MS, OUT, barrier, calls, wait_asleep


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
