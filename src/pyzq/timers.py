"""Things to do after a while or again and again, called from the thread that asks.

    timers = Timers()
    timers.add(1000, heartbeat)
    while True:
        if poller.poll(timers.timeout()):
            ...
        timers.execute()

Fits into any loop that waits: `timeout` says how long it may, `execute` does what is due.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import ceil
from time import monotonic

from pyzq.constants import Errno
from zcore.errors import make_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Timer:
    __slots__ = ("args", "due", "handler", "interval")

    def __init__(self, interval: float, handler: Callable[..., Any], args: tuple[Any, ...], due: float) -> None:
        self.interval = interval
        self.handler = handler
        self.args = args
        self.due = due


class Timers:
    """A set of repeating timers. Not for use by several threads at once.

    Args:
        clock: returns seconds that only increase.

    Source: zmq_timers(3).
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._timers: dict[int, _Timer] = {}
        # Times at which timers may be due: an entry whose time is not its timer's any more is skipped.
        self._heap: list[tuple[float, int]] = []
        self._next_id = 1

    def __len__(self) -> int:
        return len(self._timers)

    def add(self, interval: float, handler: Callable[..., Any], *args: Any) -> int:
        """Call a function every `interval`, until the timer is cancelled.

        Args:
            interval: ms, at least 0.
            handler: called as `handler(timer_id, *args)` by `execute`.

        Returns:
            the timer's id.

        Raises:
            TypeError: `handler` cannot be called.
            ValueError: `interval` is negative.
        """
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {handler!r}")
        timer_id = self._next_id
        self._next_id += 1
        self._timers[timer_id] = timer = _Timer(_checked(interval), handler, args, 0.0)
        self._schedule(timer_id, timer, self._clock())
        return timer_id

    def cancel(self, timer_id: int) -> None:
        """Forget a timer.

        Raises:
            ZMQError: EINVAL, there is no such timer.
        """
        self._find(timer_id)
        del self._timers[timer_id]
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._timers):
            self._heap = [(timer.due, number) for number, timer in self._timers.items()]
            heapify(self._heap)

    def set_interval(self, timer_id: int, interval: float) -> None:
        """Change the interval of a timer, counting from now.

        Raises:
            ZMQError: EINVAL, there is no such timer.
            ValueError: `interval` is negative.
        """
        timer = self._find(timer_id)
        timer.interval = _checked(interval)
        self._schedule(timer_id, timer, self._clock())

    def reset(self, timer_id: int) -> None:
        """Start a timer's interval again from now.

        Raises:
            ZMQError: EINVAL, there is no such timer.
        """
        self._schedule(timer_id, self._find(timer_id), self._clock())

    def timeout(self) -> int | None:
        """How long it is until a timer is due.

        Returns:
            ms, rounded up; 0 when one is due; None when there is no timer. Fit for `Poller.poll`.
        """
        while self._heap:
            due, timer_id = self._heap[0]
            timer = self._timers.get(timer_id)
            if timer is not None and timer.due == due:
                return max(0, ceil((due - self._clock()) * 1000))
            heappop(self._heap)
        return None

    def execute(self) -> int:
        """Call the handlers of all timers that are due, in the order of their times, each once.

        Handlers may add, change and cancel timers. When one raises, the exception is passed on and those behind it
        stay due.

        Returns:
            how many were called.
        """
        now = self._clock()
        called = 0
        due_now: list[tuple[float, int]] = []
        while self._heap and self._heap[0][0] <= now:
            due_now.append(heappop(self._heap))
        try:
            while due_now:
                due, timer_id = due_now.pop(0)
                timer = self._timers.get(timer_id)
                if timer is None or timer.due != due:
                    continue
                self._schedule(timer_id, timer, now)
                called += 1
                timer.handler(timer_id, *timer.args)
        finally:
            for entry in due_now:
                heappush(self._heap, entry)
        return called

    def _find(self, timer_id: int) -> _Timer:
        timer = self._timers.get(timer_id)
        if timer is None:
            raise make_error(Errno.EINVAL, f"no timer {timer_id!r}")
        return timer

    def _schedule(self, timer_id: int, timer: _Timer, now: float) -> None:
        timer.due = now + timer.interval / 1000
        heappush(self._heap, (timer.due, timer_id))


def _checked(interval: float) -> float:
    if not interval >= 0:
        raise ValueError(f"interval must be at least 0 ms, not {interval!r}")
    return interval


__all__ = ["Timers"]
