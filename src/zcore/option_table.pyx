"""The rows themselves: every socket option, then every context option, chapter by chapter of the reference page."""

from libc.stdint cimport INT64_MAX, INT64_MIN, int16_t, int64_t, uint32_t
from libc.string cimport memcpy, memset

cdef enum:
    MAX_ROWS = 160
    MAX_NUMBER = 1024         # numbers lie below this; ours that libzmq does not have begin at 1000
    MAX_CTX_ROWS = 16

# Socket types as bits of `types` and `used_by`.
cdef enum:
    PAIR = 1 << 0
    PUB = 1 << 1
    SUB = 1 << 2
    REQ = 1 << 3
    REP = 1 << 4
    DEALER = 1 << 5
    ROUTER = 1 << 6
    PULL = 1 << 7
    PUSH = 1 << 8
    XPUB = 1 << 9
    XSUB = 1 << 10
    STREAM = 1 << 11
    SERVER = 1 << 12
    CLIENT = 1 << 13
    PEER = 1 << 19
    CLASSIC = (1 << 12) - 1   # all that are not thread-safe in libzmq's sense
    ANY = (1 << 21) - 1

cdef enum:
    G = OPT_GET
    S = OPT_SET
    SG = OPT_SET | OPT_GET
    MAX = 0x7fffffff
    MIN = -0x7fffffff - 1
    NOW = OPT_AT_ONCE
    ENDPOINT = OPT_NEXT_ENDPOINT
    NEWPEER = OPT_NEXT_PEER

cdef option_row rows[MAX_ROWS]
cdef size_t row_count = 0
cdef int16_t row_of[MAX_NUMBER]        # number -> index in `rows`, or -1
cdef option_row ctx_rows[MAX_CTX_ROWS]
cdef size_t ctx_row_count = 0
cdef options D                         # the defaults; its addresses give the offsets
cdef ctx_options C
cdef const char* chapter = ""


cdef const option_row* option_find(int number) noexcept nogil:
    if number < 0 or number >= MAX_NUMBER or row_of[number] < 0:
        return NULL
    return &rows[row_of[number]]


cdef const option_row* ctx_option_find(int number, int access) noexcept nogil:
    cdef size_t i
    for i in range(ctx_row_count):
        if ctx_rows[i].number == number and ctx_rows[i].access & access:
            return &ctx_rows[i]
    return NULL


cdef const option_row* option_at(size_t index) noexcept nogil:
    return &rows[index] if index < row_count else NULL


cdef const option_row* ctx_option_at(size_t index) noexcept nogil:
    return &ctx_rows[index] if index < ctx_row_count else NULL


cdef void option_defaults(options* o) noexcept nogil:
    memcpy(o, &D, sizeof(options))


cdef void ctx_option_defaults(ctx_options* c) noexcept nogil:
    memcpy(c, &C, sizeof(ctx_options))


# ---- how a row is written --------------------------------------------------------------------------------------------

cdef option_row* _row(int number, const char* name, const char* aliases, int type, int access, const char* meaning):
    global row_count
    if row_count >= MAX_ROWS or number >= MAX_NUMBER or row_of[number] >= 0:
        raise AssertionError(f"option row {number} does not fit or exists already")
    cdef option_row* r = &rows[row_count]
    row_of[number] = <int16_t>row_count
    row_count += 1
    r.number = number
    r.name = name
    r.aliases = aliases
    r.group = chapter
    r.unit = ""
    r.meaning = meaning
    r.type = type
    r.access = access
    r.types = ANY
    r.used_by = ANY
    return r


cdef option_row* _int(int number, const char* name, const char* aliases, int access, int* field, int preset, int low,
                      int high, int applies, const char* unit, const char* meaning):
    cdef option_row* r = _row(number, name, aliases, OPT_TYPE_INT, access, meaning)
    field[0] = preset
    r.store = OPT_STORE_INT
    r.offset = <char*>field - <char*>&D
    r.preset = preset
    r.low = low
    r.high = high
    r.applies = applies
    r.unit = unit
    return r


cdef option_row* _bool(int number, const char* name, const char* aliases, int access, int* field, int preset,
                       int applies, const char* meaning):
    cdef option_row* r = _int(number, name, aliases, access, field, preset, 0, 1, applies, "", meaning)
    r.check = OPT_CHECK_BOOL
    return r


cdef option_row* _truth(int number, const char* name, const char* aliases, int access, int* field, int preset,
                        int low, int applies, const char* meaning):
    cdef option_row* r = _int(number, name, aliases, access, field, preset, low, MAX, applies, "", meaning)
    r.check = OPT_CHECK_TRUTH
    return r


cdef option_row* _int64(int number, const char* name, int access, int64_t* field, int64_t preset, int64_t low,
                        int applies, const char* unit, const char* meaning):
    cdef option_row* r = _row(number, name, "", OPT_TYPE_INT64, access, meaning)
    field[0] = preset
    r.store = OPT_STORE_INT64
    r.offset = <char*>field - <char*>&D
    r.preset = preset
    r.low = low
    r.high = INT64_MAX
    r.applies = applies
    r.unit = unit
    return r


cdef option_row* _bytes(int number, const char* name, const char* aliases, int access, obytes* field, int low,
                        int high, int applies, const char* meaning):
    cdef option_row* r = _row(number, name, aliases, OPT_TYPE_BYTES, access, meaning)
    r.store = OPT_STORE_BYTES
    r.offset = <char*>field - <char*>&D
    r.low = low
    r.high = high
    r.applies = applies
    return r


cdef option_row* _key(int number, const char* name, obytes* field, int effect, const char* meaning):
    cdef option_row* r = _bytes(number, name, "", SG, field, 32, 41, ENDPOINT, meaning)
    r.store = OPT_STORE_KEY
    r.check = OPT_CHECK_KEY
    r.effect = effect
    return r


cdef option_row* _list(int number, const char* name, int type, int store, int check, void* field, const char* meaning):
    cdef option_row* r = _row(number, name, "", type, S, meaning)
    r.store = store
    r.check = check
    r.offset = <char*>field - <char*>&D
    r.low = MIN if type == OPT_TYPE_INT else 1
    r.high = MAX if type == OPT_TYPE_INT else 255
    r.applies = ENDPOINT
    return r


# An option that is kept with the socket, or is a question to it.
cdef option_row* _socket(int number, const char* name, int type, int access, int applies, const char* meaning):
    cdef option_row* r = _row(number, name, "", type, access, meaning)
    r.applies = applies
    r.high = MAX
    return r


# An option of something that is not built in.
cdef option_row* _absent(int number, const char* name, int type, int access, const char* meaning):
    cdef option_row* r = _row(number, name, "", type, access, meaning)
    r.flags = OPT_ABSENT
    r.applies = ENDPOINT
    return r


# What else there is to say about the row written last.

cdef void _only(uint32_t types, uint32_t used_by):
    rows[row_count - 1].types = types
    rows[row_count - 1].used_by = used_by


cdef void _used(uint32_t used_by):
    rows[row_count - 1].used_by = used_by


cdef void _effect(int effect):
    rows[row_count - 1].effect = effect


cdef void _flag(int flag):
    rows[row_count - 1].flags |= flag


cdef void _chapter(const char* name):
    global chapter
    chapter = name


# ---- socket options --------------------------------------------------------------------------------------------------

cdef void _queues():
    _chapter("Messages and queues")
    _int(1, "HWM", "", SG, &D.sndhwm, 1000, 0, MAX, NOW, "messages", "Sets SNDHWM and RCVHWM together; reads SNDHWM.")
    _effect(OPT_EFFECT_HWM)
    _int(23, "SNDHWM", "", SG, &D.sndhwm, 1000, 0, MAX, NOW, "messages",
         "How many outgoing messages may wait for one peer; 0 is no limit. What happens then depends on the socket "
         "type.")
    _int(24, "RCVHWM", "", SG, &D.rcvhwm, 1000, 0, MAX, NOW, "messages",
         "How many complete messages of one peer may wait to be received; 0 is no limit. Above it nothing more is "
         "read from that peer.")
    _int(28, "SNDTIMEO", "", SG, &D.sndtimeo, -1, -1, MAX, NOW, "ms",
         "How long a send waits before it fails with EAGAIN; -1 waits for ever, 0 never waits.")
    _int(27, "RCVTIMEO", "", SG, &D.rcvtimeo, -1, -1, MAX, NOW, "ms",
         "How long a receive waits before it fails with EAGAIN; -1 waits for ever, 0 never waits.")
    _int(17, "LINGER", "", SG, &D.linger, -1, -1, MAX, NOW, "ms",
         "How long messages not yet sent outlive the close of the socket; -1 until they are sent, 0 drops them. The "
         "default is 0 for SUB and XSUB, and for every type in a context with BLOCKY 0.")
    _int(1000, "SPIN_BUDGET", "", SG, &D.spin_budget, 50, 0, 10000, NOW, "us",
         "How long a receive may look again and again before it sleeps, where that has paid; one in 512 tries it for "
         "150 us all the same. 0 never does. The environment variable PYZQ_SPIN_US sets another default.")
    _bool(54, "CONFLATE", "", SG, &D.conflate, 0, ENDPOINT,
          "Keep only the newest message of each queue. For messages of one part; SNDHWM and RCVHWM do not count then.")
    _used(PULL | PUSH | SUB | PUB | DEALER)
    _int64(22, "MAXMSGSIZE", SG, &D.maxmsgsize, -1, INT64_MIN, ENDPOINT, "bytes",
           "Largest frame accepted from a peer; a peer that announces a larger one is disconnected. Negative is no "
           "limit.")
    _socket(13, "RCVMORE", OPT_TYPE_INT, G, OPT_READ,
            "1 when the part received last is followed by another part of the same message.")
    _socket(14, "FD", OPT_TYPE_FD, G, OPT_READ,
            "A descriptor that becomes readable when EVENTS may have changed. Edge-triggered: read EVENTS after every "
            "wake-up. The types that are THREAD_SAFE do not have it.")
    _only(CLASSIC, CLASSIC)
    _socket(15, "EVENTS", OPT_TYPE_INT, G, OPT_READ, "What would not block now: POLLIN, POLLOUT or both.")
    _socket(16, "TYPE", OPT_TYPE_INT, G, OPT_READ, "The type of the socket.")
    _socket(81, "THREAD_SAFE", OPT_TYPE_INT, G, OPT_READ,
            "1 for the types that several threads may use at once: CLIENT, SERVER, RADIO, DISH, GATHER, SCATTER, "
            "PEER, CHANNEL.")


cdef void _connections():
    cdef option_row* r
    _chapter("Connections")
    r = _bytes(5, "ROUTING_ID", "IDENTITY", SG, &D.routing_id, 1, 255, ENDPOINT,
               "The name by which a ROUTER peer knows this socket. Its first byte must not be 0: such names are the "
               "ones a ROUTER makes up.")
    r.check = OPT_CHECK_ID
    _bytes(61, "CONNECT_ROUTING_ID", "CONNECT_RID", S, &D.connect_routing_id, 1, MAX, ENDPOINT,
           "The name of the peer that the next connect reaches, whatever it calls itself. Counts for one connect.")
    _only(ROUTER | STREAM | REP, ROUTER | STREAM)
    _socket(32, "LAST_ENDPOINT", OPT_TYPE_BYTES, G, OPT_READ,
            "The address of the last bind or connect, with wildcards replaced by what was chosen.")
    _bool(39, "IMMEDIATE", "DELAY_ATTACH_ON_CONNECT", SG, &D.immediate, 0, ENDPOINT,
          "1: messages are queued only for connections that are complete, and dropped with a connection that is lost.")
    _int64(4, "AFFINITY", SG, &D.affinity, 0, INT64_MIN, ENDPOINT, "",
           "Bitmap of the I/O threads that may serve new connections, bit 0 the first; 0 is any.")
    _int(18, "RECONNECT_IVL", "", SG, &D.reconnect_ivl, 100, -1, MAX, ENDPOINT, "ms",
         "How long to wait before connecting again to a peer that was lost; 0 and -1 never connect again.")
    _int(21, "RECONNECT_IVL_MAX", "", SG, &D.reconnect_ivl_max, 0, 0, MAX, ENDPOINT, "ms",
         "The interval doubles after each failure up to this value; 0 keeps RECONNECT_IVL with a random part added.")
    _int(109, "RECONNECT_STOP", "", SG, &D.reconnect_stop, 0, MIN, MAX, ENDPOINT, "",
         "Bits that end reconnection: 1 connection refused, 2 handshake failed, 4 after disconnect().")
    _int(79, "CONNECT_TIMEOUT", "", SG, &D.connect_timeout, 0, 0, MAX, ENDPOINT, "ms",
         "How long one attempt to connect may take; 0 leaves it to the operating system.")
    _int(66, "HANDSHAKE_IVL", "", SG, &D.handshake_ivl, 30000, 0, MAX, ENDPOINT, "ms",
         "How long the handshake may take before the connection is closed; 0 is no limit.")
    _int(75, "HEARTBEAT_IVL", "", SG, &D.heartbeat_ivl, 0, 0, MAX, ENDPOINT, "ms",
         "Time between PINGs to each peer; 0 sends none.")
    _int(76, "HEARTBEAT_TTL", "", SG, &D.heartbeat_ttl, 0, -99, 6553599, ENDPOINT, "ms",
         "How long the peer may hear nothing from us before it closes the connection, as told in each PING; rounded "
         "down to tenths of a second. 0 says nothing.")
    _effect(OPT_EFFECT_TENTHS)
    _int(77, "HEARTBEAT_TIMEOUT", "", SG, &D.heartbeat_timeout, -1, 0, MAX, ENDPOINT, "ms",
         "How long after a PING a silent peer is given up. The default, -1, means as long as HEARTBEAT_IVL.")
    _int(19, "BACKLOG", "", SG, &D.backlog, 100, 0, MAX, ENDPOINT, "connections",
         "How many connections the operating system may hold ready for a listener.")
    _int(89, "USE_FD", "", SG, &D.use_fd, -1, -1, MAX, ENDPOINT, "",
         "A listening descriptor that bind takes over instead of making one; -1 makes one.")
    r = _list(95, "METADATA", OPT_TYPE_BYTES, OPT_STORE_META, OPT_CHECK_META, &D.metadata,
              "A property \"X-name:value\" told to each peer in the handshake. One set for each name; a name set "
              "again has the new value.")
    r.high = MAX
    _bytes(110, "HELLO_MSG", "", S, &D.hello_msg, 0, MAX, NEWPEER,
           "A message that each new peer is sent first; empty sends none.")
    _only(ROUTER | DEALER | CLIENT | SERVER | PEER, ROUTER | DEALER | CLIENT | SERVER | PEER)
    _bytes(111, "DISCONNECT_MSG", "", S, &D.disconnect_msg, 0, MAX, NEWPEER,
           "A message received, as if the peer had sent it, when a peer that connected to us goes away; empty gives "
           "none.")
    _only(ROUTER | SERVER | PEER, ROUTER | SERVER | PEER)
    _bytes(114, "HICCUP_MSG", "", S, &D.hiccup_msg, 0, MAX, NEWPEER,
           "A message received, as if the peer had sent it, when a peer we connected to is lost; empty gives none.")
    _only(DEALER | CLIENT | PEER, DEALER | CLIENT | PEER)
    _int(101, "IN_BATCH_SIZE", "", SG, &D.in_batch_size, 8192, 1, MAX, ENDPOINT, "bytes",
         "Kept for programs that set it: how much is read at once follows from what comes.")
    _int(102, "OUT_BATCH_SIZE", "", SG, &D.out_batch_size, 8192, 1, MAX, ENDPOINT, "bytes",
         "Kept for programs that set it: how much is written at once follows from what waits.")


cdef void _addresses():
    _chapter("TCP, IPC and IP")
    _bool(42, "IPV6", "", SG, &D.ipv6, 0, ENDPOINT,
          "1: names resolve to IPv6 and IPv4 addresses, and a listener takes both. New sockets start with the "
          "context's IPV6.")
    _effect(OPT_EFFECT_IPV6)
    _bool(31, "IPV4ONLY", "", SG, &D.ipv4only, 1, ENDPOINT, "The opposite of IPV6.")
    _effect(OPT_EFFECT_IPV4ONLY)
    _flag(OPT_DEPRECATED)
    _int(11, "SNDBUF", "", SG, &D.sndbuf, -1, -1, MAX, ENDPOINT, "bytes",
         "Size of the operating system's send buffer (SO_SNDBUF); -1 leaves it.")
    _int(12, "RCVBUF", "", SG, &D.rcvbuf, -1, -1, MAX, ENDPOINT, "bytes",
         "Size of the operating system's receive buffer (SO_RCVBUF); -1 leaves it.")
    _int(57, "TOS", "", SG, &D.tos, 0, 0, MAX, ENDPOINT, "",
         "Type of service of IP packets (IP_TOS, IPV6_TCLASS); 0 leaves it.")
    _int(112, "PRIORITY", "", SG, &D.priority, 0, 0, MAX, ENDPOINT, "",
         "Queueing priority of the connection (SO_PRIORITY, Linux); 0 leaves it.")
    _int(113, "BUSY_POLL", "", SG, &D.busy_poll, 0, 0, MAX, ENDPOINT, "us",
         "How long the kernel polls the device for a connection (SO_BUSY_POLL, Linux); 0 leaves it.")
    _bytes(92, "BINDTODEVICE", "", SG, &D.bindtodevice, 1, 15, ENDPOINT,
           "Name of the network interface that connections are tied to (SO_BINDTODEVICE, Linux; needs CAP_NET_RAW).")
    _flag(OPT_CLEARABLE)
    _int(34, "TCP_KEEPALIVE", "", SG, &D.tcp_keepalive, -1, -1, 1, ENDPOINT, "",
         "SO_KEEPALIVE: 1 on, 0 off, -1 as the operating system has it.")
    _int(35, "TCP_KEEPALIVE_CNT", "", SG, &D.tcp_keepalive_cnt, -1, -1, MAX, ENDPOINT, "probes",
         "Keep-alive probes without answer before the connection is given up; -1 leaves it.")
    _int(36, "TCP_KEEPALIVE_IDLE", "", SG, &D.tcp_keepalive_idle, -1, -1, MAX, ENDPOINT, "s",
         "Silence before the first keep-alive probe; -1 leaves it.")
    _int(37, "TCP_KEEPALIVE_INTVL", "", SG, &D.tcp_keepalive_intvl, -1, -1, MAX, ENDPOINT, "s",
         "Time between keep-alive probes; -1 leaves it.")
    _int(80, "TCP_MAXRT", "", SG, &D.tcp_maxrt, 0, 0, MAX, ENDPOINT, "ms",
         "How long sent data may stay unacknowledged before TCP gives up (TCP_USER_TIMEOUT); 0 leaves it.")
    _list(38, "TCP_ACCEPT_FILTER", OPT_TYPE_BYTES, OPT_STORE_NETS, OPT_CHECK_NET, &D.tcp_accept_filter,
          "A network, such as 10.0.0.0/8, whose hosts a TCP listener accepts. Each set adds one; without any, all "
          "hosts are accepted.")
    _flag(OPT_DEPRECATED | OPT_CLEARABLE)
    _list(58, "IPC_FILTER_PID", OPT_TYPE_INT, OPT_STORE_INTS, OPT_CHECK_RANGE, &D.ipc_filter_pid,
          "A process whose connections an IPC listener accepts. Each set adds one; without any IPC_FILTER_*, all are "
          "accepted.")
    _flag(OPT_DEPRECATED)
    _list(59, "IPC_FILTER_UID", OPT_TYPE_INT, OPT_STORE_INTS, OPT_CHECK_RANGE, &D.ipc_filter_uid,
          "A user whose processes an IPC listener accepts. Each set adds one.")
    _flag(OPT_DEPRECATED)
    _list(60, "IPC_FILTER_GID", OPT_TYPE_INT, OPT_STORE_INTS, OPT_CHECK_RANGE, &D.ipc_filter_gid,
          "A group whose processes an IPC listener accepts: the primary group counts. Each set adds one.")
    _flag(OPT_DEPRECATED)
    _bytes(68, "SOCKS_PROXY", "", SG, &D.socks_proxy, 1, MAX, ENDPOINT,
           "\"host:port\" of the SOCKS5 proxy through which TCP connections are made.")
    _flag(OPT_CLEARABLE)
    _bytes(99, "SOCKS_USERNAME", "", SG, &D.socks_username, 0, 255, ENDPOINT,
           "User name for the SOCKS5 proxy; empty logs in without one.")
    _flag(OPT_CLEARABLE)
    _bytes(100, "SOCKS_PASSWORD", "", SG, &D.socks_password, 0, 255, ENDPOINT, "Password for the SOCKS5 proxy.")
    _flag(OPT_CLEARABLE)
    _truth(94, "LOOPBACK_FASTPATH", "", SG, &D.loopback_fastpath, 0, MIN, ENDPOINT,
           "Kept for programs that set it: it makes a difference on Windows only.")

    _chapter("Multicast and hypervisor transports")
    _int(8, "RATE", "", SG, &D.rate, 100, 1, MAX, ENDPOINT, "kbit/s",
         "Most that multicast may send. Kept: no such transport is built in.")
    _int(9, "RECOVERY_IVL", "", SG, &D.recovery_ivl, 10000, 0, MAX, ENDPOINT, "ms",
         "How long a multicast receiver may be away and still recover. Kept: no such transport is built in.")
    _int(25, "MULTICAST_HOPS", "", SG, &D.multicast_hops, 1, 1, MAX, ENDPOINT, "hops",
         "Time to live of multicast packets.")
    _truth(96, "MULTICAST_LOOP", "", SG, &D.multicast_loop, 1, MIN, ENDPOINT,
           "1: multicast packets come back to this host.")
    _int(84, "MULTICAST_MAXTPDU", "", SG, &D.multicast_maxtpdu, 1500, 1, MAX, ENDPOINT, "bytes",
         "Largest multicast packet. Kept: no transport that packs messages is built in.")
    _int64(85, "VMCI_BUFFER_SIZE", S, &D.vmci_buffer_size, 65546, 0, ENDPOINT, "bytes",
           "Size of a VMCI connection's buffer. Kept: no such transport is built in.")
    _int64(86, "VMCI_BUFFER_MIN_SIZE", S, &D.vmci_buffer_min_size, 128, 0, ENDPOINT, "bytes",
           "Least size of a VMCI connection's buffer. Kept: no such transport is built in.")
    _int64(87, "VMCI_BUFFER_MAX_SIZE", S, &D.vmci_buffer_max_size, 262144, 0, ENDPOINT, "bytes",
           "Greatest size of a VMCI connection's buffer. Kept: no such transport is built in.")
    _int(88, "VMCI_CONNECT_TIMEOUT", "", S, &D.vmci_connect_timeout, -1, -1, MAX, ENDPOINT, "ms",
         "How long a VMCI connect may take; -1 leaves it. Kept: no such transport is built in.")
    _absent(117, "NORM_MODE", OPT_TYPE_INT, SG, "Congestion control of NORM.")
    _absent(118, "NORM_UNICAST_NACK", OPT_TYPE_INT, SG, "NORM receivers answer the sender alone.")
    _absent(119, "NORM_BUFFER_SIZE", OPT_TYPE_INT, SG, "Buffer of a NORM session, in kB.")
    _absent(120, "NORM_SEGMENT_SIZE", OPT_TYPE_INT, SG, "Payload of a NORM packet, in bytes.")
    _absent(121, "NORM_BLOCK_SIZE", OPT_TYPE_INT, SG, "Packets in a NORM block.")
    _absent(122, "NORM_NUM_PARITY", OPT_TYPE_INT, SG, "Parity packets kept for a NORM block.")
    _absent(123, "NORM_NUM_AUTOPARITY", OPT_TYPE_INT, SG, "Parity packets sent with each NORM block.")
    _absent(124, "NORM_PUSH", OPT_TYPE_INT, SG, "NORM stream drops its oldest data instead of waiting.")


cdef void _security():
    _chapter("Security")
    _int(43, "MECHANISM", "", G, &D.mechanism, OPT_MECHANISM_NULL, 0, 0, OPT_READ, "",
         "The security mechanism: 0 NULL, 1 PLAIN, 2 CURVE. The security option set last decides.")
    _bool(44, "PLAIN_SERVER", "", SG, &D.plain_server, 0, ENDPOINT,
          "1: this side checks the user names and passwords of its peers (PLAIN); 0 goes back to NULL.")
    _effect(OPT_EFFECT_PLAIN_SERVER)
    _bytes(45, "PLAIN_USERNAME", "", SG, &D.plain_username, 1, 255, ENDPOINT,
           "User name this side gives as a PLAIN client; None goes back to NULL.")
    _effect(OPT_EFFECT_PLAIN_CLIENT)
    _flag(OPT_CLEARABLE)
    _bytes(46, "PLAIN_PASSWORD", "", SG, &D.plain_password, 1, 255, ENDPOINT,
           "Password this side gives as a PLAIN client; None goes back to NULL.")
    _effect(OPT_EFFECT_PLAIN_CLIENT)
    _flag(OPT_CLEARABLE)
    _bool(47, "CURVE_SERVER", "", SG, &D.curve_server, 0, ENDPOINT,
          "1: this side is the CURVE server and needs CURVE_SECRETKEY; 0 goes back to NULL.")
    _effect(OPT_EFFECT_CURVE_SERVER)
    _key(48, "CURVE_PUBLICKEY", &D.curve_publickey, OPT_EFFECT_CURVE_KEY, "This side's long-term public key.")
    _key(49, "CURVE_SECRETKEY", &D.curve_secretkey, OPT_EFFECT_CURVE_KEY, "This side's long-term secret key.")
    _key(50, "CURVE_SERVERKEY", &D.curve_serverkey, OPT_EFFECT_CURVE_CLIENT,
         "The long-term public key of the server; makes this side a CURVE client.")
    _bytes(55, "ZAP_DOMAIN", "", SG, &D.zap_domain, 1, 255, ENDPOINT,
           "The domain named in authentication requests (ZAP). With one, peers of the NULL mechanism are "
           "authenticated too.")
    _truth(93, "ZAP_ENFORCE_DOMAIN", "", SG, &D.zap_enforce_domain, 0, MIN, ENDPOINT,
           "1: peers are refused while no authentication handler is there.")
    _absent(62, "GSSAPI_SERVER", OPT_TYPE_INT, SG, "This side is the GSSAPI server.")
    _absent(63, "GSSAPI_PRINCIPAL", OPT_TYPE_BYTES, SG, "This side's GSSAPI principal.")
    _absent(64, "GSSAPI_SERVICE_PRINCIPAL", OPT_TYPE_BYTES, SG, "The GSSAPI principal of the server.")
    _absent(65, "GSSAPI_PLAINTEXT", OPT_TYPE_INT, SG, "GSSAPI authenticates without encrypting.")
    _absent(90, "GSSAPI_PRINCIPAL_NAMETYPE", OPT_TYPE_INT, SG, "What kind of name GSSAPI_PRINCIPAL is.")
    _absent(91, "GSSAPI_SERVICE_PRINCIPAL_NAMETYPE", OPT_TYPE_INT, SG, "What kind of name GSSAPI_SERVICE_PRINCIPAL is.")
    _absent(103, "WSS_KEY_PEM", OPT_TYPE_BYTES, S, "Private key of a secure WebSocket listener.")
    _absent(104, "WSS_CERT_PEM", OPT_TYPE_BYTES, S, "Certificate of a secure WebSocket listener.")
    _absent(105, "WSS_TRUST_PEM", OPT_TYPE_BYTES, S, "Authorities a secure WebSocket connection trusts.")
    _absent(106, "WSS_HOSTNAME", OPT_TYPE_BYTES, S, "Name expected of a secure WebSocket server.")
    _absent(107, "WSS_TRUST_SYSTEM", OPT_TYPE_INT, S, "Trust the authorities the system trusts.")


cdef void _patterns():
    cdef uint32_t routers = ROUTER | REP         # a REP socket keeps its peers as a ROUTER does
    cdef uint32_t pubs = PUB | XPUB
    _chapter("Request, reply and routing")
    _truth(52, "REQ_CORRELATE", "", S, &D.req_correlate, 0, 0, NOW,
           "1: each request carries a number and replies without that number are dropped.")
    _only(REQ, REQ)
    _truth(53, "REQ_RELAXED", "", S, &D.req_relaxed, 0, 0, NOW,
           "1: a new request may be sent before the reply to the last one; that reply is dropped then.")
    _only(REQ, REQ)
    _truth(51, "PROBE_ROUTER", "", S, &D.probe_router, 0, 0, NEWPEER,
           "1: an empty message goes to each new peer, so that a ROUTER there learns our name.")
    _only(REQ | DEALER | routers, REQ | DEALER | ROUTER)
    _truth(33, "ROUTER_MANDATORY", "FAIL_UNROUTABLE ROUTER_BEHAVIOR", S, &D.router_mandatory, 0, 0, NOW,
           "1: a message for an unknown peer is EHOSTUNREACH instead of dropped, and one for a peer with a full queue "
           "waits (or EAGAIN).")
    _only(routers, routers)
    _truth(56, "ROUTER_HANDOVER", "", S, &D.router_handover, 0, 0, NOW,
           "1: a new peer with the name of a present one takes its place; otherwise the newcomer is turned away.")
    _only(routers, routers)
    _truth(41, "ROUTER_RAW", "", S, &D.router_raw, 0, 0, ENDPOINT,
           "1: connections carry plain bytes without any protocol, as those of a STREAM socket.")
    _only(routers, ROUTER)
    _int(97, "ROUTER_NOTIFY", "", SG, &D.router_notify, 0, 0, 3, NEWPEER, "",
         "Bits: 1 a peer that arrives, 2 a peer that goes, each gives a message of its name and an empty part.")
    _only(ROUTER, ROUTER)
    _bool(73, "STREAM_NOTIFY", "", S, &D.stream_notify, 1, NEWPEER,
          "1: a connection that begins or ends gives a message of its name and an empty part.")
    _only(STREAM, STREAM)

    _chapter("Publish and subscribe")
    _socket(6, "SUBSCRIBE", OPT_TYPE_BYTES, S, NOW,
            "Asks for messages that begin with these bytes; the empty prefix asks for all. Counted: the same "
            "prefix may be set several times. On a PUB or XPUB socket with XPUB_MANUAL it subscribes the peer "
            "whose subscription was received last.")
    _effect(OPT_EFFECT_NEEDS_MANUAL)
    _only(SUB | pubs, SUB | pubs)
    _socket(7, "UNSUBSCRIBE", OPT_TYPE_BYTES, S, NOW,
            "Takes one SUBSCRIBE of the same prefix back. On a PUB or XPUB socket with XPUB_MANUAL: that of the "
            "peer received last.")
    _effect(OPT_EFFECT_NEEDS_MANUAL)
    _only(SUB | pubs, SUB | pubs)
    _socket(116, "TOPICS_COUNT", OPT_TYPE_INT, G, OPT_READ, "How many different prefixes are subscribed.")
    _only(pubs | SUB | XSUB, pubs | SUB | XSUB)
    _truth(74, "INVERT_MATCHING", "", SG, &D.invert_matching, 0, MIN, NOW,
           "1: messages go where they do not match. To be set on both sides.")
    _used(pubs | SUB | XSUB)
    _truth(40, "XPUB_VERBOSE", "", S, &D.xpub_verbose, 0, 0, NOW,
           "1: every subscription is received, those to prefixes already known included. Switches XPUB_VERBOSER off.")
    _only(pubs, XPUB)
    _effect(OPT_EFFECT_VERBOSE)
    _truth(78, "XPUB_VERBOSER", "", S, &D.xpub_verboser, 0, 0, NOW,
           "1: every subscription and every unsubscription is received. Sets XPUB_VERBOSE to the same.")
    _only(pubs, XPUB)
    _effect(OPT_EFFECT_VERBOSER)
    _truth(69, "XPUB_NODROP", "", S, &D.xpub_nodrop, 0, 0, NOW,
           "1: a send waits (or EAGAIN) when a subscriber's queue is full, instead of dropping the message for it.")
    _only(pubs, pubs)
    _truth(71, "XPUB_MANUAL", "", S, &D.xpub_manual, 0, 0, NOW,
           "1: a subscription received counts only when the application confirms it with SUBSCRIBE. 0 ends "
           "XPUB_MANUAL_LAST_VALUE too.")
    _only(pubs, XPUB)
    _effect(OPT_EFFECT_MANUAL)
    _truth(98, "XPUB_MANUAL_LAST_VALUE", "", S, &D.xpub_manual_last_value, 0, 0, NOW,
           "1: as XPUB_MANUAL, and the send after a subscription goes to that subscriber only. Sets XPUB_MANUAL to "
           "the same.")
    _only(pubs, XPUB)
    _effect(OPT_EFFECT_LAST_VALUE)
    _bytes(72, "XPUB_WELCOME_MSG", "", S, &D.xpub_welcome_msg, 0, MAX, NEWPEER,
           "A message that each new subscriber is sent first; empty sends none.")
    _only(pubs, pubs)
    _truth(108, "ONLY_FIRST_SUBSCRIBE", "", S, &D.only_first_subscribe, 0, 0, NOW,
           "1: only the first part of a message can be a subscription; the other parts are user data.")
    _only(pubs | XSUB, XPUB | XSUB)
    _truth(115, "XSUB_VERBOSE_UNSUBSCRIBE", "", S, &D.xsub_verbose_unsubscribe, 0, 0, NOW,
           "1: every unsubscription is passed upstream, not only the last of a prefix.")
    _only(XSUB, XSUB)


# ---- context options -------------------------------------------------------------------------------------------------

cdef option_row* _ctx(int number, const char* name, int access, void* field, int preset, int low, int check,
                      int applies, const char* meaning):
    global ctx_row_count
    if ctx_row_count >= MAX_CTX_ROWS:
        raise AssertionError("MAX_CTX_ROWS is too small")
    cdef option_row* r = &ctx_rows[ctx_row_count]
    ctx_row_count += 1
    r.number = number
    r.name = name
    r.aliases = ""
    r.group = "Context options"
    r.unit = ""
    r.meaning = meaning
    r.type = OPT_TYPE_INT
    r.access = access
    r.check = check
    r.low = low
    r.high = MAX
    r.preset = preset
    r.applies = applies
    if field == NULL:
        r.store = OPT_STORE_CONST
    else:
        r.store = OPT_STORE_INT
        r.offset = <char*>field - <char*>&C
    return r


cdef void _ctx_int(int number, const char* name, int access, int* field, int preset, int low, int check, int applies,
                   const char* meaning):
    field[0] = preset
    _ctx(number, name, access, field, preset, low, check, applies, meaning)


cdef void _context():
    cdef option_row* r
    _ctx_int(1, "IO_THREADS", SG, &C.io_threads, 1, 0, OPT_CHECK_RANGE, OPT_FIRST_SOCKET,
             "How many background threads serve connections while the application is away; 0 is enough for inproc.")
    _ctx_int(2, "MAX_SOCKETS", SG, &C.max_sockets, 1023, 1, OPT_CHECK_RANGE, NOW,
             "How many sockets may be open at once.")
    _ctx(3, "SOCKET_LIMIT", G, NULL, 65535, 0, OPT_CHECK_RANGE, OPT_READ,
         "The largest value that makes sense for MAX_SOCKETS.")
    _ctx_int(3, "THREAD_PRIORITY", S, &C.thread_priority, -1, 0, OPT_CHECK_RANGE, OPT_FIRST_SOCKET,
             "Scheduling priority of the background threads.")
    _ctx_int(4, "THREAD_SCHED_POLICY", SG, &C.thread_sched_policy, -1, 0, OPT_CHECK_RANGE, OPT_FIRST_SOCKET,
             "Scheduling policy of the background threads (SCHED_*); -1, the default, leaves it.")
    _ctx_int(5, "MAX_MSGSZ", SG, &C.max_msgsz, MAX, 0, OPT_CHECK_RANGE, NOW,
             "Kept for programs that set it; it limits nothing, as with libzmq. See MAXMSGSIZE for what is received.")
    _ctx(6, "MSG_T_SIZE", G, NULL, 64, 0, OPT_CHECK_RANGE, OPT_READ,
         "Size of libzmq's message struct, for programs that ask; nothing here has that size.")
    r = _ctx(7, "THREAD_AFFINITY_CPU_ADD", S, &C.thread_affinity_cpu, 0, 0, OPT_CHECK_RANGE, OPT_FIRST_SOCKET,
             "Lets the background threads run on this CPU; with none added they run on any.")
    r.store = OPT_STORE_CPU
    r = _ctx(8, "THREAD_AFFINITY_CPU_REMOVE", S, &C.thread_affinity_cpu, 0, 0, OPT_CHECK_RANGE, OPT_FIRST_SOCKET,
             "Takes a CPU added before away.")
    r.store = OPT_STORE_CPU
    r.effect = OPT_EFFECT_REMOVE
    r = _ctx(9, "THREAD_NAME_PREFIX", SG, &C.thread_name_prefix, 0, MIN, OPT_CHECK_RANGE, OPT_FIRST_SOCKET,
             "Begins the names of the background threads, as in \"7/A\": a number, or at most 16 bytes, of which 13 are shown.")
    r.store = OPT_STORE_NAME
    _ctx_int(10, "ZERO_COPY_RECV", SG, &C.zero_copy_recv, 1, 0, OPT_CHECK_TRUTH, OPT_NEXT_SOCKET,
             "Kept for programs that set it: recv(copy=False) never copies a large message, whatever this says.")
    _ctx_int(42, "IPV6", SG, &C.ipv6, 0, 0, OPT_CHECK_TRUTH, OPT_NEXT_SOCKET, "The IPV6 option of new sockets.")
    _ctx_int(70, "BLOCKY", SG, &C.blocky, 1, 0, OPT_CHECK_TRUTH, OPT_NEXT_SOCKET,
             "0: new sockets have LINGER 0, so that ending the context does not wait for messages.")


memset(&D, 0, sizeof(D))
memset(&C, 0, sizeof(C))
memset(rows, 0, sizeof(rows))
memset(ctx_rows, 0, sizeof(ctx_rows))
memset(row_of, 0xff, sizeof(row_of))
_queues()
_connections()
_addresses()
_security()
_patterns()
_context()
