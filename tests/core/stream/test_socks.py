"""SOCKS5: the negotiation byte by byte, and through a proxy that is slow, unkind or silent."""

import contextlib
import errno
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore.selftest_stream import Connecter, Socks

from .driver import LIMIT, WANT_IN, adopt, drive, free_port

MS = 1_000_000
T0 = 1_000_000_000_000


# -- the negotiation alone


def feed(socks, data):
    """Give the client all of data, in pieces no larger than it asks for; its last answer."""
    answer = socks.step()
    while data:
        assert answer[0] == "recv", answer
        piece, data = data[: answer[1]], data[answer[1] :]
        answer = socks.step(piece)
    return answer


def sent(socks):
    way, data, _ = socks.step()
    assert way == "send"
    return data, socks.step(sent=len(data))


REPLY = b"\5\0\0\1\x7f\0\0\1\x04\xd2"


@pytest.mark.parametrize(
    ("text", "kw", "request_"),
    [
        ("tcp://10.1.2.3:513", {}, b"\5\1\0\1\x0a\1\2\3\2\1"),
        ("tcp://a.name:80", {}, b"\5\1\0\3\6a.name\0\x50"),
        ("tcp://[2001:db8::1]:80", {"ipv6": 1}, b"\5\1\0\4\x20\1\r\xb8" + b"\0" * 11 + b"\1\0\x50"),
    ],
)
def test_without_login(text, kw, request_):
    socks = Socks(text, **kw)
    assert sent(socks) == (b"\5\1\0", ("recv", 2, 0))
    assert feed(socks, b"\5\0") == ("send", request_, 0)
    sent(socks)
    assert feed(socks, REPLY) == ("open", 0, 0)


def test_login():
    socks = Socks("tcp://10.1.2.3:80", username="me", password="secret")
    assert sent(socks) == (b"\5\2\0\2", ("recv", 2, 0))
    assert feed(socks, b"\5\2") == ("send", b"\1\2me\6secret", 0)
    sent(socks)
    assert feed(socks, b"\1\0")[0] == "send"
    sent(socks)
    assert feed(socks, REPLY)[0] == "open"


def test_a_proxy_may_waive_the_login():
    socks = Socks("tcp://10.1.2.3:80", username="me", password="secret")
    sent(socks)
    assert feed(socks, b"\5\0")[1][:2] == b"\5\1"


def test_longest_login_and_name():
    socks = Socks("tcp://" + "n" * 255 + ":80", username="u" * 255, password="p" * 255)
    sent(socks)
    assert feed(socks, b"\5\2")[1] == b"\1\xff" + b"u" * 255 + b"\xff" + b"p" * 255
    sent(socks)
    assert feed(socks, b"\1\0")[1] == b"\5\1\0\3\xff" + b"n" * 255 + b"\0\x50"
    sent(socks)
    assert feed(socks, b"\5\0\0\3\xff" + b"b" * 255 + b"\0\1")[0] == "open"


@pytest.mark.parametrize(
    ("answers", "number"),
    [
        ([b"\4\0"], errno.EPROTO),
        ([b"\5\xff"], errno.EACCES),
        ([b"\5\2"], errno.EPROTO),  # asks for a login that was not offered
        ([b"\5\1"], errno.EPROTO),
        ([b"HT"], errno.EPROTO),
        ([b"\5\0", b"\4\0\0\1\0"], errno.EPROTO),
        ([b"\5\0", b"\5\0\0\2\0"], errno.EPROTO),
        ([b"\5\0", b"\5\1\0\1\0"], errno.ECONNABORTED),
        ([b"\5\0", b"\5\2\0\1\0"], errno.EACCES),
        ([b"\5\0", b"\5\3\0\1\0"], errno.ENETUNREACH),
        ([b"\5\0", b"\5\4\0\1\0"], errno.EHOSTUNREACH),
        ([b"\5\0", b"\5\5\0\1\0"], errno.ECONNREFUSED),
        ([b"\5\0", b"\5\6\0\1\0"], errno.ETIMEDOUT),
        ([b"\5\0", b"\5\7\0\1\0"], errno.EOPNOTSUPP),
        ([b"\5\0", b"\5\x08\0\1\0"], errno.EAFNOSUPPORT),
        ([b"\5\0", b"\5\x63\0\1\0"], errno.ECONNABORTED),
    ],
)
def test_refusals(answers, number):
    socks = Socks("tcp://10.1.2.3:80")
    for answer in answers:
        sent(socks)
        last = feed(socks, answer)
    assert last[0] == "failed"
    assert last[2] == number


def test_wrong_password():
    socks = Socks("tcp://10.1.2.3:80", username="me", password="wrong")
    sent(socks)
    feed(socks, b"\5\2")
    sent(socks)
    assert feed(socks, b"\1\1")[::2] == ("failed", errno.EACCES)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.booleans())
def test_whatever_a_proxy_says_the_client_ends_or_waits(pieces, login):
    kw = {"username": "u", "password": "p"} if login else {}
    socks = Socks("tcp://10.1.2.3:80", **kw)
    data = b"".join(pieces)
    for _ in range(200):
        way, what, number = socks.step()
        if way == "send":
            socks.step(sent=len(what))
        elif way == "recv" and data:
            assert 0 < what <= 257
            socks.step(data[:what])
            data = data[what:]
        else:
            break
    assert way in ("recv", "open", "failed")
    assert (number != 0) == (way == "failed")


# -- through a proxy


class Proxy:
    """A SOCKS5 server of one connection: reads all that is said to it and plays back `script`.

    `script` is a list of (bytes awaited, answer); after it the connection echoes.
    """

    def __init__(self, script, bytewise=False, extra=b""):
        self.script, self.bytewise, self.extra = script, bytewise, extra
        self.heard = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(LIMIT)
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()
        self.server.close()

    def _serve(self):
        one, _ = self.server.accept()
        one.settimeout(LIMIT)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with one, contextlib.suppress(OSError):
            for number, (awaited, answer) in enumerate(self.script):
                heard = b""
                while len(heard) < awaited:
                    more = one.recv(awaited - len(heard))
                    if not more:
                        return
                    heard += more
                self.heard.append(heard)
                if number == len(self.script) - 1:
                    answer += self.extra
                for piece in [answer[i : i + 1] for i in range(len(answer))] if self.bytewise else [answer]:
                    one.sendall(piece)
            while more := one.recv(100):
                one.sendall(more)


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize("login", [False, True])
def test_through_a_proxy(bytewise, login):
    """The name travels unresolved, and what the peer says first is not swallowed."""
    request = b"\5\1\0\3\x0bhost.beyond\x15\xb3"
    if login:
        script = [(4, b"\5\2"), (14, b"\1\0"), (len(request), REPLY)]
        kw = {"username": "user", "password": "password"[:7]}
    else:
        script, kw = [(3, b"\5\0"), (len(request), REPLY)], {}
    with Proxy(script, bytewise, extra=b"first words") as proxy:
        connecter = Connecter("tcp://host.beyond:5555", proxy=f"127.0.0.1:{proxy.port}", **kw)
        assert drive(connecter) == "open"
        with adopt(connecter.take()) as ours:
            got = b""
            while len(got) < 11:
                got += ours.recv(11)
            assert got == b"first words"
            ours.sendall(b"echo")
            assert ours.recv(4) == b"echo"
    assert proxy.heard[-1] == request
    if login:
        assert proxy.heard[1] == b"\1\4user\7passwor"


def test_the_proxy_s_name_is_resolved():
    with Proxy([(3, b"\5\0"), (10, REPLY)]) as proxy:
        connecter = Connecter("tcp://10.0.0.1:5", proxy=f"my.proxy:{proxy.port}")
        assert connecter.step()[0] == "naming"
        assert connecter.name() == ("my.proxy", proxy.port)
        assert drive(connecter, lambda name, port: ([("127.0.0.1", port)], 0)) == "open"
        adopt(connecter.take()).close()


def test_default_port():
    connecter = Connecter("tcp://10.0.0.1:5", proxy="my.proxy")
    connecter.step()
    assert connecter.name() == ("my.proxy", 1080)


def test_nobody_at_the_proxy():
    connecter = Connecter("tcp://10.0.0.1:5", proxy=f"127.0.0.1:{free_port()}")
    assert drive(connecter) == "failed"
    assert connecter.err == errno.ECONNREFUSED


def test_refused_by_the_proxy_and_again():
    connecter = None
    for answer, want in ((b"\5\5\0\1\0\0\0\0\0\0", "failed"), (REPLY, "open")):
        with Proxy([(3, b"\5\0"), (10, answer)]) as proxy:
            connecter = Connecter("tcp://10.0.0.1:5", proxy=f"127.0.0.1:{proxy.port}")
            assert drive(connecter) == want
            if want == "failed":
                assert connecter.err == errno.ECONNREFUSED
                connecter.reset()
            else:
                adopt(connecter.take()).close()


def test_a_proxy_that_hangs_up():
    with Proxy([(3, b"\5")]) as proxy:
        proxy.script.append((1 << 20, b""))
        connecter = Connecter("tcp://10.0.0.1:5", proxy=f"127.0.0.1:{proxy.port}", proxy_timeout_ms=0)
        state, *_ = connecter.step()
        while state == "trying":
            state, *_ = connecter.step()
        assert state == "proxy"
        connecter.close()
    with socket.create_server(("127.0.0.1", 0)) as server:
        connecter = Connecter("tcp://10.0.0.1:5", proxy=f"127.0.0.1:{server.getsockname()[1]}")
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        assert drive(connecter) == "failed"
        assert connecter.err in (errno.ECONNABORTED, errno.ECONNRESET, errno.EPIPE)
        thread.join(LIMIT)


def test_a_silent_proxy_has_a_limit():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = f"127.0.0.1:{server.getsockname()[1]}"
        connecter = Connecter("tcp://10.0.0.1:5", proxy=proxy, proxy_timeout_ms=700)
        state, fd, events, until = connecter.step(T0)
        while state == "trying":
            state, fd, events, until = connecter.step(T0)
        assert (state, events, until) == ("proxy", WANT_IN, T0 + 700 * MS)
        assert fd >= 0
        assert connecter.step(until - 1)[0] == "proxy"
        assert connecter.step(until)[0] == "failed"
        assert connecter.err == errno.ETIMEDOUT
        connecter = Connecter("tcp://10.0.0.1:5", proxy=proxy, proxy_timeout_ms=700, connect_timeout_ms=300)
        state, *_, until = connecter.step(T0)
        while state == "trying":
            state, *_, until = connecter.step(T0)
        assert until == T0 + 300 * MS
        assert connecter.step(until)[0] == "failed"
