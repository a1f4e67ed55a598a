"""Handshakes, attachment, heartbeats; see sessions.pxd."""

from libc.errno cimport EAGAIN, ECONNABORTED, ECONNRESET, EEXIST, EINTR, ENOMEM, ETIMEDOUT, errno
from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset, strlen, strncpy

from .buffer cimport READ_ROOM
from .connection cimport WIRE_RAW, conn_free, conn_init, conn_pending, conn_start_traffic
from .descriptors cimport fd_close
from .endpoint cimport TRANSPORT_TCP
from .engine cimport EPT_CONNECTED, EPT_STOPPING, TODO_FAILED, ept, session, sock
from .handshake cimport handshake_init, handshake_input, handshake_output, handshake_sent, handshake_trim
from .heartbeat cimport heartbeat_init, heartbeat_start, heartbeat_stop
from .lease cimport lease_start
from .limits cimport DROP_PEER_GONE
from .mechanism cimport HS_FAILED, HS_FAIL_AUTH, HS_FAIL_PROTOCOL, HS_READY, handshake_config
from .message cimport meta_new, meta_unref
from .monitor cimport (EVENT_ACCEPTED, EVENT_CONNECTED, EVENT_DISCONNECTED, EVENT_HANDSHAKE_FAILED_AUTH,
                       EVENT_HANDSHAKE_FAILED_NO_DETAIL, EVENT_HANDSHAKE_FAILED_PROTOCOL, EVENT_HANDSHAKE_SUCCEEDED,
                       monitor_emit)
from .patterns cimport EAGER, ONE_PEER, RAW, WRAP_IDENTITY, WRAP_NUMBER
from .peers cimport peer_farewell, peer_gone, peer_greet, peer_inject, peer_leave, peer_make
from .pipe cimport inq_reset, inq_room, outq_drop_control, outq_flows, outq_rewind
from .platform cimport zq_lock, zq_now_ns, zq_unlock
from .poller cimport poller_del
from .pubsub cimport fanout_subscription
from .readiness cimport session_into_set, session_read_here, session_watch, session_watch_both
from .reactor cimport (POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, handle, handle_init, handle_remove,
                       handle_set, timer, timer_cancel, timer_init, timer_set)
from .routing cimport (PEER_STREAM, peer, peer_free, routing_add, routing_dirty, routing_find, routing_name,
                       routing_name_generated, routing_remove, routing_unname, routing_writable)
from .stream cimport peer_facts
from .traffic cimport (session_failed, sock_post, sock_wake, sock_wants_wake, traffic_commit,
                       traffic_settle, traffic_unlist, traffic_write, wakes, wakes_run)
from .zmtp cimport (TYPE_CLIENT, TYPE_DEALER, TYPE_PEER, TYPE_ROUTER, TYPE_STREAM, ZMTP_1_0, announces_identity,
                    property_size, put_property)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buf, size_t n, int flags)
    ssize_t send(int fd, const void* buf, size_t n, int flags)
    int shutdown(int fd, int how)
    int MSG_DONTWAIT, SHUT_WR

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    int MSG_NOSIGNAL


# --- opening ---------------------------------------------------------------------------------------------

cdef void _release(session* n) noexcept nogil:
    """Its memory and its descriptor. Not in any list any more."""
    cdef uint8_t[16384] scrap
    cdef int _k
    # With input unread, close(2) would take back what the kernel has yet to send.
    shutdown(n.c.fd, SHUT_WR)
    for _k in range(64):
        if recv(n.c.fd, scrap, sizeof(scrap), MSG_DONTWAIT) <= 0:
            break
    fd_close(n.c.fd)
    conn_free(&n.c)
    free(n.early)
    free(n.self_meta)
    free(n)


cdef void _discard(session* n) noexcept nogil:
    """End one that was never attached; the reactor's thread, no lock held."""
    cdef sock* s = n.s
    handle_remove(s.rx, &n.h)
    timer_cancel(s.rx, &n.limit)
    zq_lock(&s.lock)
    n.c.closing = True
    if not n.in_failed:
        n.in_failed = True
        n.failed_next = s.failed
        s.failed = n
    zq_unlock(&s.lock)
    sock_post(s, TODO_FAILED)


cdef void _failed_event(session* n) noexcept nogil:
    if n.c.hs.failure == HS_FAIL_PROTOCOL:
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_PROTOCOL, n.c.hs.code, n.name)
    elif n.c.hs.failure == HS_FAIL_AUTH:
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_AUTH, n.c.hs.code, n.name)
    else:
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_NO_DETAIL, n.c.hs.code, n.name)


cdef int _write_out(session* n) noexcept nogil:
    """Bytes of the handshake: 1 all written, 0 the kernel is full, negative errno."""
    cdef const uint8_t* data
    cdef size_t size = handshake_output(&n.c.hs, &data)
    cdef ssize_t k
    while size:
        k = send(n.c.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if k < 0:
            if errno == EINTR:
                continue
            if errno == EAGAIN:
                return 0
            return -errno
        handshake_sent(&n.c.hs, <size_t>k)
        size = handshake_output(&n.c.hs, &data)
    return 1


cdef int _keep_early(session* n, const uint8_t* data, size_t size) noexcept nogil:
    n.early = <uint8_t*>malloc(size)
    if n.early == NULL:
        return -ENOMEM
    memcpy(n.early, data, size)
    n.early_len = size
    return 0


cdef void _hs_step(session* n, int revents) noexcept nogil:
    cdef uint8_t[8192] buf
    cdef ssize_t got = 1
    cdef ssize_t used
    cdef int rc
    cdef bint end = False
    while revents & (POLL_IN | POLL_ERR | POLL_HUP) and n.c.hs.state != HS_READY and n.c.hs.state != HS_FAILED:
        got = recv(n.c.fd, buf, sizeof(buf), MSG_DONTWAIT)
        if got < 0 and errno == EINTR:
            continue
        if got < 0 and (errno == EAGAIN):
            break
        if got <= 0:
            n.c.error = -errno if got < 0 else -ECONNRESET
            end = True
            break
        used = handshake_input(&n.c.hs, buf, <size_t>got)
        if used >= 0 and used < got and _keep_early(n, buf + used, <size_t>(got - used)) < 0:
            end = True
            break
        if n.early_len:
            break
    rc = _write_out(n)
    if n.c.hs.state == HS_FAILED:
        _failed_event(n)
        n.c.error = -ECONNABORTED
        _discard(n)
        return
    if end or rc < 0:
        if rc < 0 and not n.c.error:
            n.c.error = rc
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_NO_DETAIL, -n.c.error, n.name)
        _discard(n)
        return
    if n.c.hs.state == HS_READY and rc == 1:
        _attach(n)
        return
    handle_set(n.s.rx, &n.h, POLL_IN if rc == 1 else (POLL_IN | POLL_OUT if n.c.hs.state != HS_READY else POLL_OUT))


cdef void _on_handle(handle* h, int revents) noexcept nogil:
    cdef session* n = <session*>h.owner
    cdef sock* s = n.s
    cdef uint8_t[4096] scrap
    cdef ssize_t got
    if n.c.closing:
        handle_set(s.rx, h, 0)
        return
    if n.ignored:
        # A duplicate identity: connected, and heard by nobody (RFC 28); only its end matters.
        got = recv(n.c.fd, scrap, sizeof(scrap), MSG_DONTWAIT)
        if got == 0 or (got < 0 and errno != EAGAIN and errno != EINTR):
            n.c.error = -ECONNRESET
            _discard(n)
        return
    if not n.active:
        _hs_step(n, revents)
        return
    if s.set.fd < 0 and n.in_set and revents & ~POLL_OUT:
        session_read_here(n)
    if n.c.blocked and (s.set.fd >= 0 or revents & POLL_OUT):
        zq_lock(&s.lock)
        n.c.blocked = False
        n.watch_out = False
        _drain(n)
        zq_unlock(&s.lock)
    if s.set.fd < 0 and not n.c.closing:
        session_watch_both(n)


cdef void _drain(session* n) noexcept nogil:
    """[lock] Write until the kernel is full or nothing is left, within a budget."""
    cdef sock* s = n.s
    cdef int _k
    for _k in range(16):
        if traffic_write(s, n) != 1:
            break
    else:
        # more than its share: the reactor comes back after the others
        n.c.blocked = True
        n.watch_out = True
    if n.watch_out:
        session_watch(n)


cdef void _on_limit(timer* t, int64_t now) noexcept nogil:
    cdef session* n = <session*>t.owner
    if n.active:
        zq_lock(&n.s.lock)
        session_failed(n.s, n, -ETIMEDOUT)     # LINGER is over
        zq_unlock(&n.s.lock)
        return
    n.c.error = -ETIMEDOUT
    monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_NO_DETAIL, ETIMEDOUT, n.name)
    _discard(n)


cdef int session_open(sock* s, ept* e, int fd, const peer_facts* facts, bint accepted) noexcept nogil:
    cdef session* n = <session*>calloc(1, sizeof(session))
    cdef handshake_config cfg
    cdef int rc = 0
    cdef int64_t limit
    if n == NULL:
        fd_close(fd)
        return -ENOMEM
    conn_init(&n.c, fd)
    n.s = s
    n.e = e
    n.accepted = accepted
    n.is_loopback = facts.is_loopback and e.where.transport == TRANSPORT_TCP
    strncpy(n.peer_address, facts.address, sizeof(n.peer_address) - 1)
    if e.name != NULL:
        strncpy(n.name, e.name, sizeof(n.name) - 1)
    handle_init(&n.h, fd, _on_handle, n)
    timer_init(&n.limit, _on_limit, n)
    heartbeat_init(n)
    memset(&cfg, 0, sizeof(cfg))
    zq_lock(&s.lock)
    cfg.socket_type = s.type
    if announces_identity(s.type) and s.opt.routing_id.size:
        memcpy(n.self_id, s.opt.routing_id.data, s.opt.routing_id.size)
        cfg.identity = n.self_id
        cfg.identity_len = s.opt.routing_id.size
    if s.opt.metadata.size:
        n.self_meta = <uint8_t*>malloc(s.opt.metadata.size)
        if n.self_meta != NULL:
            memcpy(n.self_meta, s.opt.metadata.data, s.opt.metadata.size)
            cfg.extra = n.self_meta
            cfg.extra_len = s.opt.metadata.size
    cfg.mechanism = s.opt.mechanism
    cfg.listening = accepted
    cfg.max_size = s.opt.maxmsgsize
    cfg.allow_downgrade = True
    limit = s.opt.handshake_ivl
    n.next = s.sessions
    if s.sessions != NULL:
        s.sessions.prev = n
    s.sessions = n
    if not accepted:
        e.live = n
    zq_unlock(&s.lock)
    monitor_emit(s, EVENT_ACCEPTED if accepted else EVENT_CONNECTED, fd, n.name)
    if s.row.traits & RAW or s.opt.router_raw:
        n.c.wire = WIRE_RAW
        _attach(n)
        return 0
    rc = handshake_init(&n.c.hs, &cfg)
    if rc < 0:
        n.c.error = rc
        monitor_emit(s, EVENT_HANDSHAKE_FAILED_NO_DETAIL, -rc, n.name)
        _discard(n)
        return 0
    n.c.hs_live = True
    if limit > 0:
        timer_set(s.rx, &n.limit, zq_now_ns() + limit * 1000000)
    rc = handle_set(s.rx, &n.h, POLL_IN)
    if rc < 0:
        n.c.error = rc
        _discard(n)
        return 0
    _hs_step(n, 0)
    return 0


# --- attachment ------------------------------------------------------------------------------------------

cdef int _collect_facts(session* n) noexcept nogil:
    cdef size_t address = strlen(n.peer_address)
    cdef size_t size = n.c.hs.properties_len + property_size(12, address)
    cdef uint8_t* all = <uint8_t*>malloc(size)
    cdef size_t at
    if all == NULL:
        return -ENOMEM
    at = put_property(all, b"Peer-Address", 12, <const uint8_t*>n.peer_address, address)
    if n.c.hs.properties_len:
        memcpy(all + at, n.c.hs.properties, n.c.hs.properties_len)
    n.c.facts = meta_new(all, size)
    free(all)
    if n.c.facts == NULL:
        return -ENOMEM
    n.c.facts.fd = n.c.fd
    return 0


cdef int _identify(sock* s, session* n, peer* p) noexcept nogil:
    """ROUTER and its kin give every peer a name. 0; -EEXIST: taken, and not to be handed over; -ENOMEM."""
    cdef peer* old
    cdef const uint8_t* id = n.c.hs.identity
    cdef size_t size = n.c.hs.identity_len
    if p.leaving:
        return 0
    if s.row.wrap == WRAP_NUMBER:
        return 0 if p.named else routing_name_generated(&s.r, p)
    if s.row.wrap != WRAP_IDENTITY:
        return 0
    if n.e != NULL and n.e.rid_len and not n.accepted:
        id = n.e.rid
        size = n.e.rid_len
    if n.c.wire == WIRE_RAW and not size:
        return 0 if p.named else routing_name_generated(&s.r, p)
    if size == 0:
        return 0 if p.named else routing_name_generated(&s.r, p)
    old = routing_find(&s.r, id, size)
    if old == p:
        return 0
    if old != NULL:
        if not s.opt.router_handover:
            return -EEXIST
        # The old one keeps what it has sent; from here the name is the newcomer's.
        routing_unname(&s.r, old)
        routing_name_generated(&s.r, old)
        if old.kind == PEER_STREAM and old.c != NULL:
            session_failed(s, <session*>old.c, -ECONNABORTED)
    return routing_name(&s.r, p, id, size)


cdef bint _others(sock* s, peer* p) noexcept nogil:
    cdef uint32_t i
    for i in range(s.r.npeers):
        if s.r.peers[i] != p and not s.r.peers[i].gone and not s.r.peers[i].leaving:
            return True
    return False


cdef int _attach_locked(session* n) noexcept nogil:
    cdef sock* s = n.s
    cdef peer* p = NULL
    cdef bint fresh
    cdef int rc
    cdef int early = 0
    if s.closed and s.linger_due == 0:
        return -ECONNABORTED
    if n.e != NULL and not n.accepted:
        if n.e.state == EPT_STOPPING:
            return -ECONNABORTED
        p = n.e.p
    if s.row.traits & ONE_PEER and _others(s, p):
        return -ECONNABORTED
    fresh = p == NULL
    if fresh:
        p = peer_make(s, PEER_STREAM)
        if p == NULL:
            return -ENOMEM
    elif p.said_hello:
        inq_reset(&p.inn)
        outq_rewind(&p.out)
        outq_drop_control(&p.out)
    rc = _collect_facts(n)
    if rc == 0:
        rc = inq_room(&p.inn, n.early_len + READ_ROOM)
    if rc == 0 and fresh:
        rc = routing_add(&s.r, p)
    if rc == 0:
        rc = _identify(s, n, p)
        if rc == -EEXIST and fresh:
            _unmake(s, p)
            return rc
    if rc == 0:
        rc = session_into_set(s, n)
    if rc < 0:
        if fresh:
            _unmake(s, p)
        return rc
    # From here nothing fails: what the peer has sent already is in its queue, and would be there twice with the next try.
    p.endpoint = n.e
    meta_unref(p.facts)
    p.facts = n.c.facts
    n.c.facts = NULL
    n.p = p
    p.c = &n.c
    outq_flows(&p.out, True)
    p.usable = not p.leaving
    p.close_wanted = False        # that was meant for the last connection
    n.active = n.was_active = True
    s.nactive += 1
    s.only = n if s.nactive == 1 else NULL
    if n.e != NULL and not n.accepted:
        n.e.state = EPT_CONNECTED
        n.e.p = p
    if n.c.wire == WIRE_RAW:
        p.inn.max_size = -1       # a read is no message of the peer's: MAXMSGSIZE has nothing to judge
        if s.opt.stream_notify and s.type == TYPE_STREAM:
            peer_inject(s, p, <const uint8_t*>b"", 0)
    else:
        if s.type == TYPE_ROUTER and s.opt.router_notify & 1:
            peer_inject(s, p, <const uint8_t*>b"", 0)     # before its traffic, which may end within a message
        early = conn_start_traffic(&n.c, &p.inn, n.early, n.early_len)      # a fault ends it behind what came before
        if s.row.traits & EAGER and n.c.dialect == ZMTP_1_0:
            fanout_subscription(&s.r, p, <const uint8_t*>b"", 0, False)     # such a subscriber filters by itself
        peer_greet(s, p)
        p.said_hello = True
    traffic_commit(s, n, early)
    routing_writable(&s.r, p)
    if conn_pending(&n.c, &p.out):
        routing_dirty(&s.r, p)
    return 0


cdef void _unmake(sock* s, peer* p) noexcept nogil:
    routing_remove(&s.r, p)
    peer_free(p)


cdef void _attach(session* n) noexcept nogil:
    cdef sock* s = n.s
    cdef wakes w
    cdef int rc
    w.n = 0
    timer_cancel(s.rx, &n.limit)
    zq_lock(&s.lock)
    rc = _attach_locked(n)
    if rc == 0:
        handle_set(s.rx, &n.h, POLL_IN if s.set.fd < 0 and n.in_set else 0)
        free(n.early)
        n.early = NULL
        lease_start(s)
        zq_unlock(&s.lock)
        if n.c.wire != WIRE_RAW:
            # Said before the first message can arrive: programs wait for it, and then expect the peer to be there.
            monitor_emit(s, EVENT_HANDSHAKE_SUCCEEDED, 0, n.name)
        zq_lock(&s.lock)
        traffic_settle(s, &w)
        if sock_wants_wake(s):
            sock_wake(s)
        zq_unlock(&s.lock)
        wakes_run(&w)
        if n.c.hs_live and n.c.hs.ops != NULL and n.c.hs.ops.encode == NULL:
            handshake_trim(&n.c.hs)
        heartbeat_start(n)
        return
    zq_unlock(&s.lock)
    if rc == -EEXIST:
        n.ignored = True
        handle_set(s.rx, &n.h, POLL_IN)
        return
    n.c.error = rc
    _discard(n)


cdef void session_leave(session* n, int64_t due) noexcept nogil:
    if not n.active or n.p.out.nmsgs == 0 or due == 0:
        session_failed(n.s, n, -ECONNABORTED)
        return
    peer_leave(n.s, n.p)
    if due > 0:
        timer_set(n.s.rx, &n.limit, due)


# --- the end -----------------------------------------------------------------------------------------------

cdef void sessions_sweep(sock* s) noexcept nogil:
    cdef session* n
    if s.leader:
        return
    while s.graves != NULL:
        n = s.graves
        s.graves = n.next
        _release(n)


cdef bint session_close(session* n) noexcept nogil:
    cdef sock* s = n.s
    cdef peer* p
    cdef session** at
    cdef wakes w
    cdef bint was_active
    cdef int fd = n.c.fd
    cdef char[400] name
    w.n = 0
    zq_lock(&s.lock)
    if n.c.in_busy or n.c.out_busy:
        zq_unlock(&s.lock)
        return False
    memcpy(name, n.name, sizeof(name))
    handle_remove(s.rx, &n.h)
    timer_cancel(s.rx, &n.limit)
    heartbeat_stop(n)
    if n.in_set:
        poller_del(&s.set, fd)
        n.in_set = False
    if n.in_flush:
        at = &s.flush
        while at[0] != n:
            at = &at[0].flush_next
        at[0] = n.flush_next
        n.in_flush = False
    traffic_unlist(n)
    if n.in_mind:
        at = &s.mind
        while at[0] != n:
            at = &at[0].mind_next
        at[0] = n.mind_next
        n.in_mind = False
    if n.prev != NULL:
        n.prev.next = n.next
    else:
        s.sessions = n.next
    if n.next != NULL:
        n.next.prev = n.prev
    was_active = n.active
    p = n.p
    if was_active:
        n.active = False
        s.nactive -= 1
        s.only = _single(s) if s.nactive == 1 else NULL
        p.c = NULL
        n.p = NULL
        inq_reset(&p.inn)
        outq_rewind(&p.out)
        p.inn.paused = False
        if n.e != NULL and not n.accepted and n.e.p == p and not s.opt.immediate and n.e.state != EPT_STOPPING \
                and n.c.wire != WIRE_RAW and not (p.leaving and p.out.nmsgs == 0):
            # The peer stays, with what waits for it, until the endpoint is connected again.
            if s.opt.hiccup_msg.size and (s.type == TYPE_DEALER or s.type == TYPE_CLIENT or s.type == TYPE_PEER):
                peer_inject(s, p, s.opt.hiccup_msg.data, s.opt.hiccup_msg.size)
        else:
            peer_farewell(s, p)
            peer_gone(s, p, DROP_PEER_GONE)
    if n.e != NULL and n.e.live == n:
        n.e.live = NULL
    # A thread may be about to look at what its poll of the set said: memory and number stay until it has left.
    n.next = s.graves
    n.prev = NULL
    s.graves = n
    traffic_settle(s, &w)
    sessions_sweep(s)
    if sock_wants_wake(s) or s.leader:
        sock_wake(s)
    zq_unlock(&s.lock)
    wakes_run(&w)
    if was_active:
        monitor_emit(s, EVENT_DISCONNECTED, fd, name)
    return True


cdef session* _single(sock* s) noexcept nogil:
    cdef session* n = s.sessions
    while n != NULL and not n.active:
        n = n.next
    return n
