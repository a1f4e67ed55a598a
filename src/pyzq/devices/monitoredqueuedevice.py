"""Proxies whose monitor can tell which way a message went. See `monitored_queue`."""

from __future__ import annotations

from pyzq.constants import SocketType
from pyzq.devices.monitoredqueue import monitored_queue
from pyzq.devices.proxydevice import ProcessProxy, Proxy, ProxyBase, ThreadProxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MonitoredQueueBase(ProxyBase):
    """What monitored queues have beyond proxies: what a copy for the monitor begins with.

    Args:
        in_type: type of the first socket.
        out_type: type of the second socket; a negative one makes the first socket both ends.
        mon_type: type of the monitor.
        in_prefix: first part of copies of what came from the first socket.
        out_prefix: first part of copies of what came from the second socket.
    """

    _in_prefix = b""
    _out_prefix = b""

    def __init__(
        self,
        in_type: int,
        out_type: int,
        mon_type: int = SocketType.PUB,
        in_prefix: bytes = b"in",
        out_prefix: bytes = b"out",
    ) -> None:
        super().__init__(in_type, out_type, mon_type)
        self._in_prefix = in_prefix
        self._out_prefix = out_prefix

    def run_device(self) -> Any:
        """Make the sockets and pass messages until the context is terminated."""
        ins, outs, mons = self._setup_sockets()
        return monitored_queue(ins, outs, mons, self._in_prefix, self._out_prefix)


class MonitoredQueue(MonitoredQueueBase, Proxy):
    """A monitored queue that runs in the thread that starts it. See `MonitoredQueueBase`."""


class ThreadMonitoredQueue(MonitoredQueueBase, ThreadProxy):
    """A monitored queue in a thread of its own. See `MonitoredQueueBase`."""


class ProcessMonitoredQueue(MonitoredQueueBase, ProcessProxy):
    """A monitored queue in a process of its own. See `MonitoredQueueBase`."""


__all__ = ["MonitoredQueue", "ProcessMonitoredQueue", "ThreadMonitoredQueue"]
