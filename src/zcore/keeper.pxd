"""The store behind KeepLast (and CONFLATE): messages by key, the newest of each, in order of first arrival.

Whole multipart messages.  Chained hash over a doubly linked list; the number of entries is bounded by the
limit given at each put, so memory is bounded by limit x message size.  No locks: the queue's owner does.
"""

from libc.stdint cimport uint32_t, uint64_t

from .limits cimport books, limits
from .message cimport zmsg


cdef struct kept:
    kept* next            # in order of arrival
    kept* prev
    kept* chain           # in the hash bucket
    uint64_t hash
    uint32_t nparts
    size_t bytes
    zmsg parts[1]         # nparts of them

cdef struct keeper:
    kept* first
    kept* last
    kept** buckets
    uint32_t nbuckets
    uint32_t count
    size_t bytes


cdef int keeper_put(keeper* k, const limits* lim, books* b, zmsg* parts, uint32_t n) noexcept nogil
# moves the parts in; 0 or -ENOMEM (then the parts stay the caller's). Books get what was replaced or made room.
cdef kept* keeper_take(keeper* k) noexcept nogil      # the oldest, unlinked; NULL when empty
cdef void kept_free(kept* e) noexcept nogil            # releases the parts that are still in it
cdef void keeper_clear(keeper* k) noexcept nogil
