"""A connection's first words: from the accepted or connected descriptor to its attachment, or to its end.

Greeting, handshake, and the verdict of an authoriser (ZAP) in between.  All functions run on the reactor's thread and
take the socket lock themselves.
"""

from libc.stdint cimport uint32_t

from .engine cimport ept, session, sock
from .stream cimport peer_facts


cdef int session_open(sock* s, ept* e, int fd, const peer_facts* facts, bint accepted) noexcept nogil
# A connected descriptor: it belongs to the session from here. 0, or negative errno (the descriptor is then closed).
cdef bint opening_room(sock* s) noexcept nogil
# May another connection be accepted?  There is a limit to strangers, those whose handshake is not over: beyond it the
# oldest gives way if it has had its time, or else nobody is accepted for a moment.
cdef void openings_answered(sock* s) noexcept nogil      # an authoriser has answered: handshakes go on
cdef void strangers_limit(uint32_t most) noexcept nogil  # of sockets in this process, from now on
