"""A pytest plugin: one line of JSON per event, so that a crash or a hang in one test loses nothing of those before.

PYZQ_SUITE_REPORT names the file, PYZQ_SUITE_SKIP a file with the names of tests that are done already.
"""

import json
import os

_RANK = {"passed": 0, "xfailed": 1, "xpassed": 1, "skipped": 2, "failed": 4}
_state = {}


def _emit(**event):
    path = os.environ.get("PYZQ_SUITE_REPORT")
    if path:
        with open(path, "a") as out:
            out.write(json.dumps(event) + "\n")


def pytest_collection_modifyitems(config, items):
    done = os.environ.get("PYZQ_SUITE_SKIP")
    if done and os.path.exists(done):
        with open(done) as file:
            skip = set(json.load(file))
        gone = [item for item in items if item.nodeid in skip]
        if gone:
            config.hook.pytest_deselected(items=gone)
            items[:] = [item for item in items if item.nodeid not in skip]


def pytest_collection_finish(session):
    _emit(event="collected", tests=[item.nodeid for item in session.items])


def pytest_collectreport(report):
    if report.failed:
        _emit(event="collect_error", test=report.nodeid, message=str(report.longrepr)[-1500:])


def pytest_runtest_logstart(nodeid, location):
    _state.clear()
    _emit(event="start", test=nodeid)


def pytest_runtest_logreport(report):
    outcome = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if report.skipped else "xpassed"
    message = ""
    if report.skipped and isinstance(report.longrepr, tuple):
        message = str(report.longrepr[2])
    elif report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = f"[{report.when}] " + (str(crash.message) if crash else str(report.longrepr)[-400:])
    if outcome == "passed" and report.when != "call":
        return
    if _RANK[outcome] >= _RANK.get(_state.get("outcome"), -1):
        _state.update(outcome=outcome, message=message[:600])


def pytest_runtest_logfinish(nodeid, location):
    _emit(event="done", test=nodeid, outcome=_state.get("outcome", "failed"), message=_state.get("message", ""))


def pytest_sessionfinish(session, exitstatus):
    _emit(event="finish", status=int(exitstatus))
