"""Sockets for trio: `send`, `recv` and `poll` are coroutines.

    import pyzq, pyzq.trio

    context = pyzq.trio.Context()

    async def serve():
        async with context.socket(pyzq.REP) as socket:
            socket.bind("tcp://127.0.0.1:5555")
            async for request in socket:
                await socket.send(request)

A call that is cancelled takes no message with it and sends none; RCVTIMEO and SNDTIMEO are honoured, and trio's own
timeouts are the better ones. Every call is a checkpoint for cancellation; it lets other tasks run when it has to wait,
and after 256 calls or 1 ms without waiting.
"""

from __future__ import annotations

import trio

from pyzq import context as _context
from pyzq._structured import _Scheduler, _StructuredPoller, _StructuredSocket


class _Trio(_Scheduler):
    line = staticmethod(trio.StrictFIFOLock)
    checkpoint_if_cancelled = staticmethod(trio.lowlevel.checkpoint_if_cancelled)
    checkpoint = staticmethod(trio.lowlevel.checkpoint)
    wait_readable = staticmethod(trio.lowlevel.wait_readable)
    wait_writable = staticmethod(trio.lowlevel.wait_writable)
    move_on_after = staticmethod(trio.move_on_after)
    tasks = staticmethod(trio.open_nursery)


_scheduler = _Trio()


class Socket(_StructuredSocket):
    """A socket for trio. See `pyzq.Socket`; `send`, `recv`, their variants and `poll` are coroutines."""

    _repr_cls = "pyzq.trio.Socket"
    _scheduler = _scheduler


class Poller(_StructuredPoller):
    """A poller for trio. See `pyzq.Poller`; `poll` is a coroutine."""

    def __init__(self) -> None:
        super().__init__(_scheduler)


class Context(_context.Context[Socket]):
    """A context whose sockets are for trio. See `pyzq.Context`."""

    _socket_class = Socket
    _repr_cls = "pyzq.trio.Context"
    # Not shared with pyzq.Context, whose sockets are of another kind.
    _instance = None


__all__ = ["Context", "Poller", "Socket"]
