"""Sockets of an event loop: one reader per loop, for all of its sockets."""

from libc.stdint cimport uint64_t

from .engine cimport member, watcher
from .promise cimport Call, Desk, Line, Promise
from .socket cimport Socket


cdef class Hub(Desk):
    """What a loop has of this engine: a watcher, which is one descriptor for the loop to read.

    Completing calls is its business alone: in the loop's callback, where no task is running.

    The GIL protects it, and the lines and calls of its sockets; where there is none, the critical section of the hub
    does: whoever touches them is in it.  To join or to leave takes that of the socket, too; both at once, since waiting for
    a second one lets go of the first.
    """
    cdef watcher* w                     # NULL: it has ended
    cdef watcher* old                   # about to end, in the loop's own thread
    cdef dict sockets                   # id -> weak reference
    cdef list unflushed                 # sockets with bytes that were left for company
    cdef bint reading                   # the loop has our reader
    cdef bint scheduled                 # the loop will call us soon
    cdef object on_ready                # bound methods, made once
    cdef object on_again
    cdef object __weakref__

    cdef int read(self) except -1       # in its loop's thread
    cdef int again(self) except -1      # have the loop call soon
    cdef int turn(self) except -1
    # these return how many calls they completed
    cdef int serve(self) except -1
    cdef int serve_these(self, list found) except -1
    cdef int settle(self) except -1
    cdef int flush(self) except -1
    cdef int left(self, LoopSocket socket) except -1
    cdef int end(self) except -1
    cdef LoopSocket whose(self, member* m)


cdef class LoopSocket(Socket):
    """What a socket is to its loop. How calls are done is its subclass's business."""
    cdef Hub hub                        # None: no loop has seen it
    cdef Line inbound
    cdef Line outbound
    cdef Line looking                   # polls
    cdef bint unflushed                 # in hub.unflushed
    cdef uint64_t read_at               # ticks: when the kernel last had no more for us

    cdef object _attempt(self, Call call, int* rc)      # do it if it can be done without waiting; rc: whether it was
    cdef int _in_company(self) except -1                # what it has sent waits for the end of the turn
    cdef Promise _refused(self)
    cdef Promise _pend(self, Call call, Line line, int timeout_ms, bint soon)   # soon: it may be done in the next turn
    cdef int _put(self, Call call, Line line, Hub hub, object loop) except -1
    cdef int _astray(self) except -1                    # raises why it cannot wait after all
    cdef bint _spun(self, int timeout_ms) except -1     # a moment was spent waiting for input: look again
    cdef int _join(self, object loop) except -1
    cdef int _leave(self) except -1
    cdef Hub _hub(self)                                 # from any thread
    cdef int _part(self, bint calls) except -1          # from any thread: end its calls, if told so, and leave
    cdef int _end_calls(self) except -1
    cdef int _serve(self) except -1                     # these return how many calls they completed
    cdef int _serve_line(self, Line line, Hub hub) except -1
    cdef int _serve_looking(self, Hub hub) except -1
