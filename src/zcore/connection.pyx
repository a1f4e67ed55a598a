"""Reading, writing and the commands of one stream connection."""

from libc.errno cimport EAGAIN, ECONNRESET, EINTR, ENOMEM, EPROTO, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from posix.uio cimport iovec

from .buffer cimport (READ_ROOM, byteq_advance, byteq_commit, byteq_copy_out, byteq_free, byteq_iov, byteq_release,
                      byteq_room)
from .handshake cimport handshake_free
from .message cimport meta_unref
from .pipe cimport (inq, inq_append_frame, inq_got, inq_room, inq_space, outq, outq_fill, outq_sent, part)
from .ring cimport LEN_SHIFT, lenring_front
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
    RAW_FIRST = 16384     # bytes of the first buffer for input that has to be decoded


cdef void conn_init(conn* c, int fd) noexcept nogil:
    memset(c, 0, sizeof(conn))
    c.fd = fd


cdef void conn_free(conn* c) noexcept nogil:
    if c.hs_live:
        handshake_free(&c.hs)
        c.hs_live = False
    byteq_free(&c.coded)
    free(c.raw)
    c.raw = NULL
    meta_unref(c.facts)
    c.facts = NULL


# --- reading -------------------------------------------------------------------------------------------

cdef int _raw_room(conn* c, size_t n) noexcept nogil:
    cdef uint8_t* bigger
    cdef size_t cap = c.raw_cap if c.raw_cap else RAW_FIRST
    while cap - c.raw_len < n:
        cap *= 2
    if cap == c.raw_cap:
        return 0
    bigger = <uint8_t*>realloc(c.raw, cap)
    if bigger == NULL:
        return -ENOMEM
    c.raw = bigger
    c.raw_cap = cap
    return 0


cdef int _decode_v1(conn* c, inq* i) noexcept nogil:
    """Move whole frames from `raw` into the queue."""
    cdef frame_head fh
    cdef size_t at = 0
    cdef int h, rc = 0
    while at < c.raw_len:
        h = parse_header_v1(c.raw + at, c.raw_len - at, &fh)
        if h <= 0:
            rc = h
            break
        if i.max_size >= 0 and fh.size > <uint64_t>i.max_size:
            rc = -EPROTO
            break
        if fh.size > c.raw_len - at - h:
            break
        rc = inq_append_frame(i, fh.flags & FRAME_MORE, c.raw + at + h, <size_t>fh.size)
        if rc < 0:
            break
        at += h + <size_t>fh.size
    if at:
        memmove(c.raw, c.raw + at, c.raw_len - at)
        c.raw_len -= at
    return rc


cdef int _decode_secure(conn* c, inq* i) noexcept nogil:
    cdef frame_head fh
    cdef size_t at = 0
    cdef int h, rc = 0
    cdef uint8_t flags
    cdef uint8_t* payload
    cdef size_t n
    while at < c.raw_len:
        h = parse_header(c.raw + at, c.raw_len - at, &fh)
        if h <= 0:
            rc = h
            break
        if i.max_size >= 0 and fh.size > <uint64_t>i.max_size + c.hs.ops.overhead:
            rc = -EPROTO
            break
        if fh.size > c.raw_len - at - h:
            break
        rc = c.hs.ops.decode(c.hs.private, c.raw + at + h, <size_t>fh.size, &flags, &payload, &n)
        if rc < 0:
            break
        rc = inq_append_frame(i, flags & (FRAME_MORE | FRAME_COMMAND), payload, n)
        if rc < 0:
            break
        at += h + <size_t>fh.size
    if at:
        memmove(c.raw, c.raw + at, c.raw_len - at)
        c.raw_len -= at
    return rc


cdef int _decode(conn* c, inq* i) noexcept nogil:
    return _decode_v1(c, i) if c.wire == WIRE_V1 else _decode_secure(c, i)


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
    # What is decoded from `raw` never takes more than `raw` did, so that with this much room decoding cannot stall.
    cdef size_t want = READ_ROOM
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        want = (c.raw_cap if c.raw_cap else RAW_FIRST) * 2 + READ_ROOM
    if inq_room(i, want) < 0:
        return -ENOMEM
    c.in_busy = True
    return 0


cdef int conn_read(conn* c, inq* i, size_t budget) noexcept nogil:
    cdef uint8_t* dst
    cdef size_t room
    cdef ssize_t got
    cdef int rc
    if c.wire == WIRE_RAW:
        return _read_raw(c, i)
    while budget:
        if c.wire == WIRE_FRAMES:
            room = inq_space(i, &dst)
            if room == 0:
                return -ENOMEM if i.big != NULL else 1
            if room < 512 and i.big == NULL:
                return 1
        else:
            if _raw_room(c, 8192) < 0:
                return -ENOMEM
            dst = c.raw + c.raw_len
            room = c.raw_cap - c.raw_len
        got = _recv(c.fd, dst, room)
        if got < 0:
            return 0 if got == -EAGAIN else <int>got
        if c.wire == WIRE_FRAMES:
            rc = inq_got(i, <size_t>got)
        else:
            c.raw_len += <size_t>got
            i.rx_bytes += <size_t>got
            rc = _decode(c, i)
        if rc < 0:
            return rc
        if <size_t>got < room:
            return 0     # the kernel had no more
        if c.wire != WIRE_FRAMES:
            return 1
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
    while n:
        if c.wire == WIRE_FRAMES:
            room = inq_space(i, &dst)
            k = n if n < room else room
            if k == 0:
                return -ENOMEM
            memcpy(dst, rest, k)
            rc = inq_got(i, k)
        else:
            if _raw_room(c, n) < 0:
                return -ENOMEM
            memcpy(c.raw + c.raw_len, rest, n)
            c.raw_len += n
            k = n
            rc = _decode(c, i)
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
    if c.control_off == c.control_len and not c.out_busy:
        c.control_off = c.control_len = 0
    if n > CONTROL_ROOM - c.control_len:
        return -EAGAIN
    memcpy(c.control + c.control_len, frame, n)
    c.control_len += <uint32_t>n
    return 0


cdef int _encode_frame(conn* c, uint8_t flags, const uint8_t* data, size_t n) noexcept nogil:
    cdef size_t overhead = FRAME_HEADER_V1_MAX if c.wire == WIRE_V1 else FRAME_HEADER_MAX + c.hs.ops.overhead
    cdef uint8_t* p = byteq_room(&c.coded, n + overhead)
    cdef ssize_t k
    if p == NULL:
        return -ENOMEM
    if c.wire == WIRE_V1:
        if flags & FRAME_COMMAND:
            return 0      # ZMTP 1.0 has no commands
        k = frame_header_v1(p, flags, n)
        memcpy(p + k, data, n)
        k += n
    else:
        k = c.hs.ops.encode(c.hs.private, flags, data, n, p)
        if k < 0:
            return <int>k
    byteq_commit(&c.coded, <size_t>k)
    return 0


cdef int _encode_frames(conn* c, uint8_t* p, size_t n) noexcept nogil:
    cdef frame_head fh
    cdef size_t at = 0
    cdef int h, rc
    while at < n:
        h = parse_header(p + at, n - at, &fh)
        if h <= 0:
            return -EPROTO
        rc = _encode_frame(c, fh.flags, p + at + h, <size_t>fh.size)
        if rc < 0:
            return rc
        at += h + <size_t>fh.size
    return 0


cdef int _encode(conn* c, outq* o) noexcept nogil:
    """Encode whole messages until a batch is full.  They leave the outq when `coded` is written out."""
    cdef uint8_t* copy
    cdef size_t length
    cdef uint32_t k = 0
    cdef int rc = 0
    if c.control_len > c.control_off:
        rc = _encode_frames(c, c.control + c.control_off, c.control_len - c.control_off)
        c.control_off = c.control_len = 0
        if rc < 0:
            return rc
    while c.coded_source < o.q.bytes and c.coded.unsent < 65536:
        length = <size_t>(o.lens.items[(o.lens.head + k) & (o.lens.cap - 1)] >> LEN_SHIFT)
        copy = <uint8_t*>malloc(length)
        if copy == NULL:
            return -ENOMEM
        byteq_copy_out(&o.q, c.coded_source, copy, length)
        rc = _encode_frames(c, copy, length)
        free(copy)
        if rc < 0:
            return rc
        c.coded_source += length
        k += 1
    return 0


cdef bint conn_write_begin(conn* c, outq* o) noexcept nogil:
    cdef size_t rest
    if c.closing:
        return False
    if o.keep.count:
        outq_fill(o)
    c.writing_control = False
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        if c.coded.unsent == 0:
            c.error = _encode(c, o)
        c.niov = byteq_iov(&c.coded, c.iov, IOV_MAX_HERE, WRITE_BATCH)
    elif c.control_len > c.control_off:
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
        c.niov = byteq_iov(&o.q, c.iov, IOV_MAX_HERE, WRITE_BATCH)
    if c.niov == 0 and c.error == 0:
        return False
    c.out_busy = True
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        o.held = c.coded_source
    else:
        o.held = o.begun + (o.q.unsent if o.q.unsent < WRITE_BATCH else WRITE_BATCH)
    return True


cdef void conn_write_run(conn* c) noexcept nogil:
    cdef msghdr m
    cdef int k
    c.offered = 0
    for k in range(c.niov):
        c.offered += c.iov[k].iov_len
    if c.error:
        c.wrote = c.error
        return
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
    c.out_busy = False
    o.held = c.coded_source     # what has been encoded goes, whatever happens
    if c.wrote < 0:
        return WRITE_FULL if c.wrote == -EAGAIN else <int>c.wrote
    n = <size_t>c.wrote
    if c.wire == WIRE_V1 or c.wire == WIRE_SECURE:
        byteq_advance(&c.coded, n)
        byteq_release(&c.coded, n)
        if c.coded.unsent == 0 and c.coded_source:
            outq_sent(o, c.coded_source)
            c.coded_source = 0
            o.held = 0
    elif c.writing_control:
        c.control_off += <uint32_t>n
        if c.control_off == c.control_len:
            c.control_off = c.control_len = 0
    else:
        outq_sent(o, n)
    if n < c.offered:
        return WRITE_FULL
    return WRITE_MORE if conn_pending(c, o) else WRITE_IDLE
