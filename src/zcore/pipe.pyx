"""Stream queues: encoding on the way out, walking on the way in, policies at the high-water mark.

One file because the two queues of a peer share their frames' layout, and pipe.pxd declares them as one page.
"""

from libc.errno cimport EAGAIN, EMSGSIZE, ENOMEM, EPROTO
from libc.stdint cimport SIZE_MAX, UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memmove, memset

from .buffer cimport (FRAME_OBJECT, FRAME_REF, READ_FIRST, READ_MAX, REF_RECORD, byteq_advance, byteq_commit,
                      byteq_copy_out, byteq_cut, byteq_excise,
                      byteq_free, byteq_mark, byteq_mark_end, byteq_ref, byteq_release, byteq_rewind, byteq_room, chunk,
                      linear_free, linear_room)
from .keeper cimport kept, keeper_clear, keeper_put, keeper_take, kept_free, key_hash, key_of, keys_begin
from .limits cimport (DROP_MEMORY, DROP_NEWEST, DROP_OLDEST, DROP_REPLACED, KEY_NONE, POLICY_DISCONNECT,
                      POLICY_DROP_NEWEST, POLICY_DROP_OLDEST, POLICY_KEEP_LAST, below_half, limits, over_limit,
                      policy_blocks)
from .message cimport (MK_BLOCK, MK_EMPTY, MK_OBJECT, MSG_COMMAND, MSG_MORE, block, block_data, block_grow, block_new,
                       block_unref, bytes_data, release_later, zmsg, zmsg_copy_bytes, zmsg_data, zmsg_init, zmsg_own, zmsg_release, zmsg_size)
from .platform cimport zq_load32, zq_xchgp
from .ring cimport (LEN_CONTROL, LEN_SHIFT, lenring_at, lenring_count, lenring_free, lenring_front, lenring_pop,
                    lenring_push)
from .zmtp cimport FRAME_HEADER_MAX, FRAME_LONG, frame_head, frame_header, frame_header_size, get_be64, parse_header, put_be64

cdef enum:
    KEYS_MAX = 16384      # messages that are looked through for equal keys at once
    PROBES = 64           # places of a hash table that one of them looks at


# --- outgoing ------------------------------------------------------------------------------------

cdef void _gate(outq* o) noexcept nogil:
    """Say where put_quick ends: one before the mark, so that who meets it is always outq_put."""
    if o.lim.policy == POLICY_KEEP_LAST:
        # While the connection takes everything at once nothing waits that could be replaced.
        o.quick_msgs = UINT32_MAX if o.flows and o.keep.count == 0 else 0
        o.quick_bytes = KEEP_AHEAD
        return
    o.quick_msgs = o.lim.messages - 1 if o.lim.messages else UINT32_MAX
    o.quick_bytes = SIZE_MAX
    if o.lim.bytes:
        o.quick_bytes = o.lim.bytes - FRAME_HEADER_MAX if o.lim.bytes > FRAME_HEADER_MAX else 0


cdef void outq_limits(outq* o, const limits* lim) noexcept nogil:
    o.lim = lim[0]
    _gate(o)


cdef void outq_flows(outq* o, bint flows) noexcept nogil:
    o.flows = flows
    if o.lim.policy == POLICY_KEEP_LAST:
        _gate(o)


cdef int _push_frame(outq* o, zmsg* m, uint8_t flags, size_t* total) noexcept nogil:
    cdef size_t size = zmsg_size(m)
    cdef size_t h
    cdef uint8_t* p
    cdef bint borrow = borrows(m)
    p = byteq_room(&o.q, 9 if borrow else size + 9)
    if p == NULL:
        return -ENOMEM
    h = frame_header(p, flags, size)
    total[0] += h + size
    if not borrow:
        memcpy(p + h, zmsg_data(m), size)
        byteq_commit(&o.q, h + size)
        return 0
    byteq_commit(&o.q, h)
    if byteq_ref(&o.q, m.body.ref.data, size, m.body.ref.owner, m.kind) < 0:
        return -ENOMEM
    return 1


cdef int outq_push(outq* o, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n, uint64_t kind) noexcept nogil:
    cdef byteq_mark mark
    cdef size_t total = 0
    cdef uint32_t i
    cdef int rc = 0
    byteq_mark_end(&o.q, &mark)
    for i in range(npre + n):
        rc = _push_frame(o, &pre[i] if i < npre else &parts[i - npre],
                         MSG_MORE if i + 1 < npre + n else 0, &total)
        if rc < 0:
            break
    if rc >= 0 and lenring_push(&o.lens, (<uint64_t>total << LEN_SHIFT) | kind) < 0:
        rc = -ENOMEM
    if rc < 0:
        # Cutting releases what was borrowed, and those references are the caller's still: forget them first.
        _disown(o, &mark)
        byteq_cut(&o.q, &mark)
        return -ENOMEM
    # From here the queue owns what it borrowed.
    for i in range(npre + n):
        if i < npre:
            if borrows(&pre[i]):
                pre[i].kind = MK_EMPTY
        elif borrows(&parts[i - npre]):
            parts[i - npre].kind = MK_EMPTY
    if not kind:
        o.nmsgs += 1
    return 0


cdef void _disown(outq* o, byteq_mark* mark) noexcept nogil:
    cdef chunk* c = mark.last.next if mark.last != NULL else o.q.first
    while c != NULL:
        if c.cap == 0:
            c.owner = NULL
        c = c.next


cdef int outq_push_bytes(outq* o, const uint8_t* frames, size_t n, uint64_t kind) noexcept nogil:
    cdef uint8_t* p = byteq_room(&o.q, n)
    if p == NULL or lenring_push(&o.lens, (<uint64_t>n << LEN_SHIFT) | kind) < 0:
        return -ENOMEM
    memcpy(p, frames, n)
    byteq_commit(&o.q, n)
    if not kind:
        o.nmsgs += 1
    return 0


cdef bint _drop_oldest(outq* o) noexcept nogil:
    """Make room by dropping the oldest message that no write has begun. False when there is none."""
    cdef size_t taken = o.held if o.held > o.begun else o.begun
    cdef uint32_t count = lenring_count(&o.lens)
    cdef uint32_t k = 0
    cdef size_t at = 0
    cdef size_t n = 0
    cdef uint64_t item
    while k < count:
        item = lenring_at(&o.lens, k)[0]
        n = <size_t>(item >> LEN_SHIFT)
        if at >= taken and not item & LEN_CONTROL:
            break
        at += n
        k += 1
    if k == count:
        return False
    if k == 0:
        byteq_advance(&o.q, n)
        byteq_release(&o.q, n)
    else:
        byteq_excise(&o.q, at, n)
    while k:
        lenring_at(&o.lens, k)[0] = lenring_at(&o.lens, k - 1)[0]
        k -= 1
    lenring_pop(&o.lens)
    o.nmsgs -= 1
    o.books.dropped[DROP_OLDEST] += 1
    return True


cdef int _put_kept(outq* o, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n) noexcept nogil:
    cdef zmsg small[8]
    cdef zmsg* all = small
    cdef uint32_t before = o.keep.count
    cdef uint32_t made = 0
    cdef uint32_t i
    cdef int rc = 0
    for i in range(n):
        if zmsg_own(&parts[i]) < 0:
            return -ENOMEM
    if npre + n > 8:
        all = <zmsg*>malloc((npre + n) * sizeof(zmsg))
        if all == NULL:
            return -ENOMEM
    while made < npre and rc == 0:
        zmsg_init(&all[made])
        rc = zmsg_copy_bytes(&all[made], zmsg_data(&pre[made]), zmsg_size(&pre[made]))
        made += rc == 0
    if rc == 0:
        for i in range(n):
            all[npre + i] = parts[i]
        rc = keeper_put(&o.keep, &o.lim, &o.books, all, npre + n)
    if rc == 0:
        for i in range(n):
            parts[i].kind = MK_EMPTY
            parts[i].facts = NULL
        o.nmsgs += o.keep.count - before
        o.books.accepted += 1
        o.quick_msgs = 0          # behind it, until it has gone
    else:
        for i in range(made):
            zmsg_release(&all[i])
    if all != small:
        free(all)
    return rc


cdef inline void _fall_behind(outq* o) noexcept nogil:
    if o.lim.policy == POLICY_DISCONNECT and o.behind == 0:
        o.behind = BEHIND_MET


cdef int outq_put(outq* o, zmsg* pre, uint32_t npre, zmsg* parts, uint32_t n) noexcept nogil:
    cdef int rc
    if o.lim.policy == POLICY_KEEP_LAST:
        if not o.flows or o.keep.count or o.q.bytes >= KEEP_AHEAD:
            return _put_kept(o, pre, npre, parts, n)
    elif over_limit(&o.lim, o.nmsgs, o.q.bytes):
        o.books.full += not o.full
        if o.lim.policy == POLICY_DROP_OLDEST:
            while over_limit(&o.lim, o.nmsgs, o.q.bytes) and _drop_oldest(o):
                pass
        elif o.lim.policy == POLICY_DROP_NEWEST:
            o.books.accepted += 1
            o.books.dropped[DROP_NEWEST] += 1
            return PUT_DROPPED
        else:
            o.full = True
            _fall_behind(o)
            return -EAGAIN
    rc = outq_push(o, pre, npre, parts, n, 0)
    if rc == 0:
        o.books.accepted += 1
        if over_limit(&o.lim, o.nmsgs, o.q.bytes) and policy_blocks(o.lim.policy):
            o.full = True
            _fall_behind(o)
    return rc


cdef void outq_fill(outq* o) noexcept nogil:
    cdef kept* e
    while o.keep.count and o.q.unsent < KEEP_AHEAD:
        e = keeper_take(&o.keep)
        o.nmsgs -= 1              # counted anew where it goes
        if outq_push(o, NULL, 0, e.parts, e.nparts, 0) < 0:
            o.books.dropped[DROP_MEMORY] += 1
        kept_free(e)
    _gate(o)


cdef void outq_sent(outq* o, size_t n) noexcept nogil:
    cdef uint64_t item
    cdef size_t length
    cdef size_t gone = 0
    byteq_advance(&o.q, n)
    o.begun += n
    while lenring_count(&o.lens):
        item = lenring_front(&o.lens)
        length = <size_t>(item >> LEN_SHIFT)
        if o.begun < length:
            break
        o.begun -= length
        gone += length
        lenring_pop(&o.lens)
        if not item & LEN_CONTROL:
            o.nmsgs -= 1
            o.books.delivered += 1
            o.books.bytes += length
    if gone:
        byteq_release(&o.q, gone)
    if (o.full or o.behind) and below_half(&o.lim, o.nmsgs, o.q.bytes):
        o.full = False
        o.behind = 0
        o.caught_up += 1


cdef void outq_rewind(outq* o) noexcept nogil:
    byteq_rewind(&o.q)
    o.begun = 0
    o.held = 0
    outq_flows(o, False)
    if o.behind:
        # With the next connection the time begins anew; where there is none, what counts is the limit being met again.
        o.behind = BEHIND_MET if o.lim.after_ns else 0


cdef void outq_drop_control(outq* o) noexcept nogil:
    """Only for queues at rest (begun == 0). Rebuilds the queue when control frames lie among messages."""
    cdef uint32_t n = lenring_count(&o.lens)
    cdef uint32_t i, _i
    cdef uint64_t item
    cdef size_t length
    cdef bint any = False
    cdef outq rebuilt
    cdef uint8_t* p
    for i in range(n):
        if o.lens.items[(o.lens.head + i) & (o.lens.cap - 1)] & LEN_CONTROL:
            any = True
            break
    if not any:
        return
    memset(&rebuilt, 0, sizeof(outq))
    for _i in range(n):
        item = lenring_front(&o.lens)
        length = <size_t>(item >> LEN_SHIFT)
        if not item & LEN_CONTROL:
            p = byteq_room(&rebuilt.q, length)
            if p == NULL or lenring_push(&rebuilt.lens, item) < 0:
                o.books.dropped[DROP_MEMORY] += 1
                o.nmsgs -= 1
            else:
                byteq_copy_out(&o.q, 0, p, length)
                byteq_commit(&rebuilt.q, length)
        byteq_advance(&o.q, length)
        byteq_release(&o.q, length)
        lenring_pop(&o.lens)
    byteq_free(&o.q)
    lenring_free(&o.lens)
    o.q = rebuilt.q
    o.lens = rebuilt.lens


cdef void outq_clear(outq* o, int reason) noexcept nogil:
    o.books.dropped[reason] += o.nmsgs
    o.nmsgs = 0
    o.begun = 0
    o.held = 0
    o.full = False
    o.behind = 0
    keeper_clear(&o.keep)
    byteq_free(&o.q)
    lenring_free(&o.lens)
    _gate(o)


cdef void outq_free(outq* o) noexcept nogil:
    keeper_clear(&o.keep)
    byteq_free(&o.q)
    lenring_free(&o.lens)


# --- incoming ------------------------------------------------------------------------------------

cdef int inq_room(inq* i, size_t want) noexcept nogil:
    cdef size_t head = i.b.head
    # What is read at once counts as waiting: a policy that drops would drop what the application is about to take.
    cdef int rc = linear_room(&i.b, want, READ_MAX if policy_blocks(i.lim.policy) else READ_FIRST)
    if rc == 0 and head and i.b.head == 0:
        # The bytes moved down by `head`, or there were none left.
        i.whole = i.whole - head if i.whole >= head else 0
        i.commands_from = i.commands_from - head if i.commands_from >= head else 0
    return rc


cdef block* inq_spare(inq* i, size_t cap) noexcept nogil:
    cdef block* b = <block*>zq_xchgp(&i.spare, NULL)
    if b != NULL and b.cap < cap:
        block_unref(b)
        b = NULL
    return b if b != NULL else block_new(cap)


cdef inline size_t _big_have(inq* i) noexcept nogil:
    return i.b.tail - i.b.walk - FRAME_HEADER_MAX if i.big_lies else i.big_got


cdef void _move_big(inq* i, uint8_t* to) noexcept nogil:
    """What has come of the large frame moves from where it lies, or from its block."""
    cdef size_t n = _big_have(i)
    memcpy(to, i.b.data + i.b.walk + FRAME_HEADER_MAX if i.big_lies else block_data(i.big), n)
    if i.big_lies:
        i.big_lies = False
        i.big_got = n
        i.b.tail = i.b.walk


cdef bint _own_block(inq* i) noexcept nogil:
    """Nobody had memory for a large frame: a block, of no more than has come, or once came, justifies."""
    cdef size_t cap = _big_have(i) * 2
    cdef block* b
    if cap < BIG_FIRST:
        cap = BIG_FIRST
    if cap < i.trusted and i.trusted <= SPARE_MAX:
        cap = i.trusted
    b = inq_spare(i, cap if cap < i.big_size else i.big_size)
    if b == NULL:
        return False
    _move_big(i, block_data(b))
    i.big = b
    return True


cdef bint inq_lands(inq* i) noexcept nogil:
    cdef size_t have
    if i.big_size == 0 or i.land != NULL or (i.big != NULL and i.big.cap >= i.big_size):
        return False
    have = _big_have(i)
    if i.big_size - have < LAND_REST or have > i.big_size // 2:
        return False
    # No memory on a peer's word alone: what is not touched costs nothing, but it may be counted all the same.
    return i.big_size <= LAND_FIRST + i.trusted or i.big_size // LAND_TIMES <= have


cdef void inq_land(inq* i, void* obj, block* b) noexcept nogil:
    cdef block* old = i.big
    _move_big(i, bytes_data(obj) if obj != NULL else block_data(b))
    i.land = obj
    i.big = b
    if old != NULL:
        _serve_again(i, old)


cdef size_t inq_space(inq* i, uint8_t** dst) noexcept nogil:
    cdef size_t cap
    cdef block* b
    if i.land != NULL:
        dst[0] = bytes_data(i.land) + i.big_got
        return i.big_size - i.big_got
    if i.big_lies and not _own_block(i):
        return 0
    if i.big != NULL:
        if i.big_got == i.big.cap:
            cap = i.big.cap * 2
            if cap > i.big_size:
                cap = i.big_size
            b = block_grow(i.big, cap)
            if b == NULL:
                return 0
            i.big = b
        dst[0] = block_data(i.big) + i.big_got
        cap = i.big.cap if i.big.cap < i.big_size else i.big_size
        return cap - i.big_got
    dst[0] = i.b.data + i.b.tail
    cap = i.b.cap - i.b.tail
    return BIG_HEAD if i.big_next and cap > BIG_HEAD else cap


cdef inline void _frame_done(inq* i, uint8_t flags, size_t end) noexcept nogil:
    if flags & MSG_COMMAND:
        i.fresh_commands += 1
        if not i.in_message:
            i.whole = end
    elif flags & MSG_MORE:
        i.in_message = True
    else:
        i.in_message = False
        i.fresh_msgs += 1
        i.whole = end
        if i.part_big:
            i.fresh_big += i.part_big
            i.part_big = 0


cdef void _put_ref(inq* i, uint8_t flags, size_t size, void* owner) noexcept nogil:
    cdef uint8_t* p = i.b.data + i.b.tail
    p[0] = (flags & (MSG_MORE | MSG_COMMAND | FRAME_OBJECT)) | FRAME_LONG | FRAME_REF
    put_be64(p + 1, size)
    memcpy(p + 9, &owner, sizeof(void*))
    i.part_big += size
    i.b.tail += REF_RECORD
    i.b.walk = i.b.tail
    _frame_done(i, flags, i.b.walk)


cdef int inq_got(inq* i, size_t n) noexcept nogil:
    cdef frame_head fh
    cdef int h
    cdef size_t have
    cdef uint8_t* p
    i.rx_bytes += n
    if i.big_size:
        i.big_got += n
        if i.big_got < i.big_size:
            return 0
        if i.land != NULL:
            _put_ref(i, i.big_flags | FRAME_OBJECT, i.big_size, i.land)
        else:
            _put_ref(i, i.big_flags, i.big_size, i.big)
        i.trusted = i.big_size
        i.big_next = True
        i.big_size = 0
        i.big = NULL
        i.land = NULL
        return 0
    i.big_next = False
    i.b.tail += n
    while i.b.walk < i.b.tail:
        p = i.b.data + i.b.walk
        have = i.b.tail - i.b.walk
        h = parse_header(p, have, &fh)
        if h <= 0:
            return h
        if i.max_size >= 0 and fh.size > <uint64_t>i.max_size:
            return -EMSGSIZE
        if fh.flags & MSG_COMMAND and fh.flags & MSG_MORE:
            return -EPROTO
        if fh.size <= have - h:
            # the wire's reserved bits are ours from here on
            p[0] = p[0] & (MSG_MORE | FRAME_LONG | MSG_COMMAND)
            i.b.walk += h + <size_t>fh.size
            _frame_done(i, p[0], i.b.walk)
            continue
        if fh.size < BIG_FRAME or fh.flags & MSG_COMMAND:
            if fh.flags & MSG_COMMAND and fh.size > BIG_FRAME:
                return -EPROTO
            return 0
        if i.b.cap - i.b.walk < REF_RECORD:
            return 0          # the record that will stand here is longer than the header: the next turn makes room
        i.big_size = <size_t>fh.size
        i.big_flags = fh.flags & MSG_MORE
        i.big_lies = True
        i.big_got = 0
        return 0
    return 0


cdef int inq_begin_big(inq* i, uint8_t flags, size_t size, const uint8_t* have, size_t n) noexcept nogil:
    cdef size_t cap = BIG_FIRST if n * 2 < BIG_FIRST else n * 2
    cdef block* b = inq_spare(i, cap if cap < size else size)
    if b == NULL:
        return -ENOMEM
    memcpy(block_data(b), have, n)
    i.big = b
    i.big_lies = False
    i.big_size = size
    i.big_got = n
    i.big_flags = flags
    return 0


cdef uint8_t* inq_place(inq* i, size_t n, block** b) noexcept nogil:
    b[0] = NULL
    if n < BIG_FRAME:
        return NULL if i.b.cap - i.b.tail < n + 9 else i.b.data + i.b.tail + frame_header_size(n)
    if i.b.cap - i.b.tail < REF_RECORD:
        return NULL
    b[0] = inq_spare(i, n)
    return NULL if b[0] == NULL else block_data(b[0])


cdef int inq_placed(inq* i, uint8_t flags, size_t n, block* b) noexcept nogil:
    if flags & MSG_COMMAND and (flags & MSG_MORE or b != NULL):
        inq_unplaced(i, b)
        return -EPROTO
    if b != NULL:
        _put_ref(i, flags, n, b)
        return 0
    i.b.tail += frame_header(i.b.data + i.b.tail, flags, n) + n
    i.b.walk = i.b.tail
    _frame_done(i, flags, i.b.walk)
    return 0


cdef void inq_unplaced(inq* i, block* b) noexcept nogil:
    if b != NULL:
        block_unref(b)


cdef int inq_append_frame(inq* i, uint8_t flags, const uint8_t* data, size_t n) noexcept nogil:
    """For traffic that does not arrive as version 2 frames (ZMTP 1.0, what the engine itself has to say)."""
    cdef block* b
    cdef uint8_t* p
    if i.big_size or i.b.walk != i.b.tail:
        return -EAGAIN        # within a frame
    if i.max_size >= 0 and n > <size_t>i.max_size:
        return -EMSGSIZE
    p = inq_place(i, n, &b)
    if p == NULL:
        return -EAGAIN if n < BIG_FRAME else -ENOMEM
    memcpy(p, data, n)
    return inq_placed(i, flags, n, b)


cdef inline size_t _frame_at(inq* i, size_t at, part* p) noexcept nogil:
    """Read the frame at an offset, internal records included; returns where the next begins."""
    cdef uint8_t* f = i.b.data + at
    cdef uint8_t flags = f[0]
    p.flags = flags & (MSG_MORE | MSG_COMMAND)
    if not flags & FRAME_LONG:
        p.size = f[1]
        p.data = f + 2
        p.kind = MK_EMPTY
        return at + 2 + p.size
    p.size = <size_t>get_be64(f + 1)
    if flags & FRAME_REF:
        memcpy(&p.owner, f + 9, sizeof(void*))
        p.kind = MK_OBJECT if flags & FRAME_OBJECT else MK_BLOCK
        p.data = bytes_data(p.owner) if flags & FRAME_OBJECT else block_data(<block*>p.owner)
        return at + REF_RECORD
    p.data = f + 9
    p.kind = MK_EMPTY
    return at + 9 + p.size


cdef bint inq_next_command(inq* i, part* p) noexcept nogil:
    if i.fresh_commands == 0:
        i.commands_from = i.b.walk
        return False
    if i.commands_from < i.b.head:
        i.commands_from = i.b.head
    while i.commands_from < i.b.walk:
        i.commands_from = _frame_at(i, i.commands_from, p)
        if p.flags & MSG_COMMAND:
            i.fresh_commands -= 1
            return True
    i.fresh_commands = 0
    return False


cdef void _let_go(part* p) noexcept nogil:
    if p.kind == MK_BLOCK:
        block_unref(<block*>p.owner)
    elif p.kind == MK_OBJECT:
        release_later(p.owner)


cdef size_t _forget_range(inq* i, size_t at, size_t end) noexcept nogil:
    """Release the owners of the records between two offsets: their bytes."""
    cdef part p
    cdef size_t gone = 0
    while at < end:
        at = _frame_at(i, at, &p)
        if p.kind != MK_EMPTY:
            gone += p.size
            _let_go(&p)
    return gone


cdef uint32_t _fitting(inq* i) noexcept nogil:
    """How many of the fresh messages there is room for."""
    cdef uint32_t n = 0
    cdef size_t at = i.b.pub
    cdef size_t nbytes = inq_bytes(i)
    cdef size_t start
    cdef part p
    if i.lim.bytes == 0:
        if i.nmsgs >= i.lim.messages:
            return 0 if i.lim.messages else i.fresh_msgs
        n = i.lim.messages - i.nmsgs
        return n if n < i.fresh_msgs else i.fresh_msgs
    while n < i.fresh_msgs and not over_limit(&i.lim, i.nmsgs + n, nbytes):
        while True:
            start = at
            at = _frame_at(i, at, &p)
            if p.flags & MSG_COMMAND:
                continue
            nbytes += at - start
            if p.kind != MK_EMPTY:
                nbytes += p.size
            if not p.flags & MSG_MORE:
                break
        n += 1
    return n


cdef uint32_t _refuse_newest(inq* i, uint32_t keep) noexcept nogil:
    """Keep the first `keep` fresh messages, drop the others: the bytes behind them move down."""
    cdef size_t at = i.b.pub
    cdef size_t gone
    cdef uint32_t seen = 0
    cdef uint32_t refused = i.fresh_msgs - keep
    cdef part p
    while seen < keep:
        at = _frame_at(i, at, &p)
        if not p.flags & (MSG_MORE | MSG_COMMAND):
            seen += 1
    i.fresh_big -= _forget_range(i, at, i.whole)
    gone = i.whole - at
    memmove(i.b.data + at, i.b.data + i.whole, i.b.tail - i.whole)
    i.b.tail -= gone
    i.b.walk -= gone
    i.commands_from = i.commands_from - gone if i.commands_from >= i.whole else at
    i.whole = at
    i.fresh_msgs = keep
    return refused


cdef void _keep_run(inq* i) noexcept nogil:
    """A kept message that was looked at and not begun may still be replaced."""
    cdef kept* e = i.run
    cdef uint32_t before = i.keep.count
    if keeper_put(&i.keep, &i.lim, &i.books, e.parts, e.nparts) == 0:
        i.run = NULL
        i.nmsgs += i.keep.count - before - 1
        kept_free(e)


cdef void _keep_newest(inq* i, uint32_t fresh) noexcept nogil:
    """One message in all is kept: of those that have just come the last."""
    cdef size_t at = i.b.head
    cdef part p
    while i.nmsgs > 1:
        at = _frame_at(i, at, &p)
        if not p.flags & (MSG_MORE | MSG_COMMAND):
            i.nmsgs -= 1
    i.big_bytes -= _forget_range(i, i.b.head, at)
    i.b.head = at
    i.books.dropped[DROP_REPLACED] += fresh - 1


cdef bint _key_again(inq* i, size_t frame, const uint8_t* key, size_t n) noexcept nogil:
    """Has keys_begin's table this key already?  Enters the frame, the first of its message, if not."""
    cdef uint32_t at = <uint32_t>key_hash(key, n)
    cdef uint32_t* place
    cdef part p
    cdef int _k
    for _k in range(PROBES):
        place = &i.keep.scratch[at & (i.keep.nscratch - 1)]
        if place[0] == 0:
            place[0] = <uint32_t>(frame - i.b.head) + 1
            return False
        _frame_at(i, i.b.head + place[0] - 1, &p)
        if key_of(&i.lim, p.size) == n and memcmp(p.data, key, n) == 0:
            return True
        at += 1
    return True               # too crowded to tell


cdef bint _stay(inq* i, uint32_t fresh) noexcept nogil:
    """What has just come may be popped from where it lies: nothing else waits, and nothing in it replaces anything."""
    cdef size_t at = i.b.head
    cdef size_t start
    cdef bint first = True
    cdef part p
    if fresh == 1:
        return True
    if i.lim.key == KEY_NONE:
        _keep_newest(i, fresh)
        return True
    if (i.lim.messages and fresh > i.lim.messages) or (i.lim.bytes and inq_bytes(i) > i.lim.bytes):
        return False
    if i.lim.key_at or fresh > KEYS_MAX or i.b.pub - i.b.head >= UINT32_MAX or keys_begin(&i.keep, fresh) < 0:
        return False
    while at < i.b.pub:
        start = at
        at = _frame_at(i, at, &p)
        if p.flags & MSG_COMMAND:
            continue
        if first and _key_again(i, start, p.data, key_of(&i.lim, p.size)):
            return False
        first = not p.flags & MSG_MORE
    return True


cdef int _keep_published(inq* i) noexcept nogil:
    """KeepLast on the way in: what has been published moves into the store, newest of each key."""
    cdef zmsg small[8]
    cdef zmsg* parts = small
    cdef zmsg* bigger
    cdef uint32_t room = 8
    cdef uint32_t n = 0
    cdef uint32_t before = 0
    cdef part p
    cdef int rc = 0
    if i.run != NULL and not i.open:
        _keep_run(i)
    while i.b.head < i.b.pub:
        i.b.head = _frame_at(i, i.b.head, &p)
        if p.flags & MSG_COMMAND:
            continue
        if n == room:
            bigger = <zmsg*>malloc(room * 2 * sizeof(zmsg))
            if bigger == NULL:
                rc = -ENOMEM
            else:
                memcpy(bigger, parts, n * sizeof(zmsg))
                if parts != small:
                    free(parts)
                parts = bigger
                room *= 2
        if p.kind != MK_EMPTY:
            i.big_bytes -= p.size
        if rc == 0:
            zmsg_init(&parts[n])
            if p.kind != MK_EMPTY:
                parts[n].kind = p.kind
                parts[n].body.ref.data = p.data
                parts[n].body.ref.size = p.size
                parts[n].body.ref.owner = p.owner
            else:
                rc = zmsg_copy_bytes(&parts[n], p.data, p.size)
            parts[n].flags = p.flags & MSG_MORE
            n += 1
        else:
            _let_go(&p)
        if p.flags & MSG_MORE:
            continue
        i.nmsgs -= 1
        before = i.keep.count
        if rc == 0:
            rc = keeper_put(&i.keep, &i.lim, &i.books, parts, n)
        if rc == 0:
            i.nmsgs += i.keep.count - before
        else:
            # Said in the books; a connection in this state is closed.
            i.books.dropped[DROP_MEMORY] += 1
            while n:
                n -= 1
                zmsg_release(&parts[n])
        n = 0
    if parts != small:
        free(parts)
    return rc


cdef void _forget_oldest(inq* i) noexcept nogil:
    cdef uint64_t nbytes = i.books.bytes
    inq_skip_message(i)
    i.books.bytes = nbytes
    i.books.delivered -= 1
    i.books.dropped[DROP_OLDEST] += 1


cdef int inq_publish(inq* i) noexcept nogil:
    cdef uint32_t fits
    cdef uint32_t fresh = i.fresh_msgs
    i.books.accepted += fresh
    if i.lim.policy == POLICY_DROP_NEWEST and i.fresh_msgs:
        fits = _fitting(i)
        if fits < i.fresh_msgs:
            i.books.dropped[DROP_NEWEST] += _refuse_newest(i, fits)
            i.books.full += 1
    i.nmsgs += i.fresh_msgs
    i.fresh_msgs = 0
    i.big_bytes += i.fresh_big
    i.fresh_big = 0
    i.b.pub = i.whole
    if i.nmsgs == 0 and not i.open:
        # Nothing but commands, which have been looked at.
        i.b.head = i.b.pub
        return 0
    # Behind a message that was begun nothing can be dropped or replaced: then the peer waits, whatever the policy.
    if i.lim.policy == POLICY_KEEP_LAST and (i.run != NULL or not i.open):
        if i.run == NULL and fresh == i.nmsgs and _stay(i, fresh):
            return 0
        return _keep_published(i)
    if i.lim.policy == POLICY_DROP_OLDEST and not i.open:
        while ((i.lim.messages and i.nmsgs > i.lim.messages)
               or (i.lim.bytes and i.nmsgs > 1 and inq_bytes(i) > i.lim.bytes)):
            _forget_oldest(i)
    elif i.lim.policy != POLICY_DROP_NEWEST and not i.paused and over_limit(&i.lim, i.nmsgs, inq_bytes(i)):
        i.paused = True
        i.books.full += 1
    return 0


cdef bint inq_peek(inq* i, part* p) noexcept nogil:
    cdef zmsg* m
    cdef uint8_t* f
    if i.run != NULL or (i.keep.count and i.b.head >= i.b.pub):
        if i.run == NULL:
            i.run = keeper_take(&i.keep)
            i.run_at = 0
        m = &i.run.parts[i.run_at]
        p.data = zmsg_data(m)
        p.size = zmsg_size(m)
        p.flags = m.flags
        p.kind = m.kind if m.kind >= MK_BLOCK else MK_EMPTY
        p.owner = m.body.ref.owner if m.kind >= MK_BLOCK else NULL
        return True
    while i.b.head < i.b.pub:
        f = i.b.data + i.b.head
        if not f[0] & (FRAME_LONG | MSG_COMMAND):
            p.flags = f[0]
            p.size = f[1]
            p.data = f + 2
            p.kind = MK_EMPTY
            p.next = i.b.head + 2 + p.size
            return True
        p.next = _frame_at(i, i.b.head, p)
        if not p.flags & MSG_COMMAND:
            return True
        i.b.head = p.next
    return False


cdef void _serve_again(inq* i, block* b) noexcept nogil:
    """Memory fresh from the system costs more to touch than a large frame costs to copy: keep one block."""
    if zq_load32(&b.refs) != 1 or b.cap > SPARE_MAX:
        block_unref(b)
        return
    b = <block*>zq_xchgp(&i.spare, b)
    if b != NULL:
        block_unref(b)


cdef bint inq_trim(inq* i) noexcept nogil:
    cdef block* b = <block*>zq_xchgp(&i.spare, NULL)
    if b != NULL:
        block_unref(b)
    if i.b.head != i.b.tail or i.big_size:
        return False
    linear_free(&i.b)
    i.whole = i.commands_from = 0
    return True


cdef void inq_pop(inq* i, part* p, bint take) noexcept nogil:
    cdef bint more = (p.flags & MSG_MORE) != 0
    if not i.open:
        i.nmsgs -= 1
        i.books.delivered += 1
    i.open = more
    i.books.bytes += p.size
    if i.run != NULL:
        if take and p.kind != MK_EMPTY:
            i.run.parts[i.run_at].kind = MK_EMPTY
        i.run_at += 1
        if not more:
            kept_free(i.run)
            i.run = NULL
        return
    if p.kind != MK_EMPTY:
        i.big_bytes -= p.size
        if not take and p.kind == MK_BLOCK:
            _serve_again(i, <block*>p.owner)
        elif not take:
            release_later(p.owner)
    i.b.head = p.next
    if i.nmsgs == 0 and not more:
        i.b.head = i.b.pub     # only commands can be left, and they have been looked at


cdef void inq_skip_message(inq* i) noexcept nogil:
    cdef part p
    while inq_peek(i, &p):
        inq_pop(i, &p, False)
        if not p.flags & MSG_MORE:
            return


cdef void inq_reset(inq* i) noexcept nogil:
    inq_trim(i)
    if i.big != NULL:
        block_unref(i.big)
    if i.land != NULL:
        release_later(i.land)
    i.big = NULL
    i.land = NULL
    i.big_size = i.trusted = 0
    i.big_lies = i.big_next = False
    if i.b.data != NULL:
        _forget_range(i, i.b.pub, i.b.walk)
        i.b.tail = i.b.walk = i.whole = i.commands_from = i.b.pub
    i.in_message = False
    i.fresh_msgs = 0
    i.fresh_big = i.part_big = 0
    i.fresh_commands = 0


cdef void inq_free(inq* i) noexcept nogil:
    inq_reset(i)
    if i.b.data != NULL:
        _forget_range(i, i.b.head, i.b.pub)
    if i.run != NULL:
        kept_free(i.run)
        i.run = NULL
    keeper_clear(&i.keep)
    linear_free(&i.b)
    i.nmsgs = 0
    i.open = False
