"""Fixtures of the poller and the reactor: each over every backend."""

import os
import socket

import pytest

from zcore import poller
from zcore import selftest_poller as sp
from zcore import selftest_reactor as sr


@pytest.fixture(params=poller.available_backends())
def backend(request):
    return request.param


@pytest.fixture
def p(backend):
    probe = sp.PollerProbe(backend)
    yield probe
    probe.close()


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    yield a, b
    a.close()
    b.close()


@pytest.fixture
def pairs():
    """Socket pairs on demand."""
    made = []

    def make():
        pair = socket.socketpair()
        made.append(pair)
        return pair

    yield make
    for pair in made:
        for s in pair:
            try:
                s.close()
            except OSError:
                pass  # a test's script has closed it


@pytest.fixture
def idle(backend, pairs):
    """A reactor that has not been started; it ends before the sockets that it watches."""
    probe = sr.ReactorProbe(backend)
    yield probe
    probe.stop()
    probe.free()


@pytest.fixture
def r(idle):
    idle.start()
    return idle


@pytest.fixture
def gate():
    """A descriptor that scripts wait for, and the function that opens it."""
    reading, writing = os.pipe()
    yield reading, lambda: os.write(writing, b"x")
    os.close(reading)
    os.close(writing)
