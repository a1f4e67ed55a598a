"""Two peers in one process: a pair of message queues, one per direction, shared by two sockets.

The messages themselves travel, Python objects included; nothing is copied.  The link has a lock of its own, taken
inside either socket's lock and never the other way round; both sockets hold a reference, and each end names the
peer that stands for the other socket until that socket lets go.

Where nothing is ever dropped from the middle, the reader fetches all there is at once and takes it from its `run`
without the link's lock, so that the two sides do not wait for each other at every message.  What it has taken since is
in two counters of its own; whoever has the lock and needs to know folds them in.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .keeper cimport keeper
from .limits cimport books, limits
from .message cimport zmsg
from .platform cimport zq_latch
from .ring cimport msgring


cdef struct half:         # the gaps keep what one side writes all the time out of the other's way
    # under the link's lock
    msgring ring          # put and not yet fetched
    keeper keep           # POLICY_KEEP_LAST: messages not yet in the ring
    uint32_t nmsgs        # whole messages waiting, in the run too; less those taken since the last fold
    size_t nbytes         # bytes of the parts waiting, those of a message that was begun included; likewise
    bint open             # the reader is between two parts, and the next is in the ring
    bint hungry           # the reader has come to the end, and was not told of anything since
    uint64_t folded       # of took and took_bytes
    uint64_t folded_bytes
    books books
    uint8_t[64] gap1
    # written under the link's lock, and seldom
    uint32_t full         # atomic: the writer met the mark, and it has not sunk to half since
    limits lim            # what holds: made of the two that follow
    limits by_writer      # SNDHWM or the policy of the side that writes
    limits by_reader      # RCVHWM or the policy of the side that reads
    bint exact            # every message counts: the mark is a low one, or one of bytes
    uint8_t[64] gap2
    # the reader's, under its socket's lock
    msgring run           # fetched
    bint run_open         # between two parts, and the next is in the run
    uint64_t took         # atomic, written by the reader alone: messages ever taken from runs
    uint64_t took_bytes   # atomic, likewise
    uint8_t[64] gap3

cdef struct link:
    zq_latch lock
    uint32_t refs         # atomic
    half dir[2]           # dir[s] is written by side s and read by side 1 - s
    bint joined           # both sides have said their limits; before, the writer's alone count
    void* ends[2]         # the peer that side s reads and writes through; NULL when that side has gone [lock]


cdef link* link_new() noexcept nogil                       # one reference, for the side that connects; NULL: no memory
cdef void link_ref(link* k) noexcept nogil
cdef void link_unref(link* k) noexcept nogil
cdef int link_put(link* k, int side, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, bint control, bint* wake) noexcept nogil
# A whole message; pre and parts are moved out on success, left alone otherwise. 0, PUT_DROPPED, -EAGAIN (full), -EPIPE (nobody reads), -ENOMEM.
# wake: the reader is to be told; else it has yet to come to the end of what it was told of.
cdef bint link_put_quick(link* k, int side, const uint8_t* data, size_t size, void* owner, bint* wake) noexcept nogil
# The hot path of link_put: one part, an object whose reference is the link's now. False: no case for it, nothing happened.
cdef bint link_front(link* k, int side, uint8_t* first, size_t* size) noexcept nogil
# Size and first byte of what link_take would give now; a writer that drops its oldest may still change that.
cdef int link_take(link* k, int side, zmsg* out, bint* credit) noexcept nogil
# The next part for side's reader: 1, or 0 when there is none. credit: the writer may go on.
cdef uint32_t link_put_run(link* k, int side, zmsg* parts, uint32_t n, bint* wake) noexcept nogil
# Messages of one part, in order, as many as there is room for: how many. What a policy has dropped of them, and the rest,
# is left alone.
cdef zmsg* link_run(link* k, int side, uint32_t* n) noexcept nogil
# The parts that side's reader gets next and that lie behind each other; NULL when a message is begun.
cdef void link_run_pop(link* k, int side, uint32_t n, size_t size, bint* credit) noexcept nogil
# Remove so many messages of one part, all together of that size; who calls has their references now.
cdef zmsg* link_quick(link* k, int side) noexcept nogil
# The hot path of link_take: the message of one part that side's reader gets next, if it is an object; NULL: no case for it.
cdef void link_quick_pop(link* k, int side, bint* credit) noexcept nogil     # remove it; who calls has its reference now
cdef void link_fold(link* k) noexcept nogil                 # [link.lock] nmsgs, nbytes and books of both directions are exact now
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
