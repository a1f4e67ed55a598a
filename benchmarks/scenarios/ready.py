"""What awaiting costs when there is nothing to wait for: `await recv()` beside `recv()`, for messages that are there.

In one process: `batch` messages are sent and let arrive, then received in one go, in turns by awaiting and by plain
calls on the same socket. Each batch is polled for, so that what the kernel has is part of both. One more message comes
before the clock starts: after a pause the first await lets the loop turn, which is not what is measured.
"""

from __future__ import annotations

import asyncio
import importlib
import statistics
import time
from typing import Any

from ..adapters import zmqlike
from ..link import Link
from .payload import ContentError, Payload

_SETTLE = 0.02  # seconds for a batch to arrive; longer than it takes


def compare(link: Link, context: Any) -> dict[str, Any]:
    """Medians of the batches, in ns per message."""
    return asyncio.run(_compare(link))


async def _compare(link: Link) -> dict[str, Any]:
    zmq = zmqlike.module(link.job["impl"])
    made = importlib.import_module(f"{zmq.__name__}.asyncio").Context.instance()
    pull, push = made.socket(zmq.PULL), made.socket(zmq.PUSH)
    link.kept.append((pull, push))
    push.connect(zmqlike.attach(zmq, pull, link.job, True, ""))
    plain = zmq.Socket.shadow(pull)
    body, batch = Payload(link.job["size"]).body, link.params["batch"]
    await push.send(body)
    await pull.recv()
    link.ready()
    times: dict[str, list[float]] = {"awaited": [], "plain": []}
    until = time.monotonic() + link.job["warm_s"] + link.job["run_s"]
    with link.measured():
        while time.monotonic() < until or len(times["plain"]) < 5:
            for how in ("awaited", "plain"):
                for _ in range(batch + 1):
                    await push.send(body)
                await asyncio.sleep(_SETTLE)
                await pull.poll()
                await pull.recv()
                times[how].append(await _awaited(pull.recv, batch) if how == "awaited" else _plain(plain.recv, batch))
                if await pull.poll(0):
                    raise ContentError("more messages came than were sent")
    return {how: statistics.median(values) for how, values in times.items()}


async def _awaited(recv: Any, batch: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(batch):
        await recv()
    return (time.perf_counter_ns() - began) / batch


def _plain(recv: Any, batch: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(batch):
        recv()
    return (time.perf_counter_ns() - began) / batch


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """One process."""
    return (("both", compare),)


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The ratio, and what it is made of."""
    got = results["both"]
    return {"await_ratio": got["awaited"] / got["plain"], "awaited_ns": got["awaited"], "plain_ns": got["plain"]}
