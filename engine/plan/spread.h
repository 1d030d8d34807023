/* One way to lay a model out over a machine: the parts of plan.h's search. */
#ifndef ENG_PLAN_SPREAD_H
#define ENG_PLAN_SPREAD_H

#include "plan/cost.h"
#include "plan/plan.h"

typedef struct {
    const EngOutline *o;
    const EngPlanMachine *m;
    EngRuled *ruled;   /* [parts] */
    EngChoice *choice; /* NULL = there are no rules */
    bool *sends; /* [ops] experts that may be sent: no rule names the kernel that multiplies them */
    bool *stays; /* [parts] those that may not */
    EngRuledCache cache;
    int context, prompt, depth;        /* see EngPlanSettings */
    double positions;                  /* that a token sees whose time counts */
    uint64_t vram[ENG_MAX_GPUS], dram; /* without the reserves */
    uint64_t kv_layer;                 /* bytes */
} EngPlanner;

typedef struct {
    int gpus;     /* that are used */
    bool streams; /* there is room there for experts in DRAM, which prompts send */
    int batch;
    int all_expert_layers, expert_layers; /* that no rule has placed; whose experts are in VRAM */
    EngSpread spread;
    int *gpu_of_layer; /* [layers] which one's it would be */
    EngPlace *ops;
    bool *on_gpu;                /* [ops] for who counts buffers: those of one GPU */
    int kv_layers[ENG_MAX_GPUS]; /* whose context is in VRAM */
    uint64_t gpu_buffers[ENG_MAX_GPUS], vram_used[ENG_MAX_GPUS], cpu_buffers;
    uint64_t least_vram[ENG_MAX_GPUS], least_dram;
    uint64_t cached[ENG_MAX_GPUS]; /* bytes: see eng_layout_cache */
    int cached_experts;
    double hit_rate; /* by chance, of the layers that have a cache */
    bool *caches;    /* [ops] experts that may be cached */
    EngTime token, prompt;
} EngLayout;

/* False when the least does not fit; least_vram and least_dram are set in any case. Clear either.
 */
bool eng_layout_make(const EngPlanner *planner, int gpus, bool streams, int batch,
                     EngLayout *ret_layout);
void eng_layout_clear(EngLayout *layout);

/* What VRAM is left becomes a cache of single experts of layers in DRAM: not before a layout has
 * been chosen, as nothing is expected of it. With a little more VRAM the experts of one more layer
 * may take its place, and that must not look slower. */
void eng_layout_cache(const EngPlanner *planner, EngLayout *layout);

/* Whether a layer's experts are the CPU's in any case, as a rule names one of its kernels for some:
 * that is to be used, so they are not in VRAM, cached or sent. */
bool eng_layout_keeps(const EngPlanner *planner, int layer);

/* The GPU that a part is on when it is in VRAM. */
int eng_layout_gpu(const EngPlanner *planner, const EngLayout *layout, size_t part);

/* Seconds until a prompt and an answer are there. */
double eng_layout_exchange(const EngLayout *layout);

#endif
