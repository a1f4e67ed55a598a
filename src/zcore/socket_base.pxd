"""The handle of a Python program on the engine's `sock`, and how its calls wait."""

from libc.stdint cimport int64_t, uint32_t

from .context cimport Context
from .engine cimport sock
from .platform cimport sigset_t


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
cdef void sock_read_apart(sock* s) noexcept         # [lock; let go of meanwhile] read what takes longer than the GIL is to be held
cdef struct patience:                               # one call's waiting
    int64_t deadline                                # ns, -1 none
    bint again                                      # the first wait only spins, later ones sleep
    bint masked                                     # signals are blocked, `old` is to be restored
    sigset_t old

cdef int patience_begin(patience* w) except -1      # before each try; raises what a signal's handler raises
cdef int sock_wait(sock* s, int want, patience* w) except -1
# [lock, held since the try that failed; let go of] 0: try again, 1: the deadline is past
cdef void patience_end(patience* w) noexcept        # whatever happened

cdef inline void patience_init(patience* w, int64_t deadline) noexcept:
    w.deadline = deadline
    w.again = False
    w.masked = False
