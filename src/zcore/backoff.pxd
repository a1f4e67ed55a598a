"""How long to wait before connecting again.

The wait is drawn at random between a window's half and its end, so that peers that lost the same server do not come
back at the same instant.  The window opens at twice RECONNECT_IVL and doubles with every attempt up to
RECONNECT_IVL_MAX; without RECONNECT_IVL_MAX it stays, which gives the interval plus up to as much again.  Only
backoff_reset closes it again: its owner calls that once the peer has proved to be well (a completed handshake, or a
while without loss), not when it merely accepted.
"""

from libc.stdint cimport int64_t, uint64_t


cdef struct backoff:             # owned by the endpoint that connects; no lock of its own
    uint64_t random              # state of the generator
    int attempts                 # waits drawn since the last reset


# The same seed gives the same waits.
cdef void backoff_init(backoff* b, uint64_t seed) noexcept nogil

# The peer is well: the next wait starts from RECONNECT_IVL.
cdef void backoff_reset(backoff* b) noexcept nogil

# Nanoseconds to wait, or -1: never again (ivl_ms <= 0).  A cap below the interval is no cap, as in libzmq; all waits
# are at most the cap.
cdef int64_t backoff_next(backoff* b, int ivl_ms, int ivl_max_ms) noexcept nogil

# A number below `limit` (> 0), from the same generator.
cdef uint64_t backoff_random(backoff* b, uint64_t limit) noexcept nogil
