"""What listening and connecting share: the options of stream transports, sockets made by them, facts about peers.

The stream room (stream, lookup, ipcfile, listener, socks, connecter, backoff) is passive: it never waits, knows no
event loop and no ZeroMQ socket.  Its owner waits for the descriptors and times it names, and calls it again.
Whatever is shared between threads is locked by the owner; nothing here has a lock or a global.
"""

from libc.stdint cimport uint32_t

from zcore.address cimport addr_list, cidr, zq_addr
from zcore.endpoint cimport endpoint


cdef enum:
    FILTER_UID = 1
    FILTER_GID = 2               # the peer's own group or one of its supplementary ones
    FILTER_PID = 3

cdef enum:
    WANT_IN = 1                  # wait until readable
    WANT_OUT = 2                 # wait until writable

cdef struct ipc_filter:          # one IPC_FILTER_*: any one that fits lets the peer in
    int kind                     # FILTER_
    uint32_t id

cdef struct socks_opts:          # a SOCKS5 proxy; SOCKS_PROXY, SOCKS_USERNAME, SOCKS_PASSWORD
    char proxy[272]              # "host:port", NUL-terminated
    char username[256]           # NUL-terminated; username_n 0: no authentication offered
    char password[256]
    int username_n
    int password_n

cdef struct stream_opts:         # values of socket options, as the option table holds them
    int sndbuf                   # SNDBUF, bytes; -1: the system's
    int rcvbuf                   # RCVBUF, bytes; -1: the system's
    int tos                      # TOS; 0: leave
    int priority                 # PRIORITY (SO_PRIORITY); 0: leave
    int busy_poll                # BUSY_POLL, microseconds; 0: leave
    int keepalive                # TCP_KEEPALIVE: -1 leave, 0 off, 1 on
    int keepalive_cnt            # TCP_KEEPALIVE_CNT, probes; -1: the system's
    int keepalive_idle           # TCP_KEEPALIVE_IDLE, seconds; -1: the system's
    int keepalive_intvl          # TCP_KEEPALIVE_INTVL, seconds; -1: the system's
    int maxrt_ms                 # TCP_MAXRT; 0: the system's
    int backlog                  # BACKLOG
    int use_fd                   # USE_FD; -1: none
    int connect_timeout_ms       # CONNECT_TIMEOUT, for the whole way from name to connection; 0: none
    int proxy_timeout_ms         # for what a SOCKS proxy has to say; 0: none (the owner gives HANDSHAKE_IVL)
    bint ipv6                    # IPV6: names, interfaces and "*" may mean IPv6
    char device[16]              # BINDTODEVICE; empty: any
    const cidr* filters          # TCP_ACCEPT_FILTER: an accepted peer lies in one of them
    int filters_n                # 0: everybody
    const ipc_filter* ipc_filters
    int ipc_filters_n            # 0: everybody
    const socks_opts* socks      # NULL: connect directly

cdef struct peer_facts:          # about an established connection
    char address[64]             # property Peer-Address: an IP address, or "localhost:uid:gid:pid"; may be empty
    char local[144]              # this end as an endpoint, for events
    char remote[144]             # the other end as an endpoint; over ipc, the bound path
    uint32_t uid                 # ipc only, where has_ids
    uint32_t gid
    uint32_t pid
    bint has_ids
    bint is_loopback             # the peer is on this machine, as far as its address tells


# The defaults of the options.
cdef void stream_opts_init(stream_opts* o) noexcept nogil

# A copy that owns what it points to; the original may go.  0 or -ENOMEM (*dst then owns nothing).
cdef int stream_opts_copy(stream_opts* dst, const stream_opts* src) noexcept nogil

# Frees what a copy owns.  Harmless on a zeroed struct and when repeated.
cdef void stream_opts_free(stream_opts* o) noexcept nogil

# A new socket of the family (AF_INET, AF_INET6, AF_UNIX) with every option that must precede bind, listen or connect.
# The descriptor, or -errno: an option the system refuses (-EPERM) or lacks (-ENOTSUP) is an error, not silence.
cdef int stream_socket(int family, const stream_opts* o) noexcept nogil

# The options of an established or accepted connection.  0 or -errno.
cdef int stream_apply(int fd, int family, const stream_opts* o) noexcept nogil

# What can be known about a connection.  Missing facts are left empty; never fails.
cdef void stream_facts(int fd, int transport, const char* bound, peer_facts* out) noexcept nogil

# Whether an accepted peer passes the filters of its transport.
cdef bint stream_admits(int fd, const stream_opts* o) noexcept nogil

# The CPU that last received for this connection, when its peer is on this machine; -1 otherwise.
cdef int stream_incoming_cpu(int fd) noexcept nogil
# The same for a connection that is known to be one over loopback: one system call instead of two.
cdef int stream_loopback_cpu(int fd) noexcept nogil
