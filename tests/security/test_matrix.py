"""Every pair of socket types under every mechanism, over tcp and ipc, alone and with stock pyzmq, whoever is server."""

import pytest
from patterns.test_matrix import DRAFT_TYPES, PAIRS, TALK, body, messages, one_way, open_pair
from support.impl import DRAFT, links, needs_curve, zmq
from support.secure import MECHANISMS, secure
from support.zap import Zap

SIZES = (0, 1, 1000, 70_000)


class Secured:
    """A world whose links speak a mechanism: the binding side is its server, or the connecting one."""

    def __init__(self, world, mechanism, server_binds=True):
        self.world = world
        self.mechanism = mechanism
        self.server_binds = server_binds
        self.socket = world.socket

    def link(self, binder, connecter, transport="tcp"):
        server, client = (binder, connecter) if self.server_binds else (connecter, binder)
        secure(server, client, self.mechanism)
        return self.world.link(binder, connecter, transport)


def cases():
    for pair in PAIRS:
        for param in links():
            (link,) = param.values
            if link[0] == "inproc" or (pair[0] in DRAFT_TYPES and (not DRAFT or "stock" in link)):
                continue
            for mechanism in MECHANISMS:
                mark = [needs_curve] if mechanism == "CURVE" else []
                yield pytest.param(pair, link, mechanism, id="-".join((*pair[:2], *link, mechanism)), marks=mark)


@pytest.mark.parametrize("a_binds", [True, False], ids=["a-binds", "b-binds"])
@pytest.mark.parametrize(("types", "link", "mechanism"), list(cases()))
def test_conversation(world, types, link, mechanism, a_binds):
    name_a, name_b, kind, multipart = types
    server = (name_a, link[1]) if a_binds else (name_b, link[2])
    # libzmq's REQ drops every reply when it is the server and an authoriser gave the peer a name.
    user = b"" if server == ("REQ", "stock") else b"the user"
    with Zap(world, server[1], lambda request: (b"200", user)):
        a, b = open_pair(Secured(world, mechanism), link, (name_a, name_b), kind, a_binds)
        TALK[kind](a, b, messages(multipart, SIZES))


@pytest.mark.parametrize("mechanism", ["PLAIN", pytest.param("CURVE", marks=needs_curve)])
@pytest.mark.parametrize("link", [link for link in links() if link.values[0][0] != "inproc"])
def test_the_connecting_side_may_be_the_server(world, link, mechanism):
    with Zap(world, link[2]):
        a, b = open_pair(Secured(world, mechanism, False), link, ("DEALER", "DEALER"), "both", True)
        TALK["both"](a, b, messages(True, SIZES))


@needs_curve
@pytest.mark.parametrize("link", [link for link in links() if link.values[0][0] != "inproc"])
def test_every_size_around_the_boundaries(world, link):
    """Frames grow by 33 bytes: their headers and the buffers they fit into are others than those of what is inside."""
    a, b = open_pair(Secured(world, "CURVE"), link, ("PUSH", "PULL"), "one", True)
    sizes = [0, 1, 221, 222, 223, 254, 255, 256, 257, 4053, 4054, 4055, 4095, 4096, 8159, 8192, 65493, 65494, 65503]
    sizes += [65504, 65535, 65536, 65537, 69_590, 69_632, 131_072, 262_111, 262_144, 262_145]
    one_way(a, b, [[body(size, size)] for size in sizes])
    one_way(a, b, [[body(first, 1), body(second, 2)] for first in sizes[:8] for second in sizes[-12:]])


@needs_curve
@pytest.mark.parametrize("link", [link for link in links() if link.values[0][0] != "inproc"])
def test_nine_megabytes(world, link):
    a, b = open_pair(Secured(world, "CURVE"), link, ("DEALER", "DEALER"), "both", True)
    TALK["both"](a, b, [[body(9 << 20)], [body(100), body(9 << 20, 3), body(5)]])


@needs_curve
@pytest.mark.parametrize("link", [link for link in links() if link.values[0][0] != "inproc"])
def test_many_small_messages_keep_their_order(world, link):
    a, b = open_pair(Secured(world, "CURVE"), link, ("PUSH", "PULL"), "one", True)
    for socket in (a, b):
        socket.set(int(zmq.SNDHWM), 0)
        socket.set(int(zmq.RCVHWM), 0)
    for number in range(5000):
        a.send_multipart([b"%d" % number] * (number % 3 + 1))
    for number in range(5000):
        assert b.recv_multipart() == [b"%d" % number] * (number % 3 + 1)
