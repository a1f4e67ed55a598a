"""Random traffic, good and spoilt, cut where buffers end: what is good arrives as it was sent, what is spoilt harms
nobody.

Each test is one seed; ``PYZQ_FUZZ=500 make asan SANITIZED_TESTS=tests/connection/test_fuzz.py`` runs many.
"""

import fcntl
import os
import random
import struct
import sys
import termios

import pytest
from support.impl import DEADLINE, OURS, zmq
from support.rawpeer import COMMAND, LONG, MORE, RawPeer, greeting, ready
from support.waiting import Task, Watch, drain, wait_for

pytestmark = pytest.mark.skipif(not OURS, reason="it knows where our buffers end")

if OURS:
    from pyzq.hwm import Block, DropNewest, DropOldest, KeepLast

SEEDS = range(int(os.environ.get("PYZQ_FUZZ", "4")))
PEERS = {"PULL": b"PUSH", "ROUTER": b"DEALER", "XPUB": b"SUB", "STREAM": None}
CAPS = (8192, 16384, 65536, 131072, 262144)  # where buffers end, and large frames begin
SIZES = (0, 255, 4096, *CAPS)
ENDS = (
    (zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL) if OURS else ()
)
ODD_SIZES = (2**63, 2**63 - 1, 2**40, 2**31, 2**16 - 1, 2**16, 0)


class Traffic:
    """Frames, the messages in them, and where their headers begin."""

    def __init__(self, chance, kind, old):
        self.chance = chance
        self.kind = kind
        self.old = old  # ZMTP 1.0
        self.bytes = bytearray()
        self.messages = [[b"\1"]] if old and kind == "XPUB" else []  # an old subscriber filters by itself
        self.headers = []

    def size(self):
        draw = self.chance.random()
        if draw < 0.6:
            return self.chance.randrange(300)
        if draw < 0.95:
            return max(0, self.chance.choice(SIZES) + self.chance.randrange(-20, 21))
        return self.chance.randrange(400_000)

    def body(self, size):
        """Never the beginning of a subscription."""
        pattern = b"m" + self.chance.randbytes(62)
        return (pattern * (size // 63 + 1))[:size]

    def frame(self, body, flags=0):
        self.headers.append(len(self.bytes))
        if self.old:
            size = len(body) + 1
            self.bytes += bytes([size]) if size < 255 else b"\xff" + struct.pack(">Q", size)
            self.bytes += bytes([flags]) + body
            return
        flags |= self.chance.choice((0, 0, 0, 0x08, 0x80, 0xF8))  # reserved bits mean nothing
        if len(body) > 255 or self.chance.random() < 0.2:
            self.bytes += bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
        else:
            self.bytes += bytes([flags, len(body)]) + body

    def message(self, *parts):
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            if not self.old and self.chance.random() < 0.1:
                self.frame(self.chance.choice((b"\x04PING\0\0", b"\x07NOTHING", b"\x04PONG")), COMMAND)
            self.frame(part, 0 if last else MORE)
        self.messages.append([bytes(part) for part in parts])

    def up_to(self, cap, left):
        """A message after which ``left`` bytes of the first ``cap`` are free for the next header."""
        size = cap - left - 9 - (1 if self.old else 0)
        if size > 300:
            self.frame(body := self.body(size))
            self.messages.append([body])

    def fill(self, budget):
        if self.chance.random() < 0.6:
            self.up_to(self.chance.choice(CAPS), self.chance.randrange(21))
        while len(self.bytes) < budget:
            if self.kind == "XPUB" and self.chance.random() < 0.5:
                self.message(self.chance.choice((b"\1", b"\0")) + b"%d" % self.chance.randrange(20))
            else:
                self.message(*(self.body(self.size()) for _ in range(self.chance.choice((1, 1, 1, 2, 3)))))

    def spoil(self):
        for _ in range(self.chance.randrange(1, 4)):
            at = self.chance.choice([one for one in self.headers if one < len(self.bytes)] or [0])
            how = self.chance.randrange(6)
            if how == 0:
                self.bytes[at] ^= 1 << self.chance.randrange(8)
            elif how == 1:
                self.bytes[at : at + 9] = bytes([LONG]) + struct.pack(">Q", self.chance.choice(ODD_SIZES))
            elif how == 2:
                del self.bytes[at + self.chance.randrange(12) :]
            elif how == 3:
                self.bytes[at:at] = self.chance.randbytes(self.chance.randrange(1, 30))
            elif how == 4:
                del self.bytes[at : at + self.chance.randrange(1, 20)]
            else:
                at = self.chance.randrange(len(self.bytes))
                self.bytes[at : at + 1] = self.chance.randbytes(1)
            self.bytes = self.bytes or bytearray(b"\0")

    def pieces(self):
        """The bytes, cut at random, at headers, and where buffers end."""
        cuts = set()
        for _ in range(self.chance.randrange(6)):
            at = self.chance.choice((self.chance.randrange(len(self.bytes) + 1), *self.headers, *CAPS))
            cuts.add(at + self.chance.randrange(-10, 11))
        cuts = sorted(cut for cut in cuts if 0 < cut < len(self.bytes))
        return [bytes(self.bytes[a:b]) for a, b in zip([0, *cuts], [*cuts, len(self.bytes)], strict=True)]


def taken(raw):
    """Whether the other side has read all that was sent; true where the system does not tell."""
    if raw.stream.family.name != "AF_UNIX" or sys.platform != "linux":
        return True
    return struct.unpack("i", fcntl.ioctl(raw.stream, termios.TIOCOUTQ, b"\0" * 4))[0] == 0


def talk(raw, pieces, one_by_one):
    """Says it all; an end by the other side is an end."""
    try:
        for piece in pieces:
            raw.send(piece)
            if one_by_one:
                wait_for(lambda: taken(raw), "the other side reading", DEADLINE * 3)
    except OSError:
        return False
    return True


def meet(chance, raw, kind, old, name, pieces):
    """The handshake but for its last bytes, which come before the first piece or together with it."""
    if kind == "STREAM":
        return pieces
    if old:
        hello = bytes([len(name) + 1, 0]) + name
    else:
        raw.send(greeting())
        raw.recv_greeting()
        raw.recv_ready()
        hello = ready(PEERS[kind], name or None)
    return [hello + pieces[0], *pieces[1:]] if chance.random() < 0.5 else [hello, *pieces]


def receive(chance, made):
    if chance.random() < 0.3:
        return [part.bytes for part in made.recv_multipart(copy=False)]
    return made.recv_multipart()


class Scene:
    """One bound socket and what is done to it."""

    def __init__(self, world, kind, seed):
        self.chance = random.Random(f"{kind} {seed}")
        self.kind = kind
        self.mark = self.chance.choice((0, 0, 1, 3, 1000))
        options = {"RCVHWM": self.mark}
        self.notices = kind == "STREAM" or (kind == "ROUTER" and self.chance.random() < 0.5)
        if kind == "ROUTER" and self.notices:
            options["ROUTER_NOTIFY"] = int(zmq.NOTIFY_CONNECT | zmq.NOTIFY_DISCONNECT)
        if kind == "XPUB":
            options["XPUB_VERBOSER"] = 1
        # Where a policy drops, or a limit ends connections, only the books tell what is right.
        self.lossy = kind in ("PULL", "ROUTER") and self.chance.random() < 0.3
        if self.lossy:
            options["MAXMSGSIZE"] = self.chance.choice((-1, 1000, 100_000))
        self.made = world.socket(getattr(zmq, kind), **options)
        if self.lossy:
            limit = {"messages": self.chance.randrange(1, 10), "bytes": self.chance.choice((0, 1000, 300_000))}
            self.made.set_hwm_policy(
                recv=self.chance.choice((DropNewest(**limit), DropOldest(**limit), Block(**limit), KeepLast()))
            )
        self.watch = Watch(self.made, sum(map(int, ENDS)))
        transports = ("tcp",) if kind == "STREAM" else ("tcp", "ipc", "ipc")
        self.endpoints = [world.bind(self.made, one) for one in transports]
        self.names = iter(b"peer-%d" % number for number in range(1000))

    def connection(self, spoilt):
        chance, kind = self.chance, self.kind
        old = kind != "STREAM" and chance.random() < 0.15
        name = next(self.names)
        traffic = Traffic(chance, kind, old)
        traffic.fill(chance.choice((100, 10_000, 300_000)))
        if spoilt:
            traffic.spoil()
        with RawPeer.connect(chance.choice(self.endpoints)) as raw:
            pieces = meet(chance, raw, kind, old, name, traffic.pieces())
            talking = Task(talk, raw, pieces, chance.random() < 0.5)
            if spoilt or self.lossy:
                self.swallow(talking)
            elif kind == "STREAM":
                name = self.stream(talking, bytes(traffic.bytes))
            else:
                self.compare(talking, name, traffic.messages)
            if chance.random() < 0.2:
                raw.abort()
        left = self.ended()
        if not spoilt and not self.lossy and kind != "XPUB":
            assert left == ([[name, b""]] if self.notices else [])

    def swallow(self, talking):
        while talking.is_alive():
            if self.made.poll(1):
                drain(self.made)
        talking.result()

    def stream(self, talking, said):
        (name, empty), heard = self.made.recv_multipart(), b""
        assert empty == b""
        while len(heard) < len(said):
            who, piece = self.made.recv_multipart()
            assert who == name
            heard += piece
        assert heard == said
        assert talking.result(DEADLINE * 3)
        return name

    def compare(self, talking, name, messages):
        if self.mark == 0 and self.chance.random() < 0.5:
            talking.result(DEADLINE * 3)  # the background reads it all
        address = [name] if self.kind == "ROUTER" else []
        if self.notices:
            assert self.made.recv_multipart() == [name, b""]
        for number, parts in enumerate(messages):
            got = receive(self.chance, self.made)
            assert got == [*address, *parts], (number, [len(part) for part in parts], [len(part) for part in got])
        assert talking.result(DEADLINE * 3)

    def ended(self):
        """Waits for the connection's end; returns what was still received."""
        left = []

        def over():
            left.extend(drain(self.made))
            return any(self.watch.happened(event) for event in ENDS)

        wait_for(over, "the connection's end")
        self.watch.seen.clear()
        left.extend(drain(self.made))
        wait_for(lambda: left.extend(drain(self.made)) or not self.made.stats()["peers"], "the peer's end")
        return left + drain(self.made)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", PEERS)
def test_any_traffic(world, kind, seed):
    scene = Scene(world, kind, seed)
    for _ in range(12):
        scene.connection(spoilt=False)
        if kind != "STREAM":
            for _ in range(3):
                scene.connection(spoilt=True)
    scene.watch.close()
    books = scene.made.stats()["recv"]
    assert books["accepted"] == books["delivered"] + books["queued"] + sum(books["dropped"].values())
