"""The table of socket types, and the strategies its rows name."""

from libc.errno cimport EAGAIN, EHOSTUNREACH, EINVAL, ENOMEM
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from .errno_zmq cimport EFSM, ENOTSUP
from .inproc cimport link_put, link_put_quick, link_put_run, link_quick, link_quick_pop, link_run, link_run_pop
from .limits cimport DROP_FILTERED, DROP_PEER_GONE, below_half
from .message cimport (MK_OBJECT, MSG_MORE, zmsg, zmsg_copy_bytes, zmsg_data, zmsg_init, zmsg_own, zmsg_release, zmsg_set_inline,
                       zmsg_size)
from .pipe cimport inq_bytes, inq_quick, inq_quick_pop, outq_push_bytes, outq_room, part, put_quick
from .platform cimport zq_load32
from .pubsub cimport fanout_send, groups_match, groups_send, topics_match, upstream_send, upward_peek, upward_pop
from .routing cimport (MK_SHARED, PEER_INPROC, PEER_STREAM, peer, peer_blocks, peer_peek, peer_pop, peer_put, peer_refuse, peer_room,
                       peer_skip, routing, routing_choose, routing_chosen, routing_dirty, routing_find,
                       routing_by_serial, routing_next_turn, routing_resume, routing_unready)
from .zmtp cimport (SOCKET_TYPES, TYPE_CHANNEL, TYPE_CLIENT, TYPE_DEALER, TYPE_DGRAM, TYPE_DISH, TYPE_GATHER,
                    TYPE_PAIR, TYPE_PEER, TYPE_PUB, TYPE_PULL, TYPE_PUSH, TYPE_RADIO, TYPE_REP, TYPE_REQ,
                    TYPE_ROUTER, TYPE_SCATTER, TYPE_SERVER, TYPE_STREAM, TYPE_SUB, TYPE_XPUB, TYPE_XSUB)

cdef pattern[21] _rows


cdef void _row(int type, int send, int recv, int wrap, int traits) noexcept nogil:
    _rows[type].type = type
    _rows[type].send = <uint8_t>send
    _rows[type].recv = <uint8_t>recv
    _rows[type].wrap = <uint8_t>wrap
    _rows[type].traits = <uint8_t>traits


cdef void _fill() noexcept nogil:
    # RFC 28 (request-reply)
    _row(TYPE_REQ, SEND_BALANCE, RECV_FAIR, WRAP_REQ, 0)
    _row(TYPE_REP, SEND_PARTNER, RECV_FAIR, WRAP_REP, DROPS)
    _row(TYPE_DEALER, SEND_BALANCE, RECV_FAIR, WRAP_NONE, 0)
    _row(TYPE_ROUTER, SEND_IDENTITY, RECV_FAIR, WRAP_IDENTITY, DROPS)
    # RFC 29 (publish-subscribe)
    _row(TYPE_PUB, SEND_FANOUT, RECV_NONE, WRAP_NONE, EAGER | DROPS | ALWAYS_OUT)
    _row(TYPE_SUB, SEND_NONE, RECV_FAIR, WRAP_TOPICS, 0)
    _row(TYPE_XPUB, SEND_FANOUT, RECV_UPWARD, WRAP_NONE, EAGER | DROPS | ALWAYS_OUT)
    _row(TYPE_XSUB, SEND_UPSTREAM, RECV_FAIR, WRAP_TOPICS, DROPS | ALWAYS_OUT)
    # RFC 30 (pipeline)
    _row(TYPE_PUSH, SEND_BALANCE, RECV_NONE, WRAP_NONE, 0)
    _row(TYPE_PULL, SEND_NONE, RECV_FAIR, WRAP_NONE, 0)
    # RFC 31 (exclusive pair), 52 (CHANNEL)
    _row(TYPE_PAIR, SEND_ONLY, RECV_FAIR, WRAP_NONE, ONE_PEER)
    _row(TYPE_CHANNEL, SEND_ONLY, RECV_FAIR, WRAP_NONE, ONE_PEER | SINGLE_PART | THREAD_SAFE_TYPE)
    # raw tcp
    _row(TYPE_STREAM, SEND_IDENTITY, RECV_FAIR, WRAP_IDENTITY, RAW)
    # RFC 41 (client-server), 51 (peer to peer)
    _row(TYPE_CLIENT, SEND_BALANCE, RECV_FAIR, WRAP_NONE, SINGLE_PART | THREAD_SAFE_TYPE)
    _row(TYPE_SERVER, SEND_NUMBER, RECV_FAIR, WRAP_NUMBER, SINGLE_PART | THREAD_SAFE_TYPE | ALWAYS_OUT)
    _row(TYPE_PEER, SEND_NUMBER, RECV_FAIR, WRAP_NUMBER, SINGLE_PART | THREAD_SAFE_TYPE | ALWAYS_OUT)
    # RFC 48 (radio-dish)
    _row(TYPE_RADIO, SEND_GROUP, RECV_NONE, WRAP_NONE, EAGER | DROPS | ALWAYS_OUT | THREAD_SAFE_TYPE)
    _row(TYPE_DISH, SEND_NONE, RECV_FAIR, WRAP_GROUP, THREAD_SAFE_TYPE)
    # RFC 49 (scatter-gather)
    _row(TYPE_SCATTER, SEND_BALANCE, RECV_NONE, WRAP_NONE, SINGLE_PART | THREAD_SAFE_TYPE)
    _row(TYPE_GATHER, SEND_NONE, RECV_FAIR, WRAP_NONE, SINGLE_PART | THREAD_SAFE_TYPE)


cdef const pattern* pattern_of(int type) noexcept nogil:
    if type < 0 or type >= SOCKET_TYPES or type == TYPE_DGRAM:
        return NULL
    return &_rows[type]


# --- sending ---------------------------------------------------------------------------------------------

cdef inline int _send_plain(routing* r, zmsg* m) noexcept nogil:
    """The hot path of _send_balance: one part to the peer whose turn it is, a small one if it goes to a stream. 1: not such
    a case, and nothing has happened."""
    cdef peer* p
    cdef bint first
    if r.turn_now >= r.active:
        return 1
    p = r.turns[r.turn_now]
    if p.kind == PEER_INPROC:
        if (not p.usable or p.gone or zq_load32(&p.lnk.dir[p.side].full) or zmsg_own(m) < 0
                or link_put(p.lnk, p.side, NULL, 0, m, 1, False, &first) < 0):
            return 1
        if first:
            routing_dirty(r, p)     # behind others it need not be told of: who reads goes on until there are none
    elif p.out.full or not p.usable or m.lent or put_quick(&p.out, zmsg_data(m), zmsg_size(m)):
        return 1
    else:
        routing_dirty(r, p)
    routing_chosen(r)
    return 0


cdef sent_small route_send_small(routing* r, const uint8_t* data, size_t size, void* owner) noexcept nogil:
    cdef peer* p
    cdef bint first
    cdef sent_small how = SMALL_COPIED
    if _rows[r.type].send != SEND_BALANCE or _rows[r.type].wrap == WRAP_REQ or r.turn_now >= r.active:
        return SMALL_NOT
    p = r.turns[r.turn_now]
    if not p.usable:
        return SMALL_NOT
    if p.kind == PEER_STREAM:
        if p.out.full or put_quick(&p.out, data, size):
            return SMALL_NOT
        routing_dirty(r, p)
    else:
        if p.gone or not link_put_quick(p.lnk, p.side, data, size, owner, &first):
            return SMALL_NOT
        how = SMALL_KEPT
        if first:
            routing_dirty(r, p)
    routing_chosen(r)
    return how


cdef uint32_t route_send_run(routing* r, zmsg* parts, uint32_t n) noexcept nogil:
    cdef peer* p
    cdef uint32_t taken
    cdef bint wake
    if _rows[r.type].send != SEND_BALANCE or _rows[r.type].wrap == WRAP_REQ or r.active != 1:
        return 0
    p = r.turns[0]
    if p.kind != PEER_INPROC or not p.usable or p.gone or zq_load32(&p.lnk.dir[p.side].full):
        return 0
    taken = link_put_run(p.lnk, p.side, parts, n, &wake)
    if wake:
        routing_dirty(r, p)
    return taken


cdef int _send_balance(routing* r, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, peer** who) noexcept nogil:
    cdef peer* p
    cdef int rc
    while True:
        p = routing_choose(r)
        if p == NULL:
            return -EAGAIN
        rc = peer_put(r, p, pre, npre, parts, n)
        if rc == -EAGAIN:
            continue           # it has no room after all, and so leaves the round
        if rc >= 0:
            who[0] = p
            routing_chosen(r)
            return 0
        return rc


cdef int _req_state(routing* r) noexcept nogil:
    return -EFSM if r.awaiting and not r.opt.req_relaxed else 0


cdef int _send_req(routing* r, zmsg* parts, uint32_t n) noexcept nogil:
    cdef zmsg[2] pre
    cdef uint8_t[4] id
    cdef uint32_t npre = 0
    cdef peer* who = NULL
    cdef peer* before = r.partner
    cdef int rc = _req_state(r)
    if rc < 0:
        return rc
    if r.opt.req_correlate:
        r.request_id += 1
        id[0] = <uint8_t>(r.request_id >> 24)
        id[1] = <uint8_t>(r.request_id >> 16)
        id[2] = <uint8_t>(r.request_id >> 8)
        id[3] = <uint8_t>r.request_id
        zmsg_init(&pre[0])
        zmsg_set_inline(&pre[0], id, 4)
        npre = 1
    zmsg_init(&pre[npre])
    zmsg_set_inline(&pre[npre], id, 0)
    npre += 1
    rc = _send_balance(r, pre, npre, parts, n, &who)
    if rc < 0:
        return rc
    if r.awaiting and before != NULL and not r.opt.req_correlate:
        # Nothing on the wire tells the old reply from the new one: only closing the old way does.
        before.close_wanted = True
        routing_dirty(r, before)
    if r.in_body:
        if r.current != NULL:
            peer_skip(r, r.current)
        r.in_body = False
        r.current = NULL
    r.partner = who
    r.partner_gone = False
    r.awaiting = True
    return 0


cdef void _free_envelope(routing* r) noexcept nogil:
    cdef uint32_t i
    for i in range(r.nenvelope):
        zmsg_release(&r.envelope[i])
    r.nenvelope = 0


cdef int _send_rep(routing* r, zmsg* parts, uint32_t n) noexcept nogil:
    cdef int rc
    if not r.awaiting:
        return -EFSM
    rc = -EAGAIN
    if r.partner != NULL and r.partner.usable:
        rc = peer_put(r, r.partner, r.envelope, r.nenvelope, parts, n)
        if rc == -EAGAIN and peer_blocks(r.partner):
            return rc
    if rc == -ENOMEM:
        return rc
    if rc < 0:
        # RFC 28: a reply that cannot be sent now is dropped
        if r.partner == NULL or not r.partner.usable:
            r.dropped[DROP_PEER_GONE] += 1
        else:
            peer_refuse(r.partner, False)
    _free_envelope(r)
    r.awaiting = False
    r.partner = NULL
    return 0


cdef int _send_identity(routing* r, zmsg* parts, uint32_t n) noexcept nogil:
    cdef peer* p
    cdef int rc
    cdef bint raw = r.type == TYPE_STREAM or r.opt.router_raw
    cdef bint strict = r.opt.router_mandatory or r.type == TYPE_STREAM
    p = routing_find(r, zmsg_data(&parts[0]), zmsg_size(&parts[0]))
    if p == NULL or p.gone:
        if strict:
            return -EHOSTUNREACH
        r.dropped[DROP_PEER_GONE] += 1
        return 0
    if n < 2:
        r.dropped[DROP_FILTERED] += 1      # an address without a message
        return 0
    if raw and p.kind == PEER_STREAM:
        if zmsg_size(&parts[1]) == 0:
            p.close_wanted = True
            routing_dirty(r, p)
            return 0
        if not outq_room(&p.out):
            rc = -EAGAIN
        else:
            rc = outq_push_bytes(&p.out, zmsg_data(&parts[1]), zmsg_size(&parts[1]), 0)
            if rc == 0:
                p.out.books.accepted += 1
                p.out.full = p.out.lim.messages != 0 and p.out.nmsgs >= p.out.lim.messages
                routing_dirty(r, p)
    elif (strict or peer_blocks(p)) and not peer_room(p):
        rc = -EAGAIN           # who waits goes on when half is free; who drops looks anew for each message
    else:
        rc = peer_put(r, p, NULL, 0, parts + 1, n - 1)
    if rc == -EAGAIN and not strict and not peer_blocks(p):
        peer_refuse(p, False)
        return 0
    return 0 if rc > 0 else rc


cdef int _send_number(routing* r, zmsg* parts, uint32_t n) noexcept nogil:
    cdef peer* p = routing_by_serial(r, parts[0].routing_id)
    cdef int rc
    if n > 1 and (p == NULL or not p.multipart):
        return -EINVAL
    if p == NULL or p.gone:
        return -EHOSTUNREACH
    if not peer_room(p):
        return -EAGAIN
    rc = peer_put(r, p, NULL, 0, parts, n)
    return 0 if rc > 0 else rc


cdef int _send_only(routing* r, zmsg* parts, uint32_t n) noexcept nogil:
    cdef int rc
    cdef uint32_t i
    for i in range(r.npeers):
        if not r.peers[i].gone and not r.peers[i].leaving:
            if not peer_room(r.peers[i]):
                return -EAGAIN
            rc = peer_put(r, r.peers[i], NULL, 0, parts, n)
            return 0 if rc > 0 else rc
    return -EAGAIN


cdef int route_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil:
    cdef const pattern* row = &_rows[r.type]
    cdef peer* who
    if row.traits & SINGLE_PART and n > 1 and row.send != SEND_NUMBER:
        return -EINVAL
    if row.send == SEND_BALANCE:
        if row.wrap == WRAP_REQ:
            return _send_req(r, parts, n)
        if n == 1 and _send_plain(r, parts) == 0:
            return 0
        return _send_balance(r, NULL, 0, parts, n, &who)
    if row.send == SEND_FANOUT:
        return fanout_send(r, parts, n, gil)
    if row.send == SEND_IDENTITY:
        return _send_identity(r, parts, n)
    if row.send == SEND_PARTNER:
        return _send_rep(r, parts, n)
    if row.send == SEND_ONLY:
        return _send_only(r, parts, n)
    if row.send == SEND_NUMBER:
        return _send_number(r, parts, n)
    if row.send == SEND_UPSTREAM:
        return upstream_send(r, parts, n, gil)
    if row.send == SEND_GROUP:
        return groups_send(r, parts, n, gil)
    return -ENOTSUP


cdef int route_send_check(routing* r, zmsg* first) noexcept nogil:
    cdef const pattern* row = &_rows[r.type]
    cdef peer* p
    cdef int rc
    if row.traits & SINGLE_PART or row.send == SEND_GROUP:
        return -EINVAL
    if row.send == SEND_NONE:
        return -ENOTSUP
    if row.send == SEND_BALANCE:
        rc = _req_state(r) if row.wrap == WRAP_REQ else 0
        if rc < 0:
            return rc
        return 0 if routing_choose(r) != NULL else -EAGAIN
    if row.send == SEND_PARTNER:
        return 0 if r.awaiting else -EFSM
    if row.send == SEND_ONLY:
        return 0 if route_can_send(r) else -EAGAIN
    if row.send == SEND_IDENTITY and (r.opt.router_mandatory or r.type == TYPE_STREAM):
        p = routing_find(r, zmsg_data(first), zmsg_size(first))
        if p == NULL or p.gone:
            return -EHOSTUNREACH
        return 0 if peer_room(p) else -EAGAIN
    return 0


cdef bint route_can_send(routing* r) noexcept nogil:
    cdef const pattern* row = &_rows[r.type]
    cdef uint32_t i
    if row.traits & ALWAYS_OUT:
        return True
    if row.send == SEND_BALANCE:
        if row.wrap == WRAP_REQ and _req_state(r) < 0:
            return False
        return routing_choose(r) != NULL
    if row.send == SEND_PARTNER:
        return r.awaiting
    if row.send == SEND_ONLY or (row.send == SEND_IDENTITY and r.opt.router_mandatory):
        for i in range(r.npeers):
            if not r.peers[i].gone and peer_room(r.peers[i]):
                return True
        return False
    return row.send == SEND_IDENTITY


# --- receiving -------------------------------------------------------------------------------------------

cdef int _open_rep(routing* r, peer* p) noexcept nogil:
    """Keep the frames up to and including the empty one. 1, 0 (no request: skipped), -ENOMEM."""
    cdef part at
    cdef zmsg* bigger
    _free_envelope(r)
    while True:
        if not peer_peek(r, p, &at):
            return 0
        if not at.flags & MSG_MORE:
            _free_envelope(r)
            peer_skip(r, p)
            return 0
        if r.nenvelope == r.envelope_cap:
            bigger = <zmsg*>realloc(r.envelope, (r.envelope_cap * 2 + 4) * sizeof(zmsg))
            if bigger == NULL:
                return -ENOMEM
            r.envelope = bigger
            r.envelope_cap = r.envelope_cap * 2 + 4
        zmsg_init(&r.envelope[r.nenvelope])
        if zmsg_copy_bytes(&r.envelope[r.nenvelope], at.data, at.size) < 0:
            return -ENOMEM
        r.nenvelope += 1
        peer_pop(r, p, &at, False)
        if at.size == 0:
            return 1


cdef bint _open_req(routing* r, peer* p) noexcept nogil:
    """Strip what stands in front of a reply. False: it was none of ours, and is gone."""
    cdef part at
    cdef uint32_t id
    if not peer_peek(r, p, &at):
        return False
    if r.opt.req_correlate:
        id = 0
        if at.size == 4:
            id = (<uint32_t>at.data[0] << 24) | (<uint32_t>at.data[1] << 16) | (<uint32_t>at.data[2] << 8) | at.data[3]
        if at.size != 4 or not at.flags & MSG_MORE or id != r.request_id:
            peer_skip(r, p)
            return False
        peer_pop(r, p, &at, False)
        if not peer_peek(r, p, &at):
            return False
    if at.size != 0 or not at.flags & MSG_MORE:
        peer_skip(r, p)
        if p.kind == PEER_STREAM:
            p.close_wanted = True
            routing_dirty(r, p)
        return False
    peer_pop(r, p, &at, False)
    return True


cdef bint _open_dish(routing* r, peer* p) noexcept nogil:
    cdef part at
    if not peer_peek(r, p, &at):
        return False
    if not at.flags & MSG_MORE or at.size > 255 or not groups_match(r, at.data, at.size):
        peer_skip(r, p)
        return False
    memcpy(r.group, at.data, at.size)
    r.group_len = <uint32_t>at.size
    peer_pop(r, p, &at, False)
    if not peer_peek(r, p, &at):
        return False
    if at.flags & MSG_MORE:
        peer_skip(r, p)
        return False
    return True


cdef void _no_input(routing* r, peer* p) noexcept nogil:
    routing_unready(r, p)
    if p.gone:
        routing_dirty(r, p)       # nothing keeps it any longer


cdef int route_peek(routing* r, part* out) noexcept nogil:
    cdef const pattern* row = &_rows[r.type]
    cdef peer* p
    cdef int rc
    if row.recv != RECV_FAIR:
        return upward_peek(r, out) if row.recv == RECV_UPWARD else -ENOTSUP
    if row.wrap == WRAP_REP and r.awaiting:
        return -EFSM
    if row.wrap == WRAP_REQ and not r.awaiting:
        return -EFSM
    if r.current != NULL:
        if peer_peek(r, r.current, out):
            return 1
        r.current = NULL       # its connection was cut off by the owner: the rest is gone
        r.in_body = False
    while r.ready != NULL:
        p = r.ready
        if row.wrap == WRAP_REQ and p != r.partner:
            peer_skip(r, p)
            if not peer_peek(r, p, out):
                _no_input(r, p)
            continue
        if not peer_peek(r, p, out):
            _no_input(r, p)
            continue
        if row.wrap == WRAP_NONE or row.wrap == WRAP_NUMBER:
            if row.traits & SINGLE_PART and out.flags & MSG_MORE and not p.multipart:
                r.more_refused += 1
                peer_skip(r, p)
                continue
            return 1
        if row.wrap == WRAP_TOPICS:
            if topics_match(r, out.data, out.size):
                return 1
            peer_skip(r, p)
            routing_next_turn(r)
            continue
        if row.wrap == WRAP_IDENTITY:
            out.data = p.identity
            out.size = p.identity_len
            out.flags = MSG_MORE
            out.kind = MK_SHARED
            out.owner = &p.identity_obj
            return 1
        if row.wrap == WRAP_REP:
            rc = _open_rep(r, p)
            if rc < 0:
                return rc
        elif row.wrap == WRAP_REQ:
            rc = _open_req(r, p)
        else:
            rc = _open_dish(r, p)
        if rc:
            r.current = p
            r.in_body = True
            if peer_peek(r, p, out):
                return 1
            r.current = NULL
            r.in_body = False
    return 0


cdef peer* route_quick(routing* r, part* out) noexcept nogil:
    cdef peer* p = r.ready
    cdef const pattern* row = &_rows[r.type]
    cdef zmsg* m
    if p == NULL or r.current != NULL or row.recv != RECV_FAIR:
        return NULL
    if row.wrap != WRAP_NONE and row.wrap != WRAP_TOPICS and row.wrap != WRAP_NUMBER:
        return NULL
    if p.kind == PEER_STREAM:
        if not inq_quick(&p.inn, out):
            return NULL
    else:
        m = NULL if r.holding else link_quick(p.lnk, p.side)
        if m == NULL:
            return NULL
        out.kind = MK_OBJECT
        out.owner = m.body.ref.owner
        out.data = m.body.ref.data
        out.size = m.body.ref.size
    if row.wrap == WRAP_TOPICS and not topics_match(r, out.data, out.size):
        return NULL
    return p


cdef void route_quick_pop(routing* r, peer* p, part* at) noexcept nogil:
    cdef bint credit
    r.ready = p.ready_next
    if p.kind != PEER_STREAM:
        link_quick_pop(p.lnk, p.side, &credit)
        if credit:
            routing_dirty(r, p)
        return
    inq_quick_pop(&p.inn, at)
    if p.inn.paused and below_half(&p.inn.lim, p.inn.nmsgs, inq_bytes(&p.inn)):
        routing_resume(r, p)


cdef zmsg* route_quick_run(routing* r, uint32_t* n) noexcept nogil:
    cdef peer* p = r.ready
    cdef const pattern* row = &_rows[r.type]
    if p == NULL or p.ready_next != p or p.kind != PEER_INPROC or r.current != NULL or r.holding:
        return NULL
    if row.recv != RECV_FAIR or (row.wrap != WRAP_NONE and row.wrap != WRAP_NUMBER):
        return NULL
    return link_run(p.lnk, p.side, n)


cdef void route_quick_run_pop(routing* r, uint32_t n, size_t size) noexcept nogil:
    cdef bint credit
    link_run_pop(r.ready.lnk, r.ready.side, n, size, &credit)
    if credit:
        routing_dirty(r, r.ready)


cdef void route_pop(routing* r, part* at, bint take) noexcept nogil:
    cdef const pattern* row = &_rows[r.type]
    cdef peer* p
    if row.recv == RECV_UPWARD:
        upward_pop(r, at, take)
        return
    p = r.current if r.current != NULL else r.ready
    if row.wrap == WRAP_IDENTITY and not r.in_body:
        r.current = p
        r.in_body = True
        return
    peer_pop(r, p, at, take)
    if at.flags & MSG_MORE:
        r.current = p
        return
    r.current = NULL
    r.in_body = False
    if row.wrap == WRAP_REP:
        r.partner = p
        r.partner_gone = False
        r.awaiting = True
    elif row.wrap == WRAP_REQ:
        r.awaiting = False
        r.partner = NULL
        while peer_skip(r, p):
            pass              # what came with the reply is none, and must not be taken for the next one
    if r.ready == p:
        routing_next_turn(r)


cdef uint32_t route_number(routing* r) noexcept nogil:
    cdef peer* p = r.current if r.current != NULL else r.ready
    if p == NULL or _rows[r.type].wrap != WRAP_NUMBER:
        return 0
    return p.routing_id


cdef int route_group(routing* r, const uint8_t** group) noexcept nogil:
    group[0] = r.group
    return <int>r.group_len if _rows[r.type].wrap == WRAP_GROUP else 0


_fill()
