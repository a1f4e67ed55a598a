"""Drives a Connecter as its owner does, and keeps an eye on descriptors."""

import fcntl
import os
import select
import socket

import pytest

from zcore.selftest_stream import Connecter, Listener

WANT_IN, WANT_OUT = 1, 2
LIMIT = 10.0  # seconds that a test waits for something that must happen


def wait_readable(thing, limit=LIMIT):
    poll = select.poll()
    poll.register(thing, select.POLLIN)
    assert poll.poll(limit * 1000), "nothing came"


def drive(connecter, names=None, limit=LIMIT):
    """Step until open or failed, waiting for what the connecter names; `names` answers for the resolver."""
    while True:
        state, fd, events, until = connecter.step()
        if state in ("open", "failed"):
            return state
        if state == "naming":
            name, port = connecter.name()
            connecter.resolved(*names(name, port))
            continue
        poll = select.poll()
        poll.register(fd, (select.POLLIN if events & WANT_IN else 0) | (select.POLLOUT if events & WANT_OUT else 0))
        if not poll.poll(limit * 1000 if until < 0 else 300):
            assert until >= 0, "nothing came"


def accept(listener, limit=LIMIT):
    wait_readable(listener, limit)
    return listener.accept()


def adopt(fd):
    """A socket object over a descriptor of the engine, after judging its flags."""
    assert not os.get_inheritable(fd)
    assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    made = socket.socket(fileno=fd)
    made.settimeout(LIMIT)
    return made


def refused(*args, **kw):
    with pytest.raises(OSError) as caught:
        Listener(*args, **kw)
    return caught.value.errno


def join(listener):
    """Connect with the engine and accept: both ends as sockets, and the accepting side's facts."""
    connecter = Connecter(listener.endpoint, ipv6=1)
    assert drive(connecter) == "open"
    verdict, fd, facts = accept(listener)
    assert verdict == "done"
    return adopt(connecter.take()), adopt(fd), facts


def talk(ours, theirs):
    with ours, theirs:
        ours.sendall(b"ping")
        assert theirs.recv(10) == b"ping"
        theirs.sendall(b"pong")
        assert ours.recv(10) == b"pong"


def free_port(host="127.0.0.1"):
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]


def full_listener(host="127.0.0.1"):
    """A listening socket whose queue is full, and what fills it: further connects stay unanswered."""
    server = socket.socket()
    server.bind((host, 0))
    server.listen(0)
    fillers = []
    for _ in range(8):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(server.getsockname())
        fillers.append(one)
    poll = select.poll()
    poll.register(fillers[0], select.POLLOUT)
    assert poll.poll(LIMIT * 1000)
    return server, fillers


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def open_descriptors():
    return set(os.listdir("/dev/fd"))


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
needs_linux = pytest.mark.skipif(not os.path.isdir("/proc/net"), reason="Linux only")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
