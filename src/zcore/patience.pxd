"""How a call of a Python program ends, or waits: settling, waking others, sleeping without the GIL, signals."""

from libc.stdint cimport int64_t

from .engine cimport sock
from .platform cimport sigset_t


cdef void sock_settle(sock* s) noexcept             # [lock; let go of] act on what the call did, wake whom it concerns
cdef void sock_read_apart(sock* s) noexcept         # [lock; let go of meanwhile] read what takes longer than the GIL is to be held
cdef struct patience:                               # one call's waiting
    int64_t deadline                                # ns, -1 none
    bint again                                      # not the first wait
    bint main                                       # on the thread that handles signals
    bint masked                                     # signals are blocked, `old` is to be restored
    sigset_t old

cdef int patience_begin(patience* w) except -1      # before each try; raises what a signal's handler raises
cdef int sock_wait(sock* s, int want, patience* w) except -1
# [lock, held since the try that failed; let go of] 0: try again, 1: the deadline is past
cdef void patience_end(patience* w) noexcept        # whatever happened

cdef inline void patience_init(patience* w, int64_t deadline) noexcept:
    w.deadline = deadline
    w.again = False
    w.main = False
    w.masked = False
