"""One thread uses a socket while another makes, closes or ends it: no crash, no hang, nothing left."""

import pytest
from support.impl import ours_only
from support.remote import run_script

pytestmark = ours_only  # libzmq's sockets belong to one thread


def test_two_threads_make_the_first_connection():
    """Both want a background thread to serve the socket: it gets one."""
    out = run_script("""
import os, threading
def tasks():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
def nothing(): pass
first = threading.Thread(target=nothing)
first.start()
first.join()
before = tasks()                # with those that belong to whoever watches the process
for round in range(60):
    ctx = zmq.Context(io_threads=2)
    push = ctx.socket(zmq.PUSH)
    push.linger = 0
    gate = threading.Barrier(2)
    def connect():
        gate.wait()
        push.connect("tcp://127.0.0.1:9")
    threads = [threading.Thread(target=connect) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    push.close()
    ctx.term()
assert tasks() == before
print("good")
""")
    assert "good" in out


@pytest.mark.parametrize("what", ["bind", "connect", "inproc", "monitor"])
def test_closed_while_an_endpoint_is_made(what):
    """Either the endpoint is there before the close and goes with it, or the call says ENOTSOCK."""
    out = run_script(
        """
import sys, threading
calls = {
    "bind": lambda s, n: s.bind("tcp://127.0.0.1:*"),
    "connect": lambda s, n: s.connect("tcp://127.0.0.1:9"),
    "inproc": lambda s, n: (s.bind(f"inproc://{n}"), s.connect(f"inproc://not {n}")),
    "monitor": lambda s, n: s.monitor(f"inproc://monitor {n}"),
}
refused = 0
for number in range(300):
    ctx = zmq.Context()
    socket = ctx.socket(zmq.DEALER)
    socket.linger = 0
    if number % 2:
        socket.bind("tcp://127.0.0.1:*")
    gate = threading.Barrier(2)
    def make():
        global refused
        gate.wait()
        try:
            calls[sys.argv[1]](socket, number)
        except zmq.ZMQError as error:
            assert error.errno in (zmq.ENOTSOCK, zmq.EADDRINUSE), error
            refused += 1
    thread = threading.Thread(target=make)
    thread.start()
    gate.wait()
    socket.close()
    thread.join()
    ctx.term()          # hangs when anything was left behind
print("good", refused)
""",
        what,
        timeout=60,
    )
    assert "good" in out


@pytest.mark.parametrize("end", ["close", "shutdown"])
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_ended_in_the_middle_of_traffic(transport, end):
    """Wherever a thread is just then, it comes back with an error, and the context ends."""
    out = run_script(
        """
import random, sys, threading, time
transport, end = sys.argv[1:]
for number in range(150):
    ctx = zmq.Context()
    pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
    push.linger = pull.linger = 0
    push.sndhwm = pull.rcvhwm = random.choice([1, 1000])
    pull.bind("tcp://127.0.0.1:*" if transport == "tcp" else "inproc://x")
    push.connect(pull.last_endpoint if transport == "tcp" else "inproc://x")
    body = b"x" * random.choice([1, 300_000])
    def use(call):
        try:
            while True:
                call()
        except zmq.ZMQError as error:
            assert error.errno in (zmq.ENOTSOCK, zmq.ETERM), error
    poller = zmq.Poller()
    poller.register(pull, zmq.POLLIN)
    threads = [threading.Thread(target=use, args=(call,)) for call in (
        pull.recv, pull.recv, lambda: push.send(body), lambda: push.send(body), lambda: poller.poll(1000))]
    for thread in threads: thread.start()
    time.sleep(random.random() * 0.002)
    if end == "shutdown":
        ctx.shutdown()
    push.close(0)
    pull.close(0)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), number
    ctx.term()
print("good")
""",
        transport,
        end,
        timeout=90,
    )
    assert "good" in out


def test_one_message_to_many_sleepers_costs_little():
    """Each thread that waits is woken once at most; they do not go on waking each other."""
    out = run_script("""
import select, threading, time
ctx = zmq.Context()
pull, push = ctx.socket(zmq.PULL), ctx.socket(zmq.PUSH)
pull.bind("tcp://127.0.0.1:*")
push.connect(pull.last_endpoint)
def work():
    try:
        while True:
            pull.recv()
    except zmq.ContextTerminated:
        pass
threads = [threading.Thread(target=work) for _ in range(32)]
for thread in threads: thread.start()
select.select([], [], [], 0.3)
costs = []
for _ in range(15):
    before = time.process_time()
    push.send(b"x")
    select.select([], [], [], 0.05)
    costs.append(time.process_time() - before)
print("cost", sorted(costs)[3])
ctx.shutdown()
for thread in threads: thread.join()
push.close(); pull.close(); ctx.term()
""")
    assert float(out.split("cost")[1]) < 0.012


def test_parts_of_a_thread_that_has_ended():
    """What it sent with SNDMORE goes on with the next thread's parts, as with one thread."""
    out = run_script("""
import threading
ctx = zmq.Context()
push, pull = ctx.socket(zmq.PUSH), ctx.socket(zmq.PULL)
pull.bind("inproc://x")
push.connect("inproc://x")
push.sndtimeo = pull.rcvtimeo = 10_000
for last in (lambda: push.send(b"2"), lambda: push.send(b"2", zmq.DONTWAIT), lambda: push.send_multipart([b"2"])):
    thread = threading.Thread(target=push.send, args=(b"1", zmq.SNDMORE))
    thread.start()
    thread.join()
    last()
    assert pull.recv_multipart() == [b"1", b"2"]
thread = threading.Thread(target=push.send, args=(b"1", zmq.SNDMORE))
thread.start()
thread.join()
push.send_multipart([b"2", b"3"])
assert pull.recv_multipart() == [b"1", b"2", b"3"]

begun, go = threading.Event(), threading.Event()
def half():
    push.send(b"1", zmq.SNDMORE)
    begun.set()
    go.wait()
thread = threading.Thread(target=half)
thread.start()
begun.wait()
try:
    push.send(b"2", zmq.DONTWAIT)
except zmq.Again:
    pass
else:
    raise SystemExit("a living thread's message was cut")
other = threading.Thread(target=push.send, args=(b"2",))
other.start()
go.set()
other.join(10)
assert not other.is_alive()
assert pull.recv_multipart() == [b"1", b"2"]
print("good")
""")
    assert "good" in out


def test_send_many_of_a_list_with_ideas_of_its_own():
    out = run_script("""
import threading
class Odd(list):
    def __getitem__(self, at):
        raise ValueError("mine")
ctx = zmq.Context()
push, pull = ctx.socket(zmq.PUSH), ctx.socket(zmq.PULL)
pull.bind("inproc://x")
push.connect("inproc://x")
assert push.send_many(Odd([b"1", b"2"])) == 2     # through its iterator, which is list's
thread = threading.Thread(target=push.send, args=(b"3",))
thread.start()
thread.join(10)
assert not thread.is_alive()
assert pull.recv_many() == [b"1", b"2", b"3"]
print("good")
""")
    assert "good" in out
