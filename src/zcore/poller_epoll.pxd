"""The poller's backend for Linux: epoll.  The kernel keeps everything, so this one has no memory and no lock."""

from libc.stdint cimport int64_t

from zcore.poller_table cimport poll_event


# The epoll's descriptor; -ENOSYS where there is none.
cdef int epoll_open() noexcept nogil
cdef int epoll_add(int ep, int fd, int events, void* tag) noexcept nogil
cdef int epoll_mod(int ep, int fd, int events, void* tag) noexcept nogil
cdef int epoll_del(int ep, int fd) noexcept nogil
cdef int epoll_collect(int ep, poll_event* out, int most, int64_t timeout_ns) noexcept nogil

# For tests: wait without epoll_pwait2 (1), as an old kernel forces us to, or try it again (0).
cdef void epoll_force_coarse(bint coarse) noexcept nogil
