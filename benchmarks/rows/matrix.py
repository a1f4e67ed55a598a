"""Every socket type over every transport at three sizes: never below 0.95x.

One-way types and directions are measured by throughput, request and reply types by round trips per second. PUSH/PULL
has its own rows. A draft type, which pyzmq's wheel does not have, is compared with the nearest stable type; a transport
the wheel does not have, with tcp.
"""

from __future__ import annotations

from ..model import Metric, Row, human_size
from ..patterns import PATTERNS, ROUND_TRIPS, Pattern

SIZES = (16, 1 << 10, 1 << 16)
UDP_SIZES = (16, 1 << 10, 8000)  # a datagram of RADIO/DISH and DGRAM ends at 8192 bytes with its envelope
_WS = ("pushpull", "pubsub", "reqrep")
_OWN_ROWS = {"pushpull"}


def _row(pattern: Pattern, transport: str, size: int) -> Row:
    trips = pattern.name in ROUND_TRIPS
    nearest, note = None, ""
    if pattern.nearest or transport in ("udp", "ws"):
        nearest = (pattern.nearest or pattern.name, "tcp" if transport in ("udp", "ws") else transport)
        near = PATTERNS[nearest[0]]
        note = f"pyzmq: {near.sender}/{near.receiver} over {nearest[1]}, the nearest its wheel has"
    kind = "roundtrip" if trips else "rawstream" if pattern.name == "stream" else "oneway"
    params: dict = {} if trips else {"flow": None}
    if transport == "udp":
        # a datagram that does not fit into the kernel's buffer is gone: little under way at a time
        params |= {"chunk": 10, "credit_chunks": 2}
    return Row(
        id=f"{pattern.name}-{transport}-{human_size(size)}",
        group="Every type",
        kind=kind,
        title=f"{pattern.sender}/{pattern.receiver}, {human_size(size)}, {transport}",
        pattern=pattern.name,
        transport=transport,
        size=size,
        metrics=(
            Metric("rate", "round trips/s" if trips else "msg/s", "more", 0.95),
            Metric("cpu_us_per_op", "us", "less"),
        ),
        params=params,
        nearest=nearest,
        tags=frozenset({"floor"}),
        note=note,
    )


ROWS = [
    _row(pattern, transport, size)
    for pattern in PATTERNS.values()
    if pattern.name not in _OWN_ROWS
    for transport in pattern.transports
    for size in (UDP_SIZES if transport == "udp" else SIZES)
] + [_row(PATTERNS[name], "ws", size) for name in _WS for size in SIZES]
