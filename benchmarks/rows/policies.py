"""What a policy at the high-water mark costs, against pyzq's default in the same run.

The sender sends as fast as it can; what arrives counts. The messages of a chunk differ in their first bytes, so that
KeepLast has something to keep.
"""

from __future__ import annotations

from ..model import SUBJECT, SUBJECT_DEFAULT, Metric, Row

_POLICIES = (
    ("block", "send", "Block", {"messages": 1000}),
    ("block-bytes", "send", "Block", {"messages": 1000, "bytes": 1 << 20}),
    ("drop-newest", "send", "DropNewest", {"messages": 1000}),
    ("drop-oldest", "send", "DropOldest", {"messages": 1000}),
    ("keep-last", "send", "KeepLast", {"messages": 1000, "key": 8}),
    ("disconnect", "send", "Disconnect", {"messages": 1000, "after": 60_000}),
    ("recv-block", "recv", "Block", {"messages": 1000}),
    ("recv-drop-newest", "recv", "DropNewest", {"messages": 1000}),
    ("recv-drop-oldest", "recv", "DropOldest", {"messages": 1000}),
    ("recv-keep-last", "recv", "KeepLast", {"messages": 1000, "key": 8}),
)


def _row(name: str, direction: str, policy: str, limits: dict) -> Row:
    return Row(
        id=f"hwm-{name}-tcp-64B",
        group="High-water mark policies",
        kind="oneway",
        title=f"PUSH/PULL, 64 B, tcp, {direction} policy {policy}, against pyzq's default",
        pattern="pushpull",
        transport="tcp",
        size=64,
        metrics=(
            Metric("rate", "msg/s", "more", 0.95),
            Metric("lost_share", "", "less"),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params={"flow": "lossy", "distinct": True, "only": (SUBJECT,)},
        subject={"hwm_policy": (direction, policy, limits)},
        baseline=SUBJECT_DEFAULT,
        tags=frozenset({"goal"}),
        note="what arrives counts; contents are checked, gaps are allowed",
    )


ROWS = [_row(*policy) for policy in _POLICIES]
