"""Jupyter's client with its kernel."""

import json

import pytest

from clients.running import PYZQ, assert_side, environment, needs, sides

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
