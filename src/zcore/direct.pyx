"""Sending and receiving without Python; see direct.pxd."""

from libc.errno cimport EAGAIN, EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from .engine cimport sock
from .errno_zmq cimport EFSM, ENOTSOCK
from .message cimport (INLINE_MAX, MK_BLOCK, MK_LOAN, MK_OBJECT, MSG_MORE, block, block_data, block_new, zmsg,
                       zmsg_init, zmsg_own, zmsg_release, zmsg_set_inline, zmsg_set_loan, zmsg_size)
from .lease cimport lease_before_send
from .patterns cimport WRAP_GROUP, WRAP_NUMBER, route_group, route_number, route_peek, route_pop, route_send
from .pipe cimport BORROW_FROM, part
from .platform cimport generation_word, zq_load32, zq_lock, zq_now_ns, zq_unlock
from .socket_base cimport SocketBase
from .traffic cimport (sock_ref, sock_unref, sock_wake, traffic_inbox, traffic_resume, traffic_settle, wakes,
                       wakes_run)
from .waiting cimport WAIT_IN, WAIT_OUT, wait_one, wait_progress, wait_spin

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil

cdef enum:
    READ_BUDGET = 131072      # bytes one call reads before it looks at what came; more than GIL_BUDGET, for there is no GIL
    ROOM_STEP = 256           # a part's memory is a multiple of this: the next may be a little larger
    ROOM_KEPT = 65536         # and is kept for the next message up to this

cdef uint32_t* _generation = generation_word()


cdef sock* direct_open(object socket) except NULL:
    if not isinstance(socket, SocketBase):
        raise TypeError(f"a socket is needed, not {type(socket).__name__}")
    (<SocketBase>socket)._enter()
    zq_unlock(&(<SocketBase>socket).s.lock)
    sock_ref((<SocketBase>socket).s)
    return (<SocketBase>socket).s


cdef void direct_close(sock* s) noexcept nogil:
    sock_unref(s)


cdef inline int _enter(sock* s) noexcept nogil:
    """Take the lock and hold it, or say why the socket cannot be used."""
    cdef int rc
    if s.generation != _generation[0]:
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


cdef inline void _leave(sock* s) noexcept nogil:
    """[lock; let go of] Act on what the call did to queues, then wake whom it concerns."""
    cdef wakes w
    if s.r.dirty == NULL and s.r.resumed == NULL:
        zq_unlock(&s.lock)
        return
    w.n = 0
    traffic_resume(s)
    traffic_settle(s, &w)
    zq_unlock(&s.lock)
    if w.n:
        wakes_run(&w)


cdef int _wait(sock* s, int want, int64_t deadline, bint again) noexcept nogil:
    """[lock, held since the try that failed; let go of] 0: look again; -EAGAIN: the deadline is past; -EINTR; other
    negative errno.

    Since that try nothing can have been put into a queue or taken from one, and whoever changes that from here on finds
    this thread among the waiters.
    """
    cdef int rc = 0
    if deadline >= 0 and zq_now_ns() >= deadline:
        _leave(s)
        return -EAGAIN
    if s.r.dirty != NULL:
        _leave(s)             # what stands in the queues goes first
        return 0
    if again or not wait_spin(s, want, deadline, NULL):
        rc = wait_one(s, want, deadline, NULL)
    zq_unlock(&s.lock)
    return 0 if rc == -EAGAIN else rc   # the deadline is looked at once more after what came was


cdef inline int64_t _deadline(int timeout) noexcept nogil:
    return -1 if timeout < 0 else zq_now_ns() + <int64_t>timeout * 1000000


# --- sending ---------------------------------------------------------------------------------------------

cdef int _lend(zmsg* m, const void* data, size_t size) noexcept nogil:
    """A part over the caller's bytes: 0, or -ENOMEM."""
    zmsg_init(m)
    if size == 0:
        zmsg_set_inline(m, b"", 0)
        return 0
    zmsg_set_loan(m, <const uint8_t*>data, size)
    # a queue writes what is as large as this from where it stands, and later
    return zmsg_own(m) if size >= BORROW_FROM else 0


cdef int _send(sock* s, zmsg* parts, uint32_t n, int timeout) noexcept nogil:
    cdef int64_t deadline = -2
    cdef bint again = False
    cdef int rc
    while True:
        rc = _enter(s)
        if rc < 0:
            return rc
        lease_before_send(s)
        if s.nstage == 0:
            rc = route_send(&s.r, parts, n, False)
        elif s.stage_owner == <uint64_t>PyThread_get_thread_ident():
            rc = -EFSM
        else:
            rc = -EAGAIN      # while a Python thread is between the parts of a message, others wait
        if rc != -EAGAIN or timeout == 0:
            _leave(s)
            return rc
        if deadline == -2:
            deadline = _deadline(timeout)
        rc = _wait(s, WAIT_OUT, deadline, again)
        if rc < 0:
            return rc
        again = True


cdef int direct_send(sock* s, const void* data, size_t size, int timeout) noexcept nogil:
    cdef zmsg m
    cdef int rc = _lend(&m, data, size)
    if rc == 0:
        rc = _send(s, &m, 1, timeout)
    zmsg_release(&m)
    return rc


cdef int direct_send_to(sock* s, const void* address, size_t naddress, const void* data, size_t size, int timeout) noexcept nogil:
    cdef zmsg[2] parts
    cdef int rc = _lend(&parts[0], address, naddress)
    cdef int rc2 = _lend(&parts[1], data, size)
    if rc == 0:
        rc = rc2
    if rc == 0:
        rc = _send(s, parts, 2, timeout)
    zmsg_release(&parts[0])
    zmsg_release(&parts[1])
    return rc


cdef int direct_send_number(sock* s, uint32_t routing_id, const void* data, size_t size, int timeout) noexcept nogil:
    cdef zmsg m
    cdef int rc = _lend(&m, data, size)
    m.routing_id = routing_id
    if s.row.wrap != WRAP_NUMBER:
        rc = -EINVAL
    if rc == 0:
        rc = _send(s, &m, 1, timeout)
    zmsg_release(&m)
    return rc


cdef int direct_send_parts(sock* s, zmsg* parts, uint32_t n, int timeout) noexcept nogil:
    cdef uint32_t k
    if n == 0:
        return -EINVAL
    for k in range(n):
        if parts[k].kind == MK_LOAN and zmsg_size(&parts[k]) >= BORROW_FROM and zmsg_own(&parts[k]) < 0:
            return -ENOMEM
    return _send(s, parts, n, timeout)


# --- receiving -------------------------------------------------------------------------------------------

cdef void _reuse(direct_message* m) noexcept nogil:
    """Forget the message; what memory the next one can use stays."""
    cdef zmsg* one
    cdef block* b
    cdef uint32_t k
    for k in range(m.n):
        one = &m.parts[k]
        if one.kind == MK_BLOCK:
            b = <block*>one.body.ref.owner
            if b.cap <= ROOM_KEPT and zq_load32(&b.refs) == 1:
                continue
        zmsg_release(one)
    m.n = 0
    m.routing_id = 0
    m.group_size = 0


cdef int _room_for_parts(direct_message* m) noexcept nogil:
    cdef uint32_t cap = m.cap * 2 + 4
    cdef zmsg* bigger = <zmsg*>realloc(m.parts, cap * sizeof(zmsg))
    cdef uint32_t k
    if bigger == NULL:
        return -ENOMEM
    for k in range(m.cap, cap):
        zmsg_init(&bigger[k])
    m.parts = bigger
    m.cap = cap
    return 0


cdef int _copy(zmsg* one, const uint8_t* data, size_t size) noexcept nogil:
    """Into the memory that the part has, if that is large enough."""
    cdef block* b
    if one.kind != MK_BLOCK and size <= INLINE_MAX:
        zmsg_set_inline(one, data, size)
        return 0
    if one.kind == MK_BLOCK:
        b = <block*>one.body.ref.owner
        if b.cap < size:
            zmsg_release(one)
    if one.kind != MK_BLOCK:
        b = block_new(size if size > ROOM_KEPT else (size + ROOM_STEP - 1) // ROOM_STEP * ROOM_STEP)
        if b == NULL:
            return -ENOMEM
        one.kind = MK_BLOCK
        one.body.ref.owner = b
    memcpy(block_data(b), data, size)
    one.body.ref.data = block_data(b)
    one.body.ref.size = size
    return 0


cdef int _take_part(sock* s, direct_message* m, part* p) noexcept nogil:
    """[lock] The frame at the head becomes the next part: 0 or -ENOMEM; it leaves its queue in any case."""
    cdef zmsg* one
    cdef int rc = 0
    if m.n == m.cap and _room_for_parts(m) < 0:
        route_pop(&s.r, p, False)
        return -ENOMEM
    one = &m.parts[m.n]
    if p.kind == MK_BLOCK or p.kind == MK_OBJECT:
        zmsg_release(one)
        one.kind = p.kind
        one.body.ref.data = p.data
        one.body.ref.size = p.size
        one.body.ref.owner = p.owner
        route_pop(&s.r, p, True)
    else:
        rc = _copy(one, p.data, p.size)
        route_pop(&s.r, p, False)
    one.flags = p.flags & MSG_MORE
    m.n += 1
    return rc


cdef int _take(sock* s, direct_message* m) noexcept nogil:
    """[lock] One whole message: 1; 0 nothing there; negative errno."""
    cdef const uint8_t* group
    cdef part p
    cdef int rc = route_peek(&s.r, &p)
    cdef int bad = 0
    if rc <= 0:
        return rc
    if s.row.wrap == WRAP_NUMBER:
        m.routing_id = route_number(&s.r)
    elif s.row.wrap == WRAP_GROUP:
        m.group_size = <uint32_t>route_group(&s.r, &group)
        memcpy(m.group, group, m.group_size)
    while True:
        rc = _take_part(s, m, &p)
        if rc < 0:
            bad = rc          # the rest goes as well: half a message is none
        if not p.flags & MSG_MORE or route_peek(&s.r, &p) != 1:
            break
    s.rcvmore = False
    if bad < 0:
        _reuse(m)
        return bad
    m.parts[0].routing_id = m.routing_id      # so that the parts can be sent back as they are
    return 1


cdef int direct_recv(sock* s, direct_message* m, int timeout) noexcept nogil:
    cdef int64_t deadline = -2
    cdef bint again = False
    cdef int rc
    _reuse(m)
    while True:
        rc = _enter(s)
        if rc < 0:
            return rc
        s.touch += 1
        rc = _take(s, m)
        if rc == 0:
            # Read what is there; a second look is for what that brought.
            wait_progress(s, READ_BUDGET, NULL)
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
    cdef uint32_t k
    for k in range(m.cap):
        zmsg_release(&m.parts[k])
    free(m.parts)
    memset(m, 0, sizeof(direct_message))
