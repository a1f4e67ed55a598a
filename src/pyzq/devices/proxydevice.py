"""Proxies with a third socket, the monitor, that gets a copy of everything."""

from __future__ import annotations

from pyzq.constants import DeviceType, SocketType
from pyzq.devices.basedevice import Device, ProcessDevice, ThreadDevice
from pyzq.proxy import proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyzq.socket import Socket

    _Base = Device
else:
    _Base = object


class ProxyBase(_Base):
    """What proxies have beyond devices: the monitor.

    Args:
        in_type: type of the first socket.
        out_type: type of the second socket; a negative one makes the first socket both ends.
        mon_type: type of the monitor; PUB by default, which drops what nobody listens to.
    """

    def __init__(self, in_type: int, out_type: int, mon_type: int = SocketType.PUB) -> None:
        super().__init__(DeviceType.QUEUE, in_type, out_type)
        self.mon_type = mon_type
        self._mon_binds: list[str] = []
        self._mon_connects: list[str] = []
        self._mon_sockopts: list[tuple[int, Any]] = []

    def bind_mon(self, addr: str) -> None:
        """Let the monitor listen on an address once the device runs."""
        self._mon_binds.append(addr)

    def bind_mon_to_random_port(self, addr: str, *args: int, **kwargs: int) -> int:
        """Let the monitor listen on a port that is free now; see `Device.bind_in_to_random_port`."""
        port = self._reserve_random_port(addr, *args, **kwargs)
        self.bind_mon(f"{addr}:{port}")
        return port

    def connect_mon(self, addr: str) -> None:
        """Let the monitor connect to an address once the device runs."""
        self._mon_connects.append(addr)

    def setsockopt_mon(self, opt: int, value: Any) -> None:
        """Set an option of the monitor when it is made, before it binds and connects."""
        self._mon_sockopts.append((opt, value))

    def _setup_sockets(self) -> tuple[Socket[Any], ...]:
        ends = super()._setup_sockets()
        return (*ends, self._make_socket(self.mon_type, self._mon_sockopts, self._mon_binds, self._mon_connects))

    def run_device(self) -> Any:
        """Make the sockets and pass messages until the context is terminated."""
        ins, outs, mons = self._setup_sockets()
        return proxy(ins, outs, mons)


class Proxy(ProxyBase, Device):
    """A proxy that runs in the thread that starts it. See `ProxyBase`."""


class ThreadProxy(ProxyBase, ThreadDevice):
    """A proxy in a thread of its own. See `ProxyBase`."""


class ProcessProxy(ProxyBase, ProcessDevice):
    """A proxy in a process of its own. See `ProxyBase`."""


__all__ = ["ProcessProxy", "Proxy", "ThreadProxy"]
