/* Preloaded into a process: counts its allocations. Allocators of glibc only. */
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static unsigned long allocations;

unsigned long counted_allocations(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_SEQ_CST);
}

void *malloc(size_t n)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_SEQ_CST);
    return __libc_malloc(n);
}

void *calloc(size_t k, size_t n)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_SEQ_CST);
    return __libc_calloc(k, n);
}

void *realloc(void *p, size_t n)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_SEQ_CST);
    return __libc_realloc(p, n);
}
