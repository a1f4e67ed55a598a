"""ZMQStream on tornado's loop, which is asyncio's stock one: messages handed to a callback, and round trips.

Parameter `shape`: "oneway", where a plain blocking socket sends to a stream, or "roundtrip", a stream on each side. The
callbacks are functions that look at the message and return.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from array import array
from typing import Any

from ..adapters import Side, zmqlike
from ..link import Link
from . import flow, oneway, roundtrip
from .payload import ContentError, Payload, same
from .percentiles import summary

_WARM_TRIPS = 50
clock = time.monotonic_ns


def _stream(link: Link, sock: Any) -> Any:
    """A stream of the implementation in the loop that runs."""
    zmq = zmqlike.module(link.job["impl"])
    stream = importlib.import_module(f"{zmq.__name__}.eventloop.zmqstream").ZMQStream(sock)
    link.kept.append(stream)
    return stream


class _Outcome:
    """What a role waits for while callbacks do its work: their first failure, or that they are through."""

    def __init__(self) -> None:
        self._future = asyncio.get_running_loop().create_future()

    def fail(self, text: str) -> None:
        if not self._future.done():
            self._future.set_exception(ContentError(text))

    def reached(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        await self._future


# one way


def receive(link: Link, context: Any) -> dict[str, Any]:
    """A callback counts and compares. The untimed messages come before there is a stream."""
    side = flow.open_end(link, context, "receiver", True)
    flow.welcome(link, [side], Payload(link.job["size"]))
    return {"stamps": asyncio.run(_receive(link, side)).tolist()}


async def _receive(link: Link, side: Side) -> array:
    payload, chunk, outcome = Payload(link.job["size"]), flow.chunk_for(link.job), _Outcome()
    stamps, last, left = array("q"), payload.body, chunk

    def hear(parts: list[bytes]) -> None:
        nonlocal last, left
        left -= 1
        if left:
            last = parts[0]
            return
        left, mark = chunk, parts[0]
        if mark == payload.stop:
            outcome.reached()
        elif last != payload.body or mark != payload.mark(len(stamps)) or len(parts) != 1:
            outcome.fail(f"chunk {len(stamps)} did not arrive as sent")
        else:
            stamps.append(clock())

    stream = _stream(link, side.socket)
    link.ready()
    with link.measured():
        stream.on_recv(hear)
        await outcome.wait()
        link.tell(b"E")
    stream.stop_on_recv()
    return stamps


# round trips


def ask(link: Link, context: Any) -> dict[str, Any]:
    """The client: the callback times the trip and sends the next request."""
    side = flow.open_end(link, context, "sender", False)
    return asyncio.run(_ask(link, side.socket))


async def _ask(link: Link, sock: Any) -> dict[str, Any]:
    payload, stream = Payload(link.job["size"]), _stream(link, sock)
    for request in payload.varied()[:_WARM_TRIPS]:
        got = asyncio.get_running_loop().create_future()
        stream.on_recv(got.set_result)
        stream.send(request)
        if await got != [request]:
            raise ContentError("a reply differs from its request")
    outcome, times, number, began, request = _Outcome(), array("q"), 0, 0, b""
    start = link.ready()
    warm_end = clock() + int(link.job["warm_s"] * 1e9)
    until = warm_end + int(link.job["run_s"] * 1e9)

    def trip() -> None:
        nonlocal began, request, number
        request = payload.marks[number % 4]
        number += 1
        began = clock()
        stream.send(request)

    def hear(parts: list[bytes]) -> None:
        done = clock()
        if done >= warm_end:
            times.append(done - began)
        if not same(parts[0], request):
            outcome.fail("a reply differs from its request")
        elif done < until or not times:
            trip()
        else:
            outcome.reached()

    with link.measured():
        stream.on_recv(hear)
        trip()
        await outcome.wait()
        ended = asyncio.get_running_loop().create_future()
        stream.on_recv(ended.set_result)
        stream.send(payload.stop)
        await ended
    return summary(times) | {"trips": len(times), "seconds": sum(times) / 1e9, "start": start}


def answer(link: Link, context: Any) -> dict[str, Any]:
    """The server: the callback sends back what it gets."""
    side = flow.open_end(link, context, "receiver", True)
    return asyncio.run(_answer(link, side.socket))


async def _answer(link: Link, sock: Any) -> dict[str, Any]:
    payload, stream = Payload(link.job["size"]), _stream(link, sock)
    outcome, warm, left = _Outcome(), _Outcome(), len(payload.varied()[:_WARM_TRIPS])

    def hear(parts: list[bytes]) -> None:
        nonlocal left
        stream.send_multipart(parts)
        left -= 1
        if left == 0:
            warm.reached()
        elif parts[0] == payload.stop:
            outcome.reached()

    stream.on_recv(hear)
    await warm.wait()
    link.ready()
    with link.measured():
        await outcome.wait()
        while stream.sending():  # pyzmq's sends in a later turn
            await asyncio.sleep(0)
    return {}


_SHAPES = {
    "oneway": (oneway.send, receive),
    "roundtrip": (ask, answer),
}


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """Who sends first, and the other."""
    return (
        ("sender", lambda link, context: _SHAPES[link.params["shape"]][0](link, context)),
        ("receiver", lambda link, context: _SHAPES[link.params["shape"]][1](link, context)),
    )


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """As for plain sockets."""
    if job["params"]["shape"] == "oneway":
        return oneway.summarise(job, results)
    return roundtrip.summarise(job, {"client": results["sender"]})
