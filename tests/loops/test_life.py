"""Sockets and loops that come and go: other loops, other threads, busy loops, descriptors, fork, the end."""

import asyncio
import gc
import os
import threading

import pytest
from support import loops
from support.impl import OURS, needs_stock
from support.leaks import descriptors
from support.remote import run_script
from support.waiting import Task, Watch, nothing, wait_for
from support.world import last_endpoint

import pyzq
import pyzq.asyncio

assert OURS


def test_one_loop_after_the_other(run, pair):
    async def exchange(push, pull):
        waiting = pull.recv()
        await push.send(b"x")
        assert await waiting == b"x"

    async def leave_waiting(pull):
        return pull.recv()

    with pair() as (push, pull):
        for _ in range(3):
            run(exchange(push, pull))
        left = run(leave_waiting(pull))
        run(exchange(push, pull))
        assert left.cancelled()
        left = run(leave_waiting(pull))
    assert left.cancelled()


def test_a_loop_that_ended_keeps_no_descriptor(run, pair):
    async def exchange(push, pull):
        waiting = pull.recv()
        await push.send(b"x")
        assert await waiting == b"x"

    with pair() as (push, pull):
        run(exchange(push, pull))
        gc.collect()
        before = len(descriptors())
        for _ in range(5):
            run(exchange(push, pull))
        gc.collect()
        assert len(descriptors()) == before


def test_one_reader_for_a_hundred_sockets(context, world):
    async def main():
        loop = asyncio.get_running_loop()
        added = []
        add = loop.add_reader
        loop.add_reader = lambda fd, *args: (added.append(fd), add(fd, *args))[1]
        sockets = []
        try:
            waiting = []
            for number in range(100):
                pull = context.socket(pyzq.PULL)
                sockets.append(pull)
                pull.bind(world.address("inproc"))
                waiting.append(pull.recv())
                push = context.socket(pyzq.PUSH)
                sockets.append(push)
                push.connect(last_endpoint(pull))
                push.send(b"%d" % number)
            assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(100)]
            assert len(added) == 1
            assert loops.readers(loop) == set(added)
        finally:
            for socket in sockets:
                socket.close(0)
        assert not loops.readers(loop)
        del loop.add_reader

    asyncio.run(main())


def test_nothing_is_left_in_the_loop(run, pair):
    async def main():
        loop = asyncio.get_running_loop()
        before = None
        for _ in range(4):
            with pair() as (push, pull):
                waiting = pull.recv()
                await push.send(b"x")
                await waiting
                poller = pyzq.asyncio.Poller()
                poller.register(pull, pyzq.POLLIN)
                assert await poller.poll(1) == []
            assert not loops.readers(loop)
            del poller
            gc.collect()
            while before is not None and len(descriptors()) > before:
                await asyncio.sleep(0.001)
            if before is None:
                before = len(descriptors())  # what a context keeps

    run(main())


def test_an_idle_socket_is_not_kept_by_the_loop(context):
    async def main():
        pull = context.socket(pyzq.PULL)
        pull.bind("tcp://127.0.0.1:*")
        pull.recv().cancel()
        await asyncio.sleep(0)
        with pytest.warns(ResourceWarning, match="Unclosed socket"):
            del pull
        assert not loops.readers(asyncio.get_running_loop())

    asyncio.run(main())


def test_a_socket_in_use_is_kept_by_the_loop(run, context, world):
    """A task that waits is not collected although nobody but its socket knows of it."""

    async def main():
        address = world.address("inproc")
        got = asyncio.get_running_loop().create_future()

        async def serve():
            with context.socket(pyzq.PULL) as pull:
                pull.bind(address)
                got.set_result(await pull.recv())

        task = asyncio.ensure_future(serve())
        await asyncio.sleep(0)
        del task
        gc.collect()
        with context.socket(pyzq.PUSH) as push:
            push.connect(address)
            await push.send(b"x")
            assert await got == b"x"

    run(main())


@pytest.mark.parametrize("how", ["waited before", "never waited", "poller"])
def test_unread_input_does_not_keep_the_loop_busy(pair, how):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (push, pull):
            if how == "waited before":
                waiting = pull.recv()
                push.send(b"0")
                await waiting
            elif how == "poller":
                poller = pyzq.asyncio.Poller()
                poller.register(pull, pyzq.POLLIN)
                poller.poll(10_000).cancel()
            for _ in range(10):
                push.send(b"unread")
            turns = 0
            select = loop._selector.select

            def counted(timeout):
                nonlocal turns
                turns += 1
                return select(timeout)

            loop._selector.select = counted
            await asyncio.sleep(0.3)
            del loop._selector.select
            assert turns < 20
            assert [await pull.recv() for _ in range(10)] == [b"unread"] * 10

    asyncio.run(main())


def test_waiting_for_room_does_not_wake_for_input(pair):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(pyzq.PAIR, pyzq.PAIR, SNDHWM=1, RCVHWM=1, SNDBUF=4096, RCVBUF=4096) as (a, b):
            waiting = [a.send(bytes(100_000)) for _ in range(20)]
            assert not waiting[-1].done()
            b.send(b"unread")
            turns = 0
            select = loop._selector.select

            def counted(timeout):
                nonlocal turns
                turns += 1
                return select(timeout)

            loop._selector.select = counted
            await asyncio.sleep(0.2)
            del loop._selector.select
            assert turns < 40
            for _ in range(20):
                await b.recv()
            assert await a.recv() == b"unread"

    asyncio.run(main())


def test_terminated_while_waiting(run, context):
    async def main():
        pull = context.socket(pyzq.PULL)
        pull.bind("tcp://127.0.0.1:*")
        push = context.socket(pyzq.PUSH)
        waiting = [pull.recv(), pull.recv_many(), pull.poll(), push.send(b"x")]
        iterating = pull.__anext__()
        ending = Task(context.term)
        for future in waiting:
            with pytest.raises(pyzq.ContextTerminated):
                await future
        with pytest.raises(StopAsyncIteration):
            await iterating
        with pytest.raises(pyzq.ContextTerminated):
            await pull.recv()
        pull.close()
        push.close()
        await asyncio.to_thread(ending.result)

    run(main())


def test_closed_by_somebody_else(run, pair, outside):
    async def main():
        with pair() as (_, pull):
            waiting = pull.recv()
            thread = Task(outside(pull).close)
            with pytest.raises(pyzq.ZMQError) as caught:
                await waiting
            assert caught.value.errno == pyzq.ENOTSOCK
            await asyncio.to_thread(thread.result)

    run(main())


def test_in_two_loops_at_once(pair, outside):
    """Whoever waits in a second loop hears of it; a loop where nobody waits any more hands the socket on."""

    async def main():
        with pair() as (push, pull):
            waiting = pull.recv()

            def elsewhere():
                async def receive():
                    return await asyncio.wait_for(pull.recv(), 10)

                return asyncio.run(receive())

            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(elsewhere)
            push.send(b"1")
            assert await waiting == b"1"
            there = asyncio.create_task(asyncio.to_thread(elsewhere))
            await asyncio.sleep(0)
            plain = outside(push)
            await asyncio.to_thread(plain.send, b"2")
            assert await there == b"2"
            waiting = pull.recv()
            push.send(b"3")
            assert await waiting == b"3"

    asyncio.run(main())


def test_a_closed_loop(context):
    loop = loops.new_loop("stock")
    asyncio.set_event_loop(loop)
    loop.close()
    try:
        with context.socket(pyzq.PULL) as pull, pytest.raises(RuntimeError, match="closed"):
            pull.recv()
    finally:
        asyncio.set_event_loop(None)


def test_threads_beside_the_loop(run, pair, transport, outside):
    """Threads send and receive on sockets that tasks wait on."""
    each = 1500

    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            sender, receiver = outside(a), outside(b)
            receiver.rcvtimeo = 5
            got = []
            lock = threading.Lock()

            def send(name):
                for number in range(each):
                    sender.send(b"%d %d" % (name, number))

            def receive():
                while len(got) < 4 * each:
                    try:
                        message = receiver.recv()
                    except pyzq.Again:
                        continue
                    with lock:
                        got.append(message)

            async def send_too(name):
                for number in range(each):
                    await a.send(b"%d %d" % (name, number))

            async def receive_too():
                while len(got) < 4 * each:
                    message = await b.recv()
                    with lock:
                        got.append(message)

            threads = [Task(send, name) for name in range(2)] + [Task(receive)]
            receiving = asyncio.create_task(receive_too())
            await asyncio.gather(send_too(2), send_too(3))
            while len(got) < 4 * each:
                await asyncio.sleep(0.001)
            receiving.cancel()
            await asyncio.wait([receiving])
            for thread in threads:
                await asyncio.to_thread(thread.result)
            wanted = sorted(b"%d %d" % (name, number) for name in range(4) for number in range(each))
            assert sorted(got) == wanted

    run(main(), 50)


def test_a_busy_loop_still_answers_heartbeats(world, context):
    """Its thread does something else for longer than the peer is ready to wait."""

    async def main():
        with context.socket(pyzq.PULL) as pull:
            pull.bind("tcp://127.0.0.1:*")
            waiting = pull.recv()
            push = world.socket(pyzq.PUSH, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=300)
            with Watch(push, pyzq.EVENT_DISCONNECTED) as watch:
                push.connect(last_endpoint(pull))
                push.send(b"1")
                assert await waiting == b"1"
                waiting = pull.recv()
                await asyncio.sleep(0)
                nothing(watch.monitor, 1000)  # and this thread, the loop's, sits here meanwhile
                push.send(b"2")
                assert await waiting == b"2"

    asyncio.run(main())


@needs_stock
def test_a_busy_loop_still_answers_stock_heartbeats(world, context):
    async def main():
        with context.socket(pyzq.PULL) as pull:
            pull.bind("tcp://127.0.0.1:*")
            waiting = pull.recv()
            push = world.stock(pyzq.PUSH, HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=300)
            with Watch(push, pyzq.EVENT_DISCONNECTED) as watch:
                push.connect(last_endpoint(pull))
                push.send(b"1")
                assert await waiting == b"1"
                waiting = pull.recv()
                await asyncio.sleep(0)
                nothing(watch.monitor, 1000)
                push.send(b"2")
                assert await waiting == b"2"

    asyncio.run(main())


def test_what_arrives_at_a_busy_loop_is_read(world, context):
    async def main():
        with context.socket(pyzq.PULL) as pull:
            pull.bind("tcp://127.0.0.1:*")
            waiting = pull.recv()
            push = world.socket(pyzq.PUSH)
            push.connect(last_endpoint(pull))
            push.send(b"first")
            assert await waiting == b"first"
            waiting = pull.recv()
            for _ in range(3):
                for _ in range(20):
                    push.send(bytes(1000))
                before = pull.stats()["recv"]["accepted"]
                wait_for(lambda seen=before: pull.stats()["recv"]["accepted"] >= seen, "the reactor reading")
            wait_for(lambda: pull.stats()["recv"]["accepted"] == 61, "the reactor reading")
            for _ in range(60):
                assert await waiting == bytes(1000)
                waiting = pull.recv()

    asyncio.run(main())


def test_fork_while_a_loop_runs():
    out = run_script("""
import asyncio, os, pyzq.asyncio
async def main():
    ctx = pyzq.asyncio.Context()
    pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
    push.connect(f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}")
    waiting = pull.recv()
    await push.send(b"1")
    assert await waiting == b"1"
    waiting = pull.recv()
    child = os.fork()
    if child == 0:
        try:
            for call in (pull.recv, pull.poll, pull.recv_many, lambda: push.send(b"x")):
                try:
                    await call()
                except zmq.ZMQError as error:
                    assert type(error).__name__ == "ForkedSocket", error
                else:
                    os._exit(2)
            pull.close()
            del push
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    await push.send(b"2")
    assert await waiting == b"2"

    child = os.fork()
    if child == 0:
        asyncio.events._set_running_loop(None)
        async def mine():
            with pyzq.asyncio.Context() as own:
                with own.socket(zmq.PUSH) as a, own.socket(zmq.PULL) as b:
                    b.bind("inproc://x"); a.connect("inproc://x")
                    got = b.recv()
                    await a.send(b"in the child")
                    assert await got == b"in the child"
        try:
            asyncio.new_event_loop().run_until_complete(mine())
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    waiting = pull.recv()
    await push.send(b"3")
    assert await waiting == b"3"
    pull.close(); push.close()
    ctx.term()
    print("good")
asyncio.run(main())
""")
    assert out.splitlines()[-1] == "good", out


@pytest.mark.parametrize("ending", ["returns", "raises", "exits", "forgets the loop"])
def test_the_interpreter_ends_while_calls_wait(ending):
    out = run_script(
        """
import asyncio, sys, pyzq.asyncio
ctx = pyzq.asyncio.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
pull.bind("tcp://127.0.0.1:*")
async def receive():
    await pull.recv()
async def main():
    global left
    left = [pull.recv(), push.send(b"x"), asyncio.ensure_future(receive()), pull.poll(100_000)]
    await asyncio.sleep(0)
    print("waiting")
    if sys.argv[1] == "raises": raise SystemExit(0)
    if sys.argv[1] == "exits": sys.exit(0)
if sys.argv[1] == "forgets the loop":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
else:
    asyncio.run(main())
""",
        ending,
    )
    assert out.splitlines()[0] == "waiting"
    assert "Traceback" not in out or ending == "forgets the loop", out


@pytest.mark.parametrize("backend", ["poll", "kqueue"])
def test_other_pollers(backend):
    """Where sockets' sets cannot be waited for by others, and where the system has something else than epoll."""
    environment = os.environ.get("PYZQ_POLLER")
    os.environ["PYZQ_POLLER"] = backend
    try:
        out = run_script("""
import asyncio, threading, pyzq.asyncio
async def main():
    ctx = pyzq.asyncio.Context()
    for address in ("tcp://127.0.0.1:*", "inproc://x"):
        a, b = ctx.socket(zmq.PAIR), ctx.socket(zmq.PAIR)
        a.linger = b.linger = 0
        b.bind(address)
        a.connect(b.get(zmq.LAST_ENDPOINT).decode())
        for n in range(50):
            waiting = b.recv()
            await a.send(b"%d" % n)
            assert await waiting == b"%d" % n
        plain = zmq.Socket.shadow(a)
        def send():
            for n in range(500): plain.send(b"%d" % n)
        thread = threading.Thread(target=send); thread.start()
        assert [await b.recv() for _ in range(500)] == [b"%d" % n for n in range(500)]
        thread.join()
        poller = pyzq.asyncio.Poller()
        poller.register(b, zmq.POLLIN)
        waiting = poller.poll()
        await a.send(b"x")
        assert await waiting == [(b, zmq.POLLIN)]
        plain = zmq.Poller()
        plain.register(b, zmq.POLLIN)
        for _ in range(3):
            assert plain.poll(1000) == [(b, zmq.POLLIN)]
        await b.recv()
        for _ in range(3):
            assert plain.poll(1) == []
        a.close(); b.close()
    ctx.term()
    print("good")
asyncio.run(asyncio.wait_for(main(), 20))
""")
    finally:
        if environment is None:
            del os.environ["PYZQ_POLLER"]
        else:
            os.environ["PYZQ_POLLER"] = environment
    assert out.splitlines()[-1] == "good", out
