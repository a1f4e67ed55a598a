"""A bound endpoint that accepts connections: tcp, ipc, and the tcp below ws.

One thread at a time may use a listener; which one is its owner's business.
"""

from zcore.address cimport addr_list
from zcore.endpoint cimport endpoint
from zcore.ipcfile cimport ipc_file
from zcore.stream cimport peer_facts, stream_opts


cdef enum:                       # what the owner does after listener_accept
    ACCEPT_DONE = 0              # a connection was taken: call again
    ACCEPT_NONE = 1              # none is waiting: wait for the descriptor
    ACCEPT_NEXT = 2              # one was refused by a filter, or was gone before it was taken: call again
    ACCEPT_LATER = 3             # no descriptors or no memory: stop waiting for a while, or the loop turns for ever
    ACCEPT_BROKEN = 4            # the listener is of no more use

cdef struct listener:             # all zero: never opened, which listener_close respects
    bint made                    # there is something to close
    int fd                       # -1: closed
    int transport                # TRANSPORT_
    int family                   # AF_INET, AF_INET6 or AF_UNIX
    stream_opts opts             # own copy, as they were when the endpoint was bound; applied to what is accepted
    ipc_file file                # ipc: the socket file, if it is ours
    char text[400]               # LAST_ENDPOINT: resolved, canonical, NUL-terminated

cdef struct accepted:
    int fd                       # non-blocking, closed on exec; the caller's
    peer_facts peer


# Binds and listens.  `resolved` gives the addresses to try in order; NULL: look them up here, which may ask the
# system's resolver and block (bind() may).  With opts.use_fd the descriptor is adopted instead: it must be a stream
# socket of the endpoint's family that is bound; it is closed with the listener, and left alone when this call fails.
# 0; -EADDRINUSE, -EADDRNOTAVAIL, -ENODEV (no such interface or name), -EACCES, -ENOENT, -ENOTSUP, -EPERM...;
# -EBADF, -ENOTSOCK, -EINVAL (a USE_FD of the wrong kind); -EPROTONOSUPPORT; -ENOMEM.  After an error *l is closed.
cdef int listener_open(
    listener* l, const endpoint* ep, const addr_list* resolved, const stream_opts* opts
) noexcept nogil

# Takes one connection and applies the options.  0 or -errno; what to do next says accept_verdict.
cdef int listener_accept(listener* l, accepted* out) noexcept nogil

# ACCEPT_ for what listener_accept returned.
cdef int accept_verdict(int rc) noexcept nogil

# Closes the descriptor after removing the socket file, if it is still ours.  Out of the poller first.  Repeatable.
cdef void listener_close(listener* l) noexcept nogil

# In a forked child: closes the descriptor and leaves everything that the parent still uses.
cdef void listener_abandon(listener* l) noexcept nogil
