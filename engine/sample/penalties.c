#include "sample/penalties.h"

bool eng_penalties_wanted(const EngSampling *set)
{
    return set->penalty_last_n != 0 &&
           (set->repeat_penalty != 1 || set->presence_penalty != 0 || set->frequency_penalty != 0);
}

void eng_penalties_apply(const EngSampling *set, float *logits, int n_vocab, int32_t *counts,
                         const int32_t *history, int n)
{
    if (set->penalty_last_n >= 0 && n > set->penalty_last_n) {
        history += n - set->penalty_last_n;
        n = set->penalty_last_n;
    }
    for (int i = 0; i < n; i++)
        if (history[i] >= 0 && history[i] < n_vocab) counts[history[i]]++;
    for (int i = 0; i < n; i++) {
        int32_t token = history[i];
        if (token < 0 || token >= n_vocab || counts[token] == 0) continue;
        float x = logits[token];
        x = x > 0 ? x / set->repeat_penalty : x * set->repeat_penalty;
        logits[token] = x - set->presence_penalty - (float)counts[token] * set->frequency_penalty;
        counts[token] = 0;
    }
}
