"""The handshake and the framing against libzmq, over a bare TCP socket: both roles, several socket types."""

import socket
from contextlib import contextmanager

import golden
import pytest

from zcore.codec import (
    Command,
    Frame,
    FrameDecoder,
    Handshake,
    RemoteProtocolError,
    encode_cancel,
    encode_frame,
    encode_ping,
    encode_subscribe,
)

zmq = pytest.importorskip("zmq")
auth_thread = pytest.importorskip("zmq.auth.thread")
monitor = pytest.importorskip("zmq.utils.monitor")

WAIT = 10  # seconds before a test gives up; no test depends on its length


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


class RawPeer:
    """One side of a connection: a TCP socket, our handshake, our decoder."""

    def __init__(self, sock, handshake):
        self.sock = sock
        self.handshake = handshake
        self.events = []
        sock.settimeout(WAIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def shake(self, verdict=200, piece=65536):
        """Run the handshake to its end; returns its last event."""
        handshake = self.handshake
        events = []
        self.sock.sendall(handshake.data_to_send())
        while handshake.state not in ("ready", "failed"):
            if handshake.state == "wait_authorisation":
                events += handshake.authorise(verdict)
            else:
                data = self.sock.recv(piece)
                if not data:
                    handshake.receive_eof()
                try:
                    events += handshake.receive_data(data)
                except RemoteProtocolError:
                    self.sock.sendall(handshake.data_to_send())
                    raise
            self.sock.sendall(handshake.data_to_send())
        if handshake.state == "ready":
            self.decoder = FrameDecoder(handshake.version)
            self.events = self.decoder.receive_data(handshake.trailing_data)
        return events[-1]

    def read(self, n):
        """Exactly n bytes, as they are."""
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            assert piece, "libzmq closed the connection"
            data += piece
        return data

    def next(self):
        """The next frame or command of the traffic."""
        while not self.events:
            data = self.sock.recv(65536)
            assert data, "libzmq closed the connection"
            self.events += self.decoder.receive_data(data)
        return self.events.pop(0)

    def message(self):
        """The frames of the next message."""
        parts = []
        while True:
            frame = self.next()
            assert isinstance(frame, Frame)
            parts.append(frame.body)
            if not frame.more:
                return parts

    def send(self, *parts):
        version = self.handshake.version
        self.sock.sendall(b"".join(encode_frame(p, more=p is not parts[-1], version=version) for p in parts))

    def wait_closed(self):
        """Read until libzmq closes."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass


@contextmanager
def connection(context, zmq_type, handshake, libzmq_listens=True, options=()):
    """A libzmq socket and a RawPeer that are connected to each other over TCP."""
    with context.socket(zmq_type) as theirs:
        theirs.linger = 0
        theirs.rcvtimeo = theirs.sndtimeo = WAIT * 1000
        for name, value in options:
            theirs.set(name, value)
        if libzmq_listens:
            port = theirs.bind_to_random_port("tcp://127.0.0.1")
            ours = socket.create_connection(("127.0.0.1", port), WAIT)
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(WAIT)
                theirs.connect(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
                ours, _ = listener.accept()
        with ours:
            yield theirs, RawPeer(ours, handshake)


# our type, libzmq's
PAIRS = [
    ("PUSH", "PULL"),
    ("PULL", "PUSH"),
    ("PAIR", "PAIR"),
    ("DEALER", "DEALER"),
    ("DEALER", "ROUTER"),
    ("ROUTER", "DEALER"),
    ("ROUTER", "ROUTER"),
    ("REQ", "REP"),
    ("REP", "REQ"),
    ("PUB", "SUB"),
    ("SUB", "PUB"),
    ("XPUB", "XSUB"),
    ("XSUB", "XPUB"),
]
BODIES = [b"", b"a", b"b" * 255, b"c" * 256, b"d" * 100_000]

roles = pytest.mark.parametrize("libzmq_listens", [True, False], ids=["libzmq listens", "libzmq connects"])


@roles
@pytest.mark.parametrize("piece", [65536, 1], ids=["as it comes", "byte by byte"])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_handshake_and_facts(context, ours, theirs, libzmq_listens, piece):
    handshake = Handshake(ours, b"me", listening=not libzmq_listens)
    options = [(zmq.ROUTING_ID, b"they")]
    with connection(context, zmq.SocketType[theirs], handshake, libzmq_listens, options) as (_, peer):
        facts = peer.shake(piece=piece)
    assert facts.version == (3, 1)
    assert facts.socket_type == theirs
    assert facts.identity == (b"they" if theirs in ("REQ", "DEALER", "ROUTER") else b"")
    assert set(handshake.oddities.values()) == {0}


@roles
def test_push_to_pull(context, libzmq_listens):
    with connection(context, zmq.PULL, Handshake("PUSH"), libzmq_listens) as (pull, peer):
        peer.shake()
        peer.send(*BODIES)
        peer.send(b"single")
        assert pull.recv_multipart() == BODIES
        assert pull.recv_multipart() == [b"single"]


@roles
def test_pull_from_push(context, libzmq_listens):
    with connection(context, zmq.PUSH, Handshake("PULL"), libzmq_listens) as (push, peer):
        peer.shake()
        push.send_multipart(BODIES)
        push.send(b"single")
        assert peer.message() == BODIES
        assert peer.message() == [b"single"]


@roles
def test_dealer_to_router_and_back(context, libzmq_listens):
    with connection(context, zmq.ROUTER, Handshake("DEALER", b"abc"), libzmq_listens) as (router, peer):
        peer.shake()
        peer.send(*BODIES)
        assert router.recv_multipart() == [b"abc", *BODIES]
        router.send_multipart([b"abc", *BODIES])
        assert peer.message() == BODIES


@roles
def test_rep_answers_req(context, libzmq_listens):
    with connection(context, zmq.REQ, Handshake("REP"), libzmq_listens) as (req, peer):
        peer.shake()
        req.send(b"q")
        first, second = peer.next(), peer.next()
        assert encode_frame(first.body, first.more) + encode_frame(second.body, second.more) == golden.REQ_Q
        peer.send(b"", b"a")
        assert req.recv() == b"a"


@roles
def test_req_asks_rep(context, libzmq_listens):
    with connection(context, zmq.REP, Handshake("REQ"), libzmq_listens) as (rep, peer):
        peer.shake()
        peer.sock.sendall(golden.REQ_Q)
        assert rep.recv() == b"q"
        rep.send(b"a")
        assert peer.message() == [b"", b"a"]


@roles
def test_subscriptions_are_understood(context, libzmq_listens):
    with connection(context, zmq.XPUB, Handshake("SUB"), libzmq_listens) as (xpub, peer):
        peer.shake()
        for topic in (b"top", b"", b"t" * 300):
            peer.sock.sendall(encode_subscribe(topic))
            assert xpub.recv() == b"\x01" + topic
        xpub.send_multipart([b"topic", b"news"])
        assert peer.message() == [b"topic", b"news"]
        peer.sock.sendall(encode_cancel(b"top"))
        assert xpub.recv() == b"\x00top"


@roles
@pytest.mark.parametrize("minor", [0, 1])
def test_subscriptions_are_heard(context, libzmq_listens, minor):
    """As a 3.1 peer we get commands; as a 3.0 peer messages."""
    options = [(zmq.SUBSCRIBE, b"top")]
    with connection(context, zmq.SUB, None, libzmq_listens, options) as (sub, peer):
        peer.handshake = Handshake("PUB")
        if minor == 1:
            peer.shake()
        else:
            peer.sock.sendall(golden.greeting(minor=0) + golden.READY_PUB)
            while peer.handshake.state != "ready":
                peer.handshake.receive_data(peer.read(1))
            peer.decoder = FrameDecoder(3)
            peer.events = []
        peer.sock.settimeout(0.05)
        heard = None
        for _ in range(WAIT * 20):
            # a bound SUB sends its subscriptions when it is next called
            sub.get(zmq.EVENTS)
            try:
                heard = peer.next()
                break
            except TimeoutError:
                continue
        expected = golden.SUBSCRIBE_TOP if minor == 1 else golden.SUBSCRIBE_TOP_3_0
        assert FrameDecoder(3).receive_data(expected) == [heard]
        peer.send(b"topic", b"news")
        assert sub.recv_multipart() == [b"topic", b"news"]


def test_heartbeats_both_ways(context):
    options = [(zmq.HEARTBEAT_IVL, 50), (zmq.HEARTBEAT_TTL, 1000), (zmq.HEARTBEAT_TIMEOUT, WAIT * 1000)]
    with connection(context, zmq.PULL, Handshake("PUSH"), options=options) as (_, peer):
        peer.shake()
        assert peer.next() == Command("PING", b"", 10, 4)
        for context_bytes in (b"", b"sixteen bytes..!"):
            peer.sock.sendall(encode_ping(100, context_bytes))
            answer = peer.next()
            while answer.name == "PING":
                answer = peer.next()
            assert answer == Command("PONG", context_bytes, None, 4)


def test_unknown_commands_do_no_harm(context):
    with connection(context, zmq.PULL, Handshake("PUSH")) as (pull, peer):
        peer.shake()
        peer.sock.sendall(b"\x04\x05\x04WHAT" + golden.HI_RESERVED_BITS)
        assert pull.recv() == b"hi"


@roles
def test_types_that_do_not_match_end_it_on_both_sides(context, libzmq_listens):
    with connection(context, zmq.PUB, Handshake("PUSH"), libzmq_listens) as (_, peer):
        with pytest.raises(RemoteProtocolError) as caught:
            peer.shake()
        # either our check or libzmq's comes first
        assert caught.value.code in (0x10000018, None)
        peer.wait_closed()


@roles
def test_another_mechanism_ends_it_on_both_sides(context, libzmq_listens):
    options = [(zmq.PLAIN_USERNAME, b"u"), (zmq.PLAIN_PASSWORD, b"p")]
    with connection(context, zmq.PULL, Handshake("PUSH"), libzmq_listens, options) as (_, peer):
        with pytest.raises(RemoteProtocolError):
            peer.shake()
        peer.wait_closed()


@roles
def test_the_whole_greeting_at_once_suits_libzmq(context, libzmq_listens):
    with connection(context, zmq.PULL, Handshake("PUSH", downgrade=False), libzmq_listens) as (pull, peer):
        peer.shake()
        peer.send(b"hi")
        assert pull.recv() == b"hi"


@roles
def test_our_metadata_reaches_the_message(context, libzmq_listens):
    handshake = Handshake("PUSH", properties={"X-colour": "green"})
    with connection(context, zmq.PULL, handshake, libzmq_listens) as (pull, peer):
        peer.shake()
        peer.send(b"hi")
        assert pull.recv(copy=False).get("X-colour") == "green"


# ---- authorisation: ours of libzmq, and libzmq's of us -----------------------------------------------------


@roles
def test_libzmq_is_let_in(context, libzmq_listens):
    handshake = Handshake("ROUTER", zap_wait=True, listening=not libzmq_listens)
    options = [(zmq.ROUTING_ID, b"they")]
    with connection(context, zmq.DEALER, handshake, libzmq_listens, options) as (dealer, peer):
        assert peer.shake(200).identity == b"they"
        dealer.send(b"hi")
        assert peer.message() == [b"hi"]


@roles
@pytest.mark.parametrize("status", [400, 500])
def test_libzmq_hears_that_it_is_refused(context, libzmq_listens, status):
    handshake = Handshake("ROUTER", zap_wait=True, listening=not libzmq_listens)
    with connection(context, zmq.DEALER, None, libzmq_listens) as (dealer, peer):
        events = dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        events.rcvtimeo = WAIT * 1000
        peer.handshake = handshake
        peer.shake(status)
        assert handshake.state == "failed"
        assert monitor.recv_monitor_message(events)["value"] == status
        dealer.disable_monitor()


@pytest.mark.parametrize("allowed", [True, False])
def test_libzmq_judges_us(context, allowed):
    judge = auth_thread.ThreadAuthenticator(context)
    judge.start()
    try:
        judge.deny("10.0.0.1") if allowed else judge.allow("10.0.0.1")
        options = [(zmq.ZAP_DOMAIN, b"global")]
        with connection(context, zmq.PULL, Handshake("PUSH"), options=options) as (pull, peer):
            if allowed:
                peer.shake()
                peer.send(b"hi")
                assert pull.recv() == b"hi"
            else:
                with pytest.raises(RemoteProtocolError) as caught:
                    peer.shake()
                assert caught.value.status == 400
                assert caught.value.reason == "400"
    finally:
        judge.stop()


# ---- the table both are judged by --------------------------------------------------------------------------


@pytest.mark.parametrize("name", golden.CONVERSATIONS)
def test_libzmq_says_what_the_table_says(context, name):
    socket_type, identity, steps = golden.CONVERSATIONS[name]
    options = [(zmq.ROUTING_ID, identity)] if identity else []
    with connection(context, zmq.SocketType[socket_type], None, options=options) as (_, peer):
        for sent, answer in steps:
            peer.sock.sendall(sent)
            assert peer.read(len(answer)) == answer


@pytest.mark.parametrize(
    ("name", "hi"),
    [
        ("3.1 at once", golden.HI),
        ("2.0", golden.HI),
        ("1.0 with a version", golden.HI_1_0),
        ("1.0 anonymous", golden.HI_1_0),
    ],
)
def test_libzmq_reads_the_framing_the_table_ends_in(context, name, hi):
    socket_type, _, steps = golden.CONVERSATIONS[name]
    with connection(context, zmq.SocketType[socket_type], None) as (pull, peer):
        said = b"".join(answer for _, answer in steps)
        if name.startswith("3"):
            peer.sock.sendall(b"".join(sent for sent, _ in steps) + golden.READY_PUSH)
            # traffic only once libzmq's READY is out
            assert peer.read(len(said)) == said
            peer.sock.sendall(hi)
        else:
            peer.sock.sendall(b"".join(sent for sent, _ in steps) + hi)
        assert pull.recv() == b"hi"


def test_libzmq_subscribes_to_old_publishers_as_we_would(context):
    for opening, expected in (
        (golden.SIGNATURE + b"\x01\x01\x00\x00", b"\x03\x02\x00\x00" + golden.SUBSCRIBE_TOP_3_0),
        (b"\x01\x00", golden.SUBSCRIBE_TOP_1_0),
    ):
        expected = golden.SIGNATURE + expected
        with connection(context, zmq.SUB, None, options=[(zmq.SUBSCRIBE, b"top")]) as (sub, peer):
            peer.sock.sendall(opening)
            peer.sock.settimeout(0.05)
            heard = b""
            for _ in range(WAIT * 20):
                sub.get(zmq.EVENTS)
                try:
                    heard += peer.sock.recv(100)
                except TimeoutError:
                    continue
                if len(heard) >= len(expected):
                    break
            assert heard == expected
