/* kqueue_sys.h: kqueue with errors as negative errno and timeouts in nanoseconds.
 *
 * On Linux kevent_double.h stands in for the kernel's kqueue, so that the backend above is compiled and run there too.
 * It is never chosen by itself on Linux. */
#ifndef ZQ_KQUEUE_SYS_H
#define ZQ_KQUEUE_SYS_H

#include "platform.h"

#if defined(__linux__)
#include "kevent_double.h"
#else
#define ZQ_HAVE_KQUEUE 1
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
static inline void zq_kqueue_close(int kq) { close(kq); }
/* A kqueue is not inherited by a child: its number may already mean something else there. */
static inline void zq_kqueue_forked(int kq) { (void)kq; }
#endif

#ifndef EV_DISPATCH
#error "this system's kqueue has no EV_DISPATCH"
#endif

typedef struct kevent zq_kevent;

static inline int zq_kqueue_open(void)
{
    int kq = kqueue();
    if (kq < 0)
        return -errno;
    fcntl(kq, F_SETFD, FD_CLOEXEC);
    return kq;
}

/* One change.  With no room for events an error comes back through errno, on every system. */
static inline int zq_kqueue_change(int kq, int fd, int filter, int flags, uintptr_t data)
{
    struct kevent k;
    int rc;
    EV_SET(&k, fd, filter, flags, 0, 0, (void *)data);
    do
        rc = kevent(kq, &k, 1, NULL, 0, NULL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static inline int zq_kqueue_wait(int kq, zq_kevent *out, int max, int64_t timeout_ns)
{
    struct timespec ts = { 0, 0 };
    int n;
    if (timeout_ns > 0) {
        ts.tv_sec = (time_t)(timeout_ns / 1000000000LL);
        ts.tv_nsec = (long)(timeout_ns % 1000000000LL);
    }
    n = kevent(kq, NULL, 0, out, max, timeout_ns < 0 ? NULL : &ts);
    return n < 0 ? -errno : n;
}

static inline uintptr_t zq_kevent_data(const zq_kevent *k) { return (uintptr_t)k->udata; }

#endif /* ZQ_KQUEUE_SYS_H */
