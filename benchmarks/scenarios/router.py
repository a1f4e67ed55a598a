"""One ROUTER answering many DEALERs, all with requests outstanding: replies received per second.

The DEALERs live in one client process, which takes a reply and sends the next request, socket after socket. Every
reply is compared with its request. Parameters: `peers` DEALERs, `outstanding` requests per DEALER.
"""

from __future__ import annotations

import bisect
from array import array
from itertools import repeat
from typing import Any

from ..adapters import adapter
from ..link import Link
from . import flow
from .payload import ContentError, Payload

_LOOK_EVERY = 100  # replies between two looks at the clock


def server(link: Link, context: Any) -> dict[str, Any]:
    """The ROUTER: sends every request back to where it came from."""
    zmq = adapter(link.job["impl"])
    module = zmq.module(link.job["impl"])
    sock = zmq.new_socket(module, context, "ROUTER", link.job)
    link.kept.append(sock)
    link.bus.publish("main", zmq.attach(module, sock, link.job, True, ""))
    recv, send, stop = sock.recv_multipart, sock.send_multipart, Payload(link.job["size"]).stop
    link.hear(b"R")  # all DEALERs have had an answer
    for _ in repeat(None, link.params["peers"]):
        send(recv())
    link.ready()
    with link.measured():
        while True:
            message = recv()
            send(message)
            if message[-1] == stop:
                break
    return {}


def clients(link: Link, context: Any) -> dict[str, Any]:
    """The DEALERs."""
    zmq = adapter(link.job["impl"])
    module, address = zmq.module(link.job["impl"]), link.bus.address("main")
    payload = Payload(link.job["size"])
    link.tell(b"R")
    lanes = []
    for number in range(link.params["peers"]):
        sock = zmq.new_socket(module, context, "DEALER", link.job)
        zmq.attach(module, sock, link.job, False, address)
        request = b"%07d:" % number + payload.body[8:]
        link.kept.append(sock)
        lanes.append((sock.send, sock.recv, request))
    for send, _recv, request in lanes:
        send(request)
    for _send, recv, request in lanes:
        if recv() != request:
            raise ContentError("a reply differs from its request")
    start = link.ready()
    with link.measured():
        stamps = _ask(lanes, link.params["outstanding"], start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9))
        lanes[0][0](payload.stop)
        if lanes[0][1]() != payload.stop:
            raise ContentError("the last reply differs from its request")
    return {"start": start, "stamps": stamps.tolist()}


def _ask(lanes: list[Any], outstanding: int, until: int) -> array:
    stamps, replies, now = array("q"), 0, 0
    for send, _recv, request in lanes:
        for _ in repeat(None, outstanding):
            send(request)
    while now < until:
        for send, recv, request in lanes:
            reply = recv()
            if reply != request:
                raise ContentError("a reply differs from its request")
            send(request)
            replies += 1
            if replies == _LOOK_EVERY:
                replies = 0
                now = flow.clock()
                stamps.append(now)
    for _send, recv, _request in lanes:
        for _ in repeat(None, outstanding):
            recv()
    return stamps


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The two processes."""
    return (("clients", clients), ("server", server))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Replies per second, after the warm-up."""
    stamps, start = results["clients"]["stamps"], results["clients"]["start"]
    if len(stamps) < 2:
        raise ContentError("fewer than 200 replies arrived: the run is too short for this row")
    first = min(bisect.bisect_left(stamps, start + int(job["warm_s"] * 1e9)), len(stamps) - 2)
    seconds = (stamps[-1] - stamps[first]) / 1e9
    return {
        "rate": (len(stamps) - 1 - first) * _LOOK_EVERY / seconds,
        "operations": len(stamps) * _LOOK_EVERY,
        # outstanding requests at both ends of the window are equal: nothing is queued that was not before
        "queued_share": 0.0,
    }
