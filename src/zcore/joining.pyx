"""Binding, connecting and parting over inproc; see joining.pxd."""

from libc.errno cimport EADDRINUSE, ECONNABORTED, ENOMEM
from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memcpy, memset

from .ctx cimport ctx_name, ctx_name_trim, inproc_name
from .engine cimport EPT_RUNNING, ept, sock
from .epts cimport ept_free, ept_last, ept_link, ept_listed, ept_unlink
from .inproc cimport link, link_limits, link_new, link_ref
from .errno_zmq cimport ENOTSOCK
from .limits cimport limits
from .patterns cimport EAGER, ONE_PEER, WRAP_IDENTITY, WRAP_NUMBER
from .peers cimport peer_farewell, peer_greet, peer_make, sock_limits
from .platform cimport zq_lock, zq_unlock
from .pubsub cimport fanout_take
from .routing cimport (NEWS_GONE, NEWS_READABLE, PEER_INPROC, peer, peer_free, routing_add, routing_dirty,
                       routing_find, routing_name, routing_name_generated, routing_readable, routing_remove,
                       routing_writable)
from .traffic cimport peer_notify, sock_ref, sock_unref, sock_wake, traffic_inbox, traffic_settle, wakes, wakes_run

cdef struct link_side:    # what the bound side has to say before it is joined
    limits sending
    limits receiving
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
    if s.row.traits & EAGER:
        fanout_take(&s.r, p)
    else:
        routing_readable(&s.r, p)
    routing_dirty(&s.r, p)


cdef int _offer(sock* b, peer** made, link_side* said) noexcept nogil:
    """The bound side's peer, not in any list yet. 1: it takes nobody now; 0; -ENOMEM."""
    cdef int rc = 0
    zq_lock(&b.lock)
    if b.closed or _one_peer_taken(b):
        rc = 1                # as over tcp: the connection is not accepted
    else:
        made[0] = peer_make(b, PEER_INPROC)
        if made[0] == NULL:
            rc = -ENOMEM
        sock_limits(b, &said.sending, True)
        sock_limits(b, &said.receiving, False)
        said.id_len = b.opt.routing_id.size
        memcpy(said.id, b.opt.routing_id.data, said.id_len)
    zq_unlock(&b.lock)
    return rc


cdef bint _waits(sock* a, ept* e) noexcept nogil:
    """[lock] Is e still there, and with nobody at the other end?  It may have been disconnected meanwhile."""
    return ept_listed(a, e) and e.p != NULL and e.p.kind == PEER_INPROC and not e.p.gone and not e.p.lnk.joined


cdef int _join(sock* a, ept* e, sock* b) noexcept nogil:
    """Connect socket a (its endpoint e, whose peer exists already) to the bound socket b."""
    cdef link* k = NULL
    cdef peer* pa = NULL
    cdef peer* pb = NULL
    cdef wakes w
    cdef link_side said
    cdef int rc = _offer(b, &pb, &said)
    cdef bint joined = False
    w.n = 0
    if rc:
        return rc if rc < 0 else 0
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
        link_limits(k, 1, &said.sending, &said.receiving)
    zq_unlock(&a.lock)
    if k == NULL:
        peer_free(pb)
        return 0

    zq_lock(&b.lock)
    rc = -ECONNABORTED if b.closed else routing_add(&b.r, pb)
    if rc == 0:
        # In b's lists first: news that a's side sends from here on must find it there.
        zq_lock(&k.lock)
        joined = k.ends[0] != NULL
        if joined:
            k.ends[1] = pb
        zq_unlock(&k.lock)
        if joined:
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
        return rc if rc == -ENOMEM else 0

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


cdef sock* _next_waiting(sock* s, ept* e, ept** found) noexcept nogil:
    """The next connection that waits for e's name, and a reference to its socket; NULL: none, or e is bound no more."""
    cdef inproc_name* entry
    cdef sock* a = NULL
    zq_lock(&s.x.lock)
    entry = ctx_name(s.x, e.where.name, e.where.name_n, False)
    if entry != NULL and entry.endpoint == e and entry.waiting != NULL:
        found[0] = <ept*>entry.waiting
        entry.waiting = found[0].waiting_next
        found[0].waiting_next = NULL
        a = found[0].s
        sock_ref(a)
    zq_unlock(&s.x.lock)
    return a


cdef int inproc_bind(sock* s, ept* e) noexcept nogil:
    cdef inproc_name* entry
    cdef ept* waiting = NULL
    cdef sock* a
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
    while rc == 0:
        a = _next_waiting(s, e, &waiting)
        if a == NULL:
            break
        rc = _join(a, waiting, s)
        sock_unref(a)
    return 0 if rc == -ENOMEM and waiting != NULL else rc


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
        rc = _join(s, e, other)
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
    p.gone = True
    if s.row.traits & EAGER:
        peer_farewell(s, p)
    peer_notify(p, NEWS_GONE | NEWS_READABLE, w)
    routing_dirty(&s.r, p)


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
