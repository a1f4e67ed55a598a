"""The opening of a connection: greeting, downgrade, mechanism.  A state machine over bytes, no I/O.

The caller writes what `handshake_output` shows, feeds what it reads to `handshake_input`, and looks at
`h.state`.  Bytes that belong to the traffic after the handshake are never taken.  One thread at a time; no lock
is taken and no clock is read (the time limit, HANDSHAKE_IVL, is the caller's).
Sources: RFC 37 "version negotiation" and "backwards interoperability", RFC 15, RFC 13.
"""

from libc.stdint cimport uint8_t

from .mechanism cimport handshake, handshake_config


# Begin: our signature is in `out` on return (the whole greeting when older peers are refused anyway).
# 0; -EINVAL for a configuration that makes no sense (CURVE without its keys), -ENOTSUP for CURVE before
# zcore.sodium.load, -EMSGSIZE for metadata that no peer would accept, -ENOMEM.  After an error there is nothing to free.
cdef int handshake_init(handshake* h, const handshake_config* config) noexcept nogil
# Free everything.  Safe to call twice; `h.private` goes through the mechanism's `finish`, so call it only after
# the last traffic frame when the mechanism transforms traffic.
cdef void handshake_free(handshake* h) noexcept nogil
# Free one on the heap with all it holds, and forget it; harmless when there is none.
cdef void handshake_drop(handshake** h) noexcept nogil
# Free the input and output memory of a handshake that is over and written; facts about the peer stay.
cdef void handshake_trim(handshake* h) noexcept nogil

# Take bytes from the peer: how many, at most `n`, or a negative errno when the handshake has failed (now or
# earlier).  Takes nothing in HS_WAIT_AUTHORISATION and HS_READY; bytes left over are to be offered again after
# handshake_authorise.  After a failure `out` may hold an ERROR command to write before closing.
cdef ssize_t handshake_input(handshake* h, const uint8_t* data, size_t n) noexcept nogil
# Answer HS_WAIT_AUTHORISATION with a ZAP status: 200 goes on; 300 fails in silence; 400 and 500 fail with an
# ERROR to the peer.  0 (look at `h.state`), -EINVAL for another status or state, -ENOMEM.
cdef int handshake_authorise(handshake* h, int status) noexcept nogil

# What is to be written: its length, and where it is (valid until the next call with this handshake).
cdef size_t handshake_output(const handshake* h, const uint8_t** data) noexcept nogil
# `n` bytes of it have been written.
cdef void handshake_sent(handshake* h, size_t n) noexcept nogil
