"""PUSH, PULL, DEALER and PAIR: distribution, fairness, whole messages (RFC 30, 31).

Nothing here depends on which peer is first: only on what every peer gets in the end.
"""

import contextlib

import pytest
from support.impl import TRANSPORTS, links, ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer
from support.waiting import Task, Watch, drain, fill, nothing, wait_blocked, wait_for
from support.world import free_port


def spread(sockets, expected):
    """Reads ``expected`` messages from all the sockets; returns them per socket."""
    got = [[] for _ in sockets]
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)

    def collect():
        for socket, _ in poller.poll(10):
            got[sockets.index(socket)] += [parts[-1] for parts in drain(socket)]
        return sum(map(len, got)) >= expected

    wait_for(collect, f"{expected} messages")
    return got


@pytest.mark.parametrize("kind", ["PUSH", "DEALER"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_round_robin_over_ready_peers(world, transport, kind):
    sender = world.socket(getattr(zmq, kind))
    receivers = [world.socket(zmq.PULL if kind == "PUSH" else zmq.DEALER) for _ in range(3)]
    with Watch(sender, int(zmq.EVENT_HANDSHAKE_SUCCEEDED)) if transport != "inproc" else world_noop() as watch:
        for receiver in receivers:
            sender.connect(world.bind(receiver, transport))
        for _ in receivers if watch else ():
            watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    for number in range(30):
        sender.send(b"%d" % number)
    got = spread(receivers, 30)
    assert [len(one) for one in got] == [10, 10, 10]
    assert sorted(int(body) for one in got for body in one) == list(range(30))
    for one in got:
        assert one == sorted(one, key=int)


class world_noop:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_fair_queueing(world, transport):
    """No sender is starved: when all have something waiting, each gets its turn."""
    pull = world.socket(zmq.PULL, RCVHWM=5)
    endpoint = world.bind(pull, transport)
    senders = [world.socket(zmq.PUSH, SNDHWM=5) for _ in range(4)]
    for sender in senders:
        sender.connect(endpoint)
        sender.send(b"hello")
    for _ in senders:
        assert pull.recv() == b"hello"
    for number, sender in enumerate(senders):
        for _ in range(5):
            sender.send(b"%d" % number)
    first_seen = [pull.recv() for _ in range(20)]
    assert sorted(first_seen) == sorted(b"%d" % number for number in range(4) for _ in range(5))


def test_fairness_per_message_not_per_part(world):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "inproc")
    senders = [world.socket(zmq.PUSH) for _ in range(2)]
    for sender in senders:
        sender.connect(endpoint)
    for _ in range(10):
        senders[0].send_multipart([b"0"] * 7)
        senders[1].send_multipart([b"1"])
    order = [pull.recv_multipart() for _ in range(20)]
    assert all(len(set(parts)) == 1 for parts in order)
    firsts = [parts[0] for parts in order]
    for start in range(0, 20, 2):
        assert sorted(firsts[start : start + 2]) == [b"0", b"1"]


@pytest.mark.parametrize("link", links())
def test_multipart_is_atomic(world, link):
    """Messages of many senders never mix their parts."""
    transport, side_a, side_b = link
    pull = world.socket(zmq.PULL, side_a)
    endpoint = world.bind(pull, transport)

    def work(name):
        push = world.socket(zmq.PUSH, side_b)
        push.connect(endpoint)
        for number in range(50):
            push.send_multipart([name, b"%d" % number, b"x" * (number * 37), name])
        return push

    world.context(side_b)
    tasks = [Task(work, b"sender-%d" % index) for index in range(3)]
    expected = {}
    for _ in range(150):
        name, number, body, again = pull.recv_multipart()
        assert name == again
        assert int(number) == expected.get(name, 0)
        assert body == b"x" * (int(number) * 37)
        expected[name] = int(number) + 1
    for task in tasks:
        task.result()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_parts_sent_one_by_one_arrive_together(world, transport):
    """The first part alone is invisible to the receiver."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    push.send(b"a", int(zmq.SNDMORE))
    push.send(b"b", int(zmq.SNDMORE))
    nothing(pull, 30)
    push.send(b"c")
    assert [pull.recv(), pull.rcvmore, pull.recv(), pull.rcvmore, pull.recv(), pull.rcvmore] == [
        b"a",
        True,
        b"b",
        True,
        b"c",
        False,
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unfinished_message_dies_with_its_socket(world, transport):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)
    push = world.socket(zmq.PUSH, LINGER=-1)
    push.connect(endpoint)
    push.send(b"whole")
    push.send(b"half", int(zmq.SNDMORE))
    push.close()
    assert pull.recv_multipart() == [b"whole"]
    nothing(pull)


def test_push_blocks_without_peers(world):
    push = world.socket(zmq.PUSH)
    assert push.poll(0, int(zmq.POLLOUT)) == 0
    with pytest.raises(zmq.Again):
        push.send(b"x", int(zmq.DONTWAIT))
    endpoint = world.bind(push, "tcp")
    task = Task(push.send, b"waiting for somebody")
    wait_blocked(task)
    pull = world.socket(zmq.PULL)
    pull.connect(endpoint)
    assert pull.recv() == b"waiting for somebody"
    task.result()


def test_directions(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    for call, argument in ((push.recv, int(zmq.DONTWAIT)), (pull.send, b"x")):
        with pytest.raises(zmq.ZMQError) as caught:
            call(argument)
        assert caught.value.errno == int(zmq.ENOTSUP)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_full_peer_is_passed_over(world, transport):
    """A receiver that does not read does not stop the others."""
    push = world.socket(zmq.PUSH, SNDHWM=2)
    idle, busy = world.socket(zmq.PULL, RCVHWM=1), world.socket(zmq.PULL, RCVHWM=1)
    big = b"x" * 100_000  # fills the kernel's buffers soon
    for pull in (idle, busy):
        push.connect(world.bind(pull, transport))
    received = 0
    for _ in range(400):
        wait_for(lambda: push.poll(5, int(zmq.POLLOUT)) or drain_into(busy), "room for one more")
        push.send(big)
        received += len(drain(busy))
    assert received > 100


def drain_into(socket):
    return bool(drain(socket))


def test_pipe_of_a_gone_peer_does_not_count(world):
    push = world.socket(zmq.PUSH)
    endpoint = world.bind(push, "tcp")
    first, second = world.socket(zmq.PULL), world.socket(zmq.PULL)
    for pull in (first, second):
        pull.connect(endpoint)
    wait_for(lambda: push.send(b"x") or (first.poll(1) and second.poll(1)), "both being served")
    first.close()
    sent = 0

    def alone():  # from some moment on everything goes to the second
        nonlocal sent
        drain(second)
        for _ in range(10):
            push.send(b"%d" % sent)
            sent += 1
        wait_for(lambda: second.poll(1), "a message")
        return second.poll(20) and len(drain(second)) == 10

    wait_for(alone, "the gone peer being forgotten")


@ours_only
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_peer_that_left_gets_nothing_though_it_is_still_heard(world, transport):
    """Until what it sent has been read, it is there; nothing may be given to it."""
    server, guest, other = (world.socket(zmq.DEALER) for _ in range(3))
    endpoint = world.bind(server, transport)
    guest.connect(endpoint)
    other.connect(endpoint)
    guest.send(b"last words")
    assert server.poll(10_000)
    guest.close()
    assert server.poll(0)  # hears what inproc peers have to tell; of the others the background reads
    wait_for(lambda: not all(one["connected"] for one in server.stats()["peers"]), "the end")
    for number in range(6):
        server.send(b"%d" % number)
    assert [other.recv() for _ in range(6)] == [b"%d" % number for number in range(6)]
    assert server.recv() == b"last words"
    nothing(server, 0)
    assert len(server.stats()["peers"]) == 1


@ours_only
@pytest.mark.parametrize("kind", ["PUSH", "SCATTER"])
def test_what_nobody_reads_keeps_no_peer(world, kind):
    """A PULL or GATHER has nothing to say; one that speaks and leaves is forgotten like any other."""
    push = world.socket(getattr(zmq, kind))
    endpoint = world.bind(push, "tcp")
    for _ in range(5):
        with RawPeer.connect(endpoint) as raw:
            raw.handshake(b"PULL" if kind == "PUSH" else b"GATHER")
            raw.send_message(b"hi")
            raw.send_message(b"x" * 70_000)
    wait_for(lambda: push.stats()["recv"]["accepted"] == 10 and not push.stats()["peers"], "the peers' end")
    books = push.stats()["recv"]
    assert (books["delivered"], books["queued"], books["dropped"]) == (0, 0, {"filtered": 10})
    pull = world.socket(zmq.PULL if kind == "PUSH" else zmq.GATHER)
    pull.connect(endpoint)
    for number in range(20):
        push.send(b"%d" % number)
    assert [pull.recv() for _ in range(20)] == [b"%d" % number for number in range(20)]


@ours_only
def test_what_nobody_reads_keeps_no_peer_over_inproc(world):
    push = world.socket(zmq.PUSH)
    endpoint = world.bind(push, "inproc")
    for _ in range(5):
        stranger = world.socket(zmq.DEALER)
        stranger.connect(endpoint)
        stranger.send_multipart([b"hi", b"there"])
        stranger.close()
    wait_for(lambda: not push.poll(1, int(zmq.POLLOUT)) and not push.stats()["peers"], "the peers' end")
    assert push.stats()["recv"]["dropped"] == {"filtered": 5}


# -- PAIR


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_pair_takes_one_peer(world, transport):
    """A second peer is turned away; the first notices nothing."""
    bound = world.socket(zmq.PAIR)
    endpoint = world.bind(bound, transport)
    first = world.socket(zmq.PAIR)
    first.connect(endpoint)
    first.send(b"first")
    assert bound.recv() == b"first"
    second = world.socket(zmq.PAIR, RECONNECT_IVL=-1)
    second.connect(endpoint)
    with contextlib.suppress(zmq.Again):  # it may have been turned away already
        second.send(b"second", int(zmq.DONTWAIT))
    bound.send(b"for the first")
    assert first.recv() == b"for the first"
    first.send(b"again")
    assert bound.recv() == b"again"
    nothing(bound)


def test_pair_blocks_without_peer(world):
    pair = world.socket(zmq.PAIR)
    world.bind(pair, "inproc")
    with pytest.raises(zmq.Again):
        pair.send(b"x", int(zmq.DONTWAIT))


def test_pair_gets_a_new_peer_when_the_old_one_left(world):
    bound = world.socket(zmq.PAIR)
    endpoint = world.bind(bound, "inproc")

    def join(number):
        """A new peer, or None while the old one is not quite gone."""
        peer = world.socket(zmq.PAIR, SNDTIMEO=50)
        peer.connect(endpoint)
        try:
            peer.send(b"%d" % number)
        except zmq.Again:
            pass
        if bound.poll(50):
            return peer
        peer.close()

    for number in range(3):
        peer = wait_for(lambda number=number: join(number), "the new peer being let in")
        assert bound.recv() == b"%d" % number
        bound.send(b"back")
        assert peer.recv() == b"back"
        peer.close()
        wait_for(lambda: not bound.poll(0, int(zmq.POLLOUT)), "the peer's leaving")


# -- IMMEDIATE


@pytest.mark.parametrize("kind", ["PUSH", "DEALER"])
def test_without_immediate_messages_wait_for_the_connection(world, kind):
    sender = world.socket(getattr(zmq, kind), RECONNECT_IVL=10)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    sender.connect(endpoint)
    for number in range(5):
        sender.send(b"%d" % number, int(zmq.DONTWAIT))
    receiver = world.socket(zmq.PULL if kind == "PUSH" else zmq.DEALER)
    receiver.bind(endpoint)
    assert [receiver.recv() for _ in range(5)] == [b"%d" % number for number in range(5)]


@pytest.mark.parametrize("kind", ["PUSH", "DEALER"])
def test_immediate_sends_only_to_completed_connections(world, kind):
    sender = world.socket(getattr(zmq, kind), IMMEDIATE=1, RECONNECT_IVL=10)
    dead = f"tcp://127.0.0.1:{free_port()}"
    sender.connect(dead)
    assert not sender.poll(0, int(zmq.POLLOUT))
    with pytest.raises(zmq.Again):
        sender.send(b"x", int(zmq.DONTWAIT))
    receiver = world.socket(zmq.PULL if kind == "PUSH" else zmq.DEALER)
    sender.connect(world.bind(receiver, "tcp"))
    for number in range(10):
        sender.send(b"%d" % number)
    assert [receiver.recv() for _ in range(10)] == [b"%d" % number for number in range(10)]


def test_immediate_pipe_dies_with_its_connection(world):
    with RawListener() as listener:
        push = world.socket(zmq.PUSH, IMMEDIATE=1, RECONNECT_IVL=10)
        push.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PULL")
        push.send(b"one")
        assert raw.recv_message() == [b"one"]
        listener.stream.close()
        raw.close()
        wait_for(lambda: not push.poll(0, int(zmq.POLLOUT)), "the pipe's end")


@pytest.mark.parametrize("pair", sides())
def test_big_load_with_a_reader_that_pauses(world, pair):
    push = world.socket(zmq.PUSH, pair[0], SNDHWM=100)
    pull = world.socket(zmq.PULL, pair[1], RCVHWM=100)
    world.link(push, pull, "tcp")
    idle = world.socket(zmq.PULL)
    total = 20_000

    def send():
        for number in range(total):
            push.send(b"%d" % number)

    task = Task(send)
    for number in range(total):
        assert pull.recv() == b"%d" % number
        if number % 7000 == 0:
            idle.poll(30)  # a pause in which the queues fill
    task.result()


def test_fill_counts_are_stable(world):
    """A full PUSH that is emptied takes as many again."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 7}, options_b={"RCVHWM": 5})
    for _ in range(3):
        taken = []
        wait_for(lambda: taken.append(fill(push)) or sum(taken) == 12, "twelve messages fitting")
        assert len(drain(pull)) == 12
