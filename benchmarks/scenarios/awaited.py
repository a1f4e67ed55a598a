"""Sockets of asyncio: one way as fast as plain awaits go, round trips, and many sockets with little to do in one loop.

Parameters: `loop` ("stock" or "uvloop"); `shape`: "oneway", "roundtrip", or "trickle", where the receiving process
awaits `sockets` of them in a task each, and a process with plain blocking sockets sends to one after the other, `per_s`
messages a second in all. What counts for a trickle is how many messages a second of the receiver's CPU time delivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from array import array
from itertools import repeat
from typing import Any

from ..adapters import zmqlike
from ..link import Link
from ..patterns import PATTERNS
from . import flow, roundtrip
from .payload import ContentError, Payload, same
from .percentiles import summary

_WARM_TRIPS = 50
clock = time.monotonic_ns


def _run(link: Link, main: Any) -> dict[str, Any]:
    if link.params["loop"] == "uvloop":
        loop = importlib.import_module("uvloop").new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(main)


def _socket(link: Link, kind: str, address: str | None = None) -> Any:
    """Bound and published, or connected."""
    zmq = zmqlike.module(link.job["impl"])
    made = importlib.import_module(f"{zmq.__name__}.asyncio").Context.instance().socket(getattr(zmq, kind))
    link.kept.append(made)
    if address is not None:
        made.connect(address)
        return made
    link.bus.publish("main", zmqlike.attach(zmq, made, link.job, True, ""))
    return made


# one way


def send(link: Link, context: Any) -> dict[str, Any]:
    """Awaits every send."""
    return _run(link, _send(link))


async def _send(link: Link) -> dict[str, Any]:
    sock = _socket(link, PATTERNS[link.job["pattern"]].sender, link.bus.address("main"))
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    for message in payload.varied():
        await sock.send(message)
    link.hear(b"V")
    stamps, body, marks, now, number = array("q"), payload.body, payload.marks, 0, 0
    start = link.ready()
    until = start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9)
    with link.measured():
        while now < until:
            for _ in repeat(None, chunk - 1):
                await sock.send(body)
            await sock.send(marks[number % len(marks)])
            number += 1
            now = clock()
            stamps.append(now)
        for _ in repeat(None, chunk):
            await sock.send(payload.stop)
        link.hear(b"E")
    return {"start": start, "stamps": stamps.tolist()}


def receive(link: Link, context: Any) -> dict[str, Any]:
    """Awaits every message."""
    return _run(link, _receive(link))


async def _receive(link: Link) -> dict[str, Any]:
    sock = _socket(link, PATTERNS[link.job["pattern"]].receiver)
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    for wanted in payload.varied():
        if await sock.recv() != wanted:
            raise ContentError("a message arrived changed or out of order")
    link.tell(b"V")
    stamps, last = array("q"), payload.body
    link.ready()
    with link.measured():
        while True:
            for _ in repeat(None, chunk - 1):
                last = await sock.recv()
            mark = await sock.recv()
            if mark == payload.stop:
                link.tell(b"E")
                return {"stamps": stamps.tolist()}
            if last != payload.body or mark != payload.mark(len(stamps)):
                raise ContentError(f"chunk {len(stamps)} did not arrive as sent")
            stamps.append(clock())


# round trips


def ask(link: Link, context: Any) -> dict[str, Any]:
    """The client: every round trip is timed."""
    return _run(link, _ask(link))


async def _ask(link: Link) -> dict[str, Any]:
    sock = _socket(link, PATTERNS[link.job["pattern"]].sender, link.bus.address("main"))
    payload = Payload(link.job["size"])
    for request in payload.varied()[:_WARM_TRIPS]:
        await sock.send(request)
        if await sock.recv() != request:
            raise ContentError("a reply differs from its request")
    start = link.ready()
    warm_end = clock() + int(link.job["warm_s"] * 1e9)
    until, done, times, number = warm_end + int(link.job["run_s"] * 1e9), 0, array("q"), 0
    with link.measured():
        while done < until or not times:
            request = payload.marks[number % 4]
            began = clock()
            await sock.send(request)
            reply = await sock.recv()
            done = clock()
            if done >= warm_end:
                times.append(done - began)
            if not same(reply, request):
                raise ContentError("a reply differs from its request")
            number += 1
        await sock.send(payload.stop)
        await sock.recv()
    return summary(times) | {"trips": len(times), "seconds": sum(times) / 1e9, "start": start}


def answer(link: Link, context: Any) -> dict[str, Any]:
    """The server sends back what it receives."""
    return _run(link, _answer(link))


async def _answer(link: Link) -> dict[str, Any]:
    sock = _socket(link, PATTERNS[link.job["pattern"]].receiver)
    payload = Payload(link.job["size"])
    for _ in payload.varied()[:_WARM_TRIPS]:
        await sock.send(await sock.recv())
    link.ready()
    with link.measured():
        while True:
            message = await sock.recv()
            await sock.send(message)
            if message == payload.stop:
                return {}


# a trickle on many sockets


def trickle(link: Link, context: Any) -> dict[str, Any]:
    """Sends one message after the other at even distances, to one socket after the other."""
    zmq = zmqlike.module(link.job["impl"])
    socks = []
    for address in link.bus.address("main").split():
        sock = context.socket(zmq.PUSH)
        sock.connect(address)
        sock.send(b"first")
        socks.append(sock)
    link.kept.append(socks)
    link.hear(b"V")
    body, number, pause = Payload(link.job["size"]).body, 0, 1e9 / link.params["per_s"]
    start = link.ready()
    count = int((link.job["warm_s"] + link.job["run_s"]) * link.params["per_s"])
    with link.measured():
        while number < count:
            due = start + int(number * pause)
            left = due - clock()
            if left > 0:
                time.sleep(left / 1e9)
            socks[number % len(socks)].send(body)
            number += 1
        for sock in socks:
            sock.send(b"end")
        link.hear(b"E")
    return {"sent": count}


def await_all(link: Link, context: Any) -> dict[str, Any]:
    """A task for every socket."""
    return _run(link, _await_all(link))


async def _await_all(link: Link) -> dict[str, Any]:
    zmq = zmqlike.module(link.job["impl"])
    made = importlib.import_module(f"{zmq.__name__}.asyncio").Context.instance()
    socks = [made.socket(zmq.PULL) for _ in range(link.params["sockets"])]
    link.kept.append(socks)
    link.bus.publish("main", " ".join(zmqlike.attach(zmq, sock, link.job, True, "") for sock in socks))
    for sock in socks:
        if await sock.recv() != b"first":
            raise ContentError("something came before the first message")
    link.tell(b"V")
    counts = [0] * len(socks)

    async def one(number: int) -> None:
        while await socks[number].recv() != b"end":
            counts[number] += 1

    # Making tasks is not what is measured.
    tasks = [asyncio.ensure_future(one(number)) for number in range(len(socks))]
    await asyncio.sleep(0)
    link.ready()
    with link.measured():
        await asyncio.gather(*tasks)
    link.tell(b"E")
    return {"received": sum(counts), "cpu": link.usage["cpu_s"]}


_SHAPES = {
    "oneway": (("sender", send), ("receiver", receive)),
    "roundtrip": (("client", ask), ("server", answer)),
    "trickle": (("sender", trickle), ("receiver", await_all)),
}


def _shape_of(link: Link, context: Any, first: bool) -> dict[str, Any]:
    roles = _SHAPES[link.params["shape"]]
    return roles[0 if first else 1][1](link, context)


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """Who sends first, and the other."""
    return (
        ("sender", lambda link, context: _shape_of(link, context, True)),
        ("receiver", lambda link, context: _shape_of(link, context, False)),
    )


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Rates, percentiles, or messages per second of CPU time."""
    first, second = results["sender"], results["receiver"]
    if job["params"]["shape"] == "oneway":
        if len(first["stamps"]) != len(second["stamps"]):
            raise flow.ContentError(f"{len(first['stamps'])} chunks were sent, {len(second['stamps'])} arrived")
        return flow.rates(first["stamps"], second["stamps"], first["start"], job)
    if job["params"]["shape"] == "roundtrip":
        return roundtrip.summarise(job, {"client": first})
    if first["sent"] != second["received"]:
        raise flow.ContentError(f"{first['sent']} messages were sent, {second['received']} arrived")
    values = {"operations": second["received"]}
    with contextlib.suppress(ZeroDivisionError):
        values["per_cpu_s"] = second["received"] / second["cpu"]
    return values
