"""The handle of a Python program on the engine's `sock`, and how its calls wait."""

from libc.stdint cimport int64_t, uint32_t

from .context cimport Context
from .engine cimport sock


cdef class SocketBase:
    cdef sock* s
    cdef public object context
    cdef public object copy_threshold
    cdef bint shadowing
    cdef object original
    cdef object __weakref__
    cdef dict __dict__

    cdef int _enter(self) except -1                # take the lock, or raise why the socket cannot be used
    cdef int _endpoint(self, object addr, int what) except -1
    cdef int _group(self, object group, bint leave) except -1
    cdef int _special(self, int option, const unsigned char* data, size_t size) except -1


cdef void sock_settle(sock* s) noexcept             # [lock; let go of] act on what the call did, wake whom it concerns
cdef int sock_sleep(sock* s, int want, int64_t deadline, bint again) except -1
# [lock; let go of] spin, or with `again` sleep; 0: look again, 1: the deadline is past
cdef bint sock_ready(sock* s, int want) noexcept     # [lock]
