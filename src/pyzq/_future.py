"""Sockets and pollers whose calls return futures: what `pyzq.asyncio` and other event loops share.

A call is first tried at once. What cannot be done yet waits in a queue of the socket, and the loop watches the socket's
descriptor FD as long as anything waits. A message leaves the socket only when the future that receives it is still
wanted, so cancelling a receive loses nothing.

An event loop of another kind overrides the methods of `_Loop`.
"""

from __future__ import annotations

from collections import deque
from weakref import ref

import zcore.socket as _core
from pyzq._loop import _chained, _empty_when_late, _Loop, _warn_io_loop
from pyzq.constants import Flag, PollEvent, SocketOption
from pyzq.poll import Poller
from pyzq.socket import Socket, _Endpoint
from zcore.errors import Again, ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Literal, overload

    from typing_extensions import Self, TypeVar

    from pyzq._typing import Buffer, Part
    from pyzq.context import Context
    from zcore.frame import Frame
    from zcore.tracker import MessageTracker

    _T = TypeVar("_T")
    _U = TypeVar("_U")
    _Base = Socket[Future[Any]]
else:
    _Base = Socket

DONTWAIT, POLLIN, POLLOUT = Flag.DONTWAIT, PollEvent.POLLIN, PollEvent.POLLOUT
EVENTS, RCVTIMEO, SNDTIMEO = SocketOption.EVENTS, SocketOption.RCVTIMEO, SocketOption.SNDTIMEO


class _Waiter:
    """A call that waits: for what (`mask`), how to do it (`call`; None only polls) and who wants the result."""

    __slots__ = ("call", "cancel_timer", "future", "mask", "queued")

    def __init__(self, future: Any, mask: int, call: Callable[[], Any] | None) -> None:
        self.future = future
        self.mask = mask
        self.call = call
        self.cancel_timer: Callable[[], Any] | None = None
        self.queued = True


class _AsyncSocket(_Loop, _Base):
    """A socket whose `send`, `recv` and `poll` return futures; see `Socket` for everything else.

    It belongs to the loop of the call that first waits. When it is used in another loop later, calls that still wait
    in the first are cancelled.
    """

    _current_loop: Any = None
    _watched_fd: int = -1
    _on_ready: Any = None
    _recv_futures: deque[_Waiter]
    _send_futures: deque[_Waiter]

    def __init__(
        self,
        context: Context[Any] | Socket[Any] | None = None,
        socket_type: int = -1,
        io_loop: Any = None,
        *,
        shadow: Socket[Any] | int = 0,
        copy_threshold: int | None = None,
    ) -> None:
        self._recv_futures = deque()
        self._send_futures = deque()
        super().__init__(context, socket_type, shadow=shadow, copy_threshold=copy_threshold)
        if io_loop is not None:
            _warn_io_loop()

    @classmethod
    def from_socket(cls, socket: Socket[Any], io_loop: Any = None) -> Self:
        """A socket with futures that stands for the same socket as `socket`, which stays the owner."""
        return cls(shadow=socket, io_loop=io_loop)

    def close(self, linger: int | None = None) -> None:
        """Close the socket. Calls that still wait are cancelled; see `Socket.close`."""
        if self.closed:
            return
        self._forget_loop()
        super().close(linger)

    def bind(self, addr: str | bytes) -> _Endpoint[Self]:
        """Listen on an address. See `Socket.bind`."""
        return self._changed(super().bind(addr))

    def connect(self, addr: str | bytes) -> _Endpoint[Self]:
        """Connect to an address. See `Socket.connect`."""
        return self._changed(super().connect(addr))

    def _changed(self, result: _T) -> _T:
        # A peer that is there at once is no news from outside, for which alone the descriptor is.
        if self._recv_futures or self._send_futures:
            self._look_again(self._current_loop)
        return result

    # the calls

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def recv(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> Future[bytes]: ...
        @overload
        def recv(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> Future[Frame]: ...
        @overload
        def recv(self, flags: int, copy: Literal[False], track: bool = False) -> Future[Frame]: ...
        @overload
        def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> Future[bytes | Frame]: ...

    def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> Future[Any]:
        """Receive one part of a message. See `Socket.recv`; returns a future of the result."""
        receive = _core.Socket.recv
        return self._do(POLLIN, flags, lambda: receive(self, flags | DONTWAIT, copy, track))

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def recv_multipart(
            self, flags: int = 0, copy: Literal[True] = True, track: bool = False
        ) -> Future[list[bytes]]: ...
        @overload
        def recv_multipart(
            self, flags: int = 0, *, copy: Literal[False], track: bool = False
        ) -> Future[list[Frame]]: ...
        @overload
        def recv_multipart(self, flags: int, copy: Literal[False], track: bool = False) -> Future[list[Frame]]: ...
        @overload
        def recv_multipart(
            self, flags: int = 0, copy: bool = True, track: bool = False
        ) -> Future[list[bytes] | list[Frame]]: ...

    def recv_multipart(self, flags: int = 0, copy: bool = True, track: bool = False) -> Future[Any]:
        """Receive a whole message. See `Socket.recv_multipart`; returns a future of the result."""
        receive = _core.Socket.recv_multipart
        return self._do(POLLIN, flags, lambda: receive(self, flags | DONTWAIT, copy, track))

    def recv_into(  # type: ignore[override]
        self, buffer: Buffer, /, *, nbytes: int = 0, flags: int = 0
    ) -> Future[int]:
        """Receive one part into a buffer. See `Socket.recv_into`; returns a future of the result."""
        receive = _core.Socket.recv_into
        return self._do(POLLIN, flags, lambda: receive(self, buffer, nbytes=nbytes, flags=flags | DONTWAIT))

    def recv_many(  # type: ignore[override]
        self, max_n: int | None = None, timeout: float | None = None
    ) -> Future[list[Any]]:
        """Receive what is there, waiting for the first message. See `Socket.recv_many`; returns a future."""
        receive = _core.Socket.recv_many

        def call() -> list[Any]:
            messages = receive(self, max_n, 0)
            if not messages:
                raise Again
            return messages

        future = self._do(POLLIN, 0, call, -1 if timeout is None else timeout)
        loop = self._current_loop
        return _empty_when_late(future, self._new_future(loop))

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def send(
            self,
            data: Part,
            flags: int = 0,
            copy: Literal[True] = True,
            track: Literal[False] = False,
            routing_id: int | None = None,
            group: str | None = None,
        ) -> Future[None]: ...
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
        ) -> Future[MessageTracker]: ...
        @overload
        def send(
            self,
            data: Part,
            flags: int = 0,
            copy: bool = True,
            track: bool = False,
            routing_id: int | None = None,
            group: str | None = None,
        ) -> Future[MessageTracker | None]: ...

    def send(
        self,
        data: Part,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Future[Any]:
        """Send one part of a message. See `Socket.send`; returns a future of the result."""
        send = _core.Socket.send
        return self._do(
            POLLOUT,
            flags,
            lambda: send(self, data, flags | DONTWAIT, copy, track, routing_id=routing_id, group=group),
        )

    def send_multipart(  # type: ignore[override]
        self,
        msg_parts: Iterable[Part],
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Future[MessageTracker | None]:
        """Send a whole message. See `Socket.send_multipart`; returns a future of the result."""
        send = _core.Socket.send_multipart
        # An iterator is read once, however often this is tried; what is no sequence of parts is refused as ever.
        parts = msg_parts if hasattr(msg_parts, "__len__") else list(msg_parts)
        return self._do(
            POLLOUT,
            flags,
            lambda: send(self, parts, flags | DONTWAIT, copy, track, routing_id=routing_id, group=group),
        )

    def poll(  # type: ignore[override]
        self, timeout: float | None = None, flags: int = POLLIN
    ) -> Future[int]:
        """Wait for events. See `Socket.poll`; returns a future of the result, cancelled when the socket is closed."""
        loop = self._get_loop()
        future: Future[int] = self._new_future(loop)
        try:
            ready = self.get(EVENTS) & flags
        except ZMQError as error:
            future.set_exception(error)
            return future
        if ready or timeout == 0:
            future.set_result(ready)
            return future
        self._wait(loop, _Waiter(future, flags, None), -1 if timeout is None else timeout, 0)
        return future

    # what is made of the received

    if TYPE_CHECKING:
        # They return what `send` and `send_multipart` return.
        def send_serialized(  # type: ignore[override]
            self,
            msg: _T,
            serialize: Callable[[_T], Sequence[Part]],
            flags: int = 0,
            copy: bool = True,
            **kwargs: Any,
        ) -> Future[MessageTracker | None]: ...
        def send_string(  # type: ignore[override]
            self, u: str, flags: int = 0, copy: bool = True, encoding: str = "utf-8", **kwargs: Any
        ) -> Future[MessageTracker | None]: ...
        def send_json(self, obj: Any, flags: int = 0, **kwargs: Any) -> Future[None]: ...  # type: ignore[override]
        def send_pyobj(  # type: ignore[override]
            self, obj: Any, flags: int = 0, protocol: int | None = None, **kwargs: Any
        ) -> Future[MessageTracker | None]: ...

        send_unicode = send_string  # type: ignore[assignment]

    def recv_serialized(  # type: ignore[override]
        self, deserialize: Callable[[list[Any]], _T], flags: int = 0, copy: bool = True
    ) -> Future[_T]:
        """See `Socket.recv_serialized`; returns a future of the result."""
        return self._deserialize(self.recv_multipart(flags, copy), deserialize)

    def recv_string(self, flags: int = 0, encoding: str = "utf-8") -> Future[str]:  # type: ignore[override]
        """See `Socket.recv_string`; returns a future of the result."""
        return self._deserialize(self.recv(flags), lambda data: data.decode(encoding))

    recv_unicode = recv_string  # type: ignore[assignment]

    def recv_json(self, flags: int = 0, **kwargs: Any) -> Future[Any]:
        """See `Socket.recv_json`; returns a future of the result."""
        from pyzq.utils import jsonapi

        return self._deserialize(self.recv(flags), lambda data: jsonapi.loads(data, **kwargs))

    def recv_pyobj(self, flags: int = 0) -> Future[Any]:
        """See `Socket.recv_pyobj`, its warning too; returns a future of the result."""
        import pickle

        return self._deserialize(self.recv(flags), pickle.loads)

    def _deserialize(self, recvd: Future[_U], load: Callable[[_U], _T]) -> Future[_T]:
        return _chained(recvd, self._new_future(self._current_loop), load)

    # waiting

    def _do(self, mask: int, flags: int, call: Callable[[], _T], timeout: float | None = None) -> Future[_T]:
        """Do something now, or when the socket is ready for it. What was asked first is done first."""
        loop = self._get_loop()
        future: Future[_T] = self._new_future(loop)
        queue = self._recv_futures if mask == POLLIN else self._send_futures
        if not queue or flags & DONTWAIT:
            try:
                result = call()
            except Again as error:
                if flags & DONTWAIT:
                    future.set_exception(error)
                    return future
            except Exception as error:
                future.set_exception(error)
                return future
            else:
                future.set_result(result)
                if self._recv_futures or self._send_futures:
                    self._look_again(loop)
                return future
        try:
            if timeout is None:
                timeout = self.get(RCVTIMEO if mask == POLLIN else SNDTIMEO)
            self._wait(loop, _Waiter(future, mask, call), timeout, None)
        except ZMQError as error:
            if not future.done():
                future.set_exception(error)
        return future

    def _wait(self, loop: Any, waiter: _Waiter, timeout: float, late: int | None) -> None:
        """Queue a waiter. After `timeout` ms it gets the result `late`, or Again when that is None."""
        future = waiter.future
        if waiter.mask & POLLIN:
            self._recv_futures.append(waiter)
        if waiter.mask & ~POLLIN:
            self._send_futures.append(waiter)
        if timeout >= 0:

            def expire() -> None:
                if future.done():
                    return
                if late is None:
                    future.set_exception(Again())
                else:
                    future.set_result(late)

            waiter.cancel_timer = self._call_later(loop, timeout / 1000, expire)
        future.add_done_callback(lambda done: self._drop(waiter))
        self._start_watching(loop)
        self._look_again(loop)

    def _drop(self, waiter: _Waiter) -> None:
        if waiter.cancel_timer is not None:
            waiter.cancel_timer()
        if waiter.queued or waiter.call is None:  # a poll can be in both queues
            for queue in (self._recv_futures, self._send_futures):
                if waiter in queue:
                    queue.remove(waiter)

    def _look_again(self, loop: Any) -> None:
        """Serve the queues soon if they can be: the call just made may have taken the descriptor's signal away."""
        try:
            events = self.get(EVENTS)
        except ZMQError:
            return
        if (events & POLLIN and self._recv_futures) or (events & POLLOUT and self._send_futures):
            self._call_soon(loop, self._on_ready)

    def _serve(self) -> None:
        """The descriptor is readable, or something else may have changed."""
        if self.closed:
            return
        if not self._recv_futures and not self._send_futures:
            # Watching goes on for a while after the last waiter, in case the next one comes at once; not for longer.
            self._stop_watching()
            return
        self._serve_queue(self._recv_futures, POLLIN)
        self._serve_queue(self._send_futures, POLLOUT)
        if self._recv_futures or self._send_futures:
            self._look_again(self._current_loop)

    def _serve_queue(self, queue: deque[_Waiter], ready: int) -> None:
        for _ in range(len(queue)):
            if self.closed:
                return
            try:
                events = self.get(EVENTS)
            except ZMQError as error:
                self._fail_all(error)
                return
            if not queue or not events & ready:
                return
            waiter = queue.popleft()
            waiter.queued = False
            future = waiter.future
            if future.done():
                continue
            if waiter.call is None:
                future.set_result(events & waiter.mask)
                continue
            try:
                result = waiter.call()
            except Again:
                waiter.queued = True
                queue.appendleft(waiter)
                return
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _fail_all(self, error: ZMQError) -> None:
        for queue in (self._recv_futures, self._send_futures):
            while queue:
                future = queue.popleft().future
                if not future.done():
                    future.set_exception(error)

    # the loop

    def _get_loop(self) -> Any:
        """The loop of this call. The socket moves to it when it was used in another one."""
        loop = self._default_loop()
        if loop is not self._current_loop:
            if self._current_loop is not None:
                self._forget_loop()
            self._current_loop = loop
            self._attach(loop)
        return loop

    def _attach(self, loop: Any) -> None:
        """The socket came to a loop. For loops that want to know; asyncio does not."""

    def _forget_loop(self) -> None:
        loop, self._current_loop = self._current_loop, None
        if loop is None:
            return
        closed = self._loop_is_closed(loop)
        for queue in (self._recv_futures, self._send_futures):
            while queue:
                waiter = queue.popleft()
                if not closed and not waiter.future.done():
                    waiter.future.cancel()
        self._stop_watching(loop)

    def _start_watching(self, loop: Any) -> None:
        if self._watched_fd >= 0:
            return
        fd = self.descriptor()
        # The loop must not keep the socket alive.
        this = ref(self)

        def on_ready() -> None:
            socket = this()
            if socket is not None:
                socket._serve()

        self._on_ready = on_ready
        self._watch(loop, fd, on_ready)
        self._watched_fd = fd

    def _stop_watching(self, loop: Any = None) -> None:
        fd, self._watched_fd = self._watched_fd, -1
        if fd >= 0:
            self._unwatch(loop or self._current_loop, fd, self._on_ready)


class _AsyncPoller(_Loop, Poller):
    """A poller whose `poll` returns a future."""

    _socket_class: type[_AsyncSocket] = _AsyncSocket

    def poll(  # type: ignore[override]
        self, timeout: float | None = -1
    ) -> Future[list[tuple[Any, int]]]:
        """Wait until something is ready. See `Poller.poll`; returns a future of the result.

        Args:
            timeout: ms; None or negative waits for ever.
        """
        loop = self._default_loop()
        future: Future[list[tuple[Any, int]]] = self._new_future(loop)
        look = super().poll
        try:
            ready = look(0)
        except Exception as error:
            future.set_exception(error)
            return future
        if ready or timeout == 0:
            future.set_result(ready)
            return future
        watched: list[tuple[int, bool]] = []

        def wake() -> None:
            if future.done():
                return
            try:
                for obj, _ in self.sockets:
                    if isinstance(obj, _core.Socket):
                        obj.get(EVENTS)  # which takes the signal back, so that the next one is news
                ready = look(0)
            except Exception as error:
                future.set_exception(error)
            else:
                if ready:
                    future.set_result(ready)

        def expire() -> None:
            if not future.done():
                future.set_result([])

        cancel_timer = None
        if timeout is not None and timeout >= 0:
            cancel_timer = self._call_later(loop, timeout / 1000, expire)

        def clean_up(done: Any) -> None:
            if cancel_timer is not None:
                cancel_timer()
            for fd, writing in watched:
                self._unwatch(loop, fd, wake, writing)

        try:
            for obj, mask in self.sockets:
                if isinstance(obj, _core.Socket):
                    watched.append((obj.descriptor(), False))
                    continue
                fd = obj if isinstance(obj, int) else obj.fileno()
                if mask & ~POLLOUT:
                    watched.append((fd, False))
                if mask & POLLOUT:
                    watched.append((fd, True))
            for fd, writing in watched:
                self._watch(loop, fd, wake, writing)
        except Exception as error:
            future.set_exception(error)
            clean_up(future)
            return future
        future.add_done_callback(clean_up)
        # Exporting a descriptor may be what makes a socket look at its connections.
        self._call_soon(loop, wake)
        return future
