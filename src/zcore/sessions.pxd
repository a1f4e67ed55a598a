"""The life of one stream connection: handshake, attachment to its socket, heartbeats, end.

All functions run on the reactor's thread and take the socket lock themselves, unless they say otherwise.
"""

from libc.stdint cimport int64_t, uint8_t

from .engine cimport ept, session, sock
from .limits cimport limits
from .routing cimport peer
from .stream cimport peer_facts


cdef int session_open(sock* s, ept* e, int fd, const peer_facts* facts, bint accepted) noexcept nogil
# A connected descriptor: it belongs to the session from here. 0, or negative errno (the descriptor is then closed).
cdef bint session_close(session* n) noexcept nogil      # False: somebody is reading or writing, try again soon
cdef void session_watch(session* n) noexcept nogil       # [lock] watch for writability, as n.watch_out asks
cdef void session_resume(session* n) noexcept nogil      # [lock] back into the set when its queue has room again
cdef void session_slow(session* n) noexcept nogil        # [lock] mind how long its queue has been full
cdef void session_mind(session* n) noexcept nogil        # [lock] arm the heartbeat timer for what the peer asked
cdef void sessions_sweep(sock* s) noexcept nogil         # [lock] free the memory of closed sessions when nobody looks at it

cdef peer* peer_make(sock* s, int kind) noexcept nogil    # [lock] with this socket's limits; NULL: no memory
cdef void sock_limits(sock* s, limits* out, bint sending) noexcept nogil    # [lock]
cdef int peer_greet(sock* s, peer* p) noexcept nogil       # [lock] hello, probe, subscriptions, welcome: what a new peer gets
cdef void peer_inject(sock* s, peer* p, const uint8_t* data, size_t n) noexcept nogil  # [lock] a message of our own into its input
cdef void peer_farewell(sock* s, peer* p) noexcept nogil   # [lock] DISCONNECT_MSG, notifications, subscriptions of a peer that goes
