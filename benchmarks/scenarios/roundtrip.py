"""One request, one reply, one at a time: every round trip is timed at the client.

The server sends back what it received. Replies are compared with the request: all of them up to 4 KB, above that one
in sixteen, sampled. Parameter `embedded`: loops without Python, all replies compared in full.
"""

from __future__ import annotations

import time
from array import array
from typing import Any

from .. import embedded
from ..adapters import Side, adapter
from ..link import Link
from ..patterns import PATTERNS
from .payload import ContentError, Payload, same
from .percentiles import summary

_ALWAYS_COMPARED = 1 << 12
_SELDOM = 16  # one in so many replies is compared above that size
_PREPARED = 4  # requests that take turns, so that a stale reply is noticed
_WARM_TRIPS = 50


def client(link: Link, context: Any) -> dict[str, Any]:
    """Sends requests and times the replies."""
    return ask(link, context, "main")


def server(link: Link, context: Any) -> dict[str, Any]:
    """Sends back what it receives until the stop message."""
    return answer(link, context, None)


def ask(link: Link, context: Any, via: str) -> dict[str, Any]:
    """The client, connected to the address published as `via`."""
    impl = adapter(link.job["impl"])
    side = impl.open_side(link.job["impl"], context, "sender", link.job, link.bus.address(via))
    link.kept.append(side)
    return ask_with(link, side, Payload(link.job["size"]))


def ask_with(link: Link, side: Side, payload: Payload) -> dict[str, Any]:
    """The client, with a side that is open."""
    link.tell(b"R")
    side.meet()
    send, recv = side.send, side.recv
    for request in payload.varied()[:_WARM_TRIPS]:
        send(request)
        if recv() != request:
            raise ContentError(f"a reply of {len(request)} bytes differs from its request")
    trips = _trips_embedded if link.params.get("embedded") else _trips
    link.ready()
    with link.measured():
        times, wrong = trips(link, side, payload)
        send(payload.stop)
        recv()
    if wrong:
        raise ContentError(f"{wrong} replies differed from their requests")
    return summary(times) | {"trips": len(times), "seconds": sum(times) / 1e9}


def _requests(payload: Payload) -> list[bytes]:
    return [payload.marks[k % len(payload.marks)] for k in range(_PREPARED)]


def _trips_embedded(link: Link, side: Side, payload: Payload) -> tuple[array, int]:
    warm_ns, run_ns = int(link.job["warm_s"] * 1e9), int(link.job["run_s"] * 1e9)
    return embedded.loops().End(side.socket).ask(_requests(payload), warm_ns, run_ns)


def _trips(link: Link, side: Side, payload: Payload) -> tuple[array, int]:
    clock, size, send, recv = time.perf_counter_ns, link.job["size"], side.send, side.recv
    warm_end = time.perf_counter_ns() + int(link.job["warm_s"] * 1e9)
    until = warm_end + int(link.job["run_s"] * 1e9)
    every = 1 if size <= _ALWAYS_COMPARED else _SELDOM
    requests = _requests(payload)
    times, wrong, number, done = array("q"), 0, 0, 0
    note = times.append
    while done < until:
        request = requests[number % _PREPARED]
        began = clock()
        send(request)
        reply = recv()
        done = clock()
        if done >= warm_end:
            note(done - began)
        if number % every == 0 and not same(reply, request):
            wrong += 1
        number += 1
    if not times:
        note(done - began)
    return times, wrong


def answer(link: Link, context: Any, via: str | None) -> dict[str, Any]:
    """The server: bound under "main", or connected to the address published as `via`."""
    impl = adapter(link.job["impl"])
    address = None if via is None else link.bus.address(via)
    side = impl.open_side(link.job["impl"], context, "receiver", link.job, address)
    link.kept.append(side)
    if via is None:
        link.bus.publish("main", side.address)
    return answer_with(link, side, Payload(link.job["size"]))


def answer_with(link: Link, side: Side, payload: Payload) -> dict[str, Any]:
    """The server, with a side that is open."""
    link.hear(b"R")
    side.greet()
    stop = payload.stop
    send, recv = side.send, side.recv
    for _ in range(len(payload.varied()[:_WARM_TRIPS])):
        send(recv())
    link.ready()
    with link.measured():
        if link.params.get("embedded"):
            embedded.loops().End(side.socket).answer(stop)
            return {}
        while True:
            message = recv()
            send(message)
            if (message if type(message) is bytes else message[-1]) == stop:
                break
    return {}


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The two sides."""
    if PATTERNS[pattern].flow != "blocking":
        raise ValueError(f"{pattern} cannot carry round trips")
    return (("client", client), ("server", server))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Latency percentiles, round trips per second."""
    got = results["client"]
    trips, wall = got["trips"], got["wall_s"]
    values = {name: got[name] for name in ("p50_us", "p99_us", "p999_us", "mean_us")}
    # CPU seconds cover the warm-up too: scale the counted trips to the whole timed part
    return values | {"rate": trips / got["seconds"], "operations": max(1.0, trips * wall / got["seconds"])}
