"""Runs a program that imports `zmq` on this package instead.

    python -m pyzq.as_zmq script.py arguments...
    python -m pyzq.as_zmq -m module arguments...

For Jupyter, with all its kernels: `python -m pyzq.as_zmq -m jupyter lab`. See `pyzq.install_as_zmq` for what it does to
`import zmq` and to child processes.
"""

from __future__ import annotations

import os
import sys

from pyzq._alias import install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType

_USAGE = "usage: python -m pyzq.as_zmq [-m module | script.py] arguments..."


def _module(name: str) -> tuple[CodeType, ModuleSpec]:
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
    except ImportError as error:
        sys.exit(f"{sys.executable}: error while finding module {name!r}: {error}")
    if spec is None:
        sys.exit(f"{sys.executable}: no module named {name!r} that could be run")
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code is not None else None
    if code is None:
        sys.exit(f"{sys.executable}: no code of module {name!r} to run")
    return code, spec


def _script(path: str) -> tuple[CodeType, ModuleSpec | None]:
    from importlib.machinery import PathFinder

    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the current folder, which `-m` put there: scripts get their own
    if os.path.isdir(path) or _is_archive(path):
        sys.path.insert(0, path)
        spec = PathFinder.find_spec("__main__", [path])
        if spec is None:
            sys.exit(f"{sys.executable}: can't find '__main__' module in {path!r}")
        code = spec.loader.get_code("__main__")  # type: ignore[union-attr]
        return code, spec
    import io

    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"{sys.executable}: can't open file {path!r}: {error}")
    return compile(source, path, "exec"), None


def _is_archive(path: str) -> bool:
    from zipfile import is_zipfile

    return os.path.isfile(path) and is_zipfile(path)


def main(arguments: list[str]) -> None:
    """Install the alias and run a program as `__main__`.

    Args:
        arguments: `-m` and a module, or a script, a folder or an archive; then the program's own.

    Raises:
        SystemExit: there is no such program.
    """
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(_USAGE)
        raise SystemExit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)
    install()
    spec: ModuleSpec | None
    file: str | None
    if arguments[0] == "-m":
        name, rest = arguments[1], arguments[2:]
        # What `-m` put first, the current folder, is what the program gets too.
        sys.argv[:] = [name, *rest]
        code, found = _module(name)
        spec, file = found, found.origin
        sys.argv[0] = file or name
    else:
        path, rest = arguments[0], arguments[1:]
        sys.argv[:] = [path, *rest]
        code, spec = _script(path)
        file = path if spec is None else spec.origin
    # A module of its own, for good: threads, exit handlers and pickles of the program look for it by this name.
    from types import ModuleType

    program = ModuleType("__main__")
    program.__dict__.update(
        __builtins__=sys.modules["builtins"],
        __file__=file,
        __loader__=spec.loader if spec is not None else _source_loader(file),
        __package__=spec.parent if spec is not None else None,
        __spec__=spec if spec is not None and spec.name != "__main__" else None,
    )
    sys.modules["__main__"] = program
    exec(code, program.__dict__)


def _source_loader(path: str | None) -> object:
    from importlib.machinery import SourceFileLoader

    return SourceFileLoader("__main__", path or "")


if __name__ == "__main__":
    # Through the module's own name, so that the program may take `__main__` over.
    from pyzq.as_zmq import main as _run

    _run(sys.argv[1:])
