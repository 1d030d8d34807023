/* Where everything of a model goes, as engine.h promises; a function of an outline, of what is
 * wanted and of a machine, so that machines which nobody here has can be planned for.
 *
 * What a rule places stays there. Otherwise, with a GPU, attention and shared experts go to it or
 * the plan is refused; then dense layers, first to last, and the head, as long as they fit; then
 * the experts of as many layers as make a token quickest. Each comes with what its ops need in
 * buffers, as those who allocate them reckon it: no device takes more than its plan says. Of
 * several GPUs each has layers that follow each other, in proportion to its VRAM, and the last one
 * the head. With several sizes of a chunk, with one GPU and more, and without, with room for
 * experts that prompts send there from DRAM and without it, this is tried, and that plan is taken
 * by which a prompt and an answer come soonest: more memory only adds to what can be tried.
 *
 * The CPU alone reads prompts in chunks of ENG_USUAL_BATCH tokens and, where experts meet so few of
 * these that they are multiplied slowly or come from the disk each time, or where attention expands
 * the past anew for each, in larger ones, up to 4096: doubled as long as that shortens a prompt by
 * 3 % of what is not the same in any chunk, the answer included takes no longer, the buffers of a
 * chunk take no more than eng_plan_chunk_most(), and no weights go to the disk that would else be
 * in DRAM.
 *
 * What VRAM is left then caches single experts (cache/cache.h), of which a plan expects nothing. */
#ifndef ENG_PLAN_PLAN_H
#define ENG_PLAN_PLAN_H

#include "plan/kernel/choice.h"

enum { ENG_USUAL_BATCH = 512 };

typedef struct {
    char name[96];
    uint64_t vram;
    uint64_t taken; /* of it, by the driver's context already; 0 = not known */
    int processors;
} EngPlanGpu;

typedef struct {
    EngPlanGpu gpus[ENG_MAX_GPUS];
    int n_gpus;
    bool assumed;
    char reason[160]; /* why there is no GPU, when n_gpus is 0 */
    uint64_t dram;
    bool vram_given; /* what does not fit is then an error, not a reason to do without */
    int nodes, threads;
    EngPlanSpeeds speeds; /* none 0 but those of a GPU that is not there */
    EngBuiltins kernels;  /* what rules can choose */
    size_t (*cpu_bytes)(const EngGraph *graph, int max_tokens, int threads,
                        const EngKernel *const *kernels); /* its buffers */
    /* What a GPU needs beside the matrices of its ops, and how much these are; with room for
     * experts of ops with sends[op] or, where that is NULL, without. */
    uint64_t (*gpu_bytes)(const EngGraph *graph, const bool *on_device, int max_tokens,
                          const bool *sends, int processors, uint64_t *ret_matrices);
} EngPlanMachine;

/* Bytes that a larger chunk's buffers may take of so many of DRAM, of which weights and contexts
 * take `others`: a small part of memory, or a quarter of what is left of it, so that contexts may
 * become longer and more. */
static inline uint64_t eng_plan_chunk_most(uint64_t dram, uint64_t others)
{
    uint64_t part = dram / 32, left = dram > others ? (dram - others) / 4 : 0;
    return part > left ? part : left;
}

EngPlan *eng_plan_make(const EngOutline *outline, const EngPlanSettings *want,
                       const EngPlanMachine *machine, EngError *err);

#endif
