"""The two directions of an inproc link."""

from libc.errno cimport EAGAIN, ENOMEM, EPIPE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from .keeper cimport keeper_clear, keeper_put, keeper_take, kept, kept_free
from .limits cimport (DROP_FILTERED, DROP_MEMORY, DROP_NEWEST, DROP_OLDEST, DROP_PEER_GONE, POLICY_DROP_NEWEST, POLICY_DROP_OLDEST,
                      POLICY_KEEP_LAST, POLICY_TYPE, below_half, books, limits, over_limit, policy_blocks)
from .message cimport MK_OBJECT, MSG_COMMAND, MSG_MORE, zmsg, zmsg_data, zmsg_init, zmsg_move, zmsg_release, zmsg_size
from .pipe cimport PUT_DROPPED
from .platform cimport (zq_add32, zq_load32_seq, zq_load64, zq_load64_seq, zq_lock, zq_mutex_destroy, zq_mutex_init,
                        zq_prefetch, zq_store32, zq_store64_relaxed, zq_sub32, zq_unlock, zq_xchg32, zq_xchg64)
from .ring cimport msgring_at, msgring_count, msgring_free, msgring_pop, msgring_reserve, msgring_slot

cdef enum:
    AHEAD = 4                 # messages; what the other side's CPU wrote is asked for so early

cdef link* link_new() noexcept nogil:
    cdef link* k = <link*>calloc(1, sizeof(link))
    if k != NULL:
        zq_mutex_init(&k.lock)
        k.refs = 1
        k.dir[0].hungry = k.dir[1].hungry = True
    return k


cdef void link_ref(link* k) noexcept nogil:
    zq_add32(&k.refs, 1)


cdef void link_unref(link* k) noexcept nogil:
    cdef int s
    if zq_sub32(&k.refs, 1) != 1:
        return
    for s in range(2):
        keeper_clear(&k.dir[s].keep)
        msgring_free(&k.dir[s].ring)
        msgring_free(&k.dir[s].run)
    zq_mutex_destroy(&k.lock)
    free(k)


cdef inline void _fold(half* h) noexcept nogil:
    cdef uint64_t took = zq_load64_seq(&h.took)
    cdef uint64_t nbytes = zq_load64(&h.took_bytes)
    h.nmsgs -= <uint32_t>(took - h.folded)
    h.books.delivered += took - h.folded
    h.nbytes -= <size_t>(nbytes - h.folded_bytes)
    h.books.bytes += nbytes - h.folded_bytes
    h.folded = took
    h.folded_bytes = nbytes


cdef void link_fold(link* k) noexcept nogil:
    _fold(&k.dir[0])
    _fold(&k.dir[1])


cdef void _set_full(half* h) noexcept nogil:
    """The writer waits for half to leave.  The reader looks at `full` after each message that it has taken: it has seen
    this, or what it took before it looked is seen here."""
    zq_xchg32(&h.full, True)
    _fold(h)
    if below_half(&h.lim, h.nmsgs, h.nbytes):
        zq_store32(&h.full, False)


cdef bint _drop_oldest(half* h) noexcept nogil:
    """Make room by dropping the oldest message that the reader has not begun. False when there is none."""
    cdef uint32_t count = msgring_count(&h.ring)
    cdef uint32_t first = 0
    cdef uint32_t n = 0
    cdef zmsg* m
    cdef bint more = h.open
    while first < count and (more or msgring_at(&h.ring, first).flags & MSG_COMMAND):
        more = more and msgring_at(&h.ring, first).flags & MSG_MORE
        first += 1
    if first == count:
        return False
    more = True
    while more and first + n < count:
        m = msgring_at(&h.ring, first + n)
        more = (m.flags & MSG_MORE) != 0
        h.nbytes -= zmsg_size(m)
        zmsg_release(m)
        n += 1
    while first:
        first -= 1
        zmsg_move(msgring_at(&h.ring, first + n), msgring_at(&h.ring, first))
    while n:
        msgring_pop(&h.ring)
        n -= 1
    h.nmsgs -= 1
    h.books.dropped[DROP_OLDEST] += 1
    return True


cdef int _put_kept(half* h, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n) noexcept nogil:
    cdef zmsg small[8]
    cdef zmsg* all = small
    cdef uint32_t before = h.keep.count
    cdef uint32_t i
    cdef int rc
    if npre + n > 8:
        all = <zmsg*>malloc((npre + n) * sizeof(zmsg))
        if all == NULL:
            return -ENOMEM
    for i in range(npre + n):
        all[i] = pre[i] if i < npre else parts[i - npre]
        all[i].flags = MSG_MORE if i + 1 < npre + n else 0
    rc = keeper_put(&h.keep, &h.lim, &h.books, all, npre + n)
    if rc == 0:
        for i in range(npre + n):
            zmsg_init(&pre[i] if i < npre else &parts[i - npre])
        h.nmsgs += h.keep.count - before
        h.books.accepted += 1
    if all != small:
        free(all)
    return rc


cdef int _put(link* k, int side, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, bint control,
              bint* wake) noexcept nogil:
    cdef half* h = &k.dir[side]
    cdef zmsg* slot
    cdef uint32_t i
    cdef int rc
    if k.ends[1 - side] == NULL:
        return -EPIPE
    if not control:
        if h.lim.policy == POLICY_KEEP_LAST:
            rc = _put_kept(h, pre, npre, parts, n)
            if rc == 0:
                wake[0] = h.hungry
                h.hungry = False
            return rc
        if over_limit(&h.lim, h.nmsgs, h.nbytes):
            _fold(h)
        if over_limit(&h.lim, h.nmsgs, h.nbytes):
            h.books.full += not h.full
            if h.lim.policy == POLICY_DROP_OLDEST:
                while over_limit(&h.lim, h.nmsgs, h.nbytes) and _drop_oldest(h):
                    pass
            elif h.lim.policy == POLICY_DROP_NEWEST:
                h.books.accepted += 1
                h.books.dropped[DROP_NEWEST] += 1
                return PUT_DROPPED
            else:
                _set_full(h)
                if over_limit(&h.lim, h.nmsgs, h.nbytes):
                    return -EAGAIN
    if msgring_count(&h.ring) + npre + n > h.ring.cap and msgring_reserve(&h.ring, npre + n) < 0:
        return -ENOMEM
    wake[0] = h.hungry
    h.hungry = False
    zq_prefetch(msgring_at(&h.ring, msgring_count(&h.ring) + AHEAD))
    for i in range(npre + n):
        slot = msgring_slot(&h.ring)
        zmsg_move(slot, &pre[i] if i < npre else &parts[i - npre])
        h.nbytes += zmsg_size(slot)
        slot.flags = (slot.flags & MSG_COMMAND) | (MSG_MORE if i + 1 < npre + n else 0)
    if not control:
        h.nmsgs += 1
        h.books.accepted += 1
        if over_limit(&h.lim, h.nmsgs, h.nbytes) and policy_blocks(h.lim.policy):
            _fold(h)
            if over_limit(&h.lim, h.nmsgs, h.nbytes):
                _set_full(h)
    return 0


cdef int link_put(link* k, int side, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, bint control,
                  bint* wake) noexcept nogil:
    cdef int rc
    wake[0] = False
    zq_lock(&k.lock)
    rc = _put(k, side, pre, npre, parts, n, control, wake)
    zq_unlock(&k.lock)
    return rc


cdef uint32_t link_put_run(link* k, int side, zmsg* parts, uint32_t n, bint* wake) noexcept nogil:
    cdef uint32_t i = 0
    cdef bint told = False
    wake[0] = False
    zq_lock(&k.lock)
    while i < n and _put(k, side, NULL, 0, &parts[i], 1, False, &told) >= 0:
        wake[0] |= told
        i += 1
    zq_unlock(&k.lock)
    return i


cdef void _refill(half* h) noexcept nogil:
    """Bring the oldest kept message into the ring, where it is taken part by part."""
    cdef kept* e = keeper_take(&h.keep)
    cdef uint32_t i
    if e == NULL:
        return
    if msgring_reserve(&h.ring, e.nparts) < 0:
        h.nmsgs -= 1
        h.books.dropped[DROP_MEMORY] += 1
    else:
        for i in range(e.nparts):
            h.nbytes += zmsg_size(&e.parts[i])
            zmsg_move(msgring_slot(&h.ring), &e.parts[i])
    kept_free(e)


cdef bint _sunk(half* h) noexcept nogil:
    """[link.lock] Has it sunk to half after the writer met the mark?"""
    _fold(h)
    if not h.full or not below_half(&h.lim, h.nmsgs, h.nbytes):
        return False
    zq_store32(&h.full, False)
    return True


cdef void _take_run(link* k, half* h, zmsg* out, bint* credit) noexcept nogil:
    zmsg_move(out, msgring_at(&h.run, 0))
    zq_prefetch(msgring_at(&h.run, AHEAD))
    msgring_pop(&h.run)
    if out.flags & MSG_COMMAND:
        zq_lock(&k.lock)
        h.nbytes -= zmsg_size(out)
        zq_unlock(&k.lock)
        return
    zq_store64_relaxed(&h.took_bytes, h.took_bytes + zmsg_size(out))
    if not h.run_open:
        zq_xchg64(&h.took, h.took + 1)
    h.run_open = (out.flags & MSG_MORE) != 0
    if zq_load32_seq(&h.full):
        zq_lock(&k.lock)
        credit[0] = _sunk(h)
        zq_unlock(&k.lock)


cdef zmsg* link_quick(link* k, int side) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef zmsg* m
    if msgring_count(&h.run) == 0 or h.run_open:
        return NULL
    m = msgring_at(&h.run, 0)
    return m if m.kind == MK_OBJECT and m.flags == 0 and m.facts == NULL else NULL


cdef void link_quick_pop(link* k, int side, bint* credit) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    zq_prefetch(msgring_at(&h.run, AHEAD))
    link_run_pop(k, side, 1, msgring_at(&h.run, 0).body.ref.size, credit)


cdef zmsg* link_run(link* k, int side, uint32_t* n) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef uint32_t to_the_edge = h.run.cap - (h.run.head & (h.run.cap - 1))
    if h.run_open or h.run.cap == 0:
        return NULL
    n[0] = msgring_count(&h.run)
    if n[0] > to_the_edge:
        n[0] = to_the_edge
    return msgring_at(&h.run, 0)


cdef void link_run_pop(link* k, int side, uint32_t n, size_t size, bint* credit) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    credit[0] = False
    zq_store64_relaxed(&h.took_bytes, h.took_bytes + size)
    h.run.head += n
    zq_xchg64(&h.took, h.took + n)
    if zq_load32_seq(&h.full):
        zq_lock(&k.lock)
        credit[0] = _sunk(h)
        zq_unlock(&k.lock)


cdef bint link_front(link* k, int side, uint8_t* first, size_t* size) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef zmsg* m = NULL
    if msgring_count(&h.run):
        m = msgring_at(&h.run, 0)
        size[0] = zmsg_size(m)
        first[0] = zmsg_data(m)[0] if size[0] else 0
        return True
    zq_lock(&k.lock)
    if msgring_count(&h.ring) == 0 and h.keep.count:
        _refill(h)
    if msgring_count(&h.ring):
        m = msgring_at(&h.ring, 0)
        size[0] = zmsg_size(m)
        first[0] = zmsg_data(m)[0] if size[0] else 0
    else:
        h.hungry = True
    zq_unlock(&k.lock)
    return m != NULL


cdef int link_take(link* k, int side, zmsg* out, bint* credit) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef msgring empty
    cdef zmsg* m
    credit[0] = False
    if msgring_count(&h.run):
        _take_run(k, h, out, credit)
        return 1
    zq_lock(&k.lock)
    if msgring_count(&h.ring) == 0 and h.keep.count:
        _refill(h)
    if msgring_count(&h.ring) == 0:
        h.hungry = True
        zq_unlock(&k.lock)
        return 0
    if not h.open and policy_blocks(h.lim.policy):
        empty = h.run
        h.run = h.ring
        h.ring = empty
        zq_unlock(&k.lock)
        _take_run(k, h, out, credit)
        return 1
    m = msgring_at(&h.ring, 0)
    zmsg_move(out, m)
    msgring_pop(&h.ring)
    h.nbytes -= zmsg_size(out)
    if not out.flags & MSG_COMMAND:
        if not h.open:
            h.nmsgs -= 1
            h.books.delivered += 1
        h.books.bytes += zmsg_size(out)
        h.open = (out.flags & MSG_MORE) != 0
        if h.full:
            credit[0] = _sunk(h)
    zq_unlock(&k.lock)
    return 1


cdef int link_inject(link* k, int side, zmsg* m) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef zmsg* slot
    cdef int rc
    zq_lock(&k.lock)
    rc = msgring_reserve(&h.ring, 1)
    if rc == 0:
        slot = msgring_slot(&h.ring)
        zmsg_move(slot, m)
        slot.flags = 0
        h.nbytes += zmsg_size(slot)
        h.nmsgs += 1
        h.books.accepted += 1
    zq_unlock(&k.lock)
    return rc


cdef void _meet(half* h) noexcept nogil:
    """Both ends' marks add up; the writer's policy counts, or the reader's if the writer has chosen none."""
    h.lim = h.by_writer
    if h.by_writer.policy == POLICY_TYPE:
        if h.by_reader.policy != POLICY_TYPE:
            h.lim = h.by_reader
        elif h.by_writer.messages and h.by_reader.messages:
            h.lim.messages = h.by_writer.messages + h.by_reader.messages
        else:
            h.lim.messages = 0
    _fold(h)
    if not policy_blocks(h.lim.policy) or not over_limit(&h.lim, h.nmsgs, h.nbytes):
        zq_store32(&h.full, False)


cdef void link_limits(link* k, int side, const limits* sending, const limits* receiving) noexcept nogil:
    zq_lock(&k.lock)
    k.dir[side].by_writer = sending[0]
    k.dir[1 - side].by_reader = receiving[0]
    if side == 1:
        k.joined = True
    if k.joined:
        _meet(&k.dir[0])
        _meet(&k.dir[1])
    else:
        k.dir[side].lim = sending[0]
        zq_store32(&k.dir[side].full, policy_blocks(sending.policy)
                   and over_limit(sending, k.dir[side].nmsgs, k.dir[side].nbytes))
    zq_unlock(&k.lock)


cdef void link_leave(link* k, int side) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    zq_lock(&k.lock)
    k.ends[side] = NULL
    # Nobody will read what the other side has written.
    _fold(h)
    h.books.dropped[DROP_PEER_GONE] += h.nmsgs
    h.nmsgs = 0
    h.nbytes = 0
    keeper_clear(&h.keep)
    msgring_free(&h.ring)
    msgring_free(&h.run)
    zq_store32(&h.full, False)
    zq_unlock(&k.lock)


cdef bint link_room(link* k, int side) noexcept nogil:
    cdef bint room
    zq_lock(&k.lock)
    room = not k.dir[side].full and k.ends[1 - side] != NULL
    zq_unlock(&k.lock)
    return room


cdef void link_refuse(link* k, int side, bint again) noexcept nogil:
    cdef half* h = &k.dir[side]
    zq_lock(&k.lock)
    h.books.accepted += 1
    h.books.dropped[DROP_NEWEST] += 1
    if again:
        zq_store32(&h.full, False)
    zq_unlock(&k.lock)


cdef void link_filter(link* k, int side) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    zq_lock(&k.lock)
    _fold(h)
    h.books.delivered -= 1
    h.books.dropped[DROP_FILTERED] += 1
    zq_unlock(&k.lock)


cdef void link_books(link* k, int side, books* sent, books* received) noexcept nogil:
    cdef half* h = &k.dir[side]
    zq_lock(&k.lock)
    link_fold(k)
    sent[0] = h.books
    sent.delivered += h.nmsgs
    received[0] = k.dir[1 - side].books
    zq_unlock(&k.lock)


cdef uint8_t link_policy(link* k, int side) noexcept nogil:
    cdef uint8_t policy
    zq_lock(&k.lock)
    policy = k.dir[side].lim.policy
    zq_unlock(&k.lock)
    return policy


cdef uint32_t link_waiting(link* k, int side) noexcept nogil:
    cdef uint32_t n
    zq_lock(&k.lock)
    n = (msgring_count(&k.dir[1 - side].run) + msgring_count(&k.dir[1 - side].ring)
         + k.dir[1 - side].keep.count)
    zq_unlock(&k.lock)
    return n
