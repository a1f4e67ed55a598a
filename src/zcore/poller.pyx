"""Choice of the backend, and the calls handed to it.

PYZQ_POLLER=epoll, kqueue or poll in the environment chooses the default when this module is first imported;
`set_default_backend` changes it later.
"""

import os
import warnings

from libc.errno cimport EBADF, ECHILD, EINVAL, ENOSYS
from libc.stdint cimport int64_t

from zcore.descriptors cimport fd_close, fd_ours
from zcore.platform cimport generation_word
from zcore.poller_epoll cimport epoll_add, epoll_collect, epoll_del, epoll_mod, epoll_open
from zcore.poller_kqueue cimport (
    kqueue_add, kqueue_close, kqueue_collect, kqueue_del, kqueue_is_native, kqueue_mod, kqueue_open, kqueue_set
)
from zcore.poller_poll cimport (
    poll_set, pollset_add, pollset_close, pollset_collect, pollset_del, pollset_mod, pollset_open
)

cdef extern from "epoll_sys.h" nogil:
    """
    #ifdef ZQ_HAVE_EPOLL
    enum { ZQ_EPOLL_HERE = 1 };
    #else
    enum { ZQ_EPOLL_HERE = 0 };
    #endif
    """
    const int ZQ_EPOLL_HERE

cdef int64_t _DAY_NS = 86400 * <int64_t>1000000000
cdef int _default = POLLER_DEFAULT


cdef inline bint _is_here(int backend) noexcept nogil:
    return backend == POLLER_POLL or backend == POLLER_KQUEUE or (backend == POLLER_EPOLL and ZQ_EPOLL_HERE)


cdef int poller_default() noexcept nogil:
    if _default != POLLER_DEFAULT:
        return _default
    if ZQ_EPOLL_HERE:
        return POLLER_EPOLL
    return POLLER_KQUEUE if kqueue_is_native() else POLLER_POLL


cdef int poller_set_default(int backend) noexcept nogil:
    global _default
    if backend < POLLER_DEFAULT or backend > POLLER_POLL:
        return -EINVAL
    if backend != POLLER_DEFAULT and not _is_here(backend):
        return -ENOSYS
    _default = backend
    return 0


cdef int poller_open(poller* p, int backend) noexcept nogil:
    cdef kqueue_set* kset = NULL
    cdef poll_set* pset = NULL
    cdef int rc
    p.backend = POLLER_DEFAULT
    p.fd = -1
    p.impl = NULL
    p.generation = generation_word()[0]
    if backend == POLLER_DEFAULT:
        backend = poller_default()
    if backend == POLLER_EPOLL:
        rc = fd_ours(epoll_open())
        if rc >= 0:
            p.fd = rc
            rc = 0
    elif backend == POLLER_KQUEUE:
        rc = kqueue_open(&kset)
        if rc == 0:
            p.fd = kset.kq
            p.impl = kset
    elif backend == POLLER_POLL:
        rc = pollset_open(&pset)
        p.impl = pset
    else:
        rc = -EINVAL
    if rc == 0:
        p.backend = backend
    return rc


cdef void poller_close(poller* p) noexcept nogil:
    cdef bint forked = p.generation != generation_word()[0]
    cdef int backend = p.backend
    p.backend = POLLER_DEFAULT
    if backend == POLLER_EPOLL:
        if not forked:            # a child has closed it by itself
            fd_close(p.fd)
    elif backend == POLLER_KQUEUE:
        kqueue_close(<kqueue_set*>p.impl, forked)
    elif backend == POLLER_POLL:
        pollset_close(<poll_set*>p.impl, forked)
    p.fd = -1
    p.impl = NULL


cdef inline int _usable(const poller* p) noexcept nogil:
    if p.backend == POLLER_DEFAULT:
        return -EBADF
    return 0 if p.generation == generation_word()[0] else -ECHILD


cdef int poller_add(poller* p, int fd, int events, void* tag) noexcept nogil:
    cdef int rc = _usable(p)
    if rc:
        return rc
    if p.backend == POLLER_EPOLL:
        return epoll_add(p.fd, fd, events, tag)
    if p.backend == POLLER_KQUEUE:
        return kqueue_add(<kqueue_set*>p.impl, fd, events, tag)
    return pollset_add(<poll_set*>p.impl, fd, events, tag)


cdef int poller_mod(poller* p, int fd, int events, void* tag) noexcept nogil:
    cdef int rc = _usable(p)
    if rc:
        return rc
    if p.backend == POLLER_EPOLL:
        return epoll_mod(p.fd, fd, events, tag)
    if p.backend == POLLER_KQUEUE:
        return kqueue_mod(<kqueue_set*>p.impl, fd, events, tag)
    return pollset_mod(<poll_set*>p.impl, fd, events, tag)


cdef int poller_del(poller* p, int fd) noexcept nogil:
    cdef int rc = _usable(p)
    if rc:
        return rc
    if p.backend == POLLER_EPOLL:
        return epoll_del(p.fd, fd)
    if p.backend == POLLER_KQUEUE:
        return kqueue_del(<kqueue_set*>p.impl, fd)
    return pollset_del(<poll_set*>p.impl, fd)


cdef int poller_wait(poller* p, poll_event* out, int most, int64_t timeout_ns) noexcept nogil:
    cdef int rc = _usable(p)
    if rc:
        return rc
    if most <= 0:
        return -EINVAL
    if most > POLL_MAX_EVENTS:
        most = POLL_MAX_EVENTS
    if timeout_ns > _DAY_NS:
        timeout_ns = _DAY_NS
    if p.backend == POLLER_EPOLL:
        return epoll_collect(p.fd, out, most, timeout_ns)
    if p.backend == POLLER_KQUEUE:
        return kqueue_collect(<kqueue_set*>p.impl, out, most, timeout_ns)
    return pollset_collect(<poll_set*>p.impl, out, most, timeout_ns)


_NUMBERS = {"epoll": POLLER_EPOLL, "kqueue": POLLER_KQUEUE, "poll": POLLER_POLL}


def available_backends():
    """Names of the backends this build can open: a tuple of "epoll", "kqueue", "poll".

    On Linux "kqueue" is a double made for the tests: it works, and is slower than the others.
    """
    return tuple(name for name, number in _NUMBERS.items() if _is_here(number))


def default_backend():
    """Name of the backend that new contexts use: "epoll", "kqueue" or "poll"."""
    number = poller_default()
    return next(name for name, value in _NUMBERS.items() if value == number)


def set_default_backend(name):
    """Choose the backend of the contexts and sockets made from now on.

    Parameters
    ----------
    name : "epoll", "kqueue", "poll", or None for the best of this system

    Raises
    ------
    ValueError
        for another name, or a backend this system lacks.
    """
    if name is not None and name not in _NUMBERS:
        raise ValueError(f"no such poller: {name!r} (one of {', '.join(_NUMBERS)})")
    if poller_set_default(POLLER_DEFAULT if name is None else _NUMBERS[name]) != 0:
        raise ValueError(f"this system has no {name}")


def _from_environment():
    name = os.environ.get("PYZQ_POLLER", "")
    if name:
        try:
            set_default_backend(name)
        except ValueError as error:
            warnings.warn(f"PYZQ_POLLER is ignored: {error}", RuntimeWarning, stacklevel=2)


_from_environment()
