"""Who reads a socket's connections: the application while it is there, the reactor while it is away.

    ARMED    the reactor watches the set for one event.  When it comes and nobody has called since the last look, the
             reactor reads and arms again; otherwise the application reads for itself: PARKED.  It ticks only until the
             connections that have spoken have given their buffers back (thrift.pxd).
    PARKED   the application reads.  The reactor looks in at every tick (2 ms, growing to 32); when a whole tick
             went by without a receiving call, it reads what is there and arms.
    DORMANT  the application has waited in its own poll for several ticks.  Nobody ticks; the application says so when
             it comes back.

The application's path pays one increment (`touch`) for this: no system call, no clock.  Sockets whose FD was exported,
and pollers without an aggregate descriptor, keep the reactor as the reader for good (`reader_is_reactor`).

All functions: socket lock held (they let go of it while they read); the reactor's thread, but for `lease_before_send`.
"""

from .engine cimport sock


cdef void lease_start(sock* s) noexcept nogil         # a connection is there
cdef void lease_look(sock* s) noexcept nogil           # the set is ready, or was while the lock was taken
cdef void lease_back(sock* s) noexcept nogil           # the application came back from DORMANT
cdef void lease_stop(sock* s) noexcept nogil
cdef void lease_take_over(sock* s) noexcept nogil      # reader_is_reactor was set
cdef void lease_before_send(sock* s) noexcept nogil
# traffic_before_send, and a publisher reads what its subscribers have said by now, once a ms
