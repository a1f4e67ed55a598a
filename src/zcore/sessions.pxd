"""The life of one stream connection behind its handshake: attachment to its socket, traffic, end.

All functions run on the reactor's thread and take the socket lock themselves, unless they say otherwise.
"""

from libc.stdint cimport int64_t

from .engine cimport session, sock


cdef void session_attach(session* n) noexcept nogil
# The handshake is over and written: the connection serves its socket from here, or ends.
cdef void session_discard(session* n) noexcept nogil     # end one that was never attached
cdef void session_known(session* n) noexcept nogil       # [lock] it is no stranger any more
cdef void session_ready(session* n, int revents) noexcept nogil      # its descriptor can be written, or read, again
cdef bint session_close(session* n) noexcept nogil      # False: somebody is reading or writing, try again soon
cdef void session_leave(session* n, int64_t due) noexcept nogil
# [lock] Its endpoint is gone: it takes no more messages and ends when those it has are written, or at `due` (ns, -1 never).
cdef void sessions_sweep(sock* s) noexcept nogil         # [lock] free the memory of closed sessions when nobody looks at it
