"""Programs in Cython that send and receive without Python, against pyzq's own Python API in the same run."""

from __future__ import annotations

from ..model import SUBJECT, SUBJECT_DEFAULT, Metric, Row


def _row(transport: str, trips: bool) -> Row:
    types = "REQ/REP" if trips else "PUSH/PULL"
    goal = Metric("p50_us", "us", "less", 1.0) if trips else Metric("rate", "msg/s", "more", 1.0)
    return Row(
        id=f"embedded-{'reqrep' if trips else 'pushpull'}-{transport}-64B",
        group="Embedding",
        kind="roundtrip" if trips else "oneway",
        title=f"{types} from Cython without the GIL, 64 B, {transport}, against the Python API",
        pattern="reqrep" if trips else "pushpull",
        transport=transport,
        size=64,
        metrics=(goal, Metric("cpu_us_per_op", "us", "less")),
        params={"only": (SUBJECT,)} | ({} if trips else {"flow": "blocking"}),
        subject={"embedded": True},
        baseline=SUBJECT_DEFAULT,
        tags=frozenset({"goal"}),
        note="the extension is built once per machine",
    )


ROWS = [_row(transport, trips) for trips in (False, True) for transport in ("tcp", "ipc", "inproc")]
