"""Fixtures of every test: contexts and peers that end with the test, a watchdog, and books of what is left open.

Every blocking call of a test has a deadline: sockets get RCVTIMEO and SNDTIMEO, helper threads and peer processes are
joined with a limit, and a watchdog first raises in the main thread and, when that does not help, prints every thread's
stack and ends the run.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

WATCHDOG = float(
    os.environ.get("PYZQ_TEST_WATCHDOG", "60")
)  # seconds for one test; `slow` ones get three times as many
# folders whose every test must leave nothing open
BOOKED = ("patterns", "connection", "limits", "options", "security", "api", "dropin", "loops")

RUN = os.getpid()
_stderr = None


def pytest_configure(config):
    global _stderr
    config.addinivalue_line("markers", "slow: the longest tests; left out with -m 'not slow'")
    config.addinivalue_line("markers", "keeps_open: what this test leaves open is not held against it")
    try:
        from _pytest.faulthandler import fault_handler_stderr_fd_key

        _stderr = config.stash[fault_handler_stderr_fd_key]
    except (ImportError, KeyError):
        _stderr = 2


class Hung(Exception):
    """The watchdog's word: the test took too long."""


def limit_of(item):
    ours = item.path.parent.name in (*BOOKED, "stress", "house")
    return WATCHDOG * (3 if item.get_closest_marker("slow") else 1 if ours else 2)


def pytest_collection_modifyitems(config, items):
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(limit_of(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if os.getpid() != RUN:  # a child that a test forked and that came back, by an exception say: the run is not its own
        print(report.longreprtext, file=sys.stderr, flush=True)
        os._exit(70)
    if report.failed:
        item.failed = True
    return report


@pytest.fixture(autouse=True)
def watchdog(request):
    """Raises in the main thread when the test takes too long, and ends the run when that does not help."""
    limit = limit_of(request.node)
    alarm = not request.config.pluginmanager.hasplugin("timeout") and hasattr(signal, "setitimer")

    def late(*_):
        faulthandler.dump_traceback(file=_stderr, all_threads=True)
        raise Hung(f"{request.node.nodeid} ran longer than {limit} s")

    if alarm:
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, limit)
    faulthandler.dump_traceback_later(limit + 15, exit=True, file=_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()
    if alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def warmed():
    """One use of everything that is made once per process and kept, so that it is not taken for a leak."""
    from support.impl import OURS, stock, zmq

    for module in {zmq, stock or zmq}:
        with module.Context() as context:
            a, b = context.socket(int(zmq.PAIR)), context.socket(int(zmq.PAIR))
            a.linger = b.linger = 0
            port = a.bind_to_random_port("tcp://127.0.0.1")
            b.connect(f"tcp://localhost:{port}")
            b.send(bytes(1 << 20), copy=False, track=True)
            assert a.poll(10_000)
            a.recv(copy=False)
            a.close()
            b.close()
    if multiprocessing.get_start_method() == "forkserver":  # its server runs from the first process to the end
        from multiprocessing import forkserver

        forkserver.ensure_running()
    return OURS


@pytest.fixture(autouse=True)
def books(request, watchdog):
    """Nothing a test of the booked folders opens may outlive it."""
    if not BOOKED.__contains__(request.path.parent.name) or request.node.get_closest_marker("keeps_open"):
        yield
        return
    request.getfixturevalue("warmed")
    from support.leaks import Baseline

    logged = request.config.pluginmanager.hasplugin("logging-plugin") and request.getfixturevalue("caplog")
    baseline = Baseline()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked  # no call leaves signals blocked
    for record in logged.get_records("call") if logged else ():
        record.exc_info = None  # a traceback holds what its frames, and those that called them, hold
    if not getattr(request.node, "failed", False):  # what a failed test holds stays in its traceback
        baseline.check()


@pytest.fixture
def world(books):
    """Makes contexts, sockets and endpoints of one test, and ends them."""
    from support.world import World

    made = World()
    yield made
    made.close()


@pytest.fixture
def remote(books):
    """Starts peer processes and ends them with the test."""
    from support.remote import Remote

    started = []

    def start(own=False):
        peer = Remote(own)
        started.append(peer)
        return peer

    yield start
    for peer in started:
        peer.kill()
