"""What sockets and pollers ask of an event loop that offers callbacks for descriptors, and futures made of futures."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from zcore.errors import Again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import TypeVar

    _T = TypeVar("_T")
    _U = TypeVar("_U")


class _Watches:
    """Who wants to know that a descriptor is ready, by loop and descriptor: a loop itself keeps only one callback."""

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[Any, dict[tuple[int, bool], list[Callable[[], Any]]]] = WeakKeyDictionary()

    def add(self, loop: Any, fd: int, callback: Callable[[], Any], writing: bool = False) -> None:
        watched = self._loops.setdefault(loop, {})
        callbacks = watched.get((fd, writing))
        if callbacks is not None:
            callbacks.append(callback)
            return
        callbacks = watched[fd, writing] = [callback]
        (loop.add_writer if writing else loop.add_reader)(fd, self._call, callbacks)

    def remove(self, loop: Any, fd: int, callback: Callable[[], Any], writing: bool = False) -> None:
        watched = self._loops.get(loop, {})
        callbacks = watched.get((fd, writing))
        if callbacks is None or callback not in callbacks:
            return
        callbacks.remove(callback)
        if not callbacks:
            del watched[fd, writing]
            if not loop.is_closed():
                (loop.remove_writer if writing else loop.remove_reader)(fd)

    @staticmethod
    def _call(callbacks: list[Callable[[], Any]]) -> None:
        for callback in list(callbacks):
            callback()


_watches = _Watches()


class _Loop:
    """What a socket or poller asks of its event loop; here of asyncio's."""

    def _default_loop(self) -> Any:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            # Called before the loop runs: the one that is set for this thread, if any.
            from warnings import catch_warnings, simplefilter

            with catch_warnings():
                simplefilter("ignore", DeprecationWarning)
                return asyncio.get_event_loop()

    def _new_future(self, loop: Any) -> Any:
        return loop.create_future()

    def _loop_is_closed(self, loop: Any) -> bool:
        closed: bool = loop.is_closed()
        return closed

    def _call_soon(self, loop: Any, callback: Callable[[], Any]) -> None:
        loop.call_soon(callback)

    def _call_later(self, loop: Any, seconds: float, callback: Callable[[], Any]) -> Callable[[], Any]:
        """Returns what cancels the call."""
        cancel: Callable[[], Any] = loop.call_later(seconds, callback).cancel
        return cancel

    def _watch(self, loop: Any, fd: int, callback: Callable[[], Any], writing: bool = False) -> None:
        _watches.add(loop, fd, callback, writing)

    def _unwatch(self, loop: Any, fd: int, callback: Callable[[], Any], writing: bool = False) -> None:
        _watches.remove(loop, fd, callback, writing)


def _chained(source: Future[_U], target: Future[_T], step: Callable[[_U], _T]) -> Future[_T]:
    """Make `target` the outcome of `step(result of source)`, and a cancelled target cancel the source."""

    def forward(done: Any) -> None:
        if target.done():
            return
        if done.cancelled():
            target.cancel()
        elif done.exception() is not None:
            target.set_exception(done.exception())
        else:
            try:
                target.set_result(step(done.result()))
            except Exception as error:
                target.set_exception(error)

    def backward(done: Any) -> None:
        if done.cancelled() and not source.done():
            source.cancel()

    if source.done():
        forward(source)
    else:
        source.add_done_callback(forward)
        target.add_done_callback(backward)
    return target


def _empty_when_late(source: Future[list[Any]], target: Future[list[Any]]) -> Future[list[Any]]:
    """`recv_many` returns an empty list when its time is over."""

    def forward(done: Any) -> None:
        if target.done():
            return
        if done.cancelled():
            target.cancel()
        elif isinstance(done.exception(), Again):
            target.set_result([])
        elif done.exception() is not None:
            target.set_exception(done.exception())
        else:
            target.set_result(done.result())

    if source.done():
        forward(source)
    else:
        source.add_done_callback(forward)
        target.add_done_callback(lambda done: source.cancel() if done.cancelled() and not source.done() else None)
    return target


def _warn_io_loop() -> None:
    from warnings import warn

    warn("io_loop is not needed: the loop of the call is used", DeprecationWarning, stacklevel=3)
