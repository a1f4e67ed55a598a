"""Who has buffers to give back; see thrift.pxd."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from .buffer cimport byteq_trim
from .connection cimport conn
from .engine cimport session, sock
from .pipe cimport inq_trim
from .routing cimport peer


cdef void _append(sock* s, session* n) noexcept nogil:
    n.thrift_next = NULL
    n.thrift_prev = s.thrift_last
    if s.thrift_last != NULL:
        s.thrift_last.thrift_next = n
    else:
        s.thrift_first = n
    s.thrift_last = n


cdef void _remove(sock* s, session* n) noexcept nogil:
    if n.thrift_prev != NULL:
        n.thrift_prev.thrift_next = n.thrift_next
    else:
        s.thrift_first = n.thrift_next
    if n.thrift_next != NULL:
        n.thrift_next.thrift_prev = n.thrift_prev
    else:
        s.thrift_last = n.thrift_prev


cdef void thrift_list(session* n) noexcept nogil:
    if n.thrift == THRIFT_GONE:
        _append(n.s, n)
    n.thrift = THRIFT_WARM


cdef void thrift_forget(session* n) noexcept nogil:
    if n.thrift != THRIFT_GONE:
        n.thrift = THRIFT_GONE
        _remove(n.s, n)


cdef bint _trim(conn* c, peer* p) noexcept nogil:
    """Give back what is empty and not being worked on; False when there may be more the next time."""
    cdef bint done = False
    if not c.in_busy:
        done = inq_trim(&p.inn) and c.raw_len == 0
        if c.raw_len == 0:
            free(c.raw)
            c.raw = NULL
            c.raw_cap = 0
    if c.out_busy:
        return False
    byteq_trim(&p.out.q)
    byteq_trim(&c.coded)
    return done and p.out.q.bytes == 0 and c.coded.bytes == 0


cdef bint thrift_round(sock* s, bint quiet) noexcept nogil:
    cdef session* last = s.thrift_last
    cdef session* n
    cdef uint32_t left = 0xffffffff if quiet else THRIFT_MOST
    cdef bint again = False
    cdef bint trimmed = False
    while s.thrift_first != NULL and left:
        left -= 1
        n = s.thrift_first
        _remove(s, n)
        if n.thrift == THRIFT_WARM and not quiet:
            n.thrift = THRIFT_COLD
            _append(s, n)
            again = True
        elif n.p == NULL or _trim(&n.c, n.p):
            n.thrift = THRIFT_GONE
            trimmed = True
        else:
            _append(s, n)         # something waits in it: a round after the next read finds out
            again |= n.c.in_busy or n.c.out_busy
        if n == last:
            return again
    # Cut off.  When all these were waiting for the application, another round will not help until somebody reads again.
    return again or trimmed
