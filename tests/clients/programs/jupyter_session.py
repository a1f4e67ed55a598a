"""A session of one user with one kernel: run, print, ask, interrupt, restart, shut down.

jupyter_session.py TRANSPORT ENVIRONMENT

ENVIRONMENT, in JSON, is what the kernel gets besides the client's own, which decides about its `zmq`.
"""

import json
import os
import queue
import sys

import zmq
from jupyter_client import KernelManager
from napping import CELL, PATIENCE
from saying import say

LIMIT = 60
IDENTITY = "import os, zmq, sys; (os.getpid(), zmq.__name__, zmq.__file__)"


def run(client, code, **more):
    """(reply, standard output, value) of a cell."""
    printed, value = [], None

    def hear(message):
        nonlocal value
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])
        elif message["msg_type"] == "execute_result":
            value = message["content"]["data"]["text/plain"]

    reply = client.execute_interactive(code, output_hook=hear, timeout=LIMIT, **more)
    return reply["content"], "".join(printed), value


def answer(client):
    def hear(message):
        assert message["content"]["prompt"] == "name? "
        client.input("somebody")

    return hear


def wait_for_output(client, text):
    while True:
        message = client.get_iopub_msg(timeout=LIMIT)
        if message["msg_type"] == "stream" and text in message["content"]["text"]:
            return


def interrupted(manager, client, number):
    """The reply to the cell, which is interrupted."""
    for _ in range(3):
        manager.interrupt_kernel()
        try:
            while (reply := client.get_shell_msg(timeout=PATIENCE))["parent_header"].get("msg_id") != number:
                pass
            return reply
        except queue.Empty:
            continue
    raise SystemExit("the cell was not interrupted")


def identify(client, event):
    content, _, value = run(client, IDENTITY)
    assert content["status"] == "ok", content
    pid, name, file = eval(value)
    say(event, kernel=pid, kernel_module=name, kernel_file=file)


def main(transport, extra):
    manager = KernelManager(kernel_name="python3", transport=transport)
    manager.start_kernel(env={**os.environ, **extra})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=LIMIT)
    identify(client, "started")

    assert run(client, "kept = 6 * 7; kept")[2] == "42"
    lines = "".join(f"line {number}\n" for number in range(500))
    content, printed, _ = run(client, "import sys\nfor i in range(500): print('line', i); sys.stdout.flush()")
    assert content["status"] == "ok"
    assert printed == lines, printed[:200]
    assert len(run(client, "'x' * 5_000_000")[2]) == 5_000_002
    assert run(client, "print('<' + input('name? ') + '>')", allow_stdin=True, stdin_hook=answer(client))[1] == (
        "<somebody>\n"
    )
    content, _, _ = run(client, "1 / 0", stop_on_error=False)
    assert (content["status"], content["ename"]) == ("error", "ZeroDivisionError")
    say("executed")

    number = client.execute(CELL, stop_on_error=False)
    wait_for_output(client, "begun")
    reply = interrupted(manager, client, number)
    assert reply["content"]["ename"] == "KeyboardInterrupt", reply["content"]
    assert run(client, "kept")[2] == "42"
    assert client.hb_channel.is_beating()
    say("interrupted")

    manager.restart_kernel(now=False)
    client.wait_for_ready(timeout=LIMIT)
    identify(client, "restarted")
    content, _, _ = run(client, "kept")
    assert content["ename"] == "NameError", content
    say("look")
    sys.stdin.readline()

    client.shutdown()
    manager.finish_shutdown()
    assert not manager.is_alive()
    client.stop_channels()
    manager.cleanup_resources()
    say("ended")


if __name__ == "__main__":
    assert zmq
    main(sys.argv[1], json.loads(sys.argv[2]))
