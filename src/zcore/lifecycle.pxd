"""A socket from creation to its last reference, what the reactor does for it, and the end of a context."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .ctx cimport ctx
from .engine cimport sock


cdef sock* sock_new(ctx* x, int type, int* error) noexcept nogil       # error: -EINVAL, -EMFILE, -ETERM, -ENOMEM
cdef void sock_close(sock* s, int64_t linger_ms) noexcept nogil
# Never waits. -1: no limit; 0: at once; -2: as LINGER says. The caller's reference stays its own.
cdef void ctx_stop(ctx* x, bint ending) noexcept nogil
# Every call on its sockets ends with ETERM; ending: the caller is going to wait for x.gone, and counts in x.enders.
cdef bint ctx_all_gone(ctx* x) noexcept nogil       # no socket is left, lingering ones included
cdef struct owing:              # what a context's sockets have accepted and not yet handed to the kernel
    uint32_t connected        # peers that are there
    uint32_t dialling         # peers to which a connection is being made
    uint64_t messages
    uint64_t taken            # bytes so far: progress is when it, or the rest, changes
    char name[256]            # one of the endpoints

cdef void ctx_owes(ctx* x, int64_t since, owing* out) noexcept nogil
# Of sockets whose LINGER, counted from `since` (ns) for those that are open, is not over.  No lock held.
cdef int sock_export_fd(sock* s) noexcept nogil      # the signal descriptor, or negative errno
cdef void sock_signal_seen(sock* s) noexcept nogil    # [lock] EVENTS was read
cdef void spin_default(int us) noexcept nogil          # SPIN_BUDGET of new sockets, from the environment
