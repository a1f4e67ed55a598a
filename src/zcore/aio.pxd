"""Awaited sending and receiving."""

from .hub cimport LoopSocket
from .promise cimport Call, Promise


cdef class AsyncSocket(LoopSocket):
    cdef object _received(self, bint copy, bint whole, int* rc)
    cdef object _sent(self, object data, int flags, bint copy, bint track, object routing, object group, int* rc)
    cdef object _sent_many(self, Call call, int* rc)
    cdef Promise _receiving(self, int kind, int flags, bint copy, bint track, object convert)
    cdef Promise _receive_general(self, Call call, int flags, int timeout)
    cdef Promise _sending(self, Call call, bint tried)
    cdef Promise _accepted(self, object tracker)
    cdef int _send_timeout(self) noexcept
