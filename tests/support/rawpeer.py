"""A ZMTP peer made of nothing but a stream socket: says exactly the bytes a test wants said.

Wire format: RFC 37 (ZMTP 3.1), 23 (3.0), 15 (2.0), 13 (1.0).
"""

import socket
import struct
import time

import pytest

from support.impl import DEADLINE

MORE, LONG, COMMAND = 1, 2, 4
SIGNATURE = b"\xff" + bytes(8) + b"\x7f"


def greeting(mechanism=b"NULL", major=3, minor=1, as_server=0):
    return SIGNATURE + bytes([major, minor]) + mechanism.ljust(20, b"\0") + bytes([as_server]) + bytes(31)


def frame(body, flags=0):
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def message(*parts):
    return b"".join(frame(part, MORE if index < len(parts) - 1 else 0) for index, part in enumerate(parts))


def command(name, body=b""):
    return frame(bytes([len(name)]) + name + body, COMMAND)


def properties(**values):
    """Metadata with ``_`` in names standing for ``-``."""
    found = b""
    for name, value in values.items():
        name = name.replace("_", "-").encode()
        found += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return found


def ready(kind, identity=None, **more):
    values = {"Socket_Type": kind, **more}
    if identity is not None:
        values["Identity"] = identity
    return command(b"READY", properties(**values))


def v1_message(*parts):
    """ZMTP 1.0 framing: the length counts the flags byte."""
    found = b""
    for index, part in enumerate(parts):
        size = len(part) + 1
        head = bytes([size]) if size < 255 else b"\xff" + struct.pack(">Q", size)
        found += head + bytes([MORE if index < len(parts) - 1 else 0]) + part
    return found


class RawPeer:
    def __init__(self, stream):
        stream.settimeout(DEADLINE)
        if stream.family != socket.AF_UNIX:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = stream
        self.buffer = b""

    @classmethod
    def connect(cls, endpoint, rcvbuf=None):
        """`rcvbuf`: bytes the system keeps for a peer that does not read (the window of tcp grows without it)."""
        transport, _, rest = endpoint.partition("://")
        if transport == "ipc":
            stream = socket.socket(socket.AF_UNIX)
            stream.connect("\0" + rest[1:] if rest.startswith("@") else rest)
            return cls(stream)
        host, _, port = rest.rpartition(":")
        if rcvbuf is None:
            return cls(socket.create_connection((host.strip("[]"), int(port)), DEADLINE))
        stream = socket.socket()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        stream.connect((host, int(port)))
        return cls(stream)

    # -- bytes

    def send(self, data):
        self.stream.sendall(data)

    def recv_exact(self, count):
        while len(self.buffer) < count:
            try:
                data = self.stream.recv(65536)
            except TimeoutError:
                pytest.fail(f"only {len(self.buffer)} of {count} bytes came: {self.buffer[:80].hex(' ')}")
            if not data:
                raise EOFError(self.buffer)
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def wait_closed(self, timeout=DEADLINE):
        """Reads until the other side closes and returns what it still said; fails the test when it does not close."""
        end = time.monotonic() + timeout
        said = self.buffer
        while True:
            left = end - time.monotonic()
            if left <= 0:
                pytest.fail(f"the connection stayed open for {timeout} s")
            self.stream.settimeout(left)
            try:
                data = self.stream.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                return said
            if not data:
                return said
            said += data

    def close(self):
        self.stream.close()

    def abort(self):
        """Closes with a reset instead of an orderly end."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()

    # -- frames

    def recv_frame(self):
        """(flags without LONG, body)"""
        flags = self.recv_exact(1)[0]
        size = struct.unpack(">Q", self.recv_exact(8))[0] if flags & LONG else self.recv_exact(1)[0]
        return flags & ~LONG, self.recv_exact(size)

    def recv_command(self):
        """(name, body); fails when a message comes instead."""
        flags, body = self.recv_frame()
        assert flags & COMMAND, f"expected a command, got message frame {body!r}"
        return body[1 : 1 + body[0]], body[1 + body[0] :]

    def recv_message(self):
        """The parts of the next message; commands before it are left out."""
        parts = []
        while True:
            flags, body = self.recv_frame()
            if flags & COMMAND:
                continue
            parts.append(body)
            if not flags & MORE:
                return parts

    def send_message(self, *parts):
        self.send(message(*parts))

    # -- handshake

    def recv_greeting(self):
        """The other side's 64 bytes."""
        return self.recv_exact(64)

    def recv_ready(self):
        """The properties of the other side's READY, as {name: value}."""
        name, body = self.recv_command()
        assert name == b"READY", (name, body)
        found = {}
        while body:
            size = body[0]
            key = body[1 : 1 + size]
            length = struct.unpack(">I", body[1 + size : 5 + size])[0]
            found[key] = body[5 + size : 5 + size + length]
            body = body[5 + size + length :]
        return found

    def handshake(self, kind, identity=None, minor=1):
        """A whole NULL handshake; returns the other side's properties."""
        self.send(greeting(minor=minor))
        self.recv_greeting()
        self.send(ready(kind, identity))
        return self.recv_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class RawListener:
    """A listening socket whose connections become raw peers."""

    def __init__(self, port=0):
        self.stream = socket.create_server(("127.0.0.1", port))
        self.stream.settimeout(DEADLINE)
        self.port = self.stream.getsockname()[1]
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.peers = []

    def accept(self, timeout=DEADLINE):
        self.stream.settimeout(timeout)
        peer = RawPeer(self.stream.accept()[0])
        self.peers.append(peer)
        return peer

    def close(self):
        self.stream.close()
        for peer in self.peers:
            peer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
