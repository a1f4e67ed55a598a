"""Binding, connecting and parting over inproc; see joining.pxd."""

from libc.errno cimport EADDRINUSE, ENOMEM
from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memcpy, memset, strlen

from .ctx cimport ctx_name, ctx_name_trim, inproc_name
from .endpoint cimport endpoint
from .engine cimport EPT_RUNNING, ept, sock
from .epts cimport ept_free, ept_is, ept_last, ept_link, ept_listed, ept_unlink
from .inproc cimport link, link_limits, link_new, link_ref
from .errno_zmq cimport ENOTSOCK
from .limits cimport DROP_CLOSED, limits
from .patterns cimport ONE_PEER, WRAP_IDENTITY, WRAP_NUMBER
from .peers cimport peer_gone, peer_greet, peer_make, sock_limits
from .platform cimport zq_latch_close, zq_latch_open, zq_lock, zq_unlock
from .routing cimport (NEWS_GONE, NEWS_READABLE, PEER_INPROC, peer, peer_free, routing_add, routing_dirty,
                       routing_find, routing_name, routing_name_generated, routing_remove,
                       routing_writable)
from .traffic cimport (peer_notify, sock_ref, sock_unref, sock_wake, traffic_hear, traffic_inbox, traffic_settle, wakes,
                       wakes_run)

cdef enum:                # why two sides do not come together
    JOIN_REFUSED = 1          # the bound side has its one peer
    JOIN_CLOSING = 2          # it is being closed

cdef struct link_side:    # what the bound side has to say before it is joined
    uint8_t id[256]
    size_t id_len


cdef void _inproc_name(sock* s, peer* p, ept* e) noexcept nogil:
    """[lock] What the peer calls itself; there is no handshake to say it."""
    cdef uint8_t id[256]
    cdef size_t n = 0
    if s.row.wrap == WRAP_NUMBER:
        routing_name_generated(&s.r, p)
        return
    if s.row.wrap != WRAP_IDENTITY:
        return
    if e != NULL and e.rid_len:
        routing_name(&s.r, p, e.rid, e.rid_len)
        return
    n = p.identity_len
    memcpy(id, p.identity, n)
    if n == 0 or _claim(s, p, id, n) < 0:
        routing_name_generated(&s.r, p)


cdef int _claim(sock* s, peer* p, const uint8_t* id, size_t n) noexcept nogil:
    cdef peer* old = routing_find(&s.r, id, n)
    if old == p:
        return 0
    if old != NULL:
        if not s.opt.router_handover:
            return -EADDRINUSE
        routing_name_generated(&s.r, old)
    return routing_name(&s.r, p, id, n)


cdef bint _one_peer_taken(sock* s) noexcept nogil:
    cdef uint32_t i
    if not s.row.traits & ONE_PEER:
        return False
    for i in range(s.r.npeers):
        if not s.r.peers[i].gone and not s.r.peers[i].leaving:
            return True
    return False


cdef void _arrive(sock* s, peer* p) noexcept nogil:
    """[lock] An inproc peer whose link is whole: it is greeted, and what it has sent already is seen."""
    peer_greet(s, p)
    routing_writable(&s.r, p)
    traffic_hear(s, p)
    routing_dirty(&s.r, p)


cdef int _offer(sock* b, peer** made, link_side* said) noexcept nogil:
    """The bound side's peer, not in any list yet. 0; JOIN_REFUSED, JOIN_CLOSING; -ENOMEM."""
    cdef int rc = 0
    zq_lock(&b.lock)
    if b.closed:
        rc = JOIN_CLOSING
    elif _one_peer_taken(b):
        rc = JOIN_REFUSED     # as over tcp: the connection is not accepted
    else:
        made[0] = peer_make(b, PEER_INPROC)
        if made[0] == NULL:
            rc = -ENOMEM
        said.id_len = b.opt.routing_id.size
        memcpy(said.id, b.opt.routing_id.data, said.id_len)
    zq_unlock(&b.lock)
    return rc


cdef bint _waits(sock* a, ept* e) noexcept nogil:
    """[lock] Is e still there, and with nobody at the other end?  It may have been disconnected meanwhile."""
    return ept_listed(a, e) and e.p != NULL and e.p.kind == PEER_INPROC and not e.p.gone and not e.p.lnk.joined


cdef int _join(sock* a, ept* e, sock* b) noexcept nogil:
    """Connect socket a (its endpoint e, whose peer exists already) to the bound socket b. 0: done, or e waits no more;
    JOIN_*; -ENOMEM."""
    cdef link* k = NULL
    cdef peer* pa = NULL
    cdef peer* pb = NULL
    cdef wakes w
    cdef link_side said
    cdef limits sending, receiving
    cdef int rc = _offer(b, &pb, &said)
    cdef bint joined = False
    w.n = 0
    if rc:
        return rc
    zq_lock(&a.lock)
    if _waits(a, e):
        pa = e.p
        k = pa.lnk
        link_ref(k)           # the new peer's
        pb.lnk = k
        pb.side = 1
        pb.identity_len = <uint32_t>a.opt.routing_id.size
        memcpy(pb.identity, a.opt.routing_id.data, pb.identity_len)
        if not pa.named:
            memcpy(pa.identity, said.id, said.id_len)
            pa.identity_len = <uint32_t>said.id_len
    zq_unlock(&a.lock)
    if k == NULL:
        peer_free(pb)
        return 0

    zq_lock(&b.lock)
    rc = JOIN_CLOSING if b.closed else routing_add(&b.r, pb)
    if rc == 0:
        # In b's lists first: news that a's side sends from here on must find it there.
        zq_latch_close(&k.lock)
        joined = k.ends[0] != NULL
        if joined:
            k.ends[1] = pb
        zq_latch_open(&k.lock)
        if joined:
            sock_limits(b, &sending, True)
            sock_limits(b, &receiving, False)
            link_limits(k, 1, &sending, &receiving)
            _inproc_name(b, pb, NULL)
            _arrive(b, pb)
        else:
            routing_remove(&b.r, pb)
    if joined:
        traffic_settle(b, &w)
        sock_wake(b)
    zq_unlock(&b.lock)
    if not joined:
        peer_free(pb)
        return rc

    zq_lock(&a.lock)
    if ept_listed(a, e) and e.p == pa:
        if not pa.named:
            _inproc_name(a, pa, e)
        _arrive(a, pa)
        traffic_settle(a, &w)
    sock_wake(a)
    zq_unlock(&a.lock)
    wakes_run(&w)
    return 0


cdef bint _meet(sock* a, ept* e, sock* b) noexcept nogil:
    """Join the two, or else have e look for somebody else. False: b can take nobody now."""
    cdef int rc = _join(a, e, b)
    if rc != JOIN_CLOSING and rc >= 0:
        return True
    _seek(a, e, b)
    return False


cdef void _seek(sock* a, ept* e, sock* vain) noexcept nogil:
    """Join e to whoever is bound to its name, or have it wait for who binds next.  vain: may still have the name, but is
    closing or out of memory."""
    cdef inproc_name* entry
    cdef sock* b = NULL
    zq_lock(&a.lock)
    if _waits(a, e):
        zq_lock(&a.x.lock)
        entry = ctx_name(a.x, e.where.name, e.where.name_n, True)
        if entry != NULL and entry.sock != NULL and entry.sock != vain:
            b = <sock*>entry.sock
            sock_ref(b)
        elif entry != NULL:
            e.waiting_next = <ept*>entry.waiting
            entry.waiting = e
        zq_unlock(&a.x.lock)
    zq_unlock(&a.lock)
    if b != NULL:
        _meet(a, e, b)
        sock_unref(b)


cdef sock* _next_waiting(sock* s, const endpoint* where, const void* e, ept** found) noexcept nogil:
    """The next connection that waits for the name, and a reference to its socket; NULL: none, or e is bound no more.

    Another thread may have closed `s` meanwhile: `e` is only compared.
    """
    cdef inproc_name* entry
    cdef sock* a = NULL
    zq_lock(&s.x.lock)
    entry = ctx_name(s.x, where.name, where.name_n, False)
    if entry != NULL and entry.sock == s and entry.endpoint == e and entry.waiting != NULL:
        found[0] = <ept*>entry.waiting
        entry.waiting = found[0].waiting_next
        found[0].waiting_next = NULL
        a = found[0].s
        sock_ref(a)
    zq_unlock(&s.x.lock)
    return a


cdef int inproc_bind(sock* s, ept* e, const endpoint* where) noexcept nogil:
    cdef inproc_name* entry
    cdef ept* waiting = NULL
    cdef sock* a
    cdef bint more = True
    cdef int rc = 0
    zq_lock(&s.lock)
    if s.closed:
        zq_unlock(&s.lock)
        return -ENOTSOCK
    zq_lock(&s.x.lock)
    entry = ctx_name(s.x, e.where.name, e.where.name_n, True)
    if entry == NULL:
        rc = -ENOMEM
    elif entry.sock != NULL:
        rc = -EADDRINUSE
    else:
        entry.sock = s
        entry.endpoint = e
    zq_unlock(&s.x.lock)
    if rc == 0:
        ept_link(s, e)
        e.state = EPT_RUNNING
        ept_last(s, e.name)
    zq_unlock(&s.lock)
    while rc == 0 and more:
        a = _next_waiting(s, where, e, &waiting)
        if a == NULL:
            break
        more = _meet(a, waiting, s)
        sock_unref(a)
    return rc


cdef void _forget_dead(sock* s, ept* e) noexcept nogil:
    """[lock] Of earlier connects to the same name, those whose other side has gone: nothing will come of them."""
    cdef ept* old = s.epts
    cdef ept* following
    while old != NULL:
        following = old.next
        if not old.bound and not old.stream and old.p == NULL and ept_is(old, e.name, strlen(e.name)):
            ept_unlink(s, old)
            ept_free(old)
        old = following


cdef int inproc_connect(sock* s, ept* e) noexcept nogil:
    cdef inproc_name* entry
    cdef sock* other = NULL
    cdef limits sending, receiving
    cdef peer* p
    cdef int rc = -ENOMEM
    zq_lock(&s.lock)
    if s.closed:
        zq_unlock(&s.lock)
        return -ENOTSOCK
    p = peer_make(s, PEER_INPROC)
    if p != NULL:
        p.lnk = link_new()
        if p.lnk != NULL:
            rc = routing_add(&s.r, p)
    if rc == 0 and e.rid_len:
        rc = routing_name(&s.r, p, e.rid, e.rid_len)
    if rc == 0:
        zq_lock(&s.x.lock)
        entry = ctx_name(s.x, e.where.name, e.where.name_n, True)
        if entry == NULL:
            rc = -ENOMEM
        elif entry.sock != NULL:
            other = <sock*>entry.sock
            sock_ref(other)
        else:
            e.waiting_next = <ept*>entry.waiting
            entry.waiting = e
        zq_unlock(&s.x.lock)
    if rc < 0:
        if p != NULL:
            routing_remove(&s.r, p)
            peer_free(p)
        zq_unlock(&s.lock)
        return rc
    _forget_dead(s, e)
    p.endpoint = e
    p.lnk.ends[0] = p
    p.lnk.ends[1] = &_nobody
    # Until somebody binds, our own mark alone counts.
    sock_limits(s, &sending, True)
    sock_limits(s, &receiving, False)
    link_limits(p.lnk, 0, &sending, &receiving)
    e.p = p
    e.state = EPT_RUNNING
    ept_link(s, e)
    ept_last(s, e.name)
    zq_unlock(&s.lock)
    if other != NULL:
        _meet(s, e, other)
        sock_unref(other)
    return 0


cdef peer _nobody      # stands for the side of an inproc link that has not been bound yet
memset(&_nobody, 0, sizeof(peer))


cdef void inproc_forget(sock* s, ept* e) noexcept nogil:
    """No connection waits for this name any more on e's behalf, and nobody finds e's socket by it."""
    cdef inproc_name* entry
    cdef ept** at
    zq_lock(&s.x.lock)
    entry = ctx_name(s.x, e.where.name, e.where.name_n, False)
    if entry != NULL:
        if entry.endpoint == e:
            entry.sock = NULL
            entry.endpoint = NULL
        at = <ept**>&entry.waiting
        while at[0] != NULL and at[0] != e:
            at = &at[0].waiting_next
        if at[0] == e:
            at[0] = e.waiting_next
        ctx_name_trim(s.x, entry)
    zq_unlock(&s.x.lock)


cdef void _part(sock* s, peer* p, wakes* w) noexcept nogil:
    """[lock] Leave an inproc peer: the other side is told, and reads on what we have sent."""
    if p.gone:
        return
    peer_gone(s, p, DROP_CLOSED)
    peer_notify(p, NEWS_GONE | NEWS_READABLE, w)


cdef void inproc_leave(sock* s, ept* only) noexcept nogil:
    cdef wakes w
    cdef uint32_t i = 0
    w.n = 0
    zq_lock(&s.lock)
    for i in range(s.r.npeers):
        if s.r.peers[i].kind == PEER_INPROC and (only == NULL or s.r.peers[i].endpoint == only):
            _part(s, s.r.peers[i], &w)
    traffic_inbox(s)
    traffic_settle(s, &w)
    zq_unlock(&s.lock)
    wakes_run(&w)


cdef void inproc_leave_all(sock* s) noexcept nogil:
    cdef ept* e
    cdef ept* following
    cdef ept* mine = NULL
    zq_lock(&s.lock)
    e = s.epts
    while e != NULL:
        following = e.next
        if not e.stream:
            if e.p != NULL:
                e.p.endpoint = NULL
            ept_unlink(s, e)
            e.next = mine
            mine = e
        e = following
    zq_unlock(&s.lock)
    while mine != NULL:
        following = mine.next
        inproc_forget(s, mine)
        ept_free(mine)
        mine = following
