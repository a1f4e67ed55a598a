"""The store behind KeepLast (and CONFLATE): messages by key, the newest of each, in order of first arrival.

Whole multipart messages.  Chained hash over a doubly linked list; the number of entries is bounded by the
limit given at each put, so memory is bounded by limit x message size.  No locks: the queue's owner does.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .limits cimport KEY_NONE, KEY_PREFIX, books, limits
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
    uint32_t* scratch     # of keys_begin
    uint32_t nscratch     # power of two
    uint32_t scratch_cap


cdef int keeper_put(keeper* k, const limits* lim, books* b, zmsg* parts, uint32_t n) noexcept nogil
# moves the parts in; 0 or -ENOMEM (then the parts stay the caller's). Books get what was replaced or made room.
cdef kept* keeper_take(keeper* k) noexcept nogil      # the oldest, unlinked; NULL when empty
cdef void kept_free(kept* e) noexcept nogil            # releases the parts that are still in it
cdef void keeper_clear(keeper* k) noexcept nogil
cdef int keys_begin(keeper* k, uint32_t n) noexcept nogil
# To look for equal keys among n messages without storing any: k.scratch is a hash table of zeros, a quarter full at
# most with n entries; 0 or -ENOMEM.


cdef inline size_t key_of(const limits* lim, size_t size) noexcept nogil:
    """How many bytes of the first frame are the key."""
    if lim.key == KEY_NONE:
        return 0
    if lim.key == KEY_PREFIX and size > lim.key_len:
        return lim.key_len
    return size

cdef inline uint64_t key_hash(const uint8_t* p, size_t n) noexcept nogil:
    # Keys are short, and an attacker can at worst make one peer's own table slow, which the limit on entries bounds.
    cdef uint64_t h = n
    cdef uint64_t word
    while n >= 8:
        memcpy(&word, p, 8)
        h = (h ^ word) * 0x9E3779B97F4A7C15ULL
        h ^= h >> 32
        p += 8
        n -= 8
    if n:
        word = 0
        memcpy(&word, p, n)
        h = (h ^ word) * 0x9E3779B97F4A7C15ULL
        h ^= h >> 32
    # a product's low bits know nothing of the factors' high ones
    h *= 0xD1342543DE82EF95ULL
    return h ^ (h >> 32)
