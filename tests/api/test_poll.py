"""Poller, zmq_poll, select, and the contract of FD and EVENTS."""

import os
import random
import select as system
import socket
import threading

import pytest
from support.impl import OURS, TRANSPORTS, ours_only, sides, zmq
from support.waiting import Task, drain, fill, fill_settled, wait_blocked, wait_for


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_poller_reports_what_is_ready(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    wait_for(lambda: push.poll(10, int(zmq.POLLOUT)), "the connection")
    poller = zmq.Poller()
    poller.register(push, zmq.POLLIN | zmq.POLLOUT)
    poller.register(pull, zmq.POLLIN)
    assert dict(poller.poll(1000)) == {push: int(zmq.POLLOUT)}
    poller.modify(push, zmq.POLLIN)
    assert poller.poll(0) == []
    push.send(b"x")
    assert dict(poller.poll(5000)) == {pull: int(zmq.POLLIN)}
    assert dict(poller.poll(5000)) == {pull: int(zmq.POLLIN)}  # level-triggered
    pull.recv()
    assert poller.poll(0) == []
    poller.unregister(pull)
    assert pull not in poller
    assert push in poller
    push.send(b"y")
    assert poller.poll(20) == []


def test_poller_with_raw_descriptors_and_files(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    near, far = socket.socketpair()
    read_end, write_end = os.pipe()
    try:
        poller = zmq.Poller()
        poller.register(pull, zmq.POLLIN)
        poller.register(near, zmq.POLLIN)
        poller.register(read_end, zmq.POLLIN)
        poller.register(write_end, zmq.POLLOUT)
        assert dict(poller.poll(1000)) == {write_end: int(zmq.POLLOUT)}
        poller.unregister(write_end)
        assert poller.poll(0) == []
        far.send(b"x")
        assert dict(poller.poll(5000)) == {near.fileno(): int(zmq.POLLIN)}
        os.write(write_end, b"x")
        push.send(b"x")
        wait_for(lambda: len(poller.poll(50)) == 3, "all three")
        assert dict(poller.poll(0)) == {
            near.fileno(): int(zmq.POLLIN),
            read_end: int(zmq.POLLIN),
            pull: int(zmq.POLLIN),
        }
    finally:
        near.close()
        far.close()
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize("wake", ["socket", "descriptor"])
def test_poller_wakes_for_either_kind(world, wake):
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    near, far = socket.socketpair()
    with near, far:
        poller = zmq.Poller()
        poller.register(pull, zmq.POLLIN)
        poller.register(near, zmq.POLLIN)
        for _ in range(5):
            task = Task(poller.poll, 10_000)
            wait_blocked(task, samples=5)
            if wake == "socket":
                push.send(b"x")
                assert task.result() == [(pull, int(zmq.POLLIN))]
                pull.recv()
            else:
                far.send(b"x")
                assert task.result() == [(near.fileno(), int(zmq.POLLIN))]
                near.recv(1)


def test_closed_descriptor_is_reported(world):
    pull = world.socket(zmq.PULL)
    near, far = socket.socketpair()
    with near:
        poller = zmq.Poller()
        poller.register(near, zmq.POLLIN)
        poller.register(pull, zmq.POLLIN)
        far.close()
        assert dict(poller.poll(5000))[near.fileno()] & int(zmq.POLLIN | zmq.POLLERR)


def test_poller_bookkeeping(world):
    poller = zmq.Poller()
    pull = world.socket(zmq.PULL)
    poller.register(pull)
    poller.register(pull, zmq.POLLIN)
    assert poller.sockets == [(pull, int(zmq.POLLIN))]
    poller.register(pull, 0)  # nothing to watch: out of the list
    assert pull not in poller
    with pytest.raises(KeyError):
        poller.unregister(pull)


def test_empty_poller_only_waits():
    assert zmq.Poller().poll(10) == []


def test_zmq_poll_function(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    assert zmq.zmq_poll([(pull, zmq.POLLIN)], 0) == []
    push.send(b"x")
    assert zmq.zmq_poll([(pull, zmq.POLLIN), (push, zmq.POLLIN)], 5000) == [(pull, int(zmq.POLLIN))]


def test_select(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    assert zmq.select([pull], [push], [pull, push], 1) == ([], [push], [])
    push.send(b"x")
    assert zmq.select([pull], [], [], 5) == ([pull], [], [])


def test_many_sockets_in_one_poller(world):
    pulls = [world.socket(zmq.PULL) for _ in range(100)]
    pushes = [world.socket(zmq.PUSH) for _ in pulls]
    poller = zmq.Poller()
    for pull, push in zip(pulls, pushes, strict=True):
        world.link(pull, push, "tcp")
        poller.register(pull, zmq.POLLIN)
    for index in (3, 50, 99, 0):
        pushes[index].send(b"x")
        assert dict(poller.poll(5000)) == {pulls[index]: int(zmq.POLLIN)}
        pulls[index].recv()


def test_pollout_waits_for_room_not_for_input(world):
    """A full socket with unread input: a wait for POLLOUT alone sleeps."""
    a, b = world.pair(zmq.DEALER, zmq.DEALER, "tcp", options_a={"SNDHWM": 1}, options_b={"RCVHWM": 1})
    b.send(b"unread")
    wait_for(lambda: a.poll(10), "the input")
    body = b"x" * 1_000_000
    fill_settled(a, body, limit=1000)
    before = sum(os.times()[:2])
    assert a.poll(100, int(zmq.POLLOUT)) == 0
    assert sum(os.times()[:2]) - before < 0.09  # it slept
    task = Task(a.poll, 10_000, int(zmq.POLLOUT))
    if OURS:
        wait_blocked(task, samples=5)
    got = 0
    while task.is_alive():
        got += len(drain(b))
        b.poll(5)
    assert task.result() == int(zmq.POLLOUT)


# -- FD and EVENTS


def fd_readable(number, seconds=10.0):
    return bool(system.select([number], [], [], seconds)[0])


@pytest.mark.parametrize("pair", sides())
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_edge_triggered_dance_never_loses_a_wake_up(world, transport, pair):
    """The loop every event loop integration runs: wait for FD, look at EVENTS, read until EAGAIN, wait again."""
    if transport == "inproc" and "stock" in pair:
        pytest.skip("one implementation per context")
    pull = world.socket(zmq.PULL)
    push = world.socket(zmq.PUSH, pair[0] if pair[0] != "impl" else pair[1])
    world.link(pull, push, transport)
    number = pull.get(int(zmq.FD))
    total = 3000

    def send():
        for index in range(total):
            push.send(b"%d" % index)
            if index % 37 == 0:
                push.poll(1, int(zmq.POLLIN))  # a pause, so that the reader catches up and sleeps

    task = Task(send)
    got = 0
    while got < total:
        if not pull.get(int(zmq.EVENTS)) & int(zmq.POLLIN):
            assert fd_readable(number), f"no wake-up after {got} messages"
            continue
        while True:
            try:
                body = pull.recv(int(zmq.DONTWAIT))
            except zmq.Again:
                break
            assert body == b"%d" % got
            got += 1
    task.result()


def test_one_message_per_wake_up(world):
    """Reading one message and looking at EVENTS again must find the next, though FD does not fire twice."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    number = pull.get(int(zmq.FD))
    for index in range(10):
        push.send(b"%d" % index)
    got = []
    while len(got) < 10:
        if pull.get(int(zmq.EVENTS)) & int(zmq.POLLIN):
            got.append(pull.recv(int(zmq.DONTWAIT)))
        else:
            assert fd_readable(number)
    assert got == [b"%d" % index for index in range(10)]


def test_fd_wakes_for_output_too(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 2}, options_b={"RCVHWM": 2})
    number = push.get(int(zmq.FD))
    for _ in range(20):
        fill(push)
        while push.get(int(zmq.EVENTS)) & int(zmq.POLLOUT):
            fill(push)
        while fd_readable(number, 0):
            assert not push.get(int(zmq.EVENTS)) & int(zmq.POLLOUT)
        assert len(drain(pull)) >= 2
        while not push.get(int(zmq.EVENTS)) & int(zmq.POLLOUT):
            assert fd_readable(number)


def test_fd_is_stable_and_survives_connections(world):
    dealer = world.socket(zmq.DEALER)
    number = dealer.get(int(zmq.FD))
    assert number == dealer.fileno() == dealer.get(int(zmq.FD))
    for round_ in range(3):
        other = world.socket(zmq.DEALER)
        world.link(dealer, other, "tcp")
        other.send(b"%d" % round_)
        while not dealer.get(int(zmq.EVENTS)) & int(zmq.POLLIN):
            assert fd_readable(number)
        assert dealer.recv() == b"%d" % round_
    assert dealer.get(int(zmq.FD)) == number


def test_idle_fd_is_quiet(world):
    pull = world.socket(zmq.PULL)
    world.bind(pull, "tcp")
    number = pull.get(int(zmq.FD))
    while fd_readable(number, 0):
        pull.get(int(zmq.EVENTS))
    assert not fd_readable(number, 0.05)


@ours_only
def test_thread_safe_types_have_no_fd(world):
    made = world.socket(zmq.SERVER)
    with pytest.raises(zmq.ZMQError) as caught:
        made.get(int(zmq.FD))
    assert caught.value.errno == int(zmq.EINVAL)


def test_registering_the_fd_with_an_event_loop(world):
    import asyncio

    push, pull = world.pair(zmq.PUSH, zmq.PULL)

    async def collect():
        got, done = [], asyncio.Event()

        def ready():
            while pull.get(int(zmq.EVENTS)) & int(zmq.POLLIN):
                got.append(pull.recv(int(zmq.DONTWAIT)))
            if len(got) == 100:
                done.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(pull.get(int(zmq.FD)), ready)
        ready()
        for number in range(100):
            push.send(b"%d" % number)
            if number % 10 == 0:
                await asyncio.sleep(0)
            ready()
        await asyncio.wait_for(done.wait(), 10)
        loop.remove_reader(pull.get(int(zmq.FD)))
        return got

    assert asyncio.run(collect()) == [b"%d" % number for number in range(100)]


@ours_only
def test_a_closed_socket_is_an_error(world):
    made = world.socket(zmq.PULL)
    poller = zmq.Poller()
    poller.register(made, zmq.POLLIN)
    made.close()
    for call in (
        lambda: poller.poll(0),
        lambda: zmq.select([made], [], [], 0),
        lambda: zmq.zmq_poll([(made, zmq.POLLIN)], 0),
    ):
        with pytest.raises(zmq.error.SocketClosed) as caught:
            call()
        assert caught.value.errno == int(zmq.ENOTSOCK)
    with pytest.raises(zmq.error.SocketClosed) as caught:
        made.poll(0)
    assert caught.value.errno == int(zmq.ENOTSUP)


@pytest.mark.parametrize("others", [0, 8])
def test_what_the_engine_reads_while_a_poll_begins_ends_it(world, others):
    """With FD in use the background thread reads; nothing in the kernel tells of what it has read already."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    pull.get(int(zmq.FD))
    waiting = [(pull, int(zmq.POLLIN))] + [(world.socket(zmq.PULL), int(zmq.POLLIN)) for _ in range(others)]
    chance, turns = random.Random(1), threading.Semaphore(0)

    def send():
        for number in range(3000):
            turns.acquire()
            for _ in range(chance.randrange(60)):
                pass
            push.send(b"%d" % number)

    task = Task(send)
    for number in range(3000):
        turns.release()
        assert zmq.zmq_poll(waiting, 5000), number
        assert pull.recv() == b"%d" % number
    task.result()


def test_room_that_comes_while_a_poll_begins_ends_it(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 1}, options_b={"RCVHWM": 1})
    task = Task(lambda: [pull.recv() for _ in range(4000)])
    for number in range(4000):
        assert push.poll(5000, int(zmq.POLLOUT)), number
        push.send(b"%d" % number, int(zmq.DONTWAIT))
    assert task.result() == [b"%d" % number for number in range(4000)]
