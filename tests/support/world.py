"""Contexts, sockets and endpoints of one test, of both implementations, and their end."""

import itertools
import os
import shutil
import socket
import tempfile

import pytest

from support.impl import DEADLINE_MS, stock, zmq
from support.waiting import Task

_serial = itertools.count()


class World:
    def __init__(self):
        self._contexts = {}
        self._extra = []
        self._directory = None

    # -- contexts and sockets

    def context(self, side="impl"):
        if side not in self._contexts:
            self._contexts[side] = (zmq if side == "impl" else stock).Context()
        return self._contexts[side]

    def new_context(self, *args, **kwargs):
        """A further context of the implementation under test."""
        context = zmq.Context(*args, **kwargs)
        self._extra.append(context)
        return context

    def socket(self, kind, side="impl", context=None, **options):
        """A socket that never waits longer than the deadline; ``options`` by name, set before anything else happens."""
        made = (context or self.context(side)).socket(int(kind))
        values = {"LINGER": 0, "SNDTIMEO": DEADLINE_MS, "RCVTIMEO": DEADLINE_MS, **options}
        for name, value in values.items():
            made.set(int(getattr(zmq, name)), value)
        return made

    def stock(self, kind, **options):
        return self.socket(kind, side="stock", **options)

    # -- endpoints

    @property
    def directory(self):
        if self._directory is None:
            self._directory = tempfile.mkdtemp(prefix="zq")
        return self._directory

    def address(self, transport):
        """An address to bind: unique, and wild for tcp."""
        number = next(_serial)
        if transport == "inproc":
            return f"inproc://test-{os.getpid()}-{number}"
        if transport == "ipc":
            return f"ipc://{self.directory}/s{number}"
        return "tcp://127.0.0.1:*"

    def bind(self, binder, transport="tcp"):
        """Binds and returns the address to connect to."""
        binder.bind(self.address(transport))
        return last_endpoint(binder)

    def link(self, binder, connecter, transport="tcp"):
        endpoint = self.bind(binder, transport)
        connecter.connect(endpoint)
        return endpoint

    def pair(self, kind_a, kind_b, transport="tcp", side_a="impl", side_b="impl", options_a=None, options_b=None):
        """Two linked sockets, A bound."""
        a = self.socket(kind_a, side_a, **(options_a or {}))
        b = self.socket(kind_b, side_b, **(options_b or {}))
        self.link(a, b, transport)
        return a, b

    # -- the end

    def close(self):
        contexts = [*self._contexts.values(), *self._extra]
        self._contexts, self._extra = {}, []
        try:
            for context in contexts:
                if not context.closed:
                    Task(context.destroy, linger=0).result()
        finally:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)


def last_endpoint(bound):
    return bound.get(int(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()


def port_of(endpoint):
    return int(endpoint.rpartition(":")[2])


def free_port():
    """A tcp port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def refused(call, *args, errno):
    """Asserts that a call raises ZMQError with this errno, or one of these."""
    with pytest.raises(zmq.ZMQError) as caught:
        call(*args)
    wanted = errno if isinstance(errno, tuple) else (errno,)
    assert caught.value.errno in [int(one) for one in wanted], caught.value


def can_bind(made, endpoint):
    """Binds, unless the address is taken."""
    try:
        made.bind(endpoint)
    except zmq.ZMQError as error:
        assert error.errno == int(zmq.EADDRINUSE)
        return False
    return True
