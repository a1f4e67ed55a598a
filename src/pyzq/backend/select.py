"""There is one engine, under the name that programs written for pyzmq choose theirs by."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

public_api: list[str] = [
    "Context",
    "Socket",
    "Frame",
    "Message",
    "proxy",
    "proxy_steerable",
    "zmq_poll",
    "strerror",
    "zmq_errno",
    "has",
    "curve_keypair",
    "curve_public",
    "zmq_version_info",
    "IPC_PATH_MAX_LEN",
    "PYZMQ_DRAFT_API",
]


def select_backend(name: str) -> dict[str, Any]:
    """The names of an engine.

    Args:
        name: a module, such as `pyzq.backend.cython`.

    Raises:
        ImportError: there is no such module, or it lacks a name.
    """
    from importlib import import_module

    module = import_module(name)
    missing = [key for key in public_api if not hasattr(module, key)]
    if missing:
        raise ImportError(f"{name} has no {', '.join(missing)}")
    return {key: getattr(module, key) for key in public_api}


__all__ = ["public_api", "select_backend"]
