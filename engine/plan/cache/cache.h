/* Single experts of the CPU's layers in what is left of a device's memory, copies of what lies in
 * DRAM. In decode the device computes those of the chosen experts that it has (hits) while the CPU
 * computes the others (misses), and both add to the residual stream.
 *
 * Within a step who has what does not change: the device reads a table of addresses, which is
 * written before the step, and the host keeps the same by number. Experts come in while the host
 * waits for the device anyway, a piece at a time, through pinned memory and the device's stream for
 * copies. So no more is copied than a step leaves time for. An expert is in the table of the first
 * step that begins when its copy has been made; one that gives way is out of the table a step
 * before it is overwritten, when all kernels that could read it are done.
 *
 * Policies (EngCachePolicy). LRU: of a step's misses those come in that there is time for, layer by
 * layer behind the one that was served last, each for what was not used for longest and not in the
 * step, of equals in the lowest slot. PINNED: nothing for 32 steps, then what was used most in
 * them, for good. UNIFORM: the first experts of every layer, the same number of each, for good:
 * what chance would give.
 *
 * A prompt's tokens use nearly all experts of a layer, and each of them for many tokens: the CPU's
 * or the device's whole-layer products are better there, and the cache is not asked. */
#ifndef ENG_PLAN_CACHE_CACHE_H
#define ENG_PLAN_CACHE_CACHE_H

#include "plan/backend.h"

typedef struct EngCache EngCache;

/* Of a device with slots, empty. `graph` and `device` must outlive it. ops[n]: those cached there,
 * ascending. */
EngCache *eng_cache_new(const EngGraph *graph, const int *ops, int n, EngDevice *device,
                        EngError *err);
void eng_cache_free(EngCache *cache);
size_t eng_cache_staging_bytes(const EngCache *cache);

/* Before a step, when all earlier ones are done: the table for it. */
void eng_cache_begin(EngCache *cache);
/* A token of this step goes to an expert of ops[layer]: whether the device computes it. */
bool eng_cache_use(EngCache *cache, int layer, int expert);
/* Copies a piece of what is to come in; false: there is nothing to do. */
bool eng_cache_copy(EngCache *cache);

#endif
