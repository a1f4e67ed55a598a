"""Contexts: creation, options, and their end."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.limits cimport INT_MAX, INT_MIN
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport getenv
from libc.string cimport memcpy, memset
from libc.errno cimport EFAULT, EINVAL

from .border cimport check_signals_masked, restore_signals
from .ctx cimport ctx, ctx_end, ctx_forked, ctx_new, ctx_ref, ctx_unref
from .lifecycle cimport ctx_all_gone, ctx_owes, ctx_stop, owing, spin_default
from .message cimport release_drain, release_stop
from .option_table cimport OPT_FIRST_SOCKET, OPT_STORE_NAME
from .opening cimport strangers_limit
from .options cimport (OPT_KIND_BYTES, OPT_KIND_INT64, OPT_SET, ctx_option_find, ctx_options_get,
                       ctx_options_set, option_row, option_value)
from .platform cimport POLLIN, pollfd, sigset_t, zq_lock, zq_now_ns, zq_ppoll, zq_unlock, zq_wakefd_close

import atexit
import sys
from weakref import ref

from zcore.errors import ContextClosed, ForkedSocket, make_error, raise_too_late

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "platform.h" nogil:
    void zq_sleep_ns(int64_t ns)

cdef enum:
    # ns, at the end of the interpreter
    EXIT_LOOK = 500000        # between two looks at the queues
    EXIT_NOTICE = 1000000000  # until it says what it waits for, and gives up on connections that do not come about
    EXIT_STALLED = 2000000000 # without a byte being taken, until it gives up

IO_THREADS = 1


cdef class Context:
    """A container of sockets and the threads that serve them; see `pyzq.Context`."""

    def __cinit__(self, *args, **kwargs):
        self.x = NULL
        self.members = set()

    def __init__(self, io_threads=1):
        cdef Context other
        if isinstance(io_threads, Context):
            other = io_threads
            if other.x == NULL or other.closed:
                raise make_error(EFAULT, "the context is closed")
            ctx_ref(other.x)
            self.x = other.x
            self.shadowing = True
            self.original = other
            return
        self.x = ctx_new()
        if self.x == NULL:
            raise MemoryError
        _live.add(ref(self, _live.discard))
        try:
            self.set(IO_THREADS, io_threads)
        except BaseException:
            ctx_unref(self.x)
            self.x = NULL
            raise

    def __dealloc__(self):
        if self.x != NULL:
            with nogil:
                ctx_unref(self.x)

    @property
    def underlying(self):
        """The address of the engine's context: the same for all its shadows."""
        return <size_t>self.x

    @property
    def closed(self):
        """True after `term`, of this object or of the one it is a shadow of."""
        if self.x == NULL or self.ended:
            return True
        return self.shadowing and self.original.closed

    def sockets(self):
        """The sockets of this context object that are open, as a list."""
        return [s for s in _alive(self.members) if not s.closed]

    cdef int _usable(self) except -1:
        if self.x == NULL or self.closed:
            raise make_error(EFAULT, "the context is closed", ContextClosed)
        if ctx_forked(self.x):
            raise make_error(EFAULT, "the context belongs to the parent process", ForkedSocket)
        return 0

    def set(self, int option, value):
        """Set an option of the context.

        Raises:
            ZMQError: EINVAL for an unknown option or a value out of range; OptionTooLate (EINVAL), how many threads there
                are and what they are like is settled with the first socket; ContextClosed (EFAULT).
            TypeError: the value is not of the option's type.
            OverflowError: an integer beyond 32 bits.
        """
        cdef const option_row* row = ctx_option_find(option, OPT_SET)
        cdef int64_t number = 0
        cdef const char* data = NULL
        cdef Py_ssize_t size = 0
        cdef int rc
        self._usable()
        if row != NULL and row.store == OPT_STORE_NAME and isinstance(value, (bytes, str)):
            if isinstance(value, str):
                value = value.encode("utf-8")
            data = value
            size = len(value)
        elif not isinstance(value, int):
            raise TypeError(f"expected int, got: {value!r}")
        else:
            number = value
            if not INT_MIN <= number <= INT_MAX:
                raise OverflowError("value too large to convert to int")
        zq_lock(&self.x.lock)
        if self.x.started and row != NULL and row.applies == OPT_FIRST_SOCKET:
            zq_unlock(&self.x.lock)
            raise_too_late((<bytes>row.name).decode(), "before the first socket is made")
        if data != NULL:
            rc = ctx_options_set(&self.x.opts, option, data, size, OPT_KIND_BYTES)
        else:
            rc = ctx_options_set(&self.x.opts, option, &number, sizeof(number), OPT_KIND_INT64)
        zq_unlock(&self.x.lock)
        if rc < 0:
            name = (<bytes>row.name).decode() if row != NULL else f"option {option}"
            raise make_error(rc, f"{name} of a context cannot be {value!r}")

    def get(self, int option):
        """The value of an option of the context.

        Raises:
            ZMQError: EINVAL for an unknown option or one that can only be set; ContextClosed (EFAULT).
        """
        cdef option_value v
        cdef int rc
        self._usable()
        zq_lock(&self.x.lock)
        rc = ctx_options_get(&self.x.opts, option, &v)
        zq_unlock(&self.x.lock)
        if rc != 0:
            raise make_error(rc if rc < 0 else EINVAL, f"a context has no option {option} to be read")
        if v.kind == OPT_KIND_BYTES:
            return PyBytes_FromStringAndSize(<const char*>v.data, v.size)
        return v.number

    def shutdown(self):
        """Make every blocked or later call on the sockets of the context raise ContextTerminated, at once."""
        self._usable()
        with nogil:
            ctx_stop(self.x, False)

    def term(self):
        """End the context: as `shutdown`, then wait until every socket is closed and has sent what LINGER grants it.

        Of a shadow, this ends the shadow alone.

        Raises:
            what a signal's handler raises; the context can be terminated again then.
        """
        if self.x == NULL or self.ended:
            return
        if self.shadowing or ctx_forked(self.x):
            self.ended = True
            return
        with nogil:
            ctx_stop(self.x, True)
        release_drain()
        try:
            self._wait_for_sockets()
        finally:
            zq_lock(&self.x.lock)
            self.x.enders -= 1
            if self.x.enders == 0 and self.x.nsockets == 0 and self.x.gone_open:
                self.x.gone_open = False
                zq_wakefd_close(&self.x.gone)
            zq_unlock(&self.x.lock)
        with nogil:
            ctx_end(self.x)
        self.ended = True

    def _wait_for_sockets(self):
        cdef sigset_t old
        cdef pollfd fd
        cdef bint masked
        while not ctx_all_gone(self.x):
            masked = check_signals_masked(&old)
            fd.fd = self.x.gone.rfd
            fd.events = <short>POLLIN
            with nogil:
                zq_ppoll(&fd, 1, -1, &old if masked else NULL)
            if masked:
                restore_signals(&old)


cdef list _alive(set references):
    # The list is made in one step: going through a set that other threads add to fails.
    return [one for one in [reference() for reference in list(references)] if one is not None]


# Contexts that are not shadows, for the end of the interpreter: weak references.
cdef set _live = set()


def _at_exit():
    """What sockets have accepted goes out, as LINGER says, as long as the peers that are connected take it."""
    cdef owing now, before
    cdef int64_t start = zq_now_ns()
    cdef int64_t moved = start
    cdef int64_t told = 0
    cdef uint32_t waiting
    cdef Context c
    contexts = [c for c in _alive(_live) if c.x != NULL and not c.ended and not ctx_forked(c.x)]
    memset(&before, 0, sizeof(before))
    try:
        while True:
            waiting = 0
            memset(&now, 0, sizeof(now))
            for c in contexts:
                with nogil:
                    _add_owing(c.x, start, &now)
            if now.messages != before.messages or now.taken != before.taken:
                moved = zq_now_ns()
            before = now
            waiting = now.connected + now.dialling
            if (waiting == 0 or zq_now_ns() - moved > EXIT_STALLED
                    or (now.connected == 0 and zq_now_ns() - start > EXIT_NOTICE)):
                break
            if told == 0 and zq_now_ns() - start > EXIT_NOTICE:
                told = 1
                where = (<bytes>now.name).decode("utf-8", "replace")
                print(f"pyzq: the interpreter ends when {now.messages} message(s) for {waiting} peer(s) have been "
                      f"taken{f' (one is {where})' if where else ''}; LINGER limits how long", file=sys.stderr, flush=True)
            PyErr_CheckSignals()
            with nogil:
                zq_sleep_ns(EXIT_LOOK)
    finally:
        release_stop()


cdef void _add_owing(ctx* x, int64_t since, owing* sum) noexcept nogil:
    cdef owing one
    ctx_owes(x, since, &one)
    sum.connected += one.connected
    sum.dialling += one.dialling
    sum.messages += one.messages
    sum.taken += one.taken
    if one.name[0]:
        memcpy(sum.name, one.name, sizeof(one.name))


atexit.register(_at_exit)


cdef const char* _strangers = getenv(b"PYZQ_STRANGERS")
if _strangers != NULL:
    try:
        strangers_limit(max(1, min(1 << 20, int(<bytes>_strangers))))
    except ValueError:
        pass

cdef const char* _budget = getenv(b"PYZQ_SPIN_US")
if _budget != NULL:
    try:
        spin_default(max(0, min(10000, int(<bytes>_budget))))
    except ValueError:
        pass
