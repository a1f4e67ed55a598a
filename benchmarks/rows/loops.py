"""Event loops and pollers: asyncio on the stock loop and on uvloop, gevent, ZMQStream, Pollers with many sockets."""

from __future__ import annotations

from functools import partial

from ..model import Metric, Row

_PEERS = ("pyzq", "pyzmq", "pyomq")
_CPU = Metric("cpu_us_per_op", "us", "less")


def _awaited(loop: str, shape: str, title: str, pattern: str, metrics: tuple[Metric, ...], **params: int) -> Row:
    name = {"oneway": f"{pattern}-tcp-64B", "roundtrip": f"{pattern}-tcp-64B", "trickle": "trickle-tcp-64B-100"}[shape]
    return Row(
        id=f"asyncio-{name}-{loop}",
        group="Event loops",
        kind="awaited",
        title=f"asyncio on {'uvloop' if loop == 'uvloop' else 'the stock loop'}: {title}",
        pattern=pattern,
        transport="tcp",
        size=64,
        metrics=metrics,
        params={"loop": loop, "shape": shape, "flow": None, "only": _PEERS, **params},
        tags=frozenset({"goal", "quick"} if loop == "stock" and shape != "trickle" else {"goal"}),
    )


def _asyncio(loop: str) -> list[Row]:
    return [
        _awaited(
            loop,
            "oneway",
            "PUSH/PULL, plain awaits, 64 B, tcp",
            "pushpull",
            (Metric("rate", "msg/s", "more", 15), _CPU),
        ),
        _awaited(
            loop,
            "roundtrip",
            "REQ/REP, 64 B, tcp",
            "reqrep",
            (Metric("p50_us", "us", "less", 0.4), Metric("p99_us", "us", "less"), _CPU),
        ),
        _awaited(
            loop,
            "trickle",
            "100 sockets with a task each, 2,000 messages a second in all, 64 B, tcp",
            "pushpull",
            (Metric("per_cpu_s", "messages per CPU second of the receiver", "more", 3), _CPU),
            sockets=100,
            per_s=2000,
        ),
    ]


def _framework(
    prefix: str, name: str, kind: str, shape: str, pattern: str, title: str, metrics: tuple[Metric, ...]
) -> Row:
    """A row of a library with a loop of its own."""
    return Row(
        id=f"{prefix}-{pattern}-tcp-64B",
        group="Event loops",
        kind=kind,
        title=f"{name}: {title}, 64 B, tcp",
        pattern=pattern,
        transport="tcp",
        size=64,
        metrics=(*metrics, _CPU),
        params={"shape": shape, "flow": None, "only": ("pyzq", "pyzmq")},
        tags=frozenset({"goal"}),
    )


_green = partial(_framework, "gevent", "gevent", "greenlets")
_stream = partial(_framework, "zmqstream", "ZMQStream on tornado", "streams")


def _poller(sockets: int) -> Row:
    return Row(
        id=f"poller-tcp-{sockets}",
        group="Event loops",
        kind="pollers",
        title=f"Poller with {sockets} {'socket' if sockets == 1 else 'sockets'}, tcp, one ready, and none ready",
        pattern="pushpull",
        transport="tcp",
        size=0,
        metrics=(Metric("rate", "poll/s", "more", 3), Metric("idle_rate", "poll/s", "more", 3)),
        params={"sockets": sockets, "only": _PEERS},
        tags=frozenset({"goal", "quick"} if sockets == 10 else {"goal"}),
    )


ROWS = [
    *_asyncio("stock"),
    *_asyncio("uvloop"),
    Row(
        id="asyncio-ready-tcp-64B",
        group="Event loops",
        kind="ready",
        title="asyncio: await recv() beside recv(), for messages that are there, 64 B, tcp",
        pattern="pushpull",
        transport="tcp",
        size=64,
        metrics=(
            Metric("await_ratio", "x", "less", 3, "absolute"),
            Metric("awaited_ns", "ns", "less"),
            Metric("plain_ns", "ns", "less"),
        ),
        params={"batch": 250, "only": ("pyzq", "pyzmq")},
        tags=frozenset({"goal"}),
        note="the goal is about pyzq's own two ways",
    ),
    _green("oneway", "pushpull", "PUSH/PULL, plain loops", (Metric("rate", "msg/s", "more", 1.5),)),
    _green(
        "roundtrip",
        "reqrep",
        "REQ/REP",
        (Metric("p50_us", "us", "less", round(1 / 1.5, 2)), Metric("p99_us", "us", "less")),
    ),
    _stream("oneway", "pushpull", "PUSH/PULL, a callback", (Metric("rate", "msg/s", "more", 1.5),)),
    _stream(
        "roundtrip",
        "reqrep",
        "REQ/REP, a stream on each side",
        (Metric("p50_us", "us", "less", round(1 / 1.5, 2)), Metric("p99_us", "us", "less")),
    ),
    *(_poller(sockets) for sockets in (1, 10, 100)),
]
