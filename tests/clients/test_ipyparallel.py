"""A controller of ipyparallel with its schedulers, two engines, and a client: four kinds of processes."""

import pytest
from support.waiting import wait_for

from clients.running import LIMIT, PYZQ, STOCK, assert_side, needs

needs("ipyparallel")


@pytest.mark.parametrize("curve", [False, True], ids=["null", "curve"])
@pytest.mark.parametrize(
    ("controller", "engines", "client"),
    [
        (PYZQ, (PYZQ, PYZQ), PYZQ),
        (STOCK, (PYZQ, PYZQ), PYZQ),
        (PYZQ, (STOCK, PYZQ), PYZQ),
        (PYZQ, (PYZQ, PYZQ), STOCK),
        (PYZQ, (STOCK, STOCK), STOCK),
        (STOCK, (PYZQ, PYZQ), STOCK),
    ],
    ids=["all", "stock-controller", "stock-engine", "stock-client", "only-controller", "only-engines"],
)
def test_a_cluster(programs, controller, engines, client, curve):
    profile = programs.folder / "p"
    profile.mkdir()
    at = ["--ip=127.0.0.1", f"--profile-dir={profile}"]
    hub = programs.run(
        controller, "-m", "ipyparallel.controller", *at, f"--IPController.enable_curve={curve}", "--nodb"
    )
    connection = {name: profile / "security" / f"ipcontroller-{name}.json" for name in ("engine", "client")}
    wait_for(lambda: all(file.exists() for file in connection.values()), "the connection files", LIMIT)
    workers = [programs.run(side, "-m", "ipyparallel.engine", f"--file={connection['engine']}") for side in engines]
    session = programs.script(client, "parallel_session.py", connection["client"])
    found = {pid: name for pid, name, _ in session.event("connected")["engines"]}
    session.event("mapped")
    hub.assert_side()
    session.assert_side()
    sides = {pid: PYZQ if name == "pyzq" else STOCK for pid, name in found.items()}
    assert sorted(sides.values()) == sorted(engines)
    for pid, side in sides.items():
        assert_side(pid, side)
    if STOCK not in (controller, client, *engines):
        programs.assert_pure()
    session.event("ended")
    session.end()
    for worker in workers:
        worker.end(status=None)  # 1 when a client says so, which has to do with this version of ipykernel, not with zmq
    hub.end()
