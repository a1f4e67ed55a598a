"""Waiting on many sockets and descriptors at once, letting other greenlets run."""

from __future__ import annotations

from gevent.event import Event
from gevent.hub import get_hub

import zcore.socket as _core
from pyzq.constants import PollEvent
from pyzq.poll import Poller, _by_kind, _wanted
from zcore.socket import zmq_poll as _poll_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_READ, _WRITE = 1, 2


def zmq_poll(sockets: Sequence[tuple[Any, int]], timeout: float | None = -1) -> list[tuple[Any, int]]:
    """Wait until something is ready. See `pyzq.zmq_poll`."""
    ready = _poll_now(sockets, 0)
    if ready or timeout == 0:
        return ready
    poller = Poller()
    for obj, mask in sockets:
        poller.register(obj, mask | dict(poller.sockets).get(obj, 0))
    _wait(poller, timeout)
    return _poll_now(sockets, 0)


def _wait(poller: Poller, timeout: float | None) -> list[tuple[Any, int]]:
    hub = get_hub()
    changed = Event()
    watchers = [hub.loop.io(poller.descriptor(), _READ)]
    for obj, mask in poller.sockets:
        if not isinstance(obj, _core.Socket):
            fd = obj if isinstance(obj, int) else obj.fileno()
            wanted = (_READ if mask & ~PollEvent.POLLOUT else 0) | (_WRITE if mask & PollEvent.POLLOUT else 0)
            watchers.append(hub.loop.io(fd, wanted))
    deadline = None if timeout is None or timeout < 0 else hub.loop.now() + timeout / 1000
    try:
        for watcher in watchers:
            watcher.start(changed.set)
        while True:
            ready = poller.look()
            if ready:
                return ready
            if deadline is None:
                changed.wait()
            else:
                hub.loop.update_now()
                left = deadline - hub.loop.now()
                if left <= 0 or not changed.wait(left):
                    return poller.look()
            changed.clear()
    finally:
        for watcher in watchers:
            watcher.stop()
            watcher.close()


class _Poller(Poller):
    """A poller for gevent. See `pyzq.Poller`."""

    def poll(self, timeout: float | None = -1) -> list[tuple[Any, int]]:
        """Wait until something is ready. See `Poller.poll`."""
        ready = super().poll(0)
        return ready if ready or timeout == 0 else _wait(self, timeout)


def select(
    rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """Like `select.select`, for sockets too. See `pyzq.select`."""
    wanted = _wanted(rlist, wlist, xlist)
    return _by_kind(zmq_poll(wanted, -1 if timeout is None or timeout < 0 else timeout * 1000))


__all__ = ["_Poller", "select", "zmq_poll"]
