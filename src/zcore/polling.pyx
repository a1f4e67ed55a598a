"""Waiting on many sockets and descriptors at once."""

from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from .border cimport check_signals_masked, fail, lock_py, refuse, restore_signals
from .connection cimport GIL_BUDGET
from .engine cimport sock
from .patterns cimport RECV_NONE, SEND_NONE, route_can_send, route_peek
from .pipe cimport part
from .platform cimport (POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, pollfd, sigset_t, zq_load32, zq_lock,
                        zq_now_ns, zq_ppoll, zq_unlock)
from .socket_base cimport SocketBase, sock_read_apart, sock_settle
from .traffic cimport traffic_flush_now, traffic_inbox, sock_ref, sock_unref
from .waiting cimport WAIT_IN, wait_progress, watch, watch_begin, watch_end

cdef enum:
    IN = 1                    # zmq_poll's own bits
    OUT = 2
    ERR = 4
    PRI = 8

cdef struct item:
    sock* s                   # NULL: a descriptor
    int fd
    int want
    int got
    watch w
    int at                    # its first descriptor


cdef int _look(item* it, bint progress) noexcept:
    """What is ready now; -1: the socket is of no use any more."""
    cdef sock* s = it.s
    cdef part p
    cdef int got = 0
    lock_py(&s.lock)
    if s.closed or zq_load32(&s.fatal):
        zq_unlock(&s.lock)
        return -1
    traffic_inbox(s)
    if it.want & IN and s.row.recv != RECV_NONE:
        s.touch += 1
        if route_peek(&s.r, &p) == 1:
            got = IN
        elif progress:
            wait_progress(s, GIL_BUDGET)
            if s.heavy_left:
                sock_read_apart(s)
            if route_peek(&s.r, &p) == 1:
                got = IN
    if it.want & OUT and s.row.send != SEND_NONE and route_can_send(&s.r):
        got |= OUT
    if s.flush != NULL:
        traffic_flush_now(s)
    sock_settle(s)
    return got


cdef short _to_poll(int want) noexcept nogil:
    return <short>((POLLIN if want & IN else 0) | (POLLOUT if want & OUT else 0) | (POLLPRI if want & PRI else 0))


cdef int _from_poll(int want, short revents) noexcept nogil:
    cdef int got = 0
    if revents & (POLLIN | POLLHUP):
        got |= IN
    if revents & POLLOUT:
        got |= OUT
    if revents & POLLPRI:
        got |= PRI
    if revents & (POLLERR | POLLNVAL):
        got |= ERR
    return got & (want | ERR)


cdef int _check(item* items, int n, bint progress) except -1:
    cdef int k, got
    cdef int ready = 0
    for k in range(n):
        if items[k].s == NULL:
            continue
        got = _look(&items[k], progress)
        if got < 0:
            refuse(items[k].s)
        items[k].got = got
        ready += got != 0
    return ready


cdef int _begin(item* items, int n, pollfd* fds) noexcept:
    """Announce the waits and list the descriptors: how many; -EAGAIN: somebody has news already."""
    cdef int k, rc
    cdef int at = 0
    cdef int news = 0
    for k in range(n):
        items[k].at = at
        if items[k].s == NULL:
            fds[at].fd = items[k].fd
            fds[at].events = _to_poll(items[k].want)
            fds[at].revents = 0
            at += 1
            continue
        items[k].w.s = NULL
        if news:
            continue
        lock_py(&items[k].s.lock)
        rc = watch_begin(&items[k].w, items[k].s, WAIT_IN if items[k].want & IN else 0, &fds[at])
        zq_unlock(&items[k].s.lock)
        if rc < 0:
            items[k].w.s = NULL
            news = rc
        else:
            at += rc
    return news if news else at


cdef void _end(item* items, int n, pollfd* fds) noexcept nogil:
    cdef int k
    for k in range(n):
        if items[k].s == NULL:
            items[k].got = _from_poll(items[k].want, fds[items[k].at].revents)
        elif items[k].w.s != NULL:
            zq_lock(&items[k].s.lock)
            watch_end(&items[k].w, &fds[items[k].at])
            zq_unlock(&items[k].s.lock)


cdef int _descriptors(item* items, int n, pollfd* fds) noexcept nogil:
    """Raw descriptors without waiting, together with sockets that are ready."""
    cdef int k
    cdef int at = 0
    cdef int ready = 0
    for k in range(n):
        if items[k].s == NULL:
            fds[at].fd = items[k].fd
            fds[at].events = _to_poll(items[k].want)
            fds[at].revents = 0
            at += 1
    if at == 0 or zq_ppoll(fds, at, 0, NULL) <= 0:
        return 0
    at = 0
    for k in range(n):
        if items[k].s == NULL:
            items[k].got = _from_poll(items[k].want, fds[at].revents)
            ready += items[k].got != 0
            at += 1
    return ready


def zmq_poll(sockets, long timeout=-1):
    """Wait until something is ready.

    Args:
        sockets: pairs of a socket, a descriptor, or an object with `fileno()`, and the events asked for.
        timeout: ms; negative waits for ever.

    Returns:
        a list of pairs of what is ready (a file as its descriptor) and its events; empty when the time is over.

    Raises:
        ContextTerminated, ZMQError(ENOTSOCK): of one of the sockets.
        TypeError: something that cannot be polled.

    Source: zmq_poll(3).
    """
    cdef list pairs = list(sockets)
    cdef int n = <int>len(pairs)
    cdef item* items
    cdef pollfd* fds
    cdef int k, ready, nfds
    cdef sigset_t old
    cdef bint masked
    cdef int64_t deadline = -1 if timeout < 0 else zq_now_ns() + <int64_t>timeout * 1000000
    cdef int64_t left = -1
    cdef list objects = []
    cdef bint first = True
    items = <item*>calloc(n + 1, sizeof(item))
    fds = <pollfd*>calloc(2 * n + 1, sizeof(pollfd))
    try:
        if items == NULL or fds == NULL:
            raise MemoryError
        for k in range(n):
            obj, want = pairs[k]
            items[k].want = want
            if isinstance(obj, SocketBase):
                if (<SocketBase>obj).closed:
                    refuse((<SocketBase>obj).s)
                sock_ref((<SocketBase>obj).s)
                items[k].s = (<SocketBase>obj).s
            elif isinstance(obj, int):
                items[k].fd = obj
            elif hasattr(obj, "fileno"):
                obj = obj.fileno()
                if not isinstance(obj, int):
                    raise ValueError("fileno() must return a valid integer fd")
                items[k].fd = obj
            else:
                raise TypeError(f"Socket must be a 0MQ socket, an integer fd or have a fileno() method: {obj!r}")
            objects.append(obj)
        while True:
            ready = _check(items, n, True)
            ready += _descriptors(items, n, fds)
            if ready or timeout == 0:
                break
            if not first and deadline >= 0 and zq_now_ns() >= deadline:
                break
            first = False
            masked = check_signals_masked(&old)
            try:
                # the handlers of signals may have changed something
                if _check(items, n, False):
                    continue
                nfds = _begin(items, n, fds)
                if nfds >= 0:
                    if deadline >= 0:
                        left = deadline - zq_now_ns()
                        if left < 0:
                            left = 0
                    with nogil:
                        zq_ppoll(fds, nfds, left, &old if masked else NULL)
                        _end(items, n, fds)
                else:
                    with nogil:
                        _end(items, n, fds)
                    if nfds != -EAGAIN:
                        fail(nfds, "no descriptor for waiting could be made")
            finally:
                if masked:
                    restore_signals(&old)
        return [(objects[k], items[k].got) for k in range(n) if items[k].got]
    finally:
        if items != NULL:
            for k in range(n):
                if items[k].s != NULL:
                    sock_unref(items[k].s)
        free(items)
        free(fds)
