"""Options applied to sockets, filters, and facts about peers."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset, strncpy

from zcore.address cimport (
    AF_UNIX,
    addr_is_loopback,
    addr_text,
    addr_to_endpoint,
    cidr_match,
    zq_addr_bytes,
    zq_addr_family,
)
from zcore.descriptors cimport fd_ours
from zcore.endpoint cimport TRANSPORT_IPC, endpoint_print

cdef extern from "net.h" nogil:
    int SOCK_STREAM
    int zq_socket(int family, int kind)
    void zq_close(int fd)
    int zq_local_addr(int fd, zq_addr* a)
    int zq_peer_addr(int fd, zq_addr* a)
    int zq_set_nodelay(int fd)
    int zq_set_sndbuf(int fd, int n)
    int zq_set_rcvbuf(int fd, int n)
    int zq_set_tos(int fd, int family, int tos)
    int zq_set_priority(int fd, int priority)
    int zq_set_busy_poll(int fd, int us)
    int zq_set_keepalive(int fd, int on)
    int zq_set_keepalive_cnt(int fd, int probes)
    int zq_set_keepalive_idle(int fd, int seconds)
    int zq_set_keepalive_intvl(int fd, int seconds)
    int zq_set_maxrt(int fd, int ms)
    int zq_set_device(int fd, int family, const char* name)
    int zq_incoming_cpu(int fd)
    int zq_peer_ids(int fd, uint32_t* uid, uint32_t* gid, uint32_t* pid)
    bint zq_peer_in_group(int fd, uint32_t gid)


cdef void stream_opts_init(stream_opts* o) noexcept nogil:
    memset(o, 0, sizeof(stream_opts))
    o.sndbuf = -1
    o.rcvbuf = -1
    o.keepalive = -1
    o.keepalive_cnt = -1
    o.keepalive_idle = -1
    o.keepalive_intvl = -1
    o.backlog = 100
    o.use_fd = -1
    o.proxy_timeout_ms = 30000


cdef int _copy(void** dst, const void* src, size_t n) noexcept nogil:
    dst[0] = NULL
    if src == NULL or n == 0:
        return 0
    dst[0] = malloc(n)
    if dst[0] == NULL:
        return -ENOMEM
    memcpy(dst[0], src, n)
    return 0


cdef int stream_opts_copy(stream_opts* dst, const stream_opts* src) noexcept nogil:
    dst[0] = src[0]
    dst.filters = NULL
    dst.ipc_filters = NULL
    dst.socks = NULL
    if (_copy(<void**>&dst.filters, src.filters, <size_t>src.filters_n * sizeof(cidr)) < 0
            or _copy(<void**>&dst.ipc_filters, src.ipc_filters, <size_t>src.ipc_filters_n * sizeof(ipc_filter)) < 0
            or _copy(<void**>&dst.socks, src.socks, sizeof(socks_opts)) < 0):
        stream_opts_free(dst)
        return -ENOMEM
    return 0


cdef void stream_opts_free(stream_opts* o) noexcept nogil:
    free(<void*>o.filters)
    free(<void*>o.ipc_filters)
    free(<void*>o.socks)
    o.filters = NULL
    o.filters_n = 0
    o.ipc_filters = NULL
    o.ipc_filters_n = 0
    o.socks = NULL


cdef int stream_apply(int fd, int family, const stream_opts* o) noexcept nogil:
    cdef int rc = 0
    if o.sndbuf >= 0:
        rc = zq_set_sndbuf(fd, o.sndbuf)
    if rc == 0 and o.rcvbuf >= 0:
        rc = zq_set_rcvbuf(fd, o.rcvbuf)
    if family == AF_UNIX or rc < 0:
        return rc
    rc = zq_set_nodelay(fd)
    if rc == 0 and o.keepalive >= 0:
        rc = zq_set_keepalive(fd, o.keepalive)
    if rc == 0 and o.keepalive_cnt >= 0:
        rc = zq_set_keepalive_cnt(fd, o.keepalive_cnt)
    if rc == 0 and o.keepalive_idle >= 0:
        rc = zq_set_keepalive_idle(fd, o.keepalive_idle)
    if rc == 0 and o.keepalive_intvl >= 0:
        rc = zq_set_keepalive_intvl(fd, o.keepalive_intvl)
    if rc == 0 and o.maxrt_ms > 0:
        rc = zq_set_maxrt(fd, o.maxrt_ms)
    if rc == 0 and o.tos != 0:
        rc = zq_set_tos(fd, family, o.tos)
    # After the type of service, which sets a priority of its own.
    if rc == 0 and o.priority != 0:
        rc = zq_set_priority(fd, o.priority)
    if rc == 0 and o.busy_poll != 0:
        rc = zq_set_busy_poll(fd, o.busy_poll)
    return rc


cdef int stream_socket(int family, const stream_opts* o) noexcept nogil:
    cdef int fd = zq_socket(family, SOCK_STREAM)
    cdef int rc
    if fd < 0:
        return fd
    rc = stream_apply(fd, family, o)
    if rc == 0 and o.device[0] != 0 and family != AF_UNIX:
        rc = zq_set_device(fd, family, o.device)
    if rc < 0:
        zq_close(fd)
        return rc
    return fd_ours(fd)


cdef void _print(const zq_addr* a, int transport, char* buf, size_t size) noexcept nogil:
    cdef endpoint ep
    addr_to_endpoint(a, transport, &ep)
    endpoint_print(&ep, buf, size)


cdef void stream_facts(int fd, int transport, const char* bound, peer_facts* out) noexcept nogil:
    cdef zq_addr here, there
    memset(out, 0, sizeof(peer_facts))
    if transport == TRANSPORT_IPC:
        # Of the two ends only the bound one has a name.
        strncpy(out.local, bound, sizeof(out.local) - 1)
        strncpy(out.remote, bound, sizeof(out.remote) - 1)
        out.is_loopback = True
        if zq_peer_ids(fd, &out.uid, &out.gid, &out.pid) == 0:
            out.has_ids = True
            snprintf(out.address, sizeof(out.address), b"localhost:%u:%u:%u", out.uid, out.gid, out.pid)
        return
    if zq_local_addr(fd, &here) == 0:
        _print(&here, transport, out.local, sizeof(out.local))
    if zq_peer_addr(fd, &there) == 0:
        _print(&there, transport, out.remote, sizeof(out.remote))
        addr_text(&there, out.address, sizeof(out.address))
        out.is_loopback = addr_is_loopback(&there)


cdef bint _ipc_admits(int fd, const stream_opts* o) noexcept nogil:
    cdef uint32_t uid = 0
    cdef uint32_t gid = 0
    cdef uint32_t pid = 0
    cdef const ipc_filter* f
    cdef int i
    if o.ipc_filters_n == 0:
        return True
    if zq_peer_ids(fd, &uid, &gid, &pid) < 0:
        return False
    for i in range(o.ipc_filters_n):
        f = &o.ipc_filters[i]
        if ((f.kind == FILTER_UID and f.id == uid) or (f.kind == FILTER_PID and f.id == pid)
                or (f.kind == FILTER_GID and (f.id == gid or zq_peer_in_group(fd, f.id)))):
            return True
    return False


cdef bint stream_admits(int fd, const stream_opts* o) noexcept nogil:
    cdef zq_addr here, there
    cdef int i
    if o.filters_n == 0 and o.ipc_filters_n == 0:
        return True
    if zq_local_addr(fd, &here) < 0:
        return False
    if zq_addr_family(&here) == AF_UNIX:
        return _ipc_admits(fd, o)
    if o.filters_n == 0:
        return True
    if zq_peer_addr(fd, &there) < 0:
        return False
    for i in range(o.filters_n):
        if cidr_match(&o.filters[i], &there):
            return True
    return False


cdef int stream_incoming_cpu(int fd) noexcept nogil:
    cdef zq_addr there
    if zq_peer_addr(fd, &there) < 0 or zq_addr_bytes(&there) == NULL or not addr_is_loopback(&there):
        return -1
    return zq_incoming_cpu(fd)


cdef int stream_loopback_cpu(int fd) noexcept nogil:
    return zq_incoming_cpu(fd)
