"""Objects of Python that several threads use and change at the same moment: without a GIL nobody is alone."""

import time

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
