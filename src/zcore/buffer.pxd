"""Byte buffers: what waits to be written, and what has been read.

`byteq` is a list of chunks whose addresses never change while bytes are inside, so that a thread may write
them to the kernel without a lock while another appends behind them.  It has two read positions: `cur`, the next
byte for the kernel, and the head, the first byte of the oldest message that the kernel has not wholly taken.
Going back from `cur` to the head (`byteq_rewind`) is how a message cut by a lost connection is sent again.

Owner: the socket lock, but for the bytes between cur and the end as they were when a write began: those belong
to the writer until it ends.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy
from posix.uio cimport iovec


cdef enum:
    CHUNK_MIN = 1000      # bytes in a queue's first chunk; a chunk doubles its predecessor
    CHUNK_MAX = 65000

cdef struct chunk:
    chunk* next
    uint8_t* data
    size_t used           # end of the bytes in data
    size_t cap            # 0: data belongs to owner
    void* owner           # with cap 0: what keeps data alive
    uint8_t owner_kind    # MK_BLOCK or MK_OBJECT

cdef struct byteq:
    chunk* first
    chunk* last
    chunk* cur
    chunk* spare          # one emptied chunk, kept because the next burst wants it
    size_t head_off       # head = first.data + head_off
    size_t cur_off
    size_t bytes          # from the head to the end
    size_t unsent         # from cur to the end

cdef struct byteq_mark:
    chunk* last
    size_t used
    size_t bytes
    size_t unsent


cdef uint8_t* byteq_grow(byteq* q, size_t n) noexcept nogil       # a new last chunk with room for n; NULL
cdef int byteq_ref(byteq* q, const uint8_t* data, size_t n, void* owner, uint8_t owner_kind) noexcept nogil
cdef void byteq_release(byteq* q, size_t n) noexcept nogil         # the head moves up by n bytes
cdef void byteq_advance(byteq* q, size_t n) noexcept nogil         # cur moves up by n bytes
cdef void byteq_rewind(byteq* q) noexcept nogil                    # cur goes back to the head
cdef int byteq_iov(byteq* q, iovec* iov, int max_iov, size_t max_bytes) noexcept nogil   # what to write next
cdef const uint8_t* byteq_next(byteq* q, size_t* n) noexcept nogil   # the bytes at cur, n of them in one piece; NULL: none
cdef void byteq_copy_out(byteq* q, size_t at, uint8_t* dst, size_t n) noexcept nogil     # bytes at an offset behind the head
cdef void byteq_mark_end(byteq* q, byteq_mark* m) noexcept nogil
cdef void byteq_cut(byteq* q, byteq_mark* m) noexcept nogil        # take back all that was appended since the mark
cdef void byteq_excise(byteq* q, size_t at, size_t n) noexcept nogil   # take out n bytes at an offset behind the head
# Nothing from there on may be in a writer's hands; what is before keeps its addresses.
cdef void byteq_trim(byteq* q) noexcept nogil                      # give the memory of an empty queue back
cdef void byteq_free(byteq* q) noexcept nogil


cdef inline uint8_t* byteq_room(byteq* q, size_t n) noexcept nogil:
    """n contiguous bytes behind the end, or NULL when memory is out; not part of the queue before byteq_commit."""
    cdef chunk* c = q.last
    if c != NULL and c.cap - c.used >= n and c.cap >= c.used:
        return c.data + c.used
    return byteq_grow(q, n)

cdef inline void byteq_commit(byteq* q, size_t n) noexcept nogil:
    q.last.used += n
    q.bytes += n
    q.unsent += n


# What has been read.  Frames lie in one piece, as the wire's version 2 puts them, from `head` to `tail`; a body too
# large for that stands elsewhere, and a reference record (FRAME_REF) is in its place.

cdef enum:
    FRAME_REF = 0x80      # internal flag: the body is a block*, its address follows the 8-byte size
    FRAME_OBJECT = 0x40   # with FRAME_REF: it is a PyObject*, of a bytes object
    REF_RECORD = 17       # bytes of a reference record: flags, size, address
    READ_ROOM = 4096      # a read is not begun with less room than this
    READ_FIRST = 8192     # bytes of a buffer's first storage
    READ_MAX = 131072     # a buffer grows to this by itself, beyond it only for unparsed bytes

cdef struct linear:
    uint8_t* data
    size_t cap
    size_t head           # next byte to be popped                    [socket lock]
    size_t pub            # end of the complete messages              [socket lock]
    size_t walk           # next header to be looked at               [reader]
    size_t tail           # end of the bytes                          [reader]

cdef int linear_room(linear* b, size_t want, size_t most) noexcept nogil
# Room for `want` more bytes behind the tail; socket lock held, no reader active; 0 or -ENOMEM.  most: how large a buffer
# a busy peer may have.
cdef void linear_free(linear* b) noexcept nogil
