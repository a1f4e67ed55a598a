"""The tests' access to the stream room: Python objects around listener and connecter, driven by the test itself.

Not for programs: nothing waits, nothing is thread safe, and errors are OSError.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from zcore.address cimport addr_from_numeric, addr_list, addr_list_add, cidr, cidr_parse, zq_addr
from zcore.connecter cimport (
    CONNECT_FAILED,
    CONNECT_IDLE,
    CONNECT_NAMING,
    CONNECT_OPEN,
    CONNECT_PROXY,
    CONNECT_TRYING,
    connect_wait,
    connecter,
    connecter_close,
    connecter_init,
    connecter_name,
    connecter_reset,
    connecter_resolved,
    connecter_step,
    connecter_take_fd,
)
from zcore.descriptors cimport fd_given
from zcore.endpoint cimport ENDPOINT_BIND, ENDPOINT_CONNECT, endpoint, endpoint_parse
from zcore.listener cimport (
    ACCEPT_BROKEN,
    ACCEPT_DONE,
    ACCEPT_LATER,
    ACCEPT_NEXT,
    ACCEPT_NONE,
    accept_verdict,
    accepted,
    listener,
    listener_abandon,
    listener_accept,
    listener_close,
    listener_open,
)
from zcore.platform cimport zq_now_ns
from zcore.socks cimport SOCKS_FAILED, SOCKS_OPEN, SOCKS_RECV, SOCKS_SEND, socks_client, socks_start, socks_step
from zcore.stream cimport (
    FILTER_GID,
    FILTER_PID,
    FILTER_UID,
    ipc_filter,
    peer_facts,
    socks_opts,
    stream_facts,
    stream_incoming_cpu,
    stream_opts,
    stream_opts_init,
)

_VERDICTS = {
    ACCEPT_DONE: "done", ACCEPT_NONE: "none", ACCEPT_NEXT: "next", ACCEPT_LATER: "later", ACCEPT_BROKEN: "broken",
}
_STATES = {
    CONNECT_IDLE: "idle", CONNECT_NAMING: "naming", CONNECT_TRYING: "trying", CONNECT_PROXY: "proxy",
    CONNECT_OPEN: "open", CONNECT_FAILED: "failed",
}
_WAYS = {SOCKS_SEND: "send", SOCKS_RECV: "recv", SOCKS_OPEN: "open", SOCKS_FAILED: "failed"}


def _fail(int rc, what=None):
    import os

    raise OSError(-rc, os.strerror(-rc), what)


cdef class Options:
    """stream_opts from keywords named as its fields.

    Further: filters (a list of ranges), uids, gids, pids (lists of numbers), device (str), proxy, username, password
    (str).  Raises ValueError for a range or a name that is none, MemoryError.
    """
    cdef stream_opts o
    cdef socks_opts socks
    cdef cidr* filters
    cdef ipc_filter* ipc_filters

    def __cinit__(self, **kw):
        cdef bytes raw
        stream_opts_init(&self.o)
        ranges = kw.pop("filters", [])
        ids = [(FILTER_UID, n) for n in kw.pop("uids", [])]
        ids += [(FILTER_GID, n) for n in kw.pop("gids", [])]
        ids += [(FILTER_PID, n) for n in kw.pop("pids", [])]
        self.filters = <cidr*>calloc(len(ranges) + 1, sizeof(cidr))
        self.ipc_filters = <ipc_filter*>calloc(len(ids) + 1, sizeof(ipc_filter))
        if self.filters == NULL or self.ipc_filters == NULL:
            raise MemoryError
        for i, text in enumerate(ranges):
            raw = text.encode()
            if cidr_parse(raw, len(raw), &self.filters[i]) < 0:
                raise ValueError(text)
        for i, (kind, number) in enumerate(ids):
            self.ipc_filters[i].kind = kind
            self.ipc_filters[i].id = number
        self.o.filters = self.filters
        self.o.filters_n = len(ranges)
        self.o.ipc_filters = self.ipc_filters
        self.o.ipc_filters_n = len(ids)
        raw = kw.pop("device", "").encode()
        if len(raw) > 15:
            raise ValueError(raw)
        memcpy(self.o.device, <const char*>raw, len(raw) + 1)
        if "proxy" in kw:
            raw = kw.pop("proxy").encode()
            memcpy(self.socks.proxy, <const char*>raw, min(len(raw), <int>sizeof(self.socks.proxy) - 1))
            raw = kw.pop("username", "").encode()
            self.socks.username_n = min(len(raw), 255)
            memcpy(self.socks.username, <const char*>raw, self.socks.username_n)
            raw = kw.pop("password", "").encode()
            self.socks.password_n = min(len(raw), 255)
            memcpy(self.socks.password, <const char*>raw, self.socks.password_n)
            self.o.socks = &self.socks
        self.o.ipv6 = kw.pop("ipv6", False)
        for key, value in kw.items():
            self._field(key)[0] = value

    cdef int* _field(self, key) except NULL:
        names = ["sndbuf", "rcvbuf", "tos", "priority", "busy_poll", "keepalive", "keepalive_cnt", "keepalive_idle",
                 "keepalive_intvl", "maxrt_ms", "backlog", "use_fd", "connect_timeout_ms", "proxy_timeout_ms"]
        cdef int* fields[14]
        fields[:] = [
            &self.o.sndbuf, &self.o.rcvbuf, &self.o.tos, &self.o.priority, &self.o.busy_poll, &self.o.keepalive,
            &self.o.keepalive_cnt, &self.o.keepalive_idle, &self.o.keepalive_intvl, &self.o.maxrt_ms, &self.o.backlog,
            &self.o.use_fd, &self.o.connect_timeout_ms, &self.o.proxy_timeout_ms,
        ]
        return fields[<int>names.index(key)]

    def __dealloc__(self):
        free(self.filters)
        free(self.ipc_filters)


cdef int _parse(text, int direction, endpoint* out, list keep) except -1:
    cdef bytes raw = text.encode()
    cdef int rc = endpoint_parse(raw, len(raw), out, direction)
    keep.append(raw)
    if rc < 0:
        _fail(rc, text)
    return 0


cdef dict _facts(peer_facts* p):
    return {
        "address": p.address.decode("ascii"),
        "local": p.local.decode(),
        "remote": p.remote.decode(),
        "ids": (p.uid, p.gid, p.pid) if p.has_ids else None,
        "loopback": bool(p.is_loopback),
    }


cdef int _addresses(pairs, addr_list* out) except -1:
    cdef zq_addr a
    cdef bytes host
    out.n = 0
    for name, port in pairs:
        host = name.encode()
        if addr_from_numeric(host, port, &a) < 0:
            raise ValueError(name)
        addr_list_add(out, &a)
    return 0


cdef class Listener:
    """listener_open, listener_accept and listener_close.

    `resolved` is a list of (address, port) to bind in turn instead of what the endpoint says.
    """
    cdef listener l
    cdef bint is_open

    def __cinit__(self, text, resolved=None, **kw):
        cdef Options options = Options(**kw)
        cdef endpoint ep
        cdef addr_list found
        cdef addr_list* given = NULL
        cdef int rc
        keep = []
        _parse(text, ENDPOINT_BIND, &ep, keep)
        if resolved is not None:
            _addresses(resolved, &found)
            given = &found
        with nogil:
            rc = listener_open(&self.l, &ep, given, &options.o)
        if rc < 0:
            _fail(rc, text)
        self.is_open = True

    def __dealloc__(self):
        if self.is_open:
            listener_close(&self.l)

    @property
    def endpoint(self):
        return self.l.text.decode()

    def fileno(self):
        return self.l.fd

    def accept(self):
        """("done", descriptor, facts), or (verdict, errno, None)."""
        cdef accepted one
        cdef int rc = listener_accept(&self.l, &one)
        verdict = _VERDICTS[accept_verdict(rc)]
        if rc < 0:
            return verdict, -rc, None
        return verdict, fd_given(one.fd), _facts(&one.peer)

    def close(self):
        listener_close(&self.l)

    def abandon(self):
        """What a forked child does."""
        listener_abandon(&self.l)


cdef class Connecter:
    """The functions of connecter.pxd.  `step` returns (state, descriptor or -1, events, nanoseconds until or -1)."""
    cdef connecter c
    cdef bint is_open

    def __cinit__(self, text, **kw):
        cdef Options options = Options(**kw)
        cdef endpoint ep
        cdef int rc
        keep = []
        _parse(text, ENDPOINT_CONNECT, &ep, keep)
        rc = connecter_init(&self.c, &ep, &options.o)
        if rc < 0:
            _fail(rc, text)
        self.is_open = True

    def __dealloc__(self):
        if self.is_open:
            connecter_close(&self.c)

    @property
    def err(self):
        return -self.c.err

    @property
    def running(self):
        return self.c.running

    def step(self, now=None):
        cdef connect_wait wait
        cdef int64_t at = zq_now_ns() if now is None else now
        cdef int state = connecter_step(&self.c, at, &wait)
        return _STATES[state], wait.fd, wait.events, wait.until_ns

    def name(self):
        """(name, port) to resolve, or None."""
        cdef const char* name = NULL
        cdef uint32_t port = 0
        if not connecter_name(&self.c, &name, &port):
            return None
        return name.decode(), port

    def resolved(self, pairs, int err=0):
        cdef addr_list found
        _addresses(pairs, &found)
        connecter_resolved(&self.c, &found, -err)

    def take(self):
        cdef int fd = connecter_take_fd(&self.c)
        if fd < 0:
            _fail(fd)
        return fd_given(fd)

    def reset(self):
        connecter_reset(&self.c)

    def close(self):
        connecter_close(&self.c)


cdef class Socks:
    """The negotiation alone: `step` returns (way, bytes to send or number of bytes to receive, errno)."""
    cdef Options options
    cdef endpoint ep
    cdef socks_client s
    cdef int way
    cdef list keep

    def __cinit__(self, text, **kw):
        self.options = Options(proxy="unused:1", **kw)
        self.keep = []
        _parse(text, ENDPOINT_CONNECT, &self.ep, self.keep)
        self.way = socks_start(&self.s, &self.options.socks, &self.ep)

    def step(self, data=b"", int sent=0):
        cdef bytes raw = data
        cdef size_t moved = len(raw) or sent
        if moved > self.s.n - self.s.done:
            raise ValueError("more than was asked for")
        if self.way == SOCKS_RECV and raw:
            memcpy(self.s.buf + self.s.done, <const char*>raw, len(raw))
        if moved:
            self.way = socks_step(&self.s, &self.options.socks, &self.ep, moved)
        if self.way == SOCKS_SEND:
            return "send", bytes(self.s.buf[self.s.done:self.s.n]), 0
        return _WAYS[self.way], self.s.n - self.s.done, -self.s.err


def never_made():
    """What the functions make of zeroed structs: (state, errno of step, errno of take, errno of accept)."""
    cdef connecter c
    cdef listener l
    cdef connect_wait wait
    cdef accepted one
    memset(&c, 0, sizeof(c))
    memset(&l, 0, sizeof(l))
    state = _STATES[connecter_step(&c, 1, &wait)]
    err = -c.err
    connecter_reset(&c)
    connecter_close(&c)
    listener_close(&l)
    listener_abandon(&l)
    return state, err, -connecter_take_fd(&c), -listener_accept(&l, &one)


def facts(int fd, bound="", int transport=3):
    """stream_facts of any descriptor; `transport` is a TRANSPORT_ number (tcp)."""
    cdef peer_facts p
    cdef bytes raw = bound.encode()
    stream_facts(fd, transport, raw, &p)
    return _facts(&p)


def incoming_cpu(int fd):
    return stream_incoming_cpu(fd)
