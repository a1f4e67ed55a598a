"""Names from the time of Python 2 that old programs import. Nothing here is needed in new ones."""

from __future__ import annotations

import warnings

warnings.warn("pyzq.utils.strtypes is kept for old programs only", DeprecationWarning, stacklevel=2)

bytes = bytes
unicode = str
basestring: tuple[type[str]] = (str,)


def cast_bytes(s: str | bytes, encoding: str = "utf8", errors: str = "strict") -> bytes:
    """Bytes as they are, str encoded.

    Raises:
        TypeError: `s` is neither.
    """
    if isinstance(s, bytes):
        return s
    if isinstance(s, str):
        return s.encode(encoding, errors)
    raise TypeError(f"Expected unicode or bytes, got {s!r}")


def cast_unicode(s: str | bytes, encoding: str = "utf8", errors: str = "strict") -> str:
    """Str as it is, bytes decoded.

    Raises:
        TypeError: `s` is neither.
    """
    if isinstance(s, bytes):
        return s.decode(encoding, errors)
    if isinstance(s, str):
        return s
    raise TypeError(f"Expected unicode or bytes, got {s!r}")


b = cast_bytes
asbytes = cast_bytes
u = cast_unicode

__all__ = ["asbytes", "b", "basestring", "bytes", "cast_bytes", "cast_unicode", "u", "unicode"]
