"""Each policy of the high-water mark against a model: every type that sends or receives, inproc and tcp, exact books.

Over tcp a queue stands still in two ways: the peer is not there yet, or it is there and does not read, with a large
message begun before the others.
"""

import random

import pytest
from support.books import Model, check_books
from support.impl import OURS, TRANSPORTS, zmq
from support.rawpeer import RawListener, RawPeer, command
from support.waiting import drain, wait_for
from support.world import free_port

pytestmark = pytest.mark.skipif(not OURS, reason="policies are pyzq's")

if OURS:
    from pyzq.hwm import Block, Disconnect, DropNewest, DropOldest, KeepLast

PLUG = b"plug" + bytes(1_000_000)
DONTWAIT = int(zmq.DONTWAIT)

DROPPING = (
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

# type: the type at the other end, several parts allowed
PARTNERS = {
    "PUSH": ("PULL", True),
    "PUB": ("SUB", True),
    "XPUB": ("XSUB", True),
    "XSUB": ("XPUB", True),
    "DEALER": ("DEALER", True),
    "ROUTER": ("DEALER", True),
    "PAIR": ("PAIR", True),
    "RADIO": ("DISH", False),
    "CLIENT": ("SERVER", False),
    "SERVER": ("CLIENT", False),
    "SCATTER": ("GATHER", False),
    "CHANNEL": ("CHANNEL", False),
}
HERE = [kind for kind in PARTNERS if kind != "XSUB"]  # what an XSUB sends over inproc never waits
# Types whose queue is there before the peer is; a publisher and a SERVER owe nothing to who was never there.
OWING = ["PUSH", "DEALER", "ROUTER", "PAIR", "XSUB", "CLIENT", "SCATTER", "CHANNEL"]
RECEIVERS = {
    "PULL": "PUSH",
    "SUB": "XPUB",
    "XSUB": "XPUB",
    "DEALER": "DEALER",
    "ROUTER": "DEALER",
    "PAIR": "PAIR",
    "DISH": "RADIO",
    "SERVER": "CLIENT",
    "CLIENT": "SERVER",
    "GATHER": "SCATTER",
    "CHANNEL": "CHANNEL",
}


def talk(chance, several, count=200):
    """Messages whose keys repeat; large ones among them, which queues keep by reference."""
    for number in range(count):
        key = b"%c%c" % (chance.choice(b"abcd"), chance.choice(b"12"))
        if several:
            rest = [b"%d" % number for _ in range(chance.randrange(3))]
            yield [key, *rest, b"x" * chance.choice((0, 9, 300, 90_000))]
        else:
            yield [key + b"%d" % chance.randrange(3) * chance.choice((1, 300))]


class Sender:
    """A socket under a policy and how to send with it."""

    def __init__(self, world, kind, policy, **options):
        self.kind = kind
        self.socket = world.socket(getattr(zmq, kind), **options)
        self.socket.set_hwm_policy(send=policy)
        self.number = None

    def put(self, parts):
        """Whether it was taken."""
        options = {"routing_id": self.number} if self.number else {"group": "g"} if self.kind == "RADIO" else {}
        prefix = [b"peer"] if self.kind == "ROUTER" else []
        try:
            self.socket.send_multipart([*prefix, *parts], DONTWAIT, **options)
        except zmq.Again:
            return False
        return True

    def books(self):
        check_books(self.socket)
        return self.socket.stats()["send"]


def together(world, kind, policy):
    """A sender and a reader in one process, who know each other."""
    sender = Sender(world, kind, policy)
    reader = world.socket(getattr(zmq, PARTNERS[kind][0]))
    if kind == "ROUTER":
        reader.set(int(zmq.ROUTING_ID), b"peer")
    if kind == "PUB":
        reader.subscribe(b"")
    if kind == "RADIO":
        reader.join("g")
    world.link(sender.socket, reader, "inproc")
    if kind == "XPUB":
        reader.send(b"\x01")
        assert sender.socket.recv() == b"\x01"
    if kind == "ROUTER":
        reader.send(b"here")
        assert sender.socket.recv_multipart() == [b"peer", b"here"]
    if kind == "SERVER":
        reader.send(b"here")
        sender.number = sender.socket.recv(copy=False).routing_id
    return sender, reader


def absent(world, kind, policy):
    """A sender whose peer comes when the function returned is called; it returns the reader."""
    sender = Sender(world, kind, policy, RECONNECT_IVL=10)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    if kind == "ROUTER":
        sender.socket.set(int(zmq.CONNECT_ROUTING_ID), b"peer")
    sender.socket.connect(endpoint)

    def come():
        reader = world.socket(getattr(zmq, PARTNERS[kind][0]))
        reader.bind(endpoint)
        return reader

    return sender, come


RAW = {"PUSH": b"PULL", "PUB": b"SUB", "XPUB": b"SUB", "DEALER": b"DEALER", "ROUTER": b"DEALER", "RADIO": b"DISH",
       "SERVER": b"CLIENT", "PAIR": b"PAIR"}  # fmt: skip


def ready_to_read(raw):
    import select

    return bool(raw.buffer or select.select([raw.stream], [], [], 0.01)[0])


def stalled(world, kind, policy):
    """A sender with a message begun for a peer that does not read."""
    sender = Sender(world, kind, policy, SNDBUF=4096)
    endpoint = world.bind(sender.socket, "tcp")
    raw = RawPeer.connect(endpoint, rcvbuf=65536)
    raw.handshake(RAW[kind], b"peer" if kind == "ROUTER" else None)
    if kind in ("PUB", "XPUB"):
        raw.send(command(b"SUBSCRIBE"))
    elif kind == "RADIO":
        raw.send(command(b"JOIN", b"g"))
    elif kind == "SERVER":
        raw.send_message(b"here")
        sender.number = sender.socket.recv(copy=False).routing_id
    plug(sender, raw)
    return sender, raw


def plug(sender, raw):
    """Fills the connection."""
    before = sender.socket.stats()["send"]["delivered"]

    def begun():
        try:
            queued = sender.socket.stats()["send"]["queued"]
            return (queued or not sender.put([PLUG])) and ready_to_read(raw)
        except zmq.ZMQError as error:
            assert error.errno == int(zmq.EHOSTUNREACH), error

    wait_for(begun, "the message being begun")
    assert sender.socket.stats()["send"]["delivered"] == before
    assert sender.socket.stats()["send"]["queued"] == 1


def follow(sender, model, messages, base):
    """Sends; the model does the same; the books agree at every step.  `base`: what they were before."""
    for parts in messages:
        assert sender.put(parts) == model.put(parts), parts
        books = sender.books()
        assert books["accepted"] - base["accepted"] == model.accepted
        assert books["queued"] == len(model.queue) + model.held
        assert books["dropped"] == {**base["dropped"], **model.dropped}
        assert books["delivered"] == base["delivered"]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("policy", DROPPING.values(), ids=DROPPING)
@pytest.mark.parametrize("kind", HERE)
def test_inproc(world, kind, policy, seed):
    sender, reader = together(world, kind, policy)
    model = Model(policy)
    follow(sender, model, talk(random.Random(seed), PARTNERS[kind][1]), sender.books())
    assert drain(reader) == model.queue
    assert sender.put([b"after"])
    assert reader.recv_multipart() == [b"after"]
    assert sender.books()["queued"] == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("policy", DROPPING.values(), ids=DROPPING)
@pytest.mark.parametrize("kind", OWING)
def test_tcp_to_a_peer_that_is_not_there_yet(world, kind, policy, seed):
    sender, come = absent(world, kind, policy)
    model = Model(policy)
    follow(sender, model, talk(random.Random(seed), PARTNERS[kind][1]), sender.books())
    reader = come()
    assert [reader.recv_multipart() for _ in model.queue] == model.queue
    # The reader may have them before the writing thread has come back to say so.
    wait_for(lambda: sender.books()["queued"] == 0, "the queue to be known as empty")
    assert sender.put([b"after"])
    assert reader.recv_multipart() == [b"after"]
    wait_for(lambda: sender.books()["queued"] == 0, "everything being delivered")


@pytest.mark.parametrize("policy", DROPPING.values(), ids=DROPPING)
@pytest.mark.parametrize("kind", RAW)
def test_tcp_to_a_peer_that_does_not_read(world, kind, policy):
    sender, raw = stalled(world, kind, policy)
    with raw:
        keeps = policy.kind == "keep_last"
        model = Model(policy, held=0 if keeps else 1)
        base = sender.books()
        sent = list(talk(random.Random(3), PARTNERS[kind][1]))
        if keeps:  # its limit is about what it keeps; the message that was begun is beside that
            for parts in sent:
                assert sender.put(parts)
                model.put(parts)
                books = sender.books()
                assert books["queued"] == len(model.queue) + 1
                assert books["dropped"] == {**base["dropped"], **model.dropped}
        else:
            follow(sender, model, sent, base)
        first = 1 if kind == "RADIO" else 0
        got = [raw.recv_message()[first:] for _ in range(1 + len(model.queue))]
        assert got == [[PLUG], *model.queue]
        wait_for(lambda: sender.books()["queued"] == 0, "everything being delivered")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("policy", DROPPING.values(), ids=DROPPING)
@pytest.mark.parametrize("kind", RECEIVERS)
def test_receivers(world, kind, policy, transport):
    """Everything arrives before the application looks."""
    other = RECEIVERS[kind]
    sender = world.socket(getattr(zmq, other), SNDHWM=0)
    receiver = world.socket(getattr(zmq, kind))
    receiver.set_hwm_policy(recv=policy)
    options = {}
    if kind == "SUB":
        receiver.subscribe(b"")
    elif kind == "DISH":
        receiver.join("g")
        options = {"group": "g"}
    world.link(receiver, sender, transport)
    before = 0
    if kind == "XSUB":
        receiver.send(b"\x01")
    if other == "XPUB":
        assert sender.recv() == b"\x01"
    elif kind == "CLIENT":
        receiver.send(b"here")
        options = {"routing_id": sender.recv(copy=False).routing_id}
    elif kind == "DISH":  # a RADIO does not say who has joined
        wait_for(lambda: sender.send(b"mark", group="g") or receiver.poll(1), "the group")
        wait_for(lambda: not drain(receiver) and not sender.stats()["send"]["queued"], "the marks")
        while receiver.poll(20):
            drain(receiver)
        before = receiver.stats()["recv"]["accepted"]
    base = receiver.stats()["recv"]
    model = Model(policy)
    sent = list(talk(random.Random(7), PARTNERS[other][1]))
    for parts in sent:
        sender.send_multipart(parts, **options)
        model.put(parts)
    wait_for(lambda: receiver.stats()["recv"]["accepted"] == before + len(sent), "the messages")
    check_books(receiver)
    books = receiver.stats()["recv"]
    assert books["queued"] == len(model.queue)
    assert {reason: books["dropped"][reason] - base["dropped"].get(reason, 0) for reason in model.dropped} == (
        model.dropped
    )
    first = 1 if kind == "ROUTER" else 0
    assert [receiver.recv_multipart()[first:] for _ in model.queue] == model.queue
    assert drain(receiver) == []
    check_books(receiver)
    sender.send_multipart([b"after"], **options)
    assert receiver.recv_multipart()[first:] == [b"after"]


# -- policies that refuse


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("kind", HERE)
def test_block_inproc(world, kind, limit):
    """Sends and receives in any order: the writer is refused at the limit, and goes on when half has left."""
    policy = Block(messages=limit)
    chance = random.Random(limit)
    sender, reader = together(world, kind, policy)
    model = Model(policy)
    base = sender.books()
    messages = talk(chance, PARTNERS[kind][1], 300)
    taken = 0
    for parts in messages:
        assert sender.put(parts) == model.put(parts), (len(model.queue), model.full)
        while model.queue and chance.random() < 0.3:
            assert reader.recv_multipart() == model.take()
            taken += 1
        books = sender.books()
        assert books["queued"] == len(model.queue)
        assert books["accepted"] - base["accepted"] == model.accepted
        assert books["delivered"] - base["delivered"] == taken
        assert books["dropped"] == base["dropped"]


@pytest.mark.parametrize("kind", OWING)
def test_block_to_a_peer_that_is_not_there_yet(world, kind):
    policy = Block(messages=7)
    sender, come = absent(world, kind, policy)
    model = Model(policy)
    follow(sender, model, talk(random.Random(1), PARTNERS[kind][1], 30), sender.books())
    assert len(model.queue) == 7
    reader = come()
    assert [reader.recv_multipart() for _ in model.queue] == model.queue
    wait_for(lambda: sender.put([b"after"]), "room")
    assert reader.recv_multipart() == [b"after"]


@pytest.mark.parametrize("kind", RAW)
def test_block_to_a_peer_that_does_not_read(world, kind):
    """Filled and emptied several times."""
    policy = Block(messages=7)
    chance = random.Random(5)
    sender, raw = stalled(world, kind, policy)
    first = 1 if kind == "RADIO" else 0
    with raw:
        for _ in range(3):
            model = Model(policy, held=1)
            follow(sender, model, talk(chance, PARTNERS[kind][1], 20), sender.books())
            assert len(model.queue) == 6
            assert [raw.recv_message()[first:] for _ in range(7)] == [[PLUG], *model.queue]
            wait_for(lambda: sender.books()["queued"] == 0, "everything being delivered")
            plug(sender, raw)


@pytest.mark.parametrize("kind", RAW)
@pytest.mark.parametrize("after", [0, 30])
def test_disconnect_at_the_limit(world, kind, after):
    """Who stays at the limit is put off, and what its queue held is in the books; below the limit nobody is."""
    policy = Disconnect(after=after, messages=7)
    sender, raw = stalled(world, kind, policy)
    with raw:
        model = Model(policy, held=1)
        base = sender.books()
        messages = talk(random.Random(5), PARTNERS[kind][1])
        follow(sender, model, [next(messages) for _ in range(5)], base)
        sender.socket.poll(3 * after + 20)  # one below the limit, for long
        assert len(sender.socket.stats()["peers"]) == 1
        assert sender.put(next(messages))
        wait_for(lambda: not sender.socket.stats()["peers"], "the end of the connection")
        books = sender.books()
        assert books["accepted"] == base["accepted"] + 6
        assert books["queued"] == 0
        assert books["dropped"] == {**base["dropped"], "peer_gone": 7 + base["dropped"].get("peer_gone", 0)}


@pytest.mark.parametrize("kind", RAW)
def test_disconnect_does_until_then_what_the_type_does(world, kind):
    """A publisher and a ROUTER drop what does not fit, the others wait."""
    policy = Disconnect(after=60_000, messages=7)
    sender, raw = stalled(world, kind, policy)
    drops = kind in ("PUB", "XPUB", "ROUTER", "RADIO")
    with raw:
        model = Model(DropNewest(messages=7) if drops else policy, held=1)
        follow(sender, model, talk(random.Random(5), PARTNERS[kind][1]), sender.books())
        first = 1 if kind == "RADIO" else 0
        assert [raw.recv_message()[first:] for _ in range(7)] == [[PLUG], *model.queue]
        wait_for(lambda: sender.books()["queued"] == 0, "everything being delivered")
        assert len(sender.socket.stats()["peers"]) == 1


def test_a_connecting_sender_keeps_what_it_owes(world):
    """The connection is closed; the queue is the endpoint's and goes to whoever answers there next."""
    policy = Disconnect(after=0, messages=7)
    with RawListener() as listener:
        sender = Sender(world, "PUSH", policy, SNDBUF=4096, RECONNECT_IVL=10)
        sender.socket.connect(listener.endpoint)
        slow = listener.accept()
        slow.handshake(b"PULL")
        plug(sender, slow)
        model = Model(policy, held=1)
        base = sender.books()
        follow(sender, model, list(talk(random.Random(5), True))[:6], base)
        again = listener.accept()
        again.handshake(b"PULL")
        assert [again.recv_message() for _ in range(7)] == [[PLUG], *model.queue]
        wait_for(lambda: sender.books()["queued"] == 0, "everything being delivered")
        assert sender.books()["dropped"] == {}
