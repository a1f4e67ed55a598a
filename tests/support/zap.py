"""An authoriser for tests: a handler on inproc://zeromq.zap.01 of one context, on a thread of its own."""

from support.impl import stock, zmq
from support.waiting import Task

ADDRESS = "inproc://zeromq.zap.01"


def reply(request, status=b"200", user=b"the user", metadata=b"", text=b"text"):
    """The parts of an answer, without an envelope; `request` likewise."""
    return [request[0], request[1], status, text, user, metadata]


class Zap:
    """``answer(request)`` returns (status, user id), or the parts of a reply."""

    def __init__(self, world, side="impl", answer=lambda request: (b"200", b"the user"), kind="REP"):
        self.requests = []
        self.answer = answer
        self.kind = kind
        self.socket = world.socket(getattr(zmq, kind), side, RCVTIMEO=20)
        self.socket.bind(ADDRESS)
        self.stopping = False
        self.task = Task(self._serve)

    def _serve(self):
        again = (zmq.Again,) if stock is None else (zmq.Again, stock.Again)
        while not self.stopping:
            try:
                frames = self.socket.recv_multipart(copy=False)
            except again:
                continue
            parts = [frame.bytes for frame in frames]
            envelope = {"REP": 0, "ROUTER": 2, "SERVER": 1}[self.kind]
            request = parts[envelope:]
            self.requests.append(request)
            answer = self.answer(request)
            if isinstance(answer, tuple):
                answer = reply(request, *answer)
            if self.kind == "SERVER":
                self.socket.send_multipart([*parts[:envelope], *answer], routing_id=frames[0].routing_id)
            else:
                self.socket.send_multipart([*parts[:envelope], *answer])
        self.socket.close(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.task.result()
