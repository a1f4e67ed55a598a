"""Socket addresses: what the kernel takes, made from text and turned back into it; address filters.

Values only: nothing here opens a socket or asks a name server.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from zcore.endpoint cimport endpoint


cdef extern from "net.h" nogil:
    int AF_UNSPEC
    int AF_INET
    int AF_INET6
    int AF_UNIX
    size_t ZQ_SUN_PATH_MAX           # bytes of the longest socket path
    bint ZQ_HAVE_ABSTRACT            # names outside the file system exist here

    struct sockaddr:
        pass

    ctypedef struct zq_addr:         # one address of any family
        unsigned int len             # bytes in use; 0: none
    const sockaddr* zq_sockaddr(const zq_addr* a)
    int zq_addr_family(const zq_addr* a)
    void zq_addr_copy(zq_addr* a, const sockaddr* sa, unsigned int n)
    const uint8_t* zq_addr_bytes(const zq_addr* a)      # 4 or 16 bytes of an IP address, or NULL
    uint32_t zq_addr_scope(const zq_addr* a)
    uint32_t zq_addr_port(const zq_addr* a)
    void zq_addr_set_port(zq_addr* a, uint32_t port)
    void zq_addr_ipv4(zq_addr* a, const void* four, uint32_t port)
    void zq_addr_ipv6(zq_addr* a, const void* sixteen, uint32_t scope, uint32_t port)
    int zq_addr_unix(zq_addr* a, const char* path, bint abstract)
    void zq_addr_path(const zq_addr* a, char* buf, size_t size)


cdef enum:
    ADDR_LIST_MAX = 16               # a name with more addresses is tried at the first 16
    ADDR_TEXT_MAX = 63               # bytes of an IP address, zone included
    CIDR_MAX_BITS = 128

cdef struct addr_list:               # what a name stands for, in the order to try
    int n
    zq_addr at[16]

cdef struct cidr:                    # a range of addresses, "10.0.0.0/8"
    int family                       # AF_INET or AF_INET6
    int bits                         # leading bits that count
    uint8_t prefix[16]


# From a numeric host as the endpoint parser gives it (without brackets, zone allowed).  0; -EINVAL: not numeric
# (a name: ask a resolver); -ENODEV: no interface is called as the zone says.
cdef int addr_from_numeric(const char* host, uint32_t port, zq_addr* out) noexcept nogil

# Every address of this machine: family AF_INET or AF_INET6.
cdef void addr_any(int family, uint32_t port, zq_addr* out) noexcept nogil

# From an ipc endpoint.  0, -ENOTSUP (an abstract name where the system has none) or -ENAMETOOLONG.
cdef int addr_from_path(const endpoint* ep, zq_addr* out) noexcept nogil

# An IP address without port: "10.0.0.1", "fe80::1%eth0"; an IPv4 address mapped into IPv6 as the IPv4 address it
# is.  Empty for anything else.  size should be ADDR_TEXT_MAX + 1.
cdef void addr_text(const zq_addr* a, char* buf, size_t size) noexcept nogil

# The endpoint that names this address, for printing: transport and tail ("/path" of ws) are the caller's.
cdef void addr_to_endpoint(const zq_addr* a, int transport, endpoint* out) noexcept nogil

# 127.0.0.0/8, ::1, or those mapped.
cdef bint addr_is_loopback(const zq_addr* a) noexcept nogil

# The same family, address, scope and port.
cdef bint addr_equal(const zq_addr* a, const zq_addr* b) noexcept nogil

# Append unless it is there already.  False when the list is full.
cdef bint addr_list_add(addr_list* list, const zq_addr* a) noexcept nogil

# "10.0.0.0/8", "::1", "fe80::/10"; without "/" the whole address counts.  0, or -EINVAL.
cdef int cidr_parse(const char* text, size_t n, cidr* out) noexcept nogil

# Whether the address lies in the range.  IPv4 mapped into IPv6 is judged as IPv4.
cdef bint cidr_match(const cidr* block, const zq_addr* a) noexcept nogil
