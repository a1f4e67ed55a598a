"""Binding and connecting, and their undoing; listening, dialling and coming back on the reactor's side.

Errors are negative errno; `why` receives a sentence that names the endpoint and what is wrong with it.
"""

from .engine cimport ept, session, sock
from .traffic cimport wakes


cdef enum:
    WHY_MAX = 512

# The application's side: no lock held, may block for a name that is to be bound.
cdef int endpoint_bind(sock* s, const char* text, size_t n, char* why) noexcept nogil
cdef int endpoint_connect(sock* s, const char* text, size_t n, char* why) noexcept nogil
cdef int endpoint_leave(sock* s, const char* text, size_t n, bint bound, char* why) noexcept nogil   # unbind, disconnect
cdef void endpoints_leave_inproc(sock* s) noexcept nogil      # no lock held: the socket closes
cdef void peers_leave_inproc(sock* s, ept* only) noexcept nogil   # no lock held: let go of inproc peers (all, or one endpoint's)

# The reactor's side.
cdef void endpoints_run(sock* s) noexcept nogil               # start new endpoints, stop those to be stopped
cdef enum:
    # how a connecting endpoint lost what it had
    LOST_ATTEMPT = 0          # nobody answered
    LOST_EARLY = 1            # before the handshake was over
    LOST_HANDSHAKE = 2        # the handshake failed
    LOST_CONNECTION = 3

cdef void endpoint_lost(ept* e, int how) noexcept nogil        # try again later, or stop as RECONNECT_STOP says
cdef void endpoints_stop(sock* s, bint listeners_only) noexcept nogil
cdef void endpoint_free(ept* e) noexcept nogil
