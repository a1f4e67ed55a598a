"""Sockets whose calls let other greenlets run."""

import os

import pytest

gevent = pytest.importorskip("gevent")

import pyzq  # noqa: E402
import pyzq.green as zmq  # noqa: E402

from .support_pairs import pair  # noqa: E402


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


def together(*calls):
    gevent.get_hub().loop.update_now()  # its clock stands still while the loop does, and the limit counts from there
    jobs = [gevent.spawn(call) for call in calls]
    assert len(gevent.joinall(jobs, timeout=20, raise_error=True)) == len(jobs)
    return [job.value for job in jobs]


def test_names():
    assert set(pyzq.__all__) <= set(zmq.__all__)
    for name in zmq.__all__:
        assert hasattr(zmq, name)
    assert zmq.PUSH is pyzq.PUSH
    assert zmq.Socket is not pyzq.Socket
    assert issubclass(zmq.Context, pyzq.Context)
    assert "_instance" in vars(zmq.Context)  # its shared context is not that of threads


def test_waiting_lets_others_run(context):
    with pair(context, zmq.PAIR, zmq.PAIR, "tcp://127.0.0.1:*") as (a, b):
        order = []

        def receive():
            order.append("waits")
            message = b.recv()
            order.append("has it")
            return message

        def send():
            order.append("sends")
            a.send(b"x")

        assert together(receive, send)[0] == b"x"
        assert order == ["waits", "sends", "has it"]


def test_parts_of_an_iterator_are_read_once(context):
    with context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
        push.linger = 0
        push.bind("tcp://127.0.0.1:*")

        def receive():
            pull.connect(push.last_endpoint.decode())
            return pull.recv_multipart()

        # to nobody yet: it is tried again
        assert together(lambda: push.send_multipart(iter([b"x", b"y"])), receive)[1] == [b"x", b"y"]


def test_messages_of_all_kinds(context):
    with pair(context, zmq.PAIR, zmq.PAIR, "tcp://127.0.0.1:*") as (a, b):
        a.send_multipart([b"x", b"y"])
        assert b.recv_multipart() == [b"x", b"y"]
        a.send_json({"a": 1})
        assert b.recv_json() == {"a": 1}
        a.send(b"12345")
        buffer = bytearray(3)
        assert b.recv_into(buffer) == 5
        assert buffer == b"123"
        assert a.send_many([b"x", [b"y", b"z"]]) == 2
        assert b.recv() == b"x"
        assert b.recv_multipart() == [b"y", b"z"]
        assert b.recv_many(timeout=1) == []
        with pytest.raises(zmq.Again):
            b.recv(zmq.DONTWAIT)


def test_many_messages_both_ways(context):
    with pair(context, zmq.PAIR, zmq.PAIR, "tcp://127.0.0.1:*") as (a, b):

        def send():
            for number in range(2000):
                a.send(b"%d" % number)

        def echo():
            for _ in range(2000):
                b.send(b.recv())

        def receive():
            return [a.recv() for _ in range(2000)]

        assert together(send, echo, receive)[2] == [b"%d" % number for number in range(2000)]


def test_sending_waits_for_a_peer(context):
    with context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
        push.linger = 0
        pull.bind("inproc://later")
        together(lambda: push.send(b"x"), lambda: push.connect("inproc://later"))
        assert pull.recv() == b"x"


def test_timeout_of_gevent(context):
    with pair(context, zmq.PAIR, zmq.PAIR, "tcp://127.0.0.1:*") as (a, b):
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
            b.recv()
        assert not any(side.waiters for side in b._sides.values())
        a.send(b"x")
        assert b.recv() == b"x"


def test_timeout_options_warn(context):
    with context.socket(zmq.PULL) as socket:
        with pytest.warns(UserWarning, match="RCVTIMEO"):
            socket.rcvtimeo = 5
        with pytest.warns(UserWarning, match="SNDTIMEO"):
            assert socket.sndtimeo == -1


def test_closing_wakes_who_waits(context):
    with pair(context, zmq.PAIR, zmq.PAIR, "tcp://127.0.0.1:*") as (_, b):

        def receive():
            with pytest.raises(zmq.ZMQError) as caught:
                b.recv()
            return caught.value.errno

        assert together(receive, b.close)[0] == zmq.ENOTSOCK


def test_poll(context):
    reading, writing = os.pipe()
    with pair(context, zmq.PAIR, zmq.PAIR, "tcp://127.0.0.1:*") as (a, b):
        poller = zmq.Poller()
        poller.register(b, zmq.POLLIN)
        poller.register(reading, zmq.POLLIN)
        assert poller.poll(0) == poller.poll(5) == []
        assert together(lambda: poller.poll(10_000), lambda: a.send(b"x"))[0] == [(b, zmq.POLLIN)]
        assert b.poll(0) == zmq.POLLIN
        assert b.recv() == b"x"
        assert together(lambda: b.poll(10_000), lambda: a.send(b"x"))[0] == zmq.POLLIN
        assert zmq.select([b], [b], [], 0) == ([b], [b], [])
        assert b.recv() == b"x"
        assert together(lambda: poller.poll(), lambda: os.write(writing, b"z"))[0] == [(reading, zmq.POLLIN)]
    os.close(reading)
    os.close(writing)


def test_device(context):
    with (
        pair(context, zmq.PULL, zmq.PUSH, "tcp://127.0.0.1:*") as (front, source),
        pair(context, zmq.PUSH, zmq.PULL, "tcp://127.0.0.1:*") as (back, sink),
    ):
        job = gevent.spawn(zmq.device, zmq.STREAMER, front, back)
        for number in range(10):
            source.send_multipart([b"part", b"%d" % number])
        assert [sink.recv_multipart() for _ in range(10)] == [[b"part", b"%d" % number] for number in range(10)]
        job.kill()
