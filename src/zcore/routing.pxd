"""Peers, and the ways to choose among them: round robin, fair queue, by identity.

A `peer` is the other end as one socket sees it: its queues, its identity, its place in the lists below.  A `routing` is
embedded in each socket and holds the peers.  Nothing here knows what a socket type is; `patterns` does.

Everything is owned by the socket lock, but for the fields marked [atomic].
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from .connection cimport conn
from .inproc cimport link
from .message cimport meta, zmsg
from .option_table cimport options
from .pipe cimport inq, outq, part
from .ring cimport msgring
from .subscriptions cimport fantree, subtree


cdef enum:
    PEER_STREAM = 0
    PEER_INPROC = 1

cdef enum:
    # bits of peer.news: what the other side of an inproc link has to tell [atomic]
    NEWS_READABLE = 1
    NEWS_WRITABLE = 2
    NEWS_GONE = 4

cdef enum:
    MK_SHARED = 4         # part.kind: owner is a Python object that stays the queue's; take a reference to keep it
    IDENTITY_MAX = 255

cdef struct peer:
    uint8_t kind
    bint attached         # in the lists of its socket
    bint gone             # nothing more will come: freed when its input has been taken
    bint usable           # messages may be queued for it: neither leaving nor gone
    bint close_wanted     # the pattern wants the connection closed
    bint leaving          # nothing is put into its queue any more; it goes when that is empty
    bint in_ready         # in the fair queue
    bint dirty            # in routing.dirty
    bint left             # its connection is one of several that the reactor is about to write to
    bint said_hello       # it has been connected before
    bint multipart        # it speaks ZAP: messages of several parts even with a type that knows single ones only
    void* asks            # the handshake (a session) that has asked an authoriser through it; then it is in no list
    bint answered         # in sock.answered
    peer* answer_next
    bint queued_first     # XSUB: its queue begins with the subscriptions, as they were when it was made
    uint8_t* identity     # in identity_buf
    uint32_t identity_len
    uint8_t identity_buf[IDENTITY_MAX + 1]
    void* identity_obj    # the same as Python bytes, made on first use; one reference
    peer* identity_chain
    bint named            # in the identity table
    uint32_t routing_id   # SERVER, PEER; also the peer's serial number, unique within the socket
    uint32_t slot         # place in the fan-out tables
    uint32_t index        # place in routing.peers
    uint32_t turn         # place in routing.turns
    peer* ready_next
    peer* ready_prev
    peer* dirty_next
    bint up_waits         # in routing.up_waiting
    peer* up_next
    bint resuming         # in routing.resumed
    peer* resume_next
    outq out
    inq inn
    conn* c               # stream: the connection, NULL while there is none
    link* lnk             # inproc
    uint8_t side
    uint32_t news         # [atomic]
    peer* news_next       # [atomic]
    meta* facts           # properties of its connection, the last one; one reference
    void* endpoint        # what made it (the engine's)
    void* owner           # its socket

cdef struct routing:
    int type
    options* opt
    peer** peers          # all attached
    uint32_t npeers
    uint32_t peers_cap
    # round robin: turns[0:active] may be able to write
    peer** turns
    uint32_t nturns
    uint32_t active
    uint32_t turn_now
    # fair queue: a ring through ready_next; `ready` is whose turn it is
    peer* ready
    peer* current         # whose message is being received
    # by identity
    peer** names
    uint32_t names_cap
    uint32_t nnames
    uint32_t next_serial
    # by number (slots, for fan-out)
    peer** slots
    uint32_t slots_cap
    uint32_t slots_used
    uint32_t* free_slots
    uint32_t nfree
    peer* resumed         # stream peers whose paused input may go on
    # peers whose queues changed in this call
    peer* dirty
    uint32_t ndirty
    # the part of an inproc message that is being looked at
    zmsg held
    bint holding
    peer* held_from
    # envelopes and state machines (REQ, REP)
    bint awaiting         # REQ: a request is out; REP: a request is being answered
    bint in_body          # the envelope of the current message has been taken
    uint32_t request_id
    peer* partner         # REQ: whom we asked; REP: who asked
    bint partner_gone
    zmsg* envelope        # REP
    uint32_t nenvelope
    uint32_t envelope_cap
    # subscriptions
    subtree own           # SUB, XSUB: topics; DISH: groups
    fantree fans          # PUB, XPUB, RADIO: who wants what
    msgring upward        # XPUB: what waits to be received: subscriptions (MSG_COMMAND), and parts of messages
    uint32_t upward_msgs  # whole messages in it; at RCVHWM they stay where they are
    uint32_t upward_notes # subscriptions in it; beyond a bound the newest are left out, and counted
    uint64_t upward_lost
    peer* up_waiting      # peers whose messages stay where they are
    uint32_t last_fan     # XPUB_MANUAL: serial of the peer whose subscription was received last
    bint last_fan_set
    uint8_t group[256]    # DISH: of the message being received
    uint32_t group_len
    uint32_t more_refused # messages left out because they broke the pattern's rules
    uint64_t dropped[8]   # messages that never had a queue, by reason
    bint nodrop           # fan-out: to all or to none (the policy Block; XPUB_NODROP says the same)


cdef int routing_init(routing* r, int type, options* opt) noexcept nogil
cdef void routing_free(routing* r) noexcept nogil

cdef peer* peer_new(int kind) noexcept nogil
cdef void peer_free(peer* p) noexcept nogil                      # its queues and itself

cdef int routing_add(routing* r, peer* p) noexcept nogil          # 0 or -ENOMEM
cdef void routing_remove(routing* r, peer* p) noexcept nogil

cdef void routing_readable(routing* r, peer* p) noexcept nogil    # it has input: enters the fair queue
cdef void routing_unready(routing* r, peer* p) noexcept nogil     # it has none: leaves it
cdef void routing_next_turn(routing* r) noexcept nogil             # the next in the fair queue
cdef void routing_writable(routing* r, peer* p) noexcept nogil    # it may take messages again
cdef peer* routing_choose(routing* r) noexcept nogil               # round robin: who gets the next message; NULL: none can
cdef void routing_dirty(routing* r, peer* p) noexcept nogil       # its queue changed
cdef void routing_resume(routing* r, peer* p) noexcept nogil      # its input has sunk below half of the mark

cdef peer* routing_find(routing* r, const uint8_t* id, size_t n) noexcept nogil
cdef int routing_name(routing* r, peer* p, const uint8_t* id, size_t n) noexcept nogil   # -EEXIST: taken
cdef void routing_unname(routing* r, peer* p) noexcept nogil
cdef int routing_name_generated(routing* r, peer* p) noexcept nogil
cdef peer* routing_by_serial(routing* r, uint32_t serial) noexcept nogil

# One peer's queue, of either kind.
cdef bint peer_room(peer* p) noexcept nogil
cdef int peer_put(routing* r, peer* p, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n) noexcept nogil
# 0, PUT_DROPPED, or negative errno; marks the peer dirty. By-reference parts become MK_EMPTY.
cdef int peer_put_control(routing* r, peer* p, const uint8_t* frame, size_t nframe, zmsg* m) noexcept nogil
# A control frame outside the limits: `frame` for a stream, m (moved) for inproc.
cdef bint peer_peek(routing* r, peer* p, part* out) noexcept nogil     # the next frame of its input
cdef void peer_pop(routing* r, peer* p, part* at, bint take) noexcept nogil
cdef bint peer_has_input(routing* r, peer* p) noexcept nogil
cdef bint peer_skip(routing* r, peer* p) noexcept nogil
# Drop the rest of its current message, or the next one, into the books; False when there is none.
cdef void peer_filtered(peer* p) noexcept nogil      # what was just popped was none for the application: into the books
cdef void peer_refuse(peer* p, bint again) noexcept nogil
# peer_put said -EAGAIN and the type drops the message; again: the next one may try, before half of the queue is gone.
cdef bint peer_blocks(peer* p) noexcept nogil        # the policy Block was chosen for it: a type that drops waits, too
cdef size_t peer_wire_subscribe(peer* p, uint8_t* dst, const uint8_t* topic, size_t n, bint cancel) noexcept nogil

cdef inline void routing_chosen(routing* r) noexcept nogil:
    """Who was chosen got it: the turn passes on."""
    r.turn_now += 1
    if r.turn_now >= r.active:
        r.turn_now = 0
