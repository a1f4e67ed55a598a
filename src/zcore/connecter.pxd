"""One attempt to reach an endpoint: from its name to a connection, through a proxy if there is one.

The owner drives it: it calls connecter_step, waits for what the step says, and calls again; when a name must be
resolved it has that done elsewhere and hands over the addresses.  A step too many does no harm, and none blocks.
One thread at a time.  How long to wait between attempts is not decided here: see backoff.

    connecter_init ... connecter_step -> CONNECT_NAMING   have connecter_name resolved, connecter_resolved, step
                                      -> CONNECT_TRYING   wait, step
                                      -> CONNECT_PROXY    wait, step
                                      -> CONNECT_OPEN     connecter_take_fd
                                      -> CONNECT_FAILED   c.err; connecter_reset, step for the next attempt
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

from zcore.address cimport addr_list
from zcore.endpoint cimport endpoint
from zcore.socks cimport socks_client
from zcore.stream cimport stream_opts


cdef enum:
    CONNECT_IDLE = 0             # nothing done yet: step
    CONNECT_NAMING = 1           # waits for connecter_resolved
    CONNECT_TRYING = 2           # one or more connects under way
    CONNECT_PROXY = 3            # connected to the proxy, which is asked to connect further
    CONNECT_OPEN = 4             # there is a connection
    CONNECT_FAILED = 5           # c.err tells why

cdef enum:
    CONNECT_STAGGER_MS = 250     # how long one address is tried alone (RFC 8305)

cdef struct connect_wait:        # what the owner waits for: the first of the two
    int fd                       # -1: no descriptor.  The next step may close it: out of the poller first
    int events                   # WANT_IN, WANT_OUT
    int64_t until_ns             # on the clock that `now_ns` is of; -1: no limit

cdef struct proxy_talk:          # exists while a proxy is used
    endpoint proxy
    socks_client client

cdef struct connecter:            # all zero: never made, which connecter_close and connecter_reset respect
    bint made                    # there is something to close
    int state                    # CONNECT_
    int err                      # -errno after CONNECT_FAILED; -EAGAIN: the backlog of an ipc endpoint is full
    endpoint ep                  # own copy
    stream_opts opts             # own copy
    proxy_talk* talk             # on the heap; NULL: no proxy
    addr_list* addresses         # on the heap, while trying
    int next                     # index of the address to try next
    int refusal                  # what a refused address said
    int fds[16]                  # connects under way, by address; -1: none
    int running                  # how many of those
    int group                    # watches them when there are several; -1
    int fd                       # the connection, from CONNECT_PROXY on, until taken; -1
    int64_t next_ns              # when the next address gets its turn beside the others
    int64_t deadline_ns          # CONNECT_TIMEOUT of this attempt; -1
    int64_t proxy_ns             # the proxy's deadline; -1


# Copies the endpoint (tcp, ipc, ws, wss; parsed for connecting) and the options; opens nothing.
# 0; -EPROTONOSUPPORT; -EINVAL (a proxy that is not host:port, or asked for an address with a zone); -ENODEV (an IPv6
# address while opts.ipv6 is off); -ENOTSUP (an abstract name where there are none); -ENOMEM.
# After an error *c needs no close.
cdef int connecter_init(connecter* c, const endpoint* ep, const stream_opts* opts) noexcept nogil

# Goes on as far as possible without waiting.  Returns c.state and fills *wait.
cdef int connecter_step(connecter* c, int64_t now_ns, connect_wait* wait) noexcept nogil

# In CONNECT_NAMING: the name to resolve (it lives as long as *c) and the port to put behind it; c.opts.ipv6 tells which
# families are wanted.  False in any other state.
cdef bint connecter_name(const connecter* c, const char** name, uint32_t* port) noexcept nogil

# The answer: addresses in order of preference (copied), or none and why.  Ignored unless in CONNECT_NAMING: the attempt
# may have timed out meanwhile.  Then step.
cdef void connecter_resolved(connecter* c, const addr_list* found, int err) noexcept nogil

# The connection, once, in CONNECT_OPEN: non-blocking, closed on exec, the caller's.  -ENOTCONN otherwise.
cdef int connecter_take_fd(connecter* c) noexcept nogil

# Gives the attempt up, whatever its state, and makes ready for another.
cdef void connecter_reset(connecter* c) noexcept nogil

# Frees and closes everything but a descriptor that was taken.  Repeatable.  In a forked child, too: it only closes.
cdef void connecter_close(connecter* c) noexcept nogil
