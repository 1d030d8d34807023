/* How long a token and a prompt take when a model's parts lie here and there.
 *
 * A product takes as long as its bytes need to be read where they lie, or its arithmetic, whichever
 * is longer; a token is the sum over all products, but for a layer's routed experts on the CPU,
 * which run beside its shared expert, and deferred ones beside the next layer's attention: there
 * the longer side counts. Of a cache of experts nothing is expected.
 * Each crossing between CPU and GPU costs a hand-over. Experts are chosen by chance, all alike. A
 * prompt is read in chunks; experts that are not in VRAM are multiplied by the CPU, the more slowly
 * the fewer tokens each of them meets, or sent to the GPU, if that is quicker, those that the chunk
 * chose. What is between the products (norms, activations made bytes, the router, barriers) is not
 * in it.
 * How fast the CPU multiplies is one number or, where each kernel is known (EngPlanKernels), that
 * of the matrix's format with as many tokens as it meets. */
#ifndef ENG_PLAN_COST_H
#define ENG_PLAN_COST_H

#include "plan/outline.h"

typedef enum {
    ENG_TERM_DRAM,
    ENG_TERM_CPU,
    ENG_TERM_VRAM,
    ENG_TERM_GPU,
    ENG_TERM_PCIE,
    ENG_TERM_DISK,
    ENG_TERM_HANDOVER,
    ENG_TERMS
} EngTerm;

typedef struct {
    double s[ENG_TERMS]; /* seconds */
} EngTime;

double eng_time_sum(const EngTime *time);
const char *eng_time_term(const EngTime *time); /* the largest: "DRAM reading" */

/* Where the parts lie: so many bytes of each in VRAM and on the disk, the rest in DRAM. */
typedef struct {
    uint64_t *vram, *disk; /* [parts] */
    bool gpu_attention;    /* whether attention over the context runs on a GPU */
    bool may_send;         /* whether experts may be sent to it, */
    const bool *stays;     /* [parts] but for these; NULL = all */
    int crossings;         /* in one walk over the ops */
} EngSpread;

/* One token that sees so many positions; ret_read: bytes read of VRAM, DRAM and disk; NULL = not
 * asked. */
EngTime eng_cost_token(const EngOutline *outline, const EngSpread *spread,
                       const EngPlanSpeeds *speeds, double positions, double ret_read[3]);
/* `depth` tokens lie before the prompt. */
EngTime eng_cost_prompt(const EngOutline *outline, const EngSpread *spread,
                        const EngPlanSpeeds *speeds, int tokens, int depth, int batch);

/* Positions that each of so many tokens sees on average: what lies before it, and blocks of 64 are
 * multiplied whole. */
double eng_cost_seen(int tokens, int depth);

/* Tokens of a chunk that an expert meets which is at work; 0 = there are no experts. */
double eng_cost_met(const EngOutline *outline, int tokens);

/* Of a prompt's seconds on the CPU alone, those of attention that are the same in any chunk. */
double eng_cost_attention(const EngOutline *outline, const EngPlanSpeeds *speeds, int tokens,
                          int depth);

/* Of a layer's experts the share that so many tokens are sent to by chance, each of them to the
 * share `chosen`. */
double eng_cost_at_work(double chosen, double tokens);

/* Experts that are not in VRAM, of so many bytes and multiply-adds, `disk` of the bytes from there:
 * where they are, by kernels of so many Gop/s and with so many tokens for each that is at work; or
 * sent to the GPU. */
EngTime eng_cost_here(const EngPlanSpeeds *speeds, double gop_s, double read, double products,
                      double disk);
EngTime eng_cost_sent(const EngPlanSpeeds *speeds, double read, double products, double disk);
/* Of what the CPU reaches with 128 tokens, what it does with so few for an expert. */
double eng_cost_few(double gop_s, double tokens);

/* Fills in those of a GPU that are 0, by its name; "" = one of the kind that people have. Returns
 * the name of the card that it takes it for. */
const char *eng_cost_gpu(const char *name, EngPlanSpeeds *speeds);

#endif
