"""PUSH to PULL as fast as plain loops go, at all sizes, and in batches."""

from __future__ import annotations

from ..model import Metric, Row, human_size

_GOALS = {16: 5, 256: 3, 1 << 10: 2.5, 1 << 16: 1.5, 1 << 20: 1.3, 8 << 20: 1.3}


def high_water_mark(size: int) -> dict[str, int]:
    """Nothing (the default of 1000) for sizes of which 1000 fit into memory comfortably, else fewer messages."""
    return {} if size <= 1 << 16 else {"hwm": max(8, (32 << 20) // size)}


def _plain(transport: str, size: int, goal: float) -> Row:
    return Row(
        id=f"pushpull-{transport}-{human_size(size)}",
        group="Throughput",
        kind="oneway",
        title=f"PUSH/PULL, plain send() and recv() loops, {human_size(size)}, {transport}",
        pattern="pushpull",
        transport=transport,
        size=size,
        metrics=(Metric("rate", "msg/s", "more", goal), Metric("cpu_us_per_op", "us", "less")),
        params={"flow": None} | high_water_mark(size),
        tags=frozenset({"goal", "quick"} if (transport, size) in _QUICK else {"goal"}),
        note=(f"high-water marks {high_water_mark(size)['hwm']}" if high_water_mark(size) else "")
        + ("; plain: queue.Queue" if transport == "inproc" else ""),
    )


def _many(transport: str) -> Row:
    return Row(
        id=f"pushpull-{transport}-16B-many",
        group="Throughput",
        kind="oneway",
        title=f"PUSH/PULL, send_many() and recv_many() of 1000, 16B, {transport}; the others: plain loops",
        pattern="pushpull",
        transport=transport,
        size=16,
        metrics=(Metric("rate", "msg/s", "more", 15), Metric("cpu_us_per_op", "us", "less")),
        params={"flow": None},
        subject={"many": True},
        tags=frozenset({"goal", "quick"} if transport == "tcp" else {"goal"}),
    )


_QUICK = {("tcp", 16), ("inproc", 16), ("tcp", 1 << 10), ("ipc", 1 << 16), ("tcp", 1 << 20)}

ROWS = [_plain(t, s, g) for t in ("tcp", "ipc", "inproc") for s, g in _GOALS.items()] + [
    _many(t) for t in ("tcp", "ipc", "inproc")
]
