"""Pollers and select: bookkeeping, results, files."""

import os

import pytest

import pyzq

from .support_pairs import pair


@pytest.fixture
def context():
    with pyzq.Context() as made:
        yield made


def test_bookkeeping(context):
    poller = pyzq.Poller()
    with pair(context, pyzq.PAIR, pyzq.PAIR) as (a, b):
        poller.register(a)
        poller.register(b, pyzq.POLLIN)
        poller.register(0, pyzq.POLLIN)
        assert poller.sockets == [(a, 3), (b, 1), (0, 1)]
        poller.modify(a, pyzq.POLLOUT)
        poller.register(b, pyzq.POLLOUT)
        assert poller.sockets == [(a, 2), (b, 2), (0, 1)]
        poller.unregister(a)
        assert a not in poller
        assert b in poller
        poller.register(b, 0)
        poller.register(a, 0)
        assert poller.sockets == [(0, 1)]
        with pytest.raises(KeyError):
            poller.unregister(a)
        poller.unregister(0)
        assert poller.sockets == []
        assert poller.poll(0) == []


def test_results(context):
    poller = pyzq.Poller()
    with pair(context, pyzq.PAIR, pyzq.PAIR) as (a, b):
        poller.register(a, pyzq.POLLIN | pyzq.POLLOUT)
        poller.register(b, pyzq.POLLIN)
        assert poller.poll() == [(a, pyzq.POLLOUT)]
        a.send(b"x")
        assert dict(poller.poll(10_000))[a] == pyzq.POLLOUT
        assert b.poll(10_000) == pyzq.POLLIN
        assert dict(poller.poll(10_000)) == {a: pyzq.POLLOUT, b: pyzq.POLLIN}
        assert b.recv() == b"x"
        poller.unregister(a)
        assert poller.poll(1) == []


def test_files_and_descriptors(context):
    reading, writing = os.pipe()
    poller = pyzq.Poller()
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        poller.register(reader, pyzq.POLLIN)
        poller.register(writing, pyzq.POLLOUT)
        assert poller.poll(1) == [(writing, pyzq.POLLOUT)]
        writer.write(b"x")
        assert dict(poller.poll(10_000)) == {reading: pyzq.POLLIN, writing: pyzq.POLLOUT}


def test_refuses_what_cannot_be_polled():
    poller = pyzq.Poller()
    poller.register("text", pyzq.POLLIN)
    with pytest.raises(TypeError):
        poller.poll(0)


def test_select(context):
    with pair(context, pyzq.PAIR, pyzq.PAIR) as (a, b):
        assert pyzq.select([a, b], [a, b], [a, b], 0) == ([], [a, b], [])
        a.send(b"x")
        readable, writable, failed = pyzq.select([a, b], [], [], 10)
        assert (readable, writable, failed) == ([b], [], [])
        assert pyzq.select([], [], [], 0) == ([], [], [])
