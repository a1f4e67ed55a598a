"""Making `import zmq` mean this package, in this process and in those it starts.

A child process gets the alias through its environment: `site/`, a folder that PYTHONPATH is made to begin with, holds a
`sitecustomize` that installs the finder while the interpreter starts, and, for interpreters that run another one, a
package `zmq` that does the same when it is imported. A child that is started without this PYTHONPATH has no alias.
"""

from __future__ import annotations

import os
import sys
from os.path import abspath, dirname, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_HERE = dirname(abspath(__file__))
SITE = join(_HERE, "site")


def finder() -> ModuleType:
    """The module of the finder. Loaded by its path, for an interpreter that starts must not load the package."""
    name = "_pyzq_alias_finder"
    loaded = sys.modules.get(name)
    if loaded is None:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location(name, join(_HERE, "finder.py"))
        assert spec is not None
        assert spec.loader is not None
        made = module_from_spec(spec)
        spec.loader.exec_module(made)
        # Of two threads that come here at once both get the same one.
        loaded = sys.modules.setdefault(name, made)
    return loaded


def install(children: bool = True) -> None:
    """See `pyzq.install_as_zmq`."""
    finder().install()
    if children:
        os.environ["PYZQ_AS_ZMQ"] = "1"
        path = os.environ.get("PYTHONPATH", "")
        if path.split(os.pathsep)[0] != SITE:
            os.environ["PYTHONPATH"] = SITE + os.pathsep + path if path else SITE
        if SITE not in sys.path:
            # multiprocessing hands this list to children whose interpreter ignores the environment. Behind the
            # program's own folder, and before an installed pyzmq.
            sys.path.insert(1, SITE)


__all__ = ["SITE", "finder", "install"]
