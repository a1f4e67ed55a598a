"""The calls whose instructions are counted. Each case runs in one thread, so that nothing is left to chance.

Run as ``python -m benchmarks.instruction_cases IMPL CASE COUNT``: sets the case up, performs it COUNT times, ends.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from itertools import repeat
from typing import Any

from . import embedded
from .adapters.zmqlike import MODULES

Operation = Callable[[int], None]
"""Performs the case so many times."""

_BATCH = 100


def _pair(zmq: Any, ctx: Any, address: str = "inproc://pair") -> tuple[Any, Any]:
    near, far = ctx.socket(zmq.PAIR), ctx.socket(zmq.PAIR)
    near.bind(address)
    far.connect(near.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0") if "*" in address else address)
    near.send(b"hello")
    if far.recv() != b"hello":
        raise RuntimeError("the first message did not arrive as sent")
    return near, far


def _send_recv(size: int) -> Callable[[Any, Any], Operation]:
    def prepare(zmq: Any, ctx: Any) -> Operation:
        near, far = _pair(zmq, ctx)
        send, recv, data = near.send, far.recv, b"x" * size

        def operate(count: int) -> None:
            for _ in repeat(None, count):
                send(data)
                recv()

        return operate

    return prepare


def _multipart(zmq: Any, ctx: Any) -> Operation:
    near, far = _pair(zmq, ctx)
    send, recv, parts = near.send_multipart, far.recv_multipart, [b"identity", b"", b"x" * 64]

    def operate(count: int) -> None:
        for _ in repeat(None, count):
            send(parts)
            recv()

    return operate


def _many(zmq: Any, ctx: Any) -> Operation:
    near, far = _pair(zmq, ctx)
    send_many, recv_many, batch = near.send_many, far.recv_many, [b"x" * 16] * _BATCH

    def operate(count: int) -> None:
        for _ in repeat(None, count // _BATCH):
            send_many(batch)
            missing = _BATCH
            while missing:
                missing -= len(recv_many(missing))

    return operate


def _pub_alone(zmq: Any, ctx: Any) -> Operation:
    pub = ctx.socket(zmq.PUB)
    pub.bind("inproc://alone")
    send, data = pub.send, b"x" * 64

    def operate(count: int) -> None:
        for _ in repeat(None, count):
            send(data)

    return operate


def _pub_filtered(zmq: Any, ctx: Any) -> Operation:
    pub, sub = ctx.socket(zmq.PUB), ctx.socket(zmq.SUB)
    pub.bind("inproc://filtered")
    for number in range(100):
        sub.setsockopt(zmq.SUBSCRIBE, b"topic.%03d" % number)
    sub.connect("inproc://filtered")
    pub.send(b"topic.000")
    if sub.recv() != b"topic.000":
        raise RuntimeError("the subscription does not work")
    send, data = pub.send, b"topic.100 " + b"x" * 54

    def operate(count: int) -> None:
        for _ in repeat(None, count):
            send(data)

    return operate


def _tcp_bursts(zmq: Any, ctx: Any) -> Operation:
    near, far = _pair(zmq, ctx, "tcp://127.0.0.1:*")
    send, recv, data = near.send, far.recv, b"x" * 64

    def operate(count: int) -> None:
        for _ in repeat(None, count // _BATCH):
            for _ in repeat(None, _BATCH):
                send(data)
            for _ in repeat(None, _BATCH):
                recv()

    return operate


def _direct(address: str) -> Callable[[Any, Any], Operation]:
    def prepare(zmq: Any, ctx: Any) -> Operation:
        near, far = (_end(zmq, sock) for sock in _pair(zmq, ctx, address))
        data = b"x" * 64

        def operate(count: int) -> None:
            for _ in repeat(None, count // _BATCH):
                near.send_chunk(data, data, _BATCH)
                far.recv_chunk(_BATCH)

        return operate

    return prepare


def _end(zmq: Any, sock: Any) -> Any:
    """The engine's half of a socket, for loops without Python."""
    if zmq.__name__ != "pyzq":
        raise RuntimeError(f"{zmq.__name__} has no functions for Cython programs to be counted here")
    return embedded.loops().End(sock)


def _poll_ready(zmq: Any, ctx: Any) -> Operation:
    near, far = _pair(zmq, ctx)
    near.send(b"waiting")
    poll = far.poll

    def operate(count: int) -> None:
        for _ in repeat(None, count):
            poll(0)

    return operate


def _poller_idle(zmq: Any, ctx: Any) -> Operation:
    poller = zmq.Poller()
    for number in range(20):
        sock = ctx.socket(zmq.PULL)
        sock.bind(f"inproc://idle{number}")
        poller.register(sock, zmq.POLLIN)
    poll = poller.poll

    def operate(count: int) -> None:
        for _ in repeat(None, count):
            poll(0)

    return operate


CASES: dict[str, tuple[str, Callable[[Any, Any], Operation]]] = {
    "send-recv-16B": ("PAIR send() and recv() in one thread, inproc, 16 B", _send_recv(16)),
    "send-recv-1KB": ("PAIR send() and recv() in one thread, inproc, 1 KB", _send_recv(1 << 10)),
    "multipart": ("PAIR send_multipart() and recv_multipart() of three parts, inproc", _multipart),
    "many-16B": ("send_many() and recv_many() of 100, inproc, 16 B, per message", _many),
    "pub-alone": ("PUB send() without a subscriber", _pub_alone),
    "pub-filtered": ("PUB send() of a topic that none of 100 subscriptions matches", _pub_filtered),
    "tcp-bursts": (
        "PAIR over tcp in one thread, 100 sends, then 100 receives, per message (background thread included)",
        _tcp_bursts,
    ),
    "direct-tcp": ("direct_send() and direct_recv() from Cython: as tcp-bursts", _direct("tcp://127.0.0.1:*")),
    "direct-inproc": (
        "direct_send() and direct_recv() from Cython: PAIR, inproc, 64 B, 100 each",
        _direct("inproc://pair"),
    ),
    "poll-ready": ("poll(0) on a socket that is ready", _poll_ready),
    "poller-idle": ("Poller.poll(0) over 20 idle sockets", _poller_idle),
}
"""Name: (what one operation is, how to prepare it)."""


def main() -> None:
    """Perform one case and end at once."""
    impl, case, count = sys.argv[1:4]
    zmq = importlib.import_module(MODULES[impl])
    operate = CASES[case][1](zmq, zmq.Context())
    operate(_BATCH)
    operate(int(count))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
