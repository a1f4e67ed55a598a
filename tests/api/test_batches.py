"""send_many and recv_many beside all other ways to send and receive: order, marks, policies, books."""

import random

import pytest
from support.books import Model, check_books
from support.impl import OURS, TRANSPORTS, zmq
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(not OURS, reason="batches are pyzq's")

if OURS:
    from pyzq.hwm import Block, DropNewest, DropOldest, KeepLast

DONTWAIT = int(zmq.DONTWAIT)
POLICIES = [Block(messages=7), DropNewest(messages=7), DropOldest(messages=7), KeepLast(1, messages=3)] if OURS else []


def item(chance, number):
    """Something that send_many takes: mostly bytes, as short ways like them, and all that they decline."""
    head = b"%d" % number
    return chance.choice(
        [
            head,
            head,
            head,
            head + b"." * chance.choice([30, 260, 5000, 70_000]),
            [head, b"", b"second"],
            (head,),
            bytearray(head),
            memoryview(head + b"tail")[: len(head)],
            zmq.Frame(head),
        ]
    )


def parts_of(sent):
    return [bytes(part) for part in sent] if isinstance(sent, (list, tuple)) else [bytes(sent)]


def receive(chance, pull):
    """Some of the messages that are there, in one of the ways."""
    way = chance.randrange(5)
    if way == 0:
        return [one if isinstance(one, list) else [one] for one in pull.recv_many(chance.randrange(1, 400), timeout=0)]
    try:
        if way == 1:
            return [pull.recv_multipart(DONTWAIT)]
        if way == 2:
            return [[frame.bytes for frame in pull.recv_multipart(DONTWAIT, copy=False)]]
        found = [pull.recv(DONTWAIT)]
    except zmq.Again:
        return []
    while pull.rcvmore:
        found.append(pull.recv(DONTWAIT))
    return [found]


@pytest.mark.parametrize("hwm", [1, 2, 40, 0])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_batches_among_other_calls_keep_the_order(world, transport, hwm):
    chance = random.Random(f"{transport}{hwm}")
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport, options_a={"SNDHWM": hwm}, options_b={"RCVHWM": hwm})
    total = 3000
    waiting = [item(chance, number) for number in range(total)]
    sent, got = 0, []
    while len(got) < total:
        batch = waiting[sent : sent + chance.choice([1, 3, 33, 300])]
        if not batch:
            pull.poll(10)
        elif chance.randrange(4):
            sent += push.send_many(tuple(batch) if chance.randrange(2) else batch, DONTWAIT) if push.poll(1, 2) else 0
        else:
            try:
                push.send_multipart(parts_of(batch[0]), DONTWAIT)
                sent += 1
            except zmq.Again:
                pull.poll(10)
        for _ in range(chance.randrange(3)):
            got += receive(chance, pull)
        check_books(push)
        check_books(pull)
    assert got == [parts_of(one) for one in waiting]


@pytest.mark.parametrize(
    "policy",
    [Block(messages=7), DropNewest(messages=7), DropOldest(messages=7), KeepLast(1, messages=3)] if OURS else [],
)
def test_batches_under_a_policy(world, policy):
    chance = random.Random(7)
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    push.set_hwm_policy(send=policy)
    world.link(push, pull, "inproc")
    model = Model(policy)
    for number in range(60):
        batch = [b"%c%d" % (chance.choice(b"abcd"), number) for _ in range(chance.randrange(1, 40))]
        taken = push.send_many(batch, DONTWAIT) if push.poll(0, 2) else 0
        assert all(model.put([one]) for one in batch[:taken])
        if taken < len(batch):
            assert not model.put([batch[taken]])
        check_books(push)
        for one in pull.recv_many(chance.randrange(1, 20), timeout=0):
            assert [one] == model.take()
    stats = push.stats()["send"]
    assert stats["accepted"] == model.accepted
    assert sum(stats["dropped"].values()) == sum(model.dropped.values())


def test_a_batch_goes_round_its_peers(world):
    push, pulls = world.socket(zmq.PUSH), [world.socket(zmq.PULL) for _ in range(3)]
    endpoint = world.bind(push, "inproc")
    for pull in pulls:
        pull.connect(endpoint)
    assert push.send_many([b"%d" % number for number in range(300)]) == 300
    assert [pull.recv_many() for pull in pulls] == [[b"%d" % n for n in range(k, 300, 3)] for k in range(3)]


def test_a_batch_from_several_peers_is_fair(world):
    pull, pushes = world.socket(zmq.PULL), [world.socket(zmq.PUSH) for _ in range(3)]
    endpoint = world.bind(pull, "inproc")
    for number, push in enumerate(pushes):
        push.connect(endpoint)
        push.send_many([b"%d" % number] * 50)
    assert pull.recv_many(9) == [b"0", b"1", b"2"] * 3


def test_a_writer_at_its_mark_hears_of_a_batch_that_was_taken(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 50}, options_b={"RCVHWM": 50})
    sent = push.send_many([b"x"] * 1000, DONTWAIT)
    assert sent == 100
    assert not push.poll(0, 2)
    assert len(pull.recv_many(30)) == 30
    assert not push.poll(0, 2)  # not down to half
    assert len(pull.recv_many(30)) == 30
    wait_for(lambda: push.poll(0, 2), "room")


def test_the_objects_themselves_travel(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    messages = [b"message %d" % number for number in range(100)]
    push.send_many(messages)
    assert all(one is other for one, other in zip(pull.recv_many(), messages, strict=True))
