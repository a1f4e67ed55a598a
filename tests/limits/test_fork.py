"""fork, interpreter exit and signals, each in an interpreter of its own."""

import os
import signal

import pytest
from support.impl import OURS, ours_only
from support.remote import run_script

# -- fork

no_tsan = pytest.mark.skipif(os.environ.get("PYZQ_SANITIZER") == "tsan", reason="a forked child starts a thread")


@no_tsan
def test_child_uses_its_own_context():
    out = run_script("""
import os
parent = zmq.Context.instance()
push, pull = parent.socket(zmq.PUSH), parent.socket(zmq.PULL)
port = pull.bind_to_random_port("tcp://127.0.0.1")
push.connect(f"tcp://127.0.0.1:{port}")
push.send(b"before")
assert pull.recv() == b"before"
pid = os.fork()
if pid == 0:
    mine = zmq.Context.instance()
    assert mine is not parent
    child = mine.socket(zmq.PUSH)
    child.connect(f"tcp://127.0.0.1:{port}")
    child.send(b"from the child")
    child.close()
    mine.term()
    os._exit(0)
assert pull.recv() == b"from the child"
_, status = os.waitpid(pid, 0)
assert status == 0, status
push.send(b"after")
assert pull.recv() == b"after"
push.close(); pull.close(); parent.term()
print("good")
""")
    assert "good" in out


def test_child_that_only_exits_leaves_the_parent_alone():
    """Neither _exit nor a full interpreter exit of the child disturbs the parent's connections or hangs."""
    out = run_script("""
import os, sys
ctx = zmq.Context()
push, pull = ctx.socket(zmq.PUSH), ctx.socket(zmq.PULL)
push.linger = 0
port = pull.bind_to_random_port("tcp://127.0.0.1")
push.connect(f"tcp://127.0.0.1:{port}")
for number in range(3):
    push.send(b"a%d" % number)
    pid = os.fork()
    if pid == 0:
        if number == 0:
            os._exit(0)
        if number == 1:
            sys.exit(0)
        del push, pull, ctx
        import gc
        gc.collect()
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    push.send(b"b%d" % number)
    assert pull.recv() == b"a%d" % number and pull.recv() == b"b%d" % number
ctx.destroy(0)
print("good")
""")
    assert "good" in out


@ours_only
def test_inherited_socket_in_the_child_is_an_error_not_a_hang():
    out = run_script("""
import os
ctx = zmq.Context()
push, pull = ctx.socket(zmq.PUSH), ctx.socket(zmq.PULL)
port = pull.bind_to_random_port("tcp://127.0.0.1")
push.connect(f"tcp://127.0.0.1:{port}")
push.send(b"x")
assert pull.recv() == b"x"
pid = os.fork()
if pid == 0:
    failed = 0
    for call in (lambda: push.send(b"y"), pull.recv, lambda: pull.poll(10), lambda: ctx.socket(zmq.PUSH)):
        try:
            call()
        except zmq.ZMQError:
            failed += 1
    push.close(0); pull.close(0)
    os._exit(0 if failed == 4 else failed + 10)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
push.send(b"fine")
assert pull.recv() == b"fine"
ctx.destroy(0)
print("good")
""")
    assert "good" in out


@ours_only
@no_tsan
def test_child_made_while_the_engine_gives_references_up():
    """The background thread gives up many references of ours while children are made: none of them hangs."""
    out = run_script("""
import os, signal, threading
from zcore.message import drain
ctx = zmq.Context()
children = []
for _ in range(8):
    push = ctx.socket(zmq.PUSH)
    push.sndhwm = 0
    push.connect("tcp://127.0.0.1:1")
    push.send_multipart([bytes(16384)] * 500_000)
    closing = threading.Thread(target=push.close, args=(0,))
    closing.start()
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            signal.alarm(5)
            drain()
            os._exit(0)
        children.append(pid)
    closing.join()
for pid in children:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
ctx.term()
print("good")
""")
    assert "good" in out


@ours_only
def test_a_child_keeps_neither_ports_nor_connections_of_its_parent():
    """While a child lives, the parent's closed port is free, and who was connected to the parent sees it go."""
    out = run_script("""
import os, socket
ctx = zmq.Context()
pull = ctx.socket(zmq.PULL)
port = pull.bind_to_random_port("tcp://127.0.0.1")
pull.bind("ipc://*")
pull.rcvtimeo = 10_000
guest = socket.create_connection(("127.0.0.1", port))
push = ctx.socket(zmq.PUSH)
push.connect(f"tcp://127.0.0.1:{port}")
push.send(b"before")
assert pull.recv() == b"before"
told, tell = os.pipe()
wait, go = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(go)
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    kinds = [os.readlink(link) for link in links if os.path.islink(link)]
    ours = [kind for kind in kinds if kind.startswith("socket:") or "eventpoll" in kind]
    os.write(tell, str(len(ours)).encode())
    os.read(wait, 1)
    os._exit(0)
os.close(wait)
left = int(os.read(told, 10)) - 1       # the guest's own end is the program's, not ours
assert left == 0, left
push.send(b"between")
assert pull.recv() == b"between"
push.close(0); pull.close(0); ctx.term()
again = socket.socket()
again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
again.bind(("127.0.0.1", port))         # a listener in the child would be in the way
while guest.recv(1000):
    pass
os.close(go)
os.waitpid(pid, 0)
print("good")
""")
    assert "good" in out


def test_fork_while_threads_are_inside():
    """A fork in the middle of traffic: the child can start anew, the parent goes on."""
    out = run_script("""
import os, threading
ctx = zmq.Context()
pull = ctx.socket(zmq.PULL)
port = pull.bind_to_random_port("tcp://127.0.0.1")
stop = threading.Event()
def work():
    push = ctx.socket(zmq.PUSH)
    push.linger = 0
    push.connect(f"tcp://127.0.0.1:{port}")
    while not stop.is_set():
        push.send(b"x" * 100)
    push.close()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(10):
    for _ in range(50): pull.recv()
    pid = os.fork()
    if pid == 0:
        mine = zmq.Context()
        a, b = mine.socket(zmq.PAIR), mine.socket(zmq.PAIR)
        number = a.bind_to_random_port("tcp://127.0.0.1")
        b.connect(f"tcp://127.0.0.1:{number}")
        b.send(b"child")
        good = a.recv() == b"child"
        a.close(); b.close(); mine.term()
        os._exit(0 if good else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
stop.set()
pull.rcvtimeo = 100
try:
    while True: pull.recv()
except zmq.Again:
    pass
for thread in threads: thread.join()
pull.close(0); ctx.term()
print("good")
""")
    assert "good" in out


def test_multiprocessing_pool():
    out = run_script("""
import multiprocessing
def ask(number):
    ctx = zmq.Context.instance()
    with ctx.socket(zmq.REQ) as req:
        req.connect(f"tcp://127.0.0.1:{port}")
        req.send(b"%d" % number)
        return req.recv()
ctx = zmq.Context.instance()
rep = ctx.socket(zmq.REP)
port = rep.bind_to_random_port("tcp://127.0.0.1")
with multiprocessing.get_context("fork").Pool(2) as pool:
    result = pool.map_async(ask, range(10))
    for _ in range(10):
        rep.send(rep.recv() + b"!")
    assert result.get(10) == [b"%d!" % number for number in range(10)]
rep.close(); ctx.term()
print("good")
""")
    assert "good" in out


# -- exit


def test_exit_with_everything_open():
    """No message waits: the interpreter ends at once, whatever is open."""
    run_script("""
ctx = zmq.Context.instance()
socks = [ctx.socket(kind) for kind in (zmq.PUB, zmq.SUB, zmq.REQ, zmq.REP, zmq.ROUTER, zmq.DEALER)]
for sock in socks:
    sock.bind("tcp://127.0.0.1:*")
poller = zmq.Poller()
poller.register(socks[1])
print("leaving")
""")


def test_exit_flushes_what_was_accepted():
    """The default LINGER: a script that sends and ends loses nothing."""
    out = run_script("""
import subprocess, sys, os
ctx = zmq.Context()
pull = ctx.socket(zmq.PULL)
port = pull.bind_to_random_port("tcp://127.0.0.1")
child = subprocess.Popen([sys.executable, "-c", f'''
import {zmq.__name__} as zmq
ctx = zmq.Context.instance()
push = ctx.socket(zmq.PUSH)
push.connect("tcp://127.0.0.1:{port}")
for number in range(1000):
    push.send(b"%d" % number)
'''])
pull.rcvtimeo = 10000
for number in range(1000):
    assert pull.recv() == b"%d" % number
assert child.wait(10) == 0
pull.close(); ctx.term()
print("good")
""")
    assert "good" in out


@pytest.mark.parametrize("where", ["recv", "poll", "send"])
def test_exit_with_a_daemon_thread_inside_a_call(where):
    run_script(
        """
import sys, threading, time
ctx = zmq.Context()
sock = ctx.socket(zmq.DEALER)
sock.bind("tcp://127.0.0.1:*")
call = {"recv": sock.recv, "poll": sock.poll, "send": lambda: sock.send(b"x")}[sys.argv[1]]
started = threading.Event()
def work():
    started.set()
    call()
threading.Thread(target=work, daemon=True).start()
started.wait()
time.sleep(0.05)
print("leaving", flush=True)
import os
sys.stdout.flush()
"""
        + ("" if OURS else "os._exit(0)\n"),  # a libzmq context dropped at exit waits for the thread
        where,
    )


def test_exit_after_term_and_garbage():
    run_script("""
import gc
for _ in range(5):
    ctx = zmq.Context()
    a, b = ctx.socket(zmq.PUSH), ctx.socket(zmq.PULL)
    b.bind("inproc://x"); a.connect("inproc://x")
    a.send(bytes(100000), copy=False)
    frame = b.recv(copy=False)
    a.close(); b.close(); ctx.term()
globals()["kept"] = frame
class Cycle: pass
cycle = Cycle(); cycle.me = cycle; cycle.frame = frame
""")


def test_atexit_and_weakref_callbacks_may_still_use_sockets():
    out = run_script("""
import atexit
ctx = zmq.Context()
a, b = ctx.socket(zmq.PAIR), ctx.socket(zmq.PAIR)
a.bind("inproc://x"); b.connect("inproc://x")
def last():
    a.send(b"last words")
    print(b.recv().decode())
    a.close(); b.close(); ctx.term()
atexit.register(last)
""")
    assert "last words" in out


# -- signals


@pytest.mark.parametrize(
    "call", ["pull.recv()", "pull.poll()", "push.send(b'x')", "zmq.Poller().poll()", "pull.recv_multipart()"]
)
def test_ctrl_c_ends_a_blocking_call(call):
    if call == "zmq.Poller().poll()":
        call = "poller.poll()"
    out = run_script(
        f"""
ctx = zmq.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
pull.bind("tcp://127.0.0.1:*"); push.bind("tcp://127.0.0.1:*")
poller = zmq.Poller()
poller.register(pull, zmq.POLLIN)
try:
    print("ready", flush=True)
    {call}
except KeyboardInterrupt:
    print("interrupted")
pull.close(0); push.close(0); ctx.term()
""",
        send_signal=signal.SIGINT,
        when="ready",
    )
    assert "interrupted" in out


def test_ctrl_c_ends_a_proxy():
    out = run_script(
        """
ctx = zmq.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
pull.bind("tcp://127.0.0.1:*"); push.bind("tcp://127.0.0.1:*")
try:
    print("ready", flush=True)
    zmq.proxy(pull, push)
except KeyboardInterrupt:
    print("interrupted")
pull.close(0); push.close(0); ctx.term()
""",
        send_signal=signal.SIGINT,
        when="ready",
    )
    assert "interrupted" in out


def test_ctrl_c_while_messages_flow():
    """The interrupt comes between two messages; none is lost or torn by it."""
    out = run_script(
        """
import threading
ctx = zmq.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
pull.bind("inproc://x"); push.connect("inproc://x")
total = 200000
def send():
    for number in range(total):
        push.send(b"%d" % number)
thread = threading.Thread(target=send)
thread.start()
expected, interrupted = 0, 0
while expected < total:
    try:
        if not expected:
            print("ready", flush=True)
        while expected < total:
            got = pull.recv()
            assert int(got) in (expected, expected + 1), (got, expected)
            expected = int(got) + 1
    except KeyboardInterrupt:
        interrupted += 1
thread.join()
print("interrupted", interrupted)
pull.close(0); push.close(0); ctx.term()
""",
        send_signal=signal.SIGINT,
        when="ready",
    )
    assert "interrupted 1" in out


def test_handlers_run_and_the_call_goes_on():
    """PEP 475: a handler that returns does not end the call."""
    out = run_script("""
import signal, threading
ctx = zmq.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
pull.bind("inproc://x"); push.connect("inproc://x")
count = 0
def handle(*_):
    global count
    count += 1
    if count == 5:
        push.send(b"after five")
        signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
assert pull.recv() == b"after five"
count = 0
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
assert pull.poll() == zmq.POLLIN
assert pull.recv() == b"after five"
pull.close(0); push.close(0); ctx.term()
print("good")
""")
    assert "good" in out


@ours_only
@pytest.mark.parametrize("call", ["recv", "poll"])
def test_the_remaining_time_counts_after_a_handler(call):
    """Signals more frequent than the timeout is long must not make the call last for ever, nor end it early."""
    out = run_script(
        """
import signal, sys, time
ctx = zmq.Context()
pull = ctx.socket(zmq.PULL)
pull.rcvtimeo = 200
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
start = time.monotonic()
if sys.argv[1] == "recv":
    try:
        pull.recv()
    except zmq.Again:
        pass
else:
    assert pull.poll(200) == 0
assert time.monotonic() - start >= 0.199
signal.setitimer(signal.ITIMER_REAL, 0)
pull.close(0); ctx.term()
print("good")
""",
        call,
        timeout=15,
    )
    assert "good" in out


def test_an_exception_in_a_handler_ends_the_call():
    out = run_script("""
import signal
ctx = zmq.Context()
pull = ctx.socket(zmq.PULL)
class Wanted(Exception): pass
def handle(*_): raise Wanted
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.03)
try:
    pull.recv()
except Wanted:
    print("good")
pull.close(0); ctx.term()
""")
    assert "good" in out


@ours_only
def test_signals_are_for_the_main_thread():
    """Threads we start leave signals to the application's."""
    out = run_script("""
import os
ctx = zmq.Context()
pull = ctx.socket(zmq.PULL)
pull.bind("tcp://127.0.0.1:*")
push = ctx.socket(zmq.PUSH)
push.connect(pull.last_endpoint.decode())
push.send(b"x"); pull.recv()
blocked = []
for task in os.listdir("/proc/self/task"):
    if int(task) == os.getpid():
        continue
    for line in open(f"/proc/self/task/{task}/status"):
        if line.startswith("SigBlk"):
            blocked.append(int(line.split()[1], 16))
sigint = 1 << 1
assert all(mask & sigint for mask in blocked), blocked
pull.close(0); push.close(0); ctx.term()
print("good")
""")
    assert "good" in out
