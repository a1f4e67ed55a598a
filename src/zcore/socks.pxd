"""The client's half of a SOCKS5 negotiation (RFC 1928, RFC 1929): bytes in, bytes out, no descriptor.

A name is passed to the proxy as it is; addresses are passed as addresses.  Not one byte beyond the proxy's last reply
is asked for: what follows belongs to the connection.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from zcore.endpoint cimport endpoint
from zcore.stream cimport socks_opts


cdef enum:
    SOCKS_SEND = 1               # give the proxy buf[done:n]
    SOCKS_RECV = 2               # read from the proxy into buf[done:n]
    SOCKS_OPEN = 3               # the connection is the caller's
    SOCKS_FAILED = 4             # err tells why

cdef struct socks_client:
    int state                    # private; see socks.pyx
    int err                      # -errno after SOCKS_FAILED
    size_t n                     # bytes to send, or to receive
    size_t done                  # of those, how many have been
    uint8_t buf[520]             # holds the largest message of either side


# Begins a negotiation for ep, a tcp endpoint.  SOCKS_SEND, or SOCKS_FAILED (-EINVAL: an address that SOCKS cannot
# carry, such as one with a zone).
cdef int socks_start(socks_client* s, const socks_opts* o, const endpoint* ep) noexcept nogil

# `moved` more bytes have been sent or received; 0 asks only how it stands.  The next thing to do, SOCKS_.
# Errors: -EPROTO (not SOCKS5), -EACCES (no common authentication, or refused, or not allowed), -ENETUNREACH,
# -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT, -EOPNOTSUPP, -EAFNOSUPPORT, -ECONNABORTED, as the proxy reports them.
cdef int socks_step(socks_client* s, const socks_opts* o, const endpoint* ep, size_t moved) noexcept nogil
