"""A Poller with many sockets, in one thread: how often a second it can be asked.

Parameter `sockets`. Half of the time nothing is ready (`idle_rate`), half of the time one socket in the middle is
(`rate`): it has a message that stays where it is. The answers are checked.
"""

from __future__ import annotations

import time
from typing import Any

from ..adapters import zmqlike
from ..link import Link
from .payload import ContentError

_ROUND = 200  # polls between two looks at the clock


def ask(link: Link, context: Any) -> dict[str, Any]:
    """Both ends of every connection are in this process."""
    zmq = zmqlike.module(link.job["impl"])
    poller, ends = zmq.Poller(), []
    for _ in range(link.params["sockets"]):
        pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        push.connect(zmqlike.attach(zmq, pull, link.job, True, ""))
        push.send(b"first")
        if pull.recv() != b"first":
            raise ContentError("another message came")
        poller.register(pull, zmq.POLLIN)
        ends.append((push, pull))
    link.kept.append(ends)
    link.ready()
    half = (link.job["warm_s"] + link.job["run_s"]) / 2
    values = {}
    with link.measured():
        values["idle"] = _rate(poller, half, [])
        push, pull = ends[len(ends) // 2]
        push.send(b"x")
        wanted = poller.poll(10_000)
        values["ready"] = _rate(poller, half, [(pull, zmq.POLLIN)])
        if wanted != [(pull, zmq.POLLIN)] or pull.recv() != b"x":
            raise ContentError("another message came")
    return values


def _rate(poller: Any, seconds: float, wanted: list[Any]) -> float:
    poll, count = poller.poll, 0
    began = now = time.perf_counter()
    while now - began < seconds:
        for _ in range(_ROUND):
            got = poll(0)
        if got != wanted:
            raise ContentError(f"a Poller found {got}")
        count += _ROUND
        now = time.perf_counter()
    return count / (now - began)


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """One process, one thread."""
    return (("poller", ask),)


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Polls per second, with something ready and with nothing."""
    got = results["poller"]
    return {"rate": got["ready"], "idle_rate": got["idle"]}
