"""`pyzq._future`: the base for event loops that offer no more than callbacks for descriptors, here on asyncio's."""

import asyncio

import pytest
from support import loops

import pyzq
from pyzq import _future


class Context(pyzq.Context):
    _socket_class = _future._AsyncSocket
    _instance = None


@pytest.fixture
def context(books):
    with Context() as made:
        yield made


def test_messages(run, pair, transport):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR, transport) as (a, b):
            waiting = [b.recv() for _ in range(10)]
            for number in range(10):
                await a.send(b"%d" % number)
            assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(10)]
            await a.send_multipart([b"x", b"y"])
            assert await b.recv_multipart() == [b"x", b"y"]
            await a.send_json({"a": 1})
            assert await b.recv_json() == {"a": 1}
            await a.send(b"many")
            assert await b.recv_many() == [b"many"]
            assert await b.recv_many(timeout=1) == []
            assert await b.poll(1) == 0
            await a.send(b"x")
            assert await b.poll(10_000) == pyzq.POLLIN
            assert b.recv().done()

    run(main())


def test_cancelled_calls_take_nothing(run, pair):
    async def main():
        with pair() as (push, pull):
            for number in range(20):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(pull.recv(), 0.001)
                cancelled = [pull.recv(), pull.recv_multipart()]
                for future in cancelled:
                    future.cancel()
                await push.send(b"%d" % number)
                assert await pull.recv() == b"%d" % number
            assert not pull._recv_futures

    run(main())


def test_sending_waits_and_times_out(run, context, world):
    async def main():
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            push.linger = 0
            push.sndtimeo = 1
            with pytest.raises(pyzq.Again):
                await push.send(b"x")
            push.sndtimeo = -1
            sent = push.send(b"y")
            address = world.address("inproc")
            pull.bind(address)
            push.connect(address)
            assert await pull.recv() == b"y"
            await sent

    run(main())


def test_parts_of_an_iterator_are_read_once(run, context, world):
    async def main():
        with context.socket(pyzq.PUSH) as push, context.socket(pyzq.PULL) as pull:
            push.linger = 0
            sent = push.send_multipart(iter([b"x", b"y"]))  # to nobody yet: it is tried again
            address = world.address("inproc")
            pull.bind(address)
            push.connect(address)
            assert await pull.recv_multipart() == [b"x", b"y"]
            await sent

    run(main())


def test_poller(run, pair):
    async def main():
        with pair() as (push, pull):
            poller = _future._AsyncPoller()
            poller.register(pull, pyzq.POLLIN)
            assert await poller.poll(1) == []
            waiting = poller.poll(10_000)
            await push.send(b"x")
            assert await waiting == [(pull, pyzq.POLLIN)]
            pull._forget_loop()
        assert not loops.readers(asyncio.get_running_loop())

    run(main())


def test_closing_cancels(run, pair):
    async def main():
        with pair() as (_, pull):
            waiting = [pull.recv(), pull.poll(), pull.recv_json(), pull.recv_many()]
            pull.close()
            await asyncio.wait(waiting, timeout=10)
            assert all(future.cancelled() for future in waiting)

    run(main())
