"""The two directions of an inproc link."""

from libc.errno cimport EAGAIN, ENOMEM, EPIPE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from .keeper cimport keeper_clear, keeper_put, keeper_take, kept, kept_free
from .limits cimport (DROP_FILTERED, DROP_MEMORY, DROP_NEWEST, DROP_OLDEST, DROP_PEER_GONE, POLICY_DROP_NEWEST, POLICY_DROP_OLDEST,
                      POLICY_KEEP_LAST, POLICY_TYPE, below_half, books, limits, over_limit, policy_blocks)
from .message cimport (MK_OBJECT, MSG_COMMAND, MSG_MORE, zmsg, zmsg_data, zmsg_init, zmsg_move, zmsg_release, zmsg_set_object,
                       zmsg_size)
from .pipe cimport PUT_DROPPED
from .platform cimport (zq_add32, zq_latch_close, zq_latch_open, zq_load32_seq, zq_load64, zq_load64_seq, zq_prefetch, zq_store32,
                        zq_store64, zq_store64_relaxed, zq_sub32, zq_xchg32, zq_xchg64)
from .ring cimport msgring_at, msgring_count, msgring_free, msgring_pop, msgring_reserve, msgring_slot

cdef enum:
    AHEAD = 4                 # messages; what the other side's CPU wrote is asked for so early
    OVERLOOKED = 64           # messages; see _took
    LOW_MARK = 4 * OVERLOOKED

cdef link* link_new() noexcept nogil:
    cdef link* k = <link*>calloc(1, sizeof(link))
    if k != NULL:
        k.refs = 1
        k.dir[0].hungry = k.dir[1].hungry = True
        k.dir[0].exact = k.dir[1].exact = True
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
    this, or what it took before it looked is seen here; or nearly, see _took."""
    cdef uint32_t overlooked
    zq_xchg32(&h.full, True)
    _fold(h)
    overlooked = 0 if h.exact else min(h.nmsgs, OVERLOOKED)
    if below_half(&h.lim, h.nmsgs - overlooked, h.nbytes):
        zq_store32(&h.full, False)


cdef inline void _took(half* h, uint32_t n) noexcept nogil:
    """[reader] Before it looks at `full`.

    The CPU may look before others see this store, and a barrier in between costs as much as all the rest.  But it holds
    back no more than some dozens of stores, a few messages', and none beyond a call, which ends with the socket's lock.
    So the writer, when it meets the mark, counts some more as gone, and with a low mark there is the barrier.
    """
    if n == 1 and not h.exact:
        zq_store64(&h.took, h.took + 1)
    else:
        zq_xchg64(&h.took, h.took + n)


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


cdef inline bint _fed(half* h) noexcept nogil:
    """Something is put: is the reader to be told?"""
    cdef bint hungry = h.hungry
    h.hungry = False
    return hungry


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
                wake[0] = _fed(h)
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
    wake[0] = _fed(h)
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
    zq_latch_close(&k.lock)
    rc = _put(k, side, pre, npre, parts, n, control, wake)
    zq_latch_open(&k.lock)
    return rc


cdef bint link_put_quick(link* k, int side, const uint8_t* data, size_t size, void* owner, bint* wake) noexcept nogil:
    cdef half* h = &k.dir[side]
    cdef zmsg* slot
    zq_latch_close(&k.lock)
    # Also not one that meets the mark: what follows from that is link_put's business.
    if k.ends[1 - side] == NULL or h.full or h.lim.policy == POLICY_KEEP_LAST \
            or msgring_count(&h.ring) == h.ring.cap or over_limit(&h.lim, h.nmsgs + 1, h.nbytes + size):
        zq_latch_open(&k.lock)
        return False
    wake[0] = _fed(h)
    zq_prefetch(msgring_at(&h.ring, msgring_count(&h.ring) + AHEAD))
    slot = msgring_slot(&h.ring)
    zmsg_init(slot)
    zmsg_set_object(slot, data, size, owner)
    h.nbytes += size
    h.nmsgs += 1
    h.books.accepted += 1
    zq_latch_open(&k.lock)
    return True


cdef uint32_t link_put_run(link* k, int side, zmsg* parts, uint32_t n, bint* wake) noexcept nogil:
    cdef uint32_t i = 0
    cdef bint told = False
    wake[0] = False
    zq_latch_close(&k.lock)
    while i < n and _put(k, side, NULL, 0, &parts[i], 1, False, &told) >= 0:
        wake[0] |= told
        i += 1
    zq_latch_open(&k.lock)
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


cdef inline bint _credit(link* k, half* h) noexcept nogil:
    """[reader] After something was taken from the run: may the writer go on?"""
    cdef bint sunk
    if not zq_load32_seq(&h.full):
        return False
    zq_latch_close(&k.lock)
    sunk = _sunk(h)
    zq_latch_open(&k.lock)
    return sunk


cdef void _take_run(link* k, half* h, zmsg* out, bint* credit) noexcept nogil:
    zmsg_move(out, msgring_at(&h.run, 0))
    zq_prefetch(msgring_at(&h.run, AHEAD))
    msgring_pop(&h.run)
    if out.flags & MSG_COMMAND:
        zq_latch_close(&k.lock)
        h.nbytes -= zmsg_size(out)
        zq_latch_open(&k.lock)
        return
    zq_store64_relaxed(&h.took_bytes, h.took_bytes + zmsg_size(out))
    if not h.run_open:
        _took(h, 1)
    h.run_open = (out.flags & MSG_MORE) != 0
    credit[0] = _credit(k, h)


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
    zq_store64_relaxed(&h.took_bytes, h.took_bytes + size)
    h.run.head += n
    _took(h, n)
    credit[0] = _credit(k, h)


cdef bint link_front(link* k, int side, uint8_t* first, size_t* size) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef zmsg* m = NULL
    if msgring_count(&h.run):
        m = msgring_at(&h.run, 0)
        size[0] = zmsg_size(m)
        first[0] = zmsg_data(m)[0] if size[0] else 0
        return True
    zq_latch_close(&k.lock)
    if msgring_count(&h.ring) == 0 and h.keep.count:
        _refill(h)
    if msgring_count(&h.ring):
        m = msgring_at(&h.ring, 0)
        size[0] = zmsg_size(m)
        first[0] = zmsg_data(m)[0] if size[0] else 0
    else:
        h.hungry = True
    zq_latch_open(&k.lock)
    return m != NULL


cdef int link_take(link* k, int side, zmsg* out, bint* credit) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef msgring empty
    cdef zmsg* m
    credit[0] = False
    if msgring_count(&h.run):
        _take_run(k, h, out, credit)
        return 1
    zq_latch_close(&k.lock)
    if msgring_count(&h.ring) == 0 and h.keep.count:
        _refill(h)
    if msgring_count(&h.ring) == 0:
        h.hungry = True
        zq_latch_open(&k.lock)
        return 0
    if not h.open and policy_blocks(h.lim.policy):
        empty = h.run
        h.run = h.ring
        h.ring = empty
        zq_latch_open(&k.lock)
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
    zq_latch_open(&k.lock)
    return 1


cdef int link_inject(link* k, int side, zmsg* m) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    cdef zmsg* slot
    cdef int rc
    zq_latch_close(&k.lock)
    rc = msgring_reserve(&h.ring, 1)
    if rc == 0:
        slot = msgring_slot(&h.ring)
        zmsg_move(slot, m)
        slot.flags = 0
        h.nbytes += zmsg_size(slot)
        h.nmsgs += 1
        h.books.accepted += 1
    zq_latch_open(&k.lock)
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
    h.exact = h.lim.bytes != 0 or 0 < h.lim.messages < LOW_MARK
    _fold(h)
    if not policy_blocks(h.lim.policy) or not over_limit(&h.lim, h.nmsgs, h.nbytes):
        zq_store32(&h.full, False)


cdef void link_limits(link* k, int side, const limits* sending, const limits* receiving) noexcept nogil:
    zq_latch_close(&k.lock)
    k.dir[side].by_writer = sending[0]
    k.dir[1 - side].by_reader = receiving[0]
    if side == 1:
        k.joined = True
    if k.joined:
        _meet(&k.dir[0])
        _meet(&k.dir[1])
    else:
        k.dir[side].lim = sending[0]
        k.dir[side].exact = True
        zq_store32(&k.dir[side].full, policy_blocks(sending.policy)
                   and over_limit(sending, k.dir[side].nmsgs, k.dir[side].nbytes))
    zq_latch_open(&k.lock)


cdef void link_leave(link* k, int side) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    zq_latch_close(&k.lock)
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
    zq_latch_open(&k.lock)


cdef bint link_room(link* k, int side) noexcept nogil:
    cdef bint room
    zq_latch_close(&k.lock)
    room = not k.dir[side].full and k.ends[1 - side] != NULL
    zq_latch_open(&k.lock)
    return room


cdef void link_refuse(link* k, int side, bint again) noexcept nogil:
    cdef half* h = &k.dir[side]
    zq_latch_close(&k.lock)
    h.books.accepted += 1
    h.books.dropped[DROP_NEWEST] += 1
    if again:
        zq_store32(&h.full, False)
    zq_latch_open(&k.lock)


cdef void link_filter(link* k, int side) noexcept nogil:
    cdef half* h = &k.dir[1 - side]
    zq_latch_close(&k.lock)
    _fold(h)
    h.books.delivered -= 1
    h.books.dropped[DROP_FILTERED] += 1
    zq_latch_open(&k.lock)


cdef void link_books(link* k, int side, books* sent, books* received) noexcept nogil:
    cdef half* h = &k.dir[side]
    zq_latch_close(&k.lock)
    link_fold(k)
    sent[0] = h.books
    sent.delivered += h.nmsgs
    received[0] = k.dir[1 - side].books
    zq_latch_open(&k.lock)


cdef uint8_t link_policy(link* k, int side) noexcept nogil:
    cdef uint8_t policy
    zq_latch_close(&k.lock)
    policy = k.dir[side].lim.policy
    zq_latch_open(&k.lock)
    return policy


cdef uint32_t link_waiting(link* k, int side) noexcept nogil:
    cdef uint32_t n
    zq_latch_close(&k.lock)
    n = (msgring_count(&k.dir[1 - side].run) + msgring_count(&k.dir[1 - side].ring)
         + k.dir[1 - side].keep.count)
    zq_latch_open(&k.lock)
    return n
