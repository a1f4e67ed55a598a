"""The PLAIN mechanism; see plain.pxd.

    step            event                                            next
    PLAIN_NEW       the greetings match, we are client: HELLO        PLAIN_WELCOME
                    the greetings match, we are server               PLAIN_HELLO
    client
    PLAIN_WELCOME   WELCOME: INITIATE                                PLAIN_READY
    PLAIN_READY     READY                                            PLAIN_OVER, ready
    server
    PLAIN_HELLO     HELLO                                            PLAIN_ASKED, waits for the verdict
    PLAIN_ASKED     allowed: WELCOME                                 PLAIN_INITIATE
    PLAIN_INITIATE  INITIATE: READY                                  PLAIN_OVER, ready

Anything else is the peer's protocol error; ERROR ends any step.
"""

from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from .mechanism cimport (
    CREDENTIAL_MAX, EVENT_ALLOWED, EVENT_CLIENT, EVENT_SERVER, HANDSHAKE_FRAME_MAX, HS_FAIL_LOCAL, HS_FAIL_PROTOCOL,
    HS_MORE, HS_READY, HS_WAIT_AUTHORISATION, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO,
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME, handshake, handshake_fail, handshake_move, handshake_room,
    handshake_step, handshake_wipe, mechanism_ops, metadata_size, put_metadata, take_metadata,
)
from .zmtp cimport (
    COMMAND_HELLO, COMMAND_INITIATE, COMMAND_READY, COMMAND_WELCOME, command, command_frame_size, put_command_head,
)

cdef enum plain_step:
    PLAIN_NEW
    PLAIN_WELCOME
    PLAIN_READY
    PLAIN_HELLO
    PLAIN_ASKED
    PLAIN_INITIATE
    PLAIN_OVER

cdef enum:
    PLAIN_MOVES = 7
    # Longest frame a stranger may send: HELLO with a name and a password of 255 bytes, ERROR with its reason.
    STRANGER_MAX = 6 + 2 * (1 + CREDENTIAL_MAX)

# What is shown, ours or the peer's: until it has been sent, or judged.
cdef struct plain_secret:
    size_t username_len
    size_t password_len
    uint8_t[CREDENTIAL_MAX] username
    uint8_t[CREDENTIAL_MAX] password


cdef int _init(handshake* h) noexcept nogil:
    cdef plain_secret* mine
    if h.config.username_len > CREDENTIAL_MAX or h.config.password_len > CREDENTIAL_MAX:
        return -EINVAL
    mine = <plain_secret*>calloc(1, sizeof(plain_secret))
    if mine == NULL:
        return -ENOMEM
    h.private = mine
    if h.config.as_server:
        h.config.zap_wait = True      # there is nobody else who could judge a password
        return 0
    mine.username_len = h.config.username_len
    mine.password_len = h.config.password_len
    if mine.username_len:
        memcpy(mine.username, h.config.username, mine.username_len)
    if mine.password_len:
        memcpy(mine.password, h.config.password, mine.password_len)
    return 0


cdef void _finish(handshake* h) noexcept nogil:
    handshake_wipe(h.private, sizeof(plain_secret))
    free(h.private)


# ---- reading -----------------------------------------------------------------------------------------------

# A length byte and so many bytes; 1, or 0 when they are not there.
cdef bint _take_text(const uint8_t** at, const uint8_t* end, uint8_t* text, size_t* n) noexcept nogil:
    if at[0] == end or at[0][0] > end - at[0] - 1:
        return False
    n[0] = at[0][0]
    memcpy(text, at[0] + 1, n[0])
    at[0] += 1 + n[0]
    return True


cdef int _take_hello(handshake* h, const command* c) noexcept nogil:
    cdef plain_secret* shown = <plain_secret*>h.private
    cdef const uint8_t* at = c.arg
    cdef const uint8_t* end = c.arg + c.arg_len
    if not _take_text(&at, end, shown.username, &shown.username_len) or \
            not _take_text(&at, end, shown.password, &shown.password_len) or at != end:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO)
    h.ncredentials = 2
    h.credentials[0] = shown.username
    h.credential_len[0] = shown.username_len
    h.credentials[1] = shown.password
    h.credential_len[1] = shown.password_len
    return 0


cdef int _take_welcome(handshake* h, const command* c) noexcept nogil:
    if c.arg_len:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME)
    return 0


cdef int _take_properties(handshake* h, const command* c) noexcept nogil:
    return take_metadata(h, c.arg, c.arg_len)


# ---- saying ------------------------------------------------------------------------------------------------

cdef void _forget(handshake* h) noexcept nogil:
    h.ncredentials = 0
    handshake_wipe(h.private, sizeof(plain_secret))


cdef int _say_hello(handshake* h) noexcept nogil:
    cdef plain_secret* mine = <plain_secret*>h.private
    cdef size_t n = 2 + mine.username_len + mine.password_len
    cdef uint8_t* at = handshake_room(h, command_frame_size(5, n))
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    h.out_tail += command_frame_size(5, n)
    at += put_command_head(at, b"HELLO", 5, n)
    at[0] = <uint8_t>mine.username_len
    memcpy(at + 1, mine.username, mine.username_len)
    at += 1 + mine.username_len
    at[0] = <uint8_t>mine.password_len
    memcpy(at + 1, mine.password, mine.password_len)
    _forget(h)
    return 0


cdef int _say_welcome(handshake* h) noexcept nogil:
    cdef uint8_t* at = handshake_room(h, command_frame_size(7, 0))
    _forget(h)
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    h.out_tail += put_command_head(at, b"WELCOME", 7, 0)
    return 0


cdef int _say_properties(handshake* h, const char* name, size_t name_len) noexcept nogil:
    cdef size_t n = metadata_size(&h.config)
    cdef uint8_t* at = handshake_room(h, command_frame_size(name_len, n))
    cdef size_t head
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    head = put_command_head(at, name, name_len, n)
    h.out_tail += head + put_metadata(at + head, &h.config)
    return 0


cdef int _say_initiate(handshake* h) noexcept nogil:
    return _say_properties(h, b"INITIATE", 8)


cdef int _say_ready(handshake* h) noexcept nogil:
    return _say_properties(h, b"READY", 5)


# ---- the table ---------------------------------------------------------------------------------------------

cdef handshake_move[PLAIN_MOVES] MOVES
MOVES[0] = handshake_move(PLAIN_NEW, EVENT_CLIENT, NULL, _say_hello, HS_MORE, PLAIN_WELCOME)
MOVES[1] = handshake_move(PLAIN_WELCOME, COMMAND_WELCOME, _take_welcome, _say_initiate, HS_MORE, PLAIN_READY)
MOVES[2] = handshake_move(PLAIN_READY, COMMAND_READY, _take_properties, NULL, HS_READY, PLAIN_OVER)
MOVES[3] = handshake_move(PLAIN_NEW, EVENT_SERVER, NULL, NULL, HS_MORE, PLAIN_HELLO)
MOVES[4] = handshake_move(PLAIN_HELLO, COMMAND_HELLO, _take_hello, NULL, HS_WAIT_AUTHORISATION, PLAIN_ASKED)
MOVES[5] = handshake_move(PLAIN_ASKED, EVENT_ALLOWED, NULL, _say_welcome, HS_MORE, PLAIN_INITIATE)
MOVES[6] = handshake_move(PLAIN_INITIATE, COMMAND_INITIATE, _take_properties, _say_ready, HS_READY, PLAIN_OVER)


cdef int _start(handshake* h) noexcept nogil:
    return handshake_step(h, MOVES, PLAIN_MOVES, EVENT_SERVER if h.config.as_server else EVENT_CLIENT, NULL)


cdef int _process(handshake* h, const command* c) noexcept nogil:
    return handshake_step(h, MOVES, PLAIN_MOVES, c.kind, c)


cdef int _authorised(handshake* h) noexcept nogil:
    return handshake_step(h, MOVES, PLAIN_MOVES, EVENT_ALLOWED, NULL)


cdef size_t _largest(const handshake* h) noexcept nogil:
    return STRANGER_MAX if h.step == PLAIN_HELLO else HANDSHAKE_FRAME_MAX


cdef mechanism_ops PLAIN_OPS
PLAIN_OPS.name = b"PLAIN"
PLAIN_OPS.init = _init
PLAIN_OPS.start = _start
PLAIN_OPS.process = _process
PLAIN_OPS.authorised = _authorised
PLAIN_OPS.largest = _largest
PLAIN_OPS.finish = _finish
PLAIN_OPS.misspelt_error = True
PLAIN_OPS.overhead = 0
PLAIN_OPS.encode = NULL
PLAIN_OPS.decode = NULL


cdef const mechanism_ops* plain_mechanism() noexcept nogil:
    return &PLAIN_OPS
