"""What answers `import zmq` with this package.

`zmq` and `zmq.a.b` become the modules `pyzq` and `pyzq.a.b` themselves, one object under both names, imported when
asked for. An installed pyzmq is not looked at: what this package does not have is an ImportError.

Interpreters load this file by its path while they start, so it imports nothing but what every interpreter has loaded by
then, and keeps to what Python 3.6 understands: a child process may run another version.
"""

# mypy: ignore-errors
# (an interpreter that starts should not load `typing` for this)

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec

ALIAS = "zmq"
REAL = "pyzq"
SWITCH = "PYZQ_AS_ZMQ"
# A file to which a process that is not purely on this package appends a line when it ends.
CHECK = "PYZQ_AS_ZMQ_CHECK"


class Loader:
    """Hands out the real module and leaves it as it is."""

    def __init__(self, real):
        self.real = real
        self._spec = None

    def create_module(self, spec):
        module = importlib.import_module(self.real)
        # The import system is about to put the alias's spec in place of this one.
        self._spec = module.__dict__.get("__spec__")
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec
        name_what_is_loaded()

    # for runpy (`python -m zmq.log`), inspect and linecache

    def _loader(self):
        spec = importlib.util.find_spec(self.real)
        return spec.loader, spec.name

    def is_package(self, fullname):
        loader, name = self._loader()
        return loader.is_package(name)

    def get_code(self, fullname):
        loader, name = self._loader()
        return loader.get_code(name)

    def get_source(self, fullname):
        loader, name = self._loader()
        return loader.get_source(name)

    def get_filename(self, fullname):
        loader, name = self._loader()
        return loader.get_filename(name)


def name_what_is_loaded():
    """Give every loaded module of the package its second name.

    Later imports by that name then find it there. Were they to go through a loader, the import system would set the
    module as an attribute of its parent once more, over a function of that name (`zmq.green.device`).
    """
    for name, module in list(sys.modules.items()):
        unfinished = getattr(getattr(module, "__spec__", None), "_initializing", False)
        if name.startswith(REAL + ".") and module is not None and not unfinished:
            sys.modules.setdefault(ALIAS + name[len(REAL) :], module)


class Finder:
    """Stands first in `sys.meta_path`."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != ALIAS and not fullname.startswith(ALIAS + "."):
            return None
        real = REAL + fullname[len(ALIAS) :]
        # Locks of the alias are always taken before those of the real name, for the package never imports `zmq`.
        try:
            if "." in real:
                importlib.import_module(real.rpartition(".")[0])
            module = sys.modules.get(real)
            spec = importlib.util.find_spec(real) if module is None else module.__spec__
        except ModuleNotFoundError as error:
            if error.name == REAL:
                raise missing() from None
            raise
        except ValueError:
            spec = None
        if spec is None:
            if fullname == ALIAS:
                raise missing()
            return None
        alias = ModuleSpec(fullname, Loader(real), origin=spec.origin)
        if spec.submodule_search_locations is not None:
            alias.submodule_search_locations = list(spec.submodule_search_locations)
        return alias

    def find_distributions(self, context=None):
        """`importlib.metadata.version("pyzmq")` says what `zmq.__version__` says, whatever else is installed."""
        name = getattr(context, "name", None)
        if not isinstance(name, str) or name.lower().replace("_", "-") != "pyzmq":
            return []
        return [_distribution()]

    def invalidate_caches(self):
        pass


def missing():
    """What to raise when this interpreter has no such package."""
    return ModuleNotFoundError(
        f"{REAL} is to stand in for {ALIAS}, but {sys.executable} has no module of that name. "
        f"Install {REAL} there, or set {SWITCH}=0.",
        name=ALIAS,
    )


def _distribution():
    from importlib.metadata import Distribution

    version = importlib.import_module(REAL + ".version").pyzmq_version()
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

    class Pyzmq(Distribution):
        def read_text(self, filename):
            if filename == "METADATA":
                return f"Metadata-Version: 2.1\nName: pyzmq\nVersion: {version}\nSummary: {REAL} in its place\n"
            return None

        def locate_file(self, path):
            return os.path.join(package, path)

    return Pyzmq()


def install():
    """Put the finder in place. Returns False when one is there already.

    Raises:
        ImportError: `zmq` was imported before, and is another package.
    """
    if any(type(finder).__name__ == "Finder" and type(finder).__module__ == __name__ for finder in sys.meta_path):
        return False
    present = sys.modules.get(ALIAS)
    # The stand-in of a folder on the path calls this while it is being imported.
    if present is not None and present is not sys.modules.get(REAL) and not hasattr(present, "_stands_in_for_pyzq"):
        raise ImportError(
            "{} was imported already, from {}; the alias has to come before that".format(
                ALIAS, getattr(present, "__file__", "somewhere")
            )
        )
    sys.meta_path.insert(0, Finder())
    report = os.environ.get(CHECK)
    if report:
        import atexit

        atexit.register(_report, report)
    return True


def problems():
    """Why this process is not purely on this package: sentences, none when all is well."""
    found = []
    for name, module in list(sys.modules.items()):
        if name == ALIAS or name.startswith(ALIAS + "."):
            real = REAL + name[len(ALIAS) :]
            if sys.modules.get(real) is not module:
                found.append(f"{name} is not {real}")
    try:
        with open("/proc/self/maps") as maps:
            found += sorted({"mapped " + line.split("/")[-1].strip() for line in maps if "libzmq" in line})
    except OSError:
        pass
    return found


def _report(path):
    found = problems()
    if found:
        with open(path, "a") as file:
            file.write("{} {}: {}\n".format(os.getpid(), " ".join(sys.argv[:2]), "; ".join(found)))
