"""ROUTER: identities, mandatory routing, handover, notifications (RFC 28; zmq_setsockopt's ROUTER_ options)."""

import time

import pytest
from support.impl import DEADLINE, TRANSPORTS, links, needs_draft, ours_only, sides, zmq
from support.rawpeer import RawPeer, greeting, message, ready
from support.waiting import Task, Watch, drain, nothing, wait_blocked, wait_for


def send_when_known(router, parts):
    """Repeats a mandatory send until the peer's identity has arrived."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return router.send_multipart(parts)
        except zmq.ZMQError as error:
            assert error.errno == int(zmq.EHOSTUNREACH)
            assert time.monotonic() < end
            router.poll(1)


@pytest.mark.parametrize("link", links())
def test_generated_identity(world, link):
    transport, side_a, side_b = link
    router = world.socket(zmq.ROUTER, side_a)
    endpoint = world.bind(router, transport)
    names = set()
    for number in range(5):
        dealer = world.socket(zmq.DEALER, side_b)
        dealer.connect(endpoint)
        dealer.send(b"%d" % number)
        name, body = router.recv_multipart()
        assert body == b"%d" % number
        assert len(name) == 5
        assert name[0] == 0
        names.add(name)
        router.send_multipart([name, b"back"])
        assert dealer.recv() == b"back"
    assert len(names) == 5


@pytest.mark.parametrize("name", [b"x", b"name", bytes(range(1, 256)), b"\x01\x00\x00"], ids=["1", "4", "255", "zeros"])
@pytest.mark.parametrize("link", links())
def test_chosen_identity(world, link, name):
    transport, side_a, side_b = link
    router, dealer = world.socket(zmq.ROUTER, side_a), world.socket(zmq.DEALER, side_b, ROUTING_ID=name)
    world.link(router, dealer, transport)
    dealer.send_multipart([b"a", b"b"])
    assert router.recv_multipart() == [name, b"a", b"b"]
    router.send_multipart([name, b"c"])
    assert dealer.recv_multipart() == [b"c"]


@pytest.mark.parametrize("name", [b"", b"x" * 256], ids=["empty", "long"])
def test_refused_identity(world, name):
    dealer = world.socket(zmq.DEALER)
    with pytest.raises(zmq.ZMQError) as caught:
        dealer.set(int(zmq.ROUTING_ID), name)
    assert caught.value.errno == int(zmq.EINVAL)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unknown_identity_is_dropped_or_refused(world, transport):
    router, dealer = world.pair(zmq.ROUTER, zmq.DEALER, transport, options_b={"ROUTING_ID": b"d"})
    dealer.send(b"here")
    router.recv_multipart()
    router.send_multipart([b"nobody", b"dropped", b"whole"])
    router.set(int(zmq.ROUTER_MANDATORY), 1)
    with pytest.raises(zmq.ZMQError) as caught:
        router.send_multipart([b"nobody", b"x"])
    assert caught.value.errno == int(zmq.EHOSTUNREACH)
    router.send_multipart([b"d", b"after the error"])  # the refused message left nothing behind
    assert dealer.recv_multipart() == [b"after the error"]


def test_mandatory_blocks_at_the_high_water_mark(world):
    router = world.socket(zmq.ROUTER, ROUTER_MANDATORY=1, SNDHWM=1)
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"d", RCVHWM=1)
    world.link(router, dealer, "inproc")
    sent = 0
    with pytest.raises(zmq.Again):
        while sent < 100:
            router.send_multipart([b"d", b"%d" % sent], int(zmq.DONTWAIT))
            sent += 1
    assert sent == 2
    task = Task(router.send_multipart, [b"d", b"%d" % sent])
    wait_blocked(task)
    got = [dealer.recv() for _ in range(sent)]
    task.result()
    got.append(dealer.recv())
    assert got == [b"%d" % number for number in range(sent + 1)]


def test_without_mandatory_a_full_peer_loses_whole_messages(world):
    router = world.socket(zmq.ROUTER, SNDHWM=2)
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"d", RCVHWM=2)
    world.link(router, dealer, "inproc")
    dealer.send(b"here")
    router.recv_multipart()
    for number in range(20):
        router.send_multipart([b"d", b"%d" % number, b"second"], int(zmq.DONTWAIT))
    got = drain(dealer)
    assert got == [[b"%d" % number, b"second"] for number in range(4)]


def test_pollout(world):
    """Without MANDATORY a ROUTER can always send; nothing stops it."""
    router = world.socket(zmq.ROUTER)
    world.bind(router, "tcp")
    assert router.poll(0, int(zmq.POLLOUT)) == int(zmq.POLLOUT)


@pytest.mark.parametrize("pair", sides())
def test_connect_routing_id(world, pair):
    """The name given to the next connection is usable at once and replaces the peer's own."""
    listener = world.socket(zmq.ROUTER, pair[1], ROUTING_ID=b"own name")
    endpoint = world.bind(listener, "tcp")
    router = world.socket(zmq.ROUTER, pair[0], ROUTING_ID=b"caller", ROUTER_MANDATORY=1)
    router.set(int(zmq.CONNECT_ROUTING_ID), b"chosen")
    router.connect(endpoint)
    router.send_multipart([b"chosen", b"hello"])
    assert listener.recv_multipart() == [b"caller", b"hello"]
    listener.send_multipart([b"caller", b"back"])
    assert router.recv_multipart() == [b"chosen", b"back"]
    with pytest.raises(Exception) as caught:
        router.send_multipart([b"own name", b"x"])
    assert caught.value.errno == int(zmq.EHOSTUNREACH)


def test_connect_routing_id_is_for_one_connection(world):
    listeners = [world.socket(zmq.ROUTER, ROUTING_ID=b"listener-%d" % number) for number in range(2)]
    router = world.socket(zmq.ROUTER, ROUTING_ID=b"caller", ROUTER_MANDATORY=1)
    router.set(int(zmq.CONNECT_ROUTING_ID), b"first")
    for listener in listeners:
        router.connect(world.bind(listener, "tcp"))
    send_when_known(router, [b"first", b"one"])
    send_when_known(router, [b"listener-1", b"two"])
    assert listeners[0].recv_multipart()[-1] == b"one"
    assert listeners[1].recv_multipart()[-1] == b"two"


@ours_only
def test_connect_routing_id_given_twice_is_an_error(world):
    listener = world.socket(zmq.ROUTER)
    endpoint = world.bind(listener, "tcp")
    router = world.socket(zmq.ROUTER)
    router.set(int(zmq.CONNECT_ROUTING_ID), b"name")
    router.connect(endpoint)
    router.set(int(zmq.CONNECT_ROUTING_ID), b"name")
    with pytest.raises(zmq.ZMQError):
        router.connect(endpoint)
    router.send_multipart([b"name", b"still works"])
    assert listener.recv_multipart()[-1] == b"still works"


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_duplicate_identity_is_ignored(world, transport):
    """Without HANDOVER the first owner of a name keeps it."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, transport)
    first = world.socket(zmq.DEALER, ROUTING_ID=b"same")
    first.connect(endpoint)
    first.send(b"first")
    assert router.recv_multipart() == [b"same", b"first"]
    second = world.socket(zmq.DEALER, ROUTING_ID=b"same", RECONNECT_IVL=-1)
    with Watch(second) as watch:
        second.connect(endpoint)
        watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        second.send(b"second")
        nothing(router)
    router.send_multipart([b"same", b"to the first"])
    assert first.recv() == b"to the first"
    first.send(b"still here")
    assert router.recv_multipart() == [b"same", b"still here"]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_handover(world, transport):
    router = world.socket(zmq.ROUTER, ROUTER_HANDOVER=1)
    endpoint = world.bind(router, transport)
    first = world.socket(zmq.DEALER, ROUTING_ID=b"same", RECONNECT_IVL=-1)
    first.connect(endpoint)
    first.send(b"first")
    assert router.recv_multipart() == [b"same", b"first"]
    second = world.socket(zmq.DEALER, ROUTING_ID=b"same")
    second.connect(endpoint)
    second.send(b"second")
    assert router.recv_multipart() == [b"same", b"second"]
    router.send_multipart([b"same", b"to the newcomer"])
    assert second.recv() == b"to the newcomer"
    assert drain(first) == []


def test_name_is_free_again_after_the_peer_left(world):
    router = world.socket(zmq.ROUTER, ROUTER_MANDATORY=1)
    endpoint = world.bind(router, "tcp")
    for number in range(4):
        dealer = world.socket(zmq.DEALER, ROUTING_ID=b"worker")
        dealer.connect(endpoint)
        dealer.send(b"%d" % number)
        assert router.recv_multipart() == [b"worker", b"%d" % number]
        router.send_multipart([b"worker", b"ack"])
        assert dealer.recv() == b"ack"
        dealer.close()

        def gone():
            try:
                router.send_multipart([b"worker", b"x"], int(zmq.DONTWAIT))
            except zmq.Again:
                return False
            except zmq.ZMQError as error:
                return error.errno == int(zmq.EHOSTUNREACH)

        wait_for(gone, "the peer being forgotten")


@ours_only
def test_spoofed_identity(world):
    """An Identity that begins with a zero byte could be another peer's generated name: it is not honoured."""
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    honest = world.socket(zmq.DEALER)
    honest.connect(endpoint)
    honest.send(b"honest")
    name, _ = router.recv_multipart()
    later = b"\0" + (int.from_bytes(name[1:], "big") + 1000 & 0xFFFFFFFF).to_bytes(4, "big")
    for spoofed in (name, later):
        with RawPeer.connect(endpoint) as raw:
            raw.handshake(b"DEALER", spoofed)
            raw.send_message(b"spoof")
            others = world.socket(zmq.DEALER)
            others.connect(endpoint)
            others.send(b"marker")
            got = router.recv_multipart()
            given = None
            while got[-1] != b"marker":
                given = got[0]
                assert given not in (name, later)
                got = router.recv_multipart()
            assert got[0] not in (name, later)
            router.send_multipart([spoofed, b"to the honest one"])
            if spoofed == name:
                assert honest.recv() == b"to the honest one"
            router.send_multipart([given, b"to the other"])
            assert raw.recv_message() == [b"to the other"]


@needs_draft
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_notify_connect_and_disconnect(world, transport):
    router = world.socket(zmq.ROUTER, ROUTER_NOTIFY=int(zmq.NOTIFY_CONNECT | zmq.NOTIFY_DISCONNECT))
    endpoint = world.bind(router, transport)
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"guest")
    dealer.connect(endpoint)
    assert router.recv_multipart() == [b"guest", b""]
    dealer.send(b"between")
    assert router.recv_multipart() == [b"guest", b"between"]
    dealer.close()
    assert router.recv_multipart() == [b"guest", b""]


@needs_draft
def test_notify_only_what_was_asked(world):
    router = world.socket(zmq.ROUTER, ROUTER_NOTIFY=int(zmq.NOTIFY_DISCONNECT))
    endpoint = world.bind(router, "tcp")
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"guest")
    dealer.connect(endpoint)
    dealer.send(b"hello")
    assert router.recv_multipart() == [b"guest", b"hello"]
    dealer.close()
    assert router.recv_multipart() == [b"guest", b""]
    with pytest.raises(zmq.ZMQError):
        router.set(int(zmq.ROUTER_NOTIFY), 4)


@needs_draft
def test_notification_does_not_cut_a_message_in_two(world):
    """A peer that dies in the middle of a multipart: the goodbye comes alone, the torn message never."""
    router = world.socket(zmq.ROUTER, ROUTER_NOTIFY=int(zmq.NOTIFY_DISCONNECT))
    endpoint = world.bind(router, "tcp")
    raw = RawPeer.connect(endpoint)
    raw.handshake(b"DEALER", b"torn")
    raw.send(b"\x01\x01a" + b"\x01\x01b")
    raw.close()
    assert router.recv_multipart() == [b"torn", b""]


@needs_draft
@pytest.mark.parametrize(
    ("with_ready", "later", "whole"),
    [
        (b"\x01\x02p1", b"\0\x02p2", [b"p1", b"p2"]),
        (b"\0\x08abcd", b"efgh", [b"abcdefgh"]),
        (b"\x02" + (60_000).to_bytes(8, "big") + b"abcd", bytes(59_996), [b"abcd" + bytes(59_996)]),
        (b"\x02" + (90_000).to_bytes(8, "big") + b"abcd", bytes(89_996), [b"abcd" + bytes(89_996)]),
    ],
    ids=["between two parts", "within a frame", "within a long frame", "within a large frame"],
)
def test_notification_comes_before_what_came_with_ready(world, with_ready, later, whole):
    router = world.socket(zmq.ROUTER, ROUTER_NOTIFY=int(zmq.NOTIFY_CONNECT))
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(greeting())
        raw.recv_greeting()
        raw.recv_ready()
        raw.send(ready(b"DEALER", b"guest") + with_ready)
        assert router.recv_multipart() == [b"guest", b""]
        raw.send(later + message(b"end"))
        assert router.recv_multipart() == [b"guest", *whole]
        assert router.recv_multipart() == [b"guest", b"end"]


def test_router_to_router(world):
    """Both name themselves; either may start once the other is known."""
    a = world.socket(zmq.ROUTER, ROUTING_ID=b"A", ROUTER_MANDATORY=1)
    b = world.socket(zmq.ROUTER, ROUTING_ID=b"B", ROUTER_MANDATORY=1)
    world.link(a, b, "tcp")
    send_when_known(a, [b"B", b"first"])
    assert b.recv_multipart() == [b"A", b"first"]
    b.send_multipart([b"A", b"back"])
    assert a.recv_multipart() == [b"B", b"back"]


def test_messages_of_many_peers_keep_their_senders(world):
    router = world.socket(zmq.ROUTER)
    endpoint = world.bind(router, "tcp")
    dealers = {b"peer-%d" % number: world.socket(zmq.DEALER, ROUTING_ID=b"peer-%d" % number) for number in range(8)}
    for dealer in dealers.values():
        dealer.connect(endpoint)
    for number in range(20):
        for name, dealer in dealers.items():
            dealer.send_multipart([name, b"%d" % number])
    expected = dict.fromkeys(dealers, 0)
    for _ in range(20 * len(dealers)):
        sender, claimed, number = router.recv_multipart()
        assert sender == claimed
        assert int(number) == expected[sender]
        expected[sender] += 1
        router.send_multipart([sender, number])
    for dealer in dealers.values():
        assert [dealer.recv() for _ in range(20)] == [b"%d" % number for number in range(20)]
