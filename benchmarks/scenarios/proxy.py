"""Messages through a proxy in a process of its own: producer -> proxy -> consumer, or client -> proxy -> server.

Pattern pushpull runs a streamer (PULL | PUSH), pubsub a forwarder (XSUB | XPUB), reqrep a queue (ROUTER | DEALER).
"""

from __future__ import annotations

import threading
from typing import Any

from ..adapters import adapter
from ..link import Link
from . import flow, oneway, roundtrip
from .payload import Payload

_MIDDLE = {"pushpull": ("PULL", "PUSH"), "pubsub": ("XSUB", "XPUB"), "reqrep": ("ROUTER", "DEALER")}


def middle(link: Link, context: Any) -> dict[str, Any]:
    """The proxy: the library's own, on a thread, while this one waits for the results to be in."""
    zmq = adapter(link.job["impl"])
    module = zmq.module(link.job["impl"])
    sides = []
    for name, kind in zip(("front", "back"), _MIDDLE[link.job["pattern"]], strict=True):
        sock = zmq.new_socket(module, context, kind, link.job)
        here = link.job | {"address": f"{link.job['address']}-{name}"}
        link.bus.publish(name, zmq.attach(module, sock, here, True, ""))
        sides.append(sock)
    link.kept += sides
    threading.Thread(target=module.proxy, args=tuple(sides), daemon=True, name="proxy").start()
    link.ready()
    with link.measured():
        link.bus.stopped()
    return {}


def produce(link: Link, context: Any) -> dict[str, Any]:
    """Sends into the front of the proxy."""
    side = flow.open_end(link, context, "sender", False, "front")
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    flow.introduce(link, side, payload)
    start = link.ready()
    with link.measured():
        stamps = flow.pump(link, side, payload, chunk, start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9))
        flow.finish(link, side, payload, chunk)
    return {"start": start, "stamps": stamps.tolist()}


def consume(link: Link, context: Any) -> dict[str, Any]:
    """Receives from the back of the proxy."""
    side = flow.open_end(link, context, "receiver", False, "back")
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    flow.welcome(link, [side], payload)
    link.ready()
    with link.measured():
        stamps = flow.drain(link, [side], payload, chunk)
    return {"stamps": stamps.tolist()}


def ask(link: Link, context: Any) -> dict[str, Any]:
    """The client in front of the proxy."""
    return roundtrip.ask(link, context, "front")


def answer(link: Link, context: Any) -> dict[str, Any]:
    """The server behind the proxy."""
    return roundtrip.answer(link, context, "back")


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """Three processes, the proxy in the middle."""
    if pattern == "reqrep":
        return (("client", ask), ("proxy", middle), ("server", answer))
    return (("sender", produce), ("proxy", middle), ("receiver", consume))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """As without a proxy."""
    return (roundtrip if job["pattern"] == "reqrep" else oneway).summarise(job, results)


HELPERS = ("proxy",)
"""Roles that run until the others have delivered their results."""
