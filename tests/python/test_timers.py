"""Timers under a clock of the test's own."""

import pytest

from pyzq import EINVAL, ZMQError
from pyzq.timers import Timers


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timers(clock):
    return Timers(clock)


def test_repeats(timers, clock):
    calls = []
    timer = timers.add(100, lambda *args: calls.append(args), "a", "b")
    assert timers.execute() == 0
    for turn in range(1, 4):
        clock.now += 0.1
        assert timers.timeout() == 0
        assert timers.execute() == 1
        assert calls == [(timer, "a", "b")] * turn
        assert timers.execute() == 0


def test_late_timer_is_called_once(timers, clock):
    calls = []
    timers.add(10, calls.append)
    clock.now += 5
    assert timers.execute() == 1
    assert timers.timeout() == 10


def test_timeout(timers, clock):
    assert timers.timeout() is None
    timers.add(1000, print)
    timers.add(50, print)
    assert timers.timeout() == 50
    clock.now += 0.0301
    assert timers.timeout() == 20  # rounded up: never woken before the time
    clock.now += 1
    assert timers.timeout() == 0


def test_order_is_by_time(timers, clock):
    calls = []
    timers.add(30, lambda _: calls.append("c"))
    timers.add(10, lambda _: calls.append("a"))
    timers.add(20, lambda _: calls.append("b"))
    clock.now += 1
    assert timers.execute() == 3
    assert calls == ["a", "b", "c"]


def test_cancel(timers, clock):
    calls = []
    first = timers.add(10, calls.append)
    second = timers.add(10, calls.append)
    timers.cancel(first)
    assert len(timers) == 1
    clock.now += 1
    assert timers.execute() == 1
    assert calls == [second]
    for use in (timers.cancel, timers.reset, lambda timer: timers.set_interval(timer, 5)):
        with pytest.raises(ZMQError) as caught:
            use(first)
        assert caught.value.errno == EINVAL


def test_reset_and_set_interval(timers, clock):
    calls = []
    timer = timers.add(100, calls.append)
    clock.now += 0.09
    timers.reset(timer)
    clock.now += 0.09
    assert timers.execute() == 0
    timers.set_interval(timer, 20)
    assert timers.timeout() == 20
    clock.now += 0.02
    assert timers.execute() == 1


def test_handlers_may_change_the_set(timers, clock):
    calls = []

    def first(timer):
        calls.append("first")
        timers.cancel(timer)
        timers.cancel(other)
        timers.add(0, lambda _: calls.append("new"))

    timers.add(10, first)
    other = timers.add(20, lambda _: calls.append("other"))
    clock.now += 1
    assert timers.execute() == 1
    assert calls == ["first"]
    assert timers.execute() == 1
    assert calls == ["first", "new"]
    assert len(timers) == 1


def test_interval_of_zero_is_called_once_a_turn(timers):
    calls = []
    timers.add(0, calls.append)
    assert timers.execute() == 1
    assert timers.execute() == 1
    assert len(calls) == 2


def test_an_exception_leaves_the_others_due(timers, clock):
    calls = []

    def fail(_):
        raise KeyError("x")

    timers.add(10, fail)
    timers.add(20, calls.append)
    clock.now += 1
    with pytest.raises(KeyError):
        timers.execute()
    assert timers.execute() == 1
    assert len(calls) == 1


def test_many_cancelled_timers_leave_nothing_behind(timers):
    keep = timers.add(1_000_000, print)
    for _ in range(1000):
        timers.cancel(timers.add(10, print))
    assert len(timers._heap) < 100
    assert timers.timeout() == 1_000_000
    timers.cancel(keep)
    assert timers.timeout() is None


def test_bad_arguments(timers):
    with pytest.raises(TypeError):
        timers.add(10, "handler")
    for interval in (-1, float("nan")):
        with pytest.raises(ValueError, match="interval"):
            timers.add(interval, print)
