"""The reactor.

The queue of posted tasks and the question "does the loop sleep?" are one word, `head`:

    NULL        no task is queued and the loop is awake
    a task      tasks are queued, newest first; the loop is awake, or has been woken by who queued the first
    _SLEEPING   no task is queued; the loop sleeps or is about to
    _CLOSED     the loop has ended

A post puts its task in front by compare-and-swap; who replaces _SLEEPING sends the one wake-up.  Before it sleeps the
loop turns NULL into _SLEEPING, which fails when something has been queued; after the wait it takes the whole list by an
exchange.  With one word there is no order between two words to get wrong, so no fence is needed, and a thread sanitizer
sees all of it.  Taking the whole list also rules out the ABA problem: nothing is ever taken from the middle.
"""

from libc.errno cimport EALREADY, EBUSY, ECHILD, EINTR, ENOMEM, ESHUTDOWN
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strncpy

from zcore.platform cimport (
    generation_word, zq_add32, zq_add64, zq_casp, zq_load32, zq_load64, zq_loadp, zq_lock, zq_mutex_destroy,
    zq_mutex_init, zq_now_ns, zq_sleep_ns, zq_store32, zq_store64, zq_storep, zq_sub32, zq_thread_create,
    zq_thread_join, zq_unlock, zq_wakefd_close, zq_wakefd_drain, zq_wakefd_open, zq_wakefd_signal, zq_xchg32, zq_xchgp
)
from zcore.poller cimport (
    POLL_BOTH, POLLER_DEFAULT, poller_add, poller_close, poller_del, poller_mod, poller_open, poller_wait
)
from zcore.timers cimport heap_cancel, heap_free, heap_init, heap_next, heap_run, heap_set

cdef extern from *:
    """
    #include "platform.h"
    /* An integer or a pointer, never 0, that no two threads have at one time. */
    static inline void *zq_thread_self(void) { return (void *)pthread_self(); }
    """
    void* zq_thread_self() nogil
    const int EDEADLK

cdef enum:
    LISTED_CHANGES = 1
    LISTED_REFUSED = 2

cdef void* _SLEEPING = <void*>1
cdef void* _CLOSED = <void*>2


cdef inline bint _foreign(const reactor* r) noexcept nogil:
    """True in a child of the process that made the reactor."""
    return r.now_generation[0] != r.generation


cdef inline void _count(uint64_t* counter, uint64_t n) noexcept nogil:
    """Only the loop writes: an atomic store is enough for readers."""
    zq_store64(counter, counter[0] + n)


# ---- tasks ----

cdef bint reactor_post(reactor* r, task* t) noexcept nogil:
    cdef void* old
    if _foreign(r):
        return False
    # A read-modify-write even when the answer is "queued already": the run that follows clears the word by another, so
    # it sees what this thread wrote before.
    if zq_xchg32(&t.queued, 1):
        return zq_loadp(&r.head) != _CLOSED
    while True:
        old = zq_loadp(&r.head)
        if old == _CLOSED:
            zq_store32(&t.queued, 0)
            return False
        t.next = NULL if old == _SLEEPING else <task*>old
        if zq_casp(&r.head, old, t):
            break
    if old == _SLEEPING:
        zq_add64(&r.signals, 1)
        zq_wakefd_signal(&r.wake)
    return True


cdef void _take_posted(reactor* r) noexcept nogil:
    """Moves what has been posted behind what is waiting to run; the loop counts as awake from here on."""
    cdef task* t
    cdef task* following
    cdef task* oldest = NULL
    cdef task* newest
    if zq_loadp(&r.head) == NULL:
        return
    t = <task*>zq_xchgp(&r.head, NULL)
    if t == NULL or <void*>t == _SLEEPING:
        return
    newest = t
    while t != NULL:
        following = t.next
        t.next = oldest
        oldest = t
        t = following
    if r.first == NULL:
        r.first = oldest
    else:
        r.last.next = oldest
    r.last = newest


cdef void _run_tasks(reactor* r) noexcept nogil:
    cdef task* t
    cdef int n = 0
    while r.first != NULL and n < REACTOR_BATCH:
        t = r.first
        r.first = t.next
        n += 1
        if t.retry.pos:
            r.nretry -= 1
            heap_cancel(&r.heap, &t.retry)
        # Cleared before the run: a post from now on queues the task again.  After the run it may no longer exist.
        zq_xchg32(&t.queued, 0)
        t.fn(t)
    if n:
        _count(&r.counts.tasks, n)


cdef inline task* _task_of_retry(timer* t) noexcept nogil:
    return <task*>(<char*>t - <size_t>&(<task*>NULL).retry)


cdef void _retry_is_due(timer* retry, int64_t now) noexcept nogil:
    cdef reactor* r = <reactor*>retry.owner
    r.nretry -= 1
    reactor_post(r, _task_of_retry(retry))


cdef void reactor_retry(reactor* r, task* t, int64_t delay_ns) noexcept nogil:
    cdef bint fresh = t.retry.pos == 0
    if _foreign(r):
        return
    _count(&r.counts.retries, 1)
    t.retry.fn = _retry_is_due
    t.retry.owner = r
    if heap_set(&r.heap, &t.retry, zq_now_ns() + delay_ns) != 0:
        reactor_post(r, t)     # no memory to wait with: sooner is better than never
    elif fresh:
        r.nretry += 1


cdef void task_cancel(reactor* r, task* t) noexcept nogil:
    cdef task* at
    cdef task* before = NULL
    if _foreign(r):
        return
    if t.retry.pos:
        r.nretry -= 1
        heap_cancel(&r.heap, &t.retry)
    if zq_load32(&t.queued) == 0:
        return
    _take_posted(r)
    at = r.first
    while at != NULL and at != t:
        before = at
        at = at.next
    if at == NULL:
        return
    if before == NULL:
        r.first = t.next
    else:
        before.next = t.next
    if r.last == t:
        r.last = before
    zq_xchg32(&t.queued, 0)


# ---- timers ----

cdef int timer_set(reactor* r, timer* t, int64_t due_ns) noexcept nogil:
    return -ECHILD if _foreign(r) else heap_set(&r.heap, t, due_ns)


cdef void timer_cancel(reactor* r, timer* t) noexcept nogil:
    if not _foreign(r):
        heap_cancel(&r.heap, t)


# ---- descriptors ----

cdef void _enlist(handle** head, handle* h, int which) noexcept nogil:
    h.listed = which
    h.prev = NULL
    h.next = head[0]
    if h.next != NULL:
        h.next.prev = h
    head[0] = h


cdef void _delist(reactor* r, handle* h) noexcept nogil:
    if h.prev != NULL:
        h.prev.next = h.next
    elif h.listed == LISTED_CHANGES:
        r.changes = h.next
    elif h.listed == LISTED_REFUSED:
        r.refused = h.next
    if h.next != NULL:
        h.next.prev = h.prev
    h.prev = NULL
    h.next = NULL
    h.listed = 0


cdef int handle_set(reactor* r, handle* h, int events) noexcept nogil:
    cdef int rc
    if _foreign(r):
        return -ECHILD
    if not events & POLL_BOTH:
        events = 0
    if not h.registered:
        if events == 0:
            return 0
        rc = poller_add(&r.poll, h.fd, events, h)
        if rc == 0:
            h.registered = 1
            h.events = events
            h.armed = events
        return rc
    h.events = events
    if h.listed == LISTED_REFUSED:
        _delist(r, h)
    if h.listed == 0 and (events != h.armed or events == 0):
        _enlist(&r.changes, h, LISTED_CHANGES)
    return 0


cdef void handle_remove(reactor* r, handle* h) noexcept nogil:
    cdef int i
    h.events = 0
    if _foreign(r):
        return
    if h.listed:
        _delist(r, h)
    if h.registered:
        poller_del(&r.poll, h.fd)
        h.registered = 0
        h.armed = 0
    # Events that have been fetched but not delivered must not meet a freed or reused handle.
    for i in range(r.batch_at + 1, r.batch_n):
        if r.batch[i].tag == h:
            r.batch[i].tag = NULL


cdef void _apply_changes(reactor* r) noexcept nogil:
    """Tells the poller what has changed since the last wait: one call per handle, however often it was changed."""
    cdef handle* h
    cdef int rc
    while r.changes != NULL:
        h = r.changes
        _delist(r, h)
        if h.events == h.armed and h.events != 0:
            continue
        if h.events == 0:
            poller_del(&r.poll, h.fd)
            h.registered = 0
            h.armed = 0
            continue
        rc = poller_mod(&r.poll, h.fd, h.events, h)
        if rc == 0:
            h.armed = h.events
        else:
            _count(&r.counts.errors, 1)
            _enlist(&r.refused, h, LISTED_REFUSED)


cdef void _deliver(reactor* r, handle* h, int revents) noexcept nogil:
    if revents & (POLL_ERR | POLL_HUP):
        revents |= POLL_BOTH
    revents &= h.events | POLL_ERR | POLL_HUP
    if h.armed & POLL_ONESHOT:
        h.armed = 0     # reported or dropped: the poller's registration sleeps now
    # What is still asked decides, not what was asked when the event was fetched.
    if not revents & h.events:
        return
    if h.events & POLL_ONESHOT:
        h.events = 0
    _count(&r.counts.events, 1)
    h.fn(h, revents)


cdef void _run_handles(reactor* r, int n) noexcept nogil:
    cdef handle* h
    r.batch_n = n
    r.batch_at = 0
    while r.batch_at < n:
        h = <handle*>r.batch[r.batch_at].tag
        if h != NULL:
            _deliver(r, h, r.batch[r.batch_at].events)
        r.batch_at += 1
    r.batch_n = 0
    r.batch_at = 0
    while r.refused != NULL:
        h = r.refused
        _delist(r, h)
        _deliver(r, h, POLL_ERR)


# ---- the loop ----

cdef int64_t _sleep_for(reactor* r) noexcept nogil:
    """How long the next wait may last, in ns: 0 when there is work, -1 without limit.  Unless 0, `head` says so."""
    cdef int64_t due
    if r.first != NULL or r.refused != NULL:
        return 0
    due = heap_next(&r.heap)
    if due != INT64_MAX:
        due -= zq_now_ns()
        if due <= 0:
            return 0
    else:
        due = -1
    return due if zq_casp(&r.head, NULL, _SLEEPING) else 0


cdef void _loop(void* arg) noexcept nogil:
    cdef reactor* r = <reactor*>arg
    cdef int64_t limit
    cdef int n
    zq_storep(&r.self, zq_thread_self())
    while True:
        _apply_changes(r)
        limit = _sleep_for(r)
        n = poller_wait(&r.poll, r.batch, REACTOR_BATCH, limit)
        _take_posted(r)
        r.now_ns = zq_now_ns()
        _count(&r.counts.loops, 1)
        if limit != 0:
            _count(&r.counts.wakeups, 1)
        if n < 0:
            if n != -EINTR:
                # Nothing that a caller does leads here; should a system do it, the loop must not burn a CPU.
                _count(&r.counts.errors, 1)
                zq_sleep_ns(1000000)
            n = 0
        _run_handles(r, n)
        n = heap_run(&r.heap, r.now_ns, REACTOR_BATCH)
        if n:
            _count(&r.counts.timers, n)
        _take_posted(r)
        _run_tasks(r)
        if r.stopping and r.first == NULL and r.nretry == 0 and zq_casp(&r.head, NULL, _CLOSED):
            break
    zq_storep(&r.self, NULL)


cdef void _on_wake(handle* h, int revents) noexcept nogil:
    zq_wakefd_drain(&(<reactor*>h.owner).wake)


cdef void _on_stop(task* t) noexcept nogil:
    (<reactor*>t.owner).stopping = 1


# ---- life ----

cdef reactor* reactor_create(const reactor_opts* opts, int* error) noexcept nogil:
    cdef int rc
    cdef reactor* r = <reactor*>calloc(1, sizeof(reactor))
    if r == NULL:
        if error != NULL:
            error[0] = -ENOMEM
        return NULL
    r.now_generation = generation_word()
    r.generation = r.now_generation[0]
    r.refs = 1
    r.wake.rfd = r.wake.wfd = -1
    r.poll.fd = -1
    r.opts.policy = -1
    r.opts.priority = -1
    if opts != NULL:
        r.opts = opts.thread
    if r.opts.name == NULL:
        r.opts.name = b"pyzq-io"
    strncpy(r.name, r.opts.name, sizeof(r.name) - 1)
    r.opts.name = r.name
    if r.opts.cpus == NULL or r.opts.ncpus < 0:
        r.opts.ncpus = 0
    if r.opts.ncpus > REACTOR_MAX_CPUS:
        r.opts.ncpus = REACTOR_MAX_CPUS
    if r.opts.ncpus:
        memcpy(r.cpus, r.opts.cpus, <size_t>r.opts.ncpus * sizeof(int))
    r.opts.cpus = r.cpus
    r.opts.timer_slack_ns = 1
    heap_init(&r.heap)
    zq_mutex_init(&r.control)
    r.now_ns = zq_now_ns()
    rc = poller_open(&r.poll, opts.backend if opts != NULL else POLLER_DEFAULT)
    if rc == 0:
        rc = zq_wakefd_open(&r.wake)
    if rc == 0:
        handle_init(&r.wake_handle, r.wake.rfd, _on_wake, r)
        rc = handle_set(r, &r.wake_handle, POLL_IN)
    task_init(&r.stop_task, _on_stop, r)
    if rc:
        r.state = REACTOR_STOPPED
        reactor_free(r)
        r = NULL
    if error != NULL:
        error[0] = rc
    return r


cdef int _launch(reactor* r) noexcept nogil:
    """Under `control`."""
    cdef int rc = zq_thread_create(&r.thread, _loop, r, &r.opts)
    if rc == 0:
        zq_store32(&r.state, REACTOR_RUNNING)
    return rc


cdef int reactor_start(reactor* r) noexcept nogil:
    cdef int rc = 0
    if _foreign(r):
        return -ECHILD
    if zq_load32(&r.state) == REACTOR_RUNNING:
        return 0
    zq_lock(&r.control)
    if r.state == REACTOR_NEW:
        rc = _launch(r)
    elif r.state != REACTOR_RUNNING:
        rc = -ESHUTDOWN
    zq_unlock(&r.control)
    return rc


cdef int reactor_stop_join(reactor* r) noexcept nogil:
    cdef int rc = 0
    if _foreign(r):
        return -ECHILD
    if reactor_is_current(r):
        return -EDEADLK
    zq_lock(&r.control)
    if r.state == REACTOR_STOPPED:
        zq_unlock(&r.control)
        return 0
    if r.state == REACTOR_STOPPING:
        zq_unlock(&r.control)
        return -EALREADY
    if r.state == REACTOR_NEW:
        if r.nretry == 0 and zq_casp(&r.head, NULL, _CLOSED):
            zq_store32(&r.state, REACTOR_STOPPED)
            zq_unlock(&r.control)
            return 0
        rc = _launch(r)       # tasks wait: they run before the end
        if rc:
            zq_unlock(&r.control)
            return rc
    zq_store32(&r.state, REACTOR_STOPPING)
    zq_unlock(&r.control)
    reactor_post(r, &r.stop_task)
    rc = zq_thread_join(r.thread)
    zq_lock(&r.control)
    zq_store32(&r.state, REACTOR_STOPPED)
    zq_unlock(&r.control)
    return rc


cdef int reactor_free(reactor* r) noexcept nogil:
    cdef uint32_t state
    if _foreign(r):
        return -ECHILD
    state = zq_load32(&r.state)
    if state == REACTOR_RUNNING or state == REACTOR_STOPPING:
        return -EBUSY
    zq_xchgp(&r.head, _CLOSED)
    poller_close(&r.poll)
    heap_free(&r.heap)
    reactor_release(r)
    return 0


cdef void reactor_hold(reactor* r) noexcept nogil:
    zq_add32(&r.refs, 1)


cdef void reactor_release(reactor* r) noexcept nogil:
    if _foreign(r) or zq_sub32(&r.refs, 1) != 1:
        return
    zq_wakefd_close(&r.wake)
    zq_mutex_destroy(&r.control)
    free(r)


cdef void reactor_forked(reactor* r) noexcept nogil:
    if not _foreign(r):
        return
    poller_close(&r.poll)
    zq_wakefd_close(&r.wake)


cdef bint reactor_is_current(reactor* r) noexcept nogil:
    return zq_loadp(&r.self) == zq_thread_self() and not _foreign(r)


cdef void reactor_read_counters(reactor* r, reactor_counters* out) noexcept nogil:
    out.loops = zq_load64(&r.counts.loops)
    out.wakeups = zq_load64(&r.counts.wakeups)
    out.signals = zq_load64(&r.signals)
    out.events = zq_load64(&r.counts.events)
    out.timers = zq_load64(&r.counts.timers)
    out.tasks = zq_load64(&r.counts.tasks)
    out.retries = zq_load64(&r.counts.retries)
    out.errors = zq_load64(&r.counts.errors)
