"""Found by interpreters that have this folder on PYTHONPATH but ran another sitecustomize, or none (`python -S`).

Puts the alias in place, and `pyzq` in the place of this module. With PYZQ_AS_ZMQ=0 it is the `zmq` that stands further
behind on the path.
"""

# mypy: ignore-errors
# (an interpreter that starts should not load `typing` for this)

import os
import sys

_stands_in_for_pyzq = True
_site = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _alias():
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    name = "_pyzq_alias_finder"
    if name not in sys.modules:
        spec = spec_from_file_location(name, os.path.join(os.path.dirname(_site), "finder.py"))
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    finder = sys.modules[name]
    finder.install()
    try:
        sys.modules[__name__] = import_module("pyzq")
    except ModuleNotFoundError as error:
        raise (finder.missing() if error.name == "pyzq" else error) from None
    finder.name_what_is_loaded()


def _other():
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    rest = [entry for entry in sys.path if os.path.abspath(entry or ".") != _site]
    spec = PathFinder.find_spec(__name__, rest)
    if spec is None:
        raise ModuleNotFoundError("No module named 'zmq'", name="zmq")
    module = module_from_spec(spec)
    sys.modules[__name__] = module
    spec.loader.exec_module(module)


if os.environ.get("PYZQ_AS_ZMQ") == "0":
    _other()
else:
    _alias()
