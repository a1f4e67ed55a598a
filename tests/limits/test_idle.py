"""A process that does nothing costs nothing: how often the engine's threads wake, as the kernel counts it."""

import sys

import pytest
from support.impl import ours_only
from support.remote import run_script

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
