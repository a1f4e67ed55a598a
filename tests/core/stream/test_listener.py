"""Listening: addresses, options, filters, socket files, adopted descriptors, and what is left behind."""

import errno
import os
import resource
import signal
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore.address import canonical, matches
from zcore.selftest_stream import Connecter, Listener, incoming_cpu

from .driver import (
    LIMIT,
    accept,
    adopt,
    drive,
    free_port,
    join,
    needs_ipv6,
    needs_linux,
    needs_root,
    refused,
    talk,
    wait_readable,
)

# -- tcp


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:"),
        ("tcp://*:*", "tcp://0.0.0.0:"),
        ("tcp://0.0.0.0:0", "tcp://0.0.0.0:"),
        ("tcp://127.1:!", "tcp://127.0.0.1:"),
        ("tcp://localhost:*", "tcp://127.0.0.1:"),
        ("ws://127.0.0.1:*/where", "ws://127.0.0.1:"),
        ("wss://127.0.0.1:*", "wss://127.0.0.1:"),
    ],
)
def test_tcp_addresses(listeners, text, start):
    listener = listeners(text)
    assert listener.endpoint.startswith(start)
    assert listener.accept() == ("none", errno.EAGAIN, None)
    ours, theirs, facts = join(listener)
    assert facts["address"] == "127.0.0.1"
    assert facts["loopback"]
    assert facts["ids"] is None
    scheme = text.split(":")[0]
    assert facts["local"] == f"{scheme}://127.0.0.1:{theirs.getsockname()[1]}"
    assert facts["remote"] == f"{scheme}://127.0.0.1:{ours.getsockname()[1]}"
    assert ("/where" in listener.endpoint) == ("/where" in text)
    talk(ours, theirs)


@needs_ipv6
@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("tcp://[::1]:*", "tcp://[::1]:"),
        ("tcp://*:*", "tcp://[::]:"),
        ("tcp://[::]:*", "tcp://[::]:"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:"),
    ],
)
def test_tcp_addresses_with_ipv6(listeners, text, start):
    listener = listeners(text, ipv6=1)
    assert listener.endpoint.startswith(start)
    ours, theirs, facts = join(listener)
    assert facts["address"] in ("::1", "127.0.0.1")
    talk(ours, theirs)


@needs_ipv6
def test_wildcard_serves_both_families_and_ipv4_peers_look_like_ipv4(listeners):
    listener = listeners("tcp://*:*", ipv6=1, filters=["127.0.0.0/8", "::1"])
    port = int(listener.endpoint.rsplit(":", 1)[1])
    for host, address in (("127.0.0.1", "127.0.0.1"), ("::1", "::1")):
        with socket.create_connection((host, port), LIMIT):
            verdict, fd, facts = accept(listener)
            assert verdict == "done"
            adopt(fd).close()
            assert facts["address"] == address
            assert facts["loopback"]


def test_interface(listeners):
    name = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if name is None:
        pytest.skip("no loopback interface")
    assert listeners(f"tcp://{name}:*").endpoint.startswith("tcp://127.0.0.1:")


def test_address_taken(listeners):
    listener = listeners("tcp://127.0.0.1:*")
    assert refused(listener.endpoint) == errno.EADDRINUSE
    talk(*join(listener)[:2])


def test_port_is_free_after_close_with_connections_left(listeners):
    listener = listeners("tcp://127.0.0.1:*")
    endpoint = listener.endpoint
    ours, theirs, _ = join(listener)
    with ours, theirs:
        listener.close()
        assert listeners(endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("tcp://nosuchif0:*", errno.ENODEV),
        ("tcp://no-such-name.invalid:*", errno.ENODEV),
        ("tcp://[::1]:*", errno.ENODEV),
        ("tcp://203.0.113.9:*", errno.EADDRNOTAVAIL),
        ("udp://127.0.0.1:*", errno.EPROTONOSUPPORT),
        ("vsock://*:*", errno.EPROTONOSUPPORT),
        ("ipc:///no/such/directory/x", errno.ENOENT),
    ],
)
def test_refused(text, number):
    assert refused(text) == number


def test_first_possible_address_is_bound(listeners):
    listener = listeners("tcp://name:1", resolved=[("203.0.113.9", 0), ("127.0.0.1", 0), ("127.0.0.2", 0)])
    assert listener.endpoint.startswith("tcp://127.0.0.1:")
    port = int(listener.endpoint.rsplit(":", 1)[1])
    assert refused("tcp://name:1", resolved=[("127.0.0.1", port), ("127.0.0.2", 0)]) == errno.EADDRINUSE
    assert refused("tcp://name:1", resolved=[("203.0.113.9", 0)]) == errno.EADDRNOTAVAIL
    assert refused("tcp://name:1", resolved=[]) == errno.EADDRNOTAVAIL


def test_options_reach_both_ends(listeners):
    options = {"keepalive": 1, "keepalive_cnt": 3, "keepalive_idle": 77, "keepalive_intvl": 11, "tos": 0x20}
    options |= {"sndbuf": 30000, "rcvbuf": 40000}
    if sys.platform.startswith("linux"):
        options |= {"maxrt_ms": 4321, "priority": 5}
    listener = listeners("tcp://127.0.0.1:*", **options)
    connecter = Connecter(listener.endpoint, **options)
    assert drive(connecter) == "open"
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    with adopt(connecter.take()) as ours, adopt(accept(listener)[1]) as theirs:
        for end in (ours, theirs):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert end.getsockopt(socket.IPPROTO_TCP, idle) == 77
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 11
            assert end.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x20
            # Linux doubles what it is asked for.
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in (30000, 60000)
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (40000, 80000)
            if "priority" in options:
                assert end.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 5
                assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4321


def test_defaults_leave_the_system_alone(listeners):
    with socket.socket() as plain:
        names = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_IP, socket.IP_TOS)]
        want = [plain.getsockopt(*name) for name in names]
    ours, theirs, _ = join(listeners("tcp://127.0.0.1:*"))
    with ours, theirs:
        assert [ours.getsockopt(*name) for name in names] == want
        assert [theirs.getsockopt(*name) for name in names] == want


@needs_linux
def test_ipv6_traffic_class(listeners):
    listener = listeners("tcp://*:*", ipv6=1, tos=0x28)
    with socket.socket(fileno=os.dup(listener.fileno())) as bound:
        if bound.family == socket.AF_INET6:
            assert bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0x28
        assert bound.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x28


def test_an_option_the_system_refuses_is_an_error(listeners):
    """Refused when bound and when connected, not ignored."""
    assert refused("tcp://127.0.0.1:*", keepalive_cnt=1 << 30) == errno.EINVAL
    connecter = Connecter(listeners("tcp://127.0.0.1:*").endpoint, keepalive_cnt=1 << 30)
    assert drive(connecter) == "failed"
    assert connecter.err == errno.EINVAL


@needs_root
@needs_linux
def test_device(listeners):
    assert refused("tcp://127.0.0.1:*", device="nosuchif0") == errno.ENODEV
    listener = listeners("tcp://127.0.0.1:*", device="lo")
    connecter = Connecter(listener.endpoint, device="lo")
    assert drive(connecter) == "open"
    with adopt(connecter.take()) as ours, adopt(accept(listener)[1]):
        assert ours.getsockopt(socket.SOL_SOCKET, 25, 16).rstrip(b"\0") == b"lo"


@needs_linux
def test_incoming_cpu(listeners):
    ours, theirs, _ = join(listeners("tcp://127.0.0.1:*"))
    with ours, theirs:
        theirs.sendall(b"x")
        wait_readable(ours)
        assert 0 <= incoming_cpu(ours.fileno()) < (os.cpu_count() or 1)
    a, b = socket.socketpair()
    with a, b:
        assert incoming_cpu(a.fileno()) == -1
    assert incoming_cpu(-1) == -1


# -- filters


@pytest.mark.parametrize(
    ("ranges", "source", "admitted"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.2/32"], "127.0.0.1", False),
        (["10.0.0.0/8", "127.0.0.0/8"], "127.0.0.1", True),
        (["::1"], "127.0.0.1", False),
        (["0.0.0.0/0"], "127.0.0.1", True),
    ],
)
def test_accept_filter(listeners, ranges, source, admitted):
    listener = listeners("tcp://127.0.0.1:*", filters=ranges)
    port = int(listener.endpoint.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), LIMIT, (source, 0)) as client:
        verdict, fd, _ = accept(listener)
        if admitted:
            assert verdict == "done"
            adopt(fd).close()
        else:
            assert (verdict, fd) == ("next", errno.EACCES)
            assert client.recv(1) == b""
    assert listener.accept()[0] == "none"


def test_ranges():
    assert matches("10.0.0.0/9", "10.127.255.255")
    assert not matches("10.0.0.0/9", "10.128.0.0")
    assert matches("fe80::/10", "febf::1")
    assert not matches("fe80::/10", "fec0::1")
    assert matches("10.0.0.0/8", "::ffff:10.1.2.3")
    assert matches("::ffff:10.0.0.0/104", "::ffff:10.1.2.3")
    assert not matches("::/0", "10.1.2.3")
    for wrong in (
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0.0/8x",
        "host",
        "1.2.3.4/0008",
        "fe80::1%lo",
    ):
        with pytest.raises(ValueError, match="range"):
            matches(wrong, "10.0.0.1")


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_ranges_agree_with_the_standard_library(network, address, bits):
    import ipaddress

    bits = min(bits, network.max_prefixlen)
    if ipaddress.IPv6Address in (type(network), type(address)) and (
        getattr(network, "ipv4_mapped", None) or getattr(address, "ipv4_mapped", None)
    ):
        return
    want = network.version == address.version and address in ipaddress.ip_network((network, bits), strict=False)
    assert matches(f"{network}/{bits}", str(address)) == want
    assert canonical(str(address)) == str(address)


@pytest.mark.parametrize(
    ("kw", "admitted"),
    [
        ({"uids": [os.getuid()]}, True),
        ({"uids": [os.getuid() + 1]}, False),
        ({"gids": [os.getgid()]}, True),
        ({"gids": [os.getgid() + 54321]}, False),
        ({"pids": [os.getpid()]}, True),
        ({"pids": [os.getpid() + 1]}, False),
        ({"uids": [os.getuid() + 1], "pids": [os.getpid()]}, True),
        ({"filters": ["10.0.0.0/8"]}, True),
    ],
)
def test_ipc_filters(listeners, tmp_path, kw, admitted):
    listener = listeners(f"ipc://{tmp_path}/s", **kw)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/s")
        verdict, fd, facts = accept(listener)
        if admitted:
            assert verdict == "done"
            assert facts["ids"] == (os.getuid(), os.getgid(), os.getpid())
            assert facts["address"] == "localhost:{}:{}:{}".format(*facts["ids"])
            adopt(fd).close()
        else:
            assert (verdict, fd) == ("next", errno.EACCES)
            assert client.recv(1) == b""


@needs_root
@needs_linux
def test_ipc_filter_by_supplementary_group(listeners, tmp_path):
    listener = listeners(f"ipc://{tmp_path}/s", gids=[54321])
    program = (
        "import os, socket, sys; os.setgroups([54320, 54321]); s = socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]); s.recv(1)"
    )
    with subprocess.Popen([sys.executable, "-c", program, f"{tmp_path}/s"]) as child:
        verdict, fd, facts = accept(listener)
        assert verdict == "done"
        assert facts["ids"][2] == child.pid
        adopt(fd).close()
        assert child.wait(LIMIT) == 0


# -- adopted descriptors


def test_use_fd_tcp(listeners):
    with socket.create_server(("127.0.0.1", 0)) as made:
        endpoint = f"tcp://127.0.0.1:{made.getsockname()[1]}"
        os.set_inheritable(made.fileno(), True)
        listener = listeners("tcp://127.0.0.1:1", use_fd=made.detach())
    assert listener.endpoint == endpoint
    assert not os.get_inheritable(listener.fileno())
    talk(*join(listener)[:2])
    listener.close()
    assert refused_connect(endpoint) == errno.ECONNREFUSED


def refused_connect(endpoint):
    connecter = Connecter(endpoint)
    assert drive(connecter) == "failed"
    return connecter.err


def test_use_fd_that_does_not_listen_yet(listeners):
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    talk(*join(listeners("tcp://127.0.0.1:1", use_fd=made.detach()))[:2])


def test_use_fd_ipc_leaves_the_file(listeners, tmp_path):
    path = tmp_path / "s"
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    listener = listeners("ipc:///elsewhere", use_fd=made.detach())
    assert listener.endpoint == f"ipc://{path}"
    talk(*join(listener)[:2])
    listener.close()
    assert path.exists()


def test_use_fd_of_the_wrong_kind(tmp_path):
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        assert refused("tcp://127.0.0.1:1", use_fd=unix.fileno()) == errno.EINVAL
        assert refused("ipc:///x", use_fd=tcp.fileno()) == errno.EINVAL
        assert refused("tcp://127.0.0.1:1", use_fd=udp.fileno()) == errno.EINVAL
        for one in (unix, tcp, udp):
            one.getsockname()  # still open
    with open(tmp_path / "f", "w") as plain:
        assert refused("tcp://127.0.0.1:1", use_fd=plain.fileno()) == errno.ENOTSOCK
    assert refused("tcp://127.0.0.1:1", use_fd=1 << 20) == errno.EBADF


# -- adversity


def test_no_descriptors_left():
    """Told apart from everything else, so that the owner waits instead of turning in a loop."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(LIMIT) * 2)
        code = 1
        try:
            listener = Listener("tcp://127.0.0.1:*")
            port = int(listener.endpoint.rsplit(":", 1)[1])
            client = socket.create_connection(("127.0.0.1", port), LIMIT)
            wait_readable(listener)
            last = os.dup(0)
            os.close(last)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (last, hard))
            assert listener.accept() == ("later", errno.EMFILE, None)
            assert refused("tcp://127.0.0.1:*") == errno.EMFILE
            assert refused_connect(listener.endpoint) == errno.EMFILE
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            verdict, fd, _ = listener.accept()
            assert verdict == "done"
            os.write(fd, b"x")
            assert client.recv(1) == b"x"
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_peers_that_are_gone_before_they_are_accepted(listeners):
    """Reset connections in the queue neither break the listener nor hide those behind them."""
    listener = listeners("tcp://127.0.0.1:*")
    port = int(listener.endpoint.rsplit(":", 1)[1])
    for _ in range(10):
        client = socket.create_connection(("127.0.0.1", port), LIMIT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    with socket.create_connection(("127.0.0.1", port), LIMIT) as alive:
        mine = alive.getsockname()[1]
        while True:
            verdict, fd, facts = accept(listener)
            assert verdict in ("done", "next")
            if verdict == "done":
                with adopt(fd) as one:
                    if facts["remote"] == f"tcp://127.0.0.1:{mine}":
                        one.sendall(b"x")
                        break
        assert alive.recv(1) == b"x"


def test_a_failed_open_leaves_nothing(listeners, tmp_path):
    """Descriptors are checked by the fixture; files here."""
    for text, kw in [
        (f"ipc://{tmp_path}/x/y", {}),
        ("ipc://*", {"sndbuf": 1000, "backlog": 5, "use_fd": 1 << 20}),
        (f"tcp://127.0.0.1:{free_port()}", {"keepalive_idle": 1 << 30}),
    ]:
        refused(text, **kw)
    assert os.listdir(tmp_path) == []
