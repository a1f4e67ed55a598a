"""Memory that a connection holds beside its structs is given back when the connection has gone quiet.

A connection stands on its socket's list from its first read on.  A round looks at the longest listed first: who has
read something since the last look stays, at the list's end; who has not, and has nothing waiting, gives its buffers back
and leaves the list.  So a round costs by how many connections speak, not by how many there are, and while they do none
costs more than THRIFT_MOST of them.  The lease calls, at its ticks.

All functions: socket lock held.
"""

from .engine cimport session, sock


cdef enum:
    THRIFT_MOST = 512         # connections looked at in one round: 20 us or so

    THRIFT_GONE = 0           # session.thrift: not listed
    THRIFT_COLD = 1           # listed; nothing read since the last look
    THRIFT_WARM = 2           # something was

cdef inline void thrift_note(session* n) noexcept nogil:
    """It has read something."""
    if n.thrift != THRIFT_WARM:
        thrift_list(n)

cdef void thrift_list(session* n) noexcept nogil
cdef void thrift_forget(session* n) noexcept nogil             # its connection is over
cdef bint thrift_round(sock* s, bint quiet) noexcept nogil
# One round; True: another one may find something.  quiet: nobody has read for some time, so all are looked at, once.
