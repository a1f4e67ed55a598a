"""The lists behind every pattern; see routing.pxd."""

from libc.errno cimport EAGAIN, EEXIST, ENOMEM, EPIPE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from .inproc cimport link_filter, link_policy, link_put, link_refuse, link_room, link_take, link_unref, link_waiting
from .limits cimport DROP_FILTERED, DROP_NEWEST, DROP_PEER_GONE, POLICY_BLOCK, below_half
from .message cimport (MK_BLOCK, MK_EMPTY, MSG_COMMAND, MSG_MORE, meta_unref, release_later, zmsg, zmsg_data,
                       zmsg_init, zmsg_own, zmsg_release, zmsg_size)
from .pipe cimport (BEHIND_MET, BIG_FRAME, inq_bytes, inq_free, inq_peek, inq_pop, inq_ready, outq_free, outq_push_bytes, outq_put,
                    outq_room, put_quick)
from .platform cimport zq_now_ns
from .ring cimport LEN_CONTROL, msgring_free
from .subscriptions cimport fantree_free, fantree_init, fantree_remove_slot, subtree_free, subtree_init
from .zmtp cimport put_subscribe


cdef int routing_init(routing* r, int type, options* opt) noexcept nogil:
    memset(r, 0, sizeof(routing))
    r.type = type
    r.opt = opt
    # Not a secret: where generated names start, so that a restarted process does not repeat the last one's.
    r.next_serial = <uint32_t>(<uint64_t>zq_now_ns() * 0x9E3779B97F4A7C15ULL >> 33) | 1
    r.request_id = <uint32_t>(<uint64_t>(zq_now_ns() + 17) * 0xD1342543DE82EF95ULL >> 32)
    zmsg_init(&r.held)
    subtree_init(&r.own)
    fantree_init(&r.fans)
    return 0


cdef void routing_free(routing* r) noexcept nogil:
    cdef uint32_t i
    if r.holding:
        zmsg_release(&r.held)
    for i in range(r.nenvelope):
        zmsg_release(&r.envelope[i])
    free(r.envelope)
    free(r.peers)
    free(r.turns)
    free(r.names)
    free(r.slots)
    free(r.free_slots)
    msgring_free(&r.upward)
    subtree_free(&r.own)
    fantree_free(&r.fans)
    memset(r, 0, sizeof(routing))


cdef peer* peer_new(int kind) noexcept nogil:
    cdef peer* p = <peer*>calloc(1, sizeof(peer))
    if p != NULL:
        p.kind = <uint8_t>kind
        p.inn.max_size = -1
        p.identity = p.identity_buf
        p.usable = True
    return p


cdef void peer_free(peer* p) noexcept nogil:
    outq_free(&p.out)
    inq_free(&p.inn)
    if p.identity_obj != NULL:
        release_later(p.identity_obj)
    if p.lnk != NULL:
        link_unref(p.lnk)
    meta_unref(p.facts)
    free(p)


# --- membership ----------------------------------------------------------------------------------------

cdef int _grow(void*** list, uint32_t* cap, uint32_t need) noexcept nogil:
    cdef uint32_t bigger = cap[0] * 2 if cap[0] else 4
    cdef void** moved
    if need <= cap[0]:
        return 0
    while bigger < need:
        bigger *= 2
    moved = <void**>realloc(list[0], bigger * sizeof(void*))
    if moved == NULL:
        return -ENOMEM
    list[0] = moved
    cap[0] = bigger
    return 0


cdef int _take_slot(routing* r, peer* p) noexcept nogil:
    cdef uint32_t cap = r.slots_cap
    cdef uint32_t* words
    cdef uint32_t i
    if r.nfree:
        r.nfree -= 1
        p.slot = r.free_slots[r.nfree]
        r.slots[p.slot] = p
        return 0
    if r.slots_used == cap:
        if _grow(<void***>&r.slots, &cap, cap + 1) < 0:
            return -ENOMEM
        words = <uint32_t*>realloc(r.free_slots, cap * sizeof(uint32_t))
        if words == NULL:
            return -ENOMEM
        r.free_slots = words
        for i in range(r.slots_cap, cap):
            r.slots[i] = NULL
        r.slots_cap = cap
    p.slot = r.slots_used
    r.slots[p.slot] = p
    r.slots_used += 1
    return 0


cdef int routing_add(routing* r, peer* p) noexcept nogil:
    cdef uint32_t turns_cap = r.peers_cap
    if r.npeers == r.peers_cap:
        if _grow(<void***>&r.turns, &turns_cap, r.npeers + 1) < 0:
            return -ENOMEM
        if _grow(<void***>&r.peers, &r.peers_cap, r.npeers + 1) < 0:
            return -ENOMEM
    if _take_slot(r, p) < 0:
        return -ENOMEM
    r.next_serial += 1
    if r.next_serial == 0:
        r.next_serial = 1
    p.routing_id = r.next_serial
    p.index = r.npeers
    r.peers[r.npeers] = p
    r.npeers += 1
    # enter the turns behind the last active one
    p.turn = r.nturns
    r.turns[r.nturns] = p
    r.nturns += 1
    _swap_turns(r, p.turn, r.active)
    r.active += 1
    p.attached = True
    return 0


cdef void _swap_turns(routing* r, uint32_t a, uint32_t b) noexcept nogil:
    cdef peer* p = r.turns[a]
    cdef peer* q = r.turns[b]
    r.turns[a] = q
    r.turns[b] = p
    p.turn = b
    q.turn = a


cdef void routing_remove(routing* r, peer* p) noexcept nogil:
    cdef peer* last
    cdef peer** at
    if not p.attached:
        return
    p.attached = False
    # round robin
    if p.turn < r.active:
        r.active -= 1
        _swap_turns(r, p.turn, r.active)
        if r.turn_now >= r.active:
            r.turn_now = 0
    r.nturns -= 1
    _swap_turns(r, p.turn, r.nturns)
    # the whole list
    r.npeers -= 1
    last = r.peers[r.npeers]
    r.peers[p.index] = last
    last.index = p.index
    routing_unready(r, p)
    routing_unname(r, p)
    fantree_remove_slot(&r.fans, p.slot, NULL, NULL)      # whoever gets the slot next begins with no subscription
    r.slots[p.slot] = NULL
    r.free_slots[r.nfree] = p.slot
    r.nfree += 1
    if p.dirty:
        at = &r.dirty
        while at[0] != p:
            at = &at[0].dirty_next
        at[0] = p.dirty_next
        p.dirty = False
        r.ndirty -= 1
    if p.up_waits:
        at = &r.up_waiting
        while at[0] != p:
            at = &at[0].up_next
        at[0] = p.up_next
        p.up_waits = False
    if p.resuming:
        at = &r.resumed
        while at[0] != p:
            at = &at[0].resume_next
        at[0] = p.resume_next
        p.resuming = False
    if r.held_from == p:
        zmsg_release(&r.held)
        r.holding = False
        r.held_from = NULL
    if r.current == p:
        r.current = NULL
        r.in_body = False
    if r.partner == p:
        r.partner = NULL
        r.partner_gone = True


# --- fair queue ------------------------------------------------------------------------------------------

cdef void routing_readable(routing* r, peer* p) noexcept nogil:
    if p.in_ready:
        return
    p.in_ready = True
    if r.ready == NULL:
        p.ready_next = p.ready_prev = p
        r.ready = p
    else:
        # behind all the others, that is before the one whose turn it is
        p.ready_next = r.ready
        p.ready_prev = r.ready.ready_prev
        p.ready_prev.ready_next = p
        r.ready.ready_prev = p


cdef void routing_unready(routing* r, peer* p) noexcept nogil:
    if not p.in_ready:
        return
    p.in_ready = False
    if p.ready_next == p:
        r.ready = NULL
        return
    p.ready_prev.ready_next = p.ready_next
    p.ready_next.ready_prev = p.ready_prev
    if r.ready == p:
        r.ready = p.ready_next


cdef void routing_next_turn(routing* r) noexcept nogil:
    if r.ready != NULL:
        r.ready = r.ready.ready_next


# --- round robin -----------------------------------------------------------------------------------------

cdef void routing_writable(routing* r, peer* p) noexcept nogil:
    if not p.attached or p.turn < r.active:
        return
    _swap_turns(r, p.turn, r.active)
    r.active += 1


cdef peer* routing_choose(routing* r) noexcept nogil:
    cdef peer* p
    while r.active:
        if r.turn_now >= r.active:
            r.turn_now = 0
        p = r.turns[r.turn_now]
        if peer_room(p):
            return p
        # it leaves the round until routing_writable
        r.active -= 1
        _swap_turns(r, p.turn, r.active)
    return NULL


cdef void routing_dirty(routing* r, peer* p) noexcept nogil:
    if not p.dirty:
        p.dirty = True
        p.dirty_next = r.dirty
        r.dirty = p
        r.ndirty += 1


cdef void routing_resume(routing* r, peer* p) noexcept nogil:
    p.inn.paused = False
    if not p.resuming:
        p.resuming = True
        p.resume_next = r.resumed
        r.resumed = p


# --- identities ------------------------------------------------------------------------------------------

cdef uint32_t _hash(const uint8_t* p, size_t n) noexcept nogil:
    cdef uint32_t h = 2166136261u
    cdef size_t i
    for i in range(n):
        h = (h ^ p[i]) * 16777619u
    return h


cdef peer* routing_find(routing* r, const uint8_t* id, size_t n) noexcept nogil:
    cdef peer* p
    if r.names_cap == 0:
        return NULL
    p = r.names[_hash(id, n) & (r.names_cap - 1)]
    while p != NULL:
        if p.identity_len == n and memcmp(p.identity, id, n) == 0:
            return p
        p = p.identity_chain
    return NULL


cdef int _grow_names(routing* r) noexcept nogil:
    cdef uint32_t cap = r.names_cap * 2 if r.names_cap else 8
    cdef peer** names = <peer**>calloc(cap, sizeof(void*))
    cdef peer* p
    cdef peer* following
    cdef uint32_t i, h
    if names == NULL:
        return -ENOMEM
    for i in range(r.names_cap):
        p = r.names[i]
        while p != NULL:
            following = p.identity_chain
            h = _hash(p.identity, p.identity_len) & (cap - 1)
            p.identity_chain = names[h]
            names[h] = p
            p = following
    free(r.names)
    r.names = names
    r.names_cap = cap
    return 0


cdef int routing_name(routing* r, peer* p, const uint8_t* id, size_t n) noexcept nogil:
    cdef uint32_t h
    if routing_find(r, id, n) != NULL:
        return -EEXIST
    if p.named:
        routing_unname(r, p)
    if r.nnames >= r.names_cap and _grow_names(r) < 0 and r.names_cap == 0:
        return -ENOMEM
    if p.identity_obj != NULL:
        release_later(p.identity_obj)
        p.identity_obj = NULL
    if id != p.identity:
        memcpy(p.identity, id, n)
    p.identity_len = <uint32_t>n
    h = _hash(id, n) & (r.names_cap - 1)
    p.identity_chain = r.names[h]
    r.names[h] = p
    r.nnames += 1
    p.named = True
    return 0


cdef void routing_unname(routing* r, peer* p) noexcept nogil:
    cdef peer** at
    if not p.named:
        return
    p.named = False
    at = &r.names[_hash(p.identity, p.identity_len) & (r.names_cap - 1)]
    while at[0] != p:
        at = &at[0].identity_chain
    at[0] = p.identity_chain
    r.nnames -= 1


cdef int routing_name_generated(routing* r, peer* p) noexcept nogil:
    """0x00 and four bytes, as no peer may call itself."""
    cdef uint8_t id[5]
    cdef uint32_t serial = p.routing_id
    cdef int rc
    id[0] = 0
    while True:
        id[1] = <uint8_t>(serial >> 24)
        id[2] = <uint8_t>(serial >> 16)
        id[3] = <uint8_t>(serial >> 8)
        id[4] = <uint8_t>serial
        rc = routing_name(r, p, id, 5)
        if rc != -EEXIST:
            return rc
        serial += 1


cdef peer* routing_by_serial(routing* r, uint32_t serial) noexcept nogil:
    cdef uint8_t id[5]
    id[0] = 0
    id[1] = <uint8_t>(serial >> 24)
    id[2] = <uint8_t>(serial >> 16)
    id[3] = <uint8_t>(serial >> 8)
    id[4] = <uint8_t>serial
    return routing_find(r, id, 5)


# --- one peer's queues, of either kind -------------------------------------------------------------------

cdef bint peer_room(peer* p) noexcept nogil:
    if not p.usable:
        return False
    if p.kind == PEER_INPROC:
        return link_room(p.lnk, p.side)
    return outq_room(&p.out)


cdef int peer_put(routing* r, peer* p, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n) noexcept nogil:
    cdef bint wake
    cdef uint32_t i
    cdef int rc
    if not p.usable:
        return -EAGAIN
    if p.kind == PEER_INPROC:
        for i in range(n):
            if zmsg_own(&parts[i]) < 0:
                return -ENOMEM
        rc = link_put(p.lnk, p.side, pre, npre, parts, n, False, &wake)
        if rc == -EPIPE:
            r.dropped[DROP_PEER_GONE] += 1
            return 1
    elif (n == 1 and npre == 0 and not parts.lent
            and put_quick(&p.out, zmsg_data(parts), zmsg_size(parts)) == 0):
        if p.left and p.out.q.unsent < BIG_FRAME:
            return 0          # whoever writes what was there takes this along
        rc = 0
    else:
        rc = outq_put(&p.out, pre, npre, parts, n)
        if p.out.behind == BEHIND_MET:
            routing_dirty(r, p)       # the reactor has yet to hear of it
    if rc == 0:
        routing_dirty(r, p)
    return rc


cdef int peer_put_control(routing* r, peer* p, const uint8_t* frame, size_t nframe, zmsg* m) noexcept nogil:
    cdef bint wake
    cdef int rc
    if p.kind == PEER_INPROC:
        m.flags |= MSG_COMMAND
        rc = link_put(p.lnk, p.side, NULL, 0, m, 1, True, &wake)
    else:
        rc = outq_push_bytes(&p.out, frame, nframe, LEN_CONTROL)
    if rc == 0:
        routing_dirty(r, p)
    return rc


cdef bint peer_peek(routing* r, peer* p, part* out) noexcept nogil:
    cdef bint credit
    if p.kind == PEER_STREAM:
        return inq_peek(&p.inn, out)
    while not r.holding:
        if not link_take(p.lnk, p.side, &r.held, &credit):
            return False
        if credit:
            routing_dirty(r, p)
        if r.held.flags & MSG_COMMAND:
            zmsg_release(&r.held)      # a subscription, to a type that has no use for one
            continue
        r.holding = True
        r.held_from = p
    if r.held_from != p:
        return False
    out.data = zmsg_data(&r.held)
    out.size = zmsg_size(&r.held)
    out.flags = r.held.flags
    if r.held.kind >= MK_BLOCK:
        out.kind = r.held.kind
        out.owner = r.held.body.ref.owner
    else:
        out.kind = MK_EMPTY
        out.owner = NULL
    return True


cdef void peer_pop(routing* r, peer* p, part* at, bint take) noexcept nogil:
    if p.kind == PEER_STREAM:
        inq_pop(&p.inn, at, take)
        if p.inn.paused and below_half(&p.inn.lim, p.inn.nmsgs, inq_bytes(&p.inn)):
            routing_resume(r, p)
        return
    if take and r.held.kind >= MK_BLOCK:
        r.held.kind = MK_EMPTY
    zmsg_release(&r.held)
    r.holding = False
    r.held_from = NULL


cdef bint peer_has_input(routing* r, peer* p) noexcept nogil:
    if p.kind == PEER_STREAM:
        return inq_ready(&p.inn)
    return (r.holding and r.held_from == p) or link_waiting(p.lnk, p.side) != 0


cdef bint peer_skip(routing* r, peer* p) noexcept nogil:
    cdef part at
    while peer_peek(r, p, &at):
        peer_pop(r, p, &at, False)
        if not at.flags & MSG_MORE:
            peer_filtered(p)
            return True
    return False


cdef void peer_filtered(peer* p) noexcept nogil:
    if p.kind == PEER_INPROC:
        link_filter(p.lnk, p.side)
    else:
        p.inn.books.delivered -= 1
        p.inn.books.dropped[DROP_FILTERED] += 1


cdef void peer_refuse(peer* p, bint again) noexcept nogil:
    if p.kind == PEER_INPROC:
        link_refuse(p.lnk, p.side, again)
        return
    p.out.books.accepted += 1
    p.out.books.dropped[DROP_NEWEST] += 1
    if again:
        p.out.full = False


cdef bint peer_blocks(peer* p) noexcept nogil:
    return (link_policy(p.lnk, p.side) if p.kind == PEER_INPROC else p.out.lim.policy) == POLICY_BLOCK


cdef size_t peer_wire_subscribe(peer* p, uint8_t* dst, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    return put_subscribe(dst, topic, n, cancel, p.c.dialect)
