/* From logits to a token: the chain described at EngSampling in engine.h.
 *
 * A sampler belongs to one session. All its memory is taken at eng_sampler_new: a call allocates
 * nothing. Same settings, seed, history and logits give the same token. */
#ifndef ENG_SAMPLE_SAMPLER_H
#define ENG_SAMPLE_SAMPLER_H

#include "base/err.h"

typedef struct EngSampler EngSampler;

/* Checks ranges (ENG_ERR_USAGE names the setting, its value and its range).
 * max_history: most tokens that `history` below will ever hold. */
EngSampler *eng_sampler_new(const EngSampling *sampling, int n_vocab, int max_history,
                            EngError *err);
void eng_sampler_free(EngSampler *sampler);

/* Starts the random sequence again from `seed`. */
void eng_sampler_reset(EngSampler *sampler, uint64_t seed);

/* DRY starts matching afresh at these tokens (newline, colon, quote, star): set once per model. */
void eng_sampler_set_breakers(EngSampler *sampler, const int32_t *tokens, int n);

/* `logits` [n_vocab] is read only. `history` [n]: prompt and answer so far, oldest first.
 * A logit that is not a number: ENG_ERR_REFUSED (the weights are damaged). */
bool eng_sampler_next(EngSampler *sampler, const float *logits, const int32_t *history, int n,
                      int32_t *ret_token, EngError *err);

#endif
