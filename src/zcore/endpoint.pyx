"""The grammar of endpoints.

    inproc://NAME
    ipc://PATH   ipc://@NAME   ipc://*
    tcp://[SOURCE[:PORT];]HOST:PORT
    udp://[INTERFACE;]HOST:PORT
    ws://HOST:PORT[/PATH]   wss://HOST:PORT[/PATH]
    vsock://CID:PORT   vmci://CID:PORT
    tipc:// pgm:// epgm:// norm://   recognised, their address not taken apart

HOST is a name, an interface (binding), an IPv4 or IPv6 address, or "*" (binding).  An IPv6 address stands in
brackets; without them the last colon parts address and port.  Numbers are decimal digits and nothing else: no
sign, no blank, no hexadecimal, no octal.
"""

from libc.errno cimport EINVAL, ENAMETOOLONG, EPROTONOSUPPORT
from libc.stdint cimport uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

cdef extern from "net.h" nogil:
    size_t ZQ_SUN_PATH_MAX
    size_t ZQ_IFNAME_MAX
    bint zq_parse_ipv4(const char* text, void* four)
    bint zq_parse_ipv6(const char* text, void* sixteen)


cdef enum:          # what a transport's address may have
    FORM_NAME = 1       # one name, taken whole
    FORM_PATH = 2       # a path in the file system
    FORM_HOST = 4       # host and port
    FORM_CID = 8        # context id and port
    FORM_SOURCE = 16    # "source;" in front, connecting
    FORM_INTERFACE = 32  # "interface;" in front, both directions
    FORM_TAIL = 64      # "/path" behind

cdef struct transport_row:
    const char* name
    int transport
    int form

cdef transport_row _TRANSPORTS[12]
_TRANSPORTS[0] = transport_row(b"tcp", TRANSPORT_TCP, FORM_HOST | FORM_SOURCE)
_TRANSPORTS[1] = transport_row(b"ipc", TRANSPORT_IPC, FORM_PATH)
_TRANSPORTS[2] = transport_row(b"inproc", TRANSPORT_INPROC, FORM_NAME)
_TRANSPORTS[3] = transport_row(b"udp", TRANSPORT_UDP, FORM_HOST | FORM_INTERFACE)
_TRANSPORTS[4] = transport_row(b"ws", TRANSPORT_WS, FORM_HOST | FORM_TAIL)
_TRANSPORTS[5] = transport_row(b"wss", TRANSPORT_WSS, FORM_HOST | FORM_TAIL)
_TRANSPORTS[6] = transport_row(b"vsock", TRANSPORT_VSOCK, FORM_CID)
_TRANSPORTS[7] = transport_row(b"vmci", TRANSPORT_VMCI, FORM_CID)
_TRANSPORTS[8] = transport_row(b"tipc", TRANSPORT_TIPC, FORM_NAME)
_TRANSPORTS[9] = transport_row(b"pgm", TRANSPORT_PGM, FORM_NAME)
_TRANSPORTS[10] = transport_row(b"epgm", TRANSPORT_EPGM, FORM_NAME)
_TRANSPORTS[11] = transport_row(b"norm", TRANSPORT_NORM, FORM_NAME)

cdef const char* _FAULTS[19]
_FAULTS[FAULT_NONE] = b"nothing is wrong"
_FAULTS[FAULT_SCHEME] = b"an endpoint is written transport://address"
_FAULTS[FAULT_TRANSPORT] = b"unknown transport"
_FAULTS[FAULT_NUL] = b"an endpoint has no zero byte"
_FAULTS[FAULT_EMPTY] = b"the address is empty"
_FAULTS[FAULT_HOST_MISSING] = b"the host is missing"
_FAULTS[FAULT_HOST] = b"not a host name"
_FAULTS[FAULT_HOST_LONG] = b"the host is too long"
_FAULTS[FAULT_IPV4] = b"not an IPv4 address"
_FAULTS[FAULT_IPV6] = b"not an IPv6 address"
_FAULTS[FAULT_BRACKET] = b"an IPv6 address is written [address]:port"
_FAULTS[FAULT_PORT_MISSING] = b"the port is missing"
_FAULTS[FAULT_PORT] = b"the port is not a decimal number"
_FAULTS[FAULT_PORT_RANGE] = b"the port is out of range"
_FAULTS[FAULT_PORT_ZERO] = b"nobody can be reached at port 0"
_FAULTS[FAULT_WILDCARD] = b"a wildcard can be bound, not connected to"
_FAULTS[FAULT_SOURCE] = b"no source address is possible here"
_FAULTS[FAULT_PATH_LONG] = b"the path is longer than a socket path may be: 107 bytes on Linux, 103 on macOS"
_FAULTS[FAULT_CONTEXT_ID] = b"not a context id of 32 bits"


cdef struct reader:              # where the parser is: the whole text, for faults, and the result
    const char* text
    endpoint* out


cdef int _fault(reader* r, int fault, const char* at, size_t n, int rc) noexcept nogil:
    r.out.fault = fault
    r.out.fault_at = at - r.text
    r.out.fault_n = n
    return rc


cdef inline bint _is_digit(char c) noexcept nogil:
    return c >= 48 and c <= 57


cdef inline bint _is_name_byte(char c, int direction) noexcept nogil:
    """Binding takes whatever Linux allows in an interface name; connecting takes DNS names."""
    if _is_digit(c) or (c >= b"a" and c <= b"z") or (c >= b"A" and c <= b"Z") or c == b"-" or c == b"_" or c == b".":
        return True
    return direction == ENDPOINT_BIND and c > b" " and c < 127 and memchr(b"/:;[]%*\\\"", c, 9) == NULL


cdef bint _is_dotted(const char* p, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if not _is_digit(p[i]) and p[i] != b".":
            return False
    return True


cdef bint _has_octal(const char* p, size_t n) noexcept nogil:
    """A part with a leading zero means one thing to some programs and another to others."""
    cdef size_t i
    for i in range(n):
        if p[i] == b"0" and (i == 0 or p[i - 1] == b".") and i + 1 < n and p[i + 1] != b".":
            return True
    return False


cdef bint _is_ipv6(const char* p, size_t n) noexcept nogil:
    """An IPv6 address, perhaps with "%zone"."""
    cdef char plain[64]
    cdef uint8_t raw[16]
    cdef const char* zone = <const char*>memchr(p, b"%", n)
    cdef size_t address_n = n if zone == NULL else <size_t>(zone - p)
    cdef size_t zone_n = n - address_n
    cdef size_t i
    if address_n == 0 or address_n >= sizeof(plain):
        return False
    if zone != NULL:
        if zone_n < 2 or zone_n - 1 > ZQ_IFNAME_MAX:
            return False
        for i in range(1, zone_n):
            if not _is_name_byte(zone[i], ENDPOINT_BIND):
                return False
    memcpy(plain, p, address_n)
    plain[address_n] = 0
    return zq_parse_ipv6(plain, raw)


cdef bint _is_alias(const char* p, size_t n) noexcept nogil:
    """A labelled interface: "eth0:1"."""
    cdef const char* colon = <const char*>memchr(p, b":", n)
    cdef size_t i
    if colon == NULL or colon == p or colon == p + n - 1 or n > ZQ_IFNAME_MAX or _is_digit(p[0]):
        return False
    for i in range(n):
        if &p[i] != colon and not _is_name_byte(p[i], ENDPOINT_CONNECT):
            return False
    return True


cdef int _number(const char* p, size_t n, uint64_t limit, uint64_t* out) noexcept nogil:
    """0: a decimal number up to `limit`; 1: not a number; 2: too large."""
    cdef uint64_t value = 0
    cdef size_t i
    if n == 0:
        return 1
    for i in range(n):
        if not _is_digit(p[i]):
            return 1
    for i in range(n):
        value = value * 10 + <uint64_t>(p[i] - 48)
        if value > limit:
            return 2
    out[0] = value
    return 0


cdef int _host(reader* r, const char* p, size_t n, int direction, char* dst, size_t dst_max, int* kind) noexcept nogil:
    """A host without brackets and port."""
    cdef uint8_t raw[4]
    cdef size_t i
    if n == 0:
        return _fault(r, FAULT_HOST_MISSING, p, 0, -EINVAL)
    if n > dst_max:
        return _fault(r, FAULT_HOST_LONG, p, n, -ENAMETOOLONG)
    memcpy(dst, p, n)
    dst[n] = 0
    if n == 1 and p[0] == b"*":
        kind[0] = HOST_ANY
        return 0
    if memchr(p, b":", n) != NULL:
        if _is_ipv6(p, n):
            kind[0] = HOST_IPV6
            return 0
        if direction == ENDPOINT_BIND and _is_alias(p, n):
            kind[0] = HOST_NAME
            return 0
        return _fault(r, FAULT_IPV6, p, n, -EINVAL)
    if _is_dotted(p, n):
        if _has_octal(p, n) or not zq_parse_ipv4(dst, raw):
            return _fault(r, FAULT_IPV4, p, n, -EINVAL)
        kind[0] = HOST_IPV4
        return 0
    for i in range(n):
        if not _is_name_byte(p[i], direction):
            return _fault(r, FAULT_HOST, p, n, -EINVAL)
    kind[0] = HOST_NAME
    return 0


cdef int _port(reader* r, const char* p, size_t n, uint64_t limit, uint32_t* port, bint* anything) noexcept nogil:
    """A port; `anything` NULL: neither a wildcard nor zero is a port here."""
    cdef uint64_t value = 0
    cdef int rc
    if n == 0:
        return _fault(r, FAULT_PORT_MISSING, p, 0, -EINVAL)
    if n == 1 and (p[0] == b"*" or p[0] == b"!"):
        if anything == NULL:
            return _fault(r, FAULT_WILDCARD, p, n, -EINVAL)
        anything[0] = True
        return 0
    rc = _number(p, n, limit, &value)
    if rc:
        return _fault(r, FAULT_PORT if rc == 1 else FAULT_PORT_RANGE, p, n, -EINVAL)
    if value == 0:
        if anything == NULL:
            return _fault(r, FAULT_PORT_ZERO, p, n, -EINVAL)
        anything[0] = True
    port[0] = <uint32_t>value
    return 0


cdef int _split(reader* r, const char* p, size_t n, bint port_optional,
                const char** host, size_t* host_n, const char** port, size_t* port_n) noexcept nogil:
    """Part host and port.  *port stays NULL where none is given and none is needed."""
    cdef const char* close
    cdef size_t i
    port[0] = NULL
    port_n[0] = 0
    if n and p[0] == b"[":
        close = <const char*>memchr(p, b"]", n)
        if close == NULL or (close + 1 < p + n and close[1] != b":"):
            return _fault(r, FAULT_BRACKET, p, n, -EINVAL)
        host[0] = p + 1
        host_n[0] = close - host[0]
        if not _is_ipv6(host[0], host_n[0]):
            return _fault(r, FAULT_IPV6, host[0], host_n[0], -EINVAL)
        if close + 1 < p + n:
            port[0] = close + 2
            port_n[0] = p + n - port[0]
        elif not port_optional:
            return _fault(r, FAULT_PORT_MISSING, p, n, -EINVAL)
        return 0
    host[0] = p
    host_n[0] = n
    if port_optional and _is_ipv6(p, n):
        return 0
    i = n
    while i and p[i - 1] != b":":
        i -= 1
    if i == 0:
        if not port_optional:
            return _fault(r, FAULT_PORT_MISSING, p, n, -EINVAL)
        return 0
    host_n[0] = i - 1
    port[0] = p + i
    port_n[0] = n - i
    return 0


cdef int _source(reader* r, const char* p, size_t n, int form) noexcept nogil:
    cdef endpoint* out = r.out
    cdef const char* host
    cdef const char* port
    cdef size_t host_n, port_n
    cdef bint chosen = False
    cdef int rc
    if not form & FORM_INTERFACE and not (form & FORM_SOURCE and out.direction == ENDPOINT_CONNECT):
        return _fault(r, FAULT_SOURCE, p, n, -EINVAL)
    rc = _split(r, p, n, True, &host, &host_n, &port, &port_n)
    if rc == 0:
        # A source is bound, so it is read as a bound host is.
        rc = _host(r, host, host_n, ENDPOINT_BIND, out.source, ENDPOINT_SOURCE_MAX, &out.source_kind)
    if rc == 0 and port != NULL:
        if form & FORM_INTERFACE:
            return _fault(r, FAULT_SOURCE, port, port_n, -EINVAL)
        rc = _port(r, port, port_n, 65535, &out.source_port, &chosen)
    return rc


cdef int _host_port(reader* r, const char* p, size_t n, int form, uint32_t default_port) noexcept nogil:
    cdef endpoint* out = r.out
    cdef const char* host
    cdef const char* port
    cdef size_t host_n, port_n, i
    cdef uint64_t cid = 0
    cdef uint64_t limit = 0xffffffff if form & FORM_CID else 65535
    cdef bint* anything = &out.port_any if out.direction == ENDPOINT_BIND else NULL
    cdef int rc
    if form & FORM_TAIL:
        for i in range(n):
            if p[i] == b"/":
                if n - i > ENDPOINT_PATH_MAX:
                    return _fault(r, FAULT_PATH_LONG, p + i, n - i, -ENAMETOOLONG)
                memcpy(out.path, p + i, n - i)
                out.path[n - i] = 0
                n = i
                break
        else:
            out.path[0] = b"/"
    rc = _split(r, p, n, default_port != 0, &host, &host_n, &port, &port_n)
    if rc < 0:
        return rc
    if form & FORM_CID and not (host_n == 1 and host[0] == b"*"):
        if _number(host, host_n, 0xffffffff, &cid):
            return _fault(r, FAULT_CONTEXT_ID, host, host_n, -EINVAL)
        out.host_kind = HOST_NUMBER
        snprintf(out.host, sizeof(out.host), b"%u", <unsigned int>cid)
    else:
        rc = _host(r, host, host_n, out.direction, out.host, ENDPOINT_HOST_MAX, &out.host_kind)
        if rc < 0:
            return rc
    if out.host_kind == HOST_ANY and out.direction == ENDPOINT_CONNECT:
        return _fault(r, FAULT_WILDCARD, host, host_n, -EINVAL)
    if port == NULL:
        out.port = default_port
        return 0
    return _port(r, port, port_n, limit, &out.port, anything)


cdef int _path(reader* r, const char* p, size_t n) noexcept nogil:
    cdef endpoint* out = r.out
    if n == 1 and p[0] == b"*":
        if out.direction == ENDPOINT_CONNECT:
            return _fault(r, FAULT_WILDCARD, p, n, -EINVAL)
        out.path_any = True
    if p[0] == b"@":
        if n == 1:
            return _fault(r, FAULT_EMPTY, p, n, -EINVAL)
        out.is_abstract = True
    if n > ZQ_SUN_PATH_MAX:
        return _fault(r, FAULT_PATH_LONG, p, n, -ENAMETOOLONG)
    memcpy(out.path, p, n)
    out.path[n] = 0
    return 0


cdef int endpoint_parse(const char* text, size_t n, endpoint* out, int direction) noexcept nogil:
    cdef reader r = reader(text, out)
    cdef transport_row* row
    cdef const char* p
    cdef const char* semicolon
    cdef const char* zero
    cdef size_t scheme_n = 0
    cdef int form = 0
    cdef int rc, i
    memset(out, 0, sizeof(endpoint))
    out.direction = direction
    while scheme_n + 3 <= n and memcmp(text + scheme_n, b"://", 3) != 0:
        scheme_n += 1
    if scheme_n == 0 or scheme_n + 3 > n:
        return _fault(&r, FAULT_SCHEME, text, n, -EINVAL)
    for i in range(12):
        row = &_TRANSPORTS[i]
        if strlen(row.name) == scheme_n and memcmp(row.name, text, scheme_n) == 0:
            out.transport = row.transport
            form = row.form
    if out.transport == TRANSPORT_NONE:
        return _fault(&r, FAULT_TRANSPORT, text, scheme_n, -EPROTONOSUPPORT)
    p = text + scheme_n + 3
    n -= scheme_n + 3
    if n == 0:
        return _fault(&r, FAULT_EMPTY, p, 0, -EINVAL)
    zero = <const char*>memchr(p, 0, n)
    if zero != NULL:
        return _fault(&r, FAULT_NUL, zero, 1, -EINVAL)
    if form & FORM_NAME:
        out.name = p
        out.name_n = n
        return 0
    if form & FORM_PATH:
        return _path(&r, p, n)
    semicolon = <const char*>memchr(p, b";", n)
    if semicolon != NULL:
        rc = _source(&r, p, semicolon - p, form)
        if rc < 0:
            return rc
        n -= semicolon + 1 - p
        p = semicolon + 1
    return _host_port(&r, p, n, form, 0)


cdef int endpoint_parse_host_port(const char* text, size_t n, uint32_t default_port, endpoint* out) noexcept nogil:
    cdef reader r = reader(text, out)
    cdef const char* zero
    memset(out, 0, sizeof(endpoint))
    out.direction = ENDPOINT_CONNECT
    out.transport = TRANSPORT_TCP
    zero = <const char*>memchr(text, 0, n) if n else NULL
    if zero != NULL:
        return _fault(&r, FAULT_NUL, zero, 1, -EINVAL)
    return _host_port(&r, text, n, FORM_HOST, default_port)


cdef const char* transport_name(int transport) noexcept nogil:
    cdef int i
    for i in range(12):
        if _TRANSPORTS[i].transport == transport:
            return _TRANSPORTS[i].name
    return NULL


# ---- printing ------------------------------------------------------------------------------

cdef struct writer:
    char* buf
    size_t size
    size_t n        # length so far, whether it fits or not


cdef void _put(writer* w, const char* p, size_t n) noexcept nogil:
    cdef size_t room
    if w.n + 1 < w.size:
        room = w.size - 1 - w.n
        memcpy(w.buf + w.n, p, n if n < room else room)
    w.n += n


cdef void _puts(writer* w, const char* s) noexcept nogil:
    _put(w, s, strlen(s))


cdef size_t _end(writer* w) noexcept nogil:
    if w.size:
        w.buf[w.n if w.n < w.size else w.size - 1] = 0
    return w.n


cdef void _put_host(writer* w, const char* host, int kind) noexcept nogil:
    if kind == HOST_IPV6:
        _puts(w, b"[")
    _puts(w, host)
    if kind == HOST_IPV6:
        _puts(w, b"]")


cdef void _put_port(writer* w, uint32_t port, bint anything) noexcept nogil:
    cdef char digits[16]
    if anything:
        _puts(w, b":*")
        return
    snprintf(digits, sizeof(digits), b":%u", port)
    _puts(w, digits)


cdef size_t endpoint_print(const endpoint* ep, char* buf, size_t size) noexcept nogil:
    cdef writer w = writer(buf, size, 0)
    cdef const char* scheme = transport_name(ep.transport)
    if scheme == NULL:
        return _end(&w)
    _puts(&w, scheme)
    _puts(&w, b"://")
    if ep.name != NULL:
        _put(&w, ep.name, ep.name_n)
        return _end(&w)
    if ep.transport == TRANSPORT_IPC:
        _puts(&w, ep.path)
        return _end(&w)
    if ep.source_kind != HOST_NONE:
        _put_host(&w, ep.source, ep.source_kind)
        if ep.transport != TRANSPORT_UDP:
            _put_port(&w, ep.source_port, False)
        _puts(&w, b";")
    _put_host(&w, ep.host, ep.host_kind)
    _put_port(&w, ep.port, ep.port_any)
    _puts(&w, ep.path)
    return _end(&w)


cdef size_t endpoint_reason(const endpoint* ep, const char* text, size_t n, char* buf, size_t size) noexcept nogil:
    cdef writer w = writer(buf, size, 0)
    cdef size_t i
    cdef char c
    cdef int fault = ep.fault if 0 <= ep.fault <= FAULT_CONTEXT_ID else FAULT_NONE
    _puts(&w, _FAULTS[fault])
    if fault != FAULT_NONE and ep.fault_n and ep.fault_at <= n and ep.fault_n <= n - ep.fault_at:
        _puts(&w, b': "')
        for i in range(ep.fault_n):
            if i == 80:
                _puts(&w, b"...")
                break
            c = text[ep.fault_at + i]
            if c < 32 or c > 126:
                c = b"?"
            _put(&w, &c, 1)
        _puts(&w, b'"')
    return _end(&w)


# ---- Python ----------------------------------------------------------------------------------

_KINDS = {
    HOST_NONE: None, HOST_ANY: "any", HOST_IPV4: "ipv4", HOST_IPV6: "ipv6", HOST_NAME: "name", HOST_NUMBER: "number",
}


def parse(text, bind=False):
    """What an endpoint says, as a dict.

    `text` is str or bytes; `bind` tells whether it is to be bound (wildcards allowed) or connected to.  Keys:
    transport, host and host_kind ("any", "ipv4", "ipv6", "name", "number"), port (None where the system chooses),
    source and source_kind, source_port, path, abstract, name, text (the canonical form).  What the transport does
    not have is None.

    Raises OSError with errno EINVAL (malformed), EPROTONOSUPPORT (unknown transport) or ENAMETOOLONG, and the
    reason in words.
    """
    cdef bytes raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
    cdef endpoint ep
    cdef char buf[640]
    cdef size_t n
    cdef bytes printed
    cdef int rc = endpoint_parse(raw, len(raw), &ep, ENDPOINT_BIND if bind else ENDPOINT_CONNECT)
    if rc < 0:
        n = endpoint_reason(&ep, raw, len(raw), buf, sizeof(buf))
        raise OSError(-rc, buf[:n].decode("ascii"), text)
    n = endpoint_print(&ep, buf, sizeof(buf))
    # Only an inproc or opaque name can be longer than the buffer, and it is printed as it came.
    printed = buf[:n] if n < sizeof(buf) else raw

    def plain(bytes field):
        return field.decode("utf-8", "surrogateescape") or None

    has_port = ep.host_kind != HOST_NONE
    return {
        "transport": transport_name(ep.transport).decode("ascii"),
        "host": plain(ep.host),
        "host_kind": _KINDS[ep.host_kind],
        "port": ep.port if has_port and not ep.port_any else None,
        "source": plain(ep.source),
        "source_kind": _KINDS[ep.source_kind],
        "source_port": ep.source_port if ep.source_kind != HOST_NONE and ep.transport == TRANSPORT_TCP else None,
        "path": plain(ep.path),
        "abstract": bool(ep.is_abstract),
        "name": plain(ep.name[:ep.name_n]) if ep.name != NULL else None,
        "text": printed.decode("utf-8", "surrogateescape"),
    }
