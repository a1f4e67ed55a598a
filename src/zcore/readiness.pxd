"""Which connections are watched, and for what: input in the socket's set, writability in the reactor.

Where a set has no descriptor of its own (poll(2)) the reactor watches each connection for both, and reads.  All
functions: reactor's thread.
"""

from .engine cimport session, sock


cdef int session_into_set(sock* s, session* n) noexcept nogil    # [lock] watch its input from now on; 0 or negative errno
cdef void session_watch(session* n) noexcept nogil       # [lock] watch for writability, as n.watch_out asks
cdef void session_resume(session* n) noexcept nogil      # [lock] back into the set when its queue has room again
cdef void session_read_here(session* n) noexcept nogil   # poll(2) only: it is readable
cdef void session_watch_both(session* n) noexcept nogil  # poll(2) only: as in_set and blocked say
