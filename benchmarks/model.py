"""The vocabulary of the benchmarks: a metric, the conditions of a run, a row, a contestant.

A row says what is measured, a contestant who runs it. Both are plain data: the same row, with the same parameters, is
handed to every implementation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

SUBJECT = "pyzq"
"""The implementation the goals are about."""

REFERENCE = "pyzmq"
"""The implementation the goals are measured against, unless a row names another baseline."""


@dataclass(frozen=True)
class Metric:
    """One figure of a row.

    `goal` bounds the ratio subject / baseline of the same round (`bound` "ratio") or the subject's own value (`bound`
    "absolute"): at least `goal` when more is better, at most `goal` when less is better. None: reported, not judged.
    """

    name: str
    unit: str
    better: Literal["more", "less"]
    goal: float | None = None
    bound: Literal["ratio", "absolute"] = "ratio"

    def goal_text(self) -> str:
        """The goal as the tables print it, for example ">= 5x"; empty without a goal."""
        if self.goal is None:
            return ""
        sign = ">=" if self.better == "more" else "<="
        suffix = "x" if self.bound == "ratio" else f" {self.unit}".rstrip()
        return f"{sign} {self.goal:g}{suffix}"


@dataclass(frozen=True)
class Conditions:
    """What surrounds the contestants while they run.

    pin: "free" leaves placement to the scheduler, "together" puts every side on one CPU, "apart" on one each.
    hogs: CPU-bound processes per core running beside the contestants.
    """

    pin: Literal["free", "together", "apart"] = "free"
    hogs: int = 0


@dataclass(frozen=True)
class Row:
    """One line of the benchmark: a scenario with its parameters, its figures and its goals."""

    id: str  # unique; words joined by "-", so that globs such as "pushpull-tcp-*" select families
    group: str  # heading in the report
    kind: str  # module of benchmarks.scenarios that measures it
    title: str  # one line for the reader
    pattern: str  # a key of benchmarks.patterns.PATTERNS
    transport: str  # "tcp", "ipc", "inproc", "udp", "ws"; "-" where none is used
    size: int  # payload bytes of one message; 0 where it does not apply
    metrics: tuple[Metric, ...]  # the first one is the headline
    params: dict[str, Any] = field(default_factory=dict)  # scenario parameters, the same for every contestant
    subject: dict[str, Any] = field(default_factory=dict)  # further parameters for the subject alone
    subject_env: dict[str, str] = field(default_factory=dict)  # environment of the subject's processes alone
    baseline: str = REFERENCE  # contestant the ratios refer to: an implementation, or SUBJECT_DEFAULT
    nearest: tuple[str, str] | None = None  # (pattern, transport) of the baseline where it lacks this one
    conditions: Conditions = Conditions()
    tags: frozenset[str] = frozenset()  # "goal", "floor" (0.95x), "quick", "control" (plain sockets beside it)
    note: str = ""

    @property
    def headline(self) -> Metric:
        """The metric the row is ranked and plotted by."""
        return self.metrics[0]


SUBJECT_DEFAULT = "pyzq (default)"
"""Baseline of rows that compare an option of the subject with the subject's own default."""


@dataclass(frozen=True)
class Contestant:
    """One implementation taking part in one row, with everything its processes must be told."""

    name: str  # column in the tables
    impl: str  # adapter
    pattern: str
    transport: str
    params: dict[str, Any]
    env: dict[str, str]
    note: str = ""  # why it does not run exactly the row's pattern, if so


def human_size(size: int) -> str:
    """16 -> "16B", 65536 -> "64KB", 8388608 -> "8MB"."""
    for unit, factor in (("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"
