"""An authenticator that answers in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from itertools import count

from pyzq.auth.base import Authenticator
from pyzq.constants import PollEvent, SocketType
from pyzq.context import Context
from pyzq.poll import Poller
from pyzq.socket import Socket
from zcore.errors import ContextTerminated, ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STOP = b"TERMINATE"
_numbers = count(1)


class AuthenticationThread(threading.Thread):
    """The thread that answers.

    Args:
        authenticator: by whose rules, and from whose `zap_socket`; it must have been started.
        pipe: a PAIR socket; TERMINATE received from it ends the thread. The thread closes it.
    """

    def __init__(self, authenticator: Authenticator, pipe: Socket[bytes]) -> None:
        super().__init__(daemon=True, name="pyzq-auth")
        self.authenticator = authenticator
        self.log: Any = authenticator.log
        self.pipe = pipe
        self.poller: Poller = Poller()

    def run(self) -> None:
        """Answer until told to end, or until the context is terminated."""
        # For rules that have to be awaited.
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        try:
            self._answer()
        except ZMQError as error:
            if not isinstance(error, ContextTerminated):
                raise
        finally:
            self.loop.close()
            self.pipe.close()
            self.authenticator._close()

    def _answer(self) -> None:
        zap = self.authenticator.zap_socket
        assert zap is not None
        self.poller.register(self.pipe, PollEvent.POLLIN)
        self.poller.register(zap, PollEvent.POLLIN)
        while True:
            ready = dict(self.poller.poll())
            if self.pipe in ready and self._handle_pipe_message(self.pipe.recv_multipart()):
                return
            if zap in ready:
                msg = zap.recv_multipart()
                try:
                    self.loop.run_until_complete(self.authenticator.handle_zap_message(msg))
                except ZMQError:
                    raise
                except Exception:
                    self.log.exception("Failed to handle ZAP message")

    def _handle_pipe_message(self, msg: list[bytes]) -> bool:
        """Whether to end."""
        return msg[0] == _STOP


class ThreadAuthenticator(Authenticator):
    """An authenticator for programs without an event loop. See `Authenticator`.

    It may be configured from other threads while it runs. It ends with `stop`, and when its context is terminated.

    Attributes:
        thread: the thread that answers; None when not running.
    """

    def __init__(self, context: Context[Any] | None = None, encoding: str = "utf-8", log: Any = None) -> None:
        super().__init__(context, encoding, log)
        self.pipe: Socket[bytes] | None = None
        self.pipe_endpoint: str = f"inproc://pyzq.auth.{id(self)}.{next(_numbers)}"
        self.thread: AuthenticationThread | None = None

    def start(self) -> None:
        """Take the address of the questions and start to answer.

        Raises:
            ZMQError: EADDRINUSE, the context has an authenticator already.
        """
        super().start()
        self.pipe = Socket(self.context, SocketType.PAIR)
        self.pipe.linger = 1
        self.pipe.bind(self.pipe_endpoint)
        far: Socket[bytes] = Socket(self.context, SocketType.PAIR)
        far.linger = 1
        far.connect(self.pipe_endpoint)
        self.thread = AuthenticationThread(self, far)
        self.thread.start()

    def stop(self) -> None:
        """Stop answering and give the address of the questions back. Returns when the thread has ended."""
        if self.thread is not None:
            if self.thread.is_alive() and self.pipe is not None:
                try:
                    self.pipe.send(_STOP)
                except ZMQError:
                    pass  # the context is terminated, which ends the thread as well
            self.thread.join()
            self.thread = None
        self._close()

    def _close(self) -> None:
        # Also what the thread does when the context is terminated, which waits for the sockets.
        super()._close()
        if self.pipe is not None:
            self.pipe.close()
            self.pipe = None

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self.thread is not None and self.thread.is_alive()

    def __del__(self) -> None:
        if getattr(self, "thread", None) is not None and not self.context.closed:
            self.stop()


__all__ = ["AuthenticationThread", "ThreadAuthenticator"]
