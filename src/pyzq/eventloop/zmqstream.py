"""A socket with callbacks, for tornado.

    stream = ZMQStream(socket)
    stream.on_recv(lambda parts: ...)
    stream.send_multipart([b"hello"])

One wake-up of the loop serves many messages, until the socket is empty or a millisecond is over; then other callbacks
have their turn. What is sent goes out at once if the socket takes it, else as soon as it does, in order.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import warnings
from collections import deque
from inspect import isawaitable
from time import monotonic

from tornado.ioloop import IOLoop
from tornado.log import gen_log

from pyzq.constants import Flag, PollEvent
from pyzq.poll import Poller
from pyzq.socket import Socket
from pyzq.utils import jsonapi
from zcore.errors import Again, ContextTerminated, ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

POLLIN, POLLOUT = PollEvent.POLLIN, PollEvent.POLLOUT
_DONTWAIT = int(Flag.DONTWAIT)
_IN, _OUT, _ERR = int(POLLIN), int(POLLOUT), int(PollEvent.POLLERR)
# How long one turn of the loop may be used, seconds, and for how many messages.
_TURN = 0.001
_BURST = 256
_SHORTCUTS = (
    "bind",
    "bind_to_random_port",
    "connect",
    "setsockopt",
    "getsockopt",
    "setsockopt_string",
    "getsockopt_string",
    "setsockopt_unicode",
    "getsockopt_unicode",
)


class _Watch:
    """A socket as a file of the loop's: readable when `events` may find something."""

    def __init__(self, socket: Socket[Any]) -> None:
        self._socket = socket
        self._poller = Poller()
        self._wanted = 0
        self._register()
        self._fd = self._poller.descriptor()

    def _register(self) -> None:
        # With no event wanted, too: the end of the context is something to hear of.
        self._poller.register(self._socket, self._wanted | _ERR)

    def fileno(self) -> int:
        return self._fd

    def events(self, wanted: int) -> int:
        """Which of these there are; of others the loop does not hear from now on."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._register()
        found = self._poller.look()
        return found[0][1] if found else 0

    def end(self) -> None:
        """Close the descriptor, whoever may still have this object."""
        del self._poller

    def close(self) -> None:
        """Close the socket, for `IOLoop.close(all_fds=True)`."""
        self._socket.close()


class ZMQStream:
    """A socket whose messages are handed to callbacks of a loop of tornado.

    The callbacks run in the loop. One that is a coroutine function is run as a task, and the next message is looked at
    in a later turn of the loop. What they raise is logged.

    `bind`, `connect` and the methods that set and get options are those of the socket.

    Args:
        socket: the socket, which belongs to the stream from now on. For a socket with futures its shadow is taken.
        io_loop: the loop; None is the current one.

    Attributes:
        socket: the socket; None after the stream was closed.
        io_loop: the loop.
        poller: a poller for the program's own use.
    """

    socket: Any

    def __init__(self, socket: Socket[Any], io_loop: IOLoop | None = None) -> None:
        if _has_futures(socket):
            warnings.warn(
                f"ZMQStream takes sockets whose calls return at once, not {socket!r}; its shadow is used. "
                "Make such a socket with context.socket(type, socket_class=pyzq.Socket)",
                RuntimeWarning,
                stacklevel=2,
            )
            socket = Socket.shadow(socket)
        self.socket = socket
        self.io_loop: IOLoop = io_loop or IOLoop.current()
        self.poller: Poller = Poller()
        self._watch = _Watch(socket)
        self._send_queue: deque[tuple[Any, dict[str, Any]]] = deque()
        # What was sent, for on_send to hear of.
        self._sent: deque[tuple[Any, Any]] = deque()
        self._recv_callback: Callable[[list[Any]], Any] | None = None
        self._send_callback: Callable[[Any, Any], Any] | None = None
        self._close_callback: Callable[[], Any] | None = None
        self._recv_copy = True
        self._scheduled = False
        for name in _SHORTCUTS:
            setattr(self, name, getattr(socket, name))
        self.io_loop.add_handler(self._watch, self._handle_events, IOLoop.READ)
        self._look_soon()

    # receiving

    def on_recv(self, callback: Callable[[list[Any]], Any] | None, copy: bool = True) -> None:
        """Hand each message to a function from now on.

        Args:
            callback: gets the list of the parts; None: messages wait in the socket.
            copy: whether the parts are bytes, or Frames.

        Raises:
            AssertionError: `callback` is neither callable nor None.
        """
        _check_callable(callback)
        self._recv_callback = callback
        self._recv_copy = copy
        if callback is not None:
            self._look_soon()

    def on_recv_stream(self, callback: Callable[[ZMQStream, list[Any]], Any] | None, copy: bool = True) -> None:
        """As `on_recv`, for a function that gets the stream and the list of the parts."""
        if callback is None:
            self.stop_on_recv()
            return
        _check_callable(callback)
        self.on_recv(lambda parts: callback(self, parts), copy)

    def stop_on_recv(self) -> None:
        """Let messages wait in the socket, until `on_recv` is called again."""
        self.on_recv(None)

    def receiving(self) -> bool:
        """Whether messages are handed to a function."""
        return self._recv_callback is not None

    # sending

    def on_send(self, callback: Callable[[Any, Any], Any] | None) -> None:
        """Call a function for each message that was sent from now on.

        Args:
            callback: gets what was sent, and what sending it returned (a MessageTracker or None) or the ZMQError it
                raised. None: nobody is told.

        Raises:
            AssertionError: `callback` is neither callable nor None.
        """
        _check_callable(callback)
        self._send_callback = callback

    def on_send_stream(self, callback: Callable[[ZMQStream, Any, Any], Any] | None) -> None:
        """As `on_send`, for a function that gets the stream first."""
        if callback is None:
            self.stop_on_send()
            return
        _check_callable(callback)
        self.on_send(lambda msg, status: callback(self, msg, status))

    def stop_on_send(self) -> None:
        """Tell nobody of what is sent. Messages are sent all the same."""
        self.on_send(None)

    def on_err(self, callback: Callable[[], Any] | None) -> None:
        """For programs that call it; there are no such events."""
        _check_callable(callback)

    def stop_on_err(self) -> None:
        """For programs that call it; see `on_err`."""

    def sending(self) -> bool:
        """Whether messages wait for the socket to take them."""
        return bool(self._send_queue)

    def send(
        self,
        msg: Any,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        callback: Callable[[Any, Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Send a message of one part. See `send_multipart`."""
        self.send_multipart([msg], flags=flags, copy=copy, track=track, callback=callback, **kwargs)

    def send_multipart(
        self,
        msg: Sequence[Any],
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        callback: Callable[[Any, Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Send a message, or queue it without limit while the socket takes none. Errors are logged.

        Args:
            msg: the parts.
            callback: becomes the function of `on_send`.
            flags, copy, track, **kwargs: as for `Socket.send_multipart`.
        """
        if callback is not None:
            self.on_send(callback)
        kwargs.update(flags=flags | _DONTWAIT, copy=copy, track=track)
        if self._send_queue or not self._try_send(msg, kwargs):
            self._send_queue.append((msg, kwargs))
            self._look_soon()

    def send_string(
        self,
        u: str,
        flags: int = 0,
        encoding: str = "utf-8",
        callback: Callable[[Any, Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Send a str. See `send_multipart`.

        Raises:
            TypeError: `u` is no str.
        """
        if not isinstance(u, str):
            raise TypeError(f"unicode/str objects only, not {u!r}")
        self.send(u.encode(encoding), flags=flags, callback=callback, **kwargs)

    send_unicode = send_string

    def send_json(
        self, obj: Any, flags: int = 0, callback: Callable[[Any, Any], Any] | None = None, **kwargs: Any
    ) -> None:
        """Send an object as JSON. See `send_multipart`; keywords that it does not know go to `json.dumps`."""
        send = {name: kwargs.pop(name) for name in ("copy", "track", "routing_id", "group") if name in kwargs}
        self.send(jsonapi.dumps(obj, **kwargs), flags=flags, callback=callback, **send)

    def send_pyobj(
        self,
        obj: Any,
        flags: int = 0,
        protocol: int = -1,
        callback: Callable[[Any, Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Send an object as pickle, in this version of pickle's format. See `send_multipart`."""
        self.send(pickle.dumps(obj, protocol), flags=flags, callback=callback, **kwargs)

    def flush(self, flag: int = POLLIN | POLLOUT, limit: int | None = None) -> int:
        """Do now what the loop would do: hand out what was received, send what waits.

        Args:
            flag: POLLIN for receiving, POLLOUT for sending, or both.
            limit: how many messages at most; None is no limit.

        Returns:
            how many messages were received and sent.
        """
        self._check_closed()
        count = 0
        moved = True
        while moved and self.socket is not None and (limit is None or count < limit):
            moved = False
            if flag & _IN and self._recv_callback is not None and self._handle_recv():
                count += 1
                moved = True
            if self.socket is not None and flag & _OUT and (limit is None or count < limit) and self._handle_send():
                count += 1
                moved = True
        if self.socket is not None:
            self._look_soon()
        return count

    # the end

    def set_close_callback(self, callback: Callable[[], Any] | None) -> None:
        """Call a function when the stream is closed."""
        _check_callable(callback)
        self._close_callback = callback

    def close(self, linger: int | None = None) -> None:
        """Close the stream and its socket. Messages that wait in the stream are not sent.

        Args:
            linger: as for `Socket.close`.
        """
        socket, self.socket = self.socket, None
        if socket is None:
            return
        if socket.closed:
            warnings.warn("Unregistering the stream after closing socket: close the stream instead", stacklevel=2)
        self.io_loop.remove_handler(self._watch)
        self._watch.end()
        socket.close(linger)
        if self._close_callback is not None:
            self._run_callback(self._close_callback)

    def closed(self) -> bool:
        """Whether the stream is closed; it is closed now if its socket was."""
        if self.socket is None:
            return True
        if self.socket.closed:
            self.close()
            return True
        return False

    def _check_closed(self) -> None:
        if self.closed():
            raise OSError("cannot use a stream that is closed")

    # the loop's turns

    def _look_soon(self) -> None:
        """See to the socket in the next turn: no news from outside may come for what is there already."""
        if not self._scheduled:
            self._scheduled = True
            self.io_loop.add_callback(self._look)

    def _look(self) -> None:
        self._scheduled = False
        if self.socket is not None:
            self._handle_events(self._watch, 0)

    def _handle_events(self, watch: _Watch, events: int) -> None:
        """The socket may have something, as its descriptor says; called by the loop."""
        socket = self.socket
        if socket is None or (events and self._scheduled):
            return  # in the latter case `_look` comes in this turn of the loop, and once is enough
        try:
            ready = watch.events(self._wanted())
        except ContextTerminated:
            # Its descriptor stays readable now, and the context waits for its sockets.
            gen_log.warning("Got events for stream %s after terminating context", self)
            self.close()
            return
        except ZMQError as error:
            if socket.closed:
                gen_log.warning("Got events for stream %s attached to closed socket: %s", self, error)
                self.closed()
            else:
                gen_log.error("Error getting events for stream %s: %s", self, error)
            return
        if not ready and not self._sent:
            return
        try:
            more = self._turn(ready)
        except BaseException:
            if self.socket is not None:
                self._look_soon()
            raise
        if more and self.socket is not None:
            self._look_soon()

    def _turn(self, ready: int) -> bool:
        """Serve until there is nothing to do or others should have their turn. True: there may be more to do."""
        end = monotonic() + _TURN
        for served in range(_BURST):
            moved = False
            if ready & _IN and self._recv_callback is not None:
                moved = self._handle_recv()
                if self.socket is None:
                    return False
            if self._sent or self._send_queue:
                moved = self._handle_send() or moved
                if self.socket is None:
                    return False
            if not moved or not served:
                # The last look is what later news depend on; and the first message is often the only one.
                ready = self._watch.events(self._wanted())
                if not moved or not (ready or self._sent):
                    return bool(ready or self._sent)
            if self._yielded or monotonic() > end:
                self._yielded = False
                return True
        return True

    def _wanted(self) -> int:
        """Events that there is a use for."""
        return (0 if self._recv_callback is None else _IN) | (_OUT if self._send_queue else 0)

    # Set by a callback that goes on as a task: it should get to its first await before the next message.
    _yielded = False

    def _handle_recv(self) -> bool:
        """Hand one message out, if there is one."""
        callback = self._recv_callback
        try:
            msg = self.socket.recv_multipart(_DONTWAIT, self._recv_copy)
        except Again:
            return False
        if callback is not None:
            self._run_callback(callback, msg)
        return True

    def _handle_send(self) -> bool:
        """Tell of one message that was sent, or send one that waits, if either can be done."""
        if not self._sent:
            if not self._send_queue or not self._try_send(*self._send_queue[0]):
                return False
            self._send_queue.popleft()
        if self._sent:
            msg, status = self._sent.popleft()
            if self._send_callback is not None:
                self._run_callback(self._send_callback, msg, status)
        return True

    def _try_send(self, msg: Any, kwargs: dict[str, Any]) -> bool:
        """Send now. False: the socket takes nothing."""
        status: Any
        try:
            status = self.socket.send_multipart(msg, **kwargs)
        except Again:
            return False
        except ZMQError as error:
            gen_log.error("SEND Error: %s", error)
            status = error
        if self._send_callback is not None:
            self._sent.append((msg, status))
            self._look_soon()
        return True

    def _run_callback(self, callback: Callable[..., Any], *args: Any) -> None:
        try:
            result = callback(*args)
        except Exception:
            gen_log.error("Uncaught exception in ZMQStream callback", exc_info=True)
            # For the loop, which may have been told what to do about exceptions.
            raise
        if result is not None and isawaitable(result):
            self._yielded = True
            loop = getattr(self.io_loop, "asyncio_loop", None)
            asyncio.ensure_future(result, loop=loop).add_done_callback(_log_failure)


def _log_failure(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        gen_log.error("Uncaught exception in ZMQStream callback", exc_info=task.exception())


def _check_callable(callback: Any) -> None:
    if callback is not None and not callable(callback):
        raise AssertionError(f"{callback!r} cannot be called")


def _has_futures(socket: object) -> bool:
    modules = (sys.modules.get(name) for name in ("pyzq.asyncio", "pyzq._future"))
    classes = [getattr(module, name, None) for module in modules for name in ("Socket", "_AsyncSocket")]
    return isinstance(socket, tuple(cls for cls in classes if isinstance(cls, type) and cls is not Socket))


__all__ = ["ZMQStream"]
