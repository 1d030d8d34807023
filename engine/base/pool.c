#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Rounds of the spin before a thread parks: some tens of microseconds. Threads that share a core
 * make each other's spins useless, so the pool spins only while every thread can have a core of its
 * own. */
enum { SPINS = 2000 };

typedef struct {
    EngPool *pool;
    pthread_t id;
    int index;
    EngSeat seat;
} Worker;

typedef struct {
    _Alignas(64) atomic_llong next;
} Counter;

struct EngPool {
    int n_threads, n_started, n_nodes;
    Worker *workers; /* [n_threads]; the first is whoever calls */
    int spins;

    /* A job is announced by `job`; threads meet at `phase`. Both only ever grow. */
    _Alignas(64) atomic_uint job;
    _Alignas(64) atomic_uint phase;
    _Alignas(64) atomic_int arrived;
    Counter next[ENG_MAX_NODES];
    _Alignas(64) pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int parked;
    atomic_bool quit;
    EngPoolFn *fn;
    void *arg;
};

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Returns once *counter != seen: spins, then sleeps. */
static void wait_change(EngPool *pool, atomic_uint *counter, unsigned seen, int spins)
{
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(counter, memory_order_acquire) != seen) return;
        cpu_relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->parked, 1);
    while (atomic_load(counter) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->parked, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* Moves a counter on and wakes whoever parked on it. The increment and the look at `parked` are
 * both sequentially consistent, as are park's two accesses: one of the two sees the other. */
static void announce(EngPool *pool, atomic_uint *counter)
{
    atomic_fetch_add(counter, 1);
    if (atomic_load(&pool->parked) == 0) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void eng_pool_meet(EngPool *pool, int thread, EngPoolFn *alone, void *arg)
{
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_acquire);
    bool last =
        pool->n_threads == 1 ||
        atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) == pool->n_threads - 1;
    if (!last) {
        wait_change(pool, &pool->phase, phase, pool->spins);
        return;
    }
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    eng_pool_rewind(pool);
    if (alone) {
        alone(arg, thread, pool->n_threads);
        eng_pool_rewind(pool);
    }
    if (pool->n_threads > 1) announce(pool, &pool->phase);
}

void eng_pool_barrier(EngPool *pool, int thread) { eng_pool_meet(pool, thread, NULL, NULL); }

void eng_pool_rewind(EngPool *pool)
{
    for (int i = 0; i < pool->n_nodes; i++)
        atomic_store_explicit(&pool->next[i].next, 0, memory_order_relaxed);
}

int64_t eng_pool_next_of(EngPool *pool, int node, int64_t n)
{
    long long i = atomic_fetch_add_explicit(&pool->next[node].next, 1, memory_order_relaxed);
    return i < n ? i : -1;
}

int64_t eng_pool_next(EngPool *pool, int64_t n) { return eng_pool_next_of(pool, 0, n); }

static void pin(int cpu)
{
#ifdef __linux__
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE) return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
    (void)cpu;
#endif
}

static void *worker_main(void *arg)
{
    Worker *w = arg;
    EngPool *pool = w->pool;
    pin(w->seat.cpu);
    for (unsigned seen = 0;; seen++) {
        wait_change(pool, &pool->job, seen, pool->spins);
        if (atomic_load(&pool->quit)) return NULL;
        pool->fn(pool->arg, w->index, pool->n_threads);
        eng_pool_barrier(pool, w->index);
    }
}

static void run(EngPool *pool)
{
    eng_pool_rewind(pool);
    if (pool->n_threads > 1) announce(pool, &pool->job);
    pool->fn(pool->arg, 0, pool->n_threads);
    eng_pool_barrier(pool, 0);
}

void eng_pool_run(EngPool *pool, EngPoolFn *fn, void *arg)
{
    pool->fn = fn;
    pool->arg = arg;
#ifdef __linux__
    cpu_set_t before;
    if (pool->n_nodes > 1 && pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0) {
        pin(pool->workers[0].seat.cpu);
        run(pool);
        pthread_setaffinity_np(pthread_self(), sizeof before, &before);
        return;
    }
#endif
    run(pool);
}

int eng_pool_threads(const EngPool *pool) { return pool->n_threads; }
int eng_pool_nodes(const EngPool *pool) { return pool->n_nodes; }
int eng_pool_node(const EngPool *pool, int thread) { return pool->workers[thread].seat.node; }

static int cpus_allowed(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return ENG_MAX_THREADS;
}

bool eng_pool_check(int n_threads, EngError *err)
{
    return (n_threads >= 1 && n_threads <= ENG_MAX_THREADS) ||
           eng_fail(err, ENG_ERR_USAGE, "%d threads cannot be used: choose 1 to %d.", n_threads,
                    ENG_MAX_THREADS);
}

EngPool *eng_pool_new(int n_threads, const EngSeat *seats, EngError *err)
{
    if (!eng_pool_check(n_threads, err)) return NULL;
    EngPool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    if (!pool) {
        eng_fail(err, ENG_ERR_MEMORY, "Cannot get memory for the worker threads.");
        return NULL;
    }
    memset(pool, 0, sizeof *pool);
    pool->n_threads = n_threads;
    pool->spins = n_threads <= cpus_allowed() ? SPINS : 0;
    pool->workers = eng_alloc0((size_t)n_threads * sizeof *pool->workers);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->n_nodes = 1;
    for (int i = 0; i < n_threads; i++) {
        EngSeat seat = seats ? seats[i] : (EngSeat){.cpu = -1};
        pool->workers[i] = (Worker){.pool = pool, .index = i, .seat = seat};
        if (seat.node >= pool->n_nodes) pool->n_nodes = seat.node + 1;
    }
    for (int i = 1; i < n_threads; i++) {
        Worker *w = &pool->workers[i];
        int rc = pthread_create(&w->id, NULL, worker_main, w);
        if (rc != 0) {
            eng_fail(err, ENG_ERR_IO, "Cannot start worker thread %d of %d: %s. Use fewer threads.",
                     i + 1, n_threads, strerror(rc));
            eng_pool_free(pool);
            return NULL;
        }
        pool->n_started++;
    }
    return pool;
}

void eng_pool_free(EngPool *pool)
{
    if (!pool) return;
    atomic_store(&pool->quit, true);
    announce(pool, &pool->job);
    for (int i = 1; i <= pool->n_started; i++) pthread_join(pool->workers[i].id, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}
