"""Which rows moved between two results, beyond the spread of their rounds.

A figure that has a baseline is compared by its ratio to it, which a faster or busier machine changes little; others by
their own value. It moved when the two intervals (the middle half of the rounds, all of them if fewer than four) do not
meet and the medians differ by more than `LEAST`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from .model import SUBJECT
from .summary import Line, Spread, lines

LEAST = 0.03  # relative difference of the medians below which nothing is said to have moved


@dataclass(frozen=True)
class Change:
    """One figure in both results."""

    row: str
    figure: str
    by: Literal["ratio", "value"]
    old: Spread
    new: Spread
    moved: bool
    better: bool

    @property
    def factor(self) -> float:
        """New median over old median."""
        return self.new.median / self.old.median if self.old.median else math.inf


def _distance(change: Change) -> float:
    return abs(math.log(change.factor)) if change.factor else math.inf


@dataclass(frozen=True)
class Comparison:
    """All figures that both results have, and the rows only one of them has."""

    changes: list[Change]
    only_old: list[str]
    only_new: list[str]

    @property
    def worse(self) -> list[Change]:
        """What moved the wrong way, the furthest first."""
        return sorted((c for c in self.changes if c.moved and not c.better), key=_distance, reverse=True)

    @property
    def better(self) -> list[Change]:
        """What moved the right way, the furthest first."""
        return sorted((c for c in self.changes if c.moved and c.better), key=_distance, reverse=True)


def compare(old: dict[str, Any], new: dict[str, Any], impl: str = SUBJECT) -> Comparison:
    """Compare the figures of one implementation in two records."""
    before = {(x.row["id"], x.metric.name): x for x in lines(old)}
    after = {(x.row["id"], x.metric.name): x for x in lines(new)}
    changes = []
    for key in before.keys() & after.keys():
        change = _change(key, before[key], after[key], impl)
        if change:
            changes.append(change)
    rows_old, rows_new = {r["id"] for r in old["rows"]}, {r["id"] for r in new["rows"]}
    changes.sort(key=lambda c: (c.row, c.figure))
    return Comparison(changes, sorted(rows_old - rows_new), sorted(rows_new - rows_old))


def _change(key: tuple[str, str], old: Line, new: Line, impl: str) -> Change | None:
    by: Literal["ratio", "value"] = "value"
    first, second = old.values.get(impl), new.values.get(impl)
    if impl == SUBJECT and old.ratio and new.ratio and old.metric.bound == "ratio":
        by, first, second = "ratio", old.ratio, new.ratio
    if first is None or second is None:
        return None
    apart = first.high < second.low or second.high < first.low
    moved = apart and abs(second.median - first.median) > LEAST * abs(first.median)
    grew = second.median > first.median
    return Change(key[0], key[1], by, first, second, moved, grew == (old.metric.better == "more"))
