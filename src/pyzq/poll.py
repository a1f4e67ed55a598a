"""Waiting on many sockets and descriptors at once."""

from __future__ import annotations

from pyzq.constants import PollEvent
from zcore.socket import zmq_poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    from pyzq._typing import HasFileno
    from pyzq.socket import Socket

    Pollable: TypeAlias = Socket[Any] | HasFileno | int

POLLIN, POLLOUT, POLLERR = PollEvent.POLLIN, PollEvent.POLLOUT, PollEvent.POLLERR


class Poller:
    """A set of sockets and descriptors to wait on.

    Attributes:
        sockets: what is registered, as pairs of the object and the events that are asked for.
    """

    sockets: list[tuple[Any, int]]
    _map: dict[Any, int]

    def __init__(self) -> None:
        self.sockets = []
        self._map = {}

    def __contains__(self, socket: Any) -> bool:
        return socket in self._map

    def register(self, socket: Pollable, flags: int = POLLIN | POLLOUT) -> None:
        """Wait for events of an object from now on; for an object that is registered, change which.

        Args:
            socket: a socket, a descriptor, or anything with `fileno()`.
            flags: a sum of POLLIN, POLLOUT, POLLERR and POLLPRI. With 0 the object is taken out.
        """
        if not flags:
            if socket in self._map:
                self.unregister(socket)
            return
        index = self._map.get(socket)
        if index is None:
            self._map[socket] = len(self.sockets)
            self.sockets.append((socket, flags))
        else:
            self.sockets[index] = (socket, flags)

    def modify(self, socket: Pollable, flags: int = POLLIN | POLLOUT) -> None:
        """The same as `register`."""
        self.register(socket, flags)

    def unregister(self, socket: Pollable) -> None:
        """Wait for events of an object no more.

        Raises:
            KeyError: it is not registered.
        """
        index = self._map.pop(socket)
        del self.sockets[index]
        for later, _ in self.sockets[index:]:
            self._map[later] -= 1

    def poll(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        """Wait until something is ready.

        Args:
            timeout: ms; None or negative waits for ever.

        Returns:
            pairs of what is ready and its events, empty when the time is over. A file stands there as its descriptor.

        Raises:
            ContextTerminated: a socket's context was terminated.
            ZMQError: ENOTSOCK for a closed socket, EBADF.
            TypeError: something registered cannot be polled.
        """
        return zmq_poll(self.sockets, -1 if timeout is None or timeout < 0 else int(timeout))


def select(
    rlist: Iterable[Pollable], wlist: Iterable[Pollable], xlist: Iterable[Pollable], timeout: float | None = None
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
