"""Error numbers and the exceptions they become."""

import errno
import os

import pytest

from pyzq import Context, error
from pyzq.constants import IO_THREADS, Errno
from zcore import errors


def raised(number, detail=""):
    with pytest.raises(error.ZMQError) as caught:
        errors.raise_errno(number, detail)
    return caught.value


@pytest.mark.parametrize(
    ("number", "cls"),
    [
        (errno.EAGAIN, error.Again),
        (errno.EINTR, error.InterruptedSystemCall),
        (Errno.ETERM, error.ContextTerminated),
        (Errno.EFSM, error.WrongState),
        (errno.ENOTSOCK, error.SocketClosed),
        (errno.EHOSTUNREACH, error.NoRoute),
        (errno.EADDRINUSE, error.AddressInUse),
        (errno.EINVAL, error.ZMQError),
        (errno.ENODEV, error.ZMQError),
    ],
)
def test_each_number_has_its_class(number, cls):
    for given in (number, -number):
        caught = raised(given)
        assert type(caught) is cls
        assert caught.errno == number
        assert str(caught) == caught.strerror == errors.strerror(number)
        assert caught.hint == ""


def test_every_class_is_a_general_one_with_the_right_number():
    assert issubclass(error.InterruptedSystemCall, InterruptedError)
    assert issubclass(error.ZMQVersionError, NotImplementedError)
    for cls in (error.Again, error.ContextTerminated, error.WrongState, error.SocketClosed, error.ForkedSocket):
        assert issubclass(cls, error.ZMQError)
    for cls in (error.ZMQError, error.ZMQBindError, error.NotDone):
        assert issubclass(cls, error.ZMQBaseError)


def test_a_detail_is_a_hint_and_shown():
    for number in (errno.EINVAL, errno.EAGAIN, Errno.EFSM):
        caught = raised(number, "the queue is full")
        assert caught.hint == "the queue is full"
        assert str(caught) == f"{errors.strerror(number)} (the queue is full)"
    assert error.Again.strerror == os.strerror(errno.EAGAIN)


def test_text_of_numbers():
    assert errors.strerror(errno.EINVAL) == os.strerror(errno.EINVAL)
    assert "state" in errors.strerror(Errno.EFSM)
    assert "terminated" in errors.strerror(Errno.ETERM)


def test_general_error():
    assert error.ZMQError(errno.EINVAL).strerror == os.strerror(errno.EINVAL)
    assert repr(error.ZMQError(errno.EINVAL)) == f"ZMQError('{os.strerror(errno.EINVAL)}')"
    assert str(error.ZMQError(errno.EINVAL, "no")) == "no"
    assert error.ZMQError("just text").errno is None
    assert str(error.ZMQError("just text")) == "just text"


def test_last_error_is_remembered_by_thread():
    raised(errno.EDOM)
    assert errors.zmq_errno() == errno.EDOM
    assert error.ZMQError().errno == errno.EDOM

    from threading import Thread

    seen = []
    thread = Thread(target=lambda: seen.append(errors.zmq_errno()))
    thread.start()
    thread.join()
    assert seen == [0]


def test_arguments_of_fixed_errors_are_ignored():
    assert error.Again(5, "x").errno == errno.EAGAIN
    assert error.ContextTerminated(errno=1, msg="x").errno == Errno.ETERM
    assert error.InterruptedSystemCall(msg="x").errno == errno.EINTR


def test_a_closed_context_is_both_errors():
    """pyzmq raises RuntimeError here."""
    context = Context()
    context.term()
    for call in (lambda: context.get(IO_THREADS), lambda: context.set(IO_THREADS, 1)):
        for kind in (RuntimeError, error.ZMQError, error.ContextClosed):
            with pytest.raises(kind) as caught:
                call()
        assert caught.value.errno == errno.EFAULT


def test_shared_numbers_say_which():
    with pytest.raises(error.ForkedSocket) as caught:
        errors.raise_forked(1234)
    assert caught.value.errno == errno.ENOTSOCK
    assert "1234" in str(caught.value)
    with pytest.raises(error.OptionTooLate) as caught:
        errors.raise_too_late("IO_THREADS")
    assert caught.value.errno == errno.EINVAL
    assert "IO_THREADS" in str(caught.value)


def test_version_error():
    wanted = error.ZMQVersionError("9.0", "Teleport")
    assert str(wanted) == "Teleport requires libzmq >= 9.0, have 4.3.5"
    assert repr(wanted) == f"ZMQVersionError('{wanted}')"
