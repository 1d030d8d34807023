/* One way to lay a model out over a machine: the parts of plan.h's search. */
#ifndef ENG_PLAN_SPREAD_H
#define ENG_PLAN_SPREAD_H

#include "plan/cost.h"
#include "plan/plan.h"

typedef struct {
    const EngOutline *o;
    const EngPlanMachine *m;
    EngRuled *ruled; /* [parts] */
    int context, prompt;
    uint64_t vram, dram; /* without the reserves */
    uint64_t kv_layer;   /* bytes */
} EngPlanner;

typedef struct {
    bool gpu;
    int batch;
    int all_expert_layers, expert_layers; /* that no rule has placed; whose experts are in VRAM */
    EngSpread spread;
    EngPlace *ops;
    bool *on_gpu;  /* [ops] the same for who counts buffers */
    int kv_layers; /* whose context is in VRAM */
    uint64_t gpu_buffers, cpu_buffers, vram_used;
    uint64_t least_vram, least_dram;
    EngTime token, prompt;
} EngLayout;

/* False when the least does not fit; least_vram and least_dram are set in any case. Clear either.
 */
bool eng_layout_make(const EngPlanner *planner, bool gpu, int batch, EngLayout *ret_layout);
void eng_layout_clear(EngLayout *layout);

/* Seconds until a prompt and an answer are there. */
double eng_layout_exchange(const EngLayout *layout);

#endif
