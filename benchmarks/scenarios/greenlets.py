"""Sockets of gevent: one way and round trips, in one greenlet on each side.

Parameter `shape`: "oneway" or "roundtrip". The loops are those of the plain sockets.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..adapters import Side, zmqlike
from ..link import Link
from ..patterns import PATTERNS
from . import flow, oneway, roundtrip
from .payload import Payload


def _side(link: Link, end: str) -> Side:
    zmq = zmqlike.module(link.job["impl"])
    green = importlib.import_module(f"{zmq.__name__}.green")
    pattern = PATTERNS[link.job["pattern"]]
    sock = green.Context.instance().socket(getattr(zmq, getattr(pattern, end)))
    side = Side(socket=sock, send=sock.send, recv=sock.recv)
    link.kept.append(side)
    if end == "receiver":
        side.address = zmqlike.attach(zmq, sock, link.job, True, "")
        link.bus.publish("main", side.address)
    else:
        sock.connect(link.bus.address("main"))
    return side


def first(link: Link, context: Any) -> dict[str, Any]:
    """Sends, or asks."""
    side = _side(link, "sender")
    payload = Payload(link.job["size"])
    if link.params["shape"] == "roundtrip":
        return roundtrip.ask_with(link, side, payload)
    chunk = flow.chunk_for(link.job)
    flow.introduce(link, side, payload)
    start = link.ready()
    with link.measured():
        stamps = flow.pump(link, side, payload, chunk, start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9))
        flow.finish(link, side, payload, chunk)
    return {"start": start, "stamps": stamps.tolist()}


def second(link: Link, context: Any) -> dict[str, Any]:
    """Receives, or answers."""
    side = _side(link, "receiver")
    payload = Payload(link.job["size"])
    if link.params["shape"] == "roundtrip":
        return roundtrip.answer_with(link, side, payload)
    flow.welcome(link, [side], payload)
    link.ready()
    with link.measured():
        stamps = flow.drain(link, [side], payload, flow.chunk_for(link.job))
    return {"stamps": stamps.tolist()}


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """Who sends first, and the other."""
    return (("sender", first), ("receiver", second))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """As for plain sockets."""
    if job["params"]["shape"] == "roundtrip":
        return roundtrip.summarise(job, {"client": results["sender"]})
    return oneway.summarise(job, results)
