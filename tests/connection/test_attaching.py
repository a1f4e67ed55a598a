"""Sockets of one process meeting under a name, connecting anew, and what happens when a close comes in between."""

import errno as system
import os
import random
import sys
import threading

import pytest
from support.impl import OURS, TRANSPORTS, ours_only, zmq
from support.rawpeer import RawListener
from support.waiting import Task, drain, nothing, wait_for
from support.world import can_bind, free_port, refused


@ours_only
@pytest.mark.parametrize("bound_first", [True, False])
def test_inproc_attaches_at_once(world, bound_first):
    """Neither side has to call for the other to be there: whoever comes second joins the two."""
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    address = world.address("inproc")
    for attach in (pull.bind, push.connect) if bound_first else (push.connect, pull.bind):
        attach(address)
    assert [len(made.stats()["peers"]) for made in (pull, push)] == [1, 1]
    push.send(b"x")
    assert pull.stats()["recv"]["queued"] == 1


def test_inproc_names_belong_to_a_context(world):
    other = world.new_context()
    a, b = world.socket(zmq.PULL), world.socket(zmq.PULL, context=other)
    a.bind("inproc://same")
    b.bind("inproc://same")
    push = world.socket(zmq.PUSH)
    push.connect("inproc://same")
    push.send(b"x")
    assert a.recv() == b"x"
    nothing(b, 30)


def test_inproc_name_is_free_after_close(world):
    for _ in range(3):
        pull = world.socket(zmq.PULL)
        wait_for(lambda made=pull: can_bind(made, "inproc://reused"), "the name being free")
        push = world.socket(zmq.PUSH)
        push.connect("inproc://reused")
        push.send(b"x")
        assert pull.recv() == b"x"
        pull.close()
        push.close()


@pytest.mark.parametrize(
    ("kind", "peer"), [("DEALER", "DEALER"), ("REQ", "REP"), ("SUB", "PUB"), ("PUB", "SUB"), ("PUSH", "PULL")]
)
def test_connecting_anew_over_inproc_when_the_other_side_has_gone(world, kind, peer):
    made = world.socket(getattr(zmq, kind))
    for _ in range(3):
        other = world.socket(getattr(zmq, peer))
        for one in (made, other):
            if one.type == zmq.SUB:
                one.set(int(zmq.SUBSCRIBE), b"")
        wait_for(lambda one=other: can_bind(one, "inproc://again"), "the name being free")
        made.connect("inproc://again")
        sender, receiver = (other, made) if kind == "SUB" else (made, other)
        assert sender.poll(10_000, int(zmq.POLLOUT))
        if "PUB" in (kind, peer):
            wait_for(lambda one=sender, two=receiver: one.send(b"x") or two.poll(5), "a message")
        else:
            sender.send(b"x")
        assert receiver.recv() == b"x"
        if kind == "REQ":
            other.send(b"reply")
            assert made.recv() == b"reply"
        other.close()
        if kind == "SUB":
            drain(made)


@ours_only
@pytest.mark.skipif("PYZQ_SANITIZER" in os.environ, reason="a sanitizer needs more memory than any limit leaves")
def test_connect_without_memory_leaves_nothing_behind(world, remote):
    """There is none for the subscription that the new peer's queue begins with."""
    client = remote(own=True)
    with RawListener() as listener:
        client.run(
            "import resource\n"
            "ctx = zmq.Context()\n"
            "xsub = ctx.socket(zmq.XSUB)\n"
            "xsub.bind('tcp://127.0.0.1:*')\n"
            "xsub.send(b'\\x01' + bytes(256 << 20))\n"
            "limits = resource.getrlimit(resource.RLIMIT_AS)\n"
            "pages = int(open('/proc/self/statm').read().split()[0])\n"
            "resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (64 << 20), limits[1]))\n"
            "try:\n"
            f"    xsub.connect({listener.endpoint!r})\n"
            "except (zmq.ZMQError, MemoryError) as error:\n"
            "    caught = error\n"
            "resource.setrlimit(resource.RLIMIT_AS, limits)\n"
        )
        assert "memory" in client.eval("str(caught)").lower()
        assert client.eval("xsub.stats()['peers']") == []
        client.run("xsub.send(b'\\x00' + bytes(256 << 20))")
        client.run(f"xsub.connect({listener.endpoint!r})")
        raw = listener.accept()
        raw.handshake(b"XPUB")
        client.run("xsub.send(b'\\x01topic')")
        assert raw.recv_message() == [b"\x01topic"]


@ours_only
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("verb", ["bind", "connect"])
def test_bind_and_connect_against_close(world, transport, verb):
    """Whichever of the two threads is first, nothing is left behind: the address is free, and nobody connects."""
    chance = random.Random(5)
    for _ in range(50):
        # one of its own for each round: a closed socket gives its address back a moment later
        address = f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else world.address(transport)
        made, other = world.socket(zmq.PULL), world.socket(zmq.PUSH)
        gate, spins = threading.Barrier(2), chance.randrange(2000)

        def close(gate=gate, made=made, spins=spins):
            gate.wait()
            for _ in range(spins):
                pass
            made.close()

        closing = Task(close)
        gate.wait()
        try:
            getattr(made, verb)(address)
        except zmq.ZMQError as error:
            assert error.errno == int(zmq.ENOTSOCK)
        closing.result()
        wait_for(lambda one=other, where=address: can_bind(one, where), "the address being free")
        assert not other.poll(10, int(zmq.POLLOUT))
        other.close()


@ours_only
def test_who_waits_for_a_name_outlives_a_socket_closed_while_it_binds(world):
    """Connections it came together with are gone; all the others wait on, for the next who binds."""
    chance = random.Random(27)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            address = world.address("inproc")
            push, first, second = (world.socket(kind) for kind in (zmq.PUSH, zmq.PULL, zmq.PULL))
            for _ in range(1000):
                push.connect(address)
            gate = threading.Barrier(2)

            spins = chance.randrange(2000)

            def close(gate=gate, first=first, spins=spins):
                gate.wait()
                for _ in range(spins):
                    pass
                first.close()

            closing = Task(close)
            gate.wait()
            try:
                first.bind(address)
            except zmq.ZMQError:
                pass  # it was closed already
            closing.result()
            push.poll(0, int(zmq.POLLOUT))
            waiting = [one["connected"] for one in push.stats()["peers"]]
            second.bind(address)
            assert [one["connected"] for one in second.stats()["peers"]] == waiting
            push.close()
            second.close()
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("kind", ["DEALER", "PUSH"])
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_disconnect_undoes_every_connect_to_the_name(world, transport, kind):
    router = world.socket(zmq.PULL if kind == "PUSH" else zmq.ROUTER)
    endpoint = world.bind(router, transport)
    made = world.socket(getattr(zmq, kind))
    made.connect(endpoint)
    made.connect(endpoint)
    made.disconnect(endpoint)
    wait_for(lambda: not made.poll(0, int(zmq.POLLOUT)), "the pipes' end")
    refused(made.disconnect, endpoint, errno=system.ENOENT)


def test_every_connect_over_inproc_makes_a_pipe(world):
    """As in libzmq, where only the network's endpoints are connected once."""
    router, dealer = world.socket(zmq.ROUTER), world.socket(zmq.DEALER)
    endpoint = world.bind(router, "inproc")
    dealer.connect(endpoint)
    dealer.connect(endpoint)
    for _ in range(4):
        dealer.send(b"x")
    assert len({router.recv_multipart()[0] for _ in range(4)}) == 2


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_what_is_sent_after_a_disconnect_goes_elsewhere(world, transport):
    """At once, however long the connection takes to end."""
    near, far, push = world.socket(zmq.PULL), world.socket(zmq.PULL), world.socket(zmq.PUSH)
    push.connect(world.bind(near, transport))
    endpoint = world.bind(far, transport)
    for number in range(40):
        push.connect(endpoint)
        wait_for(lambda: push.send(b"mark") or far.poll(5), "the connection")
        wait_for(lambda: push.stats()["send"]["queued"] == 0 if OURS else not push.poll(1), "the marks being written")
        push.disconnect(endpoint)
        push.send(b"%d" % number)
        push.send(b"%d" % number)
        while far.poll(0):
            assert far.recv() == b"mark"
        found = []
        while len(found) < 2:
            message = near.recv()
            if message != b"mark":
                found.append(message)
        assert found == [b"%d" % number] * 2
