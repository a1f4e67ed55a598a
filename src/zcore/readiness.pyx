"""Which connections are watched, and for what; see readiness.pxd."""

from .connection cimport READ_BUDGET
from .engine cimport session, sock
from .platform cimport zq_lock, zq_unlock
from .poller cimport poller_add
from .reactor cimport POLL_IN, POLL_ONESHOT, POLL_OUT, handle_set
from .traffic cimport sock_wake, sock_wants_wake, traffic_read, traffic_settle, wakes, wakes_run
from .watchers cimport sock_open_set


cdef int session_into_set(sock* s, session* n) noexcept nogil:
    cdef int rc = sock_open_set(s)
    if rc < 0:
        return rc
    rc = 0 if s.set.fd < 0 else poller_add(&s.set, n.c.fd, POLL_IN, n)
    if rc == 0:
        n.in_set = True
    return rc


cdef void session_read_here(session* n) noexcept nogil:
    """Where a set has no descriptor of its own, each connection is watched, and read, by itself."""
    cdef sock* s = n.s
    cdef wakes w
    w.n = 0
    zq_lock(&s.lock)
    traffic_read(s, n, READ_BUDGET)
    traffic_settle(s, &w)
    if sock_wants_wake(s):
        sock_wake(s)
    zq_unlock(&s.lock)
    wakes_run(&w)


cdef void session_watch_both(session* n) noexcept nogil:
    handle_set(n.s.rx, &n.h, (POLL_IN if n.in_set else 0) | (POLL_OUT if n.c.blocked else 0))


cdef void session_watch(session* n) noexcept nogil:
    if n.watch_out and not n.c.closing:
        n.watch_out = False
        if n.s.set.fd < 0:
            session_watch_both(n)
        else:
            handle_set(n.s.rx, &n.h, POLL_OUT | POLL_ONESHOT)


cdef void session_resume(session* n) noexcept nogil:
    if not n.active or n.in_set or n.c.closing or n.p.inn.paused:
        return
    if n.s.set.fd < 0:
        n.in_set = True
        session_watch_both(n)
    elif poller_add(&n.s.set, n.c.fd, POLL_IN, n) == 0:
        n.in_set = True
