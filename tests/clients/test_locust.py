"""locust with one master and two workers, without its web page."""

import pytest
from support.world import free_port

from clients.running import PYZQ, SCRIPTS, STOCK, needs

needs("locust", "gevent", "msgpack")


@pytest.mark.parametrize(
    ("master", "workers"),
    [(PYZQ, (PYZQ, PYZQ)), (STOCK, (PYZQ, PYZQ)), (PYZQ, (STOCK, STOCK)), (PYZQ, (PYZQ, STOCK))],
    ids=["all", "stock-master", "stock-workers", "one-of-each"],
)
def test_a_run(programs, master, workers):
    port = free_port()
    of_all = ["-m", "locust", "-f", SCRIPTS / "locustfile.py", "--headless"]
    of_master = ["--master", "--master-bind-host=127.0.0.1", f"--master-bind-port={port}", "--expect-workers=2"]
    chief = programs.run(master, *of_all, *of_master, "-u4", "-r4", "-t4s", "--exit-code-on-error=0")
    at = ["--worker", "--master-host=127.0.0.1", f"--master-port={port}"]
    hands = [programs.run(side, "-m", "locust", "-f", SCRIPTS / "locustfile.py", *at) for side in workers]
    for program in (chief, *hands):
        started = program.event("start")
        assert started["pid"] == program.pid
        assert (started["module"] == "pyzq") is (program.side == PYZQ)
        program.assert_side()
    if STOCK not in (master, *workers):
        programs.assert_pure()
    # a message of one's own, there and back
    for program in hands:
        assert program.event("note")["data"] == {"from": chief.pid}
    assert {chief.event("note")["data"]["from"] for _ in hands} == {program.pid for program in hands}
    totals = chief.event("totals")
    assert totals["requests"] > totals["failures"] > 0
    chief.end()
    for program in hands:
        program.end()
