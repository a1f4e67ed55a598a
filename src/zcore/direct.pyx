"""Sending and receiving without Python; see direct.pxd."""

from libc.errno cimport EAGAIN, ENOMEM
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from .engine cimport sock
from .errno_zmq cimport ENOTSOCK
from .message cimport MK_BLOCK, MK_OBJECT, MSG_MORE, zmsg, zmsg_copy_bytes, zmsg_init, zmsg_release
from .patterns cimport RECV_NONE, route_can_send, route_peek, route_pop, route_send
from .pipe cimport part
from .platform cimport generation_word, zq_load32, zq_lock, zq_now_ns, zq_unlock
from .socket_base cimport SocketBase
from .traffic cimport (sock_ref, sock_unref, sock_wake, traffic_inbox, traffic_resume, traffic_settle, wakes,
                       wakes_run)
from .waiting cimport WAIT_IN, WAIT_OUT, wait_one, wait_progress, wait_spin

cdef enum:
    READ_BUDGET = 131072      # bytes one call reads before it looks at what came; more than GIL_BUDGET, for there is no GIL


cdef sock* direct_open(object socket) except NULL:
    if not isinstance(socket, SocketBase):
        raise TypeError(f"a socket is needed, not {type(socket).__name__}")
    (<SocketBase>socket)._enter()
    zq_unlock(&(<SocketBase>socket).s.lock)
    sock_ref((<SocketBase>socket).s)
    return (<SocketBase>socket).s


cdef void direct_close(sock* s) noexcept nogil:
    sock_unref(s)


cdef int _enter(sock* s) noexcept nogil:
    """Take the lock and hold it, or say why the socket cannot be used."""
    cdef int rc
    if s.generation != generation_word()[0]:
        return -ENOTSOCK
    zq_lock(&s.lock)
    rc = -<int>zq_load32(&s.fatal)
    if s.closed:
        rc = -ENOTSOCK
    if rc == 0:
        traffic_inbox(s)
    else:
        zq_unlock(&s.lock)
    return rc


cdef void _leave(sock* s) noexcept nogil:
    """[lock; let go of] Act on what the call did to queues, then wake whom it concerns."""
    cdef wakes w
    w.n = 0
    traffic_resume(s)
    traffic_settle(s, &w)
    zq_unlock(&s.lock)
    if w.n:
        wakes_run(&w)


cdef int _wait(sock* s, int want, int64_t deadline, bint again) noexcept nogil:
    """[lock; let go of] 0: look again; -EAGAIN: the deadline is past; -EINTR; other negative errno."""
    cdef part p
    cdef int rc = 0
    if deadline >= 0 and zq_now_ns() >= deadline:
        _leave(s)
        return -EAGAIN
    if s.r.dirty != NULL:
        _leave(s)             # what stands in the queues goes first
        return 0
    if not again:
        wait_spin(s, want, deadline)
    elif want == WAIT_IN and s.row.recv != RECV_NONE and route_peek(&s.r, &p) != 0:
        pass
    elif want == WAIT_OUT and route_can_send(&s.r):
        pass
    else:
        rc = wait_one(s, want, deadline, NULL)
    zq_unlock(&s.lock)
    return 0 if rc == -EAGAIN else rc   # the deadline is looked at once more after what came was


cdef inline int64_t _deadline(int timeout) noexcept nogil:
    return -1 if timeout < 0 else zq_now_ns() + <int64_t>timeout * 1000000


cdef int direct_send(sock* s, const void* data, size_t size, int timeout) noexcept nogil:
    cdef zmsg m
    cdef int rc
    zmsg_init(&m)
    rc = zmsg_copy_bytes(&m, <const unsigned char*>data, size)
    if rc == 0:
        rc = direct_send_parts(s, &m, 1, timeout)
    zmsg_release(&m)
    return rc


cdef int direct_send_parts(sock* s, zmsg* parts, uint32_t n, int timeout) noexcept nogil:
    cdef int64_t deadline = -2
    cdef bint again = False
    cdef int rc
    while True:
        rc = _enter(s)
        if rc < 0:
            return rc
        # while a Python thread is between the parts of a message, others wait
        rc = -EAGAIN if s.nstage else route_send(&s.r, parts, n, False)
        if rc != -EAGAIN or timeout == 0:
            _leave(s)
            return rc
        if deadline == -2:
            deadline = _deadline(timeout)
        rc = _wait(s, WAIT_OUT, deadline, again)
        if rc < 0:
            return rc
        again = True


cdef int _take(sock* s, direct_message* m) noexcept nogil:
    """[lock] One whole message: 1; 0 nothing there; negative errno."""
    cdef part p
    cdef zmsg* bigger
    cdef zmsg* one
    cdef int rc
    while True:
        rc = route_peek(&s.r, &p)
        if rc <= 0:
            return rc
        if m.n == m.cap:
            bigger = <zmsg*>realloc(m.parts, (m.cap * 2 + 4) * sizeof(zmsg))
            if bigger == NULL:
                return -ENOMEM
            m.parts = bigger
            m.cap = m.cap * 2 + 4
        one = &m.parts[m.n]
        zmsg_init(one)
        if p.kind == MK_BLOCK or p.kind == MK_OBJECT:
            one.kind = p.kind
            one.body.ref.data = p.data
            one.body.ref.size = p.size
            one.body.ref.owner = p.owner
            route_pop(&s.r, &p, True)
        else:
            if zmsg_copy_bytes(one, p.data, p.size) < 0:
                return -ENOMEM
            route_pop(&s.r, &p, False)
        one.flags = p.flags & MSG_MORE
        m.n += 1
        if not one.flags:
            return 1


cdef void _empty(direct_message* m) noexcept nogil:
    while m.n:
        m.n -= 1
        zmsg_release(&m.parts[m.n])


cdef int direct_recv(sock* s, direct_message* m, int timeout) noexcept nogil:
    cdef int64_t deadline = -2
    cdef bint again = False
    cdef int rc
    _empty(m)
    while True:
        rc = _enter(s)
        if rc < 0:
            return rc
        s.touch += 1
        rc = _take(s, m)
        if rc == 0:
            # Read what is there; a second look is for what that brought.
            wait_progress(s, READ_BUDGET)
            rc = _take(s, m)
        if rc != 0 or timeout == 0:
            if rc > 0 and (s.signal_open or zq_load32(&s.waiters)) and (s.r.current != NULL or s.r.ready != NULL):
                sock_wake(s)      # there may be something for those who still wait, or who look at FD
            _leave(s)
            return 0 if rc > 0 else rc if rc < 0 else -EAGAIN
        if deadline == -2:
            deadline = _deadline(timeout)
        rc = _wait(s, WAIT_IN, deadline, again)
        if rc < 0:
            return rc
        again = True


cdef void direct_clear(direct_message* m) noexcept nogil:
    _empty(m)
    free(m.parts)
    memset(m, 0, sizeof(direct_message))
