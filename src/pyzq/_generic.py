"""`class Socket(..., Generic[T])` without loading `typing`, which takes longer than all of the rest.

Type checkers read `typing.Generic`; when the program runs, classes only have to bear being subscripted.
"""

from __future__ import annotations

from types import GenericAlias

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Subscriptable:
    __slots__ = ()

    __class_getitem__: Any = classmethod(GenericAlias)


class Generic:
    """Stands in for `typing.Generic`: `Generic[...]`, as a base class, makes a class that can be subscripted."""

    def __class_getitem__(cls, parameters: object) -> type:
        return _Subscriptable


# Stands in for any TypeVar.
T = None
