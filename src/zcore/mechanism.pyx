"""What every mechanism needs (output, failure, metadata), and the NULL mechanism.

NULL in theory: two READY commands cross, one each way, and nobody waits for the other.  Two facts therefore
move independently, "ours is queued" and "theirs is in", and the handshake is over when both hold.  An
authoriser (ZAP) adds a third: ours may go only after its verdict, because a READY is what tells the peer that
it has been let in.

Who is asked when: the authoriser wants to know the identity, which stands in the peer's READY.  But if both
sides held their READY back until they had seen the other's, none would ever go.  RFC 37 calls the connecting
side the client, which speaks first.  So the listening side waits for the peer's READY and then for its verdict;
the connecting side asks for its verdict at once, without knowing the identity, and waits for nobody else.

                     greeting matches                     peer's READY          verdict: yes
                     open       connecting   listening
    NULL_NEW         SENT: send ASKED: ask   HELD
    NULL_ASKED                                                                  SENT: send
    NULL_HELD                                             JUDGED: ask
    NULL_JUDGED                                                                 OVER: send, ready
    NULL_SENT                                             OVER: ready
    NULL_OVER

("open": nobody is asked.  An empty place is a peer's protocol error.  ERROR ends any step.)
"""

from libc.errno cimport ENOMEM, EPROTO
from libc.stdint cimport uint8_t
from libc.stdlib cimport malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, strlen

from .zmtp cimport (
    COMMAND_READY, command, command_frame_size, error_size, announces_identity, next_property, zmtp_property,
    property_size, put_command_head, put_error, put_property, same_name, socket_type_name, socket_type_number,
    types_compatible,
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
        p = <uint8_t*>realloc(h.out, cap)
        if p == NULL:
            return NULL
        h.out = p
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
        h.out_tail += put_error(at, reason, n)
    return handshake_fail(h, failure, code)


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


# ---- NULL --------------------------------------------------------------------------------------------------

cdef enum null_step:
    NULL_NEW                    # the peer's greeting has not matched yet
    NULL_ASKED                  # verdict awaited, peer's READY unread
    NULL_HELD                   # peer's READY awaited, ours held back for the verdict
    NULL_JUDGED                 # peer's READY is in, verdict awaited
    NULL_SENT                   # ours is queued, the peer's awaited
    NULL_OVER
    NULL_STEPS

cdef enum null_event:
    NULL_OPEN                   # the greeting matches; nobody is asked
    NULL_CONNECTING             # the greeting matches; we connected and an authoriser is asked
    NULL_LISTENING              # the greeting matches; the peer connected and an authoriser is asked
    NULL_READY                  # the peer's READY
    NULL_ALLOWED                # the verdict is yes
    NULL_EVENTS

cdef enum null_action:
    NULL_SEND = 1               # queue our READY
    NULL_ASK = 2                # HS_WAIT_AUTHORISATION
    NULL_FINISH = 4             # HS_READY

cdef struct null_move:
    uint8_t allowed             # 0: the event may not come in this step
    uint8_t action              # NULL_SEND | NULL_ASK | NULL_FINISH
    uint8_t step                # next

# all moves that are not named are forbidden
cdef null_move[NULL_STEPS][NULL_EVENTS] MOVES

MOVES[<int>NULL_NEW][<int>NULL_OPEN] = null_move(1, NULL_SEND, NULL_SENT)
MOVES[<int>NULL_NEW][<int>NULL_CONNECTING] = null_move(1, NULL_ASK, NULL_ASKED)
MOVES[<int>NULL_NEW][<int>NULL_LISTENING] = null_move(1, 0, NULL_HELD)
MOVES[<int>NULL_ASKED][<int>NULL_ALLOWED] = null_move(1, NULL_SEND, NULL_SENT)
MOVES[<int>NULL_HELD][<int>NULL_READY] = null_move(1, NULL_ASK, NULL_JUDGED)
MOVES[<int>NULL_JUDGED][<int>NULL_ALLOWED] = null_move(1, NULL_SEND | NULL_FINISH, NULL_OVER)
MOVES[<int>NULL_SENT][<int>NULL_READY] = null_move(1, NULL_FINISH, NULL_OVER)


cdef int _null_send_ready(handshake* h) noexcept nogil:
    cdef size_t n = metadata_size(&h.config)
    cdef uint8_t* at = handshake_room(h, command_frame_size(5, n))
    cdef size_t head
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    head = put_command_head(at, b"READY", 5, n)
    h.out_tail += head + put_metadata(at + head, &h.config)
    return 0


cdef int _null_move(handshake* h, int event) noexcept nogil:
    cdef null_move* move = &MOVES[h.step][event]
    cdef int rc
    if not move.allowed:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)
    h.step = move.step
    if move.action & NULL_SEND:
        rc = _null_send_ready(h)
        if rc < 0:
            return rc
    if move.action & NULL_ASK:
        h.state = HS_WAIT_AUTHORISATION
    elif move.action & NULL_FINISH:
        h.state = HS_READY
    else:
        h.state = HS_MORE
    return 0


cdef int _null_start(handshake* h) noexcept nogil:
    if not h.config.zap_wait:
        return _null_move(h, NULL_OPEN)
    return _null_move(h, NULL_LISTENING if h.config.listening else NULL_CONNECTING)


cdef int _null_process(handshake* h, const command* c) noexcept nogil:
    cdef int rc
    if c.kind != COMMAND_READY or not MOVES[h.step][<int>NULL_READY].allowed:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)
    rc = take_metadata(h, c.arg, c.arg_len)
    if rc < 0:
        return rc
    return _null_move(h, NULL_READY)


cdef int _null_authorised(handshake* h) noexcept nogil:
    return _null_move(h, NULL_ALLOWED)


cdef mechanism_ops NULL_OPS
NULL_OPS.name = b"NULL"
NULL_OPS.init = NULL
NULL_OPS.start = _null_start
NULL_OPS.process = _null_process
NULL_OPS.authorised = _null_authorised
NULL_OPS.finish = NULL
NULL_OPS.overhead = 0
NULL_OPS.encode = NULL
NULL_OPS.decode = NULL


cdef const mechanism_ops* find_mechanism(int mechanism) noexcept nogil:
    if mechanism == MECHANISM_NULL:
        return &NULL_OPS
    return NULL
