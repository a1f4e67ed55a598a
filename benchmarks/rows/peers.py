"""One socket, many peers: fan-out, a router, a proxy; and what a thousand connections cost."""

from __future__ import annotations

from ..model import Metric, Row, human_size

_OUTSTANDING = 100  # requests under way in all, at least one for each DEALER


def _fanout(transport: str, peers: int) -> Row:
    return Row(
        id=f"fanout-{transport}-64B-{peers}",
        group="Many peers",
        kind="oneway",
        title=f"PUB to {peers} SUB, 64 B, {transport}: messages delivered, none lost",
        pattern="pubsub",
        transport=transport,
        size=64,
        metrics=(Metric("rate", "msg/s", "more", 2), Metric("cpu_us_per_op", "us", "less")),
        params={"flow": "credit", "peers": peers},
        tags=frozenset({"goal", "quick"} if (transport, peers) == ("tcp", 8) else {"goal"}),
        note="the subscribers share a process; the publisher waits for their credit, so that nobody drops",
    )


def _flood(peers: int) -> Row:
    return Row(
        id=f"flood-tcp-64B-{peers}",
        group="Many peers",
        kind="oneway",
        title=f"PUB to {peers} SUB, 64 B, tcp: nothing holds the publisher back, what arrives counts",
        pattern="pubsub",
        transport="tcp",
        size=64,
        metrics=(
            Metric("rate", "msg/s", "more", 2),
            Metric("lost_share", "", "less"),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params={"flow": "lossy", "peers": peers, "only": ("pyzq", "pyzmq", "pyomq")},
        tags=frozenset({"goal"}),
        note="default behaviour of PUB: it drops for a subscriber whose queue is full",
    )


def _router(transport: str, peers: int) -> Row:
    outstanding = max(1, _OUTSTANDING // peers)
    return Row(
        id=f"router-{transport}-64B-{peers}",
        group="Many peers",
        kind="router",
        title=f"ROUTER answering {peers} DEALER, {outstanding} outstanding each, 64 B, {transport}: replies",
        pattern="dealerrouter",
        transport=transport,
        size=64,
        metrics=(Metric("rate", "replies/s", "more", 2), Metric("cpu_us_per_op", "us", "less")),
        params={"peers": peers, "outstanding": outstanding},
        tags=frozenset({"goal", "quick"} if (transport, peers) == ("tcp", 100) else {"goal"}),
    )


def _proxy(pattern: str, name: str, size: int, goal: bool) -> Row:
    trips = pattern == "reqrep"
    return Row(
        id=f"proxy-{name}-tcp-{human_size(size)}",
        group="Many peers",
        kind="proxy",
        title=f"{name} proxy in its own process, {human_size(size)}, tcp"
        + (": round trips through it" if trips else ": messages through it"),
        pattern=pattern,
        transport="tcp",
        size=size,
        metrics=(
            Metric("rate", "round trips/s" if trips else "msg/s", "more", 2 if goal else 0.95),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params={"flow": None, "only": ("pyzq", "pyzmq", "pyomq")},
        tags=frozenset({"goal" if goal else "floor"}),
    )


_CONNECTIONS = Row(
    id="connections-tcp-1000",
    group="Setting up",
    kind="connections",
    title="1000 DEALER connections to a ROUTER, tcp: until each has delivered a message; memory per connection",
    pattern="dealerrouter",
    transport="tcp",
    size=7,
    metrics=(
        Metric("connect_ms", "ms", "less", 1.0),
        Metric("server_kb", "KB", "less", 1.0),
        Metric("clients_kb", "KB", "less", 1.0),
    ),
    params={"peers": 1000},
    tags=frozenset({"goal"}),
)

_IMPORT = Row(
    id="import",
    group="Setting up",
    kind="startup",
    title="import in a fresh interpreter",
    pattern="pushpull",
    transport="-",
    size=0,
    metrics=(Metric("import_ms", "ms", "less", 1.0), Metric("memory_mb", "MB", "less")),
    params={"samples": 5},
    tags=frozenset({"goal", "quick"}),
    note="plain: import socket",
)

ROWS = [
    *(_fanout("tcp", n) for n in (1, 8, 64)),
    *(_fanout("ipc", n) for n in (1, 8, 64)),
    *(_flood(n) for n in (1, 8)),
    *(_router("tcp", n) for n in (1, 100, 1000)),
    *(_router("ipc", n) for n in (1, 100)),
    *(_proxy("pushpull", "streamer", size, True) for size in (64, 4096)),
    *(_proxy("pubsub", "forwarder", size, True) for size in (64, 4096)),
    *(_proxy("reqrep", "queue", size, False) for size in (64, 4096)),
    _CONNECTIONS,
    _IMPORT,
]
