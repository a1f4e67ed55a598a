"""The same on every loop: asyncio's, trio's and anyio's sockets, driven by anyio."""

import os
import random
import threading

import pytest
from support.waiting import Task
from support.world import last_endpoint

import pyzq
import pyzq.asyncio

anyio = pytest.importorskip("anyio")

WAYS = [
    ("asyncio", "stock"),
    ("asyncio", "uvloop"),
    ("anyio", "stock"),
    ("anyio", "uvloop"),
    ("anyio", "trio"),
    ("trio", "trio"),
]


@pytest.fixture(params=WAYS, ids="-on-".join)
def way(request, books):
    module, loop = request.param
    for needed in {"uvloop", "trio"} & {module, loop}:
        pytest.importorskip(needed)
    return pytest.importorskip(f"pyzq.{module}"), loop


@pytest.fixture
def run(way):
    _, loop = way

    def run(main, timeout=30):
        async def limited():
            with anyio.fail_after(timeout):
                return await main()

        options = {"use_uvloop": True} if loop == "uvloop" else {}
        return anyio.run(limited, backend="trio" if loop == "trio" else "asyncio", backend_options=options)

    return run


@pytest.fixture
def context(way):
    with way[0].Context() as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def warmed_ways():
    """trio keeps what it makes first."""

    async def nothing():
        await anyio.sleep(0)

    for backend in ("asyncio", "trio"):
        try:
            anyio.run(nothing, backend=backend)
        except LookupError:
            pass


def test_kinds(way, context):
    with context.socket(pyzq.PULL) as socket:
        assert isinstance(socket, way[0].Socket)
        assert isinstance(socket, pyzq.Socket)
        assert "(zmq.PULL)" in repr(socket)


def test_messages_of_all_kinds(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            await a.send(b"x")
            assert await b.recv() == b"x"
            for parts in ([b"x"], [b"x", b"y"]):
                await a.send_multipart(parts)
                assert await b.recv_multipart() == parts
            await a.send_multipart(iter([b"x", b"y"]))
            assert await b.recv_multipart() == [b"x", b"y"]
            await a.send_string("ö")
            assert await b.recv_string() == "ö"
            await a.send_json({"a": 1})
            assert await b.recv_json() == {"a": 1}
            await a.send_pyobj({1})
            assert await b.recv_pyobj() == {1}
            await a.send_serialized("xy", lambda text: [text[0].encode(), text[1].encode()])
            assert await b.recv_serialized(len) == 2
            await a.send(b"12345")
            buffer = bytearray(3)
            assert await b.recv_into(buffer) == 5
            assert buffer == b"123"
            await a.send(b"frame", copy=False)
            assert bytes(await b.recv(copy=False)) == b"frame"
            with pytest.raises(TypeError):
                await a.send("text")

    run(main)


def test_batches(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport, SNDHWM=100, RCVHWM=100) as (a, b):
            messages = [b"%d" % number if number % 7 else [b"%d" % number, b"more"] for number in range(3000)]
            got = []

            async def send():
                assert await a.send_many(iter(messages)) == len(messages)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                while len(got) < len(messages):
                    got += await b.recv_many(64)
            assert got == messages
            assert await b.recv_many(timeout=0) == []
            assert await b.recv_many(timeout=1) == []
            assert await b.recv_many(0) == []

    run(main)


def test_iterating(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            got = []

            async def receive():
                async for message in b:
                    got.append(message)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(receive)
                for number in range(10):
                    await a.send(b"%d" % number)
                await a.send_multipart([b"in", b"parts"])
                while len(got) < 11:
                    await anyio.sleep(0.001)
                b.close()
            assert got == [*(b"%d" % number for number in range(10)), [b"in", b"parts"]]

    run(main)


def test_many_tasks_on_one_socket(run, pair, transport):
    async def main():
        with pair(transport=transport, SNDHWM=10, RCVHWM=10) as (push, pull):
            got = []

            async def receive():
                for _ in range(50):
                    got.append(int(await pull.recv()))

            async def send():
                for number in range(400):
                    await push.send(b"%d" % number)

            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(receive)
                tasks.start_soon(send)
            assert got == list(range(400))

    run(main)


def test_requests_and_replies(run, pair, transport):
    async def main():
        with pair(pyzq.REQ, pyzq.REP, transport) as (req, rep):

            async def serve():
                async for request in rep:
                    await rep.send(request * 2)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                for number in range(100):
                    await req.send(b"%d" % number)
                    assert await req.recv() == b"%d" % number * 2
                rep.close()

    run(main)


def test_sending_waits_for_a_peer_and_for_room(run, context, world):
    async def main():
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            push.linger = 0
            push.sndhwm = pull.rcvhwm = 2
            pull.bind(world.address("tcp"))
            endpoint = last_endpoint(pull)
            sent = []

            async def send():
                for number in range(300):
                    await push.send(b"%05d" % number + bytes(30_000))
                    sent.append(number)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                await anyio.sleep(0)
                assert not sent
                push.connect(endpoint)
                got = [int((await pull.recv())[:5]) for _ in range(300)]
            assert got == sent == list(range(300))

    run(main)


def test_timeouts(run, pair, context):
    async def main():
        with pair() as (push, pull):
            pull.rcvtimeo = 1
            with pytest.raises(pyzq.Again):
                await pull.recv()
            assert await pull.recv_many() == []
            pull.rcvtimeo = -1
            with pytest.raises(pyzq.Again):
                await pull.recv(pyzq.DONTWAIT)
            with anyio.move_on_after(0.001) as scope:
                await pull.recv()
            assert scope.cancelled_caught
            assert await pull.poll(1) == 0
            await push.send(b"x")
            assert await pull.recv() == b"x"
        with context.socket(pyzq.PUSH) as alone:
            alone.sndtimeo = 1
            for call in (alone.send(b"x"), alone.send_multipart([b"x", b"y"]), alone.send_many([b"x"])):
                with pytest.raises(pyzq.Again):
                    await call
            alone.sndtimeo = -1
            with pytest.raises(pyzq.Again):
                await alone.send(b"x", pyzq.DONTWAIT)

    run(main)


def test_timeouts_lose_nothing(run, pair, transport):
    async def main():
        with pair(transport=transport) as (push, pull):
            rng = random.Random(1)
            got = []

            async def send():
                for number in range(400):
                    await push.send(b"%d" % number)
                    if rng.random() < 0.5:
                        await anyio.sleep(rng.random() / 1000)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                while len(got) < 400:
                    with anyio.move_on_after(rng.random() / 2000):
                        got.append(int(await pull.recv()))
            assert got == list(range(400))

    run(main)


def test_cancelled_around_the_turn_of_arrival(run, pair, transport):
    async def main():
        with pair(transport=transport) as (push, pull):
            got = []

            async def receive(scopes):
                with anyio.CancelScope() as scope:
                    scopes.append(scope)
                    got.append(int(await pull.recv()))

            for number in range(120):
                scopes = []
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(receive, scopes)
                    for _ in range(number % 3):
                        await anyio.sleep(0)
                    await push.send(b"%d" % number)
                    for _ in range(number % 8):
                        await anyio.sleep(0)
                    if scopes:
                        scopes[0].cancel()
                if len(got) <= number:
                    got.append(int(await pull.recv()))
            assert got == list(range(120))

    run(main)


def test_cancelled_before_it_is_tried(run, pair):
    async def main():
        with pair() as (push, pull):
            await push.send(b"x")
            assert await pull.poll(10_000)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anyio.lowlevel.checkpoint_if_cancelled()
                pytest.fail("not cancelled")
            assert await pull.recv() == b"x"

    run(main)


def test_others_have_their_turn_beside_a_flood(run, pair):
    async def main():
        with pair() as (push, pull):
            counts = [0, 0]

            async def send():
                while True:
                    await push.send(b"x")
                    counts[0] += 1

            async def receive():
                while True:
                    await pull.recv()
                    counts[1] += 1

            most = 0
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                tasks.start_soon(receive)
                while counts[1] < 5000:
                    before = sum(counts)
                    await anyio.sleep(0)
                    most = max(most, sum(counts) - before)
                tasks.cancel_scope.cancel()
            assert most <= 8 * 256

    run(main)


def test_closed_while_it_waits(run, context):
    async def main():
        pull = context.socket(pyzq.PULL)
        pull.bind("tcp://127.0.0.1:*")
        ends = []

        async def receive():
            try:
                await pull.recv()
            except pyzq.ZMQError as error:
                ends.append(error.errno)
                raise
            except BaseException as error:
                ends.append(type(error).__name__)
                raise

        async def looked_after():
            # asyncio's sockets cancel what waits, as pyzmq's do; the others raise
            try:
                await receive()
            except (pyzq.ZMQError, anyio.get_cancelled_exc_class()):
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(looked_after)
            await anyio.sleep(0.01)
            pull.close()
        assert ends in ([pyzq.ENOTSOCK], ["CancelledError"])
        with pytest.raises(pyzq.ZMQError):
            await pull.recv()

    run(main)


def test_terminated_while_it_waits(run, context):
    async def main():
        pull = context.socket(pyzq.PULL)
        pull.bind("tcp://127.0.0.1:*")
        ending = []

        async def end():
            await anyio.sleep(0.01)
            ending.append(Task(context.term))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end)
            with pytest.raises(pyzq.ContextTerminated):
                await pull.recv()
        pull.close()
        while ending[0].is_alive():
            await anyio.sleep(0.001)
        ending[0].result()

    run(main)


def test_a_thread_sends(run, pair, transport):
    async def main():
        with pair(transport=transport) as (push, pull):
            plain = pyzq.Socket.shadow(push)

            def send():
                for number in range(3000):
                    plain.send(b"%d" % number)

            thread = threading.Thread(target=send)
            thread.start()
            assert [int(await pull.recv()) for _ in range(3000)] == list(range(3000))
            while thread.is_alive():
                await anyio.sleep(0.001)

    run(main)


def test_poller(run, way, pair):
    async def main():
        reading, writing = os.pipe()
        try:
            with pair() as (push, pull):
                poller = way[0].Poller()
                poller.register(pull, pyzq.POLLIN)
                assert await poller.poll(0) == []
                assert await poller.poll(1) == []
                await push.send(b"x")
                assert await poller.poll() == [(pull, pyzq.POLLIN)]
                assert await pull.recv() == b"x"
                poller.register(reading, pyzq.POLLIN)
                assert await poller.poll(1) == []
                os.write(writing, b"z")
                assert await poller.poll(10_000) == [(reading, pyzq.POLLIN)]
                os.read(reading, 1)
                await push.send(b"y")
                assert await poller.poll(10_000) == [(pull, pyzq.POLLIN)]
        finally:
            os.close(reading)
            os.close(writing)

    run(main)


def test_poll_in_both_directions(run, pair):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR) as (a, b):
            assert await a.poll(10_000, pyzq.POLLOUT) == pyzq.POLLOUT
            got = []

            async def wait():
                got.append(await b.poll(10_000))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                tasks.start_soon(wait)
                await anyio.sleep(0)
                await a.send(b"x")
            assert got == [pyzq.POLLIN] * 2

    run(main)


def test_one_loop_after_the_other(run, pair):
    with pair() as (push, pull):
        for _ in range(3):

            async def exchange():
                async def send():
                    await anyio.sleep(0)
                    await push.send(b"x")

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(send)
                    assert await pull.recv() == b"x"

            run(exchange)
