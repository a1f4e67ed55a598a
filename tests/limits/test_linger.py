"""What becomes of unsent messages when a socket or a context goes."""

import pytest
from support.adversary import Adversary
from support.impl import TRANSPORTS, zmq
from support.waiting import Task, wait_blocked, wait_for
from support.world import free_port


def test_defaults(world):
    """-1, except for types that send nothing a user could lose; a context that is not BLOCKY makes it 0."""
    context = world.new_context()
    for kind in ("PUSH", "PUB", "DEALER", "ROUTER", "REQ", "REP", "PAIR", "PULL", "XPUB"):
        made = context.socket(int(getattr(zmq, kind)))
        assert made.get(int(zmq.LINGER)) == -1, kind
        made.close(0)
    for kind in ("SUB", "XSUB"):
        made = context.socket(int(getattr(zmq, kind)))
        assert made.get(int(zmq.LINGER)) == 0, kind
        made.close(0)
    context.set(int(zmq.BLOCKY), 0)
    made = context.socket(int(zmq.PUSH))
    assert made.get(int(zmq.LINGER)) == 0
    made.close()


@pytest.mark.parametrize("linger", [0, 30])
def test_term_gives_up_after_linger(world, linger):
    context = world.new_context()
    push = world.socket(zmq.PUSH, context=context, LINGER=linger)
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    push.send(b"never read")
    push.close()
    Task(context.term).result()


def test_term_waits_for_ever_and_ends_with_delivery(world):
    port = free_port()
    context = world.new_context()
    push = world.socket(zmq.PUSH, context=context, LINGER=-1, RECONNECT_IVL=10)
    push.connect(f"tcp://127.0.0.1:{port}")
    for number in range(100):
        push.send(b"%d" % number)
    push.close()
    task = Task(context.term)
    wait_blocked(task)
    pull = world.socket(zmq.PULL)
    pull.bind(f"tcp://127.0.0.1:{port}")
    assert [pull.recv() for _ in range(100)] == [b"%d" % number for number in range(100)]
    task.result()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_close_does_not_wait(world, transport):
    """close() returns at once; what was accepted still arrives."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)
    push = world.socket(zmq.PUSH, LINGER=-1)
    push.connect(endpoint)
    bodies = [b"%d" % number + b"x" * 50_000 for number in range(200)]
    for body in bodies:
        push.send(body)
    push.close()
    assert push.closed
    assert [pull.recv() for _ in bodies] == bodies


def test_close_with_linger_argument(world):
    context = world.new_context()
    push = world.socket(zmq.PUSH, context=context, LINGER=-1)
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    push.send(b"x")
    push.close(linger=0)
    Task(context.term).result()


def test_destroy_with_linger_argument(world):
    context = world.new_context()
    pushes = [world.socket(zmq.PUSH, context=context, LINGER=-1) for _ in range(3)]
    for push in pushes:
        push.connect(f"tcp://127.0.0.1:{free_port()}")
        push.send(b"x")
    Task(context.destroy, linger=0).result()
    assert all(push.closed for push in pushes)
    assert context.closed


def test_lingering_survives_a_slow_line(world):
    pull = world.socket(zmq.PULL)
    with Adversary(world.bind(pull, "tcp"), buffers=32768) as relay:
        context = world.new_context()
        push = world.socket(zmq.PUSH, context=context, LINGER=-1, SNDBUF=32768)
        push.connect(relay.endpoint)
        push.send(b"first")
        assert pull.recv() == b"first"
        relay.forward.held = True
        for number in range(50):
            push.send(b"%d" % number + b"x" * 100_000)
        push.close()
        task = Task(context.term)
        wait_blocked(task)
        relay.forward.held = False
        for number in range(50):
            assert pull.recv() == b"%d" % number + b"x" * 100_000
        task.result()


def test_linger_runs_out_on_a_stuck_peer(world):
    pull = world.socket(zmq.PULL)
    with Adversary(world.bind(pull, "tcp"), buffers=32768) as relay:
        context = world.new_context()
        push = world.socket(zmq.PUSH, context=context, LINGER=100, SNDBUF=32768)
        push.connect(relay.endpoint)
        push.send(b"first")
        assert pull.recv() == b"first"
        relay.forward.held = True
        for _ in range(50):
            push.send(b"x" * 100_000)
        push.close()
        Task(context.term).result()


def test_replies_of_a_closed_router_arrive(world):
    router, dealer = world.pair(zmq.ROUTER, zmq.DEALER, options_a={"LINGER": -1})
    dealer.send(b"q")
    name, _ = router.recv_multipart()
    for number in range(50):
        router.send_multipart([name, b"%d" % number])
    router.close()
    assert [dealer.recv() for _ in range(50)] == [b"%d" % number for number in range(50)]


def test_pub_lingers_too(world):
    pub, sub = world.socket(zmq.XPUB, LINGER=-1), world.socket(zmq.SUB)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, "tcp")
    assert pub.recv() == b"\x01"
    for number in range(100):
        pub.send(b"%d" % number)
    pub.close()
    assert [sub.recv() for _ in range(100)] == [b"%d" % number for number in range(100)]


def test_unread_messages_do_not_hold_up_term(world):
    context = world.new_context()
    push, pull = world.socket(zmq.PUSH, context=context, LINGER=-1), world.socket(zmq.PULL, context=context)
    world.link(pull, push, "tcp")
    for _ in range(10):
        push.send(b"x")
    wait_for(lambda: pull.poll(10), "arrival")
    push.close()
    pull.close()
    Task(context.term).result()


def test_inproc_messages_to_nobody_do_not_hold_up_term(world):
    context = world.new_context()
    push = world.socket(zmq.PUSH, context=context, LINGER=0)
    push.connect("inproc://nobody-binds-this")
    push.send(b"x")
    push.close()
    Task(context.term).result()
