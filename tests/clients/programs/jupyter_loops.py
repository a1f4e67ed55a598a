"""A kernel and the clients for event loops: asyncio's, and the one that works in a thread with streams.

jupyter_loops.py (async | threaded) ENVIRONMENT

ENVIRONMENT, in JSON, is what the kernel gets besides the client's own.
"""

import asyncio
import json
import os
import queue
import sys
import threading

import zmq
from jupyter_client import AsyncKernelManager, KernelManager
from jupyter_client.threaded import ThreadedKernelClient
from napping import CELL, PATIENCE
from saying import say

LIMIT = 60
CODE = "for i in range(300): print(i, flush=True)\nimport os, zmq; (os.getpid(), zmq.__name__)"
PRINTED = "".join(f"{number}\n" for number in range(300))


class Told:
    """What came on iopub for one request, until the kernel was idle again."""

    def __init__(self):
        self.printed, self.value = "", None

    def take(self, message):
        """Whether that was the last one."""
        content = message["content"]
        if message["msg_type"] == "stream":
            self.printed += content["text"]
        elif message["msg_type"] == "execute_result":
            self.value = content["data"]["text/plain"]
        return message["msg_type"] == "status" and content["execution_state"] == "idle"


async def interrupted(manager, client, number):
    """The reply to the cell, which is interrupted."""
    for _ in range(3):
        await manager.interrupt_kernel()
        try:
            while (reply := await client.get_shell_msg(timeout=PATIENCE))["parent_header"].get("msg_id") != number:
                pass
            return reply
        except queue.Empty:
            continue
    raise SystemExit("the cell was not interrupted")


async def run_async(env):
    manager = AsyncKernelManager()
    await manager.start_kernel(env=env)
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=LIMIT)
    told = Told()
    await client._async_execute_interactive(CODE, output_hook=told.take, timeout=LIMIT)
    assert told.printed == PRINTED
    yield told
    number = client.execute(CELL, stop_on_error=False)
    while "begun" not in (await client.get_iopub_msg(timeout=LIMIT))["content"].get("text", ""):
        pass
    reply = await interrupted(manager, client, number)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    await manager.shutdown_kernel()
    client.stop_channels()


class Client(ThreadedKernelClient):
    """Hands what comes in its thread to this one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.heard, self.ready = queue.Queue(), threading.Event()

    def start_channels(self, *args, **kwargs):
        super().start_channels(*args, **kwargs)
        self.iopub_channel.message_received = self.heard.put
        self.shell_channel.message_received = lambda message: self.ready.set()
        for channel in (self.iopub_channel, self.shell_channel):
            channel.call_handlers = channel.message_received


async def run_threaded(env):
    manager = KernelManager()
    manager.start_kernel(env=env)
    client = Client(**manager.get_connection_info(session=True), parent=manager)
    client.start_channels()
    # until the subscription has arrived, what the kernel publishes is not heard
    while client.heard.empty():
        client.kernel_info()
        client.ready.wait(LIMIT)
        client.ready.clear()
    number = client.execute(CODE)
    told = Told()
    while True:
        message = client.heard.get(timeout=LIMIT)
        if message["parent_header"].get("msg_id") == number and told.take(message):
            break
    assert told.printed == PRINTED
    yield told
    client.stop_channels()
    manager.shutdown_kernel()


async def main(kind, env):
    async for told in {"async": run_async, "threaded": run_threaded}[kind](env):
        pid, name = eval(told.value)
        say("executed", kernel=pid, kernel_module=name)
        sys.stdin.readline()
    say("ended")


assert zmq
asyncio.run(main(sys.argv[1], {**os.environ, **json.loads(sys.argv[2])}))
