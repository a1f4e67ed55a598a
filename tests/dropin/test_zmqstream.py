"""Streams for tornado: callbacks, their order, sending while the socket is full, closing."""

import asyncio
import importlib
import logging
import select

import pytest
from support.impl import DEADLINE, IMPL, OURS, ours_only, zmq
from support.waiting import fill_settled

pytest.importorskip("tornado")
zmqstream = importlib.import_module(f"{IMPL}.eventloop.zmqstream")


@pytest.fixture
def in_loop(world):
    """Runs a coroutine function with a pair of streams, and closes them in their loop."""

    def run(test, kinds=None, transport="tcp", **options):
        async def main():
            a, b = world.pair(*(kinds or (zmq.PAIR, zmq.PAIR)), transport=transport, options_a=options)
            streams = zmqstream.ZMQStream(a), zmqstream.ZMQStream(b)
            try:
                await asyncio.wait_for(test(*streams), DEADLINE)
            finally:
                for stream in streams:
                    stream.close(0)

        asyncio.run(main())

    return run


class Heard(list):
    """A callback that keeps what it hears, and can be waited for."""

    def __init__(self):
        super().__init__()
        self._waiting = None

    def __call__(self, *args):
        self.append(args[0] if len(args) == 1 else args)
        if self._waiting is not None and len(self) >= self._waiting[0] and not self._waiting[1].done():
            self._waiting[1].set_result(None)

    def __bool__(self):
        return True  # though it is an empty list at first

    async def count(self, n):
        if len(self) < n:
            self._waiting = n, asyncio.get_running_loop().create_future()
            await self._waiting[1]
        assert len(self) == n
        return list(self)


async def turns(n=20):
    for _ in range(n):
        await asyncio.sleep(0)


@pytest.mark.parametrize("transport", ["tcp", "ipc", "inproc"])
def test_messages_come_in_order(in_loop, transport):
    async def test(a, b):
        heard = Heard()
        b.on_recv(heard)
        for number in range(2000):
            a.send_multipart([b"%d" % number, b"x"])
        assert await heard.count(2000) == [[b"%d" % number, b"x"] for number in range(2000)]

    in_loop(test, transport=transport, SNDHWM=0)


def test_what_was_there_before(in_loop):
    """Messages that came before `on_recv` are no news, and are handed out all the same."""

    async def test(a, b):
        heard = Heard()
        a.send(b"first")
        while not b.socket.poll(0):
            await asyncio.sleep(0)
        b.on_recv_stream(heard)
        assert b.receiving()
        assert await heard.count(1) == [(b, [b"first"])]

    in_loop(test)


@ours_only
def test_a_callable_that_is_false(in_loop):
    async def test(a, b):
        class Callback(list):
            def __call__(self, *args):
                self.append(args)

        heard, sent, closed = Callback(), Callback(), Callback()
        b.on_recv(heard)
        a.on_send(sent)
        a.set_close_callback(closed)
        a.send(b"x")
        while not heard or not sent:
            await asyncio.sleep(0)
        assert heard == [([b"x"],)]
        assert sent == [([b"x"], None)]
        a.close()
        assert closed == [()]

    in_loop(test)


def test_stopping_in_a_callback(in_loop):
    """Not one message more is taken: they wait in the socket."""

    async def test(a, b):
        heard, rest = Heard(), Heard()

        def callback(parts):
            heard(parts)
            if len(heard) == 3:
                b.stop_on_recv()

        for number in range(10):
            a.send(b"%d" % number)
        b.on_recv(callback)
        await heard.count(3)
        await turns()
        assert len(heard) == 3
        assert not b.receiving()
        assert b.socket.recv() == b"3"
        b.on_recv(rest, copy=False)
        assert [parts[0].bytes for parts in await rest.count(6)] == [b"%d" % number for number in range(4, 10)]

    in_loop(test)


def test_another_callback_in_a_callback(in_loop):
    async def test(a, b):
        first, second = Heard(), Heard()

        def callback(parts):
            first(parts)
            b.on_recv(second)

        b.on_recv(callback)
        a.send(b"1")
        a.send(b"2")
        assert await second.count(1) == [[b"2"]]
        assert first == [[b"1"]]

    in_loop(test)


def test_closing_in_a_callback(in_loop):
    async def test(a, b):
        heard, closed = Heard(), Heard()

        def callback(parts):
            heard(parts)
            b.close()

        b.set_close_callback(lambda: closed("closed"))
        for _ in range(3):
            a.send(b"x")
        b.on_recv(callback)
        await closed.count(1)
        await turns()
        assert len(heard) == 1
        assert b.closed()
        with pytest.raises(OSError, match=r"(?i)stream"):
            b.flush()

    in_loop(test)


@ours_only
def test_others_have_their_turn(in_loop):
    """A stream that is never empty does not keep the loop to itself."""

    async def test(a, b):
        heard = Heard()
        turns_between = []

        def callback(parts):
            heard(parts)
            a.send(b"x")  # and so on, for ever

        b.on_recv(callback)
        a.send(b"x")
        for _ in range(50):
            before = len(heard)
            await asyncio.sleep(0)
            turns_between.append(len(heard) - before)
        assert max(turns_between) <= 256

    in_loop(test, transport="inproc")


@ours_only  # pyzmq's waits for a further message then
def test_a_callback_that_raises(in_loop, caplog):
    async def test(a, b):
        heard = Heard()

        def callback(parts):
            heard(parts)
            if len(heard) == 1:
                raise RuntimeError("broken")

        b.on_recv(callback)
        with caplog.at_level(logging.ERROR):
            a.send(b"1")
            a.send(b"2")
            await heard.count(2)
        assert "Uncaught exception in ZMQStream callback" in caplog.text
        assert "broken" in caplog.text

    in_loop(test)


def test_coroutine_callbacks_begin_in_order(in_loop, caplog):
    """Each gets to its first await before the next message is looked at, so it can stop the stream in time."""

    async def test(a, b):
        heard = Heard()

        async def callback(parts):
            heard(parts)
            b.stop_on_recv()
            await asyncio.sleep(0)
            raise RuntimeError("late")

        for number in range(3):
            a.send(b"%d" % number)
        while not b.socket.poll(0):
            await asyncio.sleep(0)
        b.on_recv(callback)
        await heard.count(1)
        await turns()
        assert heard == [[b"0"]]
        assert "late" in caplog.text
        assert b.socket.recv() == b"1"

    in_loop(test)


def unrest(stream):
    """Descriptors of its loop that are readable though the stream has nothing to do: they would keep the loop busy."""
    return select.select(list(stream.io_loop.handlers), [], [], 0)[0]


@ours_only
@pytest.mark.parametrize("transport", ["tcp", "inproc"])
def test_a_stream_with_nothing_to_do_is_quiet(in_loop, transport):
    async def test(a, b):
        heard = Heard()
        b.on_recv(heard)
        for number in range(3):
            a.send(b"%d" % number)
        await heard.count(3)
        await turns()
        assert not unrest(a), "after sending"
        b.stop_on_recv()
        a.send(b"3")
        while not b.socket.poll(0):
            await asyncio.sleep(0)
        await turns()
        assert not unrest(b), "a message that nobody wants"
        assert b.socket.recv() == b"3"
        a.send(b"4")
        b.on_recv(heard)
        await heard.count(4)
        await turns()
        assert not unrest(b), "after receiving"

    in_loop(test, transport=transport)


@ours_only
def test_others_read_the_socket_too(in_loop):
    """What they read on the way stays the stream's, which is told of it."""

    async def test(a, b):
        heard = Heard()
        b.on_recv(heard)
        a.send(b"first")
        await heard.count(1)
        for number in range(100):
            before = len(heard)
            assert not a.sending()
            a.send(b"%d" % number)
            a.send(b"%d" % number)
            assert b.socket.poll(DEADLINE * 1000)
            assert b.socket.recv() == b"%d" % number
            await heard.count(before + 1)

    in_loop(test)


@ours_only
def test_types_without_fd(in_loop):
    async def test(a, b):
        asked, answered = Heard(), Heard()
        b.on_recv(asked, copy=False)
        a.on_recv(answered)
        a.send(b"x")
        ((frame,),) = await asked.count(1)
        b.send(b"y", routing_id=frame.routing_id)
        assert await answered.count(1) == [[b"y"]]

    in_loop(test, kinds=(zmq.CLIENT, zmq.SERVER) if OURS else None)


def test_receiving_begins_in_another_thread(in_loop):
    async def test(a, b):
        heard = Heard()
        a.send(b"x")
        await asyncio.to_thread(b.on_recv, heard)
        assert await heard.count(1) == [[b"x"]]

    in_loop(test)


def test_a_loop_that_closes_its_files(world):
    from tornado.ioloop import IOLoop

    a, b = world.pair(zmq.PUSH, zmq.PULL)
    loop = IOLoop(make_current=False)
    streams = [zmqstream.ZMQStream(socket, loop) for socket in (a, b)]
    heard = []
    streams[1].on_recv(lambda parts: (heard.append(parts), loop.stop()))
    a.send(b"x")
    loop.start()
    loop.close(all_fds=True)
    assert heard == [[b"x"]]
    assert a.closed
    assert b.closed
    for stream in streams:
        with pytest.warns(UserWarning, match="after closing socket"):
            stream.close()


def test_on_recv_of_a_socket_that_only_sends(in_loop):
    async def test(a, b):
        heard, sent = Heard(), Heard()
        a.on_recv(heard)
        a.on_send(sent)
        a.send(b"x")
        await sent.count(1)
        await turns()
        assert heard == []

    in_loop(test, kinds=(zmq.PUSH, zmq.PULL))


def test_on_send(in_loop):
    async def test(a, b):
        sent, received = Heard(), Heard()
        b.on_recv(received)
        a.on_send(sent)
        a.send(b"1")
        a.send_multipart([b"2", b"3"])
        assert sent == []  # not from within the call
        await sent.count(2)
        assert [msg for msg, status in sent] == [[b"1"], [b"2", b"3"]]
        assert all(status is None for msg, status in sent)
        a.stop_on_send()
        other = Heard()
        a.send(b"4", copy=False, track=True, callback=other)
        ((msg, tracker),) = await other.count(1)
        assert msg == [b"4"]
        assert isinstance(tracker, zmq.MessageTracker)
        a.on_send_stream(sent)
        a.send(b"5")
        await sent.count(3)
        assert sent[2][0] is a
        await received.count(4)

    in_loop(test)


def test_full_and_then_not(in_loop):
    """What the socket does not take waits in the stream, in order."""

    async def test(a, b):
        before = fill_settled(a.socket, bytes(10_000))
        for number in range(100):
            a.send(b"%d" % number)
        assert a.sending()
        heard = Heard()
        b.on_recv(heard)
        found = await heard.count(before + 100)
        assert found[before:] == [[b"%d" % number] for number in range(100)]
        await turns()
        assert not a.sending()

    in_loop(test, kinds=(zmq.PUSH, zmq.PULL), SNDHWM=10)


@ours_only
def test_what_can_be_sent_is_sent_at_once(in_loop):
    """Before the loop has its turn, so also by a program that closes or blocks next."""

    async def test(a, b):
        assert a.socket.poll(DEADLINE * 1000, zmq.POLLOUT)
        a.send(b"x")
        assert not a.sending()
        assert b.socket.recv() == b"x"

    in_loop(test)


@ours_only  # pyzmq's waits for ever to be able to send
def test_errors_of_sending_are_logged_and_told(in_loop, caplog):
    async def test(a, b):
        told = Heard()
        b.on_send(told)
        b.send(b"a PULL does not send")
        ((_, status),) = await told.count(1)
        assert isinstance(status, zmq.ZMQError)
        assert "SEND Error" in caplog.text

    in_loop(test, kinds=(zmq.PUSH, zmq.PULL))


def test_flush(in_loop):
    async def test(a, b):
        heard = Heard()
        for number in range(5):
            a.send(b"%d" % number)
        a.flush()
        while not b.socket.poll(0):
            await asyncio.sleep(0)
        assert b.flush(zmq.POLLOUT) == 0
        b.on_recv(heard)
        assert b.flush(limit=2) == 2
        assert heard == [[b"0"], [b"1"]]
        while len(heard) < 5:
            b.flush(zmq.POLLIN)
        assert [parts[0] for parts in heard] == [b"%d" % number for number in range(5)]

    in_loop(test, transport="inproc")


@ours_only
def test_flush_takes_nothing_that_nobody_receives(in_loop):
    async def test(a, b):
        a.send(b"x")
        while not b.socket.poll(0):
            await asyncio.sleep(0)
        assert b.flush() == 0
        assert b.socket.recv() == b"x"

    in_loop(test)


def test_forms_of_messages(in_loop):
    async def test(a, b):
        heard = Heard()
        b.on_recv(heard)
        a.send_string("ä")
        a.send_unicode("ä", encoding="latin-1")
        a.send_json({"a": 1})
        a.send_pyobj([1])
        found = await heard.count(4)
        assert found[:2] == [["ä".encode()], [b"\xe4"]]
        assert importlib.import_module(f"{IMPL}.utils.jsonapi").loads(found[2][0]) == {"a": 1}
        import pickle

        assert pickle.loads(found[3][0]) == [1]
        with pytest.raises(TypeError):
            a.send_string(b"x")

    in_loop(test)


def test_what_is_no_callback(in_loop):
    async def test(a, b):
        others = (a.on_recv_stream, a.on_send_stream, a.set_close_callback) if OURS else ()
        for method in (a.on_recv, a.on_send, *others):
            with pytest.raises(AssertionError):
                method(1)
        a.on_err(None)
        a.stop_on_err()

    in_loop(test)


def test_closed_beneath(in_loop):
    async def test(a, b):
        a.socket.close(0)
        with pytest.warns(UserWarning, match="after closing socket"):
            assert a.closed()
        assert a.closed()
        a.close()

    in_loop(test)


@ours_only
def test_terminated_beneath(world):
    """The stream closes, so the context can end, and the loop is not kept busy by a descriptor that stays readable."""

    async def main():
        context = world.new_context()
        closed = Heard()
        stream = zmqstream.ZMQStream(context.socket(zmq.PULL))
        stream.on_recv(lambda parts: None)
        stream.set_close_callback(lambda: closed("closed"))
        ending = asyncio.create_task(asyncio.to_thread(context.term))
        await asyncio.wait_for(closed.count(1), DEADLINE)
        await asyncio.wait_for(ending, DEADLINE)

    asyncio.run(main())


def test_a_socket_with_futures(world):
    aio = importlib.import_module(f"{IMPL}.asyncio")

    async def main():
        with aio.Context() as context:
            socket = context.socket(zmq.PULL)
            with pytest.warns(RuntimeWarning, match="socket"):
                stream = zmqstream.ZMQStream(socket)
            assert type(stream.socket) is zmq.Socket
            assert stream.socket.underlying == socket.underlying
            stream.close()

    asyncio.run(main())


@pytest.mark.keeps_open  # gevent's loop
def test_a_green_socket(world):
    pytest.importorskip("gevent")
    green = importlib.import_module(f"{IMPL}.green")
    module = importlib.import_module(f"{IMPL}.green.eventloop.zmqstream")

    async def main():
        with green.Context() as context:
            a, b = context.socket(green.PUSH), context.socket(green.PULL)
            port = a.bind_to_random_port("tcp://127.0.0.1")
            b.connect(f"tcp://127.0.0.1:{port}")
            a.linger = 0
            sender, receiver = module.ZMQStream(a), module.ZMQStream(b)
            heard = Heard()
            receiver.on_recv(heard)
            sender.send(b"x")
            assert await asyncio.wait_for(heard.count(1), DEADLINE) == [[b"x"]]
            sender.close()
            receiver.close()

    asyncio.run(main())
    assert OURS or module


def test_old_names():
    ioloop = importlib.import_module(f"{IMPL}.eventloop.ioloop")
    from tornado.ioloop import IOLoop

    assert ioloop.IOLoop is ioloop.ZMQIOLoop is IOLoop
    with pytest.warns(DeprecationWarning, match="install|needed|tornado"):
        ioloop.install()


@ours_only
def test_delayed_callback():
    from pyzq.eventloop.ioloop import DelayedCallback

    async def main():
        heard = Heard()
        with pytest.warns(DeprecationWarning, match="call_later"):
            late, never = DelayedCallback(lambda: heard(1), 1), DelayedCallback(lambda: heard(2), 0)
        never.start()
        never.stop()
        late.start()
        assert late.is_running()
        await asyncio.wait_for(heard.count(1), DEADLINE)
        assert heard == [1]
        assert not late.is_running()

    asyncio.run(main())
