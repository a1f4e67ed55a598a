"""Handshakes over descriptors; see opening.pxd."""

from libc.errno cimport EAGAIN, ECONNABORTED, ECONNRESET, EFAULT, EINTR, ENOBUFS, ENOMEM, EPIPE, ETIMEDOUT, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset, strncpy

from .connection cimport WIRE_RAW, conn_init
from .descriptors cimport fd_close
from .endpoint cimport TRANSPORT_TCP
from .engine cimport (HS_COUNT_AUTH, HS_COUNT_CROWDED, HS_COUNT_LOCAL, HS_COUNT_LOST, HS_COUNT_PROTOCOL,
                      HS_COUNT_REFUSED, HS_COUNT_TIMEOUT, ept, session, sock)
from .handshake cimport (handshake_authorise, handshake_init, handshake_input, handshake_output, handshake_sent)
from .heartbeat cimport heartbeat_init
from .mechanism cimport (CREDENTIAL_MAX, CURVE_KEY, HS_FAILED, HS_FAIL_AUTH, HS_FAIL_LOCAL, HS_FAIL_PROTOCOL,
                         HS_FAIL_REFUSED, HS_MORE, HS_READY, HS_WAIT_AUTHORISATION, MECHANISM_CURVE, MECHANISM_NULL,
                         MECHANISM_PLAIN, handshake_config, handshake_refuse, handshake_wipe)
from .monitor cimport (EVENT_ACCEPTED, EVENT_CONNECTED, EVENT_HANDSHAKE_FAILED_AUTH, EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                       EVENT_HANDSHAKE_FAILED_PROTOCOL, monitor_emit)
from .option_values cimport obytes
from .patterns cimport RAW
from .platform cimport zq_lock, zq_now_ns, zq_unlock
from .reactor cimport POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, handle, handle_init, handle_set, timer, timer_init, timer_set
from .routing cimport peer
from .sessions cimport session_attach, session_discard, session_known, session_ready
from .stream cimport peer_facts
from .traffic cimport session_failed, traffic_inbox
from .zap cimport ZAP_ASKED, ZAP_NOBODY, zap_answer, zap_ask, zap_forget
from .zmtp cimport announces_identity

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buf, size_t n, int flags)
    ssize_t send(int fd, const void* buf, size_t n, int flags)
    int MSG_DONTWAIT

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    int MSG_NOSIGNAL

cdef enum:
    STRANGERS_MAX = 4096      # accepted connections of one socket whose handshake is not over
    STRANGER_TIME = 1000000000    # ns that each may take even when there are so many

cdef uint32_t _strangers_max = STRANGERS_MAX

# What a handshake is told of our secrets; on the stack, and wiped.
cdef struct secrets:
    uint8_t[CREDENTIAL_MAX] username
    uint8_t[CREDENTIAL_MAX] password
    uint8_t[CURVE_KEY] public_key
    uint8_t[CURVE_KEY] secret_key
    uint8_t[CURVE_KEY] server_key


# --- failure -----------------------------------------------------------------------------------------------

cdef void _count(sock* s, int why) noexcept nogil:
    zq_lock(&s.lock)
    s.hs_failed[why] += 1
    zq_unlock(&s.lock)


cdef void _lost(session* n, int error, int why) noexcept nogil:
    """It ends without a word of the mechanism's."""
    n.c.error = error
    _count(n.s, why)
    monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_NO_DETAIL, -error, n.name)
    session_discard(n)


cdef void _failed(session* n) noexcept nogil:
    cdef int why = n.c.hs.failure
    if why == HS_FAIL_PROTOCOL:
        _count(n.s, HS_COUNT_PROTOCOL)
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_PROTOCOL, n.c.hs.code, n.name)
    elif why == HS_FAIL_AUTH:
        _count(n.s, HS_COUNT_AUTH)
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_AUTH, n.c.hs.code, n.name)
    else:
        _count(n.s, HS_COUNT_REFUSED if why == HS_FAIL_REFUSED else HS_COUNT_LOCAL)
        monitor_emit(n.s, EVENT_HANDSHAKE_FAILED_NO_DETAIL, n.c.hs.code, n.name)
    n.c.error = -ECONNABORTED
    session_discard(n)


# --- bytes -------------------------------------------------------------------------------------------------

cdef int _write_out(session* n) noexcept nogil:
    """Bytes of the handshake: 1 all written, 0 the kernel is full, negative errno."""
    cdef const uint8_t* data
    cdef size_t size = handshake_output(n.c.hs, &data)
    cdef ssize_t k
    while size:
        k = send(n.c.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if k < 0:
            if errno == EINTR:
                continue
            if errno == EAGAIN:
                return 0
            return -errno
        handshake_sent(n.c.hs, <size_t>k)
        size = handshake_output(n.c.hs, &data)
    return 1


cdef int _keep_early(session* n, const uint8_t* data, size_t size) noexcept nogil:
    n.early = <uint8_t*>malloc(size)
    if n.early == NULL:
        return -ENOMEM
    memcpy(n.early, data, size)
    n.early_len = size
    return 0


cdef int _read_in(session* n) noexcept nogil:
    """Feed the handshake what has come; 0, or why the connection is over."""
    cdef uint8_t[8192] buf
    cdef ssize_t got, used
    cdef int rc = 0
    while n.c.hs.state == HS_MORE and rc == 0:
        got = recv(n.c.fd, buf, sizeof(buf), MSG_DONTWAIT)
        if got < 0 and errno == EINTR:
            continue
        if got < 0 and errno == EAGAIN:
            break
        if got <= 0:
            return -errno if got < 0 else -ECONNRESET
        used = handshake_input(n.c.hs, buf, <size_t>got)
        if 0 <= used < got:
            rc = _keep_early(n, buf + used, <size_t>(got - used))
        if n.c.hs.config.mechanism == MECHANISM_PLAIN:
            handshake_wipe(buf, <size_t>got)
    return rc


cdef void _feed_early(session* n) noexcept nogil:
    """What stood behind the command that had to wait for a verdict."""
    cdef ssize_t used = handshake_input(n.c.hs, n.early, n.early_len)
    if used > 0:
        n.early_len -= <size_t>used
        memmove(n.early, n.early + used, n.early_len)
    if n.early_len == 0:
        free(n.early)
        n.early = NULL


# --- authorisation -------------------------------------------------------------------------------------------

cdef void _nobody(session* n) noexcept nogil:
    """There is no authoriser.  CURVE has shown that the peer knows our key, and NULL has nothing to show."""
    if n.c.hs.config.mechanism == MECHANISM_PLAIN or n.zap_enforce:
        # A peer that is told can tell its user; one that is not waits for ever.
        handshake_refuse(n.c.hs, HS_FAIL_LOCAL, EFAULT, b"500")
    else:
        handshake_authorise(n.c.hs, 200)


cdef void _ask(session* n) noexcept nogil:
    cdef int rc
    if n.c.hs.config.mechanism != MECHANISM_NULL and n.zap_enforce and n.zap_domain_len == 0:
        # RFC 27 wants a domain: without one nobody is asked.
        n.zap_enforce = False
        _nobody(n)
        return
    rc = zap_ask(n)
    if rc == ZAP_NOBODY:
        _nobody(n)
    elif rc != ZAP_ASKED:
        handshake_refuse(n.c.hs, HS_FAIL_LOCAL, ENOMEM if rc == -ENOMEM else EFAULT, b"500")


cdef void _answered(session* n) noexcept nogil:
    cdef int code = 0
    cdef int status
    if n.zap == NULL or n.c.closing:
        return
    status = zap_answer(n, &code)
    if status == 0:
        return
    zap_forget(n)
    if status == -EPIPE:
        handshake_refuse(n.c.hs, HS_FAIL_LOCAL, EPIPE, b"500")
    elif status == -ENOMEM:
        handshake_refuse(n.c.hs, HS_FAIL_LOCAL, ENOMEM, b"500")
    elif status < 0:
        handshake_refuse(n.c.hs, HS_FAIL_PROTOCOL, code, b"500")
    else:
        handshake_authorise(n.c.hs, status)
    _advance(n)


cdef void openings_answered(sock* s) noexcept nogil:
    cdef peer* p
    cdef session* n
    while True:
        n = NULL
        zq_lock(&s.lock)
        traffic_inbox(s)
        p = s.answered
        if p != NULL:
            s.answered = p.answer_next
            p.answered = False
            n = <session*>p.asks
        zq_unlock(&s.lock)
        if n == NULL:
            return
        _answered(n)


# --- the handshake -------------------------------------------------------------------------------------------

cdef void _advance(session* n) noexcept nogil:
    """After anything that may have moved the handshake."""
    cdef int rc
    while True:
        if n.c.hs.state == HS_WAIT_AUTHORISATION and n.zap == NULL:
            _ask(n)
        elif n.c.hs.state == HS_MORE and n.early_len:
            _feed_early(n)
        else:
            break
    rc = _write_out(n)
    if n.c.hs.state == HS_FAILED:
        _failed(n)
    elif rc < 0:
        _lost(n, rc, HS_COUNT_LOST)
    elif n.c.hs.state == HS_READY and rc == 1:
        session_attach(n)
    elif n.c.hs.state == HS_MORE:
        handle_set(n.s.rx, &n.h, POLL_IN if rc == 1 else POLL_IN | POLL_OUT)
    else:
        # what the peer says meanwhile has time until the verdict
        handle_set(n.s.rx, &n.h, POLL_OUT if rc == 0 else 0)


cdef void _step(session* n, int revents) noexcept nogil:
    cdef int rc = 0
    if revents & (POLL_IN | POLL_ERR | POLL_HUP):
        rc = _read_in(n)
    if rc < 0 and n.c.hs.state != HS_FAILED:
        _write_out(n)
        _lost(n, rc, HS_COUNT_LOST)
        return
    _advance(n)


cdef void _on_handle(handle* h, int revents) noexcept nogil:
    cdef session* n = <session*>h.owner
    cdef sock* s = n.s
    cdef uint8_t[4096] scrap
    cdef ssize_t got
    cdef bint over
    zq_lock(&s.lock)
    over = n.c.closing        # the application's threads may find out, too
    zq_unlock(&s.lock)
    if over:
        handle_set(s.rx, h, 0)
        return
    if n.ignored:
        # A duplicate identity: connected, and heard by nobody (RFC 28); only its end matters.
        got = recv(n.c.fd, scrap, sizeof(scrap), MSG_DONTWAIT)
        if got == 0 or (got < 0 and errno != EAGAIN and errno != EINTR):
            n.c.error = -ECONNRESET
            session_discard(n)
        return
    if n.active:
        session_ready(n, revents)
    else:
        _step(n, revents)


cdef void _on_limit(timer* t, int64_t now) noexcept nogil:
    cdef session* n = <session*>t.owner
    if n.active:
        zq_lock(&n.s.lock)
        session_failed(n.s, n, -ETIMEDOUT)     # LINGER is over
        zq_unlock(&n.s.lock)
        return
    _lost(n, -ETIMEDOUT, HS_COUNT_TIMEOUT)


cdef bint opening_room(sock* s) noexcept nogil:
    cdef session* n
    cdef bint room = True
    zq_lock(&s.lock)
    n = s.strangers
    if s.nstrangers < _strangers_max or n == NULL:
        n = NULL
    elif zq_now_ns() - n.opened_ns >= STRANGER_TIME:
        session_known(n)
    else:
        n = NULL
        room = False
    zq_unlock(&s.lock)
    if n != NULL:
        _lost(n, -ENOBUFS, HS_COUNT_CROWDED)
    return room


cdef void strangers_limit(uint32_t most) noexcept nogil:
    global _strangers_max
    _strangers_max = most


# --- opening -------------------------------------------------------------------------------------------------

cdef inline const uint8_t* _take(const obytes* from_, uint8_t* to) noexcept nogil:
    if from_.size == 0:
        return NULL
    memcpy(to, from_.data, from_.size)
    return to


cdef void _configure(session* n, handshake_config* cfg, secrets* own) noexcept nogil:
    """[lock] What our side says and demands, as the options say now."""
    cdef sock* s = n.s
    cfg.socket_type = s.type
    _take(&s.opt.routing_id, n.self_id)
    n.self_id_len = s.opt.routing_id.size
    if announces_identity(s.type) and n.self_id_len:
        cfg.identity = n.self_id
        cfg.identity_len = n.self_id_len
    if s.opt.metadata.size:
        n.self_meta = <uint8_t*>malloc(s.opt.metadata.size)
        if n.self_meta != NULL:
            cfg.extra = _take(&s.opt.metadata, n.self_meta)
            cfg.extra_len = s.opt.metadata.size
    cfg.mechanism = s.opt.mechanism
    cfg.as_server = s.opt.as_server != 0
    cfg.listening = n.accepted
    cfg.max_size = s.opt.maxmsgsize
    cfg.allow_downgrade = True
    if cfg.mechanism == MECHANISM_PLAIN and not cfg.as_server:
        cfg.username = _take(&s.opt.plain_username, own.username)
        cfg.username_len = s.opt.plain_username.size
        cfg.password = _take(&s.opt.plain_password, own.password)
        cfg.password_len = s.opt.plain_password.size
    elif cfg.mechanism == MECHANISM_CURVE:
        cfg.public_key = _take(&s.opt.curve_publickey, own.public_key)
        cfg.secret_key = _take(&s.opt.curve_secretkey, own.secret_key)
        cfg.server_key = _take(&s.opt.curve_serverkey, own.server_key)
    n.zap_domain_len = <uint32_t>s.opt.zap_domain.size
    _take(&s.opt.zap_domain, n.zap_domain)
    n.zap_enforce = s.opt.zap_enforce_domain != 0
    cfg.zap_wait = n.zap_domain_len != 0 if cfg.mechanism == MECHANISM_NULL else cfg.as_server


cdef void _enlist(session* n) noexcept nogil:
    """[lock] Into the lists of its socket."""
    cdef sock* s = n.s
    n.next = s.sessions
    if s.sessions != NULL:
        s.sessions.prev = n
    s.sessions = n
    if not n.accepted:
        n.e.live = n
        return
    n.stranger = True
    n.opened_ns = zq_now_ns()
    n.stranger_prev = s.strangers_last
    if s.strangers_last != NULL:
        s.strangers_last.stranger_next = n
    else:
        s.strangers = n
    s.strangers_last = n
    s.nstrangers += 1


cdef int session_open(sock* s, ept* e, int fd, const peer_facts* facts, bint accepted) noexcept nogil:
    cdef session* n = <session*>calloc(1, sizeof(session))
    cdef handshake_config cfg
    cdef secrets own
    cdef int rc = 0
    cdef int64_t limit
    if n == NULL or conn_init(&n.c, fd) < 0:
        free(n)
        fd_close(fd)
        return -ENOMEM
    n.s = s
    n.e = e
    n.accepted = accepted
    n.is_loopback = facts.is_loopback and e.where.transport == TRANSPORT_TCP
    strncpy(n.peer_address, facts.address, sizeof(n.peer_address) - 1)
    if e.name != NULL:
        strncpy(n.name, e.name, sizeof(n.name) - 1)
    handle_init(&n.h, fd, _on_handle, n)
    timer_init(&n.limit, _on_limit, n)
    heartbeat_init(n)
    memset(&cfg, 0, sizeof(cfg))
    zq_lock(&s.lock)
    _configure(n, &cfg, &own)
    limit = s.opt.handshake_ivl
    _enlist(n)
    zq_unlock(&s.lock)
    monitor_emit(s, EVENT_ACCEPTED if accepted else EVENT_CONNECTED, fd, n.name)
    if s.row.traits & RAW or s.opt.router_raw:
        handshake_wipe(&own, sizeof(own))
        n.c.wire = WIRE_RAW
        session_attach(n)
        return 0
    rc = handshake_init(n.c.hs, &cfg)
    handshake_wipe(&own, sizeof(own))
    if rc < 0:
        _lost(n, rc, HS_COUNT_LOCAL)
        return 0
    if limit > 0:
        timer_set(s.rx, &n.limit, zq_now_ns() + limit * 1000000)
    rc = handle_set(s.rx, &n.h, POLL_IN)
    if rc < 0:
        n.c.error = rc
        session_discard(n)
        return 0
    _step(n, 0)
    return 0
