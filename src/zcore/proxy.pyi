"""Types of the engine's proxies, for type checkers."""

from typing_extensions import disjoint_base

from zcore.socket import Socket

@disjoint_base
class Proxy:
    def run(self) -> None: ...

def proxy(frontend: Socket, backend: Socket, capture: Socket | None = None) -> int: ...
def proxy_steerable(
    frontend: Socket, backend: Socket, capture: Socket | None = None, control: Socket | None = None
) -> int: ...
def monitored_queue(
    in_socket: Socket, out_socket: Socket, mon_socket: Socket, in_prefix: bytes = b"in", out_prefix: bytes = b"out"
) -> int: ...
