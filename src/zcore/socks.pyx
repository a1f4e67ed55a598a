"""SOCKS5, as a table of states.

A negotiation is a chain of messages, each of known length: what we send we have made, and what the proxy sends says
after its first bytes how long it is.  So a state is: which way bytes go, how many at least, and what is made of them
once they are complete.

    state      way    bytes  then
    GREETING   send     n    METHOD
    METHOD     recv     2    LOGIN (username/password) | REQUEST (none) | failed
    LOGIN      send     n    VERDICT
    VERDICT    recv     2    REQUEST | failed
    REQUEST    send     n    REPLY
    REPLY      recv     5    BOUND | failed     version, status, zero, address type, first byte of the address
    BOUND      recv     n    OPEN               the rest of the address, by type, and the port
"""

from libc.errno cimport (
    EACCES,
    EAFNOSUPPORT,
    ECONNABORTED,
    ECONNREFUSED,
    EHOSTUNREACH,
    EINVAL,
    ENETUNREACH,
    EOPNOTSUPP,
    EPROTO,
    ETIMEDOUT,
)
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset, strlen

from zcore.address cimport AF_INET, addr_from_numeric, zq_addr, zq_addr_bytes, zq_addr_family, zq_addr_scope
from zcore.endpoint cimport HOST_NAME, endpoint
from zcore.stream cimport socks_opts


cdef enum:
    S_GREETING = 0
    S_METHOD = 1
    S_LOGIN = 2
    S_VERDICT = 3
    S_REQUEST = 4
    S_REPLY = 5
    S_BOUND = 6
    S_OPEN = 7
    S_FAILED = 8

cdef enum:                       # RFC 1928
    VERSION = 5
    METHOD_NONE = 0
    METHOD_LOGIN = 2
    METHOD_NOT_ACCEPTABLE = 255
    CONNECT = 1
    TYPE_IPV4 = 1
    TYPE_NAME = 3
    TYPE_IPV6 = 4
    LOGIN_VERSION = 1            # RFC 1929

# A step: the message is complete; make of it what it says.  Returns the next state or -errno.
ctypedef int (*completed)(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil
# A beginning: fill buf (send) or leave it (receive), and set n.  0 or -errno.
ctypedef int (*begun)(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil

cdef struct row:
    int way                      # SOCKS_SEND or SOCKS_RECV; SOCKS_OPEN and SOCKS_FAILED end the negotiation
    begun begin
    completed complete


cdef int _greeting(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    s.buf[0] = VERSION
    s.buf[1] = 2 if o.username_n else 1
    s.buf[2] = METHOD_NONE
    s.buf[3] = METHOD_LOGIN
    s.n = 2 + s.buf[1]
    return 0


cdef int _two(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    s.n = 2
    return 0


cdef int _login(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    cdef size_t name_n = o.username_n
    cdef size_t password_n = o.password_n
    if name_n > 255 or password_n > 255:
        return -EINVAL
    s.buf[0] = LOGIN_VERSION
    s.buf[1] = <uint8_t>name_n
    memcpy(s.buf + 2, o.username, name_n)
    s.buf[2 + name_n] = <uint8_t>password_n
    memcpy(s.buf + 3 + name_n, o.password, password_n)
    s.n = 3 + name_n + password_n
    return 0


cdef int _request(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    cdef zq_addr a
    cdef size_t n
    s.buf[0] = VERSION
    s.buf[1] = CONNECT
    s.buf[2] = 0
    if ep.host_kind == HOST_NAME:
        n = strlen(ep.host)
        s.buf[3] = TYPE_NAME
        s.buf[4] = <uint8_t>n
        memcpy(s.buf + 5, ep.host, n)
        n += 5
    else:
        if addr_from_numeric(ep.host, 0, &a) < 0 or zq_addr_scope(&a):
            return -EINVAL
        s.buf[3] = TYPE_IPV4 if zq_addr_family(&a) == AF_INET else TYPE_IPV6
        n = 4 if zq_addr_family(&a) == AF_INET else 16
        memcpy(s.buf + 4, zq_addr_bytes(&a), n)
        n += 4
    s.buf[n] = <uint8_t>(ep.port >> 8)
    s.buf[n + 1] = <uint8_t>ep.port
    s.n = n + 2
    return 0


cdef int _reply(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    s.n = 5
    return 0


cdef int _bound(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    # One byte of the address came with the reply.
    if s.buf[3] == TYPE_IPV4:
        s.n = 4 - 1 + 2
    elif s.buf[3] == TYPE_IPV6:
        s.n = 16 - 1 + 2
    elif s.buf[3] == TYPE_NAME:
        s.n = <size_t>s.buf[4] + 2
    else:
        return -EPROTO
    return 0


cdef int _greeted(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    return S_METHOD


cdef int _chosen(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    if s.buf[0] != VERSION:
        return -EPROTO
    if s.buf[1] == METHOD_NONE:
        return S_REQUEST
    if s.buf[1] == METHOD_LOGIN and o.username_n:
        return S_LOGIN
    return -EACCES if s.buf[1] == METHOD_NOT_ACCEPTABLE else -EPROTO


cdef int _logged_in(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    return S_VERDICT


cdef int _judged(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    if s.buf[0] != LOGIN_VERSION:
        return -EPROTO
    return S_REQUEST if s.buf[1] == 0 else -EACCES


cdef int _requested(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    return S_REPLY


cdef int _answered(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    if s.buf[0] != VERSION:
        return -EPROTO
    if s.buf[1] == 0:
        return S_BOUND
    if s.buf[1] == 2:
        return -EACCES
    if s.buf[1] == 3:
        return -ENETUNREACH
    if s.buf[1] == 4:
        return -EHOSTUNREACH
    if s.buf[1] == 5:
        return -ECONNREFUSED
    if s.buf[1] == 6:
        return -ETIMEDOUT
    if s.buf[1] == 7:
        return -EOPNOTSUPP
    if s.buf[1] == 8:
        return -EAFNOSUPPORT
    return -ECONNABORTED


cdef int _told(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    return S_OPEN


cdef row _TABLE[9]
_TABLE[S_GREETING] = row(SOCKS_SEND, _greeting, _greeted)
_TABLE[S_METHOD] = row(SOCKS_RECV, _two, _chosen)
_TABLE[S_LOGIN] = row(SOCKS_SEND, _login, _logged_in)
_TABLE[S_VERDICT] = row(SOCKS_RECV, _two, _judged)
_TABLE[S_REQUEST] = row(SOCKS_SEND, _request, _requested)
_TABLE[S_REPLY] = row(SOCKS_RECV, _reply, _answered)
_TABLE[S_BOUND] = row(SOCKS_RECV, _bound, _told)
_TABLE[S_OPEN] = row(SOCKS_OPEN, NULL, NULL)
_TABLE[S_FAILED] = row(SOCKS_FAILED, NULL, NULL)


cdef int _enter(socks_client* s, const socks_opts* o, const endpoint* ep, int state) noexcept nogil:
    cdef int rc = state
    if rc >= 0:
        s.state = state
        s.n = 0
        s.done = 0
        if _TABLE[state].begin != NULL:
            rc = _TABLE[state].begin(s, o, ep)
    if rc < 0:
        s.err = rc
        s.state = S_FAILED
    return _TABLE[s.state].way


cdef int socks_start(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil:
    memset(s, 0, sizeof(socks_client))
    # An address that cannot be asked for is found out before the proxy is spoken to.
    if _request(s, o, ep) < 0:
        return _enter(s, o, ep, -EINVAL)
    return _enter(s, o, ep, S_GREETING)


cdef int socks_step(socks_client* s, const socks_opts* o, const endpoint* ep, size_t moved) noexcept nogil:
    if _TABLE[s.state].complete == NULL:
        return _TABLE[s.state].way
    s.done += moved if moved <= s.n - s.done else s.n - s.done
    if s.done < s.n:
        return _TABLE[s.state].way
    return _enter(s, o, ep, _TABLE[s.state].complete(s, o, ep))
