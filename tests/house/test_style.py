"""House rules a machine can check: length of files, foreign paths, linters."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "benchmarks", "docs", "tools", "examples")
TEXT = (".py", ".pyx", ".pxd", ".pxi", ".h", ".pyi", ".md", ".toml", ".sh", ".yml", ".cfg")
CODE = (".py", ".pyx", ".pxd", ".pxi", ".h")
LONGEST = 600
REASON = re.compile(r"one file because", re.IGNORECASE)


def texts(endings=TEXT):
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings and path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield from (path for path in sorted(ROOT.glob("*")) if path.suffix in endings and path.is_file())


def test_files_are_short_or_say_why():
    """At most 600 lines, or a line within the first thirty that begins its reason with "One file because"."""
    long = []
    for path in texts(CODE):
        lines = path.read_text().splitlines()
        if len(lines) > LONGEST and not REASON.search("\n".join(lines[:30])):
            long.append(f"{path.relative_to(ROOT)}: {len(lines)}")
    assert not long, long


def test_no_paths_of_one_machine():
    pattern = re.compile(
        "|".join(("/wo" + r"rk/(?:main|shared)", "/tmp/" + "venv", "/tmp/" + "h_", "/ro" + "ot/", "/ho" + r"me/\w"))
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, found


def test_every_public_module_has_a_docstring():
    for path in sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "src").rglob("*.pyx")):
        text = path.read_text().lstrip()
        if path.name == "__init__.py" and not text:
            continue
        head = re.sub(r"\A(?:#[^\n]*\n|\s)*", "", text)
        assert head.startswith(('"""', "'''", 'r"""', "cimport cython\n")), path.relative_to(ROOT)


@pytest.mark.skipif(not (find_spec("ruff") or shutil.which("ruff")), reason="ruff is not installed")
def test_ruff():
    command = [sys.executable, "-m", "ruff"] if find_spec("ruff") else [shutil.which("ruff")]
    done = subprocess.run([*command, "check", "--no-cache", "--quiet", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
LINT = shutil.which("cython-lint", path=PATH)


@pytest.mark.skipif(not LINT, reason="cython-lint is not installed")
def test_cython_lint():
    files = [str(path) for path in sorted((ROOT / "src" / "zcore").glob("*.p[yx]*")) if path.suffix in (".pyx", ".pxd")]
    done = subprocess.run([LINT, *files], cwd=ROOT, env={**os.environ, "PATH": PATH}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
