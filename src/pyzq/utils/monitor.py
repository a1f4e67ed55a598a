"""Reading what `Socket.monitor` reports: two frames an event, the second one the endpoint."""

from __future__ import annotations

from struct import Struct

from pyzq.constants import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from typing import TypedDict

    from pyzq.socket import Socket

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


def recv_monitor_message(socket: Socket, flags: int = 0) -> MonitorMessage | Awaitable[MonitorMessage]:
    """Receive one event.

    Args:
        socket: a PAIR socket that is connected to the monitor of another one, see `Socket.get_monitor_socket`.
        flags: flags of `recv`.

    Returns:
        what `parse_monitor_message` makes of it; something to await when `socket` is an asyncio socket.

    Raises:
        Again: DONTWAIT is set and there is no event, or RCVTIMEO is over.
        RuntimeError: `socket` received something that is no event.
    """
    frames = socket.recv_multipart(flags)
    if isinstance(frames, list):
        return parse_monitor_message(frames)
    return _parse_later(frames)


__all__ = ["parse_monitor_message", "recv_monitor_message"]
