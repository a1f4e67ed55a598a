"""An authenticator for tornado, whose event loop is asyncio's."""

from __future__ import annotations

from pyzq.auth.asyncio import AsyncioAuthenticator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyzq.context import Context


class IOLoopAuthenticator(AsyncioAuthenticator):
    """`AsyncioAuthenticator` for programs that have a loop of tornado in hand. New programs use that one.

    Args:
        context, encoding, log: as for `Authenticator`.
        io_loop: where to answer; None is the current loop.
    """

    def __init__(
        self, context: Context[Any] | None = None, encoding: str = "utf-8", log: Any = None, io_loop: Any = None
    ) -> None:
        from warnings import warn

        warn("IOLoopAuthenticator is kept for old programs: use AsyncioAuthenticator", DeprecationWarning, stacklevel=2)
        super().__init__(context, getattr(io_loop, "asyncio_loop", io_loop), encoding, log)


__all__ = ["IOLoopAuthenticator"]
