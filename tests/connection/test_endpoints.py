"""Addresses: binding, connecting, wildcards, undoing both, and what is refused."""

import errno as system
import os
import random
import socket
import stat
import sys
import threading

import pytest
from support.impl import OURS, TRANSPORTS, ours_only, zmq
from support.rawpeer import RawListener, RawPeer
from support.waiting import Task, Watch, drain, nothing, wait_for
from support.world import free_port, last_endpoint, port_of


def refused(call, *args, errno):
    with pytest.raises(zmq.ZMQError) as caught:
        call(*args)
    wanted = errno if isinstance(errno, tuple) else (errno,)
    assert caught.value.errno in [int(one) for one in wanted], caught.value


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_connect_before_bind(world, transport):
    """Nobody has to be first; what was sent meanwhile arrives."""
    address = f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else world.address(transport)
    push = world.socket(zmq.PUSH, RECONNECT_IVL=10)
    push.connect(address)
    for number in range(10):
        push.send(b"%d" % number)
    pull = world.socket(zmq.PULL)
    pull.bind(address)
    assert [pull.recv() for _ in range(10)] == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_several_binds_and_connects(world, transport):
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    endpoints = [world.bind(pull, one) for one in (transport, transport, "tcp")]
    assert len(set(endpoints)) == 3
    for endpoint in endpoints:
        one = world.socket(zmq.PUSH)
        one.connect(endpoint)
        one.send(endpoint.encode())
        assert pull.recv() == endpoint.encode()
        push.connect(endpoint)
    for number in range(9):
        push.send(b"%d" % number)
    assert sorted(pull.recv() for _ in range(9)) == [b"%d" % number for number in range(9)]


def test_one_socket_over_all_transports(world):
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    for transport in TRANSPORTS:
        push.connect(world.bind(pull, transport))
    for number in range(30):
        push.send(b"%d" % number)
    assert sorted(int(pull.recv()) for _ in range(30)) == list(range(30))


@pytest.mark.parametrize("host", ["127.0.0.1", "*", "0.0.0.0", "localhost", "lo"])
@pytest.mark.parametrize("port", ["*", "0", "chosen"])
def test_tcp_names_and_wildcards(world, host, port):
    if host == "lo" and not os.path.isdir("/sys/class/net/lo"):
        pytest.skip("no interface called lo")
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    number = free_port() if port == "chosen" else port
    pull.bind(f"tcp://{host}:{number}")
    endpoint = last_endpoint(pull)
    assert endpoint.startswith("tcp://0.0.0.0:" if host in ("*", "0.0.0.0") else "tcp://127.0.0.1:")
    assert port_of(endpoint) == number or (port != "chosen" and port_of(endpoint) > 0)
    push.connect(f"tcp://localhost:{port_of(endpoint)}")
    push.send(b"x")
    assert pull.recv() == b"x"


def test_ipv6(world):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 on this machine")
    pull, push = world.socket(zmq.PULL, IPV6=1), world.socket(zmq.PUSH, IPV6=1)
    pull.bind("tcp://[::1]:*")
    endpoint = last_endpoint(pull)
    assert endpoint.startswith("tcp://[::1]:")
    push.connect(endpoint)
    push.send(b"six")
    assert pull.recv() == b"six"
    both = world.socket(zmq.PULL, IPV6=1)
    both.bind("tcp://*:*")
    endpoint = last_endpoint(both)
    assert endpoint.startswith("tcp://[::]:")
    for address in (f"tcp://127.0.0.1:{port_of(endpoint)}", f"tcp://[::1]:{port_of(endpoint)}"):
        one = world.socket(zmq.PUSH, IPV6=1)
        one.connect(address)
        one.send(address.encode())
        assert both.recv() == address.encode()


def test_ipv6_is_off_by_default(world):
    pull = world.socket(zmq.PULL)
    assert pull.get(int(zmq.IPV6)) == 0
    assert pull.get(int(zmq.IPV4ONLY)) == 1
    with pytest.raises(zmq.ZMQError):
        pull.bind("tcp://[::1]:*")


@pytest.mark.parametrize("source", ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:port"])
def test_source_address(world, source):
    with RawListener() as listener:
        host, _, port = source.partition(":")
        number = free_port() if port == "port" else 0
        push = world.socket(zmq.PUSH)
        push.connect(f"tcp://{host}:{number};127.0.0.1:{listener.port}")
        raw = listener.accept()
        seen_host, seen_port = raw.stream.getpeername()
        assert seen_host == host
        assert not number or seen_port == number
        raw.handshake(b"PULL")
        push.send(b"x")
        assert raw.recv_message() == [b"x"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unbind(world, transport):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)
    push = world.socket(zmq.PUSH)
    push.connect(endpoint)
    push.send(b"before")
    assert pull.recv() == b"before"
    pull.unbind(endpoint)
    other = world.socket(zmq.PULL)
    wait_for(lambda: can_bind(other, endpoint), "the address being free again")
    refused(pull.unbind, endpoint, errno=system.ENOENT)


def can_bind(made, endpoint):
    try:
        made.bind(endpoint)
    except zmq.ZMQError as error:
        assert error.errno == int(zmq.EADDRINUSE)
        return False
    return True


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_disconnect(world, transport):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)
    push = world.socket(zmq.PUSH)
    push.connect(endpoint)
    push.send(b"before")
    assert pull.recv() == b"before"
    push.disconnect(endpoint)
    wait_for(lambda: not push.poll(0, int(zmq.POLLOUT)), "the pipe's end")
    with pytest.raises(zmq.Again):
        push.send(b"nowhere", int(zmq.DONTWAIT))
    refused(push.disconnect, endpoint, errno=system.ENOENT)
    push.connect(endpoint)
    push.send(b"again")
    assert pull.recv() == b"again"


def test_disconnect_one_of_several(world):
    pulls = [world.socket(zmq.PULL) for _ in range(3)]
    push = world.socket(zmq.PUSH)
    endpoints = [world.bind(pull, "inproc") for pull in pulls]
    for endpoint in endpoints:
        push.connect(endpoint)
    push.disconnect(endpoints[1])
    for number in range(20):
        push.send(b"%d" % number)
    assert [len(drain(pull)) for pull in pulls] == [10, 0, 10]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_disconnect_lets_what_was_sent_arrive(world, transport):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, transport)
    push = world.socket(zmq.PUSH, LINGER=-1)
    push.connect(endpoint)
    for number in range(100):
        push.send(b"%d" % number)
    push.disconnect(endpoint)
    assert [pull.recv() for _ in range(100)] == [b"%d" % number for number in range(100)]


@ours_only
@pytest.mark.parametrize("wild", ["tcp://127.0.0.1:*", "tcp://*:*", "ipc://*"])
def test_unbind_by_the_name_used(world, wild):
    """A wildcard can be undone by the word it was bound with."""
    pull = world.socket(zmq.PULL)
    pull.bind(wild)
    endpoint = last_endpoint(pull)
    pull.unbind(wild)
    refused(pull.unbind, endpoint, errno=system.ENOENT)
    pull.bind(wild)
    pull.unbind(last_endpoint(pull))
    refused(pull.unbind, wild, errno=system.ENOENT)


def test_unbound_listener_takes_no_more(world):
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    pull.unbind(endpoint)

    def shut():
        try:
            RawPeer.connect(endpoint).close()
        except OSError:
            return True

    wait_for(shut, "the port being shut")


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_address_in_use(world, transport):
    first, second = world.socket(zmq.PULL), world.socket(zmq.PULL)
    endpoint = world.bind(first, transport)
    refused(second.bind, endpoint, errno=zmq.EADDRINUSE)
    push = world.socket(zmq.PUSH)
    push.connect(endpoint)
    push.send(b"to the first")
    assert first.recv() == b"to the first"


BAD = [
    ("tcp://", zmq.EINVAL),
    ("tcp://127.0.0.1", zmq.EINVAL),
    ("tcp://127.0.0.1:", zmq.EINVAL),
    ("tcp://127.0.0.1:x", zmq.EINVAL),
    ("tcp://127.0.0.1:123x", zmq.EINVAL),
    ("nonsense", zmq.EINVAL),
    ("://x", (zmq.EINVAL, zmq.EPROTONOSUPPORT)),
    ("carrier://pigeon", zmq.EPROTONOSUPPORT),
    ("", zmq.EINVAL),
]


@pytest.mark.parametrize(("address", "errno"), BAD, ids=[repr(bad[0]) for bad in BAD])
@pytest.mark.parametrize("verb", ["bind", "connect"])
def test_bad_addresses(world, verb, address, errno):
    if not OURS and address in ("tcp://127.0.0.1:", "tcp://127.0.0.1:123x"):
        pytest.skip("libzmq reads as much of the port as is a number")
    made = world.socket(zmq.PUSH)
    refused(getattr(made, verb), address, errno=errno)
    endpoint = world.bind(world.socket(zmq.PULL), "tcp")  # the socket is unharmed
    made.connect(endpoint)
    made.send(b"x")


@ours_only
@pytest.mark.parametrize(("verb", "address"), [("bind", "tcp://127.0.0.1:99999"), ("connect", "tcp://127.0.0.1:0")])
def test_impossible_ports(world, verb, address):
    refused(getattr(world.socket(zmq.PUSH), verb), address, errno=zmq.EINVAL)


def test_no_such_interface_or_address(world):
    made = world.socket(zmq.PULL)
    refused(made.bind, "tcp://nosuchiface0:*", errno=system.ENODEV)
    refused(made.bind, "tcp://192.0.2.1:*", errno=(zmq.EADDRNOTAVAIL, system.ENODEV))


@pytest.mark.parametrize("kind", ["PUSH", "PULL", "PAIR"])
def test_second_connect_opens_a_second_connection(world, kind):
    with RawListener() as listener:
        made = world.socket(getattr(zmq, kind))
        made.connect(listener.endpoint)
        listener.accept()
        made.connect(listener.endpoint)
        listener.accept()


@pytest.mark.parametrize("kind", ["DEALER", "SUB", "PUB", "REQ"])
def test_second_connect_is_a_no_op(world, kind):
    with RawListener() as listener:
        made = world.socket(getattr(zmq, kind))
        made.connect(listener.endpoint)
        listener.accept()
        made.connect(listener.endpoint)
        with pytest.raises(TimeoutError):
            listener.accept(0.1)


def test_last_endpoint_follows_bind_and_connect(world):
    made = world.socket(zmq.DEALER)
    assert last_endpoint(made) == ""
    first = world.bind(made, "tcp")
    assert first.startswith("tcp://127.0.0.1:")
    second = world.bind(made, "ipc")
    assert second.startswith("ipc:///")
    other = world.bind(world.socket(zmq.DEALER), "tcp")
    made.connect(other)
    assert last_endpoint(made) == other
    third = world.bind(made, "inproc")
    assert third.startswith("inproc://")


def test_names_are_resolved(world):
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    endpoint = world.bind(pull, "tcp")
    push.connect(f"tcp://localhost:{port_of(endpoint)}")
    push.send(b"x")
    assert pull.recv() == b"x"


def test_name_that_does_not_exist_is_retried_not_raised(world):
    """connect() does not wait for a resolver; a name may come into being later."""
    push = world.socket(zmq.PUSH, RECONNECT_IVL=20)
    push.connect("tcp://no-such-host.invalid:5555")
    push.send(b"queued", int(zmq.DONTWAIT))


# -- ipc


def test_ipc_path_and_its_file(world):
    pull = world.socket(zmq.PULL)
    path = f"{world.directory}/socket"
    pull.bind(f"ipc://{path}")
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert last_endpoint(pull) == f"ipc://{path}"
    push = world.socket(zmq.PUSH)
    push.connect(f"ipc://{path}")
    push.send(b"x")
    assert pull.recv() == b"x"


def test_ipc_wildcard(world):
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    pull.bind("ipc://*")
    endpoint = last_endpoint(pull)
    path = endpoint.removeprefix("ipc://")
    assert os.path.exists(path)
    push.connect(endpoint)
    push.send(b"x")
    assert pull.recv() == b"x"
    pull.unbind(endpoint)
    wait_for(lambda: not os.path.exists(path), "the path being taken away")


def test_ipc_wildcard_is_cleaned_up_on_close(world):
    context = world.new_context()
    pull = world.socket(zmq.PULL, context=context)
    pull.bind("ipc://*")
    path = last_endpoint(pull).removeprefix("ipc://")
    pull.close()
    context.term()
    assert not os.path.exists(path)
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.skipif(not os.path.isdir("/proc/net"), reason="abstract names are Linux's")
def test_ipc_abstract(world):
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    name = f"ipc://@zq-test-{os.getpid()}"
    pull.bind(name)
    assert last_endpoint(pull) == name
    push.connect(name)
    push.send(b"x")
    assert pull.recv() == b"x"
    with RawPeer.connect(name) as raw:
        raw.handshake(b"PUSH")
        raw.send_message(b"raw")
        assert pull.recv() == b"raw"


def test_ipc_path_too_long(world):
    made = world.socket(zmq.PULL)
    limit = zmq.IPC_PATH_MAX_LEN
    room = limit - len(world.directory) - 1
    for extra, good in ((0, True), (1, False), (200, False)):
        address = f"ipc://{world.directory}/{'x' * (room + extra)}"
        if good:
            made.bind(address)
            assert last_endpoint(made) == address
        else:
            refused(made.bind, address, errno=system.ENAMETOOLONG)


def test_ipc_rebind_after_unbind(world):
    """The same path again and again."""
    address = f"ipc://{world.directory}/again"
    for number in range(5):
        pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
        pull.bind(address)
        push.connect(address)
        push.send(b"%d" % number)
        assert pull.recv() == b"%d" % number
        pull.unbind(address)
        push.close()
        pull.close()


def test_ipc_takes_over_a_stale_file(world):
    """What a crashed process left behind does not stop the next."""
    path = f"{world.directory}/stale"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    pull, push = world.socket(zmq.PULL), world.socket(zmq.PUSH)
    pull.bind(f"ipc://{path}")
    push.connect(f"ipc://{path}")
    push.send(b"x")
    assert pull.recv() == b"x"


@ours_only
def test_ipc_unlinks_only_its_own_file(world):
    """A path another socket has taken in the meantime is not removed by the first one's close."""
    path = f"{world.directory}/mine"
    first = world.socket(zmq.PULL)
    first.bind(f"ipc://{path}")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        first.unbind(f"ipc://{path}")
        second = world.socket(zmq.PULL)
        world.bind(second, "ipc")
        second.close()
        assert os.path.exists(path)


def test_ipc_missing_directory(world):
    with pytest.raises(zmq.ZMQError):
        world.socket(zmq.PULL).bind(f"ipc://{world.directory}/no/such/place")


# -- USE_FD


def test_use_fd_tcp(world):
    """A listening descriptor made by somebody else, such as a service manager."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        port = made.getsockname()[1]
        pull = world.socket(zmq.PULL, USE_FD=made.detach())
        pull.bind(f"tcp://127.0.0.1:{port}")
    for number in range(3):
        push = world.socket(zmq.PUSH)
        push.connect(f"tcp://127.0.0.1:{port}")
        push.send(b"%d" % number)
        assert pull.recv() == b"%d" % number


def test_use_fd_ipc(world):
    path = f"{world.directory}/given"
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen()
    pull = world.socket(zmq.PULL, USE_FD=made.detach())
    pull.bind(f"ipc://{path}")
    push = world.socket(zmq.PUSH)
    push.connect(f"ipc://{path}")
    push.send(b"x")
    assert pull.recv() == b"x"


def test_inproc_names_belong_to_a_context(world):
    other = world.new_context()
    a, b = world.socket(zmq.PULL), world.socket(zmq.PULL, context=other)
    a.bind("inproc://same")
    b.bind("inproc://same")
    push = world.socket(zmq.PUSH)
    push.connect("inproc://same")
    push.send(b"x")
    assert a.recv() == b"x"
    nothing(b, 30)


def test_inproc_name_is_free_after_close(world):
    for _ in range(3):
        pull = world.socket(zmq.PULL)
        wait_for(lambda made=pull: can_bind(made, "inproc://reused"), "the name being free")
        push = world.socket(zmq.PUSH)
        push.connect("inproc://reused")
        push.send(b"x")
        assert pull.recv() == b"x"
        pull.close()
        push.close()


@pytest.mark.parametrize(
    ("kind", "peer"), [("DEALER", "DEALER"), ("REQ", "REP"), ("SUB", "PUB"), ("PUB", "SUB"), ("PUSH", "PULL")]
)
def test_connecting_anew_over_inproc_when_the_other_side_has_gone(world, kind, peer):
    made = world.socket(getattr(zmq, kind))
    for _ in range(3):
        other = world.socket(getattr(zmq, peer))
        for one in (made, other):
            if one.type == zmq.SUB:
                one.set(int(zmq.SUBSCRIBE), b"")
        wait_for(lambda one=other: can_bind(one, "inproc://again"), "the name being free")
        made.connect("inproc://again")
        sender, receiver = (other, made) if kind == "SUB" else (made, other)
        assert sender.poll(10_000, int(zmq.POLLOUT))
        if "PUB" in (kind, peer):
            wait_for(lambda one=sender, two=receiver: one.send(b"x") or two.poll(5), "a message")
        else:
            sender.send(b"x")
        assert receiver.recv() == b"x"
        if kind == "REQ":
            other.send(b"reply")
            assert made.recv() == b"reply"
        other.close()
        if kind == "SUB":
            drain(made)


@ours_only
def test_who_waits_for_a_name_outlives_a_socket_closed_while_it_binds(world):
    """Connections it came together with are gone; all the others wait on, for the next who binds."""
    chance = random.Random(27)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            address = world.address("inproc")
            push, first, second = (world.socket(kind) for kind in (zmq.PUSH, zmq.PULL, zmq.PULL))
            for _ in range(100):
                push.connect(address)
            gate = threading.Barrier(2)

            spins = chance.randrange(2000)

            def close(gate=gate, first=first, spins=spins):
                gate.wait()
                for _ in range(spins):
                    pass
                first.close()

            closing = Task(close)
            gate.wait()
            try:
                first.bind(address)
            except zmq.ZMQError:
                pass  # it was closed already
            closing.result()
            push.poll(0, int(zmq.POLLOUT))
            waiting = [one["connected"] for one in push.stats()["peers"]]
            second.bind(address)
            assert [one["connected"] for one in second.stats()["peers"]] == waiting
            push.close()
            second.close()
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("kind", ["DEALER", "PUSH"])
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_disconnect_undoes_every_connect_to_the_name(world, transport, kind):
    router = world.socket(zmq.PULL if kind == "PUSH" else zmq.ROUTER)
    endpoint = world.bind(router, transport)
    made = world.socket(getattr(zmq, kind))
    made.connect(endpoint)
    made.connect(endpoint)
    made.disconnect(endpoint)
    wait_for(lambda: not made.poll(0, int(zmq.POLLOUT)), "the pipes' end")
    refused(made.disconnect, endpoint, errno=system.ENOENT)


def test_every_connect_over_inproc_makes_a_pipe(world):
    """As in libzmq, where only the network's endpoints are connected once."""
    router, dealer = world.socket(zmq.ROUTER), world.socket(zmq.DEALER)
    endpoint = world.bind(router, "inproc")
    dealer.connect(endpoint)
    dealer.connect(endpoint)
    for _ in range(4):
        dealer.send(b"x")
    assert len({router.recv_multipart()[0] for _ in range(4)}) == 2


def test_bind_to_random_port(world):
    pull = world.socket(zmq.PULL)
    port = pull.bind_to_random_port("tcp://127.0.0.1", min_port=20000, max_port=60000, max_tries=50)
    assert 20000 <= port < 60000
    push = world.socket(zmq.PUSH)
    push.connect(f"tcp://127.0.0.1:{port}")
    push.send(b"x")
    assert pull.recv() == b"x"


def test_bind_as_context_manager(world):
    pull = world.socket(zmq.PULL)
    with pull.bind("inproc://scoped"):
        push = world.socket(zmq.PUSH)
        with push.connect("inproc://scoped"):
            push.send(b"x")
            assert pull.recv() == b"x"
        assert not push.poll(0, int(zmq.POLLOUT))
    other = world.socket(zmq.PULL)
    other.bind("inproc://scoped")


def test_listening_event_names_the_endpoint(world):
    pull = world.socket(zmq.PULL)
    with Watch(pull) as watch:
        endpoint = world.bind(pull, "tcp")
        assert watch.wait(zmq.EVENT_LISTENING)["endpoint"].decode() == endpoint
        with pytest.raises(zmq.ZMQError):
            pull.bind(endpoint)
        assert watch.wait(zmq.EVENT_BIND_FAILED)["value"] == int(zmq.EADDRINUSE)
