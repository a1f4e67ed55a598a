"""The records of one socket's binds and connects.

The list is the socket lock's.  A record is freed by whoever took it out of the list: the reactor for tcp and ipc, the
calling thread for inproc.
"""

from .endpoint cimport endpoint
from .engine cimport ept, sock
from .stream cimport stream_opts


cdef char* copy_text(const char* text, size_t n) noexcept nogil      # with a zero behind it; NULL: no memory
cdef ept* ept_new(sock* s, const char* text, size_t n, const endpoint* where, bint bound) noexcept nogil
cdef void ept_free(ept* e) noexcept nogil
cdef void ept_link(sock* s, ept* e) noexcept nogil                    # [lock]
cdef void ept_unlink(sock* s, ept* e) noexcept nogil                  # [lock]
cdef bint ept_listed(sock* s, ept* e) noexcept nogil                  # [lock]
cdef int ept_last(sock* s, const char* text) noexcept nogil           # [lock] LAST_ENDPOINT; 0 or -ENOMEM
cdef bint ept_is(ept* e, const char* text, size_t n) noexcept nogil   # as it was given, or as it was resolved
cdef int stream_options_of(sock* s, stream_opts* out) noexcept nogil  # [lock] a copy of what a listener or connecter needs
