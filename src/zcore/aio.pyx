"""Awaited calls; see aio.pxd and promise.pxd.

What can be done is done within the call.  What cannot waits in a line of the socket; its loop watches the socket through
the hub and completes it.  A message leaves the engine's queue at the moment its call is completed, and whoever awaits the
call goes on at once: a call that was cancelled before that takes nothing, and after it there is no way back.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN
from libc.stdint cimport uint8_t

from .border cimport lock_py
from .engine cimport sock
from .errno_zmq cimport ENOTSOCK
from .frame cimport Frame
from .hub cimport LoopSocket
from .message cimport (MK_BLOCK, MK_OBJECT, release_drain, release_pending, zmsg, zmsg_init, zmsg_release,
                       zmsg_set_object)
from .patterns cimport SEND_GROUP
from .pipe cimport part
from .platform cimport zq_load32, zq_loadp, zq_unlock
from .promise cimport Call, Promise, budget_renew, budget_spent, promise_done, promise_failed
from .socket cimport Socket
from .patience cimport sock_settle
from .traffic cimport sock_wake, traffic_flush_now

from zcore.errors import Again, ContextTerminated, ZMQError
from zcore.tracker import FINISHED

cdef enum:
    DONTWAIT = 1
    SNDMORE = 2
    IN = 1
    OUT = 2
    EVENTS = 15               # the option
    BATCH = 256               # messages of a send_many in one go
    MANY = 16384              # messages of a recv_many without a limit: those of one turn of the loop

cdef enum:
    # call.kind
    RECV = 0
    RECV_WHOLE = 1
    RECV_INTO = 2             # data: the buffer, extra: nbytes
    RECV_MANY = 3             # extra: how many at most
    NEXT = 4                  # of `async for`
    SEND = 5                  # data, extra: (routing_id, group)
    SEND_WHOLE = 6            # likewise
    SEND_MANY = 7             # data: what is left of it, extra: [the batch, how many of it went, how many went in all]
    POLL = 8


@cython.no_gc_clear
cdef class AsyncSocket(LoopSocket):
    """A socket whose calls return futures; see `pyzq.asyncio.Socket`."""

    cdef object _attempt(self, Call call, int* rc):
        """Do it if it can be done without waiting; rc: whether it was."""
        rc[0] = 0
        if call.kind == RECV or call.kind == RECV_WHOLE:
            value = self._received(call.copy, call.kind == RECV_WHOLE, rc)
            if rc[0]:
                if call.convert is not None:
                    return call.convert(value)
                if call.track and not call.copy and call.kind == RECV:
                    (<Frame>value).tracker = FINISHED
            return value
        if call.kind == SEND:
            return self._sent(call.data, call.flags, call.copy, call.track, call.extra[0], call.extra[1], rc)
        if call.kind == SEND_MANY:
            return self._sent_many(call, rc)
        try:
            if call.kind == SEND_WHOLE:
                value = Socket.send_multipart(
                    self, call.data, call.flags | DONTWAIT, call.copy, call.track,
                    routing_id=call.extra[0], group=call.extra[1],
                )
            elif call.kind == RECV_INTO:
                value = Socket.recv_into(self, call.data, nbytes=call.extra, flags=call.flags | DONTWAIT)
            else:
                value = Socket.recv_many(self, call.extra, 0)
                if not value:
                    return None
                if call.kind == NEXT:
                    value = value[0]
        except Again:
            return None
        except ZMQError as error:
            if call.kind == NEXT and (error.errno == ENOTSOCK or isinstance(error, ContextTerminated)):
                raise StopAsyncIteration from None
            raise
        rc[0] = 1
        return value

    # --- receiving -----------------------------------------------------------------------------------------------

    cdef object _received(self, bint copy, bint whole, int* rc):
        """A frame, or the list of a message's; rc 0: there is none."""
        cdef part p
        cdef object data
        cdef sock* s
        rc[0] = self._await_input(&p, -1, True)
        s = self.s
        if rc[0] == 0:
            sock_settle(s)
            return None
        try:
            if whole:
                data = []
                self._take_message(&p, data, copy)
            else:
                data = self._take(&p, copy)
        except BaseException:
            zq_unlock(&s.lock)
            raise
        if (s.signal_open or zq_load32(&s.waiters)) and (s.r.current != NULL or s.r.ready != NULL):
            sock_wake(s)          # a thread may be waiting, too
        if s.r.dirty != NULL or s.r.resumed != NULL:
            sock_settle(s)
        else:
            zq_unlock(&s.lock)
        if release_pending():
            release_drain()
        return data

    cdef Promise _receiving(self, int kind, int flags, bint copy, bint track, object convert):
        cdef Call call
        cdef int rc = 0
        cdef int timeout
        cdef bint soon = False
        if self.inbound.first is None or flags & DONTWAIT:
            try:
                if flags & DONTWAIT or not budget_spent():
                    if kind == RECV and copy and not track:
                        data = self._receive_quick()
                        if data is not None:
                            return promise_done(data if convert is None else convert(data))
                    data = self._received(copy, kind == RECV_WHOLE, &rc)
                    if not rc and not flags & DONTWAIT and self._spun(self.s.opt.rcvtimeo):
                        data = self._received(copy, kind == RECV_WHOLE, &rc)
                    if rc:
                        if convert is not None:
                            data = convert(data)
                        elif track and not copy and kind == RECV:
                            (<Frame>data).tracker = FINISHED
                        return promise_done(data)
                else:
                    soon = True
                if flags & DONTWAIT:
                    return promise_failed(Again())
            except Exception as error:
                return promise_failed(error)
        refused = self._refused()
        if refused is not None:
            return refused
        timeout = self.s.opt.rcvtimeo
        if timeout == 0:
            return promise_failed(Again())
        call = Call.__new__(Call)
        call.kind = kind
        call.mask = IN
        call.flags = flags
        call.copy = copy
        call.track = track
        call.convert = convert
        call.fails_late = True
        return self._pend(call, self.inbound, timeout, soon)

    def recv(self, int flags=0, bint copy=True, bint track=False):
        """Receive one part of a message; see `Socket.recv`.  Returns a future of it."""
        return self._receiving(RECV, flags, copy, track, None)

    def recv_multipart(self, int flags=0, bint copy=True, bint track=False):
        """Receive all parts of one message; see `Socket.recv_multipart`.  Returns a future of the list."""
        return self._receiving(RECV_WHOLE, flags, copy, track, None)

    def _recv_as(self, convert, int flags=0):
        """A future of what a function makes of one part."""
        return self._receiving(RECV, flags, True, False, convert)

    def _recv_multipart_as(self, convert, int flags=0, bint copy=True):
        """A future of what a function makes of a message's parts."""
        return self._receiving(RECV_WHOLE, flags, copy, False, convert)

    cdef Promise _receive_general(self, Call call, int flags, int timeout):
        """The rarer ways to receive: what `_receiving` does, with a call made before."""
        cdef int rc = 0
        cdef bint soon = False
        call.mask = IN
        if timeout == -2 and self.s != NULL:
            timeout = self.s.opt.rcvtimeo
        if self.inbound.first is None or flags & DONTWAIT:
            try:
                if flags & DONTWAIT or not budget_spent():
                    value = self._attempt(call, &rc)
                    if not rc and not flags & DONTWAIT and self._spun(timeout):
                        value = self._attempt(call, &rc)
                    if rc:
                        return promise_done(value)
                else:
                    soon = True
                if flags & DONTWAIT:
                    return promise_failed(Again())
            except Exception as error:
                return promise_failed(error)
        refused = self._refused()
        if refused is not None:
            return refused
        if timeout == 0:
            return promise_failed(Again()) if call.fails_late else promise_done(call.late)
        return self._pend(call, self.inbound, timeout, soon)

    def recv_into(self, buffer, /, *, Py_ssize_t nbytes=0, int flags=0):
        """Receive one part into a buffer; see `Socket.recv_into`.  Returns a future of its size."""
        cdef Call call = Call.__new__(Call)
        call.kind = RECV_INTO
        call.flags = flags
        call.data = buffer
        call.extra = nbytes
        call.fails_late = True
        return self._receive_general(call, flags, -2)

    def recv_many(self, max_n=None, timeout=None):
        """Receive what is there, waiting for the first; see `Socket.recv_many`.  Returns a future of the list.

        Without a limit it takes 16384 messages at most, so that the loop turns.
        """
        cdef Call call = Call.__new__(Call)
        if max_n == 0:
            return promise_done([])
        call.kind = RECV_MANY
        call.extra = MANY if max_n is None else max_n
        call.late = []
        return self._receive_general(call, 0, -2 if timeout is None else -1 if timeout < 0 else int(timeout))

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Call call = Call.__new__(Call)
        call.kind = NEXT
        call.extra = 1
        call.late = StopAsyncIteration
        call.fails_late = True
        return self._receive_general(call, 0, -2)

    # --- sending ---------------------------------------------------------------------------------------------------

    cdef int _send_timeout(self) noexcept:
        return self.s.policy_timeout_ms if self.s.policy_timeout_ms != -2 else self.s.opt.sndtimeo

    cdef object _sent(self, object data, int flags, bint copy, bint track, object routing, object group, int* rc):
        """One part; its tracker.  rc 0: there is no room."""
        cdef zmsg m
        cdef int code
        if (not PyBytes_CheckExact(data) or not copy or track or routing is not None or group is not None
                or self.s == NULL or self.s.row.send == SEND_GROUP):
            rc[0] = 0
            try:
                tracker = Socket.send(self, data, flags | DONTWAIT, copy, track, routing_id=routing, group=group)
            except Again:
                return None
            rc[0] = 1
            return tracker
        zmsg_init(&m)
        Py_INCREF(data)
        zmsg_set_object(&m, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), <void*>data)
        try:
            self._enter()
            code = self._try_send(&m, 1, flags)
            sock_settle(self.s)
        finally:
            if m.kind == MK_OBJECT:
                Py_DECREF(<object>m.body.ref.owner)
            elif m.kind == MK_BLOCK:
                zmsg_release(&m)
        rc[0] = code == 0
        if code < 0 and code != -EAGAIN:
            self._send_error(code)
        return None

    cdef Promise _accepted(self, object tracker):
        """A future of a send that was done."""
        cdef Promise p = promise_done(tracker)
        cdef sock* s = self.s
        if zq_loadp(<void**>&s.flush) != NULL and not self.unflushed and self.hub is not None:
            self._in_company()
        if budget_spent():
            # What was sent was sent; whoever awaits it lets the loop turn.
            p.lax = True
            budget_renew(False)
            lock_py(&s.lock)
            traffic_flush_now(s)
            sock_settle(s)
        return p

    def send(self, data, int flags=0, bint copy=True, bint track=False, *, routing_id=None, group=None):
        """Send one part of a message; see `Socket.send`.  It is sent by this call if there is room, awaited or not.

        Returns a future of what `Socket.send` returns.
        """
        cdef Call call
        cdef int rc = 0
        if self.outbound.first is None or flags & DONTWAIT:
            try:
                tracker = self._sent(data, flags, copy, track, routing_id, group, &rc)
            except Exception as error:
                return promise_failed(error)
            if rc:
                return self._accepted(tracker)
            if flags & DONTWAIT:
                return promise_failed(Again())
        call = Call.__new__(Call)
        call.kind = SEND
        call.flags = flags
        call.copy = copy
        call.track = track
        call.data = data
        call.extra = (routing_id, group)
        return self._sending(call, True)

    cdef Promise _sending(self, Call call, bint tried):
        """Do it, or have it wait for room."""
        cdef int rc = 0
        cdef int timeout
        if not tried and (self.outbound.first is None or call.flags & DONTWAIT):
            try:
                value = self._attempt(call, &rc)
            except Exception as error:
                return promise_failed(error)
            if rc:
                return self._accepted(value)
            if call.flags & DONTWAIT:
                return promise_failed(Again())
        refused = self._refused()
        if refused is not None:
            return refused
        timeout = self._send_timeout()
        if timeout == 0:
            return promise_failed(Again())
        call.mask = OUT
        call.fails_late = call.late is None
        soon, call.more = call.more, False
        return self._pend(call, self.outbound, timeout, soon)

    def send_multipart(self, msg_parts, int flags=0, bint copy=True, bint track=False, *, routing_id=None, group=None):
        """Send the parts of one message; see `Socket.send_multipart`.  As `send` does."""
        cdef Call call
        if isinstance(msg_parts, (bytes, bytearray, memoryview, str)):
            return promise_failed(
                TypeError(f"send_multipart takes a sequence of parts, not {type(msg_parts).__name__}"))
        if not isinstance(msg_parts, (list, tuple)):
            try:
                msg_parts = list(msg_parts)
            except Exception as error:
                return promise_failed(error)
        if self.s != NULL and len(msg_parts) > 1 and (flags & SNDMORE or self.s.nstage):
            # In the middle of a longer message: part by part, since each may have to wait.
            for data in msg_parts[:len(msg_parts) - 1]:
                self.send(data, flags | SNDMORE, copy, track, routing_id=routing_id, group=group)
            return self.send(msg_parts[len(msg_parts) - 1], flags, copy, track, routing_id=routing_id, group=group)
        call = Call.__new__(Call)
        call.kind = SEND_WHOLE
        call.flags = flags
        call.copy = copy
        call.track = track
        call.data = msg_parts
        call.extra = (routing_id, group)
        return self._sending(call, False)

    def send_many(self, messages, int flags=0):
        """Send many messages; see `Socket.send_many`.  What there is room for goes by this call, 256 at a time.

        Returns a future of how many were sent.
        """
        cdef Call call = Call.__new__(Call)
        try:
            call.data = iter(messages)
        except Exception as error:
            return promise_failed(error)
        call.kind = SEND_MANY
        call.flags = flags
        call.extra = [(), 0, 0, None]
        return self._sending(call, False)

    cdef object _sent_many(self, Call call, int* rc):
        """One batch, or the rest of one; rc 1: that was the last."""
        cdef list state = call.extra
        cdef Py_ssize_t at = state[1]
        cdef Py_ssize_t total = state[2]
        cdef Py_ssize_t sent
        cdef object batch = state[0]
        cdef int flags = call.flags | DONTWAIT
        if at >= len(batch):
            batch = []
            try:
                for item in call.data:
                    batch.append(item)
                    if len(batch) == BATCH:
                        break
            except BaseException as error:
                state[3] = error      # what came before goes first
            at = 0
            state[0] = batch
        while at < len(batch):
            try:
                sent = self._send_batch(batch, at, flags, total)
            except Again:
                sent = 0
            at += sent
            total += sent
            state[1] = at
            state[2] = total
            if total:
                call.fails_late = False
                call.late = total
            if sent == 0:
                if call.flags & DONTWAIT and total:
                    rc[0] = 1
                return total
        if state[3] is not None:
            raise state[3]
        if len(batch) < BATCH:
            rc[0] = 1
        else:
            call.more = True
        return total

    # --- looking -----------------------------------------------------------------------------------------------------

    def poll(self, timeout=None, int flags=1):
        """Wait for events; see `Socket.poll`.  Returns a future of them, cancelled when the socket is closed."""
        cdef Call call
        cdef int ready
        try:
            ready = Socket.get(self, EVENTS) & flags
        except Exception as error:
            return promise_failed(error)
        if ready or timeout == 0:
            return promise_done(ready)
        call = Call.__new__(Call)
        call.kind = POLL
        call.mask = flags
        call.late = 0
        return self._pend(call, self.looking, -1 if timeout is None or timeout < 0 else int(timeout), False)
