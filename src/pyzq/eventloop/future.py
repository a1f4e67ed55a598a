"""Sockets for tornado whose `send`, `recv` and `poll` return futures.

They also know a loop of tornado that does not run yet, and are closed by `IOLoop.close(all_fds=True)`. Programs that
need neither use `pyzq.asyncio`: tornado's loop is asyncio's.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future

from tornado.ioloop import IOLoop

from pyzq import asyncio as _sockets
from pyzq._future import _AsyncPoller, _AsyncSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, overload

    from pyzq.socket import Socket as _AnySocket

    _OtherT = TypeVar("_OtherT", bound=_AnySocket[Any])


def _ignore(fd: object, events: int) -> None:
    """Never called: nothing is watched with it."""


class _OfTornado:
    """Finds the loop by asking tornado."""

    def _default_loop(self) -> Any:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return IOLoop.current().asyncio_loop  # type: ignore[attr-defined]


class Socket(_OfTornado, _AsyncSocket):
    """A socket for tornado. See `pyzq.asyncio.Socket`."""

    _repr_cls = "zmq.eventloop.future.Socket"
    _known_to: Any = None

    def _attach(self, loop: Any) -> None:
        # So that `IOLoop.close(all_fds=True)` closes the socket.
        super()._attach(loop)
        self._detach()
        current = IOLoop.current(instance=False)
        if current is not None and getattr(current, "asyncio_loop", None) is loop:
            current.add_handler(self, _ignore, 0)
            self._known_to = current

    def _detach(self) -> None:
        known, self._known_to = self._known_to, None
        if known is not None:
            known.remove_handler(self)

    def close(self, linger: int | None = None) -> None:
        """Close the socket. Calls that still wait are cancelled; see `pyzq.Socket.close`."""
        if not self.closed:
            self._detach()
        super().close(linger)


class Poller(_OfTornado, _AsyncPoller):
    """A poller for tornado. See `pyzq.asyncio.Poller`."""

    _socket_class = Socket


class Context(_sockets.Context):
    """A context whose sockets are for tornado. See `pyzq.Context`."""

    _socket_class = Socket  # type: ignore[assignment]
    _repr_cls = "zmq.eventloop.future.Context"
    _instance = None

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def socket(self, socket_type: int, socket_class: None = None, **kwargs: Any) -> Socket: ...
        @overload
        def socket(self, socket_type: int, socket_class: type[_OtherT], **kwargs: Any) -> _OtherT: ...
        @overload
        def socket(self, socket_type: int, socket_class: Callable[..., _OtherT], **kwargs: Any) -> _OtherT: ...
        def socket(self, socket_type: int, socket_class: Any = None, **kwargs: Any) -> Any: ...


__all__ = ["CancelledError", "Context", "Future", "Poller", "Socket"]
