"""The messaging patterns that rows are made of: which socket types meet, who binds, how the sender is held back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_STREAMS = ("tcp", "ipc", "inproc")


@dataclass(frozen=True)
class Pattern:
    """Two socket types and how they meet.

    flow says what keeps a one-way sender from losing messages: "blocking", the type itself blocks at its high-water
    mark; "credit", the type drops, so the sender keeps at most a window of messages unacknowledged.
    """

    name: str
    sender: str  # type that sends first: the client of a round trip
    receiver: str
    binder: Literal["sender", "receiver"]
    flow: Literal["blocking", "credit"] = "blocking"
    nearest: str = ""  # for a draft type: the stable pattern that comes closest
    transports: tuple[str, ...] = _STREAMS

    @property
    def draft(self) -> bool:
        """Whether a type is a draft, which stock builds of libzmq do not have."""
        return bool(self.nearest)


PATTERNS: dict[str, Pattern] = {
    p.name: p
    for p in (
        Pattern("pushpull", "PUSH", "PULL", "receiver"),
        Pattern("pair", "PAIR", "PAIR", "receiver"),
        Pattern("dealerrouter", "DEALER", "ROUTER", "receiver"),
        Pattern("routerdealer", "ROUTER", "DEALER", "sender", "credit"),
        Pattern("dealerdealer", "DEALER", "DEALER", "receiver"),
        Pattern("pubsub", "PUB", "SUB", "sender", "credit"),
        Pattern("xpubxsub", "XPUB", "XSUB", "sender", "credit"),
        Pattern("reqrep", "REQ", "REP", "receiver"),
        Pattern("reqrouter", "REQ", "ROUTER", "receiver"),
        Pattern("dealerrep", "DEALER", "REP", "receiver"),
        Pattern("stream", "STREAM", "STREAM", "receiver", transports=("tcp",)),
        Pattern("clientserver", "CLIENT", "SERVER", "receiver", nearest="dealerrouter"),
        Pattern("serverclient", "SERVER", "CLIENT", "sender", "credit", nearest="routerdealer"),
        Pattern("radiodish", "RADIO", "DISH", "sender", "credit", nearest="pubsub", transports=(*_STREAMS, "udp")),
        Pattern("scattergather", "SCATTER", "GATHER", "receiver", nearest="pushpull"),
        Pattern("peer", "PEER", "PEER", "receiver", "credit", nearest="routerdealer"),
        Pattern("channel", "CHANNEL", "CHANNEL", "receiver", nearest="pair"),
        Pattern("dgram", "DGRAM", "DGRAM", "receiver", "credit", nearest="routerdealer", transports=("udp",)),
    )
}

SOCKET_TYPES = frozenset(t for p in PATTERNS.values() for t in (p.sender, p.receiver))
"""Every socket type that some pattern exercises."""

ROUND_TRIPS = frozenset({"reqrep", "reqrouter", "dealerrep"})
"""Patterns that can only be measured as round trips."""

CREDIT_HWM = 20_000
"""High-water mark, for every side and implementation, where the sender waits for credit.

At most 800 messages are under way then, but a libzmq writer learns of what was read only every half high-water mark,
and looks for that news at most once a millisecond: with the default of 1000 its PUB and ROUTER drop messages although
the queues are nearly empty.
"""
