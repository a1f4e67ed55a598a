"""ZMTP for tests, fuzzers, proxies and the curious: frames, commands and the handshake as Python objects.

No sockets and no threads: bytes go in, events and bytes come out, as in h11 or wsproto.  An object belongs to one
thread at a time.  It is the engine's own code that runs underneath, so what these classes accept and say is what
a pyzq socket accepts and says.

Example: the first words of a DEALER.

    opening = Handshake("DEALER", identity=b"abc")
    sock.sendall(opening.data_to_send())
    while opening.state == "more":
        events = opening.receive_data(sock.recv(4096))
        sock.sendall(opening.data_to_send())
    decoder = FrameDecoder(opening.version)
    events = decoder.receive_data(opening.trailing_data)

Sources: RFC 13 (ZMTP 1.0), RFC 15 (2.0), RFC 23 (3.0), RFC 37 (3.1), RFC 24 (PLAIN), RFC 26 (CURVE).
One file because a program imports one module, and the classes share their conversions.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EINVAL, EMSGSIZE, ENOMEM
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset, strlen

from .handshake cimport (
    handshake_authorise, handshake_free, handshake_init, handshake_input, handshake_output, handshake_sent,
)
from .mechanism cimport (
    CURVE_KEY, HS_FAIL_AUTH, HS_FAIL_LOCAL, HS_FAIL_PROTOCOL, HS_FAILED, HS_READY, HS_WAIT_AUTHORISATION, handshake,
    handshake_config,
)
from .zmtp cimport (
    COMMAND_PING, COMMAND_UNKNOWN, FRAME_COMMAND, FRAME_HEADER_MAX, FRAME_HEADER_V1_MAX, FRAME_MORE, FRAME_RESERVED, GROUP_MAX,
    PING_CONTEXT_MAX, PING_FRAME_SIZE, PONG_FRAME_MAX, REASON_MAX, SOCKET_TYPES, ZMTP_1_0, ZMTP_2_0, ZMTP_3_0,
    ZMTP_3_1, command, command_frame_size, error_size, frame_head, frame_header, frame_header_v1, group_size,
    next_property, parse_command, parse_header, parse_header_v1, zmtp_property, property_size, put_command_head,
    put_error, put_group, put_ping, put_pong, put_property, put_subscribe, socket_type_name, subscribe_size,
    types_compatible,
)

from zcore.sodium import load

from .codec_events import (
    AuthorisationRequired, Command, Frame, Greeting, HandshakeDone, LocalProtocolError, MalformedCommand,
    ProtocolError, RemoteProtocolError,
)

__all__ = [
    "SOCKET_TYPE_NUMBERS", "AuthorisationRequired", "Command", "Frame", "FrameDecoder", "Greeting", "Handshake",
    "HandshakeDone", "LocalProtocolError", "MalformedCommand", "ProtocolError", "RemoteProtocolError",
    "compatible", "decode_properties", "encode_cancel", "encode_command", "encode_error", "encode_frame",
    "encode_join", "encode_leave", "encode_ping", "encode_pong", "encode_properties", "encode_ready",
    "encode_subscribe",
]


SOCKET_TYPE_NUMBERS = {
    (<bytes>socket_type_name(_number)).decode(): _number for _number in range(SOCKET_TYPES)
}
"""Number of each socket type by the name it has in the Socket-Type property."""


cdef bytes _key(object key, str what):
    if key is None:
        return None
    if len(key) != CURVE_KEY:
        raise LocalProtocolError(f"{what} has {CURVE_KEY} bytes")
    return _bytes(key, what)


cdef bytes _bytes(object data, str what):
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        raise TypeError(f"{what} must be bytes-like, not str")
    return memoryview(data).tobytes()


# A version given as (major, minor) or as the major number alone, in the engine's terms.
cdef int _dialect(object version) except -1:
    if version == 3 or version == (3, 1):
        return ZMTP_3_1
    if version == (3, 0):
        return ZMTP_3_0
    if version == 2 or version == (2, 0):
        return ZMTP_2_0
    if version == 1 or version == (1, 0):
        return ZMTP_1_0
    raise LocalProtocolError(f"no such version of ZMTP: {version!r}; known are (1, 0), (2, 0), (3, 0) and (3, 1)")


cdef tuple _version(int dialect):
    if dialect == ZMTP_1_0:
        return (1, 0)
    if dialect == ZMTP_2_0:
        return (2, 0)
    return (3, 0) if dialect == ZMTP_3_0 else (3, 1)


cdef int _socket_type(object name) except -1:
    number = SOCKET_TYPE_NUMBERS.get(name, name)
    if not isinstance(number, int) or not 0 <= number < SOCKET_TYPES:
        raise LocalProtocolError(f"no such socket type: {name!r}")
    return number


def compatible(a, b):
    """Return whether sockets of types `a` and `b` (names or numbers) may talk (RFC 37, "Socket-Type")."""
    return bool(types_compatible(_socket_type(a), _socket_type(b)))


# ---- building ----------------------------------------------------------------------------------------------

def encode_frame(body, more=False, is_command=False, version=3):
    """Return one frame as bytes.

    Raises LocalProtocolError for a command with `more`, and for a command in a version before 3.0.
    """
    cdef bytes data = _bytes(body, "body")
    cdef uint8_t[FRAME_HEADER_V1_MAX] head
    cdef uint8_t flags = (FRAME_MORE if more else 0) | (FRAME_COMMAND if is_command else 0)
    cdef int dialect = _dialect(version)
    cdef size_t n
    if is_command and more:
        raise LocalProtocolError("a command is a single frame: it has no more")
    if is_command and dialect < ZMTP_3_0:
        raise LocalProtocolError("ZMTP has commands since version 3.0")
    if dialect == ZMTP_1_0:
        n = frame_header_v1(head, flags, len(data))
    else:
        n = frame_header(head, flags, len(data))
    return PyBytes_FromStringAndSize(<char*>head, n) + data


def encode_command(name, argument=b""):
    """Return a command frame: `name` str or bytes of 1-255 letters, `argument` bytes as they follow the name."""
    cdef bytes spelt = name.encode("latin-1") if isinstance(name, str) else _bytes(name, "name")
    cdef bytes arg = _bytes(argument, "argument")
    cdef bytes out
    cdef size_t at
    if not 1 <= len(spelt) <= 255:
        raise LocalProtocolError("a command's name has 1 to 255 bytes")
    out = PyBytes_FromStringAndSize(NULL, command_frame_size(len(spelt), len(arg)))
    at = put_command_head(<uint8_t*>PyBytes_AS_STRING(out), spelt, len(spelt), len(arg))
    memcpy(PyBytes_AS_STRING(out) + at, <const char*>arg, len(arg))
    return out


def encode_ping(ttl=0, context=b""):
    """Return a PING: `ttl` in tenths of a second, 0-65535; `context` of at most 16 bytes, to come back in PONG."""
    cdef uint8_t[PING_FRAME_SIZE] frame
    cdef bytes data = _bytes(context, "context")
    if not 0 <= ttl <= 0xFFFF:
        raise LocalProtocolError(f"a TTL is 0 to 65535 tenths of a second, not {ttl}")
    if len(data) > PING_CONTEXT_MAX:
        raise LocalProtocolError(f"a PING's context has at most {PING_CONTEXT_MAX} bytes")
    if data:
        return encode_command(b"PING", int(ttl).to_bytes(2, "big") + data)
    return PyBytes_FromStringAndSize(<char*>frame, put_ping(frame, ttl))


def encode_pong(context=b""):
    """Return the PONG that answers a PING with this context; more than 16 bytes of it are cut off."""
    cdef uint8_t[PONG_FRAME_MAX] frame
    cdef bytes data = _bytes(context, "context")
    return PyBytes_FromStringAndSize(<char*>frame, put_pong(frame, <const uint8_t*><const char*>data, len(data)))


cdef bytes _subscription(object topic, bint cancel, object version):
    cdef bytes data = _bytes(topic, "topic")
    cdef int dialect = _dialect(version)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, subscribe_size(len(data), cancel, dialect))
    put_subscribe(<uint8_t*>PyBytes_AS_STRING(out), <const uint8_t*><const char*>data, len(data), cancel, dialect)
    return out


def encode_subscribe(topic, version=3):
    """Return a subscription: a SUBSCRIBE command for 3.1, the message 01 topic for older versions."""
    return _subscription(topic, False, version)


def encode_cancel(topic, version=3):
    """Return the end of a subscription: a CANCEL command for 3.1, the message 00 topic for older versions."""
    return _subscription(topic, True, version)


cdef bytes _group(object group, bint leave):
    cdef bytes data = group.encode() if isinstance(group, str) else _bytes(group, "group")
    cdef bytes out
    if len(data) > GROUP_MAX:
        raise LocalProtocolError(f"a group's name has at most {GROUP_MAX} bytes")
    out = PyBytes_FromStringAndSize(NULL, group_size(len(data), leave))
    put_group(<uint8_t*>PyBytes_AS_STRING(out), <const uint8_t*><const char*>data, len(data), leave)
    return out


def encode_join(group):
    """Return a JOIN command: `group` str (sent as UTF-8) or bytes, at most 255 bytes."""
    return _group(group, False)


def encode_leave(group):
    """Return a LEAVE command: `group` as for `encode_join`."""
    return _group(group, True)


def encode_error(reason):
    """Return an ERROR command: `reason` str or bytes, at most 255 bytes."""
    cdef bytes data = reason.encode() if isinstance(reason, str) else _bytes(reason, "reason")
    cdef bytes out
    if len(data) > REASON_MAX:
        raise LocalProtocolError(f"an ERROR's reason has at most {REASON_MAX} bytes")
    out = PyBytes_FromStringAndSize(NULL, error_size(len(data)))
    put_error(<uint8_t*>PyBytes_AS_STRING(out), data, len(data))
    return out


def encode_properties(properties):
    """Return a property list: `properties` is a mapping or an iterable of (name, value), each str or bytes."""
    cdef bytes name
    cdef bytes value
    cdef bytes out
    cdef list parts = []
    items = properties.items() if hasattr(properties, "items") else properties
    for key, content in items:
        name = key.encode("latin-1") if isinstance(key, str) else _bytes(key, "a property's name")
        value = content.encode() if isinstance(content, str) else _bytes(content, "a property's value")
        if not 1 <= len(name) <= 255:
            raise LocalProtocolError("a property's name has 1 to 255 bytes")
        if len(value) > 0x7FFFFFFF:
            raise LocalProtocolError("a property's value has at most 2^31-1 bytes")
        out = PyBytes_FromStringAndSize(NULL, property_size(len(name), len(value)))
        put_property(<uint8_t*>PyBytes_AS_STRING(out), name, len(name), <const uint8_t*><const char*>value, len(value))
        parts.append(out)
    return b"".join(parts)


cdef list _properties(const uint8_t* p, size_t n):
    cdef const uint8_t* at = p
    cdef zmtp_property found
    cdef list out = []
    cdef int rc = 0
    if n > 0:
        rc = next_property(&at, p + n, &found)
    while rc > 0:
        out.append((
            PyBytes_FromStringAndSize(<char*>found.name, found.name_len).decode("latin-1"),
            PyBytes_FromStringAndSize(<char*>found.value, found.value_len),
        ))
        rc = next_property(&at, p + n, &found)
    if rc < 0:
        raise RemoteProtocolError("malformed property list")
    return out


def decode_properties(data):
    """Return a property list as a list of (name str, value bytes).  Raises RemoteProtocolError when it is none."""
    cdef bytes content = _bytes(data, "data")
    return _properties(<const uint8_t*><const char*>content, len(content))


def encode_ready(socket_type, identity=None, properties=()):
    """Return a READY command: Socket-Type (a name or number), Identity unless None, then `properties`."""
    items = [("Socket-Type", (<bytes>socket_type_name(_socket_type(socket_type))).decode())]
    if identity is not None:
        items.append(("Identity", identity))
    return encode_command(b"READY", encode_properties(items) + encode_properties(properties))


# ---- reading -----------------------------------------------------------------------------------------------

cdef class FrameDecoder:
    """Turn traffic, in pieces of any size, into `Frame`, `Command` and `MalformedCommand` events.

    `version` 1, 2, 3 or (major, minor) picks the framing; commands exist since 3.0.  A frame whose header
    announces more than `max_size` bytes (-1: no limit) is refused before its body is read.  What is kept grows
    with the bytes received, whatever sizes the peer announces.

    Counters: `reserved_bits` (frames with bits set that must be zero), `loose_commands` (commands with the MORE
    bit), `unknown_commands`, `malformed_commands`.
    """

    cdef readonly int reserved_bits
    cdef readonly int loose_commands
    cdef readonly int unknown_commands
    cdef readonly int malformed_commands
    cdef readonly object max_size
    cdef int _dialect
    cdef uint64_t _limit
    cdef bytearray _buffer
    cdef bint _in_message
    cdef object _fault

    def __init__(self, version=3, max_size=-1):
        self._dialect = _dialect(version)
        if not -1 <= max_size <= 0x7FFFFFFFFFFFFFFF:
            raise LocalProtocolError("max_size is -1 (no limit) or a number of bytes")
        self.max_size = max_size
        self._limit = 0x7FFFFFFFFFFFFFFF if max_size < 0 else max_size
        self._buffer = bytearray()
        self._in_message = False
        self._fault = None

    @property
    @cython.critical_section
    def version(self):
        """(major, minor) of the framing that is decoded."""
        return _version(self._dialect)

    @property
    @cython.critical_section
    def pending(self):
        """Bytes received that are not part of a complete frame yet."""
        return len(self._buffer)

    @cython.critical_section
    def receive_data(self, data):
        """Take bytes (any bytes-like object) and return the list of events they complete.

        Raises RemoteProtocolError when they cannot be ZMTP, and again on every later call; events that came
        before the fault are in its `events`.
        """
        cdef list events = []
        cdef const uint8_t* p
        cdef size_t at = 0
        cdef size_t n
        cdef frame_head head
        cdef int header
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        self._buffer += data
        p = <const uint8_t*>PyByteArray_AS_STRING(self._buffer)
        n = len(self._buffer)
        while True:
            if self._dialect == ZMTP_1_0:
                header = parse_header_v1(p + at, n - at, &head)
            else:
                header = parse_header(p + at, n - at, &head)
            if header < 0:
                self._fault = "no frame can have this size"
            elif header > 0 and head.size > self._limit:
                self._fault = f"a frame of {head.size} bytes is above the limit of {self.max_size}"
            if self._fault is not None:
                self._buffer = bytearray()
                raise RemoteProtocolError(self._fault, events=events)
            if header == 0 or n - at - header < head.size:
                break
            events.append(self._event(&head, p + at + header))
            at += header + <size_t>head.size
        if at:
            del self._buffer[:at]
        return events

    @cython.critical_section
    def receive_eof(self):
        """Say that the peer has closed.  Raises RemoteProtocolError when that cut a frame or a message in two."""
        if self._fault is None and (self._buffer or self._in_message):
            self._fault = "the connection was closed in the middle of a message"
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)

    cdef object _event(self, const frame_head* head, const uint8_t* body):
        cdef command c
        cdef bint more = head.flags & FRAME_MORE
        cdef uint8_t reserved = FRAME_RESERVED
        if self._dialect == ZMTP_2_0:
            reserved = 0xFC
        elif self._dialect == ZMTP_1_0:
            reserved = 0xFE
        if head.flags & reserved:
            self.reserved_bits += 1
        if self._dialect < ZMTP_3_0 or not head.flags & FRAME_COMMAND:
            self._in_message = more
            return Frame(PyBytes_FromStringAndSize(<char*>body, head.size), more, head.flags)
        if more:
            self.loose_commands += 1
        if parse_command(body, head.size, &c) < 0:
            self.malformed_commands += 1
            return MalformedCommand(PyBytes_FromStringAndSize(<char*>body, head.size), head.flags)
        if c.kind == COMMAND_UNKNOWN:
            self.unknown_commands += 1
        return Command(
            PyBytes_FromStringAndSize(<char*>c.name, c.name_len).decode("latin-1"),
            PyBytes_FromStringAndSize(<char*>c.arg, c.arg_len),
            c.ttl_ds if c.kind == COMMAND_PING else None,
            head.flags,
        )


# ---- the handshake -----------------------------------------------------------------------------------------

_PROTOCOL_ERRORS = {
    0x10000000: "the bytes received are not the ZMTP that was asked for",
    0x10000001: "unexpected command during the handshake",
    0x10000002: "a nonce that is not above the last",
    0x10000011: "a frame that is no MESSAGE",
    0x10000012: "malformed MESSAGE command",
    0x10000013: "malformed HELLO command",
    0x10000014: "malformed INITIATE command",
    0x10000015: "malformed ERROR command",
    0x10000016: "malformed READY command",
    0x10000017: "malformed WELCOME command",
    0x10000018: "invalid metadata, or socket types that do not match",
    0x11000001: "a box that does not open: wrong keys, or altered on its way",
    0x11000002: "the peer uses another security mechanism",
}
_MECHANISMS = {"NULL": 0, "PLAIN": 1, "CURVE": 2}
_STATES = ("more", "wait_authorisation", "ready", "failed")


cdef class Handshake:
    """One side of the opening of a connection, without the connection.

    Send what `data_to_send` returns, hand over what arrives to `receive_data`, until `state` is "ready" or
    "failed".  Traffic that arrives behind the handshake is in `trailing_data`.

    socket_type: our type, name or number.  identity: at most 255 bytes, sent by REQ, DEALER and ROUTER (and to
    peers older than 3.0).  properties: further metadata for READY, as for `encode_properties`.  mechanism: "NULL",
    "PLAIN" or "CURVE".  as_server: our side of PLAIN and CURVE.  listening: the peer connected to us.  max_size:
    largest frame accepted, -1 no limit (64 KiB hold in any case).  downgrade: talk ZMTP 1.0 and 2.0 to older
    peers.  require_zap: refuse peers older than 3.0.  zap_wait: stop in state "wait_authorisation" until
    `authorise` is called (a PLAIN server always does).  require_type: refuse a READY without Socket-Type.
    username, password: of a PLAIN client, at most 255 bytes each.  public_key, secret_key, server_key: 32 bytes
    each; a CURVE client needs the last two (its public key can be computed), a server its secret key.

    Raises LocalProtocolError for a configuration ZMTP cannot express or this build cannot do.
    """

    cdef handshake _h
    cdef bint _live
    cdef bint _greeted
    cdef bytes _identity
    cdef bytes _extra
    cdef bytes _trailing

    def __init__(self, socket_type, identity=b"", properties=(), mechanism="NULL", as_server=False,
                 listening=False, max_size=-1, downgrade=True, require_zap=False, zap_wait=False,
                 require_type=False, username=b"", password=b"", public_key=None, secret_key=None, server_key=None):
        cdef handshake_config config
        cdef bytes name = _bytes(username, "username")
        cdef bytes word = _bytes(password, "password")
        cdef bytes public = _key(public_key, "public_key")
        cdef bytes secret = _key(secret_key, "secret_key")
        cdef bytes server = _key(server_key, "server_key")
        cdef int rc
        memset(&config, 0, sizeof(config))
        if self._live:
            raise LocalProtocolError("a handshake happens once")
        self._identity = _bytes(identity, "identity")
        self._extra = encode_properties(properties)
        self._trailing = b""
        config.socket_type = _socket_type(socket_type)
        config.identity = <const uint8_t*><const char*>self._identity
        config.identity_len = len(self._identity)
        config.extra = <const uint8_t*><const char*>self._extra
        config.extra_len = len(self._extra)
        config.mechanism = _MECHANISMS.get(mechanism, -1)
        config.as_server = as_server
        config.listening = listening
        config.max_size = max_size
        config.allow_downgrade = downgrade
        config.require_zap = require_zap
        config.zap_wait = zap_wait
        config.require_type = require_type
        config.username = <const uint8_t*><const char*>name
        config.username_len = len(name)
        config.password = <const uint8_t*><const char*>word
        config.password_len = len(word)
        if public is not None:
            config.public_key = <const uint8_t*><const char*>public
        if secret is not None:
            config.secret_key = <const uint8_t*><const char*>secret
        if server is not None:
            config.server_key = <const uint8_t*><const char*>server
        if mechanism == "CURVE":
            load()
        rc = handshake_init(&self._h, &config)
        if rc == -EMSGSIZE:
            raise LocalProtocolError("the metadata would make a READY that no peer accepts")
        if rc == -ENOMEM:
            raise MemoryError
        if rc == -EINVAL and mechanism in ("PLAIN", "CURVE"):
            raise LocalProtocolError("socket type, identity, properties, max_size, name, password or keys cannot be used")
        if rc < 0:
            raise LocalProtocolError("socket type, identity, properties, mechanism or max_size cannot be used")
        self._live = True

    def __dealloc__(self):
        if self._live:
            handshake_free(&self._h)

    @property
    @cython.critical_section
    def state(self):
        """"more", "wait_authorisation", "ready" or "failed"."""
        return _STATES[self._h.state]

    @property
    @cython.critical_section
    def version(self):
        """(major, minor) to speak with the peer, once its greeting is in; before that None."""
        return None if self._h.revision < 0 else _version(self._h.dialect)

    @property
    @cython.critical_section
    def trailing_data(self):
        """Bytes received and not taken: traffic once the state is "ready"."""
        return self._trailing

    @property
    @cython.critical_section
    def oddities(self):
        """Counts of what the peer did that is not quite right but was accepted, by name."""
        return {
            "reserved_bits": self._h.odd.reserved_bits,
            "loose_frames": self._h.odd.loose_frames,
            "loose_names": self._h.odd.loose_names,
            "missing_type": self._h.odd.missing_type,
            "reserved_identity": self._h.odd.reserved_identity,
        }

    @property
    @cython.critical_section
    def memory(self):
        """Bytes of memory held for input and output.  Grows with what was received, not with what was announced."""
        return self._h.out_cap + self._h.body_cap + self._h.properties_len

    @cython.critical_section
    def data_to_send(self, amount=None):
        """Return what is to be sent, at most `amount` bytes of it, and forget that much.

        After a failure this may be an ERROR, to be sent before closing.
        """
        cdef const uint8_t* p = NULL
        cdef size_t n = handshake_output(&self._h, &p)
        if amount is not None:
            n = min(n, <size_t>max(amount, 0))
        out = PyBytes_FromStringAndSize(<char*>p, n) if n else b""
        handshake_sent(&self._h, n)
        return out

    @cython.critical_section
    def receive_data(self, data):
        """Take bytes and return the list of events: `Greeting`, `AuthorisationRequired`, `HandshakeDone`.

        Raises RemoteProtocolError when the handshake has failed, and again on every later call.
        """
        self._trailing += _bytes(data, "data")
        return self._run()

    @cython.critical_section
    def receive_eof(self):
        """Say that the peer has closed.  Raises RemoteProtocolError unless the handshake is over."""
        if self._h.state != HS_READY:
            raise RemoteProtocolError("the connection was closed during the handshake")

    @cython.critical_section
    def authorise(self, status):
        """Answer `AuthorisationRequired` with a ZAP status: 200 lets the peer in; 300, 400 and 500 do not.

        Returns events as `receive_data` does.  Raises LocalProtocolError when nothing was asked, or for another
        status; MemoryError.
        """
        if self._h.state != HS_WAIT_AUTHORISATION:
            raise LocalProtocolError("no authorisation was asked for")
        if status not in (200, 300, 400, 500):
            raise LocalProtocolError(f"a ZAP status is 200, 300, 400 or 500, not {status!r}")
        if handshake_authorise(&self._h, status) < 0:
            raise MemoryError
        if self._h.state == HS_FAILED:
            return []
        if self._h.state == HS_READY:
            return [self._done()]
        return self._run()

    cdef int _transforms(self) except -1:
        if self._h.state != HS_READY or self._h.ops.encode == NULL:
            raise LocalProtocolError("frames are transformed after the handshake, by a mechanism that does so")
        return 0

    @cython.critical_section
    def encode_frame(self, body, more=False, is_command=False):
        """Return one frame of the traffic as CURVE puts it on the wire; the nonce moves on."""
        cdef bytes data = _bytes(body, "body")
        cdef bytes out
        cdef ssize_t n
        self._transforms()
        out = PyBytes_FromStringAndSize(NULL, len(data) + FRAME_HEADER_MAX + self._h.ops.overhead)
        n = self._h.ops.encode(self._h.private, (FRAME_MORE if more else 0) | (FRAME_COMMAND if is_command else 0),
                               <const uint8_t*><const char*>data, len(data), <uint8_t*>PyBytes_AS_STRING(out))
        if n < 0:
            raise LocalProtocolError("no nonce is left: so many frames under one key are no connection any more")
        return out[:n]

    @cython.critical_section
    def decode_frame(self, body):
        """Return (payload, more, is_command) of the body of a frame of the traffic, opened.

        Raises RemoteProtocolError when it does not open, or its nonce is not above the last; `code` says which.
        """
        cdef bytes data = _bytes(body, "body")
        cdef bytearray out
        cdef uint8_t flags = 0
        cdef int code = 0
        self._transforms()
        out = bytearray(len(data) + 1)
        if self._h.ops.decode(self._h.private, <const uint8_t*><const char*>data, len(data),
                              <uint8_t*>PyByteArray_AS_STRING(out) + 1, &flags, &code) < 0:
            raise RemoteProtocolError(_PROTOCOL_ERRORS[<unsigned int>code], code=code)
        return bytes(out[1:1 + len(data) - self._h.ops.overhead]), bool(flags & FRAME_MORE), bool(flags & FRAME_COMMAND)

    cdef list _run(self):
        cdef list events = []
        cdef int before = self._h.state
        cdef ssize_t rc = handshake_input(
            &self._h, <const uint8_t*><const char*>self._trailing, len(self._trailing))
        if rc >= 0:
            self._trailing = self._trailing[rc:]
        else:
            self._trailing = b""
        # an old peer's greeting has no end of its own; its version is known a little earlier
        if self._h.revision >= 0 and not self._greeted:
            self._greeted = True
            if self._h.revision < 3:
                events.append(Greeting(_version(self._h.dialect), None, None))
            else:
                events.append(Greeting(
                    (self._h.major, self._h.minor),
                    PyBytes_FromStringAndSize(<char*>&self._h.greeting[12], 20).rstrip(b"\0").decode("latin-1"),
                    bool(self._h.peer_as_server),
                ))
        if rc < 0:
            raise self._error(events)
        if self._h.state != before:
            if self._h.state == HS_WAIT_AUTHORISATION:
                events.append(AuthorisationRequired(
                    self._peer_identity(), self._peer_properties(),
                    [PyBytes_FromStringAndSize(<char*>self._h.credentials[i], self._h.credential_len[i])
                     for i in range(self._h.ncredentials)]))
            elif self._h.state == HS_READY:
                events.append(self._done())
        return events

    cdef bytes _peer_identity(self):
        return PyBytes_FromStringAndSize(<char*>self._h.identity, self._h.identity_len)

    cdef list _peer_properties(self):
        return _properties(self._h.properties, self._h.properties_len)

    cdef object _done(self):
        cdef const char* name = socket_type_name(self._h.socket_type)
        return HandshakeDone(
            _version(self._h.dialect),
            None if name == NULL else name[:strlen(name)].decode(),
            self._peer_identity(),
            self._peer_properties(),
        )

    cdef object _error(self, list events):
        cdef str reason = PyBytes_FromStringAndSize(<char*>self._h.reason, self._h.reason_len).decode("latin-1")
        cdef int code = self._h.code
        if self._h.failure == HS_FAIL_LOCAL:
            return MemoryError()
        if self._h.failure == HS_FAIL_PROTOCOL:
            text = _PROTOCOL_ERRORS.get(code, f"protocol error {code:#x}")
            return RemoteProtocolError(text, code=code, events=events)
        if self._h.failure == HS_FAIL_AUTH:
            who = "the peer refused us" if self._h.by_peer else "the peer was refused"
            return RemoteProtocolError(f"{who}: status {code}", status=code, reason=reason, events=events)
        return RemoteProtocolError(f"the peer refused us: {reason!r}", reason=reason, events=events)
