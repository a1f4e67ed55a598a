"""Writes a record: JSON as it is, Markdown with the losses first, and a short table for the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .model import REFERENCE, SUBJECT
from .summary import Line, Spread, counted, lines, ranked

RESULTS = Path(__file__).resolve().parent / "results"
LOCAL = RESULTS / "local"
"""Where results go that are not meant to be checked in."""

_HOW_TO_READ = (
    "A figure is the median of the rounds, with the middle half of them in brackets. A ratio is pyzq's figure divided"
    " by the baseline's of the same round; the baseline is pyzmq unless a remark says otherwise. How everything is"
    " measured: benchmarks/README.md."
)


def write(record: dict[str, Any], directory: Path, name: str, pictures: list[str]) -> list[Path]:
    """Write NAME.json and NAME.md; returns the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    data, text = directory / f"{name}.json", directory / f"{name}.md"
    data.write_text(json.dumps(record, indent=None, separators=(",", ":")) + "\n")
    text.write_text(markdown(record, pictures))
    return [data, text]


def load(path: Path) -> dict[str, Any]:
    """A record from its JSON file."""
    return json.loads(path.read_text())


def number(value: float | None) -> str:
    """A figure with three significant digits: 1.32M, 45.3k, 12.3, 0.45."""
    if value is None:
        return ""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def spread_text(spread: Spread | None, suffix: str = "") -> str:
    """Median and interval: "5.2x (4.8 to 5.9)"."""
    if spread is None:
        return ""
    text = f"{number(spread.median)}{suffix}"
    return text if spread.count < 2 else f"{text} ({number(spread.low)} to {number(spread.high)})"


def columns(record: dict[str, Any]) -> list[str]:
    """Contestants that get a column of their own, the subject and the reference first."""
    names = {name for row in record["rows"] for name in row["contestants"]}
    first = [name for name in (SUBJECT, REFERENCE) if name in names]
    return first + sorted(names - set(first))


def verdict_text(line: Line) -> str:
    """The verdict, with a hint when the spread reaches over the goal."""
    if line.verdict in ("met", "missed") and not line.sure:
        return f"{line.verdict}, within the spread"
    return line.verdict


def table(found: list[Line], names: list[str]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the full table."""
    heads = ["row", "figure", "goal", "ratio", "verdict", *names, "marks"]
    body = []
    for line in found:
        cells = [
            line.row["id"],
            f"{line.metric.name} {f'({line.metric.unit})' if line.metric.unit else ''}".strip(),
            line.metric.goal_text(),
            spread_text(line.ratio, "x"),
            verdict_text(line),
        ]
        cells += [_cell(line, name) for name in names]
        body.append([*cells, ", ".join(sorted(line.marks))])
    return heads, body


def _cell(line: Line, name: str) -> str:
    if name in line.values:
        return spread_text(line.values[name])
    return "failed" if name in line.errors else ""


def grid(heads: list[str], body: list[list[str]]) -> str:
    """A Markdown table with aligned columns."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (heads, *body)]
    widths = [max(3, *(len(line[k]) for line in cells)) for k in range(len(heads))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    lines = ["| " + " | ".join(line) + " |" for line in padded]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def markdown(record: dict[str, Any], pictures: list[str]) -> str:
    """The report: losses first, then what was met, every figure, what failed, and how it was measured."""
    found, names = lines(record), columns(record)
    sections = ranked(found)
    parts = ["# Benchmark results", _introduction(record), *(f"![{Path(p).stem}]({p})" for p in pictures)]
    counts = ", ".join(f"{title.lower()}: {len(group)}" for title, group in sections.items())
    parts.append(f"Figures with a goal: {counts}.")
    for title, group in sections.items():
        if group:
            parts += [f"## {title}", grid(*table(group, names))]
    rest = [line for line in found if not line.verdict]
    if rest:
        parts += ["## Figures without a goal", grid(*table(rest, names))]
    parts += _remarks(record, found)
    return "\n\n".join(parts) + "\n"


def _introduction(record: dict[str, Any]) -> str:
    box, settings = record["machine"], record["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    heading = (
        f"{record['started']}; {box['cpu']}, {box['cpus']} CPUs, {box['system']}, {box['python']}"
        + (f", tcp congestion control {box['tcp_congestion']}" if box["tcp_congestion"] else "")
        + f". {versions}."
    )
    profile = (
        f"Profile {settings['name']}: {settings['runs']} pass(es), {settings['rounds']} rounds"
        f" ({settings['few_rounds']} in rows of every type and those without a goal), {settings['run_s']:g} s per run."
    )
    text = [heading, profile, _HOW_TO_READ]
    if record["interrupted"]:
        text.append("The run was interrupted: the last row is incomplete, and those after it are missing.")
    for impl, reason in record["missing"].items():
        text.append(f"{impl} is not in the table: {reason}.")
    return "\n\n".join(text)


def _remarks(record: dict[str, Any], found: list[Line]) -> list[str]:
    remarks, failures = [], []
    for row in record["rows"]:
        notes = [row["note"]] if row["note"] else []
        if row["baseline"] != REFERENCE:
            notes.append(f"baseline: {row['baseline']}")
        notes += [f"{name}: {note}" for name, note in row["notes"].items()]
        rejected = len(row["rounds"]) - len(counted(row))
        if rejected:
            notes.append(f"{rejected} disturbed round(s) run again")
        if notes:
            remarks.append(f"- `{row['id']}` {row['title']}. {'; '.join(notes)}.")
    seen = set()
    for line in found:
        for name, error in line.errors.items():
            if (line.row["id"], name) not in seen:
                seen.add((line.row["id"], name))
                failures.append(f"- `{line.row['id']}` {name}: {error}")
    parts = []
    if failures:
        parts += ["## Runs that failed", "\n".join(failures)]
    if remarks:
        parts += ["## Remarks", "\n".join(remarks)]
    return parts


def terminal(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells for the terminal: figures with a goal, the worst first; without the subject, all headlines."""
    found = lines(record)
    judged = [line for group in ranked(found).values() for line in group]
    if SUBJECT not in record["versions"]:
        judged = [line for line in found if line.metric.name == line.row["metrics"][0]["name"]]
    names = columns(record)
    heads = ["row", "figure", "goal", "ratio", "verdict", *names]
    body = [
        [
            line.row["id"],
            line.metric.name,
            line.metric.goal_text(),
            spread_text(line.ratio, "x"),
            verdict_text(line),
            *(number(line.values[n].median) if n in line.values else _cell(line, n) for n in names),
        ]
        for line in judged
    ]
    return heads, body
