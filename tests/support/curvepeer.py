"""CURVE spoken by hand, with PyNaCl's primitives alone: both sides, step by step, each step open to abuse (RFC 25, 26).

`CurveClient` and `CurveServer` build the frames and open the other side's; a test decides what is sent, and in which
order.  Everything they know is an attribute, so that a step can be built from wrong keys, stale nonces or half a box.
"""

import os
import struct

from nacl import bindings as sodium

from support.rawpeer import COMMAND, LONG, MORE, command, frame, properties


def keypair():
    """(public, secret), 32 bytes each."""
    return sodium.crypto_box_keypair()


def short(prefix, counter):
    """A nonce of 16 fixed bytes and 8 that count."""
    return prefix + struct.pack(">Q", counter)


def box(plain, nonce, public, secret):
    return sodium.crypto_box(plain, nonce, public, secret)


def opened(sealed, nonce, public, secret):
    return sodium.crypto_box_open(sealed, nonce, public, secret)


class CurveSide:
    """What both sides have: the session key, and traffic."""

    own = other = b""  # nonce prefixes of MESSAGE

    def __init__(self):
        self.nonce = 1
        self.peer_nonce = 0
        self.key = None

    def count(self):
        self.nonce += 1
        return self.nonce - 1

    def message(self, payload, flags=0, nonce=None, outer=0):
        """One MESSAGE frame; `flags` inside (1 more, 2 command), `outer` on the frame."""
        nonce = self.count() if nonce is None else nonce
        sealed = sodium.crypto_box_afternm(bytes([flags]) + payload, short(self.own, nonce), self.key)
        return frame(b"\x07MESSAGE" + struct.pack(">Q", nonce) + sealed, outer)

    def parts(self, *parts):
        return b"".join(self.message(part, MORE if at < len(parts) - 1 else 0) for at, part in enumerate(parts))

    def open_message(self, body):
        """(flags inside, payload) of the body of a MESSAGE frame; checks that nonces increase."""
        assert body[:8] == b"\x07MESSAGE", body[:16]
        nonce = struct.unpack(">Q", body[8:16])[0]
        assert nonce > self.peer_nonce, (nonce, self.peer_nonce)
        self.peer_nonce = nonce
        plain = sodium.crypto_box_open_afternm(body[16:], short(self.other, nonce), self.key)
        return plain[0], plain[1:]

    def receive(self, raw):
        """The next frame of a raw peer, opened: (flags inside, payload)."""
        flags, body = raw.recv_frame()
        assert flags & (COMMAND | MORE | LONG) == 0, flags
        return self.open_message(body)

    def receive_message(self, raw):
        """The parts of the next message; commands before it are left out."""
        parts = []
        while True:
            flags, payload = self.receive(raw)
            if flags & 2:
                continue
            parts.append(payload)
            if not flags & 1:
                return parts


class CurveClient(CurveSide):
    own, other = b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES"

    def __init__(self, server_key, keys=None):
        super().__init__()
        self.server_key = server_key
        self.public, self.secret = keys or keypair()
        self.short_public, self.short_secret = keypair()
        self.cookie = self.server_short = None

    def hello(self, version=b"\x01\x00", padding=bytes(72), plain=bytes(64)):
        nonce = self.count()
        sealed = box(plain, short(b"CurveZMQHELLO---", nonce), self.server_key, self.short_secret)
        return command(b"HELLO", version + padding + self.short_public + struct.pack(">Q", nonce) + sealed)

    def take_welcome(self, body):
        """The argument of WELCOME."""
        assert len(body) == 160, len(body)
        plain = opened(body[16:], b"WELCOME-" + body[:16], self.server_key, self.short_secret)
        self.server_short, self.cookie = plain[:32], plain[32:]
        self.key = sodium.crypto_box_beforenm(self.server_short, self.short_secret)

    def vouch(self):
        nonce = os.urandom(16)
        return nonce + box(self.short_public + self.server_key, b"VOUCH---" + nonce, self.server_short, self.secret)

    def initiate(self, metadata=None, vouch=None, cookie=None, nonce=None):
        metadata = properties(Socket_Type=b"DEALER", Identity=b"") if metadata is None else metadata
        nonce = self.count() if nonce is None else nonce
        plain = self.public + (self.vouch() if vouch is None else vouch) + metadata
        sealed = sodium.crypto_box_afternm(plain, short(b"CurveZMQINITIATE", nonce), self.key)
        return command(b"INITIATE", (self.cookie if cookie is None else cookie) + struct.pack(">Q", nonce) + sealed)

    def take_ready(self, body):
        """The argument of READY; the server's metadata."""
        self.peer_nonce = struct.unpack(">Q", body[:8])[0]
        return sodium.crypto_box_open_afternm(body[8:], short(b"CurveZMQREADY---", self.peer_nonce), self.key)

    def handshake(self, raw, metadata=None):
        """All steps over a raw peer whose greetings have been exchanged; the server's metadata."""
        raw.send(self.hello())
        name, body = raw.recv_command()
        assert name == b"WELCOME", (name, body)
        self.take_welcome(body)
        raw.send(self.initiate(metadata))
        name, body = raw.recv_command()
        assert name == b"READY", (name, body)
        return self.take_ready(body)


class CurveServer(CurveSide):
    own, other = b"CurveZMQMESSAGES", b"CurveZMQMESSAGEC"

    def __init__(self, keys):
        super().__init__()
        self.public, self.secret = keys
        self.short_public, self.short_secret = keypair()
        self.cookie_key = os.urandom(32)
        self.client_short = self.client_key = None

    def take_hello(self, body):
        assert len(body) == 194, len(body)
        assert body[:2] == b"\x01\x00", body[:2]
        assert not any(body[2:74])
        self.client_short = body[74:106]
        self.peer_nonce = struct.unpack(">Q", body[106:114])[0]
        plain = opened(body[114:], short(b"CurveZMQHELLO---", self.peer_nonce), self.client_short, self.secret)
        assert plain == bytes(64)

    def welcome(self, plain=None):
        if plain is None:
            nonce = os.urandom(16)
            sealed = sodium.crypto_secretbox(
                self.client_short + self.short_secret, b"COOKIE--" + nonce, self.cookie_key
            )
            plain = self.short_public + nonce + sealed
        nonce = os.urandom(16)
        return command(b"WELCOME", nonce + box(plain, b"WELCOME-" + nonce, self.client_short, self.secret))

    def take_initiate(self, body):
        """The argument of INITIATE; the client's metadata."""
        cookie, nonce, sealed = body[:96], struct.unpack(">Q", body[96:104])[0], body[104:]
        plain = sodium.crypto_secretbox_open(cookie[16:], b"COOKIE--" + cookie[:16], self.cookie_key)
        assert plain == self.client_short + self.short_secret
        assert nonce > self.peer_nonce
        self.peer_nonce = nonce
        self.key = sodium.crypto_box_beforenm(self.client_short, self.short_secret)
        plain = sodium.crypto_box_open_afternm(sealed, short(b"CurveZMQINITIATE", nonce), self.key)
        self.client_key = plain[:32]
        vouch = opened(plain[48:128], b"VOUCH---" + plain[32:48], self.client_key, self.short_secret)
        assert vouch == self.client_short + self.public
        return plain[128:]

    def ready(self, metadata=None, nonce=None):
        metadata = properties(Socket_Type=b"DEALER", Identity=b"") if metadata is None else metadata
        nonce = self.count() if nonce is None else nonce
        sealed = sodium.crypto_box_afternm(metadata, short(b"CurveZMQREADY---", nonce), self.key)
        return command(b"READY", struct.pack(">Q", nonce) + sealed)

    def handshake(self, raw, metadata=None):
        """All steps over a raw peer whose greetings have been exchanged; the client's metadata."""
        name, body = raw.recv_command()
        assert name == b"HELLO", (name, body)
        self.take_hello(body)
        raw.send(self.welcome())
        name, body = raw.recv_command()
        assert name == b"INITIATE", (name, body)
        found = self.take_initiate(body)
        raw.send(self.ready(metadata))
        return found
