"""Spinning, leading and following; see waiting.pxd."""

from libc.errno cimport EAGAIN, EINTR, ETIMEDOUT
from libc.stdint cimport int64_t, uint32_t

from .connection cimport READ_BUDGET, conn_read, conn_read_begin
from .engine cimport LEASE_DORMANT, LEASE_PARKED, PARKED_COUNT, DUE_GRAVES, DUE_LEASE, member, session, sock
from .platform cimport (POLLIN, ZQ_CAN_PARK, pollfd, sigset_t, zq_add32, zq_cas32, zq_getcpu, zq_load32, zq_loadp,
                        zq_lock, zq_now_ns, zq_park, zq_pause, zq_ppoll, zq_sleep_ns, zq_store32, zq_sub32, zq_unlock,
                        zq_wakefd_drain, zq_wakefd_open, zq_wakefd_signal, zq_xchg32)
from .poller cimport poll_event, poller_wait
from .ring cimport msgring_count
from .stream cimport stream_loopback_cpu
from .traffic cimport sock_post, sock_tell, sock_wake, traffic_commit, traffic_flush_now, traffic_inbox, traffic_read

cdef enum:
    SPIN_PAYS = 48            # score from which spinning is worth its CPU
    SPIN_EXPLORE = 512        # below it, one wait in so many spins all the same
    PASS_ON = 20000           # ns a thread stays away that has passed on a signal that was not for it
    READ_LARGE = 4194304      # bytes of a large frame read in one turn
    LARGE_TURNS = 4           # turns before others, and signals, have theirs
    SPIN_EXPLORE_US = 150     # for longer: a peer that sleeps too answers late


cdef int wait_progress(sock* s, size_t budget, member* me) noexcept nogil:
    cdef poll_event ev[16]
    cdef int k, count
    cdef int got = 0
    s.touch += 1
    if s.nactive == 0 or s.reader_is_reactor or s.leader:
        return 0
    if s.only != NULL:
        got = traffic_read(s, s.only, budget)
        if got:
            sock_tell(s, me)
        return got
    s.leader = True
    zq_unlock(&s.lock)
    count = poller_wait(&s.set, ev, 16, 0)
    zq_lock(&s.lock)
    for k in range(count if count > 0 else 0):
        got |= traffic_read(s, <session*>ev[k].tag, budget)
    if got:
        sock_tell(s, me)
    _lead_no_more(s)
    return got


cdef bint _read_large(sock* s) noexcept nogil:
    """[lock; let go of meanwhile] Go on with a large frame that has its memory, without a look from outside in between."""
    cdef session* n = s.only
    cdef int turns = LARGE_TURNS
    while turns and n != NULL and n == s.only and not n.c.in_busy and n.active and n.p.inn.big_size \
            and not n.p.inn.big_lies:
        if not traffic_read(s, n, READ_LARGE):
            break
        turns -= 1
    return turns != LARGE_TURNS


cdef bint _missed(sock* s) noexcept nogil:
    """[lock] Has a waiting thread not been woken yet for what has come since it began?"""
    cdef watch* w = <watch*>s.watches
    cdef uint32_t now = zq_load32(&s.news)
    while w != NULL:
        if w.news != now and not w.parks:
            return True
        w = w.next
    return False


cdef bint _wants_lead(sock* s) noexcept nogil:
    cdef watch* w = <watch*>s.watches
    while w != NULL:
        if w.want & WAIT_IN:
            return True
        w = w.next
    return False


cdef void _lead_no_more(sock* s) noexcept nogil:
    s.leader = False
    if s.lease == LEASE_DORMANT:
        s.lease = LEASE_PARKED
        sock_post(s, DUE_LEASE)
    if s.graves != NULL:
        sock_post(s, DUE_GRAVES)
    if _wants_lead(s):
        sock_wake(s)          # one of them leads now


cdef int watch_begin(watch* w, sock* s, int want, pollfd* fds) noexcept nogil:
    cdef int rc
    w.s = s
    w.want = want
    w.in_vain = False
    w.parks = False
    w.lead = False
    w.only = NULL
    w.n = 0
    if not s.wake_open:
        rc = zq_wakefd_open(&s.wake)
        if rc < 0:
            return rc
        zq_store32(&s.wake_open, True)
    zq_add32(&s.waiters, 1)
    zq_add32(&s.pollers, 1)
    # From here on whoever has news sees a waiter.  What came before is looked at now: the end of the socket, and the
    # inbox; the rest needs the lock.
    if zq_loadp(<void**>&s.inbox) != NULL or (not want & WAIT_GOING and (s.closed or zq_load32(&s.fatal))):
        zq_sub32(&s.pollers, 1)
        zq_sub32(&s.waiters, 1)
        traffic_inbox(s)
        return -EAGAIN
    w.news = zq_load32(&s.news)
    w.next = <watch*>s.watches
    s.watches = w
    fds[0].fd = s.wake.rfd
    fds[0].events = <short>POLLIN
    fds[0].revents = 0
    w.n = 1
    if want & WAIT_IN and s.nactive and not s.reader_is_reactor and not s.leader:
        w.lead = True
        s.leader = True
        s.touch += 1
        w.only = s.only
        if w.only != NULL and (w.only.c.closing or w.only.c.in_busy or w.only.p.inn.paused):
            w.only = NULL
        fds[1].fd = w.only.c.fd if w.only != NULL else s.set.fd
        fds[1].events = <short>POLLIN
        fds[1].revents = 0
        w.n = 2
    return w.n


cdef void watch_end(watch* w, pollfd* fds) noexcept nogil:
    cdef sock* s = w.s
    cdef poll_event ev[16]
    cdef watch** at = <watch**>&s.watches
    cdef int k, count
    while at[0] != w:
        at = &at[0].next
    at[0] = w.next
    if fds[0].revents:
        # In this order: a signal that comes in between is not sent, and what it was about is looked at below.
        zq_wakefd_drain(&s.wake)
        zq_xchg32(&s.wake_raised, 0)
    if not w.parks:
        zq_sub32(&s.pollers, 1)
    zq_sub32(&s.waiters, 1)
    if w.lead:
        if fds[1].revents:
            if w.only != NULL:
                traffic_read(s, w.only, READ_BUDGET)
                _read_large(s)
            else:
                zq_unlock(&s.lock)
                count = poller_wait(&s.set, ev, 16, 0)
                zq_lock(&s.lock)
                for k in range(count if count > 0 else 0):
                    traffic_read(s, <session*>ev[k].tag, READ_BUDGET)
            sock_tell(s, NULL)
        _lead_no_more(s)
    if fds[0].revents and _missed(s):
        # The signal just drained was for others, too: a thread that was about to sleep has not seen it.
        w.in_vain = w.news == zq_load32(&s.news)
        if zq_xchg32(&s.wake_raised, 1) == 0:
            zq_wakefd_signal(&s.wake)
    traffic_inbox(s)


cdef bint _should_spin(sock* s, int64_t* budget_ns) noexcept nogil:
    cdef session* only = NULL
    cdef int cpu
    if s.nactive and not s.reader_is_reactor and not s.leader:
        only = s.only
        if only == NULL or only.c.closing or only.c.in_busy or only.p.inn.paused:
            return False
    budget_ns[0] = <int64_t>s.opt.spin_budget * 1000
    if s.spin_score < SPIN_PAYS:
        s.spin_count += 1
        if s.spin_count % SPIN_EXPLORE:
            return False
        if budget_ns[0] < SPIN_EXPLORE_US * 1000:
            budget_ns[0] = SPIN_EXPLORE_US * 1000
    # With the peer on our own CPU it cannot run while we spin.
    cpu = zq_getcpu()
    if cpu >= 0:
        if only != NULL:
            if only.is_loopback and stream_loopback_cpu(only.c.fd) == cpu:
                return False
        elif zq_load32(&s.last_cpu) == <uint32_t>cpu:
            return False
    return True


cdef inline bint _news(sock* s) noexcept nogil:
    return zq_loadp(<void**>&s.inbox) != NULL or zq_load32(&s.wake_raised) != 0


cdef bint _spin(sock* s, watch* w, int64_t end, member* me) noexcept nogil:
    """Without the lock. True when something came."""
    cdef session* n = w.only
    cdef uint32_t before
    cdef int _k, rc
    if n != NULL:
        # Own the input half for as long as we spin: nobody else has a use for it meanwhile.
        zq_lock(&s.lock)
        if n.c.closing or n.c.in_busy or conn_read_begin(&n.c, &n.p.inn) < 0:
            zq_unlock(&s.lock)
            return True
        before = <uint32_t>n.p.inn.rx_bytes
        zq_unlock(&s.lock)
        while True:
            rc = conn_read(&n.c, &n.p.inn, READ_BUDGET)
            if rc < 0 or <uint32_t>n.p.inn.rx_bytes != before:
                break
            if _news(s) or zq_now_ns() > end:
                break
            for _k in range(8):
                zq_pause()
        zq_lock(&s.lock)
        traffic_commit(s, n, rc)
        if <uint32_t>n.p.inn.rx_bytes != before:
            sock_tell(s, me)
        zq_unlock(&s.lock)
        return rc < 0 or <uint32_t>n.p.inn.rx_bytes != before or _news(s)
    while not _news(s):
        for _k in range(32):
            zq_pause()
        if zq_now_ns() > end:
            return False
    return True


cdef int wait_spin(sock* s, int want, int64_t deadline, member* me) noexcept nogil:
    cdef pollfd fds[2]
    cdef watch w
    cdef int64_t now
    cdef int64_t budget = 0
    cdef uint32_t news
    cdef bint paid
    if not want & WAIT_IN or s.opt.spin_budget <= 0:
        return 0
    if s.flush != NULL:
        # The lock is let go while that is written.  If there is no news meanwhile the wait goes on: who looks again has
        # waited once, and does not spin any more.
        news = zq_load32(&s.news)
        zq_add32(&s.waiters, 1)
        traffic_flush_now(s)
        zq_sub32(&s.waiters, 1)
        if not s.wake_open or zq_load32(&s.news) != news or s.r.ready != NULL or s.r.current != NULL \
                or msgring_count(&s.r.upward):
            return 1
    if me == NULL and not s.leader and not s.reader_is_reactor and _read_large(s):
        return 1                  # a member's loop has others to serve
    if not _should_spin(s, &budget):
        return 0
    if watch_begin(&w, s, want, fds) < 0:
        return 1
    now = zq_now_ns()
    if deadline >= 0 and now + budget > deadline:
        budget = deadline - now
    zq_unlock(&s.lock)
    paid = _spin(s, &w, now + budget, me)
    zq_lock(&s.lock)
    if paid:
        s.spin_score += (256 - s.spin_score) // 4
    else:
        s.spin_score -= s.spin_score // 4
    fds[0].revents = <short>POLLIN if zq_load32(&s.wake_raised) else 0
    fds[1].revents = 0
    watch_end(&w, fds)
    return 1


cdef bint _park_begin(watch* w) noexcept nogil:
    """[lock] Nothing but a wake-up can end this wait: sleep on a word, where that is possible."""
    cdef sock* s = w.s
    if not ZQ_CAN_PARK or w.n != 1 or zq_load32(&s.parked) & PARKED_COUNT == PARKED_COUNT:
        return False
    w.ticket = zq_add32(&s.parked, 1)
    w.parks = True
    zq_sub32(&s.pollers, 1)
    return True


cdef int _park(watch* w, int64_t deadline) noexcept nogil:
    """Without the lock: 1 woken, 0 the deadline is past, -EAGAIN look again, -EINTR."""
    cdef uint32_t* word = &w.s.parked
    cdef uint32_t now
    cdef int64_t left = -1
    cdef int rc = 0
    while True:
        now = zq_load32(word)
        if (now ^ w.ticket) & ~PARKED_COUNT:
            return 1
        if rc == 0 and _news(w.s):
            rc = -EAGAIN      # from somebody who took us for a poller still
        if rc < 0:
            # Nobody has woken us: take ourselves off the count.
            if zq_cas32(word, now, now - 1):
                return 0 if rc == -ETIMEDOUT else rc
            continue
        if deadline >= 0:
            left = deadline - zq_now_ns()
            if left < 0:
                left = 0
        rc = zq_park(word, now, left)


cdef int wait_one(sock* s, int want, int64_t deadline, const sigset_t* mask) noexcept nogil:
    cdef pollfd fds[2]
    cdef watch w
    cdef int64_t left = -1
    cdef int rc
    if traffic_flush_now(s):
        return 0                  # the lock was let go meanwhile, and there may be room now
    rc = watch_begin(&w, s, want, fds)
    if rc < 0:
        return 0 if rc == -EAGAIN else rc
    if mask == NULL and _park_begin(&w):
        zq_unlock(&s.lock)
        rc = _park(&w, deadline)
        if zq_load32(&s.wake_raised):
            fds[0].revents = <short>POLLIN
    else:
        zq_unlock(&s.lock)
        if deadline >= 0:
            left = deadline - zq_now_ns()
            if left < 0:
                left = 0
        rc = zq_ppoll(fds, w.n, left, mask)
    zq_lock(&s.lock)
    watch_end(&w, fds)
    if w.in_vain:
        # Whom the signal is for has no CPU yet: ours, perhaps.
        zq_unlock(&s.lock)
        zq_sleep_ns(PASS_ON)
        zq_lock(&s.lock)
    if rc == 0:
        return -EAGAIN
    return -EINTR if rc == -EINTR else 0
