"""What is done with options: set, get, copy, free, for a socket's `options` and a context's `ctx_options`.

Everything here is plain memory work under the lock of the owner (socket or context); nothing blocks. The structs and
the rows they are described by come from `option_table` and may be cimported from here.

Errors are negative errno values: -EINVAL (no such option, not for this socket type, not settable or not readable, wrong
kind or range) and -ENOMEM. A set that fails changes nothing.
"""

from libc.stdint cimport int64_t, uint8_t
from zcore.option_table cimport (
    OPT_ABSENT, OPT_AT_ONCE, OPT_FIRST_SOCKET, OPT_GET, OPT_MECHANISM_CURVE, OPT_MECHANISM_NULL, OPT_MECHANISM_PLAIN,
    OPT_NEXT_ENDPOINT, OPT_NEXT_PEER, OPT_NEXT_SOCKET, OPT_READ, OPT_SET, OPT_TYPE_BYTES, OPT_TYPE_FD, OPT_TYPE_INT,
    OPT_TYPE_INT64, ctx_option_find, ctx_options, option_find, option_row, options,
)
from zcore.option_values cimport ip_filter, ip_filters, obytes, obytes_free, obytes_move, obytes_set, oints, sockaddr


# How a value is handed in and out.
cdef enum:
    OPT_KIND_INT64 = 0       # `value` points to one int64_t
    OPT_KIND_BYTES = 1       # `value` points to `size` bytes; NULL clears an option that can be cleared

# Answer of set and get: the value is fine, but belongs to the socket, which must act (SUBSCRIBE, FD, ...).
cdef enum:
    OPT_SPECIAL = 1

# A value read. `data` points into the options, or into `text`: valid until the options change and while this struct
# stays where it is.
cdef struct option_value:
    int kind                 # OPT_KIND_*
    int64_t number
    const uint8_t* data      # never NULL for OPT_KIND_BYTES
    size_t size
    uint8_t text[48]

# ---- options of a socket

# Fills raw memory with the defaults of this socket type. Cannot fail; owns nothing yet.
cdef void options_init(options* o, int socket_type) noexcept nogil
# What a new socket takes from its context: IPV6, and LINGER 0 when BLOCKY is 0.
cdef void options_inherit(options* o, const ctx_options* c) noexcept nogil
# Deep copy into raw memory; 0 or -ENOMEM (`dst` then owns nothing and need not be freed).
cdef int options_copy(options* dst, const options* src) noexcept nogil
# Frees, and wipes, what is owned; leaves the defaults of no socket type in particular.
cdef void options_free(options* o) noexcept nogil

# 0, OPT_SPECIAL (checked, nothing stored: the socket must act), -EINVAL or -ENOMEM.
cdef int options_set(options* o, int socket_type, int number, const void* value, size_t size, int kind) noexcept nogil
# 0 with `out` filled, OPT_SPECIAL (`out` untouched: the socket must answer) or -EINVAL.
cdef int options_get(const options* o, int socket_type, int number, option_value* out) noexcept nogil

# Writes what the option wants, such as "LINGER (17) takes an integer from -1 to 2147483647 (ms)", for a set or get that
# returned `code`. At most n bytes with the final NUL; returns the length written.
cdef int option_reason(int number, int code, char* buf, size_t n) noexcept nogil

# Whether TCP_ACCEPT_FILTER lets this address in: no filter, or one that covers it. An IPv4 address in IPv6 form counts
# as IPv4.
cdef bint options_accept_ip(const options* o, const sockaddr* address) noexcept nogil
# Whether IPC_FILTER_PID, _UID and _GID let this process in: no filter, or one of any kind that names it.
cdef bint options_accept_ipc(const options* o, int64_t pid, int64_t uid, int64_t gid) noexcept nogil

# ---- options of a context; the same rules

cdef void ctx_options_init(ctx_options* c) noexcept nogil
cdef void ctx_options_free(ctx_options* c) noexcept nogil
cdef int ctx_options_set(ctx_options* c, int number, const void* value, size_t size, int kind) noexcept nogil
cdef int ctx_options_get(const ctx_options* c, int number, option_value* out) noexcept nogil

# ---- Python face

# One socket's options without the socket: for tests and tools.
cdef class OptionSet:
    cdef options o
    cdef readonly int socket_type

# One context's options without the context.
cdef class ContextOptionSet:
    cdef ctx_options c
