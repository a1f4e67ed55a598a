"""proxy and proxy_steerable: forwarding, capture, commands."""

import importlib
import struct

import pytest
from support.impl import IMPL, OURS, zmq
from support.waiting import Task, nothing, wait_for


def run_proxy(world, kinds, capture=False, control=False, transport="inproc"):
    """A running proxy on a context of its own; returns its parts and a function that ends it."""
    context = world.new_context()
    front, back = (world.socket(kind, context=context, RCVTIMEO=-1, SNDTIMEO=-1) for kind in kinds)
    ends = [world.bind(front, transport), world.bind(back, transport)]
    extra = []
    if capture:
        sink, source = world.socket(zmq.PULL, context=context), world.socket(zmq.PUSH, context=context)
        world.link(sink, source, "inproc")
        extra.append(sink)
    if control:
        far, near = world.socket(zmq.PAIR, context=context), world.socket(zmq.PAIR, context=context)
        world.link(near, far, "inproc")
        extra.append(far)

    def run():
        try:
            if control:
                assert zmq.proxy_steerable(front, back, source if capture else None, near) == 0
            else:
                zmq.proxy(front, back, source if capture else None)
        except zmq.ContextTerminated:
            pass
        front.close()
        back.close()
        if capture:
            source.close()
        if control:
            near.close()

    task = Task(run)

    def stop(*sockets):
        for one in (*extra, *sockets):
            one.close(0)
        context.term()
        task.result()

    return context, ends, extra, task, stop


def test_queue(world):
    context, (front, back), _, _, stop = run_proxy(world, (zmq.ROUTER, zmq.DEALER))
    req, rep = world.socket(zmq.REQ, context=context), world.socket(zmq.REP, context=context)
    req.connect(front)
    rep.connect(back)
    for size in (0, 1, 1000, 500_000):
        req.send_multipart([b"q" * size, b"second"])
        assert rep.recv_multipart() == [b"q" * size, b"second"]
        rep.send(b"r" * size)
        assert req.recv() == b"r" * size
    stop(req, rep)


def test_streamer_and_capture(world):
    context, (front, back), (sink,), _, stop = run_proxy(world, (zmq.PULL, zmq.PUSH), capture=True)
    push, pull = world.socket(zmq.PUSH, context=context), world.socket(zmq.PULL, context=context)
    push.connect(front)
    pull.connect(back)
    for number in range(100):
        push.send_multipart([b"%d" % number, b"x"])
    assert [pull.recv_multipart() for _ in range(100)] == [[b"%d" % number, b"x"] for number in range(100)]
    assert [sink.recv_multipart() for _ in range(100)] == [[b"%d" % number, b"x"] for number in range(100)]
    stop(push, pull)


def test_a_capture_that_comes_late_misses_nothing(world):
    """As a PUSH without peers waits, so does what it should have heard of."""
    context = world.new_context()
    front, back, capture = (
        world.socket(kind, context=context, RCVTIMEO=-1, SNDTIMEO=-1) for kind in (zmq.PULL, zmq.PUSH, zmq.PUSH)
    )
    ends = [world.bind(one, "inproc") for one in (front, back, capture)]

    def run():
        with pytest.raises(zmq.ContextTerminated):
            zmq.proxy(front, back, capture)
        for one in (front, back, capture):
            one.close()

    task = Task(run)
    push, pull, sink = (world.socket(kind, context=context) for kind in (zmq.PUSH, zmq.PULL, zmq.PULL))
    push.connect(ends[0])
    pull.connect(ends[1])
    for number in range(5):
        push.send(b"%d" % number)
    nothing(pull, 20)
    sink.connect(ends[2])
    for number in range(5):
        assert pull.recv() == sink.recv() == b"%d" % number
    for one in (push, pull, sink):
        one.close()
    context.term()
    task.result()


def test_both_directions_are_captured(world):
    context, (front, back), (sink,), _, stop = run_proxy(world, (zmq.ROUTER, zmq.DEALER), capture=True)
    req, rep = world.socket(zmq.REQ, context=context), world.socket(zmq.REP, context=context)
    req.connect(front)
    rep.connect(back)
    req.send(b"question")
    rep.recv()
    rep.send(b"answer")
    req.recv()
    assert [sink.recv_multipart()[-1], sink.recv_multipart()[-1]] == [b"question", b"answer"]
    stop(req, rep)


def test_steering(world):
    context, (front, back), (control,), task, stop = run_proxy(world, (zmq.PULL, zmq.PUSH), control=True)
    push, pull = world.socket(zmq.PUSH, context=context), world.socket(zmq.PULL, context=context)
    push.connect(front)
    pull.connect(back)
    push.send(b"one")
    assert pull.recv() == b"one"
    if OURS:  # libzmq's PAUSE does nothing and its RESUME pauses
        control.send(b"PAUSE")
        control.send(b"STATISTICS")
        control.recv_multipart()
        push.send(b"two")
        assert not pull.poll(50)
        control.send(b"RESUME")
        assert pull.recv() == b"two"
    control.send(b"TERMINATE")
    task.result()
    stop(push, pull)


def test_statistics(world):
    """Eight numbers: messages and bytes received and sent, of the front and of the back."""
    context, (front, back), (control,), task, stop = run_proxy(world, (zmq.PULL, zmq.PUSH), control=True)
    push, pull = world.socket(zmq.PUSH, context=context), world.socket(zmq.PULL, context=context)
    push.connect(front)
    pull.connect(back)
    for _ in range(10):
        push.send(b"12345")
        assert pull.recv() == b"12345"

    def numbers():
        control.send(b"STATISTICS")
        return [struct.unpack("=Q", part)[0] for part in control.recv_multipart()]

    wait_for(lambda: numbers() == [10, 50, 0, 0, 0, 0, 10, 50], "the books of ten messages")
    control.send(b"TERMINATE")
    task.result()
    stop(push, pull)


def test_same_socket_on_both_sides(world):
    """A mirror: what a DEALER gets it sends back."""
    context = world.new_context()
    both = world.socket(zmq.DEALER, context=context, RCVTIMEO=-1)
    other = world.socket(zmq.DEALER, context=context)
    world.link(both, other, "inproc")

    def run():
        with pytest.raises(zmq.ContextTerminated):
            zmq.proxy(both, both)
        both.close()

    task = Task(run)
    for number in range(10):
        other.send(b"%d" % number)
        assert other.recv() == b"%d" % number
    other.close()
    context.term()
    task.result()


@pytest.mark.skipif(not OURS, reason="libzmq's proxy waits for the slow one")
def test_slow_consumer_does_not_stop_the_other_direction(world):
    context, (front, back), _, _, stop = run_proxy(world, (zmq.DEALER, zmq.DEALER))
    a, b = world.socket(zmq.DEALER, context=context, SNDHWM=5), world.socket(zmq.DEALER, context=context, SNDHWM=5)
    a.connect(front)
    b.connect(back)
    a.send(b"x")
    assert b.recv() == b"x"
    while a.poll(20, int(zmq.POLLOUT)):  # until everything towards b is full
        a.send(b"flood")
    for number in range(20):
        b.send(b"%d" % number)
        assert a.recv() == b"%d" % number
    stop(a, b)


def run_monitored(world, kinds, **prefixes):
    """A monitored queue on a context of its own, and a SUB that hears its monitor."""
    monitored_queue = importlib.import_module(f"{IMPL}.devices").monitored_queue
    context = world.new_context()
    front, back = (world.socket(kind, context=context, RCVTIMEO=-1, SNDTIMEO=-1) for kind in kinds)
    ends = [world.bind(one, "inproc") for one in (front, back)]
    pub, sub = world.socket(zmq.PUB, context=context), world.socket(zmq.SUB, context=context)
    sub.subscribe(b"")
    world.link(pub, sub, "inproc")

    def run():
        with pytest.raises(zmq.ContextTerminated):
            monitored_queue(front, back, pub, **prefixes)
        for one in (front, back, pub):
            one.close()

    task = Task(run)

    def stop(*sockets):
        for one in (sub, *sockets):
            one.close(0)
        context.term()
        task.result()

    return context, ends, sub, stop


def test_monitored_queue_tells_the_ways_apart(world):
    context, (front, back), heard, stop = run_monitored(world, (zmq.ROUTER, zmq.DEALER))
    req, rep = world.socket(zmq.REQ, context=context, ROUTING_ID=b"me"), world.socket(zmq.REP, context=context)
    req.connect(front)
    rep.connect(back)
    for body in (b"question", b"q" * 100_000):
        req.send_multipart([body, b"more"])
        assert rep.recv_multipart() == [body, b"more"]
        assert heard.recv_multipart() == [b"in", b"me", b"", body, b"more"]
        rep.send(b"answer")
        assert req.recv() == b"answer"
        assert heard.recv_multipart() == [b"out", b"me", b"", b"answer"]
    stop(req, rep)


def test_monitored_queue_between_routers(world):
    """Sender and receiver change places, also in what the monitor hears."""
    context, (front, back), heard, stop = run_monitored(
        world, (zmq.ROUTER, zmq.ROUTER), in_prefix=b"", out_prefix=b"from the back"
    )
    a, b = (world.socket(zmq.DEALER, context=context, ROUTING_ID=name) for name in (b"a", b"b"))
    a.connect(front)
    b.connect(back)
    # A ROUTER drops what it cannot deliver: both must be known before it counts.
    while not b.poll(10):
        a.send_multipart([b"b", b"hello", b"there"])
    assert b.recv_multipart() == [b"a", b"hello", b"there"]
    assert heard.recv_multipart() == [b"", b"b", b"a", b"hello", b"there"]
    b.send_multipart([b"a", b"x"])
    assert a.recv_multipart() == [b"b", b"x"]
    while (message := heard.recv_multipart())[0] == b"":
        pass
    assert message == [b"from the back", b"a", b"b", b"x"]
    if OURS:  # an address and nothing else: libzmq ends the process
        a.send(b"b")
        while (message := b.recv_multipart()) == [b"a", b"hello", b"there"]:
            pass
        assert message == [b"a"]
    stop(a, b)


def test_monitored_queue_arguments(world):
    monitored_queue = importlib.import_module(f"{IMPL}.devices").monitored_queue
    good = world.socket(zmq.PULL)
    with pytest.raises((TypeError, zmq.ZMQError)):
        monitored_queue(good, good, None)
    with pytest.raises((TypeError, zmq.ZMQError)):
        monitored_queue(good, good, good, "in", b"out")


def test_bad_arguments(world):
    good = world.socket(zmq.PULL)
    for arguments in ((good, None), (None, good), ("x", good)):
        with pytest.raises((TypeError, zmq.ZMQError)):
            zmq.proxy(*arguments)
