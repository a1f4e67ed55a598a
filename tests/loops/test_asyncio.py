"""Sockets whose calls are awaited: what they return, order, timeouts, everything of the API."""

import asyncio
import os

import pytest
from support import loops
from support.world import last_endpoint

import pyzq
import pyzq.asyncio

POLLIN, POLLOUT = pyzq.POLLIN, pyzq.POLLOUT


def test_kinds(context):
    socket = context.socket(pyzq.PULL)
    assert isinstance(socket, pyzq.asyncio.Socket)
    assert isinstance(socket, pyzq.Socket)
    assert repr(socket).startswith("<zmq.asyncio.Socket(zmq.PULL)")
    assert "zmq.asyncio.Context" in repr(context)
    socket.close()
    assert pyzq.asyncio.Context.instance() is not pyzq.Context.instance()
    pyzq.asyncio.Context.instance().term()
    pyzq.Context.instance().term()


def test_messages_of_all_kinds(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            await a.send(b"x")
            assert await b.recv() == b"x"
            for parts in ([b"x"], [b"x", b"y"], (b"x", bytearray(b"y"), memoryview(b"z"))):
                await a.send_multipart(parts)
                assert await b.recv_multipart() == [bytes(part) for part in parts]
            await a.send_multipart(iter([b"x", b"y"]))
            assert await b.recv() == b"x"
            assert b.rcvmore
            assert await b.recv() == b"y"
            await a.send(b"x", pyzq.SNDMORE)
            await a.send_multipart([b"y", b"z"])
            assert await b.recv_multipart() == [b"x", b"y", b"z"]
            await a.send_string("ö")
            assert await b.recv_string() == "ö"
            await a.send_json({"a": 1})
            assert await b.recv_json() == {"a": 1}
            await a.send_pyobj((1, 2))
            assert await b.recv_pyobj() == (1, 2)
            await a.send_pyobj(ValueError("x"))
            assert repr(await b.recv_pyobj()) == "ValueError('x')"
            await a.send_serialized("xy", lambda text: [text[0].encode(), text[1].encode()])
            assert await b.recv_serialized(len) == 2
            await a.send(b"12345")
            buffer = bytearray(3)
            assert await b.recv_into(buffer) == 5
            assert buffer == b"123"
            await a.send(b"not json")
            with pytest.raises(ValueError, match="Expecting"):
                await b.recv_json()

    run(main())


def test_waiting_for_messages_of_all_kinds(run, pair, transport):
    """The same, with the receiving calls there first."""

    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            buffer = bytearray(3)
            waiting = [
                b.recv(),
                b.recv_multipart(),
                b.recv_string(),
                b.recv_json(),
                b.recv_pyobj(),
                b.recv_serialized(len),
                b.recv_into(buffer),
                b.recv(copy=False),
                b.recv_json(),
            ]
            last = b.recv_many()
            for message in (b"x", [b"x", b"y"], b"s", b"[1]", b"cbuiltins\nlen\n.", [b"1", b"2", b"3"]):
                await (a.send_multipart if isinstance(message, list) else a.send)(message)
            for message in (b"12345", b"f", b"?"):
                await a.send(message)
            await a.send(b"many")
            *values, error = await asyncio.gather(*waiting, return_exceptions=True)
            frame = values.pop()
            assert values == [b"x", [b"x", b"y"], "s", [1], len, 3, 5]
            assert buffer == b"123"
            assert isinstance(frame, pyzq.Frame)
            assert bytes(frame) == b"f"
            assert isinstance(error, ValueError)
            assert await last == [b"many"]

    run(main())


def test_without_copies(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            large = bytearray(os.urandom(1_000_000))
            tracker = await a.send(large, copy=False, track=True)
            frame = await b.recv(copy=False, track=True)
            assert bytes(frame) == large
            assert frame.tracker.done
            del frame
            await asyncio.to_thread(tracker.wait, 10)
            await a.send_multipart([b"1", large], copy=False)
            parts = await b.recv_multipart(copy=False)
            assert [bytes(part) for part in parts] == [b"1", large]

    run(main())


def test_what_can_be_done_is_done_at_once(run, pair, transport):
    async def main():
        with pair(transport=transport) as (push, pull):
            assert push.send(b"x").done()
            assert await pull.poll(10_000) == POLLIN
            received = pull.recv()
            assert received.done()
            assert received.result() == b"x"
            assert pull.poll(0).result() == 0
            assert not pull.recv().done()

    run(main())


def test_sending_does_not_need_awaiting(run, pair, outside):
    async def main():
        with pair() as (push, pull):
            assert await push.poll(10_000, POLLOUT)
            for number in range(500):
                push.send(b"%d" % number)
            plain = outside(pull)
            assert [plain.recv() for _ in range(500)] == [b"%d" % number for number in range(500)]

    run(main())


def test_batches(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport, SNDHWM=100, RCVHWM=100) as (a, b):
            messages = [b"%d" % number if number % 7 else [b"%d" % number, b"more"] for number in range(5000)]
            sending = a.send_many(iter(messages))
            got = []
            while len(got) < len(messages):
                part = await b.recv_many(64)
                assert 1 <= len(part) <= 64
                got += part
            assert got == messages
            assert await sending == len(messages)
            assert await a.send_many([]) == 0
            assert await b.recv_many(0) == []
            assert await b.recv_many(timeout=0) == []
            assert await b.recv_many(timeout=1) == []

            def broken():
                yield b"first"
                raise KeyError("source")

            with pytest.raises(KeyError):
                await a.send_many(broken())
            assert await b.recv_many() == [b"first"]

    run(main())


def test_iterating(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):

            async def send():
                for number in range(10):
                    await a.send(b"%d" % number)
                await a.send_multipart([b"in", b"parts"])
                await a.send(b"end")

            async def receive():
                got = []
                async for message in b:
                    got.append(message)
                    if message == b"end":
                        break
                return got

            _, got = await asyncio.gather(send(), receive())
            assert got == [*(b"%d" % number for number in range(10)), [b"in", b"parts"], b"end"]

    run(main())


def test_iterating_ends_with_the_socket(run, context):
    async def main():
        async with context.socket(pyzq.PULL) as pull:
            pull.bind("tcp://127.0.0.1:*")

            async def receive():
                return [message async for message in pull]

            task = asyncio.create_task(receive())
            await asyncio.sleep(0)
            pull.close()
            assert await task == []
            assert [message async for message in pull] == []

    run(main())


def test_sockets_end_with_their_block(run, context):
    async def main():
        async with context.socket(pyzq.PULL) as pull:
            assert not pull.closed
        assert pull.closed

    run(main())


def test_first_asked_first_served(run, pair, transport):
    async def main():
        with pair(transport=transport) as (push, pull):
            waiting = [pull.recv() for _ in range(10)]
            assert not any(future.done() for future in waiting)
            for number in range(10):
                await push.send(b"%d" % number)
            assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(10)]

    run(main())


def test_many_tasks_take_turns(run, pair, transport):
    async def main():
        with pair(transport=transport, RCVHWM=0, SNDHWM=0) as (push, pull):
            got = []

            async def receive(name):
                for _ in range(50):
                    got.append((name, await pull.recv()))

            tasks = [asyncio.create_task(receive(name)) for name in range(8)]
            for number in range(400):
                await push.send(b"%d" % number)
            await asyncio.gather(*tasks)
            assert [message for _, message in got] == [b"%d" % number for number in range(400)]

    run(main())


def test_sending_waits_for_a_peer(run, context, world):
    async def main():
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            push.linger = 0
            address = world.address("inproc")
            pull.bind(address)
            sent = push.send(b"x")
            assert not sent.done()
            second = push.send_multipart([b"y", b"z"])
            third = push.send_many([b"1", b"2"])
            push.connect(address)
            assert await pull.recv() == b"x"
            assert await pull.recv_multipart() == [b"y", b"z"]
            assert [await pull.recv() for _ in range(2)] == [b"1", b"2"]
            await sent
            await second
            assert await third == 2

    run(main())


def test_sends_at_the_mark_wait_in_order(run, pair, transport):
    async def main():
        with pair(transport=transport, SNDHWM=5, RCVHWM=5, SNDBUF=4096, RCVBUF=4096) as (push, pull):
            message = bytes(10_000)
            sent = [push.send(b"%05d" % number + message) for number in range(200)]
            assert not all(future.done() for future in sent)
            got = []
            while len(got) < 200:
                got.append((await pull.recv())[:5])
            assert got == [b"%05d" % number for number in range(200)]
            await asyncio.gather(*sent)

    run(main())


def test_a_cancelled_send_that_waited_was_not_sent(run, context, world):
    async def main():
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            push.linger = 0
            waiting = [push.send(b"%d" % number) for number in range(6)]
            assert waiting[0].cancel()
            assert waiting[3].cancel()
            pull.bind(world.address("tcp"))
            push.connect(last_endpoint(pull))
            assert [await pull.recv() for _ in range(4)] == [b"1", b"2", b"4", b"5"]

    run(main())


def test_timeouts(run, pair, context):
    async def main():
        with pair() as (push, pull):
            pull.rcvtimeo = 1
            for call in (pull.recv, pull.recv_multipart, pull.recv_string, pull.__anext__):
                with pytest.raises(pyzq.Again):
                    await call()
            assert await pull.recv_many() == []
            pull.rcvtimeo = 0
            with pytest.raises(pyzq.Again):
                await pull.recv()
            pull.rcvtimeo = -1
            for call in (pull.recv, pull.recv_multipart, pull.recv_json):
                with pytest.raises(pyzq.Again):
                    await call(flags=pyzq.DONTWAIT)
            with pytest.raises(pyzq.Again):
                await pull.recv_into(bytearray(1), flags=pyzq.DONTWAIT)
            assert await pull.poll(1) == 0
            await push.send(b"x")
            assert await pull.recv() == b"x"
        with context.socket(pyzq.PUSH) as alone:
            for timeout in (1, 0):
                alone.sndtimeo = timeout
                with pytest.raises(pyzq.Again):
                    await alone.send(b"x")
                with pytest.raises(pyzq.Again):
                    await alone.send_multipart([b"x", b"y"])
                with pytest.raises(pyzq.Again):
                    await alone.send_many([b"x", b"y"])
            alone.sndtimeo = -1
            with pytest.raises(pyzq.Again):
                await alone.send(b"x", pyzq.DONTWAIT)
            with pytest.raises(pyzq.Again):
                await alone.send_multipart([b"x", b"y"], pyzq.DONTWAIT)

    run(main())


def test_poll_in_both_directions(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            assert await a.poll(10_000, POLLOUT) == POLLOUT
            waiting = [b.poll(10_000, POLLIN), b.poll(None, POLLIN), b.poll(-1)]
            assert not any(future.done() for future in waiting)
            await a.send(b"x")
            assert await asyncio.gather(*waiting) == [POLLIN] * 3
            assert await b.poll(10_000, POLLIN | POLLOUT) == POLLIN | POLLOUT

    run(main())


def test_closing_cancels_what_waits(run, pair):
    async def main():
        with pair() as (_, pull):
            waiting = [pull.recv(), pull.poll(), pull.recv_json(), pull.recv_many()]
            pull.close()
            await asyncio.wait(waiting, timeout=10)
            assert all(future.cancelled() for future in waiting)
            for call in (pull.recv, pull.recv_multipart, pull.recv_many, pull.poll, lambda: pull.send(b"")):
                with pytest.raises(pyzq.ZMQError) as caught:
                    await call()
                assert caught.value.errno == pyzq.ENOTSOCK

    run(main())


def test_wrong_arguments_fail_the_future(run, pair):
    async def main():
        with pair() as (push, pull):
            for future in (
                push.send("text"),
                push.send_multipart([b"x", 5]),
                push.send_multipart(b"x"),
                push.send_multipart(5),
                push.send_many(5),
                push.send_many([b"x", 5]),
                pull.send(b"x"),
                push.recv(),
                push.recv_multipart(),
                pull.recv_into(b"constant"),
            ):
                with pytest.raises((TypeError, BufferError, pyzq.ZMQError)):
                    await future
            with pytest.raises(TypeError):
                push.send()
            assert await pull.recv() == b"x"

    run(main())


def test_order_of_requests_and_replies(run, pair, transport):
    async def main():
        with pair(pyzq.REQ, pyzq.REP, transport) as (req, rep):
            for call in (req.recv, lambda: rep.send(b"")):
                with pytest.raises(pyzq.ZMQError) as caught:
                    await call()
                assert caught.value.errno == pyzq.EFSM

            async def serve():
                async for request in rep:
                    await rep.send(request * 2)

            serving = asyncio.create_task(serve())
            for number in range(200):
                await req.send(b"%d" % number)
                assert await req.recv() == b"%d" % number * 2
            rep.close()
            await serving

    run(main())


def test_many_messages_both_ways(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):

            async def send():
                for number in range(3000):
                    await a.send(b"%d" % number)

            async def echo():
                for _ in range(3000):
                    await b.send(await b.recv())

            async def receive():
                return [await a.recv() for _ in range(3000)]

            _, _, received = await asyncio.gather(send(), echo(), receive())
            assert received == [b"%d" % number for number in range(3000)]

    run(main())


def test_publishers(run, pair, transport):
    async def main():
        with pair(pyzq.SUB, pyzq.XPUB, transport) as (sub, xpub):
            sub.subscribe(b"a")
            assert await xpub.recv() == b"\x01a"
            await xpub.send_multipart([b"b", b"not wanted"])
            await xpub.send_multipart([b"a", b"wanted"])
            assert await sub.recv_multipart() == [b"a", b"wanted"]

    run(main())


def test_identities(run, pair, transport):
    async def main():
        with pair(pyzq.DEALER, pyzq.ROUTER, transport) as (dealer, router):
            await dealer.send_multipart([b"1", b"2"])
            identity, *parts = await router.recv_multipart()
            await router.send_multipart([identity, *reversed(parts)])
            assert await dealer.recv_multipart() == [b"2", b"1"]

    run(main())


def test_poller(run, pair, world):
    async def main():
        reading, writing = os.pipe()
        plain_push, plain_pull = world.pair(pyzq.PUSH, pyzq.PULL)
        try:
            with plain_push, plain_pull, pair() as (push, pull):
                poller = pyzq.asyncio.Poller()
                poller.register(plain_pull, POLLIN)
                poller.register(pull, POLLIN)
                poller.register(reading, POLLIN)
                assert await poller.poll(0) == []
                assert await poller.poll(1) == []
                first, second = poller.poll(10_000), poller.poll()
                plain_push.send(b"x")
                assert await first == await second == [(plain_pull, POLLIN)]
                assert plain_pull.recv() == b"x"
                waiting = poller.poll(10_000)
                await push.send(b"y")
                assert await waiting == [(pull, POLLIN)]
                assert await pull.recv() == b"y"
                waiting = poller.poll(10_000)
                os.write(writing, b"z")
                assert await waiting == [(reading, POLLIN)]
                waiting = poller.poll()
                waiting.cancel()
                poller.register(5.5, POLLIN)
                with pytest.raises(TypeError):
                    await poller.poll(10_000)
                poller.unregister(5.5)
                poller.register(push, POLLOUT)
                assert (push, POLLOUT) in await poller.poll()
        finally:
            os.close(reading)
            os.close(writing)

    run(main())


def test_poller_and_receive_on_one_socket(run, pair, transport):
    async def main():
        with pair(transport=transport) as (push, pull):
            poller = pyzq.asyncio.Poller()
            poller.register(pull, POLLIN)
            polled, received = poller.poll(10_000), pull.recv_multipart()
            await push.send(b"x")
            assert await received == [b"x"]
            await push.send(b"y")
            assert await polled == [(pull, POLLIN)]

    run(main())


def test_from_socket(run, world):
    async def main():
        push, pull = world.pair(pyzq.PUSH, pyzq.PULL)
        pull.rcvtimeo = -1
        with push, pull:
            for made in (
                pyzq.asyncio.Socket.from_socket(pull),
                pyzq.asyncio.Socket(pull),
                pyzq.asyncio.Socket.shadow(pull.underlying),
                pyzq.asyncio.Socket(shadow=pull),
            ):
                assert made.underlying == pull.underlying
                waiting = made.recv()
                push.send(b"x")
                assert await waiting == b"x"
                del made
                assert not pull.closed

    run(main())


def test_two_objects_for_one_socket_in_one_loop(run, world):
    async def main():
        push, pull = world.pair(pyzq.PUSH, pyzq.PULL)
        pull.rcvtimeo = -1
        with push, pull:
            a, b = (pyzq.asyncio.Socket.from_socket(pull) for _ in range(2))
            for one, other in ((a, b), (b, a)):
                waiting = [one.recv(), other.recv()]
                push.send(b"1")
                push.send(b"2")
                assert sorted(await asyncio.gather(*waiting)) == [b"1", b"2"]
            waiting = [a.recv(), b.recv()]
            waiting[0].cancel()
            del a, one, other
            push.send(b"3")
            assert await waiting[1] == b"3"

    run(main())


def test_monitors(run, pair):
    async def main():
        from pyzq.utils.monitor import recv_monitor_message

        with pair() as (push, pull):
            monitor = push.get_monitor_socket()
            assert isinstance(monitor, pyzq.asyncio.Socket)
            with monitor:
                monitor.linger = 0
                waiting = asyncio.ensure_future(recv_monitor_message(monitor))
                push.connect(last_endpoint(pull))
                assert (await waiting)["event"]
                push.disable_monitor()

    run(main())


def test_a_call_before_the_loop_runs(context, world):
    loop = loops.new_loop("stock")
    asyncio.set_event_loop(loop)
    try:
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            address = world.address("inproc")
            pull.bind(address)
            push.connect(address)
            waiting = pull.recv()
            assert loop.run_until_complete(push.send(b"x")) is None
            assert loop.run_until_complete(waiting) == b"x"
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_older_names_warn(context):
    with pytest.warns(DeprecationWarning, match="io_loop"):
        pyzq.asyncio.Context(io_loop=object()).term()
    with pytest.warns(DeprecationWarning, match="io_loop"):
        pyzq.asyncio.Socket(context, pyzq.PULL, io_loop=object()).close()
    with pytest.warns(DeprecationWarning, match="install"):
        pyzq.asyncio.install()
    with pytest.warns(DeprecationWarning, match="ZMQEventLoop"):
        pyzq.asyncio.ZMQEventLoop().close()
