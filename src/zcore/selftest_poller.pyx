"""The tests' access to the poller and to the heap of timers; no part of what pyzq offers.

Thin Python faces: every call goes straight to the function under test, errors are raised as OSError.
"""

import os

from libc.errno cimport EBADF, ENOMEM
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free

from zcore.poller cimport (
    POLL_ERR, POLL_HUP, POLL_IN, POLL_MAX_EVENTS, POLL_ONESHOT, POLL_OUT, POLLER_EPOLL, POLLER_KQUEUE, POLLER_POLL,
    poll_event, poller, poller_add, poller_close, poller_del, poller_fd, poller_mod, poller_open, poller_wait
)
from zcore.poller_epoll cimport epoll_force_coarse
from zcore.timers cimport (
    heap_cancel, heap_free, heap_init, heap_next, heap_run, heap_set, timer, timer_heap, timer_init, timer_is_armed
)

cdef extern from "<unistd.h>" nogil:
    int dup2(int fd, int number)

IN = POLL_IN
OUT = POLL_OUT
ERR = POLL_ERR
HUP = POLL_HUP
ONESHOT = POLL_ONESHOT
MAX_EVENTS = POLL_MAX_EVENTS

BACKENDS = {"default": 0, "epoll": POLLER_EPOLL, "kqueue": POLLER_KQUEUE, "poll": POLLER_POLL}


cdef int _check(int rc) except -1:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


def force_coarse(bint coarse):
    """Let epoll waits do without epoll_pwait2 (True), or try it again (False)."""
    epoll_force_coarse(coarse)


cdef class PollerProbe:
    """A poller; `backend` is a name of BACKENDS or a number.  Tags are integers."""
    cdef poller p

    def __cinit__(self, backend):
        self.p.fd = -1
        _check(poller_open(&self.p, BACKENDS.get(backend, backend)))

    def __dealloc__(self):
        poller_close(&self.p)

    def close(self):
        poller_close(&self.p)

    @property
    def fd(self):
        return poller_fd(&self.p)

    def add(self, int fd, int events, uintptr_t tag):
        _check(poller_add(&self.p, fd, events, <void*>tag))

    def mod(self, int fd, int events, uintptr_t tag):
        _check(poller_mod(&self.p, fd, events, <void*>tag))

    def delete(self, int fd):
        _check(poller_del(&self.p, fd))

    def alternate(self, int number, int first, int second, int events, int times):
        """`number` is made a copy of `first`, added with tag 1 and deleted, then the same with `second` and tag 2;
        `times` rounds without the GIL.  Another thread may wait meanwhile."""
        cdef int rc = 0
        cdef int tag
        with nogil:
            for _ in range(times):
                for tag in range(1, 3):
                    if rc == 0 and dup2(first if tag == 1 else second, number) < 0:
                        rc = -EBADF
                    if rc == 0:
                        rc = poller_add(&self.p, number, events, <void*><uintptr_t>tag)
                    if rc == 0:
                        rc = poller_del(&self.p, number)
        _check(rc)

    def wait(self, int64_t timeout_ns=0, int most=256):
        """List of (tag, events); releases the GIL."""
        cdef poll_event events[POLL_MAX_EVENTS]
        cdef int n
        with nogil:
            n = poller_wait(&self.p, events, most, timeout_ns)
        _check(n)
        return [(<uintptr_t>events[i].tag, events[i].events) for i in range(n)]


cdef struct probe_timer:
    timer t
    int index
    void* probe
    # what the function does when it fires
    int set_index          # -1: nothing
    int64_t set_due
    int cancel_index       # -1: nothing


cdef void _fired(timer* t, int64_t now) noexcept nogil:
    cdef probe_timer* p = <probe_timer*>t.owner
    with gil:
        (<HeapProbe>p.probe)._note(p, now)


cdef class HeapProbe:
    """A heap of `count` timers, addressed by index."""
    cdef timer_heap heap
    cdef probe_timer* timers
    cdef int count
    cdef readonly list fired

    def __cinit__(self, int count):
        cdef int i
        heap_init(&self.heap)
        self.timers = <probe_timer*>calloc(count, sizeof(probe_timer))
        if self.timers == NULL:
            _check(-ENOMEM)
        self.count = count
        self.fired = []
        for i in range(count):
            timer_init(&self.timers[i].t, _fired, &self.timers[i])
            self.timers[i].index = i
            self.timers[i].probe = <void*>self
            self.timers[i].set_index = -1
            self.timers[i].cancel_index = -1

    def __dealloc__(self):
        heap_free(&self.heap)
        free(self.timers)

    cdef _note(self, probe_timer* p, int64_t now):
        self.fired.append(p.index)
        if p.set_index >= 0:
            _check(heap_set(&self.heap, &self.timers[p.set_index].t, p.set_due))
        if p.cancel_index >= 0:
            heap_cancel(&self.heap, &self.timers[p.cancel_index].t)

    cdef probe_timer* _at(self, int index) except NULL:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return &self.timers[index]

    def set(self, int index, int64_t due):
        _check(heap_set(&self.heap, &self._at(index).t, due))

    def cancel(self, int index):
        heap_cancel(&self.heap, &self._at(index).t)

    def armed(self, int index):
        return timer_is_armed(&self._at(index).t)

    def script(self, int index, set_index=None, int64_t due=0, cancel_index=None):
        """When timer `index` fires it sets one timer and then cancels one."""
        cdef probe_timer* p = self._at(index)
        if set_index is not None:
            self._at(set_index)
        if cancel_index is not None:
            self._at(cancel_index)
        p.set_index = -1 if set_index is None else set_index
        p.set_due = due
        p.cancel_index = -1 if cancel_index is None else cancel_index

    def run(self, int64_t now, int most=1000000):
        """Indices fired, in order."""
        self.fired = []
        n = heap_run(&self.heap, now, most)
        assert n == len(self.fired)
        return self.fired

    def next(self):
        return heap_next(&self.heap)

    def __len__(self):
        return self.heap.n

    def is_sound(self):
        """True when every node is in its place and none is due before its parent."""
        cdef size_t i
        cdef timer* t
        cdef timer* parent
        for i in range(self.heap.n):
            t = self.heap.nodes[i]
            if t.pos != i + 1:
                return False
            if i:
                parent = self.heap.nodes[(i - 1) // 2]
                if (t.due_ns, t.seq) < (parent.due_ns, parent.seq):
                    return False
        return True
