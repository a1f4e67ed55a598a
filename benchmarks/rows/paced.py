"""One-way latency of single messages: after an idle millisecond, at 10,000 and at 50,000 a second."""

from __future__ import annotations

from ..model import Conditions, Metric, Row

_RATES = (("idle1ms", 1000, "after 1 ms idle"), ("10k", 10_000, "10,000/s"), ("50k", 50_000, "50,000/s"))
_PLACES = (
    ("free", "", ""),
    ("apart", "-apart", ", a CPU for each side"),
    ("together", "-together", ", both on one CPU"),
)


def _row(transport: str, rate: tuple[str, int, str], place: tuple[str, str, str]) -> Row:
    name, per_second, words = rate
    pin, suffix, where = place
    return Row(
        id=f"paced-{transport}-64B-{name}{suffix}",
        group="Paced latency",
        kind="paced",
        title=f"PUSH to PULL, one way, {words}, 64 B, {transport}{where}",
        pattern="pushpull",
        transport=transport,
        size=64,
        metrics=(
            Metric("p50_us", "us", "less", 0.6 if pin == "free" else None),
            Metric("p99_us", "us", "less", 1.0 if pin == "free" else None),
            Metric("deadline_p50_us", "us", "less"),
            Metric("deadline_p99_us", "us", "less"),
            Metric("lateness_p50_us", "us", "less"),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params={"rate": per_second, "flow": "blocking"},
        conditions=Conditions(pin=pin),
        tags=frozenset({"goal", "control"} if pin == "free" else {"control"}),
        note="the sender sleeps to each deadline; latency counts from the send",
    )


ROWS = [_row(t, r, p) for t in ("tcp", "ipc") for r in _RATES for p in _PLACES]
