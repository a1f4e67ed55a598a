"""Books that always balance: accepted = delivered + queued + dropped, whatever happens to peers."""

import random

import pytest
from support.books import check_books
from support.impl import OURS, TRANSPORTS, zmq
from support.rawpeer import RawListener
from support.waiting import Task, wait_for

pytestmark = pytest.mark.skipif(not OURS, reason="policies are pyzq's")

if OURS:
    pass


def test_what_was_not_subscribed_to_is_in_the_books(world):
    with RawListener() as listener:
        sub = world.socket(zmq.SUB)
        sub.set(int(zmq.SUBSCRIBE), b"a")
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUB")
        for body in (b"a1", b"b1", b"b2", b"a2"):
            raw.send_message(body)
        assert [sub.recv(), sub.recv()] == [b"a1", b"a2"]
        assert sub.stats()["recv"]["dropped"] == {"filtered": 2}
        check_books(sub)
        assert sub.stats()["recv"]["delivered"] == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_books_under_traffic(world, transport):
    """They balance at every moment, not only in the end."""
    pub, sub = world.socket(zmq.PUB, SNDHWM=5), world.socket(zmq.SUB, RCVHWM=5)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, transport)
    chance = random.Random(3)
    wait_for(lambda: pub.send(b"mark") or sub.poll(5), "the subscription")
    for _ in range(300):
        for _ in range(chance.randrange(20)):
            pub.send(b"x" * chance.randrange(2000))
        for _ in range(chance.randrange(10)):
            if sub.poll(0):
                sub.recv()
        check_books(pub)
        check_books(sub)


def test_books_after_a_peer_is_gone(world):
    with RawListener() as listener:
        push = world.socket(zmq.PUSH, RECONNECT_IVL=10)
        push.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PULL")
        for number in range(100):
            push.send(b"%d" % number)
        raw.recv_message()
        raw.abort()
        push.setsockopt(int(zmq.LINGER), 0)
        push.disconnect(listener.endpoint)
        wait_for(lambda: not push.stats()["peers"], "the pipe's end")
        (books, *_) = check_books(push)
        assert books["accepted"] == 100


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_books_of_a_req_with_several_servers(world, transport):
    req = world.socket(zmq.REQ)
    servers = [world.socket(zmq.REP) for _ in range(2)]
    for server in servers:
        world.link(server, req, transport)
    for number in range(6):
        req.send(b"%d" % number)
        server = wait_for(lambda: next((one for one in servers if one.poll(5)), None), "the request")
        server.send(server.recv())
        assert req.recv() == b"%d" % number
    (books, *_) = [one for one in check_books(req) if one == req.stats()["recv"]]
    assert (books["accepted"], books["delivered"], books["dropped"]) == (6, 6, {})


def test_books_of_inproc_peers_that_are_gone(world):
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    world.link(pull, push, "inproc")
    for number in range(10):
        push.send(b"%d" % number)
    assert pull.recv() == b"0"
    pull.close()
    wait_for(lambda: push.poll(1, int(zmq.POLLOUT)) == 0 and not push.stats()["peers"], "the other side's end")
    (books, *_) = check_books(push)
    assert (books["accepted"], books["delivered"]) == (10, 1)
    assert books["dropped"] == {"peer_gone": 9}
    other = world.socket(zmq.PUSH)
    pull = world.socket(zmq.PULL)
    world.link(pull, other, "inproc")
    for number in range(10):
        other.send(b"%d" % number)
    assert pull.recv() == b"0"
    other.close()
    assert [pull.recv() for _ in range(9)] == [b"%d" % number for number in range(1, 10)]
    wait_for(lambda: not pull.poll(1) and not pull.stats()["peers"], "the other side's end")
    check_books(pull)
    assert pull.stats()["recv"]["delivered"] == 10


def test_stats_are_of_one_moment(world):
    """With many peers too: the sums are those of the list."""
    push, pulls = world.socket(zmq.PUSH), [world.socket(zmq.PULL) for _ in range(150)]
    endpoint = world.bind(push, "inproc")
    for pull in pulls:
        pull.connect(endpoint)
    for number in range(1000):
        push.send(b"%d" % number)
    stop = []

    def leave():
        for pull in pulls[:100]:
            pull.recv()
            pull.close()
        stop.append(True)

    task = Task(leave)
    seen = set()
    while not stop:
        stats = push.stats()
        sums = stats["send"]
        assert sums["accepted"] == 1000
        assert sums["queued"] == sum(one["send"]["queued"] for one in stats["peers"])
        assert sums["accepted"] == sums["delivered"] + sums["queued"] + sums["dropped"].get("peer_gone", 0)
        seen.add(len(stats["peers"]))
    task.result()
    wait_for(lambda: push.poll(0, int(zmq.POLLOUT)) and len(push.stats()["peers"]) == 50, "a hundred ends")
    assert push.stats()["send"]["accepted"] == 1000
