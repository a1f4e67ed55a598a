"""The poller's backend for everywhere: poll(2).

The kernel keeps nothing between two waits, so the set lives here, and there is no descriptor that stands for it.  The
waiter polls a copy; whoever changes the set while the waiter sleeps wakes it through a descriptor of the set's own, so
that add, mod and del take effect at once from any thread, as they do with epoll.
"""

from libc.stdint cimport int64_t, uint32_t

from zcore.platform cimport pollfd, zq_mutex, zq_wakefd
from zcore.poller_table cimport fd_table, poll_event


# Descriptors and their registration numbers, side by side; entry 0 is the wake descriptor.
cdef struct poll_array:
    pollfd* fds
    uint32_t* seqs
    int n
    int room


cdef struct poll_set:
    zq_mutex lock          # covers `table`, `current`, `version`, `waiting`; never held in a system call
    fd_table table         # `pos` of an entry is its place in `current`
    poll_array current     # what is registered now
    uint32_t version       # changes with `current`
    uint32_t waiting       # 1 while the waiter is outside the lock with its copy
    zq_wakefd wake
    poll_array polled      # the waiter's copy; the waiter's own
    uint32_t polled_version
    int first              # where the waiter starts to look for events, so that every descriptor has its turn


cdef int pollset_open(poll_set** out) noexcept nogil
# `forked`: in a child; closes the wake descriptor, leaks the rest.
cdef void pollset_close(poll_set* s, bint forked) noexcept nogil
cdef int pollset_add(poll_set* s, int fd, int events, void* tag) noexcept nogil
cdef int pollset_mod(poll_set* s, int fd, int events, void* tag) noexcept nogil
cdef int pollset_del(poll_set* s, int fd) noexcept nogil
# One waiter at a time: -EBUSY for the second.
cdef int pollset_collect(poll_set* s, poll_event* out, int most, int64_t timeout_ns) noexcept nogil
