"""One frame's bytes and who frees them.

A `zmsg` is a value of one cache line.  Its bytes are inside it (up to 40), or in a `block` (reference-counted
memory of the engine, shared by address), or in a Python object that it holds one reference of, or on loan: in memory of
a caller's that is there until the call ends.  Moving a zmsg is copying the struct; whoever holds it last calls
`zmsg_release`.  Queues that copy take a loan as it is; whoever keeps a zmsg calls `zmsg_own` first.

Only a thread that has the GIL may make or share an MK_OBJECT; any thread may move or release one, since a
release without the GIL goes to a list that Python calls drain (`release_drain`).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from cpython.ref cimport PyObject


cdef enum:
    MSG_MORE = 1          # another part of the same message follows (the wire's own bit)
    MSG_COMMAND = 4       # a ZMTP command, not a message (the wire's own bit)
    INLINE_MAX = 40       # bytes that fit into the struct itself

cdef enum:
    MK_EMPTY = 0          # nothing: no bytes, no owner
    MK_INLINE = 1
    MK_BLOCK = 2          # owner is a block*
    MK_OBJECT = 3         # owner is a PyObject* with one reference held
    MK_LOAN = 5           # the caller's memory, below BORROW_FROM bytes; no owner (4 is MK_SHARED, of a part)

cdef struct block:
    uint32_t refs         # atomic
    size_t cap            # bytes of storage behind this header

cdef struct meta:
    uint32_t refs         # atomic
    uint32_t size         # bytes behind this header: ZMTP properties, plus the ones we add ourselves
    int fd                # descriptor of the connection; -1 none

cdef struct zmsg_ref:
    const uint8_t* data
    size_t size
    void* owner

cdef union zmsg_body:
    uint8_t inl[INLINE_MAX]
    zmsg_ref ref

cdef struct zmsg:
    uint8_t kind          # MK_*
    uint8_t flags         # MSG_*
    uint8_t small         # size when MK_INLINE
    uint8_t lent          # the program asked for it not to be copied: kept by reference whatever its size
    uint32_t routing_id   # of the peer it came from or goes to (SERVER, PEER); 0 none
    meta* facts           # properties of the connection it came from, one reference held; NULL none
    zmsg_body body


cdef block* block_new(size_t cap) noexcept nogil          # refs = 1; NULL when memory is out
cdef block* block_grow(block* b, size_t cap) noexcept nogil   # only while refs is 1; NULL leaves b as it was
cdef void block_unref(block* b) noexcept nogil
cdef meta* meta_new(const uint8_t* props, size_t size) noexcept nogil
cdef void meta_unref(meta* m) noexcept nogil

cdef void zmsg_drop(zmsg* m) noexcept nogil               # the part of zmsg_release that is not inline
cdef int zmsg_copy_bytes(zmsg* m, const uint8_t* data, size_t size) noexcept nogil   # inline or a new block; -ENOMEM
cdef int zmsg_own(zmsg* m) noexcept nogil                  # a loan is copied, inline or to a block; 0 or -ENOMEM
cdef int zmsg_share(zmsg* dst, zmsg* src, bint gil) noexcept nogil
# Second reference; a loan becomes src's own first, and without the GIL objects are copied.
cdef void release_later(void* obj) noexcept nogil          # give up one reference of a Python object, from any thread
cdef uint32_t release_pending() noexcept nogil
cdef void release_drain() noexcept                          # with the GIL, outside every lock
cdef void release_stop() noexcept nogil                     # the interpreter is going: keep references rather than touch it


cdef inline uint8_t* block_data(block* b) noexcept nogil:
    return <uint8_t*>(b + 1)

cdef extern from "Python.h":
    # bytes objects are Python's, but where theirs begin is a matter of address, which takes no GIL
    uint8_t* bytes_data "(uint8_t*)PyBytes_AS_STRING"(void* o) nogil

cdef inline uint8_t* meta_data(meta* m) noexcept nogil:
    return <uint8_t*>(m + 1)

cdef inline void zmsg_init(zmsg* m) noexcept nogil:
    m.kind = MK_EMPTY
    m.flags = 0
    m.small = 0
    m.lent = 0
    m.routing_id = 0
    m.facts = NULL

cdef inline const uint8_t* zmsg_data(zmsg* m) noexcept nogil:
    if m.kind >= MK_BLOCK:
        return m.body.ref.data
    return m.body.inl

cdef inline size_t zmsg_size(zmsg* m) noexcept nogil:
    if m.kind >= MK_BLOCK:
        return m.body.ref.size
    return m.small

cdef inline void zmsg_set_inline(zmsg* m, const uint8_t* data, size_t size) noexcept nogil:
    m.kind = MK_INLINE
    m.small = <uint8_t>size
    memcpy(m.body.inl, data, size)

cdef inline void zmsg_set_object(zmsg* m, const uint8_t* data, size_t size, void* owner) noexcept nogil:
    m.kind = MK_OBJECT
    m.body.ref.data = data
    m.body.ref.size = size
    m.body.ref.owner = owner

cdef inline void zmsg_set_loan(zmsg* m, const uint8_t* data, size_t size) noexcept nogil:
    m.kind = MK_LOAN
    m.body.ref.data = data
    m.body.ref.size = size
    m.body.ref.owner = NULL

cdef inline void zmsg_release(zmsg* m) noexcept nogil:
    if m.kind >= MK_BLOCK or m.facts != NULL:
        zmsg_drop(m)
    m.kind = MK_EMPTY

cdef inline void zmsg_move(zmsg* dst, zmsg* src) noexcept nogil:
    dst[0] = src[0]
    src.kind = MK_EMPTY
    src.facts = NULL
