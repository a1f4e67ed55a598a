"""Which buffers of the program are in use without having been copied.

The engine lets go of a buffer itself as soon as nothing refers to it; no thread and no socket are needed for that. What
is here only looks.
"""

from __future__ import annotations

from zcore.frame import held_buffers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class _Refs:
    """A live view: the keys of the buffers that frames and unsent messages refer to."""

    __slots__ = ()

    def __iter__(self) -> Iterator[int]:
        return iter(held_buffers())

    def __len__(self) -> int:
        return len(held_buffers())

    def __contains__(self, key: object) -> bool:
        return key in held_buffers()

    def __repr__(self) -> str:
        return f"<{len(self)} buffers in use>"


class GarbageCollector:
    """The object behind `gc`.

    Attributes:
        refs: the keys of the buffers in use, as a set that changes with them.
    """

    refs: _Refs = _Refs()

    def start(self) -> None:
        """For programs that call it; there is nothing to start."""

    def stop(self) -> None:
        """For programs that call it; there is nothing to stop."""

    def is_alive(self) -> bool:
        """Whether a thread collects buffers: never, none is needed."""
        return False

    def __len__(self) -> int:
        return len(self.refs)


gc: GarbageCollector = GarbageCollector()

__all__ = ["GarbageCollector", "gc"]
