"""Sockets whose calls are awaited: order, cancellation, timeouts, loops."""

import asyncio
import contextlib
import gc
import os

import pytest

import pyzq
import pyzq.asyncio

from .support_pairs import pair


@pytest.fixture
def context():
    with pyzq.asyncio.Context() as made:
        yield made


@contextlib.contextmanager
def push_pull(context):
    with pair(context, pyzq.PUSH, pyzq.PULL, "tcp://127.0.0.1:*") as (push, pull):
        yield push, pull


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


def test_kinds(context):
    socket = context.socket(pyzq.PULL)
    assert isinstance(socket, pyzq.asyncio.Socket)
    assert repr(socket).startswith("<zmq.asyncio.Socket(zmq.PULL)")
    assert "zmq.asyncio.Context" in repr(context)
    socket.close()
    assert pyzq.asyncio.Context.instance() is not pyzq.Context.instance()
    pyzq.asyncio.Context.instance().term()
    pyzq.Context.instance().term()


def test_messages_of_all_kinds(context):
    async def main():
        with pair(context, pyzq.PAIR, pyzq.PAIR) as (a, b):
            await a.send(b"x")
            assert await b.recv() == b"x"
            for parts in ([b"x"], [b"x", b"y"]):
                await a.send_multipart(parts)
                assert await b.recv_multipart() == parts
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
            await a.send(b"many")
            assert await b.recv_many() == [b"many"]
            assert await b.recv_many(timeout=1) == []
            await a.send(b"not json")
            with pytest.raises(ValueError, match="Expecting"):
                await b.recv_json()

    run(main())


def test_what_can_be_done_is_done_at_once(context):
    async def main():
        with push_pull(context) as (push, pull):
            await push.send(b"x")
            assert await pull.poll(10_000) == pyzq.POLLIN
            received = pull.recv()
            assert received.done()
            assert received.result() == b"x"
            assert pull.poll(0).result() == 0

    run(main())


def test_first_asked_first_served(context):
    async def main():
        with push_pull(context) as (push, pull):
            waiting = [pull.recv() for _ in range(10)]
            assert not any(future.done() for future in waiting)
            for number in range(10):
                await push.send(b"%d" % number)
            assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(10)]

    run(main())


def test_a_cancelled_receive_loses_nothing(context):
    async def main():
        with push_pull(context) as (push, pull):
            cancelled = [pull.recv(), pull.recv_json(), pull.recv_multipart(), pull.recv_many()]
            kept = pull.recv_multipart()
            for future in cancelled:
                future.cancel()
            await push.send_multipart([b"x", b"y"])
            assert await kept == [b"x", b"y"]
            assert all(future.cancelled() for future in cancelled)

    run(main())


def test_a_receive_cancelled_by_a_timeout_loses_nothing(context):
    async def main():
        with push_pull(context) as (push, pull):
            for number in range(20):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(pull.recv(), 0.001)
                await push.send(b"%d" % number)
                assert await pull.recv() == b"%d" % number

    run(main())


def test_sending_waits_for_a_peer(context):
    async def main():
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            push.linger = 0
            pull.bind("inproc://later")
            sent = push.send(b"x")
            assert not sent.done()
            second = push.send_multipart([b"y", b"z"])
            push.connect("inproc://later")
            assert await pull.recv() == b"x"
            assert await pull.recv_multipart() == [b"y", b"z"]
            await sent
            await second

    run(main())


def test_timeouts(context):
    async def main():
        with push_pull(context) as (push, pull):
            pull.rcvtimeo = 1
            with pytest.raises(pyzq.Again):
                await pull.recv()
            pull.rcvtimeo = -1
            with pytest.raises(pyzq.Again):
                await pull.recv(pyzq.DONTWAIT)
            assert await pull.poll(1) == 0
            await push.send(b"x")
            assert await pull.recv() == b"x"
        with context.socket(pyzq.PUSH) as alone:
            alone.sndtimeo = 1
            with pytest.raises(pyzq.Again):
                await alone.send(b"x")
            with pytest.raises(pyzq.Again):
                await alone.send(b"x", pyzq.DONTWAIT)

    run(main())


def test_poll_in_both_directions(context):
    async def main():
        with pair(context, pyzq.PAIR, pyzq.PAIR, "tcp://127.0.0.1:*") as (a, b):
            assert await a.poll(10_000, pyzq.POLLOUT) == pyzq.POLLOUT
            waiting = b.poll(10_000, pyzq.POLLIN)
            assert not waiting.done()
            await a.send(b"x")
            assert await waiting == pyzq.POLLIN
            assert await b.poll(10_000, pyzq.POLLIN | pyzq.POLLOUT) == pyzq.POLLIN | pyzq.POLLOUT

    run(main())


def test_closing_cancels_what_waits(context):
    async def main():
        with push_pull(context) as (_, pull):
            waiting = [pull.recv(), pull.poll(), pull.recv_json(), pull.recv_many()]
            pull.close()
            await asyncio.wait(waiting, timeout=10)
            assert all(future.cancelled() for future in waiting)
            with pytest.raises(pyzq.ZMQError) as caught:
                await pull.recv()
            assert caught.value.errno == pyzq.ENOTSOCK

    run(main())


def test_wrong_arguments_fail_the_future(context):
    async def main():
        with push_pull(context) as (push, pull):
            for future in (push.send("text"), push.send_multipart([b"x", 5]), pull.send(b"x")):
                with pytest.raises((TypeError, pyzq.ZMQError)):
                    await future

    run(main())


def test_one_loop_after_the_other(context):
    async def exchange(push, pull):
        waiting = pull.recv()
        await push.send(b"x")
        assert await waiting == b"x"

    async def leave_waiting(pull):
        return pull.recv()

    with push_pull(context) as (push, pull):
        for _ in range(3):
            run(exchange(push, pull))
        run(leave_waiting(pull))
        run(exchange(push, pull))


def test_many_messages_both_ways(context):
    async def main():
        with pair(context, pyzq.PAIR, pyzq.PAIR, "tcp://127.0.0.1:*") as (a, b):

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


def test_poller(context):
    async def main():
        plain = pyzq.Context()
        reading, writing = os.pipe()
        try:
            with (
                pair(plain, pyzq.PUSH, pyzq.PULL, "tcp://127.0.0.1:*") as (push, pull),
                push_pull(context) as (apush, apull),
            ):
                poller = pyzq.asyncio.Poller()
                poller.register(pull, pyzq.POLLIN)
                poller.register(apull, pyzq.POLLIN)
                poller.register(reading, pyzq.POLLIN)
                assert await poller.poll(0) == []
                assert await poller.poll(1) == []
                first, second = poller.poll(10_000), poller.poll()
                push.send(b"x")
                assert await first == await second == [(pull, pyzq.POLLIN)]
                assert pull.recv() == b"x"
                waiting = poller.poll(10_000)
                await apush.send(b"y")
                assert await waiting == [(apull, pyzq.POLLIN)]
                assert await apull.recv() == b"y"
                waiting = poller.poll(10_000)
                os.write(writing, b"z")
                assert await waiting == [(reading, pyzq.POLLIN)]
                waiting = poller.poll()
                waiting.cancel()
                poller.register(5.5, pyzq.POLLIN)
                with pytest.raises(TypeError):
                    await poller.poll(10_000)
        finally:
            os.close(reading)
            os.close(writing)
            plain.term()

    run(main())


def test_poller_and_receive_on_one_socket(context):
    async def main():
        with push_pull(context) as (push, pull):
            poller = pyzq.asyncio.Poller()
            poller.register(pull, pyzq.POLLIN)
            polled, received = poller.poll(10_000), pull.recv_multipart()
            await push.send(b"x")
            assert await received == [b"x"]
            await push.send(b"y")
            assert await polled == [(pull, pyzq.POLLIN)]

    run(main())


def test_from_socket(context):
    async def main():
        with pyzq.Context() as plain, pair(plain, pyzq.PUSH, pyzq.PULL, "tcp://127.0.0.1:*") as (push, pull):
            for made in (pyzq.asyncio.Socket.from_socket(pull), pyzq.asyncio.Socket(pull)):
                assert made.underlying == pull.underlying
                waiting = made.recv()
                push.send(b"x")
                assert await waiting == b"x"
                del made
                gc.collect()
                assert not pull.closed

    run(main())


def test_an_idle_socket_is_not_kept_by_the_loop(context):
    async def main():
        pull = context.socket(pyzq.PULL)
        pull.bind("tcp://127.0.0.1:*")
        pull.recv().cancel()
        await asyncio.sleep(0)
        with pytest.warns(ResourceWarning, match="Unclosed socket"):
            del pull

    run(main())


def test_older_names_warn(context):
    with pytest.warns(DeprecationWarning, match="io_loop"):
        pyzq.asyncio.Context(io_loop=object()).term()
    with pytest.warns(DeprecationWarning, match="io_loop"):
        pyzq.asyncio.Socket(context, pyzq.PULL, io_loop=object()).close()
    with pytest.warns(DeprecationWarning, match="install"):
        pyzq.asyncio.install()
    with pytest.warns(DeprecationWarning, match="ZMQEventLoop"):
        pyzq.asyncio.ZMQEventLoop().close()
