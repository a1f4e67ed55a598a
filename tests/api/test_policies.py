"""What happens at the high-water mark, policy by policy against a model, and books that always balance."""

import random

import pytest
from support.impl import OURS, TRANSPORTS, zmq
from support.rawpeer import RawListener, RawPeer, command
from support.waiting import Task, drain, wait_blocked, wait_for
from support.world import free_port

pytestmark = pytest.mark.skipif(not OURS, reason="policies are pyzq's")

if OURS:
    from pyzq.hwm import Block, Disconnect, DropNewest, DropOldest, KeepLast


def ledgers(stats):
    """Every set of books inside what stats() returns, wherever it stands."""
    if isinstance(stats, dict):
        if "accepted" in stats and "dropped" in stats:
            yield stats
        for value in stats.values():
            yield from ledgers(value)
    elif isinstance(stats, (list, tuple)):
        for value in stats:
            yield from ledgers(value)


def check_books(made):
    """accepted = delivered + queued + everything dropped, in every ledger; returns the ledgers."""
    found = list(ledgers(made.stats()))
    assert found, made.stats()
    for one in found:
        dropped = sum(one["dropped"].values()) if isinstance(one["dropped"], dict) else one["dropped"]
        delivered = one.get("delivered", one.get("written"))
        assert one["accepted"] == delivered + one["queued"] + dropped, one
    return found


def model(policy, messages):
    """What a queue under the policy holds after the messages, nothing having been read."""
    queue = []
    limit = policy.messages
    for parts in messages:
        if policy.kind == "keep_last":
            key = parts[0] if policy.key == "first_frame" else parts[0][: policy.key or 0]
            for index, (known, _) in enumerate(queue):
                if known == key:
                    queue[index] = (key, parts)  # the place that its predecessor had
                    break
            else:
                queue.append((key, parts))
                if limit and len(queue) > limit:
                    del queue[0]
        elif limit and len(queue) >= limit:
            if policy.kind == "drop_oldest":
                del queue[0]
                queue.append((None, parts))
        else:
            queue.append((None, parts))
    return [parts for _, parts in queue]


POLICIES = (
    {
        "newest": DropNewest(messages=7),
        "newest-one": DropNewest(messages=1),
        "oldest": DropOldest(messages=7),
        "oldest-one": DropOldest(messages=1),
        "last": KeepLast(),
        "last-of-first-frame": KeepLast("first_frame"),
        "last-of-prefix": KeepLast(1),
        "last-of-some": KeepLast("first_frame", messages=3),
    }
    if OURS
    else {}
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_against_the_model(world, policy, seed):
    """A queue to a peer that is not there yet, then read whole."""
    chance = random.Random(seed)
    push = world.socket(zmq.PUSH, RECONNECT_IVL=10)
    push.set_hwm_policy(send=policy)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push.connect(endpoint)
    sent = []
    for number in range(200):
        key = b"%c%c" % (chance.choice(b"abcd"), chance.choice(b"12"))
        parts = [key, *(b"%d" % number for _ in range(chance.randrange(1, 4))), b"x" * chance.randrange(300)]
        push.send_multipart(parts, int(zmq.DONTWAIT))
        sent.append(parts)
        if number % 20 == 0:
            check_books(push)
    expected = model(policy, sent)
    pull = world.socket(zmq.PULL)
    pull.bind(endpoint)
    got = [pull.recv_multipart() for _ in expected]
    assert got == expected
    push.send_multipart([b"end", b"end"])
    assert pull.recv_multipart() == [b"end", b"end"]
    (books, *_) = check_books(push)
    assert books["accepted"] >= 1


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
    push.set_hwm_policy(send=Block(timeout_ms=30, messages=3))
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
    pub.set_hwm_policy(send=Disconnect(after_ms=50, messages=5))
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
    push.set_hwm_policy(send=Disconnect(after_ms=1, messages=1000))
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
    push.set_hwm_policy(send=Disconnect(after_ms=50))
    for attach in (push.bind, push.connect):
        with pytest.raises(zmq.ZMQError) as caught:
            attach("inproc://slow")
        assert caught.value.errno == int(zmq.EINVAL)
    other = world.socket(zmq.PUSH)
    other.bind("inproc://slow")
    with pytest.raises(zmq.ZMQError):
        other.set_hwm_policy(send=Disconnect(after_ms=50))
    with pytest.raises(zmq.ZMQError):
        world.socket(zmq.PULL).set_hwm_policy(recv=Disconnect(after_ms=50))


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
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("kind", SIDES)
def test_receivers_against_the_model(world, kind, policy, transport):
    """Everything arrives before the application looks."""
    chance = random.Random(7)
    sender, receiver = receiving(world, kind, transport, policy)
    sent = []
    for number in range(200):
        key = b"%c%c" % (chance.choice(b"abcd"), chance.choice(b"12"))
        parts = [key, *(b"%d" % number for _ in range(chance.randrange(3))), b"x" * chance.choice((0, 9, 300, 90_000))]
        sender.send_multipart(parts)
        sent.append(parts)
    wait_for(lambda: receiver.stats()["recv"]["accepted"] == 200, "200 messages")
    expected = model(policy, sent)
    check_books(receiver)
    assert receiver.stats()["recv"]["queued"] == len(expected)
    first = 1 if kind == "ROUTER" else 0
    assert [receiver.recv_multipart()[first:] for _ in expected] == expected
    assert drain(receiver) == []
    check_books(receiver)
    dropped = receiver.stats()["recv"]["dropped"]
    assert sum(dropped.values()) == 200 - len(expected)
    sender.send(b"after")
    assert receiver.recv_multipart()[first:] == [b"after"]


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
    push.set_hwm_policy(send=Block(timeout_ms=0, messages=0, bytes=1000))
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

    assert room(Block(timeout_ms=0)) == 7
    assert room(Block(timeout_ms=0, bytes=1 << 30)) == 7
    assert room(Block(timeout_ms=0, messages=3)) == 3
    assert room(Block(timeout_ms=0, messages=0)) == 5000
    assert 9 <= room(Block(timeout_ms=0, messages=0, bytes=1000)) <= 10


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


@pytest.mark.parametrize("bad", [("newest", {}), (None, {"kind": "no such"})])
def test_nonsense_policies(world, bad):
    with pytest.raises((TypeError, ValueError, zmq.ZMQError)):
        world.socket(zmq.PUSH).set_hwm_policy(send=bad[0] or bad[1])
