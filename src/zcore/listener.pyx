"""Binding, listening, accepting."""

from libc.errno cimport (
    EACCES,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EAGAIN,
    EBADF,
    ECONNABORTED,
    EINVAL,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOTSOCK,
    EPROTONOSUPPORT,
)
from libc.string cimport memset

from zcore.address cimport AF_INET6, AF_UNIX, addr_to_endpoint, zq_addr, zq_addr_bytes, zq_addr_family
from zcore.descriptors cimport fd_close, fd_ours
from zcore.endpoint cimport (
    TRANSPORT_IPC,
    TRANSPORT_TCP,
    TRANSPORT_WS,
    TRANSPORT_WSS,
    endpoint_print,
)
from zcore.ipcfile cimport ipc_file_bind, ipc_file_forget, ipc_file_remove
from zcore.lookup cimport lookup_bound
from zcore.stream cimport (
    stream_admits,
    stream_apply,
    stream_facts,
    stream_opts_copy,
    stream_opts_free,
    stream_socket,
)

cdef extern from "net.h" nogil:
    int SOCK_STREAM
    int zq_tame(int fd)
    int zq_bind(int fd, const zq_addr* a)
    int zq_listen(int fd, int backlog)
    int zq_accept(int fd)
    int zq_local_addr(int fd, zq_addr* a)
    int zq_set_reuseaddr(int fd)
    int zq_set_v6only(int fd, int on)
    int zq_socket_type(int fd)
    int zq_is_listening(int fd)


cdef int _bind_address(listener* l, const zq_addr* a) noexcept nogil:
    """One socket on one address, listening.  The descriptor or -errno."""
    cdef int family = zq_addr_family(a)
    cdef int fd = stream_socket(family, &l.opts)
    cdef int rc = 0
    if fd < 0:
        return fd
    rc = zq_set_reuseaddr(fd)
    if rc == 0 and family == AF_INET6:
        rc = zq_set_v6only(fd, 0)
    if rc == 0:
        rc = zq_bind(fd, a)
    if rc == 0:
        rc = zq_listen(fd, l.opts.backlog)
    if rc < 0:
        fd_close(fd)
        return rc
    return fd


cdef int _open_tcp(listener* l, const endpoint* ep, const addr_list* resolved) noexcept nogil:
    cdef addr_list found
    cdef int rc, i
    cdef int worst = 0
    if resolved == NULL:
        rc = lookup_bound(ep, l.opts.ipv6, &found)
        if rc < 0:
            return rc
        resolved = &found
    for i in range(resolved.n):
        rc = _bind_address(l, &resolved.at[i])
        if rc >= 0:
            l.fd = rc
            l.family = zq_addr_family(&resolved.at[i])
            return 0
        if worst == 0:
            worst = rc
        # The next address is for a machine that lacks this kind or this one; anything else is the answer.
        if rc != -EAFNOSUPPORT and rc != -EADDRNOTAVAIL:
            return rc
    return worst if worst else -EADDRNOTAVAIL


cdef int _open_ipc(listener* l, endpoint* ep) noexcept nogil:
    cdef int rc
    l.family = AF_UNIX
    l.fd = stream_socket(AF_UNIX, &l.opts)
    if l.fd < 0:
        return l.fd
    rc = ipc_file_bind(&l.file, l.fd, ep)
    if rc == 0:
        rc = zq_listen(l.fd, l.opts.backlog)
    return rc


cdef int _adopt(listener* l) noexcept nogil:
    """A descriptor made by somebody else, who has bound it."""
    cdef zq_addr a
    cdef int fd = l.opts.use_fd
    cdef int kind = zq_socket_type(fd)
    cdef int rc
    if kind < 0:
        return kind
    rc = zq_local_addr(fd, &a)
    if rc < 0:
        return rc
    l.family = zq_addr_family(&a)
    if kind != SOCK_STREAM or (l.family == AF_UNIX) != (l.transport == TRANSPORT_IPC) \
            or (l.family != AF_UNIX and zq_addr_bytes(&a) == NULL):
        return -EINVAL
    rc = zq_tame(fd)
    if rc == 0:
        rc = stream_apply(fd, l.family, &l.opts)
    if rc == 0 and zq_is_listening(fd) != 1:
        rc = zq_listen(fd, l.opts.backlog)
    if rc == 0:
        l.fd = fd
    return rc


cdef int _name(listener* l, endpoint* ep) noexcept nogil:
    """LAST_ENDPOINT: the address as the system knows it."""
    cdef endpoint bound
    cdef zq_addr a
    cdef int rc = zq_local_addr(l.fd, &a)
    if rc < 0:
        return rc
    addr_to_endpoint(&a, l.transport, &bound)
    if l.transport == TRANSPORT_IPC:
        if bound.path[0] == 0:
            bound = ep[0]
    else:
        bound.path = ep.path
    endpoint_print(&bound, l.text, sizeof(l.text))
    return 0


cdef int listener_open(
    listener* l, const endpoint* ep, const addr_list* resolved, const stream_opts* opts
) noexcept nogil:
    cdef endpoint chosen = ep[0]
    cdef int rc
    memset(l, 0, sizeof(listener))
    l.fd = -1
    l.transport = ep.transport
    rc = stream_opts_copy(&l.opts, opts)
    if rc < 0:
        return rc
    l.made = True
    if ep.transport != TRANSPORT_TCP and ep.transport != TRANSPORT_WS and ep.transport != TRANSPORT_WSS \
            and ep.transport != TRANSPORT_IPC:
        rc = -EPROTONOSUPPORT
    elif l.opts.use_fd >= 0:
        rc = _adopt(l)
    elif ep.transport == TRANSPORT_IPC:
        rc = _open_ipc(l, &chosen)
    else:
        rc = _open_tcp(l, ep, resolved)
    if rc == 0:
        rc = _name(l, &chosen)
    if rc < 0:
        listener_close(l)
    return rc


cdef int listener_accept(listener* l, accepted* out) noexcept nogil:
    cdef int rc
    out.fd = fd_ours(zq_accept(l.fd)) if l.made else -EBADF
    if out.fd < 0:
        return out.fd
    if not stream_admits(out.fd, &l.opts):
        rc = -EACCES
    else:
        rc = stream_apply(out.fd, l.family, &l.opts)
        # Options of a connection that its peer has already reset.
        if rc == -EINVAL:
            rc = -ECONNABORTED
    if rc < 0:
        fd_close(out.fd)
        out.fd = -1
        return rc
    stream_facts(out.fd, l.transport, l.text, &out.peer)
    return 0


cdef int accept_verdict(int rc) noexcept nogil:
    if rc >= 0:
        return ACCEPT_DONE
    if rc == -EAGAIN:
        return ACCEPT_NONE
    if rc == -EMFILE or rc == -ENFILE or rc == -ENOBUFS or rc == -ENOMEM:
        return ACCEPT_LATER
    if rc == -EBADF or rc == -ENOTSOCK or rc == -EINVAL:
        return ACCEPT_BROKEN
    # A filter's refusal, and the network errors accept(2) hands over from the connection it lost.
    return ACCEPT_NEXT


cdef void listener_close(listener* l) noexcept nogil:
    if l.made:
        ipc_file_remove(&l.file)
        listener_abandon(l)


cdef void listener_abandon(listener* l) noexcept nogil:
    if not l.made:
        return
    ipc_file_forget(&l.file)
    fd_close(l.fd)
    l.fd = -1
    stream_opts_free(&l.opts)
    l.made = False
