"""Sending and receiving for programs in Cython and C: no Python call, no Python object, no GIL.

    from zcore.direct cimport direct_close, direct_message, direct_open, direct_recv, direct_send

A Python program makes, binds and connects the socket as always, sets its options, and hands it over; `direct_open` takes
a handle of the engine's half of it.  Both halves may be used at the same time, and each function by several threads at
the same time.

Every function but direct_open may be called without the GIL; with the GIL, one that waits keeps
all other Python threads waiting.  Each returns 0 or a negative errno instead of raising:

    -EAGAIN      nothing came, or there was no room, within the time
    -EINTR       a signal came while it waited, and nothing was sent or received: see below
    -ENOTSOCK    the socket was closed, or belongs to the parent of this forked process
    -ETERM       its context was terminated (zcore.errno_zmq)
    -ENOMEM      a message that was to be sent was not; one that was being received is gone
    -EMFILE, -ENFILE   no descriptor for waiting could be made
    -EFSM        against the order of the pattern (REQ, REP); this thread has sent the first parts of a message from
                 Python and has yet to send the last
    -EHOSTUNREACH   no such peer (ROUTER with ROUTER_MANDATORY, STREAM, SERVER, PEER)
    -EINVAL      no parts, or more than the type has: CLIENT, SERVER, PEER, SCATTER, GATHER, CHANNEL have one, RADIO two
    -ENOTSUP     the type does not send, or does not receive

The codes are those of zmq_send(3) and zmq_recv(3).  A time is in ms; -1 waits for ever, 0 does not wait.  SNDTIMEO and
RCVTIMEO are not looked at.  After an error the socket is as before, and the call may be made again.

No memory is allocated for a message: what is sent is copied from where it stands into the queue, what is received into
the memory of the message before.  Exceptions: messages to peers in the same process (above 40 bytes), queues with the
policy KeepLast, and messages of 16 KB and more, which are written from a block of their own.

**Signals.**  Python's own handlers run only in the main thread, with the GIL.  There, -EINTR means that one may be due:
take the GIL, call PyErr_CheckSignals(), and call again.  A signal is certain to end the wait only when it comes during
it; so that one that comes a moment before is not slept over, and so that Ctrl-C gets through to a loop which never has
to wait, give the main thread's waits an end (1000, say) and call PyErr_CheckSignals() then, and every so many messages.
In other threads signals need no attention.
"""

from libc.stdint cimport uint8_t, uint32_t

from .engine cimport sock
from .message cimport zmsg


cdef struct direct_message:
    # One message. It begins as zeros. What is in it belongs to the receiver until the next direct_recv into it, which
    # uses the memory again. zmsg_data and zmsg_size (zcore.message) say what is in a part.
    zmsg* parts               # the first `n` are the message; the others are spare
    uint32_t n
    uint32_t cap
    uint32_t routing_id       # SERVER, PEER: whom it came from, for direct_send_number; else 0
    uint32_t group_size       # DISH: bytes of its group; else 0
    uint8_t[256] group

cdef sock* direct_open(object socket) except NULL
# socket: a pyzq.Socket, or one of pyzq.patterns. Raises TypeError (something else) or ZMQError (closed, terminated). The
# handle keeps the engine's half alive, not the Python object: keep that too, since a socket that is closed or collected
# meanwhile is -ENOTSOCK.
cdef void direct_close(sock* s) noexcept nogil
# Give the handle back; no call may be under way with it. The socket itself stays open.

cdef int direct_send(sock* s, const void* data, size_t size, int timeout) noexcept nogil
# One message of one part. The bytes stay the caller's, and are not looked at after the call.
cdef int direct_send_to(sock* s, const void* address, size_t naddress, const void* data, size_t size, int timeout) noexcept nogil
# The same to one peer: the identity (ROUTER, STREAM), or the group (RADIO). On the wire of a ROUTER nothing stands
# between the two, as a DEALER expects; a REQ wants an empty part first, for which there is direct_send_parts. Sockets of
# other types send a message of two parts.
cdef int direct_send_number(sock* s, uint32_t routing_id, const void* data, size_t size, int timeout) noexcept nogil
# The same to the peer with a routing id (SERVER, PEER).
cdef int direct_send_parts(sock* s, zmsg* parts, uint32_t n, int timeout) noexcept nogil
# A whole message, all or nothing: for ROUTER and STREAM the first part is the identity, for RADIO the group. Parts are
# made with zmsg_init and then zmsg_set_loan (bytes that stay the caller's until the call ends), zmsg_set_inline (up to 40
# are copied) or zmsg_copy_bytes; those of a direct_message may be sent on. Parts that the engine keeps by reference
# become empty (MK_EMPTY); the caller gives back what is left with zmsg_release, whatever was returned.
cdef int direct_recv(sock* s, direct_message* m, int timeout) noexcept nogil
# The next whole message into `m`, in place of what was there; after an error there is none (m.n is 0). From a ROUTER, the
# first part is the identity. If Python has received the first parts of a message, these are the others.
cdef void direct_clear(direct_message* m) noexcept nogil
# Give all memory back. The message is zeros again.
