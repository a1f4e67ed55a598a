"""What this installation can do, and keys for CURVE."""

from __future__ import annotations

import sys
from os.path import abspath, dirname, join

from pyzq.constants import Errno
from zcore.errors import make_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IPC_PATH_MAX_LEN: int = 107 if sys.platform.startswith("linux") else 103
DRAFT_API = True
PYZMQ_DRAFT_API = True
COPY_THRESHOLD = 65536

_ALWAYS = frozenset(("ipc", "draft"))


def has(capability: str) -> bool:
    """Whether something is there: a transport ("ipc", "tipc", "pgm", "norm", "vmci", "vsock", "WS", "WSS"), a mechanism
    ("curve", "gssapi"), or "draft", what the C API has as draft only.

    "curve" is true when PyNaCl is installed. Unknown names are false.

    Raises:
        TypeError: `capability` is no str.
    """
    if not isinstance(capability, str):
        raise TypeError(f"capability must be a str, not {capability!r}")
    if capability == "curve":
        from importlib.util import find_spec

        try:
            return find_spec("nacl") is not None
        except ValueError:  # something else stands for it in sys.modules
            return False
    return capability in _ALWAYS


def curve_keypair() -> tuple[bytes, bytes]:
    """A new pair of keys for CURVE.

    Returns:
        the public and the secret key, 40 characters of Z85 each.

    Raises:
        ZMQError: ENOTSUP, PyNaCl is not installed.
    """
    from pyzq.utils import z85

    public, secret = _bindings().crypto_box_keypair()
    return z85.encode(public), z85.encode(secret)


def curve_public(secret_key: str | bytes) -> bytes:
    """The public key that belongs to a secret key of CURVE.

    Args:
        secret_key: 40 characters of Z85.

    Returns:
        40 characters of Z85.

    Raises:
        TypeError: neither str nor bytes.
        ValueError: not 40 characters of Z85.
        ZMQError: ENOTSUP, PyNaCl is not installed.
    """
    from pyzq.utils import z85

    if not isinstance(secret_key, (str, bytes)):
        raise TypeError(f"secret key must be str or bytes, not {type(secret_key).__name__}")
    if len(secret_key) != 40:
        raise ValueError("secret key must be a 40 byte z85 encoded string")
    return z85.encode(_bindings().crypto_scalarmult_base(z85.decode(secret_key)))


def _bindings() -> Any:
    try:
        from nacl import bindings  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise make_error(Errno.ENOTSUP, "CURVE needs PyNaCl: pip install PyNaCl") from None
    return bindings


def get_includes() -> list[str]:
    """Folders for the compilers of an extension that uses the package: the root of the `.pxd` files, for Cython; the
    headers that they include, for the C compiler; and, as programs written for pyzmq expect, `utils`."""
    import zcore

    here = dirname(abspath(__file__))
    return [dirname(here), *map(abspath, zcore.__path__), join(here, "utils")]


def get_library_dirs() -> list[str]:
    """Folders for the linker of an extension that uses the package. There is no library to link with."""
    return [dirname(abspath(__file__))]


__all__ = [
    "COPY_THRESHOLD",
    "DRAFT_API",
    "IPC_PATH_MAX_LEN",
    "PYZMQ_DRAFT_API",
    "curve_keypair",
    "curve_public",
    "get_includes",
    "get_library_dirs",
    "has",
]
