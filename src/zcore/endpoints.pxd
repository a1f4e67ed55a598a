"""bind, connect, unbind and disconnect, as the application calls them.

No lock held; they may block for a name that is to be bound.  Errors are negative errno; `why` (WHY_MAX bytes) receives a
sentence that names the endpoint and what is wrong with it, where there is more to say than the errno does.
"""

from .engine cimport sock


cdef enum:
    WHY_MAX = 512

cdef int endpoint_bind(sock* s, const char* text, size_t n, char* why) noexcept nogil
cdef int endpoint_connect(sock* s, const char* text, size_t n, char* why) noexcept nogil
cdef int endpoint_leave(sock* s, const char* text, size_t n, bint bound, char* why) noexcept nogil
# unbind: the address is free when it returns.  What was accepted before for the peers of the endpoint goes on to them in
# the background for as long as LINGER says.  -ENOENT: the socket has no such endpoint.
