"""SNDTIMEO, RCVTIMEO and poll: how long a call may wait."""

import time

import pytest
from support.impl import TRANSPORTS, zmq
from support.waiting import Task, fill, wait_blocked


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_receive_timeout(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    pull.set(int(zmq.RCVTIMEO), 40)
    start = time.monotonic()
    with pytest.raises(zmq.Again):
        pull.recv()
    assert time.monotonic() - start >= 0.039
    push.send(b"x")
    pull.set(int(zmq.RCVTIMEO), 5000)
    assert pull.recv() == b"x"


def test_send_timeout(world):
    push = world.socket(zmq.PUSH, SNDTIMEO=40)
    start = time.monotonic()
    with pytest.raises(zmq.Again):
        push.send(b"x")
    assert time.monotonic() - start >= 0.039


def test_send_timeout_at_the_mark(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 1}, options_b={"RCVHWM": 1})
    assert fill(push) == 2
    push.set(int(zmq.SNDTIMEO), 30)
    with pytest.raises(zmq.Again):
        push.send_multipart([b"a", b"b"])
    assert pull.recv_multipart() == [b"x"]


@pytest.mark.parametrize("name", ["RCVTIMEO", "SNDTIMEO"])
def test_zero_never_waits(world, name):
    dealer = world.socket(zmq.DEALER, **{name: 0})
    with pytest.raises(zmq.Again):
        dealer.recv() if name == "RCVTIMEO" else dealer.send(b"x")


def test_dontwait_beats_the_timeout(world):
    dealer = world.socket(zmq.DEALER, RCVTIMEO=-1, SNDTIMEO=-1)
    with pytest.raises(zmq.Again):
        dealer.recv(int(zmq.DONTWAIT))
    with pytest.raises(zmq.Again):
        dealer.send(b"x", int(zmq.DONTWAIT))


def test_timeouts_of_other_values(world):
    dealer = world.socket(zmq.DEALER)
    for name in ("RCVTIMEO", "SNDTIMEO"):
        with pytest.raises(zmq.ZMQError):
            dealer.set(int(getattr(zmq, name)), -2)


def test_poll_timeout(world):
    pull = world.socket(zmq.PULL)
    start = time.monotonic()
    assert pull.poll(40) == 0
    assert time.monotonic() - start >= 0.039
    assert pull.poll(0) == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_blocked_receive_wakes_for_a_message(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    push.send(b"warm")
    assert pull.recv() == b"warm"
    for number in range(5):
        task = Task(pull.recv)
        wait_blocked(task, samples=5)
        push.send(b"%d" % number)
        assert task.result() == b"%d" % number


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_blocked_poll_wakes_for_a_message(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    task = Task(pull.poll, 10_000)
    wait_blocked(task, samples=5)
    push.send(b"x")
    assert task.result() == int(zmq.POLLIN)
    assert pull.recv() == b"x"


def test_first_part_waits_the_rest_does_not(world):
    """The remaining parts of a message are there when the first is."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    push.send_multipart([b"a", b"b" * 200_000, b"c"])
    assert pull.recv() == b"a"
    assert pull.recv(int(zmq.DONTWAIT)) == b"b" * 200_000
    assert pull.recv(int(zmq.DONTWAIT)) == b"c"
