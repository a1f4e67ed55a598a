"""Types of the engine's frames, for type checkers."""

import builtins
from typing import Any, Literal, overload

from typing_extensions import Self, disjoint_base

from pyzq._typing import Buffer
from zcore.tracker import MessageTracker

COPY_THRESHOLD: int

@disjoint_base
class Frame:
    more: bool
    group: str
    routing_id: int
    tracker: MessageTracker | None
    def __init__(
        self,
        data: Buffer | None = None,
        track: bool = False,
        copy: bool | None = None,
        copy_threshold: int | None = None,
    ) -> None: ...
    @property
    def bytes(self) -> builtins.bytes: ...
    @property
    def buffer(self) -> memoryview: ...
    @overload
    def get(self, option: int | Literal["routing_id"]) -> int: ...
    @overload
    def get(self, option: str) -> int | str: ...
    def set(self, option: int | str, value: int | str | builtins.bytes) -> None: ...
    def __getitem__(self, key: int | str, /) -> int | str: ...
    def fast_copy(self) -> Self: ...
    def __copy__(self) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@disjoint_base
class Hold: ...

Message = Frame

def held_buffers() -> list[int]: ...
