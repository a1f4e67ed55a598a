"""Endpoints of all transports; see endpoints.pxd."""

from libc.errno cimport EADDRINUSE, EAGAIN, EINVAL, ENOENT, ENOMEM, EPROTONOSUPPORT
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, strlen

from .connecter cimport connecter_init
from .ctx cimport ctx_reactor, ctx_reactor_left
from .endpoint cimport (ENDPOINT_BIND, ENDPOINT_CONNECT, TRANSPORT_INPROC, TRANSPORT_IPC, TRANSPORT_TCP, endpoint,
                        endpoint_parse, endpoint_print, endpoint_reason)
from .engine cimport EPT_FAILED, EPT_STOPPING, DUE_ENDPOINTS, ept, sock
from .epts cimport copy_text, ept_free, ept_is, ept_last, ept_link, ept_listed, ept_new, ept_unlink, stream_options_of
from .errno_zmq cimport ENOCOMPATPROTO, ENOTSOCK
from .limits cimport POLICY_DISCONNECT
from .joining cimport inproc_bind, inproc_connect, inproc_forget, inproc_leave
from .listener cimport listener_open
from .monitor cimport EVENT_BIND_FAILED, EVENT_LISTENING, monitor_emit
from .option_values cimport obytes_free
from .patterns cimport RAW, WRAP_IDENTITY, WRAP_NUMBER
from .peers cimport peer_leave, peer_make
from .platform cimport zq_lock, zq_now_ns, zq_unlock
from .pubsub cimport own_resend
from .reactor cimport reactor
from .routing cimport (PEER_STREAM, peer, peer_free, routing_add, routing_find, routing_name, routing_name_generated,
                       routing_remove)
from .traffic cimport sock_post, sock_ref, sock_wake, traffic_settle, wakes, wakes_run
from .waiting cimport WAIT_GOING, wait_one
from .zmtp cimport TYPE_DEALER, TYPE_PUB, TYPE_REQ, TYPE_SUB, TYPE_XSUB

cdef extern from "<sys/socket.h>" nogil:
    int AF_INET, AF_INET6, AF_UNSPEC

cdef enum:
    STOP_REFUSED = 1          # RECONNECT_STOP bits
    STOP_HANDSHAKE = 2
    STOP_AFTER_DISCONNECT = 4
    ACCEPT_PAUSE = 100000000  # ns, when descriptors have run out
    LEAVE_PATIENCE = 2000000000   # ns that unbind and disconnect wait for the reactor


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
    cdef bint taken
    cdef int rc
    zq_lock(&s.lock)
    taken = s.rx != NULL
    rc = -ENOTSOCK if s.closed else 0
    zq_unlock(&s.lock)
    if taken or rc < 0:
        return rc
    rc = ctx_reactor(s.x, <uint64_t>s.opt.affinity, &rx)
    if rc < 0:
        snprintf(why, WHY_MAX, "no reactor to serve the socket: IO_THREADS is 0, AFFINITY names none, or no thread could start")
        return rc
    zq_lock(&s.lock)
    if s.closed:
        rc = -ENOTSOCK
    taken = s.rx == NULL and rc == 0
    if taken:
        s.rx = rx
        sock_ref(s)           # the reactor's
    zq_unlock(&s.lock)
    if not taken:             # another thread was faster
        ctx_reactor_left(s.x, rx)
    return rc


cdef bint _never_inproc(sock* s, char* why) noexcept nogil:
    if s.send_limits_set and s.send_limits.policy == POLICY_DISCONNECT:
        snprintf(why, WHY_MAX, "with the policy Disconnect a socket has no inproc endpoints: there is no connection to close")
        return True
    return False


cdef int endpoint_bind(sock* s, const char* text, size_t n, char* why) noexcept nogil:
    cdef endpoint where
    cdef ept* e
    cdef int fd
    cdef int rc = _parse(s, text, n, &where, ENDPOINT_BIND, why)
    cdef int shown = <int>n if n < 200 else 200
    if rc < 0:
        return rc
    e = ept_new(s, text, n, &where, True)
    if e == NULL:
        return -ENOMEM
    if where.transport == TRANSPORT_INPROC:
        if _never_inproc(s, why):
            ept_free(e)
            return -EINVAL
        # the name lies in the caller's text: from here in ours
        e.where.name = e.given + (where.name - text)
        e.name = copy_text(e.given, n)
        rc = -ENOMEM if e.name == NULL else inproc_bind(s, e, &where)
        if rc == -EADDRINUSE:
            snprintf(why, WHY_MAX, "%s: another socket of this context is bound to it", e.given)
        if rc < 0:
            ept_free(e)
        return rc
    rc = _need_reactor(s, why)
    if rc == 0:
        zq_lock(&s.lock)
        rc = -ENOTSOCK if s.closed else stream_options_of(s, &e.sopts)
        zq_unlock(&s.lock)
    if rc == 0:
        e.stream = True
        rc = listener_open(&e.l, &e.where, NULL, &e.sopts)
        if rc < 0:
            monitor_emit(s, EVENT_BIND_FAILED, -rc, e.given)
    if rc == 0:
        e.name = copy_text(e.l.text, strlen(e.l.text))
        if e.name == NULL:
            rc = -ENOMEM
    if rc == 0:
        fd = e.l.fd
        monitor_emit(s, EVENT_LISTENING, fd, e.l.text)
        zq_lock(&s.lock)
        if s.closed:
            rc = -ENOTSOCK
        else:
            ept_link(s, e)
            ept_last(s, e.name)
            sock_post(s, DUE_ENDPOINTS)
        zq_unlock(&s.lock)
    if rc < 0:
        if why[0] == 0:
            snprintf(why, WHY_MAX, "cannot bind %.*s", shown, text)
        ept_free(e)
    return rc


cdef bint _connected_already(sock* s, ept* e) noexcept nogil:
    """DEALER, SUB, PUB and REQ connect once to an endpoint of the network; a second time does nothing."""
    cdef ept* other = s.epts
    if e.where.transport == TRANSPORT_INPROC:
        return False
    if s.type != TYPE_DEALER and s.type != TYPE_SUB and s.type != TYPE_PUB and s.type != TYPE_REQ:
        return False
    while other != NULL:
        if not other.bound and not other.leaving and other.state != EPT_STOPPING and other.state != EPT_FAILED \
                and ept_is(other, e.name, strlen(e.name)):
            return True
        other = other.next
    return False


cdef int endpoint_connect(sock* s, const char* text, size_t n, char* why) noexcept nogil:
    cdef endpoint where
    cdef ept* e
    cdef peer* p = NULL
    cdef char[768] printed
    cdef int shown = <int>n if n < 200 else 200
    cdef int rc = _parse(s, text, n, &where, ENDPOINT_CONNECT, why)
    if rc < 0:
        return rc
    e = ept_new(s, text, n, &where, False)
    if e == NULL:
        return -ENOMEM
    if where.transport == TRANSPORT_INPROC:
        e.where.name = e.given + (where.name - text)
        e.name = copy_text(e.given, n)
    else:
        endpoint_print(&where, printed, sizeof(printed))
        e.name = copy_text(printed, strlen(printed))
    if e.name == NULL:
        ept_free(e)
        return -ENOMEM
    zq_lock(&s.lock)
    if s.closed:
        zq_unlock(&s.lock)
        ept_free(e)
        return -ENOTSOCK
    if _connected_already(s, e):
        ept_last(s, e.name)
        zq_unlock(&s.lock)
        ept_free(e)
        return 0
    if s.opt.connect_routing_id.size:
        e.rid_len = <uint32_t>s.opt.connect_routing_id.size
        memcpy(e.rid, s.opt.connect_routing_id.data, e.rid_len)
        if routing_find(&s.r, e.rid, e.rid_len) != NULL:
            zq_unlock(&s.lock)
            snprintf(why, WHY_MAX, "CONNECT_ROUTING_ID is the identity of another peer already; cannot connect %.*s", shown, text)
            ept_free(e)
            return -EADDRINUSE
        obytes_free(&s.opt.connect_routing_id)
    zq_unlock(&s.lock)
    if where.transport == TRANSPORT_INPROC:
        rc = -EINVAL if _never_inproc(s, why) else inproc_connect(s, e)
        if rc < 0:
            ept_free(e)
        return rc
    rc = _need_reactor(s, why)
    if rc == 0:
        zq_lock(&s.lock)
        rc = -ENOTSOCK if s.closed else stream_options_of(s, &e.sopts)
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
            ept_link(s, e)
            ept_last(s, e.name)
            sock_post(s, DUE_ENDPOINTS)
        elif p != NULL:
            routing_remove(&s.r, p)
            peer_free(p)
        zq_unlock(&s.lock)
    if rc < 0:
        if why[0] == 0:
            snprintf(why, WHY_MAX, "cannot connect %.*s", shown, text)
        ept_free(e)
        return rc
    sock_wake(s)
    return 0


cdef int endpoint_leave(sock* s, const char* text, size_t n, bint bound, char* why) noexcept nogil:
    cdef int rc = _leave_one(s, text, n, bound, why)
    # What was connected several times is disconnected at once.
    while rc == 0 and not bound and _leave_one(s, text, n, bound, why) == 0:
        pass
    return rc


cdef int _leave_one(sock* s, const char* text, size_t n, bint bound, char* why) noexcept nogil:
    cdef endpoint where
    cdef ept* e
    cdef char[768] printed
    cdef size_t pn
    cdef int64_t deadline, linger
    cdef wakes w
    cdef int shown = <int>n if n < 200 else 200
    cdef int rc = endpoint_parse(text, n, &where, ENDPOINT_BIND if bound else ENDPOINT_CONNECT)
    w.n = 0
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
        if e.bound == bound and not e.leaving and e.state != EPT_STOPPING and (ept_is(e, text, n) or (pn and ept_is(e, printed, pn))):
            break
        e = e.next
    if e == NULL:
        zq_unlock(&s.lock)
        snprintf(why, WHY_MAX, "the socket is not %s %.*s", b"bound to" if bound else b"connected to", shown, text)
        return -ENOENT
    if e.stream:
        linger = s.opt.linger
        e.leaving = True
        e.leave_due = linger if linger <= 0 else zq_now_ns() + linger * 1000000
        if not bound and e.p != NULL and e.p.out.nmsgs and linger:
            # What was accepted goes on to its peer, in the background.
            peer_leave(s, e.p)
            traffic_settle(s, &w)
            sock_post(s, DUE_ENDPOINTS)
            zq_unlock(&s.lock)
            wakes_run(&w)
            return 0
        e.state = EPT_STOPPING
        # The address must be free when this call returns, and it is the reactor that closes descriptors.
        sock_post(s, DUE_ENDPOINTS)
        deadline = zq_now_ns() + LEAVE_PATIENCE
        while ept_listed(s, e) and wait_one(s, WAIT_GOING, deadline, NULL) != -EAGAIN:
            pass
        zq_unlock(&s.lock)
        return 0
    e.state = EPT_STOPPING
    ept_unlink(s, e)          # from here nobody else finds it
    zq_unlock(&s.lock)
    inproc_forget(s, e)
    if not bound:
        inproc_leave(s, e)
    ept_free(e)
    return 0
