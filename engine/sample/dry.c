#include "sample/dry.h"

#include <math.h>

#include "base/num.h"

/* Far below any logit, far from overflow: long matches all mean "never". */
#define MAX_PENALTY 1e30

bool eng_dry_wanted(const EngSampling *set)
{
    return set->dry_multiplier != 0 && set->dry_last_n != 0;
}

/* match[t] = how many tokens before and including the one t steps from the end equal the tokens at
 * the end: the Z function of the history read backwards, in linear time (Gusfield, "Algorithms on
 * Strings, Trees, and Sequences", 1997, 1.4). */
static void match_lengths(int32_t *match, const int32_t *history, int n)
{
    const int32_t *last = history + n - 1; /* last[-t] */
    match[0] = n;
    for (int t = 1, left = 0, right = 0; t < n; t++) {
        int len = t < right ? ENG_MIN(right - t, match[t - left]) : 0;
        while (t + len < n && last[-len] == last[-t - len]) len++;
        match[t] = len;
        if (t + len > right) {
            left = t;
            right = t + len;
        }
    }
}

static bool known(const EngDry *dry, int32_t token) { return token >= 0 && token < dry->n_vocab; }

static float penalty_of(const EngSampling *set, int len)
{
    double x = set->dry_multiplier * pow(set->dry_base, len - set->dry_allowed_length);
    return (float)ENG_MIN(x, MAX_PENALTY);
}

void eng_dry_apply(EngDry *dry, const EngSampling *set, float *logits, const int32_t *history,
                   int n)
{
    int window = set->dry_last_n < 0 ? n : ENG_MIN(n, set->dry_last_n);
    window = ENG_MIN(window, dry->max_history);
    history += n - window;
    n = window;

    int unbroken = 0; /* tokens at the end, back to the last breaker */
    while (unbroken < n &&
           !(known(dry, history[n - 1 - unbroken]) && dry->breaker[history[n - 1 - unbroken]]))
        unbroken++;
    if (unbroken < set->dry_allowed_length) return;

    match_lengths(dry->match, history, n);
    for (int t = 1; t < n; t++) {
        int32_t next = history[n - t];
        int len = ENG_MIN(dry->match[t], unbroken);
        if (known(dry, next) && !dry->breaker[next] && len > dry->longest[next])
            dry->longest[next] = len;
    }
    for (int t = 1; t < n; t++) {
        int32_t next = history[n - t];
        if (!known(dry, next)) continue;
        int len = dry->longest[next];
        dry->longest[next] = 0;
        if (len >= set->dry_allowed_length) logits[next] -= penalty_of(set, len);
    }
}
