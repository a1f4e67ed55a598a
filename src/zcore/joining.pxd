"""Sockets of one context joined by name: bind and connect over inproc, in either order, and parting again.

No lock held by the caller; two sockets' locks are never held together.
"""

from .endpoint cimport endpoint
from .engine cimport ept, sock


cdef int inproc_bind(sock* s, ept* e, const endpoint* where) noexcept nogil
# where: e's, with the name in the caller's own text, which outlives e when another thread closes the socket.
# -EADDRINUSE, -ENOMEM: e stays the caller's
cdef int inproc_connect(sock* s, ept* e) noexcept nogil      # -ENOMEM, -EADDRINUSE (CONNECT_ROUTING_ID is taken), likewise
cdef void inproc_forget(sock* s, ept* e) noexcept nogil
# Nobody finds s by e's name any more, and e waits no longer for somebody to bind it.
cdef void inproc_leave(sock* s, ept* only) noexcept nogil
# Let go of the peers of one endpoint, or of all: they are told, and read on what was sent.
cdef void inproc_leave_all(sock* s) noexcept nogil            # the socket closes: all of its inproc endpoints go
