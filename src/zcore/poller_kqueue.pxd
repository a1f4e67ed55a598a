"""The poller's backend for macOS and the BSDs: kqueue.

A kqueue knows filters, not descriptors: reading and writing are two registrations with two lives.  The table makes
one of them: it says which registration an event belongs to (`seq` travels as the event's user data, so an event of an
earlier owner of the same number is recognised and dropped), joins the two filters of one descriptor into one event,
and lets a one-shot registration report once although two filters were armed.
"""

from libc.stdint cimport int64_t, uint32_t

from zcore.platform cimport zq_mutex
from zcore.poller_table cimport fd_table, poll_event


cdef struct kqueue_set:
    int kq
    zq_mutex lock        # covers `table`; never held in a system call
    fd_table table
    uint32_t stamp       # number of the current wait; the waiter's own


# A new set in `out`; its descriptor is `out[0].kq`.
cdef int kqueue_open(kqueue_set** out) noexcept nogil
# `forked`: in a child, where the descriptor has not been inherited; leaks the rest.
cdef void kqueue_close(kqueue_set* s, bint forked) noexcept nogil
cdef int kqueue_add(kqueue_set* s, int fd, int events, void* tag) noexcept nogil
cdef int kqueue_mod(kqueue_set* s, int fd, int events, void* tag) noexcept nogil
cdef int kqueue_del(kqueue_set* s, int fd) noexcept nogil
cdef int kqueue_collect(kqueue_set* s, poll_event* out, int most, int64_t timeout_ns) noexcept nogil

# True when this is the kernel's own kqueue, False for the double.
cdef bint kqueue_is_native() noexcept nogil
