"""Short runs from end to end with the reference and with plain sockets: files, figures, failures."""

import json

import pytest

from benchmarks import conductor, quick, registry, session
from benchmarks.__main__ import main
from benchmarks.model import Contestant

pytest.importorskip("zmq")

SHORT = session.Profile("test", 1, 1, 0.05, 0.2, 1, 0, 1, True)

KINDS = {
    "oneway": "pushpull-ipc-16B",
    "credit": "pubsub-tcp-1KB",
    "between threads": "pushpull-inproc-16B",
    "roundtrip": "reqrep-tcp-64B",
    "rawstream": "stream-tcp-1KB",
    "router": "router-ipc-64B-100",
    "proxy": "proxy-streamer-tcp-64B",
    "proxied round trip": "proxy-queue-tcp-64B",
    "paced": "paced-ipc-64B-10k",
    "startup": "import",
    "asyncio": "asyncio-pushpull-tcp-64B-stock",
    "asyncio round trip": "asyncio-reqrep-tcp-64B-stock",
    "asyncio trickle": "asyncio-trickle-tcp-64B-100-stock",
    "ready awaits": "asyncio-ready-tcp-64B",
    "poller": "poller-tcp-10",
}
TORNADO = {"stream": "zmqstream-pushpull-tcp-64B", "stream round trip": "zmqstream-reqrep-tcp-64B"}


@pytest.mark.parametrize("row_id", KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_row_runs(row_id):
    record = session.run(registry.select([row_id]), ["pyzmq"], SHORT)
    (row,) = record["rows"]
    (entry,) = row["rounds"]
    outcome = entry["results"]["pyzmq"]
    assert outcome["error"] == ""
    wanted = {metric["name"] for metric in row["metrics"]}
    assert wanted <= outcome["values"].keys()
    assert all(outcome["values"][name] > 0 for name in wanted - {"lost_share"})


@pytest.mark.parametrize("row_id", TORNADO.values(), ids=TORNADO.keys())
def test_every_kind_of_row_on_tornado_runs(row_id):
    pytest.importorskip("tornado")
    test_every_kind_of_row_runs(row_id)


def test_many_sockets_on_either_side():
    record = session.run(registry.select(["fanout-ipc-64B-8"]), ["pyzmq", "plain"], SHORT)
    results = record["rows"][0]["rounds"][0]["results"]
    assert {name: outcome["error"] for name, outcome in results.items()} == {"pyzmq": "", "plain": ""}


def test_the_command_line_writes_data_and_a_report(tmp_path, capsys):
    rows, impls = "pushpull-ipc-16B,reqrep-ipc-64B", "pyzmq plain"
    length = ("--seconds", "0.2", "--rounds", "2")
    status = main(["run", "--rows", rows, "--impl", impls, *length, "--name", "x", "--out", str(tmp_path)])
    assert status == 0
    record = json.loads((tmp_path / "x.json").read_text())
    assert [row["id"] for row in record["rows"]] == ["reqrep-ipc-64B", "pushpull-ipc-16B"]
    assert record["versions"].keys() == {"pyzmq", "plain"}
    assert all(len([e for e in row["rounds"] if not e["rejected"]]) == 2 for row in record["rows"])
    report = (tmp_path / "x.md").read_text()
    assert "pushpull-ipc-16B" in report
    assert "not run" in report
    assert str(tmp_path / "x.json") in capsys.readouterr().out

    assert main(["compare", str(tmp_path / "x.json"), str(tmp_path / "x.json"), "--impl", "pyzmq"]) == 0
    assert "Nothing moved beyond the spread" in capsys.readouterr().out


def test_an_unknown_row_or_implementation_is_refused(capsys):
    assert main(["run", "--rows", "nonsense"]) == 2
    assert main(["run", "--impl", "nonsense"]) == 2
    assert capsys.readouterr().err.count("nonsense") == 2


def test_an_implementation_that_is_not_there_is_left_out(monkeypatch):
    probes = {"pyzmq": conductor.Probe("1"), "pyzq": conductor.Probe(missing="not installed")}
    monkeypatch.setattr(conductor, "probe", probes.__getitem__)
    record = session.run(registry.select(["pushpull-ipc-16B"]), ["pyzq", "pyzmq"], SHORT)
    assert record["missing"] == {"pyzq": "not installed"}
    assert record["rows"][0]["contestants"] == ["pyzmq"]


def test_what_was_done_before_an_interruption_is_kept():
    def stop(done, planned, label):
        if label.startswith("pushpull-ipc-1KB"):
            raise KeyboardInterrupt

    record = session.run(registry.select(["pushpull-ipc-16B", "pushpull-ipc-1KB"]), ["pyzmq"], SHORT, stop)
    assert record["interrupted"]
    assert [row["id"] for row in record["rows"]] == ["pushpull-ipc-16B"]


def test_a_worker_that_dies_fails_its_run_and_no_more():
    (row,) = registry.select(["pushpull-ipc-16B"])
    who = Contestant("pyzmq", "pyzmq", "pushpull", "ipc", {"flow": "blocking", "hwm": "many"}, {})
    done = conductor.run(row, who, 0.02, 0.05)
    assert "Error" in done.error
    assert done.values == {}


def test_the_demonstration_s_table():
    seen = []
    found = quick.run(["pushpull-ipc-16B"], ["pyzmq"], lambda done, planned, label: seen.append((done, planned)))
    (line,) = found
    assert line["id"] == "pushpull-ipc-16B"
    assert line["figure"] == "rate"
    assert line["values"]["pyzmq"] > 0
    assert line["ratio"] is None
    assert seen[-1] == (1, 1)
