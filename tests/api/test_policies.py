"""What happens at the high-water mark; against models: test_policy_models.py; the books: test_books.py."""

import socket

import pytest
from support.books import Model, check_books
from support.impl import OURS, TRANSPORTS, zmq
from support.rawpeer import MORE, RawListener, RawPeer, command, frame, message
from support.waiting import Task, drain, wait_blocked, wait_for
from support.world import free_port

pytestmark = pytest.mark.skipif(not OURS, reason="policies are pyzq's")

if OURS:
    from pyzq.hwm import DEFAULT, Block, Disconnect, DropNewest, DropOldest, KeepLast


@pytest.mark.parametrize("kind", ["PUSH", "PUB", "DEALER", "ROUTER"])
def test_drop_oldest_of_every_sender(world, kind):
    """A peer that is connected but does not read gets the newest when it reads again."""
    sender = world.socket(getattr(zmq, kind), SNDBUF=4096)
    sender.set_hwm_policy(send=DropOldest(messages=5))
    endpoint = world.bind(sender, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake({"PUSH": b"PULL", "PUB": b"SUB", "DEALER": b"DEALER", "ROUTER": b"DEALER"}[kind], b"peer")
        if kind == "PUB":
            raw.send(command(b"SUBSCRIBE"))
        prefix = [b"peer"] if kind == "ROUTER" else []
        wait_for(lambda: sender.send_multipart([*prefix, b"mark"]) or check_sent(raw), "the connection")
        body = b"x" * 100_000
        for number in range(300):
            sender.send_multipart([*prefix, b"%d" % number, body])
        check_books(sender)
        numbers = []
        while not numbers or numbers[-1] != 299:
            first, *_ = raw.recv_message()
            if first != b"mark":
                numbers.append(int(first))
        assert numbers == sorted(numbers)
        assert numbers[-4:] == [296, 297, 298, 299]  # the fifth is the one that was begun
        assert len(numbers) < 300


def check_sent(raw):
    import select

    return bool(select.select([raw.stream], [], [], 0.01)[0])


def test_block_with_a_time_limit(world):
    push = world.socket(zmq.PUSH, SNDTIMEO=-1)
    push.set_hwm_policy(send=Block(timeout=30, messages=3))
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    for number in range(3):
        push.send(b"%d" % number)
    with pytest.raises(zmq.Again):
        push.send(b"too much")
    check_books(push)


def test_block_makes_a_publisher_wait(world):
    pub, sub = world.socket(zmq.XPUB), world.socket(zmq.SUB)
    pub.set_hwm_policy(send=Block(messages=3))
    sub.set(int(zmq.RCVHWM), 2)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, "inproc")
    assert pub.recv() == b"\x01"
    sent = []

    def send():
        for number in range(50):
            pub.send(b"%d" % number)
            sent.append(number)

    task = Task(send)
    wait_blocked(task)
    assert len(sent) < 50
    assert [sub.recv() for _ in range(50)] == [b"%d" % number for number in range(50)]
    task.result()


def test_disconnect_slow_peers(world):
    """Who stays at the limit is put off; who reads stays."""
    pub = world.socket(zmq.XPUB, SNDBUF=4096)
    pub.set_hwm_policy(send=Disconnect(after=50, messages=5))
    endpoint = world.bind(pub, "tcp")
    slow, good = RawPeer.connect(endpoint), RawPeer.connect(endpoint)
    with slow, good:
        for raw in (slow, good):
            raw.handshake(b"SUB")
            raw.send(command(b"SUBSCRIBE"))
        assert pub.recv() == b"\x01"
        wait_for(lambda: pub.send(b"mark") or (check_sent(slow) and check_sent(good)), "both subscriptions")
        body = b"x" * 200_000

        def publish():
            pub.send(body)
            while good.recv_message() != [body]:
                pass
            check_books(pub)
            return len(pub.stats()["peers"]) == 1

        wait_for(publish, "the slow peer's end")
        pub.send(b"end")
        assert good.recv_message() == [b"end"]
        stats = pub.stats()
        assert stats["send"]["dropped"]["peer_gone"] > 0
        check_books(pub)


def test_a_peer_that_stands_at_half_is_not_slow(world):
    """Disconnect is about the limit: a queue that is merely not empty harms nobody."""
    push = world.socket(zmq.PUSH, SNDBUF=4096)
    push.set_hwm_policy(send=Disconnect(after=1, messages=1000))
    endpoint = world.bind(push, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"PULL")
        body = b"x" * 100_000
        for _ in range(100):
            push.send(body)
        wait_for(lambda: push.stats()["peers"][0]["send"]["queued"] > 60, "a queue")
        push.poll(50)  # many times the period
        for _ in range(100):
            assert raw.recv_message() == [body]


def test_disconnect_is_for_connections(world):
    push = world.socket(zmq.PUSH)
    push.set_hwm_policy(send=Disconnect(after=50))
    for attach in (push.bind, push.connect):
        with pytest.raises(zmq.ZMQError) as caught:
            attach("inproc://slow")
        assert caught.value.errno == int(zmq.EINVAL)
    other = world.socket(zmq.PUSH)
    other.bind("inproc://slow")
    with pytest.raises(zmq.ZMQError):
        other.set_hwm_policy(send=Disconnect(after=50))
    with pytest.raises(zmq.ZMQError):
        world.socket(zmq.PULL).set_hwm_policy(recv=Disconnect(after=50))


SIDES = {"PULL": "PUSH", "SUB": "XPUB", "DEALER": "DEALER", "ROUTER": "DEALER", "PAIR": "PAIR"}


def receiving(world, kind, transport, policy):
    """A sender without limits of its own, and a receiver under the policy."""
    sender = world.socket(getattr(zmq, SIDES[kind]), SNDHWM=0)
    receiver = world.socket(getattr(zmq, kind))
    receiver.set_hwm_policy(recv=policy)
    if kind == "SUB":
        receiver.set(int(zmq.SUBSCRIBE), b"")
    world.link(receiver, sender, transport)
    if kind == "SUB":
        assert sender.recv() == b"\x01"
    return sender, receiver


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("size", [1000, 100_000])
@pytest.mark.parametrize("oldest", [True, False])
def test_byte_limits_of_receivers(world, transport, size, oldest):
    """Large frames stand apart from the others; they count all the same."""
    made = DropOldest if oldest else DropNewest
    sender, receiver = receiving(world, "PULL", transport, made(messages=0, bytes=10 * size))
    for number in range(50):
        sender.send(b"%03d" % number + b"x" * (size - 3))
    wait_for(lambda: receiver.stats()["recv"]["accepted"] == 50, "50 messages")
    check_books(receiver)
    numbers = [int(body[:3]) for (body,) in drain(receiver)]
    assert numbers == list(range(50 - len(numbers), 50) if oldest else range(len(numbers)))
    assert 9 <= len(numbers) <= 11
    check_books(receiver)


def test_large_parts_of_cut_messages_do_not_count_for_ever(world):
    with RawListener() as listener:
        pull = world.socket(zmq.PULL, RECONNECT_IVL=10)
        pull.set_hwm_policy(recv=Block(bytes=300_000))
        pull.connect(listener.endpoint)
        for _ in range(3):
            raw = listener.accept()
            raw.handshake(b"PUSH")
            raw.send(message(b"whole") + frame(b"x" * 200_000, MORE))
            assert pull.recv() == b"whole"
            raw.stream.shutdown(socket.SHUT_WR)
            raw.wait_closed()
        raw = listener.accept()
        raw.handshake(b"PUSH")
        for number in range(5):
            raw.send_message(b"%d" % number)
            assert pull.recv() == b"%d" % number


def test_large_parts_of_a_message_that_is_not_complete_do_not_count(world):
    """The reader could take nothing of it, and so would never get below the mark."""
    pull = world.socket(zmq.PULL, RCVBUF=4096)
    pull.set_hwm_policy(recv=Block(bytes=300_000))
    with RawPeer.connect(world.bind(pull, "tcp")) as raw:
        raw.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        raw.handshake(b"PUSH")
        part = b"x" * 200_000
        # with buffers so small, what is sent has mostly been read
        Task(raw.send, message(b"small") + frame(part, MORE) * 3).result()
        assert pull.recv() == b"small"
        rest = Task(raw.send, frame(part))
        assert pull.recv_multipart() == [part] * 4
        rest.result()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_message_half_read_is_not_dropped(world, transport):
    sender, receiver = receiving(world, "PULL", transport, DropOldest(messages=3))
    sender.send_multipart([b"first", b"its end"])
    assert receiver.recv() == b"first"
    for number in range(100):
        sender.send_multipart([b"%d" % number, b"end"], int(zmq.DONTWAIT))
    assert receiver.recv() == b"its end"
    assert not receiver.rcvmore
    got = []
    while not got or got[-1] != b"99":
        number, end = receiver.recv_multipart()
        assert end == b"end"
        got.append(number)
    check_books(receiver)
    check_books(sender)


def test_byte_limits_of_a_link(world):
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    push.set_hwm_policy(send=Block(timeout=0, messages=0, bytes=1000))
    world.link(pull, push, "inproc")
    sent = 0
    with pytest.raises(zmq.Again):
        while True:
            push.send_multipart([b"x" * 50, b"y" * 50])
            sent += 1
    assert sent == 10
    check_books(push)
    for _ in range(5):  # a writer goes on when half has left
        assert not push.poll(0, int(zmq.POLLOUT))
        pull.recv_multipart()
    assert push.poll(0, int(zmq.POLLOUT))
    push.send(b"more")
    check_books(push)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_block_makes_a_router_wait(world, transport):
    """A ROUTER drops what a full peer cannot take, unless it was told to wait."""
    router = world.socket(zmq.ROUTER, SNDBUF=4096)
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"d", RCVHWM=1, RCVBUF=4096)
    router.set_hwm_policy(send=Block(messages=3))
    world.link(router, dealer, transport)
    dealer.send(b"here")
    assert router.recv_multipart() == [b"d", b"here"]
    body = b"x" * 1_000_000
    sent = []

    def send():
        for number in range(30):
            router.send_multipart([b"d", b"%d" % number, body])
            sent.append(number)

    task = Task(send)
    wait_blocked(task)
    assert len(sent) < 30
    assert [dealer.recv_multipart()[0] for _ in range(30)] == [b"%d" % number for number in range(30)]
    task.result()
    assert not router.stats()["send"]["dropped"]


def test_the_option_counts_where_the_policy_says_nothing(world):
    def room(policy):
        push = world.socket(zmq.PUSH, SNDHWM=7)
        push.set_hwm_policy(send=policy)
        push.connect(f"tcp://127.0.0.1:{free_port()}")
        sent = 0
        try:
            while sent < 5000:
                push.send(b"x" * 100)
                sent += 1
        except zmq.Again:
            pass
        return sent

    assert room(Block(timeout=0)) == 7
    assert room(Block(timeout=0, bytes=1 << 30)) == 7
    assert room(Block(timeout=0, messages=3)) == 3
    assert room(Block(timeout=0, messages=0)) == 5000
    assert 9 <= room(Block(timeout=0, messages=0, bytes=1000)) <= 10


def test_block_is_taken_back(world):
    """A publisher under another policy drops again."""
    pub, sub = world.socket(zmq.XPUB), world.socket(zmq.SUB, RCVHWM=2)
    sub.set(int(zmq.SUBSCRIBE), b"")
    pub.set_hwm_policy(send=Block(messages=2))
    world.link(pub, sub, "inproc")
    assert pub.recv() == b"\x01"
    with pytest.raises(zmq.Again):
        for _ in range(10):
            pub.send(b"x", int(zmq.DONTWAIT))
    pub.set_hwm_policy(send=DropNewest(messages=2))
    for _ in range(10):
        pub.send(b"x", int(zmq.DONTWAIT))
    (books, *_) = check_books(pub)
    assert books["dropped"]["newest"] >= 8


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_keep_last_on_the_receiving_side(world, transport):
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    pull.set_hwm_policy(recv=KeepLast())
    world.link(pull, push, transport)
    for number in range(100):
        push.send_multipart([b"%d" % number, b"whole"])
    wait_for(lambda: pull.recv_multipart() == [b"99", b"whole"], "the newest")
    assert drain(pull) == []
    check_books(pull)


def test_byte_limits(world):
    push = world.socket(zmq.PUSH, RECONNECT_IVL=10)
    push.set_hwm_policy(send=DropOldest(messages=0, bytes=10_000))
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push.connect(endpoint)
    for number in range(100):
        push.send(b"%03d" % number + b"x" * 997)
    check_books(push)
    pull = world.socket(zmq.PULL)
    pull.bind(endpoint)
    got = [int(pull.recv()[:3])]
    while got[-1] != 99:
        got.append(int(pull.recv()[:3]))
    assert got == list(range(got[0], 100))
    assert 8 <= len(got) <= 11


@pytest.mark.parametrize("bad", [("newest", {}), (None, {"kind": "no such"})])
def test_nonsense_policies(world, bad):
    with pytest.raises((TypeError, ValueError, zmq.ZMQError)):
        world.socket(zmq.PUSH).set_hwm_policy(send=bad[0] or bad[1])


def refusal(call, *args, **options):
    """What an EINVAL says beyond its number."""
    with pytest.raises(zmq.ZMQError) as caught:
        call(*args, **options)
    assert caught.value.errno == int(zmq.EINVAL)
    return caught.value.hint


def test_back_to_what_the_type_does(world):
    """DEFAULT, or None as a value of the attribute: the limits of the options count again, and a PUSH waits."""
    push, pull = world.socket(zmq.PUSH, SNDHWM=3), world.socket(zmq.PULL, RCVHWM=2)
    push.set_hwm_policy(send=DropNewest(messages=1))
    pull.hwm_policy = DropOldest(messages=1)
    world.link(pull, push, "inproc")
    for _ in range(10):
        push.send(b"x", int(zmq.DONTWAIT))
    assert len(drain(pull)) == 1
    push.set_hwm_policy(send=DEFAULT)
    assert push.hwm_policy is None
    assert pull.hwm_policy == DropOldest(messages=1)
    pull.hwm_policy = None
    assert pull.hwm_policy is None
    sent = 0
    with pytest.raises(zmq.Again):
        while True:
            push.send(b"x", int(zmq.DONTWAIT))
            sent += 1
    assert sent == 5
    push.set_hwm_policy(send=None)  # says nothing
    assert push.hwm_policy is None
    (books, *_) = check_books(push)
    assert books["dropped"] == {"newest": 9}


def test_back_from_block_a_publisher_drops(world):
    pub, sub = world.socket(zmq.XPUB, SNDHWM=2), world.socket(zmq.SUB, RCVHWM=2)
    sub.subscribe(b"")
    pub.set_hwm_policy(send=Block(timeout=0, messages=2))
    world.link(pub, sub, "inproc")
    assert pub.recv() == b"\x01"
    with pytest.raises(zmq.Again):
        for _ in range(10):
            pub.send(b"x")
    pub.set_hwm_policy(send=DEFAULT)
    for _ in range(10):
        pub.send(b"x")
    assert check_books(pub)[0]["dropped"] == {"newest": 8}


def test_conflate_is_a_policy_of_its_own(world):
    """One or the other: which of two counts is never a question."""
    conflated = world.socket(zmq.DEALER, CONFLATE=1)
    for options in ({"send": Block()}, {"recv": KeepLast(2)}):
        assert "CONFLATE" in refusal(conflated.set_hwm_policy, **options)
    conflated.set_hwm_policy(send=DEFAULT, recv=DEFAULT)
    conflated.set(int(zmq.CONFLATE), 0)
    conflated.set_hwm_policy(recv=KeepLast(2))
    assert "DEFAULT" in refusal(conflated.set, int(zmq.CONFLATE), 1)
    assert conflated.get(int(zmq.CONFLATE)) == 0
    conflated.set(int(zmq.CONFLATE), 0)
    conflated.set_hwm_policy(recv=DEFAULT)
    conflated.set(int(zmq.CONFLATE), 1)


def test_a_receiver_has_no_timeout(world):
    pull = world.socket(zmq.PULL)
    for timeout in (0, 5):
        assert "sending only" in refusal(pull.set_hwm_policy, recv=Block(timeout=timeout))
    pull.set_hwm_policy(recv=Block())
    assert pull.hwm_policy == Block()


def test_what_an_xsub_sends_over_inproc_waits_at_the_marks(world):
    """The publisher takes RCVHWM messages at once, whether or not somebody receives them; the rest is the policy's."""
    xsub, xpub = world.socket(zmq.XSUB), world.socket(zmq.XPUB, RCVHWM=10)
    xsub.set_hwm_policy(send=DropNewest(messages=4))
    world.link(xpub, xsub, "inproc")
    for number in range(100):
        xsub.send(b"%d" % number, int(zmq.DONTWAIT))
    books = xsub.stats()["send"]
    assert books["delivered"] == 10
    assert books["queued"] + books["dropped"]["newest"] == 90
    assert [xpub.recv() for _ in range(10)] == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize(
    ("transport", "sending"), [("inproc", True), *((transport, False) for transport in TRANSPORTS)]
)
def test_keys_of_radio_and_dish_are_of_the_message(world, transport, sending):
    """The group is not a frame of it: the newest of each key, whatever group it went to."""
    radio, dish = world.socket(zmq.RADIO, SNDHWM=0), world.socket(zmq.DISH)
    (radio if sending else dish).set_hwm_policy(**{"send" if sending else "recv": KeepLast(1)})
    for group in ("one", "two"):
        dish.join(group)
    world.link(dish, radio, transport)
    wait_for(lambda: radio.send(b"mark", group="two") or dish.poll(5), "the groups")
    while dish.poll(20):
        drain(dish)
    before = dish.stats()["recv"]["accepted"]
    for group, body in (("one", b"a1"), ("two", b"a2"), ("one", b"b3"), ("two", b"b4"), ("one", b"c5")):
        radio.send(body, group=group)
    if not sending:
        wait_for(lambda: dish.stats()["recv"]["accepted"] == before + 5, "the messages")
    frames = [dish.recv(copy=False) for _ in range(3)]
    assert [(frame.group, frame.bytes) for frame in frames] == [("two", b"a2"), ("two", b"b4"), ("one", b"c5")]
    assert drain(dish) == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_keys_of_dish_where_no_group_repeats(world, transport):
    radio, dish = world.socket(zmq.RADIO, SNDHWM=0), world.socket(zmq.DISH)
    dish.set_hwm_policy(recv=KeepLast(1))
    for group in ("one", "two"):
        dish.join(group)
    world.link(dish, radio, transport)
    wait_for(lambda: radio.send(b"mark", group="two") or dish.poll(5), "the groups")
    while dish.poll(20):
        drain(dish)
    before = dish.stats()["recv"]["accepted"]
    radio.send(b"a1", group="one")
    radio.send(b"a2", group="two")
    wait_for(lambda: dish.stats()["recv"]["accepted"] == before + 2, "the messages")
    frame = dish.recv(copy=False)
    assert (frame.group, frame.bytes) == ("two", b"a2")
    assert drain(dish) == []


@pytest.mark.parametrize("keys", [b"abcdef", b"abcdae", b"aaaaaa", b"a"], ids=["different", "again", "one", "alone"])
@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("key", [None, 1, "first_frame"])
def test_keep_last_of_what_comes_at_once(world, key, limit, keys):
    """Messages of one read, several parts and large ones among them: where no key repeats they need not be stored."""
    policy = KeepLast(key, messages=limit)
    pull = world.socket(zmq.PULL)
    pull.set_hwm_policy(recv=policy)
    endpoint = world.bind(pull, "tcp")
    model, sent = Model(policy), b""
    for number, first in enumerate(keys):
        parts = [b"%c%d" % (first, number // 4), b"", b"x" * (70_000 if number == 2 else 300 * number)]
        model.put(parts)
        sent += message(*parts)
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"PUSH")
        raw.send(sent)
        wait_for(lambda: pull.stats()["recv"]["accepted"] == len(keys), "the messages")
        assert drain(pull) == model.queue
        check_books(pull)
        raw.send_message(b"z9", b"next")
        assert pull.recv_multipart() == [b"z9", b"next"]
