"""Extensions that embed the engine, built against the pyzq that is installed; once per machine, then from a cache.

`loops()` are the measured loops (loops.pyx). `extension(path)` is any other .pyx file.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

LOOPS = Path(__file__).with_name("loops.pyx")
_ENDING = sysconfig.get_config_var("EXT_SUFFIX")
_loading = threading.Lock()
_loaded: dict[Path, ModuleType] = {}


class CannotBuild(Exception):
    """The extension cannot be built here: the reason, as one sentence."""


def loops() -> ModuleType:
    """The loops of the embedding rows."""
    return extension(LOOPS)


def extension(source: Path) -> ModuleType:
    """The module made of a .pyx file; CannotBuild."""
    with _loading:  # both sides of an inproc row are threads that come here at once
        if source not in _loaded:
            spec = importlib.util.spec_from_file_location(source.stem, build(source))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            _loaded[source] = module
        return _loaded[source]


def build(source: Path = LOOPS) -> Path:
    """The path of the built extension, built now unless this machine has it; imports nothing of pyzq."""
    spec = importlib.util.find_spec("zcore")
    if spec is None:
        raise CannotBuild("an extension is built against the installed pyzq, and pyzq is not installed")
    try:
        folder = _cache() / f"{source.stem}-{_key(source, Path(spec.submodule_search_locations[0]))}"
    except PackageNotFoundError as error:
        raise CannotBuild(f"building an extension needs {error.name}, which is not installed") from error
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / f"{source.stem}{_ENDING}"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _build(source, folder)
    return built


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyzq" / "extensions"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written to
        base = Path(tempfile.gettempdir()) / f"pyzq-extensions-{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
        if base.stat().st_uid != os.getuid():
            raise CannotBuild(f"{base} belongs to somebody else") from None
    return base


def _key(source: Path, core: Path) -> str:
    """Everything the built file depends on: its source, the engine's declarations, the tools."""
    digest = hashlib.sha256(f"{sys.version} {version('Cython')} {version('setuptools')} {_ENDING} {core}".encode())
    for path in [source, *sorted(core.glob("*.pxd")), *sorted(core.glob("*.h"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def _build(source: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as work:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("setup.py")), str(source), work],
            capture_output=True,
            text=True,
            cwd=work,
        )
        built = Path(work) / f"{source.stem}{_ENDING}"
        if done.returncode or not built.exists():
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise CannotBuild(f"{source.name} was not built: {lines[-1]}")
        built.replace(folder / built.name)
