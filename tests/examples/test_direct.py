"""The engine's functions for Cython programs, one by one: addresses, parts, waits and what ends them, memory."""

import errno
import gc
import itertools
import os
import platform
import shutil
import signal
import socket as plain
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

from support.impl import needs_stock, zmq
from support.waiting import Task, fill_settled, sync, wait_blocked, wait_for
from support.world import World

from benchmarks import embedded
from pyzq.hwm import Block, KeepLast

PROBE = Path(__file__).with_name("direct_probe.pyx")
SIZES = (0, 1, 40, 41, 64, 255, 256, 16383, 16384, 100_000)


@pytest.fixture(scope="module")
def Direct():
    if shutil.which(os.environ.get("CC", "cc").split()[0]) is None:
        pytest.skip("there is no C compiler")
    return embedded.extension(PROBE).Direct


@pytest.fixture
def world(watchdog):
    made = World()
    yield made
    made.close()


def contents(size):
    return bytes(itertools.islice(itertools.cycle(range(251)), size))


# --- what is sent and received ---------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_sizes(world, Direct, transport):
    a, b = world.pair(zmq.PUSH, zmq.PULL, transport)
    out, back = Direct(a), Direct(b)
    for size in (*SIZES, *reversed(SIZES)):
        assert out.send(contents(size)) == 0
        assert back.recv() == (0, [contents(size)])
    for size in SIZES:
        a.send(contents(size))
        assert back.recv() == (0, [contents(size)])
        assert out.send(contents(size)) == 0
        assert b.recv() == contents(size)


@pytest.mark.parametrize("lend", [True, False])
@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_parts(world, Direct, transport, lend):
    a, b = world.pair(zmq.DEALER, zmq.DEALER, transport)
    out, back = Direct(a), Direct(b)
    messages = [[contents(size)] * count for size in SIZES for count in (1, 2, 9)]
    messages.append([contents(size) for size in SIZES])
    for message in messages:
        rc, kept = out.send_parts(message, lend=lend)
        assert rc == 0
        if transport == "inproc":
            assert kept == len(message)
        assert back.recv() == (0, message)
    assert out.send_parts([]) == (-errno.EINVAL, 0)
    a.send_multipart([b"x", b"y"])
    assert b.recv() == b"x"
    assert back.recv() == (0, [b"y"])  # the rest of what Python has begun
    assert not b.getsockopt(zmq.RCVMORE)


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_what_a_queue_keeps_is_its_own(world, Direct, transport):
    """KeepLast on either side, and a queue for a peer that has yet to come."""
    for side in ("send", "recv"):
        a, b = world.socket(zmq.PUSH), world.socket(zmq.PULL)
        (a if side == "send" else b).set_hwm_policy(**{side: KeepLast(messages=100, key=4)})
        address = world.address(transport)
        if transport == "tcp":
            address = world.bind(b, transport)
            b.unbind(address)
        a.connect(address)
        out, back = Direct(a), Direct(b)
        wanted = [b"%04d" % k + contents(size) for k, size in enumerate(SIZES)]
        for message in wanted:
            assert out.send(message) == 0
        b.bind(address)
        assert [back.recv(10_000) for _ in wanted] == [(0, [one]) for one in wanted]


def test_fan_out(world, Direct):
    pub = world.socket(zmq.PUB)
    subs = []
    for transport in ("inproc", "tcp", "inproc", "ipc"):
        sub = world.socket(zmq.SUB)
        sub.subscribe(b"")
        world.link(pub, sub, transport)
        subs.append(sub)
    sync(pub, *subs)
    out = Direct(pub)
    backs = [Direct(sub) for sub in subs]
    for size in SIZES:
        assert out.send(contents(size)) == 0
        assert out.send_parts([b"topic", contents(size)])[0] == 0
        for back in backs:
            assert back.recv(10_000) == (0, [contents(size)])
            assert back.recv(10_000) == (0, [b"topic", contents(size)])


@pytest.mark.parametrize("side", ["impl", pytest.param("stock", marks=needs_stock)])
def test_router(world, Direct, side):
    router = world.socket(zmq.ROUTER, ROUTER_MANDATORY=1)
    address = world.bind(router)
    dealer = world.socket(zmq.DEALER, side=side, ROUTING_ID=b"dealer")
    req = world.socket(zmq.REQ, side=side, ROUTING_ID=b"r" * 200)
    dealer.connect(address)
    req.connect(address)
    direct = Direct(router)
    dealer.send(b"hello")
    assert direct.recv(10_000) == (0, [b"dealer", b"hello"])
    assert direct.send_to(b"dealer", contents(64)) == 0
    assert dealer.recv_multipart() == [contents(64)]
    assert direct.send_to(b"nobody", b"") == -errno.EHOSTUNREACH
    req.send(b"question")
    assert direct.recv(10_000) == (0, [b"r" * 200, b"", b"question"])
    assert direct.send_parts([b"r" * 200, b"", b"answer"])[0] == 0
    assert req.recv() == b"answer"
    req.send(b"again")
    assert direct.echo(10_000) == 0
    assert req.recv() == b"again"


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_routing_ids(world, Direct, transport):
    server, client = world.pair(zmq.SERVER, zmq.CLIENT, transport)
    direct, asking = Direct(server), Direct(client)
    assert asking.send(b"question") == 0
    assert direct.recv(10_000) == (0, [b"question"])
    number, _ = direct.address()
    assert number > 0
    for size in SIZES:
        assert direct.send_number(number, contents(size)) == 0
        assert asking.recv(10_000) == (0, [contents(size)])
        assert asking.address() == (0, b"")
    assert asking.send(b"echo") == 0
    assert direct.echo(10_000) == 0
    assert asking.recv(10_000) == (0, [b"echo"])
    assert direct.send_number(number ^ 0x5555, b"") == -errno.EHOSTUNREACH
    assert direct.send(b"") == -errno.EHOSTUNREACH
    assert asking.send_number(number, b"") == -errno.EINVAL
    assert asking.send_parts([b"a", b"b"])[0] == -errno.EINVAL


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_groups(world, Direct, transport):
    radio, dish = world.pair(zmq.RADIO, zmq.DISH, transport)
    out, back = Direct(radio), Direct(dish)
    dish.join("here")

    def heard():
        assert out.send_to(b"elsewhere", b"no") == 0
        assert out.send_to(b"here", contents(64)) == 0
        return back.recv(5)[0] == 0

    wait_for(heard, "a message of the group")
    assert back.parts() == [contents(64)]
    assert back.address() == (0, b"here")
    assert out.send(b"") == -errno.EINVAL


def test_stream(world, Direct):
    stream = world.socket(zmq.STREAM)
    host, port = world.bind(stream).removeprefix("tcp://").split(":")
    direct = Direct(stream)
    with plain.create_connection((host, int(port)), timeout=10) as peer:
        rc, (identity, nothing) = direct.recv(10_000)
        assert (rc, nothing) == (0, b"")
        assert direct.send_to(identity, contents(64)) == 0
        got = b""
        while len(got) < 64:
            got += peer.recv(64)
        assert got == contents(64)
        assert direct.send_to(b"nobody", b"x") == -errno.EHOSTUNREACH


def test_states_and_types(world, Direct):
    req, rep = world.pair(zmq.REQ, zmq.REP, "inproc")
    asking, answering = Direct(req), Direct(rep)
    assert asking.recv(0) == (-zmq.EFSM, [])
    assert answering.send(b"", 0) == -zmq.EFSM
    assert asking.send(b"question") == 0
    assert asking.send(b"another") == -zmq.EFSM
    assert answering.recv() == (0, [b"question"])
    assert answering.recv(0) == (-zmq.EFSM, [])
    assert answering.send(b"answer") == 0
    assert asking.recv() == (0, [b"answer"])
    push, pull = world.socket(zmq.PUSH), world.socket(zmq.PULL)
    assert Direct(pull).send(b"") == -zmq.ENOTSUP
    assert Direct(push).recv() == (-zmq.ENOTSUP, [])
    for timeout in (0, 20):
        assert Direct(push).send(b"", timeout) == -errno.EAGAIN
        assert Direct(pull).recv(timeout) == (-errno.EAGAIN, [])
    with pytest.raises(TypeError, match="a socket is needed, not Context"):
        Direct(world.context())


# --- waiting ---------------------------------------------------------------------------------------------


def cpu_ns(task):
    return time.clock_gettime_ns(time.pthread_getcpuclockid(task.ident))


def asleep(world, task):
    """The task's thread sleeps, and goes on sleeping for a while."""
    wait_blocked(task)
    before = cpu_ns(task)
    world.socket(zmq.PULL).poll(150)
    assert task.is_alive()
    assert cpu_ns(task) - before < 30_000_000


def nodrop(world):
    pub = world.socket(zmq.XPUB, SNDHWM=10)
    pub.set(zmq.XPUB_NODROP, 1)
    return pub


def blocking(world):
    pub = world.socket(zmq.PUB)
    pub.set_hwm_policy(send=Block(messages=10))
    return pub


@pytest.mark.parametrize("make", [nodrop, blocking])
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_a_publisher_that_waits_sleeps(world, Direct, make, transport):
    """Such a publisher can always send, as POLLOUT has it."""
    pub = make(world)
    sub = world.socket(zmq.SUB, RCVHWM=10)
    sub.subscribe(b"")
    world.link(pub, sub, transport)
    sync(pub, sub)
    count = fill_settled(pub, contents(5000))
    task = Task(Direct(pub).send, b"last")
    asleep(world, task)
    assert [sub.recv() for _ in range(count)] == [contents(5000)] * count
    assert sub.recv() == b"last"
    assert task.result() == 0


def test_a_router_with_a_full_and_a_free_peer_sleeps(world, Direct):
    router = world.socket(zmq.ROUTER, ROUTER_MANDATORY=1, SNDHWM=5)
    address = world.bind(router, "inproc")
    peers = [world.socket(zmq.DEALER, ROUTING_ID=name, RCVHWM=5) for name in (b"full", b"free")]
    for peer in peers:
        peer.connect(address)
        peer.send(b"")
        router.recv_multipart()
    direct = Direct(router)
    count = 0
    while (rc := direct.send_to(b"full", b"x", 0)) == 0:
        count += 1
    assert (rc, count) == (-errno.EAGAIN, 10)
    task = Task(direct.send_to, b"full", b"last")
    asleep(world, task)
    assert router.poll(0, zmq.POLLOUT)
    for _ in range(count):
        peers[0].recv()
    assert peers[0].recv() == b"last"
    assert task.result() == 0


def test_beside_a_message_that_python_sends_in_parts(world, Direct):
    a, b = world.pair(zmq.PUSH, zmq.PULL, "tcp")
    direct = Direct(a)
    a.send(b"first", zmq.SNDMORE)
    assert direct.send(b"mine") == -zmq.EFSM  # nobody but this thread could end that message
    task = Task(direct.send, b"other")
    asleep(world, task)
    a.send(b"second")
    assert task.result() == 0
    assert b.recv_multipart() == [b"first", b"second"]
    assert b.recv_multipart() == [b"other"]


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_several_wait_for_one_socket(world, Direct, transport):
    a, b = world.pair(zmq.PUSH, zmq.PULL, transport)
    directs = [Direct(b) for _ in range(4)]
    tasks = [Task(direct.recv) for direct in directs] + [Task(b.recv) for _ in range(2)]
    for task in tasks:
        asleep(world, task)
    for k in range(6):
        a.send(b"%d" % k)
    got = [task.result() for task in tasks]
    assert sorted([*(one[1][0] for one in got[:4]), *got[4:]]) == [b"%d" % k for k in range(6)]


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_many_threads_lose_nothing(world, Direct, transport):
    """Senders at the mark and receivers at the end of their queue, sleeping and woken all the time."""
    a, b = world.pair(zmq.PUSH, zmq.PULL, transport, options_a={"SNDHWM": 3}, options_b={"RCVHWM": 3})
    each = 3000
    out = [Task(Direct(a).send_many, b"%d" % k * 64, each) for k in range(3)]
    back = [Task(Direct(b).recv_many, each) for _ in range(3)]
    assert [task.result(60) for task in out + back] == [0] * 6


def test_what_python_s_half_receives_wakes_nobody_for_nothing(world, Direct):
    """A wait that outlives messages which others took, and others which are filtered."""
    pub, sub = world.socket(zmq.XPUB), world.socket(zmq.SUB)
    sub.subscribe(b"a")
    world.link(pub, sub)
    assert pub.recv() == b"\1a"
    task = Task(Direct(sub).recv)
    asleep(world, task)
    for k in range(20):
        pub.send(b"b%d" % k)
    sub.subscribe(b"c")
    assert pub.recv() == b"\1c"
    asleep(world, task)
    pub.send(b"c")
    assert task.result() == (0, [b"c"])


@pytest.mark.parametrize("what", ["send", "recv"])
def test_ends_of_a_wait(world, Direct, what):
    def waiting(context):
        sock = world.socket(zmq.PUSH if what == "send" else zmq.PULL, context=context)
        direct = Direct(sock)
        task = Task(direct.send, b"x") if what == "send" else Task(lambda: direct.recv()[0])
        wait_blocked(task)
        return sock, direct, task

    def again(direct):
        return direct.send(b"x") if what == "send" else direct.recv()[0]

    sock, direct, task = waiting(world.context())
    sock.close()
    assert task.result() == -zmq.ENOTSOCK
    assert again(direct) == -zmq.ENOTSOCK
    other = world.new_context()
    sock, direct, task = waiting(other)
    ending = Task(other.term)
    assert task.result() == -zmq.ETERM
    assert again(direct) == -zmq.ETERM
    sock.close()
    assert again(direct) == -zmq.ENOTSOCK
    ending.result()


def test_a_handle_outlives_its_socket(world, Direct):
    sock = world.socket(zmq.PULL)
    direct = Direct(sock)
    del sock
    gc.collect()
    assert direct.recv(0) == (-zmq.ENOTSOCK, [])


def test_a_child_gets_no_socket(world, Direct):
    a, b = world.pair(zmq.PUSH, zmq.PULL, "tcp")
    out, back = Direct(a), Direct(b)
    child = os.fork()
    if child == 0:
        wrong = out.send(b"from the child", 0) != -zmq.ENOTSOCK or back.recv(0)[0] != -zmq.ENOTSOCK
        os._exit(wrong)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert out.send(b"from the parent") == 0
    assert back.recv(10_000) == (0, [b"from the parent"])


@pytest.mark.parametrize("what", ["send", "recv"])
def test_a_signal_ends_the_main_thread_s_wait(world, Direct, what):
    sock = world.socket(zmq.PUSH if what == "send" else zmq.PULL)
    direct = Direct(sock)
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    done = threading.Event()

    def disturb():
        while not done.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        rc = direct.send(b"") if what == "send" else direct.recv()[0]
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert rc == -errno.EINTR
    assert seen


# --- memory ----------------------------------------------------------------------------------------------

COUNT = """
import ctypes, sys, threading
sys.path.insert(0, {root!r})
from pathlib import Path
from benchmarks import embedded
import pyzq as zmq

Direct = embedded.extension(Path({probe!r})).Direct
counted = ctypes.CDLL(None).counted_allocations
counted.restype = ctypes.c_ulong
kind, transport, size, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
data = b"x" * size
context = zmq.Context()
a = context.socket(zmq.PUSH if kind == "flow" else zmq.REQ)
b = context.socket(zmq.PULL if kind == "flow" else zmq.REP)
b.bind("tcp://127.0.0.1:*" if transport == "tcp" else "ipc://*" if transport == "ipc" else "inproc://here")
a.connect(b.get_string(zmq.LAST_ENDPOINT))
out, back = Direct(a), Direct(b)

def exchange(count):
    far = threading.Thread(target=back.recv_many if kind == "flow" else back.echo_many, args=(count,))
    far.start()
    assert (out.send_many if kind == "flow" else out.trips)(data, count) == 0
    far.join()

exchange(count)
before = counted()
exchange(count)
print(counted() - before)
"""


@pytest.fixture(scope="module")
def counted(Direct, tmp_path_factory):
    """Run an exchange in a process whose allocations are counted: how many there were."""
    if platform.libc_ver()[0] != "glibc" or os.environ.get("LD_PRELOAD"):
        pytest.skip("the counter takes the place of glibc's allocator")
    library = tmp_path_factory.mktemp("counted") / "counted.so"
    source = Path(__file__).with_name("counted_malloc.c")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-O1", "-fPIC", "-shared", "-o", str(library), str(source)], check=True)
    script = COUNT.format(root=str(Path(embedded.__file__).parents[2]), probe=str(PROBE))

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env=os.environ | {"LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return run


@pytest.mark.parametrize("size", [16, 64, 1000])
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_no_allocation_per_message(counted, transport, size):
    """A thread and its start take some; a queue's storage comes in pieces of 65 KB."""
    assert counted("flow", transport, size, 20_000) < 1000


@pytest.mark.parametrize("size", [16, 64, 1000])
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_no_allocation_per_round_trip(counted, transport, size):
    assert counted("trips", transport, size, 5000) < 250
