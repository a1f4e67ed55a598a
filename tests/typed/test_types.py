"""The types, as type checkers see them.

mypy reads the programs of this folder in every run. The rest wants tools that `make types` installs: mypy over all of
the package, stubtest (what the types say against what is there), pyright on the programs and its count of known types.
`make types` sets PYZQ_ALL_CHECKERS: nothing is skipped then.
"""

import ast
import inspect
import json
import os
import re
import site
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

import pyzq
import zcore
from pyzq import patterns

HERE = Path(__file__).parent
PROGRAMS = sorted(HERE.glob("program*.py"))
PACKAGES = str(Path(pyzq.__file__).parents[1])
INSTALLED = PACKAGES in site.getsitepackages()
STUBBED = sorted(f"zcore.{path.stem}" for path in Path(zcore.__file__).parent.glob("*.pyi"))
# stubs that say of a module only what this package reads of it
PARTIAL = ("zcore.options",)
# what modules of pyzq need when they are imported
OPTIONAL = ("anyio", "gevent", "tornado", "trio")
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def need(*tools):
    """Skip the test, or fail under `make types`, when one of these distributions is not installed."""
    for tool in tools:
        try:
            distribution(tool)
        except PackageNotFoundError:
            if os.environ.get("PYZQ_ALL_CHECKERS"):
                pytest.fail(f"{tool} is not installed")
            pytest.skip(f"{tool} is not installed")


def run(folder, *command):
    # Among the installed packages pyzq is found without being told, and mypy refuses to be told.
    told = {} if INSTALLED else {"MYPYPATH": PACKAGES, "PYTHONPATH": PACKAGES}
    # pyright asks the first Python that it finds where packages are.
    told["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_programs_to_mypy(tmp_path):
    need("mypy")
    options = ("--strict", "--python-version", VERSION, "--cache-dir", str(tmp_path), "--follow-imports=silent")
    code, out, err = run(HERE, "mypy", *options, *map(str, PROGRAMS))
    assert (code, err) == (0, ""), out + err
    assert out.startswith("Success: no issues found")


@pytest.mark.slow
def test_mypy_over_the_package(tmp_path):
    need("mypy", "types-gevent", "trio", "anyio", "tornado")
    options = ("--strict", "--python-version", VERSION, "--cache-dir", str(tmp_path))
    code, out, err = run(tmp_path, "mypy", *options, "-p", "pyzq", "-p", "zcore")
    assert (code, err) == (0, ""), out + err


@pytest.mark.slow
def test_types_are_what_is_there(tmp_path):
    """stubtest: every name, and every parameter, of the modules as they are imported."""
    need("mypy", "types-gevent", *OPTIONAL)
    options = tmp_path / "mypy.ini"
    options.write_text("[mypy]\nstrict = True\n")
    allowed = ["--allowlist", str(HERE / "stubtest_allowed.txt")]
    if sys.version_info < (3, 12):
        older = tmp_path / "allowed.txt"
        older.write_text("zcore.frame.Frame.__buffer__\n")  # a frame is a buffer, but has no method that says so
        allowed += ["--allowlist", str(older)]
    modules = [name for name in STUBBED if name not in PARTIAL]
    assert "zcore.socket" in modules
    code, out, err = run(
        tmp_path, "mypy.stubtest", "--concise", "--mypy-config-file", str(options), *allowed, "pyzq", *modules
    )
    assert code == 0, out + err


def test_every_entry_of_the_allowlist_has_its_reason():
    paragraphs = (HERE / "stubtest_allowed.txt").read_text().strip().split("\n\n")
    assert all(paragraph.startswith("# ") for paragraph in paragraphs)


@pytest.mark.slow
def test_programs_to_pyright():
    need("pyright")
    if not INSTALLED:
        pytest.skip("pyright looks among the installed packages")
    options = ("--pythonversion", VERSION, "--outputjson")
    code, out, err = run(HERE, "pyright", *options, *map(str, PROGRAMS))
    found = json.loads(out)
    assert found["summary"]["filesAnalyzed"] == len(PROGRAMS), out + err
    told = [
        f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}: {one['message']}"
        for one in found["generalDiagnostics"]
    ]
    assert (code, told) == (0, []), err


@pytest.mark.slow
def test_every_type_is_known(tmp_path):
    """pyright's count: each public name says its type, and no type is left to be inferred."""
    need("pyright", *OPTIONAL)
    if not INSTALLED:
        pytest.skip("pyright looks among the installed packages")
    _, out, err = run(tmp_path, "pyright", "--verifytypes", "pyzq", "--ignoreexternal", "--outputjson")
    report = json.loads(out)["typeCompleteness"]
    wrong = [
        f"{symbol['name']}: {[problem['message'] for problem in symbol['diagnostics']]}"
        for symbol in report["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    ]
    assert (report["completenessScore"], wrong) == (1, []), err
    assert report["exportedSymbolCounts"]["withKnownType"] > 1000


# ---- patterns: slots, which stubtest cannot see through


def declared():
    """{class: {name of a method: its parameters}} of `pyzq.patterns`, as type checkers read them."""
    found = {}
    for cls in ast.parse(Path(patterns.__file__).read_text()).body:
        if isinstance(cls, ast.ClassDef):
            methods = found[cls.name] = {}
            for base in cls.bases:
                methods.update(found.get(getattr(base, "id", ""), {}))
            for part in [part for block in cls.body if isinstance(block, ast.If) for part in block.body]:
                if isinstance(part, ast.FunctionDef):
                    given = part.args
                    methods[part.name] = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)][1:]
                elif isinstance(part, ast.AnnAssign):  # a protocol of overloads, like that of the socket
                    methods[part.target.id] = None
    return found


@pytest.mark.parametrize("name", [name for name in patterns.__all__ if name != "Pattern"])
def test_patterns_declare_the_methods_they_have(name):
    cls = getattr(patterns, name)
    slots = {slot for base in cls.__mro__ for slot in base.__dict__.get("__slots__", ())} - {"__weakref__", "socket"}
    methods = declared()[name]
    assert set(methods) == slots
    for method, parameters in methods.items():
        if parameters is None:
            continue
        of_socket = inspect.signature(getattr(pyzq.Socket, method)).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in of_socket.values())
        unknown = [parameter for parameter in parameters if parameter not in of_socket and not open_ended]
        assert not unknown, f"{name}.{method} has no {unknown}"
        required = [
            key
            for key, parameter in of_socket.items()
            if parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD,) and key != "self"
        ]
        assert set(required) <= set(parameters), f"{name}.{method} needs {required}"


def test_stubs_cover_what_programs_reach():
    """Each compiled module that a module of pyzq imports from has a stub."""
    used = set()
    for path in Path(pyzq.__file__).parent.rglob("*.py"):
        used |= set(re.findall(r"^\s*(?:from|import) (zcore\.\w+)", path.read_text(), re.MULTILINE))
    folder = Path(zcore.__file__).parent
    missing = [
        name
        for name in sorted(used)
        if not (folder / f"{name[6:]}.py").exists() and not (folder / f"{name[6:]}.pyi").exists()
    ]
    assert used
    assert find_spec("zcore.socket").origin.endswith(".so")
    assert not missing
