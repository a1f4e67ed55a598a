"""Run by interpreters that start with this folder on PYTHONPATH: puts the alias in place.

Afterwards the next sitecustomize of the path has its turn, under its own name: of the distribution, of a coverage tool.
"""

# mypy: ignore-errors
# (an interpreter that starts should not load `typing` for this)

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _install():
    from importlib.util import module_from_spec, spec_from_file_location

    name = "_pyzq_alias_finder"
    if name not in sys.modules:
        spec = spec_from_file_location(name, os.path.join(os.path.dirname(_here), "finder.py"))
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    sys.modules[name].install()


def _go_on():
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    rest = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("PYZQ_AS_ZMQ") != "0":
    _install()
_go_on()
