"""The resolver."""

from libc.errno cimport ECHILD, EINVAL, ENAMETOOLONG, ENOMEM, errno
from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strlen

from zcore.platform cimport (
    pthread_t, zq_load32, zq_loadp, zq_lock, zq_mutex, zq_mutex_init, zq_store32, zq_storep, zq_thread_create,
    zq_thread_opts, zq_unlock
)
from zcore.reactor cimport reactor, reactor_hold, reactor_post, reactor_release, task, task_init

cdef extern from *:
    """
    #include "platform.h"
    #include <netdb.h>
    #include <sys/socket.h>
    /* What a failed lookup means as an errno; `saved` is errno at that moment. */
    static inline int zq_lookup_error(int gai, int saved)
    {
        switch (gai) {
        case 0:
            return 0;
        case EAI_AGAIN:
            return -EAGAIN;
        case EAI_MEMORY:
            return -ENOMEM;
        case EAI_SYSTEM:
            return saved ? -saved : -EIO;
        case EAI_SERVICE:
        case EAI_SOCKTYPE:
        case EAI_BADFLAGS:
            return -EINVAL;
        default:
            return -EHOSTUNREACH;
        }
    }
    static inline void zq_detach(pthread_t t) { pthread_detach(t); }
    """
    int zq_lookup_error(int gai, int saved) nogil
    void zq_detach(pthread_t t) nogil
    int getaddrinfo(const char* host, const char* port, const addrinfo* hints, addrinfo** out) nogil
    void freeaddrinfo(addrinfo* list) nogil
    const int AF_UNSPEC
    const int AF_INET
    const int AF_INET6
    const int SOCK_STREAM
    const int AI_PASSIVE
    const int AI_NUMERICHOST
    const int AI_NUMERICSERV
    const int AI_V4MAPPED
    const int EAI_NONAME

ctypedef void (*at_fork)() noexcept nogil

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(at_fork prepare, at_fork parent, at_fork child)

# The queue of names, oldest first, and the number of threads at work: under the lock, which is held for a few
# instructions, except that a thread is started under it (so that "a name waits" and "nobody will take it" exclude
# each other).  A thread that finds the queue empty counts itself out before it releases the lock.
cdef zq_mutex _lock
cdef resolve_request* _first = NULL
cdef resolve_request* _last = NULL
cdef uint32_t _threads = 0

cdef resolve_lookup _lookup = getaddrinfo


cdef void resolver_set_lookup(resolve_lookup lookup) noexcept nogil:
    zq_storep(<void**>&_lookup, <void*>lookup if lookup != NULL else <void*>getaddrinfo)


cdef int resolver_threads() noexcept nogil:
    return <int>zq_load32(&_threads)


# ---- one lookup ----

cdef int _collect(addrinfo* list, resolve_result* out) noexcept nogil:
    cdef addrinfo* at = list
    cdef resolved_address* a
    cdef int n = 0
    while at != NULL and n < RESOLVE_MAX_ADDRESSES:
        n += 1
        at = at.ai_next
    out.addresses = <resolved_address*>calloc(n if n else 1, sizeof(resolved_address))
    if out.addresses == NULL:
        return -ENOMEM
    at = list
    while at != NULL and out.count < n:
        if at.ai_family in (AF_INET, AF_INET6) and at.ai_addrlen <= sizeof(out.addresses.storage):
            a = &out.addresses[out.count]
            a.family = at.ai_family
            a.length = at.ai_addrlen
            memcpy(a.storage, at.ai_addr, at.ai_addrlen)
            out.count += 1
        at = at.ai_next
    return 0


cdef void _look_up(const char* host, int port, int family, int flags, resolve_result* out) noexcept nogil:
    cdef addrinfo hints
    cdef addrinfo* list = NULL
    cdef char service[8]
    cdef resolve_lookup lookup = <resolve_lookup>zq_loadp(<void**>&_lookup)
    memset(&hints, 0, sizeof(hints))
    memset(out, 0, sizeof(resolve_result))
    hints.ai_family = family
    hints.ai_socktype = SOCK_STREAM
    hints.ai_flags = AI_NUMERICSERV
    if flags & RESOLVE_PASSIVE:
        hints.ai_flags |= AI_PASSIVE
    if flags & RESOLVE_V4MAPPED and family == AF_INET6:
        hints.ai_flags |= AI_V4MAPPED
    if flags & RESOLVE_NUMERIC:
        hints.ai_flags |= AI_NUMERICHOST
        lookup = getaddrinfo
    snprintf(service, sizeof(service), "%d", port)
    out.gai = lookup(host, service, &hints, &list)
    out.error = zq_lookup_error(out.gai, errno)
    if out.gai == 0:
        out.error = _collect(list, out)
        freeaddrinfo(list)


cdef int _check(const char* host, int port, int family, int flags) noexcept nogil:
    if port < 0 or port > 65535 or family not in (AF_UNSPEC, AF_INET, AF_INET6):
        return -EINVAL
    if flags & ~(RESOLVE_PASSIVE | RESOLVE_NUMERIC | RESOLVE_V4MAPPED):
        return -EINVAL
    if host != NULL and strlen(host) > RESOLVE_MAX_NAME:
        return -ENAMETOOLONG
    return 0


cdef int resolve_now(const char* host, int port, int family, int flags, resolve_result* out) noexcept nogil:
    cdef int rc = _check(host, port, family, flags)
    if rc:
        memset(out, 0, sizeof(resolve_result))
        out.error = rc
        return rc
    _look_up(host, port, family, flags, out)
    return out.error


cdef void resolve_result_free(resolve_result* result) noexcept nogil:
    free(result.addresses)
    memset(result, 0, sizeof(resolve_result))


# ---- requests ----

cdef void _free_request(resolve_request* q) noexcept nogil:
    free(q.result.addresses)
    free(q)


cdef void _deliver(task* t) noexcept nogil:
    cdef resolve_request* q = <resolve_request*>t.owner
    if not q.cancelled:
        q.fn(q.owner, &q.result)
    _free_request(q)


cdef void _answer(resolve_request* q) noexcept nogil:
    """On a resolver thread: hands the request back, or frees it when nobody wants it any more."""
    cdef reactor* r = q.loop
    if zq_load32(&q.cancelled) or not reactor_post(r, &q.done):
        _free_request(q)
    reactor_release(r)


cdef void _work(void* nothing) noexcept nogil:
    global _first, _last
    cdef resolve_request* q
    while True:
        zq_lock(&_lock)
        q = _first
        if q == NULL:
            zq_store32(&_threads, _threads - 1)
            zq_unlock(&_lock)
            return
        _first = q.next
        if _first == NULL:
            _last = NULL
        zq_unlock(&_lock)
        if not zq_load32(&q.cancelled):
            _look_up(q.host, q.port, q.family, q.flags, &q.result)
        _answer(q)


cdef int _hire() noexcept nogil:
    """Under the lock: one more thread.  0 or -errno."""
    cdef zq_thread_opts opts
    cdef pthread_t thread
    cdef int rc
    memset(&opts, 0, sizeof(opts))
    opts.policy = -1
    opts.priority = -1
    opts.name = b"pyzq-resolver"
    rc = zq_thread_create(&thread, _work, NULL, &opts)
    if rc == 0:
        zq_detach(thread)
        zq_store32(&_threads, _threads + 1)
    return rc


cdef int _enqueue(resolve_request* q) noexcept nogil:
    global _first, _last
    cdef resolve_request* before
    cdef int rc = 0
    zq_lock(&_lock)
    before = _last
    if before == NULL:
        _first = q
    else:
        before.next = q
    _last = q
    if _threads < RESOLVER_THREADS:
        rc = _hire()
        if rc and _threads:
            rc = 0      # those at work will take it
        if rc:
            _last = before
            if before == NULL:
                _first = NULL
            else:
                before.next = NULL
    zq_unlock(&_lock)
    return rc


cdef int resolve_start(
    reactor* r, const char* host, int port, int family, int flags,
    void (*fn)(void* owner, const resolve_result* result) noexcept nogil, void* owner, resolve_request** out
) noexcept nogil:
    cdef resolve_request* q
    cdef size_t length = 0
    cdef int rc = _check(host, port, family, flags)
    if rc:
        return rc
    if r.now_generation[0] != r.generation:
        return -ECHILD
    if host != NULL:
        length = strlen(host) + 1
    q = <resolve_request*>calloc(1, sizeof(resolve_request) + length)
    if q == NULL:
        return -ENOMEM
    if host != NULL:
        q.host = <char*>q + sizeof(resolve_request)
        memcpy(q.host, host, length)
    q.loop = r
    q.fn = fn
    q.owner = owner
    q.port = port
    q.family = family
    q.flags = flags
    task_init(&q.done, _deliver, q)
    # A name that is an address, or must be one, or is none at all: no lookup, so no thread.
    _look_up(host, port, family, flags | RESOLVE_NUMERIC, &q.result)
    reactor_hold(r)
    if q.result.gai == EAI_NONAME and not flags & RESOLVE_NUMERIC and host != NULL and host[0] != 0:
        rc = _enqueue(q)
        if rc:
            _free_request(q)
            reactor_release(r)
            return rc
    else:
        _answer(q)
    out[0] = q
    return 0


cdef void resolve_cancel(resolve_request* q) noexcept nogil:
    zq_store32(&q.cancelled, 1)


cdef void _in_child() noexcept nogil:
    """There are no resolver threads here, and the lock may have been held by one."""
    global _first, _last, _threads
    zq_mutex_init(&_lock)
    _first = NULL
    _last = NULL
    _threads = 0


zq_mutex_init(&_lock)
pthread_atfork(NULL, NULL, _in_child)
