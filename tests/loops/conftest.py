"""A context of asyncio's sockets, a loop of each kind to run in, pairs over each transport."""

import contextlib
from importlib.util import find_spec

import pytest
from support import loops
from support.impl import TRANSPORTS, zmq

import pyzq
import pyzq.asyncio


@pytest.fixture(scope="session", autouse=True)
def warmed_loops(warmed):
    """One use of every kind of loop: uvloop keeps what it makes first."""

    async def nothing():
        with pyzq.asyncio.Context() as context, context.socket(pyzq.PULL) as pull:
            pull.recv().cancel()

    for kind in ("stock", "uvloop") if find_spec("uvloop") else ("stock",):
        loops.run(kind, nothing())


@pytest.fixture(params=loops.LOOPS)
def run(request, books):
    """Runs a coroutine in a loop of this kind."""

    def run(main, timeout=30):
        return loops.run(request.param, main, timeout)

    run.kind = request.param
    return run


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture
def context(books):
    with pyzq.asyncio.Context() as made:
        yield made


@pytest.fixture
def pair(context, world):
    """`with pair(PUSH, PULL, transport) as (a, b)`: two linked sockets for asyncio, the second bound."""

    @contextlib.contextmanager
    def pair(first=zmq.PUSH, second=zmq.PULL, transport="tcp", **options):
        a, b = context.socket(first), context.socket(second)
        try:
            for socket in (a, b):
                socket.linger = 0
                for name, value in options.items():
                    socket.set(getattr(pyzq, name), value)
            b.bind(world.address(transport))
            a.connect(b.get(pyzq.LAST_ENDPOINT).decode())
            yield a, b
        finally:
            a.close()
            b.close()

    return pair


@pytest.fixture
def outside(context):
    """A plain socket that stands for the same as one of asyncio's, for threads and for looking from without."""

    def outside(socket):
        made = pyzq.Socket.shadow(socket)
        made.set(pyzq.RCVTIMEO, -1)
        return made

    return outside
