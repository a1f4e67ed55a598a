"""What old programs for tornado still call. New ones use tornado itself."""

from __future__ import annotations

from warnings import warn

from tornado.ioloop import IOLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class DelayedCallback:
    """Calls a function once, after a time. Use `IOLoop.call_later`.

    Args:
        callback: the function.
        callback_time: ms from `start` to the call.
        io_loop: the loop; None is the current one.
    """

    def __init__(self, callback: Callable[[], Any], callback_time: float, io_loop: IOLoop | None = None) -> None:
        warn("DelayedCallback is kept for old programs: use IOLoop.call_later", DeprecationWarning, stacklevel=2)
        self.callback = callback
        self.callback_time = callback_time
        self.io_loop: IOLoop = io_loop or IOLoop.current()
        self._timeout: object | None = None

    def start(self) -> None:
        """Begin to wait, anew if it does already."""
        self.stop()
        self._timeout = self.io_loop.call_later(self.callback_time / 1000, self._run)

    def stop(self) -> None:
        """Do not call after all."""
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            self.io_loop.remove_timeout(timeout)

    def is_running(self) -> bool:
        """Whether it waits."""
        return self._timeout is not None

    def _run(self) -> None:
        self._timeout = None
        self.callback()


def install() -> None:
    """Does nothing but say so: no special loop is needed."""
    warn("pyzq.eventloop.ioloop.install is not needed: any loop of tornado does", DeprecationWarning, stacklevel=2)


__all__ = ["DelayedCallback", "install"]
