"""Names to addresses, without making the reactor wait.

getaddrinfo blocks, for many seconds when a name server is silent; so it runs on a thread of its own.  The thread is
started by the first name and ends when no name is left: an idle process has none.  A second and further ones, up to
RESOLVER_THREADS, are started while the others are busy, so that one silent server does not hold up all names.  Numeric
addresses need no thread.

The answer comes as a task of the reactor that asked, so `fn` runs on the reactor's thread, and a cancelled request is
only marked there: nobody waits for a lookup that is under way.  A lookup may outlive its reactor; its answer is then
thrown away.  In a forked child the resolver begins empty; requests of the parent stay the parent's.
"""

from libc.stdint cimport uint32_t, uint64_t

from zcore.reactor cimport reactor, task


cdef extern from "<netdb.h>" nogil:
    cdef struct addrinfo:
        int ai_flags
        int ai_family
        int ai_socktype
        int ai_protocol
        uint32_t ai_addrlen
        void* ai_addr
        addrinfo* ai_next


cdef enum:
    RESOLVER_THREADS = 4
    RESOLVE_MAX_ADDRESSES = 64     # of one name; more are left out
    RESOLVE_MAX_NAME = 1024        # bytes of a name

    # flags
    RESOLVE_PASSIVE = 1            # for bind: no name means every interface
    RESOLVE_NUMERIC = 2            # take numeric addresses only: never blocks
    RESOLVE_V4MAPPED = 4           # with AF_INET6: also IPv4 addresses, as ::ffff:a.b.c.d


cdef struct resolved_address:
    int family                     # AF_INET or AF_INET6
    uint32_t length                # bytes of the sockaddr
    uint64_t storage[16]           # the sockaddr; ports in network byte order as usual


cdef struct resolve_result:
    int error                      # 0, or -errno: -EHOSTUNREACH no such name, -EAGAIN no answer now, -EINVAL, -ENOMEM
    int gai                        # getaddrinfo's own code (EAI_*), 0 without error
    int count
    resolved_address* addresses    # in the order in which they should be tried


# Owned by the resolver.  The pointer is the caller's to cancel until `fn` has been called or it has been cancelled.
cdef struct resolve_request:
    task done                      # posted to `loop` with the answer
    reactor* loop                  # held until the answer is posted
    resolve_request* next          # in the queue of names
    uint32_t cancelled             # atomic
    void (*fn)(void* owner, const resolve_result* result) noexcept nogil
    void* owner
    resolve_result result
    int port
    int family
    int flags
    char* host                     # NULL for none; behind the struct


# Asks for the stream addresses of `host` (NULL: the wildcard or loopback address) with `port`; `family` AF_UNSPEC,
# AF_INET or AF_INET6.  Reactor's thread of `r`.  Later, never from within this call, `fn` is called once with the
# result, which is good during the call.  Not called after an error: -EINVAL, -ENAMETOOLONG, -ENOMEM, -EAGAIN (no
# thread), -ECHILD.
cdef int resolve_start(
    reactor* r, const char* host, int port, int family, int flags,
    void (*fn)(void* owner, const resolve_result* result) noexcept nogil, void* owner, resolve_request** out
) noexcept nogil
# `fn` will not be called.  Reactor's thread.
cdef void resolve_cancel(resolve_request* q) noexcept nogil

# The same question answered on the calling thread, which may block.  The error is returned and in `out`.
cdef int resolve_now(const char* host, int port, int family, int flags, resolve_result* out) noexcept nogil
cdef void resolve_result_free(resolve_result* result) noexcept nogil

# Threads at work now.
cdef int resolver_threads() noexcept nogil

# For tests: another function in getaddrinfo's place, which allocates its list as getaddrinfo does; NULL: the system's.
ctypedef int (*resolve_lookup)(const char* host, const char* port, const addrinfo* hints, addrinfo** out) noexcept nogil
cdef void resolver_set_lookup(resolve_lookup lookup) noexcept nogil
