"""A service and its user on asyncio with uvloop: reverses what it gets and publishes the number of it.

loop_service.py serve REQUESTS EVENTS
loop_service.py use REQUESTS EVENTS
"""

import asyncio
import sys

import uvloop
import zmq.asyncio
from saying import say

TASKS, EACH = 50, 20


async def serve(context, requests, events):
    router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
    router.bind(requests)
    publisher.bind(events)
    done, working = asyncio.Event(), set()

    async def work(who, number, payload):
        await asyncio.sleep(0)
        await router.send_multipart([who, number, payload[::-1]])
        await publisher.send_multipart([b"seen", number])
        if number == b"last":
            done.set()

    async def read():
        while True:
            task = asyncio.create_task(work(*await router.recv_multipart()))
            working.add(task)
            task.add_done_callback(working.discard)

    reading = asyncio.create_task(read())
    say("ready")
    await done.wait()
    reading.cancel()
    await asyncio.gather(reading, *working, return_exceptions=True)
    router.close(linger=5000)
    publisher.close(linger=5000)


async def ask(socket, number, payload):
    await socket.send_multipart([number, payload])
    assert await socket.recv_multipart() == [number, payload[::-1]]


async def use(context, requests, events):
    dealer, subscriber = context.socket(zmq.DEALER), context.socket(zmq.SUB)
    dealer.connect(requests)
    subscriber.connect(events)
    subscriber.subscribe(b"seen")

    async def work(task):
        with context.socket(zmq.DEALER) as mine:
            mine.connect(requests)
            for number in range(EACH):
                await ask(mine, b"%d-%d" % (task, number), b"ab" * task)

    async def hear():
        wanted = {b"%d-%d" % (task, number) for task in range(TASKS) for number in range(EACH)} | {b"large"}
        while wanted:
            wanted.discard((await subscriber.recv_multipart())[1])

    poller = zmq.asyncio.Poller()
    poller.register(subscriber, zmq.POLLIN)
    # asks now and then until the subscription is known to have arrived
    while not await poller.poll(20):
        await ask(dealer, b"hello", b"x")
    listener = asyncio.create_task(hear())
    # a wait that is given up costs no message
    try:
        await asyncio.wait_for(dealer.recv_multipart(), 0.01)
    except asyncio.TimeoutError:
        pass
    await asyncio.gather(ask(dealer, b"large", bytes(range(256)) * 8000), *(work(task) for task in range(TASKS)))
    await listener
    say("used")
    await asyncio.to_thread(sys.stdin.readline)
    await ask(dealer, b"last", b"stop")
    dealer.close()
    subscriber.close()


async def main():
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    context = zmq.asyncio.Context()
    await {"serve": serve, "use": use}[sys.argv[1]](context, *sys.argv[2:])
    context.term()
    say("ended")


uvloop.run(main())
