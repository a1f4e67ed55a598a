"""The socket as the engine sees it: one struct, its connections and its endpoints.  No code: the rooms that work on
them (traffic, sessions, endpoints, lease, waiting, lifecycle) stand above.

Locks: `sock.lock` protects everything in a sock and its routing, unless a field says otherwise.  It is held for tens of
nanoseconds, never across a system call, never while waiting for anything, and never together with another socket's.
Order: sock.lock, then link.lock or ctx.lock, then sock.watch_lock.  Fields marked [reactor] belong to the reactor's thread.

A socket is served by one reactor, chosen at its first bind or connect over a network transport.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from .backoff cimport backoff
from .connecter cimport connecter
from .connection cimport conn
from .ctx cimport ctx
from .endpoint cimport endpoint
from .limits cimport limits
from .listener cimport listener
from .message cimport zmsg
from .option_table cimport options
from .patterns cimport pattern
from .platform cimport zq_mutex, zq_wakefd
from .poller cimport poller
from .reactor cimport handle, reactor, task, timer
from .resolver cimport resolve_request
from .routing cimport peer, routing
from .stream cimport stream_opts


cdef enum:
    # sock.todo: why its task was posted [atomic bits]
    DUE_FLUSH = 1         # queues with bytes the application left for later
    DUE_MIND = 2          # connections in sock.mind: blocked ones, ones that may be read again, slow ones, time to live
    DUE_FAILED = 4        # connections that ended
    DUE_ENDPOINTS = 8     # endpoints to start or to stop
    DUE_LEASE = 16        # the application came back from a long wait: look after the input again
    DUE_CLOSE = 32        # the socket was closed
    DUE_GRAVES = 64       # sessions whose memory may be freed now
    DUE_INBOX = 128       # an inproc peer has news for a socket whose application is away
    DUE_ZAP = 1024        # an authoriser has answered a handshake

cdef enum:
    # sock.lease: who reads
    LEASE_NONE = 0        # no stream connection yet
    LEASE_ARMED = 1       # the reactor watches the set, one event at a time
    LEASE_PARKED = 2      # the application reads; the reactor looks in at every tick
    LEASE_DORMANT = 3     # the application waits in the set itself; nobody ticks

cdef enum:
    # sock.parked
    PARKED_COUNT = 0xFFF  # the bits that count
    PARKED_ROUND = 0x1000 # added with each wake-up

cdef enum:
    # ept.state
    EPT_NEW = 0
    EPT_RUNNING = 1       # listening, or trying to connect
    EPT_CONNECTED = 2
    EPT_WAITING = 3       # backing off
    EPT_STOPPING = 4      # unbound or disconnected: the reactor has yet to let go
    EPT_FAILED = 5        # given up for good

cdef enum:
    # sock.hs_failed: why handshakes came to nothing
    HS_COUNT_PROTOCOL = 0 # what the peer sent, or an authoriser's answer, was against the protocol
    HS_COUNT_AUTH = 1     # the authoriser's verdict, ours on a peer or a peer's on us
    HS_COUNT_REFUSED = 2  # the peer said ERROR for another reason
    HS_COUNT_LOCAL = 3    # nobody to ask, no memory, a mechanism that is not set up
    HS_COUNT_TIMEOUT = 4  # HANDSHAKE_IVL
    HS_COUNT_LOST = 5     # the connection ended
    HS_COUNT_CROWDED = 6  # too many strangers at once, and this was the oldest
    HS_COUNTS = 7

cdef struct session:      # one stream connection, from accept or connect to its close
    conn c                # first: a conn* of ours is a session*
    sock* s
    peer* p               # NULL before the handshake is over (unless the endpoint made it)
    ept* e                # what made it; NULL when that is gone
    session* next         # all of this socket's
    session* prev
    session* flush_next   # in sock.flush
    session* failed_next  # in sock.failed
    session* mind_next    # in sock.mind
    session* large_next   # in sock.large
    session* large_prev
    session* thrift_next  # in sock.thrift_first
    session* thrift_prev
    uint8_t thrift        # THRIFT_*
    bint in_flush
    bint in_large
    bint in_failed
    bint in_mind
    bint accepted         # by a listener
    bint active           # the handshake is over and the peer attached
    bint in_set           # its descriptor is in sock.set
    bint watch_out        # the reactor is to watch for writability
    handle h              # [reactor] handshake, then writability
    timer limit           # [reactor] HANDSHAKE_IVL; after session_leave, LINGER
    timer beat            # [reactor] heartbeats
    timer slow            # [reactor] HWM policy Disconnect
    uint32_t slow_round   # [reactor] the peer's caught_up when the time began
    uint8_t* early        # [reactor] what was read and not yet taken: traffic, or input behind a verdict
    size_t early_len
    bint stranger         # [lock] accepted, and its handshake not over: in sock.strangers
    session* stranger_next
    session* stranger_prev
    int64_t opened_ns
    peer* zap             # [reactor] the way to the authoriser, while it is asked
    uint8_t* said         # [reactor] properties that the authoriser gave, User-Id the first of them
    size_t said_len
    uint8_t zap_domain[256]
    uint32_t zap_domain_len
    bint zap_enforce
    bint is_loopback      # tcp within this machine
    char peer_address[64]     # "192.0.2.1", for metadata
    char name[400]        # the endpoint, for events, also after `e` is gone
    uint8_t self_id[256]  # our routing id, and below what the handshake says of us: copied, since options may change
    size_t self_id_len
    uint8_t* self_meta
    bint was_active       # it was attached at some time
    bint ignored          # a duplicate identity: connected, and heard by nobody
    int64_t next_ping     # [reactor] ns

cdef struct ept:          # one bind or connect
    sock* s
    ept* next
    bint bound
    bint stream           # tcp or ipc
    uint8_t state
    endpoint where
    char* given           # as the application spelt it
    char* name            # resolved: what LAST_ENDPOINT says
    peer* p               # connecting: the peer, which outlives its connections (NULL with IMMEDIATE while unconnected)
    session* live         # connecting: the connection or handshake under way
    ept* waiting_next     # inproc: in the list of those that wait for a bind
    stream_opts sopts
    listener l
    connecter dial        # [reactor]
    backoff back          # [reactor]
    handle h              # [reactor]
    timer wait            # [reactor] back-off, connect timeout
    resolve_request* asking   # [reactor]
    bint delayed          # CONNECT_DELAYED was said of this attempt
    bint leaving          # disconnected: it stays for what its peer was sent before, until leave_due
    bint leave_seen       # [reactor]
    int64_t leave_due     # ns; -1: no limit, 0: at once
    timer leave           # [reactor]
    uint8_t rid[256]      # CONNECT_ROUTING_ID for its peer
    uint32_t rid_len

cdef struct watcher:      # waits for many sockets in a poll of its own: a Poller, an event loop
    uint32_t refs         # atomic
    poller set            # the sets of its members, and `wake`; no aggregate with poll(2): then only `wake` counts
    zq_wakefd wake
    uint32_t asleep       # atomic: the next news are to be signalled
    member* news          # atomic: members whose sockets have news
    member* todo          # [owner] taken from `news`, not yet looked at

cdef struct member:       # one socket of one watcher
    watcher* w
    sock* s               # one reference
    member* next          # [s.watch_lock] the socket's others
    uint32_t told         # atomic: it is in `news`
    member* news_next     # atomic
    bint wants            # [s.lock] it is to be told of input that arrives
    bint watched          # [s.lock] the socket's set is in w.set, with this member's name on it
    bint fired            # [owner] the kernel has said that there is input
    bint gone             # [owner] no member any more: freed when it comes out of the news
    void* owner           # [owner] whose it is

cdef struct sock:
    zq_mutex lock
    uint32_t refs         # atomic: the Python object, the reactor while it serves, wakers
    uint32_t generation
    ctx* x
    sock* ctx_next        # [ctx.lock]
    sock* ctx_prev
    int type
    const pattern* row
    options opt
    routing r
    uint32_t closed       # atomic: by the application
    bint close_seen       # [reactor] DUE_CLOSE has come: the closing thread has done its part
    bint closing_done
    uint32_t fatal        # errno that every further call gets, 0 none
    ept* epts
    char* last_endpoint
    limits send_limits    # policy chosen with set_hwm_policy; POLICY_TYPE: the options
    limits recv_limits
    bint send_limits_set
    bint recv_limits_set
    int policy_timeout_ms # Block(timeout=...): overrides SNDTIMEO; -2 unset
    # the message being sent in parts
    zmsg* stage
    uint32_t nstage
    uint32_t stage_cap
    uint64_t stage_owner  # thread
    bint rcvmore
    # waiting
    uint32_t waiters      # atomic: threads in a wait of any kind
    uint32_t pollers      # atomic: those of them whom the wake descriptor wakes
    uint32_t parked       # atomic: the others sleep on this word: how many (12 bits), how often they were woken
    uint32_t stage_waiters
    zq_wakefd wake        # made by the first wait
    uint32_t wake_open    # atomic
    uint32_t wake_raised  # atomic: a signal is on its way
    uint32_t news         # atomic: counts what waiting threads were woken for
    void* watches         # the waiting threads (waiting.pxd: watch)
    bint leader           # a thread waits in, or reads the events of, `set`
    zq_mutex watch_lock   # taken last, for the list of members alone
    member* members       # [watch_lock; whether there is any: atomic] who watches from outside
    uint32_t outside      # members that watch the set
    uint32_t spin_score   # 0-256: how often spinning paid
    uint32_t spin_count
    uint32_t wake_round   # how often its thread had waited, or received, when this socket last woke somebody
    uint32_t last_cpu     # atomic: of the last thread that put something into our inbox
    # inproc
    peer* inbox           # atomic: peers with news
    # stream
    reactor* rx
    poller set            # every connection's descriptor, and the wake descriptor
    bint set_open
    bint reader_is_reactor    # always: FD was exported, or the poller has no aggregate descriptor
    session* sessions
    uint32_t nactive
    bint heavy_left       # a read with the GIL held has left something for one without it: sock_read_apart
    session* only         # the one active session, when there is exactly one
    uint8_t lease
    uint32_t touch        # counts receiving calls
    uint32_t touch_seen   # [reactor]
    uint64_t glanced      # ticks, when a sender last looked for subscriptions
    uint32_t idle_ticks   # [reactor]
    int64_t tick_ns       # [reactor]
    int64_t tick_first    # [reactor] where ticks begin: later for an application that has always come back
    bint took_over        # [reactor] it read for the application since arming
    uint64_t burst_end    # ticks: when a call last wrote to connections by itself, and for how long it did
    uint64_t burst_cost
    uint32_t burst_touch  # touch, then
    uint32_t burst_from   # of the many that have something to write, who is the first that a call writes to itself
    session* flush
    session** flush_end   # where the next one goes: behind the last
    session* failed
    session* large        # those that receive a large frame into something else than its final memory
    bint takes_frames     # the last receiving call asked for Frames, not for bytes
    uint32_t full_writes  # writes under way for queues that are full
    uint32_t reads        # the reactor, or a sender, is reading what there is
    session* mind         # what the reactor is to look at: see DUE_MIND
    session* thrift_first # those that may have memory to give back, the longest listed first
    session* thrift_last
    session* graves       # freed when no thread is in the set
    session* strangers    # accepted connections whose handshake is not over, the oldest first
    session* strangers_last
    uint32_t nstrangers
    peer* answered        # ways to an authoriser on which something came
    uint64_t hs_succeeded
    uint64_t hs_failed[HS_COUNTS]
    uint64_t violations   # connections ended because what came after the handshake was against the protocol
    bint flush_ticking    # the reactor comes by itself
    uint32_t empty_ticks  # [reactor]
    uint32_t todo         # atomic
    bint todo_retry       # [reactor] the lock was taken when the set was ready
    task job              # [reactor] runs lifecycle's service function
    handle set_handle     # [reactor] the set in the reactor's poller
    timer tick            # [reactor]
    timer linger          # [reactor]
    int64_t linger_due    # ns; -1 for ever
    # FD
    zq_wakefd signal
    bint signal_open
    uint32_t signal_raised
    # monitor
    sock* monitor
    uint64_t monitor_events
    # books of peers that are gone
    uint64_t past_accepted[2]
    uint64_t past_delivered[2]
    uint64_t past_dropped[2][8]
