"""What all devices have in common: sockets described first and made where the device runs, and where that is."""

from __future__ import annotations

import multiprocessing
import threading
import time

from pyzq.constants import DeviceType, Errno, SocketType
from pyzq.context import Context
from pyzq.proxy import device
from zcore.errors import ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyzq.socket import Socket


class Device:
    """A device that runs in the thread that starts it.

    Args:
        device_type: STREAMER, FORWARDER or QUEUE; they all do the same.
        in_type: type of the first socket, such as `pyzq.ROUTER`.
        out_type: type of the second socket; a negative one makes the first socket both ends, a reflector.

    Attributes:
        context_factory: makes the context; `Context.instance` by default, in a process of its own `Context`.
        daemon: whether the thread or process ends with the program that started it.
        done: whether the device has run and ended.

    Raises:
        TypeError: `in_type` or `out_type` is missing.
    """

    context_factory: Callable[[], Context[Any]] = Context.instance

    def __init__(
        self, device_type: int = DeviceType.QUEUE, in_type: int | None = None, out_type: int | None = None
    ) -> None:
        if in_type is None:
            raise TypeError("in_type must be specified")
        if out_type is None:
            raise TypeError("out_type must be specified")
        self.device_type = device_type
        self.in_type = in_type
        self.out_type = out_type
        self.daemon = True
        self.done: bool = False
        self._in_binds: list[str] = []
        self._in_connects: list[str] = []
        self._in_sockopts: list[tuple[int, Any]] = []
        self._out_binds: list[str] = []
        self._out_connects: list[str] = []
        self._out_sockopts: list[tuple[int, Any]] = []
        self._random_addrs: list[str] = []
        self._sockets: list[Socket[Any]] = []

    # the description

    def bind_in(self, addr: str) -> None:
        """Let the first socket listen on an address once the device runs."""
        self._in_binds.append(addr)

    def bind_in_to_random_port(self, addr: str, *args: int, **kwargs: int) -> int:
        """Let the first socket listen on a port that is free now.

        Args:
            addr: the address without its port; the rest is as for `Socket.bind_to_random_port`.

        Returns:
            the port. It is not kept: until the device runs, another program may take it.
        """
        port = self._reserve_random_port(addr, *args, **kwargs)
        self.bind_in(f"{addr}:{port}")
        return port

    def connect_in(self, addr: str) -> None:
        """Let the first socket connect to an address once the device runs."""
        self._in_connects.append(addr)

    def setsockopt_in(self, opt: int, value: Any) -> None:
        """Set an option of the first socket when it is made, before it binds and connects."""
        self._in_sockopts.append((opt, value))

    def bind_out(self, addr: str) -> None:
        """As `bind_in`, for the second socket."""
        self._out_binds.append(addr)

    def bind_out_to_random_port(self, addr: str, *args: int, **kwargs: int) -> int:
        """As `bind_in_to_random_port`, for the second socket."""
        port = self._reserve_random_port(addr, *args, **kwargs)
        self.bind_out(f"{addr}:{port}")
        return port

    def connect_out(self, addr: str) -> None:
        """As `connect_in`, for the second socket."""
        self._out_connects.append(addr)

    def setsockopt_out(self, opt: int, value: Any) -> None:
        """As `setsockopt_in`, for the second socket."""
        self._out_sockopts.append((opt, value))

    def _reserve_random_port(self, addr: str, *args: int, **kwargs: int) -> int:
        with Context() as context, context.socket(SocketType.REQ) as probe:
            while True:
                port = probe.bind_to_random_port(addr, *args, **kwargs)
                chosen = f"{addr}:{port}"
                if chosen not in self._random_addrs:
                    self._random_addrs.append(chosen)
                    return port
                # It stays bound until a better one is found, so that it does not come up again.

    # the run

    def _make_socket(
        self, socket_type: int, options: list[tuple[int, Any]], binds: list[str], connects: list[str]
    ) -> Socket[Any]:
        socket: Socket[Any] = self._context.socket(socket_type)
        self._sockets.append(socket)
        self._prepare(socket, options, binds, connects)
        return socket

    @staticmethod
    def _prepare(socket: Socket[Any], options: list[tuple[int, Any]], binds: list[str], connects: list[str]) -> None:
        for option, value in options:
            socket.set(option, value)
        for addr in binds:
            socket.bind(addr)
        for addr in connects:
            socket.connect(addr)

    def _setup_sockets(self) -> tuple[Socket[Any], ...]:
        self._context = self.context_factory()
        ins = self._make_socket(self.in_type, self._in_sockopts, self._in_binds, self._in_connects)
        if self.out_type < 0:
            self._prepare(ins, self._out_sockopts, self._out_binds, self._out_connects)
            return ins, ins
        return ins, self._make_socket(self.out_type, self._out_sockopts, self._out_binds, self._out_connects)

    def run_device(self) -> Any:
        """Make the sockets and pass messages until the context is terminated. What subclasses replace."""
        ins, outs = self._setup_sockets()
        return device(self.device_type, ins, outs)

    def _close_sockets(self) -> None:
        """Let go of the sockets, without waiting, so that the context can end."""
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()

    def run(self) -> None:
        """What the thread or process does: `run_device`, for which termination of the context is a proper end."""
        try:
            self.run_device()
        except ZMQError as error:
            if error.errno != Errno.ETERM:
                raise
        finally:
            self.done = True
            self._close_sockets()

    def start(self) -> None:
        """Run the device; returns when it has ended, or at once when it runs in a thread or process of its own."""
        self.run()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the device has ended.

        Args:
            timeout: seconds to wait at most; None has no limit.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done and (end is None or time.monotonic() < end):
            time.sleep(0.001)


class BackgroundDevice(Device):
    """A device that `start` launches elsewhere.

    Attributes:
        launcher: the thread or process; None before `start`.
    """

    launcher: Any = None
    _launch_class: Any = None

    def start(self) -> None:
        """Launch the device and return."""
        self.launcher = self._launch_class(target=self.run)
        self.launcher.daemon = self.daemon
        self.launcher.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the device has ended; see `Device.join`.

        Raises:
            RuntimeError: it was not started.
        """
        if self.launcher is None:
            raise RuntimeError("cannot join a device before it is started")
        self.launcher.join(timeout)


class ThreadDevice(BackgroundDevice):
    """A device in a thread of its own. See `Device`."""

    _launch_class = threading.Thread


class ProcessDevice(BackgroundDevice):
    """A device in a process of its own. See `Device`.

    Its context is made there, so its sockets meet others by tcp and ipc, not by inproc.
    """

    _launch_class = multiprocessing.Process
    context_factory: Callable[[], Context[Any]] = Context


__all__ = ["Device", "ProcessDevice", "ThreadDevice"]
