"""Objects of Python that several threads use and change at the same moment: without a GIL nobody is alone."""

import asyncio
import importlib
import itertools
import threading
import time
import warnings

import pytest
from support.impl import ours_only, zmq
from support.waiting import Task

pytestmark = ours_only

MOMENT = 0.7  # seconds; on a build without the GIL what this guards against shows within half of it


def together(*works):
    """Calls each function again and again, in a thread of its own; what one of them raises fails the test."""
    end = time.monotonic() + MOMENT

    def again(work):
        while time.monotonic() < end:
            work()

    for task in [Task(again, work) for work in works]:
        task.result()


def test_a_list_that_changes_while_it_is_sent(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    items = [b"%d" % k * 20 for k in range(200)]

    def send():
        try:
            push.send_many(items, zmq.DONTWAIT)
        except zmq.Again:
            pass

    def change():
        for k in range(len(items)):
            items[k] = b"%d" % k * 20
        items.clear()
        items.extend(b"%d" % k * 20 for k in range(200))

    def receive():
        for message in pull.recv_many(timeout=10):
            assert message == message[: len(message) // 20] * 20

    together(send, change, receive)


def test_one_poller_in_two_threads_while_a_third_registers(world):
    pairs = [world.pair(zmq.PAIR, zmq.PAIR, "inproc") for _ in range(6)]
    poller = zmq.Poller()
    for socket, _ in pairs[:3]:
        poller.register(socket, zmq.POLLIN)

    def poll():
        for socket, events in poller.poll(1):
            assert events == zmq.POLLIN
            assert not socket.closed

    def register():
        for _, socket in pairs:
            poller.register(socket, zmq.POLLIN)
        for _, socket in pairs:
            poller.unregister(socket)

    def talk():
        pairs[0][1].send(b"x")
        pairs[0][0].recv()

    together(poll, poll, register, talk)
    assert [socket for socket, _ in poller.sockets] == [socket for socket, _ in pairs[:3]]


@pytest.mark.parametrize("how", ["close", "forget", "cancel"])
def test_sockets_of_a_loop_end_in_other_threads(how):
    """They belong to the loop's thread; in another they can be closed, cancelled and collected, at any moment."""
    ctx = importlib.import_module(zmq.__name__ + ".asyncio").Context()
    numbers = itertools.count()
    shown = []
    ended = threading.Event()

    async def one_pair():
        a, b = ctx.socket(zmq.PAIR), ctx.socket(zmq.PAIR)
        a.linger = b.linger = 0
        address = f"inproc://pair-of-a-loop-{next(numbers)}"
        a.bind(address)
        b.connect(address)
        calls = [a.recv() for _ in range(4)]
        shown[:] = [a, b]
        try:
            for _ in range(20):
                await b.send(b"x", zmq.DONTWAIT)
                await asyncio.sleep(0)
        except zmq.ZMQError:
            pass  # closed, or more than there are calls for
        if how != "forget":
            a.close()
            b.close()
            for outcome in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5):
                assert outcome == b"x" or isinstance(outcome, (asyncio.CancelledError, zmq.ZMQError))

    async def main():
        end = time.monotonic() + MOMENT
        while time.monotonic() < end:
            await one_pair()

    def meddle():
        while not ended.is_set():
            for socket in shown.copy():
                if how == "close":
                    socket.close()
                elif how == "cancel":
                    for call in socket._recv_futures:
                        call.cancel()
            socket = None
            if how == "forget":
                shown.clear()
            time.sleep(0.0002)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        tasks = [Task(meddle) for _ in range(2)]
        try:
            asyncio.run(main())
        finally:
            ended.set()
        for task in tasks:
            task.result()
        shown.clear()
        ctx.destroy(0)


def test_one_frame_in_many_threads():
    frames = [zmq.Frame(b"")]

    def renew():
        frames[:] = [zmq.Frame(bytearray(b"x" * 100)) for _ in range(200)]

    def read():
        for frame in frames.copy():
            assert len(frame.bytes) == len(frame.buffer)

    def name():
        for k, frame in enumerate(frames.copy()):
            frame.group = f"group {k}"
            assert frame.group.startswith("group ")
            assert frame.get("group").startswith("group ")

    together(renew, read, read, name, name)


def test_the_threshold_is_set_while_others_send(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")

    def send():
        try:
            push.send(bytearray(50), zmq.DONTWAIT, copy=False)
        except zmq.Again:
            pass

    def change():
        for k in range(1000):
            push.copy_threshold = 100_000 + k

    together(send, change, change, lambda: pull.recv_many(timeout=10))


def test_sockets_are_listed_while_others_come_and_go(world):
    ctx = world.context()
    kept = [ctx.socket(zmq.PAIR) for _ in range(20)]

    def make():
        ctx.socket(zmq.PAIR).close(0)

    def look():
        found = ctx.sockets()
        assert all(socket in found for socket in kept)

    def default():
        for option in (zmq.LINGER, zmq.SNDHWM, zmq.RCVHWM):
            ctx.setsockopt(option, 0)
        for option in (zmq.LINGER, zmq.SNDHWM, zmq.RCVHWM):
            ctx.sockopts.pop(option)

    together(make, make, look, default)
    for socket in kept:
        socket.close()
