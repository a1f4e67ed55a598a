"""Which implementation is under test, and the stock one it must talk to.

``PYZQ_TEST_IMPL=zmq`` runs the tests on stock pyzmq itself, which shows that a test states the field's behaviour and
not only ours.
"""

import importlib
import os

import pytest

IMPL = os.environ.get("PYZQ_TEST_IMPL", "pyzq")
zmq = importlib.import_module(IMPL)
try:
    stock = importlib.import_module("zmq")
except ImportError:  # interoperability tests are skipped, everything else runs
    stock = None

OURS = IMPL == "pyzq"
DRAFT = OURS or bool(getattr(zmq, "DRAFT_API", False))

# A test of behaviour only we have: a new name, or a fault of libzmq that we do not copy.
ours_only = pytest.mark.skipif(not OURS, reason="behaviour of pyzq alone")
needs_draft = pytest.mark.skipif(not DRAFT, reason="draft types and options are absent from this build")
needs_stock = pytest.mark.skipif(stock is None, reason="stock pyzmq is not installed")
needs_curve = pytest.mark.skipif(not zmq.has("curve"), reason="this build has no CURVE")

DEADLINE = 10.0  # seconds any single wait may take before the test fails
DEADLINE_MS = int(DEADLINE * 1000)
TRANSPORTS = ("inproc", "ipc", "tcp")

Errors = (zmq.ZMQError,) if stock is None else (zmq.ZMQError, stock.ZMQError)


def links(stock_peers=True):
    """(transport, side A, side B) for every way two sockets can meet: ours with ours, and each against stock."""
    found = [(transport, "impl", "impl") for transport in TRANSPORTS]
    if stock_peers and stock is not None and OURS:
        for transport in ("ipc", "tcp"):
            found += [(transport, "impl", "stock"), (transport, "stock", "impl")]
    return [pytest.param(link, id="-".join(link)) for link in found]


def sides(stock_peers=True):
    """(side A, side B) over one transport that both understand."""
    found = [("impl", "impl")]
    if stock_peers and stock is not None and OURS:
        found += [("impl", "stock"), ("stock", "impl")]
    return [pytest.param(pair, id="-".join(pair)) for pair in found]
