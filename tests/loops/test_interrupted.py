"""An exception that ends the loop comes out of a task that a message woke; the loop runs again."""

import asyncio

import pytest
from support import loops

import pyzq


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("sockets", [1, 2])
def test_nobody_else_who_waits_is_forgotten(run, context, outside, sockets, end):
    """Two calls wait, two messages come at once, the first call's task raises: the second is served."""
    loop = loops.new_loop(run.kind)
    asyncio.set_event_loop(loop)
    pull, push, idle = context.socket(pyzq.PULL), context.socket(pyzq.PUSH), context.socket(pyzq.PULL)
    plain = outside(push)
    tasks = []

    async def ends():
        await pull.recv()
        raise end

    async def takes():
        return await pull.recv()

    async def begin():
        pull.bind("inproc://interrupted")
        plain.connect("inproc://interrupted")
        if sockets == 2:
            idle.recv()
        tasks.extend([loop.create_task(ends()), loop.create_task(takes())])
        await asyncio.sleep(0)

    async def after():
        assert await asyncio.wait_for(tasks[1], 10) == b"2"
        later = pull.recv()
        plain.send(b"3")
        assert await asyncio.wait_for(later, 10) == b"3"

    try:
        loop.run_until_complete(begin())
        plain.send_many([b"1", b"2"])
        with pytest.raises(end):
            loop.run_until_complete(asyncio.wait_for(asyncio.wait(tasks), 10))
        assert isinstance(tasks[0].exception(), end)
        loop.run_until_complete(after())
    finally:
        for socket in (pull, push, idle):
            socket.close(0)
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False
        loop.close()
        asyncio.set_event_loop(None)
