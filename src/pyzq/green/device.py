"""Moving messages between two sockets, letting other greenlets run."""

from __future__ import annotations

import gevent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyzq.green.core import _Socket


def _move(source: _Socket, target: _Socket) -> None:
    while True:
        target.send_multipart(source.recv_multipart())


def device(device_type: int, isocket: _Socket, osocket: _Socket) -> None:
    """Move messages between two sockets, both ways as far as their types allow it, until the context is terminated.

    Args:
        device_type: STREAMER, FORWARDER or QUEUE; they all do the same.
        isocket: a socket of `pyzq.green`.
        osocket: a socket of `pyzq.green`, maybe the same.

    Raises:
        ContextTerminated: the context was terminated.
        ZMQError: a socket was closed, or neither can send what the other receives.
    """
    pairs = [(isocket, osocket)] if isocket is osocket else [(isocket, osocket), (osocket, isocket)]
    jobs = [gevent.spawn(_move, source, target) for source, target in pairs if _can_move(source, target)]
    try:
        gevent.joinall(jobs, raise_error=True)
    finally:
        gevent.killall(jobs)


def _can_move(source: _Socket, target: _Socket) -> bool:
    from pyzq.constants import SocketType

    only_send = (SocketType.PUSH, SocketType.PUB, SocketType.RADIO, SocketType.SCATTER)
    only_receive = (SocketType.PULL, SocketType.SUB, SocketType.DISH, SocketType.GATHER)
    return source.type not in only_send and target.type not in only_receive


__all__ = ["device"]
