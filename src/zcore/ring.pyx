"""Growth and destruction of the ring queues."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from .message cimport zmsg, zmsg_release


cdef int lenring_grow(lenring* r) noexcept nogil:
    cdef uint32_t cap = r.cap * 2 if r.cap else 16
    cdef uint32_t n = r.tail - r.head
    cdef uint32_t i
    cdef uint64_t* items
    if cap == 0:
        return -ENOMEM
    items = <uint64_t*>malloc(cap * sizeof(uint64_t))
    if items == NULL:
        return -ENOMEM
    for i in range(n):
        items[i] = r.items[(r.head + i) & (r.cap - 1)]
    free(r.items)
    r.items = items
    r.head = 0
    r.tail = n
    r.cap = cap
    return 0


cdef void lenring_free(lenring* r) noexcept nogil:
    free(r.items)
    r.items = NULL
    r.head = r.tail = r.cap = 0


cdef int msgring_reserve(msgring* r, uint32_t n) noexcept nogil:
    cdef uint32_t have = r.tail - r.head
    cdef uint32_t cap = r.cap if r.cap else 8
    cdef uint32_t i
    cdef zmsg* items
    if have + n <= r.cap:
        return 0
    while cap < have + n:
        cap *= 2
        if cap == 0:
            return -ENOMEM
    items = <zmsg*>malloc(cap * sizeof(zmsg))
    if items == NULL:
        return -ENOMEM
    for i in range(have):
        items[i] = r.items[(r.head + i) & (r.cap - 1)]
    free(r.items)
    r.items = items
    r.head = 0
    r.tail = have
    r.cap = cap
    return 0


cdef void msgring_free(msgring* r) noexcept nogil:
    while r.head != r.tail:
        zmsg_release(&r.items[r.head & (r.cap - 1)])
        r.head += 1
    free(r.items)
    r.items = NULL
    r.head = r.tail = r.cap = 0
