"""circus: a daemon with its plugin and its statistics, which are processes of their own, and the commands to it."""

import json
import signal
import sys

import psutil
import pytest
from support.waiting import wait_for
from support.world import free_port

from clients.running import LIMIT, PYZQ, SCRIPTS, assert_side, mapped, needs, sides

needs("circus", "tornado")

INI = """
[circus]
check_delay = 1
endpoint = {endpoint}
pubsub_endpoint = {pubsub}
stats_endpoint = {stats}
statsd = True

[watcher:worker]
cmd = {python} {worker}
numprocesses = 2
copy_env = True
copy_path = True

[plugin:flapping]
use = circus.plugins.flapping.Flapping
"""


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@sides("daemon", "control")
def test_commands_events_statistics(programs, daemon, control, transport):
    def address(name):
        return f"ipc://{programs.folder}/{name}" if transport == "ipc" else f"tcp://127.0.0.1:{free_port()}"

    endpoint, pubsub, stats = (address(name) for name in ("endpoint", "pubsub", "stats"))
    ini = programs.folder / "circus.ini"
    ini.write_text(
        INI.format(
            endpoint=endpoint, pubsub=pubsub, stats=stats, python=sys.executable, worker=SCRIPTS / "circus_worker.py"
        )
    )
    circus = programs.run(daemon, "-m", "circus.circusd", ini)
    workers = [circus.event("working") for _ in range(2)]
    assert {one["module"] == "pyzq" for one in workers} == {daemon == PYZQ}
    for one in workers:
        assert_side(one["pid"], daemon)
    circus.line("waiting for commands")
    circus.assert_side()
    # workers, statistics, plugin
    wait_for(lambda: len(psutil.Process(circus.pid).children()) == 4, "the daemon's other processes", LIMIT)
    for child in psutil.Process(circus.pid).children():
        wait_for(lambda: mapped(child.pid), f"zmq in {child.cmdline()}", LIMIT)
        assert_side(child.pid, daemon)

    def ctl(*words):
        at = ["--endpoint", endpoint, "--timeout", "60"]
        return programs.run(control, "-m", "circus.circusctl", *at, *words).end()

    assert "worker" in ctl("list")
    assert ctl("status", "worker").strip().endswith("active")
    assert json.loads(ctl("--json", "numprocesses", "worker"))["numprocesses"] == 2
    pids = {one["pid"] for one in workers}
    watch = programs.script(control, "circus_stats.py", stats)
    assert set(watch.event("seen")["pids"]) == pids
    watch.end()

    listener = programs.run(control, "-m", "circus.circusctl", "--endpoint", pubsub, "listen", "watcher.worker")
    # Nothing says when a subscription has arrived: workers come and go until one is heard of.
    while not any("watcher.worker.kill" in line for line in listener.lines):
        ctl("incr", "worker")
        assert circus.event("working")["pid"] not in pids
        ctl("decr", "worker", "--waiting")
    ctl("incr", "worker")
    listener.line(f"watcher.worker.spawn.*{circus.event('working')['pid']}")
    listener.assert_side()
    listener.end(status=None, signal=signal.SIGINT)

    ctl("stop", "worker", "--waiting")
    assert ctl("status", "worker").strip().endswith("stopped")
    ctl("start", "worker", "--waiting")
    started = {circus.event("working")["pid"] for _ in range(3)}
    assert not started & pids
    ctl("restart", "worker", "--waiting")
    assert not {circus.event("working")["pid"] for _ in range(3)} & started
    assert "error" in programs.run(control, "-m", "circus.circusctl", "--endpoint", endpoint, "status", "nobody").end(
        status=None
    )
    if daemon == control == PYZQ:
        programs.assert_pure()
    ctl("quit")
    circus.end()
