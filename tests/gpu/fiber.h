/* CUDA on the CPU, for kernels' logic: the threads of a block are fibers of one OS thread, which
 * change only where threads meet (barriers, shuffles, mma) or wait for the host; which one goes on
 * is drawn by lot (HEARTH_FIBER_SEED). Included by common.cuh in place of nvcc's own names.
 *
 * Stricter than hardware: a meeting must be reached from the same line by all the lanes its mask
 * names, a thread must not exit before a __syncthreads that others reach, and a block in which
 * nobody can go on ends the program with the kernel's name. Shared memory is NaN when a block
 * begins, and what cp_async16 brings stays NaN until it was waited for.
 *
 * __shared__ variables are thread_local and thereby the library's .tbss, which is how they are
 * found to be spoilt: a thread_local of the library that is none must be initialized, not to 0. */
#ifndef HEARTH_TESTS_GPU_FIBER_H
#define HEARTH_TESTS_GPU_FIBER_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __device__
#define __host__
#define __forceinline__ inline
#define __constant__
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static thread_local
#define __restrict__ __restrict
#define ENG_DEVICE static inline __attribute__((unused))

typedef _Float16 half;

struct uint3 {
    unsigned x, y, z;
};
typedef uint3 dim3;

/* ---- kernels by name ---- */

struct FiberKernel {
    const char *name;
    size_t args;      /* bytes */
    unsigned threads; /* most per block */
    void (*function)(void);
    void (*call)(const FiberKernel *kernel, const void *args);
    const FiberKernel *next;
};

const FiberKernel *fiber_add(FiberKernel *kernel);
const FiberKernel *fiber_find(const char *name);

/* Runs all blocks, one after the other. `args`: kernel->args bytes. */
void fiber_run(const FiberKernel *kernel, dim3 grid, dim3 threads, size_t shared, const void *args);

/* Gives back what this OS thread keeps for fiber_run. */
void fiber_thread_end(void);

template <class Args> void fiber_call(const FiberKernel *kernel, const void *args)
{
    reinterpret_cast<void (*)(Args)>(kernel->function)(*static_cast<const Args *>(args));
}

template <class Args>
FiberKernel fiber_kernel(const char *name, unsigned threads, void (*function)(Args))
{
    return {name,    sizeof(Args), threads, reinterpret_cast<void (*)(void)>(function), fiber_call<Args>,
            nullptr};
}

#define ENG_KERNEL(name, arg) ENG_KERNEL_BOUNDS(1024, 1, name, arg)
#define ENG_KERNEL_AHEAD(most_threads, blocks, name, arg, ahead)                                   \
    ENG_KERNEL_BOUNDS(most_threads, blocks, name, arg)
#define ENG_KERNEL_BOUNDS(most_threads, blocks, name, arg)                                         \
    static void name(const arg);                                                                   \
    static FiberKernel name##_kernel = fiber_kernel(#name, most_threads, name);                    \
    static const FiberKernel *const name##_added __attribute__((unused)) =                         \
        fiber_add(&name##_kernel);                                                                 \
    static void name(const arg)

/* Nothing to hurry here. */
static inline void prefetch_l2(const void *, uint32_t) {}
template <class T> const T *keep_pointer(const T *p) { return p; }

/* ---- where a thread is ---- */

struct FiberThread {
    uint3 index;
    unsigned lane;
};

struct FiberHere {
    uint64_t initialized; /* not 0: see above */
    FiberThread *thread;
    uint3 block;
    dim3 threads, grid;
    void *shared;
};
extern __thread FiberHere fiber_here __attribute__((visibility("hidden")));

#define threadIdx (fiber_here.thread->index)
#define blockIdx (fiber_here.block)
#define blockDim (fiber_here.threads)
#define gridDim (fiber_here.grid)
#define DYN_SHARED(T, name) T *const name = static_cast<T *>(fiber_here.shared)

/* ---- meetings ---- */

enum FiberOp { FIBER_SYNC, FIBER_SHUFFLE, FIBER_VOTE, FIBER_MMA, FIBER_LDMATRIX };

struct FiberMeeting {
    FiberMeeting *next;
    unsigned mask, came, gone;
    FiberOp op;
    int line;
    alignas(16) unsigned char data[32][64]; /* by lane */
};

/* Returns when every lane of mask has come with its data; the meeting is to be left. */
FiberMeeting *fiber_meet(unsigned mask, FiberOp op, int line, const void *data, size_t bytes);
void fiber_leave(FiberMeeting *meeting);
void fiber_sync_block(int line);
void fiber_sync_some(int which, int threads, int line);

/* Lets others go on: fibers, or, where there are none, the host's threads. */
void fiber_pause(void);

[[noreturn]] void fiber_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void __syncthreads(int line = __builtin_LINE()) { fiber_sync_block(line); }
static inline void sync_some(int which, int threads, int line = __builtin_LINE())
{
    fiber_sync_some(which, threads, line);
}
static inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE())
{
    fiber_leave(fiber_meet(mask, FIBER_SYNC, line, nullptr, 0));
}

template <class T> T fiber_shuffle(unsigned mask, T value, unsigned from, int line)
{
    static_assert(sizeof(T) <= 16, "what a shuffle carries");
    FiberMeeting *m = fiber_meet(mask, FIBER_SHUFFLE, line, &value, sizeof value);
    if (!(m->came >> from & 1)) fiber_fail("line %d: shuffle from lane %u outside mask", line, from);
    T result;
    memcpy(&result, m->data[from], sizeof result);
    fiber_leave(m);
    return result;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, int line = __builtin_LINE())
{
    unsigned lane = fiber_here.thread->lane, first = lane & ~(unsigned)(width - 1);
    return fiber_shuffle(mask, value, first + ((unsigned)from & (unsigned)(width - 1)), line);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, int line = __builtin_LINE())
{
    unsigned lane = fiber_here.thread->lane, from = lane ^ (unsigned)bits;
    bool inside = from < (lane & ~(unsigned)(width - 1)) + (unsigned)width;
    return fiber_shuffle(mask, value, inside ? from : lane, line);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE())
{
    unsigned lane = fiber_here.thread->lane, from = lane + by;
    bool inside = from < (lane & ~(unsigned)(width - 1)) + (unsigned)width;
    return fiber_shuffle(mask, value, inside ? from : lane, line);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE())
{
    unsigned lane = fiber_here.thread->lane, first = lane & ~(unsigned)(width - 1);
    return fiber_shuffle(mask, value, lane >= first + by ? lane - by : lane, line);
}

static inline unsigned __ballot_sync(unsigned mask, int vote, int line = __builtin_LINE())
{
    unsigned char yes = vote != 0;
    FiberMeeting *m = fiber_meet(mask, FIBER_VOTE, line, &yes, 1);
    unsigned result = 0;
    for (int i = 0; i < 32; i++)
        if (m->came >> i & 1) result |= (unsigned)m->data[i][0] << i;
    fiber_leave(m);
    return result;
}
static inline int __any_sync(unsigned mask, int vote, int line = __builtin_LINE())
{
    return __ballot_sync(mask, vote, line) != 0;
}
static inline int __all_sync(unsigned mask, int vote, int line = __builtin_LINE())
{
    return __ballot_sync(mask, !vote, line) == 0;
}

/* See common.cuh. */
void mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2], int line = __builtin_LINE());
void ldmatrix_x4(uint32_t r[4], const void *row, int line = __builtin_LINE());
void ldmatrix_x4_trans(uint32_t r[4], const void *row, int line = __builtin_LINE());
static inline void in_global(const void *) {}
void cp_async16(void *shared, const void *global, int bytes = 16);
void cp_async_commit();
void fiber_cp_async_wait(int groups);
template <int N> void cp_async_wait() { fiber_cp_async_wait(N); }

static inline uint32_t load_acquire_sys(const volatile uint32_t *at)
{
    uint32_t value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    fiber_pause();
    return value;
}
static inline void store_release_sys(volatile uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}
static inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __nanosleep(unsigned) { fiber_pause(); }

/* Of whole numbers only: sums of floats must not depend on who comes first. */
static inline int atomicAdd(int *at, int x) { return __atomic_fetch_add(at, x, __ATOMIC_RELAXED); }
static inline unsigned atomicInc(unsigned *at, unsigned most)
{
    unsigned was = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(at, &was, was >= most ? 0 : was + 1, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    return was;
}
static inline unsigned atomicAdd(unsigned *at, unsigned x)
{
    return __atomic_fetch_add(at, x, __ATOMIC_RELAXED);
}

#include "fiber_math.h"

#endif
