"""Timers in the reactor."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from zcore import selftest_reactor as sr

from .driver import FAR, IN, MS, barrier, calls


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
