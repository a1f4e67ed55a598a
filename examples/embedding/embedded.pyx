"""Sending and receiving from an extension of one's own, without the GIL and without a Python call per message.

The program makes the sockets in Python and hands them over.  What happens for each message is C, without an allocation.
Now and then both loops come back to Python: in the main thread that is when Ctrl-C gets through.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from zcore.direct cimport direct_clear, direct_close, direct_message, direct_open, direct_recv, direct_send
from zcore.engine cimport sock
from zcore.message cimport zmsg_data, zmsg_size

from zcore.errors import raise_errno

cdef enum:
    PATIENCE_MS = 1000        # a wait ends after this, so that no signal is slept over
    SOME = 1000000            # messages between two looks at signals


cdef int signals(int rc) except -1:
    """Run the handlers of signals; raise what was no reason to look for any."""
    if rc != -EINTR and rc != -EAGAIN:
        raise_errno(-rc)
    PyErr_CheckSignals()
    return 0


def produce(socket, uint64_t count) -> None:
    """Send the numbers below `count`, each as eight bytes, and then an empty message."""
    cdef sock* s = direct_open(socket)
    cdef uint64_t number = 0
    cdef int rc = 0
    try:
        while number < count:
            with nogil:
                while number < count:
                    rc = direct_send(s, &number, sizeof(number), PATIENCE_MS)
                    if rc < 0:
                        break             # this number was not sent
                    number += 1
                    if number % SOME == 0:
                        rc = -EINTR
                        break
            if rc < 0:
                signals(rc)
        while True:
            with nogil:
                rc = direct_send(s, NULL, 0, PATIENCE_MS)
            if rc == 0:
                return
            signals(rc)
    finally:
        direct_close(s)


def consume(socket) -> tuple[int, int]:
    """Receive numbers until an empty message comes; return how many there were and their sum."""
    cdef sock* s = direct_open(socket)
    cdef direct_message message
    cdef uint64_t number
    cdef uint64_t count = 0
    cdef uint64_t total = 0
    cdef int rc
    memset(&message, 0, sizeof(message))
    try:
        while True:
            with nogil:
                while True:
                    rc = direct_recv(s, &message, PATIENCE_MS)
                    if rc < 0 or zmsg_size(&message.parts[0]) != sizeof(number):
                        break
                    memcpy(&number, zmsg_data(&message.parts[0]), sizeof(number))
                    count += 1
                    total += number
                    if count % SOME == 0:
                        rc = -EINTR
                        break
            if rc < 0:
                signals(rc)
            elif zmsg_size(&message.parts[0]) == 0:
                return count, total
            else:
                raise ValueError(f"a message of {zmsg_size(&message.parts[0])} bytes is no number")
    finally:
        direct_clear(&message)
        direct_close(s)
