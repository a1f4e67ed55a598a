"""Two peers in one process: a pair of message queues, one per direction, shared by two sockets.

The messages themselves travel, Python objects included; nothing is copied.  The link has a lock of its own, taken
inside either socket's lock and never the other way round; both sockets hold a reference, and each end names the
peer that stands for the other socket until that socket lets go.
"""

from libc.stdint cimport uint8_t, uint32_t

from .keeper cimport keeper
from .limits cimport books, limits
from .message cimport zmsg
from .platform cimport zq_mutex
from .ring cimport msgring


cdef struct half:
    msgring ring
    keeper keep           # POLICY_KEEP_LAST: messages not yet in the ring
    uint32_t nmsgs        # whole messages waiting
    size_t nbytes         # bytes of the parts waiting, those of a message that was begun included
    bint full             # the writer met the mark, and it has not sunk to half since
    bint open             # the reader is between two parts
    limits lim            # what holds: made of the two that follow
    limits by_writer      # SNDHWM or the policy of the side that writes
    limits by_reader      # RCVHWM or the policy of the side that reads
    books books

cdef struct link:
    zq_mutex lock
    uint32_t refs         # atomic
    half dir[2]           # dir[s] is written by side s and read by side 1 - s
    bint joined           # both sides have said their limits; before, the writer's alone count
    void* ends[2]         # the peer that side s reads and writes through; NULL when that side has gone [lock]


cdef link* link_new() noexcept nogil                       # one reference, for the side that connects; NULL: no memory
cdef void link_ref(link* k) noexcept nogil
cdef void link_unref(link* k) noexcept nogil
cdef int link_put(link* k, int side, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, bint control, bint* wake) noexcept nogil
# A whole message; pre and parts are moved out on success, left alone otherwise. 0, PUT_DROPPED, -EAGAIN (full), -EPIPE (nobody reads), -ENOMEM.
# wake: the queue was empty before.
cdef bint link_front(link* k, int side, uint8_t* first, size_t* size) noexcept nogil
# Size and first byte of what link_take would give now; a writer that drops its oldest may still change that.
cdef int link_take(link* k, int side, zmsg* out, bint* credit) noexcept nogil
# The next part for side's reader: 1, or 0 when there is none. credit: the writer may go on.
cdef void link_leave(link* k, int side) noexcept nogil      # this side reads and writes no more
cdef int link_inject(link* k, int side, zmsg* m) noexcept nogil     # put m before side's reader, outside the limits; 0 or -ENOMEM
cdef void link_limits(link* k, int side, const limits* sending, const limits* receiving) noexcept nogil
# What one side contributes to the limits of both directions.
cdef bint link_room(link* k, int side) noexcept nogil
cdef void link_refuse(link* k, int side, bint again) noexcept nogil
# A message of side's has met the mark, and its type drops it then; again: the next one may try, before half is gone.
cdef void link_filter(link* k, int side) noexcept nogil     # a message that side took was not for the application
cdef void link_books(link* k, int side, books* sent, books* received) noexcept nogil
# Of a side that has left: what the other may still read counts as delivered.
cdef uint8_t link_policy(link* k, int side) noexcept nogil  # what holds for what side writes
cdef uint32_t link_waiting(link* k, int side) noexcept nogil  # parts that side could take now
