"""pynng: the patterns that exist in nng, over its own wire protocol."""

from __future__ import annotations

import importlib
from typing import Any

from ..patterns import PATTERNS
from . import Side

_CLASSES = {
    "pushpull": ("Push0", "Pull0"),
    "pair": ("Pair0", "Pair0"),
    "pubsub": ("Pub0", "Sub0"),
    "reqrep": ("Req0", "Rep0"),
}
_LARGEST_BUFFER = 8192  # messages; nng refuses more


def supports(impl: str, pattern: str, transport: str) -> str:
    """Empty, or why pynng cannot run `pattern` over `transport`."""
    if pattern not in _CLASSES:
        return "pattern does not exist in nng"
    return "" if transport in PATTERNS[pattern].transports else f"no {transport} transport"


def version(impl: str) -> str:
    """The version of pynng; ImportError when it is not installed."""
    return str(importlib.import_module("pynng").__version__)


def lacks(impl: str) -> list[str]:
    """Transports that a build of pynng may lack: `supports` says it all."""
    return []


def context(impl: str) -> Any:
    """nng keeps its state per process: nothing is shared explicitly."""
    return None


def open_side(impl: str, ctx: Any, end: str, job: dict[str, Any], address: str | None = None) -> Side:
    """Open the "sender" or "receiver" end of the job's pattern: listening, or dialled to `address`."""
    pynng = importlib.import_module("pynng")
    name = _CLASSES[job["pattern"]][0 if end == "sender" else 1]
    options: dict[str, Any] = {}
    if name == "Sub0":
        options["topics"] = b""
    sock = getattr(pynng, name)(**options)
    _size_buffers(sock, name, min(job["params"].get("hwm") or 1000, _LARGEST_BUFFER))
    sock.recv_max_size = 0
    side = Side(socket=sock)
    if name not in ("Sub0", "Pull0"):
        side.send = sock.send
    if name not in ("Pub0", "Push0"):
        side.recv = sock.recv
    if address is None:
        sock.listen(_nng_address(job))
        side.address = _nng_listening(sock, job)
    else:
        sock.dial(address, block=True)
    return side


def _size_buffers(sock: Any, name: str, messages: int) -> None:
    """nng's buffers are its high-water marks; request and reply sockets have none to set."""
    if name in ("Req0", "Rep0"):
        return
    if name not in ("Sub0", "Pull0"):
        sock.send_buffer_size = messages
    if name not in ("Pub0", "Push0"):
        sock.recv_buffer_size = messages


def _nng_address(job: dict[str, Any]) -> str:
    return "tcp://127.0.0.1:0" if job["transport"] == "tcp" else job["address"]


def _nng_listening(sock: Any, job: dict[str, Any]) -> str:
    if job["transport"] != "tcp":
        return job["address"]
    port = int(sock.listeners[0].local_address.port)
    # the address comes in network byte order
    return f"tcp://127.0.0.1:{int.from_bytes(port.to_bytes(2, 'little'), 'big')}"
