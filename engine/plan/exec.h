/* Walks a graph with two backends: some ops on a device, the others on the CPU.
 *
 * The order is written once, when the walk is made: schedule.h.
 *
 * One token, or a few: all that the device does is kept as one graph and enqueued with one call per
 * step; the host then goes through its parts. Kernels that wait for a flag hold the device, which a
 * part of some milliseconds does not notice. A prompt's parts take longer: there the walk enqueues
 * ACCEPT k when part k is done.
 *
 * When the device fails, the run's numbers are lost (`check` says so) and from then on the CPU runs
 * all ops; caches must then be its own. */
#ifndef ENG_PLAN_EXEC_H
#define ENG_PLAN_EXEC_H

#include "plan/schedule.h"

/* on_device[op]: whether the device computes it; EMBED and ROPE_TABLE, which read what the host
 * has, never are. Takes over `device`; `cpu` and `graph` must outlive it. `cpu` must offer
 * `buffer`. */
EngBackend *eng_exec_new(const EngGraph *graph, const bool *on_device, EngBackend *cpu,
                         EngDevice *device, EngError *err);

/* Steps of the schedule by kind, for tests of its structure. */
void eng_exec_count(const EngBackend *exec, int ret_steps[ENG_STEPS]);

#endif
