"""What zcore.codec reports: events, and errors told apart by whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class ProtocolError(Exception):
    """ZMTP was violated: by us (`LocalProtocolError`) or by the peer (`RemoteProtocolError`)."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something ZMTP cannot express, or at the wrong time.  Nothing was changed or queued."""


class RemoteProtocolError(ProtocolError):
    """The peer's bytes, or its verdict on us, end the connection.

    Attributes: `code`, the value of the monitor event HANDSHAKE_FAILED_PROTOCOL (PROTOCOL_ERROR_*), or None;
    `status`, the ZAP status (300, 400, 500) when the reason is authorisation, or None; `reason`, the text of the
    peer's ERROR command, or ""; `events`, those decoded from the same bytes before the fault.
    """

    def __init__(
        self,
        message: str,
        code: int | None = None,
        status: int | None = None,
        reason: str = "",
        events: Iterable[Any] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.reason = reason
        self.events = list(events)


class Frame(NamedTuple):
    """A message frame: `body`, `more` whether another frame of its message follows, `flags` as received."""

    body: bytes
    more: bool
    flags: int


class Command(NamedTuple):
    """A command.

    `name` as spelt by the peer; `argument`: the topic of SUBSCRIBE and CANCEL, the group of JOIN and LEAVE, the
    context of PING and PONG, the reason of ERROR, the properties of READY (for `decode_properties`), else all that
    follows the name; `ttl` of PING in tenths of a second, else None; `flags` as received.
    """

    name: str
    argument: bytes
    ttl: int | None
    flags: int


class MalformedCommand(NamedTuple):
    """A command frame that is none: the engine ignores and counts it (RFC 37 asks for no more)."""

    body: bytes
    flags: int


class Greeting(NamedTuple):
    """The peer's greeting is in.

    `version` (major, minor) as the peer sent it, (1, 0) and (2, 0) for older peers, which leave `mechanism` and
    `as_server` None.
    """

    version: tuple[int, int]
    mechanism: str | None
    as_server: bool | None


class AuthorisationRequired(NamedTuple):
    """The handshake stands still until `Handshake.authorise` is called.

    On the connecting side of NULL, and with PLAIN, the peer has not introduced itself yet: identity b"" and no
    properties.  `credentials`: name and password with PLAIN, the client's public key with CURVE.
    """

    identity: bytes
    properties: list[tuple[str, bytes]]
    credentials: list[bytes] = []  # noqa: RUF012


class HandshakeDone(NamedTuple):
    """Traffic may flow.

    `version` (1, 0), (2, 0), (3, 0) or (3, 1): what to speak with this peer; `socket_type` of the peer by name,
    None when it did not say; `identity`; `properties` of its READY, a list of (name, value).
    """

    version: tuple[int, int]
    socket_type: str | None
    identity: bytes
    properties: list[tuple[str, bytes]]
