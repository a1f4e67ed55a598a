"""Types of the engine's sockets for asyncio, for type checkers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Self

from pyzq._typing import Buffer, Part
from zcore.frame import Frame
from zcore.promise import Promise
from zcore.socket import Socket
from zcore.tracker import MessageTracker

_T = TypeVar("_T")

# Each call takes what the call of `Socket` takes, and returns a promise of what that returns.
class AsyncSocket(Socket):
    @property
    def _recv_futures(self) -> list[Promise[Any]]: ...
    @property
    def _send_futures(self) -> list[Promise[Any]]: ...
    @overload  # type: ignore[override]
    def recv(self, flags: int = 0, copy: Literal[True] = True, track: bool = False) -> Promise[bytes]: ...
    @overload
    def recv(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> Promise[Frame]: ...
    @overload
    def recv(self, flags: int, copy: Literal[False], track: bool = False) -> Promise[Frame]: ...
    @overload
    def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> Promise[bytes | Frame]: ...
    @overload  # type: ignore[override]
    def recv_multipart(
        self, flags: int = 0, copy: Literal[True] = True, track: bool = False
    ) -> Promise[list[bytes]]: ...
    @overload
    def recv_multipart(self, flags: int = 0, *, copy: Literal[False], track: bool = False) -> Promise[list[Frame]]: ...
    @overload
    def recv_multipart(self, flags: int, copy: Literal[False], track: bool = False) -> Promise[list[Frame]]: ...
    @overload
    def recv_multipart(
        self, flags: int = 0, copy: bool = True, track: bool = False
    ) -> Promise[list[bytes] | list[Frame]]: ...
    def recv_into(  # type: ignore[override]
        self, buffer: Buffer, /, *, nbytes: int = 0, flags: int = 0
    ) -> Promise[int]: ...
    def recv_many(  # type: ignore[override]
        self, max_n: int | None = None, timeout: float | None = None
    ) -> Promise[list[Any]]: ...
    @overload  # type: ignore[override]
    def send(
        self,
        data: Part,
        flags: int = 0,
        copy: Literal[True] = True,
        track: Literal[False] = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Promise[None]: ...
    @overload
    def send(
        self,
        data: Part,
        flags: int = 0,
        *,
        copy: Literal[False],
        track: Literal[True],
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Promise[MessageTracker]: ...
    @overload
    def send(
        self,
        data: Part,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Promise[MessageTracker | None]: ...
    def send_multipart(  # type: ignore[override]
        self,
        msg_parts: Iterable[Part],
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Promise[MessageTracker | None]: ...
    def send_many(  # type: ignore[override]
        self, messages: Iterable[Buffer | Sequence[Buffer]], flags: int = 0
    ) -> Promise[int]: ...
    def poll(self, timeout: float | None = None, flags: int = 1) -> Promise[int]: ...  # type: ignore[override]
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Promise[Any]: ...
    def _recv_as(self, convert: Callable[[bytes], _T], flags: int = 0) -> Promise[_T]: ...
    def _recv_multipart_as(
        self, convert: Callable[[list[Any]], _T], flags: int = 0, copy: bool = True
    ) -> Promise[_T]: ...
