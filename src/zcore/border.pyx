"""See border.pxd."""

from libc.stdint cimport uint32_t

from .engine cimport sock
from .errno_zmq cimport ENOTSOCK
from .platform cimport generation_word, sigset_t, zq_load32, zq_lock, zq_mutex, zq_trylock, zq_trylock_spin, zq_unlock

from zcore.errors import ForkedSocket, make_error

cdef extern from "<signal.h>" nogil:
    int sigfillset(sigset_t* set)
    int pthread_sigmask(int how, const sigset_t* set, sigset_t* old)
    int SIG_SETMASK

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1
    unsigned long PyThread_get_thread_ident() nogil


cdef unsigned long _main_ident():
    import threading
    return threading.main_thread().ident

cdef unsigned long _main = 0
cdef uint32_t _main_generation = 0


cdef void lock_slow(zq_mutex* m) noexcept:
    cdef bint got = zq_trylock_spin(m)
    while not got:
        # Whoever holds the lock never waits for the GIL while it does, so waiting here with the GIL would only make
        # others wait: let it go, and take the lock when both are to be had.
        with nogil:
            zq_lock(m)
            zq_unlock(m)
        got = zq_trylock(m)


cdef bint on_main_thread() except? True:
    global _main, _main_generation
    if _main == 0 or _main_generation != generation_word()[0]:
        _main = _main_ident()
        _main_generation = generation_word()[0]
    return PyThread_get_thread_ident() == _main


cdef int check_signals_masked(sigset_t* old) except -1:
    """Handlers of signals that have come run now; those that come later wait until the sleep that is about to begin."""
    cdef sigset_t all
    if not on_main_thread():
        return 0
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, old)
    try:
        PyErr_CheckSignals()
    except BaseException:
        pthread_sigmask(SIG_SETMASK, old, NULL)
        raise
    return 1


cdef void restore_signals(const sigset_t* old) noexcept:
    pthread_sigmask(SIG_SETMASK, old, NULL)


cdef object fail(int rc, str detail=""):
    raise make_error(rc, detail)


cdef object fail_text(int rc, const char* why):
    raise make_error(rc, (<bytes>why).decode("utf-8", "backslashreplace"))


cdef object refuse(sock* s):
    if s == NULL or zq_load32(&s.closed):
        raise make_error(ENOTSOCK, "the socket is closed")
    if s.generation != generation_word()[0]:
        raise make_error(ENOTSOCK, "the socket belongs to the parent process; make a context of this process's own", ForkedSocket)
    raise make_error(<int>zq_load32(&s.fatal))
