"""Moving messages between sockets."""

from __future__ import annotations

from zcore.proxy import proxy, proxy_steerable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyzq.socket import Socket


def device(device_type: int, frontend: Socket[Any], backend: Socket[Any]) -> int:
    """`proxy` under its older name.

    Args:
        device_type: STREAMER, FORWARDER or QUEUE; they all do the same.
        frontend: a socket.
        backend: a socket.

    Raises:
        ContextTerminated: the context was terminated, the only way this call ends.
    """
    return proxy(frontend, backend)


__all__ = ["device", "proxy", "proxy_steerable"]
