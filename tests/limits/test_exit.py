"""The end of the interpreter: what was accepted goes out as far as peers take it, and nothing else is waited for."""

import socket
import threading

from support.impl import ours_only, zmq
from support.remote import run_script

SENDER = """
import sys
ctx = zmq.Context()
push = ctx.socket(zmq.PUSH)
push.sndhwm = 0
push.linger = int(sys.argv[2])
push.connect(sys.argv[1])
"""


@ours_only
def test_a_large_queue_goes_out_at_exit(world):
    """Neither closed nor terminated: the script's last call is a send."""
    pull = world.socket(zmq.PULL, RCVHWM=10)
    endpoint = world.bind(pull, "tcp")
    got = []

    def read():
        while len(got) < 300:
            got.append(len(pull.recv()))

    reader = threading.Thread(target=read)
    reader.start()
    run_script(SENDER + "for _ in range(300):\n    push.send(bytes(100_000))\n", endpoint, -1)
    reader.join(20)
    assert got == [100_000] * 300


@ours_only
def test_linger_zero_is_not_waited_for_at_exit(world):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        out = run_script(SENDER + "push.send(b'x' * 10)\nprint('sent')\n", endpoint, 0)
    assert out.splitlines() == ["sent"]


@ours_only
def test_nobody_there_is_not_waited_for_at_exit():
    out = run_script(SENDER + "push.send(b'x')\nprint('sent')\n", "tcp://127.0.0.1:1", -1)
    assert out.splitlines() == ["sent"]
