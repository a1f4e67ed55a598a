"""A TCP relay between two peers that does to their bytes what bad networks do.

It splits, delays, holds back, garbles and cuts; each direction has its own state, and everything can be changed while
it runs.
"""

import selectors
import socket
import threading
import time

from support.impl import DEADLINE


class Direction:
    """What happens to bytes on their way; read by the relay's thread, set by the test."""

    def __init__(self):
        self.chunk = 65536  # bytes per segment
        self.delay = 0.0  # seconds between segments
        self.held = False  # True: nothing passes, nothing is lost
        self.swallow = False  # True: bytes vanish
        self.cut_after = None  # bytes after which the connection is cut
        self.garble_at = None  # offset of one byte to be inverted, counted from the connection's beginning
        self.garble_next = None  # the same, counted from the next byte that comes; used once
        self.passed = 0  # bytes so far on this connection


class _Connection:
    def __init__(self, near, far, forward, backward):
        self.streams = (near, far)
        self.waiting = [b"", b""]
        self.ways = (forward, backward)
        self.next = [0.0, 0.0]
        self.ended = [False, False]


class Adversary:
    def __init__(self, target, buffers=None):
        """``buffers``: bytes the relay and its kernel sockets hold back at most; None for the machine's default."""
        self.buffers = buffers
        self.limit = buffers or 1 << 20
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        self.target = (host, int(port))
        self.forward = Direction()  # from the connecting peer to the target
        self.backward = Direction()
        self.refuse = False
        self.count = 0  # connections accepted so far
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        if buffers:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections = []
        self._lock = threading.Lock()
        self._stop = False
        self._wake_r, self._wake_w = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self):
        """Cuts every connection now."""
        with self._lock:
            for connection in self._connections:
                self._drop(connection)
            self._connections.clear()

    def close(self):
        self._stop = True
        self._wake_w.send(b"x")
        self._thread.join(DEADLINE)
        self.cut()
        for stream in (self._listener, self._wake_r, self._wake_w):
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _drop(connection):
        for stream in connection.streams:
            stream.close()

    def _accept(self):
        try:
            near, _ = self._listener.accept()
        except BlockingIOError:
            return
        if self.refuse:
            near.close()
            return
        try:
            far = socket.create_connection(self.target, 1)
        except OSError:
            near.close()
            return
        for stream in (near, far):
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.buffers:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffers)
        self.forward.passed = self.backward.passed = 0
        self._connections.append(_Connection(near, far, self.forward, self.backward))
        self.count += 1

    def _run(self):
        while not self._stop:
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                selector.register(self._wake_r, selectors.EVENT_READ)
                with self._lock:
                    pending = False
                    for connection in self._connections:
                        for side, stream in enumerate(connection.streams):
                            if len(connection.waiting[side]) < self.limit and not connection.ended[side]:
                                selector.register(stream, selectors.EVENT_READ)
                            pending = pending or bool(connection.waiting[side])
                selector.select(0.001 if pending else 0.01)
            with self._lock:
                self._accept()
                self._connections = [one for one in self._connections if self._pump(one)]

    def _pump(self, connection):
        """Moves what may move; False when the connection is over."""
        for side, stream in enumerate(connection.streams):
            way = connection.ways[side]
            if not connection.ended[side] and len(connection.waiting[side]) < self.limit:
                try:
                    data = stream.recv(min(65536, self.limit))
                    connection.ended[side] = not data
                    connection.waiting[side] += data
                except BlockingIOError:
                    pass
                except OSError:
                    self._drop(connection)
                    return False
            if not self._forward(connection, side, way):
                self._drop(connection)
                return False
            if connection.ended[side] and not connection.waiting[side]:
                self._drop(connection)
                return False
        return True

    @staticmethod
    def _forward(connection, side, way):
        other = connection.streams[1 - side]
        while connection.waiting[side] and not way.held and time.monotonic() >= connection.next[side]:
            piece = connection.waiting[side][: way.chunk]
            if way.cut_after is not None:
                piece = piece[: max(0, way.cut_after - way.passed)]
                if not piece:
                    return False
            if way.garble_at is not None and way.passed <= way.garble_at < way.passed + len(piece):
                index = way.garble_at - way.passed
                piece = piece[:index] + bytes([piece[index] ^ 0xFF]) + piece[index + 1 :]
            if way.garble_next is not None and len(piece) > way.garble_next:
                index, way.garble_next = way.garble_next, None
                piece = piece[:index] + bytes([piece[index] ^ 0xFF]) + piece[index + 1 :]
            try:
                sent = len(piece) if way.swallow else other.send(piece)
            except BlockingIOError:
                return True
            except OSError:
                return False
            connection.waiting[side] = connection.waiting[side][sent:]
            way.passed += sent
            connection.next[side] = time.monotonic() + way.delay
        return True
