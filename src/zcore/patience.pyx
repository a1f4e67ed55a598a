"""Settling and waiting with the GIL; see patience.pxd."""

from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport int64_t, uint32_t

from .border cimport check_signals_masked, fail, lock_py, on_main_thread, restore_signals
from .connection cimport READ_BUDGET
from .engine cimport sock
from .platform cimport zq_load32, zq_lock, zq_now_ns, zq_unlock
from .traffic cimport sock_wake, traffic_heavy, traffic_resume, traffic_settle, wakes, wakes_run
from .waiting cimport wait_one, wait_progress, wait_spin

cdef enum:
    FIRST_SLEEP = 10000000    # ns


# How often this thread has waited for a socket.
cdef extern from *:
    """
    static __thread uint32_t zq_waits;
    """
    uint32_t zq_waits


cdef void sock_settle(sock* s) noexcept:
    """[lock, taken; let go of here] Act on what the call did, then wake whom it concerns."""
    cdef wakes w
    cdef uint32_t turn
    traffic_resume(s)
    if zq_load32(&s.waiters) and (s.r.ready != NULL or s.r.current != NULL):
        sock_wake(s)              # there is something for those who wait
    if s.r.dirty == NULL:
        zq_unlock(&s.lock)
        return
    w.n = 0
    if traffic_heavy(s):
        with nogil:
            traffic_settle(s, &w)
            zq_unlock(&s.lock)
            wakes_run(&w)
        return
    traffic_settle(s, &w)
    turn = zq_waits + s.touch
    zq_unlock(&s.lock)
    if w.n == 0:
        return
    if s.wake_round == turn:
        # This thread sends on and on: it keeps the GIL, and whoever it wakes finds more than one message when it gets it.
        wakes_run(&w)
        return
    # It takes turns with others: whoever is woken wants the GIL at once.
    s.wake_round = turn
    with nogil:
        wakes_run(&w)


cdef void sock_read_apart(sock* s) noexcept:
    """[lock; let go of meanwhile] Read what takes longer than the GIL is to be held."""
    s.heavy_left = False
    zq_unlock(&s.lock)
    with nogil:
        zq_lock(&s.lock)
        wait_progress(s, READ_BUDGET, NULL)
        zq_unlock(&s.lock)
    lock_py(&s.lock)


cdef int patience_begin(patience* w) except -1:
    """Before the lock is taken for another try.  Handlers of signals may run any code: not under the lock.  A signal that
    comes after this ends the sleep that follows."""
    patience_end(w)           # the last try may have ended without a sleep
    if w.again:
        w.masked = check_signals_masked(&w.old)
    else:
        w.main = on_main_thread()
    return 0


cdef void patience_end(patience* w) noexcept:
    if w.masked:
        w.masked = False
        restore_signals(&w.old)


cdef int sock_wait(sock* s, int want, patience* w) except -1:
    """[lock, taken before the try that failed; let go of here]"""
    global zq_waits
    cdef int rc = 0
    cdef int64_t until = w.deadline
    cdef int64_t now
    zq_waits += 1
    if w.deadline >= 0 and zq_now_ns() >= w.deadline:
        sock_settle(s)
        return 1
    if s.r.dirty != NULL or s.r.resumed != NULL:
        sock_settle(s)            # what stands in the queues goes first, and paused input on; then another try
        return 0
    if w.main and not w.again:
        # Most waits are short, and blocking signals costs as much as sleeping: the first sleep does without, and is
        # short, since a signal just before it does not end it.
        now = zq_now_ns()
        if until < 0 or until > now + FIRST_SLEEP:
            until = now + FIRST_SLEEP
    with nogil:
        if w.again or not wait_spin(s, want, w.deadline, NULL):
            rc = wait_one(s, want, until, &w.old if w.masked else NULL)
        zq_unlock(&s.lock)
    w.again = True
    patience_end(w)
    if rc < 0 and rc != -EINTR and rc != -EAGAIN:
        fail(rc, "no descriptor for waiting could be made")
    return 0
