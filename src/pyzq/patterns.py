"""One class for each pattern, with the methods its type has and no others.

    from pyzq.patterns import Pull, Push

    with Pull(bind="tcp://127.0.0.1:5555") as pull, Push(connect="tcp://127.0.0.1:5555", sndhwm=100) as push:
        push.send(b"work")
        pull.recv()

Options are keywords, set before the first `bind` or `connect`. The methods are those of the socket itself, bound once
when it is made, so a call costs what it costs there; each is described at `pyzq.Socket`. The socket is in `socket`, for
pollers and everything that is not here.
"""

from __future__ import annotations

from pyzq.constants import SocketOption, SocketType
from pyzq.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, ClassVar, Literal, Protocol, TypeVar, overload

    from typing_extensions import Self

    from pyzq._typing import Buffer, Part
    from pyzq.hwm import Policy
    from pyzq.socket import Socket, _Endpoint
    from zcore.frame import Frame
    from zcore.tracker import MessageTracker

    _T = TypeVar("_T")

    class _Recv(Protocol):
        @overload
        def __call__(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> bytes: ...
        @overload
        def __call__(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> Frame: ...
        @overload
        def __call__(self, flags: int, copy: Literal[False], track: bool = False) -> Frame: ...
        @overload
        def __call__(self, flags: int = 0, copy: bool = True, track: bool = False) -> bytes | Frame: ...

    class _RecvParts(Protocol):
        @overload
        def __call__(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> list[bytes]: ...
        @overload
        def __call__(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> list[Frame]: ...
        @overload
        def __call__(self, flags: int, copy: Literal[False], track: bool = False) -> list[Frame]: ...
        @overload
        def __call__(self, flags: int = 0, copy: bool = True, track: bool = False) -> list[bytes] | list[Frame]: ...


_ALL = (
    "bind",
    "bind_to_random_port",
    "close",
    "connect",
    "disable_monitor",
    "disconnect",
    "fileno",
    "get",
    "get_monitor_socket",
    "monitor",
    "poll",
    "set",
    "set_hwm_policy",
    "stats",
    "unbind",
)
_SEND = ("send", "send_json", "send_many", "send_pyobj", "send_string")
_SEND_PARTS = ("send_multipart", "send_serialized")
_RECV = ("recv", "recv_into", "recv_json", "recv_many", "recv_pyobj", "recv_string")
_RECV_PARTS = ("recv_multipart", "recv_serialized")
_TOPICS = ("subscribe", "unsubscribe")
_GROUPS = ("join", "leave")


def _described(*groups: tuple[str, ...]) -> dict[str, str]:
    return {name: f"See `Socket.{name}`." for group in groups for name in group}


class Pattern:
    """What all patterns have.

    Args:
        context: the context the socket belongs to; None takes the one the process shares, `Context.instance()`.
        bind: an address or several.
        connect: an address or several.
        hwm_policy: what happens at the high-water mark, see `pyzq.hwm`.
        **options: options by name, such as `linger=0`; see `SocketOption`.

    Raises:
        TypeError: there is no option with this name.
        ZMQError: what `Socket.bind`, `Socket.connect` and `Socket.set` raise. The socket is closed then.
    """

    __slots__ = {**_described(_ALL), "__weakref__": "", "socket": "The socket."}

    type: ClassVar[SocketType]
    socket: Socket[bytes]

    def __init__(
        self,
        *,
        context: Context[Any] | None = None,
        bind: str | Sequence[str] = (),
        connect: str | Sequence[str] = (),
        hwm_policy: Policy | None = None,
        **options: Any,
    ) -> None:
        if type(self) is Pattern:
            raise TypeError("Pattern itself has no type; use one of its subclasses")
        socket = (context or Context.instance()).socket(self.type)
        try:
            self._set_up(socket, hwm_policy, options)
            for address in _addresses(bind):
                socket.bind(address)
            for address in _addresses(connect):
                socket.connect(address)
        except BaseException:
            socket.close(0)
            raise
        self.socket = socket
        for cls in type(self).__mro__:
            for name in cls.__dict__.get("__slots__", ()):
                if not name.startswith("_") and name != "socket":
                    setattr(self, name, getattr(socket, name))

    def _set_up(self, socket: Socket[bytes], hwm_policy: Policy | None, options: dict[str, Any]) -> None:
        if hwm_policy is not None:
            socket.hwm_policy = hwm_policy
        for name, value in options.items():
            if name == "hwm":
                socket.set_hwm(value)
                continue
            option = SocketOption.__members__.get(name.upper())
            if option is None:
                raise TypeError(f"{type(self).__name__} has no option {name!r}{_meant(name)}")
            socket.set(option, value.encode() if isinstance(value, str) else value)

    @property
    def closed(self) -> bool:
        """Whether the socket was closed."""
        return self.socket.closed

    @property
    def context(self) -> Context[Any]:
        """The context the socket belongs to."""
        context: Context[Any] = self.socket.context
        return context

    @property
    def last_endpoint(self) -> str:
        """The address last bound or connected to, wildcards resolved."""
        return self.socket.last_endpoint.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.socket.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {hex(id(self))}{' closed' if self.closed else ''}>"

    if TYPE_CHECKING:

        def bind(self, addr: str | bytes) -> _Endpoint[Socket[bytes]]: ...
        def bind_to_random_port(
            self, addr: str, min_port: int = 49152, max_port: int = 65536, max_tries: int = 100
        ) -> int: ...
        def close(self, linger: int | None = None) -> None: ...
        def connect(self, addr: str | bytes) -> _Endpoint[Socket[bytes]]: ...
        def disable_monitor(self) -> None: ...
        def disconnect(self, addr: str | bytes) -> None: ...
        def fileno(self) -> int: ...
        def get(self, option: int) -> Any: ...
        def get_monitor_socket(self, events: int | None = None, addr: str | None = None) -> Socket[bytes]: ...
        def monitor(self, addr: str | bytes | None, events: int = ...) -> None: ...
        def poll(self, timeout: float | None = None, flags: int = ...) -> int: ...
        def set(self, option: int, value: int | Buffer | None) -> None: ...
        def set_hwm_policy(self, *, send: Policy | None = None, recv: Policy | None = None) -> None: ...
        def stats(self) -> dict[str, Any]: ...
        def unbind(self, addr: str | bytes) -> None: ...


class _Sends:
    __slots__ = ()

    if TYPE_CHECKING:

        def send(self, data: Part, flags: int = 0, copy: bool = True, track: bool = False) -> MessageTracker | None: ...
        def send_many(self, iterable: Iterable[Any], flags: int = 0) -> int: ...
        def send_string(
            self, u: str, flags: int = 0, copy: bool = True, encoding: str = "utf-8"
        ) -> MessageTracker | None: ...
        def send_json(self, obj: Any, flags: int = 0, **kwargs: Any) -> None: ...
        def send_pyobj(self, obj: Any, flags: int = 0, protocol: int | None = None) -> MessageTracker | None: ...


class _SendsParts(_Sends):
    __slots__ = ()

    if TYPE_CHECKING:

        def send_multipart(
            self, msg_parts: Sequence[Part], flags: int = 0, copy: bool = True, track: bool = False
        ) -> MessageTracker | None: ...
        def send_serialized(
            self, msg: _T, serialize: Callable[[_T], Sequence[Part]], flags: int = 0, copy: bool = True
        ) -> MessageTracker | None: ...


class _SendsToPeers:
    __slots__ = ()

    if TYPE_CHECKING:

        def send(
            self,
            data: Part,
            flags: int = 0,
            copy: bool = True,
            track: bool = False,
            *,
            routing_id: int | None = None,
        ) -> MessageTracker | None: ...
        def send_many(self, iterable: Iterable[Any], flags: int = 0) -> int: ...
        def send_string(
            self,
            u: str,
            flags: int = 0,
            copy: bool = True,
            encoding: str = "utf-8",
            *,
            routing_id: int | None = None,
        ) -> MessageTracker | None: ...
        def send_json(self, obj: Any, flags: int = 0, *, routing_id: int | None = None, **kwargs: Any) -> None: ...
        def send_pyobj(
            self, obj: Any, flags: int = 0, protocol: int | None = None, *, routing_id: int | None = None
        ) -> MessageTracker | None: ...
        def disconnect_peer(self, routing_id: int) -> None: ...


class _Receives:
    __slots__ = ()

    if TYPE_CHECKING:
        recv: _Recv

        def recv_into(self, buffer: Buffer, /, *, nbytes: int = 0, flags: int = 0) -> int: ...
        def recv_many(self, max_n: int | None = None, timeout: float | None = None) -> list[Any]: ...
        def recv_string(self, flags: int = 0, encoding: str = "utf-8") -> str: ...
        def recv_json(self, flags: int = 0, **kwargs: Any) -> Any: ...
        def recv_pyobj(self, flags: int = 0) -> Any: ...


class _ReceivesParts(_Receives):
    __slots__ = ()

    if TYPE_CHECKING:
        recv_multipart: _RecvParts

        def recv_serialized(self, deserialize: Callable[[list[Any]], _T], flags: int = 0, copy: bool = True) -> _T: ...


class Req(_SendsParts, _ReceivesParts, Pattern):
    """Asks one question after the other: `send`, then `recv`. Talks to Rep and Router."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.REQ


class Rep(_SendsParts, _ReceivesParts, Pattern):
    """Answers: `recv`, then `send` to the one who asked. Talks to Req and Dealer."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.REP


class Dealer(_SendsParts, _ReceivesParts, Pattern):
    """Sends to its peers in turn, receives from all. Talks to Router, Rep and Dealer."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.DEALER


class Router(_SendsParts, _ReceivesParts, Pattern):
    """Sends to the peer that the first frame names, receives with the sender's name in front. Talks to Dealer, Req and
    Router."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.ROUTER


class Push(_SendsParts, Pattern):
    """Hands work out to its peers in turn. Talks to Pull."""

    __slots__ = _described(_SEND, _SEND_PARTS)
    type = SocketType.PUSH


class Pull(_ReceivesParts, Pattern):
    """Takes work from all its peers. Talks to Push."""

    __slots__ = _described(_RECV, _RECV_PARTS)
    type = SocketType.PULL


class Pub(_SendsParts, Pattern):
    """Sends to everybody who subscribed to what the message begins with. Talks to Sub and XSub."""

    __slots__ = _described(_SEND, _SEND_PARTS)
    type = SocketType.PUB


class Sub(_ReceivesParts, Pattern):
    """Receives what it subscribed to. Talks to Pub and XPub.

    Args:
        subscribe: a topic or several, str or bytes; "" is everything. Nothing is received without one.
    """

    __slots__ = _described(_RECV, _RECV_PARTS, _TOPICS)
    type = SocketType.SUB

    def __init__(self, *, subscribe: str | bytes | Iterable[str | bytes] = (), **options: Any) -> None:
        super().__init__(**options, _topics=[subscribe] if isinstance(subscribe, (str, bytes)) else list(subscribe))

    def _set_up(self, socket: Socket[bytes], hwm_policy: Policy | None, options: dict[str, Any]) -> None:
        topics = options.pop("_topics")
        super()._set_up(socket, hwm_policy, options)
        for topic in topics:
            socket.subscribe(topic)

    if TYPE_CHECKING:

        def subscribe(self, topic: str | bytes) -> None: ...
        def unsubscribe(self, topic: str | bytes) -> None: ...


class XPub(_SendsParts, _ReceivesParts, Pattern):
    """Pub that receives the subscriptions of its peers as messages. Talks to Sub and XSub."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.XPUB


class XSub(_SendsParts, _ReceivesParts, Pattern):
    """Sub that subscribes by sending messages: a byte 1 (0 to unsubscribe) and the topic. Talks to Pub and XPub."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.XSUB


class Pair(_SendsParts, _ReceivesParts, Pattern):
    """Talks to exactly one other Pair."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.PAIR


class Stream(_SendsParts, _ReceivesParts, Pattern):
    """Plain TCP connections: messages are the connection's name and a piece of data."""

    __slots__ = _described(_SEND, _SEND_PARTS, _RECV, _RECV_PARTS)
    type = SocketType.STREAM


class Client(_Sends, _Receives, Pattern):
    """Sends to its servers in turn, receives from all; messages of one part. Talks to Server."""

    __slots__ = _described(_SEND, _RECV)
    type = SocketType.CLIENT


class Server(_SendsToPeers, _Receives, Pattern):
    """Sends to the client in `routing_id`, or that of a received frame; messages of one part. Talks to Client."""

    __slots__ = _described(_SEND, _RECV, ("disconnect_peer",))
    type = SocketType.SERVER


class Radio(Pattern):
    """Sends to everybody who joined the group of the message; messages of one part. Talks to Dish."""

    __slots__ = _described(_SEND)
    type = SocketType.RADIO

    if TYPE_CHECKING:

        def send(
            self,
            data: Part,
            flags: int = 0,
            copy: bool = True,
            track: bool = False,
            *,
            group: str | None = None,
        ) -> MessageTracker | None: ...
        def send_many(self, iterable: Iterable[Any], flags: int = 0) -> int: ...
        def send_string(
            self, u: str, flags: int = 0, copy: bool = True, encoding: str = "utf-8", *, group: str | None = None
        ) -> MessageTracker | None: ...
        def send_json(self, obj: Any, flags: int = 0, *, group: str | None = None, **kwargs: Any) -> None: ...
        def send_pyobj(
            self, obj: Any, flags: int = 0, protocol: int | None = None, *, group: str | None = None
        ) -> MessageTracker | None: ...


class Dish(_Receives, Pattern):
    """Receives what is sent to the groups it joined; messages of one part. Talks to Radio.

    Args:
        join: a group or several.
    """

    __slots__ = _described(_RECV, _GROUPS)
    type = SocketType.DISH

    def __init__(self, *, join: str | Iterable[str] = (), **options: Any) -> None:
        super().__init__(**options, _groups=[join] if isinstance(join, str) else list(join))

    def _set_up(self, socket: Socket[bytes], hwm_policy: Policy | None, options: dict[str, Any]) -> None:
        groups = options.pop("_groups")
        super()._set_up(socket, hwm_policy, options)
        for group in groups:
            socket.join(group)

    if TYPE_CHECKING:

        def join(self, group: str | bytes) -> None: ...
        def leave(self, group: str | bytes) -> None: ...


class Scatter(_Sends, Pattern):
    """Hands work out to its peers in turn; messages of one part. Talks to Gather."""

    __slots__ = _described(_SEND)
    type = SocketType.SCATTER


class Gather(_Receives, Pattern):
    """Takes work from all its peers; messages of one part. Talks to Scatter."""

    __slots__ = _described(_RECV)
    type = SocketType.GATHER


class Peer(_SendsToPeers, _Receives, Pattern):
    """Sends to the peer in `routing_id`, or that of a received frame; messages of one part. Talks to Peer."""

    __slots__ = _described(_SEND, _RECV, ("connect_peer", "disconnect_peer"))
    type = SocketType.PEER

    if TYPE_CHECKING:

        def connect_peer(self, addr: str | bytes) -> int: ...


class Channel(_Sends, _Receives, Pattern):
    """Talks to exactly one other Channel; messages of one part."""

    __slots__ = _described(_SEND, _RECV)
    type = SocketType.CHANNEL


def _addresses(given: str | Sequence[str]) -> Sequence[str]:
    return (given,) if isinstance(given, (str, bytes)) else given


def _meant(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.upper(), SocketOption.__members__, 1)
    return f"; is {close[0].lower()!r} meant?" if close else ""


__all__ = [
    "Channel",
    "Client",
    "Dealer",
    "Dish",
    "Gather",
    "Pair",
    "Pattern",
    "Peer",
    "Pub",
    "Pull",
    "Push",
    "Radio",
    "Rep",
    "Req",
    "Router",
    "Scatter",
    "Server",
    "Stream",
    "Sub",
    "XPub",
    "XSub",
]
