"""Contexts without their sockets; see ctx.pxd."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from .errno_zmq cimport EMTHREAD
from .options cimport ctx_options_free, ctx_options_init
from .platform cimport (pthread_t, zq_thread_create, zq_thread_opts, generation_word, zq_add32, zq_lock,
                        zq_mutex_destroy, zq_mutex_init, zq_sub32, zq_unlock, zq_wakefd_close)
from .reactor cimport (reactor, reactor_is_current, reactor_create, reactor_free, reactor_opts, reactor_start,
                       reactor_stop_join)

cdef enum:
    NAME_PREFIX = 13          # bytes of THREAD_NAME_PREFIX: with "/", a letter and the end, what Linux keeps of a name

cdef extern from "<pthread.h>" nogil:
    int pthread_detach(pthread_t t)


cdef ctx* ctx_new() noexcept nogil:
    cdef ctx* c = <ctx*>calloc(1, sizeof(ctx))
    if c == NULL:
        return NULL
    zq_mutex_init(&c.lock)
    c.refs = 1
    c.generation = generation_word()[0]
    c.gone.rfd = c.gone.wfd = -1
    ctx_options_init(&c.opts)
    return c


cdef void ctx_ref(ctx* c) noexcept nogil:
    zq_add32(&c.refs, 1)


cdef bint ctx_forked(ctx* c) noexcept nogil:
    return c.generation != generation_word()[0]


cdef void ctx_end(ctx* c) noexcept nogil:
    cdef reactor* taken[REACTORS_MAX]
    cdef int i, n
    zq_lock(&c.lock)
    n = c.nreactors
    c.nreactors = 0
    for i in range(n):
        taken[i] = c.reactors[i]
        c.reactors[i] = NULL
    zq_unlock(&c.lock)
    for i in range(n):
        if taken[i] != NULL:
            reactor_stop_join(taken[i])
            reactor_free(taken[i])


cdef void ctx_unref(ctx* c) noexcept nogil:
    cdef pthread_t apart
    cdef zq_thread_opts opts
    cdef int i
    if zq_sub32(&c.refs, 1) != 1:
        return
    if ctx_forked(c):
        return             # the parent's: locks and threads of another process; leaked
    for i in range(c.nreactors):
        if c.reactors[i] != NULL and reactor_is_current(c.reactors[i]):
            # The last socket has gone on the reactor's own thread, and no thread can join itself.
            memset(&opts, 0, sizeof(opts))
            if zq_thread_create(&apart, _free, c, &opts) == 0:
                pthread_detach(apart)
            return
    _free(c)


cdef void _free(void* arg) noexcept nogil:
    cdef ctx* c = <ctx*>arg
    cdef inproc_name* entry
    ctx_end(c)
    while c.names != NULL:
        entry = c.names
        c.names = entry.next
        free(entry.name)
        free(entry)
    if c.gone_open:
        zq_wakefd_close(&c.gone)
    ctx_options_free(&c.opts)
    zq_mutex_destroy(&c.lock)
    free(c)


cdef int _start(ctx* c, int i) noexcept nogil:
    cdef reactor_opts opts
    cdef char[16] name
    cdef int error = 0
    cdef int[64] cpus
    cdef int k = 0
    memset(&opts, 0, sizeof(reactor_opts))
    memset(name, 0, 16)
    opts.thread.policy = c.opts.thread_sched_policy
    opts.thread.priority = c.opts.thread_priority
    while k < NAME_PREFIX and k < <int>c.opts.thread_name_prefix.size:
        name[k] = <char>c.opts.thread_name_prefix.data[k]
        k += 1
    if k:
        name[k] = 47           # "/"
        name[k + 1] = <char>(65 + i % 26)
        opts.thread.name = name
    k = 0
    while k < 64 and k < <int>c.opts.thread_affinity_cpu.count:
        cpus[k] = <int>c.opts.thread_affinity_cpu.items[k]
        k += 1
    opts.thread.cpus = cpus
    opts.thread.ncpus = k
    c.reactors[i] = reactor_create(&opts, &error)
    if c.reactors[i] == NULL:
        return error if error else -ENOMEM
    error = reactor_start(c.reactors[i])
    if error < 0:
        reactor_free(c.reactors[i])
        c.reactors[i] = NULL
    return error


cdef int ctx_reactor(ctx* c, uint64_t affinity, reactor** out) noexcept nogil:
    cdef int i
    cdef int best = -1
    cdef int rc = 0
    cdef int n
    zq_lock(&c.lock)
    c.started = True
    n = c.opts.io_threads if c.opts.io_threads < REACTORS_MAX else REACTORS_MAX
    if c.nreactors < n:
        c.nreactors = n
    for i in range(c.nreactors):
        if affinity and not (affinity >> i) & 1:
            continue
        if best < 0 or c.load[i] < c.load[best]:
            best = i
    if best < 0:
        rc = -EMTHREAD
    elif c.reactors[best] == NULL:
        rc = _start(c, best)
    if rc >= 0:
        c.load[best] += 1
        out[0] = c.reactors[best]
        rc = 0
    zq_unlock(&c.lock)
    return rc


cdef void ctx_reactor_left(ctx* c, reactor* r) noexcept nogil:
    cdef int i
    zq_lock(&c.lock)
    for i in range(c.nreactors):
        if c.reactors[i] == r:
            c.load[i] -= 1
    zq_unlock(&c.lock)


cdef inproc_name* ctx_name(ctx* c, const char* name, size_t n, bint make) noexcept nogil:
    cdef inproc_name* e = c.names
    while e != NULL:
        if e.n == n and memcmp(e.name, name, n) == 0:
            return e
        e = e.next
    if not make:
        return NULL
    e = <inproc_name*>calloc(1, sizeof(inproc_name))
    if e == NULL:
        return NULL
    e.name = <char*>malloc(n)
    if e.name == NULL:
        free(e)
        return NULL
    memcpy(e.name, name, n)
    e.n = n
    e.next = c.names
    c.names = e
    return e


cdef void ctx_name_trim(ctx* c, inproc_name* entry) noexcept nogil:
    cdef inproc_name** at = &c.names
    if entry.sock != NULL or entry.waiting != NULL:
        return
    while at[0] != entry:
        at = &at[0].next
    at[0] = entry.next
    free(entry.name)
    free(entry)
