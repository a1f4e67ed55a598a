"""The rules an authenticator goes by, and one question and answer of ZAP.

An authenticator answers on `inproc://zeromq.zap.01` for all servers of its context. What waits for the questions (a
thread, an event loop) is up to the subclasses.
"""

from __future__ import annotations

import logging
from inspect import isawaitable
from os import PathLike, fspath

from pyzq.auth.certs import load_certificates
from pyzq.constants import SocketType
from pyzq.context import Context
from pyzq.socket import Socket
from pyzq.utils import z85

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, Protocol

    class _CredentialsProvider(Protocol):
        """Decides about the keys of a domain."""

        def callback(self, domain: str, key: bytes) -> bool | Awaitable[bool]:
            """Whether the client with this public key (Z85) may connect to servers of this domain."""


CURVE_ALLOW_ANY = "*"
ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"
# Of a request: version, request id, domain, address, identity, mechanism. Credentials follow.
_HEAD = 6


class Authenticator:
    """The rules by which peers are let in, and the socket that the questions come from.

    Everything may be configured before and after `start`. Without any rule a NULL peer is let in, others are not.

    Args:
        context: whose servers to answer for; None is `Context.instance()`.
        encoding: of domains, addresses, user names and passwords.
        log: a logger; None is the one named "zmq.auth".

    Attributes:
        zap_socket: the socket of the questions, a REP; None before `start` and after `stop`.
        allow_any: whether every CURVE key is good for domains that have no rule of their own.
        passwords: by domain, then by user name.
        certs: by domain, the public keys (Z85) that are good.
        credentials_providers: by domain, what `configure_curve_callback` was given.
    """

    context: Context[Any]
    zap_socket: Socket[bytes] | None

    def __init__(self, context: Context[Any] | None = None, encoding: str = "utf-8", log: Any = None) -> None:
        self.context = context or Context.instance()
        self.encoding = encoding
        self.log: Any = log or logging.getLogger("zmq.auth")
        self.zap_socket = None
        self.allow_any: bool = False
        self.passwords: dict[str, dict[str, str]] = {}
        self.certs: dict[str, dict[bytes, bool]] = {}
        self.credentials_providers: dict[str, _CredentialsProvider] = {}
        self._any_in: set[str] = set()
        self._allowed: set[str] = set()
        self._denied: set[str] = set()

    # life

    def start(self) -> None:
        """Take the address of the questions.

        Raises:
            ZMQError: EADDRINUSE, the context has an authenticator already.
        """
        socket: Socket[bytes] = self.context.socket(SocketType.REP, socket_class=Socket)
        try:
            socket.linger = 1
            socket.bind(ENDPOINT)
        except BaseException:
            socket.close()
            raise
        self.zap_socket = socket
        self.log.debug("Starting")

    def stop(self) -> None:
        """Give the address of the questions back. Servers that need an answer refuse their peers from now on."""
        self._close()

    def _close(self) -> None:
        if self.zap_socket is not None:
            self.zap_socket.close()
            self.zap_socket = None

    # rules

    def allow(self, *addresses: str) -> None:
        """Let in peers from these IP addresses only; for PLAIN and CURVE their credentials must be good besides.

        Raises:
            ValueError: `deny` was used.
        """
        if self._denied:
            raise ValueError("Only use allow or deny, not both")
        self.log.debug("Allowing %s", ",".join(addresses))
        self._allowed.update(addresses)

    def deny(self, *addresses: str) -> None:
        """Let in no peers from these IP addresses.

        Raises:
            ValueError: `allow` was used.
        """
        if self._allowed:
            raise ValueError("Only use allow or deny, not both")
        self.log.debug("Denying %s", ",".join(addresses))
        self._denied.update(addresses)

    def configure_plain(self, domain: str = "*", passwords: dict[str, str] | None = None) -> None:
        """Set the passwords for PLAIN.

        Args:
            domain: ZAP_DOMAIN of the servers they are for; "*" is for servers that have none, and for those only.
            passwords: by user name; None leaves the domain as it is.
        """
        if passwords:
            self.passwords[domain] = passwords
        self.log.debug("Configure plain: %s", domain)

    def configure_curve(self, domain: str = "*", location: str | PathLike[str] = ".") -> None:
        """Set which public keys are good for CURVE.

        Args:
            domain: ZAP_DOMAIN of the servers they are for; "*" is for servers that have none, and for those only,
                except with CURVE_ALLOW_ANY, which it says for all domains without a rule of their own.
            location: a folder of certificates, read now, or CURVE_ALLOW_ANY. When the folder cannot be read that is
                logged, and what was set for the domain before goes on.
        """
        self.log.debug("Configure curve: %s[%s]", domain, location)
        if location == CURVE_ALLOW_ANY:
            if domain == "*":
                self.allow_any = True
            self._forget_curve(domain)
            self._any_in.add(domain)
            return
        try:
            certs = load_certificates(fspath(location))
        except Exception as error:
            self.log.error("Failed to load CURVE certs from %s: %s", location, error)
            if domain == "*":
                self.allow_any = False  # asked to be strict: rather nobody than everybody
            self._any_in.discard(domain)
            return
        if domain == "*":
            self.allow_any = False
        self._forget_curve(domain)
        self.certs[domain] = certs

    def configure_curve_callback(
        self, domain: str = "*", credentials_provider: _CredentialsProvider | None = None
    ) -> None:
        """Let an object decide which public keys are good for CURVE.

        Args:
            domain: ZAP_DOMAIN of the servers it decides for; "*" is for servers that have none, and for those only.
            credentials_provider: its method `callback(domain, key)` gets the public key in Z85 (40 bytes) and returns a
                bool, or something to await that does. None leaves the domain as it is.
        """
        if credentials_provider is None:
            self.log.error("None credentials_provider provided for domain:%s", domain)
            return
        self.log.debug("Configure curve callback: %s", domain)
        if domain == "*":
            self.allow_any = False
        self._forget_curve(domain)
        self.credentials_providers[domain] = credentials_provider

    def _forget_curve(self, domain: str) -> None:
        self.certs.pop(domain, None)
        self.credentials_providers.pop(domain, None)
        self._any_in.discard(domain)

    def curve_user_id(self, client_public_key: bytes) -> str:
        """The User-Id of messages from the client with this public key: its Z85 form. To be overridden.

        Args:
            client_public_key: 32 bytes.
        """
        return z85.encode(client_public_key).decode("ascii")

    def configure_gssapi(self, domain: str = "*", location: str | None = None) -> None:
        """For programs that call it: every principal that a GSSAPI server has let in is let in."""

    # one question

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """Answer a question that `zap_socket` received.

        A question that is none is logged and not answered.

        Args:
            msg: the parts of the question.
        """
        if len(msg) < _HEAD:
            self.log.error("Invalid ZAP message, not enough frames: %r", msg)
            if len(msg) < 2:
                self.log.error("Not enough information to reply")
            else:
                self._send_zap_reply(msg[1], b"400", b"Not enough frames")
            return
        version, request_id, domain_frame, address_frame, identity, mechanism = msg[:_HEAD]
        credentials = msg[_HEAD:]
        domain = domain_frame.decode(self.encoding, "replace")
        address = address_frame.decode(self.encoding, "replace")
        if version != VERSION:
            self.log.error("Invalid ZAP version: %r", msg)
            self._send_zap_reply(request_id, b"400", b"Invalid version")
            return
        self.log.debug(
            "version: %r, request_id: %r, domain: %r, address: %r, identity: %r, mechanism: %r",
            version,
            request_id,
            domain,
            address,
            identity,
            mechanism,
        )
        user_id = "anonymous"
        try:
            reason = self._refuses_address(address)
            if not reason:
                user_id, reason = await self._judge(mechanism, domain, credentials)
        except Exception:
            # An unanswered question would keep the peer waiting and the socket unable to hear the next one.
            self.log.exception("ZAP request could not be judged")
            self._send_zap_reply(request_id, b"500", b"Internal error")
            return
        if reason:
            self.log.debug("DENIED: %r", reason)
            self._send_zap_reply(request_id, b"400", reason)
        else:
            self.log.debug("ALLOWED: %s", user_id)
            self._send_zap_reply(request_id, b"200", b"OK", user_id)

    def _refuses_address(self, address: str) -> bytes:
        """Why a peer from this address is refused; empty when it is not."""
        if self._allowed and address not in self._allowed:
            return b"Address not allowed"
        if address in self._denied:
            return b"Address denied"
        return b""

    async def _judge(self, mechanism: bytes, domain: str, credentials: list[bytes]) -> tuple[str, bytes]:
        """The user's name, and why the credentials are refused; empty when they are not."""
        if mechanism == b"NULL":
            return "anonymous", b""
        if mechanism == b"PLAIN":
            if len(credentials) != 2:
                self.log.info("Invalid PLAIN credentials: %d frames", len(credentials))
                return "", b"Invalid credentials"
            username, password = (frame.decode(self.encoding, "replace") for frame in credentials)
            allowed, reason = self._authenticate_plain(domain, username, password)
            return username, b"" if allowed else reason
        if mechanism == b"CURVE":
            if len(credentials) != 1 or len(credentials[0]) != 32:
                self.log.info("Invalid CURVE credentials: %d frames", len(credentials))
                return "", b"Invalid credentials"
            allowed, reason = await self._authenticate_curve(domain, credentials[0])
            return (self.curve_user_id(credentials[0]), b"") if allowed else ("", reason)
        if mechanism == b"GSSAPI":
            if len(credentials) != 1:
                self.log.info("Invalid GSSAPI credentials: %d frames", len(credentials))
                return "", b"Invalid credentials"
            allowed, reason = self._authenticate_gssapi(domain, credentials[0])
            return credentials[0].decode(self.encoding, "replace"), b"" if allowed else reason
        return "", b"Unknown mechanism"

    def _authenticate_plain(self, domain: str, username: str, password: str) -> tuple[bool, bytes]:
        """Whether the password is good, and why not."""
        if not self.passwords:
            return False, b"No passwords defined"
        known = self.passwords.get(domain or "*")
        if known is None:
            return False, b"Invalid domain"
        expected = known.get(username)
        if expected is None:
            return False, b"Invalid username"
        from hmac import compare_digest

        if not compare_digest(expected.encode(self.encoding), password.encode(self.encoding)):
            return False, b"Invalid password"
        return True, b""

    async def _authenticate_curve(self, domain: str, client_key: bytes) -> tuple[bool, bytes]:
        """Whether the key is good, and why not."""
        domain = domain or "*"
        provider = self.credentials_providers.get(domain)
        if provider is not None:
            answer = provider.callback(domain, z85.encode(client_key))
            if isawaitable(answer):
                answer = await answer
            return bool(answer), b"" if answer else b"Unknown key"
        certs = self.certs.get(domain)
        if certs is not None:
            good = bool(certs.get(z85.encode(client_key)))
            return good, b"" if good else b"Unknown key"
        if self.allow_any or domain in self._any_in:
            return True, b""
        return False, b"Unknown domain"

    def _authenticate_gssapi(self, domain: str, principal: bytes) -> tuple[bool, bytes]:
        """Whether the principal is good: it is, the mechanism has seen to it."""
        return True, b""

    def _send_zap_reply(
        self, request_id: bytes, status_code: bytes, status_text: bytes, user_id: str = "anonymous"
    ) -> None:
        """Answer with status, text, User-Id (only with 200) and no metadata."""
        if self.zap_socket is None:
            return  # stopped meanwhile
        name = user_id.encode(self.encoding, "replace") if status_code == b"200" else b""
        self.zap_socket.send_multipart([VERSION, request_id, status_code, status_text, name, b""])


__all__ = ["CURVE_ALLOW_ANY", "Authenticator"]
