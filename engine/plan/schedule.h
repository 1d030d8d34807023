/* The order in which one or several devices and the CPU share a graph's ops.
 *
 * Where each buffer's current numbers lie is known when the walk is made, because ops always come
 * in the same order. So the walk is a schedule, written once:
 *
 *   OP i       a device's op
 *   PUBLISH k  a device hands the host what CPU part k reads, and raises its flag up[k]
 *   CPU k      the host waits for the flags, runs ops from … to - 1, and raises flag down[k]
 *   ACCEPT k   a device waits for that flag and takes over what part k wrote
 *
 * CPU and ACCEPT stand as late as they can: what the device does not need from part k is enqueued
 * before. Experts add to the residual stream, and so does the shared expert after them: the CPU
 * therefore begins with zeros, the device computes the shared expert meanwhile and adds the CPU's
 * sum when something reads the stream. (Sums are the same but for the order of two additions.)
 * Deferred experts follow as a part of their own, which hands nothing over where the next layer's
 * experts are the CPU's, too: it has them until it waits for that layer.
 *
 * Devices do not see each other's memory: what goes from one to another goes through a part without
 * ops. For what it publishes and what it accepts a device has areas, of which parts with even and
 * with odd numbers use one each; two parts that follow each other may be open at once. So who
 * publishes for a part also accepts, if only to know that the area has been read; and who accepts
 * without having published says before (an empty PUBLISH) that it has taken over what was there. */
#ifndef ENG_PLAN_SCHEDULE_H
#define ENG_PLAN_SCHEDULE_H

#include "plan/backend.h"

typedef enum { ENG_STEP_OP, ENG_STEP_PUBLISH, ENG_STEP_CPU, ENG_STEP_ACCEPT, ENG_STEPS } EngStepOf;

typedef struct {
    EngStepOf kind;
    int at;     /* op before which it stands */
    int what;   /* op, or part */
    int device; /* ENG_NONE: CPU */
} EngScheduleStep;

enum { ENG_NONE = -1 };

/* A view that changes hands: from a device, or to those with bits 1 << device. */
typedef struct {
    EngView view;
    unsigned devices;
} EngHandView;

/* Ops that the CPU runs in one go. */
typedef struct {
    int from, to;
    EngHandView in[ENG_HAND_VIEWS], out[ENG_HAND_VIEWS];
    int n_in, n_out;
    unsigned gives, frees; /* devices that publish: before its ops can run, before it hands out */
    unsigned takes;        /* those that something is handed out to */
    int sum;               /* buffer that begins at zero here and is added there; ENG_NONE */
    bool select;           /* rows are those after SELECT when it begins */
    bool select_out;
} EngHostPart;

typedef struct {
    EngVec(EngScheduleStep) steps;
    EngVec(EngHostPart) parts;
} EngSchedule;

/* device_of[op]: the number of the device that computes it, below ENG_MAX_GPUS, or ENG_NONE: the
 * CPU; EMBED and ROPE_TABLE, which read what the host has, are the CPU's. ENG_ERR_USAGE when a
 * placement hands too many things over at once. */
bool eng_schedule_write(EngSchedule *ret, const EngGraph *graph, const int *device_of,
                        EngError *err);
void eng_schedule_clear(EngSchedule *schedule);

/* All columns of a buffer. */
EngView eng_buffer_view(const EngGraph *graph, int buf);

#endif
