"""The rows: unique, complete, runnable, with the goals the project set itself."""

from importlib import import_module

import pytest

from benchmarks import conductor, registry
from benchmarks.adapters import IMPLEMENTATIONS, supports
from benchmarks.model import SUBJECT_DEFAULT
from benchmarks.patterns import PATTERNS, SOCKET_TYPES
from benchmarks.rows.matrix import SIZES, UDP_SIZES

ROWS = {row.id: row for row in registry.all_rows()}

STABLE = ("PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB", "STREAM")
DRAFT = ("SERVER", "CLIENT", "RADIO", "DISH", "GATHER", "SCATTER", "DGRAM", "PEER", "CHANNEL")
TYPES = STABLE + DRAFT
TRANSPORTS = {"STREAM": ("tcp",), "DGRAM": ("udp",), "RADIO": ("tcp", "ipc", "inproc", "udp")}
TRANSPORTS["DISH"] = TRANSPORTS["RADIO"]

GOALS = {
    "reqrep-tcp-64B": {"p50_us": "<= 0.45x", "cpu_us_per_op": "<= 1x"},
    "reqrep-ipc-64B": {"p50_us": "<= 0.45x", "cpu_us_per_op": "<= 1x"},
    "reqrep-tcp-64B-nospin": {"p50_us": "<= 0.8x"},
    "reqrep-ipc-64B-nospin": {"p50_us": "<= 0.8x"},
    "reqrep-tcp-64B-loaded": {"p50_us": "<= 0.8x"},
    "reqrep-ipc-64B-loaded": {"p50_us": "<= 0.8x"},
    **{f"{p}-inproc-64B-{w}": {"p50_us": "<= 0.8x"} for p in ("reqrep", "pair") for w in ("onecpu", "free")},
    **{
        f"pushpull-{transport}-{size}": {"rate": f">= {goal}x"}
        for transport in ("tcp", "ipc", "inproc")
        for size, goal in (("16B", 5), ("256B", 3), ("1KB", 2.5), ("64KB", 1.5), ("1MB", 1.3), ("8MB", 1.3))
    },
    **{f"pushpull-{transport}-16B-many": {"rate": ">= 15x"} for transport in ("tcp", "ipc", "inproc")},
    **{f"fanout-tcp-64B-{n}": {"rate": ">= 2x"} for n in (1, 8, 64)},
    **{f"router-tcp-64B-{n}": {"rate": ">= 2x"} for n in (1, 100, 1000)},
    "proxy-streamer-tcp-64B": {"rate": ">= 2x"},
    "proxy-streamer-tcp-4KB": {"rate": ">= 2x"},
    **{
        f"paced-{transport}-64B-{rate}": {"p50_us": "<= 0.6x", "p99_us": "<= 1x"}
        for transport in ("tcp", "ipc")
        for rate in ("idle1ms", "10k", "50k")
    },
    **{f"asyncio-pushpull-tcp-64B-{loop}": {"rate": ">= 15x"} for loop in ("stock", "uvloop")},
    **{f"asyncio-reqrep-tcp-64B-{loop}": {"p50_us": "<= 0.4x"} for loop in ("stock", "uvloop")},
    **{f"asyncio-trickle-tcp-64B-100-{loop}": {"per_cpu_s": ">= 3x"} for loop in ("stock", "uvloop")},
    "asyncio-ready-tcp-64B": {"await_ratio": "<= 3 x"},
    "gevent-pushpull-tcp-64B": {"rate": ">= 1.5x"},
    "gevent-reqrep-tcp-64B": {"p50_us": "<= 0.67x"},
    "zmqstream-pushpull-tcp-64B": {"rate": ">= 1.5x"},
    "zmqstream-reqrep-tcp-64B": {"p50_us": "<= 0.67x"},
    **{f"poller-tcp-{n}": {"rate": ">= 3x", "idle_rate": ">= 3x"} for n in (1, 10, 100)},
    "compute-tcp-64B": {"rate": ">= 50x", "compute_kept": ">= 0.4 of its undisturbed rate"},
    "connections-tcp-1000": {"connect_ms": "<= 1x", "server_kb": "<= 1x", "clients_kb": "<= 1x"},
    "import": {"import_ms": "<= 1x"},
    **{f"embedded-pushpull-{transport}-64B": {"rate": ">= 1x"} for transport in ("tcp", "ipc", "inproc")},
    **{f"embedded-reqrep-{transport}-64B": {"p50_us": "<= 1x"} for transport in ("tcp", "ipc", "inproc")},
    **{f"curve-reqrep-{transport}-64B": {"p50_us": "<= 0.5x"} for transport in ("tcp", "ipc")},
    "curve-pushpull-tcp-64B": {"rate": ">= 3x"},
    "curve-pushpull-tcp-64KB": {"rate": ">= 1.2x"},
}


def test_every_socket_type_has_a_pattern():
    assert set(TYPES) == SOCKET_TYPES


@pytest.mark.parametrize("socket_type", TYPES)
def test_every_type_has_a_row_for_every_transport_and_size(socket_type):
    for transport in TRANSPORTS.get(socket_type, ("tcp", "ipc", "inproc")):
        for size in UDP_SIZES if transport == "udp" else SIZES:
            found = [
                row.id
                for row in ROWS.values()
                if row.transport == transport
                and row.size == size
                and socket_type in (PATTERNS[row.pattern].sender, PATTERNS[row.pattern].receiver)
            ]
            assert found, f"{socket_type} over {transport} at {size} bytes is measured nowhere"


@pytest.mark.parametrize("row_id", GOALS)
def test_goals(row_id):
    assert {m.name: m.goal_text() for m in ROWS[row_id].metrics if m.goal is not None} == GOALS[row_id]


def test_rows_without_a_goal_of_their_own_have_a_floor():
    for row in ROWS.values():
        if "floor" in row.tags:
            assert row.headline.goal == 0.95, row.id
            assert row.headline.better == "more", row.id


def test_every_row_can_be_staged():
    for row in ROWS.values():
        scenario = import_module(f"benchmarks.scenarios.{row.kind}")
        taking_part, absent = conductor.contestants(row, list(IMPLEMENTATIONS))
        names = [who.name for who in taking_part]
        assert "pyzq" in names, row.id
        if row.kind != "cipher":  # what a library of others can do at most is compared with nobody
            assert row.baseline in names, f"{row.id} has nobody to be compared with: {absent}"
        for who in taking_part:
            assert [name for name, _ in scenario.roles(who.pattern)], row.id
            if row.transport != "-":
                assert supports(who.impl, who.pattern, who.transport) == "", (row.id, who.name)


def test_a_draft_type_says_what_it_is_compared_with():
    for row in ROWS.values():
        if PATTERNS[row.pattern].draft:
            taking_part, _ = conductor.contestants(row, ["pyzmq"])
            assert not PATTERNS[taking_part[0].pattern].draft, row.id
            assert "instead" in taking_part[0].note, row.id


def test_a_build_without_a_transport_does_not_take_part():
    row = ROWS["pushpull-ws-1KB"]
    taking_part, absent = conductor.contestants(row, ["pyzq", "pyzmq"], {"pyzq": ("ws",)})
    assert [who.name for who in taking_part] == ["pyzmq"]
    assert "ws" in absent["pyzq"]


def test_policies_are_compared_with_the_default_of_the_same_run():
    rows = [row for row in ROWS.values() if row.id.startswith("hwm-")]
    assert rows
    for row in rows:
        taking_part, _ = conductor.contestants(row, ["pyzq", "pyzmq"])
        policies = {who.name: who.params.get("hwm_policy") for who in taking_part}
        assert policies.keys() == {"pyzq", SUBJECT_DEFAULT}
        assert policies["pyzq"] is not None
        assert policies[SUBJECT_DEFAULT] is None


def test_all_contestants_of_a_row_get_the_same_parameters():
    for row in ROWS.values():
        taking_part, _ = conductor.contestants(row, [name for name in IMPLEMENTATIONS if name != "pyzq"])
        assert all(who.params == taking_part[0].params for who in taking_part), row.id


def test_globs():
    assert {row.id for row in registry.select(["pushpull-tcp-16B*"])} == {"pushpull-tcp-16B", "pushpull-tcp-16B-many"}
    assert len(registry.select()) == len(ROWS)
    assert all("quick" in row.tags for row in registry.select(tag="quick"))
    with pytest.raises(LookupError, match="no row is called 'pushpul'"):
        registry.select(["pushpul"])
