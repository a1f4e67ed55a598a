"""pyzq, pyzmq and pyomq: three modules with one API, so one adapter and the same loops."""

from __future__ import annotations

import importlib
import socket as plain_socket
from types import ModuleType
from typing import Any

from ..patterns import PATTERNS
from . import Side

MODULES = {"pyzq": "pyzq", "pyzmq": "zmq", "pyomq": "pyomq"}

_PYOMQ_MISSING = {
    "radiodish": "send() takes no group",
    "peer": "connect_peer() is missing",
    "serverclient": "send() takes no routing id",
    "stream": "its STREAM hands over no identity to send to",
    "dgram": "the type is missing",
}


def supports(impl: str, pattern: str, transport: str) -> str:
    """Empty, or why `impl` cannot run `pattern` over `transport`."""
    wanted = PATTERNS[pattern]
    if impl == "pyzmq" and wanted.draft:
        return "draft type, absent from the wheel"
    if impl == "pyzmq" and transport in ("udp", "ws"):
        return "draft transport, absent from the wheel"
    if impl == "pyomq":
        if transport == "ws":
            return "no ws transport"
        return _PYOMQ_MISSING.get(pattern, "")
    return ""


def module(impl: str) -> ModuleType:
    """The imported module of `impl`."""
    return importlib.import_module(MODULES[impl])


def version(impl: str) -> str:
    """The version of `impl`; ImportError when it is not installed."""
    zmq = module(impl)
    if not hasattr(zmq, "Context"):
        raise ImportError(f"{zmq.__name__} is not built")
    own = getattr(zmq, "__version__", "?")
    return f"{own} (libzmq {zmq.zmq_version()})" if impl == "pyzmq" else str(own)


def lacks(impl: str) -> list[str]:
    """Transports that a build of `impl` may lack and this one does."""
    asked = ("ws", "udp") if impl == "pyzq" else ("ws",)  # libzmq's has() knows no udp
    return [transport for transport in asked if not module(impl).has(transport)]


def context(impl: str) -> Any:
    """A context with the implementation's defaults."""
    return module(impl).Context()


def new_socket(zmq: ModuleType, ctx: Any, type_name: str, job: dict[str, Any]) -> Any:
    """A socket of the named type with the high-water marks of the job; everything else stays at its default."""
    sock = ctx.socket(getattr(zmq, type_name))
    hwm = job["params"].get("hwm")
    if hwm is not None:
        sock.setsockopt(zmq.SNDHWM, hwm)
        sock.setsockopt(zmq.RCVHWM, hwm)
    return sock


# Of benchmarks and nothing else: 32 bytes each, as Z85 they are what any implementation takes.
_SERVER_SECRET = "6[n7932#$A>mSDLn$oq?6pbI7)POYFt*#QK=B>kL"
_CLIENT_SECRET = "h#=5FaI^lXC(.J05(m^ltTS:qtFg]5hHyF#kD/CU"


def _secure(zmq: ModuleType, sock: Any, server: bool) -> None:
    """CURVE with fixed keys: the bound side is the server."""
    public = zmq.curve_public(_SERVER_SECRET)
    if server:
        sock.setsockopt(zmq.CURVE_SECRETKEY, _SERVER_SECRET.encode())
        sock.setsockopt(zmq.CURVE_SERVER, 1)
    else:
        sock.setsockopt(zmq.CURVE_SERVERKEY, public)
        sock.setsockopt(zmq.CURVE_PUBLICKEY, zmq.curve_public(_CLIENT_SECRET))
        sock.setsockopt(zmq.CURVE_SECRETKEY, _CLIENT_SECRET.encode())


def _set_policy(sock: Any, end: str, job: dict[str, Any]) -> None:
    """Give pyzq's socket the policy of the job, at the end it is for."""
    direction, name, limits = job["params"]["hwm_policy"]
    if (direction == "send") == (end == "sender"):
        policy = getattr(importlib.import_module("pyzq.hwm"), name)(**limits)
        sock.set_hwm_policy(**{direction: policy})


def attach(zmq: ModuleType, sock: Any, job: dict[str, Any], binds: bool, address: str) -> str:
    """Bind or connect; returns the address others connect to when bound, else an empty string."""
    if not binds:
        sock.connect(address)
        return ""
    transport = job["transport"]
    if transport == "tcp":
        sock.bind("tcp://127.0.0.1:*")
    elif transport == "ws":
        sock.bind("ws://127.0.0.1:*")
    elif transport == "udp":
        endpoint = f"udp://127.0.0.1:{_free_udp_port()}"
        sock.bind(endpoint)
        return endpoint
    else:
        sock.bind(job["address"])
        return job["address"]
    endpoint = sock.getsockopt(zmq.LAST_ENDPOINT)
    return endpoint.rstrip(b"\0").decode() if isinstance(endpoint, bytes) else endpoint


def _free_udp_port() -> int:
    with plain_socket.socket(plain_socket.AF_INET, plain_socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def open_side(impl: str, ctx: Any, end: str, job: dict[str, Any], address: str | None = None) -> Side:
    """Open the "sender" or "receiver" end of the job's pattern: bound, or connected to `address`."""
    zmq = module(impl)
    pattern = PATTERNS[job["pattern"]]
    kind = pattern.sender if end == "sender" else pattern.receiver
    sock = new_socket(zmq, ctx, kind, job)
    if "hwm_policy" in job["params"]:
        _set_policy(sock, end, job)
    binds = address is None
    if job["params"].get("mechanism") == "CURVE":
        _secure(zmq, sock, binds)
    side = Side(socket=sock, send_many=getattr(sock, "send_many", None), recv_many=getattr(sock, "recv_many", None))
    _SHAPES.get((job["pattern"], end), _plain_shape)(zmq, sock, side)
    if job["pattern"] == "peer" and not binds:
        _peer_connect(sock, side, address)
    elif job["pattern"] == "dgram" and not binds:
        attach(zmq, sock, job, True, "")
        _dgram_connect(sock, side, address)
    else:
        side.address = attach(zmq, sock, job, binds, address or "")
    return side


def _plain_shape(zmq: ModuleType, sock: Any, side: Side) -> None:
    side.send, side.recv = sock.send, sock.recv


def _subscriber(zmq: ModuleType, sock: Any, side: Side) -> None:
    sock.setsockopt(zmq.SUBSCRIBE, b"")
    side.recv = sock.recv


def _xsubscriber(zmq: ModuleType, sock: Any, side: Side) -> None:
    side.recv = sock.recv
    side.greet = lambda: sock.send(b"\1")


def _router_receiver(zmq: ModuleType, sock: Any, side: Side) -> None:
    receive = sock.recv_multipart
    side.recv = lambda: receive()[1]


def _router_sender(zmq: ModuleType, sock: Any, side: Side) -> None:
    send = sock.send_multipart

    def meet() -> None:
        peer = sock.recv_multipart()[0]
        side.send = lambda data: send((peer, data))

    side.meet = meet


def _announced(zmq: ModuleType, sock: Any, side: Side) -> None:
    side.recv = sock.recv
    side.greet = lambda: sock.send(b"hello")


def _echo_router(zmq: ModuleType, sock: Any, side: Side) -> None:
    side.recv, side.send = sock.recv_multipart, sock.send_multipart


def _delimited_dealer(zmq: ModuleType, sock: Any, side: Side) -> None:
    send, receive = sock.send_multipart, sock.recv_multipart
    side.send = lambda data: send((b"", data))
    side.recv = lambda: receive()[1]


def _server_sender(zmq: ModuleType, sock: Any, side: Side) -> None:
    send = sock.send

    def meet() -> None:
        peer = sock.recv(copy=False).routing_id
        side.send = lambda data: send(data, routing_id=peer)

    side.meet = meet


def _radio(zmq: ModuleType, sock: Any, side: Side) -> None:
    send = sock.send
    side.send = lambda data: send(data, group="g")


def _dish(zmq: ModuleType, sock: Any, side: Side) -> None:
    side.recv = sock.recv
    sock.join("g")


def _peer_connect(sock: Any, side: Side, address: str) -> None:
    peer = sock.connect_peer(address)
    send = sock.send
    side.send = lambda data: send(data, routing_id=peer)


def _dgram_connect(sock: Any, side: Side, address: str) -> None:
    destination = address.removeprefix("udp://").encode()
    send = sock.send_multipart
    side.send = lambda data: send((destination, data))


def _stream(zmq: ModuleType, sock: Any, side: Side) -> None:
    send, receive = sock.send_multipart, sock.recv_multipart

    def meet() -> None:
        peer = receive()[0]  # the empty message that announces the connection
        side.send = lambda data: send((peer, data))

    side.meet = meet
    side.recv = lambda: receive()[1]


def _dgram_receiver(zmq: ModuleType, sock: Any, side: Side) -> None:
    receive = sock.recv_multipart
    side.recv = lambda: receive()[1]


_SHAPES = {
    ("pubsub", "receiver"): _subscriber,
    ("xpubxsub", "receiver"): _xsubscriber,
    ("dealerrouter", "receiver"): _router_receiver,
    ("routerdealer", "sender"): _router_sender,
    ("routerdealer", "receiver"): _announced,
    ("reqrouter", "receiver"): _echo_router,
    ("dealerrep", "sender"): _delimited_dealer,
    ("serverclient", "sender"): _server_sender,
    ("serverclient", "receiver"): _announced,
    ("radiodish", "sender"): _radio,
    ("radiodish", "receiver"): _dish,
    ("stream", "sender"): _stream,
    ("stream", "receiver"): _stream,
    ("dgram", "receiver"): _dgram_receiver,
}
