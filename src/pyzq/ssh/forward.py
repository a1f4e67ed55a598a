"""The local end of a tunnel by paramiko: a server each of whose connections goes on through an ssh connection."""

from __future__ import annotations

import logging
import select
import socketserver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

logger: logging.Logger = logging.getLogger("zmq.ssh")
_CHUNK = 65536


class ForwardServer(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True


class Handler(socketserver.BaseRequestHandler):
    """One connection. Subclasses say where it goes on.

    Attributes:
        chain_host, chain_port: the far end, as the ssh server sees it.
        ssh_transport: a `paramiko.Transport`.
    """

    chain_host: str
    chain_port: int
    ssh_transport: Any

    def handle(self) -> None:
        """Pass bytes both ways until one side ends."""
        try:
            channel = self.ssh_transport.open_channel(
                "direct-tcpip", (self.chain_host, self.chain_port), self.request.getpeername()
            )
        except Exception as error:
            logger.debug("Incoming request to %s:%d failed: %r", self.chain_host, self.chain_port, error)
            return
        if channel is None:
            logger.debug("Incoming request to %s:%d was rejected by the server", self.chain_host, self.chain_port)
            return
        other = {self.request: channel, channel: self.request}
        try:
            while True:
                for source in select.select(list(other), [], [])[0]:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    other[source].sendall(data)
        except OSError as error:
            logger.debug("Tunnel connection ended: %r", error)
        finally:
            channel.close()
            self.request.close()


def forward_tunnel(
    local_port: int,
    remote_host: str,
    remote_port: int,
    transport: Any,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve a local port until the process ends.

    Args:
        local_port: on 127.0.0.1.
        remote_host, remote_port: where its connections go, as the ssh server sees it.
        transport: a `paramiko.Transport` that is connected.
        ready: called when connections can be made.

    Raises:
        OSError: the port cannot be had.
    """
    facts = {"chain_host": remote_host, "chain_port": remote_port, "ssh_transport": transport}
    with ForwardServer(("127.0.0.1", local_port), type("TunnelHandler", (Handler,), facts)) as server:
        if ready is not None:
            ready()
        server.serve_forever()


__all__ = ["ForwardServer", "Handler", "forward_tunnel"]
