"""Plain Python sockets with a 4-byte length before each message, and queues between threads: the control group.

What a programmer would write without a messaging library: blocking sockets, ``sendall`` of prefix and data, a buffered
reader. It has no reconnection, no high-water mark beyond the kernel's buffers and no patterns beyond one to one and
one to many. Between threads it is ``queue.Queue(maxsize)`` one way and ``queue.SimpleQueue`` for round trips.
"""

from __future__ import annotations

import os
import queue
import socket
import struct
import sys
from typing import Any

from ..patterns import PATTERNS
from . import Side

_LENGTH = struct.Struct("!I")
_JOIN_LIMIT = 1 << 16  # above it prefix and data are sent separately, so that nothing large is copied
_KNOWN = ("pushpull", "pair", "pubsub", "reqrep")


def supports(impl: str, pattern: str, transport: str) -> str:
    """Empty, or why plain sockets cannot run `pattern` over `transport`."""
    if pattern not in _KNOWN:
        return "no such pattern without a library"
    if transport == "inproc" and pattern == "pubsub":
        return "no fan-out between threads without a library"
    return "" if transport in PATTERNS[pattern].transports else f"no {transport} transport"


def version(impl: str) -> str:
    """Python's own version: the sockets are part of it."""
    return f"Python {sys.version.split()[0]}"


def lacks(impl: str) -> list[str]:
    """Transports that may be lacking: `supports` says it all."""
    return []


def context(impl: str) -> dict[str, Any]:
    """The named queues of this process, for inproc addresses."""
    return {}


def open_side(impl: str, ctx: dict[str, Any], end: str, job: dict[str, Any], address: str | None = None) -> Side:
    """Open the "sender" or "receiver" end of the job's pattern: listening, or connected to `address`."""
    if job["transport"] == "inproc":
        return _queue_side(ctx, end, job, address is None)
    if address is None:
        return _listening_side(end, job)
    return _stream_side(_connect(address), end, Side())


def _queue_side(ctx: dict[str, Any], end: str, job: dict[str, Any], binds: bool) -> Side:
    hwm = job["params"].get("hwm") or 1000
    bounded = job["kind"] in ("oneway", "compute")
    forth, back = ctx.setdefault(
        job["address"],
        (queue.Queue(2 * hwm) if bounded else queue.SimpleQueue(), queue.SimpleQueue()),
    )
    outgoing, incoming = (forth, back) if end == "sender" else (back, forth)
    return Side(send=outgoing.put, recv=incoming.get, address=job["address"] if binds else "")


def _listening_side(end: str, job: dict[str, Any]) -> Side:
    if job["transport"] == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = job["address"].removeprefix("ipc://")
        listener.bind(path)
        listener.listen()
        address = job["address"]
    side = Side(address=address, extra={"listener": listener})
    peers = job["params"].get("peers", 1)

    def accept() -> None:
        connections = [_tuned(listener.accept()[0]) for _ in range(peers)]
        if job["pattern"] == "pubsub":
            side.send = _fan_out([_sender(c) for c in connections])
        else:
            _stream_side(connections[0], end, side)

    # the connecting side is only told the address after this side exists, so accepting waits until the traffic starts
    side.meet = side.greet = accept
    return side


def _connect(address: str) -> socket.socket:
    if address.startswith("ipc://"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(address.removeprefix("ipc://"))
        return sock
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    return _tuned(socket.create_connection((host, int(port))))


def _tuned(sock: socket.socket) -> socket.socket:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _stream_side(sock: socket.socket, end: str, side: Side) -> Side:
    side.socket, side.send, side.recv = sock, _sender(sock), _receiver(sock)
    return side


def _sender(sock: socket.socket) -> Any:
    sendall, prefix = sock.sendall, _LENGTH.pack

    def send(data: bytes) -> None:
        if len(data) < _JOIN_LIMIT:
            sendall(prefix(len(data)) + data)
        else:
            sendall(prefix(len(data)))
            sendall(data)

    return send


def _receiver(sock: socket.socket) -> Any:
    read = os.fdopen(os.dup(sock.fileno()), "rb", buffering=1 << 16).read
    length = _LENGTH.unpack

    def recv() -> bytes:
        return read(length(read(4))[0])

    return recv


def _fan_out(senders: list[Any]) -> Any:
    def send(data: bytes) -> None:
        for one in senders:
            one(data)

    return send
