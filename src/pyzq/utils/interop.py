"""Addresses of objects that belong to other libraries."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def cast_int_addr(n: Any) -> int:
    """The address in an integer or a cffi pointer.

    Args:
        n: an integer, anything that works as an index, or a pointer of cffi.

    Raises:
        ValueError: `n` is none of these.
    """
    if isinstance(n, int):
        return n
    if type(n).__module__ == "_cffi_backend":
        from _cffi_backend import FFI  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return int(FFI().cast("uintptr_t", n))
    try:
        number: int = type(n).__index__(n)
    except (AttributeError, TypeError):
        raise ValueError(f"Cannot cast {n!r} to int") from None
    return number


__all__ = ["cast_int_addr"]
