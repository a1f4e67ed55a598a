/* epoll_sys.h: epoll with errors as negative errno and timeouts in nanoseconds.
 *
 * Where there is no epoll every function answers -ENOSYS, so that the backend compiles everywhere. */
#ifndef ZQ_EPOLL_SYS_H
#define ZQ_EPOLL_SYS_H

#include "platform.h"

#if defined(__linux__) && !defined(ZQ_PORTABLE)
#define ZQ_HAVE_EPOLL 1
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

typedef struct epoll_event zq_epoll_event;
enum { ZQ_EPOLL_ADD = EPOLL_CTL_ADD, ZQ_EPOLL_MOD = EPOLL_CTL_MOD, ZQ_EPOLL_DEL = EPOLL_CTL_DEL };

static inline int zq_epoll_create(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static inline int zq_epoll_ctl(int ep, int op, int fd, uint32_t events, void *tag)
{
    struct epoll_event e;
    memset(&e, 0, sizeof e);
    e.events = events;
    e.data.ptr = tag;
    return epoll_ctl(ep, op, fd, &e) < 0 ? -errno : 0;
}

/* `coarse` is set, for good, when the kernel (or a filter in front of it) has no epoll_pwait2; the epoll itself is
 * then waited for with ppoll, whose timeout has the same resolution. */
static inline int zq_epoll_wait(int ep, zq_epoll_event *out, int max, int64_t timeout_ns, uint32_t *coarse)
{
    int n;
    if (timeout_ns <= 0) {
        n = epoll_wait(ep, out, max, timeout_ns < 0 ? -1 : 0);
        return n < 0 ? -errno : n;
    }
    if (!zq_load32_relaxed(coarse)) {
        /* the kernel's timespec is 64 bits wide on every machine */
        struct { int64_t sec; int64_t nsec; } ts = { timeout_ns / 1000000000LL, timeout_ns % 1000000000LL };
        n = (int)syscall(SYS_epoll_pwait2, ep, out, max, &ts, NULL, (size_t)0);
        if (n >= 0)
            return n;
        if (errno != ENOSYS && errno != EPERM)
            return -errno;
        zq_store32_relaxed(coarse, 1);
    }
    {
        struct pollfd p = { ep, POLLIN, 0 };
        struct timespec ts = { (time_t)(timeout_ns / 1000000000LL), (long)(timeout_ns % 1000000000LL) };
        n = ppoll(&p, 1, &ts, NULL);
        if (n > 0)
            n = epoll_wait(ep, out, max, 0);
        return n < 0 ? -errno : n;
    }
}

#else

typedef struct { uint32_t events; union { void *ptr; } data; } zq_epoll_event;
enum { ZQ_EPOLL_ADD, ZQ_EPOLL_MOD, ZQ_EPOLL_DEL };
enum { EPOLLIN = 1, EPOLLOUT = 2, EPOLLERR = 4, EPOLLHUP = 8 };
#define EPOLLONESHOT 16u
static inline int zq_epoll_create(void) { return -ENOSYS; }
static inline int zq_epoll_ctl(int ep, int op, int fd, uint32_t events, void *tag) { return -ENOSYS; }
static inline int zq_epoll_wait(int ep, zq_epoll_event *out, int max, int64_t timeout_ns, uint32_t *coarse)
{
    return -ENOSYS;
}

#endif
#endif /* ZQ_EPOLL_SYS_H */
