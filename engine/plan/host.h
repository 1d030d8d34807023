/* The machine as the plan sees it: cores to run on, caches, NUMA nodes, memory (hwloc). */
#ifndef ENG_PLAN_HOST_H
#define ENG_PLAN_HOST_H

#include "plan/seats.h"

/* Fills what hwloc and the system know of EngHost (engine.h): cores, threads, caches, nodes, DRAM.
 * The rest, the processor's name and instruction sets and the GPU, is left empty for engine.c. */
bool eng_host_probe(EngHost *ret_host, EngError *err);

/* Bytes of DRAM that this process may use in all, and those that are left: the system's, or what its
 * control groups leave of these. False where the system does not tell. */
bool eng_host_memory(uint64_t *ret_total, uint64_t *ret_available);

/* Where `threads` threads run here, 0 = one per core: see seats.h. eng_seats_clear. */
bool eng_host_seats(int threads, EngSeats *ret_seats, EngError *err);

#endif
