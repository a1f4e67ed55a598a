"""Endpoints of all transports; see endpoints.pxd."""

from libc.errno cimport (EADDRINUSE, EAGAIN, ECONNREFUSED, EINVAL, EMFILE, ENOENT, ENOMEM, EPROTONOSUPPORT, ETIMEDOUT)
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from .address cimport addr_list, addr_list_add, cidr, sockaddr, zq_addr, zq_addr_copy
from .backoff cimport backoff_init, backoff_next, backoff_reset
from .connecter cimport (CONNECT_FAILED, CONNECT_NAMING, CONNECT_OPEN, connect_wait, connecter_close, connecter_init,
                         connecter_name, connecter_reset, connecter_resolved, connecter_step, connecter_take_fd)
from .ctx cimport ctx_name, ctx_name_trim, inproc_name, ctx_reactor
from .endpoint cimport (ENDPOINT_BIND, ENDPOINT_CONNECT, TRANSPORT_INPROC, TRANSPORT_IPC, TRANSPORT_TCP, endpoint,
                        endpoint_parse, endpoint_print, endpoint_reason)
from .engine cimport (EPT_CONNECTED, EPT_FAILED, EPT_NEW, EPT_RUNNING, EPT_STOPPING, EPT_WAITING, TODO_ENDPOINTS, ept,
                      session, sock)
from .errno_zmq cimport ENOCOMPATPROTO
from .inproc cimport link, link_leave, link_new
from .limits cimport DROP_CLOSED, POLICY_TYPE, limits
from .listener cimport (ACCEPT_BROKEN, ACCEPT_DONE, ACCEPT_LATER, ACCEPT_NEXT, ACCEPT_NONE, accept_verdict, accepted,
                        listener_accept, listener_close, listener_open)
from .monitor cimport (EVENT_ACCEPT_FAILED, EVENT_BIND_FAILED, EVENT_CLOSED, EVENT_CONNECT_DELAYED, EVENT_CONNECT_RETRIED,
                       EVENT_LISTENING, monitor_emit)
from .option_values cimport obytes, obytes_free
from .patterns cimport EAGER, ONE_PEER, RAW, WRAP_IDENTITY, WRAP_NUMBER
from .pipe cimport outq_clear
from .platform cimport zq_lock, zq_now_ns, zq_unlock
from .pubsub cimport fanout_take, own_resend
from .reactor cimport (POLL_IN, POLL_OUT, handle, handle_init, handle_remove, handle_set, reactor, timer, timer_cancel, timer_init,
                       timer_set)
from .resolver cimport resolve_cancel, resolve_result, resolve_start, resolved_address
from .routing cimport (NEWS_GONE, NEWS_READABLE, NEWS_WRITABLE, PEER_INPROC, PEER_STREAM, peer, peer_free, routing_add,
                       routing_dirty, routing_find, routing_name, routing_name_generated, routing_readable, routing_remove,
                       routing_writable, peer_has_input)
from .sessions cimport peer_farewell, peer_greet, peer_inject, peer_make, session_open, sock_limits
from .stream cimport (FILTER_GID, FILTER_PID, FILTER_UID, WANT_IN, WANT_OUT, ipc_filter, peer_facts, socks_opts, stream_facts,
                      stream_opts, stream_opts_copy, stream_opts_free, stream_opts_init)
from .traffic cimport (peer_notify, session_failed, sock_post, sock_ref, sock_unref, sock_wake,
                       traffic_inbox, traffic_settle, wakes, wakes_run)
from .waiting cimport wait_one
from .zmtp cimport TYPE_DEALER, TYPE_PUB, TYPE_REQ, TYPE_ROUTER, TYPE_STREAM, TYPE_SUB, TYPE_XSUB

cdef extern from "<sys/socket.h>" nogil:
    int AF_INET, AF_INET6, AF_UNSPEC

cdef enum:
    STOP_REFUSED = 1          # RECONNECT_STOP bits
    STOP_HANDSHAKE = 2
    STOP_AFTER_DISCONNECT = 4
    ACCEPT_PAUSE = 100000000  # ns, when descriptors have run out
    LEAVE_PATIENCE = 2000000000   # ns that unbind and disconnect wait for the reactor


# --- records ---------------------------------------------------------------------------------------------

cdef char* _copy_text(const char* text, size_t n) noexcept nogil:
    cdef char* c = <char*>malloc(n + 1)
    if c != NULL:
        memcpy(c, text, n)
        c[n] = 0
    return c


cdef ept* _new(sock* s, const char* text, size_t n, const endpoint* where, bint bound) noexcept nogil:
    cdef ept* e = <ept*>calloc(1, sizeof(ept))
    if e == NULL:
        return NULL
    e.s = s
    e.where = where[0]
    e.bound = bound
    e.l.fd = -1
    e.given = _copy_text(text, n)
    if e.given == NULL:
        free(e)
        return NULL
    backoff_init(&e.back, <uint64_t>zq_now_ns() ^ <uint64_t>e)
    return e


cdef void endpoint_free(ept* e) noexcept nogil:
    listener_close(&e.l)
    if e.stream and not e.bound:
        connecter_close(&e.dial)
    stream_opts_free(&e.sopts)
    free(e.given)
    free(e.name)
    free(e)


cdef void _link_in(sock* s, ept* e) noexcept nogil:
    e.next = s.epts
    s.epts = e


cdef void _link_out(sock* s, ept* e) noexcept nogil:
    cdef ept** at = &s.epts
    while at[0] != NULL and at[0] != e:
        at = &at[0].next
    if at[0] == e:
        at[0] = e.next


cdef int _set_last(sock* s, const char* text) noexcept nogil:
    cdef char* c = _copy_text(text, strlen(text))
    if c == NULL:
        return -ENOMEM
    free(s.last_endpoint)
    s.last_endpoint = c
    return 0


cdef bint _is(ept* e, const char* text, size_t n) noexcept nogil:
    return ((strlen(e.given) == n and memcmp(e.given, text, n) == 0)
            or (e.name != NULL and strlen(e.name) == n and memcmp(e.name, text, n) == 0))


cdef void _text(const obytes* from_, char* to, size_t room) noexcept nogil:
    cdef size_t n = from_.size if from_.size < room - 1 else room - 1
    memcpy(to, from_.data, n)
    to[n] = 0


cdef int _stream_options(sock* s, stream_opts* out) noexcept nogil:
    """[lock] The values a listener or connecter needs, in a copy of its own."""
    cdef stream_opts o
    cdef socks_opts proxy
    cdef cidr* filters = NULL
    cdef ipc_filter* ids = NULL
    cdef size_t k, n = 0
    cdef int rc
    stream_opts_init(&o)
    o.sndbuf = s.opt.sndbuf
    o.rcvbuf = s.opt.rcvbuf
    o.tos = s.opt.tos
    o.priority = s.opt.priority
    o.busy_poll = s.opt.busy_poll
    o.keepalive = s.opt.tcp_keepalive
    o.keepalive_cnt = s.opt.tcp_keepalive_cnt
    o.keepalive_idle = s.opt.tcp_keepalive_idle
    o.keepalive_intvl = s.opt.tcp_keepalive_intvl
    o.maxrt_ms = s.opt.tcp_maxrt
    o.backlog = s.opt.backlog
    o.use_fd = s.opt.use_fd
    o.connect_timeout_ms = s.opt.connect_timeout
    o.proxy_timeout_ms = s.opt.handshake_ivl
    o.ipv6 = s.opt.ipv6 != 0
    _text(&s.opt.bindtodevice, o.device, sizeof(o.device))
    if s.opt.tcp_accept_filter.count:
        filters = <cidr*>calloc(s.opt.tcp_accept_filter.count, sizeof(cidr))
        if filters == NULL:
            return -ENOMEM
        for k in range(s.opt.tcp_accept_filter.count):
            filters[k].family = AF_INET if s.opt.tcp_accept_filter.items[k].length == 4 else AF_INET6
            filters[k].bits = s.opt.tcp_accept_filter.items[k].bits
            memcpy(filters[k].prefix, s.opt.tcp_accept_filter.items[k].address, 16)
        o.filters = filters
        o.filters_n = <int>s.opt.tcp_accept_filter.count
    n = s.opt.ipc_filter_uid.count + s.opt.ipc_filter_gid.count + s.opt.ipc_filter_pid.count
    if n:
        ids = <ipc_filter*>calloc(n, sizeof(ipc_filter))
        if ids == NULL:
            free(filters)
            return -ENOMEM
        n = 0
        for k in range(s.opt.ipc_filter_uid.count):
            ids[n].kind = FILTER_UID
            ids[n].id = <uint32_t>s.opt.ipc_filter_uid.items[k]
            n += 1
        for k in range(s.opt.ipc_filter_gid.count):
            ids[n].kind = FILTER_GID
            ids[n].id = <uint32_t>s.opt.ipc_filter_gid.items[k]
            n += 1
        for k in range(s.opt.ipc_filter_pid.count):
            ids[n].kind = FILTER_PID
            ids[n].id = <uint32_t>s.opt.ipc_filter_pid.items[k]
            n += 1
        o.ipc_filters = ids
        o.ipc_filters_n = <int>n
    if s.opt.socks_proxy.size:
        memset(&proxy, 0, sizeof(proxy))
        _text(&s.opt.socks_proxy, proxy.proxy, sizeof(proxy.proxy))
        _text(&s.opt.socks_username, proxy.username, sizeof(proxy.username))
        _text(&s.opt.socks_password, proxy.password, sizeof(proxy.password))
        proxy.username_n = <int>s.opt.socks_username.size
        proxy.password_n = <int>s.opt.socks_password.size
        o.socks = &proxy
    rc = stream_opts_copy(out, &o)
    free(filters)
    free(ids)
    return rc


cdef int _parse(sock* s, const char* text, size_t n, endpoint* out, int direction, char* why) noexcept nogil:
    cdef int rc = endpoint_parse(text, n, out, direction)
    cdef int shown = <int>n if n < 200 else 200
    if rc < 0:
        endpoint_reason(out, text, n, why, WHY_MAX)
        return rc
    if out.transport != TRANSPORT_INPROC and out.transport != TRANSPORT_IPC and out.transport != TRANSPORT_TCP:
        snprintf(why, WHY_MAX, "this build has no such transport: %.*s (inproc, ipc and tcp are there)", shown, text)
        return -EPROTONOSUPPORT
    if s.row.traits & RAW and out.transport != TRANSPORT_TCP:
        snprintf(why, WHY_MAX, "STREAM sockets speak over tcp only, not %.*s", shown, text)
        return -ENOCOMPATPROTO
    return 0


cdef int _need_reactor(sock* s, char* why) noexcept nogil:
    """No lock held."""
    cdef reactor* rx = NULL
    cdef int rc
    if s.rx != NULL:
        return 0
    rc = ctx_reactor(s.x, <uint64_t>s.opt.affinity, &rx)
    if rc < 0:
        snprintf(why, WHY_MAX, "no reactor to serve the socket: IO_THREADS is 0, AFFINITY names none, or no thread could start")
        return rc
    zq_lock(&s.lock)
    s.rx = rx
    sock_ref(s)               # the reactor's
    zq_unlock(&s.lock)
    return 0

# --- inproc ------------------------------------------------------------------------------------------------

cdef void _meet(limits* out, const limits* writer, const limits* reader) noexcept nogil:
    """Both ends' marks add up; the writer's policy counts, or the reader's if the writer has chosen none."""
    out[0] = writer[0]
    if writer.policy == POLICY_TYPE and reader.policy != POLICY_TYPE:
        out[0] = reader[0]
        return
    if writer.policy != POLICY_TYPE:
        return
    out.messages = writer.messages + reader.messages if writer.messages and reader.messages else 0


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
        if not s.r.peers[i].gone:
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


cdef int _join(sock* a, ept* e, sock* b, char* why) noexcept nogil:
    """Connect socket a (its endpoint e, whose peer may exist already) to the bound socket b. No lock held."""
    cdef link* k
    cdef peer* pa
    cdef peer* pb
    cdef wakes w
    cdef limits la_out, la_in, lb_out, lb_in
    cdef uint8_t id_a[256]
    cdef uint8_t id_b[256]
    cdef size_t na, nb
    cdef int rc
    w.n = 0
    # What each side contributes; taken one lock at a time.
    zq_lock(&b.lock)
    if b.closed or _one_peer_taken(b):
        zq_unlock(&b.lock)
        return 0              # as over tcp: the connection is not accepted
    sock_limits(b, &lb_out, True)
    sock_limits(b, &lb_in, False)
    nb = b.opt.routing_id.size
    memcpy(id_b, b.opt.routing_id.data, nb)
    pb = peer_make(b, PEER_INPROC)
    zq_unlock(&b.lock)
    if pb == NULL:
        return -ENOMEM
    zq_lock(&a.lock)
    sock_limits(a, &la_out, True)
    sock_limits(a, &la_in, False)
    na = a.opt.routing_id.size
    memcpy(id_a, a.opt.routing_id.data, na)
    pa = e.p
    k = pa.lnk
    pb.lnk = k
    pb.side = 1
    memcpy(pb.identity, id_a, na)
    pb.identity_len = <uint32_t>na
    if not pa.named:
        memcpy(pa.identity, id_b, nb)
        pa.identity_len = <uint32_t>nb
    zq_lock(&k.lock)
    k.ends[1] = pb
    _meet(&k.dir[0].lim, &la_out, &lb_in)
    _meet(&k.dir[1].lim, &lb_out, &la_in)
    zq_unlock(&k.lock)
    zq_unlock(&a.lock)

    zq_lock(&b.lock)
    rc = routing_add(&b.r, pb)
    if rc == 0:
        _inproc_name(b, pb, NULL)
        _arrive(b, pb)
    traffic_settle(b, &w)
    sock_wake(b)
    zq_unlock(&b.lock)
    if rc < 0:
        peer_free(pb)
        return rc

    zq_lock(&a.lock)
    if e.p == pa:
        if not pa.named:
            _inproc_name(a, pa, e)
        _arrive(a, pa)
    traffic_settle(a, &w)
    sock_wake(a)
    zq_unlock(&a.lock)
    wakes_run(&w)
    return 0


cdef int _bind_inproc(sock* s, ept* e, char* why) noexcept nogil:
    cdef inproc_name* entry
    cdef ept* waiting = NULL
    cdef ept* following
    cdef int rc = 0
    zq_lock(&s.x.lock)
    entry = ctx_name(s.x, e.where.name, e.where.name_n, True)
    if entry == NULL:
        rc = -ENOMEM
    elif entry.sock != NULL:
        snprintf(why, WHY_MAX, "%s: another socket of this context is bound to it", e.given)
        rc = -EADDRINUSE
    else:
        entry.sock = s
        entry.endpoint = e
        waiting = <ept*>entry.waiting
        entry.waiting = NULL
        following = waiting
        while following != NULL:
            sock_ref(following.s)      # until they have been joined
            following = following.waiting_next
    zq_unlock(&s.x.lock)
    if rc < 0:
        return rc
    zq_lock(&s.lock)
    _link_in(s, e)
    e.state = EPT_RUNNING
    _set_last(s, e.name)
    zq_unlock(&s.lock)
    while waiting != NULL:
        following = waiting.waiting_next
        waiting.waiting_next = NULL
        _join(waiting.s, waiting, s, why)
        sock_unref(waiting.s)
        waiting = following
    return 0


cdef int _connect_inproc(sock* s, ept* e, char* why) noexcept nogil:
    cdef inproc_name* entry
    cdef sock* other = NULL
    cdef link* k = link_new()
    cdef peer* p
    cdef int rc
    if k == NULL:
        return -ENOMEM
    zq_lock(&s.lock)
    p = peer_make(s, PEER_INPROC)
    rc = -ENOMEM if p == NULL else routing_add(&s.r, p)
    if rc == 0:
        p.lnk = k
        p.endpoint = e
        k.ends[0] = p
        # Until somebody binds, our own mark alone counts, and the place of the other side is taken by nobody in particular.
        sock_limits(s, &k.dir[0].lim, True)
        k.ends[1] = &_nobody
        e.p = p
        if e.rid_len:
            rc = routing_name(&s.r, p, e.rid, e.rid_len)
        _link_in(s, e)
        e.state = EPT_RUNNING
        _set_last(s, e.name)
    zq_unlock(&s.lock)
    if rc < 0:
        return rc
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
    if other != NULL:
        rc = _join(s, e, other, why)
        sock_unref(other)
    return rc


cdef peer _nobody      # stands for the side of an inproc link that has not been bound yet
memset(&_nobody, 0, sizeof(peer))


cdef void _forget_waiting(sock* s, ept* e) noexcept nogil:
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
    if p.lnk.ends[1] != &_nobody:
        peer_notify(p, NEWS_GONE | NEWS_READABLE, w)
    routing_dirty(&s.r, p)


cdef void peers_leave_inproc(sock* s, ept* only) noexcept nogil:
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


cdef void endpoints_leave_inproc(sock* s) noexcept nogil:
    cdef ept* e
    cdef ept* following
    cdef ept* mine = NULL
    zq_lock(&s.lock)
    e = s.epts
    while e != NULL:
        following = e.next
        if not e.stream:
            _link_out(s, e)
            e.next = mine
            mine = e
        e = following
    zq_unlock(&s.lock)
    while mine != NULL:
        following = mine.next
        _forget_waiting(s, mine)
        endpoint_free(mine)
        mine = following


# --- the application's side --------------------------------------------------------------------------------

cdef int endpoint_bind(sock* s, const char* text, size_t n, char* why) noexcept nogil:
    cdef endpoint where
    cdef ept* e
    cdef int fd
    cdef int rc = _parse(s, text, n, &where, ENDPOINT_BIND, why)
    cdef int shown = <int>n if n < 200 else 200
    if rc < 0:
        return rc
    e = _new(s, text, n, &where, True)
    if e == NULL:
        return -ENOMEM
    if where.transport == TRANSPORT_INPROC:
        # the name lies in the caller's text: from here in ours
        e.where.name = e.given + (where.name - text)
        e.name = _copy_text(e.given, n)
        rc = -ENOMEM if e.name == NULL else _bind_inproc(s, e, why)
        if rc < 0:
            endpoint_free(e)
        return rc
    rc = _need_reactor(s, why)
    if rc == 0:
        zq_lock(&s.lock)
        rc = _stream_options(s, &e.sopts)
        zq_unlock(&s.lock)
    if rc == 0:
        e.stream = True
        rc = listener_open(&e.l, &e.where, NULL, &e.sopts)
        if rc < 0:
            monitor_emit(s, EVENT_BIND_FAILED, -rc, e.given)
    if rc == 0:
        e.name = _copy_text(e.l.text, strlen(e.l.text))
        if e.name == NULL:
            rc = -ENOMEM
    if rc < 0:
        if why[0] == 0:
            snprintf(why, WHY_MAX, "cannot bind %.*s", shown, text)
        endpoint_free(e)
        return rc
    fd = e.l.fd
    zq_lock(&s.lock)
    _link_in(s, e)
    _set_last(s, e.name)
    zq_unlock(&s.lock)
    monitor_emit(s, EVENT_LISTENING, fd, e.l.text)
    sock_post(s, TODO_ENDPOINTS)
    return 0


cdef bint _connected_already(sock* s, ept* e) noexcept nogil:
    """DEALER, SUB, PUB and REQ connect once to an endpoint; a second time does nothing."""
    cdef ept* other = s.epts
    if s.type != TYPE_DEALER and s.type != TYPE_SUB and s.type != TYPE_PUB and s.type != TYPE_REQ:
        return False
    while other != NULL:
        if not other.bound and other.state != EPT_STOPPING and other.state != EPT_FAILED                 and _is(other, e.name, strlen(e.name)):
            return True
        other = other.next
    return False


cdef int endpoint_connect(sock* s, const char* text, size_t n, char* why) noexcept nogil:
    cdef endpoint where
    cdef ept* e
    cdef peer* p
    cdef char[768] printed
    cdef int shown = <int>n if n < 200 else 200
    cdef int rc = _parse(s, text, n, &where, ENDPOINT_CONNECT, why)
    if rc < 0:
        return rc
    e = _new(s, text, n, &where, False)
    if e == NULL:
        return -ENOMEM
    if where.transport == TRANSPORT_INPROC:
        e.where.name = e.given + (where.name - text)
        e.name = _copy_text(e.given, n)
    else:
        endpoint_print(&where, printed, sizeof(printed))
        e.name = _copy_text(printed, strlen(printed))
    if e.name == NULL:
        endpoint_free(e)
        return -ENOMEM
    zq_lock(&s.lock)
    if _connected_already(s, e):
        _set_last(s, e.name)
        zq_unlock(&s.lock)
        endpoint_free(e)
        return 0
    if s.opt.connect_routing_id.size:
        e.rid_len = <uint32_t>s.opt.connect_routing_id.size
        memcpy(e.rid, s.opt.connect_routing_id.data, e.rid_len)
        if routing_find(&s.r, e.rid, e.rid_len) != NULL:
            zq_unlock(&s.lock)
            snprintf(why, WHY_MAX, "CONNECT_ROUTING_ID is the identity of another peer already; cannot connect %.*s", shown, text)
            endpoint_free(e)
            return -EADDRINUSE
        obytes_free(&s.opt.connect_routing_id)
    zq_unlock(&s.lock)
    if where.transport == TRANSPORT_INPROC:
        return _connect_inproc(s, e, why)
    rc = _need_reactor(s, why)
    if rc == 0:
        zq_lock(&s.lock)
        rc = _stream_options(s, &e.sopts)
        if rc == 0:
            rc = connecter_init(&e.dial, &e.where, &e.sopts)
        if rc == 0:
            e.stream = True
            if not s.opt.immediate and not s.row.traits & RAW and not s.opt.router_raw:
                # Messages wait for the connection in the peer's own queue.
                p = peer_make(s, PEER_STREAM)
                rc = -ENOMEM if p == NULL else routing_add(&s.r, p)
                if rc == 0:
                    p.endpoint = e
                    e.p = p
                    if s.type == TYPE_XSUB:
                        p.queued_first = True
                        rc = own_resend(&s.r, p)
                if rc == 0:
                    if e.rid_len:
                        rc = routing_name(&s.r, p, e.rid, e.rid_len)
                    elif s.row.wrap == WRAP_NUMBER:
                        rc = routing_name_generated(&s.r, p)
                    elif s.row.wrap == WRAP_IDENTITY:
                        p.usable = True
        if rc == 0:
            _link_in(s, e)
            _set_last(s, e.name)
        zq_unlock(&s.lock)
    if rc < 0:
        if why[0] == 0:
            snprintf(why, WHY_MAX, "cannot connect %.*s", shown, text)
        endpoint_free(e)
        return rc
    sock_wake(s)
    sock_post(s, TODO_ENDPOINTS)
    return 0


cdef bint _listed(sock* s, ept* e) noexcept nogil:
    cdef ept* at = s.epts
    while at != NULL and at != e:
        at = at.next
    return at == e


cdef int endpoint_leave(sock* s, const char* text, size_t n, bint bound, char* why) noexcept nogil:
    cdef endpoint where
    cdef ept* e
    cdef char[768] printed
    cdef size_t pn
    cdef int64_t deadline
    cdef int shown = <int>n if n < 200 else 200
    cdef int rc = endpoint_parse(text, n, &where, ENDPOINT_BIND if bound else ENDPOINT_CONNECT)
    if rc < 0:
        endpoint_reason(&where, text, n, why, WHY_MAX)
        return rc
    if where.transport == TRANSPORT_INPROC:
        printed[0] = 0
    else:
        endpoint_print(&where, printed, sizeof(printed))
    pn = strlen(printed)
    zq_lock(&s.lock)
    e = s.epts
    while e != NULL:
        if e.bound == bound and e.state != EPT_STOPPING and (_is(e, text, n) or (pn and _is(e, printed, pn))):
            break
        e = e.next
    if e == NULL:
        zq_unlock(&s.lock)
        snprintf(why, WHY_MAX, "the socket is not %s %.*s", b"bound to" if bound else b"connected to", shown, text)
        return -ENOENT
    e.state = EPT_STOPPING
    if e.stream:
        # The address must be free when this call returns, and it is the reactor that closes descriptors.
        sock_post(s, TODO_ENDPOINTS)
        deadline = zq_now_ns() + LEAVE_PATIENCE
        while _listed(s, e) and wait_one(s, 0, deadline, NULL) != -EAGAIN:
            pass
        zq_unlock(&s.lock)
        return 0
    _link_out(s, e)
    zq_unlock(&s.lock)
    _forget_waiting(s, e)
    if not bound:
        peers_leave_inproc(s, e)
    endpoint_free(e)
    return 0


# --- the reactor's side --------------------------------------------------------------------------------------

cdef void _on_listener(handle* h, int revents) noexcept nogil:
    cdef ept* e = <ept*>h.owner
    cdef accepted a
    cdef int rc, verdict
    cdef int k
    for k in range(64):
        rc = listener_accept(&e.l, &a)
        verdict = accept_verdict(rc)
        if verdict == ACCEPT_DONE:
            session_open(e.s, e, a.fd, &a.peer, True)
        elif verdict == ACCEPT_NONE:
            return
        elif verdict != ACCEPT_NEXT:
            monitor_emit(e.s, EVENT_ACCEPT_FAILED, -rc, e.name)
            handle_set(e.s.rx, &e.h, 0)
            if verdict == ACCEPT_LATER:
                timer_set(e.s.rx, &e.wait, zq_now_ns() + ACCEPT_PAUSE)
            return


cdef void _on_wait(timer* t, int64_t now) noexcept nogil:
    cdef ept* e = <ept*>t.owner
    if e.bound:
        handle_set(e.s.rx, &e.h, POLL_IN)
        return
    if e.state == EPT_WAITING:
        e.state = EPT_RUNNING
        connecter_reset(&e.dial)
    _dial(e)


cdef void _on_dial(handle* h, int revents) noexcept nogil:
    _dial(<ept*>h.owner)


cdef void _on_name(void* owner, const resolve_result* result) noexcept nogil:
    cdef ept* e = <ept*>owner
    cdef addr_list found
    cdef zq_addr a
    cdef int k
    e.asking = NULL
    memset(&found, 0, sizeof(found))
    for k in range(result.count):
        zq_addr_copy(&a, <const sockaddr*>result.addresses[k].storage, result.addresses[k].length)
        if not addr_list_add(&found, &a):
            break
    connecter_resolved(&e.dial, &found, result.error)
    _dial(e)


cdef void _dial(ept* e) noexcept nogil:
    """One attempt, as far as it goes now."""
    cdef sock* s = e.s
    cdef connect_wait w
    cdef const char* name
    cdef uint32_t port
    cdef peer_facts facts
    cdef int fd, rc
    if e.state != EPT_RUNNING:
        return
    if e.h.fd >= 0:
        handle_remove(s.rx, &e.h)
        e.h.fd = -1
    rc = connecter_step(&e.dial, zq_now_ns(), &w)
    if rc == CONNECT_OPEN:
        timer_cancel(s.rx, &e.wait)
        fd = connecter_take_fd(&e.dial)
        stream_facts(fd, e.where.transport, e.name, &facts)
        rc = session_open(s, e, fd, &facts, False)
        if rc < 0:
            endpoint_lost(e, LOST_ATTEMPT)
        return
    if rc == CONNECT_FAILED:
        endpoint_lost(e, LOST_ATTEMPT)
        return
    if rc == CONNECT_NAMING and e.asking == NULL:
        if connecter_name(&e.dial, &name, &port):
            rc = resolve_start(s.rx, name, <int>port, AF_UNSPEC if e.sopts.ipv6 else AF_INET, 0, _on_name, e, &e.asking)
            if rc < 0:
                e.asking = NULL
                e.dial.err = rc
                endpoint_lost(e, LOST_ATTEMPT)
                return
    if w.fd >= 0:
        if not e.delayed:
            e.delayed = True
            monitor_emit(s, EVENT_CONNECT_DELAYED, 115, e.name)
        handle_init(&e.h, w.fd, _on_dial, e)
        handle_set(s.rx, &e.h, (POLL_IN if w.events & WANT_IN else 0) | (POLL_OUT if w.events & WANT_OUT else 0))
    if w.until_ns >= 0:
        timer_set(s.rx, &e.wait, w.until_ns)
    else:
        timer_cancel(s.rx, &e.wait)


cdef void endpoint_lost(ept* e, int how) noexcept nogil:
    cdef sock* s = e.s
    cdef int64_t ns
    cdef int stop = s.opt.reconnect_stop
    cdef bint give_up = False
    if e.state == EPT_STOPPING or e.state == EPT_FAILED:
        return
    if how == LOST_ATTEMPT:
        monitor_emit(s, EVENT_CLOSED, -1, e.name)
        give_up = stop & STOP_REFUSED and e.dial.err == -ECONNREFUSED
    elif how == LOST_HANDSHAKE:
        give_up = stop & STOP_HANDSHAKE != 0
    elif how == LOST_CONNECTION:
        backoff_reset(&e.back)
        give_up = stop & STOP_AFTER_DISCONNECT != 0
    connecter_reset(&e.dial)
    ns = backoff_next(&e.back, s.opt.reconnect_ivl, s.opt.reconnect_ivl_max)
    if give_up or ns < 0:
        e.state = EPT_FAILED
        return
    e.state = EPT_WAITING
    e.delayed = False
    monitor_emit(s, EVENT_CONNECT_RETRIED, ns // 1000000, e.name)
    timer_set(s.rx, &e.wait, zq_now_ns() + ns)


cdef void _start(ept* e) noexcept nogil:
    cdef sock* s = e.s
    timer_init(&e.wait, _on_wait, e)
    e.state = EPT_RUNNING
    if e.bound:
        handle_init(&e.h, e.l.fd, _on_listener, e)
        handle_set(s.rx, &e.h, POLL_IN)
    else:
        handle_init(&e.h, -1, _on_dial, e)
        _dial(e)


cdef void _stop(ept* e) noexcept nogil:
    """Let go of everything that the reactor knows of e."""
    cdef sock* s = e.s
    if e.wait.fn != NULL:
        timer_cancel(s.rx, &e.wait)
    if e.h.fn != NULL and e.h.fd >= 0:
        handle_remove(s.rx, &e.h)
        e.h.fd = -1
    if e.asking != NULL:
        resolve_cancel(e.asking)
        e.asking = NULL


cdef void _end(ept* e) noexcept nogil:
    """Unbound or disconnected: its connections end, its peer goes, it is freed."""
    cdef sock* s = e.s
    cdef session* n
    cdef wakes w
    cdef peer* p
    cdef int fd = e.l.fd
    w.n = 0
    _stop(e)
    if e.bound:
        listener_close(&e.l)
        monitor_emit(s, EVENT_CLOSED, fd, e.name)
    zq_lock(&s.lock)
    n = s.sessions
    while n != NULL:
        if n.e == e:
            n.e = NULL
            if n.p != NULL and n.p.endpoint == e:
                n.p.endpoint = NULL
            session_failed(s, n, -ECONNREFUSED)
        n = n.next
    p = e.p
    if p != NULL and p.c == NULL:
        outq_clear(&p.out, DROP_CLOSED)
        p.gone = True
        p.endpoint = NULL
        routing_dirty(&s.r, p)
    e.p = NULL
    _link_out(s, e)
    traffic_settle(s, &w)
    sock_wake(s)
    zq_unlock(&s.lock)
    wakes_run(&w)
    endpoint_free(e)


cdef void endpoints_run(sock* s) noexcept nogil:
    cdef ept* e
    while True:
        zq_lock(&s.lock)
        e = s.epts
        while e != NULL and not (e.stream and (e.state == EPT_NEW or e.state == EPT_STOPPING)):
            e = e.next
        if e != NULL and e.state == EPT_NEW:
            e.state = EPT_RUNNING
            zq_unlock(&s.lock)
            _start(e)
            continue
        zq_unlock(&s.lock)
        if e == NULL:
            return
        _end(e)


cdef void endpoints_stop(sock* s, bint listeners_only) noexcept nogil:
    cdef ept* e
    zq_lock(&s.lock)
    e = s.epts
    while e != NULL:
        if e.stream and (e.bound or not listeners_only):
            e.state = EPT_STOPPING
        e = e.next
    zq_unlock(&s.lock)
    endpoints_run(s)
