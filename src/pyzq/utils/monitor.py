"""Reading what `Socket.monitor` reports: two frames an event, the second one the endpoint."""

from __future__ import annotations

from struct import Struct
from typing import TypedDict

from pyzq.constants import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Coroutine, Sequence
    from typing import Any, TypeAlias, overload

    from pyzq.socket import Socket

    _Awaited: TypeAlias = Socket[Future[Any]] | Socket[Coroutine[Any, Any, Any]]


class MonitorMessage(TypedDict):
    """One event of a monitored socket."""

    event: Event
    value: int
    endpoint: bytes


# Number of the event and its value, in the order of bytes of this machine.
_HEAD = Struct("=Hi")


def parse_monitor_message(msg: Sequence[bytes]) -> MonitorMessage:
    """An event from the two frames that a monitor socket received.

    Args:
        msg: the frames.

    Returns:
        `event`, `value` (a descriptor, an errno, an interval in ms, a status code or, for HANDSHAKE_FAILED_PROTOCOL, an
        `Event.PROTOCOL_ERROR_...`) and `endpoint`.

    Raises:
        RuntimeError: the frames are not those of an event.
    """
    if len(msg) != 2 or len(msg[0]) != _HEAD.size:
        raise RuntimeError(f"Invalid event message format: {msg}")
    number, value = _HEAD.unpack(msg[0])
    event = Event(number)
    if event == Event.HANDSHAKE_FAILED_PROTOCOL:
        value = Event(value)
    return {"event": event, "value": value, "endpoint": msg[1]}


async def _parse_later(frames: Awaitable[list[bytes]]) -> MonitorMessage:
    return parse_monitor_message(await frames)


if TYPE_CHECKING:

    @overload
    def recv_monitor_message(socket: Socket[bytes], flags: int = 0) -> MonitorMessage: ...
    @overload
    def recv_monitor_message(socket: _Awaited, flags: int = 0) -> Awaitable[MonitorMessage]: ...


def recv_monitor_message(socket: Socket[Any], flags: int = 0) -> MonitorMessage | Awaitable[MonitorMessage]:
    """Receive one event.

    Args:
        socket: a PAIR socket that is connected to the monitor of another one, see `Socket.get_monitor_socket`.
        flags: flags of `recv`.

    Returns:
        what `parse_monitor_message` makes of it; something to await when `socket` is one of an event loop.

    Raises:
        Again: DONTWAIT is set and there is no event, or RCVTIMEO is over.
        RuntimeError: `socket` received something that is no event.
    """
    frames: list[bytes] | Awaitable[list[bytes]] = socket.recv_multipart(flags)
    if isinstance(frames, list):
        return parse_monitor_message(frames)
    return _parse_later(frames)


__all__ = ["MonitorMessage", "parse_monitor_message", "recv_monitor_message"]
