"""Reading, writing, notifying; see traffic.pxd."""

from .errno_zmq cimport ECANCELED
from libc.errno cimport ECONNABORTED, ENOMEM, EPROTO
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free

from .connection cimport (GIL_BUDGET, SECURE_WITH_GIL, WIRE_FRAMES, WIRE_SECURE, WRITE_FULL, WRITE_IDLE, WRITE_MORE,
                          conn_command, conn_pending, conn_read, conn_read_begin, conn_write_begin, conn_write_end,
                          conn_write_run)
from .ctx cimport ctx_unref
from .engine cimport PARKED_COUNT, PARKED_ROUND, DUE_FAILED, DUE_FLUSH, DUE_MIND, DUE_ZAP, member, session, sock, watcher
from .inproc cimport link_books, link_leave
from .limits cimport DROP_PEER_GONE, DROP_REASONS, books
from .patterns cimport DROPS, EAGER, RECV_NONE, WRAP_REQ, route_peek
from .peers cimport peer_farewell, peer_gone
from .pipe cimport BEHIND_MET, BEHIND_TOLD, inq_lands, inq_next_command, inq_publish, inq_ready, outq_flows, part
from .platform cimport (ticks_per_us, zq_add32, zq_cas32, zq_casp, zq_getcpu, zq_latch_close, zq_latch_open, zq_load32, zq_loadp, zq_lock,
                        zq_mutex_destroy, zq_now_ns, zq_or32, zq_pause, zq_sleep_ns, zq_store32_relaxed, zq_storep, zq_sub32,
                        zq_ticks, zq_unlock, zq_unpark, zq_wakefd_close, zq_wakefd_signal, zq_xchg32, zq_xchgp)
from .poller cimport poller_close, poller_del
from .pubsub cimport fanout_group, fanout_subscription, fanout_take
from .reactor cimport reactor_post
from .routing cimport (NEWS_GONE, NEWS_READABLE, NEWS_WRITABLE, PEER_INPROC, PEER_STREAM, peer, peer_free,
                       peer_has_input, peer_skip, routing_dirty, routing_readable, routing_remove, routing_writable)
from .thrift cimport thrift_note
from .zmtp cimport COMMAND_CANCEL, COMMAND_JOIN, COMMAND_LEAVE, COMMAND_PING, COMMAND_SUBSCRIBE, TYPE_RADIO

cdef enum:
    INLINE_WRITES = 8         # connections one call writes to by itself; the rest is the reactor's
    GATHER_FULL = 65536       # bytes that are written without waiting for more
    GATHER_US = 50            # longest wait for company of one connection
    BURST_US = 200            # and of all of a socket's, when one message goes to many
    END_SPIN = 5000
    END_PATIENCE = 2000000    # ns that a send which may drop waits for what is under way to come back
    TELL_MAX = 16


# --- references and wake-ups -----------------------------------------------------------------------------

cdef void sock_ref(sock* s) noexcept nogil:
    zq_add32(&s.refs, 1)


cdef void sock_unref(sock* s) noexcept nogil:
    if zq_sub32(&s.refs, 1) != 1:
        return
    if s.wake_open:
        zq_wakefd_close(&s.wake)
    if s.signal_open:
        zq_wakefd_close(&s.signal)
    if s.set_open:
        poller_close(&s.set)
    zq_mutex_destroy(&s.lock)
    zq_mutex_destroy(&s.watch_lock)
    ctx_unref(s.x)
    free(s)


cdef void watcher_unref(watcher* w) noexcept nogil:
    if zq_sub32(&w.refs, 1) != 1:
        return
    poller_close(&w.set)
    zq_wakefd_close(&w.wake)
    free(w)


cdef void sock_post(sock* s, uint32_t bits) noexcept nogil:
    zq_or32(&s.todo, bits)
    if s.rx != NULL:
        reactor_post(s.rx, &s.job)


cdef void traffic_mind(sock* s, session* n) noexcept nogil:
    if not n.in_mind:
        n.in_mind = True
        n.mind_next = s.mind
        s.mind = n
    sock_post(s, DUE_MIND)


cdef void traffic_resume(sock* s) noexcept nogil:
    cdef peer* p
    while s.r.resumed != NULL:
        p = s.r.resumed
        s.r.resumed = p.resume_next
        p.resuming = False
        if p.c != NULL:
            traffic_mind(s, <session*>p.c)


cdef bint sock_wants_wake(sock* s) noexcept nogil:
    return zq_load32(&s.waiters) != 0 or s.signal_open or zq_loadp(<void**>&s.members) != NULL


cdef void sock_tell(sock* s, member* but) noexcept nogil:
    cdef watcher* asleep[TELL_MAX]
    cdef member* m
    cdef void* head
    cdef int i
    cdef int n = 0
    if zq_loadp(<void**>&s.members) == NULL:
        return
    zq_lock(&s.watch_lock)
    m = s.members
    while m != NULL:
        if m != but and zq_xchg32(&m.told, 1) == 0:
            while True:
                head = zq_loadp(<void**>&m.w.news)
                m.news_next = <member*>head
                if zq_casp(<void**>&m.w.news, head, m):
                    break
            if zq_load32(&m.w.asleep) and zq_xchg32(&m.w.asleep, 0):
                if n == TELL_MAX:
                    zq_wakefd_signal(&m.w.wake)
                else:
                    zq_add32(&m.w.refs, 1)
                    asleep[n] = m.w
                    n += 1
        m = m.next
    zq_unlock(&s.watch_lock)
    for i in range(n):
        zq_wakefd_signal(&asleep[i].wake)
        watcher_unref(asleep[i])


cdef void sock_wake(sock* s) noexcept nogil:
    cdef uint32_t parked
    if zq_load32(&s.waiters) and zq_load32(&s.wake_open):
        zq_add32(&s.news, 1)
        parked = zq_load32(&s.parked)
        while parked & PARKED_COUNT:
            # Who is woken is counted no more, so that nobody wakes it twice.
            if zq_cas32(&s.parked, parked, (parked + PARKED_ROUND) & ~PARKED_COUNT):
                zq_unpark(&s.parked)
                break
            parked = zq_load32(&s.parked)
        if zq_load32(&s.pollers) and zq_xchg32(&s.wake_raised, 1) == 0:
            zq_wakefd_signal(&s.wake)
    if s.signal_open and zq_xchg32(&s.signal_raised, 1) == 0:
        zq_wakefd_signal(&s.signal)
    sock_tell(s, NULL)


cdef void wakes_run(wakes* w) noexcept nogil:
    """Sockets that take their input as it comes (publishers) are made to here: their own application may be away."""
    cdef wakes now
    cdef int i
    cdef int rounds = 8
    while w.n and rounds:
        rounds -= 1
        now = w[0]
        w.n = 0
        for i in range(now.n):
            if now.s[i].row.traits & EAGER:
                zq_lock(&now.s[i].lock)
                traffic_inbox(now.s[i])
                traffic_settle(now.s[i], w)
                zq_unlock(&now.s[i].lock)
            sock_wake(now.s[i])
            sock_unref(now.s[i])
    for i in range(w.n):
        sock_wake(w.s[i])
        sock_unref(w.s[i])
    w.n = 0


cdef void _wake_later(sock* s, wakes* w) noexcept nogil:
    cdef int i
    for i in range(w.n):
        if w.s[i] == s:
            return
    sock_ref(s)
    if w.n == WAKES_MAX:
        sock_wake(s)
        sock_unref(s)
        return
    w.s[w.n] = s
    w.n += 1


# --- inproc ------------------------------------------------------------------------------------------------

cdef void peer_notify(peer* p, uint32_t news, wakes* w) noexcept nogil:
    """Under the caller's own socket lock or none; the other socket's lock is not taken."""
    cdef peer* q
    cdef sock* other
    cdef void* head
    zq_latch_close(&p.lnk.lock)
    q = <peer*>p.lnk.ends[1 - p.side]
    if q != NULL and q.owner != NULL:      # without an owner: a place that nobody has bound yet
        other = <sock*>q.owner
        zq_store32_relaxed(&other.last_cpu, <uint32_t>zq_getcpu())
        if zq_or32(&q.news, news) == 0:
            while True:
                head = zq_loadp(<void**>&other.inbox)
                q.news_next = <peer*>head
                if zq_casp(<void**>&other.inbox, head, q):
                    break
        if q.asks != NULL:
            sock_post(other, DUE_ZAP)       # the reactor's business alone
        elif sock_wants_wake(other) or other.row.traits & EAGER or news & NEWS_GONE:
            _wake_later(other, w)
    zq_latch_open(&p.lnk.lock)


cdef void traffic_inbox(sock* s) noexcept nogil:
    cdef peer* p
    cdef peer* following
    cdef uint32_t news
    if zq_loadp(<void**>&s.inbox) == NULL:
        return
    p = <peer*>zq_xchgp(<void**>&s.inbox, NULL)
    while p != NULL:
        following = p.news_next
        news = zq_xchg32(&p.news, 0)
        if p.asks != NULL:
            # The authoriser says that it goes before it lets go of the link: what counts is that it has said so.
            p.gone = p.gone or news & NEWS_GONE != 0
            if not p.answered:
                p.answered = True
                p.answer_next = s.answered
                s.answered = p
        if p.attached:
            if news & NEWS_READABLE:
                traffic_hear(s, p)
            if news & NEWS_WRITABLE:
                routing_writable(&s.r, p)
            if news & NEWS_GONE and not p.gone:
                peer_farewell(s, p)
                peer_gone(s, p, DROP_PEER_GONE)
        p = following


cdef void traffic_hear(sock* s, peer* p) noexcept nogil:
    if s.row.traits & EAGER and not p.leaving:
        fanout_take(&s.r, p)
    elif s.row.traits & EAGER or s.row.recv == RECV_NONE or (s.row.wrap == WRAP_REQ and not (s.r.awaiting and s.r.partner == p)):
        # Nobody will ask for it, and unread it would keep its peer for ever.
        while peer_skip(&s.r, p):
            pass
    else:
        routing_readable(&s.r, p)


# --- reading -----------------------------------------------------------------------------------------------

cdef void session_failed(sock* s, session* n, int error) noexcept nogil:
    if n.c.closing:
        return
    n.c.closing = True
    n.c.error = error
    if n.p != NULL:
        outq_flows(&n.p.out, False)
    if n.in_set:
        poller_del(&s.set, n.c.fd)
        n.in_set = False
    if not n.in_failed:
        n.in_failed = True
        n.failed_next = s.failed
        s.failed = n
    sock_post(s, DUE_FAILED)


cdef void traffic_unlist(session* n) noexcept nogil:
    if not n.in_large:
        return
    n.in_large = False
    if n.large_prev != NULL:
        n.large_prev.large_next = n.large_next
    else:
        n.s.large = n.large_next
    if n.large_next != NULL:
        n.large_next.large_prev = n.large_prev


cdef inline void _list_large(sock* s, session* n) noexcept nogil:
    if n.in_large:
        return
    n.in_large = True
    n.large_prev = NULL
    n.large_next = s.large
    if s.large != NULL:
        s.large.large_prev = n
    s.large = n


cdef void traffic_commit(sock* s, session* n, int rc) noexcept nogil:
    cdef peer* p = n.p
    cdef part at
    cdef part arg
    cdef int kind
    n.c.in_busy = False
    if p == NULL:
        return
    thrift_note(n)
    if p.inn.big_size and n.c.wire == WIRE_FRAMES and inq_lands(&p.inn):
        _list_large(s, n)
    while inq_next_command(&p.inn, &at):
        if conn_command(&n.c, &at, &kind, &arg) < 0:
            rc = -EPROTO      # a malformed command ends the connection, behind what came before it
            continue
        if kind == COMMAND_PING and n.c.peer_ttl:
            traffic_mind(s, n)
        if s.row.traits & EAGER and not p.leaving:
            if kind == COMMAND_SUBSCRIBE or kind == COMMAND_CANCEL:
                if s.type != TYPE_RADIO:
                    fanout_subscription(&s.r, p, arg.data, arg.size, kind == COMMAND_CANCEL)
            elif (kind == COMMAND_JOIN or kind == COMMAND_LEAVE) and s.type == TYPE_RADIO:
                fanout_group(&s.r, p, arg.data, arg.size, kind == COMMAND_LEAVE)
    if inq_publish(&p.inn) < 0 and rc >= 0:
        rc = -ENOMEM
    if inq_ready(&p.inn):
        traffic_hear(s, p)
        if s.row.wrap == WRAP_REQ:
            # What is no reply ends its connection, whether or not the application receives.
            route_peek(&s.r, &at)
    if not n.in_flush and not n.c.blocked and conn_pending(&n.c, &p.out):
        routing_dirty(&s.r, p)        # the answer to a PING, say
    if p.inn.paused and n.in_set:
        poller_del(&s.set, n.c.fd)
        n.in_set = False
    if rc < 0:
        session_failed(s, n, rc)


cdef int traffic_read(sock* s, session* n, size_t budget) noexcept nogil:
    cdef int rc
    cdef uint64_t before
    if n.c.in_busy or n.c.closing or not n.active or n.p.inn.paused:
        return 0
    if budget <= GIL_BUDGET and n.c.wire == WIRE_SECURE and n.p.inn.big != NULL:
        s.heavy_left = True       # with its last bytes a large frame will be decrypted: not with the GIL held
        return 0
    if conn_read_begin(&n.c, &n.p.inn) < 0:
        return 0
    before = n.p.inn.rx_bytes
    zq_unlock(&s.lock)
    rc = conn_read(&n.c, &n.p.inn, budget)
    zq_lock(&s.lock)
    traffic_commit(s, n, rc)
    return n.p.inn.rx_bytes != before


# --- writing -----------------------------------------------------------------------------------------------

cdef inline uint64_t _gather_time(uint64_t cost, uint64_t most_us) noexcept nogil:
    """How long after a write of this cost the next may wait for company: as long, but at least 4 us; in ticks."""
    cdef uint64_t us = ticks_per_us()
    cdef uint64_t t = cost
    if t < 4 * us:
        return 4 * us
    return t if t < most_us * us else most_us * us


cdef void _leave(sock* s, session* n) noexcept nogil:
    """For the next call, or the reactor's next tick."""
    if not n.in_flush:
        n.in_flush = True
        n.p.left = s.nactive > 1
        # behind the others: each gets its turn
        n.flush_next = NULL
        zq_storep(<void**>s.flush_end, n)
        s.flush_end = &n.flush_next
    if not s.flush_ticking:
        s.flush_ticking = True
        sock_post(s, DUE_FLUSH)


cdef void traffic_let_end(sock* s, const uint32_t* under_way) noexcept nogil:
    """What is under way does not block, but whoever it woke may have got its CPU: that is us, perhaps.  So this sleeps
    after a moment."""
    cdef int64_t start = zq_now_ns()
    cdef int64_t now = start
    while under_way[0] and now - start < END_PATIENCE:
        zq_unlock(&s.lock)
        if now - start < END_SPIN:
            zq_pause()
        else:
            zq_sleep_ns(END_SPIN)
        zq_lock(&s.lock)
        now = zq_now_ns()


cdef void traffic_before_send(sock* s) noexcept nogil:
    if s.full_writes and s.row.traits & DROPS:
        # The kernel may have taken what fills the queue, and the writer have no turn yet to say so: a message dropped
        # now would be lost to a peer that keeps up.
        traffic_let_end(s, &s.full_writes)
    traffic_inbox(s)


cdef int traffic_write(sock* s, session* n) noexcept nogil:
    cdef int rc
    cdef bint was_full
    cdef uint64_t start
    if n.c.out_busy or n.c.blocked or not n.active or not conn_write_begin(&n.c, &n.p.out):
        return WRITE_IDLE
    was_full = n.p.out.full
    s.full_writes += was_full
    zq_unlock(&s.lock)
    start = zq_ticks()
    conn_write_run(&n.c)
    zq_lock(&s.lock)
    n.c.last_write = zq_ticks()
    n.c.gather = _gather_time(n.c.last_write - start, GATHER_US)
    s.full_writes -= was_full
    was_full = n.p.out.full
    rc = conn_write_end(&n.c, &n.p.out)
    if was_full and not n.p.out.full:
        routing_writable(&s.r, n.p)
        if sock_wants_wake(s):
            sock_wake(s)
    if rc == WRITE_FULL:
        n.c.blocked = True
        n.watch_out = True
        traffic_mind(s, n)
    elif rc < 0:
        session_failed(s, n, rc)
    if n.p.out.nmsgs == 0:
        if n.p.leaving:
            session_failed(s, n, -ECONNABORTED)     # that was what it had still to be told
        if s.closed:
            sock_post(s, DUE_FLUSH)                # the socket may be able to go
    return rc


cdef void traffic_unflush(sock* s, session* n, session** at) noexcept nogil:
    zq_storep(<void**>at, n.flush_next)
    if s.flush_end == &n.flush_next:
        s.flush_end = at
    n.flush_next = NULL
    n.in_flush = False
    if n.p != NULL:
        n.p.left = False


cdef int traffic_flush_now(sock* s) noexcept nogil:
    cdef session* n
    cdef int rc
    cdef int rounds = 64
    cdef int any = s.flush != NULL
    while s.flush != NULL and rounds:
        rounds -= 1
        n = s.flush
        traffic_unflush(s, n, &s.flush)
        rc = traffic_write(s, n)
        while rc == WRITE_MORE and rounds:
            rounds -= 1
            rc = traffic_write(s, n)
        if rc == WRITE_MORE:
            _leave(s, n)
    return any


cdef bint traffic_heavy(sock* s) noexcept nogil:
    cdef peer* p = s.r.dirty
    while p != NULL:
        if p.kind == PEER_STREAM and p.out.q.unsent > SECURE_WITH_GIL:
            if p.out.q.unsent > GATHER_FULL or (p.c != NULL and p.c.wire == WIRE_SECURE):
                return True
        p = p.dirty_next
    return False


cdef void traffic_settle(sock* s, wakes* w) noexcept nogil:
    cdef peer* p
    cdef session* n
    cdef int writes = 0
    cdef int rc
    cdef uint64_t start = 0
    cdef uint64_t now
    cdef uint32_t many = s.r.ndirty if s.r.ndirty > INLINE_WRITES else 0
    cdef uint32_t place = 0   # among many: the first INLINE_WRITES are written to here, each time others
    traffic_resume(s)
    if many:
        place = many - s.burst_from % many
        s.burst_from += INLINE_WRITES
    while s.r.dirty != NULL:
        p = s.r.dirty
        s.r.dirty = p.dirty_next
        s.r.ndirty -= 1
        p.dirty = False
        place += 1
        if place > many:
            place = 1
        if p.gone and not peer_has_input(&s.r, p):
            if p.kind == PEER_STREAM and p.c != NULL:
                continue      # the reactor has yet to let go of the connection
            routing_remove(&s.r, p)
            traffic_bury(s, p)
            continue
        if p.kind == PEER_INPROC:
            peer_notify(p, NEWS_READABLE | NEWS_WRITABLE, w)
            continue
        n = <session*>p.c
        if n == NULL:
            continue
        if p.close_wanted:
            p.close_wanted = False
            session_failed(s, n, -ECANCELED)
            continue
        if not n.active or n.c.closing:
            continue
        if p.out.behind == BEHIND_MET:
            p.out.behind = BEHIND_TOLD
            traffic_mind(s, n)
        if n.c.blocked:
            continue
        if p.out.q.unsent < GATHER_FULL:
            if n.in_flush and s.flush_ticking and s.nactive > 1:
                continue      # the reactor has it on its list
            now = zq_ticks()
            if writes == 0:
                start = now
            if (n.c.out_busy or writes >= INLINE_WRITES or (many and place > INLINE_WRITES)
                    or now - n.c.last_write < n.c.gather
                    or (s.nactive > 1 and writes == 0 and s.touch == s.burst_touch
                        and now - s.burst_end < s.burst_cost)):
                _leave(s, n)
                continue
        elif n.c.out_busy:
            _leave(s, n)      # whoever writes now has not seen this
            continue
        writes += 1
        rc = traffic_write(s, n)
        while rc == WRITE_MORE and n.p != NULL and n.p.out.q.unsent >= GATHER_FULL:
            rc = traffic_write(s, n)
        if rc == WRITE_MORE:
            _leave(s, n)
    if writes and start:
        # Writing to many peers one by one costs more than to each: what counts is what the call as a whole has cost.
        s.burst_end = zq_ticks()
        s.burst_cost = _gather_time(s.burst_end - start, BURST_US)
        # Who receives between two calls answers, each time somebody else: there is no company to wait for.
        s.burst_touch = s.touch


cdef void traffic_bury(sock* s, peer* p) noexcept nogil:
    """Keep the books of a peer that goes, then free it."""
    cdef books sent = p.out.books
    cdef books received = p.inn.books
    cdef int k
    if p.kind == PEER_INPROC:
        # From here nobody can put it into our inbox; it may be there already.
        link_leave(p.lnk, p.side)
        link_books(p.lnk, p.side, &sent, &received)
        traffic_inbox(s)
    else:
        sent.dropped[DROP_PEER_GONE] += p.out.nmsgs
        received.dropped[DROP_PEER_GONE] += p.inn.nmsgs
    s.past_accepted[0] += sent.accepted
    s.past_delivered[0] += sent.delivered
    s.past_accepted[1] += received.accepted
    s.past_delivered[1] += received.delivered
    for k in range(DROP_REASONS):
        s.past_dropped[0][k] += sent.dropped[k]
        s.past_dropped[1][k] += received.dropped[k]
    peer_free(p)
