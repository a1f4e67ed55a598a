"""Peers that come and go, by the hundred; proxies under load; books that balance afterwards."""

import os
import random
import socket

import pytest
from support.impl import TRANSPORTS, ours_only, sides, zmq
from support.leaks import Baseline, resident
from support.rawpeer import RawPeer, greeting, message, ready
from support.waiting import Task, drain, sync, wait_for


@pytest.fixture
def baseline(warmed):
    return Baseline()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_connect_disconnect_storm(world, transport):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)
    push = world.socket(zmq.PUSH, LINGER=-1)
    for number in range(200):
        push.connect(endpoint)
        push.send(b"%d" % number)
        push.disconnect(endpoint)
    assert sorted(int(pull.recv()) for _ in range(200)) == list(range(200))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sockets_that_come_and_go(world, transport):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)

    def work(name):
        for number in range(40):
            push = world.socket(zmq.PUSH, LINGER=-1)
            push.connect(endpoint)
            push.send(b"%d %d" % (name, number))
            push.close()

    world.context()
    tasks = [Task(work, name) for name in range(4)]
    got = sorted(pull.recv() for _ in range(160))
    for task in tasks:
        task.result()
    assert got == sorted(b"%d %d" % (name, number) for name in range(4) for number in range(40))


def test_bind_unbind_storm(world):
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    for number in range(100):
        endpoint = world.bind(pull, ("tcp", "ipc", "inproc")[number % 3])
        push.connect(endpoint)
        push.send(b"%d" % number)
        assert pull.recv() == b"%d" % number
        push.disconnect(endpoint)
        pull.unbind(endpoint)


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_raw_connections(world, baseline, count):
    """Each is served, none costs more than its share, all is given back."""
    router = world.socket(zmq.ROUTER, BACKLOG=1000, ROUTER_MANDATORY=1)
    endpoint = world.bind(router, "tcp")
    peers = []
    for number in range(count):
        raw = RawPeer.connect(endpoint)
        raw.send(greeting())
        peers.append(raw)
        if number % 100 == 99:
            router.poll(0)
    for number, raw in enumerate(peers):
        raw.recv_greeting()
        raw.send(ready(b"DEALER", b"n%d" % number))
    for raw in peers:
        raw.recv_ready()
    for number, raw in enumerate(peers):
        raw.send(message(b"hello %d" % number))
    names = {}
    for _ in peers:
        name, body = router.recv_multipart()
        names[name] = body
    assert names == {b"n%d" % number: b"hello %d" % number for number in range(count)}
    for number in range(0, count, 7):
        router.send_multipart([b"n%d" % number, b"you"])
        assert peers[number].recv_message() == [b"you"]
    for raw in peers:
        raw.close()
    world.close()
    baseline.check()


@pytest.mark.slow
@pytest.mark.parametrize("pair", sides())
def test_thousand_sockets(world, pair):
    context = world.context(pair[1])
    context.set(int(zmq.MAX_SOCKETS), 2000)
    pull = world.socket(zmq.PULL, pair[0], BACKLOG=1000)
    endpoint = world.bind(pull, "tcp")
    pushes = []
    for number in range(1000 if pair[1] == "impl" else 300):
        push = world.socket(zmq.PUSH, pair[1])
        push.connect(endpoint)
        push.send(b"%d" % number)
        pushes.append(push)
    assert sorted(int(pull.recv()) for _ in pushes) == list(range(len(pushes)))


def test_fan_out_to_many_subscribers(world):
    pub = world.socket(zmq.PUB)
    endpoint = world.bind(pub, "tcp")
    subs = []
    for number in range(100):
        sub = world.socket(zmq.SUB)
        sub.set(int(zmq.SUBSCRIBE), b"all")
        sub.set(int(zmq.SUBSCRIBE), b"%03d" % number)
        sub.connect(endpoint)
        subs.append(sub)
    sync(pub, *subs, topic=b"all")
    for number in range(50):
        pub.send(b"all %d" % number + b"x" * 1000)
        pub.send(b"%03d" % number)
    for number, sub in enumerate(subs):
        expected = []
        for one in range(50):
            expected.append(b"all %d" % one + b"x" * 1000)
            if one == number:
                expected.append(b"%03d" % one)
        assert [sub.recv() for _ in expected] == expected


# -- leaks


def round_of_everything(context_class, directory, number):
    """Opens, uses and closes one of each kind of thing."""
    with context_class() as context:
        made = [context.socket(int(kind)) for kind in (zmq.REP, zmq.REQ, zmq.PUB, zmq.SUB, zmq.DEALER, zmq.ROUTER)]
        for one in made:
            one.linger = 0
            one.rcvtimeo = one.sndtimeo = 10_000
        rep, req, pub, sub, dealer, router = made
        rep.bind(f"ipc://{directory}/r{number}")
        req.connect(f"ipc://{directory}/r{number}")
        req.send(bytes(100_000), copy=False)
        frame = rep.recv(copy=False)
        rep.send(frame)
        assert len(req.recv()) == 100_000
        monitor = dealer.get_monitor_socket()
        port = router.bind_to_random_port("tcp://127.0.0.1")
        dealer.connect(f"tcp://127.0.0.1:{port}")
        dealer.send_multipart([b"a", b"b" * 5000])
        router.send_multipart(router.recv_multipart())
        dealer.recv_multipart()
        assert monitor.poll(1000)
        dealer.disable_monitor()
        monitor.close(0)
        sub.subscribe(b"")
        pub.bind(f"inproc://p{number}")
        sub.connect(f"inproc://p{number}")
        poller = zmq.Poller()
        poller.register(sub, zmq.POLLIN)
        wait_for(lambda: pub.send(b"x") or poller.poll(1), "a message")
        sub.get(int(zmq.FD))
        dealer.connect("tcp://127.0.0.1:9")  # nobody there
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(greeting()[:20])
        for one in made:
            one.close()


def test_nothing_is_left_behind(world, baseline):
    for number in range(30):
        round_of_everything(zmq.Context, world.directory, number)
    baseline.check()


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("PYZQ_SANITIZER") == "asan", reason="what was freed is kept for a while")
def test_memory_returns(world, warmed):
    """After a warm-up the same work again and again needs no more memory."""
    for number in range(30):
        round_of_everything(zmq.Context, world.directory, number)
    before = resident()
    for number in range(150):
        round_of_everything(zmq.Context, world.directory, number)
    assert resident() - before < 12 << 20


def test_memory_of_a_queue_returns(world):
    """A queue of two hundred thousand messages, read again: the second time costs nothing new."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 0}, options_b={"RCVHWM": 0})
    sizes = []
    for _ in range(3):
        for _ in range(100_000):
            push.send(b"x" * 100)
        for _ in range(100_000):
            pull.recv()
        sizes.append(resident())
    assert sizes[2] - sizes[0] < 40 << 20


def test_memory_of_subscriptions_returns(world):
    pub, sub = world.pair(zmq.XPUB, zmq.SUB, options_a={"RCVHWM": 0}, options_b={"SNDHWM": 0})
    sizes = []
    for _ in range(3):
        topics = [b"topic/%d/some/more/levels" % number for number in range(10_000)]
        for topic in topics:
            sub.set(int(zmq.SUBSCRIBE), topic)
        for topic in topics:
            sub.set(int(zmq.UNSUBSCRIBE), topic)
        for _ in range(2 * len(topics)):
            pub.recv()
        sizes.append(resident())
    assert sizes[2] - sizes[0] < 20 << 20


# -- volume


@pytest.mark.parametrize("pair", sides())
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.slow
def test_hundreds_of_thousands_with_pauses(world, transport, pair):
    """Contents, order and number, with both sides pausing at seeded moments."""
    push = world.socket(zmq.PUSH, pair[0], SNDHWM=500)
    pull = world.socket(zmq.PULL, pair[1], RCVHWM=500)
    world.link(push, pull, transport)
    total = 200_000

    def send():
        chance = random.Random(1)
        pauses = {chance.randrange(total) for _ in range(20)}
        for number in range(total):
            if number in pauses:
                push.poll(5, int(zmq.POLLIN))  # a pause: a PUSH never has input
            body = b"%d" % number
            push.send(body + b"." * (number % 67))

    task = Task(send)
    chance = random.Random(2)
    pauses = {chance.randrange(total) for _ in range(20)}
    idle = world.socket(zmq.PULL)
    for number in range(total):
        if number in pauses:
            idle.poll(5)
        expected = b"%d" % number + b"." * (number % 67)
        assert pull.recv() == expected
    task.result()
    assert drain(pull) == []


def test_echo_volume(world):
    router, dealer = world.pair(zmq.ROUTER, zmq.DEALER)
    total = 20_000

    def echo():
        for _ in range(total):
            router.send_multipart(router.recv_multipart())

    def send():
        for number in range(total):
            dealer.send(b"%d" % number)

    tasks = [Task(echo), Task(send)] if zmq.__name__ == "pyzq" else [Task(echo)]
    if len(tasks) == 1:  # a libzmq socket stays on its thread
        for start in range(0, total, 200):
            for number in range(start, start + 200):
                dealer.send(b"%d" % number)
            for number in range(start, start + 200):
                assert dealer.recv() == b"%d" % number
    else:
        for number in range(total):
            assert dealer.recv() == b"%d" % number
    for task in tasks:
        task.result()


# -- proxies


@pytest.mark.parametrize("pair", sides())
def test_proxy_under_load(world, pair):
    """Requests of many clients through ROUTER and DEALER to many workers: every reply reaches its asker."""
    context = world.new_context()
    front, back = world.socket(zmq.ROUTER, context=context), world.socket(zmq.DEALER, context=context)
    front_end, back_end = world.bind(front, "tcp"), world.bind(back, "tcp")

    def run():
        with pytest.raises(zmq.ContextTerminated):
            zmq.proxy(front, back)
        front.close()
        back.close()

    proxy = Task(run)
    ended = []

    def serve():
        with world.socket(zmq.REP, pair[0]) as rep:
            rep.connect(back_end)
            while True:
                parts = rep.recv_multipart()
                if parts == [b"end"]:
                    ended.append(rep)
                rep.send_multipart(parts)
                if parts == [b"end"]:
                    return

    def ask(name):
        with world.socket(zmq.REQ, pair[1]) as req:
            req.connect(front_end)
            for number in range(200):
                body = [name, b"%d" % number, b"x" * (number * 50)]
                req.send_multipart(body)
                assert req.recv_multipart() == body

    world.context(pair[0]), world.context(pair[1])
    workers = [Task(serve) for _ in range(3)]
    askers = [Task(ask, b"asker-%d" % number) for number in range(5)]
    for task in askers:
        task.result(30)
    with world.socket(zmq.REQ) as req:
        req.connect(front_end)
        while len(ended) < len(workers):  # one each, in turn: one more might meet a worker that is closing
            req.send(b"end")
            assert req.recv() == b"end"
    for task in workers:
        task.result()
    context.term()
    proxy.result()


def test_forwarder_proxy_passes_subscriptions(world):
    context = world.new_context()
    front, back = world.socket(zmq.XSUB, context=context), world.socket(zmq.XPUB, context=context)
    front_end, back_end = world.bind(front, "tcp"), world.bind(back, "tcp")

    def run():
        with pytest.raises(zmq.ContextTerminated):
            zmq.proxy(front, back)
        front.close()
        back.close()

    proxy = Task(run)
    pub = world.socket(zmq.PUB)
    pub.connect(front_end)
    subs = []
    for number in range(5):
        sub = world.socket(zmq.SUB)
        sub.set(int(zmq.SUBSCRIBE), b"all")
        sub.set(int(zmq.SUBSCRIBE), b"%d" % number)
        sub.connect(back_end)
        subs.append(sub)
    sync(pub, *subs, topic=b"all")
    for number in range(5):
        pub.send(b"%d for you" % number)
    pub.send(b"all done")
    for number, sub in enumerate(subs):
        assert [sub.recv(), sub.recv()] == [b"%d for you" % number, b"all done"]
    context.term()
    proxy.result()


@ours_only
def test_storm_against_stock_peers_dying(world, remote):
    """Peer processes are killed while they send; the survivors' messages are complete and in order."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    peers = [remote() for _ in range(4)]
    for number, peer in enumerate(peers):
        peer.run(f"ctx = zmq.Context(); push = ctx.socket(zmq.PUSH); push.connect({endpoint!r})")
        peer.start(f"for n in range(20000): push.send_multipart([b'{number}', b'%d' % n, b'x' * 500])")
    expected = [0] * 4
    killed = set()
    while any(expected[number] < 20_000 for number in range(4) if number not in killed):
        name, number, body = pull.recv_multipart()
        who = int(name)
        assert int(number) == expected[who]
        assert body == b"x" * 500
        expected[who] += 1
        if len(killed) < 2 and who not in killed and expected[who] == 3000:
            killed.add(who)
            peers[who].kill()
    assert len(killed) == 2
