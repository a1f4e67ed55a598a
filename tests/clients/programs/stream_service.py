"""A service and its user on tornado's loop with ZMQStream: reverses what it gets and publishes the number of it.

stream_service.py serve REQUESTS EVENTS
stream_service.py use REQUESTS EVENTS
"""

import asyncio
import sys

import zmq
from saying import say
from tornado.ioloop import IOLoop, PeriodicCallback
from zmq.eventloop.zmqstream import ZMQStream

COUNT = 1000


async def serve(context, requests, events):
    done = asyncio.Event()
    router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
    router.bind(requests)
    publisher.bind(events)
    answers, news = ZMQStream(router), ZMQStream(publisher)
    flushed = []
    answers.on_send(lambda message, status: flushed.append(len(message)))

    def answer(stream, message):
        who, number, payload = message
        stream.send_multipart([who, number, payload.bytes[::-1]], copy=False)
        news.send_multipart([b"seen", number.bytes])
        if payload.bytes == b"stop":
            stream.flush()
            done.set()

    answers.on_recv_stream(answer, copy=False)
    say("ready")
    await done.wait()
    assert set(flushed) == {3}, set(flushed)
    for stream in (answers, news):
        stream.close(linger=5000)
        assert stream.closed()


async def use(context, requests, events):
    dealer, subscriber = context.socket(zmq.DEALER), context.socket(zmq.SUB)
    dealer.connect(requests)
    subscriber.connect(events)
    subscriber.subscribe(b"seen")
    stream, news = ZMQStream(dealer), ZMQStream(subscriber)
    heard, answers, seen = asyncio.Event(), {}, set()

    def hear(message):
        seen.add(message[1])
        heard.set()

    def take(message):
        number, payload = message
        if number != b"hello":
            answers.pop(number).set_result(payload)

    news.on_recv(hear)
    stream.on_recv(take)

    async def ask(number, payload):
        answer = answers[number] = asyncio.Future()
        stream.send_multipart([number, payload])
        assert await answer == payload[::-1]

    # asks now and then until the subscription is known to have arrived
    greeting = PeriodicCallback(lambda: stream.send_multipart([b"hello", b"x"]), 20)
    greeting.start()
    await heard.wait()
    greeting.stop()
    await asyncio.gather(*(ask(b"%d" % number, b"ab" * number) for number in range(COUNT)))
    await ask(b"large", bytes(range(256)) * 8000)
    wanted = {b"%d" % number for number in range(COUNT)} | {b"large"}
    while not wanted <= seen:
        heard.clear()
        await heard.wait()
    say("used")
    sys.stdin.readline()
    await ask(b"last", b"stop")
    stream.close()
    news.close()


async def main():
    assert IOLoop.current().asyncio_loop is asyncio.get_running_loop()
    context = zmq.Context()
    await {"serve": serve, "use": use}[sys.argv[1]](context, *sys.argv[2:])
    context.term()
    say("ended")


asyncio.run(main())
