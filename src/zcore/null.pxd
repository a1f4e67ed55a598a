"""NULL: no security; READY crosses READY (RFC 37).  With an authoriser (RFC 27), who comes in is its decision."""

from .mechanism cimport mechanism_ops


cdef const mechanism_ops* null_mechanism() noexcept nogil
