"""Blocks, metadata, and the list of Python references that threads without the GIL give up."""

from cpython.ref cimport PyObject
from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from .platform cimport (zq_add32, zq_load32, zq_load32_relaxed, zq_lock, zq_mutex, zq_mutex_init, zq_store32,
                        zq_sub32, zq_unlock)

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil, void (*child)() noexcept nogil)

cdef extern from "Python.h":
    void Py_DecRef(PyObject* o)
    # declared without its GIL requirement: zmsg_share calls it only when told that the GIL is held
    void incref_with_gil "Py_IncRef"(PyObject* o) nogil


cdef block* block_new(size_t cap) noexcept nogil:
    cdef block* b
    if cap > <size_t>-1 - sizeof(block):
        return NULL
    b = <block*>malloc(sizeof(block) + cap)
    if b != NULL:
        b.refs = 1
        b.cap = cap
    return b


cdef block* block_grow(block* b, size_t cap) noexcept nogil:
    cdef block* bigger
    if cap > <size_t>-1 - sizeof(block):
        return NULL
    bigger = <block*>realloc(b, sizeof(block) + cap)
    if bigger != NULL:
        bigger.cap = cap
    return bigger


cdef void block_unref(block* b) noexcept nogil:
    if zq_sub32(&b.refs, 1) == 1:
        free(b)


cdef meta* meta_new(const uint8_t* props, size_t size) noexcept nogil:
    cdef meta* m = <meta*>malloc(sizeof(meta) + size)
    if m != NULL:
        m.refs = 1
        m.size = <uint32_t>size
        m.fd = -1
        memcpy(meta_data(m), props, size)
    return m


cdef void meta_unref(meta* m) noexcept nogil:
    if m != NULL and zq_sub32(&m.refs, 1) == 1:
        free(m)


cdef void zmsg_drop(zmsg* m) noexcept nogil:
    if m.kind == MK_BLOCK:
        block_unref(<block*>m.body.ref.owner)
    elif m.kind == MK_OBJECT:
        release_later(m.body.ref.owner)
    if m.facts != NULL:
        meta_unref(m.facts)
        m.facts = NULL
    m.kind = MK_EMPTY


cdef int zmsg_copy_bytes(zmsg* m, const uint8_t* data, size_t size) noexcept nogil:
    cdef block* b
    if size <= INLINE_MAX:
        zmsg_set_inline(m, data, size)
        return 0
    b = block_new(size)
    if b == NULL:
        return -ENOMEM
    memcpy(block_data(b), data, size)
    m.kind = MK_BLOCK
    m.body.ref.data = block_data(b)
    m.body.ref.size = size
    m.body.ref.owner = b
    return 0


cdef int zmsg_own(zmsg* m) noexcept nogil:
    if m.kind != MK_LOAN:
        return 0
    return zmsg_copy_bytes(m, m.body.ref.data, m.body.ref.size)


cdef int zmsg_share(zmsg* dst, zmsg* src, bint gil) noexcept nogil:
    cdef int rc = zmsg_own(src)
    if rc < 0:
        return rc
    if src.kind == MK_OBJECT and not gil:
        dst[0] = src[0]
        dst.facts = NULL
        rc = zmsg_copy_bytes(dst, src.body.ref.data, src.body.ref.size)
        if rc < 0:
            dst.kind = MK_EMPTY
            return rc
        dst.facts = src.facts
    else:
        dst[0] = src[0]
        if src.kind == MK_BLOCK:
            zq_add32(&(<block*>src.body.ref.owner).refs, 1)
        elif src.kind == MK_OBJECT:
            incref_with_gil(<PyObject*>src.body.ref.owner)
    if src.facts != NULL:
        zq_add32(&src.facts.refs, 1)
    return 0


# References given up by threads that do not hold the GIL.  A plain array under a mutex: the hot paths never
# come here, and the reader looks at one word to learn that there is nothing.
cdef zq_mutex _mutex
cdef void** _list = NULL
cdef uint32_t _count = 0
cdef uint32_t _room = 0
cdef uint32_t _stopped = 0


cdef void release_later(void* obj) noexcept nogil:
    global _list, _room
    cdef void** bigger
    cdef uint32_t n
    if zq_load32(&_stopped):
        return
    zq_lock(&_mutex)
    n = _count
    if n == _room:
        bigger = <void**>realloc(_list, (_room * 2 + 64) * sizeof(void*))
        if bigger == NULL:
            # Nothing can be kept here, and nothing may be freed without the GIL: the object is leaked.
            zq_unlock(&_mutex)
            return
        _list = bigger
        _room = _room * 2 + 64
    _list[n] = obj
    zq_store32(&_count, n + 1)
    zq_unlock(&_mutex)


cdef uint32_t release_pending() noexcept nogil:
    return zq_load32_relaxed(&_count)


cdef void release_drain() noexcept:
    global _list, _room
    cdef void** mine
    cdef uint32_t n, i
    if zq_load32_relaxed(&_count) == 0:
        return
    zq_lock(&_mutex)
    mine = _list
    n = _count
    _list = NULL
    _room = 0
    zq_store32(&_count, 0)
    zq_unlock(&_mutex)
    # Outside the mutex: a decref may run any code, this function included.
    for i in range(n):
        Py_DecRef(<PyObject*>mine[i])
    free(mine)


def drain():
    """Give up the references that threads without the GIL have left."""
    release_drain()


cdef void release_stop() noexcept nogil:
    zq_store32(&_stopped, 1)


cdef void _in_child() noexcept nogil:
    """A thread that is not here may have held the mutex, with the list half changed: what is on it stays."""
    global _list, _count, _room
    zq_mutex_init(&_mutex)
    _list = NULL
    _count = 0
    _room = 0


zq_mutex_init(&_mutex)
pthread_atfork(NULL, NULL, _in_child)
