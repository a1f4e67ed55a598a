"""The book of descriptors; see descriptors.pxd.

One bit for each number, set after the descriptor was made and cleared before it is closed: at no moment does the book
name a descriptor of somebody else's, whatever the other threads were doing when the process forked.
"""

from libc.stdint cimport uint64_t

from .platform cimport zq_and64, zq_load64, zq_or64

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil, void (*child)() noexcept nogil)

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef enum:
    WORDS = 16384         # a million descriptors; what is beyond stays open in a child

cdef uint64_t[WORDS] _book


cdef int fd_ours(int fd) noexcept nogil:
    if 0 <= fd < WORDS * 64:
        zq_or64(&_book[fd >> 6], <uint64_t>1 << (fd & 63))
    return fd


cdef int fd_given(int fd) noexcept nogil:
    if 0 <= fd < WORDS * 64:
        zq_and64(&_book[fd >> 6], ~(<uint64_t>1 << (fd & 63)))
    return fd


cdef void fd_close(int fd) noexcept nogil:
    if fd < 0:
        return
    close(fd_given(fd))


cdef void _in_child() noexcept nogil:
    """Nothing but close(2): the descriptions are shared with the parent, who goes on using them."""
    cdef int word, bit
    cdef uint64_t bits
    for word in range(WORDS):
        bits = zq_load64(&_book[word])
        if bits == 0:
            continue
        for bit in range(64):
            if bits >> bit & 1:
                fd_close(word * 64 + bit)


pthread_atfork(NULL, NULL, _in_child)
