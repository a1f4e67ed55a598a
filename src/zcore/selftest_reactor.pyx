"""The tests' access to the reactor and the resolver; no part of what pyzq offers.

The reactor's functions run without the GIL, so a test cannot put Python code there.  It writes scripts instead: lists
of (operation, argument, argument) that a handle, timer, task or name executes when its function is called, and a log of
these calls which the test reads and waits for.  Everything a probe holds is a node, addressed by its number; each has a
block of memory of its own, which FREE gives back, so that a memory checker sees any later touch.
"""

import os

from libc.errno cimport ENOENT, ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset, strncmp, strncpy

from zcore.platform cimport (
    zq_add32, zq_add64, zq_load32, zq_load64, zq_lock, zq_mutex, zq_mutex_destroy, zq_mutex_init, zq_now_ns, zq_store32,
    zq_store64, zq_unlock, zq_wakefd, zq_wakefd_close, zq_wakefd_drain, zq_wakefd_open, zq_wakefd_signal
)
from zcore.reactor cimport (
    handle, handle_init, handle_remove, handle_set, reactor, reactor_counters, reactor_create, reactor_forked,
    reactor_free, reactor_is_current, reactor_now, reactor_opts, reactor_post, reactor_read_counters, reactor_retry,
    reactor_start, reactor_stop_join, task, task_cancel, task_init, timer_cancel, timer_set
)
from zcore.resolver cimport (
    RESOLVE_NUMERIC, RESOLVE_PASSIVE, RESOLVE_V4MAPPED, addrinfo, resolve_cancel, resolve_now, resolve_request,
    resolve_result, resolve_result_free, resolve_start, resolved_address, resolver_set_lookup, resolver_threads
)
from zcore.timers cimport timer, timer_init

from zcore.selftest_poller import BACKENDS

cdef extern from *:
    """
    #include "platform.h"
    #include <netdb.h>
    #include <poll.h>
    /* Waits until the descriptor is readable: 1, or 0 when the time is over. */
    static inline int zq_wait_readable(int fd, int ms)
    {
        struct pollfd p = { fd, POLLIN, 0 };
        int n;
        do
            n = poll(&p, 1, ms);
        while (n < 0 && errno == EINTR);
        return n > 0;
    }
    /* Freed memory is filled, and the compiler kept from leaving that out, so that a later use is noticed. */
    static inline void zq_spoil(void *p, size_t n)
    {
        memset(p, 0xDD, n);
        __asm__ __volatile__("" : : "r"(p) : "memory");
    }
    """
    int zq_wait_readable(int fd, int ms) nogil
    void zq_spoil(void* p, size_t n) nogil
    int getaddrinfo(const char* host, const char* port, const addrinfo* hints, addrinfo** out) nogil
    int close(int fd) nogil
    int dup2(int fd, int number) nogil
    ssize_t read(int fd, void* out, size_t n) nogil

# operations: the first argument is a node unless it says otherwise
NOTE = 0
SET, REMOVE, REWIRE, CLOSE, DUP2, READ = 1, 2, 3, 4, 5, 6
TIMER, TIMER_AT, CANCEL, POST, RETRY, FREE, WAIT, RESOLVE, RESOLVE_CANCEL, STOP = 7, 8, 9, 10, 11, 12, 13, 14, 15, 16

NUMERIC = RESOLVE_NUMERIC
PASSIVE = RESOLVE_PASSIVE
V4MAPPED = RESOLVE_V4MAPPED

cdef enum:
    OP_NOTE = 0            # nothing: a task with a script is written to the log
    OP_SET = 1             # handle_set(node, events)
    OP_REMOVE = 2          # handle_remove(node)
    OP_REWIRE = 3          # handle_remove(node), then its descriptor is the second argument
    OP_CLOSE = 4           # close(2) of the node's descriptor, without more
    OP_DUP2 = 5            # the number of the node's descriptor becomes a copy of the second argument
    OP_READ = 6            # reads one byte from the node's descriptor
    OP_TIMER = 7           # timer_set(node, reactor_now + ns)
    OP_TIMER_AT = 8        # timer_set(node, ns)
    OP_CANCEL = 9          # timer_cancel or task_cancel(node)
    OP_POST = 10           # reactor_post(node)
    OP_RETRY = 11          # reactor_retry(node, ns)
    OP_FREE = 12           # removes or cancels the node and frees its memory
    OP_WAIT = 13           # waits until the descriptor given first is readable (at most a minute)
    OP_RESOLVE = 14        # resolve_start(node)
    OP_RESOLVE_CANCEL = 15
    OP_STOP = 16           # reactor_stop_join from where it is not allowed
    MAX_SCRIPT = 64
    MAX_NODES = 1024

cdef enum:
    HANDLE = 1
    TIMED = 2
    TASK = 3
    NAME = 4

KINDS = {HANDLE: "handle", TIMED: "timer", TASK: "task", NAME: "name"}

cdef struct action:
    int op
    int64_t a
    int64_t b

# `h`, `t` and `k` stand alone: a node uses the one its kind says.
cdef struct node:
    int kind
    int index
    probe* home
    char host[64]              # first: what lies here free() overwrites with its own
    handle h
    timer t
    task k
    resolve_request* request
    int port
    int family
    int flags
    resolve_result answer      # what the name's function got; its addresses are copied
    action script[MAX_SCRIPT]
    int length
    uint64_t posted            # posts that have begun; atomic
    uint64_t seen              # `posted` as the last run found it; atomic
    uint64_t runs              # atomic

cdef struct record:
    int kind
    int index
    int64_t value              # events, or the time that was handed in
    int64_t now

cdef struct probe:
    reactor* r
    node* nodes[MAX_NODES]
    uint32_t count             # atomic
    zq_mutex lock              # covers the log
    record* log
    size_t n
    size_t room
    uint32_t lost              # no memory for a record
    zq_wakefd news             # signalled with each record

# A script executed once on the reactor's thread, for which the caller waits.
cdef struct command:
    task k
    probe* home
    action* script
    int length
    int* results
    zq_wakefd news


cdef void _note(probe* p, int kind, int index, int64_t value) noexcept nogil:
    cdef record* grown
    cdef size_t room
    zq_lock(&p.lock)
    if p.n == p.room:
        room = p.room * 2 if p.room else 256
        grown = <record*>realloc(p.log, room * sizeof(record))
        if grown == NULL:
            p.lost += 1
            zq_unlock(&p.lock)
            return
        p.log = grown
        p.room = room
    p.log[p.n].kind = kind
    p.log[p.n].index = index
    p.log[p.n].value = value
    p.log[p.n].now = reactor_now(p.r)
    p.n += 1
    zq_unlock(&p.lock)
    zq_wakefd_signal(&p.news)


cdef void _release(probe* p, node* n) noexcept nogil:
    if n.kind == HANDLE:
        handle_remove(p.r, &n.h)
    elif n.kind == TIMED:
        timer_cancel(p.r, &n.t)
    elif n.kind == TASK:
        task_cancel(p.r, &n.k)
    elif n.request != NULL:
        resolve_cancel(n.request)
    p.nodes[n.index] = NULL
    resolve_result_free(&n.answer)
    zq_spoil(n, sizeof(node))
    free(n)


cdef int _execute(probe* p, action* a) noexcept nogil:
    cdef char scrap[1]
    cdef node* n = NULL
    if a.op == OP_NOTE:
        return 0
    if a.op == OP_WAIT:
        return 0 if zq_wait_readable(<int>a.a, 60000) else -ENOENT
    if a.op == OP_STOP:
        return reactor_stop_join(p.r)
    if 0 <= a.a < zq_load32(&p.count):
        n = p.nodes[a.a]
    if n == NULL:
        return -ENOENT
    if a.op == OP_SET:
        return handle_set(p.r, &n.h, <int>a.b)
    elif a.op == OP_REMOVE:
        handle_remove(p.r, &n.h)
    elif a.op == OP_REWIRE:
        handle_remove(p.r, &n.h)
        n.h.fd = <int>a.b
    elif a.op == OP_CLOSE:
        close(n.h.fd)
    elif a.op == OP_DUP2:
        dup2(<int>a.b, n.h.fd)
    elif a.op == OP_READ:
        read(n.h.fd, scrap, sizeof(scrap))
    elif a.op == OP_TIMER:
        return timer_set(p.r, &n.t, reactor_now(p.r) + a.b)
    elif a.op == OP_TIMER_AT:
        return timer_set(p.r, &n.t, a.b)
    elif a.op == OP_CANCEL:
        if n.kind == TIMED:
            timer_cancel(p.r, &n.t)
        else:
            task_cancel(p.r, &n.k)
    elif a.op == OP_POST:
        return reactor_post(p.r, &n.k)
    elif a.op == OP_RETRY:
        reactor_retry(p.r, &n.k, a.b)
    elif a.op == OP_RESOLVE:
        return resolve_start(p.r, n.host if n.host[0] else NULL, n.port, n.family, n.flags, _on_name, n, &n.request)
    elif a.op == OP_RESOLVE_CANCEL:
        if n.request == NULL:
            return -ENOENT
        resolve_cancel(n.request)
        n.request = NULL
    elif a.op == OP_FREE:
        _release(p, n)
    return 0


cdef void _act(node* n) noexcept nogil:
    """Executes a copy of the script, which may free the node."""
    cdef action script[MAX_SCRIPT]
    cdef probe* p = n.home
    cdef int i
    cdef int length = n.length
    for i in range(length):
        script[i] = n.script[i]
    for i in range(length):
        _execute(p, &script[i])


cdef void _on_handle(handle* h, int revents) noexcept nogil:
    cdef node* n = <node*>h.owner
    _note(n.home, HANDLE, n.index, revents)
    _act(n)


cdef void _on_timer(timer* t, int64_t now) noexcept nogil:
    cdef node* n = <node*>t.owner
    _note(n.home, TIMED, n.index, now)
    _act(n)


cdef void _on_task(task* k) noexcept nogil:
    """A task with an empty script only counts: stress tests run it very often."""
    cdef node* n = <node*>k.owner
    zq_store64(&n.seen, zq_load64(&n.posted))
    zq_add64(&n.runs, 1)
    if n.length:
        _note(n.home, TASK, n.index, 0)
        _act(n)


cdef void _on_name(void* owner, const resolve_result* result) noexcept nogil:
    cdef node* n = <node*>owner
    cdef int i
    n.request = NULL
    resolve_result_free(&n.answer)
    n.answer.error = result.error
    n.answer.gai = result.gai
    if result.count:
        n.answer.addresses = <resolved_address*>calloc(result.count, sizeof(resolved_address))
    if n.answer.addresses != NULL:
        n.answer.count = result.count
        for i in range(result.count):
            n.answer.addresses[i] = result.addresses[i]
    _note(n.home, NAME, n.index, result.error)
    _act(n)


cdef void _on_command(task* k) noexcept nogil:
    cdef command* c = <command*>k.owner
    cdef int i
    for i in range(c.length):
        c.results[i] = _execute(c.home, &c.script[i])
    zq_wakefd_signal(&c.news)


cdef int _check(int rc) except -1:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


cdef int _fill(action* out, list script) except -1:
    for i, (op, a, b) in enumerate((*step, 0, 0)[:3] for step in script):
        out[i].op = op
        out[i].a = a
        out[i].b = b
    return 0


cdef list _addresses(resolve_result* result):
    return [
        (result.addresses[i].family, (<char*>result.addresses[i].storage)[:result.addresses[i].length])
        for i in range(result.count)
    ]


cdef class ReactorProbe:
    """A reactor with nodes and a log.  `backend` is a name of BACKENDS or a number, `cpus` a list of CPU numbers."""
    cdef probe p

    def __cinit__(self, backend="default", bytes name=None, int policy=-1, int priority=-1, cpus=()):
        cdef reactor_opts opts
        cdef int numbers[64]
        cdef int error = 0
        self.p.news.rfd = self.p.news.wfd = -1
        zq_mutex_init(&self.p.lock)
        memset(&opts, 0, sizeof(opts))
        opts.backend = BACKENDS.get(backend, backend)
        opts.thread.policy = policy
        opts.thread.priority = priority
        if name is not None:
            opts.thread.name = name
        for i, cpu in enumerate(cpus):
            numbers[i] = cpu
        opts.thread.cpus = numbers
        opts.thread.ncpus = len(cpus)
        _check(zq_wakefd_open(&self.p.news))
        self.p.r = reactor_create(&opts, &error)
        memset(numbers, 0xFF, sizeof(numbers))    # the reactor must have copied them
        _check(error)

    def __dealloc__(self):
        cdef uint32_t i
        zq_wakefd_close(&self.p.news)
        if self.p.r != NULL:
            return     # never stopped: the thread may still use the nodes
        for i in range(self.p.count):
            if self.p.nodes[i] != NULL:
                resolve_result_free(&self.p.nodes[i].answer)
                free(self.p.nodes[i])
        free(self.p.log)
        zq_mutex_destroy(&self.p.lock)

    # life

    def start(self):
        with nogil:
            rc = reactor_start(self.p.r)
        _check(rc)

    def stop(self):
        with nogil:
            rc = reactor_stop_join(self.p.r)
        _check(rc)

    def free(self):
        _check(reactor_free(self.p.r))
        self.p.r = NULL

    def forked(self):
        reactor_forked(self.p.r)

    def is_current(self):
        return reactor_is_current(self.p.r)

    @property
    def descriptors(self):
        return self.p.r.poll.fd, self.p.r.wake.rfd, self.p.r.wake.wfd

    def counters(self):
        cdef reactor_counters c
        reactor_read_counters(self.p.r, &c)
        return c

    # nodes

    cdef node* _new(self, int kind) except NULL:
        cdef node* n
        if self.p.count >= <uint32_t>MAX_NODES:
            raise MemoryError("no more nodes")
        n = <node*>calloc(1, sizeof(node))
        if n == NULL:
            _check(-ENOMEM)
        n.kind = kind
        n.index = <int>self.p.count
        n.home = &self.p
        self.p.nodes[n.index] = n
        zq_store32(&self.p.count, self.p.count + 1)
        return n

    cdef node* _at(self, int index) except NULL:
        if not 0 <= index < <int>self.p.count or self.p.nodes[index] == NULL:
            raise IndexError(index)
        return self.p.nodes[index]

    def handle(self, int fd, script=()):
        cdef node* n = self._new(HANDLE)
        handle_init(&n.h, fd, _on_handle, n)
        self.script(n.index, script)
        return n.index

    def timer(self, script=()):
        cdef node* n = self._new(TIMED)
        timer_init(&n.t, _on_timer, n)
        self.script(n.index, script)
        return n.index

    def task(self, script=()):
        cdef node* n = self._new(TASK)
        task_init(&n.k, _on_task, n)
        self.script(n.index, script)
        return n.index

    def name(self, str host, int port=0, int family=0, int flags=0):
        cdef node* n = self._new(NAME)
        encoded = host.encode()
        strncpy(n.host, encoded, sizeof(n.host) - 1)
        n.port = port
        n.family = family
        n.flags = flags
        return n.index

    def script(self, int index, script):
        """Sets a node's script; not while the node can be called."""
        cdef node* n = self._at(index)
        script = list(script)
        if len(script) > MAX_SCRIPT:
            raise ValueError("the script is too long")
        _fill(n.script, script)
        n.length = len(script)

    def run(self, *script):
        """Executes the script in one task on the reactor's thread and returns the results; waits without the GIL."""
        cdef command c
        cdef action actions[MAX_SCRIPT]
        cdef int results[MAX_SCRIPT]
        cdef bint posted
        if len(script) > MAX_SCRIPT:
            raise ValueError("the script is too long")
        memset(&c, 0, sizeof(c))
        _fill(actions, list(script))
        c.home = &self.p
        c.script = actions
        c.length = len(script)
        c.results = results
        _check(zq_wakefd_open(&c.news))
        task_init(&c.k, _on_command, &c)
        with nogil:
            posted = reactor_post(self.p.r, &c.k)
            if posted:
                # signalled by the last instruction of the reactor's that looks at `c`
                while not zq_wait_readable(c.news.rfd, 60000):
                    pass
                zq_wakefd_drain(&c.news)
        zq_wakefd_close(&c.news)
        if not posted:
            raise RuntimeError("the reactor has ended")
        return [results[i] for i in range(len(script))]

    def post(self, int index):
        """From the calling thread."""
        cdef node* n = self._at(index)
        zq_add64(&n.posted, 1)
        return reactor_post(self.p.r, &n.k)

    def hammer(self, int index, int times):
        """Many posts from the calling thread, without the GIL; how many were accepted."""
        cdef node* n = self._at(index)
        cdef int accepted = 0
        with nogil:
            for _ in range(times):
                # the stamp must be ordered before the post by the post itself: only a read-modify-write of the post's
                # own word comes between
                zq_add64(&n.posted, 1)
                accepted += reactor_post(self.p.r, &n.k)
        return accepted

    def seen(self, int index):
        """(posts that have begun, posts as the last run found them, runs)"""
        cdef node* n = self._at(index)
        return zq_load64(&n.posted), zq_load64(&n.seen), zq_load64(&n.runs)

    # the log

    def log(self):
        """List of (kind, node, value, time of the turn)."""
        zq_lock(&self.p.lock)
        n = self.p.n
        zq_unlock(&self.p.lock)
        # records are never changed, but the array may move: copy under the lock, without making objects there
        cdef record* copy = <record*>calloc(n if n else 1, sizeof(record))
        if copy == NULL:
            _check(-ENOMEM)
        zq_lock(&self.p.lock)
        for i in range(n):
            copy[i] = self.p.log[i]
        zq_unlock(&self.p.lock)
        try:
            return [(KINDS[copy[i].kind], copy[i].index, copy[i].value, copy[i].now) for i in range(n)]
        finally:
            free(copy)

    def wait_log(self, size_t n, int timeout_ms=30000):
        """Waits until the log has `n` records and returns it; TimeoutError."""
        cdef int64_t end = zq_now_ns() + timeout_ms * <int64_t>1000000
        cdef size_t have
        cdef int left
        while True:
            zq_lock(&self.p.lock)
            have = self.p.n
            zq_unlock(&self.p.lock)
            if have >= n:
                return self.log()
            left = <int>((end - zq_now_ns()) // 1000000)
            if left < 0:
                raise TimeoutError(f"{have} records instead of {n}: {self.log()}")
            with nogil:
                zq_wait_readable(self.p.news.rfd, left + 1)
                zq_wakefd_drain(&self.p.news)

    def answer(self, int index):
        """(error, getaddrinfo's code, list of (family, sockaddr)) of a name, as last told."""
        cdef node* n = self._at(index)
        return n.answer.error, n.answer.gai, _addresses(&n.answer)


def resolve(str host, int port=0, int family=0, int flags=0):
    """resolve_now: (error, getaddrinfo's code, list of (family, sockaddr))."""
    cdef resolve_result result
    encoded = host.encode()
    cdef const char* text = encoded
    with nogil:
        resolve_now(text if text[0] else NULL, port, family, flags, &result)
    try:
        return result.error, result.gai, _addresses(&result)
    finally:
        resolve_result_free(&result)


def threads():
    """Resolver threads at work."""
    return resolver_threads()


# A lookup that waits until the test opens a gate: names that begin with "gate." wait, and are then 127.0.0.1.
cdef int _gate = -1
cdef uint32_t _entered = 0


cdef int _gated(const char* host, const char* port, const addrinfo* hints, addrinfo** out) noexcept nogil:
    if host != NULL and strncmp(host, b"gate.", 5) == 0:
        zq_add32(&_entered, 1)
        zq_wait_readable(_gate, 60000)
        return getaddrinfo(b"127.0.0.1", port, hints, out)
    return getaddrinfo(host, port, hints, out)


def set_gate(fd):
    """Names beginning with "gate." wait until `fd` is readable; None: names are looked up as usual."""
    global _gate
    if fd is None:
        resolver_set_lookup(NULL)
    else:
        _gate = fd
        zq_store32(&_entered, 0)
        resolver_set_lookup(_gated)


def entered():
    """Lookups that have come to the gate."""
    return zq_load32(&_entered)
