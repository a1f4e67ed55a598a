"""Runs one contestant through one row once: starts its processes, the barrier, the hogs; collects results and marks.

Also resolves who takes part in a row. Everything it starts it knows by its process object, and ends by it.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import adapters, embedded, machine
from .model import SUBJECT, SUBJECT_DEFAULT, Contestant, Row
from .patterns import CREDIT_HWM, PATTERNS

ROOT = Path(__file__).resolve().parent.parent
_HEAD_START_NS = 20_000_000  # between "go" and the common start
_GRACE_S = 20.0  # on top of the measured time, before a run counts as hanging
_END_S = 0.5  # a worker gets this long to end by itself
_FOREIGN_LIMIT = 0.10  # share of the machine other processes may use before a run is marked
_DELAY_LIMIT = 0.10  # share of the time a paced side may wait for a CPU
_QUEUE_LIMIT = 0.01  # growth of the queues relative to what was received


class RunError(Exception):
    """A contestant did not finish a run: the reason, as one line."""


@dataclass
class Run:
    """What one contestant did in one round."""

    values: dict[str, float] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)  # "busy machine", "waited for CPU", "queues"
    error: str = ""


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The workers' environment: ours, this tree importable, its sources too if pyzq is not installed, and `extra`."""
    paths = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    if find_spec("pyzq") is None:
        paths.append(str(ROOT / "src"))
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *paths])} | (extra or {})


@dataclass(frozen=True)
class Probe:
    """What there is of an implementation."""

    version: str = ""
    missing: str = ""  # why it cannot be imported
    lacks: tuple[str, ...] = ()  # transports this build of it does not have


def probe(impl: str) -> Probe:
    """Ask for an implementation in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker"],
        input=json.dumps({"probe": impl}) + "\n",
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
    )
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return Probe(missing=f"its import ended the process with status {done.returncode}")
    return Probe(answer.get("version", ""), answer.get("missing", ""), tuple(answer.get("lacks", ())))


def contestants(
    row: Row, impls: list[str], lacks: dict[str, tuple[str, ...]] | None = None
) -> tuple[list[Contestant], dict[str, str]]:
    """Who takes part in a row, and why the others do not: ([contestants], {implementation: reason}).

    lacks: transports that the build of an implementation does not have, as its `Probe` says.
    """
    taking_part, absent = [], {}
    only = row.params.get("only")
    for impl in impls:
        pattern, transport, note = row.pattern, row.transport, ""
        reason = "" if row.transport == "-" else adapters.supports(impl, pattern, transport)
        if not reason and transport in (lacks or {}).get(impl, ()):
            reason = f"this build has no {transport} transport"
        if reason and row.nearest and impl == row.baseline:
            pattern, transport = row.nearest
            note = f"{reason}; runs {pattern} over {transport} instead"
            reason = ""
        if only and impl not in only:
            reason = "not part of this comparison"
        if reason:
            absent[impl] = reason
            continue
        ours = impl == SUBJECT
        params = row.params | (row.subject if ours else {})
        if "flow" in params:
            params = _with_flow(row, params)
        taking_part.append(Contestant(impl, impl, pattern, transport, params, row.subject_env if ours else {}, note))
    if row.baseline == SUBJECT_DEFAULT and SUBJECT in impls:
        params = _with_flow(row, row.params)
        taking_part.append(Contestant(SUBJECT_DEFAULT, SUBJECT, row.pattern, row.transport, params, {}))
    return taking_part, absent


def _with_flow(row: Row, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the flow of the row's own pattern where they leave it open, and its high-water mark."""
    flow = params.get("flow") or PATTERNS[row.pattern].flow
    return ({"hwm": CREDIT_HWM} if flow == "credit" else {}) | params | {"flow": flow}


def run(row: Row, who: Contestant, warm_s: float, run_s: float) -> Run:
    """One run. Never raises for what a contestant does: a failure is a `Run` with an error."""
    try:
        return _run(row, who, warm_s, run_s)
    except RunError as error:
        return Run(error=str(error))


def _run(row: Row, who: Contestant, warm_s: float, run_s: float) -> Run:
    scenario = import_module(f"benchmarks.scenarios.{row.kind}")
    if who.params.get("embedded"):
        try:
            embedded.build()  # here, where no clock runs
        except embedded.CannotBuild as error:
            raise RunError(str(error)) from error
    names = [name for name, _ in scenario.roles(who.pattern)]
    directory = tempfile.mkdtemp(prefix="bench-")
    job = {
        "kind": row.kind,
        "impl": who.impl,
        "pattern": who.pattern,
        "transport": who.transport,
        "size": row.size,
        "params": who.params,
        "warm_s": warm_s,
        "run_s": run_s,
        "address": f"inproc://{row.id}" if who.transport == "inproc" else f"ipc://{directory}/s",
        "cpus": _placement(row, names),
        "limit_s": warm_s + run_s + _GRACE_S,
    }
    groups = [names] if who.transport == "inproc" else [[name] for name in names]
    try:
        with ExitStack() as stack:
            troupe = stack.enter_context(_Troupe.started(job, groups, who.env))
            hogs = stack.enter_context(_hogs(row.conditions.hogs))
            troupe.rehearse()
            before, hogged = machine.system_cpu_seconds(), _spent(hogs)
            began = time.monotonic()
            results = troupe.perform(getattr(scenario, "HELPERS", ()))
            wall, after = time.monotonic() - began, machine.system_cpu_seconds()
            hogged = _spent(hogs) - hogged
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    try:
        values = scenario.summarise(job, results)
    except AssertionError as error:
        raise RunError(str(error)) from error
    return _judged(row, values, results, wall, (before, after), hogged)


def _placement(row: Row, names: list[str]) -> dict[str, list[int]]:
    if row.conditions.pin == "free":
        return {}
    cpus = machine.usable_cpus()
    if not cpus or not machine.can_pin():
        raise RunError("this system cannot bind threads to CPUs")
    if row.conditions.pin == "together":
        return dict.fromkeys(names, cpus[-1:])
    if len(cpus) < len(names):
        raise RunError(f"{len(names)} sides apart need as many CPUs, {len(cpus)} are usable")
    return {name: [cpus[index]] for index, name in enumerate(names)}


def _judged(row: Row, values: dict, results: dict, wall: float, system: Any, hogged: float) -> Run:
    """Add CPU seconds per operation and what disturbed the run."""
    marks = []
    cpu = sum(r.get("cpu_s") or 0.0 for r in results.values())
    operations = values.pop("operations", 0.0)
    if operations:
        values["cpu_us_per_op"] = cpu / operations * 1e6
    values["cpu_cores"] = cpu / wall
    before, after = system
    if before and after:
        cores = os.cpu_count() or 1
        foreign = (after[0] - before[0]) - cpu - hogged + (after[1] - before[1])
        values["foreign_share"] = max(0.0, foreign) / (wall * cores)
        # a startup row's processes are children of its worker, so their seconds would look foreign
        if values["foreign_share"] > _FOREIGN_LIMIT and row.kind != "startup":
            marks.append("busy machine")
    waits = [r["delay_s"] / r["wall_s"] for r in results.values() if r.get("delay_s") is not None and r["wall_s"]]
    if waits:
        values["run_delay_share"] = max(waits)
        if row.kind == "paced" and not row.conditions.hogs and max(waits) > _DELAY_LIMIT:
            marks.append("waited for CPU")
    if values.get("queued_share", 0.0) > _QUEUE_LIMIT:
        marks.append("queues")
    return Run(values, marks)


class _Troupe:
    """The worker processes of one run."""

    def __init__(self, stack: ExitStack, job: dict[str, Any], groups: list[list[str]], env: dict[str, str]) -> None:
        self._deadline = time.monotonic() + job["limit_s"]
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._roles = [role for group in groups for role in group]
        self._results: dict[str, dict[str, Any]] = {}
        self._ready: set[str] = set()
        self._workers: list[subprocess.Popen] = []
        self._parts: dict[int, tuple[list[str], Any]] = {}  # worker's pid: its roles, its stderr
        self._partial: dict[int, bytes] = {}
        ends = socket.socketpair()
        for end in ends:
            stack.enter_context(end)
        aux = {self._roles[0]: ends[0].fileno(), self._roles[-1]: ends[1].fileno()} if len(groups) > 1 else {}
        for group in groups:
            mine = {role: fd for role, fd in aux.items() if role in group}
            stderr = tempfile.TemporaryFile()  # noqa: SIM115 the stack closes it
            stack.enter_context(stderr)
            worker = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                pass_fds=tuple(mine.values()),
                env=environment(env),
                cwd=ROOT,
            )
            stack.callback(_end, worker)
            self._parts[worker.pid] = (group, stderr)
            self._workers.append(worker)
            self._selector.register(worker.stdout, selectors.EVENT_READ, worker)
            self._tell(worker, {"job": job, "roles": group, "aux": mine})

    @classmethod
    @contextmanager
    def started(cls, job: dict[str, Any], groups: list[list[str]], env: dict[str, str]) -> Iterator[_Troupe]:
        """The processes, ended however the block is left."""
        with ExitStack() as stack:
            yield cls(stack, job, groups, env)

    def rehearse(self) -> None:
        """Until every role has exchanged messages and stands at the barrier."""
        while len(self._ready) < len(self._roles):
            self._take()

    def perform(self, helpers: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Give the common start and collect the results; helpers are told to stop when the others are done."""
        self._tell_all({"go": time.monotonic_ns() + _HEAD_START_NS})
        players = {role for role in self._roles if role not in helpers}
        while not players <= self._results.keys():
            self._take()
        self._tell_all({"stop": True})
        while len(self._results) < len(self._roles):
            self._take()
        return self._results

    def _tell(self, worker: subprocess.Popen, message: dict[str, Any]) -> None:
        try:
            worker.stdin.write(json.dumps(message).encode() + b"\n")
            worker.stdin.flush()
        except BrokenPipeError:
            self._lost(worker)

    def _tell_all(self, message: dict[str, Any]) -> None:
        for worker in self._workers:
            self._tell(worker, message)

    def _take(self) -> None:
        """Wait for something from the workers and act on it."""
        events = self._selector.select(self._deadline - time.monotonic())
        if not events:
            waiting = [role for role in self._roles if role not in self._results]
            stage = "finish" if len(self._ready) == len(self._roles) else "begin"
            raise RunError(f"timed out: {', '.join(waiting)} did not {stage}")
        for key, _ in events:
            data = os.read(key.fd, 1 << 20)
            if not data:
                self._selector.unregister(key.fileobj)
                if not self._results.keys() >= set(self._parts[key.data.pid][0]):
                    self._lost(key.data)
                continue
            *lines, self._partial[key.fd] = (self._partial.get(key.fd, b"") + data).split(b"\n")
            for line in lines:
                self._heed(json.loads(line))

    def _lost(self, worker: subprocess.Popen) -> None:
        roles, stderr = self._parts[worker.pid]
        status = worker.wait()
        stderr.seek(0)
        last = stderr.read().decode(errors="replace").strip().splitlines()[-1:]
        raise RunError(f"{'/'.join(roles)} ended early with status {status}" + (f": {last[0]}" if last else ""))

    def _heed(self, message: dict[str, Any]) -> None:
        if "error" in message:
            raise RunError(f"{message['role']}: {message['error']}")
        if "publish" in message:
            self._tell_all(message)
        elif "ready" in message:
            self._ready.add(message["ready"])
        elif "result" in message:
            self._results[message["role"]] = message["result"]


def _end(process: subprocess.Popen) -> None:
    with suppress(BrokenPipeError):
        process.stdin.close()  # a worker that waits for us ends by itself
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


@contextmanager
def _hogs(per_core: int) -> Iterator[list[subprocess.Popen]]:
    """CPU-bound processes, `per_core` for every core, running when the block begins."""
    count = per_core * (os.cpu_count() or 1)
    code = "import sys\nsys.stdout.write('x'); sys.stdout.flush()\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for hog in hogs:
            hog.stdout.read(1)
        yield hogs
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
            hog.stdout.close()


def _spent(processes: list[subprocess.Popen]) -> float:
    return sum(machine.process_cpu_seconds(p.pid) for p in processes)
