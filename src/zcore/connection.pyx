"""Reading, writing and the commands of one stream connection."""

from libc.errno cimport EAGAIN, ECONNRESET, EINTR, EMSGSIZE, ENOMEM, EPROTO, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove, memset
from posix.uio cimport iovec

from .buffer cimport (READ_ROOM, REF_RECORD, byteq_advance, byteq_commit, byteq_free, byteq_iov, byteq_next,
                      byteq_release, byteq_room)
from .handshake cimport handshake_drop
from .limits cimport POLICY_DROP_OLDEST
from .mechanism cimport PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND
from .message cimport block, block_data, meta_unref
from .pipe cimport (BIG_FRAME, inq, inq_append_frame, inq_begin_big, inq_got, inq_place, inq_placed, inq_room, inq_space,
                    inq_unplaced, outq, outq_fill, outq_flows, outq_sent, part)
from .ring cimport LEN_SHIFT, lenring_count, lenring_free, lenring_front, lenring_pop, lenring_push
from .zmtp cimport (COMMAND_PING, COMMAND_UNKNOWN, FRAME_COMMAND, FRAME_HEADER_MAX, FRAME_HEADER_V1_MAX, FRAME_LONG,
                    FRAME_MORE, PONG_FRAME_MAX, ZMTP_1_0, command, frame_head, frame_header_v1, parse_command,
                    parse_header, parse_header_v1, put_be64, put_pong)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buf, size_t n, int flags)
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int fd, const msghdr* m, int flags)
    ssize_t send(int fd, const void* buf, size_t n, int flags)
    int MSG_DONTWAIT

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0   /* such systems have SO_NOSIGPIPE, set when the descriptor is made */
    #endif
    """
    int MSG_NOSIGNAL


cdef enum:
    RAW_FIRST = 4096      # bytes of the first buffer for input that has to be decoded
    RAW_MAX = 69632       # and of a busy peer's: more than the largest frame that does not get a block of its own
    CODED_KEEP = 131072   # a larger buffer for encoded output is given back when it is empty
    # an entry of coded_lens: (bytes of the queue << 8) | bytes that encoding adds, or one of
    ENTRY_SHIFT = 8
    ENTRY_DROPPED = 0xFE  # not encoded at all
    ENTRY_CONTROL = 0xFF  # (bytes of `coded` << 8): stands for nothing in the queue


cdef int conn_init(conn* c, int fd) noexcept nogil:
    memset(c, 0, sizeof(conn))
    c.fd = fd
    c.hs = <handshake*>calloc(1, sizeof(handshake))
    return 0 if c.hs != NULL else -ENOMEM


cdef void conn_free(conn* c) noexcept nogil:
    handshake_drop(&c.hs)
    byteq_free(&c.coded)
    lenring_free(&c.coded_lens)
    free(c.raw)
    c.raw = NULL
    meta_unref(c.facts)
    c.facts = NULL


# --- reading -------------------------------------------------------------------------------------------

cdef int _raw_room(conn* c, size_t cap) noexcept nogil:
    cdef uint8_t* bigger
    if cap <= c.raw_cap:
        return 0
    bigger = <uint8_t*>realloc(c.raw, cap)
    if bigger == NULL:
        return -ENOMEM
    c.raw = bigger
    c.raw_cap = cap
    return 0


cdef inline int _refuse(conn* c, int code) noexcept nogil:
    c.fault = code
    return -EPROTO


cdef int _open_into(conn* c, inq* i, const uint8_t* body, size_t n) noexcept nogil:
    """Decrypt one frame from `raw` into the queue."""
    cdef block* b
    cdef uint8_t* dst = inq_place(i, n - c.hs.ops.overhead, &b)
    cdef uint8_t kept
    cdef uint8_t flags = 0
    cdef int rc
    if dst == NULL:
        return -ENOMEM
    kept = (dst - 1)[0]           # decoding leaves the inner flags there
    rc = c.hs.ops.decode(c.hs.private, body, n, dst, &flags, &c.fault)
    (dst - 1)[0] = kept
    if rc < 0:
        inq_unplaced(i, b)
        return rc
    return inq_placed(i, flags, n - c.hs.ops.overhead, b)


cdef int _open_big(conn* c, inq* i) noexcept nogil:
    """A large frame is complete: decrypt it where it stands."""
    cdef block* b = i.big
    cdef size_t n = i.big_size
    cdef uint8_t* dst = block_data(b)
    cdef uint8_t kept = (dst - 1)[0]
    cdef uint8_t flags = 0
    cdef int rc
    i.big = NULL
    i.big_size = 0
    if i.b.cap - i.b.tail < REF_RECORD:
        inq_unplaced(i, b)
        return -ENOMEM
    rc = c.hs.ops.decode(c.hs.private, dst, n, dst, &flags, &c.fault)
    (dst - 1)[0] = kept
    if rc < 0:
        inq_unplaced(i, b)
        return rc
    return inq_placed(i, flags, n - c.hs.ops.overhead, b)


cdef int _secure_head(conn* c, inq* i, const frame_head* fh) noexcept nogil:
    """Judge a frame before any of its body is taken. MAXMSGSIZE is about what is inside."""
    if fh.size < c.hs.ops.overhead:
        return _refuse(c, PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE)
    if fh.flags & (FRAME_COMMAND | FRAME_MORE):
        # What is a command, and what belongs together, is said inside, where nobody else can write.
        return _refuse(c, PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)
    if i.max_size >= 0 and fh.size - c.hs.ops.overhead > <uint64_t>i.max_size:
        return -EMSGSIZE
    return 0


cdef int _decode_frame(conn* c, inq* i, const uint8_t* at, size_t have, size_t* used) noexcept nogil:
    """The next frame in `raw`: 0 with the bytes it took, 0 of them while it is not whole; or a negative errno."""
    cdef frame_head fh
    cdef int h, rc
    used[0] = 0
    h = parse_header_v1(at, have, &fh) if c.wire == WIRE_V1 else parse_header(at, have, &fh)
    if h <= 0:
        return h
    if c.wire == WIRE_SECURE:
        rc = _secure_head(c, i, &fh)
        if rc < 0:
            return rc
    elif i.max_size >= 0 and fh.size > <uint64_t>i.max_size:
        return -EMSGSIZE
    if fh.size > have - h:
        if c.wire == WIRE_SECURE and fh.size - c.hs.ops.overhead >= BIG_FRAME:
            used[0] = have
            return inq_begin_big(i, 0, <size_t>fh.size, at + h, have - h)
        c.raw_need = h + <size_t>fh.size
        return 0
    used[0] = h + <size_t>fh.size
    if c.wire == WIRE_SECURE:
        return _open_into(c, i, at + h, <size_t>fh.size)
    return inq_append_frame(i, fh.flags & FRAME_MORE, at + h, <size_t>fh.size)


cdef int _decode(conn* c, inq* i) noexcept nogil:
    """Move whole frames from `raw` into the queue; a large one that is not whole moves into its block."""
    cdef size_t at = 0
    cdef size_t used = 1
    cdef int rc = 0
    c.raw_need = 0
    while rc == 0 and used and at < c.raw_len:
        rc = _decode_frame(c, i, c.raw + at, c.raw_len - at, &used)
        at += used
    if at:
        memmove(c.raw, c.raw + at, c.raw_len - at)
        c.raw_len -= at
    return rc


cdef inline ssize_t _recv(int fd, void* dst, size_t n) noexcept nogil:
    cdef ssize_t got
    while True:
        got = recv(fd, dst, n, MSG_DONTWAIT)
        if got >= 0:
            return got if got else -ECONNRESET
        if errno == EINTR:
            continue
        return -EAGAIN if errno == EAGAIN else -errno


cdef int _read_raw(conn* c, inq* i) noexcept nogil:
    """STREAM: what one read brings is one message."""
    cdef uint8_t* dst
    cdef size_t room = inq_space(i, &dst)
    cdef ssize_t got
    cdef int rc
    if room <= FRAME_HEADER_MAX:
        return 1
    got = _recv(c.fd, dst + FRAME_HEADER_MAX, room - FRAME_HEADER_MAX)
    if got < 0:
        return 0 if got == -EAGAIN else <int>got
    # the long form of a frame header, whatever the size: the bytes stand behind it already
    dst[0] = FRAME_LONG
    put_be64(dst + 1, <uint64_t>got)
    rc = inq_got(i, <size_t>got + FRAME_HEADER_MAX)
    return rc if rc < 0 else 1


cdef int conn_read_begin(conn* c, inq* i) noexcept nogil:
    cdef size_t want = READ_ROOM
    cdef size_t cap = c.raw_cap if c.raw_cap else RAW_FIRST
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        # What is decoded from `raw` never takes more than `raw` did: with this much room decoding cannot stall.
        # It grows when it has been filled: with the bytes received, whatever size a peer announces.
        if c.raw_full and (cap < RAW_MAX or c.raw_need > cap):
            cap = RAW_MAX if cap < RAW_MAX else cap * 2
        if _raw_room(c, cap) < 0:
            return -ENOMEM
        c.raw_full = False
        want += cap
    if inq_room(i, want) < 0:
        return -ENOMEM
    c.in_busy = True
    return 0


cdef int _read_coded(conn* c, inq* i, size_t budget) noexcept nogil:
    cdef uint8_t* dst
    cdef size_t room
    cdef ssize_t got
    cdef bint big
    cdef int rc
    if budget <= GIL_BUDGET and c.wire == WIRE_SECURE:
        budget = SECURE_WITH_GIL
    while budget:
        big = i.big != NULL
        if big:
            room = inq_space(i, &dst)
            if room == 0:
                return -ENOMEM
        else:
            if i.b.cap - i.b.tail < c.raw_cap + REF_RECORD:
                return 1          # there might not be room for what is in it
            dst = c.raw + c.raw_len
            room = c.raw_cap - c.raw_len
            if room == 0:
                return 1          # the frame needs more, and gets it at the next begin
            if room > budget:
                room = budget
        got = _recv(c.fd, dst, room)
        if got < 0:
            return 0 if got == -EAGAIN else <int>got
        i.rx_bytes += <size_t>got
        if not big:
            c.raw_len += <size_t>got
            c.raw_full = c.raw_full or c.raw_len == c.raw_cap
            rc = _decode(c, i)
        else:
            i.big_got += <size_t>got
            rc = _open_big(c, i) if i.big_got == i.big_size else 0
        if rc < 0:
            return rc
        if <size_t>got < room:
            return 0              # the kernel had no more
        budget = budget - <size_t>got if budget > <size_t>got else 0
    return 1


cdef int conn_read(conn* c, inq* i, size_t budget) noexcept nogil:
    cdef uint8_t* dst
    cdef size_t room
    cdef ssize_t got
    cdef int rc
    if c.wire == WIRE_RAW:
        return _read_raw(c, i)
    if c.wire != WIRE_FRAMES:
        return _read_coded(c, i, budget)
    while budget:
        room = inq_space(i, &dst)
        if room == 0:
            return -ENOMEM if i.big_size else 1
        if i.big_size and room > budget:
            room = budget
        elif room < 512 and not i.big_size:
            return 1
        got = _recv(c.fd, dst, room)
        if got < 0:
            return 0 if got == -EAGAIN else <int>got
        rc = inq_got(i, <size_t>got)
        if rc < 0:
            return rc
        if <size_t>got < room:
            return 0     # the kernel had no more
        if i.big_lies:
            return 1     # a large frame begins: whoever has memory for it gives it now; the next read goes on in any case
        budget = budget - <size_t>got if budget > <size_t>got else 0
    return 1


cdef int conn_start_traffic(conn* c, inq* i, const uint8_t* rest, size_t n) noexcept nogil:
    cdef uint8_t* dst
    cdef size_t room, k
    cdef int rc
    c.dialect = <uint8_t>c.hs.dialect
    if c.hs.dialect == ZMTP_1_0:
        c.wire = WIRE_V1
    elif c.hs.ops != NULL and c.hs.ops.encode != NULL:
        c.wire = WIRE_SECURE
    else:
        c.wire = WIRE_FRAMES
    if c.wire != WIRE_FRAMES:
        if _raw_room(c, n if n > RAW_FIRST else RAW_FIRST) < 0:
            return -ENOMEM
        if n:
            memcpy(c.raw, rest, n)
        c.raw_len = n
        i.rx_bytes += n
        rc = _decode(c, i)
        c.raw_full = c.raw_len == c.raw_cap
        return rc
    while n:
        room = inq_space(i, &dst)
        k = n if n < room else room
        if k == 0:
            return -ENOMEM
        memcpy(dst, rest, k)
        rc = inq_got(i, k)
        if rc < 0:
            return rc
        rest += k
        n -= k
    return 0


cdef int conn_command(conn* c, part* p, int* kind, part* arg) noexcept nogil:
    cdef command cmd
    cdef uint8_t pong[PONG_FRAME_MAX]
    kind[0] = COMMAND_UNKNOWN
    if parse_command(p.data, p.size, &cmd) < 0:
        return -EPROTO
    kind[0] = cmd.kind
    arg.data = cmd.arg
    arg.size = cmd.arg_len
    if cmd.kind == COMMAND_PING:
        c.peer_ttl = cmd.ttl_ds
        # No room for the answer means that others wait to be written: traffic enough to tell that we live.
        conn_control(c, pong, put_pong(pong, cmd.arg, cmd.arg_len))
    return 0


# --- writing -------------------------------------------------------------------------------------------

cdef int conn_control(conn* c, const uint8_t* frame, size_t n) noexcept nogil:
    if not c.out_busy and c.control_off == c.control_len:
        c.control_off = c.control_len = 0
    if n > CONTROL_ROOM - c.control_len:
        return -EAGAIN
    memcpy(c.control + c.control_len, frame, n)
    c.control_len += <uint32_t>n
    return 0


cdef ssize_t _encode_frame(conn* c, uint8_t flags, const uint8_t* data, size_t n) noexcept nogil:
    """Put one frame behind `coded`: the bytes it takes there; 0: this version has no such frame."""
    cdef size_t overhead = FRAME_HEADER_V1_MAX if c.wire == WIRE_V1 else FRAME_HEADER_MAX + c.hs.ops.overhead
    cdef uint8_t* p
    cdef ssize_t k
    if c.wire == WIRE_V1 and flags & FRAME_COMMAND:
        return 0
    p = byteq_room(&c.coded, n + overhead)
    if p == NULL:
        return -ENOMEM
    if c.wire == WIRE_V1:
        k = frame_header_v1(p, flags, n)
        memcpy(p + k, data, n)
        k += n
    else:
        k = c.hs.ops.encode(c.hs.private, flags, data, n, p)
        if k < 0:
            return k
    byteq_commit(&c.coded, <size_t>k)
    return k


cdef int _encode_control(conn* c) noexcept nogil:
    cdef frame_head fh
    cdef uint8_t* p
    cdef uint32_t at = c.control_off
    cdef int h
    cdef ssize_t k
    while at < c.control_take:
        p = c.control + at
        h = parse_header(p, c.control_take - at, &fh)
        if h <= 0:
            return -EPROTO
        k = _encode_frame(c, fh.flags, p + h, <size_t>fh.size)
        if k < 0:
            return <int>k
        if k and lenring_push(&c.coded_lens, <uint64_t>k << ENTRY_SHIFT | ENTRY_CONTROL) < 0:
            return -ENOMEM
        at += h + <uint32_t>fh.size
    return 0


cdef int _encode(conn* c) noexcept nogil:
    """Encode the frames that iov lists, as far as they are whole.  They leave the queue with the last byte of their code."""
    cdef frame_head fh
    cdef const uint8_t* p
    cdef const uint8_t* body
    cdef size_t off = 0
    cdef size_t rest, size
    cdef int at = 0
    cdef int h
    cdef int rc = _encode_control(c)
    cdef ssize_t k
    if rc < 0:
        return rc
    while True:
        while at < c.niov and off == c.iov[at].iov_len:
            at += 1
            off = 0
        if at == c.niov:
            return 0
        p = <const uint8_t*>c.iov[at].iov_base + off
        h = parse_header(p, c.iov[at].iov_len - off, &fh)
        if h <= 0:
            return h
        rest = c.iov[at].iov_len - off - h
        body = p + h
        size = <size_t>fh.size
        off += h
        if size > rest:
            # A body that is kept by reference is a piece of its own; anything else has been cut off by the limit.
            if rest or at + 1 == c.niov or c.iov[at + 1].iov_len < size:
                return 0
            at += 1
            off = 0
            body = <const uint8_t*>c.iov[at].iov_base
        off += size
        k = _encode_frame(c, fh.flags, body, size)
        if k < 0:
            return <int>k
        size += h
        if lenring_push(&c.coded_lens, <uint64_t>size << ENTRY_SHIFT | (k - <ssize_t>size if k else ENTRY_DROPPED)) < 0:
            return -ENOMEM
        c.coded_source += size


cdef void _encoded_sent(conn* c, outq* o, size_t n) noexcept nogil:
    """[lock] The kernel has taken n more bytes of `coded`: frames that are wholly gone leave the queue."""
    cdef uint64_t item
    cdef size_t length
    cdef size_t source = 0
    byteq_advance(&c.coded, n)
    byteq_release(&c.coded, n)
    c.coded_begun += n
    while lenring_count(&c.coded_lens):
        item = lenring_front(&c.coded_lens)
        length = <size_t>(item >> ENTRY_SHIFT)
        if item & 0xFF == ENTRY_DROPPED:
            length = 0
        elif item & 0xFF != ENTRY_CONTROL:
            length += item & 0xFF
        if c.coded_begun < length:
            break
        c.coded_begun -= length
        lenring_pop(&c.coded_lens)
        if item & 0xFF != ENTRY_CONTROL:
            source += <size_t>(item >> ENTRY_SHIFT)
    c.coded_left = c.coded.unsent
    if source:
        c.coded_source -= source
        outq_sent(o, source)
    if c.coded.unsent == 0 and c.coded.first != NULL and c.coded.first.cap > CODED_KEEP:
        byteq_free(&c.coded)


cdef bint _encode_begin(conn* c, outq* o) noexcept nogil:
    """[lock] List what is to be encoded, if what has been is gone; False when nothing goes out."""
    cdef frame_head fh
    cdef const uint8_t* p
    cdef size_t limit = ENCODE_BATCH
    cdef size_t n = 0
    cdef int k
    c.encode = False
    c.niov = 0
    c.control_take = 0
    if c.coded_left:
        return True
    if c.control_len > c.control_off:
        if o.begun:
            limit = <size_t>(lenring_front(&o.lens) >> LEN_SHIFT) - o.begun    # they go behind the message under way
        else:
            c.control_take = c.control_len
    p = byteq_next(&o.q, &n)
    if p != NULL:
        k = parse_header(p, n, &fh)
        if k > 0 and k + fh.size > limit:
            limit = k + <size_t>fh.size
        c.niov = byteq_iov(&o.q, c.iov, IOV_MAX_HERE, limit)
    c.encode = c.niov != 0 or c.control_take != 0
    return c.encode


cdef bint conn_write_begin(conn* c, outq* o) noexcept nogil:
    cdef size_t rest
    cdef size_t most = WRITE_BATCH
    cdef int k
    if c.closing:
        return False
    if o.keep.count:
        outq_fill(o)
    c.writing_control = False
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        if not _encode_begin(c, o):
            return False
        o.held = o.begun + c.coded_source
        for k in range(c.niov):
            o.held += c.iov[k].iov_len
        c.out_busy = True
        return True
    if c.control_len > c.control_off:
        if o.begun:
            # finish the message that the kernel has a piece of; the control frames come next
            rest = <size_t>(lenring_front(&o.lens) >> LEN_SHIFT) - o.begun
            c.niov = byteq_iov(&o.q, c.iov, IOV_MAX_HERE, rest)
        else:
            c.writing_control = True
            c.iov[0].iov_base = c.control + c.control_off
            c.iov[0].iov_len = c.control_len - c.control_off
            c.niov = 1
    else:
        # What is on its way cannot be dropped for something newer: as little as possible where that is the policy.
        if o.q.bytes > WRITE_BATCH and o.q.bytes // BIG_FRAME >= o.nmsgs and o.lim.policy != POLICY_DROP_OLDEST:
            most = WRITE_LARGE
        c.niov = byteq_iov(&o.q, c.iov, IOV_MAX_HERE, most)
    if c.niov == 0:
        return False
    c.out_busy = True
    o.held = o.begun + (o.q.unsent if o.q.unsent < most else most)
    return True


cdef void conn_write_run(conn* c) noexcept nogil:
    cdef msghdr m
    cdef int k
    c.offered = 0
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        c.wrote = _encode(c) if c.encode else 0
        c.niov = byteq_iov(&c.coded, c.iov, IOV_MAX_HERE, WRITE_BATCH)
        if c.wrote < 0 or c.niov == 0:
            return
    for k in range(c.niov):
        c.offered += c.iov[k].iov_len
    while True:
        if c.niov == 1:
            c.wrote = send(c.fd, c.iov[0].iov_base, c.iov[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            memset(&m, 0, sizeof(msghdr))
            m.msg_iov = c.iov
            m.msg_iovlen = c.niov
            c.wrote = sendmsg(c.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)
        if c.wrote >= 0:
            return
        if errno == EINTR:
            continue
        c.wrote = -EAGAIN if errno == EAGAIN else -errno
        return


cdef int conn_write_end(conn* c, outq* o) noexcept nogil:
    cdef size_t n
    cdef bint coded = c.wire == WIRE_V1 or c.wire == WIRE_SECURE
    c.out_busy = False
    if coded and c.control_take:
        c.control_off = c.control_take
        if c.control_off == c.control_len:
            c.control_off = c.control_len = 0
    if c.wrote < 0 and c.wrote != -EAGAIN:
        outq_flows(o, False)
        return <int>c.wrote
    n = <size_t>c.wrote if c.wrote > 0 else 0
    if coded:
        _encoded_sent(c, o, n)
    elif c.writing_control:
        c.control_off += <uint32_t>n
        if c.control_off == c.control_len:
            c.control_off = c.control_len = 0
    else:
        outq_sent(o, n)
    o.held = o.begun + c.coded_source if coded else 0     # what has been encoded goes, whatever happens
    if n < c.offered:
        outq_flows(o, False)
        return WRITE_FULL
    outq_flows(o, True)
    return WRITE_MORE if conn_pending(c, o) else WRITE_IDLE
