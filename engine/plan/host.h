/* The machine as the plan sees it: cores to run on, caches, NUMA nodes, memory (hwloc). */
#ifndef ENG_PLAN_HOST_H
#define ENG_PLAN_HOST_H

#include "base/err.h"

/* See eng_probe and eng_host_usage in engine.h. */
bool eng_host_probe(EngHost *ret_host, EngError *err);

/* One CPU number per physical core this process may use, grouped by NUMA node, best cores first;
 * *ret_cpus is malloc'ed. Falls back to the allowed CPUs in order when the topology is hidden. */
bool eng_host_cores(int **ret_cpus, int *ret_n, EngError *err);

#endif
