/* A plan in sentences, for the hardware page, the preferences and the report. All return strings to
 * g_free(). */
#ifndef HEARTH_PLAN_WORDS_H
#define HEARTH_PLAN_WORDS_H

#include "state.h"
#include "worker/model_info.h"

/* "About 9.4 tokens per second; reading DRAM takes the longest" */
char *hearth_plan_words_decode(const HearthPlan *plan);
char *hearth_plan_words_prefill(const HearthPlan *plan);
char *hearth_plan_words_load(const HearthPlan *plan); /* "About 40 seconds" */

/* "11.3 GiB of VRAM, 380.1 GiB of DRAM" */
char *hearth_plan_words_memory(const HearthPlan *plan);

/* Who computes: the GPU's name, or why there is none in it. */
char *hearth_plan_words_computes(const HearthModelInfo *info);

/* "8.7 tok/s over 412 tokens"; NULL: too few to tell. */
char *hearth_plan_words_decoded(const HearthStats *stats);
char *hearth_plan_words_prefilled(const HearthStats *stats);

#endif
