"""Randomised exponential back-off; the generator is splitmix64 (Steele, Lea, Flood, 2014)."""

from libc.stdint cimport int64_t, uint64_t


cdef enum:
    MAX_DOUBLINGS = 30       # any interval has reached any cap by then, and the shift stays within 63 bits


cdef void backoff_init(backoff* b, uint64_t seed) noexcept nogil:
    b.random = seed
    b.attempts = 0


cdef void backoff_reset(backoff* b) noexcept nogil:
    b.attempts = 0


cdef uint64_t backoff_random(backoff* b, uint64_t limit) noexcept nogil:
    cdef uint64_t z
    b.random += <uint64_t>0x9e3779b97f4a7c15
    z = b.random
    z = (z ^ (z >> 30)) * <uint64_t>0xbf58476d1ce4e5b9
    z = (z ^ (z >> 27)) * <uint64_t>0x94d049bb133111eb
    return (z ^ (z >> 31)) % limit


cdef int64_t backoff_next(backoff* b, int ivl_ms, int ivl_max_ms) noexcept nogil:
    cdef int64_t window = 2 * <int64_t>ivl_ms
    cdef int64_t half_ns
    if ivl_ms <= 0:
        return -1
    if ivl_max_ms >= ivl_ms:
        window <<= b.attempts
        if window > ivl_max_ms:
            window = ivl_max_ms
    if b.attempts < MAX_DOUBLINGS:
        b.attempts += 1
    half_ns = window * 500000
    return half_ns + <int64_t>backoff_random(b, <uint64_t>half_ns + 1)


# ---- Python ----------------------------------------------------------------------------------

def waits(uint64_t seed, int ivl_ms, int ivl_max_ms, int n, reset_after=()):
    """The first `n` waits in nanoseconds; after those whose index is in `reset_after` the peer is found well."""
    cdef backoff b
    out = []
    backoff_init(&b, seed)
    for i in range(n):
        out.append(backoff_next(&b, ivl_ms, ivl_max_ms))
        if i in reset_after:
            backoff_reset(&b)
    return out
