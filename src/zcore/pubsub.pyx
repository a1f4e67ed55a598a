"""The strategies of publishers and subscribers; see pubsub.pxd."""

from libc.errno cimport EAGAIN, EINVAL, ENOMEM
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from .inproc cimport link_front, link_take
from .limits cimport DROP_MEMORY
from .message cimport (MK_BLOCK, MK_EMPTY, MSG_COMMAND, MSG_MORE, zmsg, zmsg_copy_bytes, zmsg_data, zmsg_init,
                       zmsg_move, zmsg_release, zmsg_share, zmsg_size)
from .pipe cimport borrows, inq_peek, part
from .ring cimport msgring_at, msgring_count, msgring_pop, msgring_reserve, msgring_slot
from .routing cimport (PEER_INPROC, peer, peer_blocks, peer_filtered, peer_has_input, peer_pop, peer_put,
                       peer_put_control, peer_refuse, peer_room, routing, routing_dirty)
from .subscriptions cimport (FAN_LAST_OF_TOPIC, FAN_NEW_TOPIC, fantree_add, fantree_mark, fantree_marked,
                             fantree_match, fantree_match_exact, fantree_remove, fantree_remove_slot, fantree_topics,
                             subtree_add, subtree_has, subtree_match, subtree_remove, subtree_walk)
from .zmtp cimport (FRAME_HEADER_MAX, GROUP_MAX, TYPE_DISH, TYPE_RADIO, TYPE_XPUB, TYPE_XSUB, ZMTP_1_0, ZMTP_3_0,
                    frame_header, group_size, put_group, put_subscribe, subscribe_size)


cdef enum:
    NOTES_MOST = 100000       # subscriptions nobody has received, if that is more than twice the topics there are


# --- publishing ------------------------------------------------------------------------------------------

cdef int _give(routing* r, peer* p, zmsg* parts, uint32_t n, bint gil, bint last) noexcept nogil:
    """One subscriber gets one message; by reference where that is cheaper than a copy."""
    cdef zmsg small[8]
    cdef zmsg* mine = small
    cdef uint32_t i
    cdef int rc
    cdef bint by_reference = p.kind == PEER_INPROC
    if last:
        return peer_put(r, p, NULL, 0, parts, n)
    if not by_reference:
        for i in range(n):
            if borrows(&parts[i]):
                by_reference = True
                break
    if not by_reference:
        return peer_put(r, p, NULL, 0, parts, n)      # copies, and takes nothing
    if n > 8:
        mine = <zmsg*>malloc(n * sizeof(zmsg))
        if mine == NULL:
            return -ENOMEM
    for i in range(n):
        rc = zmsg_share(&mine[i], &parts[i], gil)
        if rc < 0:
            n = i
            break
    else:
        rc = peer_put(r, p, NULL, 0, mine, n)
    for i in range(n):
        zmsg_release(&mine[i])
    if mine != small:
        free(mine)
    return rc


cdef int _deliver(routing* r, const uint32_t* slots, size_t count, zmsg* parts, uint32_t n, bint gil) noexcept nogil:
    """To the peers in these slots.  XPUB_NODROP: to all of them or to none."""
    cdef size_t k
    cdef peer* p
    cdef int rc
    if r.opt.xpub_nodrop or r.nodrop:
        for k in range(count):
            p = r.slots[slots[k]]
            if p != NULL and p.usable and not peer_room(p):
                return -EAGAIN
    for k in range(count):
        p = r.slots[slots[k]]
        if p == NULL or not p.usable:
            continue
        rc = _give(r, p, parts, n, gil, k + 1 == count)
        if rc == -EAGAIN:
            peer_refuse(p, True)      # a publisher looks at the queue anew for each message
        elif rc < 0:
            r.dropped[DROP_MEMORY] += 1
    return 0


cdef int _deliver_inverted(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil:
    """INVERT_MATCHING: to everybody whom the last fantree_mark did not mark."""
    cdef uint32_t k
    cdef int rc
    for k in range(r.slots_used):
        if r.slots[k] != NULL and not fantree_marked(&r.fans, k):
            rc = _deliver(r, &r.slots[k].slot, 1, parts, n, gil)
            if rc < 0:
                return rc
    return 0


cdef int fanout_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil:
    cdef uint32_t k
    cdef size_t count
    if r.npeers == 0:
        return 0
    if r.opt.xpub_manual_last_value and r.last_fan_set:
        r.last_fan_set = False
        for k in range(r.slots_used):
            if r.slots[k] != NULL and r.slots[k].routing_id == r.last_fan:
                return _deliver(r, &k, 1, parts, n, gil)
        return 0
    if r.opt.invert_matching:
        fantree_mark(&r.fans, zmsg_data(&parts[0]), zmsg_size(&parts[0]))
        return _deliver_inverted(r, parts, n, gil)
    count = fantree_match(&r.fans, zmsg_data(&parts[0]), zmsg_size(&parts[0]))
    return _deliver(r, r.fans.out, count, parts, n, gil)


cdef int groups_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil:
    cdef size_t count
    if n != 2 or zmsg_size(&parts[0]) > GROUP_MAX:
        return -EINVAL
    if r.npeers == 0:
        return 0
    count = fantree_match_exact(&r.fans, zmsg_data(&parts[0]), zmsg_size(&parts[0]))
    return _deliver(r, r.fans.out, count, parts, n, gil)


cdef int _tell_up(routing* r, peer* p, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    cdef zmsg* m
    cdef uint8_t* copy
    if r.type != TYPE_XPUB:
        return 0
    if r.upward_notes >= NOTES_MOST and r.upward_notes >= 2 * fantree_topics(&r.fans):
        r.upward_lost += 1    # an application that never receives: subscriptions themselves go on working
        return 0
    if msgring_reserve(&r.upward, 1) < 0:
        return -ENOMEM
    copy = <uint8_t*>malloc(n + 1)
    if copy == NULL:
        return -ENOMEM
    copy[0] = 0 if cancel else 1
    memcpy(copy + 1, topic, n)
    m = msgring_slot(&r.upward)
    zmsg_init(m)
    if zmsg_copy_bytes(m, copy, n + 1) < 0:
        m.kind = MK_EMPTY
    free(copy)
    m.flags = MSG_COMMAND
    r.upward_notes += 1
    m.routing_id = p.routing_id if p != NULL else 0
    return 0


cdef int fanout_subscription(routing* r, peer* p, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    cdef int rc
    if r.opt.xpub_manual:
        return _tell_up(r, p, topic, n, cancel)
    if cancel:
        rc = fantree_remove(&r.fans, p.slot, topic, n)
        if rc & FAN_LAST_OF_TOPIC or r.opt.xpub_verboser:
            return _tell_up(r, p, topic, n, True)
    else:
        rc = fantree_add(&r.fans, p.slot, topic, n)
        if rc >= 0 and (rc & FAN_NEW_TOPIC or r.opt.xpub_verbose or r.opt.xpub_verboser):
            return _tell_up(r, p, topic, n, False)
    return rc if rc < 0 else 0


cdef int fanout_group(routing* r, peer* p, const uint8_t* group, size_t n, bint leave) noexcept nogil:
    cdef int rc
    if n > GROUP_MAX:
        return -EINVAL
    rc = fantree_remove(&r.fans, p.slot, group, n) if leave else fantree_add(&r.fans, p.slot, group, n)
    return rc if rc < 0 else 0


cdef int fanout_manual(routing* r, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    cdef uint32_t k
    cdef int rc
    for k in range(r.slots_used):
        if r.slots[k] != NULL and r.slots[k].routing_id == r.last_fan:
            if cancel:
                fantree_remove(&r.fans, k, topic, n)
                return 0
            rc = fantree_add(&r.fans, k, topic, n)
            return rc if rc < 0 else 0
    return 0


cdef struct _gone_arg:
    routing* r


cdef void _lost_topic(const uint8_t* topic, size_t n, void* arg) noexcept nogil:
    cdef routing* r = (<_gone_arg*>arg).r
    _tell_up(r, NULL, topic, n, True)


cdef void fanout_gone(routing* r, peer* p) noexcept nogil:
    cdef _gone_arg arg
    arg.r = r
    fantree_remove_slot(&r.fans, p.slot, _lost_topic, &arg)


cdef void _up_part(routing* r, zmsg* m) noexcept nogil:
    """Hand a part of a user's message to XPUB's queue; m is moved."""
    cdef zmsg* slot
    if r.type != TYPE_XPUB or msgring_reserve(&r.upward, 1) < 0:
        zmsg_release(m)
        return
    slot = msgring_slot(&r.upward)
    zmsg_move(slot, m)
    slot.routing_id = 0
    r.upward_msgs += not slot.flags & MSG_MORE


cdef bint _no_room_up(routing* r, peer* p) noexcept nogil:
    """XPUB's messages from its subscribers count against RCVHWM together: at the mark they stay with their peer."""
    if r.type != TYPE_XPUB or r.opt.rcvhwm == 0 or r.upward_msgs < <uint32_t>r.opt.rcvhwm:
        return False
    if not p.up_waits:
        p.up_waits = True
        p.up_next = r.up_waiting
        r.up_waiting = p
    return True


cdef bint _is_subscription(routing* r, const uint8_t* data, size_t n, bint first) noexcept nogil:
    return n > 0 and data[0] <= 1 and (first or not r.opt.only_first_subscribe)


cdef void fanout_take(routing* r, peer* p) noexcept nogil:
    cdef part at
    cdef zmsg m
    cdef bint credit
    cdef bint first = True
    cdef uint8_t byte
    cdef size_t size
    if p.kind == PEER_INPROC:
        while link_front(p.lnk, p.side, &byte, &size):
            if first and not _is_subscription(r, &byte, size, True) and _no_room_up(r, p):
                return
            if not link_take(p.lnk, p.side, &m, &credit):
                return
            if credit:
                routing_dirty(r, p)
            if r.type == TYPE_RADIO:
                if m.flags & MSG_COMMAND and zmsg_size(&m) > 0:
                    fanout_group(r, p, zmsg_data(&m) + 1, zmsg_size(&m) - 1, zmsg_data(&m)[0] == 0)
                elif not m.flags & MSG_MORE:
                    peer_filtered(p)
            elif _is_subscription(r, zmsg_data(&m), zmsg_size(&m), first):
                fanout_subscription(r, p, zmsg_data(&m) + 1, zmsg_size(&m) - 1, zmsg_data(&m)[0] == 0)
            else:
                first = not m.flags & MSG_MORE
                if first and r.type != TYPE_XPUB:
                    peer_filtered(p)
                m.flags &= MSG_MORE
                _up_part(r, &m)
                continue
            first = not m.flags & MSG_MORE
            zmsg_release(&m)
        return
    while inq_peek(&p.inn, &at):
        if r.type != TYPE_RADIO and _is_subscription(r, at.data, at.size, first):
            fanout_subscription(r, p, at.data + 1, at.size - 1, at.data[0] == 0)
            peer_pop(r, p, &at, False)
        elif r.type == TYPE_XPUB:
            if first and _no_room_up(r, p):
                break
            zmsg_init(&m)
            if at.kind == MK_BLOCK:
                m.kind = MK_BLOCK
                m.body.ref.data = at.data
                m.body.ref.size = at.size
                m.body.ref.owner = at.owner
            elif zmsg_copy_bytes(&m, at.data, at.size) < 0:
                m.kind = MK_EMPTY
            m.flags = at.flags & MSG_MORE
            peer_pop(r, p, &at, True)
            _up_part(r, &m)
        else:
            peer_pop(r, p, &at, False)
            if not at.flags & MSG_MORE:
                peer_filtered(p)
        first = not at.flags & MSG_MORE


cdef int upward_peek(routing* r, part* out) noexcept nogil:
    cdef zmsg* m
    if msgring_count(&r.upward) == 0:
        return 0
    m = msgring_at(&r.upward, 0)
    out.data = zmsg_data(m)
    out.size = zmsg_size(m)
    out.flags = m.flags & MSG_MORE
    out.kind = m.kind if m.kind >= MK_BLOCK else MK_EMPTY
    out.owner = m.body.ref.owner if m.kind >= MK_BLOCK else NULL
    return 1


cdef void upward_pop(routing* r, part* at, bint take) noexcept nogil:
    cdef zmsg* m = msgring_at(&r.upward, 0)
    cdef peer* p
    if m.routing_id:
        r.last_fan = m.routing_id
        r.last_fan_set = True
    if take and m.kind >= MK_BLOCK:
        m.kind = MK_EMPTY
    if m.flags & MSG_COMMAND:
        r.upward_notes -= 1
    elif not m.flags & MSG_MORE:
        r.upward_msgs -= 1
    zmsg_release(m)
    msgring_pop(&r.upward)
    while r.up_waiting != NULL and r.upward_msgs <= <uint32_t>r.opt.rcvhwm // 2:
        p = r.up_waiting
        r.up_waiting = p.up_next
        p.up_waits = False
        fanout_take(r, p)
        if p.gone and not peer_has_input(r, p):
            routing_dirty(r, p)


# --- subscribing -----------------------------------------------------------------------------------------

cdef bint topics_match(routing* r, const uint8_t* data, size_t n) noexcept nogil:
    # XSUB passes on whatever comes: the subscriptions it relays are not its own to judge by
    return r.type == TYPE_XSUB or subtree_match(&r.own, data, n) != (r.opt.invert_matching != 0)


cdef bint groups_match(routing* r, const uint8_t* group, size_t n) noexcept nogil:
    return subtree_has(&r.own, group, n) != 0


cdef int _tell_peer(routing* r, peer* p, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    """One subscription, or its end, to one publisher; nothing to one that is not there (it gets all when it comes)."""
    cdef uint8_t small[300]
    cdef uint8_t* frame = small
    cdef zmsg m
    cdef size_t size
    cdef int rc, dialect
    if p.kind == PEER_INPROC:
        zmsg_init(&m)
        frame = <uint8_t*>malloc(n + 1)
        if frame == NULL:
            return -ENOMEM
        frame[0] = 0 if cancel else 1
        memcpy(frame + 1, topic, n)
        rc = zmsg_copy_bytes(&m, frame, n + 1)
        free(frame)
        if rc < 0:
            return rc
        rc = peer_put_control(r, p, NULL, 0, &m)
        if rc < 0:
            zmsg_release(&m)
        return rc if rc == -ENOMEM else 0
    if p.c != NULL:
        dialect = p.c.dialect
    elif r.type == TYPE_XSUB:
        dialect = ZMTP_3_0        # every publisher understands a subscription in the form of a message
    else:
        return 0
    if dialect == ZMTP_1_0:
        return 0          # such a publisher sends everything
    if r.type == TYPE_DISH:
        size = group_size(n, cancel)
    else:
        size = subscribe_size(n, cancel, dialect)
    if size > sizeof(small):
        frame = <uint8_t*>malloc(size)
        if frame == NULL:
            return -ENOMEM
    if r.type == TYPE_DISH:
        put_group(frame, topic, n, cancel)
    else:
        put_subscribe(frame, topic, n, cancel, dialect)
    rc = peer_put_control(r, p, frame, size, NULL)
    if frame != small:
        free(frame)
    return rc


cdef int _tell_all(routing* r, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    cdef uint32_t i
    cdef int rc = 0
    cdef int one
    for i in range(r.npeers):
        if not r.peers[i].gone:
            one = _tell_peer(r, r.peers[i], topic, n, cancel)
            if one < 0:
                rc = one
    return rc


cdef int own_subscribe(routing* r, const uint8_t* topic, size_t n, bint cancel) noexcept nogil:
    cdef int rc
    if cancel:
        rc = subtree_remove(&r.own, topic, n)
        if rc == 1 or (rc == 0 and r.opt.xsub_verbose_unsubscribe):
            return _tell_all(r, topic, n, True)
        return -ENOMEM if rc == -ENOMEM else 0
    rc = subtree_add(&r.own, topic, n)
    if rc < 0:
        return rc
    return _tell_all(r, topic, n, False)


cdef int own_group(routing* r, const uint8_t* group, size_t n, bint leave) noexcept nogil:
    """-EINVAL: joined already, or not a member (RFC 48)."""
    cdef int rc
    if n > GROUP_MAX or (subtree_has(&r.own, group, n) != 0) != leave:
        return -EINVAL
    rc = subtree_remove(&r.own, group, n) if leave else subtree_add(&r.own, group, n)
    return rc if rc < 0 else _tell_all(r, group, n, leave)


cdef struct _resend_arg:
    routing* r
    peer* p
    int rc


cdef void _resend_one(const uint8_t* topic, size_t n, void* arg) noexcept nogil:
    cdef _resend_arg* a = <_resend_arg*>arg
    cdef int rc
    rc = _tell_peer(a.r, a.p, topic, n, False)
    if rc < 0:
        a.rc = rc


cdef int own_resend(routing* r, peer* p) noexcept nogil:
    cdef _resend_arg arg
    arg.r = r
    arg.p = p
    arg.rc = 0
    subtree_walk(&r.own, _resend_one, &arg)
    return arg.rc


cdef int upstream_send(routing* r, zmsg* parts, uint32_t n, bint gil) noexcept nogil:
    """XSUB: a subscription in the form of a message, or a message to all publishers.  A connecting socket keeps them, in
    their order, for a publisher that has yet to come."""
    cdef const uint8_t* data = zmsg_data(&parts[0])
    cdef size_t size = zmsg_size(&parts[0])
    cdef uint32_t i
    cdef int rc
    if size > 0 and data[0] <= 1 and n == 1:
        if data[0] == 1:
            rc = subtree_add(&r.own, data + 1, size - 1)
            if rc < 0:
                return rc
        else:
            rc = subtree_remove(&r.own, data + 1, size - 1)
            if rc != 1 and not r.opt.xsub_verbose_unsubscribe:
                return 0
        for i in range(r.npeers):
            if not r.peers[i].gone:
                rc = _tell_peer_in_message(r, r.peers[i], data, size)
                if rc < 0:
                    return rc
        return 0
    for i in range(r.npeers):
        if r.peers[i].usable and peer_blocks(r.peers[i]) and not peer_room(r.peers[i]):
            return -EAGAIN
    for i in range(r.npeers):
        if not r.peers[i].usable:
            continue
        rc = _give(r, r.peers[i], parts, n, gil, False)
        if rc == -EAGAIN:
            peer_refuse(r.peers[i], True)
        elif rc < 0:
            return rc
    return 0


cdef int _tell_peer_in_message(routing* r, peer* p, const uint8_t* data, size_t size) noexcept nogil:
    """What XSUB was given as a message stays one on the wire, whatever the peer's version; no mark limits it."""
    cdef uint8_t* frame
    cdef size_t h
    cdef zmsg m
    cdef int rc
    zmsg_init(&m)
    if p.kind == PEER_INPROC:
        rc = zmsg_copy_bytes(&m, data, size)
        if rc == 0:
            rc = peer_put_control(r, p, NULL, 0, &m)
        zmsg_release(&m)
        return rc if rc == -ENOMEM else 0
    frame = <uint8_t*>malloc(size + FRAME_HEADER_MAX)
    if frame == NULL:
        return -ENOMEM
    h = frame_header(frame, 0, size)
    memcpy(frame + h, data, size)
    rc = peer_put_control(r, p, frame, h + size, NULL)
    free(frame)
    return rc
