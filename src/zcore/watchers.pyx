"""Watchers and their members; see watchers.pxd."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport calloc, free

from .engine cimport DUE_LEASE, member, sock, watcher
from .platform cimport (generation_word, zq_add32, zq_loadp, zq_lock, zq_storep, zq_unlock, zq_wakefd_close,
                        zq_wakefd_drain, zq_wakefd_open, zq_xchg32, zq_xchgp)
from .poller cimport (POLLER_DEFAULT, POLL_IN, poll_event, poller_add, poller_close, poller_del, poller_mod,
                      poller_open, poller_wait)
from .traffic cimport sock_post, sock_ref, sock_unref, watcher_unref

cdef enum:
    EVENTS = 64               # of one question to the kernel


cdef int sock_open_set(sock* s) noexcept nogil:
    cdef int rc
    if s.set_open:
        return 0
    rc = poller_open(&s.set, POLLER_DEFAULT)
    if rc < 0:
        return rc
    s.set_open = True
    if s.set.fd < 0:
        s.reader_is_reactor = True     # poll(2): nobody can wait for the set but the reactor
    return 0


cdef watcher* watcher_new(int* error) noexcept nogil:
    cdef watcher* w = <watcher*>calloc(1, sizeof(watcher))
    cdef int rc
    error[0] = -ENOMEM
    if w == NULL:
        return NULL
    w.refs = 1
    rc = zq_wakefd_open(&w.wake)
    if rc == 0:
        rc = poller_open(&w.set, POLLER_DEFAULT)
        if rc == 0:
            rc = poller_add(&w.set, w.wake.rfd, POLL_IN, NULL)
            if rc < 0:
                poller_close(&w.set)
        if rc < 0:
            zq_wakefd_close(&w.wake)
    if rc < 0:
        free(w)
        error[0] = rc
        return NULL
    error[0] = 0
    return w


cdef int watcher_fd(const watcher* w) noexcept nogil:
    return w.set.fd if w.set.fd >= 0 else w.wake.rfd


cdef void watcher_end(watcher* w) noexcept nogil:
    if w.set.generation == generation_word()[0]:
        while watcher_next(w) != NULL:
            pass
        watcher_unref(w)
        return
    # Inherited through fork: the members are the parent's.
    poller_close(&w.set)
    zq_wakefd_close(&w.wake)


# --- members -------------------------------------------------------------------------------------------------

cdef member* member_join(watcher* w, sock* s, void* owner) noexcept nogil:
    cdef member* m = <member*>calloc(1, sizeof(member))
    if m == NULL:
        return NULL
    sock_ref(s)
    m.w = w
    zq_add32(&w.refs, 1)
    m.s = s
    m.owner = owner
    zq_lock(&s.lock)
    zq_lock(&s.watch_lock)
    m.next = s.members
    zq_storep(<void**>&s.members, m)
    zq_unlock(&s.watch_lock)
    zq_unlock(&s.lock)
    return m


cdef void member_leave(member* m) noexcept nogil:
    cdef sock* s = m.s
    cdef watcher* w = m.w
    cdef member** at
    zq_lock(&s.lock)
    member_unwatch(m)
    zq_lock(&s.watch_lock)
    at = &s.members
    while at[0] != m:
        at = &at[0].next
    if at == &s.members:
        zq_storep(<void**>at, m.next)
    else:
        at[0] = m.next
    zq_unlock(&s.watch_lock)
    zq_unlock(&s.lock)
    m.s = NULL
    m.owner = NULL
    sock_unref(s)
    # From here nobody tells it anything; it may be among the news already.
    m.gone = True
    if zq_xchg32(&m.told, 1) == 0:
        free(m)
    watcher_unref(w)


cdef member* _other(member* m) noexcept nogil:
    """[s.lock] A further member for the same socket in the same watcher, watched or in want of it."""
    cdef member* o = m.s.members
    while o != NULL and (o == m or o.w != m.w or not o.wants):
        o = o.next
    return o


cdef int member_watch(member* m) noexcept nogil:
    cdef sock* s = m.s
    cdef member* o
    cdef int rc
    if m.wants or s.closed or s.reader_is_reactor or m.w.set.fd < 0:
        return 0
    rc = sock_open_set(s)
    if rc == 0 and s.set.fd < 0:
        return 0
    o = _other(m)
    if rc == 0 and o == NULL:
        rc = poller_add(&m.w.set, s.set.fd, POLL_IN, m)
    if rc < 0:
        s.reader_is_reactor = True
        sock_post(s, DUE_LEASE)
        return rc
    m.wants = True
    if o == NULL:
        m.watched = True
        s.outside += 1
    return 0


cdef void member_unwatch(member* m) noexcept nogil:
    cdef member* o
    m.wants = False
    if not m.watched:
        return
    m.watched = False
    m.s.outside -= 1
    o = _other(m)
    if o == NULL:
        poller_del(&m.w.set, m.s.set.fd)
    elif poller_mod(&m.w.set, m.s.set.fd, POLL_IN, o) == 0:
        o.watched = True
        m.s.outside += 1


cdef void members_let_go(sock* s) noexcept nogil:
    cdef member* m = s.members
    while m != NULL:
        m.wants = False
        if m.watched:
            m.watched = False
            s.outside -= 1
            poller_del(&m.w.set, s.set.fd)
        m = m.next


# --- the owner -----------------------------------------------------------------------------------------------

cdef void _fire(member* m) noexcept nogil:
    m.fired = True
    member_remind(m)


cdef void member_remind(member* m) noexcept nogil:
    if zq_xchg32(&m.told, 1) == 0:
        m.news_next = m.w.todo
        m.w.todo = m


cdef int watcher_collect(watcher* w) noexcept nogil:
    cdef poll_event ev[EVENTS]
    cdef member* m
    cdef member* o
    cdef int k, n
    cdef int found = 0
    n = poller_wait(&w.set, ev, EVENTS, 0)
    for k in range(n if n > 0 else 0):
        m = <member*>ev[k].tag
        if m == NULL:
            zq_wakefd_drain(&w.wake)
            continue
        found += 1
        _fire(m)
        if m.next == NULL and zq_loadp(<void**>&m.s.members) == m:
            continue
        zq_lock(&m.s.watch_lock)
        o = m.s.members
        while o != NULL:
            if o != m and o.w == w and o.wants:
                _fire(o)
            o = o.next
        zq_unlock(&m.s.watch_lock)
    return found


cdef member* watcher_next(watcher* w) noexcept nogil:
    cdef member* m
    while True:
        if w.todo == NULL:
            if zq_loadp(<void**>&w.news) == NULL:
                return NULL
            w.todo = <member*>zq_xchgp(<void**>&w.news, NULL)
        m = w.todo
        w.todo = m.news_next
        if m.gone:
            free(m)
            continue
        # In this order: what is told from here on is told again, what was told before is looked at after this.
        zq_xchg32(&m.told, 0)
        return m


cdef void watcher_sleep(watcher* w) noexcept nogil:
    zq_xchg32(&w.asleep, 1)


cdef bint watcher_has_news(watcher* w) noexcept nogil:
    return w.todo != NULL or zq_loadp(<void**>&w.news) != NULL
