"""One side sends as fast as it can, another receives: PUSH/PULL, fan-out, and every other type that goes one way.

Parameters: `peers` receivers in the receiving process (1), `many` to use send_many/recv_many, `embedded` for loops
without Python (one receiver, flow "blocking"), `hwm`, `chunk`, and `flow`: "blocking" the type blocks at its high-water
mark; "credit" the receiver acknowledges every 200 messages and at most 800 are unacknowledged, for types that drop;
"lossy" nothing holds the sender back and what arrives counts.
"""

from __future__ import annotations

from typing import Any

from ..link import Link
from ..patterns import PATTERNS
from . import flow
from .payload import Payload


def send(link: Link, context: Any) -> dict[str, Any]:
    """The sending side."""
    side = flow.open_end(link, context, "sender", _binder(link) == "sender")
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    flow.introduce(link, side, payload)
    start = link.ready()
    with link.measured():
        stamps = flow.pump(link, side, payload, chunk, start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9))
        flow.finish(link, side, payload, chunk)
    return {"start": start, "stamps": stamps.tolist()}


def receive(link: Link, context: Any) -> dict[str, Any]:
    """The receiving side: one socket, or `peers` of them read in turn."""
    binds = _binder(link) == "receiver"
    sides = [flow.open_end(link, context, "receiver", binds) for _ in range(link.params.get("peers", 1))]
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    flow.welcome(link, sides, payload)
    link.ready()
    with link.measured():
        stamps = flow.drain(link, sides, payload, chunk)
    return {"stamps": stamps.tolist()}


def _binder(link: Link) -> str:
    if link.job["transport"] == "udp":
        return "receiver"
    return PATTERNS[link.job["pattern"]].binder


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The two sides."""
    return (("sender", send), ("receiver", receive))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Messages received per second, growth of the queues."""
    sent, got = results["sender"]["stamps"], results["receiver"]["stamps"]
    if job["params"]["flow"] != "lossy" and len(sent) != len(got):
        raise flow.ContentError(f"{len(sent)} chunks were sent, {len(got)} arrived")
    values = flow.rates(sent, got, results["sender"]["start"], job, job["params"].get("peers", 1))
    if job["params"]["flow"] == "lossy":
        values["lost_share"] = max(0.0, 1 - len(got) / len(sent))
        values["queued_share"] = 0.0
    return values
