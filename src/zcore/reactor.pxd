"""The reactor: a loop on a thread of its own, over descriptors, timers and tasks.  It knows no socket.

Everything it calls is a function of `handle`, `timer` or `task`: structs that their owners embed, all zero when idle.
The functions run on the reactor's thread, one at a time, without the GIL, and must not block.  From inside any of them
every handle, timer and task may be set, removed or freed, its own included.

One turn: wait; up to 256 events of descriptors; up to 256 due timers; up to 256 tasks.  What is left over waits for the
next turn, which then does not sleep: none of the three can starve another.  With no task, no event and no timer armed
the loop sleeps without a limit: an idle reactor makes no turns at all.

Who may call what:
- any thread: reactor_post, reactor_start, reactor_stop_join, reactor_is_current, reactor_read_counters, hold/release;
- the reactor's thread only: handle_*, timer_set, timer_cancel, task_cancel, reactor_retry, reactor_now.  Before
  reactor_start the thread that created the reactor may call them too.

After fork() the child's calls have no effect (reactor_post answers False, others -ECHILD); it calls reactor_forked.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from zcore.platform cimport pthread_t, zq_mutex, zq_thread_opts, zq_wakefd
from zcore.poller cimport poller
from zcore.poller_table cimport (  # noqa: F401  offered to those who cimport this module
    POLL_ERR, POLL_HUP, POLL_IN, POLL_ONESHOT, POLL_OUT, poll_event
)
from zcore.timers cimport timer, timer_heap, timer_init, timer_is_armed  # noqa: F401  likewise


cdef enum:
    REACTOR_BATCH = 256      # most events, timers and tasks of one turn, each
    REACTOR_MAX_CPUS = 64


# A watched descriptor.  Reactor's thread.
cdef struct handle:
    int fd                   # change it only while removed
    int events               # what the owner asked for: POLL_IN, POLL_OUT, POLL_ONESHOT; 0: nothing
    void (*fn)(handle* h, int revents) noexcept nogil
    void* owner
    # the reactor's own
    int32_t armed            # what the poller watches; 0 also after a one-shot report
    int32_t registered       # known to the poller
    int32_t listed           # on the list of changes (1) or of refused handles (2)
    handle* prev
    handle* next


# Work for the reactor's thread.
cdef struct task:
    task* next               # the queue's
    uint32_t queued          # 1 from a post until just before the run
    void (*fn)(task* t) noexcept nogil
    void* owner
    timer retry              # armed between reactor_retry and the run.  Reactor's thread


cdef struct reactor_counters:
    uint64_t loops           # turns
    uint64_t wakeups         # waits that could sleep and have ended
    uint64_t signals         # wake-ups that posts had to send: each is a system call of the poster
    uint64_t events          # handle functions called
    uint64_t timers          # timer functions called
    uint64_t tasks           # task functions called
    uint64_t retries         # calls of reactor_retry
    uint64_t errors          # waits or changes of the poller that failed


cdef struct reactor_opts:
    int backend              # POLLER_*
    zq_thread_opts thread    # `name` and `cpus` are copied; no name: "pyzq-io"; timer_slack_ns is always 1


cdef struct reactor:
    # -- posting: any thread, no lock
    void* head               # the newest posted task, or a mark: see reactor.pyx
    const uint32_t* now_generation    # the process's fork generation
    uint32_t generation      # the one in which the reactor was made
    uint32_t refs            # reactor_hold
    zq_wakefd wake
    uint64_t signals         # atomic
    char apart[64]           # the loop's fields do not share a cache line with the posters'
    # -- control: under `control`, which may be held across the creation of the thread; never taken by the reactor
    zq_mutex control
    uint32_t state           # REACTOR_*; written under `control`, read anywhere
    pthread_t thread
    zq_thread_opts opts
    char name[16]
    int cpus[REACTOR_MAX_CPUS]
    # -- the loop: reactor's thread
    void* self               # identity of the thread; atomic, NULL while it does not run
    poller poll
    timer_heap heap
    int64_t now_ns           # cached after the wait of each turn
    task* first              # taken from `head`, oldest first, not yet run
    task* last
    handle* changes          # handles whose wish differs from what the poller watches
    handle* refused          # handles whose change the poller refused: they hear POLL_ERR
    uint32_t nretry          # armed retries
    uint32_t stopping
    task stop_task
    handle wake_handle
    poll_event batch[REACTOR_BATCH]
    int batch_at             # the event being delivered
    int batch_n
    reactor_counters counts  # written by the loop, read by anyone; `signals` is kept above


cdef enum:
    REACTOR_NEW = 0
    REACTOR_RUNNING = 1
    REACTOR_STOPPING = 2
    REACTOR_STOPPED = 3


# ---- life ----

# `opts` may be NULL.  NULL with -errno in `error` (which may be NULL).
cdef reactor* reactor_create(const reactor_opts* opts, int* error) noexcept nogil
# Starts the thread, once.  -ESHUTDOWN after the end, -EAGAIN or -ENOMEM without a thread.
cdef int reactor_start(reactor* r) noexcept nogil
# Runs what is queued or waits for a retry, then ends the thread and joins it.  0 also when there is nothing to stop.
# -EDEADLK from the reactor's own thread, -EALREADY while another thread is stopping it.
cdef int reactor_stop_join(reactor* r) noexcept nogil
# Frees a reactor that does not run (else -EBUSY); its memory stays until the last hold is released.
cdef int reactor_free(reactor* r) noexcept nogil
# A hold keeps reactor_post safe to call although the owner may free the reactor: the post is then refused.
cdef void reactor_hold(reactor* r) noexcept nogil
cdef void reactor_release(reactor* r) noexcept nogil
# In a forked child: closes the descriptors, leaks the rest.  Elsewhere it does nothing.
cdef void reactor_forked(reactor* r) noexcept nogil
cdef bint reactor_is_current(reactor* r) noexcept nogil
cdef void reactor_read_counters(reactor* r, reactor_counters* out) noexcept nogil

# The time of this turn.
cdef inline int64_t reactor_now(const reactor* r) noexcept nogil:
    return r.now_ns

# ---- tasks ----

cdef inline void task_init(task* t, void (*fn)(task*) noexcept nogil, void* owner) noexcept nogil:
    t.next = NULL
    t.queued = 0
    t.fn = fn
    t.owner = owner
    timer_init(&t.retry, NULL, NULL)

# The task runs once after this call (if it was queued already, that run will do: it begins later and sees all that the
# poster wrote).  Tasks run in the order of their posts.  False: the reactor has ended and the task will not run.
# A system call only when the reactor sleeps.
cdef bint reactor_post(reactor* r, task* t) noexcept nogil
# Posts the task after a delay (for one that could not get a lock).  An earlier post replaces it.
cdef void reactor_retry(reactor* r, task* t, int64_t delay_ns) noexcept nogil
# Takes the task out of the queue and drops its retry, so that it may be freed; nobody may be posting it.
cdef void task_cancel(reactor* r, task* t) noexcept nogil

# ---- descriptors ----

cdef inline void handle_init(handle* h, int fd, void (*fn)(handle*, int) noexcept nogil, void* owner) noexcept nogil:
    h.fd = fd
    h.events = 0
    h.fn = fn
    h.owner = owner
    h.armed = 0
    h.registered = 0
    h.listed = 0
    h.prev = NULL
    h.next = NULL

# Watches for `events` (POLL_IN, POLL_OUT, with POLL_ONESHOT: for one report); 0: for nothing.  The first call for a
# descriptor registers it at once and returns the poller's refusal; changes are collected and made before the next wait,
# and one that is refused is told as POLL_ERR.  The function gets only what is asked at that moment; with POLL_ERR or
# POLL_HUP all that is asked.  After a one-shot report `events` is 0 until the next call.
cdef int handle_set(reactor* r, handle* h, int events) noexcept nogil
# Forgets the descriptor at once, fetched events included.  Before close(2) and before freeing.
cdef void handle_remove(reactor* r, handle* h) noexcept nogil

# ---- timers ----

# Calls the timer's function once, not before `due_ns` (zq_now_ns); an armed timer is moved.  -ENOMEM: it is as it was.
cdef int timer_set(reactor* r, timer* t, int64_t due_ns) noexcept nogil
cdef void timer_cancel(reactor* r, timer* t) noexcept nogil
