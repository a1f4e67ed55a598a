"""Interfaces by getifaddrs, names by getaddrinfo."""

from libc.errno cimport ENODEV, ENOMEM, errno
from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memset, strcmp

from zcore.address cimport (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    addr_any,
    addr_from_numeric,
    addr_list_add,
    sockaddr,
    zq_addr,
    zq_addr_bytes,
    zq_addr_copy,
    zq_addr_family,
    zq_addr_set_port,
)
from zcore.endpoint cimport HOST_ANY, HOST_IPV4, HOST_IPV6

cdef extern from "net.h" nogil:
    struct ifaddrs:
        ifaddrs* ifa_next
        char* ifa_name
        sockaddr* ifa_addr
    int getifaddrs(ifaddrs** out)
    void freeifaddrs(ifaddrs* list)
    unsigned int zq_sockaddr_len(const sockaddr* sa)

    struct addrinfo:
        int ai_flags
        int ai_family
        int ai_socktype
        unsigned int ai_addrlen
        sockaddr* ai_addr
        addrinfo* ai_next
    int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** out)
    void freeaddrinfo(addrinfo* list)
    int EAI_MEMORY
    int EAI_SYSTEM
    int SOCK_STREAM


cdef inline bint _is_link_local(const zq_addr* a) noexcept nogil:
    cdef const uint8_t* raw = zq_addr_bytes(a)
    return zq_addr_family(a) == AF_INET6 and raw[0] == 0xfe and (raw[1] & 0xc0) == 0x80


cdef int _interface(const char* name, uint32_t port, bint ipv6, addr_list* out) noexcept nogil:
    """The interface's addresses, the ones that reach furthest first: IPv6, its link-local ones, IPv4.

    0 with an empty list: there is no such interface, or it has no address of an allowed family.
    """
    cdef ifaddrs* list = NULL
    cdef ifaddrs* one
    cdef zq_addr a
    cdef int turn, rank
    if getifaddrs(&list) != 0:
        return -ENOMEM if errno == ENOMEM else 0
    for turn in range(3):
        one = list
        while one != NULL:
            if one.ifa_addr != NULL and strcmp(one.ifa_name, name) == 0 and zq_sockaddr_len(one.ifa_addr):
                zq_addr_copy(&a, one.ifa_addr, zq_sockaddr_len(one.ifa_addr))
                rank = 2
                if zq_addr_family(&a) == AF_INET6:
                    rank = (1 if _is_link_local(&a) else 0) if ipv6 else 3
                if rank == turn:
                    zq_addr_set_port(&a, port)
                    addr_list_add(out, &a)
            one = one.ifa_next
    freeifaddrs(list)
    return 0


cdef int lookup_name(const char* name, uint32_t port, bint ipv6, addr_list* out) noexcept nogil:
    cdef addrinfo hints
    cdef addrinfo* list = NULL
    cdef addrinfo* one
    cdef zq_addr a
    cdef int rc
    out.n = 0
    memset(&hints, 0, sizeof(hints))
    hints.ai_family = AF_UNSPEC if ipv6 else AF_INET
    hints.ai_socktype = SOCK_STREAM
    rc = getaddrinfo(name, NULL, &hints, &list)
    if rc == EAI_MEMORY:
        return -ENOMEM
    if rc == EAI_SYSTEM and errno != 0:
        return -errno
    if rc != 0:
        return -ENODEV
    one = list
    while one != NULL:
        zq_addr_copy(&a, one.ai_addr, one.ai_addrlen)
        if zq_addr_bytes(&a) != NULL:
            zq_addr_set_port(&a, port)
            addr_list_add(out, &a)
        one = one.ai_next
    freeaddrinfo(list)
    return 0 if out.n else -ENODEV


cdef int _local(const char* host, int kind, uint32_t port, bint ipv6, addr_list* out) noexcept nogil:
    """What needs no resolver.  0 with an empty list: this is a name."""
    cdef zq_addr a
    cdef int rc
    out.n = 0
    if kind == HOST_ANY:
        if ipv6:
            addr_any(AF_INET6, port, &a)
            addr_list_add(out, &a)
        # Behind the IPv6 one: for a machine without IPv6.
        addr_any(AF_INET, port, &a)
        addr_list_add(out, &a)
        return 0
    if kind == HOST_IPV4 or kind == HOST_IPV6:
        if kind == HOST_IPV6 and not ipv6:
            return -ENODEV
        rc = addr_from_numeric(host, port, &a)
        if rc < 0:
            return -ENODEV
        addr_list_add(out, &a)
        return 0
    return _interface(host, port, ipv6, out)


cdef int lookup_bound(const endpoint* ep, bint ipv6, addr_list* out) noexcept nogil:
    cdef int rc = _local(ep.host, ep.host_kind, ep.port, ipv6, out)
    if rc < 0 or out.n:
        return rc
    return lookup_name(ep.host, ep.port, ipv6, out)


cdef int lookup_source(const endpoint* ep, bint ipv6, addr_list* out) noexcept nogil:
    cdef int rc = _local(ep.source, ep.source_kind, ep.source_port, ipv6, out)
    if rc == 0 and out.n == 0:
        return -ENODEV
    return rc
