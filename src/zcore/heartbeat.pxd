"""Is the other side of a connection alive, and does it take what it is sent? (RFC 37, zmq_setsockopt(3): HEARTBEAT_*)

Reactor's thread.  Every byte that arrives counts as a sign of life; a PING is sent at every interval all the same, so
that the peer may judge us.  A peer that names a time to live in its PING is held to it, whatever our own options say.
"""

from .engine cimport session


cdef void heartbeat_init(session* n) noexcept nogil
cdef void heartbeat_start(session* n) noexcept nogil     # no lock held: the handshake is over
cdef void heartbeat_mind(session* n) noexcept nogil      # [lock] arm the timer for what the peer asked
cdef void heartbeat_slow(session* n) noexcept nogil      # [lock] its queue is full: the policy limits for how long
cdef void heartbeat_stop(session* n) noexcept nogil
