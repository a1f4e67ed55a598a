"""A process that does nothing costs nothing: its wake-ups, as the kernel counts them, and its memory."""

import ctypes
import os
import sys

import pytest
from support.impl import ours_only, zmq
from support.rawpeer import RawPeer, message
from support.remote import run_script
from support.waiting import nothing

pytestmark = [ours_only, pytest.mark.skipif(sys.platform != "linux", reason="/proc says how often a thread ran")]

SCRIPT = """
import sys
import os, select, threading

def turns():
    '''How often the threads of the engine were put on a CPU.'''
    main = str(threading.get_native_id())
    count = 0
    for task in os.listdir("/proc/self/task"):
        if task != main:
            with open(f"/proc/self/task/{task}/status") as status:
                count += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return count

def during(seconds):
    before = turns()
    select.select([], [], [], seconds)
    return turns() - before

ctx = zmq.Context()
pairs = []
for number in range(50):
    pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
    pull.rcvtimeo = 10_000
    pull.bind(sys.argv[1])
    push.connect(pull.last_endpoint)
    pairs.append((push, pull))
for push, pull in pairs:
    push.send(b"one")
    assert pull.recv() == b"one"
"""


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:*", "ipc://*"])
def test_a_hundred_connected_sockets_idle(where):
    """No wake-up at all once no socket was used for a second; until then each socket is looked after a few times."""
    script = SCRIPT + 'print("woke", during(1.0), during(2.0))'
    first, later = map(int, run_script(script, where).split("woke")[1].split()[:2])
    assert later == 0
    assert first < 500


def test_a_waiting_application_is_left_alone():
    """A thread that waits in recv or poll reads for itself: nobody ticks beside it."""
    script = (
        SCRIPT
        + """
waiters = [threading.Thread(target=pull.recv) for push, pull in pairs[:10]]
poller = zmq.Poller()
for push, pull in pairs[10:20]:
    poller.register(pull, zmq.POLLIN)
waiters.append(threading.Thread(target=poller.poll))
for waiter in waiters:
    waiter.start()
during(1.0)
print("woke", during(2.0))
for push, pull in pairs[:20]:
    push.send(b"end")
for waiter in waiters:
    waiter.join(10)
    assert not waiter.is_alive()
"""
    )
    assert int(run_script(script, "tcp://127.0.0.1:*").split("woke")[1].split()[0]) == 0


PEOPLE = """
import ctypes, sys
import os, select, subprocess

class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks used free keepcost".split()]

look = ctypes.CDLL(None).mallinfo2
look.restype = Heap
def heap():
    now = look()
    return now.used + now.hblkhd

CLIENTS = '''
import sys, IMPL as zmq
ctx = zmq.Context()
socks = []
for number in range(300):
    sock = ctx.socket(zmq.SUB if sys.argv[2] == "XPUB" else zmq.DEALER)
    sock.connect(sys.argv[1])
    if sys.argv[2] == "XPUB":
        sock.subscribe(b"topic")
    else:
        sock.send(b"hello" * 1000)
    socks.append(sock)
for line in sys.stdin:
    for sock in socks:
        assert sock.recv() == (b"topic" if sys.argv[2] == "XPUB" else b"again")
    print("heard", flush=True)
'''.replace("IMPL", zmq.__name__)

kind = sys.argv[1]
ctx = zmq.Context()
server = ctx.socket(getattr(zmq, kind))
server.rcvtimeo = 20_000
if kind == "XPUB":
    server.xpub_verbose = True
server.bind("tcp://127.0.0.1:*")
first = ctx.socket(zmq.SUB if kind == "XPUB" else zmq.DEALER)    # what is made once is not counted
first.connect(server.last_endpoint)
if kind == "XPUB":
    first.subscribe(b"first")
else:
    first.send(b"first")
server.recv_multipart()
before = heap()
clients = subprocess.Popen([sys.executable, "-c", CLIENTS, server.last_endpoint, kind],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
peers = {}
for number in range(300):
    parts = server.recv_multipart()
    peers[parts[0]] = None
each = 1 << 20
for patience in range(100):
    server.poll(100) if kind == "ROUTER" else select.select([], [], [], 0.1)
    each = (heap() - before) // 300
    if each < 4096:
        break
assert each < 4096, f"{each} bytes for a connection that is quiet"
clients.stdin.write("go\\n")
clients.stdin.flush()
if kind == "XPUB":
    server.send(b"topic")
else:
    for peer in peers:
        server.send_multipart([peer, b"again"])
assert clients.stdout.readline() == "heard\\n"
clients.stdin.close()
clients.wait(20)
print("good")
"""


@pytest.mark.skipif("PYZQ_SANITIZER" in os.environ, reason="counts the C library's heap")
@pytest.mark.parametrize("kind", ["ROUTER", "XPUB"])
def test_a_quiet_connection_needs_little_memory(kind):
    """Less than 4 KB, whoever read last: the application, which waits now, or the engine for a publisher."""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library does not say what is in use")
    assert "good" in run_script(PEOPLE, kind, timeout=60)


@pytest.mark.parametrize("other", ["speaks", "is silent"])
def test_half_a_frame_may_take_its_time(world, other):
    """What has begun stays, through all the rounds in which quiet connections give their memory back."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    whole = message(b"slow" * 700)
    with RawPeer.connect(endpoint) as slow, RawPeer.connect(endpoint) as quick:
        for raw in (slow, quick):
            raw.handshake(b"PUSH")
        for cut in (1, 2, 3, 1500, len(whole) - 1):
            slow.send(whole[:cut])
            for _ in range(12):
                if other == "speaks":
                    quick.send(message(b"quick"))
                    assert pull.recv() == b"quick"
                nothing(pull, 25)
            slow.send(whole[cut:])
            assert pull.recv() == b"slow" * 700
