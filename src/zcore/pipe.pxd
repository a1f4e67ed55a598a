"""What waits to go to, or has come from, one stream peer.

`outq`: complete messages as ZMTP 2 frames, whole or not at all.  It belongs to the peer and outlives its connections.
A message leaves when the kernel has taken its last byte; one that a lost connection has cut is sent again whole.

`inq`: what has been read, walked but not copied: the reader looks at the headers, counts complete messages and publishes
them; the application pops frames from where they lie.

Owner: the socket lock, except the fields marked [reader]: those belong to whoever holds `conn.in_busy`.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .buffer cimport byteq, byteq_commit, byteq_room, linear
from .keeper cimport keeper, kept
from .limits cimport books, limits, over_limit
from .message cimport (INLINE_MAX, MK_BLOCK, MK_EMPTY, MK_OBJECT, MSG_COMMAND, MSG_MORE, block, zmsg, zmsg_data,
                       zmsg_size)
from .ring cimport LEN_CONTROL, LEN_SHIFT, lenring, lenring_push


cdef enum:
    BORROW_FROM = 16384       # a frame this large is written from where it stands, not copied
    BIG_FRAME = 65536         # an incomplete inbound frame this large gets memory of its own
    BIG_FIRST = 262144        # bytes a block for it starts with; it doubles as bytes arrive
    BIG_HEAD = 512            # bytes read where the header of another large frame is likely: its body is not to be moved
    LAND_FIRST = 1048576      # bytes of final memory that a peer's first header is good for
    LAND_TIMES = 4            # and bytes more for each byte of the frame received
    LAND_REST = 32768         # bytes missing of a frame below which final memory does not pay any more
    SPARE_MAX = 16777216      # a larger block is not kept for the next frame
    KEEP_AHEAD = 65536        # POLICY_KEEP_LAST: bytes handed on to the connection, where nothing replaces them any more

cdef enum put_result:
    PUT_DONE = 0              # (or a negative errno: -EAGAIN when full and the policy says wait, -ENOMEM)
    PUT_DROPPED = 1           # the policy dropped this message; it is in the books

cdef enum:
    BEHIND_MET = 1            # met the mark, and has not sunk to half since
    BEHIND_TOLD = 2           # and the reactor counts the time

cdef struct outq:
    byteq q
    lenring lens              # one entry per complete message in q
    size_t begun              # bytes of the front message that the kernel has taken
    uint32_t nmsgs            # messages in q and keep
    size_t held               # bytes from q's head that a write, or an encoder, is taking: not to be dropped now
    bint full                 # met the mark, and has not sunk to half since
    uint8_t behind            # POLICY_DISCONNECT: BEHIND_*
    uint32_t caught_up        # times it has sunk to half again
    uint32_t quick_msgs       # with fewer messages and bytes than this in q, a small message needs nothing but its copy:
    size_t quick_bytes        # the limits and the policy as put_quick sees them
    bint flows                # POLICY_KEEP_LAST: a connection is there, and took all that it was offered last
    limits lim                # changed with outq_limits
    keeper keep               # POLICY_KEEP_LAST: messages not yet in q
    books books

cdef struct inq:
    linear b
    uint32_t nmsgs            # complete messages between b.head and b.pub (one begun is not counted)
    bint open                 # the message at the head has been begun
    bint paused               # at the mark: not to be read further
    size_t big_bytes          # bytes in the blocks of published frames
    limits lim
    keeper keep
    kept* run                 # a kept message that is being popped
    uint32_t run_at
    books books
    # [reader]
    int64_t max_size          # MAXMSGSIZE, -1 none
    uint32_t fresh_msgs       # found by the walk, not yet published
    uint32_t fresh_commands
    size_t whole              # end of the last complete message that the walk has seen
    size_t commands_from      # where frames not yet looked at for commands begin
    bint in_message           # the walk is between two parts
    size_t big_size           # of a large frame that is being received, 0: none.  Where its bytes are:
    bint big_lies             # behind its header at `walk`, until a read goes on: somebody may have better memory
    void* land                # in a bytes object, which is its final memory
    block* big                # in a block
    size_t big_got            # how many, in either of the latter
    uint8_t big_flags
    size_t fresh_big          # bytes in the blocks of messages not yet published
    size_t part_big           # and of the message that the walk is in
    bint big_next             # the last frame was large: the next may be
    size_t trusted            # size of the last large frame that came whole
    uint64_t rx_bytes         # ever read
    void* spare               # atomic: a block that has served, for the next large frame

cdef struct part:             # one frame as it stands in a queue; valid while the socket lock is held
    const uint8_t* data
    size_t size
    uint8_t flags             # MSG_MORE, MSG_COMMAND
    uint8_t kind              # MK_EMPTY: bytes in the queue; MK_BLOCK: owner is a block; MK_OBJECT: a Python object (bytes, in an inq)
    void* owner
    size_t next               # inq: where the following frame begins


# --- outgoing ------------------------------------------------------------------------------------
cdef void outq_limits(outq* o, const limits* lim) noexcept nogil
cdef void outq_flows(outq* o, bint flows) noexcept nogil     # what the connection is like now
cdef int outq_put(outq* o, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n) noexcept nogil
# Limits, policy and books. Moves out of `parts` what it keeps by reference (their kind becomes MK_EMPTY).
cdef int outq_push(outq* o, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, uint64_t kind) noexcept nogil
# The same without limits: all or nothing; 0 or -ENOMEM. kind: LEN_CONTROL or 0.
cdef int outq_push_bytes(outq* o, const uint8_t* frames, size_t n, uint64_t kind) noexcept nogil  # encoded already
cdef void outq_fill(outq* o) noexcept nogil                 # move kept messages into q, as many as one write takes
cdef void outq_sent(outq* o, size_t n) noexcept nogil        # the kernel has taken n more bytes
cdef void outq_rewind(outq* o) noexcept nogil                # the connection is gone: the cut message starts again
cdef void outq_drop_control(outq* o) noexcept nogil           # forget control frames (they will be made anew)
cdef void outq_clear(outq* o, int reason) noexcept nogil      # drop everything, into the books
cdef void outq_free(outq* o) noexcept nogil

cdef inline bint borrows(zmsg* m) noexcept nogil:
    """Does a queue keep this part by reference, rather than copy it?"""
    return m.kind >= MK_BLOCK and (m.lent or zmsg_size(m) >= BORROW_FROM) and zmsg_size(m) > 0

cdef inline size_t outq_bytes(outq* o) noexcept nogil:
    return o.q.bytes + o.keep.bytes

cdef inline bint outq_room(outq* o) noexcept nogil:
    """True when a blocking writer may put one more message now."""
    return not o.full

cdef inline int put_small(outq* o, const uint8_t* data, size_t size) noexcept nogil:
    """One single-part message below BORROW_FROM, limits already looked at. 0 or -1 (no memory)."""
    cdef uint8_t* p = byteq_room(&o.q, size + 9)
    cdef size_t n
    if p == NULL:
        return -1
    if size < 256:
        p[0] = 0
        p[1] = <uint8_t>size
        n = 2
    else:
        p[0] = 2
        p[1] = p[2] = p[3] = p[4] = 0
        p[5] = <uint8_t>(size >> 24)
        p[6] = <uint8_t>(size >> 16)
        p[7] = <uint8_t>(size >> 8)
        p[8] = <uint8_t>size
        n = 9
    if lenring_push(&o.lens, <uint64_t>(n + size) << LEN_SHIFT) < 0:
        return -1
    memcpy(p + n, data, size)
    byteq_commit(&o.q, n + size)
    o.nmsgs += 1
    o.books.accepted += 1
    return 0

cdef inline int put_quick(outq* o, const uint8_t* data, size_t size) noexcept nogil:
    """The hot path, whatever the policy, for bytes that are to be copied: 0, or 1 when outq_put has to decide."""
    if o.nmsgs >= o.quick_msgs or o.q.bytes + size >= o.quick_bytes or size >= BORROW_FROM:
        return 1
    return put_small(o, data, size) != 0


# --- incoming ------------------------------------------------------------------------------------
cdef int inq_room(inq* i, size_t want) noexcept nogil         # before a read, under the lock: 0 or -ENOMEM
cdef size_t inq_space(inq* i, uint8_t** dst) noexcept nogil   # [reader] where the next bytes go; 0: no memory
cdef int inq_got(inq* i, size_t n) noexcept nogil             # [reader] n bytes were put there: walk. 0, -EPROTO, -EMSGSIZE, -ENOMEM
cdef bint inq_lands(inq* i) noexcept nogil                    # [reader] would final memory help the frame that is being received?
cdef void inq_land(inq* i, void* obj, block* b) noexcept nogil
# [reader] receive it into that: a bytes object of big_size bytes, whose reference is the queue's now, or a block
cdef block* inq_spare(inq* i, size_t cap) noexcept nogil      # a block that has served, of cap bytes or more, or a new one; NULL
cdef int inq_append_frame(inq* i, uint8_t flags, const uint8_t* data, size_t n) noexcept nogil  # [reader] a frame decoded elsewhere
cdef int inq_begin_big(inq* i, uint8_t flags, size_t size, const uint8_t* have, size_t n) noexcept nogil
# [reader] a frame too large for the buffer is under way: its first n bytes; inq_space says where the others go.
cdef uint8_t* inq_place(inq* i, size_t n, block** b) noexcept nogil
# [reader] where the n bytes of a frame's body may be written; the byte before them is there, too. b: their block, or NULL
# within the buffer. NULL: no room (b stays NULL), or no memory. Then one of:
cdef int inq_placed(inq* i, uint8_t flags, size_t n, block* b) noexcept nogil   # it is a frame: 0, -EPROTO (b is let go of)
cdef void inq_unplaced(inq* i, block* b) noexcept nogil                          # it is none
cdef bint inq_next_command(inq* i, part* p) noexcept nogil    # under the lock, by the reader: each command once, in order
cdef int inq_publish(inq* i) noexcept nogil                   # under the lock, by the reader: messages become poppable; policy applied
cdef bint inq_peek(inq* i, part* p) noexcept nogil            # the frame at the head; False when there is none
cdef void inq_pop(inq* i, part* p, bint take) noexcept nogil   # remove it; with take, the owner's reference is the caller's
cdef void inq_skip_message(inq* i) noexcept nogil              # drop the rest of the message that was begun, or the next whole one
cdef void inq_reset(inq* i) noexcept nogil                     # the connection is gone: drop what is not complete
cdef bint inq_trim(inq* i) noexcept nogil                      # under the lock, no reader active: give the memory back; False while it holds bytes
cdef void inq_free(inq* i) noexcept nogil

cdef inline size_t inq_bytes(inq* i) noexcept nogil:
    """What has been published and not yet popped, as limits count it."""
    return i.b.pub - i.b.head + i.big_bytes

cdef inline bint inq_quick(inq* i, part* p) noexcept nogil:
    """The hot path of inq_peek: is a message of one part below 256 bytes at the head, and not begun?"""
    cdef uint8_t* f
    if i.open or i.run != NULL or i.b.head >= i.b.pub:
        return False
    f = i.b.data + i.b.head
    if f[0]:
        return False
    p.kind = MK_EMPTY
    p.size = f[1]
    p.data = f + 2
    p.next = i.b.head + 2 + p.size
    return True

cdef inline void inq_quick_pop(inq* i, part* p) noexcept nogil:
    """Remove what inq_quick has found."""
    i.nmsgs -= 1
    i.books.delivered += 1
    i.books.bytes += p.size
    i.b.head = p.next if i.nmsgs else i.b.pub

cdef inline bint inq_ready(inq* i) noexcept nogil:
    return i.nmsgs != 0 or i.open
