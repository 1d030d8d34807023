/* Walks a graph with two backends: some ops on a device, the others on the CPU.
 *
 * Where each buffer's current numbers lie is known when the walk is made, because ops always come
 * in the same order. So the walk is a schedule, written once:
 *
 *   OP i       the device's op
 *   PUBLISH k  the device hands the host what CPU part k reads, and raises flag up[k]
 *   CPU k      the host waits for the flag, runs ops from … to - 1, and raises flag down[k]
 *   ACCEPT k   the device waits for that flag and takes over what part k wrote
 *
 * CPU and ACCEPT stand as late as they can: what the device does not need from part k is enqueued
 * before. Experts add to the residual stream, and so does the shared expert after them: the CPU
 * therefore begins with zeros, the device computes the shared expert meanwhile and adds the CPU's
 * sum when something reads the stream. (Sums are the same but for the order of two additions.)
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

#include "plan/backend.h"

/* on_device[op]: whether the device computes it; EMBED and ROPE_TABLE, which read what the host
 * has, never are. Takes over `device`; `cpu` and `graph` must outlive it. `cpu` must offer
 * `buffer`. */
EngBackend *eng_exec_new(const EngGraph *graph, const bool *on_device, EngBackend *cpu,
                         EngDevice *device, EngError *err);

/* Steps of the schedule by kind, for tests of its structure. */
typedef enum { ENG_STEP_OP, ENG_STEP_PUBLISH, ENG_STEP_CPU, ENG_STEP_ACCEPT, ENG_STEPS } EngStepOf;
void eng_exec_count(const EngBackend *exec, int ret_steps[ENG_STEPS]);

#endif
