"""The socket types, as rows: how each sends, receives and wraps, whom it talks to, what it does when full.

There is one way to send and one to receive for all types; a row picks the strategy.  Sources: the RFCs named at each row.
"""

from libc.stdint cimport uint8_t, uint32_t

from .message cimport zmsg
from .pipe cimport part
from .routing cimport peer, routing


cdef enum:
    # pattern.send: who gets a message
    SEND_NONE = 0
    SEND_BALANCE = 1      # one peer, in turn, of those with room
    SEND_IDENTITY = 2     # the peer that the first frame names
    SEND_PARTNER = 3      # the peer that the request came from
    SEND_ONLY = 4         # the one peer there is
    SEND_NUMBER = 5       # the peer with the message's routing id
    SEND_FANOUT = 6       # all that subscribe to it
    SEND_UPSTREAM = 7     # all: subscriptions and messages to publishers
    SEND_GROUP = 8        # all that have joined the message's group

cdef enum:
    # pattern.recv: where messages come from
    RECV_NONE = 0
    RECV_FAIR = 1         # all peers, in turn
    RECV_UPWARD = 2       # a queue of subscriptions and messages (XPUB)

cdef enum:
    # pattern.wrap: what stands around a message
    WRAP_NONE = 0
    WRAP_REQ = 1          # [request id] + empty frame
    WRAP_REP = 2          # frames up to and including the first empty one are kept for the reply
    WRAP_IDENTITY = 3     # the sender's identity in front
    WRAP_NUMBER = 4       # the sender's routing id beside it
    WRAP_GROUP = 5        # the group in front on the wire, beside it in the API
    WRAP_TOPICS = 6       # nothing, but only what is subscribed to comes through

cdef enum:
    # pattern.traits
    EAGER = 1             # input is for the engine (subscriptions): taken as it arrives
    SINGLE_PART = 2       # messages have one part
    ONE_PEER = 4          # a second peer is refused
    THREAD_SAFE_TYPE = 8  # libzmq calls it so; FD is not to be had
    DROPS = 16            # when it cannot send, it drops
    RAW = 32              # no ZMTP on the wire
    ALWAYS_OUT = 64       # POLLOUT is always set

cdef struct pattern:
    int type
    uint8_t send
    uint8_t recv
    uint8_t wrap
    uint8_t traits

cdef const pattern* pattern_of(int type) noexcept nogil    # NULL: no such type

cdef int route_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil
# One whole message. 0 or negative errno: -EAGAIN (wait and try again), -EFSM, -EHOSTUNREACH, -EINVAL, -ENOTSUP, -ENOMEM.
# Parts that were taken by reference have become MK_EMPTY; the caller releases the rest in any case.
cdef enum sent_small:
    SMALL_COPIED
    SMALL_KEPT            # the owner's reference is the queue's now
    SMALL_NOT             # no case for it, and nothing has happened

cdef sent_small route_send_small(routing* r, const uint8_t* data, size_t size, void* owner) noexcept nogil
# The hot path of route_send, for one part: a small one is copied into a stream, an object goes to an inproc peer as it is.
cdef uint32_t route_send_run(routing* r, zmsg* parts, uint32_t n) noexcept nogil
# The same for several messages of one part each to a single inproc peer: how many went; 0 when it is no case for it.
cdef int route_send_check(routing* r, zmsg* first) noexcept nogil
# The first of several parts, before the others are known: the same errors.
cdef int route_peek(routing* r, part* out) noexcept nogil
# The next frame for the application: 1; 0 when there is none; -EFSM, -ENOTSUP. The frame stays where it is.
cdef void route_pop(routing* r, part* at, bint take) noexcept nogil
cdef peer* route_quick(routing* r, part* out) noexcept nogil
# The hot path of route_peek: whose message of one part comes next, a small one or an object; NULL when it is no case for
# it. Its bytes are for recv() as they stand.
cdef void route_quick_pop(routing* r, peer* p, part* at) noexcept nogil      # an object's reference is the caller's
cdef zmsg* route_quick_run(routing* r, uint32_t* n) noexcept nogil
# The same for several: the parts of a single inproc peer that come next and lie behind each other; NULL: no case for it.
cdef void route_quick_run_pop(routing* r, uint32_t n, size_t size) noexcept nogil  # their references are the caller's
cdef bint route_can_send(routing* r) noexcept nogil          # POLLOUT
cdef uint32_t route_number(routing* r) noexcept nogil         # routing id of the message just peeked
cdef int route_group(routing* r, const uint8_t** group) noexcept nogil   # length of its group
