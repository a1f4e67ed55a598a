"""The heap of timers."""

from libc.errno cimport ENOMEM
from libc.stdint cimport INT64_MIN, int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset


cdef void heap_init(timer_heap* h) noexcept nogil:
    memset(h, 0, sizeof(timer_heap))
    h.floor_ns = INT64_MIN


cdef void heap_free(timer_heap* h) noexcept nogil:
    free(h.nodes)
    heap_init(h)


cdef inline bint _before(const timer* a, const timer* b) noexcept nogil:
    if a.due_ns != b.due_ns:
        return a.due_ns < b.due_ns
    return a.seq < b.seq


cdef void _up(timer_heap* h, size_t i, timer* t) noexcept nogil:
    """Places `t` at `i` or above."""
    cdef size_t parent
    while i:
        parent = (i - 1) // 2
        if not _before(t, h.nodes[parent]):
            break
        h.nodes[i] = h.nodes[parent]
        h.nodes[i].pos = i + 1
        i = parent
    h.nodes[i] = t
    t.pos = i + 1


cdef void _down(timer_heap* h, size_t i, timer* t) noexcept nogil:
    """Places `t` at `i` or below."""
    cdef size_t child
    while True:
        child = 2 * i + 1
        if child >= h.n:
            break
        if child + 1 < h.n and _before(h.nodes[child + 1], h.nodes[child]):
            child += 1
        if not _before(h.nodes[child], t):
            break
        h.nodes[i] = h.nodes[child]
        h.nodes[i].pos = i + 1
        i = child
    h.nodes[i] = t
    t.pos = i + 1


cdef void _place(timer_heap* h, size_t i, timer* t) noexcept nogil:
    if i and _before(t, h.nodes[(i - 1) // 2]):
        _up(h, i, t)
    else:
        _down(h, i, t)


cdef int heap_set(timer_heap* h, timer* t, int64_t due_ns) noexcept nogil:
    cdef timer** grown
    cdef size_t room
    if t.pos == 0 and h.n == h.room:
        room = h.room * 2 if h.room else 16
        grown = <timer**>realloc(h.nodes, room * sizeof(timer*))
        if grown == NULL:
            return -ENOMEM
        h.nodes = grown
        h.room = room
    h.last_seq += 1
    t.seq = h.last_seq
    t.due_ns = due_ns if due_ns > h.floor_ns else h.floor_ns
    if t.pos:
        _place(h, t.pos - 1, t)
    else:
        h.n += 1
        _up(h, h.n - 1, t)
    return 0


cdef void heap_cancel(timer_heap* h, timer* t) noexcept nogil:
    cdef size_t i
    cdef timer* last
    if t.pos == 0:
        return
    i = t.pos - 1
    t.pos = 0
    h.n -= 1
    last = h.nodes[h.n]
    if last != t:
        _place(h, i, last)


cdef int heap_run(timer_heap* h, int64_t now, int most) noexcept nogil:
    cdef timer* t
    cdef uint64_t newest = h.last_seq
    cdef int fired = 0
    h.floor_ns = now
    while h.n and fired < most:
        t = h.nodes[0]
        if t.due_ns > now or t.seq > newest:
            break
        heap_cancel(h, t)
        fired += 1
        t.fn(t, now)
    h.floor_ns = INT64_MIN
    return fired
