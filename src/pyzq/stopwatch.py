"""A stopwatch, as the C API has one."""

from __future__ import annotations

from time import perf_counter_ns


class Stopwatch:
    """Measures one stretch of time."""

    def __init__(self) -> None:
        self._started: int | None = None

    def start(self) -> None:
        """Begin, or begin again."""
        self._started = perf_counter_ns()

    def stop(self) -> int:
        """Microseconds since `start`; 0 when it was not called."""
        return 0 if self._started is None else (perf_counter_ns() - self._started) // 1000


__all__ = ["Stopwatch"]
