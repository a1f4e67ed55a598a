"""Every pair of socket types over every transport, alone and against stock pyzmq, whoever binds."""

import time

import pytest
from support.impl import DEADLINE, DRAFT, TRANSPORTS, Errors, links, needs_draft, sides, zmq
from support.waiting import sync, wait_for

SIZES = (0, 1, 1000, 65536, 1 << 20)
HUGE = 9 << 20
DRAFT_TYPES = ("CLIENT", "RADIO", "SCATTER", "CHANNEL")


def body(size, seed=0):
    """Bytes whose every position tells where it belongs."""
    unit = bytes((seed + index * 7) & 255 for index in range(251))
    return (unit * (size // len(unit) + 1))[:size]


# (type A, type B, kind of conversation, several parts allowed)
PAIRS = [
    ("PAIR", "PAIR", "both", True),
    ("PUSH", "PULL", "one", True),
    ("PUB", "SUB", "publish", True),
    ("PUB", "XSUB", "publish", True),
    ("XPUB", "SUB", "publish", True),
    ("XPUB", "XSUB", "publish", True),
    ("REQ", "REP", "ask", True),
    ("REQ", "ROUTER", "ask-router", True),
    ("DEALER", "REP", "ask-enveloped", True),
    ("DEALER", "DEALER", "both", True),
    ("DEALER", "ROUTER", "routed", True),
    ("ROUTER", "ROUTER", "routers", True),
    ("CLIENT", "SERVER", "numbered", False),
    ("RADIO", "DISH", "groups", False),
    ("SCATTER", "GATHER", "one", False),
    ("CHANNEL", "CHANNEL", "both", False),
]


def messages(multipart, sizes):
    found = [[body(size)] for size in sizes]
    if multipart:
        found += [[b"", b""], [b"a", b"", b"c"], [body(300), b"", body(70_000), b"end"], [b"%d" % n for n in range(50)]]
    return found


def one_way(a, b, sent):
    for message in sent:
        a.send_multipart(message)
    for message in sent:
        assert b.recv_multipart() == message


def both(a, b, sent):
    one_way(a, b, sent)
    one_way(b, a, sent)


def ask(a, b, sent):
    for message in sent:
        a.send_multipart(message)
        assert b.recv_multipart() == message
        b.send_multipart(message)
        assert a.recv_multipart() == message


def ask_router(a, b, sent):
    for message in sent:
        a.send_multipart(message)
        peer, empty, *parts = b.recv_multipart()
        assert peer
        assert empty == b""
        assert parts == message
        b.send_multipart([peer, b"", *parts])
        assert a.recv_multipart() == message


def ask_enveloped(a, b, sent):
    for message in sent:
        a.send_multipart([b"trace", b"", *message])
        assert b.recv_multipart() == message
        b.send_multipart(message)
        assert a.recv_multipart() == [b"trace", b"", *message]


def routed(a, b, sent):
    for message in sent:
        a.send_multipart(message)
        peer, *parts = b.recv_multipart()
        assert parts == message
        b.send_multipart([peer, *parts])
        assert a.recv_multipart() == message


def routers(a, b, sent):
    end = time.monotonic() + DEADLINE
    while True:  # B learns of A when A's identity has arrived
        try:
            b.send_multipart([b"name-a", b"first"])
            break
        except Errors as error:
            assert error.errno == int(zmq.EHOSTUNREACH)
            assert time.monotonic() < end
            b.poll(1)
    assert a.recv_multipart() == [b"name-b", b"first"]
    for message in sent:
        a.send_multipart([b"name-b", *message])
        assert b.recv_multipart() == [b"name-a", *message]
        b.send_multipart([b"name-a", *message])
        assert a.recv_multipart() == [b"name-b", *message]


def numbered(a, b, sent):
    for (part,) in sent:
        a.send(part)
        got = b.recv(copy=False)
        assert got.bytes == part
        assert got.routing_id
        b.send(part, routing_id=got.routing_id)
        assert a.recv() == part


def publish(a, b, sent):
    for message in sent:
        a.send_multipart([b"t", *message])
    for message in sent:
        assert b.recv_multipart() == [b"t", *message]


def groups(a, b, sent):
    for (part,) in sent:
        a.send(part, group="g")
        got = b.recv(copy=False)
        assert got.bytes == part
        assert got.group == "g"


TALK = {
    "both": both,
    "one": one_way,
    "ask": ask,
    "ask-router": ask_router,
    "ask-enveloped": ask_enveloped,
    "routed": routed,
    "routers": routers,
    "numbered": numbered,
    "publish": publish,
    "groups": groups,
}


def open_pair(world, link, types, kind, a_binds):
    transport, side_a, side_b = link
    a = world.socket(getattr(zmq, types[0]), side_a)
    b = world.socket(getattr(zmq, types[1]), side_b)
    if kind == "routers":
        for socket, name in ((a, b"name-a"), (b, b"name-b")):
            socket.set(int(zmq.ROUTING_ID), name)
            socket.set(int(zmq.ROUTER_MANDATORY), 1)
    if types[1] == "SUB":
        b.set(int(zmq.SUBSCRIBE), b"t")
    if types[1] == "DISH":
        b.join("g")
    if a_binds:
        world.link(a, b, transport)
    else:
        world.link(b, a, transport)
    if types[1] == "XSUB":
        b.send(b"\x01t")
    if kind == "publish":
        sync(a, b, topic=b"t")
    if kind == "groups":
        end = time.monotonic() + DEADLINE
        while not b.poll(5):
            a.send(b"mark", group="g")
            assert time.monotonic() < end, "the group was never joined"
        a.send(b"last", group="g")
        while b.recv() != b"last":
            pass
    return a, b


def cases(pairs):
    """Every pair over every link that stock pyzmq can be at the other end of: its wheels lack the draft types."""
    for pair in pairs:
        for param in links():
            (link,) = param.values
            if pair[0] not in DRAFT_TYPES or (DRAFT and "stock" not in link):
                yield pytest.param(pair, link, id="-".join((*pair[:2], *link)))


@pytest.mark.parametrize("a_binds", [True, False], ids=["a-binds", "b-binds"])
@pytest.mark.parametrize(("types", "link"), cases(PAIRS))
def test_conversation(world, types, link, a_binds):
    name_a, name_b, kind, multipart = types
    a, b = open_pair(world, link, (name_a, name_b), kind, a_binds)
    TALK[kind](a, b, messages(multipart, SIZES))


@pytest.mark.parametrize(("types", "link"), cases(PAIRS[index] for index in (0, 1, 2, 6, 10, 12, 13)))
def test_nine_megabytes(world, types, link):
    name_a, name_b, kind, multipart = types
    a, b = open_pair(world, link, (name_a, name_b), kind, True)
    sent = [[body(HUGE)]]
    if multipart:
        sent.append([body(100), body(HUGE, 3), body(5)])
    TALK[kind](a, b, sent)


@needs_draft
@pytest.mark.parametrize("sizes", [SIZES, (HUGE,)], ids=["sizes", "nine-megabytes"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_peers(world, transport, sizes):
    """PEER: who connects learns the number of the other side at once, who is bound from a message."""
    bound, made = world.socket(zmq.PEER), world.socket(zmq.PEER)
    number = made.connect_peer(world.bind(bound, transport))
    for size in sizes:
        made.send(body(size), routing_id=number)
        got = bound.recv(copy=False)
        assert got.bytes == body(size)
        bound.send(body(size, 5), routing_id=got.routing_id)
        back = made.recv(copy=False)
        assert (back.bytes, back.routing_id) == (body(size, 5), number)


@pytest.mark.parametrize("sizes", [SIZES[1:], (HUGE,)], ids=["sizes", "nine-megabytes"])
@pytest.mark.parametrize("a_binds", [True, False], ids=["a-binds", "b-binds"])
@pytest.mark.parametrize("pair", sides())
def test_streams(world, pair, a_binds, sizes):
    """STREAM: bytes without frames, so that what was one message may arrive as several."""
    a, b = world.socket(zmq.STREAM, pair[0]), world.socket(zmq.STREAM, pair[1])
    world.link(*((a, b) if a_binds else (b, a)), "tcp")
    (name_b, empty_a), (name_a, empty_b) = a.recv_multipart(), b.recv_multipart()
    assert empty_a == empty_b == b""

    def carry(source, name, target, known, data):
        source.send_multipart([name, data])
        got = bytearray()
        while len(got) < len(data):
            who, piece = target.recv_multipart()
            assert who == known
            got += piece
        assert got == data

    for size in sizes:
        carry(a, name_b, b, name_a, body(size))
        carry(b, name_a, a, name_b, body(size, 9))
    a.send_multipart([name_b, b""])  # ends the connection, for the other side too; libzmq does it at a later call
    wait_for(lambda: a.poll(1) < 0 or b.poll(5), "the end")
    assert b.recv_multipart() == [name_a, b""]


@pytest.mark.parametrize("link", links())
def test_every_size_around_the_frame_boundaries(world, link):
    """One and eight byte lengths, buffer sizes and their neighbours."""
    transport, side_a, side_b = link
    a, b = world.pair(zmq.PUSH, zmq.PULL, transport, side_a, side_b)
    sizes = [0, 1, 2, 254, 255, 256, 257, 8183, 8191, 8192, 8193, 65535, 65536, 65537, 262_143, 262_145]
    one_way(a, b, [[body(size, size)] for size in sizes])
    one_way(a, b, [[body(first, 1), body(second, 2)] for first in sizes[:9] for second in sizes[:9]])


@pytest.mark.parametrize("link", links())
def test_many_small_messages_keep_their_order(world, link):
    transport, side_a, side_b = link
    a, b = world.pair(zmq.PUSH, zmq.PULL, transport, side_a, side_b, {"SNDHWM": 0}, {"RCVHWM": 0})
    for number in range(5000):
        a.send(b"%d" % number)
    for number in range(5000):
        assert b.recv() == b"%d" % number
