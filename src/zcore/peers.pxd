"""Peers in the light of their socket's options: made with its limits, greeted when they come, seen off when they go.

All functions: socket lock held.
"""

from libc.stdint cimport uint8_t

from .engine cimport sock
from .limits cimport limits
from .routing cimport peer


cdef peer* peer_make(sock* s, int kind) noexcept nogil    # with this socket's limits; NULL: no memory
cdef void sock_limits(sock* s, limits* out, bint sending) noexcept nogil    # as options and set_hwm_policy say now
cdef void peer_limits(sock* s, peer* p) noexcept nogil    # they have changed: apply them to a peer that is there
cdef void peer_leave(sock* s, peer* p) noexcept nogil
# Nothing new is sent to it; what its queue holds already still goes.
cdef void peer_inject(sock* s, peer* p, const uint8_t* data, size_t n) noexcept nogil   # a message as if p had sent it
cdef int peer_greet(sock* s, peer* p) noexcept nogil
# It is attached: HELLO_MSG, PROBE_ROUTER, XPUB_WELCOME_MSG, our subscriptions. 0 or -ENOMEM.
cdef void peer_farewell(sock* s, peer* p) noexcept nogil
# Its connection has ended for good: DISCONNECT_MSG and the notices of ROUTER and STREAM are received.
cdef void peer_gone(sock* s, peer* p, int reason) noexcept nogil
# Nothing goes to it any more: its subscriptions end, its queue is dropped for that reason (DROP_*), and once what it has
# sent is taken, settling frees it.  The one way a peer that was attached goes while its socket lives.
