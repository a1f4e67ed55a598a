"""Socket addresses as values: numeric text to sockaddr and back, address ranges."""

from libc.errno cimport EINVAL, ENODEV
from libc.stdlib cimport strtoul
from libc.string cimport memchr, memcmp, memcpy, memset, strchr, strlen, strncpy

from zcore.endpoint cimport (
    HOST_IPV4,
    HOST_IPV6,
    TRANSPORT_IPC,
    endpoint,
)

cdef extern from "net.h" nogil:
    bint zq_parse_ipv4(const char* text, void* four)
    bint zq_parse_ipv6(const char* text, void* sixteen)
    const char* inet_ntop(int family, const void* raw, char* buf, unsigned int size)
    unsigned int if_nametoindex(const char* name)
    char* if_indextoname(unsigned int index, char* buf)
    int snprintf(char* buf, size_t size, const char* form, ...)


cdef inline bint _is_mapped(const uint8_t* raw) noexcept nogil:
    """::ffff:a.b.c.d"""
    cdef int i
    for i in range(10):
        if raw[i]:
            return False
    return raw[10] == 0xff and raw[11] == 0xff


cdef const uint8_t* _plain(const zq_addr* a, int* family) noexcept nogil:
    """The bytes of an IP address, IPv4 where it is IPv4 in disguise."""
    cdef const uint8_t* raw = zq_addr_bytes(a)
    family[0] = zq_addr_family(a)
    if raw != NULL and family[0] == AF_INET6 and _is_mapped(raw):
        family[0] = AF_INET
        return raw + 12
    return raw


cdef int _scope(const char* zone, uint32_t* out) noexcept nogil:
    cdef char* end = NULL
    cdef unsigned long number
    out[0] = if_nametoindex(zone)
    if out[0]:
        return 0
    number = strtoul(zone, &end, 10)
    if zone[0] < 48 or zone[0] > 57 or end[0] != 0 or number == 0 or number > <unsigned long>0xffffffffu:
        return -ENODEV
    out[0] = <uint32_t>number
    return 0


cdef int addr_from_numeric(const char* host, uint32_t port, zq_addr* out) noexcept nogil:
    cdef uint8_t raw[16]
    cdef char plain[64]
    cdef const char* zone = strchr(host, b"%")
    cdef size_t n = strlen(host) if zone == NULL else <size_t>(zone - host)
    cdef uint32_t scope = 0
    cdef size_t i
    cdef int rc
    if n == 0 or n >= sizeof(plain):
        return -EINVAL
    memcpy(plain, host, n)
    plain[n] = 0
    if zone == NULL and memchr(host, b":", n) == NULL:
        # Digits and dots only: the system's function takes hexadecimal, too.
        for i in range(n):
            if host[i] != b"." and (host[i] < 48 or host[i] > 57):
                return -EINVAL
        if not zq_parse_ipv4(plain, raw):
            return -EINVAL
        zq_addr_ipv4(out, raw, port)
        return 0
    if not zq_parse_ipv6(plain, raw):
        return -EINVAL
    if zone != NULL:
        rc = _scope(zone + 1, &scope)
        if rc < 0:
            return rc
    zq_addr_ipv6(out, raw, scope, port)
    return 0


cdef void addr_any(int family, uint32_t port, zq_addr* out) noexcept nogil:
    cdef uint8_t zero[16]
    memset(zero, 0, sizeof(zero))
    if family == AF_INET6:
        zq_addr_ipv6(out, zero, 0, port)
    else:
        zq_addr_ipv4(out, zero, port)


cdef int addr_from_path(const endpoint* ep, zq_addr* out) noexcept nogil:
    return zq_addr_unix(out, &ep.path[1 if ep.is_abstract else 0], ep.is_abstract)


cdef void addr_text(const zq_addr* a, char* buf, size_t size) noexcept nogil:
    cdef int family
    cdef const uint8_t* raw = _plain(a, &family)
    cdef char name[64]
    cdef size_t n
    cdef uint32_t scope = zq_addr_scope(a)
    if size == 0:
        return
    buf[0] = 0
    if raw == NULL or inet_ntop(family, raw, buf, <unsigned int>size) == NULL:
        return
    if scope:
        n = strlen(buf)
        if if_indextoname(scope, name) != NULL:
            snprintf(buf + n, size - n, b"%%%s", name)
        else:
            snprintf(buf + n, size - n, b"%%%u", scope)


cdef void addr_to_endpoint(const zq_addr* a, int transport, endpoint* out) noexcept nogil:
    cdef int family
    memset(out, 0, sizeof(endpoint))
    out.transport = transport
    if transport == TRANSPORT_IPC:
        zq_addr_path(a, out.path, sizeof(out.path))
        out.is_abstract = out.path[0] == b"@"
        return
    _plain(a, &family)
    addr_text(a, out.host, sizeof(out.host))
    out.host_kind = HOST_IPV6 if family == AF_INET6 else HOST_IPV4
    out.port = zq_addr_port(a)


cdef bint addr_is_loopback(const zq_addr* a) noexcept nogil:
    cdef int family
    cdef const uint8_t* raw = _plain(a, &family)
    cdef int i
    if raw == NULL:
        return False
    if family == AF_INET:
        return raw[0] == 127
    for i in range(15):
        if raw[i]:
            return False
    return raw[15] == 1


cdef bint addr_equal(const zq_addr* a, const zq_addr* b) noexcept nogil:
    cdef const uint8_t* raw_a = zq_addr_bytes(a)
    cdef const uint8_t* raw_b = zq_addr_bytes(b)
    if zq_addr_family(a) != zq_addr_family(b):
        return False
    if raw_a == NULL or raw_b == NULL:
        return a.len == b.len and memcmp(zq_sockaddr(a), zq_sockaddr(b), a.len) == 0
    return (zq_addr_port(a) == zq_addr_port(b) and zq_addr_scope(a) == zq_addr_scope(b)
            and memcmp(raw_a, raw_b, 4 if zq_addr_family(a) == AF_INET else 16) == 0)


cdef bint addr_list_add(addr_list* list, const zq_addr* a) noexcept nogil:
    cdef int i
    for i in range(list.n):
        if addr_equal(&list.at[i], a):
            return True
    if list.n >= ADDR_LIST_MAX:
        return False
    list.at[list.n] = a[0]
    list.n += 1
    return True


cdef int cidr_parse(const char* text, size_t n, cidr* out) noexcept nogil:
    cdef char plain[64]
    cdef const char* slash = <const char*>memchr(text, b"/", n) if n else NULL
    cdef size_t host_n = n if slash == NULL else <size_t>(slash - text)
    cdef size_t digits, i
    cdef const uint8_t* raw
    cdef zq_addr a
    cdef int most
    memset(out, 0, sizeof(cidr))
    if host_n >= 2 and text[0] == b"[" and text[host_n - 1] == b"]":
        text += 1
        n -= 1
        host_n -= 2
    if host_n == 0 or host_n >= sizeof(plain) or memchr(text, 0, host_n) != NULL or memchr(text, b"%", host_n) != NULL:
        return -EINVAL
    strncpy(plain, text, host_n)
    plain[host_n] = 0
    if addr_from_numeric(plain, 0, &a) < 0:
        return -EINVAL
    raw = zq_addr_bytes(&a)
    out.family = zq_addr_family(&a)
    most = 32 if out.family == AF_INET else CIDR_MAX_BITS
    memcpy(out.prefix, raw, most // 8)
    out.bits = most
    if slash == NULL:
        return 0
    digits = text + n - (slash + 1)
    if digits == 0 or digits > 3:
        return -EINVAL
    out.bits = 0
    for i in range(digits):
        if slash[1 + i] < 48 or slash[1 + i] > 57:
            return -EINVAL
        out.bits = out.bits * 10 + (slash[1 + i] - 48)
    return 0 if out.bits <= most else -EINVAL


cdef bint cidr_match(const cidr* block, const zq_addr* a) noexcept nogil:
    cdef int family
    cdef const uint8_t* raw = _plain(a, &family)
    cdef int whole = block.bits // 8
    cdef int rest = block.bits % 8
    cdef int shift
    if raw == NULL:
        return False
    if block.family == AF_INET6 and family == AF_INET and zq_addr_family(a) == AF_INET6:
        # A range written as ::ffff:a.b.c.d/n means the disguise.
        raw = zq_addr_bytes(a)
        family = AF_INET6
    if family != block.family or memcmp(raw, block.prefix, whole) != 0:
        return False
    shift = 8 - rest
    return rest == 0 or (raw[whole] >> shift) == (block.prefix[whole] >> shift)


# ---- Python ----------------------------------------------------------------------------------

def matches(text, address):
    """Whether `address` (numeric) lies in the range `text`, as TCP_ACCEPT_FILTER judges.

    Raises ValueError when either is not what it should be.
    """
    cdef bytes raw = text.encode()
    cdef bytes host = address.encode()
    cdef cidr range_
    cdef zq_addr a
    if cidr_parse(raw, len(raw), &range_) < 0:
        raise ValueError(f"not an address range: {text!r}")
    if addr_from_numeric(host, 0, &a) < 0:
        raise ValueError(f"not a numeric address: {address!r}")
    return bool(cidr_match(&range_, &a))


def canonical(address):
    """A numeric address as the engine prints it.  Raises ValueError when it is not numeric."""
    cdef bytes host = address.encode()
    cdef zq_addr a
    cdef char buf[64]
    if addr_from_numeric(host, 0, &a) < 0:
        raise ValueError(f"not a numeric address: {address!r}")
    addr_text(&a, buf, sizeof(buf))
    return buf.decode("ascii")
