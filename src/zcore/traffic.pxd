"""Moving bytes: between a socket's queues and its connections, and across inproc links.

These functions serve the application's thread and the reactor alike; who may read when is the lease's business.
"""

from libc.stdint cimport int64_t, uint32_t

from .engine cimport member, session, sock, watcher
from .routing cimport peer


cdef enum:
    WAKES_MAX = 16

cdef struct wakes:        # sockets to wake when no lock is held any more; one reference each
    sock* s[WAKES_MAX]
    int n


cdef void sock_ref(sock* s) noexcept nogil
cdef void sock_unref(sock* s) noexcept nogil                      # the last one frees the struct
cdef void sock_post(sock* s, uint32_t bits) noexcept nogil         # DUE_*: have the reactor do it
cdef void traffic_mind(sock* s, session* n) noexcept nogil         # [lock] have the reactor look at one connection
cdef void traffic_resume(sock* s) noexcept nogil                    # [lock] paused input that may go on
cdef void sock_wake(sock* s) noexcept nogil                        # wake waiters, signal FD: any thread, no lock needed
cdef void sock_tell(sock* s, member* but) noexcept nogil
# Those who watch from outside have something to look at, all but one: any thread, no lock needed.
cdef void watcher_unref(watcher* w) noexcept nogil                 # the last one closes and frees it
cdef bint sock_wants_wake(sock* s) noexcept nogil
cdef void wakes_run(wakes* w) noexcept nogil                        # no lock held

cdef void traffic_inbox(sock* s) noexcept nogil                    # [lock] apply what inproc peers have told
cdef void traffic_let_end(sock* s, const uint32_t* under_way) noexcept nogil    # [lock; let go of] for a moment at most
cdef void traffic_before_send(sock* s) noexcept nogil
# [lock; let go for a moment at most] the same, and hear what writes under way have taken, where a full queue means a drop
cdef void traffic_hear(sock* s, peer* p) noexcept nogil            # [lock] it may have input
cdef int traffic_read(sock* s, session* n, size_t budget) noexcept nogil
# [lock; let go during the read] one turn of one connection; 1 when messages or commands came. A budget of GIL_BUDGET or less
# says that the GIL is held: what takes longer is left, and s.heavy_left says so.
cdef void traffic_unlist(session* n) noexcept nogil               # [lock] out of sock.large
cdef void traffic_commit(sock* s, session* n, int rc) noexcept nogil   # [lock] publish what a read brought
cdef void traffic_settle(sock* s, wakes* w) noexcept nogil
# [lock; let go during writes] act on what this call did to queues: write, leave for later, notify, let go of dead peers
cdef bint traffic_heavy(sock* s) noexcept nogil                    # [lock] settling may take long: let go of the GIL
cdef void traffic_unflush(sock* s, session* n, session** at) noexcept nogil    # [lock] out of sock.flush, where *at is n
cdef int traffic_flush_now(sock* s) noexcept nogil
# [lock; let go during writes] write what was left for later; 1 when anything was there, so that things may have changed
cdef int traffic_write(sock* s, session* n) noexcept nogil         # [lock; let go during the write] WRITE_* or negative
cdef void session_failed(sock* s, session* n, int error) noexcept nogil   # [lock] no more I/O; the reactor closes it
cdef void peer_notify(peer* p, uint32_t news, wakes* w) noexcept nogil     # tell the other side of an inproc link
cdef void traffic_bury(sock* s, peer* p) noexcept nogil               # [lock] a peer out of the lists: keep its books, free it
