"""Promises and calls; see promise.pxd."""

import asyncio
from types import GenericAlias
from weakref import ref

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from .platform cimport ticks_per_us, zq_ticks

from zcore.errors import Again

cdef extern from *:
    """
    static __thread unsigned int zq_completed;        /* completions since the loop's last turn that we know of */
    static __thread unsigned long long zq_turned;     /* ticks */

    /* StopIteration with a value: what ends `await`.  Set as it is, without making an object where that is possible. */
    static void zq_stop(PyObject *value)
    {
        if (PyTuple_Check(value) || PyExceptionInstance_Check(value)) {
            PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);
            if (stop != NULL) {
                PyErr_SetObject(PyExc_StopIteration, stop);
                Py_DECREF(stop);
            }
        } else
            PyErr_SetObject(PyExc_StopIteration, value);
    }

    /* A step that ends an await hands its value over as it is where the interpreter asks that way; else by StopIteration. */
    static PyObject *zq_step(PyObject *it) { return Py_TYPE(it)->tp_iternext(it); }
    static void zq_set_steps(PyObject *type, void *next, void *send)
    {
        PyTypeObject *t = (PyTypeObject *)type;
        t->tp_iternext = (iternextfunc)next;
        if (t->tp_as_async != NULL)
            t->tp_as_async->am_send = (sendfunc)send;
    }
    """
    uint32_t zq_completed
    uint64_t zq_turned
    void zq_stop(object value)
    PyObject* zq_step(PyObject* it) noexcept
    void zq_set_steps(object type, void* next, void* send)

cdef extern from "Python.h":
    void Py_INCREF(PyObject* o)
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

cdef enum:
    MOST = 256                # completions without a turn of the loop
    MOST_US = 1000

cdef object _get_running_loop = asyncio._get_running_loop


cdef bint budget_spent() noexcept:
    cdef uint64_t now = zq_ticks()
    global zq_completed, zq_turned
    if zq_completed == 0:
        zq_turned = now
    zq_completed += 1
    return zq_completed > MOST or now - zq_turned > MOST_US * ticks_per_us()


cdef void budget_renew(bint one) noexcept:
    global zq_completed, zq_turned
    zq_completed = one
    zq_turned = zq_ticks()


cdef object loop_running():
    return _get_running_loop()


cdef object loop_here():
    loop = _get_running_loop()
    if loop is not None:
        return loop
    # Called before the loop runs: the one that is set for this thread, if any.
    from warnings import catch_warnings, simplefilter

    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)
        return asyncio.get_event_loop()


cdef PyObject* _next(PyObject* it) except? NULL:
    """One step of an await."""
    cdef Promise p = <Promise>it
    if p.lax:
        p.lax = False
        Py_INCREF(<PyObject*>None)
        return <PyObject*>None
    if p.state == DONE:
        zq_stop(p.value)
        return NULL
    if p.state == PENDING:
        p._asyncio_future_blocking = True
        Py_INCREF(it)
        return it
    p.result()                # raises
    return NULL


cdef int _send(PyObject* it, PyObject* arg, PyObject** result) noexcept:
    """The same, for who asks for the outcome of the step with it: a PySendResult."""
    cdef Promise p = <Promise>it
    if p.state == DONE and not p.lax:
        result[0] = <PyObject*>p.value
        Py_INCREF(result[0])
        return PYGEN_RETURN
    result[0] = zq_step(it)       # with its exception, if any, set
    return PYGEN_ERROR if result[0] == NULL else PYGEN_NEXT


cdef class Fault:
    def __del__(self):
        if self.heard or self.loop is None:
            return
        loop = self.loop() if isinstance(self.loop, ref) else self.loop
        if loop is not None and not loop.is_closed():
            loop.call_exception_handler({
                "message": "exception of a call on a socket was never retrieved",
                "exception": self.error,
            })


@cython.freelist(256)
cdef class Promise:
    """The outcome of a call on a socket: awaitable, and a future for all that asyncio does with futures."""

    __class_getitem__ = classmethod(GenericAlias)

    cdef object _loop(self):
        return loop_here()

    def get_loop(self):
        """The event loop it belongs to."""
        return self._loop()

    def done(self):
        """True when there is a result, an exception or a cancellation."""
        return self.state != PENDING

    def cancelled(self):
        """True when it was cancelled."""
        return self.state == CANCELLED

    def result(self):
        """What the call returned; raises what it raised.

        Raises:
            CancelledError: it was cancelled.
            InvalidStateError: it is not done.
        """
        if self.state == DONE:
            return self.value
        if self.state == FAILED:
            (<Fault>self.value).heard = True
            raise (<Fault>self.value).error
        if self.state == CANCELLED:
            raise self._make_cancelled_error()
        raise asyncio.InvalidStateError("Result is not set.")

    def exception(self):
        """What the call raised, or None.  Raises as `result` does for a cancelled one and one that is not done."""
        if self.state == DONE:
            return None
        if self.state == FAILED:
            (<Fault>self.value).heard = True
            return (<Fault>self.value).error
        if self.state == CANCELLED:
            raise self._make_cancelled_error()
        raise asyncio.InvalidStateError("Exception is not set.")

    def _make_cancelled_error(self):
        return asyncio.CancelledError() if self.value is None else asyncio.CancelledError(self.value)

    @property
    def _cancel_message(self):
        # asyncio.gather asks for it.
        return self.value if self.state == CANCELLED else None

    def cancel(self, msg=None):
        """Give the call up.  False when it is done already: what was received is its result then."""
        return self._cancel(msg)

    cdef bint _cancel(self, object msg) except -1:
        return False

    def add_done_callback(self, fn, *, context=None):
        """Have the loop call `fn(self)` when it is done."""
        self._when_done(fn, PyContext_CopyCurrent() if context is None else context)

    def remove_done_callback(self, fn):
        """Take all callbacks that are equal to `fn` back; how many there were."""
        return self._forget(fn)

    cdef int _when_done(self, object fn, object context) except -1:
        self._loop().call_soon(fn, self, context=context)
        return 0

    cdef int _forget(self, object fn) except -1:
        return 0

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.lax:
            self.lax = False
            return None
        if self.state == PENDING:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration(self.result())

    def __repr__(self):
        if self.state == PENDING:
            return "<Promise pending>"
        if self.state == CANCELLED:
            return "<Promise cancelled>"
        if self.state == FAILED:
            return f"<Promise exception={(<Fault>self.value).error!r}>"
        return f"<Promise result={self.value!r}>"


cdef Promise promise_done(object value):
    cdef Promise p = Promise.__new__(Promise)
    p.state = DONE
    p.value = value
    return p


cdef Promise promise_failed(object error):
    cdef Promise p = Promise.__new__(Promise)
    p.state = FAILED
    p.value = fault_of(error, loop_running())
    return p


cdef Fault fault_of(object error, object loop):
    cdef Fault fault = Fault.__new__(Fault)
    fault.error = error
    fault.loop = loop
    return fault


cdef class Line:
    cdef void put(self, Call call, object owner):
        call.line = self
        call.before = self.last
        if self.last is None:
            self.first = call
            self.keep = call.desk.waiting
            self.keep[self] = owner
        else:
            self.last.after = call
        self.last = call

    cdef void drop(self, Call call):
        cdef Call before = call.before
        cdef Call after = call.after
        call.line = call.before = call.after = None
        if before is None:
            self.first = after
        else:
            before.after = after
        if after is None:
            self.last = before
        else:
            after.before = before
        if self.first is None:
            self.keep.pop(self, None)


cdef class Desk:
    cdef object loop(self):
        with cython.critical_section(self):
            reference = self.loop_ref
        return reference()

    cdef int soon(self, object fn, object arg, object context) except -1:
        raise RuntimeError


cdef class Call(Promise):
    """A call that waits."""

    cdef object _loop(self):
        loop = self.desk.loop()
        if loop is None:
            raise RuntimeError("the event loop of this call is gone")
        return loop

    cdef bint _cancel(self, object msg) except -1:
        with cython.critical_section(self.desk):
            if self.state != PENDING:
                return False
            # Not at once: whoever cancels may be the task that waits.
            self.finish(CANCELLED, msg, False)
        return True

    cdef int _when_done(self, object fn, object context) except -1:
        with cython.critical_section(self.desk):
            if self.state != PENDING:
                self.desk.soon(fn, self, context)
            elif self.callback is None:
                self.callback = fn
                self.context = context
            else:
                if self.callbacks is None:
                    self.callbacks = []
                self.callbacks.append((fn, context))
        return 0

    cdef int _forget(self, object fn) except -1:
        cdef list kept
        cdef int before = 0
        with cython.critical_section(self.desk):
            if self.callback is not None:
                before = 1 + (0 if self.callbacks is None else <int>len(self.callbacks))
            if before == 0:
                return 0
            kept = [(self.callback, self.context)]
            if self.callbacks is not None:
                kept += self.callbacks
            kept = [pair for pair in kept if pair[0] != fn]
            self.callback = self.context = self.callbacks = None
            if kept:
                self.callback, self.context = kept[0]
                self.callbacks = kept[1:] or None
            return before - <int>len(kept)

    def expire(self):
        """Its time is over; the loop calls."""
        budget_renew(False)
        with cython.critical_section(self.desk):
            if self.state == PENDING:
                self.timer = None
                if self.fails_late:
                    self.finish(FAILED, fault_of(Again(), self.desk.loop_ref), True)
                else:
                    self.finish(DONE, self.late, True)

    cdef int finish(self, int state, object value, bint at_once) except -1:
        """[the desk's critical section] The caller holds a reference.  at_once: by the loop's own callback, with no task
        running: those who wait go on within this call."""
        cdef list others = self.callbacks
        fn, context = self.callback, self.context
        cdef Line line = self.line
        if line is not None:
            line.drop(self)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.value = value        # before the state: another thread may look
        self.state = state
        self.callback = self.context = self.callbacks = None
        self.data = self.extra = self.convert = self.late = None
        if fn is None:
            return 0
        if others is not None:
            for other, its_context in others:
                self.desk.soon(other, self, its_context)
        if at_once:
            return self._tell(fn, context)
        return self.desk.soon(fn, self, context)

    cdef int _tell(self, object fn, object context) except -1:
        try:
            PyContext_Enter(context)
        except RuntimeError:
            # It is entered already: another time.
            return self.desk.soon(fn, self, context)
        try:
            fn(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            loop = self.desk.loop()
            if loop is not None:
                loop.call_exception_handler({
                    "message": f"exception in a callback of {self!r}",
                    "exception": error,
                })
        finally:
            PyContext_Exit(context)
        return 0


zq_set_steps(Promise, <void*>_next, <void*>_send)
zq_set_steps(Call, <void*>_next, <void*>_send)


def done(value):
    """A future that has its result already."""
    return promise_done(value)


def failed(error):
    """A future that has failed already."""
    return promise_failed(error)


def turn_due():
    """Counts one call that did not have to wait; True when it is time to let the loop turn."""
    return budget_spent()


def turned():
    """The loop has turned."""
    budget_renew(False)
