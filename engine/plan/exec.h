/* Walks a graph with several backends: some ops on devices, the others on the CPU.
 *
 * The order is written once, when the walk is made: schedule.h.
 *
 * One token, or a few: all that the device does is kept as one graph and enqueued with one call per
 * step (one for each device); the host then goes through its parts. Kernels that wait for a flag
 * hold the device, which a part of some milliseconds does not notice. A prompt's parts take longer:
 * there the walk enqueues ACCEPT k when part k is done.
 *
 * When a device fails, the run's numbers are lost (`check` says so) and from then on the CPU runs
 * all ops; caches must then be its own. */
#ifndef ENG_PLAN_EXEC_H
#define ENG_PLAN_EXEC_H

#include "plan/schedule.h"

/* device_of[op]: the number of the device that computes it, or ENG_NONE: the CPU. EMBED and
 * ROPE_TABLE, which read what the host has, always are the CPU's. Takes over the devices, 1 …
 * ENG_MAX_GPUS of them, also on failure; `cpu`, which must offer `buffer`, and `graph` must outlive
 * it. */
EngBackend *eng_exec_new(const EngGraph *graph, const int *device_of, EngBackend *cpu,
                         EngDevice *const *devices, int n_devices, EngError *err);

/* Steps of the schedule by kind, for tests of its structure. */
void eng_exec_count(const EngBackend *exec, int ret_steps[ENG_STEPS]);

#endif
