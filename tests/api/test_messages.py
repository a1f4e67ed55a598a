"""Messages at the Python border: Frame, MessageTracker, zero copy, recv_into, batches."""

import gc
import weakref

import pytest
from support.impl import TRANSPORTS, links, needs_draft, ours_only, zmq
from support.waiting import Watch, drain, wait_for

BUFFERS = {
    "bytes": b"some bytes",
    "bytearray": bytearray(b"some bytes"),
    "memoryview": memoryview(b"xxsome bytesxx")[2:-2],
    "empty": b"",
}


@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
@pytest.mark.parametrize("copy", [True, False])
def test_what_can_be_sent(world, data, copy):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    push.send(data, copy=copy)
    push.send_multipart([data, data], copy=copy)
    assert pull.recv() == bytes(data)
    assert pull.recv_multipart() == [bytes(data)] * 2


@pytest.mark.keeps_open  # numpy starts threads of its own
def test_numpy_arrays_are_buffers(world):
    numpy = pytest.importorskip("numpy")
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    array = numpy.arange(100_000, dtype="<f8").reshape(100, 1000)
    for copy in (True, False):
        push.send(array, copy=copy)
        frame = pull.recv(copy=False)
        assert (numpy.frombuffer(frame, dtype="<f8").reshape(array.shape) == array).all()


@pytest.mark.parametrize("data", ["text", 5, None, [b"x"], object()], ids=str)
def test_what_can_not_be_sent(world, data):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    with pytest.raises(TypeError):
        push.send(data)
    with pytest.raises(TypeError):
        push.send_multipart([b"good", data])
    push.send(b"after")  # the refused multipart left nothing behind
    assert pull.recv_multipart() == [b"after"]


@ours_only
@pytest.mark.parametrize("flags", [0, int(zmq.SNDMORE)])
@pytest.mark.parametrize("begun", [False, True])
def test_parts_go_all_or_none(world, begun, flags):
    """Also when the message goes on after them, and when it was begun before: a part that is none stages nothing."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    if begun:
        push.send(b"begun", zmq.SNDMORE)
    for parts in ([b"a", object()], [b"a", b"b", "text"], [object(), b"a"]):
        with pytest.raises(TypeError):
            push.send_multipart(parts, flags)
    push.send_multipart([b"c", b"d"], flags)
    if flags:
        push.send_multipart([b"e", bytearray(b"f"), zmq.Frame(b"g")] * 4)
    more = [b"e", b"f", b"g"] * 4 if flags else []
    assert pull.recv_multipart() == [b"begun"] * begun + [b"c", b"d", *more]
    push.send(b"whole")
    assert pull.recv_multipart() == [b"whole"]


@ours_only
def test_parts_without_room_leave_nothing_behind(world):
    """The peer goes while a message is staged: what is refused then is not half taken."""
    push = world.socket(zmq.PUSH)
    pull = world.socket(zmq.PULL)
    world.link(push, pull, "inproc")
    push.send(b"begun", zmq.SNDMORE)
    pull.close()
    wait_for(lambda: not push.poll(1, int(zmq.POLLOUT)) and not push.stats()["peers"], "the end of the peer")
    for _ in range(3):
        with pytest.raises(zmq.Again):
            push.send_multipart([b"a", b"b"], zmq.DONTWAIT)
    other = world.socket(zmq.PULL)
    other.connect(push.LAST_ENDPOINT)
    push.send_multipart([b"c", b"d"])
    assert other.recv_multipart() == [b"begun", b"c", b"d"]


@needs_draft
@pytest.mark.parametrize("kind", ["RADIO", "CLIENT", "SERVER", "SCATTER", "CHANNEL", "PEER"])
def test_types_of_one_part_take_none_of_several(world, kind):
    made = world.socket(getattr(zmq, kind))
    if kind in ("CLIENT", "SCATTER", "CHANNEL"):
        world.bind(made, "inproc")
    for parts in ([b"a", b"b"], [b"a", object()]):
        with pytest.raises((zmq.ZMQError, TypeError)) as caught:
            made.send_multipart(parts)
        assert getattr(caught.value, "errno", int(zmq.EINVAL)) == int(zmq.EINVAL)
    assert made.stats()["send"]["accepted"] == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_frame_knows_its_descriptor(world, transport):
    """SRCFD: the connection's, as the monitor says; messages within a process have none."""
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    watch = Watch(pull) if transport != "inproc" else None
    world.link(pull, push, transport)
    push.send_multipart([b"x", b"y" * 200_000])
    frames = pull.recv_multipart(copy=False)
    if transport == "inproc":
        for frame in frames:
            with pytest.raises(zmq.ZMQError) as caught:
                frame.get(zmq.SRCFD)
            assert caught.value.errno == int(zmq.EINVAL)
        return
    with watch:
        fd = int(watch.wait(zmq.EVENT_ACCEPTED)["value"])
    assert [frame.get(zmq.SRCFD) for frame in frames] == [fd, fd]


@ours_only
def test_bytes_of_the_interpreter_are_not_written_to(world):
    """A view of memory that only the frame has can be written to, one of a `bytes` object cannot."""
    assert zmq.Frame(b"made by hand").buffer.readonly
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    push.send(b"the very same object")
    assert pull.recv(copy=False).buffer.readonly
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "tcp")
    push.send(b"x" * 300_000)
    view = pull.recv(copy=False).buffer
    assert not view.readonly
    view[0] = 0


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("size", [0, 10, 100_000, 2_000_000])
def test_frames(world, transport, size):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    push.send_multipart([data, b"tail"], copy=False)
    first, last = pull.recv_multipart(copy=False)
    assert isinstance(first, zmq.Frame)
    assert first.bytes == data
    assert bytes(first) == data
    assert bytes(first.buffer) == data
    assert bytes(memoryview(first)) == data
    assert len(first) == size
    assert (first.more, last.more) == (True, False)
    assert (last.get(int(zmq.MORE)), first.get(int(zmq.MORE))) == (0, 1)


def test_frame_outlives_its_socket(world):
    context = world.new_context()
    push, pull = world.socket(zmq.PUSH, context=context), world.socket(zmq.PULL, context=context)
    world.link(pull, push, "tcp")
    push.send(b"y" * 300_000)
    frame = pull.recv(copy=False)
    view = frame.buffer
    push.close()
    pull.close()
    context.term()
    del frame
    gc.collect()
    assert bytes(view) == b"y" * 300_000


def test_frame_made_by_hand(world):
    for frame in (
        zmq.Frame(b"abc"),
        zmq.Frame(bytearray(b"abc")),
        zmq.Frame(memoryview(b"abc")),
        zmq.Frame(b"abc", copy=False),
    ):
        assert frame.bytes == b"abc"
        assert len(frame) == 3
        assert str(frame)
    assert zmq.Frame().bytes == b""
    with pytest.raises(TypeError):
        zmq.Frame("text")
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    frame = zmq.Frame(b"z" * 100_000)
    for _ in range(3):  # the same frame may be sent again
        push.send(frame, copy=False)
    assert [pull.recv() for _ in range(3)] == [b"z" * 100_000] * 3
    assert frame.bytes == b"z" * 100_000


@ours_only
def test_a_frame_is_made_once(world):
    """A view of it refers to memory that a second making would give back."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "tcp")
    push.send_multipart([b"r" * 100_000, b"s"])
    for frame in (zmq.Frame(b"m" * 1000), zmq.Frame(), *pull.recv_multipart(copy=False)):
        before, view = frame.bytes, memoryview(frame)
        with pytest.raises(RuntimeError):
            frame.__init__(b"again")
        assert bytes(view) == before == frame.bytes


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_received_frame_is_sent_on(world, transport):
    push, middle_in = world.pair(zmq.PUSH, zmq.PULL, transport)
    middle_out, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    for size in (5, 70_000):
        push.send_multipart([b"x" * size, b"", b"y" * size])
        middle_out.send_multipart(middle_in.recv_multipart(copy=False), copy=False)
        assert pull.recv_multipart() == [b"x" * size, b"", b"y" * size]


@ours_only
@pytest.mark.parametrize("size", [40, 20_000, 300_000])
def test_what_was_received_is_written_to_by_its_owner_alone(world, size):
    """A frame from the network may be changed; what arrives from it over inproc is nobody's but the receiver's."""
    push, middle = world.pair(zmq.PUSH, zmq.PULL, "tcp")
    out, first = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    push.send(b"x" * size)
    frame = middle.recv(copy=False)
    view = memoryview(frame)
    view[:3] = b"own"
    out.send(frame, copy=False)
    data = first.recv()
    out.send(frame, copy=False)
    other = first.recv(copy=False)
    for changed in (frame, other):
        if not memoryview(changed).readonly:
            memoryview(changed)[:3] = b"new"
    view[:3] = b"old"
    assert (type(data), data[:4]) == (bytes, b"ownx")
    assert memoryview(other).readonly or bytes(other)[:4] == b"newx"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_tracker_tells_when_the_buffer_is_free(world, transport):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, transport)
    data = bytearray(b"t" * 200_000)
    tracker = push.send(data, copy=False, track=True)
    frame = pull.recv(copy=False)
    assert frame.bytes == bytes(data)
    del frame
    gc.collect()
    tracker.wait(10)
    assert tracker.done
    data.extend(b"x")  # nobody holds the buffer any more


def test_tracker_of_what_can_not_go(world):
    push = world.socket(zmq.PUSH)
    push.connect("inproc://nobody")
    tracker = push.send(b"w" * 200_000, copy=False, track=True)
    assert not tracker.done
    with pytest.raises(zmq.NotDone):
        tracker.wait(0.02)
    push.close(0)
    world.close()
    tracker.wait(10)


def test_tracker_of_many(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    tracker = push.send_multipart([b"a" * 100_000, b"b" * 100_000], copy=False, track=True)
    pull.recv_multipart()
    tracker.wait(10)
    assert zmq.MessageTracker(tracker).done
    assert zmq.MessageTracker().done
    with pytest.raises(Exception, match=""):
        zmq.MessageTracker(5)


def test_zero_copy_buffers_are_released(world):
    """What was sent without a copy is let go when it has left."""

    class Data(bytearray):
        pass

    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    references = []
    for _ in range(20):
        data = Data(100_000)
        references.append(weakref.ref(data))
        push.send(data, copy=False)
        assert len(pull.recv()) == 100_000
        del data

    def released():
        gc.collect()
        push.poll(1, int(zmq.POLLOUT))
        return all(reference() is None for reference in references)

    wait_for(released, "all buffers being released")


def test_changing_a_copied_buffer_is_safe(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    data = bytearray(b"before" * 1000)
    push.send(data)
    data[:] = b"after!" * 1000
    assert pull.recv() == b"before" * 1000


@pytest.mark.parametrize("size", [0, 1, 100, 99_999, 3_000_000])
def test_recv_into(world, size):
    push, pull = world.pair(zmq.PUSH, zmq.PULL)
    push.send(b"i" * size)
    target = bytearray(size)
    if size == 0:
        target = bytearray(1)
    assert pull.recv_into(target) == size
    assert bytes(target[:size]) == b"i" * size


def test_recv_into_too_small_and_part(world):
    """A message larger than the buffer is cut; the return value is its full length, as recv(2)'s MSG_TRUNC."""
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    target = bytearray(b"........")
    push.send(b"0123456789")
    assert pull.recv_into(memoryview(target)[:4]) in (4, 10)
    assert target == b"0123...."
    push.send(b"abc")
    assert pull.recv_into(target, nbytes=2) in (2, 3)
    assert target == b"ab23...."
    push.send_multipart([b"x", b"y"])
    assert pull.recv_into(target) == 1
    assert pull.rcvmore
    assert pull.recv() == b"y"
    with pytest.raises((BufferError, TypeError, ValueError)):
        pull.recv_into(b"read only")
    with pytest.raises(zmq.Again):
        pull.recv_into(target, flags=int(zmq.DONTWAIT))


@ours_only
@pytest.mark.parametrize("link", links())
def test_batches(world, link):
    transport, side_a, side_b = link
    push, pull = world.socket(zmq.PUSH, side_a), world.socket(zmq.PULL, side_b)
    world.link(pull, push, transport)
    messages = [b"%d" % number if number % 3 else [b"%d" % number, b"", b"x" * number] for number in range(2000)]
    expected = [one if isinstance(one, list) else [one] for one in messages]
    if side_a == "impl":
        from support.waiting import Task

        task = Task(push.send_many, messages)
    else:
        task = None
        for one in expected[:900]:
            push.send_multipart(one)
        expected = expected[:900]
    got = []
    while len(got) < len(expected):
        if side_b == "impl":
            part = pull.recv_many(100, 10_000)
            assert 1 <= len(part) <= 100
            got += [one if isinstance(one, list) else [one] for one in part]
        else:
            got.append(pull.recv_multipart())
    assert got == expected
    if task is not None:
        assert task.result() == 2000


@ours_only
def test_recv_many_takes_what_is_there(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    assert push.send_many([b"a", (b"b", b"c"), bytearray(b"d")]) == 3
    assert [one if isinstance(one, list) else [one] for one in pull.recv_many()] == [[b"a"], [b"b", b"c"], [b"d"]]
    assert pull.recv_many(timeout=0) == []
    assert pull.recv_many(timeout=1) == []
    push.send_many(b"%d" % number for number in range(10))
    assert len(pull.recv_many(4)) == 4
    assert len(pull.recv_many()) == 6
    assert push.send_many([]) == 0
    assert push.send_many(iterable=[b"named"], flags=0) == 1
    assert pull.recv_many(max_n=5, timeout=1000) == [b"named"]
    assert pull.recv_many(0) == []
    for negative in (-1, -3):
        with pytest.raises(ValueError, match="max_n"):
            pull.recv_many(negative)
    with pytest.raises(zmq.ZMQError) as caught:
        push.send_many([b"x"], zmq.SNDMORE)
    assert caught.value.errno == int(zmq.EINVAL)
    assert pull.recv_many(timeout=0) == []


@ours_only
def test_send_many_stops_where_it_can_not_go_on(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc", options_a={"SNDHWM": 2}, options_b={"RCVHWM": 2})
    source = iter([b"%d" % number for number in range(10)])
    assert push.send_many(source, int(zmq.DONTWAIT)) == 4
    assert [parts[0] for parts in drain(pull)] == [b"0", b"1", b"2", b"3"]

    def broken():
        yield b"good"
        raise KeyError("the iterable's own error")

    with pytest.raises(KeyError):
        push.send_many(broken())
    with pytest.raises(TypeError):
        push.send_many([b"fine", "text"])
    assert [parts[0] for parts in drain(pull)] == [b"good", b"fine"]


@needs_draft
def test_frame_group_and_routing_id():
    frame = zmq.Frame(b"x")
    frame.group = "movies"
    frame.routing_id = 77
    assert (frame.group, frame.routing_id) == ("movies", 77)


def test_serialised_forms(world):
    push, pull = world.pair(zmq.PUSH, zmq.PULL, "inproc")
    push.send_string("grün")
    assert pull.recv_string() == "grün"
    push.send_json({"a": [1, 2.5, None]})
    assert pull.recv_json() == {"a": [1, 2.5, None]}
    push.send_pyobj({1, 2})
    assert pull.recv_pyobj() == {1, 2}
    push.send_serialized([1, 2], lambda parts: [b"%d" % part for part in parts])
    assert pull.recv_serialized(lambda parts: [int(part) for part in parts]) == [1, 2]


def test_z85():
    import importlib

    z85 = importlib.import_module(f"{zmq.__name__}.utils.z85")
    raw = bytes.fromhex("86 4F D2 6F B5 59 F7 5B")
    assert z85.encode(raw) == b"HelloWorld"  # RFC 32
    assert z85.decode(b"HelloWorld") == raw
    assert z85.decode("HelloWorld") == raw
    for size in range(0, 64, 4):
        data = bytes(range(size))
        assert z85.decode(z85.encode(data)) == data
    for bad in (b"123", b'"bad"'):
        with pytest.raises((ValueError, KeyError)):
            z85.decode(bad)
    with pytest.raises(ValueError):
        z85.encode(b"123")
