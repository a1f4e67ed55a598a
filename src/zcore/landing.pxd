"""Final memory for large frames that are being received, so that nobody copies them again.

A frame too large for a connection's buffer is received into a block of the engine's, by whoever reads.  When the
application is about to wait for it anyway, it can do better: make the `bytes` that its `recv` will return, of the size
the header announces, and have the rest of the frame written right into it.  From then on the object is the queue's, and
whoever reads goes on filling it, the reactor included: that takes an address, and neither the GIL nor a reference.
"""

from .engine cimport sock

cdef void land_large(sock* s) noexcept       # [lock; let go of meanwhile; GIL held] do that for every connection in s.large
