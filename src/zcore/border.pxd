"""Where the engine meets Python: locks taken with the GIL held, signals, errors, the main thread."""

from libc.stdint cimport int64_t

from .engine cimport sock
from .platform cimport sigset_t, zq_mutex, zq_trylock


cdef void lock_slow(zq_mutex* m) noexcept               # GIL held: let go of it while waiting
cdef bint on_main_thread() except? True                   # the one that handles signals
cdef int check_signals_masked(sigset_t* old) except -1   # 1: main thread, all signals are blocked and `old` holds the mask
cdef void restore_signals(const sigset_t* old) noexcept
cdef object fail(int rc, str detail=*)                    # raises
cdef object refuse(sock* s)                               # raises why a socket cannot be used: closed, forked, terminated
cdef object fail_text(int rc, const char* why)            # raises with a sentence of the engine's

cdef inline void lock_py(zq_mutex* m) noexcept:
    """Take a socket's lock with the GIL held."""
    if not zq_trylock(m):
        lock_slow(m)
