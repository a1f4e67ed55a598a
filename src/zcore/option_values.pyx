"""Owned option values: copied in, grown, parsed, wiped."""

from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset, strchr, strlen


cdef extern from *:
    """
    #include <sys/socket.h>
    #define zq_family(a) ((int)(a)->sa_family)
    """
    int zq_family(const sockaddr* a) noexcept nogil


cdef extern from "<netinet/in.h>" nogil:
    enum: AF_INET
    enum: AF_INET6

    cdef struct in_addr:
        uint32_t s_addr

    cdef struct in6_addr:
        uint8_t s6_addr[16]

    cdef struct sockaddr_in:
        in_addr sin_addr

    cdef struct sockaddr_in6:
        in6_addr sin6_addr


cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* out)


cdef const char* Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


cdef void wipe(void* p, size_t n) noexcept nogil:
    cdef volatile unsigned char* v = <volatile unsigned char*>p
    cdef size_t i
    for i in range(n):
        v[i] = 0


cdef int obytes_set(obytes* b, const void* data, size_t size) noexcept nogil:
    cdef uint8_t* p = NULL
    if size > 0:
        p = <uint8_t*>malloc(size)
        if p == NULL:
            return -ENOMEM
        memcpy(p, data, size)
    obytes_free(b)
    b.data = p
    b.size = size
    return 0


cdef void obytes_free(obytes* b) noexcept nogil:
    if b.data != NULL:
        wipe(b.data, b.size)
        free(b.data)
    b.data = NULL
    b.size = 0


cdef void obytes_move(obytes* dst, obytes* src) noexcept nogil:
    obytes_free(dst)
    dst[0] = src[0]
    src.data = NULL
    src.size = 0


# Room for one more item of `width` bytes in a growable list; 0 or -ENOMEM.
cdef int _grow(void** items, size_t count, size_t* capacity, size_t width) noexcept nogil:
    cdef size_t n
    cdef void* p
    if count < capacity[0]:
        return 0
    n = capacity[0] * 2 if capacity[0] else 4
    p = realloc(items[0], n * width)
    if p == NULL:
        return -ENOMEM
    items[0] = p
    capacity[0] = n
    return 0


cdef int oints_add(oints* list, int64_t value) noexcept nogil:
    cdef size_t i
    for i in range(list.count):
        if list.items[i] == value:
            return 0
    if _grow(<void**>&list.items, list.count, &list.capacity, sizeof(int64_t)) != 0:
        return -ENOMEM
    list.items[list.count] = value
    list.count += 1
    return 0


cdef int oints_remove(oints* list, int64_t value) noexcept nogil:
    cdef size_t i
    for i in range(list.count):
        if list.items[i] == value:
            list.count -= 1
            list.items[i] = list.items[list.count]
            return 0
    return -EINVAL


cdef bint oints_have(const oints* list, int64_t value) noexcept nogil:
    cdef size_t i
    for i in range(list.count):
        if list.items[i] == value:
            return True
    return False


cdef int oints_copy(oints* dst, const oints* src) noexcept nogil:
    cdef int64_t* items = NULL
    if src.count:
        items = <int64_t*>malloc(src.count * sizeof(int64_t))
        if items == NULL:
            return -ENOMEM
        memcpy(items, src.items, src.count * sizeof(int64_t))
    free(dst.items)
    dst.items = items
    dst.count = dst.capacity = src.count
    return 0


cdef void oints_free(oints* list) noexcept nogil:
    free(list.items)
    memset(list, 0, sizeof(oints))


# 40 characters -> 32 bytes; -EINVAL on a character outside the alphabet or a group above 2^32 - 1.
cdef int curve_key_decode(const uint8_t* text, uint8_t* out) noexcept nogil:
    cdef uint64_t value
    cdef const char* at
    cdef int i, j
    for i in range(CURVE_KEY_TEXT // 5):
        value = 0
        for j in range(5):
            at = <const char*>memchr(Z85, text[i * 5 + j], 85)
            if at == NULL:
                return -EINVAL
            value = value * 85 + <uint64_t>(at - Z85)
        if value > 0xffffffffULL:
            return -EINVAL
        for j in range(4):
            out[i * 4 + j] = <uint8_t>(value >> (24 - 8 * j))
    return 0


cdef void curve_key_encode(const uint8_t* key, uint8_t* text) noexcept nogil:
    cdef uint32_t value
    cdef int i, j
    for i in range(CURVE_KEY_SIZE // 4):
        value = 0
        for j in range(4):
            value = value << 8 | key[i * 4 + j]
        for j in range(4, -1, -1):
            text[i * 5 + j] = <uint8_t>Z85[value % 85]
            value //= 85


cdef int curve_key_set(obytes* field, const uint8_t* value, size_t size) noexcept nogil:
    cdef uint8_t key[CURVE_KEY_SIZE]
    cdef int rc = 0
    if size == CURVE_KEY_SIZE:
        memcpy(key, value, CURVE_KEY_SIZE)
    elif size == CURVE_KEY_TEXT or (size == CURVE_KEY_TEXT + 1 and value[CURVE_KEY_TEXT] == 0):
        rc = curve_key_decode(value, key)
    else:
        rc = -EINVAL
    if rc == 0:
        rc = obytes_set(field, key, CURVE_KEY_SIZE)
    wipe(key, CURVE_KEY_SIZE)
    return rc


# "address" or "address/bits", the address in numbers, an IPv6 one with or without brackets.
cdef int _net_parse(const uint8_t* value, size_t size, ip_filter* out) noexcept nogil:
    cdef char text[256]
    cdef uint8_t raw[16]
    cdef char* host = text
    cdef char* slash
    cdef char* p
    cdef int bits = -1
    cdef bint six
    memcpy(text, value, size)
    text[size] = 0
    if strlen(text) != size:
        return -EINVAL
    slash = strchr(text, c"/")
    if slash != NULL:
        slash[0] = 0
        p = slash + 1
        bits = 0
        if p[0] == 0:
            return -EINVAL
        while p[0] != 0:
            if p[0] < c"0" or p[0] > c"9":
                return -EINVAL
            bits = bits * 10 + (p[0] - c"0")
            if bits > 128:
                return -EINVAL
            p += 1
    size = strlen(text)
    if size > 2 and text[0] == c"[" and text[size - 1] == c"]":
        text[size - 1] = 0
        host = text + 1
    six = strchr(host, c":") != NULL
    if inet_pton(AF_INET6 if six else AF_INET, host, raw) != 1:
        return -EINVAL
    _host(raw, 16 if six else 4, out)
    if bits < 0:
        return 0
    # Bits are counted in the form that was written: ::ffff:10.0.0.0/104 is 10.0.0.0/8.
    if six and out.length == 4:
        if bits < 96:
            return -EINVAL
        bits -= 96
    if bits > out.length * 8:
        return -EINVAL
    out.bits = bits
    return 0


# The network of one host, given by its 4 or 16 bytes; IPv4 in IPv6 form is IPv4.
cdef void _host(const uint8_t* raw, uint8_t length, ip_filter* out) noexcept nogil:
    cdef uint8_t mapped[12]
    memset(out, 0, sizeof(ip_filter))
    memset(mapped, 0, 10)
    mapped[10] = mapped[11] = 0xff
    if length == 16 and memcmp(raw, mapped, 12) == 0:
        raw += 12
        length = 4
    memcpy(out.address, raw, length)
    out.length = length
    out.bits = length * 8


# The same of a socket address; -EINVAL for another family.
cdef int _net_of(const sockaddr* address, ip_filter* out) noexcept nogil:
    if zq_family(address) == AF_INET:
        _host(<const uint8_t*>&(<const sockaddr_in*>address).sin_addr, 4, out)
    elif zq_family(address) == AF_INET6:
        _host(<const uint8_t*>&(<const sockaddr_in6*>address).sin6_addr, 16, out)
    else:
        return -EINVAL
    return 0


cdef int ip_filters_add(ip_filters* list, const uint8_t* value, size_t size) noexcept nogil:
    cdef ip_filter net
    cdef int rc = _net_parse(value, size, &net)
    if rc != 0:
        return rc
    if _grow(<void**>&list.items, list.count, &list.capacity, sizeof(ip_filter)) != 0:
        return -ENOMEM
    list.items[list.count] = net
    list.count += 1
    return 0


cdef int ip_filters_copy(ip_filters* dst, const ip_filters* src) noexcept nogil:
    cdef ip_filter* items = NULL
    if src.count:
        items = <ip_filter*>malloc(src.count * sizeof(ip_filter))
        if items == NULL:
            return -ENOMEM
        memcpy(items, src.items, src.count * sizeof(ip_filter))
    free(dst.items)
    dst.items = items
    dst.count = dst.capacity = src.count
    return 0


cdef void ip_filters_free(ip_filters* list) noexcept nogil:
    free(list.items)
    memset(list, 0, sizeof(ip_filters))


cdef bint ip_filters_match(const ip_filters* list, const sockaddr* address) noexcept nogil:
    cdef ip_filter host
    cdef const ip_filter* net
    cdef size_t i
    cdef int whole, rest
    if _net_of(address, &host) != 0:
        return False
    for i in range(list.count):
        net = &list.items[i]
        whole = net.bits // 8
        rest = net.bits % 8
        if (net.length == host.length and memcmp(net.address, host.address, whole) == 0
                and (rest == 0 or (net.address[whole] ^ host.address[whole]) >> (8 - rest) == 0)):
            return True
    return False


# "X-name:value" -> one encoded property, in place of an earlier one of that name.
cdef int property_set(obytes* field, const uint8_t* value, size_t size) noexcept nogil:
    cdef const uint8_t* colon = <const uint8_t*>memchr(value, c":", size)
    cdef size_t name, body, old, at, have
    cdef uint8_t* p
    if colon == NULL:
        return -EINVAL
    name = colon - value
    body = size - name - 1
    if name < 2 or name > 255 or body == 0 or body > 0x7fffffff or value[0] != c"X" or value[1] != c"-":
        return -EINVAL
    # [at, at + old) is the property to be replaced; nothing, behind the last, when the name is new.
    at = 0
    old = 0
    while at < field.size:
        have = field.data[at]
        p = field.data + at + 1 + have
        old = 5 + have + (<size_t>p[0] << 24 | <size_t>p[1] << 16 | <size_t>p[2] << 8 | p[3])
        if have == name and memcmp(field.data + at + 1, value, name) == 0:
            break
        at += old
        old = 0
    have = field.size - old + 5 + name + body
    p = <uint8_t*>malloc(have)
    if p == NULL:
        return -ENOMEM
    if field.size:
        memcpy(p, field.data, at)
        memcpy(p + at, field.data + at + old, field.size - at - old)
    at = field.size - old
    p[at] = <uint8_t>name
    memcpy(p + at + 1, value, name)
    at += 1 + name
    p[at] = <uint8_t>(body >> 24)
    p[at + 1] = <uint8_t>(body >> 16)
    p[at + 2] = <uint8_t>(body >> 8)
    p[at + 3] = <uint8_t>body
    memcpy(p + at + 4, colon + 1, body)
    obytes_free(field)
    field.data = p
    field.size = have
    return 0
