"""A second process that runs what we tell it, so that a peer can be killed, stopped and restarted.

By default the peer runs stock pyzmq (`zmq` in its namespace); `Remote(own=True)` gives it the implementation under
test.
"""

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from socket import socketpair

import pytest

from support.impl import DEADLINE, IMPL

_CHILD = """
import sys, os, traceback
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
names = {}
exec(f"import {sys.argv[2]} as zmq", names)
while True:
    try:
        kind, code = pipe.recv()
    except EOFError:
        os._exit(0)
    try:
        pipe.send((True, eval(code, names) if kind == "eval" else exec(code, names)))
    except BaseException:
        pipe.send((False, traceback.format_exc()))
"""


def child_environment():
    paths = [path for path in sys.path if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": "1"}


class Remote:
    def __init__(self, own=False):
        ours, theirs = socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(theirs.fileno()), IMPL if own else "zmq"],
                pass_fds=[theirs.fileno()],
                env=child_environment(),
            )
        self.pipe = Connection(ours.detach())
        self.outstanding = 0

    def start(self, code, kind="exec"):
        """Gives the peer something to do and does not wait for it."""
        self.pipe.send((kind, code))
        self.outstanding += 1

    def finish(self, timeout=DEADLINE):
        """The answer to the oldest ``start``."""
        if not self.pipe.poll(timeout):
            pytest.fail(f"the peer process did not answer within {timeout} s")
        self.outstanding -= 1
        good, value = self.pipe.recv()
        if not good:
            pytest.fail(f"in the peer process:\n{value}")
        return value

    def run(self, code, timeout=DEADLINE):
        self.start(code)
        return self.finish(timeout)

    def eval(self, code, timeout=DEADLINE):
        self.start(code, "eval")
        return self.finish(timeout)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """As a machine that loses power does, except that the kernel closes its connections."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(DEADLINE)
        self.pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def run_script(code, *args, timeout=30, expect=0, impl=IMPL, send_signal=None, when=None):
    """Runs a script in a fresh interpreter with ``zmq`` bound to the implementation under test; returns its output.

    ``send_signal`` is delivered when the script has printed the line ``when``.  Standard error is part of the output.
    """
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", f"import {impl} as zmq\n{code}", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=child_environment(),
    )
    try:
        early = ""
        if send_signal is not None:
            for line in process.stdout:
                early += line
                if line.strip() == when:
                    process.send_signal(send_signal)
                    break
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        pytest.fail(f"the script hung for {timeout} s:\n{early}{output}")
    output = early + output
    if expect is not None and process.returncode != expect:
        pytest.fail(f"exit status {process.returncode}, expected {expect}:\n{output}")
    return output
