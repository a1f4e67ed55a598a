"""PING, PONG and the time to live; peers that are too slow; see heartbeat.pxd."""

from libc.errno cimport ETIMEDOUT
from libc.stdint cimport int64_t, uint16_t, uint8_t

from .connection cimport WIRE_RAW, conn_control
from .engine cimport session, sock
from .platform cimport zq_lock, zq_now_ns, zq_unlock
from .reactor cimport timer, timer_cancel, timer_init, timer_set
from .traffic cimport session_failed, traffic_write
from .zmtp cimport ZMTP_3_0, put_ping

cdef enum:
    TTL_MOST = 65000          # ms: libzmq's peers keep a longer one modulo 65.5 s, and would end a good connection


cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, int* out)
    unsigned long FIONREAD


cdef bint _bytes_wait(int fd) noexcept nogil:
    cdef int n = 0
    return ioctl(fd, FIONREAD, &n) == 0 and n > 0


cdef void _on_beat(timer* t, int64_t now) noexcept nogil:
    cdef session* n = <session*>t.owner
    cdef sock* s = n.s
    cdef uint8_t ping[16]
    cdef int64_t ivl, timeout, ttl
    cdef int64_t due = -1
    cdef int error = 0
    cdef int told
    zq_lock(&s.lock)
    if n.c.closing or n.p == NULL:
        zq_unlock(&s.lock)
        return
    ivl = <int64_t>s.opt.heartbeat_ivl * 1000000
    timeout = <int64_t>s.opt.heartbeat_timeout * 1000000
    if timeout < 0:
        timeout = ivl
    ttl = <int64_t>n.c.peer_ttl * 100000000
    if n.p.inn.rx_bytes != n.c.rx_seen or _bytes_wait(n.c.fd):
        n.c.rx_seen = n.p.inn.rx_bytes
        n.c.ping_sent = 0
        n.c.ttl_due = now + ttl if ttl else 0
    if n.c.ping_sent and timeout and now - n.c.ping_sent >= timeout:
        error = -ETIMEDOUT
    if ttl:
        if n.c.ttl_due == 0:
            n.c.ttl_due = now + ttl
        if now >= n.c.ttl_due:
            error = -ETIMEDOUT
        due = n.c.ttl_due
    if error == 0 and ivl > 0 and n.c.dialect >= ZMTP_3_0:
        if n.next_ping <= now:
            told = s.opt.heartbeat_ttl if s.opt.heartbeat_ttl < TTL_MOST else TTL_MOST
            if conn_control(&n.c, ping, put_ping(ping, <uint16_t>(told // 100))) == 0:
                traffic_write(s, n)
            if n.c.ping_sent == 0:
                n.c.ping_sent = now
            n.next_ping = now + ivl
        if due < 0 or n.next_ping < due:
            due = n.next_ping
        if n.c.ping_sent and timeout and n.c.ping_sent + timeout < due:
            due = n.c.ping_sent + timeout
    if error:
        session_failed(s, n, error)
    zq_unlock(&s.lock)
    if error == 0 and due >= 0:
        timer_set(s.rx, t, due)


cdef void heartbeat_mind(session* n) noexcept nogil:
    if n.active and not n.c.closing and n.c.peer_ttl and n.c.ttl_due == 0:
        n.c.ttl_due = zq_now_ns() + <int64_t>n.c.peer_ttl * 100000000
        n.c.rx_seen = n.p.inn.rx_bytes
        if n.beat.pos == 0 or n.beat.due_ns > n.c.ttl_due:
            timer_set(n.s.rx, &n.beat, n.c.ttl_due)


cdef void _on_slow(timer* t, int64_t now) noexcept nogil:
    cdef session* n = <session*>t.owner
    cdef sock* s = n.s
    zq_lock(&s.lock)
    if not n.c.closing and n.p != NULL and n.p.out.behind:
        if n.p.out.caught_up == n.slow_round:
            session_failed(s, n, -ETIMEDOUT)
        else:
            n.slow_round = n.p.out.caught_up
            timer_set(s.rx, t, now + n.p.out.lim.after_ns)
    zq_unlock(&s.lock)


cdef void heartbeat_slow(session* n) noexcept nogil:
    if n.active and not n.c.closing and n.p.out.behind and n.slow.pos == 0:
        n.slow_round = n.p.out.caught_up
        timer_set(n.s.rx, &n.slow, zq_now_ns() + n.p.out.lim.after_ns)


cdef void heartbeat_init(session* n) noexcept nogil:
    timer_init(&n.beat, _on_beat, n)
    timer_init(&n.slow, _on_slow, n)


cdef void heartbeat_start(session* n) noexcept nogil:
    cdef int64_t ivl
    if n.c.dialect < ZMTP_3_0 or n.c.wire == WIRE_RAW:
        return
    zq_lock(&n.s.lock)
    ivl = n.s.opt.heartbeat_ivl
    zq_unlock(&n.s.lock)
    if ivl > 0:
        timer_set(n.s.rx, &n.beat, zq_now_ns() + ivl * 1000000)


cdef void heartbeat_stop(session* n) noexcept nogil:
    timer_cancel(n.s.rx, &n.beat)
    timer_cancel(n.s.rx, &n.slow)
