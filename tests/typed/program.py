"""Read by type checkers, never run: contexts, sockets, pollers and patterns."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import sys
from typing import Any, Literal

from typing_extensions import assert_type

import pyzq as zmq
from pyzq import patterns
from pyzq.hwm import DEFAULT, Block, Disconnect, DropOldest, KeepLast, Policy


def numbers(socket: zmq.Socket[bytes]) -> None:
    kinds: list[zmq.SocketType] = [zmq.PUSH, zmq.PULL]
    assert_type(kinds[0], zmq.SocketType)
    assert_type(socket.linger, int)
    socket.linger = 0
    assert_type(socket.LAST_ENDPOINT, bytes)
    socket.set(zmq.IDENTITY, b"me")
    socket.setsockopt(zmq.LINGER, 0)
    assert_type(socket.hwm_policy, Policy | None)
    socket.hwm_policy = DropOldest(messages=5)
    socket.set_hwm_policy(send=DEFAULT, recv=Block())
    socket.hwm_policy = None
    assert_type(socket.hwm, int)
    assert_type(socket.type, int)
    assert_type(zmq.SocketOption.AFFINITY.value, int)
    socket.linger = "long"  # type: ignore[assignment]
    socket.lingr = 0  # type: ignore[attr-defined]
    socket.set("linger", 0)  # type: ignore[arg-type]


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
    assert_type(socket.recv_multipart(copy=copy), list[bytes] | list[zmq.Frame])
    assert_type(socket.recv_into(bytearray(5)), int)
    assert_type(socket.recv_serialized(len), int)
    assert_type(socket.send(b"x", copy=False, track=True), zmq.MessageTracker)
    assert_type(socket.send(b"x", copy=False), zmq.MessageTracker | None)
    assert_type(socket.send_many([b"x", [b"y", b"z"]]), int)
    assert_type(socket.poll(5), int)
    assert_type(bytes(socket.recv(copy=False)), bytes)
    socket.send(bytearray(5), zmq.SNDMORE)
    socket.send_multipart([b"x", memoryview(b"y"), zmq.Frame(b"z")])
    socket.send_string(5)  # type: ignore[arg-type]
    socket.send("text")  # type: ignore[call-overload]


def frames(frame: zmq.Frame) -> None:
    assert_type(frame.bytes, bytes)
    assert_type(frame.buffer, memoryview)
    assert_type(frame.more, bool)
    assert_type(frame.tracker, zmq.MessageTracker | None)
    assert_type(frame.get(zmq.MORE), int)
    assert_type(frame.get("User-Id"), int | str)
    assert_type(memoryview(frame), memoryview)
    zmq.Frame("text")  # type: ignore[arg-type]


def policies() -> None:
    assert_type(KeepLast("first_frame").key, int | Literal["first_frame"] | None)
    assert_type(Disconnect(after=5).after, int)
    assert_type(Block().bytes, int | None)
    KeepLast("last_frame")  # type: ignore[arg-type]


def contexts() -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket, socket.bind("tcp://*:5555"):
        assert_type(context, zmq.Context[zmq.Socket[bytes]])
        assert_type(zmq.Context.instance(io_threads=1).closed, bool)
        assert_type(zmq.Context.instance().socket(zmq.REQ), zmq.Socket[bytes])
        assert_type(zmq.Context.shadow(context), zmq.Context[zmq.Socket[bytes]])
        assert_type(zmq.Socket.shadow(socket), zmq.Socket[bytes])
        socket.close(linger=0)
    with zmq.Context() as context, context.socket(zmq.PULL).bind("tcp://*:5555") as bound:
        assert_type(bound, zmq.Socket[bytes])
        with context.socket(zmq.PUSH, socket_class=Mine).connect("tcp://localhost:5555") as connected:
            assert_type(connected, Mine)


def polling(socket: zmq.Socket[bytes]) -> None:
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(5, zmq.POLLIN)
    poller.register(sys.stdin)
    poller.register("socket")  # type: ignore[arg-type]
    assert_type(poller.poll(100), list[tuple[Any, int]])
    assert_type(zmq.select([socket], [], [5], 0.5), tuple[list[Any], list[Any], list[Any]])
    assert_type(zmq.zmq_poll([(socket, zmq.POLLIN)], 5), list[tuple[Any, int]])


def typed_patterns() -> None:
    with patterns.Push(bind="tcp://*:5555") as push, patterns.Pull(connect=["tcp://localhost:5555"]) as pull:
        push.send(b"x")
        assert_type(push.socket, zmq.Socket[bytes])
        push.recv()  # type: ignore[attr-defined]
        pull.send(b"x")  # type: ignore[attr-defined]
        assert_type(pull.recv(), bytes)
        assert_type(pull.recv(copy=False), zmq.Frame)
        assert_type(pull.recv_multipart(), list[bytes])
        assert_type(pull.recv_multipart(copy=False), list[zmq.Frame])
        with push.bind("tcp://*:5556") as bound:
            assert_type(bound, zmq.Socket[bytes])
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
