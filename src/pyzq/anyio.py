"""Sockets for anyio, on asyncio or trio: `send`, `recv` and `poll` are coroutines.

    import pyzq, pyzq.anyio

    context = pyzq.anyio.Context()

    async def serve():
        async with context.socket(pyzq.REP) as socket:
            socket.bind("tcp://127.0.0.1:5555")
            async for request in socket:
                await socket.send(request)

A call that is cancelled takes no message with it and sends none. Every call is a checkpoint for cancellation; it lets
other tasks run when it has to wait, and after 256 calls or 1 ms without waiting. On asyncio alone `pyzq.asyncio` is
faster.
"""

from __future__ import annotations

import anyio
import anyio.lowlevel

from pyzq import context as _context
from pyzq._structured import _Scheduler, _StructuredPoller, _StructuredSocket


class _Line:
    """An anyio lock, made in the loop that first needs it."""

    def __init__(self) -> None:
        self.lock = anyio.Lock(fast_acquire=True)
        self.locked = self.lock.locked

    async def __aenter__(self) -> None:
        await self.lock.acquire()

    async def __aexit__(self, *args: object) -> None:
        self.lock.release()


class _Anyio(_Scheduler):
    line = _Line
    checkpoint_if_cancelled = staticmethod(anyio.lowlevel.checkpoint_if_cancelled)
    checkpoint = staticmethod(anyio.lowlevel.checkpoint)
    wait_readable = staticmethod(anyio.wait_readable)
    wait_writable = staticmethod(anyio.wait_writable)
    move_on_after = staticmethod(anyio.move_on_after)
    tasks = staticmethod(anyio.create_task_group)


_scheduler = _Anyio()


class Socket(_StructuredSocket):
    """A socket for anyio. See `pyzq.Socket`; `send`, `recv`, their variants and `poll` are coroutines."""

    _repr_cls = "pyzq.anyio.Socket"
    _scheduler = _scheduler


class Poller(_StructuredPoller):
    """A poller for anyio. See `pyzq.Poller`; `poll` is a coroutine."""

    def __init__(self) -> None:
        super().__init__(_scheduler)


class Context(_context.Context[Socket]):
    """A context whose sockets are for anyio. See `pyzq.Context`."""

    _socket_class = Socket
    _repr_cls = "pyzq.anyio.Context"
    # Not shared with pyzq.Context, whose sockets are of another kind.
    _instance = None


__all__ = ["Context", "Poller", "Socket"]
