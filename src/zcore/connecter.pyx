"""Connecting, as a table of states.

What can happen in an attempt is a handful of events; the table says where each leads from each state, and an empty
field means that the event cannot come or no longer matters.  Everything else in this file finds out which event it is.

    event       meaning                                   IDLE     NAMING   TRYING   PROXY
    ASK         a name must be resolved                   NAMING
    GO          the addresses are known                   TRYING   TRYING
    DIRECT      an address answered: our peer                               OPEN
    RELAYED     an address answered: the proxy                              PROXY
    GRANTED     the proxy has connected us                                           OPEN
    LOST        nothing left to try, or too late          FAILED   FAILED   FAILED   FAILED

Addresses are tried in order, families taking turns, and a new one joins whenever the last has failed or has had a
quarter of a second for itself; the first to answer wins (RFC 8305).  A single connect is waited for by its own
descriptor; several are gathered behind one, so that the owner never has more than one to watch.
"""

from libc.errno cimport (
    EADDRNOTAVAIL,
    EAGAIN,
    ECONNABORTED,
    ECONNREFUSED,
    EHOSTUNREACH,
    EINPROGRESS,
    EINVAL,
    ENODEV,
    ENOMEM,
    ENOTCONN,
    EPROTONOSUPPORT,
    ETIMEDOUT,
)
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strlen

from zcore.address cimport (
    ADDR_LIST_MAX,
    AF_UNIX,
    addr_from_numeric,
    addr_from_path,
    addr_list_add,
    zq_addr,
    zq_addr_family,
)
from zcore.descriptors cimport fd_close, fd_ours
from zcore.endpoint cimport (
    HOST_IPV6,
    HOST_NAME,
    HOST_NONE,
    TRANSPORT_IPC,
    TRANSPORT_TCP,
    TRANSPORT_WS,
    TRANSPORT_WSS,
    endpoint_parse_host_port,
)
from zcore.lookup cimport lookup_source
from zcore.socks cimport SOCKS_FAILED, SOCKS_OPEN, SOCKS_SEND, socks_start, socks_step
from zcore.stream cimport WANT_IN, WANT_OUT, stream_opts_copy, stream_opts_free, stream_socket

cdef extern from "net.h" nogil:
    int zq_bind(int fd, const zq_addr* a)
    int zq_connect(int fd, const zq_addr* a)
    int zq_connect_result(int fd)
    bint zq_is_self_connected(int fd)
    int zq_set_reuseaddr(int fd)
    void zq_set_bind_no_port(int fd)
    int zq_group_open()
    int zq_group_add(int group, int fd)
    void zq_group_remove(int group, int fd)
    long zq_read(int fd, void* buf, size_t n)
    long zq_write(int fd, const void* buf, size_t n)

cdef enum:
    SOCKS_PORT = 1080            # RFC 1928, for a proxy given without a port

cdef enum:
    E_ASK = 0
    E_GO = 1
    E_DIRECT = 2
    E_RELAYED = 3
    E_GRANTED = 4
    E_LOST = 5

cdef int _NEXT[6][6]
cdef int _state, _event
for _state in range(6):
    for _event in range(6):
        _NEXT[_state][_event] = -1
_NEXT[CONNECT_IDLE][E_ASK] = CONNECT_NAMING
_NEXT[CONNECT_IDLE][E_GO] = CONNECT_TRYING
_NEXT[CONNECT_IDLE][E_LOST] = CONNECT_FAILED
_NEXT[CONNECT_NAMING][E_GO] = CONNECT_TRYING
_NEXT[CONNECT_NAMING][E_LOST] = CONNECT_FAILED
_NEXT[CONNECT_TRYING][E_DIRECT] = CONNECT_OPEN
_NEXT[CONNECT_TRYING][E_RELAYED] = CONNECT_PROXY
_NEXT[CONNECT_TRYING][E_LOST] = CONNECT_FAILED
_NEXT[CONNECT_PROXY][E_GRANTED] = CONNECT_OPEN
_NEXT[CONNECT_PROXY][E_LOST] = CONNECT_FAILED


cdef void _move(connecter* c, int event) noexcept nogil:
    cdef int to = _NEXT[c.state][event]
    if to >= 0:
        c.state = to


cdef void _lose(connecter* c, int err) noexcept nogil:
    _stop(c)
    fd_close(c.fd)
    c.fd = -1
    c.err = err
    _move(c, E_LOST)


cdef void _stop(connecter* c) noexcept nogil:
    """End all connects under way.  The group goes first, so that its members need not leave it one by one."""
    cdef int i
    fd_close(c.group)
    c.group = -1
    for i in range(ADDR_LIST_MAX):
        fd_close(c.fds[i])
        c.fds[i] = -1
    c.running = 0
    free(c.addresses)
    c.addresses = NULL


cdef int connecter_init(connecter* c, const endpoint* ep, const stream_opts* opts) noexcept nogil:
    cdef zq_addr a
    cdef bint over_ip = ep.transport != TRANSPORT_IPC
    cdef int rc
    cdef int i
    memset(c, 0, sizeof(connecter))
    c.fd = -1
    c.group = -1
    for i in range(ADDR_LIST_MAX):
        c.fds[i] = -1
    c.state = CONNECT_IDLE
    c.ep = ep[0]
    if over_ip and ep.transport != TRANSPORT_TCP and ep.transport != TRANSPORT_WS and ep.transport != TRANSPORT_WSS:
        return -EPROTONOSUPPORT
    if not over_ip:
        rc = addr_from_path(ep, &a)
        if rc < 0:
            return rc
    rc = stream_opts_copy(&c.opts, opts)
    if rc < 0:
        return rc
    c.made = True
    if over_ip and c.opts.socks != NULL:
        c.talk = <proxy_talk*>calloc(1, sizeof(proxy_talk))
        if c.talk == NULL:
            rc = -ENOMEM
        elif endpoint_parse_host_port(c.opts.socks.proxy, strlen(c.opts.socks.proxy), SOCKS_PORT, &c.talk.proxy) < 0 \
                or socks_start(&c.talk.client, c.opts.socks, &c.ep) == SOCKS_FAILED:
            rc = -EINVAL
        elif c.talk.proxy.host_kind == HOST_IPV6 and not c.opts.ipv6:
            rc = -ENODEV
    elif ep.host_kind == HOST_IPV6 and not c.opts.ipv6:
        rc = -ENODEV
    if rc < 0:
        connecter_close(c)
    return rc


cdef const endpoint* _target(const connecter* c) noexcept nogil:
    """What is connected to first."""
    if c.talk != NULL:
        return &c.talk.proxy
    return &c.ep


cdef void _begin(connecter* c, int64_t now_ns) noexcept nogil:
    """IDLE: find the addresses, or somebody who does."""
    cdef const endpoint* to = _target(c)
    cdef zq_addr a
    cdef int rc
    c.err = 0
    c.refusal = 0
    c.next = 0
    c.next_ns = now_ns
    c.proxy_ns = -1
    c.deadline_ns = -1
    if c.opts.connect_timeout_ms > 0:
        c.deadline_ns = now_ns + <int64_t>c.opts.connect_timeout_ms * 1000000
    if to.transport != TRANSPORT_IPC and to.host_kind == HOST_NAME:
        _move(c, E_ASK)
        return
    if to.transport == TRANSPORT_IPC:
        rc = addr_from_path(to, &a)
    else:
        rc = addr_from_numeric(to.host, to.port, &a)
    if rc == 0:
        c.addresses = <addr_list*>calloc(1, sizeof(addr_list))
        if c.addresses == NULL:
            rc = -ENOMEM
    if rc < 0:
        _lose(c, rc)
        return
    addr_list_add(c.addresses, &a)
    _move(c, E_GO)


cdef bint connecter_name(const connecter* c, const char** name, uint32_t* port) noexcept nogil:
    if c.state != CONNECT_NAMING:
        return False
    name[0] = <const char*>&_target(c).host[0]
    port[0] = _target(c).port
    return True


cdef void _interleave(const addr_list* found, addr_list* out) noexcept nogil:
    """The same addresses, families taking turns: one that leads nowhere does not hold up the other."""
    cdef int family = zq_addr_family(&found.at[0])
    cdef int first = 0           # next of the first one's family, and next of any other
    cdef int other = 0
    while first < found.n or other < found.n:
        while first < found.n and zq_addr_family(&found.at[first]) != family:
            first += 1
        if first < found.n:
            addr_list_add(out, &found.at[first])
            first += 1
        while other < found.n and zq_addr_family(&found.at[other]) == family:
            other += 1
        if other < found.n:
            addr_list_add(out, &found.at[other])
            other += 1


cdef void connecter_resolved(connecter* c, const addr_list* found, int err) noexcept nogil:
    if c.state != CONNECT_NAMING:
        return
    if found == NULL or found.n <= 0 or found.n > ADDR_LIST_MAX:
        _lose(c, err if err < 0 else -EHOSTUNREACH)
        return
    c.addresses = <addr_list*>calloc(1, sizeof(addr_list))
    if c.addresses == NULL:
        _lose(c, -ENOMEM)
        return
    _interleave(found, c.addresses)
    _move(c, E_GO)


cdef int _bind_source(const connecter* c, int fd, int family) noexcept nogil:
    cdef addr_list here
    cdef int rc = lookup_source(&c.ep, c.opts.ipv6, &here)
    cdef int i
    if rc < 0:
        return rc
    for i in range(here.n):
        if zq_addr_family(&here.at[i]) == family:
            if c.ep.source_port == 0:
                zq_set_bind_no_port(fd)
            else:
                rc = zq_set_reuseaddr(fd)
                if rc < 0:
                    return rc
            return zq_bind(fd, &here.at[i])
    return -EADDRNOTAVAIL


cdef int _open(const connecter* c, const zq_addr* a, int* fd) noexcept nogil:
    """Start one connect.  0 connected, -EINPROGRESS under way, -errno."""
    cdef int family = zq_addr_family(a)
    cdef int rc = stream_socket(family, &c.opts)
    if rc < 0:
        return rc
    fd[0] = rc
    rc = 0
    if c.ep.source_kind != HOST_NONE and family != AF_UNIX:
        rc = _bind_source(c, fd[0], family)
    if rc == 0:
        rc = zq_connect(fd[0], a)
    if rc == 0 and zq_is_self_connected(fd[0]):
        rc = -ECONNREFUSED
    if rc < 0 and rc != -EINPROGRESS:
        fd_close(fd[0])
        fd[0] = -1
    return rc


cdef void _refused(connecter* c, int i, int err) noexcept nogil:
    """Address i is out; its successor need not wait."""
    if c.fds[i] >= 0:
        if c.group >= 0:
            zq_group_remove(c.group, c.fds[i])
        fd_close(c.fds[i])
        c.fds[i] = -1
        c.running -= 1
    # Of several reasons, that a host answered and refused says most.
    if c.refusal == 0 or err == -ECONNREFUSED:
        c.refusal = err
    c.next_ns = 0


cdef void _won(connecter* c, int i, int64_t now_ns) noexcept nogil:
    c.fd = c.fds[i]
    c.fds[i] = -1
    _stop(c)
    if c.talk == NULL:
        _move(c, E_DIRECT)
        return
    if c.opts.proxy_timeout_ms > 0:
        c.proxy_ns = now_ns + <int64_t>c.opts.proxy_timeout_ms * 1000000
    socks_start(&c.talk.client, c.opts.socks, &c.ep)
    _move(c, E_RELAYED)


cdef bint _gathered(connecter* c) noexcept nogil:
    """Another connect can join: those under way are behind one descriptor, or there are none."""
    cdef int i
    if c.running == 0 or c.group >= 0:
        return True
    c.group = fd_ours(zq_group_open())
    if c.group < 0:
        return False
    for i in range(ADDR_LIST_MAX):
        if c.fds[i] >= 0 and zq_group_add(c.group, c.fds[i]) < 0:
            fd_close(c.group)
            c.group = -1
            return False
    return True


cdef void _try(connecter* c, int64_t now_ns) noexcept nogil:
    """TRYING: see who has answered, and let the next address join when it is its turn."""
    cdef int i, rc
    for i in range(c.next):
        if c.fds[i] < 0:
            continue
        rc = zq_connect_result(c.fds[i])
        if rc == 0 and zq_is_self_connected(c.fds[i]):
            rc = -ECONNREFUSED
        if rc == 0:
            _won(c, i, now_ns)
            return
        if rc != -EINPROGRESS:
            _refused(c, i, rc)
    while c.next < c.addresses.n and (c.running == 0 or now_ns >= c.next_ns):
        if not _gathered(c):
            c.next_ns = now_ns + <int64_t>CONNECT_STAGGER_MS * 1000000
            break
        i = c.next
        c.next += 1
        rc = _open(c, &c.addresses.at[i], &c.fds[i])
        if rc == 0:
            _won(c, i, now_ns)
            return
        if rc == -EINPROGRESS and c.group >= 0:
            c.running += 1
            rc = zq_group_add(c.group, c.fds[i])
        elif rc == -EINPROGRESS:
            c.running += 1
            rc = 0
        if rc < 0:
            _refused(c, i, rc)
        else:
            c.next_ns = now_ns + <int64_t>CONNECT_STAGGER_MS * 1000000
    if c.running == 0 and c.next >= c.addresses.n:
        _lose(c, c.refusal)


cdef void _negotiate(connecter* c) noexcept nogil:
    """PROXY: say and hear what SOCKS wants, until it would block."""
    cdef socks_client* s = &c.talk.client
    cdef int way = socks_step(s, c.opts.socks, &c.ep, 0)
    cdef long moved
    while way != SOCKS_OPEN and way != SOCKS_FAILED:
        if way == SOCKS_SEND:
            moved = zq_write(c.fd, s.buf + s.done, s.n - s.done)
        else:
            moved = zq_read(c.fd, s.buf + s.done, s.n - s.done)
            if moved == 0:
                moved = -ECONNABORTED
        if moved == -EAGAIN:
            return
        if moved < 0:
            _lose(c, <int>moved)
            return
        way = socks_step(s, c.opts.socks, &c.ep, <size_t>moved)
    if way == SOCKS_FAILED:
        _lose(c, s.err)
    else:
        _move(c, E_GRANTED)


cdef inline int64_t _sooner(int64_t a, int64_t b) noexcept nogil:
    if a < 0 or b < 0:
        return a if b < 0 else b
    return a if a < b else b


cdef void _await(connecter* c, connect_wait* wait) noexcept nogil:
    cdef int i, way
    wait.fd = -1
    wait.events = 0
    wait.until_ns = -1
    if c.state == CONNECT_NAMING:
        wait.until_ns = c.deadline_ns
    elif c.state == CONNECT_TRYING:
        wait.until_ns = c.deadline_ns
        if c.next < c.addresses.n:
            wait.until_ns = _sooner(c.deadline_ns, c.next_ns)
        wait.fd = c.group
        wait.events = WANT_IN
        if c.group < 0:
            wait.events = WANT_OUT
            for i in range(c.next):
                if c.fds[i] >= 0:
                    wait.fd = c.fds[i]
    elif c.state == CONNECT_PROXY:
        wait.fd = c.fd
        way = socks_step(&c.talk.client, c.opts.socks, &c.ep, 0)
        wait.events = WANT_OUT if way == SOCKS_SEND else WANT_IN
        wait.until_ns = _sooner(c.deadline_ns, c.proxy_ns)


cdef int connecter_step(connecter* c, int64_t now_ns, connect_wait* wait) noexcept nogil:
    if not c.made:
        c.err = -EINVAL
        _await(c, wait)
        return CONNECT_FAILED
    if c.state == CONNECT_IDLE:
        _begin(c, now_ns)
    if c.state == CONNECT_TRYING:
        _try(c, now_ns)
    if c.state == CONNECT_PROXY:
        _negotiate(c)
    # Judged last: who answered in time has won, however late the owner comes to see it.
    if CONNECT_IDLE < c.state < CONNECT_OPEN and c.deadline_ns >= 0 and now_ns >= c.deadline_ns:
        _lose(c, -ETIMEDOUT)
    if c.state == CONNECT_PROXY and c.proxy_ns >= 0 and now_ns >= c.proxy_ns:
        _lose(c, -ETIMEDOUT)
    _await(c, wait)
    return c.state


cdef int connecter_take_fd(connecter* c) noexcept nogil:
    cdef int fd = c.fd
    if c.state != CONNECT_OPEN or fd < 0:
        return -ENOTCONN
    c.fd = -1
    return fd


cdef void connecter_reset(connecter* c) noexcept nogil:
    if not c.made:
        return
    _stop(c)
    fd_close(c.fd)
    c.fd = -1
    c.err = 0
    c.state = CONNECT_IDLE


cdef void connecter_close(connecter* c) noexcept nogil:
    if not c.made:
        return
    connecter_reset(c)
    free(c.talk)
    c.talk = NULL
    stream_opts_free(&c.opts)
    c.made = False
