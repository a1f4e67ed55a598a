"""What every socket of a Python program has besides messages: its life, its endpoints, its options, its books."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EADDRINUSE, EFAULT, EHOSTUNREACH, EINVAL, EMFILE, EPROTONOSUPPORT
from libc.limits cimport INT_MAX, INT_MIN
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from .border cimport fail, fail_text, lock_py, refuse
from .connection cimport GIL_BUDGET
from .endpoints cimport WHY_MAX, endpoint_bind, endpoint_connect, endpoint_leave
from .engine cimport member, sock
from .errno_zmq cimport ENOTSUP
from .lifecycle cimport sock_close, sock_export_fd, sock_new, sock_signal_seen
from .message cimport release_drain, release_pending
from .monitor cimport EVENT_MONITOR_STOPPED, monitor_emit
from .option_table cimport OPT_EFFECT_CURVE_CLIENT, OPT_EFFECT_CURVE_SERVER
from .options cimport (OPT_KIND_BYTES, OPT_KIND_INT64, OPT_SPECIAL, OPT_TYPE_BYTES, OPT_TYPE_INT, option_find,
                       option_row, option_value, options_get, options_set)
from .patience cimport sock_read_apart, sock_settle
from .patterns cimport (RECV_NONE, SEND_NONE, WRAP_GROUP, WRAP_NUMBER, WRAP_TOPICS, EAGER, THREAD_SAFE_TYPE,
                        route_can_send, route_peek)
from .pipe cimport part
from .platform cimport generation_word, zq_load32, zq_lock, zq_unlock
from .pubsub cimport fanout_manual, own_group, own_subscribe
from .routing cimport peer, routing_by_serial, routing_dirty
from .peers cimport peer_limits
from .subscriptions cimport fantree_topics, subtree_count
from .traffic cimport sock_ref, sock_unref, sock_wake, traffic_inbox
from .waiting cimport wait_progress
from .zmtp cimport TYPE_PAIR, TYPE_PEER

from weakref import ref

from zcore.errors import make_error
from zcore.sodium import load as load_sodium

cdef enum:
    CONFLATE = 54

cdef uint32_t* _generation = generation_word()


cdef inline bint _unusable(sock* s) noexcept:
    """[lock]"""
    return s.closed or zq_load32(&s.fatal) != 0


cdef class SocketBase:
    """A socket of the engine; see `pyzq.Socket`."""

    def __cinit__(self, *args, **kwargs):
        self.s = NULL

    def __init__(self, context, int socket_type=-1, copy_threshold=None):
        cdef SocketBase other
        cdef Context parent
        cdef int error = 0
        self.copy_threshold = copy_threshold
        if isinstance(context, SocketBase):
            other = context
            if other.s == NULL:
                raise make_error(EFAULT, "the socket is not open")
            sock_ref(other.s)
            self.s = other.s
            self.shadowing = True
            self.original = other
            self.context = other.context
            return
        if not isinstance(context, Context):
            raise TypeError(f"a socket needs a Context, not {type(context).__name__}")
        parent = context
        parent._usable()
        self.s = sock_new(parent.x, socket_type, &error)
        if self.s == NULL:
            if error == -EINVAL:
                fail(error, f"no socket type has the number {socket_type}")
            fail(error, "MAX_SOCKETS of the context is reached" if error == -EMFILE else "")
        self.context = context
        parent.members.add(ref(self, parent.members.discard))

    def __dealloc__(self):
        if self.s == NULL:
            return
        if self.s.generation == _generation[0]:
            if not self.shadowing:
                with nogil:
                    sock_close(self.s, -2)
            sock_unref(self.s)

    cdef int _enter(self) except -1:
        """Take the lock, or raise why the socket cannot be used."""
        if release_pending():
            release_drain()
        if self.s == NULL or self.s.generation != _generation[0]:
            refuse(self.s)
        lock_py(&self.s.lock)
        if _unusable(self.s):
            zq_unlock(&self.s.lock)
            refuse(self.s)
        return 0

    # --- life ----------------------------------------------------------------------------------------------

    @property
    def closed(self):
        """True when the socket was closed, or its context terminated."""
        return self.s == NULL or zq_load32(&self.s.closed) != 0 or self.s.generation != _generation[0]

    @property
    def underlying(self):
        """The address of the engine's socket."""
        return <size_t>self.s

    def close(self, linger=None):
        """Close the socket; never waits.  What it has accepted goes on in the background for as long as LINGER says.

        Args:
            linger: ms to set LINGER to first.
        """
        cdef int64_t ms = -2
        if self.s == NULL or zq_load32(&self.s.closed) or self.s.generation != _generation[0]:
            return
        if linger is not None:
            ms = linger
            if ms < 0:
                ms = -1
        with nogil:
            sock_close(self.s, ms)
        release_drain()

    # --- endpoints -----------------------------------------------------------------------------------------

    cdef int _endpoint(self, object addr, int what) except -1:
        cdef char[WHY_MAX] why
        cdef const char* text
        cdef size_t n
        cdef int rc
        if isinstance(addr, str):
            addr = addr.encode("utf-8")
        if not isinstance(addr, bytes):
            raise TypeError(f"expected str, got: {addr!r}")
        self._enter()
        zq_unlock(&self.s.lock)
        why[0] = 0
        text = addr
        n = len(addr)
        with nogil:
            if what == 0:
                rc = endpoint_bind(self.s, text, n, why)
            elif what == 1:
                rc = endpoint_connect(self.s, text, n, why)
            else:
                rc = endpoint_leave(self.s, text, n, what == 2, why)
        if rc < 0:
            fail_text(rc, why)
        return 0

    def bind(self, addr):
        """Listen on an endpoint; see `pyzq.Socket.bind`."""
        self._endpoint(addr, 0)

    def connect(self, addr):
        """Connect to an endpoint; see `pyzq.Socket.connect`."""
        self._endpoint(addr, 1)

    def unbind(self, addr):
        """Undo a `bind`: the name it was given or the one that LAST_ENDPOINT said.

        Raises:
            ZMQError: ENOENT, the socket is not bound to it; EINVAL, EPROTONOSUPPORT for a malformed one.
        """
        self._endpoint(addr, 2)

    def disconnect(self, addr):
        """Undo a `connect`.  Errors as `unbind`."""
        self._endpoint(addr, 3)

    cdef int _group(self, object group, bint leave) except -1:
        cdef const char* name
        cdef size_t n
        cdef int rc
        if isinstance(group, str):
            group = group.encode("utf-8")
        if not isinstance(group, bytes):
            raise TypeError(f"a group is a str, not {type(group).__name__}")
        name = group
        n = len(group)
        self._enter()
        rc = -EINVAL
        if self.s.row.wrap == WRAP_GROUP:
            rc = own_group(&self.s.r, <const uint8_t*>name, n, leave)
        sock_settle(self.s)
        if rc < 0:
            if self.s.row.wrap != WRAP_GROUP:
                fail(rc, "only DISH sockets join groups")
            fail(rc, f"{group!r} is {'not joined' if leave else 'joined already'}, or longer than 255 bytes")
        return 0

    def join(self, group):
        """Receive messages of a group (DISH).

        Raises:
            ZMQError: EINVAL: a member already, a name above 255 bytes, or not a DISH.
        """
        self._group(group, False)

    def leave(self, group):
        """Receive messages of a group no more.  Errors as `join`, for one that is not a member."""
        self._group(group, True)

    def connect_peer(self, addr):
        """Connect a PEER socket.

        Returns:
            the routing id to send to the other side with; messages wait until it is there.

        Raises:
            what `connect` raises; ZMQError: ENOTSUP, not a PEER socket.
        """
        cdef uint32_t number = 0
        if self.s != NULL and self.s.type != TYPE_PEER:
            fail(-ENOTSUP, "only PEER sockets connect to one peer by number")
        self._endpoint(addr, 1)
        self._enter()
        if self.s.epts != NULL and self.s.epts.p != NULL:
            number = self.s.epts.p.routing_id
        zq_unlock(&self.s.lock)
        if number == 0:
            fail(-EHOSTUNREACH, "with IMMEDIATE a peer has no number before it is connected")
        return number

    def disconnect_peer(self, uint32_t routing_id):
        """Close the connection of the peer with this routing id (PEER, SERVER).

        Raises:
            ZMQError: EHOSTUNREACH, there is none; ENOTSUP, the type has no routing ids.
        """
        cdef peer* p
        self._enter()
        p = routing_by_serial(&self.s.r, routing_id) if self.s.row.wrap == WRAP_NUMBER else NULL
        if p != NULL:
            p.close_wanted = True
            routing_dirty(&self.s.r, p)
        sock_settle(self.s)
        if self.s.row.wrap != WRAP_NUMBER:
            fail(-ENOTSUP, "this type of socket has no routing ids")
        if p == NULL:
            fail(-EHOSTUNREACH, f"no peer has the routing id {routing_id}")

    # --- options -------------------------------------------------------------------------------------------

    cdef int _special(self, int option, const unsigned char* data, size_t size) except -1:
        """[lock; let go of] SUBSCRIBE and UNSUBSCRIBE."""
        cdef int rc = -EINVAL
        cdef bint cancel = option == 7
        if self.s.row.wrap == WRAP_TOPICS:
            rc = own_subscribe(&self.s.r, data, size, cancel)
        elif self.s.row.traits & EAGER:
            rc = fanout_manual(&self.s.r, data, size, cancel)
        sock_settle(self.s)
        if rc < 0:
            fail(rc, "")
        return 0

    def set(self, int option, value):
        """Set an option.

        Args:
            option: its number.
            value: int, or bytes (str is refused: see `set_string`).

        Raises:
            ZMQError: EINVAL for an unknown option, one that this type does not have, a value out of range; ENOTSUP for
                options of CURVE without PyNaCl.
            TypeError: the value is not of the option's type.
            OverflowError: an integer that does not fit the option's C type: 64 bits for a few options, 32 for the others.

        Source: zmq_setsockopt(3).
        """
        cdef const option_row* row = option_find(option)
        cdef int64_t number = 0
        cdef const unsigned char* data = NULL
        cdef size_t size = 0
        cdef int rc
        if option == 1:
            self.set(23, value)
            self.set(24, value)
            return
        if row != NULL and row.type == OPT_TYPE_BYTES:
            if isinstance(value, str):
                raise TypeError("unicode not allowed, use setsockopt_string")
            if value is not None:
                if not isinstance(value, bytes):
                    value = bytes(memoryview(value))
                data = value
                size = len(value)
        else:
            if isinstance(value, str):
                raise TypeError("unicode not allowed, use setsockopt_string")
            if not isinstance(value, int):
                raise TypeError(f"expected int, got: {value!r}")
            number = value
            if (row == NULL or row.type == OPT_TYPE_INT) and not INT_MIN <= number <= INT_MAX:
                raise OverflowError("value too large to convert to int")
        if row != NULL and row.effect >= OPT_EFFECT_CURVE_SERVER and row.effect <= OPT_EFFECT_CURVE_CLIENT:
            load_sodium()         # says so here, where there is somebody to hear it, when it cannot be had
        self._enter()
        if option == CONFLATE and number and (self.s.send_limits_set or self.s.recv_limits_set):
            zq_unlock(&self.s.lock)
            fail(-EINVAL, "the socket has a policy, of which CONFLATE is another; set_hwm_policy(send=DEFAULT, recv=DEFAULT) first")
        if row != NULL and row.type == OPT_TYPE_BYTES:
            rc = options_set(&self.s.opt, self.s.type, option, data, size, OPT_KIND_BYTES)
        else:
            rc = options_set(&self.s.opt, self.s.type, option, &number, sizeof(number), OPT_KIND_INT64)
        if rc == OPT_SPECIAL:
            self._special(option, data, size)
            return
        if rc == 0 and (option == 23 or option == 24):
            self._new_marks()
            sock_settle(self.s)
        else:
            zq_unlock(&self.s.lock)
        if rc < 0:
            if value is None:
                raise TypeError(f"expected bytes, got: {value!r}")
            from zcore.option_text import explain
            fail(rc, explain(option, self.s.type, value))

    cdef void _new_marks(self) noexcept:
        """[lock] SNDHWM and RCVHWM count for connections that are there, too."""
        cdef uint32_t i
        for i in range(self.s.r.npeers):
            peer_limits(self.s, self.s.r.peers[i])
        sock_wake(self.s)         # who waits for room may have it now

    def get(self, int option):
        """The value of an option: int or bytes.

        Raises:
            ZMQError: EINVAL for an unknown option, or one that can only be set or that this type does not have.

        Source: zmq_getsockopt(3).
        """
        cdef option_value v
        cdef int rc
        if option == 1:
            option = 23
        self._enter()
        rc = options_get(&self.s.opt, self.s.type, option, &v)
        if rc == OPT_SPECIAL:
            return self._answer(option)
        if rc == 0 and v.kind == OPT_KIND_BYTES:
            try:
                return PyBytes_FromStringAndSize(<const char*>v.data, v.size)
            finally:
                zq_unlock(&self.s.lock)
        zq_unlock(&self.s.lock)
        if rc < 0:
            from zcore.option_text import explain
            fail(rc, explain(option, self.s.type, setting=False))
        return v.number

    cdef object _answer(self, int option):
        """[lock; let go of] What is known only to the socket itself."""
        if option == 15:
            return self._events()
        try:
            if option == 13:      # RCVMORE
                return int(self.s.rcvmore)
            if option == 16:      # TYPE
                return self.s.type
            if option == 32:      # LAST_ENDPOINT
                return b"" if self.s.last_endpoint == NULL else <bytes>self.s.last_endpoint
            if option == 81:      # THREAD_SAFE
                return int(self.s.row.traits & THREAD_SAFE_TYPE != 0)
            if option == 116:     # TOPICS_COUNT
                if self.s.row.traits & EAGER:
                    return fantree_topics(&self.s.r.fans)
                return subtree_count(&self.s.r.own)
        finally:
            zq_unlock(&self.s.lock)
        if option == 14:          # FD
            return self.descriptor()
        from zcore.option_text import explain
        fail(-EINVAL, explain(option, self.s.type, setting=False))

    def descriptor(self):
        """The descriptor behind FD, of every type: for the adapters to event loops, which know how to use it."""
        cdef int fd
        self._enter()
        zq_unlock(&self.s.lock)
        with nogil:
            fd = sock_export_fd(self.s)
        if fd < 0:
            fail(fd, "no descriptor could be made")
        return fd

    cdef int _events(self) noexcept:
        """[lock; let go of] EVENTS: also what makes FD quiet until something happens again."""
        cdef sock* s = self.s
        cdef int events
        sock_signal_seen(s)
        traffic_inbox(s)
        s.touch += 1
        events = _events_of(s, self.me)
        sock_settle(s)
        return events

    # --- monitor -------------------------------------------------------------------------------------------

    def monitor(self, addr, int events=0xFFFF):
        """Tell what happens to connections over a PAIR that is bound to an inproc endpoint; None stops it.

        Raises:
            ZMQError: EINVAL, malformed; EPROTONOSUPPORT, the address is not inproc; EADDRINUSE.
            TypeError: the address is neither str nor bytes.

        Source: zmq_socket_monitor(3).
        """
        cdef sock* m
        cdef sock* old
        cdef int error = 0
        cdef int rc
        cdef char[WHY_MAX] why
        cdef const char* text
        cdef size_t n
        if addr is not None:
            if isinstance(addr, str):
                addr = addr.encode("utf-8")
            if not isinstance(addr, bytes):
                raise TypeError(f"a monitor's address is a str, not {type(addr).__name__}")
            if b"://" not in addr:
                fail(-EINVAL, "a monitor's address begins with inproc://")
            if not addr.startswith(b"inproc://"):
                fail(-EPROTONOSUPPORT, "monitors speak over inproc only")
        self._enter()
        zq_unlock(&self.s.lock)
        with nogil:
            monitor_emit(self.s, EVENT_MONITOR_STOPPED, 0, b"")
            zq_lock(&self.s.lock)
            old = self.s.monitor
            self.s.monitor = NULL
            zq_unlock(&self.s.lock)
            if old != NULL:
                sock_close(old, 0)
                sock_unref(old)
        if addr is None:
            return
        m = sock_new(self.s.x, TYPE_PAIR, &error)
        if m == NULL:
            fail(error)
        m.opt.sndhwm = 0
        m.opt.linger = 0
        text = addr
        n = len(addr)
        why[0] = 0
        with nogil:
            rc = endpoint_bind(m, text, n, why)
            if rc < 0:
                sock_close(m, 0)
                sock_unref(m)
        if rc < 0:
            fail_text(rc, why)
        lock_py(&self.s.lock)
        if not zq_load32(&self.s.closed) and self.s.monitor == NULL:
            self.s.monitor = m
            self.s.monitor_events = <uint64_t>events
            m = NULL
        zq_unlock(&self.s.lock)
        if m != NULL:             # closed, or monitored by another thread's call, meanwhile
            with nogil:
                sock_close(m, 0)
                sock_unref(m)
            self._enter()
            zq_unlock(&self.s.lock)
            fail(-EADDRINUSE, "another thread has begun to monitor this socket at the same moment")


cdef int _events_of(sock* s, member* me) noexcept:
    """[lock; let go of while it reads] POLLIN 1, POLLOUT 2."""
    cdef part p
    cdef int events = 0
    if s.row.recv != RECV_NONE:
        if route_peek(&s.r, &p) == 1:
            events = 1
        else:
            wait_progress(s, GIL_BUDGET, me)
            if s.heavy_left:
                sock_read_apart(s)
            if route_peek(&s.r, &p) == 1:
                events = 1
    if s.row.send != SEND_NONE and route_can_send(&s.r):
        events |= 2
    return events
