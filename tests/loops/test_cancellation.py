"""A cancelled call takes no message with it, whenever the cancellation comes; and what is served in what order."""

import asyncio
import random
import threading
import time

import pytest

import pyzq

STEPS = 12  # turns of the loop, from none on, between a send and a cancellation


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


CALLS = {
    "recv": lambda socket: socket.recv(),
    "multipart": lambda socket: socket.recv_multipart(),
    "string": lambda socket: socket.recv_string(),
    "many": lambda socket: socket.recv_many(1),
    "next": lambda socket: socket.__anext__(),
}


def number_of(received):
    while isinstance(received, list):
        received = received[0]
    return int(received)


@pytest.mark.parametrize("how", CALLS)
def test_cancelled_around_the_turn_of_arrival(run, pair, transport, how):
    """Every message is received once, in order, by a call that was cancelled too late or by the next one."""

    async def main():
        with pair(transport=transport) as (push, pull):
            got = []

            async def receive():
                got.append(number_of(await CALLS[how](pull)))

            number = 0
            for _ in range(8):
                for before in range(STEPS):
                    task = asyncio.create_task(receive())
                    await turns(before % 3)
                    push.send(b"%d" % number)
                    number += 1
                    await turns(before)
                    task.cancel()
                    await asyncio.wait([task])
                    if task.cancelled():
                        await receive()
            assert got == list(range(number))

    run(main())


def test_cancelled_by_what_the_loop_runs_just_before_or_after(run, pair, transport):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(transport=transport) as (push, pull):
            got = []

            async def receive():
                got.append(int(await pull.recv()))

            def send(number):
                push.send(b"%d" % number)

            for number in range(300):
                task = asyncio.create_task(receive())
                await asyncio.sleep(0)
                loop.call_soon(send, number)
                if number % 3 == 0:
                    loop.call_soon(task.cancel)
                elif number % 3 == 1:
                    loop.call_soon(loop.call_soon, task.cancel)
                else:
                    loop.call_later(0, task.cancel)
                await asyncio.wait([task])
                if task.cancelled():
                    await receive()
            assert got == list(range(300))

    run(main())


@pytest.mark.parametrize("way", ["wait_for", "timeout"])
def test_timeouts_lose_nothing(run, pair, transport, way):
    if way == "timeout" and not hasattr(asyncio, "timeout"):
        pytest.skip("this Python has no asyncio.timeout")

    async def receive(pull, seconds):
        if way == "wait_for":
            return await asyncio.wait_for(pull.recv(), seconds)
        async with asyncio.timeout(seconds):
            return await pull.recv()

    async def main():
        with pair(transport=transport, RCVHWM=0, SNDHWM=0) as (push, pull):
            loop = asyncio.get_running_loop()
            rng = random.Random(1)
            for number in range(400):
                loop.call_later(rng.random() * 0.6, push.send, b"%d" % number)
            got = set()
            late = 0
            while len(got) < 400:
                try:
                    got.add(await receive(pull, rng.random() / 2000))
                except (asyncio.TimeoutError, TimeoutError):
                    late += 1
            assert late
            assert pull.recv(pyzq.DONTWAIT).exception()

    run(main())


def test_cancelled_at_random_under_load(run, pair, transport):
    """A thread sends; tasks that share the socket come and go. Nothing is lost, doubled, or taken out of order."""
    total = 6000

    async def main():
        with pair(transport=transport) as (push, pull):
            plain = pyzq.Socket.shadow(push)
            rng = random.Random(2)
            got = []

            def send():
                pause = random.Random(3)
                for number in range(total):
                    plain.send(b"%d" % number)
                    if pause.random() < 0.02:
                        time.sleep(pause.random() / 1000)

            async def receive():
                while True:
                    got.append(int(await pull.recv()))

            sender = threading.Thread(target=send)
            sender.start()
            tasks = []
            while len(got) < total:
                if len(tasks) < 4:
                    tasks.append(asyncio.create_task(receive()))
                await turns(rng.randrange(4))
                if rng.random() < 0.3:
                    tasks[rng.randrange(len(tasks))].cancel()
                tasks = [task for task in tasks if not task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(sender.join, 10)
            assert got == list(range(total))

    run(main())


def test_cancelled_sends_are_sent_or_not_but_never_out_of_order(run, pair, transport):
    async def main():
        with pair(transport=transport, SNDHWM=4, RCVHWM=4, SNDBUF=4096, RCVBUF=4096) as (push, pull):
            rng = random.Random(4)
            body = bytes(5000)
            results = {}
            got = []

            async def send(number):
                await push.send(b"%05d" % number + body)

            async def receive():
                while True:
                    message = await pull.recv()
                    if message == b"end":
                        return
                    got.append(int(message[:5]))
                    await turns(rng.randrange(3))

            receiving = asyncio.create_task(receive())
            for number in range(600):
                task = results[number] = asyncio.create_task(send(number))
                await turns(rng.randrange(3))
                if rng.random() < 0.3:
                    task.cancel()
            await asyncio.gather(*results.values(), return_exceptions=True)
            await push.send(b"end")
            await receiving
            assert got == sorted(got)
            assert len(got) == len(set(got))
            for number, task in results.items():
                if not task.cancelled():
                    assert number in got

    run(main())


def test_a_cancelled_poll_is_forgotten(run, pair):
    async def main():
        with pair() as (push, pull):
            for _ in range(20):
                task = asyncio.ensure_future(pull.poll(10_000))
                await asyncio.sleep(0)
                task.cancel()
            assert not pull._recv_futures
            assert not pull._send_futures
            await push.send(b"x")
            assert await pull.poll(10_000)

    run(main())


def test_others_have_their_turn_beside_a_flood(run, pair, transport):
    """Receiving and sending what is ready lets the loop turn at least every 256 messages."""

    async def main():
        with pair(transport=transport) as (push, pull):
            counts = {"sent": 0, "received": 0, "turns": 0}

            async def send():
                while True:
                    await push.send(b"x")
                    counts["sent"] += 1

            async def receive():
                while True:
                    await pull.recv()
                    counts["received"] += 1

            tasks = [asyncio.create_task(send()), asyncio.create_task(receive())]
            most = 0
            while counts["received"] < 20_000:
                before = counts["sent"] + counts["received"]
                await asyncio.sleep(0)
                counts["turns"] += 1
                most = max(most, counts["sent"] + counts["received"] - before)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            assert most <= 3 * 256, counts

    run(main())


def test_long_work_between_messages_lets_the_loop_turn(run, pair, outside):
    """After a millisecond the next call goes through the loop, however few there were; or the one after it, where the
    engine was last heard of by the loop: when that turn has ended it cannot know."""

    async def main():
        with pair() as (push, pull):
            for _ in range(50):
                await push.send(b"x")
            ticks = 0

            def tick():
                nonlocal ticks
                ticks += 1
                loop.call_soon(tick)

            loop = asyncio.get_running_loop()
            loop.call_soon(tick)
            before = ticks
            for _ in range(50):
                await pull.recv()
                end = time.perf_counter() + 0.0015
                while time.perf_counter() < end:
                    pass
            assert ticks - before >= 20

    run(main())


def test_a_cancelled_flood_stops_at_once(run, pair):
    async def main():
        with pair() as (push, pull):

            async def receive():
                while True:
                    await pull.recv()

            receiving = asyncio.create_task(receive())
            for _ in range(20):
                await push.send_many([b"x"] * 300)
            receiving.cancel()
            await asyncio.wait([receiving], timeout=5)
            assert receiving.cancelled()

    run(main())


def test_a_limit_below_a_second_is_that_limit(run, pair):
    """Not rounded: neither of a poll nor of RCVTIMEO."""

    async def main():
        with pair() as (_, pull):
            loop = asyncio.get_running_loop()
            start = loop.time()
            assert await pull.poll(150) == 0
            assert loop.time() - start >= 0.14
            pull.rcvtimeo = 150
            start = loop.time()
            with pytest.raises(pyzq.Again):
                await pull.recv()
            assert loop.time() - start >= 0.14

    run(main())


def test_cancelled_in_a_gather(run, pair, transport):
    """asyncio.gather asks a future that was cancelled for its message."""

    async def main():
        with pair(transport=transport) as (_, pull):
            call = pull.recv()
            gathered = asyncio.gather(call, return_exceptions=True)
            call.cancel("enough")
            (outcome,) = await asyncio.wait_for(gathered, 5)
            assert isinstance(outcome, asyncio.CancelledError)

    run(main())
