"""The records of binds and connects; see epts.pxd."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from .address cimport cidr
from .backoff cimport backoff_init
from .connecter cimport connecter_close
from .endpoint cimport endpoint
from .engine cimport ept, sock
from .listener cimport listener_close
from .option_values cimport obytes
from .platform cimport zq_now_ns
from .stream cimport (FILTER_GID, FILTER_PID, FILTER_UID, ipc_filter, socks_opts, stream_opts, stream_opts_copy,
                      stream_opts_free, stream_opts_init)

cdef extern from "<sys/socket.h>" nogil:
    int AF_INET, AF_INET6, AF_UNSPEC


cdef char* copy_text(const char* text, size_t n) noexcept nogil:
    cdef char* c = <char*>malloc(n + 1)
    if c != NULL:
        memcpy(c, text, n)
        c[n] = 0
    return c


cdef ept* ept_new(sock* s, const char* text, size_t n, const endpoint* where, bint bound) noexcept nogil:
    cdef ept* e = <ept*>calloc(1, sizeof(ept))
    if e == NULL:
        return NULL
    e.s = s
    e.where = where[0]
    e.bound = bound
    e.l.fd = -1
    e.given = copy_text(text, n)
    if e.given == NULL:
        free(e)
        return NULL
    backoff_init(&e.back, <uint64_t>zq_now_ns() ^ <uint64_t>e)
    return e


cdef void ept_free(ept* e) noexcept nogil:
    listener_close(&e.l)
    if e.stream and not e.bound:
        connecter_close(&e.dial)
    stream_opts_free(&e.sopts)
    free(e.given)
    free(e.name)
    free(e)


cdef void ept_link(sock* s, ept* e) noexcept nogil:
    e.next = s.epts
    s.epts = e


cdef void ept_unlink(sock* s, ept* e) noexcept nogil:
    cdef ept** at = &s.epts
    while at[0] != NULL and at[0] != e:
        at = &at[0].next
    if at[0] == e:
        at[0] = e.next


cdef int ept_last(sock* s, const char* text) noexcept nogil:
    cdef char* c = copy_text(text, strlen(text))
    if c == NULL:
        return -ENOMEM
    free(s.last_endpoint)
    s.last_endpoint = c
    return 0


cdef bint ept_is(ept* e, const char* text, size_t n) noexcept nogil:
    return ((strlen(e.given) == n and memcmp(e.given, text, n) == 0)
            or (e.name != NULL and strlen(e.name) == n and memcmp(e.name, text, n) == 0))


cdef void _text(const obytes* from_, char* to, size_t room) noexcept nogil:
    cdef size_t n = from_.size if from_.size < room - 1 else room - 1
    memcpy(to, from_.data, n)
    to[n] = 0


cdef int stream_options_of(sock* s, stream_opts* out) noexcept nogil:
    """[lock] The values a listener or connecter needs, in a copy of its own."""
    cdef stream_opts o
    cdef socks_opts proxy
    cdef cidr* filters = NULL
    cdef ipc_filter* ids = NULL
    cdef size_t k, n = 0
    cdef int rc
    stream_opts_init(&o)
    o.sndbuf = s.opt.sndbuf
    o.rcvbuf = s.opt.rcvbuf
    o.tos = s.opt.tos
    o.priority = s.opt.priority
    o.busy_poll = s.opt.busy_poll
    o.keepalive = s.opt.tcp_keepalive
    o.keepalive_cnt = s.opt.tcp_keepalive_cnt
    o.keepalive_idle = s.opt.tcp_keepalive_idle
    o.keepalive_intvl = s.opt.tcp_keepalive_intvl
    o.maxrt_ms = s.opt.tcp_maxrt
    o.backlog = s.opt.backlog
    o.use_fd = s.opt.use_fd
    o.connect_timeout_ms = s.opt.connect_timeout
    o.proxy_timeout_ms = s.opt.handshake_ivl
    o.ipv6 = s.opt.ipv6 != 0
    _text(&s.opt.bindtodevice, o.device, sizeof(o.device))
    if s.opt.tcp_accept_filter.count:
        filters = <cidr*>calloc(s.opt.tcp_accept_filter.count, sizeof(cidr))
        if filters == NULL:
            return -ENOMEM
        for k in range(s.opt.tcp_accept_filter.count):
            filters[k].family = AF_INET if s.opt.tcp_accept_filter.items[k].length == 4 else AF_INET6
            filters[k].bits = s.opt.tcp_accept_filter.items[k].bits
            memcpy(filters[k].prefix, s.opt.tcp_accept_filter.items[k].address, 16)
        o.filters = filters
        o.filters_n = <int>s.opt.tcp_accept_filter.count
    n = s.opt.ipc_filter_uid.count + s.opt.ipc_filter_gid.count + s.opt.ipc_filter_pid.count
    if n:
        ids = <ipc_filter*>calloc(n, sizeof(ipc_filter))
        if ids == NULL:
            free(filters)
            return -ENOMEM
        n = 0
        for k in range(s.opt.ipc_filter_uid.count):
            ids[n].kind = FILTER_UID
            ids[n].id = <uint32_t>s.opt.ipc_filter_uid.items[k]
            n += 1
        for k in range(s.opt.ipc_filter_gid.count):
            ids[n].kind = FILTER_GID
            ids[n].id = <uint32_t>s.opt.ipc_filter_gid.items[k]
            n += 1
        for k in range(s.opt.ipc_filter_pid.count):
            ids[n].kind = FILTER_PID
            ids[n].id = <uint32_t>s.opt.ipc_filter_pid.items[k]
            n += 1
        o.ipc_filters = ids
        o.ipc_filters_n = <int>n
    if s.opt.socks_proxy.size:
        memset(&proxy, 0, sizeof(proxy))
        _text(&s.opt.socks_proxy, proxy.proxy, sizeof(proxy.proxy))
        _text(&s.opt.socks_username, proxy.username, sizeof(proxy.username))
        _text(&s.opt.socks_password, proxy.password, sizeof(proxy.password))
        proxy.username_n = <int>s.opt.socks_username.size
        proxy.password_n = <int>s.opt.socks_password.size
        o.socks = &proxy
    rc = stream_opts_copy(out, &o)
    free(filters)
    free(ids)
    return rc


cdef bint ept_listed(sock* s, ept* e) noexcept nogil:
    cdef ept* at = s.epts
    while at != NULL and at != e:
        at = at.next
    return at == e
