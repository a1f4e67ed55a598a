"""Publish-subscribe and radio-dish: who wants what, on both sides.

Publisher: `routing.fans` maps topics (or length-prefixed groups) to slots of peers.  Subscriber: `routing.own` holds
what this socket wants, by reference count.  XPUB: what its peers ask for waits in `routing.upward` to be received.
"""

from libc.stdint cimport uint8_t, uint32_t

from .message cimport zmsg
from .pipe cimport part
from .routing cimport peer, routing


# publishers
cdef int fanout_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil
cdef int groups_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil    # parts[0] is the group
cdef int fanout_subscription(routing* r, peer* p, const uint8_t* topic, size_t n, bint cancel) noexcept nogil
# A peer's wish, as a command or as the body of a message behind its first byte.
cdef int fanout_group(routing* r, peer* p, const uint8_t* group, size_t n, bint leave) noexcept nogil
cdef void fanout_take(routing* r, peer* p) noexcept nogil       # all of its input: subscriptions, and messages to XPUB
cdef void fanout_gone(routing* r, peer* p) noexcept nogil        # it wants nothing any more
cdef int fanout_manual(routing* r, const uint8_t* topic, size_t n, bint cancel) noexcept nogil
# XPUB_MANUAL: decide for the peer whose subscription was received last

cdef int upward_peek(routing* r, part* out) noexcept nogil
cdef void upward_pop(routing* r, part* at, bint take) noexcept nogil

# subscribers
cdef int upstream_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil
cdef int own_subscribe(routing* r, const uint8_t* topic, size_t n, bint cancel) noexcept nogil   # SUB: setsockopt
cdef int own_group(routing* r, const uint8_t* group, size_t n, bint leave) noexcept nogil         # DISH: join, leave
cdef int own_resend(routing* r, peer* p) noexcept nogil            # a publisher is there, or there again
cdef bint topics_match(routing* r, const uint8_t* data, size_t n) noexcept nogil
cdef bint groups_match(routing* r, const uint8_t* group, size_t n) noexcept nogil
