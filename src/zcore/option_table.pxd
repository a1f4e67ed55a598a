"""What options there are: one row per option, and the struct that holds one socket's values.

A row is everything known about an option: number, names, type, access, default, range, the socket types that take it,
when a new value counts and what it means. Setter, getter, checks (`options`), the reference page (`option_text`) and
the attribute names of the Python layer are read from the rows; nothing about an option is written down twice.

The rows are filled in when the module is imported and never written again: any thread may read them without a lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from zcore.option_values cimport ip_filters, obytes, oints


# The values of one socket. Owned by the socket, touched only under the socket lock; a connection that needs values
# outside it takes a copy when it is made. Fields carry the lower-case name of their option; units are those of the
# option's row.
cdef struct options:
    # messages and queues
    int sndhwm
    int rcvhwm
    int sndtimeo
    int rcvtimeo
    int linger
    int spin_budget                  # us
    int conflate
    int64_t maxmsgsize
    # connections
    int64_t affinity
    obytes routing_id
    obytes connect_routing_id        # for the next connect: the socket takes it with obytes_move
    int immediate
    int reconnect_ivl
    int reconnect_ivl_max
    int reconnect_stop
    int connect_timeout
    int handshake_ivl
    int backlog
    int use_fd
    int heartbeat_ivl
    int heartbeat_ttl                # whole tenths of a second, in ms
    int heartbeat_timeout            # -1: as heartbeat_ivl
    obytes hello_msg
    obytes disconnect_msg
    obytes hiccup_msg
    obytes metadata                  # handshake properties: name length 1, name, value length 4 (big endian), value
    int in_batch_size
    int out_batch_size
    # tcp, ipc and ip in general
    int ipv6
    int ipv4only                     # always `not ipv6`
    int sndbuf
    int rcvbuf
    int tos
    int priority
    int busy_poll
    obytes bindtodevice
    int loopback_fastpath
    int tcp_keepalive
    int tcp_keepalive_cnt
    int tcp_keepalive_idle
    int tcp_keepalive_intvl
    int tcp_maxrt
    ip_filters tcp_accept_filter
    oints ipc_filter_pid
    oints ipc_filter_uid
    oints ipc_filter_gid
    obytes socks_proxy
    obytes socks_username
    obytes socks_password
    # multicast and hypervisor transports
    int rate
    int recovery_ivl
    int multicast_hops
    int multicast_loop
    int multicast_maxtpdu
    int64_t vmci_buffer_size
    int64_t vmci_buffer_min_size
    int64_t vmci_buffer_max_size
    int vmci_connect_timeout
    # security
    int mechanism                    # OPT_MECHANISM_*: chosen by the last security option that was set
    int as_server                    # this side plays the server of `mechanism`
    int plain_server                 # always `as_server and mechanism == PLAIN`
    int curve_server                 # always `as_server and mechanism == CURVE`
    obytes plain_username
    obytes plain_password
    obytes curve_publickey           # 32 raw bytes, or empty
    obytes curve_secretkey
    obytes curve_serverkey
    obytes zap_domain
    int zap_enforce_domain
    # request and reply, routing
    int req_correlate
    int req_relaxed
    int probe_router
    int router_mandatory
    int router_handover
    int router_raw
    int router_notify                # bits: 1 connect, 2 disconnect
    int stream_notify
    # publish and subscribe
    int invert_matching
    int xpub_verbose                 # duplicate subscriptions go to the application
    int xpub_verboser                # duplicate unsubscriptions too
    int xpub_nodrop
    int xpub_manual
    int xpub_manual_last_value
    obytes xpub_welcome_msg
    int only_first_subscribe
    int xsub_verbose_unsubscribe

# The options of a context. Owned by the context, touched only under the context lock.
cdef struct ctx_options:
    int io_threads
    int max_sockets
    int max_msgsz
    int zero_copy_recv
    int ipv6
    int blocky
    int thread_sched_policy          # -1: leave
    int thread_priority              # -1: leave
    oints thread_affinity_cpu        # CPUs our threads may use; empty: any
    obytes thread_name_prefix

# What a Python value for the option must be.
cdef enum:
    OPT_TYPE_INT = 0        # 32 bits, signed
    OPT_TYPE_INT64 = 1
    OPT_TYPE_BYTES = 2
    OPT_TYPE_FD = 3         # a descriptor

cdef enum:
    OPT_GET = 1
    OPT_SET = 2

# Where a value is kept.
cdef enum:
    OPT_STORE_NONE = 0      # with the socket, not in the struct
    OPT_STORE_INT = 1
    OPT_STORE_INT64 = 2
    OPT_STORE_BYTES = 3
    OPT_STORE_KEY = 4       # obytes: 32 raw bytes; read back as 40 Z85 characters
    OPT_STORE_INTS = 5      # oints: each set adds one
    OPT_STORE_NETS = 6      # ip_filters: each set adds one
    OPT_STORE_META = 7      # obytes: each set adds or replaces one property
    OPT_STORE_CPU = 8       # oints: OPT_EFFECT_REMOVE takes one away, otherwise each set adds one
    OPT_STORE_NAME = 9      # obytes: an integer is stored, and read back, as its decimal text
    OPT_STORE_CONST = 10    # `preset` is the answer

# How a value is judged and changed before it is stored.
cdef enum:
    OPT_CHECK_RANGE = 0     # integer in low..high; bytes of low..high length
    OPT_CHECK_BOOL = 1      # 0 or 1
    OPT_CHECK_TRUTH = 2     # integer in low..high, stored as 0 or 1
    OPT_CHECK_ID = 3        # bytes of low..high length, the first not 0
    OPT_CHECK_KEY = 4       # 32 raw bytes, or 40 Z85 characters with or without a trailing NUL
    OPT_CHECK_NET = 5       # "address" or "address/bits"
    OPT_CHECK_META = 6      # "X-name:value"

# What else a successful set changes.
cdef enum:
    OPT_EFFECT_NONE = 0
    OPT_EFFECT_HWM = 1              # RCVHWM follows
    OPT_EFFECT_IPV4ONLY = 2         # IPV6 is the opposite
    OPT_EFFECT_IPV6 = 3             # IPV4ONLY is the opposite
    OPT_EFFECT_TENTHS = 4           # rounded down to whole tenths of a second
    OPT_EFFECT_PLAIN_SERVER = 5     # mechanism PLAIN as server, or NULL
    OPT_EFFECT_PLAIN_CLIENT = 6     # mechanism PLAIN as client, or NULL when cleared
    OPT_EFFECT_CURVE_SERVER = 7     # mechanism CURVE as server, or NULL
    OPT_EFFECT_CURVE_KEY = 8        # mechanism CURVE, role unchanged
    OPT_EFFECT_CURVE_CLIENT = 9     # mechanism CURVE as client
    OPT_EFFECT_VERBOSE = 10         # XPUB_VERBOSER off
    OPT_EFFECT_VERBOSER = 11        # XPUB_VERBOSE the same
    OPT_EFFECT_MANUAL = 12          # XPUB_MANUAL_LAST_VALUE off when this is
    OPT_EFFECT_LAST_VALUE = 13      # XPUB_MANUAL the same
    OPT_EFFECT_NEEDS_MANUAL = 14    # only SUB, or XPUB_MANUAL, may
    OPT_EFFECT_REMOVE = 15

# When a new value counts.
cdef enum:
    OPT_AT_ONCE = 0         # from now on, connections that exist included
    OPT_NEXT_ENDPOINT = 1   # for later bind and connect calls
    OPT_NEXT_PEER = 2       # for peers that arrive later
    OPT_READ = 3            # a question, not a setting
    OPT_FIRST_SOCKET = 4    # context: before the first socket is made
    OPT_NEXT_SOCKET = 5     # context: for sockets made later

cdef enum:
    OPT_ABSENT = 1          # needs a library that is not built in: every set and get is EINVAL
    OPT_CLEARABLE = 2       # a NULL value clears it
    OPT_DEPRECATED = 4

cdef enum:
    OPT_MECHANISM_NULL = 0
    OPT_MECHANISM_PLAIN = 1
    OPT_MECHANISM_CURVE = 2

cdef struct option_row:
    int number
    const char* name
    const char* aliases      # separated by spaces; "" when none
    const char* group        # chapter of the reference page
    const char* unit         # "ms", "bytes", ...; "" when none
    const char* meaning      # one or two sentences
    uint8_t type             # OPT_TYPE_*
    uint8_t access           # OPT_GET | OPT_SET
    uint8_t store            # OPT_STORE_*
    uint8_t check            # OPT_CHECK_*
    uint8_t effect           # OPT_EFFECT_*
    uint8_t applies          # OPT_AT_ONCE, ...
    uint8_t flags            # OPT_ABSENT, ...
    uint32_t types           # socket types that take it: bit 1 << type
    uint32_t used_by         # socket types it makes a difference to
    size_t offset            # of the value, in `options` or `ctx_options`
    int64_t preset           # default of an integer
    int64_t low              # smallest value or length
    int64_t high             # largest value or length

# The row of a socket option, or NULL.
cdef const option_row* option_find(int number) noexcept nogil
# The row of a context option, or NULL. `access` is OPT_GET or OPT_SET: number 3 means different things to each.
cdef const option_row* ctx_option_find(int number, int access) noexcept nogil
# The rows one by one: NULL behind the last.
cdef const option_row* option_at(size_t index) noexcept nogil
cdef const option_row* ctx_option_at(size_t index) noexcept nogil
# Copies the defaults, without the differences between socket types.
cdef void option_defaults(options* o) noexcept nogil
cdef void ctx_option_defaults(ctx_options* c) noexcept nogil
