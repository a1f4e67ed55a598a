"""A hash table threaded by a list; see keeper.pxd."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memset

from .limits cimport DROP_OLDEST, DROP_REPLACED, books, limits
from .message cimport zmsg, zmsg_data, zmsg_move, zmsg_release, zmsg_size


cdef size_t _key(const limits* lim, zmsg* parts, uint32_t nparts, const uint8_t** data) noexcept nogil:
    cdef zmsg* first = &parts[lim.key_at if lim.key_at < nparts else nparts - 1]
    data[0] = zmsg_data(first)
    return key_of(lim, zmsg_size(first))


cdef int _rehash(keeper* k, uint32_t want) noexcept nogil:
    cdef kept** buckets = <kept**>calloc(want, sizeof(void*))
    cdef kept* e = k.first
    cdef uint32_t i
    if buckets == NULL:
        return -ENOMEM
    while e != NULL:
        i = <uint32_t>(e.hash & (want - 1))
        e.chain = buckets[i]
        buckets[i] = e
        e = e.next
    free(k.buckets)
    k.buckets = buckets
    k.nbuckets = want
    return 0


cdef void _unlink(keeper* k, kept* e) noexcept nogil:
    cdef kept** at = &k.buckets[e.hash & (k.nbuckets - 1)]
    while at[0] != e:
        at = &at[0].chain
    at[0] = e.chain
    if e.prev != NULL:
        e.prev.next = e.next
    else:
        k.first = e.next
    if e.next != NULL:
        e.next.prev = e.prev
    else:
        k.last = e.prev
    k.count -= 1
    k.bytes -= e.bytes


cdef kept* _find(keeper* k, const limits* lim, uint64_t h, const uint8_t* key, size_t n) noexcept nogil:
    cdef kept* e
    cdef const uint8_t* other
    cdef size_t m
    if k.nbuckets == 0:
        return NULL
    e = k.buckets[h & (k.nbuckets - 1)]
    while e != NULL:
        if e.hash == h:
            m = _key(lim, e.parts, e.nparts, &other)
            if m == n and memcmp(other, key, n) == 0:
                return e
        e = e.chain
    return NULL


cdef int keeper_put(keeper* k, const limits* lim, books* b, zmsg* parts, uint32_t n) noexcept nogil:
    cdef const uint8_t* key
    cdef size_t klen = _key(lim, parts, n, &key)
    cdef uint64_t h = key_hash(key, klen)
    cdef kept* old
    cdef kept* e
    cdef uint32_t i
    cdef size_t nbytes = 0
    if k.count >= k.nbuckets:
        i = _rehash(k, k.nbuckets * 2 if k.nbuckets else 8)
        if k.nbuckets == 0:
            return -ENOMEM
    e = <kept*>malloc(sizeof(kept) + (n - 1) * sizeof(zmsg))
    if e == NULL:
        return -ENOMEM
    old = _find(k, lim, h, key, klen)
    for i in range(n):
        nbytes += zmsg_size(&parts[i])
        zmsg_move(&e.parts[i], &parts[i])
    e.nparts = n
    e.bytes = nbytes
    e.hash = h
    if old != NULL:
        # The newcomer takes the place in the order that its predecessor had.
        e.next = old.next
        e.prev = old.prev
        _unlink(k, old)
        if e.prev != NULL:
            e.prev.next = e
        else:
            k.first = e
        if e.next != NULL:
            e.next.prev = e
        else:
            k.last = e
        kept_free(old)
        b.dropped[DROP_REPLACED] += 1
    else:
        while k.count and lim.messages and k.count >= lim.messages:
            kept_free(keeper_take(k))
            b.dropped[DROP_OLDEST] += 1
        e.next = NULL
        e.prev = k.last
        if k.last != NULL:
            k.last.next = e
        else:
            k.first = e
        k.last = e
    e.chain = k.buckets[h & (k.nbuckets - 1)]
    k.buckets[h & (k.nbuckets - 1)] = e
    k.count += 1
    k.bytes += nbytes
    while k.count > 1 and lim.bytes and k.bytes > lim.bytes:
        old = k.first if k.first != e else e.next
        _unlink(k, old)
        kept_free(old)
        b.dropped[DROP_OLDEST] += 1
    return 0


cdef kept* keeper_take(keeper* k) noexcept nogil:
    cdef kept* e = k.first
    if e != NULL:
        _unlink(k, e)
    return e


cdef void kept_free(kept* e) noexcept nogil:
    cdef uint32_t i
    for i in range(e.nparts):
        zmsg_release(&e.parts[i])
    free(e)


cdef void keeper_clear(keeper* k) noexcept nogil:
    cdef kept* e = k.first
    cdef kept* following
    while e != NULL:
        following = e.next
        kept_free(e)
        e = following
    free(k.buckets)
    free(k.scratch)
    k.first = k.last = NULL
    k.buckets = NULL
    k.scratch = NULL
    k.nbuckets = k.count = k.scratch_cap = 0
    k.bytes = 0


cdef int keys_begin(keeper* k, uint32_t n) noexcept nogil:
    cdef uint32_t want = 64
    while want < n * 4:
        want *= 2
    if k.scratch_cap < want:
        free(k.scratch)
        k.scratch_cap = 0
        k.scratch = <uint32_t*>malloc(want * sizeof(uint32_t))
        if k.scratch == NULL:
            return -ENOMEM
        k.scratch_cap = want
    k.nscratch = want
    memset(k.scratch, 0, k.nscratch * sizeof(uint32_t))
    return 0
