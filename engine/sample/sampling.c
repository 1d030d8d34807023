#include <limits.h>

#include "base/num.h"
#include "sample/sampler.h"

/* temperature 0.6 and top_p 0.95 are what the makers of DeepSeek-R1 and of Qwen3 (thinking)
 * recommend: greedy reasoning loops, and above 0.7 it loses its thread. top_k 40 and min_p 0.05
 * cut the tail that quantized weights lift out of the noise. Penalties are off: they spoil code
 * and tables, which repeat for good reasons. */
EngSampling eng_sampling_defaults(void)
{
    return (EngSampling){
        .temperature = 0.6f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .typical_p = 1,
        .repeat_penalty = 1,
        .penalty_last_n = 64,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
        .dry_last_n = -1,
        .seed = ENG_SEED_RANDOM,
    };
}

typedef struct {
    const char *name;
    double value, low, high;
} Range;

static bool check_ranges(const Range *ranges, size_t n, EngError *err)
{
    for (size_t i = 0; i < n; i++) {
        const Range *r = &ranges[i];
        if (r->value >= r->low && r->value <= r->high) continue; /* false for NaN too */
        return eng_fail(err, ENG_ERR_USAGE,
                        "The setting %s is %.9g: choose a value from %.9g to %.10g.", r->name,
                        r->value, r->low, r->high);
    }
    return true;
}

bool eng_sampling_check(const EngSampling *s, EngError *err)
{
    const Range ranges[] = {
        {"temperature", (double)s->temperature, -1,
         100}, /* llama.cpp's users write -1 for greedy */
        {"top_k", s->top_k, 0, INT_MAX},
        {"top_p", (double)s->top_p, 0, 1},
        {"min_p", (double)s->min_p, 0, 1},
        {"typical_p", (double)s->typical_p, 0, 1},
        {"repeat_penalty", (double)s->repeat_penalty, 0.01, 100},
        {"presence_penalty", (double)s->presence_penalty, -2, 2}, /* OpenAI's range */
        {"frequency_penalty", (double)s->frequency_penalty, -2, 2},
        {"penalty_last_n", s->penalty_last_n, -1, INT_MAX},
        {"dry_multiplier", (double)s->dry_multiplier, 0, 100},
        {"dry_base", (double)s->dry_base, 1, 100},
        {"dry_allowed_length", s->dry_allowed_length, 1, INT_MAX},
        {"dry_last_n", s->dry_last_n, -1, INT_MAX},
        {"max_tokens", s->max_tokens, 0, INT_MAX},
    };
    return check_ranges(ranges, ENG_LEN(ranges), err);
}
