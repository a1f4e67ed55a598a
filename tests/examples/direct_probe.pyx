# cython: freethreading_compatible=True
"""Every function of zcore.direct, as Python sees it; return codes are returned.

What is sent stands in memory that is overwritten and given back as soon as the call has ended.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from zcore.direct cimport (direct_clear, direct_close, direct_message, direct_open, direct_recv, direct_send,
                           direct_send_number, direct_send_parts, direct_send_to)
from zcore.engine cimport sock
from zcore.message cimport MK_EMPTY, zmsg, zmsg_copy_bytes, zmsg_data, zmsg_init, zmsg_release, zmsg_set_loan, zmsg_size


cdef char* scratch(bytes data) except NULL:
    cdef char* p = <char*>malloc(len(data) + 1)
    if p == NULL:
        raise MemoryError
    memcpy(p, <char*>data, len(data))
    return p


cdef void spoil(char* p, size_t n) noexcept:
    memset(p, 0xDB, n)
    free(p)


cdef class Direct:
    """The engine's half of a socket, with one message that is received into again and again."""

    cdef sock* s
    cdef direct_message m

    def __init__(self, socket):
        memset(&self.m, 0, sizeof(self.m))
        self.s = direct_open(socket)

    def __dealloc__(self):
        direct_clear(&self.m)
        if self.s != NULL:
            direct_close(self.s)

    def send(self, bytes data, int timeout=-1):
        cdef char* p = scratch(data)
        cdef size_t n = len(data)
        cdef int rc
        with nogil:
            rc = direct_send(self.s, p, n, timeout)
        spoil(p, n)
        return rc

    def send_to(self, bytes address, bytes data, int timeout=-1):
        cdef char* a = scratch(address)
        cdef char* p = scratch(data)
        cdef size_t na = len(address)
        cdef size_t n = len(data)
        cdef int rc
        with nogil:
            rc = direct_send_to(self.s, a, na, p, n, timeout)
        spoil(a, na)
        spoil(p, n)
        return rc

    def send_number(self, uint32_t number, bytes data, int timeout=-1):
        cdef char* p = scratch(data)
        cdef size_t n = len(data)
        cdef int rc
        with nogil:
            rc = direct_send_number(self.s, number, p, n, timeout)
        spoil(p, n)
        return rc

    def send_parts(self, list parts, int timeout=-1, bint lend=True):
        """Parts on loan, or blocks of the engine's; also how many of them it kept."""
        cdef uint32_t n = len(parts)
        cdef zmsg* made = <zmsg*>calloc(n + 1, sizeof(zmsg))
        cdef char** held = <char**>calloc(n + 1, sizeof(char*))
        cdef uint32_t kept = 0
        cdef uint32_t k
        cdef int rc
        for k in range(n):
            held[k] = scratch(parts[k])
            zmsg_init(&made[k])
            if lend:
                zmsg_set_loan(&made[k], <unsigned char*>held[k], len(parts[k]))
            elif zmsg_copy_bytes(&made[k], <unsigned char*>held[k], len(parts[k])) < 0:
                raise MemoryError
        with nogil:
            rc = direct_send_parts(self.s, made, n, timeout)
        for k in range(n):
            spoil(held[k], len(parts[k]))
            kept += made[k].kind == MK_EMPTY
            zmsg_release(&made[k])
        free(held)
        free(made)
        return rc, kept

    def recv(self, int timeout=-1):
        cdef int rc
        with nogil:
            rc = direct_recv(self.s, &self.m, timeout)
        return rc, self.parts()

    def parts(self):
        cdef uint32_t k
        return [(<const char*>zmsg_data(&self.m.parts[k]))[: zmsg_size(&self.m.parts[k])] for k in range(self.m.n)]

    def address(self):
        """Routing id and group of the message that was received last."""
        return self.m.routing_id, (<const char*>self.m.group)[: self.m.group_size]

    def echo(self, int timeout=-1):
        """Receive a message and send it back as it is."""
        cdef int rc
        with nogil:
            rc = direct_recv(self.s, &self.m, timeout)
            if rc == 0:
                rc = direct_send_parts(self.s, self.m.parts, self.m.n, timeout)
        return rc

    def send_many(self, bytes data, uint64_t count):
        cdef const char* p = data
        cdef size_t n = len(data)
        cdef uint64_t _k
        cdef int rc = 0
        with nogil:
            for _k in range(count):
                rc = direct_send(self.s, p, n, -1)
                if rc < 0:
                    break
        return rc

    def recv_many(self, uint64_t count):
        cdef uint64_t _k
        cdef int rc = 0
        with nogil:
            for _k in range(count):
                rc = direct_recv(self.s, &self.m, -1)
                if rc < 0:
                    break
        return rc

    def trips(self, bytes data, uint64_t count):
        """Requests and their replies."""
        cdef const char* p = data
        cdef size_t n = len(data)
        cdef uint64_t _k
        cdef int rc = 0
        with nogil:
            for _k in range(count):
                rc = direct_send(self.s, p, n, -1)
                if rc == 0:
                    rc = direct_recv(self.s, &self.m, -1)
                if rc < 0:
                    break
        return rc

    def echo_many(self, uint64_t count):
        cdef uint64_t _k
        cdef int rc = 0
        with nogil:
            for _k in range(count):
                rc = direct_recv(self.s, &self.m, -1)
                if rc == 0:
                    rc = direct_send_parts(self.s, self.m.parts, self.m.n, -1)
                if rc < 0:
                    break
        return rc
