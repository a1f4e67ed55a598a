"""A role's link to the outside: addresses, the start barrier, the side channel to its partner, the measurement.

A worker process runs one role, or, for inproc, all roles of a row as threads. Messages are JSON, one per line.

    worker -> conductor  {"publish": {name: address}}   {"ready": role}   {"result": {...}, "role": role}
                         {"error": text, "role": role}
    conductor -> worker  {"job": ...} first, then {"publish": {...}} as they become known, {"go": ns}, {"stop": true}
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from . import machine


class Bus:
    """The worker's conversation with the conductor, shared by the roles that run in this process."""

    def __init__(self, incoming: TextIO, outgoing: TextIO, threaded: bool) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._changed = threading.Condition()
        self._addresses: dict[str, str] = {}
        self._go: int | None = None
        self._stopped = False
        self._threaded = threaded

    def listen(self) -> None:
        """With several roles in the process: read the conductor's lines on a thread of their own."""
        if self._threaded:
            threading.Thread(target=self._read_all, daemon=True, name="bench-bus").start()

    def say(self, message: dict[str, Any]) -> None:
        """One line to the conductor."""
        with self._changed:
            self._outgoing.write(json.dumps(message) + "\n")
            self._outgoing.flush()

    def publish(self, name: str, address: str) -> None:
        """Tell every role of the row where to connect."""
        with self._changed:
            self._addresses[name] = address
            self._changed.notify_all()
        self.say({"publish": {name: address}})

    def address(self, name: str) -> str:
        """The address published under `name`, waiting for it."""
        self._wait(lambda: name in self._addresses)
        return self._addresses[name]

    def go(self) -> int:
        """Wait for the common start; returns its time on the monotonic clock in ns."""
        self._wait(lambda: self._go is not None)
        return self._go or 0

    def stopped(self) -> None:
        """Wait until the conductor has all results."""
        self._wait(lambda: self._stopped)

    def _wait(self, met: Any) -> None:
        if self._threaded:
            with self._changed:
                self._changed.wait_for(met)
            return
        while not met():
            self._take_line()

    def _take_line(self) -> None:
        line = self._incoming.readline()
        if not line:
            os._exit(1)  # the conductor is gone
        message = json.loads(line)
        with self._changed:
            self._addresses.update(message.get("publish", {}))
            self._go = message.get("go", self._go)
            self._stopped = message.get("stop", self._stopped)
            self._changed.notify_all()

    def _read_all(self) -> None:
        while True:
            self._take_line()


class Link:
    """What one role is given: its job, the bus, a byte channel to its partner role, and the measurement of its run."""

    def __init__(self, role: str, job: dict[str, Any], bus: Bus, aux: int | None, counts_process: bool) -> None:
        self.role = role
        self.job = job
        self.params: dict[str, Any] = job["params"]
        self.bus = bus
        self.aux = aux  # descriptor of a stream socket whose other end the partner role holds
        self._counts_process = counts_process  # one role per process reports the process's CPU seconds
        self.usage: dict[str, float | None] = {}
        self.kept: list[Any] = []  # sockets, which must not be collected while the other side still reads

    def ready(self) -> int:
        """Report that traffic has flowed and wait for the common start; returns its time in ns."""
        self.bus.say({"ready": self.role})
        start = self.bus.go()
        pause = (start - time.monotonic_ns()) / 1e9
        if pause > 0:
            time.sleep(pause)
        return start

    def tell(self, byte: bytes) -> None:
        """One byte to the partner role."""
        os.write(self.aux, byte)

    def hear(self, wanted: bytes) -> None:
        """Wait for one particular byte from the partner role."""
        heard = os.read(self.aux, 1)
        if heard != wanted:
            raise RuntimeError(f"{self.role}: expected {wanted!r} from the partner, heard {heard!r}")

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Around the timed part: CPU seconds of the process and run-queue delay of the calling thread."""
        thread = threading.get_native_id()
        delay = machine.run_delay_seconds(thread)
        cpu, wall = machine.cpu_seconds(), time.monotonic()
        yield
        self.usage["wall_s"] = time.monotonic() - wall
        self.usage["cpu_s"] = machine.cpu_seconds() - cpu if self._counts_process else 0.0
        after = machine.run_delay_seconds(thread)
        self.usage["delay_s"] = None if delay is None or after is None else after - delay
