"""Creation, service by the reactor, closing; see lifecycle.pxd."""

from libc.errno cimport ECONNABORTED, EINVAL, EMFILE, ENOMEM
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset, strncpy

from .ctx cimport ctx, ctx_reactor_left, ctx_ref
from .dialling cimport LOST_CONNECTION, LOST_EARLY, LOST_HANDSHAKE, endpoint_lost, endpoints_run, endpoints_stop
from .engine cimport (EPT_NEW, EPT_RUNNING, DUE_CLOSE, DUE_ENDPOINTS, DUE_FAILED,
                      DUE_GRAVES, DUE_INBOX, DUE_LEASE, DUE_ZAP, ept, session, sock)
from .errno_zmq cimport ETERM
from .heartbeat cimport heartbeat_mind, heartbeat_slow
from .joining cimport inproc_leave, inproc_leave_all
from .lease cimport lease_back, lease_look, lease_stop, lease_take_over
from .limits cimport DROP_CLOSED
from .mechanism cimport HS_FAILED
from .message cimport zmsg_release
from .monitor cimport EVENT_MONITOR_STOPPED, monitor_emit
from .opening cimport openings_answered
from .options cimport options_free, options_inherit, options_init
from .patterns cimport pattern_of
from .pipe cimport outq_clear
from .platform cimport (POLLIN, generation_word, pollfd, zq_load32, zq_lock, zq_mutex_init, zq_now_ns, zq_or32,
                        zq_ppoll, zq_store32, zq_trylock_spin, zq_unlock, zq_wakefd, zq_wakefd_close, zq_wakefd_drain,
                        zq_wakefd_open, zq_wakefd_signal, zq_xchg32)
from .poller cimport poller_close
from .readiness cimport session_resume, session_watch
from .reactor cimport reactor, reactor_retry, task, task_cancel, task_init, timer, timer_cancel, timer_init, timer_set
from .routing cimport PEER_STREAM, peer, routing_free, routing_init, routing_remove
from .sessions cimport session_close, sessions_sweep
from .traffic cimport (session_failed, sock_post, sock_ref, sock_unref, sock_wake, traffic_bury, traffic_flush_now,
                       traffic_inbox, traffic_settle, wakes, wakes_run)
from .watchers cimport members_let_go

cdef enum:
    FLUSH_TICK = 100000       # ns between two looks at what was left for later
    FLUSH_TICK_MOST = 1000000
    EMPTY_TICKS = 4           # so many looks in vain, and the reactor waits to be called
    RETRY = 50000             # ns until the next try for a lock

cdef uint32_t NO_CPU = 0xFFFFFFFF
cdef int _spin_default = -1    # us; -1: what the option says


cdef sock* sock_new(ctx* x, int type, int* error) noexcept nogil:
    cdef sock* s
    if pattern_of(type) == NULL:
        error[0] = -EINVAL
        return NULL
    s = <sock*>calloc(1, sizeof(sock))
    if s == NULL:
        error[0] = -ENOMEM
        return NULL
    zq_mutex_init(&s.lock)
    zq_mutex_init(&s.watch_lock)
    s.refs = 2                # the caller's, and the engine's until it is destroyed
    s.generation = generation_word()[0]
    s.x = x
    s.type = type
    s.row = pattern_of(type)
    s.wake.rfd = s.wake.wfd = -1
    s.signal.rfd = s.signal.wfd = -1
    s.set.fd = -1
    s.linger_due = -1
    s.policy_timeout_ms = -2
    s.last_cpu = NO_CPU
    s.flush_end = &s.flush
    options_init(&s.opt, type)
    if _spin_default >= 0:
        s.opt.spin_budget = _spin_default
    routing_init(&s.r, type, &s.opt)
    task_init(&s.job, _service, s)
    timer_init(&s.linger, _on_linger, s)
    zq_lock(&x.lock)
    if zq_load32(&x.stopping):
        error[0] = -ETERM
    elif x.nsockets >= <uint32_t>x.opts.max_sockets:
        error[0] = -EMFILE
    else:
        error[0] = 0
        x.started = True
        options_inherit(&s.opt, &x.opts)
        x.nsockets += 1
        s.ctx_next = <sock*>x.first
        if s.ctx_next != NULL:
            s.ctx_next.ctx_prev = s
        x.first = s
    zq_unlock(&x.lock)
    if error[0]:
        routing_free(&s.r)
        options_free(&s.opt)
        free(s)
        return NULL
    ctx_ref(x)
    return s


# --- what the reactor does ---------------------------------------------------------------------------------

cdef void _close_one(sock* s, session* n) noexcept nogil:
    cdef ept* e = n.e if not n.accepted and n.e != NULL and n.e.live == n else NULL
    cdef int how = LOST_EARLY
    if n.was_active:
        how = LOST_CONNECTION
    elif n.c.hs != NULL and n.c.hs.state == HS_FAILED:
        how = LOST_HANDSHAKE
    n.in_failed = False
    if session_close(n):
        if e != NULL:
            endpoint_lost(e, how)
        return
    # somebody is in the middle of a read or write: a moment later
    zq_lock(&s.lock)
    n.in_failed = True
    n.failed_next = s.failed
    s.failed = n
    zq_unlock(&s.lock)
    zq_or32(&s.todo, DUE_FAILED)
    reactor_retry(s.rx, &s.job, RETRY)


cdef void _take_failed(sock* s) noexcept nogil:
    cdef session* n
    cdef session* following
    zq_lock(&s.lock)
    n = s.failed
    s.failed = NULL
    zq_unlock(&s.lock)
    while n != NULL:
        following = n.failed_next
        _close_one(s, n)
        n = following


cdef void _look_after(sock* s, uint32_t todo) noexcept nogil:
    """[lock] What concerns connections that live."""
    cdef session* n
    while s.mind != NULL:
        n = s.mind
        s.mind = n.mind_next
        n.in_mind = False
        session_watch(n)
        session_resume(n)
        heartbeat_slow(n)
        heartbeat_mind(n)
    if todo & DUE_GRAVES:
        sessions_sweep(s)


cdef void _service(task* t) noexcept nogil:
    cdef sock* s = <sock*>t.owner
    cdef uint32_t todo
    cdef wakes w
    cdef bint again = False
    cdef bint closed
    cdef int64_t began
    cdef int64_t pause = FLUSH_TICK
    w.n = 0
    sock_ref(s)
    todo = zq_xchg32(&s.todo, 0)
    if todo & DUE_ENDPOINTS:
        endpoints_run(s)
    if todo & DUE_FAILED:
        _take_failed(s)
    if todo & DUE_ZAP:
        openings_answered(s)
    if not zq_trylock_spin(&s.lock):
        zq_or32(&s.todo, todo & ~(DUE_ENDPOINTS | DUE_FAILED | DUE_ZAP))
        reactor_retry(s.rx, &s.job, RETRY)
        sock_unref(s)
        return
    _look_after(s, todo)
    if s.todo_retry:
        s.todo_retry = False
        lease_look(s)
    if todo & DUE_LEASE:
        if s.reader_is_reactor:
            lease_take_over(s)
        else:
            lease_back(s)
    if todo & DUE_INBOX:
        traffic_inbox(s)
        traffic_settle(s, &w)
    if s.flush_ticking:
        if s.flush != NULL:
            s.empty_ticks = 0
            began = zq_now_ns()
            traffic_flush_now(s)
            # Writing to many costs more than to one: the next time there is to be company for twice as long as it took.
            pause = (zq_now_ns() - began) * 2
            if pause < FLUSH_TICK or s.flush != NULL:
                pause = FLUSH_TICK
            elif pause > FLUSH_TICK_MOST:
                pause = FLUSH_TICK_MOST
        else:
            s.empty_ticks += 1
        if s.empty_ticks < EMPTY_TICKS:
            again = True
        else:
            s.flush_ticking = False
            s.empty_ticks = 0
    if again:
        reactor_retry(s.rx, &s.job, pause)
    closed = s.closed
    zq_unlock(&s.lock)
    wakes_run(&w)
    if closed:
        _closing(s, todo & DUE_CLOSE != 0)
    sock_unref(s)


# --- the end -----------------------------------------------------------------------------------------------

cdef bint _unsent(sock* s) noexcept nogil:
    """[lock] Does anything still wait to go out?"""
    cdef uint32_t i
    cdef peer* p
    for i in range(s.r.npeers):
        p = s.r.peers[i]
        if p.kind == PEER_STREAM and not p.gone and p.out.nmsgs:
            return True
    return False


cdef void _on_linger(timer* t, int64_t now) noexcept nogil:
    cdef sock* s = <sock*>t.owner
    zq_lock(&s.lock)
    s.linger_due = 0
    zq_unlock(&s.lock)
    _closing(s, False)


cdef void _closing(sock* s, bint first) noexcept nogil:
    """[reactor] Endpoints stop, queues drain or expire, connections end, the socket goes."""
    cdef session* n
    cdef uint32_t i
    cdef reactor* rx = s.rx
    cdef bint over
    cdef int64_t left
    s.close_seen |= first
    if s.closing_done or not s.close_seen:
        return                # sock_close has more to do, and says when it is done
    if first:
        endpoints_stop(s, True)
    zq_lock(&s.lock)
    over = s.linger_due == 0 or not _unsent(s)
    if first and not over and s.linger_due > 0:
        left = s.linger_due
        timer_set(s.rx, &s.linger, left)
    if not over:
        zq_unlock(&s.lock)
        return
    for i in range(s.r.npeers):
        if s.r.peers[i].c == NULL or not s.r.peers[i].c.out_busy:   # else its session clears it, once the write is over
            outq_clear(&s.r.peers[i].out, DROP_CLOSED)
    n = s.sessions
    while n != NULL:
        session_failed(s, n, -ECONNABORTED)
        n = n.next
    zq_unlock(&s.lock)
    endpoints_stop(s, False)
    _take_failed(s)
    zq_lock(&s.lock)
    sessions_sweep(s)
    over = s.sessions == NULL and s.graves == NULL and s.failed == NULL and s.epts == NULL and not s.leader
    zq_unlock(&s.lock)
    if not over:
        # a thread has yet to leave
        zq_or32(&s.todo, DUE_FAILED | DUE_GRAVES | DUE_ENDPOINTS)
        reactor_retry(s.rx, &s.job, RETRY)
        return
    timer_cancel(rx, &s.linger)
    lease_stop(s)
    zq_lock(&s.lock)
    s.closing_done = True
    s.rx = NULL               # from here on nobody posts
    zq_unlock(&s.lock)
    task_cancel(rx, &s.job)
    ctx_reactor_left(s.x, rx)
    _destroy(s)
    sock_unref(s)             # the reactor's


cdef bint _quiet(zq_wakefd* w, uint32_t* raised) noexcept nogil:
    """May this descriptor be closed?  From here no signal is sent; one may be under way."""
    cdef pollfd fd
    if zq_xchg32(raised, 1) == 0:
        return True
    fd.fd = w.rfd
    fd.events = <short>POLLIN
    return zq_ppoll(&fd, 1, 0, NULL) > 0


cdef void _close_descriptors(sock* s) noexcept nogil:
    """[lock] The struct may stay for long after this, as long as a closed Socket object is kept; descriptors should not."""
    if s.set_open:
        members_let_go(s)
        s.set_open = False
        poller_close(&s.set)
    if s.wake_open and zq_load32(&s.waiters) == 0 and _quiet(&s.wake, &s.wake_raised):
        zq_store32(&s.wake_open, False)
        zq_wakefd_close(&s.wake)
    if s.signal_open and _quiet(&s.signal, &s.signal_raised):
        s.signal_open = False
        zq_wakefd_close(&s.signal)


cdef void _destroy(sock* s) noexcept nogil:
    """Nothing moves any more: free what the socket owns; the struct goes with its last reference."""
    cdef ctx* x = s.x
    cdef peer* p
    cdef wakes w
    cdef uint32_t k
    cdef sock* monitor
    cdef bint last
    w.n = 0
    zq_lock(&s.lock)
    while s.r.npeers:
        p = s.r.peers[s.r.npeers - 1]
        routing_remove(&s.r, p)
        traffic_bury(s, p)
    for k in range(s.nstage):
        zmsg_release(&s.stage[k])
    free(s.stage)
    s.stage = NULL
    s.nstage = 0
    free(s.last_endpoint)
    s.last_endpoint = NULL
    routing_free(&s.r)
    options_free(&s.opt)
    _close_descriptors(s)
    zq_unlock(&s.lock)
    monitor_emit(s, EVENT_MONITOR_STOPPED, 0, b"")
    zq_lock(&s.lock)
    monitor = s.monitor
    s.monitor = NULL
    zq_unlock(&s.lock)
    if monitor != NULL:
        sock_close(monitor, 0)
        sock_unref(monitor)
    zq_lock(&x.lock)
    if s.ctx_prev != NULL:
        s.ctx_prev.ctx_next = s.ctx_next
    else:
        x.first = s.ctx_next
    if s.ctx_next != NULL:
        s.ctx_next.ctx_prev = s.ctx_prev
    x.nsockets -= 1
    last = x.nsockets == 0 and x.gone_open
    if last:
        zq_wakefd_signal(&x.gone)
    zq_unlock(&x.lock)
    sock_unref(s)             # the engine's


cdef void sock_close(sock* s, int64_t linger_ms) noexcept nogil:
    cdef uint32_t k
    cdef bint served
    zq_lock(&s.lock)
    if s.closed:
        zq_unlock(&s.lock)
        return
    zq_store32(&s.closed, True)
    if linger_ms == -2:
        linger_ms = s.opt.linger
    s.linger_due = -1 if linger_ms < 0 else (0 if linger_ms == 0 else zq_now_ns() + linger_ms * 1000000)
    for k in range(s.nstage):
        zmsg_release(&s.stage[k])
    s.nstage = 0
    traffic_flush_now(s)
    zq_unlock(&s.lock)
    inproc_leave_all(s)
    inproc_leave(s, NULL)
    sock_wake(s)
    zq_lock(&s.lock)
    served = s.rx != NULL
    if served:
        sock_post(s, DUE_CLOSE)      # with the lock, so that the reactor does not end the socket before this is over
    zq_unlock(&s.lock)
    if not served:
        _destroy(s)


cdef void ctx_stop(ctx* x, bint ending) noexcept nogil:
    cdef sock* s
    zq_store32(&x.stopping, 1)
    zq_lock(&x.lock)
    x.enders += ending
    if not x.gone_open and zq_wakefd_open(&x.gone) == 0:
        x.gone_open = True
    s = <sock*>x.first
    while s != NULL:
        zq_xchg32(&s.fatal, ETERM)    # before anybody is counted as waiting: see watch_begin
        sock_wake(s)
        s = s.ctx_next
    zq_unlock(&x.lock)


cdef bint _dials(peer* p) noexcept nogil:
    """[lock] Its connection is being made just now."""
    cdef ept* e = <ept*>p.endpoint
    return e != NULL and not e.bound and (e.live != NULL or e.state == EPT_NEW or e.state == EPT_RUNNING)


cdef void _owed(sock* s, int64_t since, owing* o) noexcept nogil:
    cdef uint32_t i
    cdef peer* p
    cdef int64_t due
    zq_lock(&s.lock)
    due = s.linger_due if s.closed else s.opt.linger
    if due > 0 and not s.closed:
        due = since + due * 1000000
    if not s.closing_done and (due < 0 or due > zq_now_ns()):
        for i in range(s.r.npeers):
            p = s.r.peers[i]
            if p.kind != PEER_STREAM or p.gone or p.out.nmsgs == 0 or not (p.c != NULL or _dials(p)):
                continue
            if p.c != NULL:
                o.connected += 1
            else:
                o.dialling += 1
            o.messages += p.out.nmsgs
            o.taken += p.out.books.bytes + p.out.begun
            if p.endpoint != NULL and (<ept*>p.endpoint).name != NULL:
                strncpy(o.name, (<ept*>p.endpoint).name, sizeof(o.name) - 1)
    zq_unlock(&s.lock)


cdef void ctx_owes(ctx* x, int64_t since, owing* out) noexcept nogil:
    cdef sock** all
    cdef sock* s
    cdef uint32_t k
    cdef uint32_t n = 0
    memset(out, 0, sizeof(owing))
    zq_lock(&x.lock)
    all = <sock**>malloc((x.nsockets + 1) * sizeof(void*))
    s = <sock*>x.first
    while s != NULL and all != NULL:
        sock_ref(s)
        all[n] = s
        n += 1
        s = s.ctx_next
    zq_unlock(&x.lock)
    for k in range(n):
        _owed(all[k], since, out)
        sock_unref(all[k])
    free(all)


cdef bint ctx_all_gone(ctx* x) noexcept nogil:
    cdef bint none
    zq_lock(&x.lock)
    none = x.nsockets == 0
    zq_unlock(&x.lock)
    return none


# --- FD ------------------------------------------------------------------------------------------------------

cdef int sock_export_fd(sock* s) noexcept nogil:
    cdef int rc = 0
    cdef bint first = False
    zq_lock(&s.lock)
    if not s.signal_open:
        rc = zq_wakefd_open(&s.signal)
        if rc == 0:
            s.signal_open = True
            s.reader_is_reactor = True
            first = True
            # What is there already must show.
            s.signal_raised = 1
            zq_wakefd_signal(&s.signal)
            sock_post(s, DUE_LEASE)
    zq_unlock(&s.lock)
    if first:
        sock_wake(s)          # a waiting leader is to leave the reading to the reactor
    return rc if rc < 0 else s.signal.rfd


cdef void sock_signal_seen(sock* s) noexcept nogil:
    if s.signal_open and zq_load32(&s.signal_raised):
        # In this order: a signal that comes in between is not sent, and what it was about is looked at afterwards.
        zq_wakefd_drain(&s.signal)
        zq_xchg32(&s.signal_raised, 0)


cdef void spin_default(int us) noexcept nogil:
    global _spin_default
    _spin_default = us
