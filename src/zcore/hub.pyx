"""A loop's hub and the sockets that wait in it; see hub.pxd."""

import asyncio
from sys import version_info
from weakref import WeakValueDictionary, ref

cimport cython
from libc.stdint cimport int64_t, uint64_t

from .border cimport fail, lock_py, refuse
from .engine cimport member, session, sock
from .errno_zmq cimport ENOTSOCK
from .patterns cimport route_peek
from .pipe cimport part
from .platform cimport generation_word, ticks_per_us, zq_now_ns, zq_ticks, zq_unlock, zq_xchg32, zq_load32
from .promise cimport (CANCELLED, DONE, FAILED, Call, Desk, Fault, Line, Promise, budget_renew, budget_spent, fault_of,
                       loop_here, loop_running, promise_failed)
from .socket cimport Socket
from .patience cimport sock_settle
from .socket_base cimport SocketBase
from .traffic cimport traffic_flush_now, traffic_inbox
from .waiting cimport WAIT_IN, wait_progress, wait_spin
from .watchers cimport (member_join, member_leave, member_remind, member_unwatch, member_watch, watcher_collect,
                        watcher_end, watcher_fd, watcher_has_news, watcher_new, watcher_next, watcher_sleep)

from zcore.errors import ForkedSocket, make_error

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define ZQ_NO_GIL 1
    #else
    #define ZQ_NO_GIL 0
    #endif
    """
    bint NO_GIL "ZQ_NO_GIL"

cdef enum:
    IN = 1
    EVENTS = 15               # the option
    READ = 65536              # bytes that are read with the GIL held
    MOMENT_US = 10            # for so long the kernel is not asked again after it had no more

cdef object _hubs = WeakValueDictionary()      # id of a loop -> Hub
# Which task runs in a loop; a dict's method where the function is not in C yet.
cdef object _current_task = (
    asyncio.tasks._current_tasks.get if version_info < (3, 12) else asyncio.current_task
)


# --- the loop ------------------------------------------------------------------------------------------------

cdef Hub _hub_of(object loop):
    cdef Hub hub = _hubs.get(id(loop))
    if hub is None or hub.w == NULL or hub.loop_ref() is not loop or hub.w.set.generation != generation_word()[0]:
        hub = Hub(loop)
        _hubs[id(loop)] = hub
    return hub


cdef class Hub(Desk):
    def __init__(self, loop):
        cdef int error = 0
        self.w = watcher_new(&error)
        if self.w == NULL:
            fail(error, "no descriptor for waiting could be made")
        watcher_sleep(self.w)
        self.loop_ref = ref(loop, self._loop_gone)
        self.waiting = {}
        self.sockets = {}
        self.unflushed = []
        self.on_ready = self._ready
        self.on_again = self._again

    def __dealloc__(self):
        # Its sockets have left, or are leaving just now: the last of them frees what they still hold.
        if self.w != NULL:
            watcher_end(self.w)
        if self.old != NULL:
            watcher_end(self.old)

    cdef int soon(self, object fn, object arg, object context) except -1:
        loop = self.loop_ref()
        if loop is None or loop.is_closed():
            return 0
        if loop_running() is loop or not loop.is_running():
            loop.call_soon(fn, arg, context=context)
        else:
            loop.call_soon_threadsafe(fn, arg, context=context)
        return 0

    cdef int again(self) except -1:
        if not self.scheduled and self.w != NULL:
            loop = self.loop_ref()
            on_again = self.on_again
            if loop is not None and not loop.is_closed():
                loop.call_soon(on_again)
                self.scheduled = True
        return 0

    cdef int read(self) except -1:
        with cython.critical_section(self):
            if self.w == NULL or self.reading:
                return 0
            # First: should the last socket leave meanwhile, the reader is to go, too.
            self.reading = True
            fd = watcher_fd(self.w)
            on_ready = self.on_ready
        try:
            self.loop().add_reader(fd, on_ready)
        except BaseException:
            self.reading = False
            raise
        return 0

    def _again(self):
        self.scheduled = False
        self._ready()

    def _ready(self):
        """The loop calls: something may have happened."""
        with cython.critical_section(self):
            self.turn()

    cdef int turn(self) except -1:
        if self.w == NULL:
            return 0
        if self.w.set.generation != generation_word()[0]:
            self._forked()
            return 0
        if _current_task(loop_running()) is not None:
            # A loop run by a task of itself; whoever waits here must be able to run.
            self.again()
            return 0
        budget_renew(False)
        if zq_xchg32(&self.w.asleep, 0) and len(self.sockets) == 1 and self.waiting:
            # Nothing was signalled, so it is input; and there is no need to ask the kernel whose.
            for one in self.waiting.values():
                if self.serve_these([one]):
                    return 0
                break
        self.serve()
        return 0

    cdef int settle(self) except -1:
        """The end of a turn."""
        if self.w == NULL:
            return 0
        if self.unflushed:
            self.flush()
        watcher_sleep(self.w)
        if watcher_has_news(self.w):
            self.again()
        return 0

    cdef int serve(self) except -1:
        cdef member* m
        cdef LoopSocket one
        cdef list found = []
        if self.w == NULL:
            return 0              # the last socket has left meanwhile
        watcher_collect(self.w)
        while True:
            m = watcher_next(self.w)
            if m == NULL:
                break
            one = self.whose(m)
            if one is not None:
                found.append(one)
        return self.serve_these(found)

    cdef LoopSocket whose(self, member* m):
        """None: it has left, or another thread is just freeing it and waits for us to be through."""
        if not NO_GIL:
            return <LoopSocket>m.owner if m.owner != NULL else None
        reference = self.sockets.get(<size_t>m.owner)
        return reference() if reference is not None else None

    cdef int serve_these(self, list found) except -1:
        cdef LoopSocket one
        cdef Py_ssize_t k = 0
        cdef int count = 0
        try:
            while k < len(found):
                one = found[k]
                if one.hub is self:
                    count += one._serve()
                k += 1
        finally:
            # After an exception of the kind that ends a loop, should it run again: the one that was being served, and those
            # behind it, are not forgotten.
            while k < len(found):
                one = found[k]
                k += 1
                if one.hub is self:
                    member_remind(one.me)
            self.settle()
        return count

    cdef int flush(self) except -1:
        """Send what was left for company: the loop is about to sleep, or at least to do other things."""
        cdef list left = self.unflushed
        cdef LoopSocket one
        self.unflushed = []
        for one in left:
            one.unflushed = False
            lock_py(&one.s.lock)
            traffic_flush_now(one.s)
            sock_settle(one.s)
        return 0

    cdef int left(self, LoopSocket socket) except -1:
        self.sockets.pop(id(socket), None)
        if socket.unflushed:
            socket.unflushed = False
            self.unflushed = [one for one in self.unflushed if one is not socket]
        if not self.sockets:
            self.end()
        return 0

    cdef int end(self) except -1:
        """No socket is left."""
        cdef bint reading = self.reading
        if self.w == NULL:
            return 0
        self.old = self.w
        self.w = NULL
        self.reading = False
        self.on_ready = self.on_again = None
        loop = self.loop_ref()
        self.loop_ref = _gone if loop is None else ref(loop)
        if reading and loop is not None and not loop.is_closed() and self.old.set.generation == generation_word()[0]:
            if loop_running() is not loop and loop.is_running():
                try:
                    loop.call_soon_threadsafe(self._let_go, loop)
                    return 0
                except RuntimeError:
                    pass          # closed meanwhile
            else:
                try:
                    loop.remove_reader(watcher_fd(self.old))
                except (ValueError, KeyError):
                    pass          # its own thread is closing it at this moment
        self._let_go(None)
        return 0

    def _let_go(self, loop):
        if loop is not None:
            loop.remove_reader(watcher_fd(self.old))
        watcher_end(self.old)
        self.old = NULL

    def _loop_gone(self, _):
        """The loop was collected: nobody reads the descriptor any more."""
        cdef LoopSocket one
        for reference in list(self.sockets.values()):
            one = reference()
            if one is not None:
                one._part(True)

    def _forked(self):
        """In a child that goes on with its parent's loop: what waits can only be the parent's."""
        cdef LoopSocket one
        cdef Line line
        cdef Call call
        for reference in list(self.sockets.values()):
            one = reference()
            if one is None:
                continue
            for line in (one.inbound, one.outbound, one.looking):
                while line.first is not None:
                    error = make_error(ENOTSOCK, "the socket belongs to the parent process", ForkedSocket)
                    call = line.first
                    call.finish(FAILED, fault_of(error, self.loop_ref), False)


def _gone():
    return None


cdef int _limit(Call call, object loop, int timeout_ms) except -1:
    call.timer = loop.call_later(timeout_ms * 0.001, call.expire)
    return 0


cdef list _listed(Line line):
    cdef list calls = []
    cdef Call call = line.first
    while call is not None:
        calls.append(call)
        call = call.after
    return calls


# --- the socket ------------------------------------------------------------------------------------------------

@cython.no_gc_clear
cdef class LoopSocket(Socket):
    """A socket whose calls can wait in a loop."""

    def __cinit__(self, *args, **kwargs):
        self.inbound = Line.__new__(Line)
        self.outbound = Line.__new__(Line)
        self.looking = Line.__new__(Line)

    def __dealloc__(self):
        if self.me != NULL and self.s.generation == generation_word()[0]:
            try:
                self._part(False)
            except Exception:
                pass              # at the interpreter's end a loop may be in pieces

    def close(self, linger=None):
        """Close the socket; see `Socket.close`.  Calls that wait are cancelled."""
        if self.s == NULL or self.s.generation != generation_word()[0]:
            return
        self._part(True)
        SocketBase.close(self, linger)

    @property
    def _recv_futures(self):
        """Calls that wait to receive, or for events."""
        with cython.critical_section(self._hub() or self):
            return _listed(self.inbound) + _listed(self.looking)

    @property
    def _send_futures(self):
        """Calls that wait to send."""
        with cython.critical_section(self._hub() or self):
            return _listed(self.outbound)

    cdef Hub _hub(self):
        with cython.critical_section(self):
            return self.hub

    cdef int _part(self, bint calls) except -1:
        cdef Hub hub = self._hub()
        while hub is not None:
            with cython.critical_section(self, hub):
                if self.hub is hub:
                    if calls:
                        self._end_calls()
                    self._leave()
            hub = self._hub()     # another, if a thread has moved it meanwhile
        return 0

    cdef int _in_company(self) except -1:
        cdef Hub hub = self._hub()
        if hub is None:
            return 0
        with cython.critical_section(hub):
            if self.hub is hub and not self.unflushed:
                self.unflushed = True
                hub.unflushed.append(self)
        return 0

    cdef int _end_calls(self) except -1:
        cdef Line line
        cdef Call call
        cdef Fault end
        for line in (self.inbound, self.outbound, self.looking):
            while line.first is not None:
                call = line.first
                if call.late is StopAsyncIteration:
                    end = fault_of(StopAsyncIteration(), None)
                    call.finish(FAILED, end, False)
                else:
                    call.finish(CANCELLED, None, False)
        return 0

    cdef int _join(self, object loop) except -1:
        """[its critical section, and that of the hub that it has]"""
        cdef Hub hub
        if self.me != NULL:
            before = self.hub.loop_ref()
            if (self.inbound.first is not None or self.outbound.first is not None or self.looking.first is not None):
                if before is not None and not before.is_closed() and before.is_running():
                    raise RuntimeError("calls on this socket are waiting in another event loop")
                self._end_calls()
            self._leave()
        if loop.is_closed():
            raise RuntimeError("Event loop is closed")
        while self.me == NULL:
            hub = _hub_of(loop)
            hub.read()
            with cython.critical_section(self, hub):
                if self.me != NULL:
                    raise RuntimeError("another thread is using this socket in an event loop")
                if hub.w == NULL:
                    continue      # its last socket has left meanwhile, in another thread
                self.me = member_join(hub.w, self.s, <void*>self)
                if self.me == NULL:
                    raise MemoryError
                self.hub = hub
                hub.sockets[id(self)] = ref(self)
                # What came before this moment was told to nobody.
                member_remind(self.me)
                hub.again()
        return 0

    cdef int _leave(self) except -1:
        """[the critical sections of both]"""
        cdef Hub hub = self.hub
        cdef member* me = self.me
        if me == NULL:
            return 0
        self.me = NULL
        self.hub = None
        me.owner = NULL
        # With the GIL: it may be that nothing refers to this socket any more, and the hub must not meet it meanwhile.
        member_leave(me)
        return hub.left(self)

    cdef bint _spun(self, int timeout_ms) except -1:
        """Input that comes at once, as it does where two peers talk, costs less to wait for than a turn of the loop.

        Never while any other call waits in this loop: it could be done meanwhile.  How long the loop stands still is
        limited: by SPIN_BUDGET each time, where the last times have paid, and by that of completions without a turn.
        """
        cdef Hub hub = self._hub()
        cdef sock* s = self.s
        cdef int64_t deadline = -1
        cdef bint again
        if hub is None or hub.w == NULL or s == NULL or s.opt.spin_budget <= 0 or timeout_ms == 0 or hub.waiting \
                or hub.loop() is not loop_running():
            return False
        if timeout_ms > 0:
            deadline = zq_now_ns() + timeout_ms * <int64_t>1000000
        with cython.critical_section(hub):
            if hub.unflushed:
                hub.flush()
        lock_py(&s.lock)
        traffic_flush_now(s)
        with nogil:
            again = wait_spin(s, WAIT_IN, deadline, self.me)
            zq_unlock(&s.lock)
        return again

    cdef Promise _refused(self):
        """What a call gets that could only wait for a socket closed, or a parent process's; None: it may wait."""
        if self.s != NULL and self.s.generation == generation_word()[0]:
            return None
        try:
            refuse(self.s)
        except Exception as error:
            return promise_failed(error)

    cdef Promise _pend(self, Call call, Line line, int timeout_ms, bint soon):
        """Have a call wait."""
        cdef Hub hub = self._hub()
        loop = loop_here()
        if hub is None or hub.loop() is not loop:
            with cython.critical_section(self, self if hub is None else hub):
                if self.hub is hub:
                    self._join(loop)
            hub = self._hub()
            if hub is None:
                self._astray()
        with cython.critical_section(hub):
            self._put(call, line, hub, loop)
            if timeout_ms >= 0:
                _limit(call, loop, timeout_ms)
            if soon and self.hub is hub:
                member_remind(self.me)
                hub.again()
        return call

    cdef int _put(self, Call call, Line line, Hub hub, object loop) except -1:
        """[the hub's critical section]"""
        cdef sock* s = self.s
        cdef bint here
        call.desk = hub
        lock_py(&s.lock)
        here = self.hub is hub and hub.loop_ref() is loop
        if here:
            if call.mask & IN:
                member_watch(self.me)
            traffic_flush_now(s)
        sock_settle(s)
        if here and hub.unflushed:
            hub.flush()
        # Waiting for a lock lets others run.
        if not here or self.hub is not hub:
            self._astray()
        line.put(call, self)
        return 0

    cdef int _astray(self) except -1:
        if zq_load32(&self.s.closed):
            refuse(self.s)
        raise RuntimeError("another thread is using this socket in an event loop")

    # --- the hub's calls ---------------------------------------------------------------------------------------

    cdef int _serve(self) except -1:
        cdef Hub hub = self.hub
        cdef member* m = self.me
        cdef bint fired
        cdef int count = 0
        if m == NULL:
            return 0
        fired = m.fired
        m.fired = False
        if self.looking.first is not None:
            count += self._serve_looking(hub)
        count += self._serve_line(self.inbound, hub)
        count += self._serve_line(self.outbound, hub)
        if self.hub is not hub:
            return count
        if zq_load32(&self.s.closed):
            self._part(False)
        elif fired and (self.inbound.first is None and self.looking.first is None or self.s.reader_is_reactor):
            # Input, and nobody who wants it: it stays where it is, and the loop must not be told of it again and again.
            lock_py(&self.s.lock)
            member_unwatch(self.me)
            zq_unlock(&self.s.lock)
        return count

    cdef int _serve_line(self, Line line, Hub hub) except -1:
        cdef Call call
        cdef int rc = 0
        cdef int count = 0
        while line.first is not None and self.hub is hub:
            if budget_spent():
                member_remind(self.me)
                hub.again()
                return count
            call = line.first
            try:
                value = self._attempt(call, &rc)
            except Exception as error:
                if call.line is None:
                    continue      # another thread has cancelled it
                call.finish(FAILED, fault_of(error, call.desk.loop_ref), True)
                count += 1
                continue
            if call.line is None:
                continue          # another thread has cancelled it
            if not rc:
                if call.more and self.hub is hub:
                    call.more = False
                    member_remind(self.me)
                    hub.again()
                return count
            call.finish(DONE, value, True)
            count += 1
        return count

    cdef int _serve_looking(self, Hub hub) except -1:
        cdef Call call
        cdef object error = None
        cdef int events = 0
        cdef int count = 0
        try:
            events = Socket.get(self, EVENTS)
        except Exception as caught:
            error = caught
        for call in _listed(self.looking):
            if call.line is None or call.desk is not hub:
                continue          # one that went on has cancelled it
            if error is not None:
                call.finish(FAILED, fault_of(error, call.desk.loop_ref), True)
            elif events & call.mask:
                call.finish(DONE, events & call.mask, True)
            else:
                continue
            count += 1
        return count

    cdef int _look(self, part* p) noexcept:
        """[lock; let go of while it reads] As `Socket._look`, but does not ask the kernel twice in a moment: what has come
        meanwhile ends the wait that follows."""
        cdef sock* s = self.s
        cdef session* only
        cdef uint64_t before = 0
        cdef int rc
        s.touch += 1
        traffic_inbox(s)
        rc = route_peek(&s.r, p)
        if rc or s.nactive == 0 or zq_ticks() - self.read_at < MOMENT_US * ticks_per_us():
            return rc
        only = s.only
        if only != NULL and only.c.in_busy:
            only = NULL           # somebody else is reading it, and counts
        if only != NULL:
            before = only.p.inn.rx_bytes
        wait_progress(s, READ, self.me)
        # A read that filled its buffer to the brim left something, and much may have come since a long one began.
        if only == NULL or s.only != only or only.c.in_busy or (only.p.inn.b.tail != only.p.inn.b.cap
                                                                and only.p.inn.rx_bytes - before < READ // 2):
            self.read_at = zq_ticks()
        return route_peek(&s.r, p)

    cdef object _attempt(self, Call call, int* rc):
        """A call of a kind that this class does not know never comes to be done."""
        rc[0] = 0
        return None
