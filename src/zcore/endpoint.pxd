"""Endpoints as text: "tcp://eth0:5555" in, one struct out, and back again.

A pure function over bytes: it opens nothing, resolves nothing and allocates nothing.  Whether an interface
exists or a name has an address is found out later, by those who open sockets.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t


cdef enum:
    ENDPOINT_HOST_MAX = 255      # bytes of a host, IPv6 zone included
    ENDPOINT_SOURCE_MAX = 63     # bytes of a source: an interface name or an address, never a DNS name
    ENDPOINT_PATH_MAX = 255      # bytes of an ipc path (the system allows less) or of a ws path
    ENDPOINT_TEXT_MAX = 639      # bytes of any printed endpoint but inproc, whose names have no limit

cdef enum:
    ENDPOINT_BIND = 0            # wildcards allowed
    ENDPOINT_CONNECT = 1         # a source address allowed, wildcards not

cdef enum:
    TRANSPORT_NONE = 0
    TRANSPORT_INPROC = 1         # name
    TRANSPORT_IPC = 2            # path, is_abstract, path_any
    TRANSPORT_TCP = 3            # host, port, port_any; connecting: source, source_port
    TRANSPORT_UDP = 4            # host, port, port_any; source: the interface, either direction
    TRANSPORT_WS = 5             # host, port, port_any, path
    TRANSPORT_WSS = 6            # as ws
    TRANSPORT_VSOCK = 7          # host (a decimal context id, or a wildcard), port of 32 bits, port_any
    TRANSPORT_VMCI = 8           # as vsock
    TRANSPORT_TIPC = 9           # this and what follows are recognised, their address stays in `name` as it stands
    TRANSPORT_PGM = 10
    TRANSPORT_EPGM = 11
    TRANSPORT_NORM = 12

cdef enum:                      # what a host or source is, as far as text tells
    HOST_NONE = 0                # not given
    HOST_ANY = 1                 # "*"
    HOST_IPV4 = 2                # dotted decimal ("127.1" too, as getaddrinfo takes it)
    HOST_IPV6 = 3                # without brackets, with its zone: "fe80::1%eth0"
    HOST_NAME = 4                # a DNS name or an interface: text cannot tell
    HOST_NUMBER = 5              # a vsock or vmci context id

cdef enum:                      # what is wrong with a text; FAULT_NONE after a good parse
    FAULT_NONE = 0
    FAULT_SCHEME = 1             # no "transport://"
    FAULT_TRANSPORT = 2          # a transport nobody knows
    FAULT_NUL = 3                # a zero byte
    FAULT_EMPTY = 4              # nothing after "://"
    FAULT_HOST_MISSING = 5
    FAULT_HOST = 6               # a byte no host name has
    FAULT_HOST_LONG = 7
    FAULT_IPV4 = 8
    FAULT_IPV6 = 9
    FAULT_BRACKET = 10           # "[" without "]", or something other than a port behind "]"
    FAULT_PORT_MISSING = 11
    FAULT_PORT = 12              # not a number
    FAULT_PORT_RANGE = 13
    FAULT_PORT_ZERO = 14         # connecting to port 0
    FAULT_WILDCARD = 15          # connecting to "*"
    FAULT_SOURCE = 16            # a source where the transport or the direction has none
    FAULT_PATH_LONG = 17
    FAULT_CONTEXT_ID = 18        # vsock: not a number of 32 bits

cdef struct endpoint:
    int transport                # TRANSPORT_
    int direction                # ENDPOINT_BIND or ENDPOINT_CONNECT, as it was parsed
    int host_kind                # HOST_
    int source_kind              # HOST_
    bint port_any                # the system chooses the port ("*", "!" or 0; binding only)
    bint path_any                # ipc: the engine chooses the path ("*"; binding only)
    bint is_abstract             # ipc: path is a Linux abstract name, "@" included
    uint32_t port
    uint32_t source_port         # 0: the system chooses
    char host[256]               # NUL-terminated, as are the others
    char source[64]
    char path[256]
    const char* name             # inproc and the opaque transports: points into the caller's text, lives as long as it
    size_t name_n
    int fault                    # FAULT_; fault_at and fault_n: the bytes of the text that it is about
    size_t fault_at
    size_t fault_n


# 0, or -EINVAL (malformed), -EPROTONOSUPPORT (unknown transport), -ENAMETOOLONG (path or host).  *out is always
# filled; after an error only transport, direction and the fault are meaningful.
cdef int endpoint_parse(const char* text, size_t n, endpoint* out, int direction) noexcept nogil

# The canonical text.  Returns its length; what does not fit in `size` bytes is cut, the result ends with NUL.
cdef size_t endpoint_print(const endpoint* ep, char* buf, size_t size) noexcept nogil

# Why `text` was refused, in a sentence naming the offending bytes.  Length and cutting as endpoint_print.
cdef size_t endpoint_reason(const endpoint* ep, const char* text, size_t n, char* buf, size_t size) noexcept nogil

# "host:port" alone (a SOCKS proxy): fills host, host_kind and port of *out.  A missing port becomes
# default_port, unless that is 0.  0 or -errno as endpoint_parse.
cdef int endpoint_parse_host_port(const char* text, size_t n, uint32_t default_port, endpoint* out) noexcept nogil

# The name of a transport ("tcp"), or NULL.
cdef const char* transport_name(int transport) noexcept nogil
