"""A context: its reactors, the names of its inproc endpoints, its limits, and its end.

Shared by every Context object made over it.  Lock order: the context's lock is taken last, inside a socket's lock if
need be, and nothing else is taken inside it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .option_table cimport ctx_options
from .platform cimport zq_mutex, zq_wakefd
from .reactor cimport reactor


cdef enum:
    REACTORS_MAX = 64

cdef struct inproc_name:
    inproc_name* next
    char* name
    size_t n
    void* sock            # the bound socket; NULL: only connections wait for it
    void* endpoint        # its endpoint
    void* waiting         # list of connecting endpoints, linked by their own field

cdef struct ctx:
    zq_mutex lock
    uint32_t refs         # atomic: Context objects and sockets
    uint32_t generation   # of the fork it was made in
    ctx_options opts
    bint started          # IO_THREADS can no longer change
    reactor* reactors[REACTORS_MAX]
    uint32_t load[REACTORS_MAX]      # sockets served by each
    int nreactors
    uint32_t stopping     # atomic: terminated or shut down; every call ends with ETERM
    uint32_t nsockets     # not yet wholly gone, lingering ones included
    void* first           # list of sockets, linked by their own fields
    zq_wakefd gone        # signalled when nsockets reaches 0 while stopping
    bint gone_open
    uint32_t enders       # threads that wait for `gone`; the last one closes it
    inproc_name* names
    uint32_t next_wildcard
    uint64_t next_monitor


cdef ctx* ctx_new() noexcept nogil                      # NULL: no memory
cdef void ctx_ref(ctx* c) noexcept nogil
cdef void ctx_unref(ctx* c) noexcept nogil               # the last one stops the reactors and frees
cdef bint ctx_forked(ctx* c) noexcept nogil              # made by a parent process
cdef int ctx_reactor(ctx* c, uint64_t affinity, reactor** out) noexcept nogil
# The least loaded reactor of those the mask allows, started; 0, -EMTHREAD (IO_THREADS is 0, the mask names none), or why no thread could start.
cdef void ctx_reactor_left(ctx* c, reactor* r) noexcept nogil
cdef inproc_name* ctx_name(ctx* c, const char* name, size_t n, bint make) noexcept nogil   # [lock]
cdef void ctx_name_trim(ctx* c, inproc_name* entry) noexcept nogil                        # [lock] freed when nobody uses it
cdef void ctx_end(ctx* c) noexcept nogil                 # no socket is left: stop the reactors and join their threads
