"""The chunk list and the linear read buffer."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove
from posix.uio cimport iovec

from .message cimport MK_BLOCK, block, block_unref, release_later


cdef void _chunk_free(chunk* c) noexcept nogil:
    if c.owner != NULL:
        if c.owner_kind == MK_BLOCK:
            block_unref(<block*>c.owner)
        else:
            release_later(c.owner)
    free(c)


cdef void _append(byteq* q, chunk* c) noexcept nogil:
    c.next = NULL
    if q.last == NULL:
        q.first = q.cur = c
        q.head_off = q.cur_off = 0
    else:
        q.last.next = c
    q.last = c


cdef uint8_t* byteq_grow(byteq* q, size_t n) noexcept nogil:
    cdef chunk* c = q.spare
    cdef size_t cap = CHUNK_MIN
    if c != NULL and c.cap >= n:
        q.spare = NULL
        c.used = 0
        _append(q, c)
        return c.data
    if q.last != NULL:
        cap = q.last.cap * 2
        if cap < CHUNK_MIN:
            cap = CHUNK_MIN
        if cap > CHUNK_MAX:
            cap = CHUNK_MAX
    if cap < n:
        cap = n
    c = <chunk*>malloc(sizeof(chunk) + cap)
    if c == NULL:
        return NULL
    c.data = <uint8_t*>(c + 1)
    c.used = 0
    c.cap = cap
    c.owner = NULL
    c.owner_kind = 0
    _append(q, c)
    return c.data


cdef int byteq_ref(byteq* q, const uint8_t* data, size_t n, void* owner, uint8_t owner_kind) noexcept nogil:
    """Append bytes that stay where they are; one reference of owner passes to the queue."""
    cdef chunk* c = <chunk*>malloc(sizeof(chunk))
    if c == NULL:
        return -ENOMEM
    c.data = <uint8_t*>data
    c.used = n
    c.cap = 0
    c.owner = owner
    c.owner_kind = owner_kind
    _append(q, c)
    q.bytes += n
    q.unsent += n
    return 0


cdef void byteq_release(byteq* q, size_t n) noexcept nogil:
    cdef chunk* c
    cdef size_t have
    q.bytes -= n
    while True:
        c = q.first
        if c == NULL:
            return
        have = c.used - q.head_off
        if n < have:
            q.head_off += n
            return
        n -= have
        if c.next == NULL:
            if c.cap:
                # Everything is gone: the same chunk serves again from its beginning.
                c.used = 0
                q.head_off = q.cur_off = 0
            else:
                _chunk_free(c)
                q.first = q.last = q.cur = NULL
                q.head_off = q.cur_off = 0
            return
        q.first = c.next
        q.head_off = 0
        if q.cur == c:
            q.cur = c.next
            q.cur_off = 0
        if c.cap and (q.spare == NULL or q.spare.cap < c.cap):
            if q.spare != NULL:
                free(q.spare)
            q.spare = c
        else:
            _chunk_free(c)


cdef void byteq_advance(byteq* q, size_t n) noexcept nogil:
    cdef size_t have
    q.unsent -= n
    while n:
        have = q.cur.used - q.cur_off
        if n < have or q.cur.next == NULL:
            q.cur_off += n
            return
        n -= have
        q.cur = q.cur.next
        q.cur_off = 0


cdef void byteq_rewind(byteq* q) noexcept nogil:
    q.cur = q.first
    q.cur_off = q.head_off
    q.unsent = q.bytes


cdef int byteq_iov(byteq* q, iovec* iov, int max_iov, size_t max_bytes) noexcept nogil:
    cdef chunk* c = q.cur
    cdef size_t off = q.cur_off
    cdef size_t n
    cdef int count = 0
    while c != NULL and count < max_iov and max_bytes > 0:
        n = c.used - off
        if n > max_bytes:
            n = max_bytes
        if n:
            iov[count].iov_base = c.data + off
            iov[count].iov_len = n
            count += 1
            max_bytes -= n
        c = c.next
        off = 0
    return count


cdef const uint8_t* byteq_next(byteq* q, size_t* n) noexcept nogil:
    cdef chunk* c = q.cur
    cdef size_t off = q.cur_off
    while c != NULL and off == c.used:
        c = c.next
        off = 0
    if c == NULL:
        return NULL
    n[0] = c.used - off
    return c.data + off


cdef void byteq_copy_out(byteq* q, size_t at, uint8_t* dst, size_t n) noexcept nogil:
    cdef chunk* c = q.first
    cdef size_t off = q.head_off
    cdef size_t have
    while n and c != NULL:
        have = c.used - off
        if at >= have:
            at -= have
        else:
            have -= at
            if have > n:
                have = n
            memcpy(dst, c.data + off + at, have)
            dst += have
            n -= have
            at = 0
        c = c.next
        off = 0


cdef void byteq_mark_end(byteq* q, byteq_mark* m) noexcept nogil:
    m.last = q.last
    m.used = q.last.used if q.last != NULL else 0
    m.bytes = q.bytes
    m.unsent = q.unsent


cdef void byteq_cut(byteq* q, byteq_mark* m) noexcept nogil:
    cdef chunk* c
    cdef chunk* following
    if m.last == NULL:
        c = q.first
        q.first = q.last = q.cur = NULL
        q.head_off = q.cur_off = 0
    else:
        c = m.last.next
        m.last.next = NULL
        m.last.used = m.used
        q.last = m.last
    while c != NULL:
        following = c.next
        _chunk_free(c)
        c = following
    q.bytes = m.bytes
    q.unsent = m.unsent


cdef void byteq_excise(byteq* q, size_t at, size_t n) noexcept nogil:
    cdef chunk* before = NULL
    cdef chunk* c = q.first
    cdef size_t off = q.head_off
    cdef size_t have
    q.bytes -= n
    q.unsent -= n
    while n and c != NULL:
        have = c.used - off
        if at >= have:
            at -= have
            before = c
            c = c.next
            off = 0
            continue
        off += at
        at = 0
        have = c.used - off
        if n < have:
            memmove(c.data + off, c.data + off + n, have - n)
            c.used -= n
            return
        n -= have
        c.used = off
        if off == 0 and before != NULL:
            before.next = c.next
            if q.last == c:
                q.last = before
            _chunk_free(c)
            c = before
        before = c
        c = c.next
        off = 0


cdef void byteq_trim(byteq* q) noexcept nogil:
    if q.spare != NULL:
        free(q.spare)
        q.spare = NULL
    if q.bytes == 0 and q.first != NULL and q.first.next == NULL and q.first.cap > CHUNK_MIN:
        _chunk_free(q.first)
        q.first = q.last = q.cur = NULL
        q.head_off = q.cur_off = 0


cdef void byteq_free(byteq* q) noexcept nogil:
    cdef chunk* c = q.first
    cdef chunk* following
    while c != NULL:
        following = c.next
        _chunk_free(c)
        c = following
    if q.spare != NULL:
        free(q.spare)
    q.first = q.last = q.cur = q.spare = NULL
    q.head_off = q.cur_off = 0
    q.bytes = q.unsent = 0


cdef inline void _from_the_front(linear* b) noexcept nogil:
    """The bytes have moved down by `head`."""
    b.pub -= b.head
    b.walk -= b.head
    b.tail -= b.head
    b.head = 0


cdef int linear_room(linear* b, size_t want, size_t most) noexcept nogil:
    cdef uint8_t* bigger
    cdef size_t cap = READ_FIRST
    if b.data == NULL or b.head == b.tail:
        if b.cap:
            # A read that filled the buffer to the brim means a busy peer, which deserves more.  What has grown larger, for
            # an unparsed frame, goes back; but not where the next read is likely to fill it.
            if b.cap <= most:
                cap = most if b.tail == b.cap else b.cap
            else:
                cap = b.cap if b.tail == b.cap and most > READ_FIRST else most
        while cap < want:
            cap *= 2
        if cap != b.cap:
            bigger = <uint8_t*>malloc(cap)
            if bigger == NULL:
                return -ENOMEM
            free(b.data)
            b.data = bigger
            b.cap = cap
        b.head = b.pub = b.walk = b.tail = 0
        return 0
    if b.cap - b.tail >= want:
        return 0
    if b.tail == b.cap and b.cap < most and want < most - (b.tail - b.head):
        # Filled to the brim, as above, and the beginning of a frame left over.
        bigger = <uint8_t*>malloc(most)
        if bigger == NULL:
            return -ENOMEM
        memcpy(bigger, b.data + b.head, b.tail - b.head)
        free(b.data)
        b.data = bigger
        b.cap = most
        _from_the_front(b)
        return 0
    if b.cap - (b.tail - b.head) >= want and b.head >= b.cap // 4:
        memmove(b.data, b.data + b.head, b.tail - b.head)
        _from_the_front(b)
        return 0
    cap = b.cap * 2
    while cap - b.tail < want:
        cap *= 2
    bigger = <uint8_t*>realloc(b.data, cap)
    if bigger == NULL:
        return -ENOMEM
    b.data = bigger
    b.cap = cap
    return 0


cdef void linear_free(linear* b) noexcept nogil:
    free(b.data)
    b.data = NULL
    b.cap = b.head = b.pub = b.walk = b.tail = 0
