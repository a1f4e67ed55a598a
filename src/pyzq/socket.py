"""Sockets: the engine's, with options as attributes, `with` statements and the many spellings of send and receive.

`send`, `recv` and their multipart and batch forms are the engine's own methods, without a Python frame in between.
"""

from __future__ import annotations

import os
import sys
import threading
from errno import EACCES
from itertools import count

import pyzq as _package
import zcore.socket as _core
from pyzq._attributes import declares
from pyzq._options import SocketOptions
from pyzq.constants import Errno, Event, SocketOption, SocketType, _OptType
from zcore.errors import ZMQBindError, ZMQError, make_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Generic

    from typing_extensions import Self, TypeVar

    from pyzq._typing import Buffer, Part
    from pyzq.context import Context
    from pyzq.hwm import Policy
    from zcore.tracker import MessageTracker

    ReturnT = TypeVar("ReturnT", default=bytes)
    SocketT = TypeVar("SocketT", bound="Socket[Any]")
    _T = TypeVar("_T")
else:
    from pyzq._generic import Generic
    from pyzq._generic import T as ReturnT
    from pyzq._generic import T as SocketT

_RECEIVERS = frozenset((SocketType.SUB, SocketType.XSUB, SocketType.PULL, SocketType.DISH, SocketType.GATHER))
_TOPICS = {"subscribe": SocketOption.SUBSCRIBE, "unsubscribe": SocketOption.UNSUBSCRIBE}
_monitor_numbers = count(1)
_monitoring = threading.RLock()


def _in_child() -> None:
    global _monitoring
    _monitoring = threading.RLock()  # another thread of the parent may have had it


os.register_at_fork(after_in_child=_in_child)


class _Endpoint(Generic[SocketT]):
    """What `bind` and `connect` return: its `with` block has the socket, and undoes the call when it is left."""

    __slots__ = ("addr", "kind", "socket")

    socket: SocketT
    kind: str
    addr: str

    def __init__(self, socket: SocketT, kind: str, addr: str) -> None:
        self.socket = socket
        self.kind = kind
        self.addr = addr

    def __enter__(self) -> SocketT:
        return self.socket

    def __exit__(self, *args: object) -> None:
        if self.socket.closed:
            return
        if self.kind == "bind":
            self.socket.unbind(self.addr)
        else:
            self.socket.disconnect(self.addr)

    def __repr__(self) -> str:
        return f"<SocketContext({self.kind}={self.addr!r})>"


def _add_address(error: ZMQError, addr: str | bytes) -> None:
    if (addr if isinstance(addr, str) else addr.decode("utf-8", "replace")) not in error.strerror:
        error.strerror = f"{error.strerror} (addr={addr!r})"


class Socket(SocketOptions, _core.Socket, Generic[ReturnT]):
    """A socket of one of the messaging patterns.

    Every option is an attribute in lower and in upper case (`socket.linger = 0`, `socket.LINGER`). A socket can be used
    in a `with` statement, which closes it. It may be used from any thread.

    Args:
        ctx_or_socket: the context the socket belongs to; or a socket, to make a shadow of it.
        socket_type: such as `pyzq.REQ`.
        shadow: a socket, or the address (`underlying`) of one: the new object stands for the same socket and does not
            close it when it is collected.
        copy_threshold: bytes; with `copy=False` smaller messages are copied all the same. None takes
            `pyzq.COPY_THRESHOLD`.

    Raises:
        TypeError: there is no context.
        ZMQError: EINVAL for an unknown type, EMFILE above the context's MAX_SOCKETS, EFAULT for a closed context or an
            address at which there is no open socket.
    """

    _shadow = False
    _shadow_obj: Any = None
    _monitor_socket: Self | None = None
    _type: int = -1
    _policies: tuple[Policy | None, Policy | None] = (None, None)
    _repr_cls: str = "zmq.Socket"

    def __init__(
        self,
        ctx_or_socket: Context[Any] | Socket[Any] | None = None,
        socket_type: int = 0,
        *,
        shadow: Socket[Any] | int = 0,
        copy_threshold: int | None = None,
    ) -> None:
        if isinstance(ctx_or_socket, _core.Socket):
            shadow = ctx_or_socket
        if copy_threshold is None:
            copy_threshold = _package.COPY_THRESHOLD
        if shadow:
            original = shadow if isinstance(shadow, _core.Socket) else _at_address(shadow)
            super().__init__(original, copy_threshold=copy_threshold)
            self._shadow = True
            self._shadow_obj = original
            socket_type = self.get(SocketOption.TYPE)
        elif ctx_or_socket is None:
            raise TypeError("context must be specified")
        else:
            super().__init__(ctx_or_socket, socket_type, copy_threshold)
        self._type = socket_type

    @classmethod
    def shadow(cls, address: Socket[Any] | int) -> Self:
        """A second object for the same socket.

        Args:
            address: a socket, or the address (`underlying`) of one.

        Raises:
            ZMQError: EFAULT, there is no open socket at this address.
            ValueError: `address` is not an address.
        """
        if not isinstance(address, _core.Socket):
            from pyzq.utils.interop import cast_int_addr

            address = _at_address(cast_int_addr(address))
        return cls(shadow=address)

    def __copy__(self, memo: Any = None) -> Self:
        return self.shadow(self)

    __deepcopy__ = __copy__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._type < 0 or self._shadow or self.closed or sys.is_finalizing():
            return
        if getattr(self.context, "_pid", None) != os.getpid():
            return  # inherited through fork: it is the parent's to close
        from warnings import warn

        warn(f"Unclosed socket {self}", ResourceWarning, stacklevel=2, source=self)
        self.close()

    def __repr__(self) -> str:
        cls = type(self)
        name = cls._repr_cls if "_repr_cls" in cls.__dict__ else f"{cls.__module__}.{cls.__qualname__}"
        return f"<{name}(zmq.{self._type_name}) at {hex(id(self))}{' closed' if self.closed else ''}>"

    @property
    def _type_name(self) -> str:
        try:
            return SocketType(self._type).name
        except ValueError:
            return str(self._type)

    @property
    def type(self) -> int:
        """The socket type; known also after the socket was closed."""
        try:
            return SocketType(self._type)
        except ValueError:
            return self._type

    TYPE = type
    socket_type = type

    # attributes

    # Hidden from type checkers, which else take any name for an attribute that can be set.
    if not TYPE_CHECKING:

        def __setattr__(self, key: str, value: Any) -> None:
            topic_option = _TOPICS.get(key)
            if topic_option is not None:
                self.set(topic_option, value.encode() if isinstance(value, str) else value)
            elif declares(type(self), key):
                object.__setattr__(self, key, value)
            else:
                option = SocketOption.__members__.get(key.upper())
                if option is None:
                    raise AttributeError(f"{type(self).__name__} has no such option: {key.upper()}")
                self.set(option, value)

    # endpoints

    def bind(self, addr: str | bytes) -> _Endpoint[Self]:
        """Listen on an address.

        Args:
            addr: such as `tcp://127.0.0.1:5555`, `tcp://*:*`, `ipc:///run/service`, `inproc://name`. What a wildcard
                became is in LAST_ENDPOINT.

        Returns:
            a context manager over the socket that unbinds the address when its `with` block is left.

        Raises:
            ZMQError: EINVAL for a malformed address, EPROTONOSUPPORT for an unknown transport, ENOCOMPATPROTO when the
                transport does not go with the type, EADDRINUSE, EADDRNOTAVAIL, ENODEV, ENAMETOOLONG for an ipc path
                above `IPC_PATH_MAX_LEN`, ENOTSOCK when closed.
            TypeError: `addr` is no string.

        Source: zmq_bind(3).
        """
        try:
            super().bind(addr)
        except ZMQError as error:
            _add_address(error, addr)
            raise
        return _Endpoint(self, "bind", self.get(SocketOption.LAST_ENDPOINT).decode())

    def connect(self, addr: str | bytes) -> _Endpoint[Self]:
        """Connect to an address, now and again whenever the connection is lost.

        Args:
            addr: such as `tcp://host:5555`, `tcp://source:0;host:5555`, `ipc:///run/service`, `inproc://name`.

        Returns:
            a context manager over the socket that disconnects when its `with` block is left.

        Raises:
            ZMQError: EINVAL for a malformed address, EPROTONOSUPPORT for an unknown transport, ENOCOMPATPROTO when the
                transport does not go with the type, ENOTSOCK when closed.
            TypeError: `addr` is no string.

        Source: zmq_connect(3).
        """
        try:
            super().connect(addr)
        except ZMQError as error:
            _add_address(error, addr)
            raise
        return _Endpoint(self, "connect", addr.decode() if isinstance(addr, bytes) else addr)

    def bind_to_random_port(self, addr: str, min_port: int = 49152, max_port: int = 65536, max_tries: int = 100) -> int:
        """Bind to a free port.

        With the default range the system chooses the port, at once and for good.

        Args:
            addr: the address without its port, such as `tcp://127.0.0.1`.
            min_port: the lowest port to try.
            max_port: one above the highest port to try.
            max_tries: how many ports of the range to try.

        Returns:
            the port.

        Raises:
            ZMQBindError: none of the tries found a free port.
            ZMQError: what `bind` raises, except EADDRINUSE.
        """
        if min_port == 49152 and max_port == 65536:
            self.bind(f"{addr}:*")
            return int(self.get(SocketOption.LAST_ENDPOINT).rpartition(b":")[2])
        from random import randrange

        for _ in range(max_tries):
            port = randrange(min_port, max_port)
            try:
                self.bind(f"{addr}:{port}")
            except ZMQError as error:
                if error.errno not in (Errno.EADDRINUSE, EACCES):
                    raise
            else:
                return port
        raise ZMQBindError(f"no free port found for {addr} in {max_tries} tries from {min_port} to {max_port - 1}")

    # options

    if TYPE_CHECKING:

        def setsockopt(self, option: int, value: int | Buffer | None) -> None: ...
        def getsockopt(self, option: int) -> Any: ...

    else:
        setsockopt = _core.Socket.set
        getsockopt = _core.Socket.get

    def set_string(self, option: int, optval: str, encoding: str = "utf-8") -> None:
        """Set an option that takes bytes from a str.

        Raises:
            TypeError: `optval` is no str, or the option takes a number.
            ZMQError: what `set` raises.
        """
        if not isinstance(optval, str):
            raise TypeError(f"strings only, not {type(optval)}: {optval!r}")
        self.set(option, optval.encode(encoding))

    def get_string(self, option: int, encoding: str = "utf-8") -> str:
        """An option that is bytes, as str.

        Raises:
            TypeError: the option is a number.
            ZMQError: what `get` raises.
        """
        if getattr(_known_option(option), "_opt_type", _OptType.bytes) is not _OptType.bytes:
            raise TypeError(f"option {option} will not return a string to be decoded")
        value: bytes = self.get(option)
        return value.decode(encoding)

    setsockopt_string = set_string
    setsockopt_unicode = set_string
    getsockopt_string = get_string
    getsockopt_unicode = get_string

    def subscribe(self, topic: str | bytes) -> None:
        """Receive messages that begin with these bytes (SUB). Also works as an attribute to be set.

        Raises:
            ZMQError: EINVAL, this type has no subscriptions.
        """
        self.set(SocketOption.SUBSCRIBE, topic.encode() if isinstance(topic, str) else topic)

    def unsubscribe(self, topic: str | bytes) -> None:
        """Take one earlier `subscribe` with the same bytes back. Also works as an attribute to be set.

        Raises:
            ZMQError: EINVAL, this type has no subscriptions.
        """
        self.set(SocketOption.UNSUBSCRIBE, topic.encode() if isinstance(topic, str) else topic)

    def get_hwm(self) -> int:
        """SNDHWM, the high-water mark for sending, in messages for each peer; 0 is no limit."""
        mark: int = self.get(SocketOption.SNDHWM)
        return mark

    def set_hwm(self, value: int) -> None:
        """Set both high-water marks, SNDHWM and RCVHWM."""
        self.set(SocketOption.SNDHWM, value)
        self.set(SocketOption.RCVHWM, value)

    if TYPE_CHECKING:
        hwm: int
        HWM: int
    else:
        hwm = property(get_hwm, set_hwm, None, "The high-water marks: reads SNDHWM, sets SNDHWM and RCVHWM.")
        HWM = hwm

    def set_hwm_policy(  # type: ignore[override]
        self, *, send: Policy | None = None, recv: Policy | None = None
    ) -> None:
        """Say what happens when a high-water mark is reached.

        Args:
            send: a policy of `pyzq.hwm` for what waits to go to a peer; `DEFAULT` goes back to what the type
                prescribes, None leaves it as it is.
            recv: likewise for what a peer has sent and nobody received yet.

        Raises:
            TypeError: not a policy.
            ZMQError: EINVAL, the policy does not go with this type, direction or transport, or the socket has CONFLATE,
                which is a policy of its own.
        """
        from pyzq.hwm import DEFAULT, spec_of

        specs = [
            (side, direction, policy, spec_of(policy))
            for side, (direction, policy) in enumerate((("send", send), ("recv", recv)))
            if policy is not None
        ]
        for side, direction, policy, spec in specs:
            super().set_hwm_policy(direction, spec)
            set_now = None if policy == DEFAULT else policy
            self._policies = (self._policies[0], set_now) if side else (set_now, self._policies[1])

    @property
    def hwm_policy(self) -> Policy | None:
        """What happens at the high-water mark: of the sending side, for types that only receive of that side.

        None when the type of the socket decides, as long as no other was set; setting None goes back to that.
        """
        return self._policies[self._type in _RECEIVERS]

    @hwm_policy.setter
    def hwm_policy(self, policy: Policy | None) -> None:
        if policy is None:
            from pyzq.hwm import DEFAULT as policy
        if self._type in _RECEIVERS:
            self.set_hwm_policy(recv=policy)
        else:
            self.set_hwm_policy(send=policy)

    def fileno(self) -> int:
        """The descriptor FD, which becomes readable when EVENTS may have changed.

        Raises:
            ZMQError: ENOTSOCK when closed.
        """
        descriptor: int = self.get(SocketOption.FD)
        return descriptor

    # monitor

    def get_monitor_socket(self, events: int | None = None, addr: str | None = None) -> Self:
        """A connected PAIR socket that receives the events of this one, see `pyzq.utils.monitor`.

        The same socket is returned until it is closed or `disable_monitor` is called.

        Args:
            events: which ones, a sum of `Event`s; None is all.
            addr: an inproc address to use; None invents one.

        Raises:
            ZMQError: what `monitor` raises.
        """
        with _monitoring:  # or two threads would each make one, of which the first never hears anything
            if self._monitor_socket is not None:
                if not self._monitor_socket.closed:
                    return self._monitor_socket
                self.disable_monitor()
            if addr is None:
                addr = f"inproc://pyzq.monitor.{os.getpid()}.{next(_monitor_numbers)}"
            self.monitor(addr, Event.ALL if events is None else events)
            pair: Self = self.context.socket(SocketType.PAIR)
            pair.connect(addr)
            self._monitor_socket = pair
            return pair

    def disable_monitor(self) -> None:
        """Stop monitoring. The monitor socket receives MONITOR_STOPPED as its last event."""
        with _monitoring:
            self._monitor_socket = None
            self.monitor(None, 0)

    # serialised messages

    def send_serialized(
        self,
        msg: _T,
        serialize: Callable[[_T], Sequence[Part]],
        flags: int = 0,
        copy: bool = True,
        **kwargs: Any,
    ) -> MessageTracker | None:
        """Send what a function makes of an object.

        Args:
            msg: the object.
            serialize: returns the parts of the message.
            flags, copy, **kwargs: as in `send_multipart`.
        """
        return self.send_multipart(serialize(msg), flags=flags, copy=copy, **kwargs)

    def recv_serialized(self, deserialize: Callable[[list[Any]], _T], flags: int = 0, copy: bool = True) -> _T:
        """Receive a message and return what a function makes of its parts.

        Args:
            deserialize: takes the list of parts.
            flags, copy: as in `recv_multipart`.
        """
        return deserialize(self.recv_multipart(flags=flags, copy=copy))

    def send_string(
        self, u: str, flags: int = 0, copy: bool = True, encoding: str = "utf-8", **kwargs: Any
    ) -> MessageTracker | None:
        """Send a str.

        Raises:
            TypeError: `u` is no str.
        """
        if not isinstance(u, str):
            raise TypeError("str objects only")
        return self.send(u.encode(encoding), flags=flags, copy=copy, **kwargs)

    def recv_string(self, flags: int = 0, encoding: str = "utf-8") -> str:
        """Receive a str.

        Raises:
            UnicodeDecodeError: the message is something else.
        """
        return self.recv(flags).decode(encoding)

    send_unicode = send_string
    recv_unicode = recv_string

    def send_json(self, obj: Any, flags: int = 0, **kwargs: Any) -> None:
        """Send an object as JSON.

        Args:
            obj: what `json.dumps` can write.
            flags: flags of `send`.
            **kwargs: `routing_id` and `group` as in `send`, everything else goes to `json.dumps`.
        """
        from pyzq.utils import jsonapi

        to_send: dict[str, Any] = {key: kwargs.pop(key) for key in ("routing_id", "group") if key in kwargs}
        # A future, where `send` returns one.
        sent: None = self.send(jsonapi.dumps(obj, **kwargs), flags=flags, **to_send)
        return sent

    def recv_json(self, flags: int = 0, **kwargs: Any) -> Any:
        """Receive an object as JSON.

        Args:
            flags: flags of `recv`.
            **kwargs: go to `json.loads`.

        Raises:
            ValueError: the message is not JSON.
        """
        from pyzq.utils import jsonapi

        return jsonapi.loads(self.recv(flags), **kwargs)

    def send_pyobj(self, obj: Any, flags: int = 0, protocol: int | None = None, **kwargs: Any) -> MessageTracker | None:
        """Send an object pickled.

        Args:
            obj: what `pickle.dumps` can write.
            flags: flags of `send`.
            protocol: of pickle; None is its default.
            **kwargs: as in `send`.
        """
        import pickle

        sent: MessageTracker | None = self.send(pickle.dumps(obj, protocol), flags=flags, **kwargs)
        return sent

    def recv_pyobj(self, flags: int = 0) -> Any:
        """Receive a pickled object.

        A pickle runs whatever code its sender likes: only ever use this with peers that are trusted and
        authenticated.

        Raises:
            pickle.UnpicklingError: the message is not a pickle.
        """
        import pickle

        return pickle.loads(self.recv(flags))


def _known_option(option: int) -> int:
    try:
        return SocketOption(option)
    except ValueError:
        return option


def _at_address(address: int) -> Socket[Any]:
    from pyzq.context import _by_address

    for found in list(_by_address.values()):
        context = found()
        for socket in context.sockets() if context is not None else ():
            if socket.underlying == address:
                return socket  # type: ignore[no-any-return]
    raise make_error(Errno.EFAULT, f"no socket of this process has the address {address:#x}")


SyncSocket = Socket

__all__ = ["Socket", "SyncSocket"]
