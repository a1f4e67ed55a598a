"""The fork generation and the tick calibration: the two things platform.h cannot keep in a header."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil, void (*child)() noexcept nogil)

cdef uint32_t _generation = 1
cdef uint64_t _ticks0 = 0
cdef int64_t _ns0 = 0
cdef uint64_t _per_us = 0


cdef uint32_t* generation_word() noexcept nogil:
    return &_generation


cdef void _in_child() noexcept nogil:
    global _generation
    _generation += 1


cdef uint64_t ticks_per_us() noexcept nogil:
    """Ticks of `zq_ticks` in a microsecond, at least 1.

    Measured over the time since import: exact enough after a millisecond, and cached after ten.
    """
    global _per_us
    cdef uint64_t cached = _per_us
    cdef int64_t ns
    cdef uint64_t ticks
    if cached:
        return cached
    ns = zq_now_ns() - _ns0
    ticks = zq_ticks() - _ticks0
    if ns < 1000:
        return 1000      # too early to tell: 1 GHz is a safe guess
    ticks = ticks * 1000 // <uint64_t>ns
    if ticks == 0:
        ticks = 1
    if ns > 10000000:
        _per_us = ticks
    return ticks


_ns0 = zq_now_ns()
_ticks0 = zq_ticks()
pthread_atfork(NULL, NULL, _in_child)
