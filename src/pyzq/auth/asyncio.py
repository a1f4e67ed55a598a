"""An authenticator that answers in an event loop of asyncio."""

from __future__ import annotations

import asyncio

from pyzq import asyncio as _sockets
from pyzq.auth.base import Authenticator
from pyzq.constants import Flag, PollEvent
from zcore.errors import Again, ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyzq.context import Context


class AsyncioAuthenticator(Authenticator):
    """An authenticator for programs with an event loop. See `Authenticator`.

    Args:
        context: whose servers to answer for; None is `pyzq.asyncio.Context.instance()`.
        loop: where to answer, when `start` is called outside of it; None is the running one.
        encoding, log: as for `Authenticator`.
    """

    def __init__(
        self, context: Context[Any] | None = None, loop: Any = None, encoding: str = "utf-8", log: Any = None
    ) -> None:
        super().__init__(context or _sockets.Context.instance(), encoding, log)
        self.loop = loop
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take the address of the questions and start to answer as soon as the loop runs.

        Raises:
            ZMQError: EADDRINUSE, the context has an authenticator already.
            RuntimeError: there is no event loop.
        """
        super().start()
        try:
            loop = self.loop or asyncio.get_running_loop()
        except RuntimeError:
            try:
                loop = asyncio.get_event_loop()
            except RuntimeError:
                super().stop()
                raise
        self._task = loop.create_task(self._answer())

    def stop(self) -> None:
        """Stop answering and give the address of the questions back."""
        if self._task is not None:
            if not self._task.get_loop().is_closed():
                self._task.cancel()
            self._task = None
        super().stop()

    async def _answer(self) -> None:
        zap = self.zap_socket
        assert zap is not None
        poller = _sockets.Poller()
        poller.register(zap, PollEvent.POLLIN)
        while not zap.closed:
            try:
                await poller.poll()
                msg = zap.recv_multipart(Flag.DONTWAIT)
            except Again:
                continue
            except ZMQError as error:
                self.log.debug("No more ZAP requests: %s", error)
                break
            await self.handle_zap_message(msg)
        zap.close()


__all__ = ["AsyncioAuthenticator"]
