"""Sockets whose calls are coroutines: what `pyzq.trio` and `pyzq.anyio` share.

A call is first tried at once. What cannot be done yet waits for its turn in a line of the socket, and whoever is first
there waits for the descriptor of a Poller, behind which the socket's connections stand. A message leaves the socket in
the last step of a call, with nothing awaited after it, so that a cancellation never takes one away.

Every call is a checkpoint for cancellation. To let others run it goes through the scheduler when it has to wait, after
256 calls that had not, and after 1 ms: not each time.
"""

from __future__ import annotations

from itertools import islice

import zcore.socket as _core
from pyzq import poll as _poll
from pyzq.constants import Errno, Flag, PollEvent, SocketOption
from pyzq.socket import Socket
from zcore.errors import Again, ContextTerminated, ZMQError
from zcore.promise import turn_due, turned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from typing import Any, Literal, overload

    from typing_extensions import Self, TypeVar

    from pyzq._typing import Buffer, Part
    from zcore.frame import Frame
    from zcore.tracker import MessageTracker

    _T = TypeVar("_T")
    _Base = Socket[Coroutine[Any, Any, Any]]
else:
    _Base = Socket

DONTWAIT, POLLIN, POLLOUT = Flag.DONTWAIT, PollEvent.POLLIN, PollEvent.POLLOUT
EVENTS, RCVTIMEO, SNDTIMEO = SocketOption.EVENTS, SocketOption.RCVTIMEO, SocketOption.SNDTIMEO


class _Scheduler:
    """What is asked of a library; `pyzq.trio` and `pyzq.anyio` each have one.

    Attributes:
        line: makes a lock that is handed on first come, first served.
        checkpoint_if_cancelled, checkpoint: coroutines; the second lets others run.
        wait_readable, wait_writable: coroutines, of a descriptor.
        move_on_after: a context manager that gives its block so many seconds.
        tasks: makes an asynchronous context manager whose block ends with the tasks started in it.
    """

    line: Callable[[], Any]
    checkpoint_if_cancelled: Callable[[], Any]
    checkpoint: Callable[[], Any]
    wait_readable: Callable[[int], Any]
    wait_writable: Callable[[int], Any]
    move_on_after: Callable[[float], Any]
    tasks: Callable[[], Any]


class _Side:
    """One direction of a socket: who waits, in which order, for what."""

    def __init__(self, socket: _StructuredSocket, mask: int) -> None:
        self.line = socket._scheduler.line()
        self.poller = _poll.Poller()
        self.poller.register(socket, mask)


class _StructuredSocket(_Base):
    """A socket whose `send`, `recv`, their variants and `poll` are coroutines. See `pyzq.Socket`."""

    _scheduler: _Scheduler
    _sides: dict[int, _Side]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sides = {}
        super().__init__(*args, **kwargs)

    @classmethod
    def from_socket(cls, socket: Socket[Any]) -> Self:
        """A socket with coroutines that stands for the same socket as `socket`, which stays the owner."""
        return cls(shadow=socket)

    def close(self, linger: int | None = None) -> None:
        """Close the socket. Calls that wait raise ENOTSOCK; see `Socket.close`."""
        super().close(linger)
        self._sides.clear()

    async def aclose(self) -> None:
        """The same as `close`, and a checkpoint."""
        self.close()
        await self._scheduler.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        self.close()

    # the calls

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        async def recv(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> bytes: ...
        @overload
        async def recv(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> Frame: ...
        @overload
        async def recv(self, flags: int, copy: Literal[False], track: bool = False) -> Frame: ...
        @overload
        async def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> bytes | Frame: ...

    async def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> bytes | Frame:
        """Receive one part of a message. See `Socket.recv`."""
        receive = _core.Socket.recv
        return await self._do(POLLIN, flags, lambda: receive(self, flags | DONTWAIT, copy, track))

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        async def recv_multipart(
            self, flags: int = 0, copy: Literal[True] = True, track: bool = False
        ) -> list[bytes]: ...
        @overload
        async def recv_multipart(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> list[Frame]: ...
        @overload
        async def recv_multipart(self, flags: int, copy: Literal[False], track: bool = False) -> list[Frame]: ...
        @overload
        async def recv_multipart(
            self, flags: int = 0, copy: bool = True, track: bool = False
        ) -> list[bytes] | list[Frame]: ...

    async def recv_multipart(self, flags: int = 0, copy: bool = True, track: bool = False) -> list[bytes] | list[Frame]:
        """Receive a whole message. See `Socket.recv_multipart`."""
        receive = _core.Socket.recv_multipart
        return await self._do(POLLIN, flags, lambda: receive(self, flags | DONTWAIT, copy, track))

    async def recv_into(  # type: ignore[override]
        self, buffer: Buffer, /, *, nbytes: int = 0, flags: int = 0
    ) -> int:
        """Receive one part into a buffer. See `Socket.recv_into`."""
        receive = _core.Socket.recv_into
        return await self._do(POLLIN, flags, lambda: receive(self, buffer, nbytes=nbytes, flags=flags | DONTWAIT))

    async def recv_many(  # type: ignore[override]
        self, max_n: int | None = None, timeout: float | None = None
    ) -> list[Any]:
        """Receive what is there, waiting for the first message. See `Socket.recv_many`."""
        receive = _core.Socket.recv_many

        def call() -> list[Any]:
            messages = receive(self, max_n, 0)
            if not messages and max_n != 0:
                raise Again
            return messages

        try:
            return await self._do(POLLIN, 0, call, timeout)
        except Again:
            return []

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        async def send(
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
        async def send(
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
        async def send(
            self,
            data: Part,
            flags: int = 0,
            copy: bool = True,
            track: bool = False,
            *,
            routing_id: int | None = None,
            group: str | None = None,
        ) -> MessageTracker | None: ...

    async def send(
        self, data: Part, flags: int = 0, copy: bool = True, track: bool = False, **kwargs: Any
    ) -> MessageTracker | None:
        """Send one part of a message. See `Socket.send`."""
        send = _core.Socket.send
        return await self._do(POLLOUT, flags, lambda: send(self, data, flags | DONTWAIT, copy, track, **kwargs))

    async def send_multipart(  # type: ignore[override]
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
        send = _core.Socket.send_multipart
        # An iterator is read once, however often this is tried; what is no sequence of parts is refused as ever.
        parts = msg_parts if hasattr(msg_parts, "__len__") else list(msg_parts)
        return await self._do(
            POLLOUT, flags, lambda: send(self, parts, flags | DONTWAIT, copy, track, routing_id=routing_id, group=group)
        )

    async def send_many(  # type: ignore[override]
        self, messages: Iterable[Buffer | Sequence[Buffer]], flags: int = 0
    ) -> int:
        """Send many messages. See `Socket.send_many`; cancelled, it has sent some."""
        send_many = _core.Socket.send_many
        source, sent = iter(messages), 0
        while True:
            batch = list(islice(source, 256))
            if not batch:
                return sent
            at = 0
            while at < len(batch):

                def call(rest: list[Any] = batch[at:]) -> int:
                    return send_many(self, rest, DONTWAIT)

                try:
                    count = await self._do(POLLOUT, flags, call)
                except Again:
                    if sent:
                        return sent
                    raise
                at += count
                sent += count

    async def poll(self, timeout: float | None = None, flags: int = POLLIN) -> int:  # type: ignore[override]
        """Wait for events. See `Socket.poll`."""
        poller = _StructuredPoller(self._scheduler)
        poller.register(self, flags)
        ready: dict[Any, int] = dict(await poller.poll(timeout))
        return ready.get(self, 0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return (await self._do(POLLIN, 0, self._next))[0]
        except ContextTerminated:
            raise StopAsyncIteration from None
        except ZMQError as error:
            if error.errno == Errno.ENOTSOCK:
                raise StopAsyncIteration from None
            raise

    def _next(self) -> list[Any]:
        messages = _core.Socket.recv_many(self, 1, 0)
        if not messages:
            raise Again
        return messages

    # what is made of the received

    async def send_serialized(  # type: ignore[override]
        self, msg: _T, serialize: Callable[[_T], Sequence[Part]], flags: int = 0, copy: bool = True, **kwargs: Any
    ) -> MessageTracker | None:
        """See `Socket.send_serialized`."""
        return await self.send_multipart(serialize(msg), flags, copy, **kwargs)

    if TYPE_CHECKING:
        # They return what `send` returns.
        async def send_string(  # type: ignore[override]
            self, u: str, flags: int = 0, copy: bool = True, encoding: str = "utf-8", **kwargs: Any
        ) -> MessageTracker | None: ...
        async def send_json(self, obj: Any, flags: int = 0, **kwargs: Any) -> None: ...  # type: ignore[override]
        async def send_pyobj(  # type: ignore[override]
            self, obj: Any, flags: int = 0, protocol: int | None = None, **kwargs: Any
        ) -> MessageTracker | None: ...

        send_unicode = send_string  # type: ignore[assignment]

    async def recv_serialized(  # type: ignore[override]
        self, deserialize: Callable[[list[Any]], _T], flags: int = 0, copy: bool = True
    ) -> _T:
        """See `Socket.recv_serialized`."""
        return deserialize(await self.recv_multipart(flags, copy))

    async def recv_string(self, flags: int = 0, encoding: str = "utf-8") -> str:  # type: ignore[override]
        """See `Socket.recv_string`."""
        return (await self.recv(flags)).decode(encoding)

    recv_unicode = recv_string  # type: ignore[assignment]

    async def recv_json(self, flags: int = 0, **kwargs: Any) -> Any:
        """See `Socket.recv_json`."""
        from pyzq.utils import jsonapi

        return jsonapi.loads(await self.recv(flags), **kwargs)

    async def recv_pyobj(self, flags: int = 0) -> Any:
        """See `Socket.recv_pyobj`, its warning too."""
        import pickle

        return pickle.loads(await self.recv(flags))

    # waiting

    async def _do(self, mask: int, flags: int, call: Callable[[], _T], timeout: float | None = None) -> _T:
        """Do something now, or when the socket is ready for it. What was asked first is done first."""
        scheduler = self._scheduler
        if turn_due():
            await scheduler.checkpoint()
            turned()
        else:
            await scheduler.checkpoint_if_cancelled()
        side = self._sides.get(mask)
        if flags & DONTWAIT or side is None or not side.line.locked():
            try:
                return call()
            except Again:
                if flags & DONTWAIT:
                    raise
        if timeout is None:
            timeout = self.get(RCVTIMEO if mask == POLLIN else SNDTIMEO)
        if side is None:
            side = self._sides[mask] = _Side(self, mask)
        if timeout < 0:
            return await self._in_turn(side, call)
        with scheduler.move_on_after(timeout / 1000):
            return await self._in_turn(side, call)
        raise Again

    async def _in_turn(self, side: _Side, call: Callable[[], _T]) -> _T:
        async with side.line:
            while True:
                try:
                    return call()
                except Again:
                    pass
                if not side.poller.look():
                    await self._scheduler.wait_readable(side.poller.descriptor())
                    turned()


class _StructuredPoller(_poll.Poller):
    """A poller whose `poll` is a coroutine. See `pyzq.Poller`."""

    def __init__(self, scheduler: _Scheduler) -> None:
        self._scheduler = scheduler

    async def poll(self, timeout: float | None = None) -> list[tuple[Any, int]]:  # type: ignore[override]
        """Wait until something is ready. See `Poller.poll`."""
        await self._scheduler.checkpoint_if_cancelled()
        ready = super().poll(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or timeout < 0:
            return await self._wait()
        with self._scheduler.move_on_after(timeout / 1000):
            return await self._wait()
        return []

    async def _wait(self) -> list[tuple[Any, int]]:
        while True:
            ready = self.look()
            if ready:
                return ready
            waits = [(self._scheduler.wait_readable, self.descriptor())]
            for obj, mask in self.sockets:
                if isinstance(obj, _core.Socket):
                    continue
                fd = obj if isinstance(obj, int) else obj.fileno()
                if mask & ~POLLOUT:
                    waits.append((self._scheduler.wait_readable, fd))
                if mask & POLLOUT:
                    waits.append((self._scheduler.wait_writable, fd))
            if len(waits) == 1:
                await waits[0][0](waits[0][1])
                continue
            async with self._scheduler.tasks() as tasks:
                for wait, fd in waits:
                    tasks.start_soon(_wait_and_end, tasks, wait, fd)


async def _wait_and_end(tasks: Any, wait: Any, fd: int) -> None:
    await wait(fd)
    tasks.cancel_scope.cancel()
