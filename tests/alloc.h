/* Counts the program's allocations. A test that includes this is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc (`counts_allocations` in unit/meson.build): every
 * call from the program and the engine comes through here, also under the sanitizers. */
#ifndef ALLOC_H
#define ALLOC_H

#include <stddef.h>

static long test_allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    __atomic_add_fetch(&test_allocations, 1, __ATOMIC_RELAXED);
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    __atomic_add_fetch(&test_allocations, 1, __ATOMIC_RELAXED);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    __atomic_add_fetch(&test_allocations, 1, __ATOMIC_RELAXED);
    return __real_realloc(p, n);
}

#endif
