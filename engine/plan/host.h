/* The machine as the plan sees it: cores to run on, caches, NUMA nodes, memory (hwloc). */
#ifndef ENG_PLAN_HOST_H
#define ENG_PLAN_HOST_H

#include "base/err.h"

/* Fills what hwloc and the system know of EngHost (engine.h): cores, threads, caches, nodes, DRAM.
 * The rest, the processor's name and instruction sets and the GPU, is left empty for engine.c. */
bool eng_host_probe(EngHost *ret_host, EngError *err);

/* How many threads to run, at most the physical cores this process may use, and where: one CPU
 * number per core, grouped by NUMA node, best cores of a hybrid processor first; *ret_cpus is
 * malloc'ed. Where the topology is hidden, each allowed CPU counts as a core, in order. Where a
 * container's processor time is less than its cores, *ret_n is that and *ret_cpus NULL: threads
 * bound to a few of them would queue behind the neighbours that chose the same. */
bool eng_host_cores(int **ret_cpus, int *ret_n, EngError *err);

#endif
