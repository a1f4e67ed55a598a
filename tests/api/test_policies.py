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
            key = {None: b"", "first_frame": parts[0]}.get(policy.key, parts[0][: policy.key or 0])
            for index, (known, _) in enumerate(queue):
                if known == key:
                    del queue[index]
                    break
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
    assert sorted(got) == sorted(expected)
    if policy.kind != "keep_last":  # which place a replaced message takes is not promised
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
        assert numbers[-5:] == [295, 296, 297, 298, 299]
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
        reader = Task(read_until, good, b"end")
        ended = []

        def publish():
            pub.send(body)
            if not list(drain(pub)):
                return False
            ended.append(1)
            return True

        wait_for(lambda: publish() or peers_of(pub) == 1, "the slow peer's end")
        wait_for(lambda: pub.send(b"end") or not reader.is_alive(), "the good one's mark")
        assert reader.result() == b"end"


def read_until(raw, last):
    while True:
        (body,) = raw.recv_message()
        if body == last:
            return body


def peers_of(made):
    stats = made.stats()
    peers = stats.get("peers", ())
    return len(peers) if not isinstance(peers, int) else peers


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
        push.disconnect(listener.endpoint)
        wait_for(lambda: not push.poll(1, int(zmq.POLLOUT)), "the pipe's end")
        found = list(ledgers(push.stats()))
        for one in found:
            assert one["accepted"] >= one["queued"]


@pytest.mark.parametrize("bad", [("newest", {}), (None, {"kind": "no such"})])
def test_nonsense_policies(world, bad):
    with pytest.raises((TypeError, ValueError, zmq.ZMQError)):
        world.socket(zmq.PUSH).set_hwm_policy(send=bad[0] or bad[1])
