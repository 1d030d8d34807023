/* Persistent worker threads that run one function together (SPMD): every thread, the caller's
 * included, enters `fn`, and they meet at barriers. Between runs the workers sleep.
 *
 * Barriers spin for a few microseconds, then park: on a machine whose cores are shared, a thread
 * that was preempted must not cost the others their time slices. Work inside a phase is handed out
 * by eng_pool_next in small pieces for the same reason. Results must not depend on which thread
 * takes which piece: a piece writes only its own outputs. */
#ifndef ENG_BASE_POOL_H
#define ENG_BASE_POOL_H

#include <stdint.h>
#include "base/err.h"

typedef struct EngPool EngPool;
typedef void EngPoolFn(void *arg, int thread, int n_threads);

enum { ENG_MAX_THREADS = 512 };

/* Where a thread runs. */
typedef struct {
    int cpu;  /* bound to this one; -1: anywhere */
    int node; /* whose memory is near, 0 … ENG_MAX_NODES - 1 */
} EngSeat;

/* n_threads includes the calling thread. seats[n_threads], or NULL: anywhere, one node. The caller
 * keeps its freedom where there is one node; where there are more it is bound while fn runs. */
EngPool *eng_pool_new(int n_threads, const EngSeat *seats, EngError *err);
void eng_pool_free(EngPool *pool);
bool eng_pool_check(int n_threads, EngError *err); /* whether so many can be had */
int eng_pool_threads(const EngPool *pool);
int eng_pool_nodes(const EngPool *pool);
int eng_pool_node(const EngPool *pool, int thread);

/* Runs fn on all threads and returns when all have left it. One caller at a time. */
void eng_pool_run(EngPool *pool, EngPoolFn *fn, void *arg);

/* All threads of the running fn meet here. Writes before it are visible after it. The counters of
 * eng_pool_next start again at 0. */
void eng_pool_barrier(EngPool *pool, int thread);

/* A barrier at which the last thread to arrive runs `alone` while the others wait: work too small
 * to be shared costs no barrier of its own. */
void eng_pool_meet(EngPool *pool, int thread, EngPoolFn *alone, void *arg);

/* Next piece of [0, n), from 0 upward, each handed to exactly one thread; -1 when none is left. */
int64_t eng_pool_next(EngPool *pool, int64_t n);
/* The same with a counter of each node's own. */
int64_t eng_pool_next_of(EngPool *pool, int node, int64_t n);
/* The counters start again at 0. Only where one thread runs. */
void eng_pool_rewind(EngPool *pool);

#endif
