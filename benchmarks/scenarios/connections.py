"""Many connections to one ROUTER: how long until each has delivered a message, and what each costs in memory.

The clients are DEALERs in one process. Time runs from the first socket's creation until the ROUTER has one message from
every client. Memory is resident memory after minus before, in either process, divided by the number of connections.
Parameter `peers`: how many.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from .. import machine
from ..adapters import adapter
from ..link import Link
from .payload import ContentError

_DESCRIPTORS_EACH = 4  # a generous bound of descriptors per connection, in either process


def server(link: Link, context: Any) -> dict[str, Any]:
    """The ROUTER: one message from each client, then an answer to each."""
    _check_limit(link.params["peers"])
    zmq = adapter(link.job["impl"])
    module = zmq.module(link.job["impl"])
    sock = zmq.new_socket(module, context, "ROUTER", link.job)
    link.kept.append(sock)
    link.bus.publish("main", zmq.attach(module, sock, link.job, True, ""))
    sock.send_multipart(sock.recv_multipart())  # one connection is warm: what is made once is made
    link.ready()
    before = _settled()
    with link.measured():
        peers, seen = link.params["peers"], {}
        for _ in range(peers):
            identity, body = sock.recv_multipart()
            seen[identity] = body
        link.tell(b"C")
    after = _settled()
    if len(seen) != peers or sorted(seen.values()) != sorted(b"%07d" % k for k in range(peers)):
        raise ContentError(f"{len(seen)} of {peers} clients delivered their message")
    for identity, body in seen.items():
        sock.send_multipart([identity, body])
    link.hear(b"D")
    return {"memory": _grown(before, after)}


def clients(link: Link, context: Any) -> dict[str, Any]:
    """The DEALERs."""
    _check_limit(link.params["peers"])
    zmq = adapter(link.job["impl"])
    module, address = zmq.module(link.job["impl"]), link.bus.address("main")
    first = zmq.new_socket(module, context, "DEALER", link.job)
    zmq.attach(module, first, link.job, False, address)
    first.send(b"first")
    if first.recv() != b"first":
        raise ContentError("the first reply differs from its request")
    link.ready()
    before, socks = _settled(), link.kept
    socks.append(first)
    warm = len(socks)
    with link.measured():
        began = time.monotonic()
        for number in range(link.params["peers"]):
            sock = zmq.new_socket(module, context, "DEALER", link.job)
            zmq.attach(module, sock, link.job, False, address)
            sock.send(b"%07d" % number)
            socks.append(sock)
        link.hear(b"C")
        seconds = time.monotonic() - began
    after = _settled()
    for number, sock in enumerate(socks[warm:]):
        if sock.recv() != b"%07d" % number:
            raise ContentError(f"the reply to client {number} differs from its request")
    link.tell(b"D")
    return {"seconds": seconds, "memory": _grown(before, after)}


def _check_limit(peers: int) -> None:
    limit = machine.raise_descriptor_limit()
    if limit < _DESCRIPTORS_EACH * peers:
        raise OSError(f"the limit of open descriptors is {limit}; {_DESCRIPTORS_EACH * peers} are needed")


def _settled() -> int | None:
    gc.collect()
    return machine.resident_bytes()


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The two processes."""
    return (("clients", clients), ("server", server))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Time for all, memory per connection on each side."""
    peers = job["params"]["peers"]
    values = {"connect_ms": results["clients"]["seconds"] * 1e3, "operations": peers}
    for role in ("clients", "server"):
        grown = results[role]["memory"]
        if grown is not None:
            values[f"{role}_kb"] = grown / peers / 1024
    return values
