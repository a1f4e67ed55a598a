"""PUB and SUB: prefixes, counting, inversion, conflation, and what a subscription costs (RFC 29)."""

import contextlib
import select

import pytest
from support.impl import OURS, TRANSPORTS, links, needs_draft, ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer, command, message
from support.waiting import drain, nothing, sync, wait_for
from support.world import free_port


def subscribe(sub, *topics):
    for topic in topics:
        sub.set(int(zmq.SUBSCRIBE), topic)


def until_mark(sub, mark=b"\xffend"):
    """Everything before the mark; the socket must be subscribed to it."""
    found = []
    while True:
        parts = sub.recv_multipart()
        if parts[-1] == mark:
            return found
        found.append(parts)


@pytest.mark.parametrize("link", links())
def test_prefix_matching(world, link):
    transport, side_a, side_b = link
    pub, sub = world.socket(zmq.PUB, side_a), world.socket(zmq.SUB, side_b)
    subscribe(sub, b"a", b"bcd", b"\xff")
    world.link(pub, sub, transport)
    sync(pub, sub, topic=b"a")
    topics = [b"", b"a", b"ab", b"b", b"bc", b"bcd", b"bcde", b"bce", b"c", b"A", b"\0a", b"a\0b"]
    for topic in topics:
        pub.send(topic)
    pub.send(b"\xffend")
    assert until_mark(sub) == [[b"a"], [b"ab"], [b"bcd"], [b"bcde"], [b"a\0b"]]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_only_the_first_part_is_matched(world, transport):
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB)
    subscribe(sub, b"yes", b"\xff")
    world.link(pub, sub, transport)
    sync(pub, sub, topic=b"yes")
    pub.send_multipart([b"no", b"yes"])
    pub.send_multipart([b"yes", b"no", b"", b"x" * 100_000])
    pub.send(b"\xffend")
    assert until_mark(sub) == [[b"yes", b"no", b"", b"x" * 100_000]]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_message_comes_once_however_many_prefixes_match(world, transport):
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB)
    subscribe(sub, b"", b"a", b"ab", b"abc")
    world.link(pub, sub, transport)
    sync(pub, sub)
    pub.send(b"abcd")
    pub.send(b"\xffend")
    assert until_mark(sub) == [[b"abcd"]]


@pytest.mark.parametrize("pair", sides())
def test_subscriptions_are_counted(world, pair):
    """Two subscriptions need two cancellations; a third is nothing."""
    xpub, sub = world.socket(zmq.XPUB, pair[0]), world.socket(zmq.SUB, pair[1])
    world.link(xpub, sub, "tcp")
    subscribe(sub, b"t", b"t", b"end")
    assert xpub.recv() == b"\x01t"
    assert xpub.recv() == b"\x01end"
    sub.set(int(zmq.UNSUBSCRIBE), b"t")
    xpub.send(b"t1")
    assert sub.recv() == b"t1"
    nothing(xpub)
    sub.set(int(zmq.UNSUBSCRIBE), b"t")
    assert xpub.recv() == b"\x00t"
    xpub.send(b"t2")
    xpub.send(b"end")
    assert sub.recv() == b"end"


def test_unsubscribing_the_unknown_harms_nothing(world):
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB)
    subscribe(sub, b"a")
    sub.set(int(zmq.UNSUBSCRIBE), b"b")
    sub.set(int(zmq.UNSUBSCRIBE), b"")
    world.link(pub, sub, "inproc")
    sync(pub, sub, topic=b"a")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_subscriptions_before_and_after_connecting(world, transport):
    pub, sub = world.socket(zmq.XPUB), world.socket(zmq.SUB)
    subscribe(sub, b"early")
    world.link(pub, sub, transport)
    assert pub.recv() == b"\x01early"
    subscribe(sub, b"late")
    assert pub.recv() == b"\x01late"
    for topic in (b"early", b"late"):
        pub.send(topic)
        assert sub.recv() == topic


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_publisher_learns_every_subscription(world, transport):
    sub = world.socket(zmq.SUB)
    subscribe(sub, b"one")
    pubs = [world.socket(zmq.XPUB) for _ in range(3)]
    for pub in pubs:
        sub.connect(world.bind(pub, transport))
    subscribe(sub, b"two")
    for pub in pubs:
        assert sorted([pub.recv(), pub.recv()]) == [b"\x01one", b"\x01two"]
    for number, pub in enumerate(pubs):
        pub.send(b"one%d" % number)
    assert sorted(sub.recv() for _ in pubs) == [b"one0", b"one1", b"one2"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_subscriber_gets_its_own(world, transport):
    pub = world.socket(zmq.PUB)
    endpoint = world.bind(pub, transport)
    subs = []
    for number in range(5):
        sub = world.socket(zmq.SUB)
        subscribe(sub, b"all", b"only-%d" % number)
        sub.connect(endpoint)
        subs.append(sub)
    sync(pub, *subs, topic=b"all")
    for number in range(5):
        pub.send_multipart([b"only-%d" % number, b"x"])
    pub.send_multipart([b"all", b"\xffend"])
    for number, sub in enumerate(subs):
        assert until_mark(sub) == [[b"only-%d" % number, b"x"]]


def test_directions(world):
    """PUB never receives, SUB never sends."""
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB)
    for call, argument in ((pub.recv, int(zmq.DONTWAIT)), (sub.send, b"x")):
        with pytest.raises(zmq.ZMQError) as caught:
            call(argument)
        assert caught.value.errno == int(zmq.ENOTSUP)
    with pytest.raises(zmq.ZMQError) as caught:
        pub.set(int(zmq.SUBSCRIBE), b"x")
    assert caught.value.errno == int(zmq.EINVAL)


def test_pub_without_subscribers_drops(world):
    pub = world.socket(zmq.PUB, SNDHWM=1)
    world.bind(pub, "tcp")
    for _ in range(1000):
        pub.send(b"x" * 100, int(zmq.DONTWAIT))
    assert pub.poll(0, int(zmq.POLLOUT)) == int(zmq.POLLOUT)


@ours_only
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_bound_sub_subscribes_without_being_called(world, transport):
    """The subscription goes out when the peer arrives, not when the application next calls into the SUB."""
    sub = world.socket(zmq.SUB)
    subscribe(sub, b"t")
    endpoint = world.bind(sub, transport)
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"PUB")
        assert raw.recv_command() == (b"SUBSCRIBE", b"t")


@ours_only
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_what_was_subscribed_before_a_send_counts_for_it(world, transport):
    """A publisher that was quiet looks for subscriptions itself; its reactor may not have woken up for them yet."""
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB)
    sub.subscribe(b"\xff")
    world.link(pub, sub, transport)
    sync(pub, sub, topic=b"\xff")
    for number in range(30):
        nothing(sub, 3)
        topic = b"%d." % number
        sub.subscribe(topic)
        pub.send(topic)
        assert sub.recv() == topic


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sub_that_binds(world, transport):
    sub, pub = world.socket(zmq.SUB), world.socket(zmq.PUB)
    subscribe(sub, b"t")
    world.link(sub, pub, transport)
    sync(pub, sub, topic=b"t")


def test_subscription_bytes_on_the_wire(world):
    """Commands towards a 3.1 peer, messages towards a 3.0 one."""
    with RawListener() as listener:
        sub = world.socket(zmq.SUB)
        subscribe(sub, b"top")
        sub.connect(listener.endpoint)
        raw = listener.accept()
        assert raw.handshake(b"PUB") == {b"Socket-Type": b"SUB"}
        assert raw.recv_exact(15) == bytes.fromhex("04 0d 09") + b"SUBSCRIBE" + b"top"
        sub.set(int(zmq.UNSUBSCRIBE), b"top")
        assert raw.recv_exact(12) == bytes.fromhex("04 0a 06") + b"CANCEL" + b"top"
    with RawListener() as listener:
        sub = world.socket(zmq.SUB)
        subscribe(sub, b"old")
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUB", minor=0)
        assert raw.recv_exact(6) == b"\x00\x04\x01old"
        sub.set(int(zmq.UNSUBSCRIBE), b"old")
        assert raw.recv_exact(6) == b"\x00\x04\x00old"


@pytest.mark.parametrize("form", ["command", "message"])
def test_pub_takes_both_forms_of_subscription(world, form):
    pub = world.socket(zmq.XPUB)
    endpoint = world.bind(pub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"SUB", minor=1 if form == "command" else 0)
        raw.send(b"\x04\x0d\x09SUBSCRIBEtop" if form == "command" else b"\x00\x04\x01top")
        assert pub.recv() == b"\x01top"
        pub.send_multipart([b"topic", b"x"])
        assert raw.recv_message() == [b"topic", b"x"]
        raw.send(b"\x04\x0a\x06CANCELtop" if form == "command" else b"\x00\x04\x00top")
        assert pub.recv() == b"\x00top"


@ours_only
@pytest.mark.parametrize("kind", ["PUB", "XPUB"])
def test_subscriptions_beyond_the_mark_in_one_read(world, kind):
    """In the form of messages they count, and a publisher takes them as they come: it is never at its mark for long."""
    pub = world.socket(getattr(zmq, kind), RCVHWM=10)
    endpoint = world.bind(pub, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"SUB", minor=0)
        for first in (0, 50):
            raw.send(b"".join(message(b"\x01%d" % number) for number in range(first, first + 50)))
            wait_for(lambda: pub.get(int(zmq.TOPICS_COUNT)) == first + 50, "the subscriptions")


@ours_only
@pytest.mark.parametrize("minor", [0, 1])
def test_topics_around_255_bytes_on_the_wire(world, minor):
    with RawListener() as listener:
        sub = world.socket(zmq.SUB)
        topics = [b"x" * size for size in (0, 1, 244, 245, 246, 253, 254, 255, 256, 1000)]
        subscribe(sub, *topics)
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUB", minor=minor)
        if minor:
            assert sorted(raw.recv_command()[1] for _ in topics) == topics
        else:
            assert sorted(raw.recv_frame()[1] for _ in topics) == [b"\x01" + topic for topic in topics]


# -- options of the pattern


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_invert_matching(world, transport):
    """Delivered is what does not match."""
    pub, sub = world.socket(zmq.PUB, INVERT_MATCHING=1), world.socket(zmq.SUB, INVERT_MATCHING=1)
    subscribe(sub, b"no", b"nor")
    world.link(pub, sub, transport)
    sync(pub, sub, topic=b"yes")  # until the publisher knows the inverted subscription this passes as well
    wait_for(lambda: not passes(pub, sub, b"no"), "the subscription")
    for topic in (b"no", b"nobody", b"nor", b"n", b"yes", b"\xffend"):
        pub.send(topic)
    assert until_mark(sub) == [[b"n"], [b"yes"]]


def passes(pub, sub, topic):
    pub.send(topic)
    pub.send(b"\xffend")
    return until_mark(sub) != []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_conflate_keeps_the_newest(world, transport):
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB, CONFLATE=1)
    subscribe(sub, b"")
    world.link(pub, sub, transport)
    sync_conflated(pub, sub)
    for number in range(50):
        pub.send(b"%d" % number)
    assert wait_for(lambda: sub.recv() == b"49", "the newest")
    assert drain(sub) == []


def sync_conflated(pub, sub):
    wait_for(lambda: pub.send(b"mark") or sub.poll(5), "a mark")
    pub.send(b"last")
    wait_for(lambda: sub.recv() == b"last", "the last mark")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_conflate_on_push_and_pull(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport, options_b={"CONFLATE": 1})
    for number in range(100):
        push.send(b"%d" % number)
    assert wait_for(lambda: pull.recv() == b"99", "the newest")
    assert drain(pull) == []


def test_conflate_on_the_sending_side(world):
    """Before there is a connection only the newest message is kept."""
    push = world.socket(zmq.PUSH, CONFLATE=1, RECONNECT_IVL=10)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push.connect(endpoint)
    for number in range(10):
        push.send(b"%d" % number, int(zmq.DONTWAIT))
    pull = world.socket(zmq.PULL)
    pull.bind(endpoint)
    assert pull.recv() == b"9"
    nothing(pull)


def test_topics_count(world):
    pub, sub = world.socket(zmq.XPUB), world.socket(zmq.SUB)
    world.link(pub, sub, "tcp")
    assert sub.get(int(zmq.TOPICS_COUNT)) == 0 == pub.get(int(zmq.TOPICS_COUNT))
    subscribe(sub, b"a", b"b", b"b", b"c")
    assert sub.get(int(zmq.TOPICS_COUNT)) == 3
    for _ in range(3):
        pub.recv()
    assert pub.get(int(zmq.TOPICS_COUNT)) == 3
    sub.set(int(zmq.UNSUBSCRIBE), b"b")
    assert sub.get(int(zmq.TOPICS_COUNT)) == 3
    sub.set(int(zmq.UNSUBSCRIBE), b"b")
    assert sub.get(int(zmq.TOPICS_COUNT)) == 2
    assert pub.recv() == b"\x00b"
    assert pub.get(int(zmq.TOPICS_COUNT)) == 2
    sub.close()
    pub.recv(), pub.recv()
    if OURS:  # libzmq does not count down for a peer that went away
        assert pub.get(int(zmq.TOPICS_COUNT)) == 0
    with pytest.raises(zmq.ZMQError):
        world.socket(zmq.PUSH).get(int(zmq.TOPICS_COUNT))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_gone_subscriber_takes_its_subscriptions_along(world, transport):
    pub = world.socket(zmq.XPUB)
    endpoint = world.bind(pub, transport)
    sub = world.socket(zmq.SUB)
    subscribe(sub, b"a", b"b")
    sub.connect(endpoint)
    assert sorted([pub.recv(), pub.recv()]) == [b"\x01a", b"\x01b"]
    sub.close()
    assert sorted([pub.recv(), pub.recv()]) == [b"\x00a", b"\x00b"]


@needs_draft
def test_many_topics(world):
    pub, sub = world.socket(zmq.XPUB, RCVHWM=0), world.socket(zmq.SUB, SNDHWM=0)
    world.link(pub, sub, "tcp")
    topics = [b"topic/%d/%d" % (number % 7, number) for number in range(5000)]
    subscribe(sub, *topics)
    assert sorted(pub.recv()[1:] for _ in topics) == sorted(topics)
    assert pub.get(int(zmq.TOPICS_COUNT)) == len(topics)
    for topic in topics[::500]:
        pub.send(topic + b"/x")
    pub.send(b"topic/none")
    for topic in topics[::500]:
        # a longer number has the shorter one as a prefix, the message still comes once
        assert sub.recv() == topic + b"/x"
    for topic in topics:
        sub.set(int(zmq.UNSUBSCRIBE), topic)
    for _ in topics:
        assert pub.recv()[0] == 0
    assert pub.get(int(zmq.TOPICS_COUNT)) == 0


def test_slow_subscriber_does_not_hold_up_the_others(world):
    pub = world.socket(zmq.PUB, SNDHWM=10)
    endpoint = world.bind(pub, "inproc")
    slow, quick = world.socket(zmq.SUB, RCVHWM=10), world.socket(zmq.SUB, RCVHWM=0)
    for sub in (slow, quick):
        subscribe(sub, b"")
        sub.connect(endpoint)
    sync(pub, slow, quick)
    for number in range(500):
        pub.send(b"%d" % number)
        assert quick.recv() == b"%d" % number
    got = [int(parts[0]) for parts in drain(slow)]
    assert got == sorted(got)
    assert 10 <= len(got) < 500


@ours_only
def test_all_have_their_turn_to_be_the_first_served(world):
    """Of many subscribers a publisher writes to some itself, each time to others; the rest is written for it."""
    pub = world.socket(zmq.XPUB, XPUB_VERBOSE=1, SNDHWM=0)
    endpoint = world.bind(pub, "tcp")
    first = set()
    with contextlib.ExitStack() as all_of_them:
        subs = [all_of_them.enter_context(RawPeer.connect(endpoint)) for _ in range(24)]
        watch = select.poll()
        for sub in subs:
            sub.handshake(b"SUB")
            sub.send(command(b"SUBSCRIBE"))
            assert pub.recv() == b"\x01"
            watch.register(sub.stream, select.POLLIN)
        for _ in range(60):
            pub.send(b"x")
            come = watch.poll(0)
            if len(come) < len(subs):
                first.update(fd for fd, _ in come)
            for sub in subs:
                assert sub.recv_message() == [b"x"]
    assert len(first) in (0, len(subs))  # 0: the rest was always quicker than this look
