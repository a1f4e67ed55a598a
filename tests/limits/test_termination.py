"""Ends: of sockets in use, of contexts with waiting threads, of objects nobody holds any more."""

import errno
import gc
import threading
import warnings
import weakref

import pytest
from support.impl import OURS, TRANSPORTS, ours_only, zmq
from support.waiting import Task, Watch, fill, wait_blocked, wait_for


def blocked_calls(world, context):
    """(what blocks, its call) for every call that can wait, all on sockets of the context."""
    pull = world.socket(zmq.PULL, context=context, RCVTIMEO=-1)
    world.bind(pull, "tcp")
    push = world.socket(zmq.PUSH, context=context, SNDTIMEO=-1)
    rep = world.socket(zmq.REP, context=context, RCVTIMEO=-1)
    world.bind(rep, "inproc")
    full, empty = world.socket(zmq.PUSH, context=context, SNDHWM=1), world.socket(zmq.PULL, context=context, RCVHWM=1)
    world.link(empty, full, "inproc")
    fill(full)
    full.set(int(zmq.SNDTIMEO), -1)
    polled = world.socket(zmq.SUB, context=context)
    poller = zmq.Poller()
    several = [world.socket(zmq.PULL, context=context) for _ in range(2)]
    for one in several:
        poller.register(one, zmq.POLLIN)
    return [
        ([pull], pull.recv),
        ([push], lambda: push.send(b"x")),
        ([rep], rep.recv_multipart),
        ([full, empty], lambda: full.send_multipart([b"a", b"b"])),
        ([polled], lambda: polled.poll()),
        (several, lambda: poller.poll()),
    ]


@pytest.mark.parametrize("end", ["term", "destroy"] if OURS else ["term"])  # libzmq: never close under a waiting thread
def test_every_blocked_call_is_woken(world, end):
    """By ContextTerminated; term() itself returns when the threads have closed their sockets."""
    context = world.new_context()
    errors = []

    def wait_in(sockets, call):
        try:
            call()
        except zmq.ZMQError as error:
            errors.append(error)
        for one in sockets:
            one.close(0)

    tasks = [Task(wait_in, *blocked) for blocked in blocked_calls(world, context)]
    for task in tasks:
        wait_blocked(task)
    ender = Task(context.term) if end == "term" else Task(context.destroy, linger=0)
    for task in tasks:
        task.result()
    ender.result()
    assert len(errors) == len(tasks)
    if end == "term":
        assert all(isinstance(error, zmq.ContextTerminated) for error in errors), errors
        assert all(error.errno == int(zmq.ETERM) for error in errors)
    else:  # destroy() closes the sockets first, so a call may find its socket closed instead
        allowed = {int(zmq.ETERM), int(zmq.ENOTSOCK)}
        assert {error.errno for error in errors} <= allowed, errors


def test_term_refuses_new_work(world):
    context = world.new_context()
    pull = world.socket(zmq.PULL, context=context)
    world.bind(pull, "tcp")
    ender = Task(context.term)
    wait_blocked(ender)
    for call in (pull.recv, lambda: pull.poll(10), lambda: pull.bind("inproc://x"), lambda: pull.get(int(zmq.EVENTS))):
        with pytest.raises(zmq.ContextTerminated):
            call()
    pull.close()
    ender.result()
    assert context.closed
    with pytest.raises(zmq.ZMQError):
        context.socket(int(zmq.PUSH))


@ours_only
def test_shutdown_wakes_and_does_not_wait(world):
    context = world.new_context()
    pull = world.socket(zmq.PULL, context=context, RCVTIMEO=-1)
    task = Task(pull.recv)
    wait_blocked(task)
    context.shutdown()
    with pytest.raises(zmq.ContextTerminated):
        task.result()
    with pytest.raises(zmq.ContextTerminated):
        pull.recv()
    pull.close()
    Task(context.term).result()


@ours_only
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("call", ["recv", "poll", "send"])
def test_close_from_another_thread(world, transport, call):
    """The waiting thread gets an error, not a crash."""
    made = world.socket(zmq.DEALER, RCVTIMEO=-1, SNDTIMEO=-1)
    world.bind(made, transport)
    task = Task(*{"recv": (made.recv,), "poll": (made.poll,), "send": (made.send, b"x")}[call])
    wait_blocked(task)
    made.close()
    with pytest.raises(zmq.ZMQError) as caught:
        task.result()
    assert caught.value.errno in (int(zmq.ENOTSOCK), int(zmq.ETERM))


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.send(b"x"),
        lambda s: s.recv(),
        lambda s: s.send_multipart([b"x"]),
        lambda s: s.recv_multipart(),
        lambda s: s.poll(1),
        lambda s: s.bind("inproc://x"),
        lambda s: s.connect("inproc://x"),
        lambda s: s.unbind("inproc://x"),
        lambda s: s.get(int(zmq.EVENTS)),
        lambda s: s.set(int(zmq.LINGER), 1),
        lambda s: s.get_monitor_socket(),
        lambda s: s.fileno(),
    ],
    ids=[
        "send",
        "recv",
        "send_multipart",
        "recv_multipart",
        "poll",
        "bind",
        "connect",
        "unbind",
        "get",
        "set",
        "monitor",
        "fileno",
    ],
)
def test_closed_socket_answers_enotsock(world, call):
    made = world.socket(zmq.DEALER)
    made.close()
    made.close()
    assert made.closed
    with pytest.raises(zmq.ZMQError) as caught:
        call(made)
    assert caught.value.errno in (int(zmq.ENOTSOCK), int(zmq.ENOTSUP))  # pyzmq's poll says ENOTSUP


def test_terminating_twice_and_closing_late(world):
    context = world.new_context()
    made = world.socket(zmq.PUSH, context=context)
    made.close()
    context.term()
    context.term()
    made.close()
    assert context.closed
    context.destroy()


def test_with_statements(world):
    with zmq.Context() as context:
        with context.socket(int(zmq.PUSH)) as made:
            made.linger = 0
            made.connect("inproc://x")
        assert made.closed
    assert context.closed


def test_sockets_nobody_holds_are_closed(world):
    context = world.new_context()
    for _ in range(50):
        made = context.socket(int(zmq.PULL))
        made.bind("tcp://127.0.0.1:*")
        made.linger = 0
        weak = weakref.ref(made)
        del made
    gc.collect()
    assert weak() is None
    Task(context.term).result()


@ours_only
def test_context_nobody_holds_does_not_block_the_collector():
    """A context dropped with open sockets and unsent messages: collection returns."""

    def drop():
        context = zmq.Context()
        push = context.socket(int(zmq.PUSH))
        push.linger = 0
        push.connect("tcp://127.0.0.1:9")
        push.send(b"x", int(zmq.DONTWAIT))
        cycle = [context, push]
        cycle.append(cycle)

    def run():
        for _ in range(5):
            drop()
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        Task(run).result()


def test_unclosed_context_is_reported(recwarn):
    warnings.simplefilter("always")
    context = zmq.Context()
    made = context.socket(int(zmq.PUSH))
    made.linger = 0
    del made
    del context
    gc.collect()
    assert any(issubclass(warning.category, ResourceWarning) for warning in recwarn)
    recwarn.clear()  # a warning holds what it is about


def test_term_while_connections_come(world):
    """Contexts ended in the middle of handshakes, many times."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    for number in range(40):
        context = world.new_context()
        pushes = [world.socket(zmq.PUSH, context=context) for _ in range(3)]
        for push in pushes:
            push.connect(endpoint)
        if number % 2:
            pushes[0].send(b"x", int(zmq.DONTWAIT))
        Task(context.destroy, linger=0).result()


@ours_only
def test_peers_are_told_of_a_close(world):
    pull = world.socket(zmq.PULL)
    push = world.socket(zmq.PUSH, RECONNECT_IVL=-1)
    with Watch(push) as watch:
        world.link(pull, push, "tcp")
        watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        pull.close()
        watch.wait(zmq.EVENT_DISCONNECTED)


def test_many_contexts(world):
    contexts = [world.new_context() for _ in range(20)]
    pulls = [world.socket(zmq.PULL, context=context) for context in contexts]
    pushes = [world.socket(zmq.PUSH, context=context) for context in contexts]
    for number, pull in enumerate(pulls):
        push = pushes[(number + 1) % 20]
        push.connect(world.bind(pull, "tcp"))
        push.send(b"%d" % number)
    assert [pull.recv() for pull in pulls] == [b"%d" % number for number in range(20)]


def test_socket_keeps_its_context_alive(world):
    context = zmq.Context()
    push, pull = context.socket(int(zmq.PUSH)), context.socket(int(zmq.PULL))
    reference = weakref.ref(context)
    world._extra.append(context)
    del context
    pull.bind("inproc://x")
    push.connect("inproc://x")
    push.send(b"x")
    assert pull.recv() == b"x"
    assert reference() is not None


def test_instance_is_one_per_process():
    first = zmq.Context.instance()
    try:
        assert zmq.Context.instance() is first
        seen = []
        thread = threading.Thread(target=lambda: seen.append(zmq.Context.instance()))
        thread.start()
        thread.join()
        assert seen == [first]
    finally:
        first.term()
    second = zmq.Context.instance()
    assert second is not first
    assert not second.closed
    second.term()


@ours_only
def test_shadow_does_not_end_the_original(world):
    context = world.context()
    shadow = zmq.Context(context)
    pull = world.socket(zmq.PULL, context=shadow)
    pull.bind("inproc://shared")
    push = world.socket(zmq.PUSH)
    push.connect("inproc://shared")
    push.send(b"x")
    assert pull.recv() == b"x"
    pull.close()
    shadow.term()
    assert not context.closed
    again = world.socket(zmq.PULL)
    wait_for(lambda: bindable(again), "the name being free")


def bindable(made):
    try:
        made.bind("inproc://shared")
    except zmq.ZMQError:
        return False
    return True


def test_max_sockets(world):
    context = world.new_context()
    context.set(int(zmq.MAX_SOCKETS), 5)
    made = [context.socket(int(zmq.PUSH)) for _ in range(5)]
    with pytest.raises(zmq.ZMQError) as caught:
        context.socket(int(zmq.PUSH))
    assert caught.value.errno == errno.EMFILE
    made[0].close(0)
    wait_for(lambda: can_open(context), "a place being free")
    context.destroy(linger=0)


def can_open(context):
    try:
        context.socket(int(zmq.PUSH))
    except zmq.ZMQError:
        return False
    return True
