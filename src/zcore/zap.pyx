"""Requests to an authoriser and what it answers; see zap.pxd."""

from libc.errno cimport ENOMEM, EPIPE, EPROTO
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from .ctx cimport ctx_name, inproc_name
from .engine cimport session, sock
from .inproc cimport link, link_leave, link_limits, link_new, link_put, link_ref, link_take
from .limits cimport limits
from .mechanism cimport handshake
from .message cimport MSG_COMMAND, MSG_MORE, zmsg, zmsg_copy_bytes, zmsg_data, zmsg_init, zmsg_release, zmsg_size
from .patterns cimport WRAP_IDENTITY, WRAP_NUMBER
from .peers cimport peer_make
from .platform cimport zq_latch_close, zq_latch_open, zq_lock, zq_unlock
from .routing cimport (NEWS_GONE, NEWS_READABLE, PEER_INPROC, peer, peer_free, peer_new, routing_add,
                       routing_name_generated, routing_readable, routing_remove, routing_writable)
from .traffic cimport (peer_notify, sock_ref, sock_unref, sock_wake, traffic_bury, traffic_inbox, traffic_settle, wakes,
                       wakes_run)
from .zmtp cimport TYPE_REP, TYPE_ROUTER, TYPE_SERVER, next_property, property_size, put_property, zmtp_property

cdef enum:
    REQUEST_MAX = 9           # parts: delimiter, six of every request, two credentials
    REPLY_PARTS = 7

cdef const char* ADDRESS = b"zeromq.zap.01"


# --- asking ------------------------------------------------------------------------------------------------

cdef sock* _bound(session* n) noexcept nogil:
    """Whoever answers here, with a reference; NULL: nobody."""
    cdef sock* found = NULL
    cdef inproc_name* entry
    zq_lock(&n.s.x.lock)
    entry = ctx_name(n.s.x, ADDRESS, strlen(ADDRESS), False)
    if entry != NULL and entry.sock != NULL:
        found = <sock*>entry.sock
        sock_ref(found)
    zq_unlock(&n.s.x.lock)
    return found


cdef int _request(session* n, zmsg* parts) noexcept nogil:
    """The parts of a request: how many, or -ENOMEM; all of them are to be released."""
    cdef handshake* h = n.c.hs
    cdef const uint8_t* data[REQUEST_MAX]
    cdef size_t size[REQUEST_MAX]
    cdef int count = 7
    cdef int k
    cdef int rc = 0
    data[0] = NULL                # the delimiter that a REP wants
    size[0] = 0
    data[1] = <const uint8_t*>b"1.0"
    size[1] = 3
    data[2] = <const uint8_t*>b"1"    # one request is all that is ever asked on this way
    size[2] = 1
    data[3] = n.zap_domain
    size[3] = n.zap_domain_len
    data[4] = <const uint8_t*>n.peer_address
    size[4] = strlen(n.peer_address)
    # RFC 27 wants the peer's name.  Where it has none, or has not said it yet, handlers written for libzmq get what
    # they know from there: the name of the socket that asks.
    data[5] = h.identity
    size[5] = h.identity_len
    if h.identity_len == 0:
        data[5] = n.self_id
        size[5] = n.self_id_len
    data[6] = <const uint8_t*>h.ops.name
    size[6] = strlen(h.ops.name)
    for k in range(h.ncredentials):
        data[count] = h.credentials[k]
        size[count] = h.credential_len[k]
        count += 1
    for k in range(count):
        zmsg_init(&parts[k])
        if rc == 0:
            rc = zmsg_copy_bytes(&parts[k], data[k], size[k])
        parts[k].flags = MSG_MORE if k + 1 < count else 0
    if rc < 0:
        for k in range(count):
            zmsg_release(&parts[k])
    return rc if rc < 0 else count


cdef int _deliver(sock* b, link* k, zmsg* parts, int count) noexcept nogil:
    """Make the authoriser's end of the way, with the request in it.  ZAP_ASKED, ZAP_NOBODY, -ENOMEM."""
    cdef peer* q = NULL
    cdef bint wake
    cdef int rc
    zq_lock(&b.lock)
    if b.closed:
        zq_unlock(&b.lock)
        return ZAP_NOBODY
    q = peer_make(b, PEER_INPROC)
    rc = -ENOMEM if q == NULL else routing_add(&b.r, q)
    if rc == 0:
        link_ref(k)
        q.lnk = k
        q.side = 1
        q.multipart = True
        if b.row.wrap == WRAP_IDENTITY or b.row.wrap == WRAP_NUMBER:
            rc = routing_name_generated(&b.r, q)
    if rc == 0:
        zq_latch_close(&k.lock)
        k.ends[1] = q
        zq_latch_open(&k.lock)
        rc = link_put(k, 0, NULL, 0, parts, <uint32_t>count, False, &wake)
    if rc == 0:
        routing_writable(&b.r, q)
        routing_readable(&b.r, q)
        sock_wake(b)
    elif q != NULL:
        routing_remove(&b.r, q)
        if q.lnk != NULL:
            traffic_bury(b, q)
        else:
            peer_free(q)
    zq_unlock(&b.lock)
    return rc


cdef int zap_ask(session* n) noexcept nogil:
    cdef zmsg[REQUEST_MAX] parts
    cdef limits none
    cdef peer* p
    cdef sock* b = _bound(n)
    cdef int count
    cdef int k
    cdef int rc
    if b == NULL:
        return ZAP_NOBODY
    if b.type != TYPE_REP and b.type != TYPE_ROUTER and b.type != TYPE_SERVER:
        sock_unref(b)
        return ZAP_UNFIT
    count = _request(n, parts)
    p = peer_new(PEER_INPROC)
    if p != NULL:
        p.lnk = link_new()
    if count < 0 or p == NULL or p.lnk == NULL:
        rc = -ENOMEM
    else:
        memset(&none, 0, sizeof(none))
        link_limits(p.lnk, 1, &none, &none)
        p.owner = n.s
        p.asks = n
        p.lnk.ends[0] = p
        n.zap = p
        rc = _deliver(b, p.lnk, parts, count)
    for k in range(count):
        zmsg_release(&parts[k])
    if n.zap != NULL and rc != ZAP_ASKED:
        zap_forget(n)
    elif n.zap == NULL and p != NULL:
        peer_free(p)
    sock_unref(b)
    return rc


# --- hearing -----------------------------------------------------------------------------------------------

cdef bint _says(zmsg* m, const char* text) noexcept nogil:
    cdef size_t n = strlen(text)
    return zmsg_size(m) == n and memcmp(zmsg_data(m), text, n) == 0


cdef int _status(zmsg* m) noexcept nogil:
    cdef const uint8_t* p = zmsg_data(m)
    if zmsg_size(m) != 3 or p[1] != 48 or p[2] != 48 or not 50 <= p[0] <= 53:
        return 0
    return (p[0] - 48) * 100


cdef bint _is_list(zmsg* m) noexcept nogil:
    cdef const uint8_t* at = zmsg_data(m)
    cdef const uint8_t* end = at + zmsg_size(m)
    cdef zmtp_property found
    cdef int rc = 1
    while rc > 0:
        rc = next_property(&at, end, &found)
    return rc == 0


cdef int _keep(session* n, zmsg* user, zmsg* more) noexcept nogil:
    """User-Id, and the properties of the authoriser's own behind it."""
    cdef size_t first = property_size(7, zmsg_size(user))
    n.said = <uint8_t*>malloc(first + zmsg_size(more))
    if n.said == NULL:
        return -ENOMEM
    put_property(n.said, b"User-Id", 7, zmsg_data(user), zmsg_size(user))
    memcpy(n.said + first, zmsg_data(more), zmsg_size(more))
    n.said_len = first + zmsg_size(more)
    return 0


cdef int _judge(session* n, zmsg* parts, int count, int* code) noexcept nogil:
    cdef int status
    cdef int rc
    code[0] = 0
    if count != REPLY_PARTS or zmsg_size(&parts[0]) != 0:
        code[0] = PROTOCOL_ERROR_ZAP_MALFORMED_REPLY
    elif not _says(&parts[1], b"1.0"):
        code[0] = PROTOCOL_ERROR_ZAP_BAD_VERSION
    elif not _says(&parts[2], b"1"):
        code[0] = PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID
    elif _status(&parts[3]) == 0:
        code[0] = PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE
    elif not _is_list(&parts[6]):
        code[0] = PROTOCOL_ERROR_ZAP_INVALID_METADATA
    if code[0]:
        return -EPROTO
    status = _status(&parts[3])
    if status == 200:
        free(n.said)
        n.said = NULL
        rc = _keep(n, &parts[5], &parts[6])
        if rc < 0:
            return rc
    return status


cdef int zap_answer(session* n, int* code) noexcept nogil:
    cdef zmsg[REPLY_PARTS] parts
    cdef zmsg m
    cdef link* k = n.zap.lnk
    cdef bint credit, gone
    cdef bint more = True
    cdef int count = 0
    cdef int i, rc
    zq_latch_close(&k.lock)
    gone = n.zap.gone or k.ends[1] == NULL
    zq_latch_open(&k.lock)
    # A message is put as a whole, so its parts are all there or none is.
    while more and link_take(k, 0, &m, &credit):
        if m.flags & MSG_COMMAND:
            zmsg_release(&m)
            continue
        more = (m.flags & MSG_MORE) != 0
        if count < REPLY_PARTS:
            parts[count] = m
        else:
            zmsg_release(&m)
        count += 1
    if count == 0:
        return -EPIPE if gone else 0
    rc = _judge(n, parts, count, code)
    for i in range(count if count < REPLY_PARTS else REPLY_PARTS):
        zmsg_release(&parts[i])
    return rc


cdef void zap_forget(session* n) noexcept nogil:
    cdef sock* s = n.s
    cdef peer* p = n.zap
    cdef peer** at
    cdef wakes w
    if p == NULL:
        return
    n.zap = NULL
    w.n = 0
    zq_lock(&s.lock)
    peer_notify(p, NEWS_GONE | NEWS_READABLE, &w)
    # From here nobody can put it into our inbox; it may be there already.
    link_leave(p.lnk, 0)
    traffic_inbox(s)
    at = &s.answered
    while at[0] != NULL and at[0] != p:
        at = &at[0].answer_next
    if at[0] == p:
        at[0] = p.answer_next
    peer_free(p)
    traffic_settle(s, &w)
    zq_unlock(&s.lock)
    wakes_run(&w)
