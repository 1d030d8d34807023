/* Memory in three sizes. Bookkeeping: eng_alloc0 & co. abort when the machine has none left, as
 * GLib's do. Sized by a model, a context or a file: eng_try_alloc returns an error that names
 * bytes and purpose. Many small things with one lifetime: an arena.
 *
 * The allocation guard proves that a decode step allocates nothing: between eng_guard_begin and
 * eng_guard_end every call below aborts in debug builds; tests count libc's malloc besides. */
#ifndef ENG_BASE_MEM_H
#define ENG_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

void *eng_alloc0(size_t n);                 /* zeroed; abort on failure; free() */
void *eng_realloc(void *p, size_t n);       /* abort on failure; free() */
char *eng_strndup(const char *s, size_t n); /* NUL-terminated copy; free() */

void eng_bytes_text(uint64_t n, char ret_text[32]); /* "12.3 GiB" */

/* Page aligned, zeroed, huge pages where the system gives them. `what` completes "Cannot get
 * 12.3 GiB of DRAM for …". NULL with ENG_ERR_MEMORY. Release with eng_big_free and the same n. */
void *eng_try_alloc(size_t n, const char *what, EngError *err);
void eng_big_free(void *p, size_t n);

/* Of memory from eng_try_alloc that nobody has touched: pages come from the NUMA node that the
 * system calls nodes[0] as long as it has some, or, where there are several, from each in turn. A
 * wish: where it cannot be, or a number is negative, nothing happens. */
void eng_mem_prefer(void *p, size_t n, const int *nodes, int n_nodes);
/* Gives back the pages that lie wholly inside; what they held is lost, and reads as zeros. */
void eng_mem_forget(void *p, size_t n);

/* Gives free memory back to the system, after much was freed. */
void eng_mem_trim(void);

/* Bump allocator. Zero-initialised is empty and valid. */
typedef struct EngArenaBlock EngArenaBlock;
typedef struct {
    EngArenaBlock *head;
} EngArena;

void *eng_arena_alloc(EngArena *arena, size_t n); /* zeroed, 16-byte aligned; abort on failure */
char *eng_arena_strndup(EngArena *arena, const char *s, size_t n);
void eng_arena_clear(EngArena *arena); /* frees all; the arena may be used again */

void eng_guard_begin(void);
void eng_guard_end(void);

/* Growing array: `EngVec(int32_t) v = {0}; eng_vec_push(&v, x);` free(v.data). */
#define EngVec(T)                                                                                  \
    struct {                                                                                       \
        T *data;                                                                                   \
        size_t n, cap;                                                                             \
    }
#define eng_vec_reserve(v, need)                                                                   \
    do {                                                                                           \
        size_t need_ = (need);                                                                     \
        if (need_ > (v)->cap) {                                                                    \
            (v)->cap = need_ > 2 * (v)->cap ? need_ : 2 * (v)->cap;                                \
            if ((v)->cap < 16) (v)->cap = 16;                                                      \
            (v)->data = eng_realloc((v)->data, (v)->cap * sizeof *(v)->data);                      \
        }                                                                                          \
    } while (0)
#define eng_vec_push(v, x)                                                                         \
    do {                                                                                           \
        eng_vec_reserve(v, (v)->n + 1);                                                            \
        (v)->data[(v)->n++] = (x);                                                                 \
    } while (0)

#endif
