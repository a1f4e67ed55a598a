"""A machine that cannot build pyzq is told so in one sentence, before anything is downloaded or compiled."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MACHINE = ROOT / "tools" / "machine.py"
# what the library imports differently on another system comes before the pretence
FIRST = "import platform, runpy, shutil, subprocess, sys, sysconfig"

pytestmark = pytest.mark.skipif(not MACHINE.exists(), reason="the tests run without the sources")


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def sentence(ended: subprocess.CompletedProcess) -> str:
    """What was said, which must be one line, with a failing exit status."""
    assert ended.returncode == 1, ended
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def run_machine(before: str, **environment: str) -> subprocess.CompletedProcess:
    return python(f"{FIRST}\n{before}\nrunpy.run_path({str(MACHINE)!r}, run_name='__main__')", **environment)


def run_setup(before: str) -> subprocess.CompletedProcess:
    """setup.py, as pip would run it."""
    return python(f"{FIRST}\n{before}\nsys.argv = ['setup.py', '--name']\nrunpy.run_path('setup.py')")


needs_headers = pytest.mark.skipif(
    not Path(sysconfig.get_path("include"), "Python.h").exists(), reason="needs Python's headers"
)


@pytest.mark.parametrize("run", [run_machine, run_setup])
@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("sys.platform = 'win32'", "pyzq supports Linux and macOS; Windows is not supported."),
        (
            "import platform; platform.python_implementation = lambda: 'PyPy'",
            "pyzq needs CPython; PyPy is not supported.",
        ),
        ("sys.version_info = (3, 9, 1)", "pyzq needs Python 3.10 or newer"),
    ],
)
def test_unsupported(run, before, says):
    assert says in sentence(run(before))


def test_no_compiler():
    said = sentence(run_machine("", CC="no-such-compiler"))
    assert "there is no C compiler (no-such-compiler)" in said


def test_no_python_headers(tmp_path):
    said = sentence(
        run_machine(f"import sysconfig; sysconfig.get_path = lambda *_: {str(tmp_path)!r}", CC=sys.executable)
    )
    assert f"{tmp_path} has no Python.h" in said


@needs_headers
def test_compiler_that_fails(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'stdlib.h: error: no such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    said = sentence(run_machine("", CC=str(compiler)))
    assert "stdlib.h: error: no such file" in said


@needs_headers
def test_no_virtual_environments(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 0\n")
    compiler.chmod(0o755)
    said = sentence(run_machine("sys.modules['ensurepip'] = None", CC=str(compiler)))
    assert "apt install python3-venv" in said


@needs_headers
def test_a_good_machine(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 0\n")
    compiler.chmod(0o755)
    ended = run_machine("", CC=str(compiler))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
