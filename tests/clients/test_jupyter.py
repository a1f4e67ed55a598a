"""Jupyter's client with its kernel."""

import json

import pytest

from clients.running import PYZQ, STOCK, assert_side, environment, needs, sides

needs("jupyter_client", "ipykernel")


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@sides("client", "kernel")
def test_a_session(programs, client, kernel, transport):
    """With the client on pyzq the kernel is, too, and nobody told it."""
    extra = {} if client == kernel else environment(kernel)
    session = programs.script(client, "jupyter_session.py", transport, json.dumps(extra))
    first = session.event("started")
    assert (first["module"] == "pyzq") is (client == PYZQ)
    assert (first["kernel_module"] == "pyzq") is (kernel == PYZQ)
    session.assert_side()
    assert_side(first["kernel"], kernel)
    session.event("executed")
    session.event("interrupted")
    second = session.event("restarted")
    assert second["kernel"] != first["kernel"]
    session.event("look")
    assert_side(second["kernel"], kernel)
    if client == kernel == PYZQ:
        programs.assert_pure()
    session.say()
    session.event("ended")
    session.end()


@pytest.mark.parametrize("kind", ["async", "threaded"])
@sides("client", "kernel")
def test_the_clients_for_event_loops(programs, kind, client, kernel):
    extra = {} if client == kernel else environment(kernel)
    session = programs.script(client, "jupyter_loops.py", kind, json.dumps(extra))
    executed = session.event("executed")
    session.assert_side()
    assert (executed["kernel_module"] == "pyzq") is (kernel == PYZQ)
    assert_side(executed["kernel"], kernel)
    session.say()
    session.event("ended")
    session.end()


@pytest.mark.parametrize("side", [PYZQ, STOCK])
def test_the_jupyter_command(programs, side):
    """As a user starts it: the command becomes another program, which starts a kernel."""
    script = programs.folder / "script.py"
    script.write_text(
        "import os, json, zmq\n"
        "maps = open('/proc/self/maps').read()\n"
        "print(json.dumps({'event': 'ran', 'module': zmq.__name__, 'libzmq': 'libzmq' in maps}), flush=True)\n"
    )
    command = programs.run(side, "-m", "jupyter", "run", "--kernel", "python3", script)
    ran = command.event("ran")
    assert (ran["module"] == "pyzq", ran["libzmq"]) == ((True, False) if side == PYZQ else (False, True))
    command.end()
