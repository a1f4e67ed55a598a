"""Ratios within rounds, verdicts, losses first, and what counts as moved."""

import copy

import pytest

from benchmarks import compare, report, session, summary
from benchmarks.model import Conditions, Metric

RATE = Metric("rate", "msg/s", "more", 2.0)
LATENCY = Metric("p50_us", "us", "less", 0.5)


def result(value, name="rate", error="", marks=()):
    return {"values": {} if error else {name: value}, "marks": list(marks), "error": error}


def row(row_id, pairs, metric=RATE, run_of=lambda number: 0, rejected=lambda number: ""):
    """A record's row from (subject, baseline) values, one pair per round; an exception stands for a failed run."""
    rounds = []
    for number, pair in enumerate(pairs):
        results = {}
        for name, value in zip(("pyzq", "pyzmq"), pair, strict=True):
            failed = isinstance(value, Exception)
            results[name] = result(0 if failed else value, metric.name, str(value) if failed else "")
        rounds.append(
            {
                "run": run_of(number),
                "round": number,
                "order": [],
                "seconds": 1,
                "rejected": rejected(number),
                "results": results,
            }
        )
    return {
        "id": row_id,
        "group": "Throughput",
        "kind": "oneway",
        "title": row_id,
        "pattern": "pushpull",
        "transport": "tcp",
        "size": 16,
        "tags": ["goal"],
        "note": "",
        "baseline": "pyzmq",
        "conditions": Conditions().__dict__,
        "metrics": [metric.__dict__],
        "contestants": ["pyzq", "pyzmq"],
        "notes": {},
        "absent": {},
        "rounds": rounds,
    }


def record(*rows):
    return {
        "format": session.FORMAT,
        "started": "now",
        "settings": session.PROFILES["quick"].__dict__,
        "machine": {"cpu": "c", "cpus": 2, "system": "s", "python": "p", "tcp_congestion": ""},
        "versions": {"pyzq": "1", "pyzmq": "2"},
        "missing": {},
        "interrupted": False,
        "rows": list(rows),
    }


def only(found):
    (line,) = found
    return line


def test_the_ratio_is_taken_within_each_round():
    # the machine was four times faster in the second round: the ratios do not know
    line = only(summary.lines(record(row("a", [(30, 10), (120, 40), (36, 12)]))))
    assert line.ratio.median == line.ratio.low == line.ratio.high == 3
    assert (line.verdict, line.sure, line.loss) == ("met", True, False)


@pytest.mark.parametrize(
    ("metric", "pairs", "verdict", "loss"),
    [
        (RATE, [(15, 10)], "missed", False),
        (RATE, [(9, 10)], "missed", True),
        (LATENCY, [(4, 10)], "met", False),
        (LATENCY, [(6, 10)], "missed", False),
        (LATENCY, [(11, 10)], "missed", True),
        (RATE, [(RuntimeError("lost"), 10)], "failed", True),
        (RATE, [(10, RuntimeError("gone"))], "no baseline", False),
    ],
)
def test_verdicts(metric, pairs, verdict, loss):
    line = only(summary.lines(record(row("a", pairs, metric))))
    assert (line.verdict, line.loss) == (verdict, loss)


def test_a_spread_over_the_goal_is_said():
    line = only(summary.lines(record(row("a", [(19, 10), (21, 10), (22, 10)]))))
    assert report.verdict_text(line) == "met, within the spread"


def test_the_least_favourable_pass_counts():
    pairs = [(30, 10), (30, 10), (15, 10)]
    line = only(summary.lines(record(row("a", pairs, run_of=lambda number: number))))
    assert line.judged == 1.5
    assert line.verdict == "missed"


def test_an_absolute_goal_needs_no_baseline():
    metric = Metric("rate", "share", "more", 0.4, "absolute")
    line = only(summary.lines(record(row("a", [(0.5, RuntimeError("gone"))], metric))))
    assert line.verdict == "met"


def test_rejected_rounds_do_not_count():
    pairs = [(1, 10), (30, 10)]
    line = only(summary.lines(record(row("a", pairs, rejected=lambda number: "busy machine" if number == 0 else ""))))
    assert line.ratio.median == 3


def test_losses_come_first():
    data = record(
        row("met", [(30, 10)]),
        row("behind", [(8, 10)]),
        row("short", [(15, 10)]),
        row("far-behind", [(2, 10)]),
        row("broken", [(RuntimeError("lost a message"), 10)]),
    )
    text = report.markdown(data, [])
    order = [text.index(f"| {name} ") for name in ("broken", "far-behind", "behind", "short", "met")]
    assert order == sorted(order)
    assert text.index("## Losses") < text.index("## Goals missed, yet ahead") < text.index("## Goals met")
    assert "`broken` pyzq: lost a message" in text


def test_compare_tells_what_moved():
    steady = [(30, 10), (31, 10), (29, 10), (30, 10)]
    old = record(row("steady", steady), row("slower", steady), row("faster", steady), row("gone", steady))
    new = record(
        row("steady", [(29, 10), (32, 10), (30, 10), (31, 10)]),
        row("slower", [(20, 10), (21, 10), (22, 10), (20, 10)]),
        row("faster", [(40, 10), (41, 10), (42, 10), (40, 10)]),
        row("fresh", steady),
    )
    found = compare.compare(old, new)
    assert [c.row for c in found.worse] == ["slower"]
    assert [c.row for c in found.better] == ["faster"]
    assert (found.only_old, found.only_new) == (["gone"], ["fresh"])
    assert found.worse[0].by == "ratio"


def test_compare_knows_that_less_latency_is_better():
    old = record(row("a", [(4, 10), (4.1, 10), (4.2, 10)], LATENCY))
    new = record(row("a", [(3, 10), (3.1, 10), (3.2, 10)], LATENCY))
    assert [c.row for c in compare.compare(old, new).better] == ["a"]
    assert [c.row for c in compare.compare(new, old).worse] == ["a"]


def test_compare_is_not_fooled_by_a_faster_machine():
    old = record(row("a", [(30, 10), (31, 10), (29, 10)]))
    new = copy.deepcopy(old)
    for entry in new["rows"][0]["rounds"]:
        for outcome in entry["results"].values():
            outcome["values"]["rate"] *= 3
    found = compare.compare(old, new)
    assert not found.worse
    assert not found.better
    assert [c.row for c in compare.compare(old, new, "pyzmq").better] == ["a"]


@pytest.mark.parametrize(
    ("value", "text"), [(1_320_000, "1.32M"), (45_300, "45.3k"), (12.34, "12.3"), (0.449, "0.449"), (None, "")]
)
def test_numbers(value, text):
    assert report.number(value) == text
