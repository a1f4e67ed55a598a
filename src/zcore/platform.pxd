"""What the engine needs from the machine: see platform.h for each name's meaning."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "platform.h" nogil:
    # atomics: loads acquire, stores release, read-modify-writes are sequentially consistent
    uint32_t zq_load32(const uint32_t* p)
    uint32_t zq_load32_relaxed(const uint32_t* p)
    void zq_store32(uint32_t* p, uint32_t v)
    void zq_store32_relaxed(uint32_t* p, uint32_t v)
    uint32_t zq_xchg32(uint32_t* p, uint32_t v)
    uint32_t zq_add32(uint32_t* p, uint32_t v)
    uint32_t zq_sub32(uint32_t* p, uint32_t v)
    uint32_t zq_or32(uint32_t* p, uint32_t v)
    bint zq_cas32(uint32_t* p, uint32_t want, uint32_t v)
    uint64_t zq_load64(const uint64_t* p)
    void zq_store64(uint64_t* p, uint64_t v)
    void zq_store64_relaxed(uint64_t* p, uint64_t v)
    uint64_t zq_xchg64(uint64_t* p, uint64_t v)
    uint32_t zq_load32_seq(const uint32_t* p)
    uint64_t zq_load64_seq(const uint64_t* p)
    uint64_t zq_add64(uint64_t* p, uint64_t v)
    uint64_t zq_or64(uint64_t* p, uint64_t v)
    uint64_t zq_and64(uint64_t* p, uint64_t v)
    void* zq_loadp(void** p)
    void zq_storep(void** p, void* v)
    void* zq_xchgp(void** p, void* v)
    bint zq_casp(void** p, void* want, void* v)
    void zq_fence()
    void zq_prefetch(const void* at)
    void zq_pause()

    ctypedef struct zq_mutex:
        pass
    void zq_mutex_init(zq_mutex* m)
    void zq_mutex_destroy(zq_mutex* m)
    void zq_lock(zq_mutex* m)
    void zq_unlock(zq_mutex* m)
    bint zq_trylock(zq_mutex* m)
    bint zq_trylock_spin(zq_mutex* m)

    ctypedef struct zq_latch:
        pass
    void zq_latch_close(zq_latch* l)
    void zq_latch_open(zq_latch* l)

    bint ZQ_CAN_PARK
    int zq_park(uint32_t* word, uint32_t value, int64_t ns)
    void zq_unpark(uint32_t* word)

    int64_t zq_now_ns()
    uint64_t zq_ticks()
    void zq_sleep_ns(int64_t ns)

    ctypedef struct zq_wakefd:
        int rfd        # readable after a signal
        int wfd
    int zq_wakefd_open(zq_wakefd* w)
    void zq_wakefd_close(zq_wakefd* w)
    void zq_wakefd_signal(const zq_wakefd* w)
    void zq_wakefd_drain(const zq_wakefd* w)

    struct pollfd:
        int fd
        short events
        short revents
    ctypedef struct sigset_t:
        pass
    int POLLIN, POLLOUT, POLLERR, POLLHUP, POLLPRI, POLLNVAL
    int zq_ppoll(pollfd* fds, int n, int64_t timeout_ns, const sigset_t* mask)

    ctypedef struct pthread_t:
        pass
    ctypedef struct zq_thread_opts:
        int policy
        int priority
        const char* name
        const int* cpus
        int ncpus
        int timer_slack_ns
    int zq_thread_create(pthread_t* t, void (*fn)(void*) noexcept nogil, void* arg, const zq_thread_opts* opts)
    int zq_thread_join(pthread_t t)
    int zq_getcpu()


# Changes in a forked child; everything made before the fork compares its own copy with it.
cdef uint32_t* generation_word() noexcept nogil
cdef uint64_t ticks_per_us() noexcept nogil
