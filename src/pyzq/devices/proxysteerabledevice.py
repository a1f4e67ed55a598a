"""Proxies that listen to a control socket. See `proxy_steerable`."""

from __future__ import annotations

from pyzq.constants import SocketType
from pyzq.devices.proxydevice import ProcessProxy, Proxy, ProxyBase, ThreadProxy
from pyzq.proxy import proxy_steerable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyzq.socket import Socket


class ProxySteerableBase(ProxyBase):
    """What steerable proxies have beyond proxies: the control socket.

    Args:
        in_type: type of the first socket.
        out_type: type of the second socket; a negative one makes the first socket both ends.
        mon_type: type of the monitor.
        ctrl_type: type of the control socket: PAIR, SUB or REP; None is PAIR.
    """

    def __init__(
        self, in_type: int, out_type: int, mon_type: int = SocketType.PUB, ctrl_type: int | None = None
    ) -> None:
        super().__init__(in_type, out_type, mon_type)
        self.ctrl_type = ctrl_type
        self._ctrl_binds: list[str] = []
        self._ctrl_connects: list[str] = []
        self._ctrl_sockopts: list[tuple[int, Any]] = []

    def bind_ctrl(self, addr: str) -> None:
        """Let the control socket listen on an address once the device runs."""
        self._ctrl_binds.append(addr)

    def bind_ctrl_to_random_port(self, addr: str, *args: int, **kwargs: int) -> int:
        """Let the control socket listen on a port that is free now; see `Device.bind_in_to_random_port`."""
        port = self._reserve_random_port(addr, *args, **kwargs)
        self.bind_ctrl(f"{addr}:{port}")
        return port

    def connect_ctrl(self, addr: str) -> None:
        """Let the control socket connect to an address once the device runs."""
        self._ctrl_connects.append(addr)

    def setsockopt_ctrl(self, opt: int, value: Any) -> None:
        """Set an option of the control socket when it is made, before it binds and connects."""
        self._ctrl_sockopts.append((opt, value))

    def _setup_sockets(self) -> tuple[Socket[Any], ...]:
        sockets = super()._setup_sockets()
        ctrl_type = SocketType.PAIR if self.ctrl_type is None else self.ctrl_type
        return (*sockets, self._make_socket(ctrl_type, self._ctrl_sockopts, self._ctrl_binds, self._ctrl_connects))

    def run_device(self) -> Any:
        """Make the sockets and pass messages until TERMINATE is said or the context is terminated."""
        ins, outs, mons, ctrls = self._setup_sockets()
        return proxy_steerable(ins, outs, mons, ctrls)


class ProxySteerable(ProxySteerableBase, Proxy):
    """A steerable proxy that runs in the thread that starts it. See `ProxySteerableBase`."""


class ThreadProxySteerable(ProxySteerableBase, ThreadProxy):
    """A steerable proxy in a thread of its own. See `ProxySteerableBase`."""


class ProcessProxySteerable(ProxySteerableBase, ProcessProxy):
    """A steerable proxy in a process of its own. See `ProxySteerableBase`."""


__all__ = ["ProcessProxySteerable", "ProxySteerable", "ThreadProxySteerable"]
