"""STREAM to STREAM: bytes without boundaries. Counted in messages of the row's size, compared by position.

The traffic is one body repeated for ever, so any received piece must equal the same stretch of the repetition.
"""

from __future__ import annotations

import os
from array import array
from itertools import repeat
from typing import Any

from ..link import Link
from . import flow
from .payload import ContentError, Payload

_COMPARE_EVERY = 16  # pieces


def send(link: Link, context: Any) -> dict[str, Any]:
    """Sends the body over and over until the time is up, then says how many times it did."""
    side = flow.open_end(link, context, "sender", False)
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    side.meet()
    send_one, body = side.send, payload.body
    send_one(payload.probe)
    link.hear(b"C")
    start = link.ready()
    until, now, stamps = start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9), 0, array("q")
    with link.measured():
        while now < until:
            for _ in repeat(None, chunk):
                send_one(body)
            now = flow.clock()
            stamps.append(now)
        link.tell(b"%20d" % ((len(stamps) + 1) * chunk))
        for _ in repeat(None, chunk):  # the receiver looks for the announcement after each chunk: one more
            send_one(body)
        link.hear(b"E")
    return {"start": start, "stamps": stamps.tolist()}


def receive(link: Link, context: Any) -> dict[str, Any]:
    """Takes whatever pieces arrive and keeps the position in the repetition."""
    side = flow.open_end(link, context, "receiver", True)
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    side.meet()
    recv, size = side.recv, payload.size
    taken = 0
    while taken < size:
        taken += len(recv())
    link.tell(b"C")
    link.ready()
    pattern = payload.body * (2 + (1 << 18) // size)  # longer than any piece whose comparison is due
    stamps, position, pieces = array("q"), 0, 0
    next_stamp, step, total = chunk * size, chunk * size, None
    os.set_blocking(link.aux, False)
    with link.measured():
        while total is None or position < total:
            piece = recv()
            pieces += 1
            if pieces % _COMPARE_EVERY == 0:
                offset = position % size
                length = min(len(piece), len(pattern) - offset)
                if piece[:length] != pattern[offset : offset + length]:
                    raise ContentError(f"the bytes from position {position} on differ from what was sent")
            position += len(piece)
            if position >= next_stamp:
                now = flow.clock()
                while position >= next_stamp:
                    stamps.append(now)
                    next_stamp += step
                total = total or _announced(link, size)
        link.tell(b"E")
    if position != total:
        raise ContentError(f"{total} bytes were sent, {position} arrived")
    return {"stamps": stamps.tolist()}


def _announced(link: Link, size: int) -> int | None:
    """How many bytes the sender has sent in all, once it has said so."""
    try:
        return int(os.read(link.aux, 20)) * size
    except BlockingIOError:
        return None


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The two sides."""
    return (("sender", send), ("receiver", receive))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Messages of the row's size received per second."""
    return flow.rates(results["sender"]["stamps"], results["receiver"]["stamps"], results["sender"]["start"], job)
