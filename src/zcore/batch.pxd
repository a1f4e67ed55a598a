"""Python's objects and the short ways: `bytes` that are taken or given as they are, one or many under one lock."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t

from .engine cimport sock
from .message cimport MK_EMPTY
from .pipe cimport part

cdef extern from "Python.h":
    PyObject* bytes_or_null "PyBytes_FromStringAndSize"(const char* data, Py_ssize_t n)

cdef extern from *:
    """
    #define zq_take_over(o) (o)
    """
    object take_over "zq_take_over"(PyObject* data)      # with the reference that the caller has of it


cdef Py_ssize_t batch_send(sock* s, object items, Py_ssize_t at, Py_ssize_t end)
# [lock] Items of a list or tuple to the socket's only peer, if that is an inproc one: how many went.
cdef uint32_t batch_take(sock* s, list into, Py_ssize_t most) except? 0xFFFFFFFF
# [lock] Messages of an inproc peer that are plain bytes, to the end of the list: how many.

cdef inline PyObject* bytes_quick(part* p) noexcept:
    """What route_quick has found, with a reference that is the caller's once the message is removed; NULL: no case."""
    cdef PyObject* data = <PyObject*>p.owner
    if p.kind == MK_EMPTY:
        data = bytes_or_null(<const char*>p.data, p.size)
        if data == NULL:
            PyErr_Clear()         # the long way says what is the matter
    elif not PyBytes_CheckExact(<object>data) or p.data != <const uint8_t*>PyBytes_AS_STRING(<object>data) \
            or <size_t>PyBytes_GET_SIZE(<object>data) != p.size:
        data = NULL
    return data
