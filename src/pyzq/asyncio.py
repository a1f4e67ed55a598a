"""Sockets for asyncio: `send`, `recv` and `poll` are awaited.

    import pyzq, pyzq.asyncio

    context = pyzq.asyncio.Context()

    async def serve():
        async with context.socket(pyzq.REP) as socket:
            socket.bind("tcp://127.0.0.1:5555")
            async for request in socket:
                await socket.send(request)

What can be done at once is done within the call: awaiting it does not go through the loop. After 256 such calls, or
1 ms, the next one lets the loop turn. A call that is cancelled takes no message with it. A receive that would be the
only call waiting in its loop looks again for a moment (SPIN_BUDGET, 50 us; 0 never) where that has been paying.

Needs a loop that can watch descriptors (`loop.add_reader`), as every loop on Linux and macOS can, uvloop's too.
"""

from __future__ import annotations

import asyncio
from asyncio import Future as Future

from pyzq import context as _context
from pyzq import poll as _poll
from pyzq import socket as _socket
from pyzq._loop import _warn_io_loop, _watches
from zcore.aio import AsyncSocket
from zcore.promise import done, failed
from zcore.socket import Socket as _CoreSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from selectors import BaseSelector
    from typing import Any

    from typing_extensions import Self, TypeVar

    from pyzq._typing import Part
    from zcore.promise import Promise
    from zcore.tracker import MessageTracker

    _T = TypeVar("_T")


class ProactorSelectorThreadWarning(RuntimeWarning):
    """Kept for programs that filter it; it concerns loops of Windows."""


class Socket(AsyncSocket, _socket.Socket["Future[Any]"]):
    """A socket for asyncio. See `pyzq.Socket`; `send`, `recv`, their variants and `poll` return futures.

    It belongs to the loop in which a call has to wait. It may move to another one; as long as calls wait in a loop that
    is running, waiting in another one raises RuntimeError. Threads may use it at the same time through `Socket.shadow`.
    """

    _repr_cls = "zmq.asyncio.Socket"

    def __init__(
        self,
        context: _context.Context[Any] | _socket.Socket[Any] | None = None,
        socket_type: int = -1,
        io_loop: Any = None,
        *,
        shadow: _socket.Socket[Any] | int = 0,
        copy_threshold: int | None = None,
    ) -> None:
        super().__init__(context, socket_type, shadow=shadow, copy_threshold=copy_threshold)
        if io_loop is not None:
            _warn_io_loop()

    @classmethod
    def from_socket(cls, socket: _socket.Socket[Any], io_loop: Any = None) -> Self:
        """A socket with futures that stands for the same socket as `socket`, which stays the owner."""
        return cls(shadow=socket, io_loop=io_loop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        self.close()

    if TYPE_CHECKING:
        # They return what `send` and `send_multipart` return.
        def send_serialized(  # type: ignore[override]
            self,
            msg: _T,
            serialize: Callable[[_T], Sequence[Part]],
            flags: int = 0,
            copy: bool = True,
            **kwargs: Any,
        ) -> Promise[MessageTracker | None]: ...
        def send_string(  # type: ignore[override]
            self, u: str, flags: int = 0, copy: bool = True, encoding: str = "utf-8", **kwargs: Any
        ) -> Promise[MessageTracker | None]: ...
        def send_json(self, obj: Any, flags: int = 0, **kwargs: Any) -> Promise[None]: ...  # type: ignore[override]
        def send_pyobj(  # type: ignore[override]
            self, obj: Any, flags: int = 0, protocol: int | None = None, **kwargs: Any
        ) -> Promise[MessageTracker | None]: ...

        send_unicode = send_string  # type: ignore[assignment]

    def recv_serialized(  # type: ignore[override]
        self, deserialize: Callable[[list[Any]], _T], flags: int = 0, copy: bool = True
    ) -> Promise[_T]:
        """See `Socket.recv_serialized`; returns a future of the result."""
        return self._recv_multipart_as(deserialize, flags, copy)

    def recv_string(self, flags: int = 0, encoding: str = "utf-8") -> Promise[str]:  # type: ignore[override]
        """See `Socket.recv_string`; returns a future of the result."""
        return self._recv_as(lambda data: data.decode(encoding), flags)

    recv_unicode = recv_string  # type: ignore[assignment]

    def recv_json(self, flags: int = 0, **kwargs: Any) -> Promise[Any]:
        """See `Socket.recv_json`; returns a future of the result."""
        from pyzq.utils import jsonapi

        return self._recv_as(lambda data: jsonapi.loads(data, **kwargs), flags)

    def recv_pyobj(self, flags: int = 0) -> Promise[Any]:
        """See `Socket.recv_pyobj`, its warning too; returns a future of the result."""
        import pickle

        return self._recv_as(pickle.loads, flags)


class Poller(_poll.Poller):
    """A poller for asyncio. See `pyzq.Poller`; `poll` returns a future."""

    _socket_class = Socket

    def poll(  # type: ignore[override]
        self, timeout: float | None = -1
    ) -> Awaitable[list[tuple[Any, int]]]:
        """Wait until something is ready. See `Poller.poll`; returns a future of the result.

        Args:
            timeout: ms; None or negative waits for ever.
        """
        try:
            ready = super().poll(0)
        except Exception as error:
            return failed(error)
        if ready or timeout == 0:
            return done(ready)
        return _Polling(self, timeout).future

    def _watched(self) -> list[tuple[int, bool]]:
        """Descriptors to wait for, and whether for writing."""
        found = []
        if any(isinstance(obj, _CoreSocket) for obj, _ in self.sockets):
            found.append((self.descriptor(), False))
        for obj, mask in self.sockets:
            if isinstance(obj, _CoreSocket):
                continue
            fd = obj if isinstance(obj, int) else obj.fileno()
            if mask & ~_poll.POLLOUT:
                found.append((fd, False))
            if mask & _poll.POLLOUT:
                found.append((fd, True))
        return found


class _Polling:
    """One `poll` of a `Poller` that waits."""

    def __init__(self, poller: Poller, timeout: float | None) -> None:
        self.poller = poller
        self.loop = asyncio.get_running_loop()
        self.future: Future[list[tuple[Any, int]]] = self.loop.create_future()
        self.timer: Any = None
        self.watched: list[tuple[int, bool]] = []
        try:
            for fd, writing in poller._watched():
                _watches.add(self.loop, fd, self.look, writing)
                self.watched.append((fd, writing))
            self.look()
        except Exception as error:
            if not self.future.done():
                self.future.set_exception(error)
        if self.future.done():
            self.end(self.future)
            return
        self.future.add_done_callback(self.end)
        if timeout is not None and timeout >= 0:
            self.timer = self.loop.call_later(timeout / 1000, self.expire)

    def look(self) -> None:
        if self.future.done():
            return
        try:
            ready = self.poller.look()
        except Exception as error:
            self.future.set_exception(error)
        else:
            if ready:
                self.future.set_result(ready)

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_result([])

    def end(self, _: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
        for fd, writing in self.watched:
            _watches.remove(self.loop, fd, self.look, writing)
        self.watched = []


class Context(_context.Context[Socket]):
    """A context whose sockets are for asyncio. See `pyzq.Context`."""

    _socket_class = Socket
    _repr_cls = "zmq.asyncio.Context"
    # Not shared with pyzq.Context, whose sockets are of another kind.
    _instance = None

    def __init__(
        self,
        io_threads: int | _context.Context[Any] = 1,
        shadow: _context.Context[Any] | int = 0,
        *,
        io_loop: Any = None,
    ) -> None:
        if io_loop is not None:
            _warn_io_loop()
        super().__init__(io_threads, shadow)


class ZMQEventLoop(asyncio.SelectorEventLoop):
    """A loop like any other: no special one is needed."""

    def __init__(self, selector: BaseSelector | None = None) -> None:
        from warnings import warn

        warn("ZMQEventLoop is not needed: any loop with add_reader does", DeprecationWarning, stacklevel=2)
        super().__init__(selector)


def install() -> None:
    """Does nothing but say so: no special loop is needed."""
    from warnings import warn

    warn("pyzq.asyncio.install is not needed: any loop with add_reader does", DeprecationWarning, stacklevel=2)


__all__ = ["Context", "Poller", "ProactorSelectorThreadWarning", "Socket", "ZMQEventLoop", "install"]
