/* kevent_double.h: kqueue() and kevent() acted by epoll, for tests on Linux.
 *
 * It keeps the parts of the interface the backend relies on, with the kernel's meaning: one knote per descriptor and
 * filter; EV_ADD on an existing knote changes its user data but not its flags; EV_DELETE, EV_ENABLE and EV_DISABLE of
 * a missing knote fail with ENOENT; EV_DISPATCH disables a knote as it is delivered and EV_ONESHOT deletes it; EV_EOF
 * marks an ended stream; closing a descriptor removes its knotes; the queue's own descriptor can be polled.
 *
 * A queue is an outer epoll holding two inner ones, one per filter: an epoll has one registration per descriptor. */
#ifndef ZQ_KEVENT_DOUBLE_H
#define ZQ_KEVENT_DOUBLE_H

#include "platform.h"
#include <poll.h>
#include <sys/epoll.h>

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    intptr_t data;
    void *udata;
};

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_DISPATCH 0x0080
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define EV_SET(kev, i, f, fl, ff, d, u) \
    do { \
        (kev)->ident = (uintptr_t)(i); \
        (kev)->filter = (int16_t)(f); \
        (kev)->flags = (uint16_t)(fl); \
        (kev)->fflags = (ff); \
        (kev)->data = (d); \
        (kev)->udata = (u); \
    } while (0)

typedef struct {
    void *udata;
    uint16_t flags;      /* EV_ONESHOT, EV_DISPATCH as first added */
    uint8_t present;
    uint8_t enabled;
} zq_knote;

typedef struct zq_kqueue {
    int outer;
    int inner[2];        /* EVFILT_READ, EVFILT_WRITE */
    zq_knote *notes[2];  /* by descriptor */
    int size;
    int turn;            /* which filter is asked first */
    struct zq_kqueue *next;
} zq_kqueue;

static zq_kqueue *zq_kqueues;
static pthread_mutex_t zq_kqueue_lock = PTHREAD_MUTEX_INITIALIZER;

static inline void zq_kqueue_discard(zq_kqueue *q)
{
    for (int f = 0; f < 2; f++) {
        if (q->inner[f] >= 0)
            close(q->inner[f]);
        free(q->notes[f]);
    }
    if (q->outer >= 0)
        close(q->outer);
    free(q);
}

static inline int kqueue(void)
{
    zq_kqueue *q = (zq_kqueue *)calloc(1, sizeof *q);
    int ok = 1;
    if (!q) {
        errno = ENOMEM;
        return -1;
    }
    q->outer = epoll_create1(EPOLL_CLOEXEC);
    ok = q->outer >= 0;
    for (int f = 0; f < 2; f++) {
        struct epoll_event e;
        memset(&e, 0, sizeof e);
        e.events = EPOLLIN;
        e.data.u32 = (uint32_t)f;
        q->inner[f] = ok ? epoll_create1(EPOLL_CLOEXEC) : -1;
        ok = ok && q->inner[f] >= 0 && epoll_ctl(q->outer, EPOLL_CTL_ADD, q->inner[f], &e) == 0;
    }
    if (!ok) {
        int saved = errno;
        zq_kqueue_discard(q);
        errno = saved;
        return -1;
    }
    pthread_mutex_lock(&zq_kqueue_lock);
    q->next = zq_kqueues;
    zq_kqueues = q;
    pthread_mutex_unlock(&zq_kqueue_lock);
    return q->outer;
}

/* close(2) of a queue */
static inline void zq_kqueue_close(int kq)
{
    zq_kqueue **at, *q = NULL;
    pthread_mutex_lock(&zq_kqueue_lock);
    for (at = &zq_kqueues; *at; at = &(*at)->next) {
        if ((*at)->outer == kq) {
            q = *at;
            *at = q->next;
            break;
        }
    }
    pthread_mutex_unlock(&zq_kqueue_lock);
    if (q)
        zq_kqueue_discard(q);
}

/* In a forked child: the kernel would not have given it the descriptor.  No lock: there is no other thread. */
static inline void zq_kqueue_forked(int kq)
{
    for (zq_kqueue *q = zq_kqueues; q; q = q->next) {
        if (q->outer == kq) {
            close(q->inner[0]);
            close(q->inner[1]);
            close(q->outer);
            q->outer = -1;
        }
    }
}

static inline int zq_knote_watch(zq_kqueue *q, int f, int fd, zq_knote *k)
{
    struct epoll_event e;
    memset(&e, 0, sizeof e);
    e.events = f == 0 ? (EPOLLIN | EPOLLRDHUP) : EPOLLOUT;
    if (k->flags & (EV_ONESHOT | EV_DISPATCH))
        e.events |= EPOLLONESHOT;
    e.data.fd = fd;
    if (epoll_ctl(q->inner[f], EPOLL_CTL_ADD, fd, &e) == 0)
        return 0;
    return errno == EEXIST ? epoll_ctl(q->inner[f], EPOLL_CTL_MOD, fd, &e) : -1;
}

static inline int zq_kevent_change(zq_kqueue *q, const struct kevent *c)
{
    int f = c->filter == EVFILT_READ ? 0 : 1;
    int fd = (int)c->ident;
    zq_knote *k;
    struct epoll_event none;
    memset(&none, 0, sizeof none);
    if (fd < 0 || fcntl(fd, F_GETFD) < 0) {
        errno = EBADF;
        return -1;
    }
    if (fd >= q->size) {
        int size = fd + 64;
        for (int i = 0; i < 2; i++) {
            zq_knote *grown = (zq_knote *)realloc(q->notes[i], (size_t)size * sizeof *grown);
            if (!grown) {
                errno = ENOMEM;
                return -1;
            }
            memset(grown + q->size, 0, (size_t)(size - q->size) * sizeof *grown);
            q->notes[i] = grown;
        }
        q->size = size;
    }
    k = &q->notes[f][fd];
    /* Whether the knote outlived a close(2) only the inner epoll knows; a disabled one is not in it, and the backend
     * never closes a descriptor whose knote is disabled without deleting the knote first. */
    if (k->present && k->enabled) {
        struct epoll_event same;
        memset(&same, 0, sizeof same);
        same.events = (f == 0 ? (EPOLLIN | EPOLLRDHUP) : EPOLLOUT) |
                      (k->flags & (EV_ONESHOT | EV_DISPATCH) ? EPOLLONESHOT : 0u);
        same.data.fd = fd;
        if (epoll_ctl(q->inner[f], EPOLL_CTL_MOD, fd, &same) < 0)
            k->present = 0;
    }
    if (c->flags & EV_ADD) {
        if (!k->present) {
            k->flags = c->flags & (EV_ONESHOT | EV_DISPATCH);
            k->enabled = !(c->flags & EV_DISABLE);
            if (k->enabled && zq_knote_watch(q, f, fd, k) < 0)
                return -1;
            k->present = 1;
        }
        k->udata = c->udata;
    }
    if (!k->present) {
        errno = ENOENT;
        return -1;
    }
    if (c->flags & EV_DELETE) {
        epoll_ctl(q->inner[f], EPOLL_CTL_DEL, fd, &none);
        k->present = 0;
    } else if (c->flags & EV_DISABLE) {
        epoll_ctl(q->inner[f], EPOLL_CTL_DEL, fd, &none);
        k->enabled = 0;
    } else if ((c->flags & EV_ENABLE) && !k->enabled) {
        if (zq_knote_watch(q, f, fd, k) < 0)
            return -1;
        k->enabled = 1;
    }
    return 0;
}

static inline int zq_kevent_gather(zq_kqueue *q, int f, struct kevent *out, int max)
{
    struct epoll_event got[64];
    int n = epoll_wait(q->inner[f], got, max < 64 ? max : 64, 0);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        int fd = got[i].data.fd;
        zq_knote *k = &q->notes[f][fd];
        uint32_t end = f == 0 ? (EPOLLRDHUP | EPOLLHUP | EPOLLERR) : (EPOLLHUP | EPOLLERR);
        if (!k->present || !k->enabled)
            continue;
        EV_SET(&out[kept], fd, f == 0 ? EVFILT_READ : EVFILT_WRITE, k->flags, 0, 0, k->udata);
        if (got[i].events & end)
            out[kept].flags |= EV_EOF;
        if (got[i].events & EPOLLERR)
            out[kept].fflags = EIO;
        kept++;
        if (k->flags & (EV_ONESHOT | EV_DISPATCH)) {
            struct epoll_event none;
            memset(&none, 0, sizeof none);
            epoll_ctl(q->inner[f], EPOLL_CTL_DEL, fd, &none);
            k->enabled = 0;
            if (k->flags & EV_ONESHOT)
                k->present = 0;
        }
    }
    return kept;
}

static inline int kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *out, int max,
                         const struct timespec *timeout)
{
    zq_kqueue *q;
    struct pollfd p = { kq, POLLIN, 0 };
    int rc = 0, n = 0;
    pthread_mutex_lock(&zq_kqueue_lock);
    for (q = zq_kqueues; q && q->outer != kq; q = q->next) {
    }
    if (!q) {
        errno = EBADF;
        rc = -1;
    }
    for (int i = 0; rc == 0 && i < nchanges; i++)
        rc = zq_kevent_change(q, &changes[i]);
    pthread_mutex_unlock(&zq_kqueue_lock);
    if (rc < 0 || max <= 0)
        return rc;
    if (!timeout || timeout->tv_sec || timeout->tv_nsec) {
        rc = ppoll(&p, 1, timeout, NULL);
        if (rc <= 0)
            return rc;
    }
    pthread_mutex_lock(&zq_kqueue_lock);
    q->turn = !q->turn;
    n = zq_kevent_gather(q, q->turn, out, max);
    if (n < max)
        n += zq_kevent_gather(q, !q->turn, out + n, max - n);
    pthread_mutex_unlock(&zq_kqueue_lock);
    return n;
}

#endif /* ZQ_KEVENT_DOUBLE_H */
