"""See landing.pxd."""

from cpython.exc cimport PyErr_Clear
from cpython.ref cimport PyObject

from .border cimport lock_py
from .engine cimport session, sock
from .message cimport block
from .pipe cimport inq, inq_land, inq_lands, inq_spare
from .platform cimport zq_unlock
from .traffic cimport traffic_commit, traffic_unlist

cdef extern from "Python.h":
    PyObject* PyBytes_FromStringAndSize(const char* data, Py_ssize_t n) noexcept

cdef enum:
    MOVE_WITH_GIL = 262144    # bytes that are moved with the GIL held
    LARGEST = 0x7FFFFFFFFFFFF000


cdef void _land(sock* s, session* n) noexcept:
    """[lock; let go of meanwhile] Own the input half for as long as it takes to find memory."""
    cdef inq* i = &n.p.inn
    cdef PyObject* obj = NULL
    cdef block* b = NULL
    cdef bint frames = s.takes_frames
    if n.c.in_busy or n.c.closing or not n.active or not inq_lands(i) or i.big_size > LARGEST:
        return
    n.c.in_busy = True
    zq_unlock(&s.lock)
    if frames:
        b = inq_spare(i, i.big_size)
    else:
        obj = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>i.big_size)
        if obj == NULL:
            PyErr_Clear()         # then it goes on as before, in memory that grows with what comes
    if obj != NULL or b != NULL:
        if i.big_got > MOVE_WITH_GIL:
            with nogil:
                inq_land(i, obj, b)
        else:
            inq_land(i, obj, b)
    lock_py(&s.lock)
    traffic_commit(s, n, 0)


cdef void land_large(sock* s) noexcept:
    cdef session* n
    cdef int turns = 64
    while s.large != NULL and turns:
        turns -= 1
        n = s.large
        traffic_unlist(n)
        _land(s, n)
