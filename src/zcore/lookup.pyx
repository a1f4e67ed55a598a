"""Interfaces first, then names: as libzmq has it, an interface may be called like a host."""

from libc.errno cimport ENODEV, ENOMEM, errno
from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport strcmp

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
from zcore.resolver cimport resolve_now, resolve_result, resolve_result_free

cdef extern from "net.h" nogil:
    struct ifaddrs:
        ifaddrs* ifa_next
        char* ifa_name
        sockaddr* ifa_addr
    int getifaddrs(ifaddrs** out)
    void freeifaddrs(ifaddrs* list)
    unsigned int zq_sockaddr_len(const sockaddr* sa)


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


cdef int _name(const char* name, uint32_t port, bint ipv6, addr_list* out) noexcept nogil:
    cdef resolve_result found
    cdef zq_addr a
    cdef int rc = resolve_now(name, <int>port, AF_UNSPEC if ipv6 else AF_INET, 0, &found)
    cdef int i
    if rc < 0:
        return -ENOMEM if rc == -ENOMEM else -ENODEV
    for i in range(found.count):
        zq_addr_copy(&a, <const sockaddr*>found.addresses[i].storage, found.addresses[i].length)
        addr_list_add(out, &a)
    resolve_result_free(&found)
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
    return _name(ep.host, ep.port, ipv6, out)


cdef int lookup_source(const endpoint* ep, bint ipv6, addr_list* out) noexcept nogil:
    cdef int rc = _local(ep.source, ep.source_kind, ep.source_port, ipv6, out)
    if rc == 0 and out.n == 0:
        return -ENODEV
    return rc
