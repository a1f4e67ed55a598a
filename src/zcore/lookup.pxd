"""What a bound host or a source address stands for on this machine: "*", an address, an interface, a name."""

from zcore.address cimport addr_list
from zcore.endpoint cimport endpoint


# What a bound host stands for: "*", a numeric address, an interface, a name.  Asks the system's resolver for a name
# and may then block: for the application's thread, inside bind().  0; -ENODEV: neither an interface nor a name (or
# an IPv6 address while `ipv6` is off); -ENOMEM.
cdef int lookup_bound(const endpoint* ep, bint ipv6, addr_list* out) noexcept nogil

# What a source stands for: "*", a numeric address or an interface, never a name.  Does not block.
# 0, -ENODEV or -ENOMEM.
cdef int lookup_source(const endpoint* ep, bint ipv6, addr_list* out) noexcept nogil
