"""The table by descriptor number that the kqueue and poll(2) backends keep."""

from libc.errno cimport EBADF, EEXIST, ENOMEM
from libc.stdlib cimport free, realloc
from libc.string cimport memset


cdef int fd_table_add(fd_table* t, int fd, int events, void* tag, fd_entry** out) noexcept nogil:
    cdef fd_entry* grown
    cdef fd_entry* e
    cdef int size = t.size if t.size else 64
    if fd < 0:
        return -EBADF
    if fd >= t.size:
        while size <= fd:
            size = size * 2 if size < (1 << 29) else fd + 1
        grown = <fd_entry*>realloc(t.entries, <size_t>size * sizeof(fd_entry))
        if grown == NULL:
            return -ENOMEM
        memset(grown + t.size, 0, <size_t>(size - t.size) * sizeof(fd_entry))
        t.entries = grown
        t.size = size
    e = &t.entries[fd]
    if e.seq != 0:
        return -EEXIST
    t.last_seq += 1
    if t.last_seq == 0:
        t.last_seq = 1
    e.seq = t.last_seq
    e.tag = tag
    e.events = events
    e.armed = 1
    e.pos = -1
    e.stamp = 0
    out[0] = e
    return 0


cdef void fd_table_drop(fd_table* t, int fd) noexcept nogil:
    if 0 <= fd < t.size:
        memset(&t.entries[fd], 0, sizeof(fd_entry))


cdef void fd_table_free(fd_table* t) noexcept nogil:
    free(t.entries)
    t.entries = NULL
    t.size = 0
