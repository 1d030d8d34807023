/* Walks a graph with several backends: some ops on devices, the others on the CPU.
 *
 * The order is written once, when the walk is made: schedule.h.
 *
 * One token, or a few: all that the device does is kept as one graph and enqueued with one call per
 * step (one for each device); the host then goes through its parts. Kernels that wait for a flag
 * hold the device, which a part of some milliseconds does not notice. A prompt's parts take longer:
 * there the walk enqueues ACCEPT k when part k is done.
 *
 * Experts that are the CPU's can be multiplied by a device: in a second schedule they are its own,
 * and it has them as guests (backend.h). A chunk of a prompt goes by the one or the other
 * (stream/regime.h).
 *
 * When a device fails, the run's numbers are lost (`check` says so) and from then on the CPU runs
 * all ops; caches must then be its own. */
#ifndef ENG_PLAN_EXEC_H
#define ENG_PLAN_EXEC_H

#include "plan/schedule.h"
#include "plan/stream/regime.h"

/* Whether and by what speeds devices are sent experts of the CPU's; those made for guests. */
typedef struct {
    EngStreaming streaming;
    EngPlanSpeeds speeds;
} EngStreams;

/* device_of[op]: the number of the device that computes it, or ENG_NONE: the CPU. EMBED and
 * ROPE_TABLE, which read what the host has, always are the CPU's. Takes over the devices, 1 …
 * ENG_MAX_GPUS of them, also on failure; `cpu`, which must offer `buffer`, and `graph` must outlive
 * it. `streams`
 * NULL: experts stay where they are. */
EngBackend *eng_exec_new(const EngGraph *graph, const int *device_of, EngBackend *cpu,
                         EngDevice *const *devices, int n_devices, const EngStreams *streams,
                         EngError *err);

/* Steps by kind, for tests of its structure: of the schedule, or of that with guests. */
void eng_exec_count(const EngBackend *exec, bool guests, int ret_steps[ENG_STEPS]);
/* What it chooses by. */
EngRegimes *eng_exec_regimes(EngBackend *exec);

#endif
