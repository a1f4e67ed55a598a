"""A socket's books as Python objects: read on demand from counters that the queues keep anyway."""

from libc.stdlib cimport free, malloc

from .engine cimport HS_COUNTS, sock
from .inproc cimport half, link_fold
from .limits cimport DROP_REASONS, books
from .platform cimport zq_latch_close, zq_latch_open, zq_unlock
from .routing cimport PEER_INPROC, PEER_STREAM, peer
from .socket_base cimport SocketBase

FAILURES = ("protocol", "authorisation", "refused", "local", "timeout", "lost", "crowded")
REASONS = ("newest", "oldest", "replaced", "peer_gone", "closed", "no_memory", "filtered")


cdef dict _side(unsigned long long accepted, unsigned long long delivered, unsigned long long queued, const unsigned long long* dropped):
    return {
        "accepted": accepted,
        "delivered": delivered,
        "queued": queued,
        "dropped": {REASONS[k]: dropped[k] for k in range(DROP_REASONS) if dropped[k]},
    }


cdef struct _entry:
    unsigned long long accepted[2]
    unsigned long long delivered[2]
    unsigned long long queued[2]
    unsigned long long dropped[2][DROP_REASONS]
    unsigned long long full
    unsigned int routing_id
    unsigned int identity_len
    unsigned char identity[256]
    bint connected
    bint stream


cdef void _put(_entry* e, int side, const books* b, unsigned long long queued) noexcept nogil:
    cdef int k
    e.accepted[side] = b.accepted
    e.delivered[side] = b.delivered
    e.queued[side] = queued
    for k in range(DROP_REASONS):
        e.dropped[side][k] = b.dropped[k]
    if side == 0:
        e.full = b.full


cdef void _read(peer* p, _entry* e) noexcept nogil:
    cdef half* h
    cdef unsigned int k
    e.stream = p.kind == PEER_STREAM
    e.connected = not p.gone and (p.kind == PEER_INPROC or p.c != NULL)
    e.routing_id = p.routing_id
    e.identity_len = p.identity_len
    for k in range(p.identity_len):
        e.identity[k] = p.identity[k]
    if p.kind == PEER_STREAM:
        _put(e, 0, &p.out.books, p.out.nmsgs)
        _put(e, 1, &p.inn.books, p.inn.nmsgs)
        return
    zq_latch_close(&p.lnk.lock)
    link_fold(p.lnk)
    h = &p.lnk.dir[p.side]
    _put(e, 0, &h.books, h.nmsgs)
    h = &p.lnk.dir[1 - p.side]
    _put(e, 1, &h.books, h.nmsgs)
    zq_latch_open(&p.lnk.lock)


cdef dict _peer(const _entry* e):
    return {
        "routing_id": e.routing_id,
        "identity": (<const char*>e.identity)[:e.identity_len],
        "transport": "stream" if e.stream else "inproc",
        "connected": bool(e.connected),
        "full": e.full,
        "send": _side(e.accepted[0], e.delivered[0], e.queued[0], e.dropped[0]),
        "recv": _side(e.accepted[1], e.delivered[1], e.queued[1], e.dropped[1]),
    }


def books_of(SocketBase socket):
    """See `Socket.stats`."""
    cdef _entry[16] few
    cdef _entry* entries = few
    cdef _entry total
    cdef sock* s
    cdef unsigned int room = 16
    cdef unsigned int n, i
    cdef unsigned long long[HS_COUNTS] failed
    cdef unsigned long long succeeded, under_way, violations
    cdef int side, k
    try:
        # All peers in one look, so that the books are those of one moment: a copy of some hundred bytes for each.
        while True:
            socket._enter()
            s = socket.s
            n = s.r.npeers
            if n <= room:
                break
            zq_unlock(&s.lock)
            if entries != few:
                free(entries)
            room = n + n // 4
            entries = <_entry*>malloc(room * sizeof(_entry))
            if entries == NULL:
                raise MemoryError
        for k in range(HS_COUNTS):
            failed[k] = s.hs_failed[k]
        succeeded, under_way, violations = s.hs_succeeded, s.nstrangers, s.violations
        for i in range(n):
            _read(s.r.peers[i], &entries[i])
        for side in range(2):
            total.queued[side] = 0
            total.accepted[side] = s.past_accepted[side]
            total.delivered[side] = s.past_delivered[side]
            for k in range(DROP_REASONS):
                total.dropped[side][k] = s.past_dropped[side][k]
        # what never had a queue of its own: nobody to send to, or against the rules of the pattern
        for k in range(DROP_REASONS):
            total.dropped[0][k] += s.r.dropped[k]
            total.accepted[0] += s.r.dropped[k]
        # XPUB: messages that its peers' queues have delivered to one more queue
        total.delivered[1] -= s.r.upward_msgs
        total.queued[1] += s.r.upward_msgs
        total.accepted[1] += s.r.upward_lost
        total.dropped[1][0] += s.r.upward_lost
        zq_unlock(&s.lock)
        peers = []
        for i in range(n):
            for side in range(2):
                total.accepted[side] += entries[i].accepted[side]
                total.delivered[side] += entries[i].delivered[side]
                total.queued[side] += entries[i].queued[side]
                for k in range(DROP_REASONS):
                    total.dropped[side][k] += entries[i].dropped[side][k]
            peers.append(_peer(&entries[i]))
    finally:
        if entries != few:
            free(entries)
    return {
        "send": _side(total.accepted[0], total.delivered[0], total.queued[0], total.dropped[0]),
        "recv": _side(total.accepted[1], total.delivered[1], total.queued[1], total.dropped[1]),
        "handshakes": {
            "succeeded": succeeded,
            "under_way": under_way,
            "failed": {FAILURES[k]: failed[k] for k in range(HS_COUNTS) if failed[k]},
            "violations": violations,
        },
        "peers": peers,
    }
