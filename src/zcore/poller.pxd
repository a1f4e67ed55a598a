"""Readiness of descriptors: one interface over epoll, kqueue and poll(2), chosen at run time.

A poller is a set of descriptors.  Errors are negative errno.  The contract, the same for all three:

- `events` asks for POLL_IN, POLL_OUT or both; level-triggered.  With POLL_ONESHOT the registration reports once,
  whatever the number of bits, and then sleeps until poller_mod.  To watch nothing, delete the descriptor.
- A wait reports a descriptor at most once.  POLL_ERR and POLL_HUP come unasked; with either of them the asked bits may
  be missing: treat the descriptor as ready for all it watches.  kqueue reports POLL_HUP only with POLL_OUT.
- add, mod and del may be called from any thread while another waits, and take effect at once; two changes of the same
  descriptor must not run together.  An event that a waiter has already fetched is not called back: after a del in
  another thread the tag may still come out of the wait that is under way.
- Delete a descriptor before closing it.
- One thread waits at a time.
- After fork() the child's calls fail with -ECHILD without touching the parent's set; it may only close.
"""

from libc.stdint cimport int64_t, uint32_t

from zcore.poller_table cimport (  # noqa: F401  offered to those who cimport this module
    POLL_BOTH, POLL_ERR, POLL_HUP, POLL_IN, POLL_MAX_EVENTS, POLL_ONESHOT, POLL_OUT, poll_event
)


cdef enum:
    POLLER_DEFAULT = 0     # PYZQ_POLLER, else the best of this system
    POLLER_EPOLL = 1
    POLLER_KQUEUE = 2      # on Linux a double made for the tests
    POLLER_POLL = 3


cdef struct poller:
    int backend            # POLLER_*, 0 when closed
    int fd                 # epoll or kqueue; -1 with poll(2) or when closed
    uint32_t generation    # fork generation in which it was opened
    void* impl             # the backend's set, NULL with epoll


# Makes a new set in `p` (its former content is ignored).  -ENOSYS: this system lacks the backend; -EINVAL: no backend.
cdef int poller_open(poller* p, int backend) noexcept nogil
# Closes; also in a forked child (which closes its descriptors and nothing else).  A closed poller may be closed again.
cdef void poller_close(poller* p) noexcept nogil
# -EBADF, -EEXIST, -EINVAL, -ENOMEM, -ENOSPC; -EPERM for files that are always ready (epoll).
cdef int poller_add(poller* p, int fd, int events, void* tag) noexcept nogil
# Also re-arms a one-shot registration.  -ENOENT when not registered.
cdef int poller_mod(poller* p, int fd, int events, void* tag) noexcept nogil
# -ENOENT when not registered.
cdef int poller_del(poller* p, int fd) noexcept nogil
# Number of events in `out` (at most POLL_MAX_EVENTS of them are fetched), 0 when the time is over; rarely 0 earlier.
# `timeout_ns` below 0: no limit; a limit is counted in nanoseconds and cut at a day.  -EINTR after a signal.
cdef int poller_wait(poller* p, poll_event* out, int most, int64_t timeout_ns) noexcept nogil

# A descriptor that is readable while a registered descriptor is ready (or, rarely, without reason), or -1.
cdef inline int poller_fd(const poller* p) noexcept nogil:
    return p.fd

# The backend that POLLER_DEFAULT stands for.
cdef int poller_default() noexcept nogil
# 0, or -ENOSYS / -EINVAL.  POLLER_DEFAULT returns to the system's best.  For pollers opened later.
cdef int poller_set_default(int backend) noexcept nogil
