"""The types, as a type checker sees them."""

import site
import sys
from pathlib import Path

import pytest

import pyzq

api = pytest.importorskip("mypy.api")


@pytest.mark.slow
def test_a_typed_program(monkeypatch, tmp_path):
    folder = str(Path(pyzq.__file__).parents[1])
    if folder not in site.getsitepackages():  # there it is found without being told, and mypy refuses to be told
        monkeypatch.setenv("MYPYPATH", folder)
    program = Path(__file__).parent / "typed_program.py"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    out, problems, status = api.run(
        ["--strict", "--python-version", version, "--cache-dir", str(tmp_path), "--follow-imports=silent", str(program)]
    )
    assert (out.strip().splitlines()[-1:], problems, status) == (
        ["Success: no issues found in 1 source file"],
        "",
        0,
    ), out
