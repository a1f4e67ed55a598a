"""High-water marks: how many messages wait, and what happens to the next."""

import os
import select

import pytest
from support.impl import TRANSPORTS, ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer, command, message
from support.waiting import Task, drain, fill, fill_settled, sync, wait_blocked, wait_for
from support.world import free_port


@pytest.mark.parametrize(("send", "receive", "total"), [(1, 1, 2), (2, 3, 5), (10, 10, 20), (7, 1, 8), (1, 100, 101)])
@pytest.mark.parametrize("binder", ["sender", "receiver"])
def test_inproc_sums_both_ends(world, send, receive, total, binder):
    push, pull = world.socket(zmq.PUSH, SNDHWM=send), world.socket(zmq.PULL, RCVHWM=receive)
    if binder == "sender":
        world.link(push, pull, "inproc")
    else:
        world.link(pull, push, "inproc")
    assert fill(push) == total
    assert len(drain(pull)) == total


@pytest.mark.parametrize(("send", "receive"), [(1, 1), (2, 3), (10, 10), (8, 3)])
def test_a_full_pipe_becomes_writable_after_half(world, send, receive):
    push, pull = world.socket(zmq.PUSH, SNDHWM=send), world.socket(zmq.PULL, RCVHWM=receive)
    world.link(push, pull, "inproc")
    total = fill(push)
    reads = 0
    while not push.poll(20 if reads >= (total + 1) // 2 else 0, int(zmq.POLLOUT)):
        pull.recv()
        reads += 1
    assert reads == (total + 1) // 2


@pytest.mark.parametrize(("send", "receive"), [(0, 1), (1, 0), (0, 0)])
def test_zero_is_no_limit(world, send, receive):
    push, pull = world.socket(zmq.PUSH, SNDHWM=send), world.socket(zmq.PULL, RCVHWM=receive)
    world.link(push, pull, "inproc")
    for number in range(20_000):
        push.send(b"%d" % number, int(zmq.DONTWAIT))
    assert pull.recv() == b"0"


def test_default_is_a_thousand(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    assert push.get(int(zmq.SNDHWM)) == 1000 == pull.get(int(zmq.RCVHWM))
    assert fill(push) == 2000


def test_unconnected_peer_gets_sndhwm(world):
    """The queue towards a peer that is not there yet."""
    push = world.socket(zmq.PUSH, SNDHWM=25)
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    assert fill(push) == 25
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    assert fill(push) == 25


def test_parts_do_not_count(world):
    push, pull = world.socket(zmq.PUSH, SNDHWM=3), world.socket(zmq.PULL, RCVHWM=2)
    world.link(push, pull, "inproc")
    sent = 0
    with pytest.raises(zmq.Again):
        while True:
            push.send_multipart([b"%d" % sent] * 10, int(zmq.DONTWAIT))
            sent += 1
    assert sent == 5
    assert drain(pull) == [[b"%d" % number] * 10 for number in range(5)]


def test_refused_multipart_leaves_nothing_behind(world):
    """When the first part is refused none of the message goes."""
    push, pull = world.socket(zmq.PUSH, SNDHWM=1), world.socket(zmq.PULL, RCVHWM=1)
    world.link(push, pull, "inproc")
    assert fill(push, b"old") == 2
    with pytest.raises(zmq.Again):
        push.send_multipart([b"a", b"b"], int(zmq.DONTWAIT))
    assert drain(pull) == [[b"old"]] * 2
    wait_for(lambda: push.poll(10, int(zmq.POLLOUT)), "room")
    push.send_multipart([b"c", b"d"])
    assert pull.recv_multipart() == [b"c", b"d"]


def test_marks_are_per_peer(world):
    push = world.socket(zmq.PUSH, SNDHWM=2)
    pulls = [world.socket(zmq.PULL, RCVHWM=3) for _ in range(4)]
    for pull in pulls:
        push.connect(world.bind(pull, "inproc"))
    assert fill(push) == 4 * 5
    assert [len(drain(pull)) for pull in pulls] == [5] * 4


@pytest.mark.parametrize("pair", sides())
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_receiver_that_does_not_read_stops_the_sender(world, transport, pair):
    """The queues and the kernel's buffers fill, then the sender waits; nothing is lost."""
    push = world.socket(zmq.PUSH, pair[0], SNDHWM=10, SNDBUF=65536)
    pull = world.socket(zmq.PULL, pair[1], RCVHWM=10, RCVBUF=65536)
    world.link(pull, push, transport)
    body = b"x" * 20_000
    taken = fill_settled(push, body, limit=5000)
    assert 20 <= taken < 5000
    got = [pull.recv() for _ in range(taken)]
    assert got == [body] * taken


@ours_only
def test_rcvhwm_counts_complete_messages_in_user_space(world):
    """With small messages too: what the kernel can hold plus RCVHWM plus one read is the most."""
    pull = world.socket(zmq.PULL, RCVHWM=10, RCVBUF=4096)
    endpoint = world.bind(pull, "tcp")
    raw = RawPeer.connect(endpoint)
    with raw:
        raw.handshake(b"PUSH")
        raw.stream.setblocking(False)
        sent = 0
        small = b"\x00\x01x" * 1000

        def push_in():
            nonlocal sent
            try:
                sent += raw.stream.send(small)
            except BlockingIOError:
                return True

        def stuck():
            if not push_in():
                return False
            pull.get(int(zmq.EVENTS))
            return not select.select([], [raw.stream], [], 0.1)[1]

        wait_for(stuck, "the connection being full")
        assert sent < 64 << 20
        total = sent // 3
        for _ in range(total):
            assert pull.recv() == b"x"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pub_drops_whole_messages(world, transport):
    """Per subscriber, and in one piece; what arrives is in order."""
    pub, sub = world.socket(zmq.PUB, SNDHWM=5), world.socket(zmq.SUB, RCVHWM=5)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, transport)
    sync(pub, sub)
    body = b"x" * 30_000
    for number in range(2000):
        pub.send_multipart([b"%d" % number, body, b"%d" % number])
    got = []

    def ended():
        for parts in drain(sub):
            if parts[-1] == b"end":
                return True
            got.append(parts)
        pub.send(b"end")
        return False

    wait_for(ended, "the end mark getting through")
    got = [parts for parts in got if len(parts) == 3]
    assert 5 <= len(got) < 2000
    assert all(first == last and middle == body for first, middle, last in got)
    numbers = [int(parts[0]) for parts in got]
    assert numbers == sorted(set(numbers))


def test_pub_without_reader_holds_exactly_the_marks_on_inproc(world):
    pub, sub = world.socket(zmq.XPUB, SNDHWM=3), world.socket(zmq.SUB, RCVHWM=4)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, "inproc")
    assert pub.recv() == b"\x01"
    for number in range(100):
        pub.send(b"%d" % number)
    assert drain(sub) == [[b"%d" % number] for number in range(7)]


def test_subscriptions_are_never_dropped_for_the_mark(world):
    """More subscriptions than SNDHWM before there is a connection."""
    sub = world.socket(zmq.SUB, SNDHWM=5)
    topics = [b"%03d" % number for number in range(200)]
    with RawListener() as listener:
        for topic in topics[:5]:
            sub.set(int(zmq.SUBSCRIBE), topic)
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUB")
        assert sorted(raw.recv_command()[1] for _ in range(5)) == topics[:5]


@ours_only
def test_more_subscriptions_than_the_mark(world):
    sub = world.socket(zmq.SUB, SNDHWM=5)
    topics = [b"%03d" % number for number in range(200)]
    for topic in topics:
        sub.set(int(zmq.SUBSCRIBE), topic)
    with RawListener() as listener:
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUB")
        assert sorted(raw.recv_command()[1] for _ in topics) == topics


@ours_only
def test_pub_keeps_up_with_a_reader_in_lockstep(world):
    """A mark of one is enough for a reader that reads after every message."""
    pub = world.socket(zmq.XPUB, SNDHWM=1)
    endpoint = world.bind(pub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"SUB")
        raw.send(command(b"SUBSCRIBE"))
        assert pub.recv() == b"\x01"
        for number in range(200):
            pub.send(b"%d" % number)
            assert raw.recv_message() == [b"%d" % number]


def test_blocked_sender_wakes_when_there_is_room(world):
    push, pull = world.socket(zmq.PUSH, SNDHWM=1), world.socket(zmq.PULL, RCVHWM=1)
    world.link(push, pull, "inproc")
    assert fill(push) == 2
    task = Task(push.send, b"third")
    wait_blocked(task)
    assert pull.recv() == b"x"
    task.result()
    assert [pull.recv(), pull.recv()] == [b"x", b"third"]


def test_blocked_sender_wakes_for_a_new_peer(world):
    push = world.socket(zmq.PUSH, SNDHWM=1)
    endpoint = world.bind(push, "inproc")
    first = world.socket(zmq.PULL, RCVHWM=1)
    first.connect(endpoint)
    assert fill(push) == 2
    task = Task(push.send, b"third")
    wait_blocked(task)
    second = world.socket(zmq.PULL, RCVHWM=1)
    second.connect(endpoint)
    assert second.recv() == b"third"
    task.result()


@ours_only
def test_changed_mark_applies_to_live_peers(world):
    push, pull = world.socket(zmq.PUSH, SNDHWM=2), world.socket(zmq.PULL, RCVHWM=2)
    world.link(push, pull, "inproc")
    assert fill(push) == 4
    push.set(int(zmq.SNDHWM), 10)
    assert fill(push) == 8


@pytest.mark.parametrize("name", ["SNDHWM", "RCVHWM"])
def test_negative_marks_are_refused(world, name):
    with pytest.raises(zmq.ZMQError) as caught:
        world.socket(zmq.DEALER).set(int(getattr(zmq, name)), -1)
    assert caught.value.errno == int(zmq.EINVAL)


def test_router_mandatory_at_the_mark(world):
    router = world.socket(zmq.ROUTER, SNDHWM=3, ROUTER_MANDATORY=1)
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"d", RCVHWM=2)
    world.link(router, dealer, "inproc")
    dealer.send(b"hello")
    router.recv_multipart()
    sent = 0
    with pytest.raises(zmq.Again):
        while True:
            router.send_multipart([b"d", b"%d" % sent], int(zmq.DONTWAIT))
            sent += 1
    assert sent == 5
    assert [parts[0] for parts in drain(dealer)] == [b"%d" % number for number in range(5)]


def test_proxy_does_not_grow_without_bound(world):
    """A sink that does not read: the proxy holds at most the marks of its sockets and stops its source."""
    context = world.new_context()
    front, back = world.socket(zmq.PULL, context=context, RCVHWM=10), world.socket(zmq.PUSH, context=context, SNDHWM=10)
    source, sink = (
        world.socket(zmq.PUSH, context=context, SNDHWM=10),
        world.socket(zmq.PULL, context=context, RCVHWM=10),
    )
    world.link(front, source, "inproc")
    world.link(back, sink, "inproc")

    def run():
        with pytest.raises(zmq.ContextTerminated):
            zmq.proxy(front, back)
        front.close()
        back.close()

    task = Task(run)
    taken = fill_settled(source, b"x", limit=1000)
    assert 20 <= taken <= 42
    assert len([sink.recv() for _ in range(taken)]) == taken
    source.close()
    sink.close()
    context.term()
    task.result()


# -- what must not stall, and what must not grow


@ours_only
def test_messages_nobody_subscribed_to_do_not_stall_a_connection(world):
    """A peer whose input fills the mark with what is filtered out is read on, although nothing was received."""
    sub = world.socket(zmq.SUB, RCVHWM=10)
    sub.subscribe(b"A")
    endpoint = world.bind(sub, "tcp")
    with RawPeer.connect(endpoint) as first, RawPeer.connect(endpoint) as second:
        first.handshake(b"PUB")
        second.handshake(b"PUB")
        wait_for(lambda: len(sub.stats()["peers"]) == 2, "both connections")
        task = Task(sub.recv)
        wait_blocked(task)
        first.send(message(b"Bbbbb") * 60)
        wait_blocked(task)
        first.send(message(b"A!"))
        assert task.result() == b"A!"


@ours_only
def test_a_higher_mark_wakes_who_waits_for_room(world):
    push, pull = world.socket(zmq.PUSH, SNDHWM=1), world.socket(zmq.PULL, RCVHWM=1)
    world.link(push, pull, "inproc")
    assert fill(push) == 2
    task = Task(push.send, b"third")
    wait_blocked(task)
    pull.rcvhwm = 100
    task.result()


@ours_only
@pytest.mark.parametrize("version", [b"\x00", b"\x01"], ids=["3.0", "3.1"])
def test_more_subscriptions_in_one_go_than_the_mark(world, version):
    """RCVHWM is for messages: a publisher reads on, however many subscriptions came at once."""
    pub = world.socket(zmq.XPUB, RCVHWM=2, XPUB_VERBOSER=1)
    with RawPeer.connect(world.bind(pub, "tcp")) as raw:
        raw.handshake(b"SUB")
        for turn in range(3):
            topics = [b"%d.%d" % (turn, number) for number in range(50)]
            wish = (lambda t: command(b"SUBSCRIBE", t)) if version == b"\x01" else (lambda t: message(b"\x01" + t))
            raw.send(b"".join(wish(topic) for topic in topics))
            assert [pub.recv() for _ in topics] == [b"\x01" + topic for topic in topics]
        pub.send(b"2.49")
        assert raw.recv_message() == [b"2.49"]


@ours_only
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_messages_to_an_xpub_that_does_not_receive(world, transport):
    """Upstream messages count against RCVHWM: the rest stays with its sender, and the books say where."""
    xpub, xsub = world.socket(zmq.XPUB, RCVHWM=10, SNDHWM=10), world.socket(zmq.XSUB, SNDHWM=10, RCVHWM=10)
    world.link(xpub, xsub, transport)
    xsub.send(b"\x01topic")
    assert xpub.recv() == b"\x01topic"
    body = b"x" * 100_000
    for _ in range(2000):
        xsub.send(body)
        books = xpub.stats()["recv"]
        assert books["accepted"] == books["delivered"] + books["queued"] + sum(books["dropped"].values())
    assert xpub.stats()["recv"]["queued"] <= 40
    xsub.send(b"\x01other")  # subscriptions do not count, but keep their place behind the messages
    got = 0
    while xpub.poll(200):
        data = xpub.recv()
        if data == body:
            got += 1
    books = xpub.stats()["recv"]
    assert books["queued"] == 0
    assert 10 <= got <= books["delivered"]
    xpub.send(b"other news")
    xsub.rcvtimeo = 10_000
    assert xsub.recv() == b"other news"


@ours_only
def test_a_proxy_with_a_full_subscriber_sleeps(world):
    """XPUB_NODROP: the proxy waits for the one subscriber, and not by asking again and again."""
    context = world.new_context()
    front, back = world.socket(zmq.XSUB, context=context), world.socket(zmq.XPUB, context=context, SNDHWM=2)
    back.xpub_nodrop = 1
    front_end, back_end = world.bind(front, "tcp"), world.bind(back, "tcp")

    def run():
        with pytest.raises(zmq.ContextTerminated):
            zmq.proxy(front, back)
        front.close()
        back.close()

    proxy = Task(run)
    pub = world.socket(zmq.PUB, SNDHWM=0)
    with RawPeer.connect(back_end) as raw:
        raw.handshake(b"SUB")
        raw.send(command(b"SUBSCRIBE"))
        pub.connect(front_end)
        got = wait_for(lambda: pub.send(b"x" * 300_000) or (pub.stats()["send"]["delivered"] > 60), "a full subscriber")
        assert got
        wait_blocked(proxy, samples=30)
        before = sum(os.times()[:2])
        wait_blocked(proxy, samples=100)
        assert sum(os.times()[:2]) - before < 0.15
    context.term()
    proxy.result()
