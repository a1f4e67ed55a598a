"""A service of zerorpc: calls, streams, exceptions, a call that takes longer than the heartbeats allow silence.

rpc_server.py ADDRESS
"""

import os
import sys

import gevent
import zerorpc
import zmq
from saying import say


class Service:
    """What the clients may call."""

    def identity(self):
        return os.getpid(), zmq.__name__, zmq.__file__

    def add(self, a, b):
        return a + b

    def echo(self, what):
        return what

    def fail(self):
        raise KeyError("not here")

    def wait(self, seconds):
        gevent.sleep(seconds)
        return "waited"

    @zerorpc.stream
    def count(self, end):
        yield from range(end)

    @zerorpc.stream
    def breaks(self):
        yield 1
        raise ValueError("in the middle")

    def finish(self):
        gevent.spawn_later(0, server.stop)


server = zerorpc.Server(Service(), heartbeat=1.5)
server.bind(sys.argv[1])
say("ready")
server.run()
server.close()
say("ended")
