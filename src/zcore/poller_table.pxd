"""What the poller's backends share: the event flags, the record of an event, a table by descriptor number."""

from libc.errno cimport EINVAL
from libc.stdint cimport int32_t, uint32_t


cdef enum:
    # The bits of a set of events.  IN, OUT, ERR and HUP have the numbers zmq_poll gives them, where it has one.
    POLL_IN = 1          # something can be read, or the stream has ended
    POLL_OUT = 2         # something can be written
    POLL_ERR = 4         # reported only: the descriptor has a pending error
    POLL_HUP = 16        # reported only: nothing can be written any more (sockets), the writers are gone (pipes)
    POLL_ONESHOT = 64    # asked only: after one report the registration sleeps until the next poller_mod

    POLL_BOTH = 3
    POLL_MAX_EVENTS = 256    # most events one wait gives


cdef struct poll_event:
    void* tag            # what was given to poller_add or poller_mod
    int events           # POLL_IN, POLL_OUT, POLL_ERR, POLL_HUP


# One registered descriptor, for the backends whose kernel interface does not keep what the contract needs.
cdef struct fd_entry:
    void* tag
    uint32_t seq         # number of this registration, never 0; 0: nothing registered under this number
    int32_t events       # asked: POLL_IN, POLL_OUT, POLL_ONESHOT
    int32_t armed        # 0: a one-shot registration that has reported
    int32_t pos          # the backend's own: place in an array
    uint32_t stamp       # the backend's own: the wait in which `pos` was set


# Indexed by descriptor.  No lock of its own: the backend's lock covers it.
cdef struct fd_table:
    fd_entry* entries
    int size
    uint32_t last_seq


cdef inline fd_entry* fd_table_get(fd_table* t, int fd) noexcept nogil:
    """The entry of a registered descriptor, or NULL."""
    if fd < 0 or fd >= t.size or t.entries[fd].seq == 0:
        return NULL
    return &t.entries[fd]


# A new entry; -EBADF, -EEXIST when the descriptor has one, -ENOMEM.  Moves the other entries: keep no pointers.
cdef int fd_table_add(fd_table* t, int fd, int events, void* tag, fd_entry** out) noexcept nogil
cdef void fd_table_drop(fd_table* t, int fd) noexcept nogil
cdef void fd_table_free(fd_table* t) noexcept nogil

# -EINVAL unless `events` asks for POLL_IN or POLL_OUT and for nothing unknown.
cdef inline int poll_check_events(int events) noexcept nogil:
    return 0 if events & POLL_BOTH and not events & ~(POLL_BOTH | POLL_ONESHOT) else -EINVAL
