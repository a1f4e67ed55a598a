"""Waiting: spin for a moment where that has paid, then sleep in poll(2) until there is something to do.

The waiting thread is its own I/O thread: of all threads that wait for one socket's input, one is the leader, which waits
for the connections themselves and reads them; the others wait for the wake descriptor.  A thread that leaves hands on
what is left.
"""

from libc.stdint cimport int64_t, uint32_t

from .engine cimport member, session, sock
from .platform cimport pollfd, sigset_t


cdef enum:
    WAIT_IN = 1
    WAIT_OUT = 2
    WAIT_GOING = 4        # for the reactor, which takes leave of something: goes on when the socket is closed

cdef struct watch:        # one thread's wait for one socket
    sock* s
    watch* next           # in sock.watches
    int want
    uint32_t news         # sock.news when it began: what came later is news to this thread
    bint in_vain          # woken for nothing but to pass the signal on
    bint lead
    session* only         # leading, with one connection: that one is watched itself
    int at                # first of its entries in the array of descriptors
    int n
    bint parks            # asleep on sock.parked rather than in poll(2)
    uint32_t ticket       # what stood there

cdef int watch_begin(watch* w, sock* s, int want, pollfd* fds) noexcept nogil
# [lock] announce the wait; fills at most two entries and returns how many; -EAGAIN: there is news already, do not wait;
# other negative errno: no descriptor could be made
cdef void watch_end(watch* w, pollfd* fds) noexcept nogil     # [lock; let go during reads] look at what came
cdef int wait_spin(sock* s, int want, int64_t deadline, member* me) noexcept nogil
# [lock; let go meanwhile] spin where that has paid; 1: look again; 0: nothing has come
# since the lock was taken.  me: who spins, if a member
cdef int wait_one(sock* s, int want, int64_t deadline, const sigset_t* mask) noexcept nogil
# [lock; let go during the wait] sleep. 0: look again; -EAGAIN: the deadline (ns, -1 none) has passed; -EINTR: a signal came
cdef int wait_progress(sock* s, size_t budget, member* me) noexcept nogil
# [lock; let go during reads] read what is there without waiting; 1 when something came.  me: who reads, if a member
