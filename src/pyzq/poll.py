"""Waiting on many sockets and descriptors at once."""

from __future__ import annotations

from pyzq.constants import PollEvent
from zcore.polling import PollerBase, zmq_poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    from pyzq._typing import HasFileno
    from pyzq.socket import Socket

    _Pollable: TypeAlias = Socket[Any] | HasFileno | int

POLLIN, POLLOUT, POLLERR = PollEvent.POLLIN, PollEvent.POLLOUT, PollEvent.POLLERR


class Poller(PollerBase):
    """A set of sockets and descriptors to wait on.

    Attributes:
        sockets: what is registered, as pairs of the object and the events that are asked for.
    """


def select(
    rlist: Iterable[_Pollable], wlist: Iterable[_Pollable], xlist: Iterable[_Pollable], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """Like `select.select`, for sockets too.

    Args:
        rlist: what to wait on for receiving.
        wlist: what to wait on for sending.
        xlist: what to wait on for errors.
        timeout: seconds; None or negative waits for ever.

    Returns:
        three lists, of what can be received from, sent to, and is in error.
    """
    milliseconds = -1 if timeout is None or timeout < 0 else int(timeout * 1000)
    return _by_kind(zmq_poll(_wanted(rlist, wlist, xlist), milliseconds))


def _wanted(rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any]) -> list[tuple[Any, int]]:
    wanted: dict[Any, int] = {}
    for objects, flag in ((rlist, POLLIN), (wlist, POLLOUT), (xlist, POLLERR)):
        for obj in objects:
            wanted[obj] = wanted.get(obj, 0) | flag
    return list(wanted.items())


def _by_kind(ready: list[tuple[Any, int]]) -> tuple[list[Any], list[Any], list[Any]]:
    return (
        [obj for obj, events in ready if events & POLLIN],
        [obj for obj, events in ready if events & POLLOUT],
        [obj for obj, events in ready if events & POLLERR],
    )


__all__ = ["Poller", "select"]
