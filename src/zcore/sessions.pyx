"""Attachment, closing; see sessions.pxd."""

from libc.errno cimport ECONNABORTED, EEXIST, EMSGSIZE, ENOMEM, EPROTO
from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen

from .buffer cimport READ_ROOM
from .connection cimport WIRE_RAW, WIRE_SECURE, conn_free, conn_pending, conn_start_traffic
from .descriptors cimport fd_close
from .engine cimport EPT_CONNECTED, EPT_STOPPING, DUE_FAILED, session, sock
from .handshake cimport handshake_drop, handshake_trim
from .heartbeat cimport heartbeat_start, heartbeat_stop
from .lease cimport lease_start
from .limits cimport DROP_PEER_GONE
from .message cimport meta_new, meta_unref
from .monitor cimport (EVENT_DISCONNECTED, EVENT_HANDSHAKE_FAILED_PROTOCOL, EVENT_HANDSHAKE_SUCCEEDED,
                       monitor_emit)
from .patterns cimport EAGER, ONE_PEER, WRAP_IDENTITY, WRAP_NUMBER
from .peers cimport peer_farewell, peer_gone, peer_greet, peer_inject, peer_leave, peer_make
from .pipe cimport inq_reset, inq_room, outq_drop_control, outq_flows, outq_rewind
from .platform cimport zq_lock, zq_unlock
from .poller cimport poller_del
from .pubsub cimport fanout_subscription
from .readiness cimport session_into_set, session_read_here, session_watch, session_watch_both
from .reactor cimport POLL_IN, POLL_OUT, handle_remove, handle_set, timer_cancel, timer_set
from .routing cimport (PEER_STREAM, peer, peer_free, routing_add, routing_dirty, routing_find, routing_name,
                       routing_name_generated, routing_remove, routing_unname, routing_writable)
from .thrift cimport thrift_forget
from .traffic cimport (session_failed, sock_post, sock_wake, sock_wants_wake, traffic_commit, traffic_settle,
                       traffic_unflush, traffic_unlist, traffic_write, wakes, wakes_run)
from .zap cimport zap_forget
from .zmtp cimport (TYPE_CLIENT, TYPE_DEALER, TYPE_PEER, TYPE_ROUTER, TYPE_STREAM, ZMTP_1_0, next_property,
                    property_size, put_property, same_name, zmtp_property)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buf, size_t n, int flags)
    int shutdown(int fd, int how)
    int MSG_DONTWAIT, SHUT_WR


cdef enum:
    DRAIN_BUDGET = 4194304    # bytes the reactor writes to one connection before others have their turn


# --- without a peer ----------------------------------------------------------------------------------------

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
    free(n.said)
    free(n.self_meta)
    free(n)


cdef void session_known(session* n) noexcept nogil:
    cdef sock* s = n.s
    if not n.stranger:
        return
    n.stranger = False
    s.nstrangers -= 1
    if n.stranger_prev != NULL:
        n.stranger_prev.stranger_next = n.stranger_next
    else:
        s.strangers = n.stranger_next
    if n.stranger_next != NULL:
        n.stranger_next.stranger_prev = n.stranger_prev
    else:
        s.strangers_last = n.stranger_prev


cdef void session_discard(session* n) noexcept nogil:
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
    sock_post(s, DUE_FAILED)


cdef void session_ready(session* n, int revents) noexcept nogil:
    cdef sock* s = n.s
    cdef bint goes_on
    if s.set.fd < 0 and n.in_set and revents & ~POLL_OUT:
        session_read_here(n)
    zq_lock(&s.lock)
    if n.c.blocked and (s.set.fd >= 0 or revents & POLL_OUT):
        n.c.blocked = False
        n.watch_out = False
        _drain(n)
    goes_on = not n.c.closing
    zq_unlock(&s.lock)
    if s.set.fd < 0 and goes_on:
        session_watch_both(n)


cdef void _drain(session* n) noexcept nogil:
    """[lock] Write until the kernel is full or nothing is left, within a budget."""
    cdef sock* s = n.s
    cdef size_t written = 0
    cdef int turns = 16
    while turns and written < DRAIN_BUDGET:
        if traffic_write(s, n) != 1:
            break
        written += n.c.offered
        turns -= 1
    else:
        # more than its share: the reactor comes back after the others
        n.c.blocked = True
        n.watch_out = True
    if n.watch_out:
        session_watch(n)


# --- attachment ------------------------------------------------------------------------------------------

cdef int _collect_facts(session* n) noexcept nogil:
    """What messages tell of their connection.  The first of a name counts: ours, the authoriser's, then the peer's."""
    cdef size_t address = strlen(n.peer_address)
    cdef const uint8_t* from_ = n.c.hs.properties
    cdef const uint8_t* end = from_ + n.c.hs.properties_len
    cdef uint8_t* all = <uint8_t*>malloc(n.c.hs.properties_len + n.said_len + property_size(12, address))
    cdef zmtp_property found
    cdef size_t at
    if all == NULL:
        return -ENOMEM
    at = put_property(all, b"Peer-Address", 12, <const uint8_t*>n.peer_address, address)
    if n.said_len:
        memcpy(all + at, n.said, n.said_len)
        at += n.said_len
    while next_property(&from_, end, &found) > 0:
        # Who a peer is says the authoriser, or nobody.
        if not same_name(found.name, found.name_len, b"User-Id", 7):
            at += put_property(all + at, <const char*>found.name, found.name_len, found.value, found.value_len)
    n.c.facts = meta_new(all, at)
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


cdef void session_attach(session* n) noexcept nogil:
    cdef sock* s = n.s
    cdef wakes w
    cdef int rc
    w.n = 0
    timer_cancel(s.rx, &n.limit)
    zq_lock(&s.lock)
    session_known(n)
    rc = _attach_locked(n)
    if rc == 0:
        s.hs_succeeded += n.c.wire != WIRE_RAW
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
        if n.c.wire == WIRE_SECURE:
            handshake_trim(n.c.hs)    # the rest of it codes every frame
        else:
            handshake_drop(&n.c.hs)
        heartbeat_start(n)
        return
    zq_unlock(&s.lock)
    if rc == -EEXIST:
        n.ignored = True
        handle_set(s.rx, &n.h, POLL_IN)
        return
    n.c.error = rc
    session_discard(n)


cdef void session_leave(session* n, int64_t due) noexcept nogil:
    if n.active:
        peer_leave(n.s, n.p)      # from here it gets no message any more, however long the connection takes to end
    if not n.active or n.p.out.nmsgs == 0 or due == 0:
        session_failed(n.s, n, -ECONNABORTED)
        return
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
    cdef int fault = 0
    cdef int fd = n.c.fd
    cdef char[400] name
    w.n = 0
    zap_forget(n)
    zq_lock(&s.lock)
    if n.c.in_busy or n.c.out_busy:
        zq_unlock(&s.lock)
        return False
    memcpy(name, n.name, sizeof(name))
    handle_remove(s.rx, &n.h)
    timer_cancel(s.rx, &n.limit)
    heartbeat_stop(n)
    session_known(n)
    if n.in_set:
        poller_del(&s.set, fd)
        n.in_set = False
    if n.in_flush:
        at = &s.flush
        while at[0] != n:
            at = &at[0].flush_next
        traffic_unflush(s, n, at)
    traffic_unlist(n)
    thrift_forget(n)
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
    fault = n.c.fault
    if was_active and (fault or n.c.error == -EPROTO or n.c.error == -EMSGSIZE):
        s.violations += 1
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
    if fault:
        monitor_emit(s, EVENT_HANDSHAKE_FAILED_PROTOCOL, fault, name)
    if was_active:
        monitor_emit(s, EVENT_DISCONNECTED, fd, name)
    return True


cdef session* _single(sock* s) noexcept nogil:
    cdef session* n = s.sessions
    while n != NULL and not n.active:
        n = n.next
    return n
