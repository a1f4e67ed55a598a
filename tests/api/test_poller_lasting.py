"""A Poller that is polled again and again: what it keeps between its polls must be true at each of them."""

import gc
import random
import select
import threading

import pytest
from support.impl import DEADLINE, TRANSPORTS, Errors, ours_only, zmq
from support.leaks import descriptors
from support.remote import run_script
from support.waiting import Task, fill_settled, wait_blocked, wait_for
from support.world import last_endpoint

IN, OUT = int(zmq.POLLIN), int(zmq.POLLOUT)


def polled(poller, rounds=3, timeout=0):
    """What several polls in a row say; they must agree."""
    results = [poller.poll(timeout) for _ in range(rounds)]
    assert all(one == results[0] for one in results), results
    return results[0]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_poll_says_the_same(world, transport):
    pairs = [world.pair(zmq.PUSH, zmq.PULL, transport) for _ in range(5)]
    poller = zmq.Poller()
    for push, pull in pairs:
        push.poll(5000, OUT)
        poller.register(pull, IN)
    assert polled(poller) == []
    for number in (3, 1):
        pairs[number][0].send(b"x")
    wait_for(lambda: len(poller.poll(10)) == 2, "both messages")
    assert polled(poller) == [(pairs[1][1], IN), (pairs[3][1], IN)]
    pairs[1][1].recv()
    assert polled(poller) == [(pairs[3][1], IN)]
    for push, _ in pairs:
        push.send(b"y")
    wait_for(lambda: len(poller.poll(10)) == 5, "all messages")
    for number, (_, pull) in enumerate(pairs):
        assert pull.recv() == (b"x" if number == 3 else b"y")
    assert polled(poller) == [(pairs[3][1], IN)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_wakes_every_time(world, transport):
    pairs = [world.pair(zmq.PAIR, zmq.PAIR, transport) for _ in range(3)]
    poller = zmq.Poller()
    for _, pull in pairs:
        poller.register(pull, IN)
    for number in range(60):
        push, pull = pairs[number % 3]
        task = Task(poller.poll, 10_000)
        if number % 4 == 0:
            wait_blocked(task, samples=3)
        push.send(b"%d" % number)
        assert task.result() == [(pull, IN)]
        assert pull.recv() == b"%d" % number


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_wakes_for_room(world, transport):
    options = {"SNDHWM": 2, "SNDBUF": 4096} if transport != "inproc" else {"SNDHWM": 2}
    receiving = {"RCVHWM": 2, "RCVBUF": 4096} if transport != "inproc" else {"RCVHWM": 2}
    pull, push = world.pair(zmq.PULL, zmq.PUSH, transport, options_a=receiving, options_b=options)
    push.poll(5000, OUT)
    poller = zmq.Poller()
    poller.register(push, OUT)
    for _ in range(5):
        sent = fill_settled(push, bytes(3000))
        task = Task(poller.poll, 10_000)
        wait_blocked(task, samples=5)
        for _ in range(sent):
            pull.recv()
        assert task.result() == [(push, OUT)]
        assert polled(poller) == [(push, OUT)]


def test_registrations_change_between_polls(world):
    pairs = [world.pair(zmq.PAIR, zmq.PAIR) for _ in range(8)]
    for push, _ in pairs:
        push.poll(5000, OUT)
        push.send(b"x")
    for _, pull in pairs:
        assert pull.poll(5000, IN)
    rng = random.Random(1)
    poller = zmq.Poller()
    wanted = {}
    for _ in range(300):
        _, pull = pairs[rng.randrange(8)]
        action = rng.randrange(4)
        if action == 0 and pull in wanted:
            poller.unregister(pull)
            del wanted[pull]
        elif action == 1 and pull in wanted:
            wanted[pull] = rng.choice((IN, OUT, IN | OUT))
            poller.modify(pull, wanted[pull])
        else:
            wanted[pull] = rng.choice((IN, OUT, IN | OUT))
            poller.register(pull, wanted[pull])
        assert dict(poller.poll(0)) == wanted
        assert dict(poller.sockets) == wanted


def test_what_is_not_asked_for_does_not_end_a_poll(world):
    a, b = world.pair(zmq.PAIR, zmq.PAIR)
    a.poll(5000, OUT)
    poller = zmq.Poller()
    poller.register(b, IN)
    assert polled(poller) == []
    poller.modify(b, OUT)
    assert polled(poller) == [(b, OUT)]
    fill_settled(b, bytes(100_000))
    a.send(b"unread")
    assert polled(poller, timeout=20) == []
    poller.modify(b, IN)
    assert polled(poller, timeout=5000) == [(b, IN)]


@ours_only
def test_two_objects_for_one_socket(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    second = zmq.Socket.shadow(pull)
    poller = zmq.Poller()
    poller.register(pull, IN)
    poller.register(second, IN)
    for number in range(6):
        push.send(b"x")
        wait_for(lambda: len(poller.poll(100)) == 2, "both to see it")
        assert polled(poller) == [(pull, IN), (second, IN)]
        (pull if number % 2 else second).recv()
        assert polled(poller) == []
    poller.unregister(pull)
    for _ in range(3):
        push.send(b"y")
        assert poller.poll(5000) == [(second, IN)]
        pull.recv()


def test_a_socket_that_was_closed(world):
    _, pull = world.pair(zmq.PUSH, zmq.PULL)
    other = world.socket(zmq.PULL)
    poller = zmq.Poller()
    poller.register(other, IN)
    poller.register(pull, IN)
    assert polled(poller) == []
    pull.close()
    for _ in range(3):
        with pytest.raises(Errors) as caught:
            poller.poll(1000)
        assert caught.value.errno == int(zmq.ENOTSOCK)
    poller.unregister(pull)
    assert polled(poller) == []


@ours_only
def test_closed_while_it_is_polled(world):
    _, pull = world.pair(zmq.PUSH, zmq.PULL)
    poller = zmq.Poller()
    poller.register(pull, IN)
    assert polled(poller) == []
    task = Task(poller.poll, 10_000)
    wait_blocked(task, samples=5)
    pull.close()
    with pytest.raises(Errors):
        task.result()


@ours_only
def test_terminated_while_it_is_polled(world):
    context = world.new_context()
    pull = world.socket(zmq.PULL, context=context)
    pull.bind("tcp://127.0.0.1:*")
    poller = zmq.Poller()
    poller.register(pull, IN)
    assert polled(poller) == []
    task = Task(poller.poll, 10_000)
    wait_blocked(task, samples=5)
    ending = Task(context.term)
    with pytest.raises(zmq.ContextTerminated):
        task.result()
    pull.close()
    ending.result()


@ours_only
def test_sockets_that_close_give_their_descriptors_back(world):
    def one_round(poller):
        push, pull = world.pair(zmq.PUSH, zmq.PULL)
        poller.register(pull, IN)
        push.send(b"x")
        assert polled(poller, timeout=5000) == [(pull, IN)]
        push.close(0)
        pull.close(0)
        poller.unregister(pull)
        # The Poller has not been polled since; it knows of no socket all the same.

    poller = zmq.Poller()
    one_round(poller)
    before = len(descriptors())
    for _ in range(5):
        one_round(poller)
    wait_for(lambda: len(descriptors()) <= before, "the descriptors")
    assert polled(poller) == []
    del poller
    gc.collect()
    assert len(descriptors()) < before


@ours_only
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pollers_and_receivers_on_one_socket(world, transport):
    """Whatever wakes for whom: nobody sleeps while there is a message and somebody who would take it."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    total = 4000
    got = []
    end = threading.Event()

    def poll_and_take():
        poller = zmq.Poller()
        poller.register(pull, IN)
        while not end.is_set():
            if poller.poll(2000):
                try:
                    got.append(pull.recv(zmq.DONTWAIT))
                except zmq.Again:
                    continue
            if got.count(b"end"):
                return

    def receive():
        while not end.is_set():
            try:
                got.append(pull.recv())
            except zmq.Again:
                continue

    pull.rcvtimeo = 50
    tasks = [Task(poll_and_take) for _ in range(3)] + [Task(receive)]
    for number in range(total):
        push.send(b"%d" % number)
        if number % 100 == 0:
            wait_for(lambda sent=number: len(got) > sent, "a message that nobody takes", 5)
    wait_for(lambda: len(got) == total, "all messages")
    end.set()
    for _ in range(3):
        push.send(b"end")
    for task in tasks:
        task.result()
    assert sorted(message for message in got if message != b"end") == sorted(b"%d" % n for n in range(total))


@ours_only
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_one_message_wakes_pollers_one_after_the_other(world, transport):
    """Level-triggered: a message that one Poller has seen and nobody took is there for the next."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    pollers = [zmq.Poller() for _ in range(3)]
    for poller in pollers:
        poller.register(pull, IN)
        assert polled(poller) == []
    for number in range(50):
        tasks = [Task(poller.poll, 10_000) for poller in pollers]
        if number % 5 == 0:
            for task in tasks:
                wait_blocked(task, samples=3)
        push.send(b"x")
        for task in tasks:
            assert task.result() == [(pull, IN)]
        pull.recv()


@ours_only
def test_one_poller_in_several_threads(world):
    pairs = [world.pair(zmq.PUSH, zmq.PULL) for _ in range(3)]
    poller = zmq.Poller()
    for _, pull in pairs:
        poller.register(pull, IN)
    assert polled(poller) == []
    for _ in range(20):
        tasks = [Task(poller.poll, 10_000) for _ in range(3)]
        for push, _ in pairs:
            push.send(b"x")
        for task in tasks:
            assert task.result()
        for _, pull in pairs:
            pull.recv()


@ours_only
def test_a_descriptor_asked_for_meanwhile(world):
    """From then on the reactor reads; the Poller goes on."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    poller = zmq.Poller()
    poller.register(pull, IN)
    for number in range(6):
        if number == 2:
            assert pull.fileno() >= 0
        assert polled(poller) == []
        push.send(b"x")
        assert poller.poll(5000) == [(pull, IN)]
        pull.recv()


@ours_only
def test_registered_before_it_is_connected(world):
    pull = world.socket(zmq.PULL)
    poller = zmq.Poller()
    poller.register(pull, IN)
    assert polled(poller) == []
    world.bind(pull)
    task = Task(poller.poll, 10_000)
    wait_blocked(task, samples=3)
    push = world.socket(zmq.PUSH)
    push.connect(last_endpoint(pull))
    push.send(b"x")
    assert task.result() == [(pull, IN)]


@ours_only
def test_a_child_does_not_use_its_parents_poller():
    out = run_script("""
import os
ctx = zmq.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
push.connect(f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}")
poller = zmq.Poller()
poller.register(pull, zmq.POLLIN)
for _ in range(3):
    assert poller.poll(0) == []
child = os.fork()
if child == 0:
    try:
        poller.poll(0)
    except zmq.ZMQError as error:
        assert type(error).__name__ == "ForkedSocket", error
        del poller
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
for _ in range(3):
    push.send(b"x")
    assert poller.poll(5000) == [(pull, zmq.POLLIN)]
    pull.recv()
    assert poller.poll(0) == []
print("good")
""")
    assert out.splitlines()[-1] == "good", out


@ours_only
def test_looking_misses_nothing_that_comes_meanwhile(world):
    """As adapters to event loops do it: look, and wait for the descriptor when there is nothing. Peers that come and
    go bring news all the time that are no messages."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "inproc")
    poller = zmq.Poller()
    poller.register(router, IN)
    context = world.context()
    rounds, threads = 4000, 4

    def come_and_go():
        for _ in range(rounds):
            with context.socket(zmq.REQ) as req:
                req.linger, req.rcvtimeo = 0, 10_000
                req.connect(endpoint)
                req.send(b"x")
                req.recv()

    tasks = [Task(come_and_go) for _ in range(threads)]
    descriptor = poller.descriptor()
    for number in range(rounds * threads):
        while not poller.look():
            assert select.select([descriptor], [], [], DEADLINE)[0], f"nothing was told after {number} messages"
        router.send_multipart(router.recv_multipart())
    for task in tasks:
        task.result()
