"""What travels under CURVE, and what is done to it on its way: each attack ends that connection, and no other.

One file because all of it is one conversation, with a peer spoken by hand at the other end.
"""

import random
import struct

import psutil
import pytest
from support.adversary import Adversary
from support.impl import OURS, needs_curve, ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer, command, frame, greeting, message, properties
from support.secure import Keys, secure
from support.waiting import Task, Watch, drain, nothing, wait_for

pytestmark = needs_curve

if zmq.has("curve"):
    from support.curvepeer import CurveClient, CurveServer, keypair


class Line:
    """A server under test, and a client by hand that has shaken hands with it."""

    def __init__(self, world, kind=None, peer=b"DEALER", **options):
        self.world = world
        self.keys = keypair()
        self.socket = world.socket(
            zmq.DEALER if kind is None else kind, CURVE_SECRETKEY=self.keys[1], CURVE_SERVER=1, **options
        )
        self.kind = peer
        self.watch = Watch(self.socket)
        self.endpoint = world.bind(self.socket)
        self.raw, self.peer = self.connect()

    def connect(self):
        raw = RawPeer.connect(self.endpoint)
        raw.send(greeting(mechanism=b"CURVE"))
        raw.recv_greeting()
        peer = CurveClient(self.keys[0])
        peer.handshake(raw, properties(Socket_Type=self.kind, Identity=b""))
        return raw, peer

    def is_closed(self, code=None):
        """The connection ends, with the event that says why; then another peer is served."""
        self.raw.wait_closed()
        if code is not None:
            assert int(self.watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)["value"]) == code
        self.watch.wait(zmq.EVENT_DISCONNECTED)
        if OURS:
            assert self.socket.stats()["handshakes"]["violations"] == 1
        drain(self.socket)
        with self.connect()[0]:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()
        self.watch.close()


@pytest.fixture
def line(world):
    with Line(world) as made:
        yield made


# ---- attacks -----------------------------------------------------------------------------------------------


def test_a_peer_by_hand(line):
    line.raw.send(line.peer.parts(b"a", b"", b"c" * 1000))
    assert line.socket.recv_multipart() == [b"a", b"", b"c" * 1000]
    line.socket.send_multipart([b"x", b"y" * 100_000])
    assert line.peer.receive_message(line.raw) == [b"x", b"y" * 100_000]


def test_a_replayed_message(line):
    once = line.peer.message(b"pay ten")
    line.raw.send(once)
    assert line.socket.recv() == b"pay ten"
    line.raw.send(once)
    line.is_closed(0x10000002)
    assert drain(line.socket) == []


def test_messages_in_another_order(line):
    first, second = line.peer.message(b"1"), line.peer.message(b"2")
    line.raw.send(second + first)
    assert line.socket.recv() == b"2"
    line.is_closed(0x10000002)


@pytest.mark.parametrize("size", [1, 100, 5000, 100_000, 1 << 20])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_an_altered_message(line, size, where):
    """What came before it arrives; of itself nothing does."""
    line.raw.send(line.peer.message(b"before"))
    said = bytearray(line.peer.message(bytes(size)))
    head = 2 if size + 33 < 256 else 9
    said[{"first": head + 16, "middle": head + 16 + (size + 17) // 2, "last": -1}[where]] ^= 0x40
    line.raw.send(bytes(said))
    assert line.socket.recv() == b"before"
    line.is_closed(0x11000001)


@pytest.mark.parametrize("at", range(2, 18))
def test_an_altered_name_or_nonce(line, at):
    said = bytearray(line.peer.message(b"x"))
    said[at] ^= 0x40
    line.raw.send(bytes(said))
    line.is_closed()


def test_a_message_of_another_connection(line):
    raw, other = line.connect()
    with raw:
        line.raw.send(other.message(b"x", nonce=100))
        line.is_closed(0x11000001)


def test_a_message_sent_back(line):
    """The two directions have nonces of their own kind: what we said is nothing the peer could have said."""
    line.socket.send(b"mine")
    body = line.raw.recv_frame()[1]
    line.raw.send(frame(body))
    line.is_closed(0x10000002)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (frame(b"plain text that is long enough to be a message"), 0x10000011),
        (frame(b"\x07MESSAGE" + bytes(8)), 0x10000012),
        (frame(b"\x07MESSAGE" + bytes(24)), 0x10000012),
        (frame(b""), None),
        (message(b"x"), None),
        (command(b"PING", b"\x00\x00"), None),
        (command(b"ERROR", b"\x03400"), None),
    ],
    ids=["text", "no box", "no flags", "empty", "clear message", "clear command", "clear error"],
)
def test_what_is_no_message(line, said, code):
    line.raw.send(said)
    line.is_closed(code if OURS else None)


@ours_only
@pytest.mark.parametrize("outer", [1, 4, 5])
def test_flags_on_the_outside(line, outer):
    """Nobody's signature stands under them (libzmq takes the frame away without a word)."""
    line.raw.send(line.peer.message(b"x", outer=outer))
    line.is_closed(0x10000001)


@ours_only
def test_reserved_bits_on_the_outside_are_ignored(line):
    line.raw.send(line.peer.message(b"x", outer=0xF8))
    assert line.socket.recv() == b"x"


def test_reserved_bits_inside_are_ignored(line):
    line.raw.send(line.peer.message(b"x", flags=0xFC))
    assert line.socket.recv() == b"x"


@ours_only
def test_a_command_with_more(line):
    line.raw.send(line.peer.message(b"\x04PING\x00\x00", flags=3))
    line.is_closed()


@ours_only
@pytest.mark.parametrize("size", [70_000, 1 << 20])
def test_a_command_of_enormous_size(line, size):
    line.raw.send(line.peer.message(b"\x04NAME" + bytes(size), flags=2))
    line.is_closed()


def test_the_line_is_cut_in_a_message(line):
    said = line.peer.message(bytes(100_000))
    line.raw.send(line.peer.message(b"whole") + said[:50_000])
    assert line.socket.recv() == b"whole"
    line.raw.abort()
    line.watch.wait(zmq.EVENT_DISCONNECTED)
    raw, peer = line.connect()
    with raw:
        raw.send(peer.message(b"again"))
        assert line.socket.recv() == b"again"


def test_garbage_behind_the_handshake(world):
    """A hundred seeded strangers, each with the right key; afterwards the socket works as before."""
    chance = random.Random(7)
    with Line(world, HANDSHAKE_IVL=500) as line:
        for _ in range(100):
            raw, peer = line.connect()
            with raw:
                good = peer.message(chance.randbytes(chance.randrange(300)), chance.randrange(8))
                junk = chance.randbytes(chance.randrange(1, 200))
                kind = chance.randrange(3)
                if kind == 0:
                    said = good + junk
                elif kind == 1:
                    at = chance.randrange(len(good))
                    said = good[:at] + bytes([good[at] ^ chance.randrange(1, 256)]) + good[at + 1 :]
                else:
                    said = frame(b"\x07MESSAGE" + junk)
                try:
                    raw.send(said)
                except OSError:
                    pass
        drain(line.socket)
        raw, peer = line.connect()
        with raw:
            raw.send(peer.message(b"still there"))
            wait_for(lambda: line.socket.recv() == b"still there", "the good message")


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"CURVE"])
def test_garbage_in_the_handshake(world, mechanism):
    chance = random.Random(11)
    keys = keypair()
    more = {"PLAIN_SERVER": 1} if mechanism == b"PLAIN" else {"CURVE_SECRETKEY": keys[1], "CURVE_SERVER": 1}
    server = world.socket(zmq.DEALER, HANDSHAKE_IVL=200, **more)
    endpoint = world.bind(server)
    hello = command(b"HELLO", b"\x01u\x01p") if mechanism == b"PLAIN" else CurveClient(keys[0]).hello()
    for _ in range(150):
        with RawPeer.connect(endpoint) as raw:
            try:
                raw.send(greeting(mechanism=mechanism))
                kind = chance.randrange(4)
                if kind == 0:
                    raw.send(chance.randbytes(chance.randrange(1, 300)))
                elif kind == 1:
                    raw.send(hello[: chance.randrange(len(hello))])
                elif kind == 2:
                    at = chance.randrange(len(hello))
                    raw.send(hello[:at] + chance.randbytes(1) + hello[at + 1 :])
                else:
                    raw.send(hello + chance.randbytes(chance.randrange(1, 300)))
            except OSError:
                pass
            if chance.randrange(2):
                raw.abort()
    drain(server)
    nothing(server, 10)


# ---- sizes and memory --------------------------------------------------------------------------------------


@ours_only
def test_maxmsgsize_is_about_what_is_inside(world):
    with Line(world, MAXMSGSIZE=1000) as line:
        line.raw.send(line.peer.message(bytes(1000)))
        assert len(line.socket.recv()) == 1000
        # judged by the header, before any of the body comes
        line.raw.send(b"\x02" + struct.pack(">Q", 1001 + 33))
        line.is_closed()


@ours_only
@pytest.mark.parametrize("size", [2**63 - 1, 2**40, 2**32])
def test_a_size_that_a_peer_announces_buys_no_memory(world, size):
    with Line(world) as line:
        before = psutil.Process().memory_info()
        line.raw.send(b"\x02" + struct.pack(">Q", size) + b"\x07MESSAGE" + bytes(100))
        raw, peer = line.connect()
        with raw:
            raw.send(peer.message(b"x"))
            assert line.socket.recv() == b"x"
        after = psutil.Process().memory_info()
        assert after.rss - before.rss < 16 << 20
        assert after.vms - before.vms < 1 << 30


@ours_only
def test_memory_grows_with_the_bytes_received(world):
    with Line(world) as line:
        before = psutil.Process().memory_info().rss
        said = line.peer.message(bytes(200 << 20))
        mine = psutil.Process().memory_info().rss
        line.raw.send(said[: 4 << 20])
        raw, peer = line.connect()
        with raw:
            raw.send(peer.message(b"x"))
            assert line.socket.recv() == b"x"
        assert psutil.Process().memory_info().rss - max(mine, before) < 32 << 20


def test_large_messages_in_dribbles(world):
    keys = Keys()
    server, client = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    secure(server, client, "CURVE", keys)
    with Adversary(world.bind(server)) as relay:
        relay.forward.chunk = 997
        client.connect(relay.endpoint)
        big = random.Random(3).randbytes(700_000)
        client.send_multipart([b"head", big, b"", big[:70_000], b"tail"])
        assert server.recv_multipart() == [b"head", big, b"", big[:70_000], b"tail"]


# ---- lost connections --------------------------------------------------------------------------------------


@ours_only
def test_a_message_that_was_cut_goes_again_whole_under_new_keys(world):
    server, client = world.socket(zmq.PULL), world.socket(zmq.PUSH, RECONNECT_IVL=10, SNDBUF=65536)
    secure(server, client, "CURVE")
    with Adversary(world.bind(server), buffers=65536) as relay:
        client.connect(relay.endpoint)
        client.send(b"first")
        assert server.recv() == b"first"
        relay.forward.cut_after = relay.forward.passed + 3_000_000
        big = random.Random(5).randbytes(10 << 20)
        client.send_multipart([b"big", big, b"end"])
        wait_for(lambda: relay.count == 2, "the new connection")
        relay.forward.cut_after = None
        assert server.recv_multipart() == [b"big", big, b"end"]
        client.send(b"after")
        assert server.recv() == b"after"


@ours_only
@pytest.mark.parametrize("size", [10, 3000, 100_000])
def test_a_storm_of_cuts_repeats_nothing_and_tears_nothing(world, size):
    """What the kernel had may be lost with it; the rest comes once, in order, whole."""
    chance = random.Random(size)
    server = world.socket(zmq.PULL, RCVHWM=5, RCVBUF=32768)
    client = world.socket(zmq.PUSH, RECONNECT_IVL=5, SNDHWM=50, SNDBUF=32768)
    secure(server, client, "CURVE")
    seen = []

    def send():
        # of small ones more, since the system's buffers, all of which a cut may lose, hold more of them
        for number in range(2000 if size < 100 else 400):
            client.send_multipart([b"%d" % number, bytes([number & 255]) * size])

    def receive():
        while True:
            first, body = server.recv_multipart()
            if first == b"end":
                return
            assert body == bytes([int(first) & 255]) * size
            assert not seen or int(first) > seen[-1]
            seen.append(int(first))

    with Adversary(world.bind(server), buffers=32768) as relay:
        client.connect(relay.endpoint)
        receiving, sending = Task(receive), Task(send)
        while sending.is_alive():
            count = relay.count
            relay.forward.cut_after = relay.forward.passed + chance.randrange(1, 40 * (size + 90))
            wait_for(lambda count=count: relay.count > count or not sending.is_alive(), "a cut")
        relay.forward.cut_after = None
        sending.result()
        while receiving.is_alive():  # the last ones may have been on the line when it was cut
            client.send_multipart([b"end", b""])
            receiving.join(0.05)
        receiving.result()
    assert len(seen) > 50


@ours_only
def test_queues_stay_within_their_marks_while_a_peer_is_slow(world):
    """The books add up when frames wait encoded."""
    server, client = world.socket(zmq.PULL, RCVHWM=10, RCVBUF=16384), world.socket(zmq.PUSH, SNDHWM=20, SNDBUF=16384)
    secure(server, client, "CURVE")
    world.link(server, client)
    client.send(b"x")
    assert server.recv() == b"x"
    sent = 0
    while client.poll(50, int(zmq.POLLOUT)):
        client.send(bytes(5000))
        sent += 1
    books = client.stats()["send"]
    assert books["accepted"] == books["delivered"] + books["queued"] == sent + 1
    assert books["queued"] <= 20
    for _ in range(sent):
        assert server.recv() == bytes(5000)
    wait_for(lambda: client.stats()["send"]["queued"] == 0, "an empty queue")


@ours_only
def test_drop_oldest_beside_frames_that_are_encoded(world):
    from pyzq.hwm import DropOldest

    server, client = world.socket(zmq.PULL, RCVHWM=5, RCVBUF=16384), world.socket(zmq.PUSH, SNDBUF=16384)
    secure(server, client, "CURVE")
    client.set_hwm_policy(send=DropOldest(messages=30))
    world.link(server, client)
    client.send(b"x")
    assert server.recv() == b"x"
    for number in range(3000):
        client.send_multipart([b"%d" % number, bytes([number & 255]) * (number % 3000)])
    seen = []
    while not seen or seen[-1] < 2999:
        number, body = server.recv_multipart()
        number = int(number)
        assert body == bytes([number & 255]) * (number % 3000)
        assert not seen or number > seen[-1]
        seen.append(number)
    assert len(seen) < 3000


# ---- commands ----------------------------------------------------------------------------------------------


def test_subscriptions_travel_inside(world):
    with Line(world, zmq.XPUB, b"SUB") as line:
        line.raw.send(line.peer.message(b"\x09SUBSCRIBEtop", flags=2))
        assert line.socket.recv() == b"\x01top"
        line.socket.send_multipart([b"topic", b"body"])
        line.socket.send(b"other")
        assert line.peer.receive_message(line.raw) == [b"topic", b"body"]
        line.raw.send(line.peer.message(b"\x06CANCELtop", flags=2))
        assert line.socket.recv() == b"\x00top"


def test_subscriptions_go_out_inside(world):
    keys, mine = keypair(), keypair()
    with RawListener() as listener:
        sub = world.socket(zmq.SUB, CURVE_SERVERKEY=keys[0], CURVE_PUBLICKEY=mine[0], CURVE_SECRETKEY=mine[1])
        sub.set(int(zmq.SUBSCRIBE), b"top")
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.send(greeting(mechanism=b"CURVE"))
        raw.recv_greeting()
        peer = CurveServer(keys)
        assert peer.handshake(raw, properties(Socket_Type=b"PUB")) == properties(Socket_Type=b"SUB")
        assert peer.client_key == mine[0]
        assert peer.receive(raw) == (2, b"\x09SUBSCRIBEtop")
        raw.send(peer.parts(b"topic", b"body"))
        assert sub.recv_multipart() == [b"topic", b"body"]
        sub.set(int(zmq.UNSUBSCRIBE), b"top")
        assert peer.receive(raw) == (2, b"\x06CANCELtop")


def test_heartbeats_travel_inside(world):
    with Line(world, HEARTBEAT_IVL=30, HEARTBEAT_TTL=1000, HEARTBEAT_TIMEOUT=10_000) as line:
        flags, payload = line.peer.receive(line.raw)
        assert flags == 2
        assert payload.startswith(b"\x04PING\x00\x0a")
        line.raw.send(line.peer.message(b"\x04PONG", flags=2))
        line.raw.send(line.peer.message(b"\x04PING\x00\x00context", flags=2))
        while True:
            flags, payload = line.peer.receive(line.raw)
            assert flags == 2
            if payload.startswith(b"\x04PONG"):
                assert payload == b"\x04PONGcontext"
                break


def test_a_peer_that_answers_no_heartbeat_is_left(world):
    with Line(world, HEARTBEAT_IVL=30, HEARTBEAT_TIMEOUT=100) as line:
        line.raw.wait_closed()


@pytest.mark.parametrize("pair", sides())
def test_heartbeats_between_sockets(world, pair):
    server, client = (world.socket(zmq.DEALER, side, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=500) for side in pair)
    secure(server, client, "CURVE")
    with Watch(server) as watch:
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        nothing(server, 700)
        assert not watch.happened(zmq.EVENT_DISCONNECTED)
        for number in range(100):
            client.send_multipart([b"%d" % number, bytes(number * 100)])
            server.send(b"y" * number)
        for number in range(100):
            assert server.recv_multipart() == [b"%d" % number, bytes(number * 100)]
            assert client.recv() == b"y" * number


@ours_only
def test_control_frames_wait_for_the_end_of_a_message(world):
    """A PONG never lands between the parts of a message, encoded or not."""
    with Line(world, SNDBUF=16384, RCVBUF=16384) as line:
        line.socket.send_multipart([bytes([n]) * 40_000 for n in range(60)])
        for _ in range(10):
            line.raw.send(line.peer.message(b"\x04PING\x00\x00c", flags=2))
        line.socket.send(b"end")
        nothing(line.socket, 20)
        parts, pongs, at_boundary = [], 0, True
        while True:
            flags, payload = line.peer.receive(line.raw)
            if flags == 2:
                assert at_boundary
                pongs += 1
                continue
            at_boundary = not flags & 1
            if at_boundary and payload == b"end":
                break
            parts.append(payload)
        assert parts == [bytes([n]) * 40_000 for n in range(60)]
        assert pongs > 0


# ---- greeting and keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", [b"NULL", b"PLAIN"])
def test_a_server_that_offers_less_gets_nothing(world, mechanism):
    """A client that was told to encrypt does not send in the clear, whatever the other side says it is."""
    keys, mine = keypair(), keypair()
    with RawListener() as listener:
        client = world.socket(zmq.PUSH, CURVE_SERVERKEY=keys[0], CURVE_PUBLICKEY=mine[0], CURVE_SECRETKEY=mine[1])
        with Watch(client) as watch:
            client.connect(listener.endpoint)
            client.send(b"the secret")
            raw = listener.accept()
            raw.send(greeting(mechanism=mechanism) + command(b"READY", properties(Socket_Type=b"PULL")))
            said = raw.wait_closed()
            assert b"secret" not in said
            found = watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
            assert int(found["value"]) == int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)


@pytest.mark.parametrize("old", [b"\x01\x00\x03\x00hi", b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00\x00\x02hi"])
def test_old_versions_get_nothing(world, old):
    with Line(world) as line, RawPeer.connect(line.endpoint) as raw:
        raw.send(old)
        raw.wait_closed()
        nothing(line.socket, 10)


@ours_only
def test_keys_that_are_missing_fail_the_handshake(world):
    server = world.socket(zmq.DEALER, CURVE_SERVER=1)
    client = world.socket(zmq.DEALER, CURVE_SERVERKEY=keypair()[0], RECONNECT_IVL=-1)
    with Watch(server) as watch, Watch(client) as told:
        world.link(server, client)
        watch.wait(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        told.wait(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)


@pytest.mark.parametrize("pair", sides())
def test_nothing_of_the_contents_is_on_the_line(world, pair):
    """What goes over the line is held against what was said."""
    server, client = (world.socket(zmq.DEALER, side) for side in pair)
    keys = Keys()
    secure(server, client, "CURVE", keys)
    client.set(int(zmq.ROUTING_ID), b"confidential-name")
    with RawListener() as listener:
        target = world.bind(server)
        client.connect(listener.endpoint)
        near, far = listener.accept(), RawPeer.connect(target)
        near.stream.setblocking(False)
        far.stream.setblocking(False)
        heard = b""

        def relay():
            nonlocal heard
            for source, sink in ((near, far), (far, near)):
                try:
                    data = source.stream.recv(65536)
                except BlockingIOError:
                    continue
                heard += data
                sink.stream.sendall(data)
            return server.poll(0)

        client.send(b"confidential-message" * 10)
        wait_for(relay, "the message")
        assert server.recv() == b"confidential-message" * 10
        assert b"confidential" not in heard
        assert zmq.utils.z85.decode(keys.client) not in heard
        far.close()
