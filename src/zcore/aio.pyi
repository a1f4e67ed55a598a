from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyzq._typing import Part
from zcore.promise import Promise
from zcore.socket import Socket

class AsyncSocket(Socket):
    @property
    def _recv_futures(self) -> list[Promise[Any]]: ...
    @property
    def _send_futures(self) -> list[Promise[Any]]: ...
    def recv(self, flags: int = 0, copy: bool = True, track: bool = False) -> Promise[Any]: ...  # type: ignore[override]
    def recv_multipart(  # type: ignore[override]
        self, flags: int = 0, copy: bool = True, track: bool = False
    ) -> Promise[Any]: ...
    def recv_into(self, buffer: Any, /, *, nbytes: int = 0, flags: int = 0) -> Promise[int]: ...  # type: ignore[override]
    def recv_many(  # type: ignore[override]
        self, max_n: int | None = None, timeout: float | None = None
    ) -> Promise[list[Any]]: ...
    def send(  # type: ignore[override]
        self,
        data: Part,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Promise[Any]: ...
    def send_multipart(  # type: ignore[override]
        self,
        msg_parts: Sequence[Part],
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        routing_id: int | None = None,
        group: str | None = None,
    ) -> Promise[Any]: ...
    def send_many(self, messages: Iterable[Any], flags: int = 0) -> Promise[int]: ...  # type: ignore[override]
    def poll(self, timeout: float | None = None, flags: int = 1) -> Promise[int]: ...  # type: ignore[override]
    def __aiter__(self) -> AsyncSocket: ...
    def __anext__(self) -> Promise[Any]: ...
    def _recv_as(self, convert: Callable[[Any], Any], flags: int = 0) -> Promise[Any]: ...
    def _recv_multipart_as(
        self, convert: Callable[[list[Any]], Any], flags: int = 0, copy: bool = True
    ) -> Promise[Any]: ...
