"""The kqueue backend.

One-shot: both filters are armed with EV_DISPATCH.  The first event that comes clears `armed`; the other filter may
still fire once in the kernel and is dropped here, for taking it back by a call could undo a poller_mod that another
thread makes in between.  poller_mod sets `armed` first and enables the filters after, so nothing is lost: an enabled
filter whose condition holds fires again.
"""

from libc.errno cimport EBADF, ENOENT, ENOMEM
from libc.stdint cimport int16_t, int64_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free

from zcore.platform cimport zq_lock, zq_mutex_destroy, zq_mutex_init, zq_unlock
from zcore.poller_table cimport (
    POLL_BOTH, POLL_ERR, POLL_HUP, POLL_IN, POLL_MAX_EVENTS, POLL_ONESHOT, POLL_OUT, fd_entry, fd_table_add,
    fd_table_drop, fd_table_free, fd_table_get, poll_check_events, poll_event
)

cdef extern from "kqueue_sys.h" nogil:
    """
    #ifdef ZQ_HAVE_KQUEUE
    enum { ZQ_KQUEUE_NATIVE = 1 };
    #else
    enum { ZQ_KQUEUE_NATIVE = 0 };
    #endif
    """
    ctypedef struct zq_kevent:
        uintptr_t ident
        int16_t filter
        uint16_t flags
        uint32_t fflags
    const int ZQ_KQUEUE_NATIVE
    const int EVFILT_READ
    const int EVFILT_WRITE
    const int EV_ADD
    const int EV_DELETE
    const int EV_ENABLE
    const int EV_DISPATCH
    const int EV_EOF
    int zq_kqueue_open()
    void zq_kqueue_close(int kq)
    void zq_kqueue_forked(int kq)
    int zq_kqueue_change(int kq, int fd, int filter, int flags, uintptr_t data)
    int zq_kqueue_wait(int kq, zq_kevent* out, int most, int64_t timeout_ns)
    uintptr_t zq_kevent_data(const zq_kevent* k)


cdef bint kqueue_is_native() noexcept nogil:
    return ZQ_KQUEUE_NATIVE


cdef int kqueue_open(kqueue_set** out) noexcept nogil:
    cdef kqueue_set* s
    cdef int kq = zq_kqueue_open()
    if kq < 0:
        return kq
    s = <kqueue_set*>calloc(1, sizeof(kqueue_set))
    if s == NULL:
        zq_kqueue_close(kq)
        return -ENOMEM
    s.kq = kq
    zq_mutex_init(&s.lock)
    out[0] = s
    return 0


cdef void kqueue_close(kqueue_set* s, bint forked) noexcept nogil:
    if forked:
        zq_kqueue_forked(s.kq)
        return
    zq_kqueue_close(s.kq)
    fd_table_free(&s.table)
    zq_mutex_destroy(&s.lock)
    free(s)


cdef int _arm(kqueue_set* s, int fd, int events, uint32_t seq) noexcept nogil:
    """Adds or enables the filters of `events`; on failure none of them is left."""
    cdef int flags = EV_ADD | EV_ENABLE
    cdef int rc = 0
    if events & POLL_ONESHOT:
        flags |= EV_DISPATCH
    if events & POLL_IN:
        rc = zq_kqueue_change(s.kq, fd, EVFILT_READ, flags, seq)
    if rc == 0 and events & POLL_OUT:
        rc = zq_kqueue_change(s.kq, fd, EVFILT_WRITE, flags, seq)
        if rc and events & POLL_IN:
            zq_kqueue_change(s.kq, fd, EVFILT_READ, EV_DELETE, 0)
    return rc


cdef void _disarm(kqueue_set* s, int fd, int events) noexcept nogil:
    if events & POLL_IN:
        zq_kqueue_change(s.kq, fd, EVFILT_READ, EV_DELETE, 0)
    if events & POLL_OUT:
        zq_kqueue_change(s.kq, fd, EVFILT_WRITE, EV_DELETE, 0)


cdef int kqueue_add(kqueue_set* s, int fd, int events, void* tag) noexcept nogil:
    cdef fd_entry* e
    cdef uint32_t seq = 0
    cdef int rc = poll_check_events(events)
    if rc:
        return rc
    zq_lock(&s.lock)
    rc = fd_table_add(&s.table, fd, events, tag, &e)
    if rc == 0:
        seq = e.seq
    zq_unlock(&s.lock)
    if rc:
        return rc
    rc = _arm(s, fd, events, seq)
    if rc:
        zq_lock(&s.lock)
        fd_table_drop(&s.table, fd)
        zq_unlock(&s.lock)
    return rc


cdef int kqueue_mod(kqueue_set* s, int fd, int events, void* tag) noexcept nogil:
    cdef fd_entry* e
    cdef uint32_t seq = 0
    cdef int had = 0
    cdef int surplus
    cdef int rc = poll_check_events(events)
    if rc:
        return rc
    zq_lock(&s.lock)
    e = fd_table_get(&s.table, fd)
    if e != NULL:
        had = e.events
        seq = e.seq
        e.events = events
        e.tag = tag
        e.armed = 1
    zq_unlock(&s.lock)
    if e == NULL:
        return -ENOENT if fd >= 0 else -EBADF
    # EV_ADD does not change the flags of a filter that exists: one-shot filters and lasting ones replace each other.
    surplus = had & POLL_BOTH
    if not (had ^ events) & POLL_ONESHOT:
        surplus &= ~events
        if not events & POLL_ONESHOT:
            events = (events & ~had) | (events & ~POLL_BOTH)
    _disarm(s, fd, surplus)
    return _arm(s, fd, events, seq)


cdef int kqueue_del(kqueue_set* s, int fd) noexcept nogil:
    cdef fd_entry* e
    cdef int had = 0
    zq_lock(&s.lock)
    e = fd_table_get(&s.table, fd)
    if e != NULL:
        had = e.events
        fd_table_drop(&s.table, fd)
    zq_unlock(&s.lock)
    if e == NULL:
        return -ENOENT if fd >= 0 else -EBADF
    _disarm(s, fd, had)
    return 0


cdef inline int _reported(zq_kevent* k) noexcept nogil:
    cdef int bits = POLL_IN if k.filter == EVFILT_READ else POLL_OUT
    if k.flags & EV_EOF:
        if k.filter == EVFILT_WRITE:
            bits |= POLL_HUP
        if k.fflags:
            bits |= POLL_ERR
    return bits


cdef int kqueue_collect(kqueue_set* s, poll_event* out, int most, int64_t timeout_ns) noexcept nogil:
    cdef zq_kevent got[POLL_MAX_EVENTS]
    cdef fd_entry* e
    cdef int i, bits
    cdef int kept = 0
    cdef int n = zq_kqueue_wait(s.kq, got, most, timeout_ns)
    if n <= 0:
        return n
    zq_lock(&s.lock)
    s.stamp += 1
    if s.stamp == 0:
        s.stamp = 1
    for i in range(n):
        e = fd_table_get(&s.table, <int>got[i].ident)
        if e == NULL or zq_kevent_data(&got[i]) != e.seq:
            continue
        bits = _reported(&got[i])
        if not bits & e.events:
            continue
        if e.stamp == s.stamp:
            out[e.pos].events |= bits
            continue
        if not e.armed:
            continue
        if e.events & POLL_ONESHOT:
            e.armed = 0
        e.stamp = s.stamp
        e.pos = kept
        out[kept].tag = e.tag
        out[kept].events = bits
        kept += 1
    zq_unlock(&s.lock)
    return kept
