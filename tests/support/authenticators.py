"""Authenticators of every kind at work beside a test: in a thread of theirs, or in an event loop on a helper thread."""

import asyncio
import importlib
import threading
import warnings

from support.impl import DEADLINE, IMPL
from support.waiting import Task

KINDS = ("thread", "asyncio", "ioloop", "by hand")


def module(side, name):
    """A module of the implementation under test, or of stock pyzmq."""
    return importlib.import_module(f"{IMPL if side == 'impl' else 'zmq'}.{name}")


class _ThreadAtWork:
    def __init__(self, side, context):
        self.authenticator = module(side, "auth.thread").ThreadAuthenticator(context)

    def start(self):
        self.authenticator.start()

    def do(self, function, *args, **kwargs):
        """Calls it where rules may be set: here, any thread."""
        return function(*args, **kwargs)

    def stop(self):
        self.authenticator.stop()

    def close(self):
        self.stop()


class _LoopAtWork:
    """An event loop that runs on a helper thread until `close`."""

    def __init__(self, side, context, make):
        self._make = make
        self._side, self._context = side, context
        self._ready = threading.Event()
        self.task = Task(asyncio.run, self._run())
        assert self._ready.wait(DEADLINE)

    async def _run(self):
        self.loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self.authenticator = self._make(self._side, self._context)
        self._ready.set()
        await self._over.wait()

    def start(self):
        self.do(self.authenticator.start)

    def do(self, function, *args, **kwargs):
        """Calls it in the loop."""

        async def call():
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(DEADLINE)

    def stop(self):
        self.do(self.authenticator.stop)

    def close(self):
        self.stop()
        self.loop.call_soon_threadsafe(self._over.set)
        self.task.result()


def _asyncio(side, context):
    return module(side, "auth.asyncio").AsyncioAuthenticator(context)


def _ioloop(side, context):
    from tornado.ioloop import IOLoop

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return module(side, "auth.ioloop").IOLoopAuthenticator(context, io_loop=IOLoop.current())


class _HandAtWork(_ThreadAtWork):
    """The class itself, which waits for nothing: a thread here hands it the questions."""

    def __init__(self, side, context):
        self.authenticator = module(side, "auth").Authenticator(context)
        self.task = None

    def start(self):
        self.authenticator.start()
        self.authenticator.zap_socket.rcvtimeo = 20
        self.stopping = False
        self.task = Task(asyncio.run, self._answer())

    async def _answer(self):
        again = (module("impl", "error").Again, module("stock", "error").Again)
        while not self.stopping:
            try:
                question = self.authenticator.zap_socket.recv_multipart()
            except again:
                continue
            await self.authenticator.handle_zap_message(question)

    def stop(self):
        if self.task is not None:
            self.stopping = True
            self.task.result()
            self.task = None
            self.authenticator.stop()


def at_work(kind, side, context):
    """An authenticator that is not started yet; `do` calls its methods where they may be called."""
    if kind == "thread":
        return _ThreadAtWork(side, context)
    if kind == "by hand":
        return _HandAtWork(side, context)
    return _LoopAtWork(side, context, {"asyncio": _asyncio, "ioloop": _ioloop}[kind])
