"""The lease's transitions; see lease.pxd."""

from libc.stdint cimport int64_t, uint64_t

from .connection cimport READ_BUDGET
from .engine cimport LEASE_ARMED, LEASE_DORMANT, LEASE_NONE, LEASE_PARKED, DUE_GRAVES, session, sock
from .patterns cimport EAGER
from .platform cimport ticks_per_us, zq_lock, zq_ticks, zq_trylock_spin, zq_unlock
from .poller cimport poll_event, poller_wait
from .reactor cimport (POLL_IN, POLL_ONESHOT, handle, handle_init, handle_remove, handle_set, reactor_now,
                       reactor_retry, timer, timer_cancel, timer_init, timer_set)
from .thrift cimport thrift_round
from .traffic cimport (sock_post, sock_wake, sock_wants_wake, traffic_before_send, traffic_let_end, traffic_read,
                       traffic_settle, wakes, wakes_run)

cdef enum:
    TICK_FIRST = 2000000      # ns
    TICK_MAX = 32000000
    TICKS_TO_SLEEP = 6        # ticks without a call, the application waiting, until DORMANT
    TICKS_OUTSIDE = 24        # ticks without a call, watched from outside, until ARMED: about a second
    RETRY = 50000             # ns until the next try for a lock
    GLANCE_US = 1000          # between two looks of a sender


cdef inline int64_t _with_others(sock* s) noexcept nogil:
    """When all sockets tick that are not in a hurry: a hundred ticks at a hundred times would cost more than what they
    look after."""
    return (reactor_now(s.rx) // TICK_MAX + 2) * TICK_MAX


cdef void _tick_for_thrift(sock* s) noexcept nogil:
    if s.thrift_first == NULL:
        timer_cancel(s.rx, &s.tick)
    elif s.tick.pos == 0:
        timer_set(s.rx, &s.tick, _with_others(s))


cdef void _arm(sock* s) noexcept nogil:
    s.lease = LEASE_ARMED
    s.touch_seen = s.touch
    _tick_for_thrift(s)
    if s.set.fd >= 0:
        handle_set(s.rx, &s.set_handle, POLL_IN | POLL_ONESHOT)


cdef void _tick_in(sock* s, int64_t ns) noexcept nogil:
    cdef int64_t most
    if s.opt.heartbeat_ivl > 0:
        # a peer's PING must not wait: look in at least four times in our own interval
        most = <int64_t>s.opt.heartbeat_ivl * 250000
        if ns > most:
            ns = most
    s.tick_ns = ns
    if ns == TICK_MAX and s.outside:
        timer_set(s.rx, &s.tick, _with_others(s))
        return
    # Ticks of many sockets come together.
    timer_set(s.rx, &s.tick, (reactor_now(s.rx) + ns + TICK_FIRST - 1) // TICK_FIRST * TICK_FIRST)


cdef void _park(sock* s) noexcept nogil:
    s.lease = LEASE_PARKED
    s.touch_seen = s.touch
    s.idle_ticks = 0
    if s.took_over or s.tick_first == 0:
        s.tick_first = TICK_FIRST
    elif s.tick_first < TICK_MAX:
        s.tick_first *= 2         # it was given back before there was anything to do
    s.took_over = False
    _tick_in(s, TICK_MAX if s.outside and not s.leader else s.tick_first)


cdef void _read_ready(sock* s) noexcept nogil:
    """Read every connection that has something, then tell those who wait for it."""
    cdef poll_event ev[64]
    cdef wakes w
    cdef session* n
    cdef int k
    cdef int count
    if s.leader:
        return
    w.n = 0
    s.leader = True
    s.reads += 1
    zq_unlock(&s.lock)
    count = poller_wait(&s.set, ev, 64, 0)
    zq_lock(&s.lock)
    for k in range(count if count > 0 else 0):
        n = <session*>ev[k].tag
        traffic_read(s, n, READ_BUDGET)
    # Until here nobody frees what the events name, though the lock was let go of.
    s.leader = False
    s.reads -= 1
    if s.graves != NULL:
        sock_post(s, DUE_GRAVES)
    traffic_settle(s, &w)
    if sock_wants_wake(s):
        sock_wake(s)
    zq_unlock(&s.lock)
    wakes_run(&w)
    zq_lock(&s.lock)


cdef void lease_look(sock* s) noexcept nogil:
    if s.lease == LEASE_NONE:
        return
    if not s.reader_is_reactor and (s.leader or s.outside or s.touch != s.touch_seen):
        if s.lease != LEASE_PARKED:
            _park(s)
        return
    s.took_over = True
    _read_ready(s)
    _arm(s)


cdef void _on_set(handle* h, int revents) noexcept nogil:
    cdef sock* s = <sock*>h.owner
    if not zq_trylock_spin(&s.lock):
        s.todo_retry = True
        reactor_retry(s.rx, &s.job, RETRY)
        return
    lease_look(s)
    zq_unlock(&s.lock)


cdef void _on_tick(timer* t, int64_t now) noexcept nogil:
    cdef sock* s = <sock*>t.owner
    if not zq_trylock_spin(&s.lock):
        timer_set(s.rx, t, now + RETRY)
        return
    if s.lease == LEASE_ARMED:
        if thrift_round(s, False):
            timer_set(s.rx, t, _with_others(s))
    elif s.lease == LEASE_PARKED:
        if s.touch != s.touch_seen:
            s.touch_seen = s.touch
            s.idle_ticks = 0
            _tick_in(s, s.tick_ns * 2 if s.tick_ns * 2 < TICK_MAX else TICK_MAX)
            if s.tick_ns == TICK_MAX:
                thrift_round(s, False)
        elif s.leader:
            s.idle_ticks += 1
            if s.idle_ticks >= TICKS_TO_SLEEP:
                s.lease = LEASE_DORMANT
                thrift_round(s, True)
            else:
                _tick_in(s, s.tick_ns * 2 if s.tick_ns * 2 < TICK_MAX else TICK_MAX)
        elif s.outside and s.idle_ticks < TICKS_OUTSIDE:
            # Asleep, and then there is nothing to read; or busy, and then it is read here.
            s.idle_ticks += 1
            _read_ready(s)
            _tick_in(s, TICK_MAX)
        else:
            _read_ready(s)
            _arm(s)
    zq_unlock(&s.lock)


cdef void lease_start(sock* s) noexcept nogil:
    if s.lease == LEASE_ARMED:
        _tick_for_thrift(s)
    if s.lease != LEASE_NONE or s.set.fd < 0:
        return                    # without a descriptor for the set the sessions see to their own input
    handle_init(&s.set_handle, s.set.fd, _on_set, s)
    timer_init(&s.tick, _on_tick, s)
    if s.leader or s.outside:
        _park(s)
    else:
        _arm(s)


cdef void lease_back(sock* s) noexcept nogil:
    if s.lease == LEASE_PARKED and s.tick.pos == 0:
        _park(s)


cdef void lease_take_over(sock* s) noexcept nogil:
    if s.lease != LEASE_NONE and s.lease != LEASE_ARMED:
        _read_ready(s)
        _arm(s)


cdef void lease_before_send(sock* s) noexcept nogil:
    if s.row.traits & EAGER:
        _glance(s)
    traffic_before_send(s)


cdef void _glance(sock* s) noexcept nogil:
    # What a subscriber said before this call should count for it, though the reactor had no time yet to wake up for it.
    cdef uint64_t now = zq_ticks()
    if now - s.glanced <= GLANCE_US * ticks_per_us():
        return
    if s.reads:
        traffic_let_end(s, &s.reads)
    elif s.lease == LEASE_ARMED and s.set_open and s.set.fd >= 0:
        _read_ready(s)
    else:
        return
    s.glanced = now


cdef void lease_stop(sock* s) noexcept nogil:
    if s.lease == LEASE_NONE:
        return
    s.lease = LEASE_NONE
    timer_cancel(s.rx, &s.tick)
    handle_remove(s.rx, &s.set_handle)
