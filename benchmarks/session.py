"""A benchmark session: rows, rounds, everyone in random order within each round, disturbed rounds run again.

The record it returns is plain data, written as JSON by the report:

    {"format", "started", "settings", "machine", "versions", "missing", "interrupted", "rows": [
        {"id", "group", "title", ..., "metrics", "contestants", "notes", "absent", "rounds": [
            {"run", "round", "order", "seconds", "rejected", "results": {contestant: {"values", "marks", "error"}}}]}]}
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from . import conductor, machine
from .model import SUBJECT, Contestant, Row

FORMAT = 1
_LONGEST = 4  # a run is lengthened up to so many times when queues weigh too much
_GIVE_UP = 2  # failures after which a contestant leaves the row

Progress = Callable[[int, int, str], None]
"""Called with (contestant runs done, contestant runs planned, what is running now)."""


@dataclass(frozen=True)
class Profile:
    """How much time a session takes. Seconds are per contestant and round."""

    name: str
    rounds: int
    few_rounds: int  # for rows tagged "floor" or "control", of which there are many
    warm_s: float
    run_s: float
    runs: int  # passes over all rows
    retries: int  # rounds per row and pass that may be run again because they were disturbed
    peers_every: int  # implementations beside the subject and its baseline take part in every so many rounds
    floor_peers: bool  # and, or not, in the rows tagged "floor"

    def rounds_of(self, row: Row) -> int:
        """Rounds of one row in one pass."""
        return self.few_rounds if row.tags & {"floor", "control"} and "goal" not in row.tags else self.rounds


PROFILES = {
    p.name: p
    for p in (
        Profile("quick", 3, 1, 0.1, 0.25, 1, 0, 1, False),
        Profile("default", 6, 3, 0.1, 0.4, 1, 2, 2, False),
        Profile("full", 7, 3, 0.2, 1.0, 3, 3, 1, True),
    )
}


def run(
    rows: Iterable[Row],
    impls: Iterable[str],
    profile: Profile,
    progress: Progress | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Run rows with these implementations and return the record; of what was done so far, if interrupted."""
    source = random.Random(seed)
    found = {impl: conductor.probe(impl) for impl in impls}
    versions = {impl: probe.version for impl, probe in found.items() if not probe.missing}
    missing = {impl: probe.missing for impl, probe in found.items() if probe.missing}
    lacks = {impl: probe.lacks for impl, probe in found.items()}
    plans = [_plan(row, *conductor.contestants(row, list(versions), lacks), profile) for row in rows]
    record = {
        "format": FORMAT,
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "settings": asdict(profile),
        "machine": machine.facts(),
        "versions": versions,
        "missing": missing,
        "interrupted": False,
        "rows": [plan.entry for plan in plans],
    }
    total = sum(plan.cost for plan in plans) * profile.runs
    tick = _Ticker(progress, total)
    try:
        for pass_number in range(profile.runs):
            for plan in plans:
                _run_row(plan, pass_number, profile, source, tick)
    except KeyboardInterrupt:
        record["interrupted"] = True
    record["rows"] = [row for row in record["rows"] if row["rounds"]]
    return record


@dataclass
class _Plan:
    row: Row
    contestants: list[Contestant]
    entry: dict[str, Any]
    rounds: int
    peers_every: int
    stretch: int = 1  # how many times longer than the profile says a run is, because of the queues

    def taking_part(self, good: int) -> list[Contestant]:
        """Who runs when so many rounds are complete."""
        if good % self.peers_every == 0:
            return self.contestants
        return [who for who in self.contestants if who.name in (SUBJECT, self.row.baseline)]

    @property
    def cost(self) -> int:
        return sum(len(self.taking_part(good)) for good in range(self.rounds))


class _Ticker:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, label: str, step: int = 1) -> None:
        self._done += step
        if self._progress:
            self._progress(min(self._done, self._total), self._total, label)


def _plan(row: Row, taking_part: list[Contestant], absent: dict[str, str], profile: Profile) -> _Plan:
    if "floor" in row.tags and not profile.floor_peers:
        for who in [w for w in taking_part if w.impl not in (SUBJECT, row.baseline)]:
            absent[who.name] = f"runs these rows in the full profile only, not in {profile.name}"
            taking_part.remove(who)
    entry = {
        "id": row.id,
        "group": row.group,
        "kind": row.kind,
        "title": row.title,
        "pattern": row.pattern,
        "transport": row.transport,
        "size": row.size,
        "tags": sorted(row.tags),
        "note": row.note,
        "baseline": row.baseline,
        "conditions": asdict(row.conditions),
        "metrics": [asdict(metric) for metric in row.metrics],
        "contestants": [who.name for who in taking_part],
        "notes": {who.name: who.note for who in taking_part if who.note},
        "absent": absent,
        "rounds": [],
    }
    return _Plan(row, taking_part, entry, profile.rounds_of(row), profile.peers_every)


def _run_row(plan: _Plan, pass_number: int, profile: Profile, source: random.Random, tick: _Ticker) -> None:
    good = extra = number = 0
    failures: dict[str, int] = {}
    while good < plan.rounds:
        due = plan.taking_part(good)
        order = [who for who in due if failures.get(who.name, 0) < _GIVE_UP]
        source.shuffle(order)
        entry = {"run": pass_number, "round": number, "order": [w.name for w in order], "rejected": "", "results": {}}
        number += 1
        seconds = max(profile.run_s, plan.row.params.get("least_s", 0.0)) * plan.stretch
        entry["seconds"] = seconds
        for who in order:
            tick(f"{plan.row.id} {who.name}", 0)
            done = conductor.run(plan.row, who, profile.warm_s, seconds)
            if done.error:
                failures[who.name] = failures.get(who.name, 0) + 1
            entry["results"][who.name] = {"values": _short(done.values), "marks": done.marks, "error": done.error}
        reason = _disturbance(plan, entry)
        if reason and extra < profile.retries:
            extra += 1
            entry["rejected"] = reason
            if "queues" in reason:
                plan.stretch = min(plan.stretch * 2, _LONGEST)
        else:
            good += 1
            tick(plan.row.id, len(due))
        plan.entry["rounds"].append(entry)
        if all(failures.get(who.name, 0) >= _GIVE_UP for who in plan.contestants):
            tick(plan.row.id, sum(len(plan.taking_part(later)) for later in range(good, plan.rounds)))
            break


def _disturbance(plan: _Plan, entry: dict[str, Any]) -> str:
    """Why a round should not count: what disturbed the subject or its baseline. Others are marked, no more."""
    judged = {SUBJECT, plan.row.baseline} & entry["results"].keys() or entry["results"].keys()
    marks = {mark for name in judged for mark in entry["results"][name]["marks"]}
    if plan.stretch >= _LONGEST:
        marks.discard("queues")
    return ", ".join(sorted(marks))


def _short(values: dict[str, float]) -> dict[str, float]:
    """Six significant digits are more than a benchmark has."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}


def shortened(profile: Profile, seconds: float | None, rounds: int | None, runs: int | None) -> Profile:
    """The profile with what the command line changed."""
    changes: dict[str, Any] = {}
    if seconds is not None:
        changes |= {"run_s": seconds, "warm_s": max(0.05, min(0.25, seconds / 3))}
    if rounds is not None:
        changes |= {"rounds": rounds, "few_rounds": rounds}
    if runs is not None:
        changes["runs"] = runs
    return replace(profile, **changes)
