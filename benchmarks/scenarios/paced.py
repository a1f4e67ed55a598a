"""One-way latency of messages sent at a given rate, by a sender that sleeps to each deadline.

A busy-waiting sender on a machine with few cores measures the scheduler (both sides on one CPU, a queue of runnable
tasks), so the sender sleeps with the least timer slack and sends what is due. Every message carries its deadline and
the moment of its send; latency is counted from the send ("p50_us") and from the deadline ("deadline_p50_us"), the
difference is the sender's lateness. Parameter `rate`: messages per second.
"""

from __future__ import annotations

import struct
import time
from array import array
from typing import Any

from .. import machine
from ..link import Link
from ..patterns import PATTERNS
from . import flow
from .payload import ContentError, Payload
from .percentiles import summary

_HEAD = struct.Struct("<qqq")  # number of the message, its deadline, the moment of its send (monotonic clock, ns)


def send(link: Link, context: Any) -> dict[str, Any]:
    """The sleeping sender."""
    side = flow.open_end(link, context, "sender", PATTERNS[link.job["pattern"]].binder == "sender")
    payload = Payload(link.job["size"])
    flow.introduce(link, side, payload)
    machine.exact_sleep()
    start = link.ready()
    with link.measured():
        count = _paced(side.send, payload, link.params["rate"], start, link.job["warm_s"] + link.job["run_s"])
        side.send(payload.stop)
        link.hear(b"E")
    return {"start": start, "count": count}


def _paced(put: Any, payload: Payload, rate: float, start: int, seconds: float) -> int:
    clock, sleep, pack = flow.clock, time.sleep, _HEAD.pack
    period, total, tail = 1e9 / rate, int(rate * seconds), payload.body[_HEAD.size :]
    number = 0
    while number < total:
        deadline = start + int(number * period)
        now = clock()
        if now < deadline:
            sleep((deadline - now) / 1e9)
            continue
        put(pack(number, deadline, now) + tail)
        number += 1
    return total


def receive(link: Link, context: Any) -> dict[str, Any]:
    """Notes when each message arrived."""
    side = flow.open_end(link, context, "receiver", PATTERNS[link.job["pattern"]].binder == "receiver")
    payload = Payload(link.job["size"])
    flow.welcome(link, [side], payload)
    start = link.ready()
    recv, clock, stop = side.recv, flow.clock, payload.stop
    messages, times = [], array("q")
    with link.measured():
        while True:
            message = recv()
            times.append(clock())
            if message == stop:
                break
            messages.append(message)
        link.tell(b"E")
    return _latencies(link, payload, messages, times, start)


def _latencies(link: Link, payload: Payload, messages: list[bytes], times: array, start: int) -> dict[str, Any]:
    tail, opens = payload.body[_HEAD.size :], start + int(link.job["warm_s"] * 1e9)
    from_send, from_deadline, lateness = array("q"), array("q"), array("q")
    for expected, (message, arrived) in enumerate(zip(messages, times, strict=False)):
        number, deadline, sent = _HEAD.unpack_from(message)
        if number != expected or message[_HEAD.size :] != tail:
            raise ContentError(f"message {expected} was lost, repeated or changed")
        if deadline >= opens:
            from_send.append(arrived - sent)
            from_deadline.append(arrived - deadline)
            lateness.append(sent - deadline)
    return {
        "count": len(messages),
        **summary(from_send),
        **summary(from_deadline, "deadline_"),
        **summary(lateness, "lateness_"),
    }


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The two sides."""
    return (("sender", send), ("receiver", receive))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Latencies from send and from deadline, the sender's lateness."""
    got = results["receiver"]
    if got["count"] != results["sender"]["count"]:
        raise ContentError(f"{results['sender']['count']} messages were sent, {got['count']} arrived")
    return {name: value for name, value in got.items() if name.endswith("_us")} | {"operations": got["count"]}
