"""XPUB and XSUB: subscriptions as messages, and the options that change who decides about them."""

import pytest
from support.impl import TRANSPORTS, links, needs_draft, ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer, command
from support.waiting import Task, Watch, drain, fill, nothing, sync, wait_blocked, wait_for


def subscribers(world, endpoint, count, *topics):
    found = []
    for _ in range(count):
        sub = world.socket(zmq.SUB)
        for topic in topics:
            sub.set(int(zmq.SUBSCRIBE), topic)
        sub.connect(endpoint)
        found.append(sub)
    return found


@pytest.mark.parametrize("link", links())
def test_forwarding_through_a_broker(world, link):
    """SUB -> XPUB/XSUB -> PUB: subscriptions travel up, messages down."""
    transport, side_a, side_b = link
    pub, broker_in = world.socket(zmq.PUB, side_a), world.socket(zmq.XSUB, side_b)
    broker_out, sub = world.socket(zmq.XPUB, side_b), world.socket(zmq.SUB, side_a)
    world.link(pub, broker_in, transport)
    world.link(broker_out, sub, transport)
    sub.set(int(zmq.SUBSCRIBE), b"t")
    subscription = broker_out.recv()
    assert subscription == b"\x01t"
    broker_in.send(subscription)
    sync(pub, broker_in, topic=b"t")
    pub.send_multipart([b"topic", b"", b"body"])
    broker_out.send_multipart(broker_in.recv_multipart())
    assert sub.recv_multipart() == [b"topic", b"", b"body"]
    sub.set(int(zmq.UNSUBSCRIBE), b"t")
    assert broker_out.recv() == b"\x00t"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_xpub_reports_only_what_is_new(world, transport):
    xpub = world.socket(zmq.XPUB)
    endpoint = world.bind(xpub, transport)
    first, second = subscribers(world, endpoint, 2)
    first.set(int(zmq.SUBSCRIBE), b"A")
    assert xpub.recv() == b"\x01A"
    second.set(int(zmq.SUBSCRIBE), b"A")
    second.set(int(zmq.SUBSCRIBE), b"B")
    assert xpub.recv() == b"\x01B"
    first.set(int(zmq.UNSUBSCRIBE), b"A")
    second.set(int(zmq.UNSUBSCRIBE), b"B")
    assert xpub.recv() == b"\x00B"
    second.set(int(zmq.UNSUBSCRIBE), b"A")
    assert xpub.recv() == b"\x00A"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("option", ["XPUB_VERBOSE", "XPUB_VERBOSER"])
def test_verbose_and_verboser(world, transport, option):
    xpub = world.socket(zmq.XPUB, **{option: 1})
    endpoint = world.bind(xpub, transport)
    first, second = subscribers(world, endpoint, 2)
    for sub in (first, second):
        sub.set(int(zmq.SUBSCRIBE), b"A")
        assert xpub.recv() == b"\x01A"
    first.set(int(zmq.UNSUBSCRIBE), b"A")
    if option == "XPUB_VERBOSER":
        assert xpub.recv() == b"\x00A"
    else:
        nothing(xpub)
    second.set(int(zmq.UNSUBSCRIBE), b"A")
    assert xpub.recv() == b"\x00A"
    assert drain(xpub) == []


@pytest.mark.parametrize("pair", sides())
def test_manual(world, pair):
    """The application decides what a subscriber gets."""
    xpub = world.socket(zmq.XPUB, pair[0], XPUB_MANUAL=1)
    endpoint = world.bind(xpub, "tcp")
    sub = world.socket(zmq.SUB, pair[1])
    sub.set(int(zmq.SUBSCRIBE), b"A")
    sub.connect(endpoint)
    assert xpub.recv() == b"\x01A"
    xpub.set(int(zmq.SUBSCRIBE), b"XA")
    # The SUB filters too, and asked for A: what passes the XPUB's filter is visible in what it does not let through.
    sub.set(int(zmq.SUBSCRIBE), b"XA")
    assert xpub.recv() == b"\x01XA"
    xpub.send(b"A1")
    xpub.send(b"XA2")
    assert sub.recv() == b"XA2"
    sub.set(int(zmq.UNSUBSCRIBE), b"A")
    assert xpub.recv() == b"\x00A"
    xpub.set(int(zmq.UNSUBSCRIBE), b"XA")
    xpub.set(int(zmq.SUBSCRIBE), b"XB")
    sub.set(int(zmq.SUBSCRIBE), b"XB")
    assert xpub.recv() == b"\x01XB"
    xpub.send(b"XA3")
    xpub.send(b"XB4")
    assert sub.recv() == b"XB4"


def test_manual_with_xsub(world):
    """An XSUB does not filter, so it shows exactly what the XPUB was told."""
    xpub, xsub = world.socket(zmq.XPUB, XPUB_MANUAL=1), world.socket(zmq.XSUB)
    world.link(xpub, xsub, "inproc")
    xsub.send(b"\x01A")
    assert xpub.recv() == b"\x01A"
    xpub.set(int(zmq.SUBSCRIBE), b"B")
    xpub.send(b"A")
    xpub.send(b"B")
    assert xsub.recv() == b"B"
    xsub.send(b"\x00A")
    assert xpub.recv() == b"\x00A"
    xpub.set(int(zmq.UNSUBSCRIBE), b"B")
    xpub.send(b"B")
    xsub.send(b"\x01C")
    assert xpub.recv() == b"\x01C"
    xpub.set(int(zmq.SUBSCRIBE), b"C")
    xpub.send(b"C")
    assert xsub.recv() == b"C"


@needs_draft
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_manual_last_value(world, transport):
    """After a subscription the next message goes to that subscriber only: a last-value cache answers the newcomer."""
    xpub = world.socket(zmq.XPUB, XPUB_MANUAL_LAST_VALUE=1)
    endpoint = world.bind(xpub, transport)
    first, second = world.socket(zmq.SUB), world.socket(zmq.SUB)
    first.connect(endpoint)
    second.connect(endpoint)
    first.set(int(zmq.SUBSCRIBE), b"A")
    assert xpub.recv() == b"\x01A"
    xpub.set(int(zmq.SUBSCRIBE), b"A")
    xpub.send_multipart([b"A", b"cached for the first"])
    assert first.recv_multipart() == [b"A", b"cached for the first"]
    second.set(int(zmq.SUBSCRIBE), b"A")
    assert xpub.recv() == b"\x01A"
    xpub.set(int(zmq.SUBSCRIBE), b"A")
    xpub.send_multipart([b"A", b"cached for the second"])
    xpub.send_multipart([b"A", b"for both"])
    assert second.recv_multipart() == [b"A", b"cached for the second"]
    assert second.recv_multipart() == [b"A", b"for both"]
    assert first.recv_multipart() == [b"A", b"for both"]


@pytest.mark.parametrize("kind", ["XPUB", "PUB"])
def test_nodrop_refuses_instead(world, kind):
    pub = world.socket(getattr(zmq, kind), SNDHWM=5, XPUB_NODROP=1)
    sub = world.socket(zmq.SUB, RCVHWM=5)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, "inproc")
    if kind == "XPUB":
        pub.recv()
    else:
        sync(pub, sub)
    for _ in range(3):
        taken = []
        wait_for(lambda: taken.append(fill(pub, b"x")) or sum(taken) >= 5, "room for half of the mark")
        assert sum(taken) <= 10
        assert drain(sub) == [[b"x"]] * sum(taken)


def test_nodrop_blocks_until_there_is_room(world):
    pub, sub = world.socket(zmq.XPUB, SNDHWM=2, XPUB_NODROP=1), world.socket(zmq.SUB, RCVHWM=2)
    sub.set(int(zmq.SUBSCRIBE), b"")
    world.link(pub, sub, "inproc")
    pub.recv()
    assert fill(pub, b"x") == 4
    task = Task(pub.send, b"waiting")
    wait_blocked(task)
    assert [sub.recv() for _ in range(4)] == [b"x"] * 4
    task.result()
    assert sub.recv() == b"waiting"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_welcome_message(world, transport):
    xpub = world.socket(zmq.XPUB, XPUB_WELCOME_MSG=b"W")
    endpoint = world.bind(xpub, transport)
    for _ in range(2):
        sub = world.socket(zmq.SUB)
        sub.set(int(zmq.SUBSCRIBE), b"W")
        sub.connect(endpoint)
        wait_for(lambda: (drain(xpub) and False) or sub.poll(1), "the welcome")  # libzmq greets while it is called
        assert sub.recv() == b"W"
        assert sub.poll(0) == 0


def test_welcome_message_only_for_who_asks(world):
    xpub = world.socket(zmq.XPUB, XPUB_WELCOME_MSG=b"W")
    sub = world.socket(zmq.SUB)
    sub.set(int(zmq.SUBSCRIBE), b"x")
    world.link(xpub, sub, "tcp")
    assert xpub.recv() == b"\x01x"
    xpub.send(b"x1")
    assert sub.recv() == b"x1"


@pytest.mark.parametrize("pair", sides())
def test_user_messages_travel_upstream(world, pair):
    """An XSUB may send what is no subscription; the XPUB hands it to its application."""
    xpub, xsub = world.socket(zmq.XPUB, pair[0]), world.socket(zmq.XSUB, pair[1])
    world.link(xpub, xsub, "tcp")
    xsub.send(b"\x01")  # subscribes to all; proves the connection
    assert xpub.recv() == b"\x01"
    xsub.send(b"\x02 not a subscription")
    assert xpub.recv() == b"\x02 not a subscription"
    xsub.send_multipart([b"two", b"parts"])
    assert xpub.recv_multipart() == [b"two", b"parts"]


@needs_draft
def test_only_first_subscribe(world):
    """Later parts that look like subscriptions are taken as what they are."""
    xpub, xsub = world.socket(zmq.XPUB, ONLY_FIRST_SUBSCRIBE=1), world.socket(zmq.XSUB, ONLY_FIRST_SUBSCRIBE=1)
    world.link(xpub, xsub, "tcp")
    xsub.send_multipart([b"\x01A", b"\x01B"])
    assert xpub.recv() == b"\x01A"
    assert xpub.recv() == b"\x01B"
    assert xpub.get(int(zmq.TOPICS_COUNT)) == 1
    xpub.send(b"B")
    xpub.send(b"A")
    assert xsub.recv() == b"A"


def test_without_only_first_subscribe_every_part_counts(world):
    xpub, xsub = world.socket(zmq.XPUB), world.socket(zmq.XSUB)
    world.link(xpub, xsub, "inproc")
    xsub.send_multipart([b"\x01A", b"\x01B"])
    assert sorted([xpub.recv(), xpub.recv()]) == [b"\x01A", b"\x01B"]
    assert xpub.get(int(zmq.TOPICS_COUNT)) == 2


@pytest.mark.parametrize("verbose", [0, 1])
def test_xsub_verbose_unsubscribe(world, verbose):
    """Normally an XSUB passes a cancellation on only when it was the last of its kind."""
    xpub = world.socket(zmq.XPUB, XPUB_VERBOSER=1)
    xsub = world.socket(zmq.XSUB)
    if verbose:
        try:
            xsub.set(int(zmq.XSUB_VERBOSE_UNSUBSCRIBE), 1)
        except zmq.ZMQError:
            pytest.skip("this build does not know the option")
    world.link(xpub, xsub, "tcp")
    for message in (b"\x01A", b"\x01A", b"\x00A", b"\x00A", b"\x01end"):
        xsub.send(message)
    got = []
    while not got or got[-1] != b"\x01end":
        got.append(xpub.recv())
    assert got == [b"\x01A"] * 2 + [b"\x00A"] * (2 if verbose else 1) + [b"\x01end"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_xsub_subscribes_without_a_publisher(world, transport):
    """Subscriptions made first are sent to every publisher that comes later."""
    xsub = world.socket(zmq.XSUB)
    endpoint = world.bind(xsub, transport)
    xsub.send(b"\x01A")
    for number in range(3):
        pub = world.socket(zmq.XPUB)
        pub.connect(endpoint)
        wait_for(lambda: xsub.poll(1) or pub.poll(1), "the subscription")
        assert pub.recv() == b"\x01A"
        pub.send(b"A%d" % number)
        assert xsub.recv() == b"A%d" % number


def test_subscriptions_of_a_disconnected_peer_end(world):
    """Over a connection that was already lost, too; and who comes next begins with none."""
    xpub = world.socket(zmq.XPUB)
    with RawListener() as listener:
        xpub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"SUB")
        raw.send(command(b"SUBSCRIBE", b"A"))
        assert xpub.recv() == b"\x01A"
        with Watch(xpub, int(zmq.EVENT_DISCONNECTED)) as watch:
            raw.close()
            watch.wait(zmq.EVENT_DISCONNECTED)
        xpub.disconnect(listener.endpoint)
        assert xpub.recv() == b"\x00A"
    endpoint = world.bind(xpub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"SUB")
        raw.send(command(b"SUBSCRIBE", b"z"))
        assert xpub.recv() == b"\x01z"
        xpub.send(b"Anybody")
        xpub.send(b"z")
        assert raw.recv_message() == [b"z"]


@ours_only
def test_malformed_cancellations_on_the_wire(world):
    """Cancelling what was never subscribed is counted by nobody and breaks nothing."""
    xpub = world.socket(zmq.XPUB)
    endpoint = world.bind(xpub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"SUB")
        for _ in range(3):
            raw.send(b"\x04\x08\x06CANCELx")
        raw.send(b"\x04\x0b\x09SUBSCRIBEx")
        assert xpub.recv() == b"\x01x"
        xpub.send(b"x")
        assert raw.recv_message() == [b"x"]
