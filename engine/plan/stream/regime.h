/* Where a chunk of a prompt meets the experts that lie in DRAM (EngStreaming): on the CPU, or on
 * the GPU, to which those that the chunk uses are copied, or all.
 *
 * The CPU reads the experts that are used and multiplies; the GPU does, too, and faster, but its
 * bus is narrower than DRAM. So few tokens stay on the CPU, and with many the bus is worth its
 * time. To copy what is used alone, the host must wait in each layer until the router has chosen,
 * and the bus rests meanwhile; when nearly all are used, all are copied, and the bus never rests.
 *
 * Speeds are at first those that plans count with, and seconds are what cost.h makes of them. What
 * a run shows corrects them: how long the CPU's experts took, and how fast copies were. */
#ifndef ENG_PLAN_STREAM_REGIME_H
#define ENG_PLAN_STREAM_REGIME_H

#include "model/graph.h"

typedef struct {
    double bytes,
        products; /* of all such experts; multiply-adds of a token with those of its own */
    double share; /* of a layer's experts, those of one token */
    EngPlanSpeeds speeds;
    double cpu;        /* the CPU's measured seconds by predicted ones; 1 at first */
    EngStreaming only; /* ENG_STREAM_AUTO: the soonest done */
} EngRegimes;

/* Adds an EXPERTS op. */
void eng_regimes_add(EngRegimes *regimes, const EngOp *op);

/* Seconds that a chunk's products with these experts take; of CPU, USED and ALL. */
double eng_regime_seconds(const EngRegimes *regimes, EngStreaming streaming, int tokens);
/* Never AUTO. Without experts: CPU. */
EngStreaming eng_regime_choose(const EngRegimes *regimes, int tokens);

/* What a chunk of so many tokens took on the CPU; what the copies of one that was sent were
 * measured to do. With each of these the CPU's measurement counts less: weights that still came
 * from the disk then would otherwise speak against it for good. */
void eng_regimes_cpu_took(EngRegimes *regimes, int tokens, double seconds);
void eng_regimes_copied(EngRegimes *regimes, double gb_s);

#endif
