"""What a call on a socket of an event loop returns: something that `asyncio.isfuture` accepts.

A `Promise` has its outcome from the beginning: awaiting it does not go through the loop.  A `Call` waits in a line of its
socket; the loop's callback completes it, and runs what waits for it then and there, so that between a message leaving the
socket and its task running there is no moment in which a cancellation could lose it.
"""


cdef enum:
    PENDING = 0
    DONE = 1
    FAILED = 2
    CANCELLED = 3

cdef bint budget_spent() noexcept
# Counts one completion without a turn of the loop: True after 256 of them, or 1 ms, on this thread: let the loop turn.
cdef void budget_renew(bint one) noexcept             # the loop has turned; one: and one completion counts already

cdef object loop_running()                             # the loop running in this thread, or None
cdef object loop_here()                                # that one, or the one set for this thread; raises RuntimeError

cdef class Promise:
    cdef int state
    cdef bint lax                       # awaiting it lets the loop turn once, though it is done
    cdef public bint _asyncio_future_blocking
    cdef object value                   # DONE: the result; FAILED: a Fault; CANCELLED: the message of the cancellation
    cdef object __weakref__

    cdef object _loop(self)
    cdef bint _cancel(self, object msg) except -1
    cdef int _when_done(self, object fn, object context) except -1
    cdef int _forget(self, object fn) except -1

cdef Promise promise_done(object value)
cdef Promise promise_failed(object error)
cdef Fault fault_of(object error, object loop)         # loop: a loop, a weak reference to one, or None

cdef class Fault:
    """An exception, which is reported to the loop when nobody ever asks for it."""
    cdef object error
    cdef object loop
    cdef bint heard

cdef class Line:
    """Calls that wait for the same thing, first come, first served."""
    cdef Call first
    cdef Call last
    cdef dict keep                      # the loop's: what must live as long as anybody waits in a line

    cdef void put(self, Call call, object owner)
    cdef void drop(self, Call call)

cdef class Desk:
    """What a call needs of whoever serves the lines in its loop."""
    cdef object loop_ref                # weak: a loop that has ended is not kept by what was left waiting

    cdef dict waiting                   # line -> whose it is: what must live as long as anybody waits

    cdef object loop(self)              # None: it is gone
    cdef int soon(self, object fn, object arg, object context) except -1    # have the loop call fn(arg), from any thread

cdef class Call(Promise):
    cdef Line line                      # None: not waiting any more
    cdef Call before
    cdef Call after
    cdef Desk desk
    cdef int kind                       # its socket's own
    cdef int mask
    cdef int flags
    cdef bint copy
    cdef bint track
    cdef bint more                      # it stopped half way, though it could have gone on: after the others
    cdef object data
    cdef object extra
    cdef object convert                 # makes the result of what was received
    cdef bint fails_late                # when the time is over it fails with Again; else its result is:
    cdef object late
    cdef object timer
    cdef object callback                # the first to be told, and its context
    cdef object context
    cdef list callbacks                 # the others, as pairs

    cdef int finish(self, int state, object value, bint at_once) except -1
    cdef int _tell(self, object fn, object context) except -1
