"""Sending and receiving for programs in Cython and C: no Python call, no Python object, no GIL.

    from zcore.direct cimport direct_close, direct_message, direct_open, direct_recv, direct_send

A Python program makes, binds and connects the socket as always and hands it over; `direct_open` takes a handle of the
engine's half of it.  Both halves may be used at the same time.  The functions may be called from any thread; each
returns a negative errno instead of raising:

    -EAGAIN      nothing came, or there was no room, within the time
    -EINTR       a signal came: take the GIL, call PyErr_CheckSignals(), and call again
    -ENOTSOCK    the socket was closed, or belongs to the parent of this forked process
    -ETERM       its context was terminated (zcore.errno_zmq)
    -ENOMEM, and what zmq_send(3) and zmq_recv(3) name for the type: -EFSM, -EHOSTUNREACH, -EINVAL, -ENOTSUP

A time is in ms; -1 waits for ever, 0 does not wait.  SNDTIMEO and RCVTIMEO are not looked at.
"""

from libc.stdint cimport uint32_t

from .engine cimport sock
from .message cimport zmsg


cdef struct direct_message:   # one message: its parts, reused from one receive to the next
    zmsg* parts               # of `n` parts; zmsg_data and zmsg_size (zcore.message) say what is in one
    uint32_t n
    uint32_t cap

# With the GIL; raises TypeError (no socket) or ZMQError. The handle keeps the engine's half alive, not the Python
# object: a socket that is closed or collected meanwhile is -ENOTSOCK.
cdef sock* direct_open(object socket) except NULL
cdef void direct_close(sock* s) noexcept nogil

cdef int direct_send(sock* s, const void* data, size_t size, int timeout) noexcept nogil
# One message of one part; the bytes are copied. 0 or negative errno.
cdef int direct_send_parts(sock* s, zmsg* parts, uint32_t n, int timeout) noexcept nogil
# A whole message, all or nothing. Parts the engine keeps by reference become empty; the caller releases them all.
cdef int direct_recv(sock* s, direct_message* m, int timeout) noexcept nogil
# The next whole message into `m`, in place of what was there: 0 or negative errno.
cdef void direct_clear(direct_message* m) noexcept nogil
# Give everything back. A direct_message begins as zeros, and is zeros again after this.
