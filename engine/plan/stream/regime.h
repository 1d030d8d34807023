/* Where a chunk of a prompt meets the experts that lie in DRAM (EngStreaming): on the CPU, or on
 * the GPU, to which those that the chunk uses are copied, or all.
 *
 * The CPU reads the experts that are used and multiplies; the GPU does, too, and faster, but its
 * bus is narrower than DRAM. So few tokens stay on the CPU, and with many the bus is worth its
 * time. To copy what is used alone, the host must wait in each layer until the router has chosen,
 * and the bus rests while the GPU computes all else; then each run of neighbours is a copy. When
 * all are copied the bus never rests, and copies hide behind that other work. The seconds decide;
 * what attention over the past takes is not in them.
 *
 * Speeds are at first those that plans count with, and seconds are what cost.h makes of them. What
 * a run shows corrects them, for as long as the model is open: how long the CPU's experts took, how
 * fast copies were, and how fast the GPU multiplied. Each can be off by anything, as where weights
 * still came from the disk or another program had the card. So none counts for more than
 * ENG_REGIME_MOST times what a plan counts with, or less than that part of it; one of the GPU's
 * counts half, or a single one could keep it out for good; and with each chunk that is sent the
 * CPU's counts less.
 *
 * This decides how soon a chunk is read. What is read is the same to the last bit whether all
 * experts are copied or those that are used; on the CPU, where activations are bytes and not
 * halves, it differs by as much as with another placement. */
#ifndef ENG_PLAN_STREAM_REGIME_H
#define ENG_PLAN_STREAM_REGIME_H

#include "model/graph.h"

typedef struct {
    double bytes,
        products;  /* of all such experts; multiply-adds of a token with those of its own */
    double share;  /* of a layer's experts, those of one token */
    double mats;   /* matrices of all such experts */
    int layers;    /* that have some */
    double beside; /* multiply-adds of a token that the GPU does between them */
    EngPlanSpeeds speeds;
    /* Measured by predicted: the CPU's seconds, the bus's speed, the GPU's. 1 at first */
    double cpu, bus, gpu;
    EngStreaming only; /* ENG_STREAM_AUTO: the soonest done */
} EngRegimes;

enum { ENG_REGIME_MOST = 64 };

/* Adds an EXPERTS op; one that the GPU computes anyway. */
void eng_regimes_add(EngRegimes *regimes, const EngOp *op);
void eng_regimes_beside(EngRegimes *regimes, const EngOp *op);

/* Seconds that a chunk takes longer for its products with these experts; of CPU, USED and ALL. */
double eng_regime_seconds(const EngRegimes *regimes, EngStreaming streaming, int tokens);
/* Never AUTO. Without experts: CPU. */
EngStreaming eng_regime_choose(const EngRegimes *regimes, int tokens);

/* What a chunk of so many tokens took on the CPU; how fast one that was sent was copied, and
 * multiplied. 0: it is not known. */
void eng_regimes_cpu_took(EngRegimes *regimes, int tokens, double seconds);
void eng_regimes_sent(EngRegimes *regimes, double gb_s, double gop_s);

#endif
