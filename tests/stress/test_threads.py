"""One socket, many threads: every message exactly once, whole, and nobody asleep while there is work."""

import threading

import pytest
from support.impl import TRANSPORTS, ours_only, sides, zmq
from support.waiting import Task, drain, fill_settled, wait_blocked, wait_for

pytestmark = ours_only  # libzmq's sockets belong to one thread


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_eight_threads_in_recv_on_one_pull(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    total = 16_000
    got = [[] for _ in range(8)]

    def work(mine):
        while True:
            number = pull.recv()
            if number == b"end":
                return
            mine.append(int(number))

    tasks = [Task(work, mine) for mine in got]
    for task in tasks:
        wait_blocked(task, samples=3)
    for number in range(total):
        push.send(b"%d" % number)
    for _ in tasks:
        push.send(b"end")
    for task in tasks:
        task.result(30)
    assert sorted(number for mine in got for number in mine) == list(range(total))
    assert all(mine == sorted(mine) for mine in got)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_eight_senders_at_the_mark_of_one_push(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport, options_a={"SNDHWM": 2}, options_b={"RCVHWM": 2})

    def work(name):
        for number in range(1000):
            push.send_multipart([b"%d" % name, b"%d" % number])

    tasks = [Task(work, name) for name in range(8)]
    expected = dict.fromkeys(range(8), 0)
    for _ in range(8000):
        name, number = pull.recv_multipart()
        assert int(number) == expected[int(name)]
        expected[int(name)] += 1
    for task in tasks:
        task.result()
    assert drain(pull) == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_nobody_sleeps_while_work_exists(world, transport):
    """One message at a time to eight sleepers: each wakes exactly one, and none is forgotten."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    arrived = threading.Semaphore(0)
    got = []

    def work():
        while True:
            body = pull.recv()
            if body == b"end":
                return
            got.append(body)
            arrived.release()

    tasks = [Task(work) for _ in range(8)]
    for task in tasks:
        wait_blocked(task, samples=3)
    for number in range(400):
        push.send(b"%d" % number)
        assert arrived.acquire(timeout=10), f"message {number} woke nobody"
    for number in range(0, 400, 8):  # and bursts as wide as the crowd
        for one in range(8):
            push.send(b"%d" % (number + one))
        for _ in range(8):
            assert arrived.acquire(timeout=10)
    for _ in tasks:
        push.send(b"end")
    for task in tasks:
        task.result()
    assert len(got) == 800


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_receivers_and_pollers_of_one_socket(world, transport):
    """Threads in recv() and threads in poll() sleep in different ways: neither takes the other's wake-up."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    arrived = threading.Semaphore(0)

    def receive():
        while pull.recv() != b"end":
            arrived.release()

    def look():
        while True:
            pull.poll()
            for (body,) in drain(pull):
                if body == b"end":
                    return
                arrived.release()

    tasks = [Task(receive), Task(look), Task(receive), Task(look)]
    for task in tasks:
        wait_blocked(task, samples=3)
    for number in range(1000):
        push.send(b"%d" % number)
        if number % 3:
            assert arrived.acquire(timeout=10), f"message {number} woke nobody"
    for _ in range(334):
        assert arrived.acquire(timeout=10), "a message woke nobody"
    while any(task.is_alive() for task in tasks):
        push.send(b"end")
        wait_for(lambda: not pull.poll(0) or not any(task.is_alive() for task in tasks), "the end being taken")
    for task in tasks:
        task.result()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_blocked_senders_are_all_released(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport, options_a={"SNDHWM": 1}, options_b={"RCVHWM": 1})
    body = b"x" * 60_000
    assert push.poll(10_000, int(zmq.POLLOUT))  # connected
    queued = fill_settled(push, body)
    tasks = [Task(push.send, b"late-%d" % number) for number in range(8)]
    for task in tasks:
        wait_blocked(task, samples=3)
    got = [pull.recv() for _ in range(queued + 8)]
    for task in tasks:
        task.result()
    assert sorted(one for one in got if one != body) == [b"late-%d" % number for number in range(8)]


@pytest.mark.parametrize("pair", sides())
def test_parts_sent_one_by_one_from_many_threads(world, pair):
    """Between SNDMORE and the last part the message belongs to its thread."""
    push = world.socket(zmq.PUSH)
    pull = world.socket(zmq.PULL, pair[1] if pair[0] == "impl" else pair[0])
    world.link(pull, push, "tcp")

    def work(name):
        for number in range(200):
            push.send(name, int(zmq.SNDMORE))
            push.send(b"%d" % number, int(zmq.SNDMORE))
            push.send(name)

    tasks = [Task(work, b"t%d" % name) for name in range(6)]
    expected = {}
    for _ in range(1200):
        first, number, last = pull.recv_multipart()
        assert first == last
        assert int(number) == expected.get(first, 0)
        expected[first] = int(number) + 1
    for task in tasks:
        task.result()


def test_receive_multipart_from_many_threads(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    got = []

    def work():
        while True:
            parts = pull.recv_multipart()
            if parts == [b"end"]:
                return
            assert parts[0] == parts[2]
            assert len(parts[1]) == int(parts[0])
            got.append(int(parts[0]))

    tasks = [Task(work) for _ in range(6)]
    for number in range(3000):
        push.send_multipart([b"%d" % number, b"x" * number, b"%d" % number])
    for _ in tasks:
        push.send(b"end")
    for task in tasks:
        task.result()
    assert sorted(got) == list(range(3000))


def test_threads_that_send_receive_poll_and_ask(world):
    """A DEALER echo used by everybody at once in every way."""
    router, dealer = world.pair(zmq.ROUTER, zmq.DEALER)
    stop = threading.Event()

    def echo():
        while not stop.is_set():
            if router.poll(20):
                router.send_multipart(router.recv_multipart())

    def ask(name):
        for number in range(300):
            dealer.send_multipart([name, b"%d" % number])

    answers = []

    def listen():
        while len(answers) < 900:
            if dealer.poll(20):
                try:
                    answers.append(tuple(dealer.recv_multipart(int(zmq.DONTWAIT))))
                except zmq.Again:
                    continue
            dealer.get(int(zmq.EVENTS))

    workers = [Task(echo), Task(listen), Task(listen), *(Task(ask, b"n%d" % name) for name in range(3))]
    for task in workers[1:]:
        task.result(30)
    stop.set()
    workers[0].result()
    assert len(set(answers)) == 900


def test_options_and_endpoints_under_traffic(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    stop = threading.Event()

    def fiddle():
        while not stop.is_set():
            endpoint = world.bind(pull, "tcp")
            push.connect(endpoint)
            push.set(int(zmq.SNDHWM), 500)
            pull.get(int(zmq.EVENTS))
            push.disconnect(endpoint)
            pull.unbind(endpoint)

    task = Task(fiddle)

    def send():
        for number in range(5000):
            push.send(b"%d" % number)

    sender = Task(send)
    got = []
    wait_for(lambda: got.extend(drain(pull)) or not sender.is_alive(), "the sender's end", 30)
    stop.set()
    task.result()
    sender.result()
    numbers = [int(parts[0]) for parts in got]
    assert len(numbers) == len(set(numbers))


def test_subscribing_while_publishing(world):
    pub, sub = world.pair(zmq.PUB, zmq.SUB)
    sub.set(int(zmq.SUBSCRIBE), b"keep")
    stop = threading.Event()

    def publish():
        number = 0
        while not stop.is_set():
            number += 1
            pub.send(b"keep %d" % number)
            pub.send(b"topic-%d" % (number % 50))

    task = Task(publish)
    try:
        for round_ in range(20):
            for topic in range(50):
                sub.set(int(zmq.SUBSCRIBE), b"topic-%d" % topic)
            sub.recv()
            for topic in range(50):
                sub.set(int(zmq.UNSUBSCRIBE), b"topic-%d" % topic)
            assert sub.recv() is not None, round_
    finally:
        stop.set()
        task.result()
