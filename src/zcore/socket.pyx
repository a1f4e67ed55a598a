"""Sending and receiving from Python: conversions, waiting, errors.  What happens with the messages is the engine's.

One file because a cdef class cannot be spread over several, and a base class for half of it would cost every call.
"""

cimport cython
from cpython.bytes cimport (PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE)
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.list cimport PyList_GET_ITEM
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.errno cimport EAGAIN, EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from .batch cimport batch_send, batch_take, bytes_quick, take_over
from .border cimport fail, lock_py, refuse
from .connection cimport GIL_BUDGET
from .engine cimport sock
from .errno_zmq cimport EFSM, ENOTSUP
from .frame cimport Frame, Hold, frame_of_block, frame_of_object, frame_to_zmsg, hold_buffer, hold_tracker
from .landing cimport land_large
from .message cimport (MK_BLOCK, MK_EMPTY, MK_OBJECT, MSG_MORE, block, block_data, block_new, meta, release_drain, release_pending, zmsg,
                       zmsg_copy_bytes, zmsg_init, zmsg_release, zmsg_set_object)
from .patience cimport patience, patience_begin, patience_end, patience_init, sock_read_apart, sock_settle, sock_wait
from .lease cimport lease_before_send
from .patterns cimport (SEND_BALANCE, SEND_GROUP, SMALL_KEPT, SMALL_NOT, route_group, route_number, route_peek, route_pop,
                        route_quick, route_quick_pop, route_send, route_send_check, route_send_small, sent_small)
from .pipe cimport part
from .platform cimport generation_word, zq_add32, zq_load32, zq_loadp, zq_now_ns, zq_trylock, zq_unlock
from .routing cimport MK_SHARED, PEER_STREAM, peer
from .traffic cimport sock_wake, traffic_inbox
from .socket_base cimport SocketBase
from .waiting cimport WAIT_IN, WAIT_OUT, wait_progress

from sys import _current_frames

from zcore.accounts import books_of
from zcore.errors import Again, SocketClosed, make_error
from zcore.policies import set_policy
from zcore.polling import zmq_poll  # noqa: F401  part of this module's interface
from zcore.tracker import FINISHED, MessageTracker

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil

cdef uint32_t* _generation = generation_word()

cdef enum:
    DONTWAIT = 1
    SNDMORE = 2
    COPY_WITH_GIL = 262144    # bytes that are copied with the GIL held
    OWNER_CHECK = 50000000    # ns between two looks whether the thread that sent the first parts of a message still lives
    BATCH = 256               # messages of one send_many or recv_many under one lock


cdef inline int64_t _deadline(int timeout_ms) noexcept:
    return -1 if timeout_ms < 0 else zq_now_ns() + <int64_t>timeout_ms * 1000000


cdef class Socket(SocketBase):
    """A socket of the engine: sending and receiving; see `pyzq.Socket`."""

    # --- sending -------------------------------------------------------------------------------------------

    cdef object _to_zmsg(self, object data, bint copy, bint track, zmsg* m):
        """One part to send; m holds a reference of what it needs.  Returns its tracker."""
        cdef Py_buffer view
        cdef Hold hold
        cdef int rc
        zmsg_init(m)
        if PyBytes_CheckExact(data) and copy:
            Py_INCREF(data)
            zmsg_set_object(m, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), <void*>data)
            return None
        if isinstance(data, Frame):
            with cython.critical_section(data):
                tracker = (<Frame>data).tracker
            if track and tracker is None:
                raise ValueError("Not a tracked message")
            frame_to_zmsg(<Frame>data, m)
            return tracker if track or not copy else None
        if isinstance(data, str):
            raise TypeError("unicode not allowed, use send_string")
        if not copy:
            hold = hold_buffer(data, track)
            with cython.critical_section(self):
                threshold = self.copy_threshold
            if threshold is None or hold.view.len >= threshold:
                Py_INCREF(hold)
                zmsg_set_object(m, <const uint8_t*>hold.view.buf, hold.view.len, <void*>hold)
                m.lent = 1
                return hold_tracker(hold) if track else FINISHED
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        rc = zmsg_copy_bytes(m, <const uint8_t*>view.buf, view.len)
        PyBuffer_Release(&view)
        if rc < 0:
            raise MemoryError
        return None if copy else FINISHED

    cdef int _send_parts(self, zmsg* parts, uint32_t n, int flags) except -1:
        """A message, or some parts of one: all or none; what was not taken of them stays the caller's."""
        cdef int rc
        self._enter()
        self.hasty = self.s.row.send == SEND_BALANCE and self.s.r.active != 0
        rc = self._try_send(parts, n, flags)
        if rc == -EAGAIN and self.s.nstage and self.s.stage_owner != PyThread_get_thread_ident():
            if self._inherit_stage():
                self._enter()
                rc = self._try_send(parts, n, flags)
        if rc == -EAGAIN and not flags & DONTWAIT:
            sock_settle(self.s)
            return self._send_patiently(parts, n, flags)
        sock_settle(self.s)
        if rc < 0:
            self._send_error(rc)
        return 0

    cdef int _try_send(self, zmsg* parts, uint32_t n, int flags) noexcept:
        """[lock]"""
        cdef sock* s = self.s
        lease_before_send(s)
        if s.nstage == 0 and not flags & SNDMORE:
            return route_send(&s.r, parts, n, True)
        return self._stage_parts(parts, n, flags)

    cdef bint _inherit_stage(self) except -1:
        """[lock; let go of if True] Another thread's parts wait for their last.  If it has ended they are this thread's."""
        cdef uint64_t owner = self.s.stage_owner
        zq_unlock(&self.s.lock)
        if owner in _current_frames():
            self._enter()
            return False
        self._enter()
        if self.s.nstage and self.s.stage_owner == owner:
            self.s.stage_owner = PyThread_get_thread_ident()
        zq_unlock(&self.s.lock)
        return True

    cdef int _send_patiently(self, zmsg* parts, uint32_t n, int flags) except -1:
        cdef patience w
        cdef int rc
        cdef bint late
        cdef int64_t limit
        cdef int64_t last = self._send_deadline()
        patience_init(&w, last)
        try:
            while True:
                patience_begin(&w)
                self._enter()
                rc = self._try_send(parts, n, flags)
                if rc != -EAGAIN:
                    break
                if self.s.nstage and self.s.stage_owner != PyThread_get_thread_ident():
                    # Nobody says when a thread ends: look now and then whether that one still lives.
                    if self._inherit_stage():
                        continue
                    limit = zq_now_ns() + OWNER_CHECK
                    if last < 0 or limit < last:
                        w.deadline = limit
                    late = sock_wait(self.s, WAIT_OUT, &w) and w.deadline == last
                    w.deadline = last
                else:
                    late = sock_wait(self.s, WAIT_OUT, &w)
                if late:
                    fail(-EAGAIN)
        finally:
            patience_end(&w)
        sock_settle(self.s)
        if rc < 0:
            self._send_error(rc)
        return 0

    cdef int64_t _send_deadline(self):
        cdef sock* s = self.s
        return _deadline(s.policy_timeout_ms if s.policy_timeout_ms != -2 else s.opt.sndtimeo)

    cdef object _send_error(self, int rc):
        if rc == -EFSM:
            fail(rc, "a REQ receives the reply before it sends again; a REP sends after it has received")
        if rc == -ENOTSUP:
            fail(rc, "this type of socket does not send")
        if rc == -EINVAL:
            fail(rc, "this type of socket sends single-part messages only, RADIO with a group")
        fail(rc)

    cdef int _stage_parts(self, zmsg* parts, uint32_t n, int flags) noexcept:
        """[lock] Parts wait here until the last one comes; then the message goes as one."""
        cdef sock* s = self.s
        cdef uint64_t me = PyThread_get_thread_ident()
        cdef zmsg* bigger
        cdef uint32_t before = s.nstage
        cdef uint32_t cap = s.stage_cap
        cdef uint32_t k
        cdef int rc
        if s.nstage and s.stage_owner != me:
            return -EAGAIN        # another thread is in the middle of a message
        if s.nstage == 0:
            rc = route_send_check(&s.r, parts)
            if rc < 0:
                return rc
        while cap < before + n:
            cap = cap * 2 + 4
        if cap > s.stage_cap:
            bigger = <zmsg*>realloc(s.stage, cap * sizeof(zmsg))
            if bigger == NULL:
                return -ENOMEM
            s.stage = bigger
            s.stage_cap = cap
        for k in range(n):
            s.stage[before + k] = parts[k]
        s.nstage += n
        s.stage_owner = me
        if flags & SNDMORE:
            for k in range(n):
                parts[k].kind = MK_EMPTY
                parts[k].facts = NULL
            return 0
        rc = route_send(&s.r, s.stage, s.nstage, True)
        if rc == -EAGAIN:
            s.nstage = before     # the peer that was to get it is gone: the last parts come again
            return rc
        for k in range(before):
            zmsg_release(&s.stage[k])
        for k in range(n):
            parts[k] = s.stage[before + k]
        s.nstage = 0
        sock_wake(s)              # others may have waited for their turn
        return rc

    def send(self, data, int flags=0, bint copy=True, bint track=False, *, routing_id=None, group=None):
        """Send one message, or one part of a message.

        Args:
            data: bytes, a buffer, or a Frame.
            flags: DONTWAIT (do not wait for room), SNDMORE (another part follows).
            copy: False sends a buffer from where it is, unless it is below `copy_threshold`.
            track: with copy=False, the MessageTracker tells when `data` is free again.
            routing_id: of the peer (SERVER, PEER).
            group: of the message (RADIO).

        Returns:
            None; with copy=False (or for a Frame that has one and `track`) a MessageTracker.

        Raises:
            Again: there is no room, and DONTWAIT was given or SNDTIMEO is over.
            ContextTerminated: the context was terminated.
            ZMQError: EFSM against the pattern's order, EHOSTUNREACH no such peer (ROUTER_MANDATORY, SERVER, PEER),
                ENOTSUP the type does not send, ENOTSOCK closed.
            TypeError: `data` has no buffer.

        Source: zmq_send(3).
        """
        cdef zmsg m
        cdef object tracker = None
        if routing_id is not None or group is not None or self.s == NULL or self.s.row.send == SEND_GROUP:
            return self._send_addressed(data, flags, copy, track, routing_id, group)
        if PyBytes_CheckExact(data) and copy:
            if flags == 0 and self._send_quick(data):
                return None
            zmsg_init(&m)
            Py_INCREF(data)
            zmsg_set_object(&m, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), <void*>data)
        else:
            tracker = self._to_zmsg(data, copy, track, &m)
        try:
            self._send_parts(&m, 1, flags)
        finally:
            if m.kind == MK_OBJECT:
                Py_DECREF(<object>m.body.ref.owner)
            elif m.kind == MK_BLOCK:
                zmsg_release(&m)
        return tracker

    cdef bint _send_quick(self, bytes data) noexcept:
        """The hot path of send(): one small part for a peer that has room.  False: no case for this."""
        cdef sock* s = self.s
        if not self.hasty or s.generation != _generation[0] or release_pending() or not zq_trylock(&s.lock):
            return False
        if s.closed or s.nstage or s.full_writes or zq_load32(&s.fatal) or zq_loadp(<void**>&s.inbox) != NULL \
                or not self._send_small(data):
            zq_unlock(&s.lock)
            return False
        sock_settle(s)
        return True

    cdef bint _send_small(self, bytes data) noexcept:
        """[lock] See route_send_small.  False: no case for it."""
        cdef sent_small how
        Py_INCREF(data)           # whoever gets the reference may be through with it at once
        how = route_send_small(&self.s.r, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), <void*>data)
        if how != SMALL_KEPT:
            Py_DECREF(data)
        return how != SMALL_NOT

    cdef object _send_addressed(self, data, int flags, bint copy, bint track, routing_id, group):
        cdef zmsg[2] parts
        cdef object tracker = None
        if self.s == NULL:
            refuse(self.s)
        tracker = self._to_zmsg(data, copy, track, &parts[1])
        zmsg_init(&parts[0])
        try:
            if routing_id is not None:
                if not 0 < routing_id <= 0xFFFFFFFF:
                    fail(-EINVAL, "a routing id is an integer from 1 to 4294967295")
                parts[1].routing_id = routing_id
            if self.s.row.send == SEND_GROUP:
                if flags & SNDMORE:
                    fail(-EINVAL, "RADIO sends single-part messages only")
                if group is None:
                    group = data.group if isinstance(data, Frame) else ""
                if isinstance(group, str):
                    group = group.encode("utf-8")
                if len(group) > 255:
                    fail(-EINVAL, "a group has at most 255 bytes")
                if zmsg_copy_bytes(&parts[0], group, len(group)) < 0:
                    raise MemoryError
                self._send_parts(parts, 2, flags)
            else:
                if group is not None:
                    fail(-EINVAL, "only RADIO sends to a group")
                self._send_parts(&parts[1], 1, flags)
        finally:
            zmsg_release(&parts[0])
            zmsg_release(&parts[1])
        return tracker

    @cython.boundscheck(True)     # a part's buffer may be made by code that changes the list
    def send_multipart(self, msg_parts, int flags=0, bint copy=True, bint track=False, *, routing_id=None, group=None):
        """Send the parts of one message, all or none.

        Args:
            msg_parts: a sequence of what `send` takes.
            flags, copy, track, routing_id, group: as in `send`; with SNDMORE the message goes on after these parts.

        Returns:
            None; with copy=False a MessageTracker of all parts.

        Raises:
            what `send` raises; none of the parts was taken then.
            TypeError: a part is no buffer.
            IndexError: there is no part.
        """
        cdef zmsg small[16]
        cdef zmsg* parts = small
        cdef uint32_t n, k
        cdef uint32_t made = 0
        cdef object tracker
        cdef list trackers = None
        if isinstance(msg_parts, (bytes, bytearray, memoryview, str)):
            raise TypeError(f"send_multipart takes a sequence of parts, not {type(msg_parts).__name__}")
        cdef object seq = msg_parts if isinstance(msg_parts, (list, tuple)) else list(msg_parts)
        n = <uint32_t>len(seq)
        if n == 0:
            raise IndexError("a message has at least one part")
        if self.s == NULL:
            refuse(self.s)
        if n == 1:
            return Socket.send(self, seq[0], flags, copy, track, routing_id=routing_id, group=group)
        if self.s.row.send == SEND_GROUP:
            fail(-EINVAL, "RADIO sends single-part messages only")
        if group is not None:
            fail(-EINVAL, "only RADIO sends to a group")
        if n > 16:
            parts = <zmsg*>malloc(n * sizeof(zmsg))
            if parts == NULL:
                raise MemoryError
        try:
            for k in range(n):
                tracker = None
                try:
                    tracker = self._to_zmsg(seq[k], copy, track, &parts[k])
                except TypeError:
                    shown = repr(seq[k])
                    raise TypeError(f"Frame {k} ({shown if len(shown) < 32 else shown[:29] + '...'}) does not support "
                                    "the buffer interface.") from None
                made += 1
                if routing_id is not None:
                    parts[k].routing_id = routing_id
                if tracker is not None and tracker is not FINISHED:
                    trackers = trackers or []
                    trackers.append(tracker)
            self._send_parts(parts, n, flags)
        finally:
            for k in range(made):
                if parts[k].kind == MK_OBJECT:
                    Py_DECREF(<object>parts[k].body.ref.owner)
                    parts[k].kind = MK_EMPTY
                zmsg_release(&parts[k])
            if parts != small:
                free(parts)
        if trackers is not None:
            return MessageTracker(*trackers)
        return None if copy else FINISHED

    def send_many(self, iterable, int flags=0):
        """Send many messages with one call.

        Args:
            iterable: the messages; each item is what `send` takes, or a list or tuple of parts.
            flags: DONTWAIT stops at the first message for which there is no room.

        Returns:
            how many were sent.

        Raises:
            what `send` raises.  With DONTWAIT or SNDTIMEO, Again only when nothing was sent.  EINVAL for SNDMORE: each
            item is a whole message.
        """
        cdef object items = iterable if type(iterable) is list or type(iterable) is tuple else None
        cdef object iterator = None if items is not None else iter(iterable)
        cdef list batch
        cdef Py_ssize_t total = 0
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t sent
        if flags & SNDMORE:
            fail(-EINVAL, "SNDMORE: each item of send_many is a whole message")
        while True:
            if items is not None:
                sent = self._send_batch(items, at, flags, total)
                at += sent
                total += sent
                if at >= len(items):
                    return total
                if sent == 0:
                    return total
                continue
            batch = []
            broken = None
            try:
                for item in iterator:
                    batch.append(item)
                    if len(batch) == BATCH:
                        break
            except BaseException as error:
                broken = error        # what came before goes first
            if not batch and broken is None:
                return total
            at = 0
            while at < len(batch):
                sent = self._send_batch(batch, at, flags, total)
                at += sent
                total += sent
                if sent == 0:
                    if broken is not None:
                        raise broken
                    return total
            if broken is not None:
                raise broken

    cdef Py_ssize_t _send_batch(self, object items, Py_ssize_t at, int flags, Py_ssize_t before) except -1:
        """Up to BATCH items from a list or tuple: how many went; 0 when no more may be waited for."""
        cdef sock* s
        cdef zmsg m
        cdef object item
        cdef Py_ssize_t n
        cdef Py_ssize_t sent = 0
        cdef int rc = 0
        cdef bint listed = type(items) is list
        # Without a GIL another thread might change the list: what is taken from it here is borrowed.
        with cython.critical_section(items):
            self._enter()
            s = self.s
            n = len(items)            # exactly a list or tuple: asking it runs no code of others
            lease_before_send(s)
            if s.r.npeers == 1 and s.nstage == 0:
                sent = batch_send(s, items, at, n if n - at < BATCH else at + BATCH)
            while at + sent < n and sent < BATCH and s.nstage == 0 and s.row.send != SEND_GROUP:
                item = <object>PyList_GET_ITEM(items, at + sent) if listed else <object>PyTuple_GET_ITEM(items, at + sent)
                if not PyBytes_CheckExact(item):
                    break
                if self._send_small(item):
                    sent += 1
                    continue
                zmsg_init(&m)
                Py_INCREF(item)
                zmsg_set_object(&m, <const uint8_t*>PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), <void*>item)
                rc = route_send(&s.r, &m, 1, True)
                if m.kind == MK_OBJECT:
                    Py_DECREF(item)          # the list has another: nothing is freed under the lock
                if rc < 0:
                    break
                sent += 1
            if sent == 0 and at < n:
                item = <object>PyList_GET_ITEM(items, at) if listed else <object>PyTuple_GET_ITEM(items, at)
        sock_settle(s)
        if sent or at >= n:
            return sent
        if rc < 0 and rc != -EAGAIN:
            self._send_error(rc)
        # The general way: it waits, and takes what is not plain bytes.
        try:
            if isinstance(item, (list, tuple)):
                Socket.send_multipart(self, item, flags)
            else:
                Socket.send(self, item, flags)
        except Again:
            if before:
                return 0
            raise
        return 1

    # --- receiving -----------------------------------------------------------------------------------------

    cdef object _take(self, part* p, bint copy):
        """[lock, kept] The frame at the head as an object, removed from its queue."""
        cdef object data
        cdef sock* s = self.s
        cdef void** slot
        cdef block* b
        cdef size_t size = p.size
        cdef Frame f
        cdef meta* facts = NULL
        cdef peer* who
        cdef uint32_t number = 0
        cdef const uint8_t* group
        cdef int ngroup = 0
        cdef bint fresh = p.kind == MK_EMPTY
        if not copy:
            who = s.r.current if s.r.current != NULL else s.r.ready
            if who != NULL and who.facts != NULL:
                facts = who.facts
                zq_add32(&facts.refs, 1)
            number = route_number(&s.r)
            ngroup = route_group(&s.r, &group)
        if p.kind == MK_EMPTY:
            data = PyBytes_FromStringAndSize(<const char*>p.data, size)
            route_pop(&s.r, p, False)
        elif p.kind == MK_SHARED:
            slot = <void**>p.owner
            if slot[0] == NULL:
                data = PyBytes_FromStringAndSize(<const char*>p.data, size)
                Py_INCREF(data)
                slot[0] = <void*>data
            else:
                data = <object>slot[0]
            route_pop(&s.r, p, False)
        elif p.kind == MK_OBJECT:
            data = <object>p.owner
            if not copy and who != NULL and who.kind == PEER_STREAM:
                # It was to be bytes; a Frame may be written to, which bytes may not.
                b = block_new(size)
                if b == NULL:
                    raise MemoryError
                memcpy(block_data(b), p.data, size)
                data = frame_of_block(b, size)
                route_pop(&s.r, p, False)
            elif PyBytes_CheckExact(data) and p.data == <const uint8_t*>PyBytes_AS_STRING(data) \
                    and <size_t>PyBytes_GET_SIZE(data) == size:
                route_pop(&s.r, p, True)
                Py_DECREF(data)           # the queue's reference; ours is held by `data`
            elif copy:
                data = PyBytes_FromStringAndSize(<const char*>p.data, size)
                route_pop(&s.r, p, False)
            else:
                f = frame_of_object(data, p.data, size)
                route_pop(&s.r, p, True)
                Py_DECREF(data)
                data = f
        else:
            b = <block*>p.owner
            if copy:
                data = PyBytes_FromStringAndSize(NULL, size)
                memcpy(PyBytes_AS_STRING(data), p.data, size)
                route_pop(&s.r, p, False)
            else:
                data = frame_of_block(b, size)
                (<Frame>data).data = p.data
                route_pop(&s.r, p, True)
        s.rcvmore = (p.flags & MSG_MORE) != 0
        s.takes_frames = not copy
        if copy:
            return data
        if not isinstance(data, Frame):
            data = frame_of_object(data, <const uint8_t*>PyBytes_AS_STRING(data), size)
            (<Frame>data).writable = fresh and size > 1      # bytes of one or none are the interpreter's own
        f = data
        f.facts = facts
        f.more = s.rcvmore
        f.number = number
        if ngroup:
            f.group_name = (<bytes>PyBytes_FromStringAndSize(<const char*>group, ngroup)).decode("utf-8", "surrogateescape")
        return f

    cdef int _look(self, part* p) noexcept:
        """[lock; let go of while it reads] 1: a frame is at the head; 0: none; negative errno."""
        cdef sock* s = self.s
        cdef int rc
        s.touch += 1
        traffic_inbox(s)
        rc = route_peek(&s.r, p)
        if rc == 0 and s.nactive:
            # Read what is there: it does not block, so the GIL stays.
            if s.large != NULL:
                land_large(s)
            wait_progress(s, GIL_BUDGET, self.me)
            if s.heavy_left:
                sock_read_apart(s)
            rc = route_peek(&s.r, p)
            if rc == 0 and s.large != NULL:
                land_large(s)     # its beginning has just come
                rc = route_peek(&s.r, p)
        return rc

    cdef int _await_input(self, part* p, int64_t deadline, bint dontwait) except -1:
        """Take the lock and hold it; 1: there is a frame at the head; 0: there is none and no more waiting is allowed."""
        cdef int rc
        self._enter()
        rc = self._look(p)
        if rc == 0 and not dontwait:
            sock_settle(self.s)
            rc = self._await_patiently(p, deadline)
        if rc < 0:
            sock_settle(self.s)
            if rc == -EFSM:
                fail(rc, "a REQ receives after it has sent; a REP sends the reply before it receives again")
            if rc == -ENOTSUP:
                fail(rc, "this type of socket does not receive")
            fail(rc)
        return rc

    cdef int _await_patiently(self, part* p, int64_t deadline) except? -1:
        cdef patience w
        cdef int rc
        patience_init(&w, deadline)
        try:
            while True:
                patience_begin(&w)
                self._enter()
                rc = self._look(p)
                if rc != 0:
                    return rc
                if sock_wait(self.s, WAIT_IN, &w):
                    self._enter()
                    return 0
        finally:
            patience_end(&w)

    cdef object _receive(self, int flags, bint copy):
        cdef part p
        cdef object data
        cdef sock* s
        if not self._await_input(&p, self._receive_deadline(flags), flags & DONTWAIT):
            sock_settle(self.s)
            fail(-EAGAIN)
        s = self.s
        try:
            data = self._take(&p, copy)
        except BaseException:
            zq_unlock(&s.lock)
            raise
        if (s.signal_open or zq_load32(&s.waiters)) and (s.r.current != NULL or s.r.ready != NULL):
            sock_wake(s)          # there may be something for those who still wait, or who look at FD
        if s.r.dirty != NULL or s.r.resumed != NULL:
            sock_settle(s)
        else:
            zq_unlock(&s.lock)
        if release_pending():
            release_drain()       # a buffer of the program's that this message came in, say
        return data

    cdef object _receive_quick(self):
        """The hot path of recv(): a message of one small part that has been read already, or None: no case for this."""
        cdef sock* s = self.s
        cdef part p
        cdef peer* who
        cdef PyObject* data = NULL
        if s == NULL or s.generation != _generation[0] or release_pending() or not zq_trylock(&s.lock):
            return None
        s.touch += 1
        if s.closed or zq_load32(&s.fatal) or zq_loadp(<void**>&s.inbox) != NULL:
            zq_unlock(&s.lock)
            return None
        who = route_quick(&s.r, &p)
        if who != NULL:
            data = bytes_quick(&p)
        if data == NULL:
            zq_unlock(&s.lock)
            return None
        route_quick_pop(&s.r, who, &p)
        s.rcvmore = s.takes_frames = False
        if (s.signal_open or zq_load32(&s.waiters)) and s.r.ready != NULL:
            sock_wake(s)          # as in _receive
        if s.r.dirty != NULL or s.r.resumed != NULL:
            sock_settle(s)
        else:
            zq_unlock(&s.lock)
        return take_over(data)

    cdef int64_t _receive_deadline(self, int flags):
        if self.s == NULL or flags & DONTWAIT or self.s.opt.rcvtimeo < 0:
            return -1
        return _deadline(self.s.opt.rcvtimeo)

    def recv(self, int flags=0, bint copy=True, bint track=False):
        """Receive one part of a message.

        Args:
            flags: DONTWAIT (do not wait).
            copy: False returns a Frame over memory of the engine's, without a copy.
            track: as in `Frame`.

        Raises:
            Again: there is no message, and DONTWAIT was given or RCVTIMEO is over.
            ContextTerminated: the context was terminated.
            ZMQError: EFSM against the pattern's order, ENOTSUP the type does not receive, ENOTSOCK closed.

        Source: zmq_recv(3).
        """
        cdef object data
        if copy:
            data = self._receive_quick()
            if data is not None:
                return data
        data = self._receive(flags, copy)
        if track and not copy:
            (<Frame>data).tracker = FINISHED
        return data

    def recv_into(self, buffer, /, *, Py_ssize_t nbytes=0, int flags=0):
        """Receive one part of a message into a buffer; what does not fit is cut off.

        Args:
            buffer: writable and contiguous.
            nbytes: at most so many bytes; 0: as the buffer holds.
            flags: DONTWAIT.

        Returns:
            the size of the part, which may be more than was written.

        Raises:
            what `recv` raises; ValueError: `nbytes` is more than the buffer holds; BufferError: it cannot be written.
        """
        cdef Py_buffer view
        cdef part p
        cdef size_t room
        cdef sock* s
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            room = view.len
            if nbytes < 0 or <size_t>nbytes > room:
                raise ValueError(f"nbytes={nbytes} is not between 0 and the buffer's {room} bytes")
            if nbytes:
                room = <size_t>nbytes
            if not self._await_input(&p, self._receive_deadline(flags), flags & DONTWAIT):
                sock_settle(self.s)
                fail(-EAGAIN)
            s = self.s
            if p.size < room:
                room = p.size
            memcpy(view.buf, p.data, room)
            s.rcvmore = (p.flags & MSG_MORE) != 0
            s.takes_frames = True     # in blocks, which serve again
            room = p.size
            route_pop(&s.r, &p, False)
            if s.signal_open and (s.r.current != NULL or s.r.ready != NULL):
                sock_wake(s)
            sock_settle(s)
            return room
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t _take_message(self, part* p, list into, bint copy) except -1:
        """[lock, kept] All parts of the message at the head; how many."""
        cdef Py_ssize_t n = 0
        while True:
            into.append(self._take(p, copy))
            n += 1
            if not self.s.rcvmore or route_peek(&self.s.r, p) != 1:
                return n

    def recv_multipart(self, int flags=0, bint copy=True, bint track=False):
        """Receive all parts of one message, as a list.  Arguments and errors as in `recv`."""
        cdef part p
        cdef list parts = []
        if not self._await_input(&p, self._receive_deadline(flags), flags & DONTWAIT):
            sock_settle(self.s)
            fail(-EAGAIN)
        try:
            self._take_message(&p, parts, copy)
        except BaseException:
            zq_unlock(&self.s.lock)
            raise
        if self.s.signal_open or zq_load32(&self.s.waiters):
            sock_wake(self.s)
        sock_settle(self.s)
        if release_pending():
            release_drain()
        return parts

    def recv_many(self, max_n=None, timeout=None):
        """Receive all messages that are there, waiting for the first.

        Args:
            max_n: at most so many, not negative; None: no limit.
            timeout: ms to wait for the first; None: as RCVTIMEO says, 0: do not wait.

        Returns:
            a list: bytes for a message of one part, a list of bytes for one of several.  Empty when the time is over.

        Raises:
            what `recv` raises, but for Again; ValueError: `max_n` is negative.
        """
        cdef part p
        cdef peer* who
        cdef PyObject* data
        cdef list flat = []
        cdef list out = None
        cdef list counts = None
        cdef Py_ssize_t want = -1 if max_n is None else max_n
        cdef Py_ssize_t have = 0
        cdef Py_ssize_t n, k, at
        cdef int64_t deadline
        cdef bint dontwait = False
        cdef bint singles = True
        if max_n is not None and want <= 0:
            if want < 0:
                raise ValueError(f"max_n must not be negative, not {want}")
            return flat
        if timeout is None:
            deadline = self._receive_deadline(0)
        else:
            dontwait = timeout == 0
            deadline = _deadline(-1 if timeout < 0 else int(timeout))
        while self._await_input(&p, deadline, dontwait):
            try:
                k = 0
                while k < BATCH and have != want:
                    if singles and k:
                        n = batch_take(self.s, flat, BATCH - k if want < 0 or want - have > BATCH - k else want - have)
                        if n:
                            k += n
                            have += n
                            continue
                    who = route_quick(&self.s.r, &p)
                    data = bytes_quick(&p) if who != NULL else NULL
                    if data != NULL:
                        route_quick_pop(&self.s.r, who, &p)
                        self.s.rcvmore = self.s.takes_frames = False
                        flat.append(take_over(data))
                        n = 1
                    elif route_peek(&self.s.r, &p) == 1:
                        n = self._take_message(&p, flat, True)
                    else:
                        break
                    have += 1
                    k += 1
                    if n != 1 or not singles:
                        if singles:
                            singles = False
                            zq_unlock(&self.s.lock)
                            counts = [1] * (have - 1)
                            counts.append(n)
                            lock_py(&self.s.lock)
                        else:
                            counts.append(n)
            except BaseException:
                zq_unlock(&self.s.lock)
                raise
            if self.s.signal_open and (self.s.r.current != NULL or self.s.r.ready != NULL):
                sock_wake(self.s)
            sock_settle(self.s)
            if have == want:
                break
            dontwait = True
        else:
            sock_settle(self.s)
        if singles:
            return flat
        out = []
        at = 0
        for n in counts:
            out.append(flat[at] if n == 1 else flat[at:at + n])
            at += n
        return out

    # --- looking ----------------------------------------------------------------------------------------------

    def poll(self, timeout=None, int flags=1):
        """Wait until the socket is ready.

        Args:
            timeout: ms; None or negative waits for ever.
            flags: POLLIN, POLLOUT.

        Returns:
            the events that are there, 0 when the time is over.

        Raises:
            ZMQError: ENOTSUP (a SocketClosed), the socket is closed.
            ContextTerminated: the context was terminated.
        """
        if self.s == NULL or zq_load32(&self.s.closed):
            raise make_error(ENOTSUP, "the socket is closed", SocketClosed)
        ready = zmq_poll([(self, flags)], -1 if timeout is None or timeout < 0 else int(timeout))
        return ready[0][1] if ready else 0

    def set_hwm_policy(self, str direction, dict spec):
        """Say what happens at the high-water mark; see `pyzq.Socket.set_hwm_policy`."""
        set_policy(self, direction, spec)

    def stats(self):
        """What went through the socket, what waits, and what was dropped and why.

        Returns:
            a dict: for "send" and "recv" each `accepted`, `delivered` (to the kernel, or the other socket), `queued`,
            `dropped` (a dict by reason), which add up at all times; and "peers", a list with the same of each.  All of it
            as it was at one moment.
        """
        return books_of(self)
