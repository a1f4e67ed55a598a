"""Round trips: two processes over tcp and ipc, two threads over inproc, in several surroundings."""

from __future__ import annotations

from ..model import Conditions, Metric, Row

_CPU = "cpu_us_per_op"
_UNDISTURBED = Conditions()


def _reqrep(
    transport: str,
    suffix: str,
    title: str,
    p50: float,
    cpu: float | None = None,
    conditions: Conditions = _UNDISTURBED,
    env: dict[str, str] | None = None,
) -> Row:
    return Row(
        id=f"reqrep-{transport}-64B{suffix}",
        group="Round trips",
        kind="roundtrip",
        title=f"REQ/REP, 64 B, {transport}{title}",
        pattern="reqrep",
        transport=transport,
        size=64,
        metrics=(
            Metric("p50_us", "us", "less", p50),
            Metric(_CPU, "us", "less", cpu),
            Metric("p99_us", "us", "less"),
        ),
        subject_env=env or {},
        conditions=conditions,
        tags=frozenset({"goal", "quick"} if not suffix else {"goal"}),
    )


def _inproc(pattern: str, pin: str) -> Row:
    placed = "both threads on one CPU" if pin == "together" else "unpinned"
    return Row(
        id=f"{pattern}-inproc-64B-{'onecpu' if pin == 'together' else 'free'}",
        group="Round trips",
        kind="roundtrip",
        title=f"{'REQ/REP' if pattern == 'reqrep' else 'PAIR'} between two threads, 64 B, inproc, {placed}",
        pattern=pattern,
        transport="inproc",
        size=64,
        metrics=(
            Metric("p50_us", "us", "less", 0.8),
            Metric("p99_us", "us", "less"),
            Metric(_CPU, "us", "less"),
        ),
        conditions=Conditions(pin=pin),
        tags=frozenset({"goal", "quick"} if (pattern, pin) == ("pair", "free") else {"goal"}),
        note="plain: two queue.SimpleQueue",
    )


ROWS = [
    row
    for transport in ("tcp", "ipc")
    for row in (
        _reqrep(transport, "", "", 0.45, 1.0),
        _reqrep(transport, "-nospin", ", spin budget 0", 0.8, env={"PYZQ_SPIN_US": "0"}),
        _reqrep(transport, "-loaded", ", one CPU-bound process per core beside it", 0.8, conditions=Conditions(hogs=1)),
    )
] + [_inproc(pattern, pin) for pattern in ("reqrep", "pair") for pin in ("together", "free")]
