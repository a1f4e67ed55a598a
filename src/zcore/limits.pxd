"""High-water marks: how much a queue may hold, what happens beyond it, and the books.

Every queue keeps exact books at all times:

    accepted = delivered + queued + sum(dropped)

`delivered` means taken by the kernel (stream, outgoing), by the other socket (inproc) or by the application
(incoming).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef enum:                     # limits.policy
    POLICY_TYPE = 0            # what the socket type prescribes when it cannot send
    POLICY_BLOCK = 1           # the writer waits (or gets EAGAIN); the reader stops reading
    POLICY_DROP_NEWEST = 2     # the message that does not fit is dropped
    POLICY_DROP_OLDEST = 3     # the oldest message that has not been begun makes room
    POLICY_KEEP_LAST = 4       # only the newest message of each key is kept
    POLICY_DISCONNECT = 5      # as the type prescribes, and who stays full for too long is disconnected

cdef enum:                     # indices of books.dropped
    DROP_NEWEST = 0            # did not fit
    DROP_OLDEST = 1            # made room for a newer one
    DROP_REPLACED = 2          # a newer one of the same key came
    DROP_PEER_GONE = 3         # the peer went, and nobody else may have it
    DROP_CLOSED = 4            # the socket was closed and its linger period ended
    DROP_MEMORY = 5            # no memory for a copy
    DROP_FILTERED = 6          # not subscribed to (any more), or against the pattern's rules
    DROP_REASONS = 7           # how many there are

cdef enum:                     # limits.key
    KEY_NONE = 0               # one message in all
    KEY_PREFIX = 1             # the first key_len bytes of frame key_at
    KEY_FIRST_FRAME = 2        # all of frame key_at

cdef enum:
    LIMIT_OF_OPTION = 0x80000000    # limits.messages of a policy that leaves it to SNDHWM or RCVHWM

cdef struct limits:
    uint32_t messages          # 0: unlimited
    size_t bytes               # 0: unlimited
    uint8_t policy             # policy_kind
    uint8_t key                # key_kind
    uint32_t key_len
    uint8_t key_at             # which frame of the queue's messages is the application's first (RADIO, DISH: behind the group)
    int64_t after_ns           # POLICY_DISCONNECT

cdef struct books:
    uint64_t accepted          # messages that entered the queue, or were dropped at its door
    uint64_t delivered
    uint64_t bytes             # of delivered messages' frames, headers included on a stream
    uint64_t dropped[DROP_REASONS]
    uint64_t full              # times the high-water mark was met


cdef inline bint over_limit(const limits* lim, uint32_t messages, size_t nbytes) noexcept nogil:
    """True when a queue of this size must not grow."""
    return (lim.messages != 0 and messages >= lim.messages) or (lim.bytes != 0 and nbytes >= lim.bytes)

cdef inline bint below_half(const limits* lim, uint32_t messages, size_t nbytes) noexcept nogil:
    """True when a writer that met the mark may go on: (mark + 1) // 2 messages have left."""
    return ((lim.messages == 0 or messages <= lim.messages // 2)
            and (lim.bytes == 0 or nbytes <= lim.bytes // 2))

cdef inline bint policy_blocks(uint8_t policy) noexcept nogil:
    """True for the policies under which a full queue refuses, rather than drops."""
    return policy == POLICY_TYPE or policy == POLICY_BLOCK or policy == POLICY_DISCONNECT
