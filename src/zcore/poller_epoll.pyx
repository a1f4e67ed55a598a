"""The epoll backend."""

from libc.stdint cimport int64_t, uint32_t

from zcore.platform cimport zq_store32_relaxed
from zcore.poller_table cimport (
    POLL_ERR, POLL_HUP, POLL_IN, POLL_MAX_EVENTS, POLL_ONESHOT, POLL_OUT, poll_check_events, poll_event
)

cdef extern from "epoll_sys.h" nogil:
    ctypedef union zq_epoll_data "epoll_data_t":
        void* ptr
    ctypedef struct zq_epoll_event:
        uint32_t events
        zq_epoll_data data
    const int ZQ_EPOLL_ADD
    const int ZQ_EPOLL_MOD
    const int ZQ_EPOLL_DEL
    const uint32_t EPOLLIN
    const uint32_t EPOLLOUT
    const uint32_t EPOLLERR
    const uint32_t EPOLLHUP
    const uint32_t EPOLLONESHOT
    int zq_epoll_create()
    int zq_epoll_ctl(int ep, int op, int fd, uint32_t events, void* tag)
    int zq_epoll_wait(int ep, zq_epoll_event* out, int most, int64_t timeout_ns, uint32_t* coarse)

cdef uint32_t _coarse = 0


cdef void epoll_force_coarse(bint coarse) noexcept nogil:
    zq_store32_relaxed(&_coarse, coarse)


cdef int epoll_open() noexcept nogil:
    return zq_epoll_create()


cdef inline uint32_t _asked(int events) noexcept nogil:
    cdef uint32_t bits = 0
    if events & POLL_IN:
        bits |= EPOLLIN
    if events & POLL_OUT:
        bits |= EPOLLOUT
    if events & POLL_ONESHOT:
        bits |= EPOLLONESHOT
    return bits


cdef int epoll_add(int ep, int fd, int events, void* tag) noexcept nogil:
    cdef int rc = poll_check_events(events)
    return rc if rc else zq_epoll_ctl(ep, ZQ_EPOLL_ADD, fd, _asked(events), tag)


cdef int epoll_mod(int ep, int fd, int events, void* tag) noexcept nogil:
    cdef int rc = poll_check_events(events)
    return rc if rc else zq_epoll_ctl(ep, ZQ_EPOLL_MOD, fd, _asked(events), tag)


cdef int epoll_del(int ep, int fd) noexcept nogil:
    return zq_epoll_ctl(ep, ZQ_EPOLL_DEL, fd, 0, NULL)


cdef int epoll_collect(int ep, poll_event* out, int most, int64_t timeout_ns) noexcept nogil:
    cdef zq_epoll_event got[POLL_MAX_EVENTS]
    cdef int i, n, bits
    n = zq_epoll_wait(ep, got, most, timeout_ns, &_coarse)
    for i in range(n):
        bits = 0
        if got[i].events & EPOLLIN:
            bits |= POLL_IN
        if got[i].events & EPOLLOUT:
            bits |= POLL_OUT
        if got[i].events & EPOLLERR:
            bits |= POLL_ERR
        if got[i].events & EPOLLHUP:
            bits |= POLL_HUP
        out[i].tag = got[i].data.ptr
        out[i].events = bits
    return n
