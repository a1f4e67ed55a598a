"""Making, greeting and seeing off peers; see peers.pxd."""

from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memset

from .buffer cimport READ_ROOM
from .engine cimport ept, sock
from .inproc cimport link_inject, link_limits
from .limits cimport (KEY_NONE, POLICY_KEEP_LAST, POLICY_TYPE, LIMIT_OF_OPTION, below_half, limits, over_limit,
                      policy_blocks)
from .message cimport zmsg, zmsg_copy_bytes, zmsg_init, zmsg_release
from .patterns cimport EAGER, WRAP_GROUP, WRAP_TOPICS
from .pipe cimport inq_append_frame, inq_bytes, inq_publish, inq_room, outq_clear
from .pubsub cimport fanout_gone, own_resend
from .routing cimport (PEER_INPROC, PEER_STREAM, peer, peer_new, peer_put, routing_dirty, routing_readable,
                       routing_resume, routing_unname, routing_writable)
from .zmtp cimport (TYPE_CLIENT, TYPE_DEALER, TYPE_PEER, TYPE_REQ, TYPE_ROUTER, TYPE_SERVER, TYPE_STREAM, TYPE_XPUB,
                    TYPE_XSUB)

cdef void sock_limits(sock* s, limits* out, bint sending) noexcept nogil:
    memset(out, 0, sizeof(limits))
    out.messages = LIMIT_OF_OPTION
    if sending and s.send_limits_set:
        out[0] = s.send_limits
    elif not sending and s.recv_limits_set:
        out[0] = s.recv_limits
    if out.messages == LIMIT_OF_OPTION:
        out.messages = <uint32_t>(s.opt.sndhwm if sending else s.opt.rcvhwm)
    if s.opt.conflate and out.policy == POLICY_TYPE:
        out.policy = POLICY_KEEP_LAST
        out.key = KEY_NONE
        out.messages = 1


cdef peer* peer_make(sock* s, int kind) noexcept nogil:
    cdef peer* p = peer_new(kind)
    if p == NULL:
        return NULL
    p.owner = s
    sock_limits(s, &p.out.lim, True)
    sock_limits(s, &p.inn.lim, False)
    p.inn.max_size = s.opt.maxmsgsize
    return p


cdef void peer_limits(sock* s, peer* p) noexcept nogil:
    cdef limits sending, receiving
    sock_limits(s, &sending, True)
    sock_limits(s, &receiving, False)
    if p.kind == PEER_INPROC:
        link_limits(p.lnk, p.side, &sending, &receiving)
        routing_dirty(&s.r, p)       # the other side may be able to write now
    else:
        p.out.lim = sending
        p.inn.lim = receiving
        if not policy_blocks(sending.policy) or not over_limit(&sending, p.out.nmsgs, p.out.q.bytes):
            p.out.full = False
        if p.inn.paused and below_half(&receiving, p.inn.nmsgs, inq_bytes(&p.inn)):
            routing_resume(&s.r, p)
    routing_writable(&s.r, p)


cdef void peer_leave(sock* s, peer* p) noexcept nogil:
    p.leaving = True
    p.usable = False
    routing_unname(&s.r, p)
    if s.row.traits & EAGER:
        fanout_gone(&s.r, p)
    routing_dirty(&s.r, p)


cdef void peer_gone(sock* s, peer* p, int reason) noexcept nogil:
    cdef ept* e = <ept*>p.endpoint
    if s.row.traits & EAGER:
        fanout_gone(&s.r, p)
    outq_clear(&p.out, reason)
    p.gone = True
    p.usable = False
    p.endpoint = NULL
    if e != NULL and e.p == p:
        e.p = NULL
    routing_dirty(&s.r, p)


cdef void peer_inject(sock* s, peer* p, const uint8_t* data, size_t n) noexcept nogil:
    cdef zmsg m
    if p.kind == PEER_INPROC:
        zmsg_init(&m)
        if zmsg_copy_bytes(&m, data, n) < 0 or link_inject(p.lnk, p.side, &m) < 0:
            zmsg_release(&m)
        elif not s.row.traits & EAGER:
            routing_readable(&s.r, p)
        return
    if p.inn.in_message or inq_room(&p.inn, n + READ_ROOM) < 0:
        return
    if inq_append_frame(&p.inn, 0, data, n) == 0:
        inq_publish(&p.inn)
        if not s.row.traits & EAGER:
            routing_readable(&s.r, p)


cdef int _say(sock* s, peer* p, const uint8_t* data, size_t n) noexcept nogil:
    cdef zmsg m
    cdef int rc
    zmsg_init(&m)
    rc = zmsg_copy_bytes(&m, data, n)
    if rc == 0:
        rc = peer_put(&s.r, p, NULL, 0, &m, 1)
    zmsg_release(&m)
    return rc


cdef int peer_greet(sock* s, peer* p) noexcept nogil:
    if s.opt.hello_msg.size and (s.type == TYPE_ROUTER or s.type == TYPE_DEALER or s.type == TYPE_CLIENT
                                 or s.type == TYPE_SERVER or s.type == TYPE_PEER):
        _say(s, p, s.opt.hello_msg.data, s.opt.hello_msg.size)
    if s.opt.probe_router and (s.type == TYPE_ROUTER or s.type == TYPE_DEALER or s.type == TYPE_REQ):
        _say(s, p, <const uint8_t*>b"", 0)
    if s.type == TYPE_XPUB and s.opt.xpub_welcome_msg.size:
        _say(s, p, s.opt.xpub_welcome_msg.data, s.opt.xpub_welcome_msg.size)
    if s.type == TYPE_XSUB and p.kind == PEER_STREAM and p.queued_first:
        p.queued_first = False     # they went into its queue when the endpoint was made
    elif s.row.wrap == WRAP_TOPICS or s.row.wrap == WRAP_GROUP:
        return own_resend(&s.r, p)
    return 0


cdef void peer_farewell(sock* s, peer* p) noexcept nogil:
    if s.type == TYPE_ROUTER and s.opt.router_notify & 2 and p.kind == PEER_STREAM:
        peer_inject(s, p, <const uint8_t*>b"", 0)
    if s.opt.disconnect_msg.size and (s.type == TYPE_ROUTER or s.type == TYPE_SERVER or s.type == TYPE_PEER):
        peer_inject(s, p, s.opt.disconnect_msg.data, s.opt.disconnect_msg.size)
    if s.type == TYPE_STREAM and s.opt.stream_notify:
        peer_inject(s, p, <const uint8_t*>b"", 0)
