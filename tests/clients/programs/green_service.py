"""A service and its user on gevent: reverses what it gets and publishes the number of it.

green_service.py serve REQUESTS EVENTS
green_service.py use REQUESTS EVENTS
"""

import sys

import gevent
import gevent.event
import gevent.queue
import zmq.green as zmq
from saying import say

GREENLETS, EACH = 50, 20


def serve(context, requests, events):
    router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
    router.bind(requests)
    publisher.bind(events)
    answers, done = gevent.queue.Queue(), gevent.event.Event()

    def read():
        while True:
            gevent.spawn(work, *router.recv_multipart())

    def work(who, number, payload):
        gevent.sleep(0)
        answers.put((who, number, payload[::-1]))

    def write():
        for who, number, payload in answers:
            router.send_multipart([who, number, payload])
            publisher.send_multipart([b"seen", number])
            if number == b"last":
                done.set()

    tasks = [gevent.spawn(read), gevent.spawn(write)]
    say("ready")
    done.wait()
    gevent.killall(tasks)
    router.close(linger=5000)
    publisher.close(linger=5000)


def use(context, requests, events):
    subscriber = context.socket(zmq.SUB)
    subscriber.connect(events)
    subscriber.subscribe(b"seen")
    seen = set()

    def ask(socket, number, payload):
        socket.send_multipart([number, payload])
        assert socket.recv_multipart() == [number, payload[::-1]]

    def work(task):
        with context.socket(zmq.DEALER) as mine:
            mine.connect(requests)
            for number in range(EACH):
                ask(mine, b"%d-%d" % (task, number), b"ab" * task)

    def hear():
        wanted = {b"%d-%d" % (task, number) for task in range(GREENLETS) for number in range(EACH)} | {b"large"}
        while not wanted <= seen:
            seen.add(subscriber.recv_multipart()[1])

    with context.socket(zmq.DEALER) as dealer:
        dealer.connect(requests)
        poller = zmq.Poller()
        poller.register(subscriber, zmq.POLLIN)
        # asks now and then until the subscription is known to have arrived
        while not poller.poll(20):
            ask(dealer, b"hello", b"x")
        turns = [0]

        def turn():
            while True:
                turns[0] += 1
                gevent.sleep(0.001)

        other = gevent.spawn(turn)
        listener = gevent.spawn(hear)
        tasks = [gevent.spawn(work, task) for task in range(GREENLETS)]
        ask(dealer, b"large", bytes(range(256)) * 8000)
        gevent.joinall([*tasks, listener], timeout=60, raise_error=True)
        assert listener.successful()
        assert turns[0] > 1  # nobody kept the others waiting
        other.kill()
        say("used")
        gevent.get_hub().threadpool.apply(sys.stdin.readline)
        ask(dealer, b"last", b"stop")
    subscriber.close()


context = zmq.Context()
{"serve": serve, "use": use}[sys.argv[1]](context, *sys.argv[2:])
context.term()
say("ended")
