from collections.abc import Iterable, Mapping
from typing import Literal

from typing_extensions import Buffer, disjoint_base

from .codec_events import (
    AuthorisationRequired,
    Command,
    Frame,
    Greeting,
    HandshakeDone,
    LocalProtocolError,
    MalformedCommand,
    ProtocolError,
    RemoteProtocolError,
)

__all__ = [
    "SOCKET_TYPE_NUMBERS",
    "AuthorisationRequired",
    "Command",
    "Frame",
    "FrameDecoder",
    "Greeting",
    "Handshake",
    "HandshakeDone",
    "LocalProtocolError",
    "MalformedCommand",
    "ProtocolError",
    "RemoteProtocolError",
    "compatible",
    "decode_properties",
    "encode_cancel",
    "encode_command",
    "encode_error",
    "encode_frame",
    "encode_join",
    "encode_leave",
    "encode_ping",
    "encode_pong",
    "encode_properties",
    "encode_ready",
    "encode_subscribe",
]

_Version = int | tuple[int, int]
_Properties = Mapping[str | bytes, str | Buffer] | Iterable[tuple[str | bytes, str | Buffer]]

SOCKET_TYPE_NUMBERS: dict[str, int]

def compatible(a: str | int, b: str | int) -> bool: ...
def encode_frame(body: Buffer, more: bool = False, is_command: bool = False, version: _Version = 3) -> bytes: ...
def encode_command(name: str | Buffer, argument: Buffer = b"") -> bytes: ...
def encode_ping(ttl: int = 0, context: Buffer = b"") -> bytes: ...
def encode_pong(context: Buffer = b"") -> bytes: ...
def encode_subscribe(topic: Buffer, version: _Version = 3) -> bytes: ...
def encode_cancel(topic: Buffer, version: _Version = 3) -> bytes: ...
def encode_join(group: str | Buffer) -> bytes: ...
def encode_leave(group: str | Buffer) -> bytes: ...
def encode_error(reason: str | Buffer) -> bytes: ...
def encode_properties(properties: _Properties) -> bytes: ...
def decode_properties(data: Buffer) -> list[tuple[str, bytes]]: ...
def encode_ready(
    socket_type: str | int, identity: str | Buffer | None = None, properties: _Properties = ()
) -> bytes: ...

@disjoint_base
class FrameDecoder:
    reserved_bits: int
    loose_commands: int
    unknown_commands: int
    malformed_commands: int
    max_size: int
    def __init__(self, version: _Version = 3, max_size: int = -1) -> None: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def pending(self) -> int: ...
    def receive_data(self, data: Buffer) -> list[Frame | Command | MalformedCommand]: ...
    def receive_eof(self) -> None: ...

@disjoint_base
class Handshake:
    def __init__(
        self,
        socket_type: str | int,
        identity: Buffer = b"",
        properties: _Properties = (),
        mechanism: Literal["NULL", "PLAIN", "CURVE"] = "NULL",
        as_server: bool = False,
        listening: bool = False,
        max_size: int = -1,
        downgrade: bool = True,
        require_zap: bool = False,
        zap_wait: bool = False,
        require_type: bool = False,
        username: Buffer = b"",
        password: Buffer = b"",
        public_key: Buffer | None = None,
        secret_key: Buffer | None = None,
        server_key: Buffer | None = None,
    ) -> None: ...
    @property
    def state(self) -> Literal["more", "wait_authorisation", "ready", "failed"]: ...
    @property
    def version(self) -> tuple[int, int] | None: ...
    @property
    def trailing_data(self) -> bytes: ...
    @property
    def oddities(self) -> dict[str, int]: ...
    @property
    def memory(self) -> int: ...
    def data_to_send(self, amount: int | None = None) -> bytes: ...
    def receive_data(self, data: Buffer) -> list[Greeting | AuthorisationRequired | HandshakeDone]: ...
    def receive_eof(self) -> None: ...
    def encode_frame(self, body: Buffer, more: bool = False, is_command: bool = False) -> bytes: ...
    def decode_frame(self, body: Buffer) -> tuple[bytes, bool, bool]: ...
    def authorise(self, status: int) -> list[Greeting | AuthorisationRequired | HandshakeDone]: ...
