"""Loops in Cython: rows that use them run, wrong contents are noticed, and an extension is built once."""

import threading

import pytest

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

import pyzq as zmq
from benchmarks import embedded, registry, session
from benchmarks.model import SUBJECT_DEFAULT

SHORT = session.Profile("test", 1, 1, 0.05, 0.2, 1, 0, 1, True)


@pytest.mark.parametrize(
    "row_id", ["embedded-pushpull-tcp-64B", "embedded-pushpull-inproc-64B", "embedded-reqrep-ipc-64B"]
)
def test_rows_run(row_id):
    record = session.run(registry.select([row_id]), ["pyzq"], SHORT)
    (row,) = record["rows"]
    (entry,) = row["rounds"]
    assert {name: result["error"] for name, result in entry["results"].items()} == {"pyzq": "", SUBJECT_DEFAULT: ""}
    for result in entry["results"].values():
        assert all(result["values"][metric["name"]] > 0 for metric in row["metrics"])


@pytest.mark.parametrize("row_id", ["curve-cipher-64B", "curve-cipher-64KB"])
def test_what_libsodium_does_alone(row_id):
    pytest.importorskip("nacl")
    record = session.run(registry.select([row_id]), ["pyzq"], SHORT)
    (result,) = record["rows"][0]["rounds"][0]["results"].values()
    assert result["error"] == ""
    assert result["values"]["rate"] > 0


def test_the_baseline_is_the_python_api():
    from benchmarks import conductor

    for row in registry.select(["embedded-*"]):
        taking_part, _ = conductor.contestants(row, ["pyzq", "pyzmq"])
        assert {who.name: bool(who.params.get("embedded")) for who in taking_part} == {
            "pyzq": True,
            SUBJECT_DEFAULT: False,
        }


def test_replies_that_differ_are_counted():
    def serve(sock):
        for number in range(1_000_000):
            message = sock.recv()
            sock.send(message[:-1] + b"?" if number % 2 else message)
            if message == b"stop":
                return

    with zmq.Context() as context, context.socket(zmq.REQ) as near, context.socket(zmq.REP) as far:
        far.bind("inproc://echo")
        near.connect("inproc://echo")
        server = threading.Thread(target=serve, args=(far,))
        server.start()
        times, wrong = embedded.loops().End(near).ask([b"one", b"another"], 0, 20_000_000)
        near.send(b"stop")
        near.recv()
        server.join()
    assert len(times) > 1
    assert wrong == len(times) // 2


def test_an_extension_is_built_once(monkeypatch):
    first = embedded.build()
    written = first.stat().st_mtime_ns
    assert embedded.build() == first
    assert first.stat().st_mtime_ns == written


def test_a_source_that_cannot_be_built_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "wrong.pyx"
    source.write_text("cdef nothing of the kind\n")
    with pytest.raises(embedded.CannotBuild, match=r"wrong\.pyx was not built"):
        embedded.build(source)
