"""The NULL mechanism; see null.pxd.

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

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t

from .mechanism cimport (
    HS_FAIL_LOCAL, HS_FAIL_PROTOCOL, HS_MORE, HS_READY, HS_WAIT_AUTHORISATION, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND,
    handshake, handshake_fail, handshake_room, mechanism_ops, metadata_size, put_metadata, take_metadata,
)
from .zmtp cimport COMMAND_READY, command, command_frame_size, put_command_head


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
NULL_OPS.largest = NULL
NULL_OPS.finish = NULL
NULL_OPS.misspelt_error = False
NULL_OPS.overhead = 0
NULL_OPS.encode = NULL
NULL_OPS.decode = NULL


cdef const mechanism_ops* null_mechanism() noexcept nogil:
    return &NULL_OPS
