/* Makes what plan.h describes: for threads that may wait. */
#ifndef HEARTH_WORKER_PLAN_NEW_H
#define HEARTH_WORKER_PLAN_NEW_H

#include <engine.h>

#include "worker/model_settings.h"
#include "worker/plan.h"

/* How many GPUs the engine is asked for: as many of those wished for as there are; 0 = one, or
 * those that rules name. */
int hearth_plan_gpus(const HearthModelSettings *settings);

HearthPlan *hearth_plan_of(const EngPlan *plan);

/* `model`: the opened one, else NULL and the file at `path` (NULL = built in) is looked into. NULL
 * with an error: a sentence that says what does not fit, or which line of the rules is wrong. */
HearthPlan *hearth_plan_make(const EngModel *model, const char *path,
                             const HearthModelSettings *settings, GError **error);

#endif
