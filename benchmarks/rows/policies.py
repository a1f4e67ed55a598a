"""What a policy at the high-water mark costs while nothing special happens, against pyzq's default in the same run."""

from __future__ import annotations

from ..model import SUBJECT, SUBJECT_DEFAULT, Metric, Row

_POLICIES = (
    ("block", "send", {"kind": "block", "timeout_ms": -1, "messages": 1000}),
    ("block-bytes", "send", {"kind": "block", "timeout_ms": -1, "messages": 1000, "bytes": 1 << 20}),
    ("drop-newest", "send", {"kind": "drop_newest", "messages": 1000}),
    ("drop-oldest", "send", {"kind": "drop_oldest", "messages": 1000}),
    ("keep-last", "send", {"kind": "keep_last", "messages": 1000, "key": 8}),
    ("disconnect", "send", {"kind": "disconnect", "messages": 1000, "after_ms": 60_000}),
    ("recv-drop-oldest", "recv", {"kind": "drop_oldest", "messages": 1000}),
    ("recv-drop-newest", "recv", {"kind": "drop_newest", "messages": 1000}),
)


def _row(name: str, direction: str, spec: dict) -> Row:
    complete = {"timeout_ms": -1, "messages": None, "bytes": None, "key": None, "after_ms": 0} | spec
    return Row(
        id=f"hwm-{name}-tcp-64B",
        group="High-water mark policies",
        kind="oneway",
        title=f"PUSH/PULL, 64 B, tcp, {direction} policy {name}, against pyzq's default",
        pattern="pushpull",
        transport="tcp",
        size=64,
        metrics=(
            Metric("rate", "msg/s", "more", 0.95),
            Metric("lost_share", "", "less"),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params={"flow": "lossy", "only": (SUBJECT,)},
        subject={"hwm_policy": (direction, complete)},
        baseline=SUBJECT_DEFAULT,
        tags=frozenset({"goal"}),
        note="what arrives counts; contents are checked, gaps are allowed",
    )


ROWS = [_row(*policy) for policy in _POLICIES]
