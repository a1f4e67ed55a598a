"""Names for annotations. Imported by type checkers only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeVar

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    from typing_extensions import Buffer

from zcore.frame import Frame


class HasFileno(Protocol):
    """Anything `select` takes: files, sockets, pipes."""

    def fileno(self) -> int: ...


Part = Buffer | Frame
Parts = Sequence[Part]
T = TypeVar("T")

__all__ = ["Any", "Buffer", "HasFileno", "Literal", "Part", "Parts", "T"]
