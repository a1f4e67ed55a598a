"""Security mechanisms of ZMTP 3.x: the seam they share; `null`, `plain` and `curve` are the mechanisms.

A mechanism is one `mechanism_ops`: functions the handshake calls, and for those that transform traffic a pair
for the connection to call.  It sees commands, never frames, bytes in halves, or greetings; those are
zcore.handshake's.  No I/O, no clock, no lock: whoever owns the `handshake` calls in, one thread at a time.
Sources: RFC 37 (metadata), RFC 27 (authorisation).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from .zmtp cimport command, frame_head


cdef enum:
    # numbers of the MECHANISM option
    MECHANISM_NULL = 0
    MECHANISM_PLAIN = 1
    MECHANISM_CURVE = 2

cdef enum:
    CURVE_KEY = 32              # bytes of a key of CURVE
    CREDENTIAL_MAX = 255        # bytes of a user name or password of PLAIN

cdef enum:
    # Longest frame accepted before the handshake is over.  A READY with a few metadata properties takes some
    # hundred bytes, a CURVE INITIATE as many more; whoever needs 64 KiB is not shaking hands.
    HANDSHAKE_FRAME_MAX = 65536

# What the caller does next.
cdef enum handshake_state:
    HS_MORE = 0                 # feed what arrives
    HS_WAIT_AUTHORISATION = 1   # call handshake_authorise; input is left unread until then
    HS_READY = 2                # traffic may flow both ways once `out` is written
    HS_FAILED = 3               # write what `out` holds, then close

# Why HS_FAILED.
cdef enum handshake_failure:
    HS_FAIL_NONE = 0
    HS_FAIL_PROTOCOL = 1        # `code` is a PROTOCOL_ERROR_*
    HS_FAIL_AUTH = 2            # `code` is a ZAP status: 300, 400 or 500
    HS_FAIL_REFUSED = 3         # the peer sent ERROR with some other text: see `reason`
    HS_FAIL_LOCAL = 4           # `code` is an errno of ours (ENOMEM)

# Values of the monitor event HANDSHAKE_FAILED_PROTOCOL.
cdef enum protocol_error:
    PROTOCOL_ERROR_ZMTP_UNSPECIFIED = 0x10000000
    PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND = 0x10000001
    PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE = 0x10000002
    PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE = 0x10000003
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED = 0x10000011
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE = 0x10000012
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO = 0x10000013
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE = 0x10000014
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR = 0x10000015
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY = 0x10000016
    PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME = 0x10000017
    PROTOCOL_ERROR_ZMTP_INVALID_METADATA = 0x10000018
    PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC = 0x11000001
    PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH = 0x11000002

# What our side says and demands.  Pointers are borrowed for the life of the handshake.
cdef struct handshake_config:
    int socket_type             # TYPE_*, ours
    const uint8_t* identity     # at most 255 bytes
    size_t identity_len
    const uint8_t* extra        # property list to send after ours (X- names), already encoded
    size_t extra_len
    int mechanism               # MECHANISM_*
    # PLAIN, client: at most CREDENTIAL_MAX bytes each.  CURVE: CURVE_KEY bytes each; the client needs all three,
    # the server its secret key.  Copied by handshake_init; the caller wipes its own copy.
    const uint8_t* username
    size_t username_len
    const uint8_t* password
    size_t password_len
    const uint8_t* public_key   # ours
    const uint8_t* secret_key   # ours
    const uint8_t* server_key   # the server's public key
    bint as_server              # which side of PLAIN and CURVE we are; NULL has none
    bint listening              # the peer connected to us; decides who is authorised first (see mechanism.pyx)
    int64_t max_size            # MAXMSGSIZE in bytes, -1 none; judged on every frame header
    bint allow_downgrade        # talk ZMTP 1.0 and 2.0 to peers which know no better
    bint require_zap            # an authoriser decides who may come in: refuse peers older than 3.0
    bint zap_wait               # stop in HS_WAIT_AUTHORISATION; implies require_zap.  A PLAIN server always does
    bint require_type           # refuse a peer which does not say its socket type

# Things a peer did which no rule forbids us to live with.  Counts for this connection's handshake.
cdef struct handshake_oddities:
    uint32_t reserved_bits      # frames with bits set that must be zero
    uint32_t loose_frames       # commands without the COMMAND flag, or with MORE
    uint32_t loose_names        # Socket-Type or Identity in another case
    uint32_t missing_type       # no Socket-Type, or one that ZMTP 2.0 has no number for
    uint32_t reserved_identity  # an identity beginning with a zero byte; it is not taken over

cdef struct handshake:
    # -- for the caller to read
    int state                   # HS_*
    int failure                 # HS_FAIL_*
    int code                    # see HS_FAIL_*
    bint by_peer                # the failure is the peer's verdict (it sent ERROR), not ours
    int revision                # of the peer: -1 not known yet, 0 ZMTP 1.0, 1 ZMTP 2.0, 3 any 3.x or later
    int major                   # of the peer, as sent (3.x or later); else 0
    int minor                   # of the peer, as sent (3.x or later); else 0
    int dialect                 # ZMTP_*: what to speak after HS_READY
    bint unversioned            # a ZMTP 1.0 peer which sent no signature
    bint peer_as_server         # the peer's as-server byte
    int socket_type             # TYPE_* of the peer, -1 unknown
    size_t identity_len
    uint8_t[255] identity       # what the peer calls itself; never begins with a zero byte
    uint8_t* properties         # property list of the peer's READY as received, owned; NULL when empty
    size_t properties_len
    size_t reason_len
    uint8_t[255] reason         # text of the peer's ERROR
    uint8_t[64] greeting        # the peer's, as far as received; mechanism name at 12, padded to 20 bytes
    size_t greeting_len
    handshake_oddities odd
    # what the peer has shown, for the authoriser: PLAIN a name and a password, CURVE a public key.  Borrowed
    # from the mechanism, valid in HS_WAIT_AUTHORISATION
    int ncredentials
    const uint8_t* credentials[2]
    size_t credential_len[2]
    # -- bytes to write: out[out_head:out_tail], owned
    uint8_t* out
    size_t out_head
    size_t out_tail
    size_t out_cap
    # -- the handshake's own
    handshake_config config
    const mechanism_ops* ops
    void* private               # the mechanism's own state (keys, nonces): made by ops.init, freed by ops.finish
    int phase                   # of the greeting and framing: see handshake.pyx
    int step                    # of the mechanism's table
    size_t greeting_sent        # bytes of our 64 that are in `out` or gone
    uint8_t[10] head            # the header of the frame being received
    size_t head_len
    frame_head frame            # the same, decoded, once complete
    bint in_body
    uint8_t* body               # what arrived of its body when it came in pieces, owned
    size_t body_len
    size_t body_cap

# One mechanism.  Functions return 0 or a negative errno and move `h.state` through the helpers below.
cdef struct mechanism_ops:
    const char* name            # as in the greeting
    # Make `h.private` and judge the configuration; may be NULL.
    int (*init)(handshake* h) noexcept nogil
    # The peer's greeting names the same mechanism: say what is to be said first.
    int (*start)(handshake* h) noexcept nogil
    # A command other than ERROR arrived.  Its pointers live for this call.
    int (*process)(handshake* h, const command* c) noexcept nogil
    # The authoriser said yes.
    int (*authorised)(handshake* h) noexcept nogil
    # Longest frame that may come in this step, at most HANDSHAKE_FRAME_MAX, which NULL stands for.
    size_t (*largest)(const handshake* h) noexcept nogil
    # Wipe and free `h.private`; may be NULL.
    void (*finish)(handshake* h) noexcept nogil
    bint misspelt_error         # ERROR goes out as libzmq's PLAIN spells it
    # Bytes `encode` adds to a frame's body; 0 without `encode`.
    size_t overhead
    # After HS_READY.  NULL pointers: frames pass as they stand.  The two may be called at the same time by two threads.
    # Write the complete outer frame of one frame to `dst`, which has room for FRAME_HEADER_MAX + overhead + n.
    # Returns its length or a negative errno.
    ssize_t (*encode)(void* private, uint8_t flags, const uint8_t* body, size_t n, uint8_t* dst) noexcept nogil
    # Open the body of an outer frame into `dst`: n - overhead bytes of payload, and the byte before them, dst[-1], is
    # overwritten.  `dst` may lie inside `body` or before it.  0 with the frame's flags, or -EPROTO with the
    # PROTOCOL_ERROR_* in `code`.
    int (*decode)(void* private, const uint8_t* body, size_t n, uint8_t* dst, uint8_t* flags, int* code) noexcept nogil


# ---- tables of states ----

cdef enum handshake_event:
    # beside the COMMAND_* of the peer's commands, which are below
    EVENT_CLIENT = 100          # the greetings match, and we are the client
    EVENT_SERVER = 101          # the greetings match, and we are the server
    EVENT_ALLOWED = 102         # the authoriser said yes

# One move: in `step`, when `event` comes, `take` reads what came and `say` queues our answer (either may be NULL); then
# the handshake stands in `next`, in `state`.  Commands that no row names are the peer's protocol error.
cdef struct handshake_move:
    int step
    int event
    int (*take)(handshake* h, const command* c) noexcept nogil
    int (*say)(handshake* h) noexcept nogil
    int state                   # HS_*
    int next

# Make the move that `rows` has for this event.  HS_WAIT_AUTHORISATION is passed through where nobody is asked.
cdef int handshake_step(handshake* h, const handshake_move* rows, int count, int event, const command* c) noexcept nogil

# -- helpers for mechanisms and for zcore.handshake

# Make room for `n` bytes at the end of `out`: where to write them, or NULL without memory.  The caller adds
# what it wrote to `out_tail`.
cdef uint8_t* handshake_room(handshake* h, size_t n) noexcept nogil
# Append bytes to `out`: 0 or -ENOMEM.
cdef int handshake_put(handshake* h, const uint8_t* data, size_t n) noexcept nogil
# End in HS_FAILED.  Returns -EPROTO, or -code for HS_FAIL_LOCAL.
cdef int handshake_fail(handshake* h, int failure, int code) noexcept nogil
# Queue an ERROR for the peer, then end in HS_FAILED.
cdef int handshake_refuse(handshake* h, int failure, int code, const char* reason) noexcept nogil
# Clear memory so that the compiler cannot leave it out.
cdef void handshake_wipe(void* p, size_t n) noexcept nogil
# Our property list: Socket-Type, Identity where the type has one, the configured extra.
cdef size_t metadata_size(const handshake_config* config) noexcept nogil
cdef size_t put_metadata(uint8_t* dst, const handshake_config* config) noexcept nogil
# Take the peer's property list: 0, or the handshake has failed (socket types that do not match get an ERROR).
cdef int take_metadata(handshake* h, const uint8_t* p, size_t n) noexcept nogil
# Note what the peer calls itself; a name beginning with a zero byte is counted and left out.  0, or failed.
cdef int take_identity(handshake* h, const uint8_t* p, size_t n) noexcept nogil
# Compare the peer's type with ours and note it: 0, or failed.
cdef int take_socket_type(handshake* h, int socket_type) noexcept nogil
