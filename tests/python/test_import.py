"""What `import pyzq` brings along, counted in a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pyzq
import zcore

SOURCES = Path(pyzq.__file__).parent
LIMIT = 60  # modules beyond those of a bare interpreter and the engine's own; one careless import brings dozens


def loaded_by(statement):
    path = [str(SOURCES.parent), str(Path(zcore.__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {path!r}; before = set(sys.modules)"
    out = subprocess.run(
        [sys.executable, "-S", "-c", f"{code}; {statement}; print(*sorted(set(sys.modules) - before))"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    return out.split()


def test_few_modules():
    modules = [name for name in loaded_by("import pyzq") if name.partition(".")[0] != "zcore"]
    assert len(modules) < LIMIT, modules


@pytest.mark.parametrize(
    "name",
    ["asyncio", "contextlib", "inspect", "json", "nacl", "pickle", "random", "re", "socket", "traceback", "typing"],
)
def test_left_out(name):
    assert name not in loaded_by("import pyzq")


def test_rare_parts_are_left_out():
    modules = loaded_by("import pyzq")
    for name in ("_future", "asyncio", "decorators", "green", "hwm", "patterns", "timers", "utils.garbage"):
        assert f"pyzq.{name}" not in modules


def imports(path):
    """Names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_never_imports_another_implementation(path):
    assert not [name for name in imports(path) if name.split(".")[0] == "zmq"]
