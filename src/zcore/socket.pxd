"""Sending and receiving from Python."""

from libc.stdint cimport int64_t, uint32_t

from .engine cimport sock
from .message cimport zmsg
from .pipe cimport part
from .socket_base cimport SocketBase


cdef class Socket(SocketBase):
    cdef bint hasty           # there were peers to take turns when it last sent: the short way may do
    cdef object _to_zmsg(self, object data, bint copy, bint track, zmsg* m)
    cdef int _send_parts(self, zmsg* parts, uint32_t n, int flags) except -1
    cdef int64_t _send_deadline(self)
    cdef int _try_send(self, zmsg* parts, uint32_t n, int flags) noexcept
    cdef int _send_patiently(self, zmsg* parts, uint32_t n, int flags) except -1
    cdef object _send_error(self, int rc)
    cdef int _stage_parts(self, zmsg* parts, uint32_t n, int flags) noexcept
    cdef bint _inherit_stage(self) except -1
    cdef object _send_addressed(self, data, int flags, bint copy, bint track, routing_id, group)
    cdef Py_ssize_t _send_batch(self, object items, Py_ssize_t at, int flags, Py_ssize_t before) except -1
    cdef object _take(self, part* p, bint copy)
    cdef int _look(self, part* p) noexcept
    cdef int _await_patiently(self, part* p, int64_t deadline) except? -1
    cdef int _await_input(self, part* p, int64_t deadline, bint dontwait) except -1
    cdef object _receive(self, int flags, bint copy)
    cdef object _receive_quick(self)
    cdef bint _send_quick(self, bytes data) noexcept
    cdef bint _send_small(self, bytes data) noexcept
    cdef int64_t _receive_deadline(self, int flags)
    cdef Py_ssize_t _take_message(self, part* p, list into, bint copy) except -1
