"""ZMTP on the wire: frames, commands, properties, socket types.  Pure functions over bytes.

Nothing here keeps state, allocates, or knows a descriptor.  Errors are negative errno numbers: -EPROTO for
bytes no peer may send.  Sources: RFC 13 (ZMTP 1.0), RFC 15 (2.0), RFC 23 (3.0), RFC 37 (3.1).
"""

from libc.errno cimport EPROTO
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


# ---- framing -----------------------------------------------------------------------------------------------

cdef enum:
    FRAME_MORE = 1              # another frame of the same message follows
    FRAME_LONG = 2              # the size takes eight bytes
    FRAME_COMMAND = 4           # for the engine, not for the application (ZMTP 3.x only)
    FRAME_RESERVED = 0xF8       # must be sent as zero, are ignored on receipt
    FRAME_HEADER_MAX = 9        # longest header of ZMTP 2 and 3
    FRAME_HEADER_V1_MAX = 10    # longest header of ZMTP 1.0, its flags byte included

# How to talk to a peer once the handshake is over.  Ordered: later ones can do more.
cdef enum zmtp_dialect:
    ZMTP_1_0 = 0                # length-prefixed frames, no commands
    ZMTP_2_0 = 1                # flags-prefixed frames, subscriptions as messages
    ZMTP_3_0 = 2                # the same, and commands
    ZMTP_3_1 = 3                # SUBSCRIBE and CANCEL are commands

cdef struct frame_head:
    uint64_t size               # bytes of the body; never counts the flags byte, in any version
    uint8_t flags               # as received, reserved bits included


cdef inline uint64_t get_be64(const uint8_t* p) noexcept nogil:
    return (<uint64_t>p[0] << 56 | <uint64_t>p[1] << 48 | <uint64_t>p[2] << 40 | <uint64_t>p[3] << 32 |
            <uint64_t>p[4] << 24 | <uint64_t>p[5] << 16 | <uint64_t>p[6] << 8 | <uint64_t>p[7])


cdef inline void put_be64(uint8_t* p, uint64_t v) noexcept nogil:
    p[0] = <uint8_t>(v >> 56)
    p[1] = <uint8_t>(v >> 48)
    p[2] = <uint8_t>(v >> 40)
    p[3] = <uint8_t>(v >> 32)
    p[4] = <uint8_t>(v >> 24)
    p[5] = <uint8_t>(v >> 16)
    p[6] = <uint8_t>(v >> 8)
    p[7] = <uint8_t>v


cdef inline uint32_t get_be32(const uint8_t* p) noexcept nogil:
    return <uint32_t>p[0] << 24 | <uint32_t>p[1] << 16 | <uint32_t>p[2] << 8 | <uint32_t>p[3]


cdef inline void put_be32(uint8_t* p, uint32_t v) noexcept nogil:
    p[0] = <uint8_t>(v >> 24)
    p[1] = <uint8_t>(v >> 16)
    p[2] = <uint8_t>(v >> 8)
    p[3] = <uint8_t>v


# Bytes of the ZMTP 2/3 header of a body of `size` bytes.
cdef inline size_t frame_header_size(uint64_t size) noexcept nogil:
    return 2 if size <= 255 else 9


# Write the ZMTP 2/3 header, at most FRAME_HEADER_MAX bytes, and return its length.  LONG is set here, as the
# size demands; the caller's flags carry only MORE and COMMAND.
cdef inline size_t frame_header(uint8_t* dst, uint8_t flags, uint64_t size) noexcept nogil:
    flags &= FRAME_MORE | FRAME_COMMAND
    if size <= 255:
        dst[0] = flags
        dst[1] = <uint8_t>size
        return 2
    dst[0] = flags | FRAME_LONG
    put_be64(dst + 1, size)
    return 9


# Read a ZMTP 2/3 header: its length (2 or 9), 0 while bytes are missing, -EPROTO for a size above 2^63-1
# (said as soon as the first byte of the size shows it).  `out` is valid only when the result is positive.
cdef inline int parse_header(const uint8_t* p, size_t n, frame_head* out) noexcept nogil:
    if n < 2:
        return 0
    out.flags = p[0]
    if not p[0] & FRAME_LONG:
        out.size = p[1]
        return 2
    if p[1] & 0x80:
        return -EPROTO
    if n < 9:
        return 0
    out.size = get_be64(p + 1)
    return 9


cdef inline size_t frame_header_v1_size(uint64_t size) noexcept nogil:
    return 2 if size < 254 else 10


# Write the ZMTP 1.0 header (its length field counts the flags byte), at most FRAME_HEADER_V1_MAX bytes.  The
# only flag 1.0 knows is MORE.
cdef inline size_t frame_header_v1(uint8_t* dst, uint8_t flags, uint64_t size) noexcept nogil:
    if size < 254:
        dst[0] = <uint8_t>(size + 1)
        dst[1] = flags & FRAME_MORE
        return 2
    dst[0] = 0xFF
    put_be64(dst + 1, size + 1)
    dst[9] = flags & FRAME_MORE
    return 10


# Read a ZMTP 1.0 header: its length (2 or 10), 0 while bytes are missing, -EPROTO for a length of zero or above
# 2^63-1.  Bits other than MORE are reported as they came.
cdef inline int parse_header_v1(const uint8_t* p, size_t n, frame_head* out) noexcept nogil:
    cdef uint64_t length
    if n < 1:
        return 0
    if p[0] == 0:
        return -EPROTO
    if p[0] != 0xFF:
        if n < 2:
            return 0
        out.size = p[0] - 1
        out.flags = p[1]
        return 2
    if n > 1 and p[1] & 0x80:
        return -EPROTO
    if n < 9:
        return 0
    length = get_be64(p + 1)
    if length == 0:
        return -EPROTO
    if n < 10:
        return 0
    out.size = length - 1
    out.flags = p[9]
    return 10


# ---- commands ----------------------------------------------------------------------------------------------

cdef enum command_kind:
    COMMAND_UNKNOWN = 0         # a well-formed name this engine does not know: to be ignored and counted
    COMMAND_READY
    COMMAND_ERROR
    COMMAND_SUBSCRIBE
    COMMAND_CANCEL
    COMMAND_PING
    COMMAND_PONG
    COMMAND_JOIN
    COMMAND_LEAVE
    COMMAND_HELLO
    COMMAND_WELCOME
    COMMAND_INITIATE
    COMMAND_MESSAGE

cdef enum:
    PING_CONTEXT_MAX = 16
    GROUP_MAX = 255
    REASON_MAX = 255
    # put_ping and put_pong never write more than this
    PING_FRAME_SIZE = 9
    PONG_FRAME_MAX = 2 + 5 + PING_CONTEXT_MAX

# A command as found in a frame's body.  All pointers are borrowed from that body.
cdef struct command:
    int kind                    # COMMAND_*
    const uint8_t* name         # as spelt by the peer
    size_t name_len
    const uint8_t* arg          # SUBSCRIBE, CANCEL: topic.  JOIN, LEAVE: group.  PING, PONG: context.
    size_t arg_len              # ERROR: the reason's text.  READY: property list.  Others: what follows the name.
    uint16_t ttl_ds             # PING: time to live in tenths of a second, 0 none

# Read the body of a command frame.  0, or -EPROTO: name length zero or beyond the body, PING without its TTL,
# ERROR whose reason is cut short, JOIN or LEAVE with a group above GROUP_MAX.  Accepts the spelling `^RROR`
# which libzmq's PLAIN server puts on the wire.
cdef int parse_command(const uint8_t* body, size_t n, command* out) noexcept nogil

# Builders.  Each writes a complete frame, header included, and returns its length; `dst` has room for what the
# matching `..._size` says.
cdef size_t command_frame_size(size_t name_len, size_t arg_len) noexcept nogil
# Header and name; the caller appends `arg_len` bytes.
cdef size_t put_command_head(uint8_t* dst, const char* name, size_t name_len, size_t arg_len) noexcept nogil

cdef size_t put_ping(uint8_t* dst, uint16_t ttl_ds) noexcept nogil      # without context; PING_FRAME_SIZE bytes
# The context is cut at PING_CONTEXT_MAX: at most PONG_FRAME_MAX bytes.
cdef size_t put_pong(uint8_t* dst, const uint8_t* context, size_t n) noexcept nogil

# A subscription or its end, as the peer's dialect wants it: a command for 3.1, else a message whose first byte
# is 1 or 0.
cdef size_t subscribe_size(size_t n, bint cancel, int dialect) noexcept nogil
cdef size_t put_subscribe(uint8_t* dst, const uint8_t* topic, size_t n, bint cancel, int dialect) noexcept nogil

cdef size_t group_size(size_t n, bint leave) noexcept nogil
cdef size_t put_group(uint8_t* dst, const uint8_t* group, size_t n, bint leave) noexcept nogil

# The reason is cut at REASON_MAX.
cdef size_t error_size(size_t n) noexcept nogil
cdef size_t put_error(uint8_t* dst, const char* reason, size_t n) noexcept nogil
# The same as libzmq's PLAIN server spells it: its clients understand no other.
cdef size_t put_error_misspelt(uint8_t* dst, const char* reason, size_t n) noexcept nogil


# ---- properties --------------------------------------------------------------------------------------------

# One name and value of a metadata list; pointers borrowed from it.
cdef struct zmtp_property:
    const uint8_t* name
    size_t name_len             # 1-255
    const uint8_t* value
    size_t value_len            # 0 to 2^31-1

# Take the next property of a list and advance `p`: 1, 0 at its end, -EPROTO when what is left is not one.
cdef int next_property(const uint8_t** p, const uint8_t* end, zmtp_property* out) noexcept nogil
# Whether two names differ in case at most.
cdef bint same_name(const uint8_t* a, size_t a_len, const char* b, size_t b_len) noexcept nogil

# The caller has checked the limits of `property`.
cdef inline size_t property_size(size_t name_len, size_t value_len) noexcept nogil:
    return 1 + name_len + 4 + value_len

cdef size_t put_property(uint8_t* dst, const char* name, size_t name_len,
                         const uint8_t* value, size_t value_len) noexcept nogil


# ---- socket types ------------------------------------------------------------------------------------------

cdef enum zmtp_socket_type:
    TYPE_PAIR = 0
    TYPE_PUB = 1
    TYPE_SUB = 2
    TYPE_REQ = 3
    TYPE_REP = 4
    TYPE_DEALER = 5
    TYPE_ROUTER = 6
    TYPE_PULL = 7
    TYPE_PUSH = 8
    TYPE_XPUB = 9
    TYPE_XSUB = 10
    TYPE_STREAM = 11            # speaks no ZMTP
    TYPE_SERVER = 12
    TYPE_CLIENT = 13
    TYPE_RADIO = 14
    TYPE_DISH = 15
    TYPE_GATHER = 16
    TYPE_SCATTER = 17
    TYPE_DGRAM = 18
    TYPE_PEER = 19
    TYPE_CHANNEL = 20

cdef enum:
    SOCKET_TYPES = 21           # how many there are

# The name in the Socket-Type property (NUL-terminated, static), or NULL for a number that is no type.
cdef const char* socket_type_name(int socket_type) noexcept nogil
# The number of a name as it stands on the wire (case matters), or -1.
cdef int socket_type_number(const uint8_t* name, size_t n) noexcept nogil
# Bit N set: a peer of type N may talk to this type.  0 for a number that is no type.
cdef uint32_t compatible_types(int socket_type) noexcept nogil
cdef bint types_compatible(int a, int b) noexcept nogil
# Whether READY of this type carries Identity (REQ, DEALER and ROUTER; even when empty).
cdef bint announces_identity(int socket_type) noexcept nogil
