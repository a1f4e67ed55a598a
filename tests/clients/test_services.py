"""A service and its user, two processes, on each kind of event loop that programs for pyzmq run on."""

from importlib.util import find_spec

import pytest
from support.world import free_port

from clients.running import PYZQ, needs, sides

needs()


def kind(script, package):
    missing = pytest.mark.skipif(not find_spec(package), reason=f"not installed for this Python: {package}")
    return pytest.param(script, marks=missing, id=package)


KINDS = [kind("stream_service.py", "tornado"), kind("green_service.py", "gevent"), kind("loop_service.py", "uvloop")]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@sides("service", "user")
@pytest.mark.parametrize("script", KINDS)
def test_requests_and_publications(programs, script, service, user, transport):
    def address(name):
        return f"ipc://{programs.folder}/{name}" if transport == "ipc" else f"tcp://127.0.0.1:{free_port()}"

    at = [address("requests"), address("events")]
    server = programs.script(service, script, "serve", *at)
    server.event("ready")
    client = programs.script(user, script, "use", *at)
    used = client.event("used")
    assert used["module"].startswith("pyzq") is (user == PYZQ)
    server.assert_side()
    client.assert_side()
    client.say()
    for program in (client, server):
        program.event("ended")
        program.end()
