/* DRY, "don't repeat yourself" (p-e-w, text-generation-webui pull request 5677, 2024).
 *
 * When the end of the history has occurred before, the token that followed it then would continue
 * the repetition: its logit loses multiplier * base^(length - allowed_length), `length` being the
 * longest such match for that token, from allowed_length on. A match never reaches across a
 * breaker token, and a breaker is never penalised. */
#ifndef ENG_SAMPLE_DRY_H
#define ENG_SAMPLE_DRY_H

#include "engine.h"

typedef struct {
    int32_t *longest; /* [n_vocab] scratch, zero before and after */
    int32_t *match;   /* [max_history] scratch */
    uint8_t *breaker; /* [n_vocab], 1 for a breaker */
    int n_vocab, max_history;
} EngDry;

bool eng_dry_wanted(const EngSampling *set);
void eng_dry_apply(EngDry *dry, const EngSampling *set, float *logits, const int32_t *history,
                   int n);

#endif
