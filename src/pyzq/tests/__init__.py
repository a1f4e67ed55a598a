"""Base classes for test cases that use sockets, for projects whose tests are built on them.

A context and the sockets made with `socket` are closed when a test ends, and a context that does not terminate fails
the test.
"""

from __future__ import annotations

import os
import platform
import time
from functools import wraps
from threading import Thread
from unittest import SkipTest, TestCase, skip

import pyzq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _FunctionT = TypeVar("_FunctionT", bound=Callable[..., Any])

try:
    import gevent  # type: ignore[import-untyped,unused-ignore]

    from pyzq import green as _green
except ImportError:
    gevent = _green = None  # type: ignore[assignment]
# `pyzq.green`; None without gevent.
gzmq: Any = _green
have_gevent: bool = gzmq is not None

PYPY = platform.python_implementation() == "PyPy"
# Seconds that terminating a context, or receiving what was sent, may take.
_PATIENCE = 10


def _same(function: _FunctionT) -> _FunctionT:
    return function


skip_pypy: Callable[[_FunctionT], _FunctionT] = skip("does not work on PyPy") if PYPY else _same
require_zmq_4 = _same


def skip_green(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let a test be skipped where its test case is made to use `pyzq.green`."""

    @wraps(f)
    def skipping(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.green:
            raise SkipTest("Skipping because we're green.")
        return f(self, *args, **kwargs)

    return skipping


def term_context(ctx: Any, timeout: float) -> None:
    """Terminate a context.

    Args:
        ctx: the context; its sockets should be closed.
        timeout: seconds that it may take.

    Raises:
        RuntimeError: it took longer.
    """
    thread = Thread(target=ctx.term, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise RuntimeError("context could not terminate, open sockets likely remain in test")


class BaseZMQTestCase(TestCase):
    """A test case with a context.

    Attributes:
        Context: the class of the context.
        context: the context, new for each test.
        sockets: those that are closed when the test ends.
        teardown_timeout: seconds that closing everything may take.
    """

    green = False
    teardown_timeout = _PATIENCE
    test_timeout_seconds: int = int(os.environ.get("ZMQ_TEST_TIMEOUT") or 60)
    sockets: list[Any]
    contexts: list[Any]
    context: Any

    @property
    def Context(self) -> Any:
        """The class of contexts."""
        return gzmq.Context if self.green else pyzq.Context

    def setUp(self) -> None:
        """Make a context."""
        super().setUp()
        if self.green and not have_gevent:
            raise SkipTest("requires gevent")
        self.context = self.Context.instance()
        self.contexts = [self.context]
        self.sockets = []

    def tearDown(self) -> None:
        """Close the sockets and terminate the contexts."""
        contexts = [*self.contexts]
        while self.sockets:
            socket = self.sockets.pop()
            contexts.append(socket.context)
            socket.close(0)
        for context in {id(context): context for context in contexts}.values():
            term_context(context, self.teardown_timeout)
        super().tearDown()

    def socket(self, socket_type: int) -> Any:
        """A socket that is closed when the test ends."""
        socket = self.context.socket(socket_type)
        self.sockets.append(socket)
        return socket

    def create_bound_pair(
        self, type1: int = pyzq.PAIR, type2: int = pyzq.PAIR, interface: str = "tcp://127.0.0.1"
    ) -> tuple[Any, Any]:
        """Two sockets that are connected; they are closed when the test ends."""
        first, second = self.socket(type1), self.socket(type2)
        for socket in (first, second):
            socket.linger = 0
        port = first.bind_to_random_port(interface)
        second.connect(f"{interface}:{port}")
        return first, second

    def ping_pong(self, s1: Any, s2: Any, msg: bytes) -> Any:
        """Send a message there and back."""
        s1.send(msg)
        s2.send(s2.recv())
        return s1.recv()

    def ping_pong_json(self, s1: Any, s2: Any, o: object) -> Any:
        """Send an object there and back as JSON."""
        s1.send_json(o)
        s2.send_json(s2.recv_json())
        return s1.recv_json()

    def ping_pong_pyobj(self, s1: Any, s2: Any, o: object) -> Any:
        """Send an object there and back as pickle."""
        s1.send_pyobj(o)
        s2.send_pyobj(s2.recv_pyobj())
        return s1.recv_pyobj()

    def assertRaisesErrno(self, errno: int, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Fail unless a call raises ZMQError with this errno."""
        try:
            func(*args, **kwargs)
        except pyzq.ZMQError as error:
            if error.errno != errno:
                self.fail(f"wrong error raised, expected '{pyzq.ZMQError(errno)}', got '{pyzq.ZMQError(error.errno)}'")
        else:
            self.fail("Function did not raise any error")

    def recv(self, socket: Any, **kwargs: Any) -> Any:
        """Receive one part, or fail when none comes."""
        return self._received(socket.recv, socket, **kwargs)

    def recv_multipart(self, socket: Any, **kwargs: Any) -> Any:
        """Receive a message, or fail when none comes."""
        return self._received(socket.recv_multipart, socket, **kwargs)

    def _received(self, receive: Callable[..., Any], socket: Any, **kwargs: Any) -> Any:
        kwargs["flags"] = pyzq.DONTWAIT | kwargs.get("flags", 0)
        if not socket.poll(_PATIENCE * 1000):
            self.fail("Should have received a message")
        return receive(**kwargs)


class PollZMQTestCase(BaseZMQTestCase):
    """A test case for pollers."""


if TYPE_CHECKING:
    _Mixed = BaseZMQTestCase
else:
    _Mixed = object


class GreenTest(_Mixed):
    """Mixed into a test case, it makes its sockets those of `pyzq.green`."""

    green = True
    teardown_timeout = _PATIENCE

    def skip_green(self) -> None:
        """Skip the test that calls it."""
        raise SkipTest("Skipping because we're green.")

    def assertRaisesErrno(self, errno: int, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Fail unless a call raises ZMQError with this errno. What would wait for room or messages is skipped."""
        if errno == pyzq.EAGAIN:
            raise SkipTest("Skipping because we're green.")
        super().assertRaisesErrno(errno, func, *args, **kwargs)

    def tearDown(self) -> None:
        """Close the sockets and terminate the contexts, letting other greenlets run."""
        contexts = [*self.contexts]
        while self.sockets:
            socket = self.sockets.pop()
            contexts.append(socket.context)
            socket.close(0)
        for context in {id(context): context for context in contexts}.values():
            end = time.monotonic() + self.teardown_timeout
            thread = Thread(target=context.term, daemon=True)
            thread.start()
            while thread.is_alive() and time.monotonic() < end:
                gevent.sleep(0.01)
            if thread.is_alive():
                raise RuntimeError("context could not terminate, open sockets likely remain in test")


__all__ = [
    "PYPY",
    "BaseZMQTestCase",
    "GreenTest",
    "PollZMQTestCase",
    "SkipTest",
    "gzmq",
    "have_gevent",
    "require_zmq_4",
    "skip_green",
    "skip_pypy",
    "term_context",
]
