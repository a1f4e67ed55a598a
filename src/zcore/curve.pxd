"""CURVE: both sides prove a key, and everything after the handshake is encrypted and authenticated (RFC 25, 26).

The cryptography is libsodium's (zcore.sodium).  Names are the RFC's: C and c are the client's long-term public and
secret key, C' and c' its keys of this connection, S, s, S' and s' the server's.

Each side counts the nonces of what it sends, and takes none that is not above the last: what is replayed or comes in
another order ends the connection, as does what does not open.
"""

from .mechanism cimport mechanism_ops


cdef const mechanism_ops* curve_mechanism() noexcept nogil
