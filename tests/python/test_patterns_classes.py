"""The classes of the patterns: each with the methods its type has, each talking to its counterpart."""

import inspect

import pytest

import pyzq
from pyzq import patterns
from pyzq.hwm import DropOldest

CLASSES = [getattr(patterns, name) for name in patterns.__all__ if name != "Pattern"]
MUTE = {"Pull", "Sub", "Dish", "Gather"}
DEAF = {"Push", "Pub", "Radio", "Scatter"}
SINGLE = {"Client", "Server", "Radio", "Dish", "Scatter", "Gather", "Peer", "Channel"}


@pytest.fixture
def context():
    with pyzq.Context() as made:
        yield made


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_methods_are_those_of_the_type(cls):
    name = cls.__name__
    assert cls.type.name == name.upper()
    for method in ("send", "send_many", "send_string", "send_json", "send_pyobj"):
        assert hasattr(cls, method) == (name not in MUTE)
    for method in ("recv", "recv_into", "recv_many", "recv_string", "recv_json", "recv_pyobj"):
        assert hasattr(cls, method) == (name not in DEAF)
    assert hasattr(cls, "send_multipart") == (name not in MUTE | SINGLE)
    assert hasattr(cls, "recv_multipart") == (name not in DEAF | SINGLE)
    assert hasattr(cls, "subscribe") == (name == "Sub")
    assert hasattr(cls, "join") == (name == "Dish")
    assert cls.__doc__
    for base in inspect.getmro(cls):
        assert "__dict__" not in vars(base), base


def test_every_type_has_a_class():
    assert {cls.type for cls in CLASSES} == set(pyzq.SocketType) - {pyzq.DGRAM}


@pytest.mark.parametrize(
    ("bound", "connected"), [("Pull", "Push"), ("Push", "Pull"), ("Rep", "Req"), ("Pair", "Pair"), ("Dealer", "Dealer")]
)
def test_they_talk(context, bound, connected):
    with (
        getattr(patterns, bound)(context=context, bind="tcp://127.0.0.1:*", linger=0) as first,
        getattr(patterns, connected)(context=context, connect=first.last_endpoint, linger=0) as second,
    ):
        sender, receiver = (second, first) if hasattr(second, "send") else (first, second)
        sender.send(b"x")
        assert receiver.poll(10_000)
        assert receiver.recv() == b"x"
    assert first.closed
    assert second.closed


def test_calls_are_the_sockets_own(context):
    with patterns.Dealer(context=context) as dealer:
        for name in ("send", "recv", "send_multipart", "recv_multipart", "send_many", "recv_many", "poll"):
            assert getattr(dealer, name) == getattr(dealer.socket, name)
        assert dealer.context is context
        with pytest.raises(AttributeError):
            dealer.something = 1


def test_several_addresses_and_topics(context):
    with (
        patterns.Pub(context=context, bind=["inproc://one", "tcp://127.0.0.1:*"]) as pub,
        patterns.Sub(context=context, connect=("inproc://one",), subscribe=["a", b"b"], rcvtimeo=10_000) as sub,
    ):
        for message in (b"apple", b"bird"):
            for _ in range(1000):
                pub.send(b"x")
                pub.send(message)
                if sub.poll(10):
                    break
            assert sub.recv() == message


def test_options(context):
    with patterns.Push(context=context, sndhwm=7, linger=0, hwm_policy=DropOldest(messages=7), identity="me") as push:
        assert push.get(pyzq.SNDHWM) == 7
        assert push.get(pyzq.IDENTITY) == b"me"
        assert push.socket.hwm_policy == DropOldest(messages=7)
    with patterns.Dealer(context=context, hwm=5) as dealer:
        assert dealer.socket.sndhwm == dealer.socket.rcvhwm == 5
    with pytest.raises(TypeError, match="no option 'lingr'; is 'linger' meant"):
        patterns.Push(context=context, lingr=0)
    with pytest.raises(pyzq.ZMQError):
        patterns.Push(context=context, connect="nowhere")
    with pytest.raises(TypeError):
        patterns.Pattern(context=context)


def test_a_failed_one_leaves_no_socket(context):
    with pytest.raises(pyzq.ZMQError):
        patterns.Push(context=context, bind="tcp://nonsense")
    assert "()" in repr(context)


def test_default_context():
    with patterns.Push(linger=0) as push:
        assert push.context is pyzq.Context.instance()
    pyzq.Context.instance().term()
