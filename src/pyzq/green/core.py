"""Contexts and sockets for gevent.

A call is tried without waiting. When it would have to wait, the greenlet sleeps until the descriptor of a Poller,
behind which the socket's connections stand, says that something changed; whoever waited first is woken first.
"""

from __future__ import annotations

from collections import deque

import gevent
from gevent.hub import Waiter, get_hub

from pyzq.constants import Flag, PollEvent, SocketOption
from pyzq.context import Context
from pyzq.poll import Poller
from pyzq.socket import Socket
from zcore.errors import Again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Literal, overload

    from typing_extensions import TypeVar

    from pyzq._typing import Buffer, Part
    from zcore.frame import Frame
    from zcore.tracker import MessageTracker

    _T = TypeVar("_T")

_READ = 1
_TIMEOUTS = frozenset((SocketOption.RCVTIMEO, SocketOption.SNDTIMEO))


class _Side:
    """The greenlets of one thread that wait for one direction of a socket."""

    def __init__(self, hub: Any, socket: _Socket, mask: int) -> None:
        self.hub = hub
        self.poller = Poller()
        self.poller.register(socket, mask)
        self.watcher = hub.loop.io(self.poller.descriptor(), _READ)
        self.waiters: deque[Any] = deque()

    def wait(self) -> None:
        """Sleep until the socket may be ready, or is of no use any more."""
        waiter: Any = Waiter(self.hub)
        if not self.waiters:
            self.watcher.start(self.look)
        self.waiters.append(waiter)
        try:
            if not self.poller.look():
                waiter.get()
        finally:
            self.waiters.remove(waiter)
            if not self.waiters:
                self.watcher.stop()

    def look(self) -> None:
        """The hub calls: wake as many as there is something for."""
        for waiter in list(self.waiters):
            try:
                if not self.poller.look():
                    return
            except Exception:
                pass  # closed or terminated, which their next try will tell them
            if waiter in self.waiters:
                waiter.switch(None)

    def end(self) -> None:
        if not self.waiters:
            self.watcher.close()


class _Socket(Socket):
    """A socket for gevent. See `pyzq.Socket`."""

    _repr_cls = "zmq.green.Socket"
    # By hub and direction.
    _sides: dict[tuple[Any, int], _Side]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sides = {}
        super().__init__(*args, **kwargs)

    def close(self, linger: int | None = None) -> None:
        """Close the socket. Greenlets that wait in it get ENOTSOCK; see `Socket.close`."""
        super().close(linger)
        sides, self._sides = self._sides, {}
        for side in sides.values():
            side.end()

    if TYPE_CHECKING:

        @overload
        def send(
            self,
            data: Part,
            flags: int = 0,
            copy: Literal[True] = True,
            track: Literal[False] = False,
            *,
            routing_id: int | None = None,
            group: str | None = None,
        ) -> None: ...
        @overload
        def send(
            self,
            data: Part,
            flags: int = 0,
            *,
            copy: Literal[False],
            track: Literal[True],
            routing_id: int | None = None,
            group: str | None = None,
        ) -> MessageTracker: ...
        @overload
        def send(
            self,
            data: Part,
            flags: int = 0,
            copy: bool = True,
            track: bool = False,
            *,
            routing_id: int | None = None,
            group: str | None = None,
        ) -> MessageTracker | None: ...

    def send(
        self, data: Part, flags: int = 0, copy: bool = True, track: bool = False, **kwargs: Any
    ) -> MessageTracker | None:
        """Send one part of a message. See `Socket.send`."""
        send = super().send
        return self._do(PollEvent.POLLOUT, flags, lambda f: send(data, f, copy, track, **kwargs))

    def send_multipart(
        self,
        msg_parts: Iterable[Part],
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> MessageTracker | None:
        """Send a whole message. See `Socket.send_multipart`."""
        send = super().send_multipart
        # An iterator is read once, however often this is tried; what is no sequence of parts is refused as ever.
        parts = msg_parts if hasattr(msg_parts, "__len__") else list(msg_parts)
        return self._do(
            PollEvent.POLLOUT, flags, lambda f: send(parts, f, copy, track, routing_id=routing_id, group=group)
        )

    def send_many(self, iterable: Iterable[Buffer | Sequence[Buffer]], flags: int = 0) -> int:
        """Send many messages. See `Socket.send_many`."""
        send, send_multipart = self.send, self.send_multipart
        sent = 0
        for message in iterable:
            try:
                if isinstance(message, (list, tuple)):
                    send_multipart(message, flags)
                else:
                    send(message, flags)  # type: ignore[arg-type]
            except Again:
                if not sent:
                    raise
                break
            sent += 1
        return sent

    if TYPE_CHECKING:

        @overload
        def recv(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> bytes: ...
        @overload
        def recv(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> Frame: ...
        @overload
        def recv(self, flags: int, copy: Literal[False], track: bool = False) -> Frame: ...
        @overload
        def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> bytes | Frame: ...

    def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> bytes | Frame:
        """Receive one part of a message. See `Socket.recv`."""
        receive = super().recv
        return self._do(PollEvent.POLLIN, flags, lambda f: receive(f, copy, track))

    def recv_into(self, buffer: Buffer, /, *, nbytes: int = 0, flags: int = 0) -> int:
        """Receive one part into a buffer. See `Socket.recv_into`."""
        receive = super().recv_into
        return self._do(PollEvent.POLLIN, flags, lambda f: receive(buffer, nbytes=nbytes, flags=f))

    if TYPE_CHECKING:

        @overload
        def recv_multipart(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> list[bytes]: ...
        @overload
        def recv_multipart(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> list[Frame]: ...
        @overload
        def recv_multipart(self, flags: int, copy: Literal[False], track: bool = False) -> list[Frame]: ...
        @overload
        def recv_multipart(
            self, flags: int = 0, copy: bool = True, track: bool = False
        ) -> list[bytes] | list[Frame]: ...

    def recv_multipart(self, flags: int = 0, copy: bool = True, track: bool = False) -> list[bytes] | list[Frame]:
        """Receive a whole message. See `Socket.recv_multipart`."""
        receive = super().recv_multipart
        return self._do(PollEvent.POLLIN, flags, lambda f: receive(f, copy, track))

    def recv_many(self, max_n: int | None = None, timeout: float | None = None) -> list[Any]:
        """Receive what is there, waiting for the first message. See `Socket.recv_many`."""
        receive = super().recv_many

        def call(_: int) -> list[Any]:
            messages = receive(max_n, 0)
            if not messages:
                raise Again
            return messages

        with gevent.Timeout(None if timeout is None or timeout < 0 else timeout / 1000, False):  # type: ignore[arg-type,unused-ignore]
            return self._do(PollEvent.POLLIN, 0, call)
        return []

    def poll(self, timeout: float | None = None, flags: int = PollEvent.POLLIN) -> int:
        """Wait for events. See `Socket.poll`."""
        from pyzq.green.poll import _Poller

        poller = _Poller()
        poller.register(self, flags)
        ready: dict[Any, int] = dict(poller.poll(timeout))
        return ready.get(self, 0)

    def set(self, option: int, value: Any) -> None:
        """Set an option. See `Socket.set`; RCVTIMEO and SNDTIMEO have no effect on these sockets."""
        if option in _TIMEOUTS:
            _warn_timeout()
        super().set(option, value)

    def get(self, option: int) -> Any:
        """An option. See `Socket.get`; RCVTIMEO and SNDTIMEO have no effect on these sockets."""
        if option in _TIMEOUTS:
            _warn_timeout()
        return super().get(option)

    setsockopt = set
    getsockopt = get

    def _do(self, mask: int, flags: int, call: Callable[[int], _T]) -> _T:
        side = None
        while True:
            try:
                return call(flags | Flag.DONTWAIT)
            except Again:
                if flags & Flag.DONTWAIT:
                    raise
            if side is None:
                hub = get_hub()
                side = self._sides.get((hub, mask))
                if side is None:
                    side = self._sides[hub, mask] = _Side(hub, self, mask)
            side.wait()


class _Context(Context[_Socket]):
    """A context whose sockets are for gevent. See `pyzq.Context`."""

    _socket_class = _Socket
    _repr_cls = "zmq.green.Context"
    # Not shared with pyzq.Context, whose sockets are of another kind.
    _instance = None


def _warn_timeout() -> None:
    from warnings import warn

    warn(
        "RCVTIMEO and SNDTIMEO have no effect on sockets of pyzq.green: use gevent.Timeout",
        UserWarning,
        stacklevel=4,
    )


__all__ = ["_Context", "_Socket"]
