"""Timers: a binary heap of nodes that their owners embed.  No clock and no lock: the reactor hands in the time.

A node knows its place in the heap, so that setting, moving and cancelling cost O(log n).  Timers fire in the order of
their due time, those due at the same nanosecond in the order in which they were set.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint64_t


# Owned by whoever embeds it; touched only by the thread that owns the heap.  All zero is a valid idle timer.
cdef struct timer:
    int64_t due_ns         # on the clock of zq_now_ns
    uint64_t seq           # order of setting
    size_t pos             # place in the heap counted from 1; 0: not armed
    void (*fn)(timer* t, int64_t now) noexcept nogil    # called once per setting; may set, cancel or free any timer
    void* owner


cdef struct timer_heap:
    timer** nodes          # nodes[0] is due first
    size_t n
    size_t room
    uint64_t last_seq
    int64_t floor_ns       # while timers run: the time they run at; else INT64_MIN


cdef inline void timer_init(timer* t, void (*fn)(timer*, int64_t) noexcept nogil, void* owner) noexcept nogil:
    t.due_ns = 0
    t.seq = 0
    t.pos = 0
    t.fn = fn
    t.owner = owner


cdef inline bint timer_is_armed(const timer* t) noexcept nogil:
    return t.pos != 0


cdef void heap_init(timer_heap* h) noexcept nogil
# The timers themselves are forgotten, not freed; they count as armed until timer_init.
cdef void heap_free(timer_heap* h) noexcept nogil
# Arms, or moves an armed timer.  -ENOMEM (the timer is then as it was).  What is set into the past while timers run
# counts as due now, so that it takes its turn after those that waited longer.
cdef int heap_set(timer_heap* h, timer* t, int64_t due_ns) noexcept nogil
cdef void heap_cancel(timer_heap* h, timer* t) noexcept nogil
# Fires what is due at `now` and was set before this call, at most `most` of them; their number.
cdef int heap_run(timer_heap* h, int64_t now, int most) noexcept nogil

# When the next timer is due, or INT64_MAX.
cdef inline int64_t heap_next(const timer_heap* h) noexcept nogil:
    return h.nodes[0].due_ns if h.n else INT64_MAX
