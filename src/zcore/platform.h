/* platform.h: what the engine needs from the machine and the operating system, and no more.
 *
 * Atomics, a pause instruction, a mutex, a monotonic clock, a cheap tick counter, a wake-up
 * descriptor, threads that take no signals.  Each has a portable form; define
 * ZQ_PORTABLE=1 to build the portable forms on a machine that has the better ones (the tests do).
 */
#ifndef ZQ_PLATFORM_H
#define ZQ_PLATFORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sched.h>
#include <sys/types.h>
#include <poll.h>

#if defined(__linux__) && !defined(ZQ_PORTABLE)
#define ZQ_HAVE_EVENTFD 1
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#endif

/* ---- atomics ------------------------------------------------------------------------- */

static inline uint32_t zq_load32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint32_t zq_load32_relaxed(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void zq_store32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void zq_store32_relaxed(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline uint32_t zq_xchg32(uint32_t *p, uint32_t v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t zq_add32(uint32_t *p, uint32_t v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t zq_sub32(uint32_t *p, uint32_t v) { return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t zq_or32(uint32_t *p, uint32_t v) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }
static inline int zq_cas32(uint32_t *p, uint32_t want, uint32_t v)
{
    return __atomic_compare_exchange_n(p, &want, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline uint64_t zq_load64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void zq_store64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void zq_store64_relaxed(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
/* Of two threads that each exchange one word and then load the other's, at least one sees what the other has put. */
static inline uint64_t zq_xchg64(uint64_t *p, uint64_t v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t zq_load32_seq(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static inline uint64_t zq_load64_seq(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static inline uint64_t zq_add64(uint64_t *p, uint64_t v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
static inline uint64_t zq_or64(uint64_t *p, uint64_t v) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }
static inline uint64_t zq_and64(uint64_t *p, uint64_t v) { return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); }
static inline void *zq_loadp(void *const *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void zq_storep(void **p, void *v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void *zq_xchgp(void **p, void *v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
static inline int zq_casp(void **p, void *want, void *v)
{
    return __atomic_compare_exchange_n(p, &want, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline void zq_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* Memory that another CPU wrote last takes as long to come as several messages take to be handled. */
static inline void zq_prefetch(const void* at)
{
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(at, 1);
#else
    (void)at;
#endif
}

static inline void zq_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

/* ---- mutex: short critical sections only; never held across a system call ----------------
 * One word where the system has futexes (0 free, 1 taken, 2 taken and somebody sleeps), so that taking and
 * giving back an uncontended lock are one atomic instruction each, inlined; elsewhere the system's own. */

#if defined(ZQ_HAVE_EVENTFD)
typedef struct { uint32_t word; } zq_mutex;
static inline void zq_mutex_init(zq_mutex *m) { m->word = 0; }
static inline void zq_mutex_destroy(zq_mutex *m) { (void)m; }
static inline int zq_trylock(zq_mutex *m)
{
    uint32_t free_ = 0;
    return __atomic_compare_exchange_n(&m->word, &free_, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static void __attribute__((noinline, unused)) zq_lock_slow(zq_mutex *m)
{
    for (int i = 0; i < 60; i++) {
        if (__atomic_load_n(&m->word, __ATOMIC_RELAXED) == 0 && zq_trylock(m))
            return;
        zq_pause();
    }
    while (__atomic_exchange_n(&m->word, 2, __ATOMIC_ACQUIRE) != 0)
        syscall(SYS_futex, &m->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}
static inline void zq_lock(zq_mutex *m)
{
    if (!zq_trylock(m))
        zq_lock_slow(m);
}
static inline void zq_unlock(zq_mutex *m)
{
    if (__builtin_expect(__atomic_exchange_n(&m->word, 0, __ATOMIC_RELEASE) == 2, 0))
        syscall(SYS_futex, &m->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#else
typedef pthread_mutex_t zq_mutex;
static inline void zq_mutex_init(zq_mutex *m) { pthread_mutex_init(m, NULL); }
static inline void zq_mutex_destroy(zq_mutex *m) { pthread_mutex_destroy(m); }
static inline void zq_lock(zq_mutex *m) { pthread_mutex_lock(m); }
static inline void zq_unlock(zq_mutex *m) { pthread_mutex_unlock(m); }
/* 1 when taken */
static inline int zq_trylock(zq_mutex *m) { return pthread_mutex_trylock(m) == 0; }
#endif

/* ---- latch: a lock for some tens of nanoseconds ----------------------------------------------
 * Letting go is a plain store, half the price of a mutex.  Nobody is woken by it: who waits looks again and again, then
 * dozes in between, which costs nothing as long as whoever holds it is not long about it. */
typedef struct { uint32_t word; } zq_latch;
#define ZQ_DOZE_NS 20000
static inline void zq_latch_close(zq_latch *l)
{
    uint32_t open = 0;
    for (int i = 0; !__atomic_compare_exchange_n(&l->word, &open, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED); i++) {
        struct timespec doze = { 0, ZQ_DOZE_NS };
        open = 0;
        if (i < 60)
            zq_pause();
        else
            nanosleep(&doze, NULL);
    }
}
static inline void zq_latch_open(zq_latch *l) { __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE); }

/* 1 when taken within a few pauses (about two microseconds) */
static inline int zq_trylock_spin(zq_mutex *m)
{
    for (int i = 0; i < 60; i++) {
        if (zq_trylock(m))
            return 1;
        zq_pause();
    }
    return 0;
}

/* ---- parking: sleep on a word until somebody changes it and unparks -------------------------
 * Half the system calls of a descriptor that is signalled, polled and drained. */

#if defined(ZQ_HAVE_EVENTFD)
#define ZQ_CAN_PARK 1
/* While *word is `value`, at most ns (below 0: no limit): 0 (look again), -ETIMEDOUT or -EINTR. */
static inline int zq_park(uint32_t *word, uint32_t value, int64_t ns)
{
    struct timespec ts, *pts = NULL;
    if (ns >= 0) {
        ts.tv_sec = (time_t)(ns / 1000000000LL);
        ts.tv_nsec = (long)(ns % 1000000000LL);
        pts = &ts;
    }
    if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, pts, NULL, 0) == 0 || errno == EAGAIN)
        return 0;
    return -errno;
}
/* Everybody who is parked on the word. */
static inline void zq_unpark(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
#define ZQ_CAN_PARK 0
static inline int zq_park(uint32_t *word, uint32_t value, int64_t ns) { (void)word; (void)value; (void)ns; return 0; }
static inline void zq_unpark(uint32_t *word) { (void)word; }
#endif

/* ---- time ----------------------------------------------------------------------------- */

static inline int64_t zq_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* A counter that costs about 10 ns to read; its unit is found by zq_ticks_per_us(). */
static inline uint64_t zq_ticks(void)
{
#if !defined(ZQ_PORTABLE) && defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif !defined(ZQ_PORTABLE) && defined(__aarch64__)
    uint64_t v;
    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(v));
    return v;
#else
    return (uint64_t)zq_now_ns();
#endif
}

/* ---- wake-up descriptor ------------------------------------------------------------------
 * An eventfd, or the two ends of a pipe.  Signals collapse; draining is idempotent. */

typedef struct { int rfd; int wfd; } zq_wakefd;

static inline int zq_wakefd_open(zq_wakefd *w)
{
#ifdef ZQ_HAVE_EVENTFD
    w->rfd = w->wfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->rfd < 0 ? -errno : 0;
#else
    int p[2];
    if (pipe(p) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(p[i], F_SETFD, FD_CLOEXEC);
        fcntl(p[i], F_SETFL, fcntl(p[i], F_GETFL) | O_NONBLOCK);
    }
    w->rfd = p[0];
    w->wfd = p[1];
    return 0;
#endif
}

static inline void zq_wakefd_close(zq_wakefd *w)
{
    if (w->rfd >= 0)
        close(w->rfd);
    if (w->wfd >= 0 && w->wfd != w->rfd)
        close(w->wfd);
    w->rfd = w->wfd = -1;
}

static inline void zq_wakefd_signal(const zq_wakefd *w)
{
#ifdef ZQ_HAVE_EVENTFD
    uint64_t one = 1;
    while (write(w->wfd, &one, sizeof one) < 0 && errno == EINTR) {
    }
#else
    char one = 1;
    while (write(w->wfd, &one, 1) < 0 && errno == EINTR) {
    }
#endif
}

static inline void zq_wakefd_drain(const zq_wakefd *w)
{
#ifdef ZQ_HAVE_EVENTFD
    uint64_t n;
    while (read(w->rfd, &n, sizeof n) < 0 && errno == EINTR) {
    }
#else
    char buf[64];
    for (;;) {
        ssize_t n = read(w->rfd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < (ssize_t)sizeof buf)
            break;
    }
#endif
}

/* poll(2) with nanoseconds (below 0: no limit) and, where the system can, a signal mask that holds for the
 * wait alone.  Number of ready descriptors or -errno. */
static inline int zq_ppoll(struct pollfd *fds, int n, int64_t timeout_ns, const sigset_t *mask)
{
    int rc;
#if defined(__linux__)
    struct timespec ts, *pts = NULL;
    if (timeout_ns >= 0) {
        ts.tv_sec = (time_t)(timeout_ns / 1000000000LL);
        ts.tv_nsec = (long)(timeout_ns % 1000000000LL);
        pts = &ts;
    }
    rc = ppoll(fds, (nfds_t)n, pts, mask);
#else
    sigset_t old;
    int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000;
    if (ms > 86400000)
        ms = 86400000;
    if (mask)
        pthread_sigmask(SIG_SETMASK, mask, &old);
    rc = poll(fds, (nfds_t)n, (int)ms);
    if (mask)
        pthread_sigmask(SIG_SETMASK, &old, NULL);
#endif
    return rc < 0 ? -errno : rc;
}

/* ---- threads: every thread we start has all signals blocked --------------------------------- */

typedef struct {
    int policy;          /* SCHED_* or -1 */
    int priority;        /* or -1 */
    const char *name;    /* at most 15 bytes are used */
    const int *cpus;     /* allowed CPUs, or NULL */
    int ncpus;
    int timer_slack_ns;  /* 0: leave */
} zq_thread_opts;

typedef struct {
    void (*fn)(void *);
    void *arg;
    zq_thread_opts opts;
    char name[16];
    int cpus[64];
} zq_thread_start;

static inline void *zq_thread_main(void *p)
{
    zq_thread_start s = *(zq_thread_start *)p;
    free(p);
#if defined(__linux__)
    if (s.name[0])
        pthread_setname_np(pthread_self(), s.name);
    if (s.opts.ncpus > 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (int i = 0; i < s.opts.ncpus; i++)
            if (s.cpus[i] >= 0 && s.cpus[i] < CPU_SETSIZE)
                CPU_SET(s.cpus[i], &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
#ifdef PR_SET_TIMERSLACK
    if (s.opts.timer_slack_ns > 0)
        prctl(PR_SET_TIMERSLACK, s.opts.timer_slack_ns, 0, 0, 0);
#endif
#elif defined(__APPLE__)
    if (s.name[0])
        pthread_setname_np(s.name);
#endif
    if (s.opts.policy >= 0 || s.opts.priority >= 0) {
        struct sched_param sp;
        int policy = 0;
        memset(&sp, 0, sizeof sp);
        pthread_getschedparam(pthread_self(), &policy, &sp);
        if (s.opts.policy >= 0)
            policy = s.opts.policy;
        if (s.opts.priority >= 0)
            sp.sched_priority = s.opts.priority;
        pthread_setschedparam(pthread_self(), policy, &sp);
    }
    s.fn(s.arg);
    return NULL;
}

static inline int zq_thread_create(pthread_t *t, void (*fn)(void *), void *arg, const zq_thread_opts *opts)
{
    sigset_t all, old;
    int rc;
    zq_thread_start *s = (zq_thread_start *)calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->fn = fn;
    s->arg = arg;
    s->opts = *opts;
    if (opts->name)
        strncpy(s->name, opts->name, sizeof s->name - 1);
    if (s->opts.ncpus > 64)
        s->opts.ncpus = 64;
    for (int i = 0; i < s->opts.ncpus; i++)
        s->cpus[i] = opts->cpus[i];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(t, NULL, zq_thread_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        free(s);
        return -rc;
    }
    return 0;
}

static inline int zq_thread_join(pthread_t t) { return -pthread_join(t, NULL); }

/* The CPU this thread runs on, or -1 where that is not known cheaply. */
static inline int zq_getcpu(void)
{
#if defined(__linux__) && !defined(ZQ_PORTABLE)
    return sched_getcpu();
#else
    return -1;
#endif
}

static inline void zq_sleep_ns(int64_t ns)
{
    struct timespec ts = { (time_t)(ns / 1000000000LL), (long)(ns % 1000000000LL) };
    nanosleep(&ts, NULL);
}


#endif /* ZQ_PLATFORM_H */
