"""Proxies: moving messages between sockets without Python.

A proxy is an ordinary user of its sockets: the same locks, the same waits, the same end when the context is terminated.
It moves whole messages, a bounded number per side and turn, and holds no lock of one socket while it has another's.
Sources: zmq_proxy(3), zmq_proxy_steerable(3); monitored queues are pyzmq's, their behaviour was observed.
"""

from libc.errno cimport EAGAIN, ENOMEM
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from .border cimport check_signals_masked, refuse, restore_signals
from .connection cimport READ_BUDGET
from .engine cimport sock
from .message cimport (MK_BLOCK, MK_OBJECT, MSG_MORE, release_drain, zmsg, zmsg_copy_bytes, zmsg_data, zmsg_init,
                       zmsg_release, zmsg_share, zmsg_size)
from .patterns cimport RECV_NONE, route_peek, route_pop, route_send
from .pipe cimport part
from .platform cimport pollfd, sigset_t, zq_load32, zq_lock, zq_ppoll, zq_unlock
from .socket_base cimport SocketBase
from .traffic cimport (sock_ref, sock_unref, traffic_before_send, traffic_flush_now, traffic_inbox, traffic_resume,
                       traffic_settle, wakes, wakes_run)
from .waiting cimport WAIT_IN, wait_progress, watch, watch_begin, watch_end

cdef enum:
    BURST = 1000              # messages one side moves before the other has its turn
    REP = 4                   # socket types, numbered as everywhere
    ROUTER = 6

cdef enum:
    ACTIVE = 0
    PAUSED = 1
    ENDED = 2

cdef struct parcel:           # one message on its way
    zmsg* parts
    uint32_t n
    uint32_t cap

cdef struct flow:             # one direction
    sock* source
    sock* target
    sock* capture
    const uint8_t* mark       # what the capture's copy begins with; NULL: the copy is all there is
    size_t mark_size
    bint swap                 # the first two parts change places: sender and receiver, between two ROUTERs
    parcel cargo              # received, and not sent yet because there was no room
    parcel copy               # of the cargo, for the capture, which is told first
    bint full
    bint unheard              # the copy waits for room
    uint64_t messages
    uint64_t bytes


cdef void _unload(parcel* c) noexcept nogil:
    cdef uint32_t k
    for k in range(c.n):
        zmsg_release(&c.parts[k])
    c.n = 0


cdef int _take(sock* s, parcel* c, uint64_t* nbytes) noexcept nogil:
    """[lock] One whole message out of s: 1, 0 nothing there, negative errno."""
    cdef part p
    cdef zmsg* bigger
    cdef zmsg* m
    cdef int rc
    while True:
        rc = route_peek(&s.r, &p)
        if rc <= 0:
            return 1 if c.n and rc == 0 else rc
        if c.n == c.cap:
            bigger = <zmsg*>realloc(c.parts, (c.cap * 2 + 4) * sizeof(zmsg))
            if bigger == NULL:
                return -ENOMEM
            c.parts = bigger
            c.cap = c.cap * 2 + 4
        m = &c.parts[c.n]
        zmsg_init(m)
        if p.kind == MK_BLOCK or p.kind == MK_OBJECT:
            m.kind = p.kind
            m.body.ref.data = p.data
            m.body.ref.size = p.size
            m.body.ref.owner = p.owner
            route_pop(&s.r, &p, True)
        else:
            if zmsg_copy_bytes(m, p.data, p.size) < 0:
                return -ENOMEM
            route_pop(&s.r, &p, False)
        m.flags = p.flags & MSG_MORE
        nbytes[0] += p.size
        c.n += 1
        if not p.flags & MSG_MORE:
            return 1


cdef void _leave(sock* s, wakes* w) noexcept nogil:
    """[lock; let go of]"""
    traffic_resume(s)
    traffic_settle(s, w)
    zq_unlock(&s.lock)
    if w.n:
        wakes_run(w)


cdef int _enter(sock* s) noexcept nogil:
    zq_lock(&s.lock)
    if s.closed or zq_load32(&s.fatal):
        zq_unlock(&s.lock)
        return -1
    traffic_inbox(s)
    return 0


cdef int _send(sock* s, parcel* c) noexcept nogil:
    """The message into s: 0; -EAGAIN: no room; others: it cannot be sent at all. -1: the socket is of no use."""
    cdef wakes w
    cdef int rc
    w.n = 0
    if _enter(s) < 0:
        return -1
    traffic_before_send(s)
    rc = route_send(&s.r, c.parts, c.n, False)
    _leave(s, &w)
    return rc


cdef int _duplicate(flow* f) noexcept nogil:
    """The message in the cargo once more, behind the mark if there is one."""
    cdef parcel* twin = &f.copy
    cdef zmsg* bigger
    cdef uint32_t k
    cdef uint32_t n = f.cargo.n + (f.mark != NULL)
    if n > twin.cap:
        bigger = <zmsg*>realloc(twin.parts, n * sizeof(zmsg))
        if bigger == NULL:
            return -ENOMEM
        twin.parts = bigger
        twin.cap = n
    if f.mark != NULL:
        zmsg_init(&twin.parts[0])
        if zmsg_copy_bytes(&twin.parts[0], f.mark, f.mark_size) < 0:
            return -ENOMEM
        twin.parts[0].flags = MSG_MORE
        twin.n = 1
    for k in range(f.cargo.n):
        if zmsg_share(&twin.parts[twin.n], &f.cargo.parts[k], False) < 0:
            _unload(twin)
            return -ENOMEM
        twin.n += 1
    return 0


cdef void _swap(parcel* c) noexcept nogil:
    cdef zmsg first
    cdef uint8_t more
    if c.n < 2:
        return
    first = c.parts[0]
    more = c.parts[1].flags
    c.parts[0] = c.parts[1]
    c.parts[0].flags = first.flags
    c.parts[1] = first
    c.parts[1].flags = more


cdef int _pump(flow* f) noexcept nogil:
    """Move up to a burst: how many messages; negative: a socket is of no use any more."""
    cdef wakes w
    cdef int moved = 0
    cdef int rc
    cdef bint read = False
    w.n = 0
    while moved < BURST:
        if f.cargo.n == 0:
            if _enter(f.source) < 0:
                return -1
            rc = _take(f.source, &f.cargo, &f.bytes)
            if rc == 0 and not read:
                wait_progress(f.source, READ_BUDGET, NULL)
                read = True
                rc = _take(f.source, &f.cargo, &f.bytes)
            _leave(f.source, &w)
            if rc <= 0:
                return moved
            f.messages += f.cargo.n
            read = False
            if f.swap:
                _swap(&f.cargo)
            if f.capture != NULL:
                _duplicate(f)     # without memory for it, it is not heard
        if f.copy.n:
            rc = _send(f.capture, &f.copy)
            if rc == -1:
                return -1
            if rc == -EAGAIN:
                f.unheard = True
                return moved
            f.unheard = False
            _unload(&f.copy)
        rc = _send(f.target, &f.cargo)
        if rc == -1:
            return -1
        if rc == -EAGAIN:
            f.full = True
            return moved
        f.full = False
        _unload(&f.cargo)
        moved += 1
    return moved


cdef class Proxy:
    """The state of a running proxy; `run` returns when it ends."""
    cdef flow ahead
    cdef flow back
    cdef sock* control
    cdef bint one_way         # one socket at both ends
    cdef int state
    cdef uint64_t sent_ahead, sent_back, sent_bytes_ahead, sent_bytes_back
    cdef bytes mark_ahead, mark_back

    def __cinit__(self, SocketBase frontend, SocketBase backend, capture, control):
        memset(&self.ahead, 0, sizeof(flow))
        memset(&self.back, 0, sizeof(flow))
        self.ahead.source = self.back.target = _held(frontend)
        self.back.source = self.ahead.target = _held(backend)
        if capture is not None:
            self.ahead.capture = self.back.capture = _held(capture)
        if control is not None:
            self.control = _held(control)
        self.one_way = frontend.s == backend.s

    def __dealloc__(self):
        _unload(&self.ahead.cargo)
        _unload(&self.ahead.copy)
        _unload(&self.back.cargo)
        _unload(&self.back.copy)
        free(self.ahead.cargo.parts)
        free(self.ahead.copy.parts)
        free(self.back.cargo.parts)
        free(self.back.copy.parts)
        if self.ahead.source != NULL:
            sock_unref(self.ahead.source)
        if self.back.source != NULL:
            sock_unref(self.back.source)
        if self.ahead.capture != NULL:
            sock_unref(self.ahead.capture)
        if self.control != NULL:
            sock_unref(self.control)

    cdef mark(self, bytes ahead, bytes back):
        """Tell the two directions apart in what is captured, and let a ROUTER reach the peers of another ROUTER."""
        self.mark_ahead = ahead
        self.mark_back = back
        self.ahead.mark = <const uint8_t*><const char*>ahead
        self.ahead.mark_size = len(ahead)
        self.back.mark = <const uint8_t*><const char*>back
        self.back.mark_size = len(back)
        self.ahead.swap = self.back.swap = (
            self.ahead.source.type == ROUTER and self.back.source.type == ROUTER and not self.one_way)

    cdef int _command(self) except -2:
        """What the control socket says: 1 when something was heard, -1 when it is of no use any more."""
        cdef parcel c
        cdef uint64_t nbytes = 0
        cdef wakes w
        cdef int rc
        cdef bytes word
        w.n = 0
        memset(&c, 0, sizeof(c))
        with nogil:
            rc = _enter(self.control)
            if rc == 0:
                rc = _take(self.control, &c, &nbytes)
                if rc == 0:
                    wait_progress(self.control, READ_BUDGET, NULL)
                    rc = _take(self.control, &c, &nbytes)
                _leave(self.control, &w)
        if rc <= 0:
            return rc
        word = (<const char*>zmsg_data(&c.parts[0]))[:zmsg_size(&c.parts[0])]
        _unload(&c)
        free(c.parts)
        if word == b"PAUSE":
            self.state = PAUSED
        elif word == b"RESUME":
            self.state = ACTIVE
        elif word == b"TERMINATE":
            self.state = ENDED
        if word == b"STATISTICS":
            # frontend: received, sent; backend: received, sent (zmq_proxy_steerable(3))
            self._answer([self.ahead.messages, self.ahead.bytes, self.sent_back, self.sent_bytes_back,
                          self.back.messages, self.back.bytes, self.sent_ahead, self.sent_bytes_ahead])
        else:
            self._answer(None)
        return 1

    cdef _answer(self, numbers):
        """A REP has to answer, whatever it was asked; the others only a question."""
        cdef parcel c
        cdef uint32_t k
        cdef uint64_t v
        if numbers is None and self.control.type != REP:
            return
        memset(&c, 0, sizeof(c))
        c.n = 8 if numbers is not None else 1
        c.parts = <zmsg*>calloc(c.n, sizeof(zmsg))
        if c.parts == NULL:
            raise MemoryError
        for k in range(c.n):
            zmsg_init(&c.parts[k])
            if numbers is not None:
                v = numbers[k]
                zmsg_copy_bytes(&c.parts[k], <const uint8_t*>&v, 8)
            else:
                zmsg_copy_bytes(&c.parts[k], b"", 0)
        with nogil:
            _send(self.control, &c)
            _unload(&c)
            free(c.parts)

    cdef int _sleep(self) except -2:
        """Until one of the sockets has something to do."""
        cdef watch[4] ws
        cdef pollfd[8] fds
        cdef int[4] at
        cdef sock* who[4]
        cdef int[4] want
        cdef parcel* stuck[4]     # the message that waits for room there
        cdef bint* waits[4]       # and where that is noted
        cdef wakes w
        cdef int n = 0
        cdef int nfds = 0
        cdef int k, rc
        cdef int news = 0
        cdef bint masked
        cdef sigset_t old
        if self.state == ACTIVE:
            who[n] = self.ahead.source
            want[n] = 0 if self.ahead.full or self.ahead.unheard else WAIT_IN
            stuck[n] = &self.back.cargo if self.back.full else NULL
            waits[n] = &self.back.full
            if self.one_way and self.ahead.full:
                stuck[n] = &self.ahead.cargo
                waits[n] = &self.ahead.full
            n += 1
            if not self.one_way:
                who[n] = self.back.source
                want[n] = 0 if self.back.full or self.back.unheard else WAIT_IN
                stuck[n] = &self.ahead.cargo if self.ahead.full else NULL
                waits[n] = &self.ahead.full
                n += 1
            if self.ahead.unheard or self.back.unheard:
                who[n] = self.ahead.capture
                want[n] = 0
                stuck[n] = &self.ahead.copy if self.ahead.unheard else &self.back.copy
                waits[n] = &self.ahead.unheard if self.ahead.unheard else &self.back.unheard
                n += 1
        if self.control != NULL:
            who[n] = self.control
            want[n] = WAIT_IN
            stuck[n] = NULL
            n += 1
        w.n = 0
        masked = check_signals_masked(&old)
        try:
            with nogil:
                for k in range(n):
                    zq_lock(&who[k].lock)
                    if traffic_flush_now(who[k]):
                        news = 1
                    ws[k].s = NULL
                    if who[k].closed or zq_load32(&who[k].fatal):
                        news = -1
                    elif news == 0:
                        if _something(who[k], want[k], stuck[k], waits[k]):
                            news = 1
                        else:
                            rc = watch_begin(&ws[k], who[k], want[k], &fds[nfds])
                            at[k] = nfds
                            if rc < 0:
                                ws[k].s = NULL
                                news = 1
                            else:
                                nfds += rc
                    _leave(who[k], &w)
                if news == 0:
                    rc = zq_ppoll(fds, nfds, -1, &old if masked else NULL)
                for k in range(n):
                    if ws[k].s != NULL:
                        zq_lock(&who[k].lock)
                        watch_end(&ws[k], &fds[at[k]])
                        zq_unlock(&who[k].lock)
        finally:
            if masked:
                restore_signals(&old)
        return news

    def run(self):
        """Move messages until TERMINATE comes, or a socket is closed or terminated, which is raised."""
        cdef int a, b
        cdef int idle
        while self.state != ENDED:
            a = b = 0
            if self.state == ACTIVE:
                with nogil:
                    a = _pump(&self.ahead)
                    if not self.one_way and a >= 0:
                        b = _pump(&self.back)
                self._count()
                if a < 0 or b < 0:
                    self._refuse()
            release_drain()
            idle = a == 0 and b == 0
            if self.control != NULL:
                while True:
                    a = self._command()
                    if a <= 0:
                        break
                    idle = False
                if a < 0 and (self.control.closed or zq_load32(&self.control.fatal)):
                    refuse(self.control)
            if idle and self.state != ENDED and self._sleep() < 0:
                self._refuse()

    cdef _count(self):
        # what has left: all that was received, but for the message that waits for room
        cdef uint64_t waiting_bytes
        cdef uint32_t k
        waiting_bytes = 0
        for k in range(self.ahead.cargo.n):
            waiting_bytes += zmsg_size(&self.ahead.cargo.parts[k])
        self.sent_ahead = self.ahead.messages - self.ahead.cargo.n
        self.sent_bytes_ahead = self.ahead.bytes - waiting_bytes
        waiting_bytes = 0
        for k in range(self.back.cargo.n):
            waiting_bytes += zmsg_size(&self.back.cargo.parts[k])
        self.sent_back = self.back.messages - self.back.cargo.n
        self.sent_bytes_back = self.back.bytes - waiting_bytes

    cdef _refuse(self):
        if _useless(self.ahead.source):
            refuse(self.ahead.source)
        if _useless(self.back.source):
            refuse(self.back.source)
        if self.ahead.capture != NULL and _useless(self.ahead.capture):
            refuse(self.ahead.capture)
        if self.control != NULL and _useless(self.control):
            refuse(self.control)


cdef bint _useless(sock* s) noexcept:
    return s.closed or zq_load32(&s.fatal) != 0


cdef sock* _held(SocketBase socket) except NULL:
    socket._enter()
    zq_unlock(&socket.s.lock)
    sock_ref(socket.s)
    return socket.s


cdef bint _something(sock* s, int want, parcel* stuck, bint* waits) noexcept nogil:
    """[lock] There is something to do at once: input, or room for the very message that waits for it (that a socket could
    take some message says little: to whom this one goes may be settled)."""
    cdef part p
    traffic_before_send(s)
    if stuck != NULL and route_send(&s.r, stuck.parts, stuck.n, False) != -EAGAIN:
        waits[0] = False
        _unload(stuck)
        return True
    return want & WAIT_IN and s.row.recv != RECV_NONE and route_peek(&s.r, &p) == 1


def proxy(SocketBase frontend not None, SocketBase backend not None, SocketBase capture=None):
    """Pass messages between two sockets, both ways, until one is closed or its context terminated.

    Args:
        frontend, backend: the sockets; the same one twice makes it a reflector.
        capture: gets a copy of each message before it is sent on. One that has no room, and is not of a type that drops
            messages then, holds up the message.

    Raises:
        ContextTerminated; ZMQError: ENOTSOCK.  What a signal's handler raises.

    Source: zmq_proxy(3).
    """
    Proxy(frontend, backend, capture, None).run()
    return 0


def proxy_steerable(SocketBase frontend not None, SocketBase backend not None, SocketBase capture=None,
                    SocketBase control=None):
    """A proxy that listens to a control socket (PAIR, SUB or REP): PAUSE, RESUME, TERMINATE, STATISTICS.

    STATISTICS is answered with eight parts of 64-bit unsigned integers in this machine's byte order: parts and bytes
    received from the frontend, sent to the frontend, received from the backend, sent to the backend.

    Returns 0 when TERMINATE was said.  Raises as `proxy`.

    Source: zmq_proxy_steerable(3).
    """
    Proxy(frontend, backend, capture, control).run()
    return 0


def monitored_queue(SocketBase in_socket not None, SocketBase out_socket not None, SocketBase mon_socket not None,
                    bytes in_prefix not None=b"in", bytes out_prefix not None=b"out"):
    """A proxy whose monitor can tell which way a message went.

    Between two ROUTERs the first two parts of each message change places: a peer addresses a peer of the other side, as
    a ROUTER would, and is named as the sender there.

    Args:
        in_socket, out_socket: the sockets; the same one twice makes it a reflector, whose messages come from "in".
        mon_socket: gets a copy of each message as it is sent on, as the capture of `proxy` does.
        in_prefix: first part of copies of what came from `in_socket`.
        out_prefix: first part of copies of what came from `out_socket`.

    Raises:
        ContextTerminated; ZMQError: ENOTSOCK.  What a signal's handler raises.
    """
    cdef Proxy running = Proxy(in_socket, out_socket, mon_socket, None)
    running.mark(in_prefix, out_prefix)
    running.run()
    return 0
