"""Commands, properties and socket types of ZMTP; the framing itself is inline in zmtp.pxd."""

from libc.errno cimport EPROTO
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, strlen


# ---- commands ----------------------------------------------------------------------------------------------

cdef struct command_row:
    const char* name
    size_t name_len
    int kind

cdef enum:
    COMMAND_ROWS = 12

# In the order of how often they arrive; the first match ends the search.
cdef command_row[COMMAND_ROWS] COMMANDS = [
    command_row(b"SUBSCRIBE", 9, COMMAND_SUBSCRIBE),
    command_row(b"CANCEL", 6, COMMAND_CANCEL),
    command_row(b"PING", 4, COMMAND_PING),
    command_row(b"PONG", 4, COMMAND_PONG),
    command_row(b"MESSAGE", 7, COMMAND_MESSAGE),
    command_row(b"READY", 5, COMMAND_READY),
    command_row(b"JOIN", 4, COMMAND_JOIN),
    command_row(b"LEAVE", 5, COMMAND_LEAVE),
    command_row(b"ERROR", 5, COMMAND_ERROR),
    command_row(b"HELLO", 5, COMMAND_HELLO),
    command_row(b"WELCOME", 7, COMMAND_WELCOME),
    command_row(b"INITIATE", 8, COMMAND_INITIATE),
]


cdef int parse_command(const uint8_t* body, size_t n, command* out) noexcept nogil:
    cdef int i
    out.kind = COMMAND_UNKNOWN
    out.ttl_ds = 0
    if n >= 5 and memcmp(body, b"^RROR", 5) == 0:
        # libzmq's PLAIN server means the length byte 5 and "ERROR"; a C escape took the E.  No command with a
        # name of 0x5E bytes begins like this.
        out.kind = COMMAND_ERROR
        out.name = body
        out.name_len = 5
        out.arg = body + 5
    else:
        if n < 2 or body[0] == 0 or body[0] > n - 1:
            return -EPROTO
        out.name = body + 1
        out.name_len = body[0]
        out.arg = out.name + out.name_len
        for i in range(COMMAND_ROWS):
            if COMMANDS[i].name_len == out.name_len and memcmp(COMMANDS[i].name, out.name, out.name_len) == 0:
                out.kind = COMMANDS[i].kind
                break
    out.arg_len = n - (out.arg - body)
    if out.kind == COMMAND_PING:
        if out.arg_len < 2:
            return -EPROTO
        out.ttl_ds = <uint16_t>(out.arg[0] << 8 | out.arg[1])
        out.arg += 2
        out.arg_len -= 2
    elif out.kind == COMMAND_ERROR:
        if out.arg_len < 1 or out.arg[0] > out.arg_len - 1:
            return -EPROTO
        out.arg_len = out.arg[0]
        out.arg += 1
    elif out.kind == COMMAND_JOIN or out.kind == COMMAND_LEAVE:
        if out.arg_len > GROUP_MAX:
            return -EPROTO
    return 0


cdef size_t command_frame_size(size_t name_len, size_t arg_len) noexcept nogil:
    cdef size_t body = 1 + name_len + arg_len
    return frame_header_size(body) + body


cdef size_t put_command_head(uint8_t* dst, const char* name, size_t name_len, size_t arg_len) noexcept nogil:
    cdef size_t at = frame_header(dst, FRAME_COMMAND, 1 + name_len + arg_len)
    dst[at] = <uint8_t>name_len
    memcpy(dst + at + 1, name, name_len)
    return at + 1 + name_len


cdef inline size_t _put_command(uint8_t* dst, const char* name, size_t name_len,
                                const uint8_t* arg, size_t arg_len) noexcept nogil:
    cdef size_t at = put_command_head(dst, name, name_len, arg_len)
    if arg_len:
        memcpy(dst + at, arg, arg_len)
    return at + arg_len


cdef size_t put_ping(uint8_t* dst, uint16_t ttl_ds) noexcept nogil:
    cdef size_t at = put_command_head(dst, b"PING", 4, 2)
    dst[at] = <uint8_t>(ttl_ds >> 8)
    dst[at + 1] = <uint8_t>ttl_ds
    return at + 2


cdef size_t put_pong(uint8_t* dst, const uint8_t* context, size_t n) noexcept nogil:
    return _put_command(dst, b"PONG", 4, context, min(n, <size_t>PING_CONTEXT_MAX))


cdef size_t subscribe_size(size_t n, bint cancel, int dialect) noexcept nogil:
    if dialect >= ZMTP_3_1:
        return command_frame_size(6 if cancel else 9, n)
    if dialect == ZMTP_1_0:
        return frame_header_v1_size(n + 1) + n + 1
    return frame_header_size(n + 1) + n + 1


cdef size_t put_subscribe(uint8_t* dst, const uint8_t* topic, size_t n, bint cancel, int dialect) noexcept nogil:
    cdef size_t at
    if dialect >= ZMTP_3_1:
        if cancel:
            return _put_command(dst, b"CANCEL", 6, topic, n)
        return _put_command(dst, b"SUBSCRIBE", 9, topic, n)
    at = frame_header_v1(dst, 0, n + 1) if dialect == ZMTP_1_0 else frame_header(dst, 0, n + 1)
    dst[at] = 0 if cancel else 1
    if n:
        memcpy(dst + at + 1, topic, n)
    return at + 1 + n


cdef size_t group_size(size_t n, bint leave) noexcept nogil:
    return command_frame_size(5 if leave else 4, n)


cdef size_t put_group(uint8_t* dst, const uint8_t* group, size_t n, bint leave) noexcept nogil:
    if leave:
        return _put_command(dst, b"LEAVE", 5, group, n)
    return _put_command(dst, b"JOIN", 4, group, n)


cdef size_t error_size(size_t n) noexcept nogil:
    return command_frame_size(5, 1 + min(n, <size_t>REASON_MAX))


cdef size_t put_error(uint8_t* dst, const char* reason, size_t n) noexcept nogil:
    cdef size_t at
    n = min(n, <size_t>REASON_MAX)
    at = put_command_head(dst, b"ERROR", 5, 1 + n)
    dst[at] = <uint8_t>n
    if n:
        memcpy(dst + at + 1, reason, n)
    return at + 1 + n


cdef size_t put_error_misspelt(uint8_t* dst, const char* reason, size_t n) noexcept nogil:
    cdef size_t at
    n = min(n, <size_t>REASON_MAX)
    at = frame_header(dst, FRAME_COMMAND, 6 + n)
    memcpy(dst + at, b"^RROR", 5)
    dst[at + 5] = <uint8_t>n
    memcpy(dst + at + 6, reason, n)
    return at + 6 + n


# ---- properties --------------------------------------------------------------------------------------------

cdef int next_property(const uint8_t** p, const uint8_t* end, zmtp_property* out) noexcept nogil:
    cdef const uint8_t* at = p[0]
    cdef size_t left = end - at
    cdef size_t value_len
    if left == 0:
        return 0
    if at[0] == 0 or left < 1 + <size_t>at[0] + 4:
        return -EPROTO
    out.name = at + 1
    out.name_len = at[0]
    at += 1 + out.name_len
    value_len = get_be32(at)
    at += 4
    # a value above 2^31-1 is refused with every other one that is longer than what there is
    if value_len > 0x7FFFFFFF or value_len > <size_t>(end - at):
        return -EPROTO
    out.value = at
    out.value_len = value_len
    p[0] = at + value_len
    return 1


cdef inline uint8_t _lower(uint8_t c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef bint same_name(const uint8_t* a, size_t a_len, const char* b, size_t b_len) noexcept nogil:
    cdef size_t i
    if a_len != b_len:
        return False
    for i in range(a_len):
        if _lower(a[i]) != _lower(<uint8_t>b[i]):
            return False
    return True


cdef size_t put_property(uint8_t* dst, const char* name, size_t name_len,
                         const uint8_t* value, size_t value_len) noexcept nogil:
    dst[0] = <uint8_t>name_len
    memcpy(dst + 1, name, name_len)
    put_be32(dst + 1 + name_len, <uint32_t>value_len)
    if value_len:
        memcpy(dst + 5 + name_len, value, value_len)
    return property_size(name_len, value_len)


# ---- socket types ------------------------------------------------------------------------------------------

cdef struct type_row:
    const char* name
    uint32_t peers              # bit N: may talk to type N

cdef enum:
    # the two families whose members share a set of peers
    PUBLISHERS = 1 << TYPE_PUB | 1 << TYPE_XPUB
    SUBSCRIBERS = 1 << TYPE_SUB | 1 << TYPE_XSUB

# Indexed by number.  The table of RFC 37, and DGRAM, which the RFC does not name.
cdef type_row[SOCKET_TYPES] TYPES = [
    type_row(b"PAIR", 1 << TYPE_PAIR),
    type_row(b"PUB", SUBSCRIBERS),
    type_row(b"SUB", PUBLISHERS),
    type_row(b"REQ", 1 << TYPE_REP | 1 << TYPE_ROUTER),
    type_row(b"REP", 1 << TYPE_REQ | 1 << TYPE_DEALER),
    type_row(b"DEALER", 1 << TYPE_REP | 1 << TYPE_DEALER | 1 << TYPE_ROUTER),
    type_row(b"ROUTER", 1 << TYPE_REQ | 1 << TYPE_DEALER | 1 << TYPE_ROUTER),
    type_row(b"PULL", 1 << TYPE_PUSH),
    type_row(b"PUSH", 1 << TYPE_PULL),
    type_row(b"XPUB", SUBSCRIBERS),
    type_row(b"XSUB", PUBLISHERS),
    type_row(b"STREAM", 0),
    type_row(b"SERVER", 1 << TYPE_CLIENT),
    type_row(b"CLIENT", 1 << TYPE_SERVER),
    type_row(b"RADIO", 1 << TYPE_DISH),
    type_row(b"DISH", 1 << TYPE_RADIO),
    type_row(b"GATHER", 1 << TYPE_SCATTER),
    type_row(b"SCATTER", 1 << TYPE_GATHER),
    type_row(b"DGRAM", 1 << TYPE_DGRAM),
    type_row(b"PEER", 1 << TYPE_PEER),
    type_row(b"CHANNEL", 1 << TYPE_CHANNEL),
]


cdef const char* socket_type_name(int socket_type) noexcept nogil:
    if not 0 <= socket_type < SOCKET_TYPES:
        return NULL
    return TYPES[socket_type].name


cdef int socket_type_number(const uint8_t* name, size_t n) noexcept nogil:
    cdef int i
    for i in range(SOCKET_TYPES):
        if strlen(TYPES[i].name) == n and memcmp(TYPES[i].name, name, n) == 0:
            return i
    return -1


cdef uint32_t compatible_types(int socket_type) noexcept nogil:
    if not 0 <= socket_type < SOCKET_TYPES:
        return 0
    return TYPES[socket_type].peers


cdef bint types_compatible(int a, int b) noexcept nogil:
    return 0 <= b < SOCKET_TYPES and compatible_types(a) >> b & 1


cdef bint announces_identity(int socket_type) noexcept nogil:
    return socket_type == TYPE_REQ or socket_type == TYPE_DEALER or socket_type == TYPE_ROUTER
