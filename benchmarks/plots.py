"""Pictures of a record: how far each goal is, throughput over size, latencies, and every type at a glance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .model import REFERENCE, SUBJECT, human_size
from .report import columns, number
from .summary import Line, lines

_COLOURS = {"pyzq": "#1b6ca8", "pyzmq": "#e07a1f", "pyomq": "#4c9f50", "pynng": "#8a5fb0", "plain": "#8c8c8c"}
_MET, _MISSED, _BEHIND = "#4c9f50", "#e6b422", "#c0392b"
_FORMATS = ("svg", "png")


def draw(record: dict[str, Any], directory: Path, name: str) -> list[Path]:
    """Write every picture the record has data for, as SVG and PNG; returns the paths."""
    plt.rcParams["svg.hashsalt"] = name
    found = lines(record)
    written = []
    makers: tuple[tuple[str, Callable[[dict, list[Line]], Figure | None]], ...] = (
        ("", _goals),
        ("-throughput", _throughput),
        ("-latency", _latency),
        ("-types", _types),
    )
    for suffix, maker in makers:
        figure = maker(record, found)
        if figure is None:
            continue
        for extension in _FORMATS:
            path = directory / f"{name}{suffix}.{extension}"
            metadata = {"Date": None} if extension == "svg" else None
            figure.savefig(path, dpi=110, bbox_inches="tight", metadata=metadata)
            written.append(path)
        plt.close(figure)
    return written


def _goals(record: dict[str, Any], found: list[Line]) -> Figure | None:
    """Every goal and where the subject stands, the furthest behind on top."""
    judged = [x for x in found if x.verdict in ("met", "missed") and x.ratio and "floor" not in x.row["tags"]]
    if not judged:
        return None
    judged.sort(key=lambda x: -x.margin)
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.24 * len(judged)))
    for position, line in enumerate(judged):
        colour = _MET if line.verdict == "met" else _BEHIND if line.loss else _MISSED
        gains = [_gain(line, x) for x in (line.ratio.low, line.ratio.median, line.ratio.high)]
        axes.plot([min(gains), max(gains)], [position, position], color=colour, linewidth=2)
        axes.plot(gains[1], position, "o", color=colour, markersize=5)
        axes.plot(_gain(line, line.metric.goal), position, "|", color="black", markersize=9)
    axes.set_yticks(range(len(judged)), [f"{x.row['id']}  {x.metric.name}" for x in judged], fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_xlabel("times better than the baseline (dot: median, line: spread, tick: goal)")
    axes.set_ylim(-1, len(judged))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _gain(line: Line, ratio: float) -> float:
    """How many times better: above 1 is ahead, whichever way the figure counts."""
    return ratio if line.metric.better == "more" else 1 / ratio


def _throughput(record: dict[str, Any], found: list[Line]) -> Figure | None:
    """PUSH/PULL over message size, one panel per transport."""
    rates = [x for x in found if x.row["group"] == "Throughput" and x.metric.name == "rate" and x.values]
    rows = [x for x in rates if not x.row["id"].endswith("-many")]
    transports = list(dict.fromkeys(x.row["transport"] for x in rows))
    if not rows:
        return None
    figure, panels = plt.subplots(1, len(transports), figsize=(4.6 * len(transports), 3.8), sharey=True, squeeze=False)
    for axes, transport in zip(panels[0], transports, strict=True):
        for name in columns(record):
            points = sorted(
                (x.row["size"], x.values[name]) for x in rows if x.row["transport"] == transport and name in x.values
            )
            if not points:
                continue
            sizes = [size for size, _ in points]
            axes.plot(sizes, [s.median for _, s in points], "o-", color=_COLOURS.get(name), label=name, markersize=4)
            axes.fill_between(
                sizes, [s.low for _, s in points], [s.high for _, s in points], color=_COLOURS.get(name), alpha=0.15
            )
        sizes = sorted({x.row["size"] for x in rows})
        axes.set(xscale="log", yscale="log", title=f"PUSH/PULL, {transport}", xlabel="message size")
        axes.set_xticks(sizes, [human_size(s) for s in sizes], fontsize=7, rotation=45)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("messages received per second")
    panels[0][0].legend(fontsize=8)
    return figure


def _latency(record: dict[str, Any], found: list[Line]) -> Figure | None:
    """Medians and 99th percentiles of round trips and of paced messages."""
    by_row: dict[str, dict[str, Line]] = {}
    for line in found:
        timed = line.row["group"] in ("Round trips", "Paced latency") and line.metric.name in ("p50_us", "p99_us")
        if timed and line.values:
            by_row.setdefault(line.row["id"], {})[line.metric.name] = line
    by_row = {name: pair for name, pair in by_row.items() if "p50_us" in pair}
    if not by_row:
        return None
    names = columns(record)
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.13 * len(by_row) * (len(names) + 1)))
    step, labels = len(names) + 1, []
    for group, (row_id, pair) in enumerate(reversed(by_row.items())):
        labels.append((group * step + (len(names) - 1) / 2, row_id))
        for offset, name in enumerate(reversed(names)):
            _latency_bar(axes, group * step + offset, pair, name)
    axes.set_yticks([y for y, _ in labels], [text for _, text in labels], fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("us (bar: median, line to p99)")
    axes.grid(axis="x", alpha=0.3)
    handles = [plt.Rectangle((0, 0), 1, 1, color=_COLOURS.get(name)) for name in names]
    axes.legend(handles, names, fontsize=8)
    return figure


def _latency_bar(axes: Axes, position: float, pair: dict[str, Line], name: str) -> None:
    median, tail = pair["p50_us"].values.get(name), pair["p99_us"].values.get(name) if "p99_us" in pair else None
    if median is None:
        return
    axes.barh(position, median.median, height=0.85, color=_COLOURS.get(name))
    if tail is not None:
        axes.plot([median.median, tail.median], [position, position], color=_COLOURS.get(name), linewidth=1)


def _types(record: dict[str, Any], found: list[Line]) -> Figure | None:
    """Every type, transport and size: the subject's ratio, or without it the reference's rate."""
    cells = [x for x in found if x.row["group"] == "Every type" and x.metric.name == x.row["metrics"][0]["name"]]
    ratios = any(x.ratio for x in cells)
    shown = [x for x in cells if x.ratio] if ratios else [x for x in cells if REFERENCE in x.values]
    if not shown:
        return None
    patterns = list(dict.fromkeys(x.row["pattern"] for x in shown))
    heads = list(dict.fromkeys((x.row["transport"], x.row["size"]) for x in shown))
    heads.sort(key=lambda h: (("tcp", "ipc", "inproc", "udp", "ws").index(h[0]), h[1]))
    figure, axes = plt.subplots(figsize=(1.6 + 0.72 * len(heads), 1.2 + 0.3 * len(patterns)))
    for line in shown:
        x, y = heads.index((line.row["transport"], line.row["size"])), patterns.index(line.row["pattern"])
        if ratios:
            value = _gain(line, line.ratio.median)
            colour = _BEHIND if value < 0.95 else _MISSED if value < 1 else _MET
            text = f"{value:.2g}x"
        else:
            colour, text = "#dddddd", number(line.values[REFERENCE].median)
        axes.add_patch(plt.Rectangle((x - 0.48, y - 0.45), 0.96, 0.9, color=colour, alpha=0.75))
        axes.text(x, y, text, ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(heads)), [f"{t}\n{human_size(s)}" for t, s in heads], fontsize=7)
    axes.set_yticks(range(len(patterns)), patterns, fontsize=7)
    axes.set_xlim(-0.6, len(heads) - 0.4)
    axes.set_ylim(len(patterns) - 0.4, -0.6)
    axes.set_title(f"{SUBJECT} / baseline" if ratios else f"{REFERENCE}, per second", fontsize=9)
    return figure
