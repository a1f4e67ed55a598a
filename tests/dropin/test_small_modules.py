"""Names that programs import from corners of the package; key generation; base classes for tests."""

import importlib
import json
import subprocess
import sys
import unittest

import pytest
from support.impl import IMPL, OURS, ours_only, zmq

nacl = pytest.mark.skipif(not importlib.util.find_spec("nacl"), reason="PyNaCl is not installed")


def test_backend_names():
    backend = importlib.import_module(f"{IMPL}.backend")
    cython = importlib.import_module(f"{IMPL}.backend.cython")
    select = importlib.import_module(f"{IMPL}.backend.select")
    chosen = select.select_backend(f"{IMPL}.backend.cython")
    for name in select.public_api:
        assert chosen[name] is getattr(cython, name)
        assert getattr(backend, name) is getattr(cython, name)
    engine = importlib.import_module(f"{IMPL}.backend.cython._zmq")
    assert engine.Frame is cython.Frame
    assert engine.MessageTracker is zmq.MessageTracker
    with pytest.raises(ImportError):
        select.select_backend(f"{IMPL}.backend.nonsense")


def test_sugar_names():
    for module, names in {
        "context": "Context",
        "socket": "Socket",
        "frame": "Frame Message",
        "poll": "Poller select",
        "tracker": "MessageTracker _FINISHED_TRACKER",
        "stopwatch": "Stopwatch",
        "attrsettr": "AttributeSetter",
        "version": "zmq_version pyzmq_version __version__",
    }.items():
        found = importlib.import_module(f"{IMPL}.sugar.{module}")
        for name in names.split():
            assert hasattr(found, name), (module, name)


# keys

KEYGEN = [sys.executable, "-m", f"{IMPL}.curve_keygen"]


def keygen(*arguments, rc=0):
    done = subprocess.run([*KEYGEN, *arguments], capture_output=True, text=True, timeout=50)
    assert done.returncode == rc, done.stderr
    return done.stdout


@nacl
def test_keys():
    lines = keygen().splitlines()
    public = lines[lines.index("== CURVE PUBLIC KEY ==") + 1]
    secret = lines[lines.index("== CURVE SECRET KEY ==") + 1]
    assert zmq.curve_public(secret.encode()) == public.encode()
    pair = json.loads(keygen("--json"))
    assert zmq.curve_public(pair["secret"].encode()) == pair["public"].encode()
    assert json.loads(keygen("--json", "--secret", secret)) == {"public": public, "secret": secret}


@nacl
def test_a_secret_that_is_none():
    done = subprocess.run([*KEYGEN, "--secret", "short"], capture_output=True, text=True, timeout=50)
    assert done.returncode != 0
    if OURS:
        assert "Traceback" not in done.stderr
        assert "40" in done.stderr


def test_help():
    assert "--secret" in keygen("-h")


# base classes for tests of other projects


@ours_only
def test_base_classes():
    from pyzq import tests

    class Case(tests.BaseZMQTestCase):
        def test_talk(self):
            a, b = self.create_bound_pair(zmq.REQ, zmq.REP)
            assert self.ping_pong(a, b, b"x") == b"x"
            assert self.ping_pong_json(a, b, {"a": 1}) == {"a": 1}
            assert self.ping_pong_pyobj(a, b, [1]) == [1]
            a.send(b"y")
            assert self.recv(b) == b"y"
            b.send_multipart([b"1", b"2"])
            assert self.recv_multipart(a) == [b"1", b"2"]
            self.assertRaisesErrno(zmq.EFSM, b.send, b"z")
            with pytest.raises(AssertionError):
                self.assertRaisesErrno(zmq.EAGAIN, b.send, b"z")
            with pytest.raises(AssertionError):
                self.assertRaisesErrno(zmq.EAGAIN, lambda: None)

        @tests.skip_green
        def test_not_green(self):
            assert not self.green

    cases = [Case]
    if tests.have_gevent:
        cases.append(type("GreenCase", (tests.GreenTest, Case), {}))
    for cls in cases:
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(cls).run(result)
        assert result.testsRun == 2
        assert not result.errors, result.errors
        assert not result.failures, result.failures
        # where it is green, what would wait cannot be tested for not waiting
        assert len(result.skipped) == (0 if cls is Case else 2)


@ours_only
def test_a_context_that_does_not_end():
    from pyzq import tests

    context = zmq.Context()
    socket = context.socket(zmq.PULL)
    with pytest.raises(RuntimeError, match="could not terminate"):
        tests.term_context(context, 0.05)
    socket.close()
