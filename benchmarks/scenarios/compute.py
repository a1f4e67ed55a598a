"""send() while another thread of the sending process computes in Python: who gets how much of the interpreter?

The computing thread first runs alone, then beside the sender. Messages count where they arrive, in another process; the
computing thread's rate beside the sender is given as a share of its undisturbed rate.

Parameter `apart`: the sending and the computing thread get a CPU each, as on a machine with CPUs to spare. A library
that releases the interpreter lock in every call then waits a whole switch interval to get it back. Where both threads
share a CPU, because the others are busy, the woken thread comes too late and the sender keeps the lock: without pinning
the outcome depends on what else runs.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from .. import machine
from ..link import Link
from . import flow, oneway
from .payload import Payload

_ALONE_S = 0.3
_STEPS = 200  # additions between two looks at the stop flag


class Computation(threading.Thread):
    """Pure Python arithmetic on a thread of its own; `rounds` counts what it got done."""

    def __init__(self, cpus: list[int]) -> None:
        super().__init__(daemon=True, name="computation")
        self.cpus = cpus  # where it must run; anywhere if empty
        self.rounds = 0
        self.wanted = True

    def run(self) -> None:
        """Compute until told to stop."""
        if self.cpus:
            machine.pin(self.cpus)
        value = 1
        while self.wanted:
            for step in range(_STEPS):
                value = (value * 5 + step) & 0xFFFF
            self.rounds += 1

    def rate_over(self, action: Any) -> tuple[float, Any]:
        """Rounds per second while `action` runs, and its result."""
        rounds, began = self.rounds, time.monotonic()
        result = action()
        return (self.rounds - rounds) / (time.monotonic() - began), result


def send(link: Link, context: Any) -> dict[str, Any]:
    """The sender whose process also computes."""
    side = flow.open_end(link, context, "sender", False)
    payload, chunk = Payload(link.job["size"]), flow.chunk_for(link.job)
    flow.introduce(link, side, payload)
    cpus = _two_cpus() if link.params["apart"] else []
    if cpus:
        machine.pin(cpus[:1])  # after the library has started its threads, which stay free
    computation = Computation(cpus[1:])
    computation.start()
    link.ready()
    with link.measured():
        alone, _ = computation.rate_over(lambda: time.sleep(_ALONE_S))
        start = flow.clock()
        until = start + int((link.job["warm_s"] + link.job["run_s"]) * 1e9)
        beside, stamps = computation.rate_over(lambda: flow.pump(link, side, payload, chunk, until))
        computation.wanted = False
        computation.join()
        flow.finish(link, side, payload, chunk)
    return {"start": start, "stamps": stamps.tolist(), "kept": beside / alone, "alone": alone}


def _two_cpus() -> list[int]:
    cpus = machine.usable_cpus()
    if len(cpus) < 2 or not machine.can_pin():
        raise OSError("two CPUs to which threads can be bound are needed")
    return [cpus[0], cpus[-1]]


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """The sender that computes, and an undisturbed receiver."""
    return (("sender", send), ("receiver", oneway.receive))


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Messages received per second and the share the computing thread kept."""
    return oneway.summarise(job, results) | {"compute_kept": results["sender"]["kept"]}
