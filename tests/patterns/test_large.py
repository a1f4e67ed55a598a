"""Large messages: received into their final memory where the application waits, into the engine's where it does not.

Whoever reads, whatever interrupts it and whoever takes the message in the end, every byte is there once.
"""

import itertools
import os
import random
import struct
import threading

import psutil
import pytest
from support.adversary import Adversary
from support.impl import OURS, Errors, links, ours_only, sides, zmq
from support.rawpeer import LONG, MORE, RawListener, RawPeer, message
from support.waiting import Task, drain, wait_blocked, wait_for

KB, MB = 1 << 10, 1 << 20

# around every limit there is: small frames, the buffer's sizes, 64 KB (memory of its own), 256 KB and 1 MB (what is
# reserved at first), more than a read's turn, more than a kernel's buffers hold
SIZES = [0, 1, 255, 256, 8 * KB - 9, 8 * KB, 64 * KB - 1, 64 * KB, 64 * KB + 1, 128 * KB - 9, 128 * KB, 300_000]
SIZES += [MB - 1, MB, MB + 1, 3 * MB, 9 * MB]

_seed = random.Random(11)
_noise = _seed.randbytes(10 * MB)


def body(size, number=0):
    """Bytes that differ at every offset that matters, and by number."""
    start = number * 7 % 1000
    return _noise[start : start + size]


def header(size, flags=0):
    return bytes([flags | LONG]) + struct.pack(">Q", size)


@pytest.fixture
def pull(world):
    return world.socket(zmq.PULL)


@pytest.fixture
def raw(world, pull):
    """A raw peer, connected to `pull` and shaken hands with."""
    with RawPeer.connect(world.bind(pull, "tcp")) as peer:
        peer.handshake(b"PUSH")
        yield peer


def pair_of(world, link, push_kind=zmq.PUSH, pull_kind=zmq.PULL, **options):
    transport, ours, theirs = link
    push, pull = world.socket(push_kind, ours, **options), world.socket(pull_kind, theirs, **options)
    push.connect(world.bind(pull, transport))
    return push, pull


def received(pull, how, size):
    """One part, received in one of the ways there are (that the socket has), as bytes."""
    if how == "copy" or (how in ("many", "into") and not (OURS and isinstance(pull, zmq.Socket))):
        return pull.recv()
    if how == "frame":
        return pull.recv(copy=False).bytes
    if how == "poll":
        assert pull.poll(10_000)
        return pull.recv(zmq.DONTWAIT)
    if how == "poll frame":
        assert pull.poll(10_000)
        return bytes(pull.recv(zmq.DONTWAIT, copy=False).buffer)
    if how == "spin":
        while True:
            try:
                return pull.recv(zmq.DONTWAIT)
            except Errors:
                pass
    if how == "multipart":
        (only,) = pull.recv_multipart()
        return only
    if how == "many":
        (only,) = pull.recv_many(1)
        return only
    if how == "into":
        room = bytearray(size)
        assert pull.recv_into(room) == size
        return bytes(room)
    raise AssertionError(how)


WAYS = ["copy", "frame", "poll", "poll frame", "spin", "multipart"] + ["many", "into"] * OURS


@pytest.mark.parametrize("link", links())
def test_sizes(world, link):
    """Every size, one after the other and in all orders of large and small."""
    push, pull = pair_of(world, link)
    order = SIZES + SIZES[::-1]
    _seed.shuffle(order)
    task = Task(lambda: [push.send(body(size, n)) for n, size in enumerate(SIZES + order)])
    for n, size in enumerate(SIZES + order):
        got = pull.recv()
        assert type(got) is bytes
        assert got == body(size, n), (n, size)
    task.result()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("link", links())
def test_ways_to_receive(world, link, how):
    push, pull = pair_of(world, link)
    sizes = [64 * KB, 100_000, MB, 5 * MB, 5 * MB, 100, 5 * MB, 70_000]
    task = Task(lambda: [push.send(body(size, n)) for n, size in enumerate(sizes)])
    for n, size in enumerate(sizes):
        assert received(pull, how, size) == body(size, n), (n, size)
    task.result()


@pytest.mark.parametrize("link", links())
def test_ways_in_turn(world, link):
    """Whoever began to receive may leave it to somebody who wants it otherwise."""
    push, pull = pair_of(world, link)
    ways = list(itertools.islice(itertools.cycle(WAYS + WAYS[::-1] + WAYS[::3]), 40))
    task = Task(lambda: [push.send(body(2 * MB, n)) for n in range(len(ways))])
    for n, how in enumerate(ways):
        assert received(pull, how, 2 * MB) == body(2 * MB, n), (n, how)
    task.result()


@pytest.mark.parametrize("link", links())
def test_parts_of_mixed_sizes(world, link):
    push, pull = pair_of(world, link, zmq.DEALER, zmq.ROUTER)
    messages = [[_seed.choice(SIZES) for _ in range(_seed.randrange(1, 6))] for _ in range(12)]
    messages += [[0, 9 * MB, 3, 64 * KB], [9 * MB, 9 * MB], [1, 1, 200_000]]
    task = Task(lambda: [push.send_multipart([body(size, n) for size in sizes]) for n, sizes in enumerate(messages)])
    for n, sizes in enumerate(messages):
        assert pull.recv_multipart()[1:] == [body(size, n) for size in sizes], (n, sizes)
    task.result()


@pytest.mark.parametrize("link", links())
def test_part_by_part(world, link):
    push, pull = pair_of(world, link)
    sizes = [5 * MB, 10, 5 * MB, 64 * KB, 0]
    task = Task(lambda: [push.send_multipart([body(size, n) for size in sizes]) for n in range(3)])
    for n in range(3):
        for k, size in enumerate(sizes):
            assert received(pull, ["copy", "frame"][k % 2], size) == body(size, n)
            assert pull.rcvmore == (k + 1 < len(sizes))
    task.result()


@pytest.mark.parametrize("pair", sides())
def test_large_round_trips(world, pair):
    """A reply is as large as the request: both ends receive in turn."""
    client, server = world.socket(zmq.REQ, pair[0]), world.socket(zmq.REP, pair[1])
    client.connect(world.bind(server, "tcp"))
    task = Task(lambda: [server.send(server.recv()) for _ in range(20)])
    for n in range(20):
        client.send(body(MB + n * 100_000, n))
        assert client.recv() == body(MB + n * 100_000, n)
    task.result()


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_many_senders(world, transport):
    """Large frames of several connections are under way at the same time."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)

    def send(number):
        push = world.socket(zmq.PUSH)
        push.connect(endpoint)
        for n in range(12):
            push.send_multipart([b"%d" % number, body(MB // 2 * (1 + n % 4), number * 16 + n)])
        push.close(10_000)

    tasks = [Task(send, number) for number in range(5)]
    seen = dict.fromkeys(range(5), 0)
    for k in range(60):
        who, got = pull.recv_multipart(copy=k % 3 != 0)
        number = int(bytes(who))
        n = seen[number]
        assert bytes(got) == body(MB // 2 * (1 + n % 4), number * 16 + n), (number, n)
        seen[number] += 1
    for task in tasks:
        task.result()
    assert set(seen.values()) == {12}


@ours_only  # libzmq's sockets are not for several threads
def test_many_receivers(world):
    """Several threads wait on one socket, in different ways, some of them impatient."""
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    push.connect(world.bind(pull, "tcp"))
    total, lock, seen = 120, threading.Lock(), []

    def receive(how):
        while True:
            try:
                if how == "poll":
                    pull.poll(1)
                    got = pull.recv(zmq.DONTWAIT)
                else:
                    got = bytes(pull.recv(copy=how == "bytes"))
            except zmq.Again:
                continue
            with lock:
                seen.append(got)
            if got == b"end":
                return

    tasks = [Task(receive, how) for how in ("bytes", "bytes", "frame", "poll")]
    for n in range(total):
        push.send(struct.pack(">I", n) + body(_seed.choice([10, 70_000, MB, 3 * MB]), n))
    for _ in tasks:
        push.send(b"end")
    for task in tasks:
        task.result(60)
    found = sorted(one for one in seen if one != b"end")
    assert [struct.unpack(">I", one[:4])[0] for one in found] == list(range(total))
    assert all(one[4:] == body(len(one) - 4, n) for n, one in enumerate(found))


# --- interruptions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [9, 10, 600, 9000, 200_000, MB, 4 * MB, 5 * MB + 8], ids=str)
@pytest.mark.parametrize("finish", ["copy", "frame", "poll", "into"][: 4 if OURS else 3])
def test_timeout_in_the_middle(pull, raw, sent, finish):
    """Nothing of what has come is lost when recv gives up, however far it is."""
    whole = message(body(5 * MB))
    pull.set(zmq.RCVTIMEO, 50)
    raw.send(whole[:sent])
    for _ in range(3):
        with pytest.raises(zmq.Again):
            pull.recv()
    pull.set(zmq.RCVTIMEO, 10_000)
    rest = Task(raw.send, whole[sent:] + message(b"next"))
    assert received(pull, finish, 5 * MB) == body(5 * MB)
    assert pull.recv() == b"next"
    rest.result()


@pytest.mark.parametrize(
    ("step", "sizes"),
    [
        (1000, [195_000]),
        (65536, [2 * MB, 300_000, 64 * KB]),
        (70_001, [2 * MB, 300_000, 64 * KB, 5, 900_000]),
        (600_000, [5 * MB, 300_000, 5 * MB]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_timeouts_all_along(pull, raw, step, sizes):
    """Each piece meets somebody else: who waits, who looks, the reactor while nobody does."""
    want = [body(size, n) for n, size in enumerate(sizes)]
    whole = b"".join(message(one) for one in want)
    pull.set(zmq.RCVTIMEO, 1)
    found = []
    for k, at in enumerate(range(0, len(whole), step)):
        raw.send(whole[at : at + step])
        try:
            if k % 3 == 0:
                found.append(pull.recv())
            elif k % 3 == 1:
                found.append(pull.recv(zmq.DONTWAIT, copy=False).bytes)
        except zmq.Again:
            pass
    pull.set(zmq.RCVTIMEO, 10_000)
    while len(found) < len(want):
        found.append(pull.recv())
    assert found == want
    assert drain(pull) == []


@pytest.mark.parametrize("sent", [9, 5000, 300_000, 4 * MB], ids=str)
@pytest.mark.parametrize("end", ["close", "abort"])
def test_cut_in_the_middle(world, pull, sent, end):
    """What was begun is forgotten; the next peer is served, and the memory is there again."""
    endpoint = world.bind(pull, "tcp")
    for turn in range(3):
        with RawPeer.connect(endpoint) as peer:
            peer.handshake(b"PUSH")
            waiting = Task(pull.recv)
            wait_blocked(waiting)
            peer.send(message(body(5 * MB))[:sent])
            wait_blocked(waiting)
            getattr(peer, end)()
        with RawPeer.connect(endpoint) as peer:
            peer.handshake(b"PUSH")
            peer.send_message(body(MB, turn))
            assert waiting.result() == body(MB, turn)


def test_cut_between_parts(world, pull):
    """A message whose last part never comes is not delivered, its large parts are let go of."""
    endpoint = world.bind(pull, "tcp")
    with RawPeer.connect(endpoint) as peer:
        peer.handshake(b"PUSH")
        waiting = Task(pull.recv_multipart)
        wait_blocked(waiting)
        peer.send(header(2 * MB, MORE) + body(2 * MB) + header(MB) + body(MB // 2))
        wait_blocked(waiting)
    with RawPeer.connect(endpoint) as peer:
        peer.handshake(b"PUSH")
        peer.send_message(b"whole", b"message")
        assert waiting.result() == [b"whole", b"message"]


@ours_only  # libzmq's sockets are not for several threads
@pytest.mark.parametrize("sent", [9, 300_000, 2 * MB], ids=str)
@pytest.mark.parametrize("how", ["close", "term"])
def test_end_in_the_middle(world, sent, how):
    """A thread that waits for the rest is told at once."""
    context = world.new_context()
    pull = world.socket(zmq.PULL, context=context)
    with RawPeer.connect(world.bind(pull, "tcp")) as peer:
        peer.handshake(b"PUSH")
        waiting = Task(pull.recv)
        wait_blocked(waiting)
        peer.send(message(body(5 * MB))[:sent])
        wait_blocked(waiting)
        ending = Task(pull.close if how == "close" else context.term)
        with pytest.raises(zmq.ZMQError) as caught:
            waiting.result()
        assert caught.value.errno == (zmq.ENOTSOCK if how == "close" else zmq.ETERM)
        pull.close()
        ending.result()


def test_disconnect_in_the_middle(world):
    pull = world.socket(zmq.PULL)
    with RawListener() as listener:
        pull.connect(listener.endpoint)
        peer = listener.accept()
        peer.handshake(b"PUSH")
        peer.send(message(body(5 * MB))[: 2 * MB])
        pull.set(zmq.RCVTIMEO, 50)
        with pytest.raises(zmq.Again):
            pull.recv()
        pull.disconnect(listener.endpoint)
        peer.wait_closed()


@pytest.mark.parametrize("pair", sides())
def test_slow_network(world, pair):
    """Pieces of any size with pauses: the waiting end sleeps many times within one frame."""
    push, pull = world.socket(zmq.PUSH, pair[0]), world.socket(zmq.PULL, pair[1])
    with Adversary(world.bind(pull, "tcp")) as relay:
        relay.forward.chunk = 30_011
        push.connect(relay.endpoint)
        for n in range(3):
            push.send_multipart([body(100_000, n), body(700_000, n)])
        for n in range(3):
            assert pull.recv_multipart() == [body(100_000, n), body(700_000, n)]


# --- memory ------------------------------------------------------------------------------------------------------


@ours_only
@pytest.mark.parametrize("size", [MB, 100 * MB, 2**40])
def test_reserved_by_word_alone(world, size):
    """Forty peers that announce much and send little, while somebody waits for them."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    before = psutil.Process().memory_info()
    waiting = Task(pull.recv)
    peers = []
    for _ in range(40):
        peer = RawPeer.connect(endpoint)
        peer.handshake(b"PUSH")
        peer.send(header(size) + b"some of it")
        peers.append(peer)
    wait_blocked(waiting)
    after = psutil.Process().memory_info()
    assert after.rss - before.rss < 32 * MB
    assert after.vms - before.vms < 512 * MB
    with RawPeer.connect(endpoint) as honest:
        honest.handshake(b"PUSH")
        honest.send_message(b"served")
        assert waiting.result() == b"served"
    for peer in peers:
        peer.close()


@ours_only
def test_memory_follows_what_came(world, pull, raw):
    """A frame of 200 MB announced, 20 MB of it sent."""
    before = psutil.Process().memory_info().rss
    waiting = Task(pull.recv)
    raw.send(header(200 * MB))
    for _ in range(10):
        raw.send(body(2 * MB))
    wait_blocked(waiting)
    assert psutil.Process().memory_info().rss - before < 80 * MB
    raw.close()
    with RawPeer.connect(pull.get(zmq.LAST_ENDPOINT).decode()) as honest:
        honest.handshake(b"PUSH")
        honest.send_message(b"served")
        assert waiting.result() == b"served"


@pytest.mark.parametrize("link", [("tcp", "impl", "impl"), ("ipc", "impl", "impl")], ids="-".join)
def test_memory_is_given_back(world, link):
    """Messages that were received and dropped leave nothing behind."""
    push, pull = pair_of(world, link, SNDHWM=2, RCVHWM=2)

    def some(count):
        task = Task(lambda: [push.send(body(9 * MB, n)) for n in range(count)])
        for n in range(count):
            assert len(received(pull, ["copy", "frame"][n % 2], 0)) == 9 * MB
        task.result()

    some(10)
    settled = psutil.Process().memory_info().rss
    some(60)
    assert psutil.Process().memory_info().rss - settled < 80 * MB


@ours_only
def test_larger_than_any_limit(world):
    """More than 4 GB do not fit everywhere; what matters is beyond every reserve, and beyond 2**28."""
    push, pull = pair_of(world, ("ipc", "impl", "impl"))
    big = bytearray(300 * MB)
    big[::4096] = os.urandom(len(big[::4096]))
    task = Task(push.send, big, copy=False)
    got = pull.recv()
    assert got == big
    task.result()


@pytest.mark.parametrize("size", [64 * KB, 64 * KB + 1, 5 * MB], ids=str)
def test_maxmsgsize(world, size):
    """Judged by the header, also where large frames are under way all the time."""
    pull = world.socket(zmq.PULL, MAXMSGSIZE=size)
    with RawPeer.connect(world.bind(pull, "tcp")) as peer:
        peer.handshake(b"PUSH")
        feeding = Task(lambda: [peer.send_message(body(size, n)) for n in range(3)])
        for n in range(3):
            assert pull.recv() == body(size, n)
        feeding.result()
        peer.send(header(size + 1) + b"the body never comes")
        peer.wait_closed()


# --- what a message is afterwards --------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_what_was_received_stays(world, transport):
    """The memory of one message is not the next one's, whoever holds it."""
    push, pull = pair_of(world, (transport, "impl", "impl"))
    task = Task(lambda: [push.send(body(MB, n)) for n in range(24)])
    kept = [pull.recv(copy=n % 2 == 0) for n in range(24)]
    task.result()
    hash(kept[0])
    assert [bytes(one) for one in kept] == [body(MB, n) for n in range(24)]


@ours_only
@pytest.mark.parametrize("first", ["recv", "poll"])
def test_what_others_see_is_not_written_to(world, pull, raw, first):
    """A frame begun as bytes and taken as a Frame, and sent on within the process."""
    pull.set(zmq.RCVTIMEO, 50)
    whole = message(body(2 * MB))
    raw.send(whole[:MB])
    if first == "recv":
        with pytest.raises(zmq.Again):
            pull.recv()
    else:
        assert pull.poll(50) == 0
    pull.set(zmq.RCVTIMEO, 10_000)
    rest = Task(raw.send, whole[MB:])
    frame = pull.recv(copy=False)
    rest.result()
    there, here = pair_of(world, ("inproc", "impl", "impl"))
    there.send(frame, copy=False)
    sent_on = here.recv()
    with pytest.raises(TypeError, match="read-only"):
        frame.buffer[0] = 0  # somebody else sees it now
    assert sent_on == frame.bytes == body(2 * MB)


@ours_only
@pytest.mark.parametrize("kind", ["DropOldest", "DropNewest", "KeepLast"])
def test_policies_let_go_of_large_frames(world, kind):
    """Frames that the application began to receive, and that nobody takes."""
    from pyzq import hwm

    policy = hwm.KeepLast() if kind == "KeepLast" else getattr(hwm, kind)(messages=2)
    pull = world.socket(zmq.PULL)
    pull.set_hwm_policy(recv=policy)
    with RawPeer.connect(world.bind(pull, "tcp")) as peer:
        peer.handshake(b"PUSH")
        pull.set(zmq.RCVTIMEO, 50)
        for n in range(6):
            whole = message(body(MB, n), body(100_000, n))
            peer.send(whole[:9])
            try:
                pull.recv_multipart()
            except zmq.Again:
                pass
            peer.send(whole[9:])
        wait_for(lambda: pull.stats()["recv"]["accepted"] == 6, "all messages")
        for got in drain(pull):
            assert got[0] in [body(MB, n) for n in range(6)]
    books = pull.stats()["recv"]
    assert books["accepted"] == books["delivered"] + books["queued"] + sum(books["dropped"].values())
