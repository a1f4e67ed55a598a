"""See `pyzq.version`."""

from __future__ import annotations

from pyzq.version import (
    VERSION_EXTRA,
    VERSION_MAJOR,
    VERSION_MINOR,
    VERSION_PATCH,
    __revision__,
    __version__,
    pyzmq_version,
    pyzmq_version_info,
    zmq_version,
    zmq_version_info,
)

version_info: tuple[int, int, int] = (VERSION_MAJOR, VERSION_MINOR, VERSION_PATCH)

__all__ = [
    "VERSION_EXTRA",
    "VERSION_MAJOR",
    "VERSION_MINOR",
    "VERSION_PATCH",
    "__revision__",
    "__version__",
    "pyzmq_version",
    "pyzmq_version_info",
    "version_info",
    "zmq_version",
    "zmq_version_info",
]
