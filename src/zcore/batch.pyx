"""See batch.pxd."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport uint8_t, uint32_t

from .engine cimport sock
from .message cimport MK_OBJECT, zmsg, zmsg_init, zmsg_set_object
from .patterns cimport route_quick_run, route_quick_run_pop, route_send_run

cdef enum:
    RUN = 32                  # messages that are made ready for one peer at once


cdef Py_ssize_t batch_send(sock* s, object items, Py_ssize_t at, Py_ssize_t end):
    cdef zmsg[RUN] parts
    cdef object item
    cdef Py_ssize_t begin = at
    cdef uint32_t n, i, taken
    cdef bint listed = type(items) is list
    while at < end:
        n = 0
        while n < RUN and at + n < end:
            item = <object>PyList_GET_ITEM(items, at + n) if listed else <object>PyTuple_GET_ITEM(items, at + n)
            if not PyBytes_CheckExact(item):
                break
            zmsg_init(&parts[n])
            Py_INCREF(item)
            zmsg_set_object(&parts[n], <const uint8_t*>PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), <void*>item)
            n += 1
        taken = route_send_run(&s.r, parts, n) if n else 0
        for i in range(n):
            if parts[i].kind == MK_OBJECT:
                Py_DECREF(<object>parts[i].body.ref.owner)      # the list has another: nothing is freed under the lock
        at += taken
        if taken != RUN:
            break
    return at - begin


cdef uint32_t batch_take(sock* s, list into, Py_ssize_t most) except? 0xFFFFFFFF:
    cdef uint32_t count = 0
    cdef uint32_t n = 0
    cdef size_t size = 0
    cdef zmsg* m = route_quick_run(&s.r, &count)
    cdef PyObject* data
    if m == NULL:
        return 0
    try:
        while n < count and <Py_ssize_t>n < most:
            data = <PyObject*>m.body.ref.owner
            if m.kind != MK_OBJECT or m.flags or m.facts != NULL or not PyBytes_CheckExact(<object>data) \
                    or m.body.ref.data != <const uint8_t*>PyBytes_AS_STRING(<object>data) \
                    or m.body.ref.size != <size_t>PyBytes_GET_SIZE(<object>data):
                break
            size += m.body.ref.size
            m += 1
            n += 1
            into.append(take_over(data))
    finally:
        if n:
            route_quick_run_pop(&s.r, n, size)
    return n
