"""What the Python layer adds to the engine's sockets."""

import copy
import gc
import json

import pytest

import pyzq
from pyzq.utils.monitor import recv_monitor_message

from .support_pairs import pair


@pytest.fixture
def context():
    with pyzq.Context() as made:
        yield made


@pytest.fixture
def socket(context):
    with context.socket(pyzq.DEALER) as made:
        made.linger = 0
        yield made


def test_options_as_attributes(socket):
    for name in ("linger", "LINGER"):
        setattr(socket, name, 7)
        assert getattr(socket, name) == socket.get(pyzq.LINGER) == 7
        setattr(socket, name, 0)
    socket.Linger = 3
    assert socket.linger == 3
    socket.linger = 0
    socket.identity = b"me"
    assert socket.routing_id == socket.IDENTITY == b"me"


def test_options_that_cannot_be_read(socket):
    for name in ("subscribe", "req_relaxed"):
        assert name.upper() in dir(socket)
    with pytest.raises(AttributeError, match="write-only"):
        _ = socket.REQ_RELAXED
    with pytest.raises(AttributeError, match="write-only"):
        _ = socket.SUBSCRIBE


def test_other_attributes_are_refused(socket):
    with pytest.raises(AttributeError, match="APPLE"):
        socket.apple = 5
    with pytest.raises(AttributeError):
        _ = socket.apple
    assert not hasattr(socket, "_something")


def test_subclass_announces_its_attributes(context):
    class Mine(pyzq.Socket):
        announced: int
        given = None

        def __init__(self, *args, extra=1, **kwargs):
            self.given = extra
            super().__init__(*args, **kwargs)

    with context.socket(pyzq.PUSH, socket_class=Mine, extra=5) as mine:
        assert mine.given == 5
        mine.announced = 6
        assert mine.announced == 6
        with pytest.raises(AttributeError):
            mine.other = 1


def test_existing_names_can_be_replaced(socket):
    socket.send = lambda *_: "replaced"
    assert socket.send(b"x") == "replaced"
    del socket.send
    assert socket.send.__name__ == "send"


def test_type(context):
    socket = context.socket(pyzq.ROUTER)
    assert socket.type is socket.socket_type is pyzq.ROUTER
    assert socket.TYPE == socket.get(pyzq.TYPE) == pyzq.ROUTER
    socket.close()
    assert socket.type is pyzq.ROUTER


def test_repr(context):
    socket = context.socket(pyzq.REQ)
    assert repr(socket).startswith("<zmq.Socket(zmq.REQ) at 0x")
    socket.close()
    assert repr(socket).endswith("closed>")

    class Mine(pyzq.Socket):
        pass

    with Mine(context, pyzq.SUB) as mine:
        assert "Mine(zmq.SUB)" in repr(mine)


def test_the_engine_does_not_call_what_a_subclass_overrides(context):
    class Mine(pyzq.Socket):
        def send(self, *args, **kwargs):
            raise AssertionError("called")

        send_multipart = recv = recv_multipart = set = get = send

    with Mine(context, pyzq.PAIR) as mine, context.socket(pyzq.PAIR) as other:
        pyzq.backend.Socket.bind(mine, "inproc://mine")
        other.connect("inproc://mine")
        send_multipart, recv_multipart = pyzq.backend.Socket.send_multipart, pyzq.backend.Socket.recv_multipart
        for parts in ([b"one"], [b"one", b"two"], [bytearray(3)]):
            send_multipart(mine, parts)
            assert other.recv_multipart() == parts
            other.send_multipart(parts)
            assert recv_multipart(mine) == parts
        assert pyzq.backend.Socket.send_many(mine, [b"one", [b"two", b"three"], bytearray(2)]) == 3
        assert pyzq.backend.Socket.poll(mine, 0, pyzq.POLLOUT) == pyzq.POLLOUT
        assert [other.recv_multipart() for _ in range(3)] == [[b"one"], [b"two", b"three"], [bytes(2)]]


def test_needs_a_context():
    for arguments in ((), (None, pyzq.PUSH)):
        with pytest.raises(TypeError, match="context must be specified"):
            pyzq.Socket(*arguments)


def test_hwm(socket):
    socket.hwm = 50
    assert socket.hwm == socket.HWM == socket.sndhwm == socket.rcvhwm == socket.get_hwm() == 50
    socket.rcvhwm = 7
    assert socket.hwm == 50


def test_strings(socket):
    socket.set_string(pyzq.IDENTITY, "größe")
    assert socket.get(pyzq.IDENTITY) == "größe".encode()
    assert socket.get_string(pyzq.IDENTITY) == "größe"
    socket.setsockopt_string(pyzq.IDENTITY, "ö", encoding="latin-1")
    assert socket.getsockopt_unicode(pyzq.IDENTITY, "latin-1") == "ö"
    with pytest.raises(TypeError):
        socket.set_string(pyzq.IDENTITY, b"bytes")
    with pytest.raises(TypeError):
        socket.get_string(pyzq.LINGER)


@pytest.mark.parametrize("address", ["inproc://end", "tcp://127.0.0.1:*"])
def test_bind_and_connect_end_with_their_block(context, socket, address):
    bind = socket.bind(address)
    with bind as bound:
        last = socket.last_endpoint.decode()
        assert bound is socket
        assert repr(bind) == f"<SocketContext(bind={last!r})>"
        with context.socket(pyzq.DEALER) as other:
            other.linger = 0
            connect = other.connect(last)
            assert repr(connect) == f"<SocketContext(connect={last!r})>"
            with connect as connected:
                assert connected is other
            with pytest.raises(pyzq.ZMQError):
                other.disconnect(last)
    with pytest.raises(pyzq.ZMQError):
        socket.unbind(last)


def test_closed_socket_leaves_the_block_quietly(context):
    socket = context.socket(pyzq.PULL)
    with socket.bind("inproc://quiet"):
        socket.close()


def test_errors_name_the_address(socket):
    for call, address in ((socket.bind, "tcp://no colon"), (socket.connect, "nothing://here")):
        with pytest.raises(pyzq.ZMQError) as caught:
            call(address)
        assert address in str(caught.value)
        assert str(caught.value).count(address) == 1


def test_random_port(socket):
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    assert socket.last_endpoint == b"tcp://127.0.0.1:%d" % port
    other = socket.bind_to_random_port("tcp://127.0.0.1", min_port=port, max_port=port + 2000)
    assert port < other < port + 2000


def test_random_port_gives_up(context, socket):
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    with context.socket(pyzq.PULL) as other:
        with pytest.raises(pyzq.ZMQBindError):
            other.bind_to_random_port("tcp://127.0.0.1", min_port=port, max_port=port + 1, max_tries=3)
        with pytest.raises(pyzq.ZMQError) as caught:
            other.bind_to_random_port("nothing://", min_port=1, max_port=2)
    assert caught.value.errno == pyzq.EPROTONOSUPPORT


def test_messages_of_other_kinds(context):
    with pair(context, pyzq.PAIR, pyzq.PAIR) as (a, b):
        a.send_string("größe")
        assert b.recv_string() == "größe"
        a.send_unicode("ö", encoding="latin-1")
        assert b.recv_unicode(encoding="latin-1") == "ö"
        a.send_json({"b": [1, "ö"], "a": None}, sort_keys=True)
        assert b.recv_json(parse_int=str) == {"a": None, "b": ["1", "ö"]}
        a.send_pyobj({1: {2, 3}})
        assert b.recv_pyobj() == {1: {2, 3}}
        a.send_serialized({"x": 1}, lambda msg: [b"head", json.dumps(msg).encode()])
        assert b.recv_serialized(lambda frames: (frames[0], json.loads(frames[1]))) == (b"head", {"x": 1})
        for wrong in (b"bytes", 5, None):
            with pytest.raises(TypeError):
                a.send_string(wrong)
        a.send(b"not json")
        with pytest.raises(ValueError, match="Expecting"):
            b.recv_json()


def test_subscribe(context):
    with pair(context, pyzq.PUB, pyzq.SUB) as (pub, sub):
        sub.rcvtimeo = 10_000
        sub.subscribe("é")
        sub.subscribe = b"b"
        sub.setsockopt(pyzq.SUBSCRIBE, b"c")
        sub.SUBSCRIBE = b"d"
        deliver_until(pub, sub, "é".encode())
        deliver_until(pub, sub, b"bird")
        deliver_until(pub, sub, b"cat")
        deliver_until(pub, sub, b"dog")
        sub.unsubscribe("é")
        sub.unsubscribe = "b"
    with context.socket(pyzq.PUSH) as push, pytest.raises(pyzq.ZMQError) as caught:
        push.subscribe("x")
    assert caught.value.errno == pyzq.EINVAL


def deliver_until(pub, sub, message):
    """Send until the subscription has arrived and the message comes back."""
    for _ in range(1000):
        pub.send(message)
        while sub.poll(10):
            if sub.recv() == message:
                return
    raise AssertionError(f"{message} never arrived")


def test_monitor_socket(context, socket):
    monitor = socket.get_monitor_socket(pyzq.EVENT_LISTENING | pyzq.EVENT_MONITOR_STOPPED)
    assert monitor.type is pyzq.PAIR
    assert socket.get_monitor_socket() is monitor
    monitor.rcvtimeo = 10_000
    socket.bind("tcp://127.0.0.1:*")
    event = recv_monitor_message(monitor)
    assert event["event"] is pyzq.Event.LISTENING
    assert event["endpoint"] == socket.last_endpoint
    socket.disable_monitor()
    assert recv_monitor_message(monitor)["event"] is pyzq.Event.MONITOR_STOPPED
    monitor.close()
    again = socket.get_monitor_socket()
    assert again is not monitor
    socket.disable_monitor()
    again.close()


def test_shadow(context):
    with pair(context, pyzq.PUSH, pyzq.PULL) as (push, pull):
        for second in (
            pyzq.Socket.shadow(push),
            pyzq.Socket.shadow(push.underlying),
            pyzq.Socket(push),
            copy.copy(push),
            copy.deepcopy(push),
        ):
            assert second._shadow
            assert second.underlying == push.underlying
            assert second.type is pyzq.PUSH
            assert second.context is context
            second.send(b"through the shadow")
            assert pull.recv() == b"through the shadow"
            del second
            gc.collect()
            assert not push.closed
    with pytest.raises(pyzq.ZMQError) as caught:
        pyzq.Socket.shadow(12345)
    assert caught.value.errno == pyzq.EFAULT


def test_unclosed_socket_warns(context):
    socket = context.socket(pyzq.PUSH)
    with pytest.warns(ResourceWarning, match="Unclosed socket"):
        del socket


def test_options_of_the_package_reach_new_sockets(context, monkeypatch):
    monkeypatch.setattr(pyzq, "COPY_THRESHOLD", 17)
    with context.socket(pyzq.PUSH) as socket:
        assert socket.copy_threshold == 17
    with pyzq.Socket(context, pyzq.PUSH, copy_threshold=5) as socket:
        assert socket.copy_threshold == 5
