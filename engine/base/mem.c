#include "base/mem.h"

#ifdef __linux__
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/num.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define ARENA_BLOCK ((size_t)64 << 10)

static _Thread_local int guard_depth;

static void guard_check(const char *what)
{
#ifndef NDEBUG
    if (guard_depth > 0) {
        fprintf(stderr, "hearth: %s inside a decode step\n", what);
        abort();
    }
#else
    (void)what;
#endif
}

void eng_guard_begin(void) { guard_depth++; }
void eng_guard_end(void) { guard_depth--; }

static void *or_abort(void *p, size_t n)
{
    if (p) return p;
    fprintf(stderr, "hearth: out of memory (%zu bytes)\n", n);
    abort();
}

void *eng_alloc0(size_t n)
{
    guard_check("allocation");
    return or_abort(calloc(1, n ? n : 1), n);
}

void *eng_realloc(void *p, size_t n)
{
    guard_check("reallocation");
    return or_abort(realloc(p, n ? n : 1), n);
}

char *eng_strndup(const char *s, size_t n)
{
    char *copy = eng_alloc0(n + 1);
    if (n) memcpy(copy, s, n);
    return copy;
}

void eng_bytes_text(uint64_t n, char ret_text[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double x = (double)n;
    size_t u = 0;
    while (x >= 1024 && u + 1 < ENG_LEN(units)) {
        x /= 1024;
        u++;
    }
    snprintf(ret_text, 32, u == 0 ? "%.0f %s" : "%.1f %s", x, units[u]);
}

static size_t big_size(size_t n)
{
    return (size_t)eng_align_up(n, n >= HUGE_PAGE ? HUGE_PAGE : 4096);
}

/* A huge page begins at a multiple of its size; older systems do not see to it. */
static void *map_pages(size_t size)
{
    size_t more = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    uint8_t *p =
        mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || !more) return p == MAP_FAILED ? NULL : p;
    size_t before = (size_t)(eng_align_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p);
    if (before > 0) munmap(p, before);
    if (before < more) munmap(p + before + size, more - before);
    return p + before;
}

void *eng_try_alloc(size_t n, const char *what, EngError *err)
{
    guard_check("large allocation");
    void *p = NULL;
    if (n == 0) n = 1;
    if (n <= SIZE_MAX - 2 * HUGE_PAGE) p = map_pages(big_size(n));
    if (!p) {
        char size[32];
        eng_bytes_text(n, size);
        eng_fail(err, ENG_ERR_MEMORY,
                 "Cannot get %s of DRAM for %s: close other programs, or choose a smaller context "
                 "or model.",
                 size, what);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (n >= HUGE_PAGE) madvise(p, big_size(n), MADV_HUGEPAGE);
#endif
    return p;
}

void eng_big_free(void *p, size_t n)
{
    if (p) munmap(p, big_size(n ? n : 1));
}

void eng_mem_prefer(void *p, size_t n, const int *nodes, int n_nodes)
{
#ifdef __linux__
    enum { PREFERRED = 1, INTERLEAVED = 3, WORD = 8 * sizeof(unsigned long), WORDS = 1024 / WORD };
    unsigned long mask[WORDS] = {0};
    for (int i = 0; i < n_nodes; i++) {
        if (nodes[i] < 0 || nodes[i] >= WORDS * WORD) return;
        mask[nodes[i] / WORD] |= 1ul << nodes[i] % WORD;
    }
    syscall(SYS_mbind, p, big_size(n ? n : 1), n_nodes > 1 ? INTERLEAVED : PREFERRED, mask,
            (unsigned long)WORDS * WORD, 0);
#else
    (void)p, (void)n, (void)nodes, (void)n_nodes;
#endif
}

void eng_mem_forget(void *p, size_t n)
{
    uintptr_t begin = (uintptr_t)eng_align_up((uintptr_t)p, 4096);
    uintptr_t end = ((uintptr_t)p + n) & ~(uintptr_t)4095;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void eng_mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

struct EngArenaBlock {
    EngArenaBlock *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

void *eng_arena_alloc(EngArena *arena, size_t n)
{
    n = (size_t)eng_align_up(n ? n : 1, 16);
    EngArenaBlock *b = arena->head;
    if (!b || b->size - b->used < n) {
        size_t size = ENG_MAX(n, ARENA_BLOCK);
        EngArenaBlock *fresh = eng_alloc0(sizeof *fresh + size);
        fresh->size = size;
        if (b && n > ARENA_BLOCK) { /* a large piece leaves the half-used block in front */
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            arena->head = fresh;
        }
        b = fresh;
    }
    void *p = b->bytes + b->used;
    b->used += n;
    return p;
}

char *eng_arena_strndup(EngArena *arena, const char *s, size_t n)
{
    char *copy = eng_arena_alloc(arena, n + 1);
    if (n) memcpy(copy, s, n);
    return copy;
}

void eng_arena_clear(EngArena *arena)
{
    for (EngArenaBlock *b = arena->head; b;) {
        EngArenaBlock *next = b->next;
        free(b);
        b = next;
    }
    arena->head = NULL;
}
