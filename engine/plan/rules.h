/* Rules: what a person says about where tensors lie, and what multiplies them, against what the
 * plan would do. */
#ifndef ENG_PLAN_RULES_H
#define ENG_PLAN_RULES_H

#include "plan/kernel/registry.h"
#include "plan/outline.h"

typedef struct {
    int line; /* of the rule that decides; 0 = none does */
    EngPlace place;
    int kernel_line; /* the same for the kernel */
    const EngKernel *kernel;
} EngRuled;

typedef struct {
    EngCachePolicy policy;
    int line; /* of the rule that says so; 0 = none does */
} EngRuledCache;

/* Reads `text` (engine.h: EngPlanSettings.rules) and finds who each part is for: ret[parts]. What
 * is derived goes with the rest of its op. Plug-ins that it names are loaded into the registry,
 * whose kernels are what it can choose. *ret_cache stays as it is when no line is about it.
 * ENG_ERR_USAGE with the line of a rule that cannot be read, names no tensor, or asks for what is
 * not there. */
bool eng_rules_read(const char *text, const EngOutline *outline, int gpus, int nodes,
                    EngRegistry *registry, EngRuled *ret, EngRuledCache *ret_cache, EngError *err);

/* How many GPUs rules name, counted up to the highest; text may be NULL. */
int eng_rules_gpus(const char *text);

#endif
