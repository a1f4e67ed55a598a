"""Versions: our own, and the levels of the API that programs written for ZeroMQ ask for."""

from __future__ import annotations

# The level of the API, since programs that `import pyzq as zmq` compare it; the release of the package is in its
# metadata.
VERSION_MAJOR = 27
VERSION_MINOR = 3
VERSION_PATCH = 0
VERSION_EXTRA = ""

__version__: str = f"{VERSION_MAJOR}.{VERSION_MINOR}.{VERSION_PATCH}{VERSION_EXTRA}"
__revision__: str = ""

# What programs may rely on, not what is inside: the C API and the Python API this package is compatible with.
_ZMQ = (4, 3, 5)
_PYZMQ = (27, 3, 0)


def zmq_version() -> str:
    """The level of the C API that is offered: "4.3.5"."""
    return ".".join(map(str, _ZMQ))


def zmq_version_info() -> tuple[int, int, int]:
    """The level of the C API that is offered, as numbers."""
    return _ZMQ


def pyzmq_version() -> str:
    """The level of the Python API that is offered: "27.3.0"."""
    return ".".join(map(str, _PYZMQ))


def pyzmq_version_info() -> tuple[int, int, int] | tuple[int, int, int, float]:
    """The level of the Python API that is offered, as numbers; in a development version a fourth, infinite one."""
    return _PYZMQ


__all__ = [
    "__revision__",
    "__version__",
    "pyzmq_version",
    "pyzmq_version_info",
    "zmq_version",
    "zmq_version_info",
]
