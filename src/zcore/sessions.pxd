"""The life of one stream connection: handshake, attachment to its socket, end.

All functions run on the reactor's thread and take the socket lock themselves, unless they say otherwise.
"""

from libc.stdint cimport int64_t

from .engine cimport ept, session, sock
from .stream cimport peer_facts


cdef int session_open(sock* s, ept* e, int fd, const peer_facts* facts, bint accepted) noexcept nogil
# A connected descriptor: it belongs to the session from here. 0, or negative errno (the descriptor is then closed).
cdef bint session_close(session* n) noexcept nogil      # False: somebody is reading or writing, try again soon
cdef void session_leave(session* n, int64_t due) noexcept nogil
# [lock] Its endpoint is gone: it takes no more messages and ends when those it has are written, or at `due` (ns, -1 never).
cdef void sessions_sweep(sock* s) noexcept nogil         # [lock] free the memory of closed sessions when nobody looks at it
