"""Which backend is taken."""

import os
import subprocess
import sys

import pytest

from zcore import poller
from zcore import selftest_poller as sp


@pytest.fixture
def default():
    yield
    poller.set_default_backend(None)


def test_default_backend(default):
    best = poller.default_backend()
    assert best in poller.available_backends()
    for name in poller.available_backends():
        poller.set_default_backend(name)
        assert poller.default_backend() == name
        probe = sp.PollerProbe("default")
        assert (probe.fd == -1) == (name == "poll")
        probe.close()
    poller.set_default_backend(None)
    assert poller.default_backend() == best
    with pytest.raises(ValueError, match="no such poller"):
        poller.set_default_backend("select")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's choice")
def test_linux_never_chooses_the_double():
    assert poller.default_backend() != "kqueue"


def run_python(code, **environment):
    import zcore

    path = os.path.dirname(os.path.dirname(zcore.__file__))
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize("name", poller.available_backends())
def test_environment_chooses(name):
    out = run_python("from zcore import poller; print(poller.default_backend())", PYZQ_POLLER=name)
    assert out.stdout.strip() == name


def test_environment_with_an_unknown_name_warns():
    out = run_python("from zcore import poller; print(poller.default_backend())", PYZQ_POLLER="selekt")
    assert out.stdout.strip() == poller.default_backend()
    assert "PYZQ_POLLER is ignored" in out.stderr
