"""What the Python layer adds to the engine's contexts."""

import copy
import gc
import os
import signal
from threading import Thread

import pytest

import pyzq


@pytest.fixture
def context():
    with pyzq.Context() as made:
        yield made


def test_defaults_for_sockets(context):
    context.linger = 5
    context.RCVHWM = 7
    context.setsockopt(pyzq.SNDHWM, 9)
    context.subscribe = b""  # not an option of most types
    assert context.linger == context.getsockopt(pyzq.LINGER) == 5
    with context.socket(pyzq.DEALER) as socket:
        assert (socket.linger, socket.rcvhwm, socket.sndhwm) == (5, 7, 9)
    del context.linger
    with pytest.raises(AttributeError):
        _ = context.linger
    with pytest.raises(AttributeError):
        del context.linger
    with pytest.raises(KeyError):
        context.getsockopt(pyzq.LINGER)


def test_options_of_the_context(context):
    context.max_sockets = 17
    assert context.MAX_SOCKETS == context.get(pyzq.MAX_SOCKETS) == 17
    assert "MAX_SOCKETS" in dir(context)
    with pytest.raises(AttributeError, match="APPLE"):
        context.apple = 1
    with pytest.raises(AttributeError, match="APPLE"):
        _ = context.apple


def test_repr(context):
    assert repr(context).startswith("<zmq.Context() at 0x")
    with context.socket(pyzq.PUSH):
        assert "Context(1 socket)" in repr(context)
        with context.socket(pyzq.PUSH):
            assert "Context(2 sockets)" in repr(context)

    class Mine(pyzq.Context):
        pass

    with Mine() as mine:
        assert "Mine()" in repr(mine)
    assert repr(mine).endswith("closed>")


def test_leaving_the_block_closes_sockets_with_a_warning():
    with pytest.warns(ResourceWarning, match="unclosed socket"), pyzq.Context() as context:
        socket = context.socket(pyzq.PUSH)
    assert socket.closed
    assert context.closed


def test_destroy(context):
    sockets = [context.socket(pyzq.PUSH) for _ in range(5)]
    sockets[0].close()
    context.destroy(linger=0)
    assert context.closed
    assert all(socket.closed for socket in sockets)
    context.destroy()
    context.term()


def test_closed_context_makes_no_sockets():
    context = pyzq.Context()
    shadow = pyzq.Context.shadow(context)
    context.term()
    with pytest.raises(pyzq.ZMQError) as caught:
        context.socket(pyzq.PUSH)
    assert caught.value.errno == pyzq.ENOTSUP
    with pytest.raises(pyzq.ZMQError) as caught:
        shadow.socket(pyzq.PUSH)
    assert caught.value.errno == pyzq.EFAULT


def test_no_shadow_of_what_is_gone():
    context = pyzq.Context()
    context.term()
    with pytest.raises(pyzq.ZMQError) as caught:
        pyzq.Context.shadow(context)
    assert caught.value.errno == pyzq.EFAULT


def test_unclosed_context_warns_and_does_not_wait():
    context = pyzq.Context()
    push = context.socket(pyzq.PUSH)
    push.connect("tcp://127.0.0.1:9")
    push.send(b"never delivered")
    push.close()  # lingers for ever
    with pytest.warns(ResourceWarning, match="Unclosed context"):
        del context, push


def test_shadow(context):
    shadows = (
        pyzq.Context.shadow(context),
        pyzq.Context.shadow(context.underlying),
        pyzq.Context(context),
        copy.copy(context),
        copy.deepcopy(context),
    )
    for number, second in enumerate(shadows):
        assert second._shadow
        assert second.underlying == context.underlying
        with second.socket(pyzq.PULL) as pull, context.socket(pyzq.PUSH) as push:
            pull.bind(f"inproc://shared-{number}")
            push.connect(f"inproc://shared-{number}")
            push.send(b"x")
            assert pull.recv() == b"x"
            assert pull.context is second
    del shadows, second, pull
    gc.collect()
    assert not context.closed
    with pytest.raises(pyzq.ZMQError) as caught:
        pyzq.Context.shadow(12345)
    assert caught.value.errno == pyzq.EFAULT
    with pytest.raises(ValueError, match="Cannot cast"):
        pyzq.Context.shadow("x")


def test_destroying_a_shadow_spares_the_others_sockets(context):
    shadow = pyzq.Context.shadow(context)
    mine, others = shadow.socket(pyzq.PUSH), context.socket(pyzq.PUSH)
    shadow._close_sockets(0, False)
    assert mine.closed
    assert not others.closed
    others.close()


def test_a_wrong_number_of_threads():
    with pytest.raises(pyzq.ZMQError) as caught:
        pyzq.Context(-1)
    assert caught.value.errno == pyzq.EINVAL


def test_instance():
    first = pyzq.Context.instance()
    assert pyzq.Context.instance(io_threads=2) is first
    first.term()
    second = pyzq.Context.instance()
    assert second is not first
    assert not second.closed
    second.term()


def test_instance_is_replaced_under_many_threads():
    def use():
        for _ in range(3):
            with pyzq.Context.instance().socket(pyzq.PUSH) as socket:
                seen.append(socket.context)

    for _ in range(50):
        seen = []
        threads = [Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(map(id, seen)) == {id(pyzq.Context.instance())}
        pyzq.Context.instance().term()


def test_instance_of_a_subclass():
    class Own(pyzq.Context):
        _instance = None

    class Shared(pyzq.Context):
        pass

    general = pyzq.Context.instance()
    own = Own.instance()
    assert type(own) is Own
    assert Shared.instance() is general
    own.term()
    general.term()


def test_instance_after_fork():
    context = pyzq.Context.instance()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            ours = pyzq.Context.instance()
            answer = b"same" if ours is context else b"other"
            ours.term()
        except BaseException as error:
            answer = repr(error).encode()
        os.write(writing, answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"other"
    os.waitpid(child, 0)
    assert pyzq.Context.instance() is context
    context.term()
