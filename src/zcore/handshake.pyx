"""Greeting, downgrade and framing of the handshake; what the commands mean is the mechanism's.

In theory: both sides speak at once and each must find out from the other's first bytes how old it is, before it
has sent anything an older peer would misread.  So our 64-byte greeting leaves in steps, each step only when what
has been read makes it harmless:

    read so far                                 then the peer is               we send next
    nothing                                     anybody                        signature, 10 bytes
    first byte not FF                           ZMTP 1.0                       our identity, unframed
    10 bytes, bit 0 of the last clear           ZMTP 1.0, long identity        our identity, unframed
    10 bytes, bit 0 of the last set             1.0 with a version, or later   major version 3
    11th byte 0                                 ZMTP 1.0 with a version        socket type, identity as 1.0 frame
    11th byte 1 or 2                            ZMTP 2.0                       socket type, identity as 2.0 frame
    11th byte 3 or more                         ZMTP 3.x or later              the other 53 bytes

The signature can go first because its eight padding bytes carry the length of our identity plus one: to a ZMTP
1.0 peer FF, length, 7F is the header of a long frame, and the identity that follows is its body.  Where older
peers are refused nothing has to be held back and all 64 bytes go at once; then the 11th byte is read like any
other.

    PHASE_SIGNATURE ---> PHASE_REVISION ---> PHASE_GREETING ---> PHASE_COMMANDS ---> (HS_READY)
          |                    `---> PHASE_TYPE ---.
          `----------------------------------------+--> PHASE_IDENTITY ------------> (HS_READY)

A phase of the greeting wants `h.greeting` filled up to a fixed length; the two last phases want one frame after
the other.  A frame's body is collected only as it arrives and only when it does not lie whole in the caller's
buffer: its announced size buys no memory.
"""

from libc.errno cimport EINVAL, EMSGSIZE, ENOMEM, EPROTO
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from .curve cimport curve_mechanism
from .mechanism cimport (
    HANDSHAKE_FRAME_MAX, HS_FAIL_AUTH, HS_FAIL_LOCAL, HS_FAIL_PROTOCOL, HS_FAIL_REFUSED, HS_FAILED, HS_MORE,
    HS_READY, HS_WAIT_AUTHORISATION, MECHANISM_CURVE, MECHANISM_NULL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA,
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR, PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH,
    MECHANISM_PLAIN, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND, PROTOCOL_ERROR_ZMTP_UNSPECIFIED, handshake,
    handshake_config, handshake_fail, handshake_put, handshake_refuse, handshake_wipe, mechanism_ops, metadata_size,
    take_identity, take_socket_type,
)
from .null cimport null_mechanism
from .plain cimport plain_mechanism
from .zmtp cimport (
    COMMAND_ERROR, FRAME_COMMAND, FRAME_MORE, FRAME_RESERVED, TYPE_DGRAM, TYPE_PUB, TYPE_STREAM, TYPE_SUB,
    TYPE_XPUB, TYPE_XSUB, ZMTP_1_0, ZMTP_2_0, ZMTP_3_0, ZMTP_3_1, command, command_frame_size, frame_header,
    frame_header_v1, next_property, parse_command, parse_header, parse_header_v1, zmtp_property,
    put_be64, same_name, socket_type_name,
)

cdef enum:
    SIGNATURE_SIZE = 10
    REVISION_AT = 10
    MINOR_AT = 11
    MECHANISM_AT = 12
    MECHANISM_SIZE = 20
    AS_SERVER_AT = 32
    GREETING_SIZE = 64
    SECURE_ROOM = 512           # more than any mechanism adds to the metadata in INITIATE or READY

cdef enum handshake_phase:
    PHASE_SIGNATURE
    PHASE_REVISION
    PHASE_TYPE
    PHASE_GREETING
    PHASE_IDENTITY
    PHASE_COMMANDS

# How much of `h.greeting` a phase wants, for the phases that come before PHASE_IDENTITY.
cdef size_t[4] WANTED = [SIGNATURE_SIZE, REVISION_AT + 1, 12, GREETING_SIZE]


# ---- our side ----------------------------------------------------------------------------------------------

# Queue our greeting up to, not including, byte `end`.
cdef int _send_greeting(handshake* h, size_t end) noexcept nogil:
    cdef uint8_t[GREETING_SIZE] ours
    cdef size_t begin = h.greeting_sent
    if end <= begin:
        return 0
    memset(ours, 0, GREETING_SIZE)
    ours[0] = 0xFF
    put_be64(&ours[1], h.config.identity_len + 1)
    ours[9] = 0x7F
    ours[REVISION_AT] = 3
    ours[MINOR_AT] = 1
    memcpy(&ours[MECHANISM_AT], h.ops.name, strlen(h.ops.name))
    ours[AS_SERVER_AT] = h.config.as_server and h.config.mechanism != MECHANISM_NULL
    h.greeting_sent = end
    return handshake_put(h, &ours[begin], end - begin)


# Queue our part of a greeting of ZMTP 2.0, or of 1.0 with a version, behind the major version.
cdef int _send_legacy(handshake* h) noexcept nogil:
    cdef uint8_t[12] head
    cdef size_t n = 1
    cdef int rc
    # RFC 15: on the wire there are only PUB and SUB
    head[0] = <uint8_t>h.config.socket_type
    if h.config.socket_type == TYPE_XPUB:
        head[0] = TYPE_PUB
    elif h.config.socket_type == TYPE_XSUB:
        head[0] = TYPE_SUB
    if h.revision == 0:
        n += frame_header_v1(&head[1], 0, h.config.identity_len)
    else:
        n += frame_header(&head[1], 0, h.config.identity_len)
    rc = handshake_put(h, head, n)
    if rc == 0:
        rc = handshake_put(h, h.config.identity, h.config.identity_len)
    return rc


# Whether the configured property list is one, and does not say what READY says anyway.
cdef bint _extra_is_sound(const handshake_config* config) noexcept nogil:
    cdef const uint8_t* at = config.extra
    cdef zmtp_property found
    cdef int rc
    if config.extra_len == 0:
        return True
    while True:
        rc = next_property(&at, config.extra + config.extra_len, &found)
        if rc <= 0:
            return rc == 0
        if same_name(found.name, found.name_len, b"Socket-Type", 11) or \
                same_name(found.name, found.name_len, b"Identity", 8):
            return False


cdef const mechanism_ops* _mechanism(int number) noexcept nogil:
    if number == MECHANISM_PLAIN:
        return plain_mechanism()
    if number == MECHANISM_CURVE:
        return curve_mechanism()
    return null_mechanism()


cdef int handshake_init(handshake* h, const handshake_config* config) noexcept nogil:
    cdef int rc
    memset(h, 0, sizeof(handshake))
    h.config = config[0]
    h.revision = -1
    h.socket_type = -1
    h.state = HS_MORE
    h.phase = PHASE_SIGNATURE
    if socket_type_name(config.socket_type) == NULL or config.socket_type == TYPE_STREAM or \
            config.socket_type == TYPE_DGRAM or config.identity_len > 255 or config.max_size < -1 or \
            not MECHANISM_NULL <= config.mechanism <= MECHANISM_CURVE or not _extra_is_sound(config):
        return -EINVAL
    h.ops = _mechanism(config.mechanism)
    if command_frame_size(5, metadata_size(config)) + \
            (0 if config.mechanism == MECHANISM_NULL else SECURE_ROOM) > HANDSHAKE_FRAME_MAX:
        return -EMSGSIZE
    if config.zap_wait or config.require_zap or config.mechanism != MECHANISM_NULL:
        h.config.allow_downgrade = False
    if h.ops.init != NULL:
        rc = h.ops.init(h)
        if rc < 0:
            handshake_free(h)
            return rc
    rc = _send_greeting(h, SIGNATURE_SIZE if h.config.allow_downgrade else GREETING_SIZE)
    if rc < 0:
        handshake_free(h)
    return rc


cdef void handshake_trim(handshake* h) noexcept nogil:
    # a password may have gone through either
    if h.out != NULL:
        handshake_wipe(h.out, h.out_cap)
    if h.body != NULL:
        handshake_wipe(h.body, h.body_cap)
    free(h.out)
    h.out = NULL
    h.out_head = h.out_tail = h.out_cap = 0
    free(h.body)
    h.body = NULL
    h.body_len = h.body_cap = 0


cdef void handshake_free(handshake* h) noexcept nogil:
    if h.ops != NULL and h.ops.finish != NULL and h.private != NULL:
        h.ops.finish(h)
    h.private = NULL
    handshake_trim(h)
    free(h.properties)
    h.properties = NULL
    h.properties_len = 0


cdef void handshake_drop(handshake** h) noexcept nogil:
    if h[0] != NULL:
        handshake_free(h[0])
        free(h[0])
        h[0] = NULL


cdef size_t handshake_output(const handshake* h, const uint8_t** data) noexcept nogil:
    data[0] = h.out + h.out_head
    return h.out_tail - h.out_head


cdef void handshake_sent(handshake* h, size_t n) noexcept nogil:
    h.out_head += n
    if h.out_head >= h.out_tail:
        h.out_head = h.out_tail = 0


# ---- the peer's frames -------------------------------------------------------------------------------------

# The peer sent ERROR: note what it says.
cdef int _on_error(handshake* h, const command* c) noexcept nogil:
    h.by_peer = True
    memcpy(h.reason, c.arg, c.arg_len)
    h.reason_len = c.arg_len
    if c.arg_len == 3 and 51 <= c.arg[0] <= 53 and c.arg[1] == 48 and c.arg[2] == 48:     # "300", "400", "500"
        return handshake_fail(h, HS_FAIL_AUTH, (c.arg[0] - 48) * 100)
    return handshake_fail(h, HS_FAIL_REFUSED, 0)


cdef int _on_frame(handshake* h, const uint8_t* body, size_t n) noexcept nogil:
    cdef command c
    cdef int rc
    if h.phase == PHASE_IDENTITY:
        rc = take_identity(h, body, n)
        if rc == 0:
            h.state = HS_READY
        return rc
    rc = parse_command(body, n, &c)
    if c.kind == COMMAND_ERROR:
        if rc < 0:
            return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR)
        return _on_error(h, &c)
    if rc < 0:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)
    return h.ops.process(h, &c)


# Judge a frame by its header, before any of its body is taken.
cdef int _on_header(handshake* h) noexcept nogil:
    cdef uint64_t limit = HANDSHAKE_FRAME_MAX if h.phase == PHASE_COMMANDS else 255
    if h.phase == PHASE_COMMANDS and h.ops.largest != NULL:
        limit = h.ops.largest(h)
    if h.config.max_size >= 0 and <uint64_t>h.config.max_size < limit:
        limit = <uint64_t>h.config.max_size
    if h.frame.size > limit:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNSPECIFIED)
    if h.phase == PHASE_COMMANDS:
        if h.frame.flags & FRAME_RESERVED:
            h.odd.reserved_bits += 1
        # Before the handshake is over every frame is a command, whatever its flags say; libzmq reads it so.
        if h.frame.flags & (FRAME_COMMAND | FRAME_MORE) != FRAME_COMMAND:
            h.odd.loose_frames += 1
    return 0


# Append to the body under way.
cdef int _collect(handshake* h, const uint8_t* data, size_t n) noexcept nogil:
    cdef size_t cap
    cdef uint8_t* p
    if h.body_cap - h.body_len < n:
        cap = max(h.body_len + n, min(2 * h.body_cap, <size_t>h.frame.size))
        p = <uint8_t*>malloc(cap)         # not realloc: see handshake_room
        if p == NULL:
            return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
        if h.body != NULL:
            memcpy(p, h.body, h.body_len)
            handshake_wipe(h.body, h.body_cap)
            free(h.body)
        h.body = p
        h.body_cap = cap
    memcpy(h.body + h.body_len, data, n)
    h.body_len += n
    return 0


cdef ssize_t _take_frame(handshake* h, const uint8_t* data, size_t n) noexcept nogil:
    cdef size_t used = 0
    cdef size_t take
    cdef int rc
    while not h.in_body:
        if h.phase == PHASE_IDENTITY and h.revision == 0:
            rc = parse_header_v1(h.head, h.head_len, &h.frame)
        else:
            rc = parse_header(h.head, h.head_len, &h.frame)
        if rc < 0:
            return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNSPECIFIED)
        if rc > 0:
            rc = _on_header(h)
            if rc < 0:
                return rc
            h.in_body = True
        elif used == n:
            return <ssize_t>used
        else:
            h.head[h.head_len] = data[used]
            h.head_len += 1
            used += 1
    take = min(n - used, <size_t>h.frame.size - h.body_len)
    rc = 0
    if h.body_len + take == h.frame.size:
        h.in_body = False
        h.head_len = 0
        if h.body_len == 0:
            rc = _on_frame(h, data + used, take)
        else:
            rc = _collect(h, data + used, take)
            if rc == 0:
                rc = _on_frame(h, h.body, h.body_len)
            h.body_len = 0
    elif take > 0:
        rc = _collect(h, data + used, take)
    return rc if rc < 0 else <ssize_t>(used + take)


# ---- the peer's greeting -----------------------------------------------------------------------------------

# The peer is older than 3.0.  0, or the handshake has failed because such peers are not wanted.
cdef int _downgrade(handshake* h, int revision) noexcept nogil:
    if not h.config.allow_downgrade:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNSPECIFIED)
    h.revision = revision
    h.dialect = ZMTP_1_0 if revision == 0 else ZMTP_2_0
    return 0


cdef int _on_unversioned(handshake* h) noexcept nogil:
    cdef int rc = _downgrade(h, 0)
    if rc < 0:
        return rc
    h.unversioned = True
    # what has been read is the beginning of the peer's identity frame
    memcpy(h.head, h.greeting, h.greeting_len)
    h.head_len = h.greeting_len
    h.phase = PHASE_IDENTITY
    return handshake_put(h, h.config.identity, h.config.identity_len)


cdef int _on_revision(handshake* h) noexcept nogil:
    cdef int revision = h.greeting[REVISION_AT]
    cdef int rc
    if revision >= 3:
        h.phase = PHASE_GREETING
        return _send_greeting(h, GREETING_SIZE)
    rc = _downgrade(h, min(revision, 1))
    if rc < 0:
        return rc
    h.phase = PHASE_TYPE
    return _send_legacy(h)


cdef int _on_legacy_type(handshake* h) noexcept nogil:
    cdef int socket_type = h.greeting[11]
    h.phase = PHASE_IDENTITY
    if socket_type <= TYPE_XSUB:
        return take_socket_type(h, socket_type)
    h.odd.missing_type += 1
    if h.config.require_type:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA)
    return 0


cdef int _on_greeting(handshake* h) noexcept nogil:
    cdef uint8_t[MECHANISM_SIZE] name
    h.revision = 3
    h.major = h.greeting[REVISION_AT]
    h.minor = h.greeting[MINOR_AT]
    h.dialect = ZMTP_3_0 if h.major == 3 and h.minor == 0 else ZMTP_3_1
    h.peer_as_server = h.greeting[AS_SERVER_AT] != 0
    memset(name, 0, MECHANISM_SIZE)
    memcpy(name, h.ops.name, strlen(h.ops.name))
    if memcmp(name, &h.greeting[MECHANISM_AT], MECHANISM_SIZE) != 0:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
    # Two servers would wait for each other.  Two clients need no rule: libzmq's servers, too, say that they are none.
    if h.peer_as_server and h.config.as_server and h.config.mechanism != MECHANISM_NULL:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
    h.phase = PHASE_COMMANDS
    return h.ops.start(h)


cdef ssize_t _take_greeting(handshake* h, const uint8_t* data, size_t n) noexcept nogil:
    cdef size_t take = min(n, WANTED[h.phase] - h.greeting_len)
    cdef int rc = 0
    if h.greeting_len == 0:
        take = 1        # a ZMTP 1.0 peer shows in its first byte, and may send but two before it waits for us
    memcpy(&h.greeting[h.greeting_len], data, take)
    h.greeting_len += take
    if h.greeting[0] != 0xFF or (h.greeting_len == SIGNATURE_SIZE and not h.greeting[9] & 1):
        rc = _on_unversioned(h)
        if rc == 0:
            # the header may be complete already, and with an empty identity nothing more would come
            rc = <int>_take_frame(h, data, 0)
    elif h.greeting_len == WANTED[h.phase]:
        if h.phase == PHASE_SIGNATURE:
            h.phase = PHASE_REVISION
            rc = _send_greeting(h, REVISION_AT + 1)
        elif h.phase == PHASE_REVISION:
            rc = _on_revision(h)
        elif h.phase == PHASE_TYPE:
            rc = _on_legacy_type(h)
        else:
            rc = _on_greeting(h)
    return rc if rc < 0 else <ssize_t>take


# ---- both --------------------------------------------------------------------------------------------------

cdef ssize_t handshake_input(handshake* h, const uint8_t* data, size_t n) noexcept nogil:
    cdef size_t used = 0
    cdef ssize_t rc
    if h.state == HS_FAILED:
        return -h.code if h.failure == HS_FAIL_LOCAL else -EPROTO
    while h.state == HS_MORE and used < n:
        if h.phase < PHASE_IDENTITY:
            rc = _take_greeting(h, data + used, n - used)
        else:
            rc = _take_frame(h, data + used, n - used)
        if rc < 0:
            return rc
        used += rc
    return <ssize_t>used


cdef int handshake_authorise(handshake* h, int status) noexcept nogil:
    if h.state != HS_WAIT_AUTHORISATION:
        return -EINVAL
    if status == 200:
        return h.ops.authorised(h)
    if status == 300:
        handshake_fail(h, HS_FAIL_AUTH, status)
    elif status == 400:
        handshake_refuse(h, HS_FAIL_AUTH, status, b"400")
    elif status == 500:
        handshake_refuse(h, HS_FAIL_AUTH, status, b"500")
    else:
        return -EINVAL
    return 0
