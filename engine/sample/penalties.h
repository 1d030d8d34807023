/* Penalties on tokens that the recent history already holds. */
#ifndef ENG_SAMPLE_PENALTIES_H
#define ENG_SAMPLE_PENALTIES_H

#include "engine.h"

/* Over each distinct token of the last `penalty_last_n` of `history`:
 *   repeat_penalty: a positive logit is divided by it, a negative one multiplied (Keskar et al.,
 *   "CTRL", 2019; the sign rule is that of transformers' RepetitionPenaltyLogitsProcessor);
 *   then logit -= presence_penalty + count * frequency_penalty (OpenAI's API reference).
 * `counts` [n_vocab] is scratch: all zero before and after. Tokens outside the vocabulary are
 * passed over. */
void eng_penalties_apply(const EngSampling *set, float *logits, int n_vocab, int32_t *counts,
                         const int32_t *history, int n);
bool eng_penalties_wanted(const EngSampling *set);

#endif
