"""What every mechanism needs: output, failure, metadata, tables of states."""

from libc.errno cimport ENOMEM, EPROTO
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memmove, strlen

from .zmtp cimport (
    announces_identity, command, error_size, next_property, property_size, put_error, put_error_misspelt, put_property,
    same_name, socket_type_name, socket_type_number, types_compatible, zmtp_property,
)


# ---- output and failure ------------------------------------------------------------------------------------

cdef uint8_t* handshake_room(handshake* h, size_t n) noexcept nogil:
    cdef size_t used = h.out_tail - h.out_head
    cdef size_t cap
    cdef uint8_t* p
    if h.out_head > 0 and h.out_cap - h.out_tail < n:
        memmove(h.out, h.out + h.out_head, used)
        h.out_head = 0
        h.out_tail = used
    if h.out_cap - h.out_tail < n:
        cap = max(used + n, <size_t>256)
        # not realloc: what it leaves behind may be a password
        p = <uint8_t*>malloc(cap)
        if p == NULL:
            return NULL
        if used:
            memcpy(p, h.out + h.out_head, used)
        if h.out != NULL:
            handshake_wipe(h.out, h.out_cap)
            free(h.out)
        h.out = p
        h.out_head = 0
        h.out_tail = used
        h.out_cap = cap
    return h.out + h.out_tail


cdef int handshake_put(handshake* h, const uint8_t* data, size_t n) noexcept nogil:
    cdef uint8_t* at
    if n == 0:
        return 0
    at = handshake_room(h, n)
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    memcpy(at, data, n)
    h.out_tail += n
    return 0


cdef int handshake_fail(handshake* h, int failure, int code) noexcept nogil:
    h.state = HS_FAILED
    h.failure = failure
    h.code = code
    return -code if failure == HS_FAIL_LOCAL else -EPROTO


cdef int handshake_refuse(handshake* h, int failure, int code, const char* reason) noexcept nogil:
    cdef size_t n = strlen(reason)
    cdef uint8_t* at = handshake_room(h, error_size(n))
    # without memory for it the peer learns from the closed connection alone
    if at != NULL:
        h.out_tail += put_error_misspelt(at, reason, n) if h.ops.misspelt_error else put_error(at, reason, n)
    return handshake_fail(h, failure, code)


cdef void handshake_wipe(void* p, size_t n) noexcept nogil:
    cdef volatile uint8_t* v = <volatile uint8_t*>p
    cdef size_t i
    for i in range(n):
        v[i] = 0


# ---- tables of states --------------------------------------------------------------------------------------

cdef int handshake_step(handshake* h, const handshake_move* rows, int count, int event, const command* c) noexcept nogil:
    cdef const handshake_move* row = NULL
    cdef int i
    cdef int rc = 0
    for i in range(count):
        if rows[i].step == h.step and rows[i].event == event:
            row = &rows[i]
    if row == NULL:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)
    if row.take != NULL:
        rc = row.take(h, c)
    if rc == 0 and row.say != NULL:
        rc = row.say(h)
    if rc < 0:
        return rc
    h.step = row.next
    h.state = row.state
    if row.state == HS_WAIT_AUTHORISATION and not h.config.zap_wait:
        return handshake_step(h, rows, count, EVENT_ALLOWED, NULL)
    return 0


# ---- metadata ----------------------------------------------------------------------------------------------

cdef size_t metadata_size(const handshake_config* config) noexcept nogil:
    cdef size_t n = property_size(11, strlen(socket_type_name(config.socket_type)))
    if announces_identity(config.socket_type):
        n += property_size(8, config.identity_len)
    return n + config.extra_len


cdef size_t put_metadata(uint8_t* dst, const handshake_config* config) noexcept nogil:
    cdef const char* name = socket_type_name(config.socket_type)
    cdef size_t at = put_property(dst, b"Socket-Type", 11, <const uint8_t*>name, strlen(name))
    if announces_identity(config.socket_type):
        at += put_property(dst + at, b"Identity", 8, config.identity, config.identity_len)
    if config.extra_len:
        memcpy(dst + at, config.extra, config.extra_len)
        at += config.extra_len
    return at


cdef int take_socket_type(handshake* h, int socket_type) noexcept nogil:
    if not types_compatible(h.config.socket_type, socket_type):
        # RFC 13 and 15 know no ERROR
        if h.revision < 3:
            return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA)
        return handshake_refuse(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA, b"incompatible-socket-type")
    h.socket_type = socket_type
    return 0


cdef int take_identity(handshake* h, const uint8_t* p, size_t n) noexcept nogil:
    if n > 255:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA)
    h.identity_len = 0
    if n > 0 and p[0] == 0:
        # Names of this form are those a ROUTER makes up itself: taken over, one peer could pose as another.
        h.odd.reserved_identity += 1
    elif n > 0:
        memcpy(h.identity, p, n)
        h.identity_len = n
    return 0


cdef inline bint _named(handshake* h, const zmtp_property* found, const char* name, size_t n) noexcept nogil:
    if not same_name(found.name, found.name_len, name, n):
        return False
    if memcmp(found.name, name, n) != 0:
        h.odd.loose_names += 1
    return True


cdef int take_metadata(handshake* h, const uint8_t* p, size_t n) noexcept nogil:
    cdef const uint8_t* at = p
    cdef zmtp_property found
    cdef int types = 0
    cdef int identities = 0
    cdef int rc
    while True:
        rc = next_property(&at, p + n, &found)
        if rc <= 0:
            break
        if _named(h, &found, b"Socket-Type", 11):
            types += 1
            rc = take_socket_type(h, socket_type_number(found.value, found.value_len))
        elif _named(h, &found, b"Identity", 8):
            identities += 1
            rc = take_identity(h, found.value, found.value_len)
        if rc < 0:
            return rc
    # a property said twice would mean one thing to us and another to whoever reads the list later
    if rc < 0 or types > 1 or identities > 1:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA)
    if types == 0:
        h.odd.missing_type += 1
        if h.config.require_type:
            return handshake_refuse(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_METADATA,
                                    b"missing-socket-type")
    if n > 0:
        h.properties = <uint8_t*>malloc(n)
        if h.properties == NULL:
            return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
        memcpy(h.properties, p, n)
        h.properties_len = n
    return 0
