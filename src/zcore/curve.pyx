"""The CURVE mechanism; see curve.pxd.

    step            event                                                                       next
    CURVE_NEW       the greetings match, we are client: HELLO (C', a box that proves c')        CURVE_WELCOME
                    the greetings match, we are server                                          CURVE_HELLO
    client
    CURVE_WELCOME   WELCOME: INITIATE (cookie; C, vouch that C' is C's, metadata)               CURVE_READY
    CURVE_READY     READY                                                                       CURVE_OVER, ready
    server
    CURVE_HELLO     HELLO: WELCOME (S', cookie that holds C' and s')                            CURVE_INITIATE
    CURVE_INITIATE  INITIATE                                                                    CURVE_ASKED, the verdict
    CURVE_ASKED     allowed: READY (metadata)                                                   CURVE_OVER, ready

Anything else is the peer's protocol error; ERROR ends any step.  Between WELCOME and INITIATE the server knows the key
of its cookie and no other secret of the connection.  With the last step all secrets but the shared key are wiped.
"""

from libc.errno cimport EINVAL, ENOMEM, EPROTO
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from .mechanism cimport (
    CURVE_KEY, EVENT_ALLOWED, EVENT_CLIENT, EVENT_SERVER, HANDSHAKE_FRAME_MAX, HS_FAIL_LOCAL, HS_FAIL_PROTOCOL,
    HS_MORE, HS_READY, HS_WAIT_AUTHORISATION, PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC, PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE,
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE,
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY,
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME, handshake,
    handshake_fail, handshake_move, handshake_room, handshake_step, handshake_wipe, mechanism_ops, metadata_size,
    put_metadata, take_metadata,
)
from .sodium cimport SODIUM_MAC, sodium, sodium_calls
from .zmtp cimport (
    COMMAND_HELLO, COMMAND_INITIATE, COMMAND_READY, COMMAND_WELCOME, FRAME_COMMAND, FRAME_MORE, command,
    command_frame_size, frame_header, get_be64, put_be64, put_command_head,
)

cdef extern from "<errno.h>" nogil:
    int ENOTSUP

cdef enum curve_step:
    CURVE_NEW
    CURVE_WELCOME
    CURVE_READY
    CURVE_HELLO
    CURVE_INITIATE
    CURVE_ASKED
    CURVE_OVER

cdef enum:
    CURVE_MOVES = 7
    KEY = CURVE_KEY
    LONG_NONCE = 16             # bytes of a nonce that is random
    COUNTER = 8                 # bytes of one that counts
    COOKIE = LONG_NONCE + SODIUM_MAC + 2 * KEY
    VOUCH = LONG_NONCE + SODIUM_MAC + 2 * KEY
    # arguments of the commands: what follows the name
    HELLO_SIZE = 2 + 72 + KEY + COUNTER + SODIUM_MAC + 64
    WELCOME_SIZE = LONG_NONCE + SODIUM_MAC + KEY + COOKIE
    INITIATE_MIN = COOKIE + COUNTER + SODIUM_MAC + KEY + VOUCH
    READY_MIN = COUNTER + SODIUM_MAC
    # Longest frame a stranger may send: ERROR with its reason.
    STRANGER_MAX = 1 + 5 + 1 + 255
    MESSAGE_NAME = 8            # 07 MESSAGE
    OVERHEAD = MESSAGE_NAME + COUNTER + SODIUM_MAC + 1

# Of the handshake; wiped and freed with its last step.
cdef struct curve_secrets:
    uint8_t[KEY] own_secret     # long-term: c or s
    uint8_t[KEY] own_public     # C or S
    uint8_t[KEY] server_key     # client: S
    uint8_t[KEY] brief_secret   # of this connection: c' or s'
    uint8_t[KEY] brief_public   # C' or S'
    uint8_t[KEY] peer_brief     # the peer's of this connection: S' or C'
    uint8_t[COOKIE] cookie      # client: to be given back
    uint8_t[KEY] peer_key       # server: C, once it is proved
    uint8_t[KEY] first          # shared key of HELLO and WELCOME
    uint8_t[KEY] cookie_key     # server

cdef struct curve_state:
    const sodium_calls* na
    curve_secrets* secrets
    uint8_t[KEY] k              # shared key of INITIATE, READY and the traffic
    char own_letter             # last byte of the nonce prefix of what we send: "C" or "S"
    char peer_letter
    # [writer]
    uint64_t out_nonce          # of the next frame
    uint8_t[64] apart           # the two sides do not share a cache line
    # [reader]
    uint64_t in_nonce           # of the last frame


cdef int _init(handshake* h) noexcept nogil:
    cdef curve_state* st
    cdef curve_secrets* own
    if h.config.secret_key == NULL or (not h.config.as_server and h.config.server_key == NULL):
        return -EINVAL
    if sodium() == NULL:
        return -ENOTSUP
    st = <curve_state*>calloc(1, sizeof(curve_state))
    own = <curve_secrets*>calloc(1, sizeof(curve_secrets))
    if st == NULL or own == NULL:
        free(st)
        free(own)
        return -ENOMEM
    h.private = st
    st.na = sodium()
    st.secrets = own
    st.out_nonce = 1
    st.own_letter = b"S" if h.config.as_server else b"C"
    st.peer_letter = b"C" if h.config.as_server else b"S"
    memcpy(own.own_secret, h.config.secret_key, KEY)
    if h.config.public_key != NULL and not h.config.as_server:
        memcpy(own.own_public, h.config.public_key, KEY)
    else:
        st.na.public_of(own.own_public, own.own_secret)
    if h.config.server_key != NULL:
        memcpy(own.server_key, h.config.server_key, KEY)
    return 0


cdef void _forget(handshake* h) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    h.ncredentials = 0
    if st.secrets != NULL:
        handshake_wipe(st.secrets, sizeof(curve_secrets))
        free(st.secrets)
        st.secrets = NULL


cdef void _finish(handshake* h) noexcept nogil:
    _forget(h)
    handshake_wipe(h.private, sizeof(curve_state))
    free(h.private)


# ---- nonces ------------------------------------------------------------------------------------------------

cdef inline void _counted(uint8_t* nonce, const char* prefix, uint64_t n) noexcept nogil:
    memcpy(nonce, prefix, 16)
    put_be64(nonce + 16, n)


cdef inline void _random(uint8_t* nonce, const char* prefix, const uint8_t* tail) noexcept nogil:
    memcpy(nonce, prefix, 8)
    memcpy(nonce + 8, tail, LONG_NONCE)


cdef inline int _broken(handshake* h) noexcept nogil:
    return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)


# ---- client ------------------------------------------------------------------------------------------------

cdef int _say_hello(handshake* h) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[64] zeros
    cdef uint8_t* at = handshake_room(h, command_frame_size(5, HELLO_SIZE))
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    st.na.keypair(own.brief_public, own.brief_secret)
    if st.na.beforenm(own.first, own.server_key, own.brief_secret) != 0:
        return handshake_fail(h, HS_FAIL_LOCAL, EINVAL)       # what the program was given is no public key
    memset(zeros, 0, 64)
    h.out_tail += command_frame_size(5, HELLO_SIZE)
    at += put_command_head(at, b"HELLO", 5, HELLO_SIZE)
    memset(at, 0, 74)             # version 1.0, and the padding that makes HELLO longer than WELCOME
    at[0] = 1
    at += 74
    memcpy(at, own.brief_public, KEY)
    put_be64(at + KEY, st.out_nonce)
    _counted(nonce, b"CurveZMQHELLO---", st.out_nonce)
    st.out_nonce += 1
    st.na.seal(at + KEY + COUNTER, zeros, 64, nonce, own.first)
    return 0


cdef int _take_welcome(handshake* h, const command* c) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[KEY + COOKIE] plain
    if c.arg_len != WELCOME_SIZE:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME)
    _random(nonce, b"WELCOME-", c.arg)
    if st.na.open(plain, c.arg + LONG_NONCE, WELCOME_SIZE - LONG_NONCE, nonce, own.first) != 0 or \
            st.na.beforenm(st.k, plain, own.brief_secret) != 0:
        return _broken(h)
    memcpy(own.peer_brief, plain, KEY)
    memcpy(own.cookie, plain + KEY, COOKIE)
    return 0


cdef int _say_initiate(handshake* h) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[KEY] vouching
    cdef uint8_t[2 * KEY] vouched
    cdef size_t size = metadata_size(&h.config)
    cdef size_t n = KEY + VOUCH + size
    cdef size_t frame = command_frame_size(8, COOKIE + COUNTER + SODIUM_MAC + n)
    cdef uint8_t* at = handshake_room(h, frame)
    cdef uint8_t* plain
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    if st.na.beforenm(vouching, own.peer_brief, own.own_secret) != 0:
        return _broken(h)
    at += put_command_head(at, b"INITIATE", 8, COOKIE + COUNTER + SODIUM_MAC + n)
    memcpy(at, own.cookie, COOKIE)
    at += COOKIE
    put_be64(at, st.out_nonce)
    at += COUNTER
    plain = at + SODIUM_MAC
    memcpy(plain, own.own_public, KEY)
    st.na.random(plain + KEY, LONG_NONCE)
    memcpy(vouched, own.brief_public, KEY)
    memcpy(vouched + KEY, own.server_key, KEY)
    _random(nonce, b"VOUCH---", plain + KEY)
    st.na.seal(plain + KEY + LONG_NONCE, vouched, 2 * KEY, nonce, vouching)
    put_metadata(plain + KEY + VOUCH, &h.config)
    _counted(nonce, b"CurveZMQINITIATE", st.out_nonce)
    st.out_nonce += 1
    st.na.seal(at, plain, n, nonce, st.k)
    handshake_wipe(vouching, KEY)
    h.out_tail += frame
    return 0


cdef int _take_ready(handshake* h, const command* c) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef uint8_t[24] nonce
    cdef uint8_t* plain
    cdef size_t n
    cdef int rc
    if c.arg_len < READY_MIN:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY)
    n = c.arg_len - READY_MIN
    plain = <uint8_t*>malloc(n + 1)
    if plain == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    st.in_nonce = get_be64(c.arg)
    _counted(nonce, b"CurveZMQREADY---", st.in_nonce)
    if st.na.open(plain, c.arg + COUNTER, c.arg_len - COUNTER, nonce, st.k) != 0:
        rc = _broken(h)
    else:
        rc = take_metadata(h, plain, n)
    free(plain)
    if rc == 0:
        _forget(h)
    return rc


# ---- server ------------------------------------------------------------------------------------------------

cdef int _take_hello(handshake* h, const command* c) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[64] zeros
    cdef uint8_t[64] plain
    # version 1.0; what is in the padding is nobody's business
    if c.arg_len != HELLO_SIZE or c.arg[0] != 1 or c.arg[1] != 0:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO)
    memcpy(own.peer_brief, c.arg + 74, KEY)
    st.in_nonce = get_be64(c.arg + 74 + KEY)
    _counted(nonce, b"CurveZMQHELLO---", st.in_nonce)
    memset(zeros, 0, 64)
    if st.na.beforenm(own.first, own.peer_brief, own.own_secret) != 0 or \
            st.na.open(plain, c.arg + 74 + KEY + COUNTER, SODIUM_MAC + 64, nonce, own.first) != 0 or \
            memcmp(plain, zeros, 64) != 0:
        return _broken(h)
    return 0


cdef int _say_welcome(handshake* h) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[2 * KEY] kept
    cdef uint8_t* at = handshake_room(h, command_frame_size(7, WELCOME_SIZE))
    cdef uint8_t* plain
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    h.out_tail += command_frame_size(7, WELCOME_SIZE)
    at += put_command_head(at, b"WELCOME", 7, WELCOME_SIZE)
    plain = at + LONG_NONCE + SODIUM_MAC
    st.na.keypair(own.brief_public, own.brief_secret)
    st.na.random(own.cookie_key, KEY)
    memcpy(plain, own.brief_public, KEY)
    st.na.random(plain + KEY, LONG_NONCE)
    _random(nonce, b"COOKIE--", plain + KEY)
    memcpy(kept, own.peer_brief, KEY)
    memcpy(kept + KEY, own.brief_secret, KEY)
    st.na.secret_seal(plain + KEY + LONG_NONCE, kept, 2 * KEY, nonce, own.cookie_key)
    st.na.random(at, LONG_NONCE)
    _random(nonce, b"WELCOME-", at)
    st.na.seal(at + LONG_NONCE, plain, KEY + COOKIE, nonce, own.first)
    # from here the client keeps them for us, in the cookie
    handshake_wipe(kept, 2 * KEY)
    handshake_wipe(own.peer_brief, KEY)
    handshake_wipe(own.brief_secret, KEY)
    handshake_wipe(own.first, KEY)
    return 0


cdef int _open_cookie(handshake* h, const uint8_t* cookie) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[2 * KEY] kept
    _random(nonce, b"COOKIE--", cookie)
    if st.na.secret_open(kept, cookie + LONG_NONCE, COOKIE - LONG_NONCE, nonce, own.cookie_key) != 0:
        return _broken(h)
    handshake_wipe(own.cookie_key, KEY)      # it opens once
    memcpy(own.peer_brief, kept, KEY)
    memcpy(own.brief_secret, kept + KEY, KEY)
    handshake_wipe(kept, 2 * KEY)
    if st.na.beforenm(st.k, own.peer_brief, own.brief_secret) != 0:
        return _broken(h)
    return 0


cdef int _check_vouch(handshake* h, const uint8_t* client, const uint8_t* vouch) noexcept nogil:
    """C says that C' is its own, and that it means to talk to S."""
    cdef curve_state* st = <curve_state*>h.private
    cdef curve_secrets* own = st.secrets
    cdef uint8_t[24] nonce
    cdef uint8_t[KEY] vouching
    cdef uint8_t[2 * KEY] vouched
    cdef int rc
    _random(nonce, b"VOUCH---", vouch)
    if st.na.beforenm(vouching, client, own.brief_secret) != 0:
        return _broken(h)
    rc = st.na.open(vouched, vouch + LONG_NONCE, VOUCH - LONG_NONCE, nonce, vouching)
    handshake_wipe(vouching, KEY)
    if rc != 0 or st.na.equal(vouched, own.peer_brief, KEY) != 0 or \
            st.na.equal(vouched + KEY, own.own_public, KEY) != 0:
        return _broken(h)
    memcpy(own.peer_key, client, KEY)
    return 0


cdef int _take_initiate(handshake* h, const command* c) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef uint8_t[24] nonce
    cdef uint64_t counter
    cdef uint8_t* plain
    cdef size_t n
    cdef int rc
    if c.arg_len < INITIATE_MIN:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE)
    counter = get_be64(c.arg + COOKIE)
    if counter <= st.in_nonce:
        return handshake_fail(h, HS_FAIL_PROTOCOL, PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE)
    st.in_nonce = counter
    rc = _open_cookie(h, c.arg)
    if rc < 0:
        return rc
    n = c.arg_len - COOKIE - COUNTER - SODIUM_MAC
    plain = <uint8_t*>malloc(n)
    if plain == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    _counted(nonce, b"CurveZMQINITIATE", counter)
    if st.na.open(plain, c.arg + COOKIE + COUNTER, n + SODIUM_MAC, nonce, st.k) != 0:
        rc = _broken(h)
    else:
        rc = _check_vouch(h, plain, plain + KEY)
        if rc == 0:
            rc = take_metadata(h, plain + KEY + VOUCH, n - KEY - VOUCH)
    free(plain)
    if rc < 0:
        return rc
    h.ncredentials = 1
    h.credentials[0] = st.secrets.peer_key
    h.credential_len[0] = KEY
    return 0


cdef int _say_ready(handshake* h) noexcept nogil:
    cdef curve_state* st = <curve_state*>h.private
    cdef uint8_t[24] nonce
    cdef size_t n = metadata_size(&h.config)
    cdef uint8_t* at = handshake_room(h, command_frame_size(5, READY_MIN + n))
    if at == NULL:
        return handshake_fail(h, HS_FAIL_LOCAL, ENOMEM)
    h.out_tail += command_frame_size(5, READY_MIN + n)
    at += put_command_head(at, b"READY", 5, READY_MIN + n)
    put_be64(at, st.out_nonce)
    put_metadata(at + READY_MIN, &h.config)
    _counted(nonce, b"CurveZMQREADY---", st.out_nonce)
    st.out_nonce += 1
    st.na.seal(at + COUNTER, at + READY_MIN, n, nonce, st.k)
    _forget(h)
    return 0


# ---- the table ---------------------------------------------------------------------------------------------

cdef handshake_move[CURVE_MOVES] MOVES
MOVES[0] = handshake_move(CURVE_NEW, EVENT_CLIENT, NULL, _say_hello, HS_MORE, CURVE_WELCOME)
MOVES[1] = handshake_move(CURVE_WELCOME, COMMAND_WELCOME, _take_welcome, _say_initiate, HS_MORE, CURVE_READY)
MOVES[2] = handshake_move(CURVE_READY, COMMAND_READY, _take_ready, NULL, HS_READY, CURVE_OVER)
MOVES[3] = handshake_move(CURVE_NEW, EVENT_SERVER, NULL, NULL, HS_MORE, CURVE_HELLO)
MOVES[4] = handshake_move(CURVE_HELLO, COMMAND_HELLO, _take_hello, _say_welcome, HS_MORE, CURVE_INITIATE)
MOVES[5] = handshake_move(CURVE_INITIATE, COMMAND_INITIATE, _take_initiate, NULL, HS_WAIT_AUTHORISATION, CURVE_ASKED)
MOVES[6] = handshake_move(CURVE_ASKED, EVENT_ALLOWED, NULL, _say_ready, HS_READY, CURVE_OVER)


cdef int _start(handshake* h) noexcept nogil:
    return handshake_step(h, MOVES, CURVE_MOVES, EVENT_SERVER if h.config.as_server else EVENT_CLIENT, NULL)


cdef int _process(handshake* h, const command* c) noexcept nogil:
    return handshake_step(h, MOVES, CURVE_MOVES, c.kind, c)


cdef int _authorised(handshake* h) noexcept nogil:
    return handshake_step(h, MOVES, CURVE_MOVES, EVENT_ALLOWED, NULL)


cdef size_t _largest(const handshake* h) noexcept nogil:
    return STRANGER_MAX if h.step == CURVE_HELLO or h.step == CURVE_WELCOME else HANDSHAKE_FRAME_MAX


# ---- traffic -----------------------------------------------------------------------------------------------

cdef ssize_t _encode(void* private, uint8_t flags, const uint8_t* body, size_t n, uint8_t* dst) noexcept nogil:
    cdef curve_state* st = <curve_state*>private
    cdef uint8_t[24] nonce
    cdef size_t head = frame_header(dst, 0, n + OVERHEAD)
    cdef uint8_t* at = dst + head
    cdef uint8_t* plain = at + MESSAGE_NAME + COUNTER + SODIUM_MAC
    if st.out_nonce == <uint64_t>-1:
        return -EPROTO            # so many frames under one key are no connection any more
    memcpy(at, b"\x07MESSAGE", MESSAGE_NAME)
    put_be64(at + MESSAGE_NAME, st.out_nonce)
    memcpy(nonce, b"CurveZMQMESSAGE", 15)
    nonce[15] = <uint8_t>st.own_letter
    memcpy(nonce + 16, at + MESSAGE_NAME, COUNTER)
    st.out_nonce += 1
    plain[0] = (1 if flags & FRAME_MORE else 0) | (2 if flags & FRAME_COMMAND else 0)
    memcpy(plain + 1, body, n)
    st.na.seal(at + MESSAGE_NAME + COUNTER, plain, n + 1, nonce, st.k)
    return <ssize_t>(head + OVERHEAD + n)


cdef int _decode(void* private, const uint8_t* body, size_t n, uint8_t* dst, uint8_t* flags, int* code) noexcept nogil:
    cdef curve_state* st = <curve_state*>private
    cdef uint8_t[24] nonce
    cdef uint64_t counter
    cdef uint8_t inner
    if n < MESSAGE_NAME or memcmp(body, b"\x07MESSAGE", MESSAGE_NAME) != 0:
        code[0] = PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED
        return -EPROTO
    if n < OVERHEAD:
        code[0] = PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE
        return -EPROTO
    counter = get_be64(body + MESSAGE_NAME)
    if counter <= st.in_nonce:
        code[0] = PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE
        return -EPROTO
    memcpy(nonce, b"CurveZMQMESSAGE", 15)
    nonce[15] = <uint8_t>st.peer_letter
    memcpy(nonce + 16, body + MESSAGE_NAME, COUNTER)
    if st.na.open(dst - 1, body + MESSAGE_NAME + COUNTER, n - MESSAGE_NAME - COUNTER, nonce, st.k) != 0:
        code[0] = PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
        return -EPROTO
    st.in_nonce = counter
    inner = (dst - 1)[0]
    flags[0] = (FRAME_MORE if inner & 1 else 0) | (FRAME_COMMAND if inner & 2 else 0)
    return 0


cdef mechanism_ops CURVE_OPS
CURVE_OPS.name = b"CURVE"
CURVE_OPS.init = _init
CURVE_OPS.start = _start
CURVE_OPS.process = _process
CURVE_OPS.authorised = _authorised
CURVE_OPS.largest = _largest
CURVE_OPS.finish = _finish
CURVE_OPS.misspelt_error = False
CURVE_OPS.overhead = OVERHEAD
CURVE_OPS.encode = _encode
CURVE_OPS.decode = _decode


cdef const mechanism_ops* curve_mechanism() noexcept nogil:
    return &CURVE_OPS
