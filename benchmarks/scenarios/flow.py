"""The loops of one-way traffic, used by every scenario in which one side sends and another receives.

Both sides note the time after each chunk. The rate is taken at the receiver, over the chunks that fell into the window
between the end of the warm-up and the moment the sender stopped: only received messages count, and what was still
queued when the sender stopped does not. How much the queues grew or shrank in that window is reported beside it.
"""

from __future__ import annotations

import bisect
import os
import time
from array import array
from collections.abc import Callable
from itertools import repeat
from typing import Any

from .. import embedded
from ..adapters import Side, adapter
from ..link import Link
from .payload import ContentError, Payload, chunk_of, same

CREDIT_CHUNK = 200  # messages per chunk where the sender waits for credit
CREDIT_CHUNKS = 4  # chunks that may be unacknowledged
_PROBE_PAUSE = 0.002

clock = time.monotonic_ns


def chunk_for(job: dict[str, Any]) -> int:
    """Messages per chunk in this job."""
    explicit = job["params"].get("chunk")
    if explicit:
        return int(explicit)
    chunk = chunk_of(job["size"])
    return min(chunk, CREDIT_CHUNK) if job["params"]["flow"] != "blocking" else chunk


def open_end(link: Link, context: Any, end: str, binds: bool, name: str = "main") -> Side:
    """Open one end of the job's pattern, publishing or awaiting the address called `name`."""
    impl = adapter(link.job["impl"])
    side = impl.open_side(link.job["impl"], context, end, link.job, None if binds else link.bus.address(name))
    link.kept.append(side)
    if binds:
        link.bus.publish(name, side.address)
    return side


# the sending side


def introduce(link: Link, side: Side, payload: Payload) -> None:
    """Send probes until the receiver has one on every socket, then the messages it verifies in full."""
    link.hear(b"R")
    side.meet()
    os.set_blocking(link.aux, False)
    while True:
        side.send(payload.probe)
        try:
            if os.read(link.aux, 1) == b"C":
                break
        except BlockingIOError:
            time.sleep(_PROBE_PAUSE)
    os.set_blocking(link.aux, True)
    for message in payload.varied():
        side.send(message)
    link.hear(b"V")


def pump(link: Link, side: Side, payload: Payload, chunk: int, until: int) -> array:
    """Send chunk after chunk until the time `until`; returns the time after each."""
    if link.params.get("embedded"):
        return _pump_embedded(side, payload, chunk, until)
    if link.params.get("many"):
        return _pump_many(side.send_many, payload, chunk, until)
    if link.params.get("distinct"):
        return _pump_distinct(side.send, payload, chunk, until)
    if link.params["flow"] == "credit":
        return _pump_credit(link, side.send, payload, chunk, until)
    return _pump_plain(side.send, payload, chunk, until)


def _pump_plain(send: Callable[[bytes], Any], payload: Payload, chunk: int, until: int) -> array:
    stamps, body, marks, kinds = array("q"), payload.body, payload.marks, len(payload.marks)
    now = number = 0
    while now < until:
        for _ in repeat(None, chunk - 1):
            send(body)
        send(marks[number % kinds])
        number += 1
        now = clock()
        stamps.append(now)
    return stamps


def _pump_distinct(send: Callable[[bytes], Any], payload: Payload, chunk: int, until: int) -> array:
    stamps, now, messages = array("q"), 0, payload.distinct(chunk)
    while now < until:
        for message in messages:
            send(message)
        now = clock()
        stamps.append(now)
    return stamps


def _pump_many(send_many: Callable[[list[bytes]], Any], payload: Payload, chunk: int, until: int) -> array:
    stamps, number, now = array("q"), 0, 0
    batches = [[payload.body] * (chunk - 1) + [mark] for mark in payload.marks]
    while now < until:
        send_many(batches[number % len(batches)])
        number += 1
        now = clock()
        stamps.append(now)
    return stamps


def _pump_embedded(side: Side, payload: Payload, chunk: int, until: int) -> array:
    stamps, number, now, send_chunk = array("q"), 0, 0, embedded.loops().End(side.socket).send_chunk
    while now < until:
        send_chunk(payload.body, payload.mark(number), chunk)
        number += 1
        now = clock()
        stamps.append(now)
    return stamps


def _pump_credit(link: Link, send: Callable[[bytes], Any], payload: Payload, chunk: int, until: int) -> array:
    stamps, body, marks, kinds = array("q"), payload.body, payload.marks, len(payload.marks)
    aux, limit, outstanding = link.aux, link.params.get("credit_chunks", CREDIT_CHUNKS), 0
    now = number = 0
    while now < until:
        if outstanding == limit:
            outstanding -= len(os.read(aux, limit))
        for _ in repeat(None, chunk - 1):
            send(body)
        send(marks[number % kinds])
        number += 1
        outstanding += 1
        now = clock()
        stamps.append(now)
    while outstanding:
        outstanding -= len(os.read(aux, outstanding))
    return stamps


def finish(link: Link, side: Side, payload: Payload, chunk: int) -> None:
    """Tell the receiver in-band that the traffic has ended: a chunk of stop messages, repeated where some may drop."""
    if link.params["flow"] != "lossy":
        for _ in repeat(None, chunk):
            side.send(payload.stop)
        link.hear(b"E")
        return
    os.set_blocking(link.aux, False)
    while True:
        side.send(payload.stop)
        try:
            if os.read(link.aux, 1) == b"E":
                return
        except BlockingIOError:
            continue


# the receiving side


def welcome(link: Link, sides: list[Side], payload: Payload) -> None:
    """The receiver's half of `introduce`."""
    for side in sides:
        side.greet()
    link.tell(b"R")
    for side in sides:
        if side.recv() != payload.probe:
            raise ContentError("the first message is not the probe that was sent")
    link.tell(b"C")
    for side in sides:
        for wanted in payload.varied():
            got = side.recv()
            while got == payload.probe:
                got = side.recv()
            if got != wanted:
                raise ContentError(f"a message of {len(wanted)} bytes arrived changed or out of order")
    link.tell(b"V")


def drain(link: Link, sides: list[Side], payload: Payload, chunk: int) -> array:
    """Receive until the stop messages on every side, checking contents; returns the time after each chunk."""
    if link.params.get("embedded"):
        return _drain_embedded(link, sides[0], payload, chunk)
    if link.params.get("many"):
        return _drain_many(link, sides[0], payload, chunk)
    recvs = [side.recv for side in sides]
    lossy = link.params["flow"] == "lossy"
    aux = link.aux if link.params["flow"] == "credit" else None
    stamps, stop, body = array("q"), payload.stop, payload.body
    known = {body, stop, *payload.marks, *payload.distinct(chunk)} if lossy else set()
    last = body
    while True:
        stopped = 0
        wanted = body if lossy else payload.mark(len(stamps))
        for recv in recvs:
            for _ in repeat(None, chunk - 1):
                last = recv()
            mark = recv()
            if same(mark, stop):
                stopped += 1
            elif not (last in known and mark in known if lossy else same(last, body) and same(mark, wanted)):
                raise ContentError(f"chunk {len(stamps)} did not arrive as sent")
        if stopped:
            if stopped == len(recvs):
                link.tell(b"E")
                return stamps
            continue
        stamps.append(clock())
        if aux is not None:
            os.write(aux, b".")


def _drain_many(link: Link, side: Side, payload: Payload, chunk: int) -> array:
    recv_many, stamps = side.recv_many, array("q")
    while True:
        missing, wanted = chunk, payload.mark(len(stamps))
        while missing:
            batch = recv_many(missing)
            missing -= len(batch)
        if batch[-1] == payload.stop:
            link.tell(b"E")
            return stamps
        if batch[-1] != wanted or (len(batch) > 1 and batch[0] != payload.body):
            raise ContentError(f"chunk {len(stamps)} did not arrive as sent")
        stamps.append(clock())


def _drain_embedded(link: Link, side: Side, payload: Payload, chunk: int) -> array:
    recv_chunk, stamps = embedded.loops().End(side.socket).recv_chunk, array("q")
    while True:
        last, mark = recv_chunk(chunk)
        if mark == payload.stop:
            link.tell(b"E")
            return stamps
        if mark != payload.mark(len(stamps)) or last != payload.body:
            raise ContentError(f"chunk {len(stamps)} did not arrive as sent")
        stamps.append(clock())


# on the conductor's side


def rates(sent: list[int], received: list[int], start: int, job: dict[str, Any], peers: int = 1) -> dict[str, float]:
    """Rate at the receiver and growth of the queues, from the chunk times of both sides (ns)."""
    chunk = chunk_for(job)
    if len(received) < 2 or not sent:
        raise ContentError("fewer than two chunks arrived: the run is too short for this row")
    opens = start + int(job["warm_s"] * 1e9)
    first = min(bisect.bisect_left(received, opens), len(received) - 2)
    last = max(bisect.bisect_right(received, sent[-1]) - 1, first + 1)
    seconds = (received[last] - received[first]) / 1e9
    counted = (last - first) * chunk
    sent_meanwhile = (_progress(sent, received[last]) - _progress(sent, received[first])) * chunk
    return {
        "rate": counted * peers / seconds,
        "mb_per_s": counted * peers * job["size"] / seconds / 1e6,
        "queued_share": abs(sent_meanwhile - counted) / counted,
        "operations": len(received) * chunk * peers,
    }


def _progress(stamps: list[int], when: int) -> float:
    """How many chunks were done at a time, interpolated between the stamps."""
    position = bisect.bisect_right(stamps, when)
    if position == 0:
        return 0.0
    if position == len(stamps):
        return float(position)
    before, after = stamps[position - 1], stamps[position]
    return position + (when - before) / (after - before)
