"""Sharing the interpreter: sending while another Python thread computes."""

from __future__ import annotations

from ..model import Metric, Row


def _row(transport: str, apart: bool) -> Row:
    where = "a CPU for each thread" if apart else "unpinned"
    return Row(
        id=f"compute-{transport}-64B" + ("" if apart else "-free"),
        group="Beside other work",
        kind="compute",
        title=f"send() while another Python thread computes, {where}, 64 B, {transport}: messages that arrived",
        pattern="pushpull",
        transport=transport,
        size=64,
        metrics=(
            Metric("rate", "msg/s", "more", 50),
            Metric("compute_kept", "of its undisturbed rate", "more", 0.4, "absolute"),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params={"flow": "blocking", "chunk": 20, "least_s": 1.0, "apart": apart},
        tags=frozenset({"goal", "quick"} if apart and transport == "tcp" else {"goal"}),
        note="" if apart else "depends on whether the scheduler gives both threads one CPU",
    )


ROWS = [_row(transport, apart) for transport in ("tcp", "ipc") for apart in (True, False)]
