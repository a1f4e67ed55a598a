"""The poll(2) backend."""

from libc.errno cimport EBADF, EBUSY, ENOENT, ENOMEM
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from zcore.platform cimport (
    POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, pollfd, zq_lock, zq_mutex_destroy, zq_mutex_init, zq_now_ns, zq_ppoll,
    zq_unlock, zq_wakefd_close, zq_wakefd_drain, zq_wakefd_open, zq_wakefd_signal
)
from zcore.poller_table cimport (
    POLL_ERR, POLL_HUP, POLL_IN, POLL_ONESHOT, POLL_OUT, fd_entry, fd_table_add, fd_table_drop, fd_table_free,
    fd_table_get, poll_check_events, poll_event
)

cdef extern from *:
    """
    #include "platform.h"
    static inline int zq_fd_is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }
    """
    bint zq_fd_is_open(int fd) nogil


cdef int _reserve(poll_array* a, int n) noexcept nogil:
    cdef int room = a.room if a.room else 16
    cdef pollfd* fds
    cdef uint32_t* seqs
    if n <= a.room:
        return 0
    while room < n:
        room *= 2
    fds = <pollfd*>realloc(a.fds, <size_t>room * sizeof(pollfd))
    if fds == NULL:
        return -ENOMEM
    a.fds = fds
    seqs = <uint32_t*>realloc(a.seqs, <size_t>room * sizeof(uint32_t))
    if seqs == NULL:
        return -ENOMEM
    a.seqs = seqs
    a.room = room
    return 0


cdef void _discard(poll_set* s) noexcept nogil:
    free(s.current.fds)
    free(s.current.seqs)
    free(s.polled.fds)
    free(s.polled.seqs)
    fd_table_free(&s.table)
    zq_mutex_destroy(&s.lock)
    free(s)


cdef int pollset_open(poll_set** out) noexcept nogil:
    cdef poll_set* s = <poll_set*>calloc(1, sizeof(poll_set))
    cdef int rc
    if s == NULL:
        return -ENOMEM
    zq_mutex_init(&s.lock)
    rc = _reserve(&s.current, 1)
    if rc == 0:
        rc = zq_wakefd_open(&s.wake)
    if rc:
        _discard(s)
        return rc
    s.current.fds[0].fd = s.wake.rfd
    s.current.fds[0].events = POLLIN
    s.current.fds[0].revents = 0
    s.current.seqs[0] = 0
    s.current.n = 1
    s.version = 1
    s.first = 1
    out[0] = s
    return 0


cdef void pollset_close(poll_set* s, bint forked) noexcept nogil:
    zq_wakefd_close(&s.wake)
    if not forked:
        _discard(s)


cdef inline short _asked(int events) noexcept nogil:
    return (POLLIN if events & POLL_IN else 0) | (POLLOUT if events & POLL_OUT else 0)


# A descriptor that must not be looked at is stored as its complement, which poll(2) skips (it is negative).
cdef inline void _watch(poll_set* s, int pos, int fd, int events) noexcept nogil:
    s.current.fds[pos].fd = fd
    s.current.fds[pos].events = _asked(events)
    s.current.fds[pos].revents = 0


cdef inline bint _changed(poll_set* s) noexcept nogil:
    """Under the lock: the set is new; True when the waiter must be told."""
    s.version += 1
    return s.waiting != 0


cdef int pollset_add(poll_set* s, int fd, int events, void* tag) noexcept nogil:
    cdef fd_entry* e
    cdef bint tell = False
    cdef int rc = poll_check_events(events)
    if rc:
        return rc
    if not zq_fd_is_open(fd):
        return -EBADF
    zq_lock(&s.lock)
    rc = _reserve(&s.current, s.current.n + 1)
    if rc == 0:
        rc = fd_table_add(&s.table, fd, events, tag, &e)
    if rc == 0:
        e.pos = s.current.n
        s.current.seqs[e.pos] = e.seq
        _watch(s, e.pos, fd, events)
        s.current.n += 1
        tell = _changed(s)
    zq_unlock(&s.lock)
    if tell:
        zq_wakefd_signal(&s.wake)
    return rc


cdef int pollset_mod(poll_set* s, int fd, int events, void* tag) noexcept nogil:
    cdef fd_entry* e
    cdef bint tell = False
    cdef int rc = poll_check_events(events)
    if rc:
        return rc
    zq_lock(&s.lock)
    e = fd_table_get(&s.table, fd)
    if e == NULL:
        rc = -ENOENT if fd >= 0 else -EBADF
    else:
        e.events = events
        e.tag = tag
        e.armed = 1
        _watch(s, e.pos, fd, events)
        tell = _changed(s)
    zq_unlock(&s.lock)
    if tell:
        zq_wakefd_signal(&s.wake)
    return rc


cdef int pollset_del(poll_set* s, int fd) noexcept nogil:
    cdef fd_entry* e
    cdef int pos, last, moved
    cdef bint tell = False
    cdef int rc = 0
    zq_lock(&s.lock)
    e = fd_table_get(&s.table, fd)
    if e == NULL:
        rc = -ENOENT if fd >= 0 else -EBADF
    else:
        pos = e.pos
        last = s.current.n - 1
        if pos != last:
            moved = s.current.fds[last].fd
            if moved < 0:
                moved = ~moved
            s.current.fds[pos] = s.current.fds[last]
            s.current.seqs[pos] = s.current.seqs[last]
            s.table.entries[moved].pos = pos
        s.current.n = last
        fd_table_drop(&s.table, fd)
        tell = _changed(s)
    zq_unlock(&s.lock)
    if tell:
        zq_wakefd_signal(&s.wake)
    return rc


cdef int _copy(poll_set* s) noexcept nogil:
    """Under the lock: makes `polled` equal to `current`."""
    cdef int rc
    if s.polled_version == s.version:
        return 0
    rc = _reserve(&s.polled, s.current.n)
    if rc:
        return rc
    memcpy(s.polled.fds, s.current.fds, <size_t>s.current.n * sizeof(pollfd))
    memcpy(s.polled.seqs, s.current.seqs, <size_t>s.current.n * sizeof(uint32_t))
    s.polled.n = s.current.n
    s.polled_version = s.version
    return 0


cdef int _harvest(poll_set* s, poll_event* out, int most, int ready) noexcept nogil:
    """Under the lock: reports what poll(2) found, unless the registration has gone or changed since."""
    cdef fd_entry* e
    cdef pollfd* p
    cdef int _, bits
    cdef int kept = 0
    cdef int n = s.polled.n
    cdef int at = s.first if 1 <= s.first < n else 1
    for _ in range(1, n):
        if kept == most or ready == 0:
            break
        p = &s.polled.fds[at]
        if p.fd >= 0 and p.revents:
            ready -= 1
            e = fd_table_get(&s.table, p.fd)
            if e != NULL and e.seq == s.polled.seqs[at] and e.armed:
                bits = 0
                if p.revents & POLLIN:
                    bits |= e.events & POLL_IN
                if p.revents & POLLOUT:
                    bits |= e.events & POLL_OUT
                if p.revents & (POLLERR | POLLNVAL):
                    bits |= POLL_ERR
                if p.revents & POLLHUP:
                    bits |= POLL_HUP
                if bits:
                    out[kept].tag = e.tag
                    out[kept].events = bits
                    kept += 1
                    # A descriptor closed behind our back would be reported for ever: it is reported once.
                    if e.events & POLL_ONESHOT or p.revents & POLLNVAL:
                        e.armed = 0
                        s.current.fds[e.pos].fd = ~p.fd
                        s.version += 1
        at += 1
        if at >= n:
            at = 1
    s.first = at
    return kept


cdef int pollset_collect(poll_set* s, poll_event* out, int most, int64_t timeout_ns) noexcept nogil:
    cdef int64_t end = 0
    cdef int64_t left = timeout_ns
    cdef int rc, woken
    if timeout_ns > 0:
        end = zq_now_ns() + timeout_ns
    zq_lock(&s.lock)
    if s.waiting:
        zq_unlock(&s.lock)
        return -EBUSY
    while True:
        rc = _copy(s)
        if rc:
            break
        s.waiting = 1
        zq_unlock(&s.lock)
        rc = zq_ppoll(s.polled.fds, s.polled.n, left, NULL)
        woken = rc > 0 and s.polled.fds[0].revents != 0
        if woken:
            zq_wakefd_drain(&s.wake)
            rc -= 1
        zq_lock(&s.lock)
        s.waiting = 0
        if rc < 0:
            break
        if rc > 0:
            rc = _harvest(s, out, most, rc)
        if rc > 0 or timeout_ns == 0:
            break
        if timeout_ns > 0:
            left = end - zq_now_ns()
            if left <= 0:
                break
    zq_unlock(&s.lock)
    return rc
