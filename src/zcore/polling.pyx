"""Waiting on many sockets and descriptors at once.

One file because a single poll and a Poller share what an item is and how it is looked at.
"""

cimport cython
from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free

from .border cimport check_signals_masked, fail, lock_py, refuse, restore_signals
from .connection cimport GIL_BUDGET
from .engine cimport member, sock, watcher
from .errno_zmq cimport ENOTSOCK
from .landing cimport land_large
from .patience cimport sock_read_apart, sock_settle
from .patterns cimport RECV_NONE, SEND_NONE, route_can_send, route_peek
from .pipe cimport part
from .platform cimport (POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, generation_word, pollfd, sigset_t,
                        zq_load32, zq_lock, zq_now_ns, zq_ppoll, zq_store32, zq_unlock, zq_xchg32)
from .socket_base cimport SocketBase
from .traffic cimport traffic_flush_now, traffic_inbox, sock_ref, sock_unref
from .waiting cimport WAIT_IN, wait_progress, watch, watch_begin, watch_end
from .watchers cimport (member_join, member_leave, member_unwatch, member_watch, watcher_collect, watcher_end, watcher_fd,
                        watcher_has_news, watcher_new, watcher_next, watcher_sleep)

from zcore.errors import ForkedSocket, make_error

cdef enum:
    IN = 1                    # zmq_poll's own bits
    OUT = 2
    ERR = 4
    PRI = 8

cdef struct item:
    sock* s                   # NULL: a descriptor
    member* m                 # of a Poller that lasts
    int fd
    int want
    int got
    watch w
    int at                    # its first descriptor


cdef int _look(item* it, bint progress) noexcept:
    """What is ready now; -1: the socket is of no use any more."""
    cdef sock* s = it.s
    cdef part p
    cdef int got = 0
    lock_py(&s.lock)
    if s.closed or zq_load32(&s.fatal):
        zq_unlock(&s.lock)
        return -1
    traffic_inbox(s)
    if it.want & IN and s.row.recv != RECV_NONE:
        s.touch += 1
        if route_peek(&s.r, &p) == 1:
            got = IN
            progress = False
    if progress and it.want & IN:
        if s.large != NULL:
            land_large(s)
        wait_progress(s, GIL_BUDGET, it.m)
        if s.heavy_left:
            sock_read_apart(s)
        if s.row.recv != RECV_NONE and route_peek(&s.r, &p) == 1:
            got = IN
    if it.want & OUT and s.row.send != SEND_NONE and route_can_send(&s.r):
        got |= OUT
    if s.flush != NULL:
        traffic_flush_now(s)
    sock_settle(s)
    return got


cdef short _to_poll(int want) noexcept nogil:
    return <short>((POLLIN if want & IN else 0) | (POLLOUT if want & OUT else 0) | (POLLPRI if want & PRI else 0))


cdef int _from_poll(int want, short revents) noexcept nogil:
    cdef int got = 0
    if revents & (POLLIN | POLLHUP):
        got |= IN
    if revents & POLLOUT:
        got |= OUT
    if revents & POLLPRI:
        got |= PRI
    if revents & (POLLERR | POLLNVAL):
        got |= ERR
    return got & (want | ERR)


cdef int _check(item* items, int n, bint progress) except -1:
    cdef int k, got
    cdef int ready = 0
    for k in range(n):
        if items[k].s == NULL:
            continue
        got = _look(&items[k], progress)
        if got < 0:
            refuse(items[k].s)
        items[k].got = got
        ready += got != 0
    return ready


cdef bint _ready_now(item* it) noexcept:
    """[lock] What the reactor or another thread has brought since the last look is in no descriptor any more."""
    cdef sock* s = it.s
    cdef part p
    return (it.want & IN and s.row.recv != RECV_NONE and route_peek(&s.r, &p) == 1) \
        or (it.want & OUT and s.row.send != SEND_NONE and route_can_send(&s.r))


cdef int _begin(item* items, int n, pollfd* fds) noexcept:
    """Announce the waits and list the descriptors: how many; -EAGAIN: somebody has news already."""
    cdef int k, rc
    cdef int at = 0
    cdef int news = 0
    for k in range(n):
        items[k].at = at
        if items[k].s == NULL:
            fds[at].fd = items[k].fd
            fds[at].events = _to_poll(items[k].want)
            fds[at].revents = 0
            at += 1
            continue
        items[k].w.s = NULL
        if news:
            continue
        lock_py(&items[k].s.lock)
        rc = -EAGAIN
        if not _ready_now(&items[k]):
            rc = watch_begin(&items[k].w, items[k].s, WAIT_IN if items[k].want & IN else 0, &fds[at])
        zq_unlock(&items[k].s.lock)
        if rc < 0:
            items[k].w.s = NULL
            news = rc
        else:
            at += rc
    return news if news else at


cdef void _end(item* items, int n, pollfd* fds) noexcept nogil:
    cdef int k
    for k in range(n):
        if items[k].s == NULL:
            items[k].got = _from_poll(items[k].want, fds[items[k].at].revents)
        elif items[k].w.s != NULL:
            zq_lock(&items[k].s.lock)
            watch_end(&items[k].w, &fds[items[k].at])
            zq_unlock(&items[k].s.lock)


cdef int _descriptors(item* items, int n, pollfd* fds) noexcept nogil:
    """Raw descriptors without waiting, together with sockets that are ready."""
    cdef int k
    cdef int at = 0
    cdef int ready = 0
    for k in range(n):
        if items[k].s == NULL:
            fds[at].fd = items[k].fd
            fds[at].events = _to_poll(items[k].want)
            fds[at].revents = 0
            at += 1
    if at == 0 or zq_ppoll(fds, at, 0, NULL) <= 0:
        return 0
    at = 0
    for k in range(n):
        if items[k].s == NULL:
            items[k].got = _from_poll(items[k].want, fds[at].revents)
            ready += items[k].got != 0
            at += 1
    return ready


cdef object _descriptor(obj):
    """What stands for an object that is no socket."""
    if isinstance(obj, int):
        return obj
    if not hasattr(obj, "fileno"):
        raise TypeError(f"Socket must be a 0MQ socket, an integer fd or have a fileno() method: {obj!r}")
    fd = obj.fileno()
    if not isinstance(fd, int):
        raise ValueError("fileno() must return a valid integer fd")
    return fd


def zmq_poll(sockets, long timeout=-1):
    """Wait until something is ready.

    Args:
        sockets: pairs of a socket, a descriptor, or an object with `fileno()`, and the events asked for.
        timeout: ms; negative waits for ever.

    Returns:
        a list of pairs of what is ready (a file as its descriptor) and its events; empty when the time is over.

    Raises:
        ContextTerminated, ZMQError(ENOTSOCK): of one of the sockets.
        TypeError: something that cannot be polled.

    Source: zmq_poll(3).
    """
    cdef list pairs = list(sockets)
    cdef int n = <int>len(pairs)
    cdef item* items
    cdef pollfd* fds
    cdef int k, ready, nfds
    cdef sigset_t old
    cdef bint masked
    cdef int64_t deadline = -1 if timeout < 0 else zq_now_ns() + <int64_t>timeout * 1000000
    cdef int64_t left = -1
    cdef list objects = []
    cdef bint first = True
    items = <item*>calloc(n + 1, sizeof(item))
    fds = <pollfd*>calloc(2 * n + 1, sizeof(pollfd))
    try:
        if items == NULL or fds == NULL:
            raise MemoryError
        for k in range(n):
            obj, want = pairs[k]
            items[k].want = want
            if isinstance(obj, SocketBase):
                if (<SocketBase>obj).closed:
                    refuse((<SocketBase>obj).s)
                sock_ref((<SocketBase>obj).s)
                items[k].s = (<SocketBase>obj).s
            else:
                items[k].fd = obj = _descriptor(obj)
            objects.append(obj)
        while True:
            ready = _check(items, n, True)
            ready += _descriptors(items, n, fds)
            if ready or timeout == 0:
                break
            if not first and deadline >= 0 and zq_now_ns() >= deadline:
                break
            first = False
            masked = check_signals_masked(&old)
            try:
                # the handlers of signals may have changed something
                if _check(items, n, False):
                    continue
                nfds = _begin(items, n, fds)
                if nfds >= 0:
                    if deadline >= 0:
                        left = deadline - zq_now_ns()
                        if left < 0:
                            left = 0
                    with nogil:
                        zq_ppoll(fds, nfds, left, &old if masked else NULL)
                        _end(items, n, fds)
                else:
                    with nogil:
                        _end(items, n, fds)
                    if nfds != -EAGAIN:
                        fail(nfds, "no descriptor for waiting could be made")
            finally:
                if masked:
                    restore_signals(&old)
        return [(objects[k], items[k].got) for k in range(n) if items[k].got]
    finally:
        if items != NULL:
            for k in range(n):
                if items[k].s != NULL:
                    sock_unref(items[k].s)
        free(items)
        free(fds)


cdef class PollerBase:
    """A set of sockets and descriptors to wait on; see `pyzq.Poller`.

    It keeps a watcher from its second poll on: a poll then costs by what there is to see, not by the number of sockets.
    Sockets' queues are looked at first; then the kernel is asked once for all of them, and descriptors of the program's
    go to poll(2) together with the watcher's.
    """
    cdef readonly list sockets      # pairs of the object and the events asked for
    cdef readonly dict _map         # object -> index in `sockets`
    cdef item* items                # as `sockets`, as of the last poll
    cdef int n
    cdef int nsockets               # of them; the others are descriptors
    cdef pollfd* fds                # the watcher's, then descriptors
    cdef list held                  # the objects of `items`
    cdef watcher* w
    cdef bint stale                 # `items` is not `sockets`
    cdef bint used                  # a poll has been made with these `sockets`
    cdef uint32_t busy              # atomic; a thread is polling, and has all from `items` to `w` to itself
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self.sockets = []
        self._map = {}
        self.held = []
        self.stale = True

    def __dealloc__(self):
        cdef int k
        if self.w != NULL:
            if self.w.set.generation == generation_word()[0]:
                for k in range(self.n):
                    if self.items[k].m != NULL:
                        member_leave(self.items[k].m)
            watcher_end(self.w)
        free(self.items)
        free(self.fds)

    def __contains__(self, socket):
        return socket in self._map

    def register(self, socket, int flags=3):
        """Wait for events of an object from now on; for an object that is registered, change which.

        Args:
            socket: a socket, a descriptor, or anything with `fileno()`.
            flags: a sum of POLLIN, POLLOUT, POLLERR and POLLPRI. With 0 the object is taken out.
        """
        if not flags:
            if socket in self._map:
                self.unregister(socket)
            return
        with cython.critical_section(self):
            index = self._map.get(socket)
            if index is None:
                self._map[socket] = len(self.sockets)
                self.sockets.append((socket, flags))
            else:
                self.sockets[index] = (socket, flags)
            self._changed()

    def modify(self, socket, int flags=3):
        """The same as `register`."""
        self.register(socket, flags)

    @cython.critical_section
    def unregister(self, socket):
        """Wait for events of an object no more.

        Raises:
            KeyError: it is not registered.
        """
        index = self._map.pop(socket)
        del self.sockets[index]
        for later, _ in self.sockets[index:]:
            self._map[later] -= 1
        self._changed()

    cdef void _changed(self) noexcept:
        self.stale = True
        if self.w == NULL:
            self.used = False

    def poll(self, timeout=None):
        """Wait until something is ready.

        Args:
            timeout: ms; None or negative waits for ever.

        Returns:
            pairs of what is ready and its events, empty when the time is over. A file stands there as its descriptor.

        Raises:
            ContextTerminated: a socket's context was terminated.
            ZMQError: ENOTSOCK for a closed socket, EBADF.
            TypeError: something registered cannot be polled.
        """
        cdef long ms = -1 if timeout is None or timeout < 0 else int(timeout)
        if not self.used or zq_xchg32(&self.busy, 1):
            # Another thread is using what lasts; or this may be the only poll there will be.
            self.used = True
            return zmq_poll(self.sockets, ms)
        try:
            return self._poll(ms)
        finally:
            zq_store32(&self.busy, 0)

    # --- as part of somebody else's loop ---------------------------------------------------------------------

    def descriptor(self):
        """What is readable when `look` may find something of the sockets; other descriptors are the caller's business.

        For adapters to event loops, which call `look` first, and again whenever it is readable.
        """
        self._claim()
        try:
            self._prepare()
            return watcher_fd(self.w)
        finally:
            zq_store32(&self.busy, 0)

    cdef int _claim(self) except -1:
        if zq_xchg32(&self.busy, 1):
            raise RuntimeError("this Poller is being polled by another thread")
        return 0

    def look(self):
        """What is ready now, without waiting, as `poll` returns it.  When nothing is, `descriptor` tells of news."""
        cdef list found
        self._claim()
        try:
            self._prepare()
            while True:
                found = self._now()
                # After the look, not before it: whoever brings news meanwhile takes the mark away, and the look takes
                # the signal.
                watcher_sleep(self.w)
                if found or not watcher_has_news(self.w):
                    return found
        finally:
            zq_store32(&self.busy, 0)

    # --- the watcher -----------------------------------------------------------------------------------------

    cdef int _prepare(self) except -1:
        cdef int error = 0
        cdef int k
        if self.w == NULL:
            self.w = watcher_new(&error)
            if self.w == NULL:
                fail(error, "no descriptor for waiting could be made")
        if self.w.set.generation != generation_word()[0]:
            raise make_error(ENOTSOCK, "this Poller belongs to the parent process", ForkedSocket)
        if self.stale:
            self._arrange()
        for k in range(self.n):
            if self.items[k].s == NULL and type(self.held[k]) is not int:
                self.items[k].fd = _descriptor(self.held[k])    # a file may have been closed meanwhile
        return 0

    cdef int _arrange(self) except -1:
        """Make `items` what `sockets` says. Members whose socket stays, stay."""
        cdef list wanted
        # What other threads change from here on makes it stale again.
        with cython.critical_section(self):
            self.stale = False
            wanted = self.sockets[:]
        try:
            return self._arrange_for(wanted)
        except BaseException:
            self.stale = True
            raise

    cdef int _arrange_for(self, list wanted) except -1:
        cdef int n = <int>len(wanted)
        cdef item* items = <item*>calloc(n + 1, sizeof(item))
        cdef pollfd* fds = <pollfd*>calloc(n + 1, sizeof(pollfd))
        cdef dict before = {self.held[k]: k for k in range(self.n)}
        cdef list held = []
        cdef int k
        cdef sock* s
        cdef member* m
        cdef int nsockets = 0
        if items == NULL or fds == NULL:
            free(items)
            free(fds)
            raise MemoryError
        try:
            for obj, want in wanted:
                k = len(held)
                items[k].want = want
                if isinstance(obj, SocketBase):
                    s = (<SocketBase>obj).s
                    if (<SocketBase>obj).closed:
                        refuse(s)
                    items[k].s = s
                    nsockets += 1
                else:
                    items[k].fd = _descriptor(obj)
                held.append(obj)
            for k in range(n):
                if items[k].s == NULL:
                    continue
                index = before.pop(held[k], None)
                if index is not None:
                    items[k].m = self.items[<int>index].m
                    self.items[<int>index].m = NULL
                if items[k].m == NULL:
                    items[k].m = member_join(self.w, items[k].s, NULL)
                    if items[k].m == NULL:
                        raise MemoryError
        finally:
            # What is not kept goes; also what was made, when this has failed.
            for k in range(self.n):
                if self.items[k].m != NULL:
                    member_leave(self.items[k].m)
            free(self.items)
            free(self.fds)
            self.items = items
            self.fds = fds
            self.held = held
            self.n = <int>len(held)
            self.nsockets = nsockets
        for k in range(n):
            m = items[k].m
            if m == NULL:
                continue
            m.owner = &items[k]
            lock_py(&m.s.lock)
            if items[k].want & IN:
                member_watch(m)
            else:
                member_unwatch(m)
            zq_unlock(&m.s.lock)
        return 0

    cdef int _see(self, member* m) except -1:
        """Look at one socket that was named."""
        cdef item* it = <item*>m.owner
        cdef bint fired = m.fired
        cdef int got
        m.fired = False
        if it.got:
            return 0
        got = _look(it, fired)
        if got < 0:
            refuse(it.s)
        it.got = got
        if fired and it.s.reader_is_reactor:
            lock_py(&it.s.lock)
            member_unwatch(m)
            zq_unlock(&it.s.lock)
        return got != 0

    cdef list _result(self):
        cdef int k
        cdef list found = []
        for k in range(self.n):
            if self.items[k].got:
                if self.items[k].s != NULL:
                    found.append((self.held[k], self.items[k].got))
                else:
                    found.append((self.items[k].fd, self.items[k].got))
        return found

    cdef list _now(self):
        """What is ready, without waiting: first in the sockets' queues, then in the kernel."""
        cdef member* m
        cdef int k, got
        cdef int ready = 0
        # News so far are about what is looked at now.
        while True:
            m = watcher_next(self.w)
            if m == NULL:
                break
        for k in range(self.n):
            self.items[k].got = 0
            if self.items[k].s == NULL:
                continue
            got = _look(&self.items[k], False)
            if got < 0:
                refuse(self.items[k].s)
            self.items[k].got = got
            ready += got != 0
        if ready < self.nsockets:
            ready += self._from_kernel()
        if self.nsockets < self.n:
            ready += _descriptors(self.items, self.n, self.fds + 1)
        return self._result() if ready else []

    cdef int _from_kernel(self) except -1:
        cdef member* m
        cdef int ready = 0
        watcher_collect(self.w)
        while True:
            m = watcher_next(self.w)
            if m == NULL:
                return ready
            ready += self._see(m)

    cdef int _list_descriptors(self) noexcept:
        cdef int k
        cdef int at = 1
        self.fds[0].fd = watcher_fd(self.w)
        self.fds[0].events = <short>POLLIN
        self.fds[0].revents = 0
        for k in range(self.n):
            if self.items[k].s == NULL:
                self.fds[at].fd = self.items[k].fd
                self.fds[at].events = _to_poll(self.items[k].want)
                self.fds[at].revents = 0
                at += 1
        return at

    cdef list _poll(self, long timeout):
        cdef int64_t deadline = -1 if timeout < 0 else zq_now_ns() + <int64_t>timeout * 1000000
        cdef int64_t left = -1
        cdef sigset_t old
        cdef bint masked
        cdef int nfds, ready
        cdef list found
        self._prepare()
        found = self._now()
        if found or timeout == 0:
            return found
        nfds = self._list_descriptors()
        while True:
            masked = check_signals_masked(&old)
            try:
                watcher_sleep(self.w)
                if not watcher_has_news(self.w):
                    if deadline >= 0:
                        left = deadline - zq_now_ns()
                        if left < 0:
                            left = 0
                    with nogil:
                        zq_ppoll(self.fds, nfds, left, &old if masked else NULL)
                zq_xchg32(&self.w.asleep, 0)
            finally:
                if masked:
                    restore_signals(&old)
            ready = self._from_kernel()
            if nfds > 1:
                ready += _descriptors(self.items, self.n, self.fds + 1)
            if ready:
                return self._result()
            if deadline >= 0 and zq_now_ns() >= deadline:
                return []
