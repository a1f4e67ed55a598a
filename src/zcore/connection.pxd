"""One peer over tcp or ipc: a descriptor, the handshake, and bytes to and from its queues.

A connection has two halves.  Whoever sets `in_busy` (under the socket lock) owns the input half until it clears it, and
may read and walk without the lock; likewise `out_busy` and writing.  A half is owned for one system call, or a few,
never while its owner waits.  So a reactor and any number of application threads share a connection without a lock being
held across a system call.

Errors are negative errno; -ECONNRESET stands for the peer's orderly end as well.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from posix.uio cimport iovec

from .buffer cimport byteq
from .mechanism cimport handshake
from .message cimport meta
from .pipe cimport inq, outq, part
from .ring cimport lenring


cdef enum:
    # conn.wire: how frames look on this connection
    WIRE_FRAMES = 0       # ZMTP 2 and 3: queues and wire are the same bytes
    WIRE_V1 = 1           # ZMTP 1.0
    WIRE_SECURE = 2       # the mechanism encodes and decodes each frame
    WIRE_RAW = 3          # no frames at all (STREAM)

cdef enum:
    IOV_MAX_HERE = 32
    WRITE_BATCH = 262144  # bytes offered to the kernel at once
    WRITE_LARGE = 4194304 # and of large messages: what a kernel's buffer may hold; each call costs as much as 10 KB do
    READ_BUDGET = 1048576 # bytes read in one turn of one connection
    CONTROL_ROOM = 256    # bytes for control frames (PING, PONG, ERROR) that wait for a message boundary
    ENCODE_BATCH = 65536  # bytes of the queue that are encoded at once, or the next frame if that is longer
    GIL_BUDGET = 65536    # a read of so little is done with the GIL held
    SECURE_WITH_GIL = 8192    # bytes that are encrypted or decrypted with the GIL held

cdef enum:
    # what conn_write_end says
    WRITE_IDLE = 0        # nothing is left
    WRITE_MORE = 1        # bytes are left, and the kernel took all that was offered
    WRITE_FULL = 2        # the kernel takes no more: wait until the descriptor is writable

cdef struct conn:
    int fd
    uint8_t wire
    uint8_t dialect       # zmtp_dialect of the peer
    bint in_busy          # [socket lock]
    bint out_busy         # [socket lock]
    bint blocked          # the kernel took no more; the reactor watches for writability [socket lock]
    bint closing          # over: no more reads or writes are begun [socket lock]
    int error             # why; negative errno, or 0
    handshake* hs         # [reactor] until it is ready; afterwards NULL, or what codes frames (WIRE_SECURE) [reader, writer]
    meta* facts           # properties of the peer, until it is attached
    # control frames that go out at the next message boundary [socket lock]
    uint8_t control[CONTROL_ROOM]
    uint32_t control_len
    uint32_t control_off  # of which the kernel has taken
    # the write under way [writer]
    iovec iov[IOV_MAX_HERE]
    int niov
    bint writing_control
    size_t offered
    ssize_t wrote
    # when to write at once, when to gather (in ticks) [socket lock]
    uint64_t last_write
    uint64_t gather       # so long after a write the next may wait for company
    # traffic that is not plain frames
    bint encode           # iov lists what is to be encoded into `coded` [writer]
    uint32_t control_take # of `control`, what goes along [writer]
    byteq coded           # outgoing, encoded [writer]
    lenring coded_lens    # one entry per frame in `coded`: what it stands for [writer]
    size_t coded_begun    # bytes of the first of them that the kernel has taken [writer]
    size_t coded_source   # bytes of the outq that `coded` stands for [writer]
    size_t coded_left     # bytes of it that the kernel has not taken, when nobody writes [socket lock]
    uint8_t* raw          # incoming, not yet decoded [reader]
    size_t raw_len
    size_t raw_cap
    bint raw_full         # it has been filled to the brim
    size_t raw_need       # bytes it must hold for the frame that has begun
    int fault             # PROTOCOL_ERROR_* of traffic that the mechanism refused, 0 none [reader]
    # heartbeats [reactor]
    uint64_t rx_seen      # inq.rx_bytes when last looked at
    int64_t ping_sent     # ns, 0: none outstanding
    int64_t ttl_due       # ns, 0: the peer asked for none
    uint16_t peer_ttl     # tenths of a second, from the peer's PING
    bint alive            # something came since ping_sent

cdef int conn_init(conn* c, int fd) noexcept nogil     # 0 or -ENOMEM
cdef void conn_free(conn* c) noexcept nogil            # not the descriptor: the reactor closes that
cdef int conn_start_traffic(conn* c, inq* i, const uint8_t* rest, size_t n) noexcept nogil
# The handshake is over: choose the wire, and feed what was read beyond it. 0 or a negative errno.

cdef int conn_read_begin(conn* c, inq* i) noexcept nogil
# [socket lock, not in_busy] make room and take the input half; 0 or -ENOMEM
cdef int conn_read(conn* c, inq* i, size_t budget) noexcept nogil
# [reader, no lock] 1: the budget is used up; 0: drained; negative: the connection is over (what came
# before the end has been walked all the same).
cdef int conn_command(conn* c, part* p, int* kind, part* arg) noexcept nogil
# Answer or note a command in the input; kind is its COMMAND_*, arg its argument for those the caller must handle.

cdef bint conn_write_begin(conn* c, outq* o) noexcept nogil
# [socket lock, not out_busy] gather what goes next and take the output half; False when there is nothing
cdef void conn_write_run(conn* c) noexcept nogil        # [writer, no lock] encode, where that is to be done; one system call
cdef int conn_write_end(conn* c, outq* o) noexcept nogil  # [socket lock] give the half back: WRITE_* or negative errno
cdef int conn_control(conn* c, const uint8_t* frame, size_t n) noexcept nogil   # [socket lock] 0, or -EAGAIN: no room now

cdef inline bint conn_pending(conn* c, outq* o) noexcept nogil:
    """Anything to write?  [socket lock]"""
    return (o.q.unsent != 0 or o.keep.count != 0 or c.control_len != c.control_off
            or c.coded_left != 0)
