"""Read by type checkers, never run: sockets of event loops, whose calls are awaited."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from typing_extensions import assert_type

import pyzq as zmq
import pyzq.anyio as anyio_zmq
import pyzq.asyncio as asyncio_zmq
import pyzq.eventloop.future as tornado_zmq
import pyzq.green as green_zmq
import pyzq.trio as trio_zmq
from pyzq.utils.monitor import MonitorMessage, recv_monitor_message


async def of_asyncio(copy: bool) -> None:
    context = asyncio_zmq.Context()
    assert_type(asyncio_zmq.Context.instance(), asyncio_zmq.Context)
    socket = context.socket(zmq.DEALER)
    assert_type(socket, asyncio_zmq.Socket)
    assert_type(context.socket(zmq.DEALER, socket_class=zmq.Socket).recv(), bytes)
    assert_type(await socket.recv(), bytes)
    assert_type(await socket.recv(zmq.DONTWAIT), bytes)
    assert_type(await socket.recv(copy=False), zmq.Frame)
    assert_type(await socket.recv(0, False), zmq.Frame)
    assert_type(await socket.recv(copy=copy), bytes | zmq.Frame)
    assert_type(await socket.recv_multipart(), list[bytes])
    assert_type(await socket.recv_multipart(copy=False), list[zmq.Frame])
    assert_type(await socket.recv_multipart(copy=copy), list[bytes] | list[zmq.Frame])
    assert_type(await socket.recv_into(bytearray(5)), int)
    assert_type(await socket.recv_many(5), list[Any])
    assert_type(await socket.recv_string(), str)
    assert_type(await socket.recv_serialized(len), int)
    assert_type(await socket.send(b"x", copy=False, track=True), zmq.MessageTracker)
    assert_type(await socket.send(b"x", copy=False), zmq.MessageTracker | None)
    assert_type(await socket.send_multipart([b"x", b"y"]), zmq.MessageTracker | None)
    assert_type(await socket.send_string("x"), zmq.MessageTracker | None)
    assert_type(await socket.send_many([b"x"]), int)
    assert_type(await socket.poll(5), int)
    assert_type(await asyncio.wait_for(socket.recv(), 5), bytes)
    assert_type(await asyncio.gather(socket.recv(), socket.recv_string()), tuple[bytes, str])
    assert_type(socket.recv().done(), bool)
    socket.recv().decode()  # type: ignore[attr-defined]
    await socket.send("text")  # type: ignore[call-overload]
    async with context.socket(zmq.PULL) as pull:
        assert_type(pull, asyncio_zmq.Socket)
    with socket.connect("tcp://localhost:5555") as connected:
        assert_type(connected, asyncio_zmq.Socket)
    poller = asyncio_zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    assert_type(await poller.poll(5), list[tuple[Any, int]])
    assert_type(asyncio_zmq.Socket.from_socket(zmq.Context().socket(zmq.PUSH)), asyncio_zmq.Socket)


async def of_tornado(copy: bool) -> None:
    socket = tornado_zmq.Context().socket(zmq.DEALER)
    assert_type(socket, tornado_zmq.Socket)
    assert_type(socket.recv(), asyncio.Future[bytes])
    assert_type(await socket.recv(), bytes)
    assert_type(await socket.recv(copy=False), zmq.Frame)
    assert_type(await socket.recv(copy=copy), bytes | zmq.Frame)
    assert_type(await socket.recv_multipart(), list[bytes])
    assert_type(await socket.recv_multipart(copy=False), list[zmq.Frame])
    assert_type(await socket.recv_string(), str)
    assert_type(await socket.send(b"x", copy=False, track=True), zmq.MessageTracker)
    assert_type(await socket.poll(5), int)
    assert_type(await tornado_zmq.Poller().poll(5), list[tuple[Any, int]])


async def of_trio(copy: bool) -> None:
    context = trio_zmq.Context()
    socket = context.socket(zmq.DEALER)
    assert_type(socket, trio_zmq.Socket)
    assert_type(await socket.recv(), bytes)
    assert_type(await socket.recv(copy=False), zmq.Frame)
    assert_type(await socket.recv(copy=copy), bytes | zmq.Frame)
    assert_type(await socket.recv_multipart(), list[bytes])
    assert_type(await socket.recv_multipart(copy=False), list[zmq.Frame])
    assert_type(await socket.recv_multipart(copy=copy), list[bytes] | list[zmq.Frame])
    assert_type(await socket.recv_into(bytearray(5)), int)
    assert_type(await socket.recv_string(), str)
    assert_type(await socket.recv_serialized(len), int)
    assert_type(await socket.send(b"x", copy=False, track=True), zmq.MessageTracker)
    assert_type(await socket.send_string("x"), zmq.MessageTracker | None)
    assert_type(await socket.send_many([b"x"]), int)
    assert_type(await socket.poll(5), int)
    assert_type(await trio_zmq.Poller().poll(5), list[tuple[Any, int]])
    async with socket:
        await socket.aclose()


async def of_anyio() -> None:
    socket = anyio_zmq.Context.instance().socket(zmq.DEALER)
    assert_type(socket, anyio_zmq.Socket)
    assert_type(await socket.recv(), bytes)
    assert_type(await socket.recv(copy=False), zmq.Frame)
    assert_type(await anyio_zmq.Poller().poll(5), list[tuple[Any, int]])


def of_gevent(copy: bool) -> None:
    context = green_zmq.Context()
    assert_type(context, green_zmq.Context)
    socket = context.socket(green_zmq.DEALER)
    assert_type(socket, green_zmq.Socket)
    assert_type(socket.recv(), bytes)
    assert_type(socket.recv(copy=False), green_zmq.Frame)
    assert_type(socket.recv(copy=copy), bytes | green_zmq.Frame)
    assert_type(socket.recv_multipart(), list[bytes])
    assert_type(socket.recv_multipart(copy=False), list[zmq.Frame])
    assert_type(socket.recv_multipart(copy=copy), list[bytes] | list[zmq.Frame])
    assert_type(socket.recv_string(), str)
    assert_type(socket.recv_into(bytearray(5)), int)
    assert_type(socket.send(b"x", copy=False, track=True), zmq.MessageTracker)
    assert_type(socket.poll(5), int)
    assert_type(green_zmq.Poller().poll(5), list[tuple[Any, int]])
    assert_type(green_zmq.__version__, str)
    needs_bytes(socket)
    needs_context(context)


def needs_bytes(socket: zmq.Socket[bytes]) -> None:
    assert_type(recv_monitor_message(socket.get_monitor_socket()), MonitorMessage)


def needs_context(context: zmq.Context) -> None:
    assert_type(context.socket(zmq.PULL).recv(), bytes)


async def monitors(of_asyncio: asyncio_zmq.Socket, of_trio: trio_zmq.Socket) -> None:
    assert_type(of_asyncio.get_monitor_socket(), asyncio_zmq.Socket)
    assert_type(recv_monitor_message(of_asyncio), Awaitable[MonitorMessage])
    message = await recv_monitor_message(of_trio)
    assert_type(message["event"], zmq.Event)
    assert_type(message["value"], int)
    assert_type(message["endpoint"], bytes)
    needs_bytes(of_asyncio)  # type: ignore[arg-type]
    needs_bytes(of_trio)  # type: ignore[arg-type]
    needs_context(asyncio_zmq.Context())  # type: ignore[arg-type]
