"""Read by a type checker, never run: what programs may expect of the types."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import pyzq as zmq
from pyzq import patterns
from pyzq.hwm import DEFAULT, Block, DropOldest


def numbers(socket: zmq.Socket[bytes]) -> None:
    assert_type(zmq.PUSH, zmq.SocketType)
    socket.linger = 0
    assert_type(socket.linger, int)
    assert_type(socket.LAST_ENDPOINT, bytes)
    socket.set(zmq.IDENTITY, b"me")
    socket.setsockopt(zmq.LINGER, 0)
    socket.hwm_policy = DropOldest(messages=5)
    socket.set_hwm_policy(send=DEFAULT, recv=Block())
    socket.hwm_policy = None


def messages(socket: zmq.Socket[bytes], copy: bool) -> None:
    assert_type(socket.recv(), bytes)
    assert_type(socket.recv(zmq.DONTWAIT), bytes)
    assert_type(socket.recv(copy=True), bytes)
    assert_type(socket.recv(copy=False), zmq.Frame)
    assert_type(socket.recv(zmq.DONTWAIT, False), zmq.Frame)
    assert_type(socket.recv(copy=copy), bytes | zmq.Frame)
    assert_type(socket.recv_multipart(), list[bytes])
    assert_type(socket.recv_multipart(copy=False), list[zmq.Frame])
    assert_type(socket.recv_string(), str)
    assert_type(socket.send(b"x", copy=False, track=True), zmq.MessageTracker)
    socket.send(bytearray(5), zmq.SNDMORE)
    socket.send_multipart([b"x", memoryview(b"y"), zmq.Frame(b"z")])
    socket.send_string(5)  # type: ignore[arg-type]
    socket.send("text")  # type: ignore[call-overload]


def contexts() -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket, socket.bind("tcp://*:5555"):
        assert_type(zmq.Context.instance(io_threads=1).closed, bool)
        socket.close(linger=0)
    with zmq.Context() as context, context.socket(zmq.PULL).bind("tcp://*:5555") as bound:
        assert_type(bound, zmq.Socket[bytes])
        with context.socket(zmq.PUSH, socket_class=Mine).connect("tcp://localhost:5555") as connected:
            assert_type(connected, Mine)


def polling(socket: zmq.Socket[bytes]) -> None:
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    assert_type(poller.poll(100), list[tuple[Any, int]])


def typed_patterns() -> None:
    with patterns.Push(bind="tcp://*:5555") as push, patterns.Pull(connect=["tcp://localhost:5555"]) as pull:
        push.send(b"x")
        push.recv()  # type: ignore[attr-defined]
        pull.send(b"x")  # type: ignore[attr-defined]
        assert_type(pull.recv(), bytes)
        assert_type(pull.recv(copy=False), zmq.Frame)
    patterns.Sub(subscribe="topic").unsubscribe("topic")
    patterns.Radio().send(b"x", group="weather")
    patterns.Server().send(b"x", routing_id=5)


def errors() -> None:
    try:
        zmq.Context().term()
    except zmq.Again:
        pass
    except zmq.ZMQError as error:
        assert_type(error.errno, int | None)
        assert_type(error.strerror, str)


class Mine(zmq.Socket[bytes]):
    extra: int


def subclasses() -> None:
    with zmq.Context() as context:
        assert_type(context.socket(zmq.PUSH), zmq.Socket[bytes])
        assert_type(context.socket(zmq.PUSH, socket_class=Mine), Mine)
        assert_type(context.socket(zmq.PUSH, Mine).extra, int)
