/* From logits to a token: the chain described at EngSampling in engine.h.
 *
 * A sampler belongs to one session. All its memory is taken at eng_sampler_new: a call allocates
 * nothing. Same settings, seed, history and logits give the same token: among equal logits the
 * lower token id ranks first, everywhere.
 *
 * The order of the steps is that of llama.cpp's default chain, temperature last: the truncations
 * see the model's own distribution, and the temperature then spreads what is left. Each of them is
 * that of transformers (RepetitionPenaltyLogitsProcessor, TopK-, Typical-, TopP- and
 * MinPLogitsWarper), but for the ties. Each call uses one random number, a greedy one too. */
#ifndef ENG_SAMPLE_SAMPLER_H
#define ENG_SAMPLE_SAMPLER_H

#include "base/err.h"
#include "sample/candidates.h"

typedef struct EngSampler EngSampler;

/* Whether all settings are in range: ENG_ERR_USAGE names the setting, its value and its range.
 * eng_sampling_defaults (engine.h) are. */
bool eng_sampling_check(const EngSampling *sampling, EngError *err);

/* Checks ranges as above. n_vocab is at least 1; max_history: most tokens that `history` below
 * will ever hold. */
EngSampler *eng_sampler_new(const EngSampling *sampling, int n_vocab, int max_history,
                            EngError *err);
void eng_sampler_free(EngSampler *sampler);

/* Starts the random sequence again from `seed`; ENG_SEED_RANDOM takes a new one. */
void eng_sampler_reset(EngSampler *sampler, uint64_t seed);

/* DRY starts matching afresh at these tokens (newline, colon, quote, star). None at first. */
void eng_sampler_set_breakers(EngSampler *sampler, const int32_t *tokens, int n);

/* `logits` [n_vocab] is read only. `history` [n]: prompt and answer so far, oldest first.
 * ENG_ERR_REFUSED (the weights are damaged) when a logit is not a number or is plus infinity, or
 * when all are minus infinity; a single one of minus infinity is a token that cannot come. */
bool eng_sampler_next(EngSampler *sampler, const float *logits, const int32_t *history, int n,
                      int32_t *ret_token, EngError *err);

/* Whether the `most` largest logits are as good as all: nothing changes the order that they stand
 * in, and no more of them are kept. */
bool eng_sampler_needs_few(const EngSampler *sampler, int most);

/* The same as eng_sampler_next of these logits alone, the largest of all, best first (of equal ones
 * the lower token): logits[k] of tokens[k], k < n, n at most n_vocab. Only where they are as good.
 */
bool eng_sampler_next_of_few(EngSampler *sampler, const float *logits, const int32_t *tokens, int n,
                             int32_t *ret_token, EngError *err);

/* The same without the draw: the tokens that may come next and their weights, borrowed until the
 * next call; NULL as above. */
const EngCandidates *eng_sampler_candidates(EngSampler *sampler, const float *logits,
                                            const int32_t *history, int n, EngError *err);

#endif
