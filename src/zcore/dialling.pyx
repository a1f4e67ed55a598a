"""Listening, dialling and coming back; see dialling.pxd."""

from libc.errno cimport ECONNREFUSED, EINPROGRESS
from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.string cimport memset

from .address cimport addr_list, addr_list_add, sockaddr, zq_addr, zq_addr_copy
from .backoff cimport backoff_next, backoff_reset
from .connecter cimport (CONNECT_FAILED, CONNECT_NAMING, CONNECT_OPEN, connect_wait, connecter_name,
                         connecter_reset, connecter_resolved, connecter_step, connecter_take_fd)
from .engine cimport EPT_FAILED, EPT_NEW, EPT_RUNNING, EPT_STOPPING, EPT_WAITING, DUE_ENDPOINTS, ept, session, sock
from .epts cimport ept_free, ept_unlink
from .limits cimport DROP_CLOSED, DROP_PEER_GONE
from .listener cimport (ACCEPT_DONE, ACCEPT_LATER, ACCEPT_NEXT, ACCEPT_NONE, accept_verdict, accepted,
                        listener_accept, listener_close)
from .monitor cimport EVENT_ACCEPT_FAILED, EVENT_CLOSED, EVENT_CONNECT_DELAYED, EVENT_CONNECT_RETRIED, monitor_emit
from .peers cimport peer_gone
from .platform cimport zq_lock, zq_now_ns, zq_unlock
from .reactor cimport (POLL_IN, POLL_OUT, handle, handle_init, handle_remove, handle_set, timer, timer_cancel,
                       timer_init, timer_set)
from .resolver cimport resolve_cancel, resolve_result, resolve_start
from .opening cimport opening_room, session_open
from .routing cimport peer
from .sessions cimport session_leave
from .stream cimport WANT_IN, WANT_OUT, peer_facts, stream_facts
from .traffic cimport sock_post, sock_wake, traffic_settle, wakes, wakes_run

cdef extern from "<sys/socket.h>" nogil:
    int AF_INET, AF_INET6, AF_UNSPEC

cdef enum:
    STOP_REFUSED = 1          # RECONNECT_STOP bits
    STOP_HANDSHAKE = 2
    STOP_AFTER_DISCONNECT = 4
    ACCEPT_PAUSE = 100000000  # ns, when descriptors have run out
    LEAVE_PATIENCE = 2000000000   # ns that unbind and disconnect wait for the reactor


cdef void _on_listener(handle* h, int revents) noexcept nogil:
    cdef ept* e = <ept*>h.owner
    cdef accepted a
    cdef int rc, verdict
    cdef int _k
    for _k in range(64):
        if not opening_room(e.s):
            handle_set(e.s.rx, &e.h, 0)
            timer_set(e.s.rx, &e.wait, zq_now_ns() + ACCEPT_PAUSE)
            return
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


cdef bint _moves(ept* e, int before, int after) noexcept nogil:
    """From one state to another, unless somebody has stopped it meanwhile."""
    cdef bint moved
    zq_lock(&e.s.lock)
    moved = e.state == before
    if moved:
        e.state = <uint8_t>after
    zq_unlock(&e.s.lock)
    return moved


cdef void _on_wait(timer* t, int64_t now) noexcept nogil:
    cdef ept* e = <ept*>t.owner
    if e.bound:
        handle_set(e.s.rx, &e.h, POLL_IN)
        return
    if _moves(e, EPT_WAITING, EPT_RUNNING):
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
    if not _moves(e, EPT_RUNNING, EPT_RUNNING):
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
            monitor_emit(s, EVENT_CONNECT_DELAYED, EINPROGRESS, e.name)
        handle_init(&e.h, w.fd, _on_dial, e)
        handle_set(s.rx, &e.h, (POLL_IN if w.events & WANT_IN else 0) | (POLL_OUT if w.events & WANT_OUT else 0))
    if w.until_ns >= 0:
        timer_set(s.rx, &e.wait, w.until_ns)
    else:
        timer_cancel(s.rx, &e.wait)


cdef bint _owes(ept* e) noexcept nogil:
    """[lock] Disconnected, is there anything that its peer was sent before and has not got?"""
    return (not e.bound and e.leave_due != 0 and e.state != EPT_FAILED and e.p != NULL and not e.p.gone
            and e.p.out.nmsgs != 0)


cdef void _on_leave(timer* t, int64_t now) noexcept nogil:
    cdef ept* e = <ept*>t.owner
    cdef sock* s = e.s
    zq_lock(&s.lock)
    e.state = EPT_STOPPING
    zq_unlock(&s.lock)
    endpoints_run(s)


cdef void _drop_peer(ept* e, int reason) noexcept nogil:
    """[lock] Nobody will connect any more on behalf of its peer, which stayed for that."""
    cdef peer* p = e.p
    e.p = NULL
    if p != NULL and p.c == NULL:
        peer_gone(e.s, p, reason)


cdef void _give_up(ept* e) noexcept nogil:
    cdef sock* s = e.s
    cdef wakes w
    w.n = 0
    zq_lock(&s.lock)
    e.state = EPT_STOPPING if e.leaving else EPT_FAILED
    _drop_peer(e, DROP_PEER_GONE)
    traffic_settle(s, &w)
    sock_wake(s)
    zq_unlock(&s.lock)
    wakes_run(&w)
    sock_post(s, DUE_ENDPOINTS)


cdef void endpoint_lost(ept* e, int how) noexcept nogil:
    cdef sock* s = e.s
    cdef int64_t ns
    cdef int stop = s.opt.reconnect_stop
    cdef bint give_up = False
    cdef bint stopped
    zq_lock(&s.lock)
    stopped = e.state == EPT_STOPPING or e.state == EPT_FAILED
    if not stopped and e.leaving and not _owes(e):
        e.state = EPT_STOPPING
        stopped = True
        sock_post(s, DUE_ENDPOINTS)
    zq_unlock(&s.lock)
    if stopped:
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
        _give_up(e)
        return
    zq_lock(&s.lock)
    stopped = e.state == EPT_STOPPING
    if not stopped:
        e.state = EPT_WAITING
    zq_unlock(&s.lock)
    if stopped:
        return
    e.delayed = False
    monitor_emit(s, EVENT_CONNECT_RETRIED, ns // 1000000, e.name)
    timer_set(s.rx, &e.wait, zq_now_ns() + ns)


cdef void _start(ept* e) noexcept nogil:
    cdef sock* s = e.s
    timer_init(&e.wait, _on_wait, e)
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
    if e.leave.fn != NULL:
        timer_cancel(s.rx, &e.leave)
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
    cdef int fd = e.l.fd
    cdef int64_t due
    w.n = 0
    _stop(e)
    if e.bound:
        listener_close(&e.l)
        monitor_emit(s, EVENT_CLOSED, fd, e.name)
    zq_lock(&s.lock)
    due = s.linger_due if s.closed else e.leave_due
    n = s.sessions
    while n != NULL:
        if n.e == e:
            n.e = NULL
            if n.p != NULL and n.p.endpoint == e:
                n.p.endpoint = NULL
            session_leave(n, due if e.bound else 0)
        n = n.next
    _drop_peer(e, DROP_CLOSED)
    ept_unlink(s, e)
    traffic_settle(s, &w)
    sock_wake(s)
    zq_unlock(&s.lock)
    wakes_run(&w)
    ept_free(e)


cdef void endpoints_run(sock* s) noexcept nogil:
    cdef ept* e
    while True:
        zq_lock(&s.lock)
        e = s.epts
        while e != NULL and not (e.stream and (e.state == EPT_NEW or e.state == EPT_STOPPING
                                               or (e.leaving and not e.leave_seen))):
            e = e.next
        if e != NULL and e.state == EPT_NEW:
            e.state = EPT_RUNNING
            zq_unlock(&s.lock)
            _start(e)
            continue
        if e != NULL and e.state != EPT_STOPPING:
            e.leave_seen = True
            if _owes(e):
                if e.leave_due > 0:
                    timer_init(&e.leave, _on_leave, e)
                    timer_set(s.rx, &e.leave, e.leave_due)
                zq_unlock(&s.lock)
                continue
            e.state = EPT_STOPPING
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
