"""CURVE: round trips and throughput of connections that are encrypted."""

from __future__ import annotations

from ..model import Metric, Row, human_size

_ZMQ = ("pyzq", "pyzmq")  # those with ZMTP's mechanisms under libzmq's option names
_NOTE = "pyzq calls the libsodium inside PyNaCl's wheel, pyzmq the one inside its own: their speeds differ"


def _roundtrip(transport: str) -> Row:
    return Row(
        id=f"curve-reqrep-{transport}-64B",
        group="Encrypted",
        kind="roundtrip",
        title=f"REQ/REP under CURVE, 64 B, {transport}",
        pattern="reqrep",
        transport=transport,
        size=64,
        metrics=(
            Metric("p50_us", "us", "less", 0.5),
            Metric("cpu_us_per_op", "us", "less"),
            Metric("p99_us", "us", "less"),
        ),
        params={"mechanism": "CURVE", "only": _ZMQ},
        tags=frozenset({"goal"}),
        note=_NOTE,
    )


def _throughput(transport: str, size: int, goal: float | None) -> Row:
    return Row(
        id=f"curve-pushpull-{transport}-{human_size(size)}",
        group="Encrypted",
        kind="oneway",
        title=f"PUSH/PULL under CURVE, plain send() and recv() loops, {human_size(size)}, {transport}",
        pattern="pushpull",
        transport=transport,
        size=size,
        metrics=(Metric("rate", "msg/s", "more", goal), Metric("cpu_us_per_op", "us", "less")),
        params={"flow": None, "mechanism": "CURVE", "only": _ZMQ},
        tags=frozenset({"goal"}),
        note=_NOTE,
    )


def _cipher(size: int) -> Row:
    return Row(
        id=f"curve-cipher-{human_size(size)}",
        group="Encrypted",
        kind="cipher",
        title=f"libsodium alone: {human_size(size)} sealed and opened, on one CPU",
        pattern="pushpull",
        transport="inproc",
        size=size,
        metrics=(Metric("rate", "msg/s", "more"),),
        params={"only": ("pyzq",)},
        note="PyNaCl's libsodium, called as the engine calls it",
    )


_GOALS = {64: 3, 1 << 10: None, 1 << 16: 1.2}

ROWS = [_roundtrip(t) for t in ("tcp", "ipc")] + [_throughput("tcp", size, goal) for size, goal in _GOALS.items()]
ROWS += [_cipher(size) for size in _GOALS]
