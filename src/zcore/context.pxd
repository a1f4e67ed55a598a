"""The Context of Python programs: a handle on the engine's `ctx`."""

from .ctx cimport ctx


cdef class Context:
    cdef ctx* x
    cdef bint shadowing          # another object ends the context
    cdef object original
    cdef bint ended              # by this object
    cdef set members             # weak references of sockets made through it
    cdef object __weakref__

    cdef int _usable(self) except -1
