"""What the reactor does for endpoints over tcp and ipc: it listens, dials, comes back after a loss, and stops.

All functions: reactor's thread, no lock held.
"""

from .engine cimport ept, sock


cdef enum:
    # how a connecting endpoint lost what it had
    LOST_ATTEMPT = 0          # nobody answered
    LOST_EARLY = 1            # before the handshake was over
    LOST_HANDSHAKE = 2        # the handshake failed
    LOST_CONNECTION = 3

cdef void endpoint_lost(ept* e, int how) noexcept nogil        # try again later, or stop as RECONNECT_STOP says
cdef void endpoints_run(sock* s) noexcept nogil               # start new endpoints, stop those to be stopped
cdef void endpoints_stop(sock* s, bint listeners_only) noexcept nogil
