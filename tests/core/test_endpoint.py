"""The grammar of endpoints: every form, every refusal, and what pyzmq says to the same text."""

import errno
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore.endpoint import parse

PATH_MAX = 107 if sys.platform.startswith("linux") else 103


def short(value):
    return value[:40] if isinstance(value, str) else None


# text, bind, canonical text (None: as given), expected fields
GOOD = [
    ("tcp://127.0.0.1:5555", False, None, {"transport": "tcp", "host": "127.0.0.1", "host_kind": "ipv4", "port": 5555}),
    ("tcp://example.org:1", False, None, {"host": "example.org", "host_kind": "name", "port": 1}),
    ("tcp://my_service:65535", False, None, {"host": "my_service", "host_kind": "name", "port": 65535}),
    ("tcp://127.1:5", False, None, {"host": "127.1", "host_kind": "ipv4"}),
    ("tcp://0.0.0.0:5", False, None, {"host": "0.0.0.0", "host_kind": "ipv4"}),
    ("tcp://[::1]:5", False, None, {"host": "::1", "host_kind": "ipv6", "port": 5}),
    ("tcp://::1:5", False, "tcp://[::1]:5", {"host": "::1", "host_kind": "ipv6", "port": 5}),
    ("tcp://[::ffff:10.0.0.1]:5", False, None, {"host": "::ffff:10.0.0.1", "host_kind": "ipv6"}),
    ("tcp://[fe80::1%eth0]:5", False, None, {"host": "fe80::1%eth0", "host_kind": "ipv6"}),
    ("tcp://[fe80::1%2]:5", True, None, {"host": "fe80::1%2", "host_kind": "ipv6"}),
    ("tcp://host:05555", False, "tcp://host:5555", {"port": 5555}),
    ("tcp://*:5555", True, None, {"host": "*", "host_kind": "any", "port": 5555}),
    ("tcp://*:*", True, None, {"host": "*", "host_kind": "any", "port": None}),
    ("tcp://*:!", True, "tcp://*:*", {"port": None}),
    ("tcp://*:0", True, "tcp://*:*", {"port": None}),
    ("tcp://eth0:*", True, None, {"host": "eth0", "host_kind": "name", "port": None}),
    ("tcp://eth0.100:5", True, None, {"host": "eth0.100", "host_kind": "name"}),
    ("tcp://eth0:1:5", True, None, {"host": "eth0:1", "host_kind": "name", "port": 5}),
    ("tcp://br+a@b:5", True, None, {"host": "br+a@b", "host_kind": "name"}),
    (
        "tcp://10.0.0.1:7;10.0.0.2:5",
        False,
        None,
        {"source": "10.0.0.1", "source_kind": "ipv4", "source_port": 7, "host": "10.0.0.2", "port": 5},
    ),
    ("tcp://10.0.0.1:0;host:5", False, None, {"source": "10.0.0.1", "source_port": 0, "host": "host"}),
    (
        "tcp://eth0;10.0.0.2:5",
        False,
        "tcp://eth0:0;10.0.0.2:5",
        {"source": "eth0", "source_kind": "name", "source_port": 0},
    ),
    ("tcp://*:7;10.0.0.2:5", False, None, {"source": "*", "source_kind": "any", "source_port": 7}),
    ("tcp://[::1]:7;[::2]:5", False, None, {"source": "::1", "source_kind": "ipv6", "source_port": 7, "host": "::2"}),
    ("tcp://::1;[::2]:5", False, "tcp://[::1]:0;[::2]:5", {"source": "::1", "source_port": 0}),
    ("udp://*:5555", True, None, {"transport": "udp", "host": "*", "port": 5555}),
    ("udp://239.0.0.1:5555", False, None, {"host": "239.0.0.1"}),
    ("udp://eth0;239.0.0.1:5555", False, None, {"source": "eth0", "source_port": None, "host": "239.0.0.1"}),
    ("udp://[::1];[ff02::1]:5555", True, None, {"source": "::1", "host": "ff02::1"}),
    ("ws://127.0.0.1:80", False, "ws://127.0.0.1:80/", {"transport": "ws", "path": "/"}),
    ("ws://*:*/a/b", True, None, {"host": "*", "port": None, "path": "/a/b"}),
    ("wss://host:443/a", False, None, {"transport": "wss", "host": "host", "path": "/a"}),
    (
        "vsock://2:4294967295",
        False,
        None,
        {"host": "2", "host_kind": "number", "port": 4294967295},
    ),
    ("vsock://*:*", True, None, {"host": "*", "host_kind": "any", "port": None}),
    ("vmci://1:1", False, None, {"transport": "vmci", "host": "1", "port": 1}),
    ("ipc:///tmp/a", False, None, {"transport": "ipc", "path": "/tmp/a", "abstract": False}),
    ("ipc://rel", True, None, {"path": "rel"}),
    ("ipc:///tmp/a b;c:d", True, None, {"path": "/tmp/a b;c:d"}),
    ("ipc://@name", False, None, {"path": "@name", "abstract": True}),
    ("ipc://*", True, None, {"path": "*"}),
    ("ipc:///" + "x" * (PATH_MAX - 1), True, None, {}),
    ("ipc://@" + "x" * (PATH_MAX - 1), True, None, {"abstract": True}),
    ("ipc:///tmp/\u00e9", True, None, {"path": "/tmp/\u00e9"}),
    ("inproc://a", False, None, {"transport": "inproc", "name": "a"}),
    ("inproc://a://b;c:*", False, None, {"name": "a://b;c:*"}),
    ("inproc://" + "n" * 5000, True, None, {"name": "n" * 5000}),
    ("tipc://{5560,0,0}", True, None, {"transport": "tipc", "name": "{5560,0,0}"}),
    ("pgm://eth0;239.0.0.1:5555", True, None, {"transport": "pgm"}),
    ("epgm://eth0;239.0.0.1:5555", True, None, {"transport": "epgm"}),
    ("norm://1,eth0;239.0.0.1:5555", True, None, {"transport": "norm"}),
]

# text, errno when bound, errno when connected to (None: accepted), a word of the reason
BAD = [
    ("", errno.EINVAL, errno.EINVAL, "transport://"),
    ("t", errno.EINVAL, errno.EINVAL, "transport://"),
    ("tcp", errno.EINVAL, errno.EINVAL, "transport://"),
    ("tcp:/", errno.EINVAL, errno.EINVAL, "transport://"),
    ("://x", errno.EINVAL, errno.EINVAL, "transport://"),
    ("tcp://", errno.EINVAL, errno.EINVAL, "empty"),
    ("foo://bar", errno.EPROTONOSUPPORT, errno.EPROTONOSUPPORT, '"foo"'),
    ("TCP://127.0.0.1:5", errno.EPROTONOSUPPORT, errno.EPROTONOSUPPORT, '"TCP"'),
    (" tcp://127.0.0.1:5", errno.EPROTONOSUPPORT, errno.EPROTONOSUPPORT, "transport"),
    ("tcp://127.0.0.1", errno.EINVAL, errno.EINVAL, "port is missing"),
    ("tcp://127.0.0.1:", errno.EINVAL, errno.EINVAL, "port is missing"),
    ("tcp://127.0.0.1:abc", errno.EINVAL, errno.EINVAL, '"abc"'),
    ("tcp://*", errno.EINVAL, errno.EINVAL, "port is missing"),
    ("tcp://[::1]", errno.EINVAL, errno.EINVAL, "port is missing"),
    ("tcp://:5", errno.EINVAL, errno.EINVAL, "host is missing"),
    ("tcp://127.0.0.1:65536", errno.EINVAL, errno.EINVAL, "range"),
    ("tcp://127.0.0.1:99999999999999999999999", errno.EINVAL, errno.EINVAL, "range"),
    ("tcp://127.0.0.1:-1", errno.EINVAL, errno.EINVAL, '"-1"'),
    ("tcp://127.0.0.1:+5", errno.EINVAL, errno.EINVAL, '"+5"'),
    ("tcp://127.0.0.1: 5", errno.EINVAL, errno.EINVAL, '" 5"'),
    ("tcp://127.0.0.1:5 ", errno.EINVAL, errno.EINVAL, '"5 "'),
    ("tcp://127.0.0.1:0x10", errno.EINVAL, errno.EINVAL, "0x10"),
    ("tcp://127.0.0.1:5/path", errno.EINVAL, errno.EINVAL, "5/path"),
    ("tcp://127.0.0.1:0", None, errno.EINVAL, "port 0"),
    ("tcp://127.0.0.1:*", None, errno.EINVAL, "wildcard"),
    ("tcp://*:5", None, errno.EINVAL, "wildcard"),
    ("ws://*:5", None, errno.EINVAL, "wildcard"),
    ("ipc://*", None, errno.EINVAL, "wildcard"),
    ("tcp://user@host:5", None, errno.EINVAL, "user@host"),
    ("tcp://a b:5", errno.EINVAL, errno.EINVAL, "host name"),
    ("tcp://h\u00f4te:5", errno.EINVAL, errno.EINVAL, "host name"),
    ("tcp://999.1.1.1:5", errno.EINVAL, errno.EINVAL, "IPv4"),
    ("tcp://010.0.0.1:5", errno.EINVAL, errno.EINVAL, "IPv4"),
    ("tcp://1.2.3.4.5:5", errno.EINVAL, errno.EINVAL, "IPv4"),
    ("tcp://[::1:5", errno.EINVAL, errno.EINVAL, "[address]:port"),
    ("tcp://[::1]5", errno.EINVAL, errno.EINVAL, "[address]:port"),
    ("tcp://[::g]:5", errno.EINVAL, errno.EINVAL, "IPv6"),
    ("tcp://[127.0.0.1]:5", errno.EINVAL, errno.EINVAL, "IPv6"),
    ("tcp://[fe80::1%]:5", errno.EINVAL, errno.EINVAL, "IPv6"),
    ("tcp://[fe80::1%" + "z" * 40 + "]:5", errno.EINVAL, errno.EINVAL, "IPv6"),
    ("tcp://::g:5", errno.EINVAL, errno.EINVAL, "IPv6"),
    ("tcp://10.0.0.1:0;10.0.0.2:5", errno.EINVAL, None, "source"),
    ("ws://10.0.0.1:0;10.0.0.2:5", errno.EINVAL, errno.EINVAL, "source"),
    ("tcp://;127.0.0.1:5", errno.EINVAL, errno.EINVAL, ""),
    ("tcp://127.0.0.1:0;", errno.EINVAL, errno.EINVAL, ""),
    ("tcp://a;b;c:5", errno.EINVAL, errno.EINVAL, ""),
    ("udp://eth0:5;239.0.0.1:5", errno.EINVAL, errno.EINVAL, "source"),
    ("vsock://x:5", errno.EINVAL, errno.EINVAL, "context id"),
    ("vsock://4294967296:5", errno.EINVAL, errno.EINVAL, "context id"),
    ("ipc://", errno.EINVAL, errno.EINVAL, "empty"),
    ("ipc://@", errno.EINVAL, errno.EINVAL, "empty"),
    ("ipc:///" + "x" * PATH_MAX, errno.ENAMETOOLONG, errno.ENAMETOOLONG, "longer"),
    ("ipc:///tmp/a\0b", errno.EINVAL, errno.EINVAL, "zero byte"),
    ("tcp://" + "h" * 256 + ":5", errno.ENAMETOOLONG, errno.ENAMETOOLONG, "too long"),
    ("ws://h:5/" + "p" * 256, errno.ENAMETOOLONG, errno.ENAMETOOLONG, "longer"),
    ("inproc://", errno.EINVAL, errno.EINVAL, "empty"),
]


@pytest.mark.parametrize(("text", "bind", "canonical", "fields"), GOOD, ids=short)
def test_accepted(text, bind, canonical, fields):
    got = parse(text, bind)
    assert got["text"] == (canonical or text)
    assert {key: got[key] for key in fields} == fields
    assert parse(text.encode(), bind) == got
    assert parse(got["text"], bind) == got


@pytest.mark.parametrize(("text", "when_bound", "when_connected", "word"), BAD, ids=short)
def test_refused(text, when_bound, when_connected, word):
    for bind, want in ((True, when_bound), (False, when_connected)):
        if want is None:
            parse(text, bind)
            continue
        with pytest.raises(OSError) as caught:
            parse(text, bind)
        assert caught.value.errno == want
        assert word in caught.value.strerror


def test_reason_is_short_and_printable():
    with pytest.raises(OSError) as caught:
        parse("tcp://" + "\x01\u00ff" * 60 + ":5")
    assert caught.value.strerror.isprintable()
    assert len(caught.value.strerror) < 200


# What a name may be made of here, weighted towards the grammar's own signs.
signs = "tcp ipc inproc udp ws vsock tipc :// : ; * ! [ ] ::1 fe80::1 % eth0 @ / . 127.0.0.1 0 5 65536 host-1 { -"
pieces = st.sampled_from([*signs.split(), " ", "\0", "\u00e9"])
garbage = st.one_of(st.text(max_size=40), st.lists(pieces, max_size=12).map("".join), st.binary(max_size=40))


@given(garbage, st.booleans())
def test_garbage_is_refused_or_printed_stably(text, bind):
    try:
        got = parse(text, bind)
    except OSError as e:
        assert e.errno in (errno.EINVAL, errno.EPROTONOSUPPORT, errno.ENAMETOOLONG)
        assert e.strerror.isprintable()
    else:
        assert parse(got["text"], bind) == got


@given(
    st.from_regex(r"\A[a-z][a-z0-9_.-]{0,60}\Z"), st.integers(1, 65535), st.sampled_from(["tcp", "udp", "ws", "wss"])
)
def test_host_and_port_survive(host, port, transport):
    got = parse(f"{transport}://{host}:{port}")
    assert (got["host"], got["port"], got["host_kind"]) == (host, port, "name")


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_is_numeric(address, port):
    host = f"[{address}]" if address.version == 6 else str(address)
    got = parse(f"tcp://{host}:{port}")
    assert (got["host"], got["host_kind"]) == (str(address), f"ipv{address.version}")


# What pyzmq 27 does with each text of BAD, where it differs from us.  (text, errno bound, errno connected); None:
# accepted.  Everything else in BAD must be refused by both with the same errno.
DIFFERENT = {
    # The text decides, not a system call made later: refused at once, with the reason.
    "tcp://:5": (errno.ENODEV, None),
    "tcp://[::1]": (errno.ENODEV, None),
    "tcp://[::1:5": (errno.ENODEV, None),
    "tcp://[::1]5": (errno.ENODEV, None),
    "tcp://[::g]:5": (errno.ENODEV, None),
    "tcp://::g:5": (errno.ENODEV, None),
    "tcp://a b:5": (errno.ENODEV, errno.EINVAL),
    "tcp://h\u00f4te:5": (errno.ENODEV, errno.EINVAL),
    "tcp://999.1.1.1:5": (errno.ENODEV, None),
    "tcp://1.2.3.4.5:5": (errno.ENODEV, None),
    "tcp://[fe80::1%]:5": (errno.EINVAL, None),
    "tcp://[fe80::1%" + "z" * 40 + "]:5": (errno.EINVAL, None),
    "tcp://" + "h" * 256 + ":5": (errno.ENODEV, None),
    "tcp://a;b;c:5": (errno.EINVAL, None),
    # A port is decimal digits up to 65535 and nothing behind them.
    "tcp://127.0.0.1:65536": (errno.EINVAL, None),
    "tcp://127.0.0.1:99999999999999999999999": (None, None),
    "tcp://127.0.0.1:0x10": (errno.EINVAL, None),
    "tcp://127.0.0.1:-1": (None, errno.EINVAL),
    "tcp://127.0.0.1:+5": (None, errno.EINVAL),
    "tcp://127.0.0.1: 5": (None, errno.EINVAL),
    "tcp://127.0.0.1:5 ": (None, errno.EINVAL),
    "tcp://127.0.0.1:5/path": (None, errno.EINVAL),
    # Nobody listens on port 0.
    "tcp://127.0.0.1:0": (None, None),
    # A leading zero means octal to some programs.
    "tcp://010.0.0.1:5": (None, None),
    # An IPv4 address needs no brackets, and what stands in brackets is IPv6.
    "tcp://[127.0.0.1]:5": (None, None),
    # Binding has no source, so giving one is a mistake.
    "tcp://10.0.0.1:0;10.0.0.2:5": (None, None),
    "tcp://127.0.0.1:0;": (errno.EINVAL, None),
    # A wildcard is for binding.
    "ipc://*": (None, None),
    "tcp://user@host:5": (errno.ENODEV, errno.EINVAL),
}


def _pyzmq_errno(zmq, context, text, bind):
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        try:
            (socket.bind if bind else socket.connect)(text)
        except zmq.ZMQError as e:
            # The text was taken when only the system refused the address it names.
            return None if e.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL) else e.errno
        return None


def test_pyzmq_refuses_the_same(tmp_path, monkeypatch):
    zmq = pytest.importorskip("zmq")
    if zmq.zmq_version_info() < (4, 3, 5):
        pytest.skip("compared with libzmq 4.3.5")
    monkeypatch.chdir(tmp_path)
    seen = {}
    with zmq.Context() as context:
        for text, when_bound, when_connected, _ in BAD:
            if text.split(":")[0] not in ("tcp", "ipc", "inproc", "foo", "TCP", "", "t") or "\0" in text:
                continue  # not in pyzmq's builds, or cut at the zero byte by its C interface
            want = DIFFERENT.get(text, (when_bound, when_connected))
            got = tuple(_pyzmq_errno(zmq, context, text, bind) for bind in (True, False))
            if got != want:
                seen[text] = tuple(errno.errorcode.get(e, e) if e else None for e in got)
    assert not seen
    assert os.listdir(tmp_path) == []
