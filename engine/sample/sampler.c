#include "sample/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "sample/dry.h"
#include "sample/penalties.h"
#include "sample/rng.h"

struct EngSampler {
    EngSampling set;
    int n_vocab;
    EngRng rng;
    EngCandidates candidates;
    EngDry dry;
    int32_t *counts; /* [n_vocab] scratch of the penalties; DRY's `longest` is the same memory */
    void *memory;    /* all arrays above */
    size_t memory_bytes;
};

/* Hands out `bytes` from *memory, 64-byte aligned; with *memory NULL it only counts. */
static void *take(char *memory, size_t *used, size_t bytes)
{
    void *p = memory ? memory + *used : NULL;
    *used += (size_t)eng_align_up(bytes, 64);
    return p;
}

static size_t lay_out(EngSampler *s, int max_history, char *memory)
{
    size_t n = (size_t)s->n_vocab, used = 0;
    bool dry = eng_dry_wanted(&s->set);
    EngCandidates *c = &s->candidates;
    c->id = take(memory, &used, n * sizeof *c->id);
    c->logit = take(memory, &used, n * sizeof *c->logit);
    c->weight = take(memory, &used, n * sizeof *c->weight);
    c->rank = take(memory, &used, n * sizeof *c->rank);
    c->index = take(memory, &used, n * sizeof *c->index);
    c->bins = take(memory, &used, ENG_CANDIDATES_BINS * sizeof *c->bins);
    s->counts = take(memory, &used, n * sizeof *s->counts);
    s->dry = (EngDry){.longest = s->counts, .n_vocab = s->n_vocab, .max_history = max_history};
    s->dry.breaker = take(memory, &used, dry ? n : 0);
    s->dry.match = take(memory, &used, dry ? (size_t)max_history * sizeof *s->dry.match : 0);
    return used;
}

EngSampler *eng_sampler_new(const EngSampling *sampling, int n_vocab, int max_history,
                            EngError *err)
{
    if (!eng_sampling_check(sampling, err)) return NULL;
    EngSampler *s = eng_alloc0(sizeof *s);
    s->set = *sampling;
    s->n_vocab = n_vocab;
    s->memory_bytes = lay_out(s, max_history, NULL);
    s->memory = eng_try_alloc(s->memory_bytes, "choosing tokens", err);
    if (!s->memory) {
        eng_sampler_free(s);
        return NULL;
    }
    lay_out(s, max_history, s->memory);
    eng_sampler_reset(s, sampling->seed);
    return s;
}

void eng_sampler_free(EngSampler *s)
{
    if (!s) return;
    eng_big_free(s->memory, s->memory_bytes);
    free(s);
}

void eng_sampler_reset(EngSampler *s, uint64_t seed)
{
    eng_rng_seed(&s->rng, seed == ENG_SEED_RANDOM ? eng_sys_random() : seed);
}

void eng_sampler_set_breakers(EngSampler *s, const int32_t *tokens, int n)
{
    if (!eng_dry_wanted(&s->set)) return;
    memset(s->dry.breaker, 0, (size_t)s->n_vocab);
    for (int i = 0; i < n; i++)
        if (tokens[i] >= 0 && tokens[i] < s->n_vocab) s->dry.breaker[tokens[i]] = 1;
}

static void keep(const EngSampling *set, EngCandidates *c)
{
    if (set->temperature <= 0) {
        eng_candidates_greedy(c);
    } else {
        if (set->top_k > 0) eng_candidates_top_k(c, set->top_k);
        if (set->typical_p < 1) eng_candidates_typical(c, set->typical_p);
        if (set->top_p < 1) eng_candidates_top_p(c, set->top_p);
        if (set->min_p > 0) eng_candidates_min_p(c, set->min_p);
    }
    eng_candidates_softmax(c, set->temperature > 0 ? set->temperature : 1);
}

const EngCandidates *eng_sampler_candidates(EngSampler *s, const float *logits,
                                            const int32_t *history, int n, EngError *err)
{
    const EngSampling *set = &s->set;
    EngCandidates *c = &s->candidates;
    memcpy(c->logit, logits, (size_t)s->n_vocab * sizeof *logits);
    if (eng_penalties_wanted(set))
        eng_penalties_apply(set, c->logit, s->n_vocab, s->counts, history, n);
    if (eng_dry_wanted(set)) eng_dry_apply(&s->dry, set, c->logit, history, n);
    if (!eng_candidates_start(c, s->n_vocab, err)) return NULL;
    keep(set, c);
    return c;
}

bool eng_sampler_next(EngSampler *s, const float *logits, const int32_t *history, int n,
                      int32_t *ret_token, EngError *err)
{
    const EngCandidates *c = eng_sampler_candidates(s, logits, history, n, err);
    if (!c) return false;
    *ret_token = eng_candidates_draw(c, eng_rng_uniform(&s->rng));
    return true;
}

bool eng_sampler_needs_few(const EngSampler *s, int most)
{
    const EngSampling *set = &s->set;
    return !eng_penalties_wanted(set) && !eng_dry_wanted(set) &&
           (set->temperature <= 0 || (set->top_k > 0 && set->top_k <= most));
}

bool eng_sampler_next_of_few(EngSampler *s, const float *logits, const int32_t *tokens, int n,
                             int32_t *ret_token, EngError *err)
{
    EngCandidates *c = &s->candidates;
    c->n = 0;
    for (int i = 0; i < n; i++) {
        if (!isfinite(logits[i])) return eng_candidates_refuse(err);
        int at = c->n++;
        for (; at > 0 && c->id[at - 1] > tokens[i]; at--) {
            c->id[at] = c->id[at - 1];
            c->logit[at] = c->logit[at - 1];
        }
        c->id[at] = tokens[i];
        c->logit[at] = logits[i];
    }
    keep(&s->set, c);
    *ret_token = eng_candidates_draw(c, eng_rng_uniform(&s->rng));
    return true;
}
