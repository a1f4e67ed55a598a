"""From the rounds of a record to what the tables say: medians, spreads, ratios within rounds, verdicts, their order."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

from .model import SUBJECT, Metric


@dataclass(frozen=True)
class Spread:
    """A median and the interval in which the middle half of the rounds lies (all rounds, if fewer than four)."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """The spread of some values; None of none."""
        if not values:
            return None
        if len(values) < 4:
            return cls(statistics.median(values), min(values), max(values), len(values))
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high, len(values))


@dataclass
class Line:
    """One metric of one row, summarised."""

    row: dict[str, Any]
    metric: Metric
    values: dict[str, Spread]  # by contestant
    ratio: Spread | None  # subject / baseline within rounds
    worst_run: float | None  # the least favourable of the passes' median ratios
    verdict: str  # "met", "missed", "failed", "no baseline", "not run", ""
    sure: bool  # whether the whole spread lies on the verdict's side
    errors: dict[str, str]  # contestants that never finished a run
    marks: set[str] = field(default_factory=set)

    @property
    def judged(self) -> float | None:
        """The figure the goal is held against."""
        if self.metric.bound == "absolute":
            own = self.values.get(SUBJECT)
            return own.median if own else None
        return self.worst_run

    @property
    def margin(self) -> float:
        """Logarithm of how far the judged figure lies on the good side of its goal; of 1 without a goal."""
        figure = self.judged
        if figure is None or figure <= 0:
            return -math.inf if self.verdict == "failed" else math.inf
        goal = self.metric.goal or 1.0
        return math.log(figure / goal) if self.metric.better == "more" else math.log(goal / figure)

    @property
    def loss(self) -> bool:
        """Whether the subject is behind the baseline at all."""
        if self.verdict == "failed":
            return True
        if self.metric.bound == "absolute" or self.worst_run is None:
            return False
        return self.worst_run < 1 if self.metric.better == "more" else self.worst_run > 1


def counted(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The rounds of a row that count: undisturbed ones."""
    return [entry for entry in row["rounds"] if not entry["rejected"]]


def lines(record: dict[str, Any]) -> list[Line]:
    """Every metric of every row, in the order of the record."""
    return [line(row, Metric(**metric)) for row in record["rows"] for metric in row["metrics"]]


def line(row: dict[str, Any], metric: Metric) -> Line:
    """One metric of one row."""
    rounds = counted(row)
    values, errors = {}, {}
    for name in row["contestants"]:
        results = [entry["results"][name] for entry in rounds if name in entry["results"]]
        spread = Spread.of([r["values"][metric.name] for r in results if metric.name in r["values"]])
        if spread:
            values[name] = spread
            continue
        failures = [e["results"][name]["error"] for e in row["rounds"] if name in e["results"]]
        if any(failures):
            errors[name] = next(error for error in failures if error)
    ratios = _ratios(rounds, metric, row["baseline"])
    by_run: dict[int, list[float]] = {}
    for number, ratio in ratios:
        by_run.setdefault(number, []).append(ratio)
    medians = [statistics.median(group) for group in by_run.values()]
    worst = (min(medians) if metric.better == "more" else max(medians)) if medians else None
    found = Line(row, metric, values, Spread.of([r for _, r in ratios]), worst, "", True, errors)
    found.verdict, found.sure = _verdict(found)
    found.marks = {
        mark
        for entry in rounds
        for n, r in entry["results"].items()
        if n in (SUBJECT, row["baseline"])
        for mark in r["marks"]
    }
    return found


def _ratios(rounds: list[dict[str, Any]], metric: Metric, baseline: str) -> list[tuple[int, float]]:
    """(pass, subject / baseline) for every round that has both."""
    found = []
    for entry in rounds:
        ours = entry["results"].get(SUBJECT, {}).get("values", {}).get(metric.name)
        theirs = entry["results"].get(baseline, {}).get("values", {}).get(metric.name)
        if ours is not None and theirs:
            found.append((entry["run"], ours / theirs))
    return found


def _verdict(found: Line) -> tuple[str, bool]:
    if found.metric.goal is None:
        return "", True
    if SUBJECT not in found.row["contestants"]:
        return "not run", True
    if SUBJECT in found.errors:
        return "failed", True
    figure, spread = found.judged, found.ratio
    if found.metric.bound == "absolute":
        spread = found.values.get(SUBJECT)
    if figure is None or spread is None:
        return "no baseline", True
    good = (lambda x: x >= found.metric.goal) if found.metric.better == "more" else (lambda x: x <= found.metric.goal)
    met = good(figure)
    return ("met" if met else "missed"), good(spread.low) == good(spread.high) == met


def ranked(found: list[Line]) -> dict[str, list[Line]]:
    """Lines with a goal under the headings of the report, the worst first."""
    judged = sorted((x for x in found if x.verdict), key=lambda x: x.margin)
    return {
        "Losses": [x for x in judged if x.verdict == "failed" or (x.loss and x.verdict == "missed")],
        "Goals missed, yet ahead": [x for x in judged if x.verdict == "missed" and not x.loss],
        "Goals met": [x for x in judged if x.verdict == "met"],
        "Not judged": [x for x in judged if x.verdict in ("no baseline", "not run")],
    }
