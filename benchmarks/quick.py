"""A handful of rows in some fifteen seconds, for a demonstration.

    >>> from benchmarks import quick
    >>> for line in quick.run():
    ...     print(line["title"], line["ratio"])

`show` runs them and prints them as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import registry, session
from .model import REFERENCE, SUBJECT
from .report import number
from .summary import lines

ROWS = (
    "reqrep-tcp-64B",
    "pair-inproc-64B-free",
    "pushpull-tcp-16B",
    "pushpull-tcp-16B-many",
    "pushpull-ipc-64KB",
    "fanout-tcp-64B-8",
    "compute-tcp-64B",
)
"""What a demonstration shows unless told otherwise."""

PROFILE = session.Profile("demo", 1, 1, 0.1, 0.3, 1, 0, 1, False)
"""One round of 0.3 s: enough to see a factor of two, not a difference of a tenth."""


def run(
    rows: Iterable[str] | None = None,
    impls: Iterable[str] = (SUBJECT, REFERENCE),
    progress_callback: Callable[[int, int, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Run rows (ids or globs; None: `ROWS`) and return one dict per row.

    rows: row ids or globs. impls: implementations; those that are not installed are left out without an error.
    progress_callback: called with (runs done, runs planned, label of what is running).

    Each dict has "id", "title", "figure" (name of the headline figure), "unit", "better" ("more" or "less"), "values"
    ({implementation: median}), "ratio" (pyzq / baseline; None when one is missing), "goal" (text, may be empty),
    "verdict" ("met", "missed", "failed", "no baseline", "not run" or ""), "errors" ({implementation: reason}) and
    "missing" ({implementation: why it is not installed}). Raises LookupError for a glob that matches no row.
    """
    chosen = registry.select(list(rows) if rows is not None else list(ROWS))
    record = session.run(chosen, impls, PROFILE, progress_callback)
    if record["interrupted"]:
        raise KeyboardInterrupt
    table = []
    for line in lines(record):
        if line.metric.name != line.row["metrics"][0]["name"]:
            continue
        table.append(
            {
                "id": line.row["id"],
                "title": line.row["title"],
                "figure": line.metric.name,
                "unit": line.metric.unit,
                "better": line.metric.better,
                "values": {name: spread.median for name, spread in line.values.items()},
                "ratio": line.ratio.median if line.ratio else None,
                "goal": line.metric.goal_text(),
                "verdict": line.verdict,
                "errors": line.errors,
                "missing": record["missing"],
            }
        )
    return table


def show(console: Any = None, rows: Iterable[str] | None = None, impls: Iterable[str] = (SUBJECT, REFERENCE)) -> None:
    """Run rows with a progress bar and print them as a table on a rich console."""
    from . import show as screen

    impls = list(impls)
    with screen.progress("measuring", console) as progress:
        found = run(rows, impls, progress)
    missing = found[0]["missing"] if found else {}
    present = [impl for impl in impls if impl not in missing]
    heads = ["measured", "unit", *present, "times better"]
    body = [_cells(line, present) for line in found]
    screen.table(heads, body, "One short round each; `make bench` measures properly", console)
    for impl, reason in missing.items():
        screen.say(f"{impl} is not installed, so its column is missing ({reason})", console)
    for line in found:
        for impl, reason in line["errors"].items():
            screen.say(f"{line['id']}: {impl} failed: {reason}", console)


def _cells(line: dict[str, Any], impls: list[str]) -> list[str]:
    ratio = line["ratio"]
    gain = None if not ratio else ratio if line["better"] == "more" else 1 / ratio
    figures = ["failed" if impl in line["errors"] else number(line["values"].get(impl)) for impl in impls]
    return [line["title"], line["unit"], *figures, f"{number(gain)}x" if gain else ""]
