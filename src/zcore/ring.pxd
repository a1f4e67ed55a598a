"""Bounded-by-a-counter ring queues: power-of-two storage that grows on demand and never on a peer's word.

`lenring` remembers how long each queued message is; `msgring` holds messages that stay in this process.
Neither locks: the owner does.
"""

from libc.stdint cimport uint32_t, uint64_t

from .message cimport zmsg


cdef enum:
    LEN_CONTROL = 1       # this entry is protocol traffic (a subscription), not a message
    LEN_SHIFT = 1         # an entry is (bytes << LEN_SHIFT) | flags

cdef struct lenring:
    uint64_t* items
    uint32_t head         # index of the front, counting up for ever
    uint32_t tail         # one behind the last
    uint32_t cap          # power of two, 0 before first use

cdef struct msgring:
    zmsg* items
    uint32_t head
    uint32_t tail
    uint32_t cap


cdef int lenring_grow(lenring* r) noexcept nogil          # 0 or -ENOMEM
cdef void lenring_free(lenring* r) noexcept nogil
cdef int msgring_reserve(msgring* r, uint32_t n) noexcept nogil   # room for n more; 0 or -ENOMEM
cdef void msgring_free(msgring* r) noexcept nogil          # releases what is inside

cdef inline uint32_t lenring_count(lenring* r) noexcept nogil:
    return r.tail - r.head

cdef inline int lenring_push(lenring* r, uint64_t item) noexcept nogil:
    if r.tail - r.head == r.cap and lenring_grow(r) < 0:
        return -1
    r.items[r.tail & (r.cap - 1)] = item
    r.tail += 1
    return 0

cdef inline uint64_t lenring_front(lenring* r) noexcept nogil:
    return r.items[r.head & (r.cap - 1)]

cdef inline uint64_t* lenring_at(lenring* r, uint32_t i) noexcept nogil:
    return &r.items[(r.head + i) & (r.cap - 1)]

cdef inline void lenring_pop(lenring* r) noexcept nogil:
    r.head += 1

cdef inline uint32_t msgring_count(msgring* r) noexcept nogil:
    return r.tail - r.head

cdef inline zmsg* msgring_at(msgring* r, uint32_t i) noexcept nogil:
    return &r.items[(r.head + i) & (r.cap - 1)]

cdef inline zmsg* msgring_slot(msgring* r) noexcept nogil:
    """The place behind the last; room must have been reserved."""
    cdef zmsg* m = &r.items[r.tail & (r.cap - 1)]
    r.tail += 1
    return m

cdef inline void msgring_pop(msgring* r) noexcept nogil:
    """The front must have been moved out or released."""
    r.head += 1
