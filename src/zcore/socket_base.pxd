"""The handle of a Python program on the engine's `sock`."""

from .context cimport Context
from .engine cimport member, sock
from .platform cimport sigset_t


cdef class SocketBase:
    cdef sock* s
    cdef member* me                                # as which an event loop watches it, if one does
    cdef public object context
    cdef public object copy_threshold
    cdef bint shadowing
    cdef object original
    cdef object __weakref__
    cdef dict __dict__

    cdef int _enter(self) except -1                # take the lock, or raise why the socket cannot be used
    cdef int _endpoint(self, object addr, int what) except -1
    cdef int _group(self, object group, bint leave) except -1
    # Not Python's to call: looking a method up may wait for another thread, which is not done under the lock.
    cdef void _new_marks(self) noexcept
    cdef object _answer(self, int option)
    cdef int _events(self) noexcept
    cdef int _special(self, int option, const unsigned char* data, size_t size) except -1
