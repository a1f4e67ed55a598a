"""Sockets for asyncio: `send`, `recv` and `poll` are awaited.

    import pyzq, pyzq.asyncio

    context = pyzq.asyncio.Context()

    async def serve():
        with context.socket(pyzq.REP) as socket:
            socket.bind("tcp://127.0.0.1:5555")
            while True:
                await socket.send(await socket.recv())

Needs a loop that can watch descriptors (`loop.add_reader`), as every loop on Linux and macOS can.
"""

from __future__ import annotations

import asyncio
from asyncio import Future as Future

from pyzq import context as _context
from pyzq._future import _AsyncPoller, _AsyncSocket, _warn_io_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ProactorSelectorThreadWarning(RuntimeWarning):
    """Kept for programs that filter it; it concerns loops of Windows."""


class Socket(_AsyncSocket):
    """A socket for asyncio. See `pyzq.Socket`; `send`, `recv`, their variants and `poll` return futures."""

    _repr_cls = "zmq.asyncio.Socket"


class Poller(_AsyncPoller):
    """A poller for asyncio. See `pyzq.Poller`; `poll` returns a future."""

    _socket_class = Socket


class Context(_context.Context[Socket]):
    """A context whose sockets are for asyncio. See `pyzq.Context`."""

    _socket_class = Socket
    _repr_cls = "zmq.asyncio.Context"
    # Not shared with pyzq.Context, whose sockets are of another kind.
    _instance = None

    def __init__(self, io_threads: Any = 1, shadow: Any = 0, *, io_loop: Any = None) -> None:
        if io_loop is not None:
            _warn_io_loop()
        super().__init__(io_threads, shadow)


class ZMQEventLoop(asyncio.SelectorEventLoop):
    """A loop like any other: no special one is needed."""

    def __init__(self, selector: Any = None) -> None:
        from warnings import warn

        warn("ZMQEventLoop is not needed: any loop with add_reader does", DeprecationWarning, stacklevel=2)
        super().__init__(selector)


def install() -> None:
    """Does nothing but say so: no special loop is needed."""
    from warnings import warn

    warn("pyzq.asyncio.install is not needed: any loop with add_reader does", DeprecationWarning, stacklevel=2)


__all__ = ["Context", "Poller", "ProactorSelectorThreadWarning", "Socket", "ZMQEventLoop", "install"]
