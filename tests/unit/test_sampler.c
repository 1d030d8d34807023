/* The sampler chain against transformers' logits processors (make_sampler_vectors.py), its draws
 * against their probabilities, and what it promises: no allocation, no dependence on ties' order,
 * plain refusals. */
#include <math.h>

#include "alloc.h"
#include "base/mem.h"
#include "sample/rng.h"
#include "sample/sampler.h"
#include "test.h"

static EngSampling neutral(void)
{
    EngSampling s = eng_sampling_defaults();
    s.temperature = 1;
    s.top_k = 0;
    s.top_p = 1;
    s.min_p = 0;
    s.seed = 1;
    return s;
}

static EngSampler *sampler(const EngSampling *set, int n_vocab, int max_history)
{
    EngError err = {0};
    EngSampler *s = eng_sampler_new(set, n_vocab, max_history, &err);
    if (!s) {
        printf("# %s\n", err.message);
        abort();
    }
    return s;
}

/* ---- against transformers -------------------------------------------------------------------- */

typedef struct {
    char name[32];
    float temperature, top_p, min_p, typical_p, repeat, presence, frequency, dry_multiplier,
        dry_base;
    int32_t top_k, penalty_last_n, dry_allowed_length, dry_last_n, n_vocab, n_history, n_breakers,
        n_kept;
} CaseHead;

static EngSampling settings_of(const CaseHead *h)
{
    return (EngSampling){
        .temperature = h->temperature,
        .top_k = h->top_k,
        .top_p = h->top_p,
        .min_p = h->min_p,
        .typical_p = h->typical_p,
        .repeat_penalty = h->repeat,
        .presence_penalty = h->presence,
        .frequency_penalty = h->frequency,
        .penalty_last_n = h->penalty_last_n,
        .dry_multiplier = h->dry_multiplier,
        .dry_base = h->dry_base,
        .dry_allowed_length = h->dry_allowed_length,
        .dry_last_n = h->dry_last_n,
    };
}

static void *read_numbers(FILE *f, int n)
{
    void *p = calloc((size_t)n + 1, 4);
    if (fread(p, 4, (size_t)n, f) != (size_t)n) abort();
    return p;
}

static void check_candidates(const char *name, const EngCandidates *c, const int32_t *ids,
                             const float *p, int n)
{
    CHECK_MSG(c->n == n, "%s: %d tokens are kept, not %d", name, c->n, n);
    for (int i = 0; i < c->n && i < n; i++) {
        double got = (double)c->weight[i] / c->total;
        CHECK_MSG(c->id[i] == ids[i], "%s: kept token %d is %d, not %d", name, i, c->id[i], ids[i]);
        CHECK_MSG(fabs(got - (double)p[i]) <= 1e-5, "%s: token %d has probability %.7f, not %.7f",
                  name, ids[i], got, (double)p[i]);
        if (c->id[i] != ids[i]) return;
    }
}

static void check_case(FILE *f, const CaseHead *h)
{
    float *logits = read_numbers(f, h->n_vocab);
    int32_t *history = read_numbers(f, h->n_history), *breakers = read_numbers(f, h->n_breakers);
    int32_t *kept = read_numbers(f, h->n_kept);
    float *p = read_numbers(f, h->n_kept);
    EngSampling set = settings_of(h);
    EngSampler *s = sampler(&set, h->n_vocab, h->n_history);
    eng_sampler_set_breakers(s, breakers, h->n_breakers);
    for (int round = 0; round < 2; round++) { /* the second finds whatever the first left behind */
        const EngCandidates *c = eng_sampler_candidates(s, logits, history, h->n_history, NULL);
        CHECK_MSG(c, "%s: refused", h->name);
        if (c) check_candidates(h->name, c, kept, p, h->n_kept);
    }
    eng_sampler_free(s);
    free(logits);
    free(history);
    free(breakers);
    free(kept);
    free(p);
}

static void agrees_with_transformers(void)
{
    FILE *f = fopen(TEST_DIR "/vectors/sampler/cases.bin", "rb");
    CHECK(f);
    if (!f) return;
    int n = 0;
    CaseHead head;
    while (fread(&head, sizeof head, 1, f) == 1) {
        check_case(f, &head);
        n++;
    }
    fclose(f);
    CHECK_INT(n, 86);
}

/* ---- random numbers and draws ---------------------------------------------------------------- */

static void random_numbers_are_the_published_ones(void)
{
    /* The sequences that the generators' published implementations give for these states. */
    static const uint64_t splitmix[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u};
    static const uint64_t xoshiro[] = {11520u,
                                       0u,
                                       1509978240u,
                                       1215971899390074240u,
                                       1216172134540287360u,
                                       607988272756665600u,
                                       16172922978634559625u,
                                       8476171486693032832u};
    uint64_t state = 1234567;
    for (size_t i = 0; i < TEST_COUNT(splitmix); i++)
        CHECK(eng_rng_splitmix(&state) == splitmix[i]);
    EngRng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < TEST_COUNT(xoshiro); i++) CHECK(eng_rng_next(&rng) == xoshiro[i]);
    for (int i = 0; i < 10000; i++) {
        double u = eng_rng_uniform(&rng);
        CHECK(u >= 0 && u < 1);
    }
}

/* Pearson's statistic over the kept tokens has n - 1 degrees of freedom: mean n - 1, deviation
 * sqrt(2 (n - 1)). Six deviations are out of reach of chance. */
static void draws_follow_the_probabilities(void)
{
    enum { VOCAB = 100, DRAWS = 50000 };
    float logits[VOCAB];
    int seen[VOCAB] = {0};
    double expected[VOCAB] = {0}, statistic = 0;
    for (int i = 0; i < VOCAB; i++) logits[i] = 2 * test_float();
    EngSampling set = neutral();
    set.top_k = 50;
    set.top_p = 0.9f;
    set.temperature = 0.8f;
    set.seed = test_random();
    EngSampler *s = sampler(&set, VOCAB, 0);
    const EngCandidates *c = eng_sampler_candidates(s, logits, NULL, 0, NULL);
    int n = c->n;
    for (int i = 0; i < n; i++) expected[c->id[i]] = (double)c->weight[i] / c->total * DRAWS;
    for (int i = 0; i < DRAWS; i++) {
        int32_t token = -1;
        CHECK(eng_sampler_next(s, logits, NULL, 0, &token, NULL));
        seen[token]++;
    }
    for (int i = 0; i < VOCAB; i++) {
        if (expected[i] == 0)
            CHECK_INT(seen[i], 0);
        else
            statistic += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
    }
    CHECK(n > 20);
    CHECK_MSG(statistic < n - 1 + 6 * sqrt(2.0 * (n - 1)), "chi-square is %.1f over %d tokens",
              statistic, n);
    CHECK_MSG(statistic > n - 1 - 6 * sqrt(2.0 * (n - 1)), "chi-square is %.1f over %d tokens",
              statistic, n);
    eng_sampler_free(s);
}

static const float *ranked;

static int better(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (ranked[i] != ranked[j]) return ranked[i] > ranked[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* The largest logits, among them equal ones and both zeros, give what all of them give. */
static void a_few_are_as_good_as_all(void)
{
    enum { VOCAB = 700, FEW = 64 };
    float logits[VOCAB], values[FEW];
    int32_t order[VOCAB];
    for (int round = 0; round < 200; round++) {
        bool coarse = test_range(0, 1);
        EngSampling set = neutral();
        set.temperature = test_range(0, 4) ? 0.1f * (float)test_range(1, 30) : 0;
        set.top_k = test_range(set.temperature > 0, FEW);
        set.top_p = test_range(0, 1) ? 0.01f * (float)test_range(1, 100) : 1;
        set.min_p = test_range(0, 1) ? 0.01f * (float)test_range(0, 30) : 0;
        set.typical_p = test_range(0, 1) ? 0.01f * (float)test_range(1, 100) : 1;
        set.seed = test_random();
        for (int i = 0; i < VOCAB; i++) {
            logits[i] = coarse ? (float)test_range(-3, 2) * (test_range(0, 1) ? 1.0f : -0.0f)
                               : 3 * test_float();
            order[i] = i;
        }
        ranked = logits;
        qsort(order, VOCAB, sizeof *order, better);
        for (int i = 0; i < FEW; i++) values[i] = logits[order[i]];
        EngSampler *all = sampler(&set, VOCAB, 0), *few = sampler(&set, VOCAB, 0);
        CHECK(eng_sampler_needs_few(few, FEW));
        for (int i = 0; i < 10; i++) {
            int32_t a = -1, b = -2;
            CHECK(eng_sampler_next(all, logits, NULL, 0, &a, NULL));
            CHECK(eng_sampler_next_of_few(few, values, order, FEW, &b, NULL));
            CHECK_INT(a, b);
        }
        EngError err = {0};
        int32_t token;
        values[0] = test_range(0, 1) ? NAN : -INFINITY;
        CHECK(!eng_sampler_next_of_few(few, values, order, FEW, &token, &err));
        CHECK_INT(err.code, ENG_ERR_REFUSED);
        eng_sampler_free(all), eng_sampler_free(few);
    }
}

static void few_are_not_always_enough(void)
{
    for (int i = 0; i < 7; i++) {
        EngSampling set = eng_sampling_defaults(); /* top_k 40 */
        if (i == 1) set.top_k = 0;
        if (i == 2) set.top_k = 41;
        if (i == 3) set.repeat_penalty = 1.1f;
        if (i == 4) set.presence_penalty = -0.1f;
        if (i == 5) set.frequency_penalty = 0.1f;
        if (i == 6) set.dry_multiplier = 0.5f;
        for (int greedy = 0; greedy < 2; greedy++) {
            if (greedy) set.temperature = 0;
            EngSampler *s = sampler(&set, 100, 100);
            CHECK_MSG(eng_sampler_needs_few(s, 40) == (i == 0 || (greedy && i < 3)), "%d", i);
            eng_sampler_free(s);
        }
    }
}

static void draw_tokens(EngSampler *s, int32_t *ret, int n)
{
    float logits[64];
    for (int i = 0; i < 64; i++) logits[i] = (float)(i * 37 % 64) * 0.05f;
    for (int i = 0; i < n; i++) CHECK(eng_sampler_next(s, logits, ret, i, &ret[i], NULL));
}

static void same_seed_same_sequence(void)
{
    int32_t a[100], b[100];
    EngSampling set = neutral();
    set.repeat_penalty = 1.1f;
    set.dry_multiplier = 0.8f;
    set.seed = 42;
    EngSampler *s = sampler(&set, 64, 100), *t = sampler(&set, 64, 100);
    draw_tokens(s, a, 100);
    draw_tokens(t, b, 100);
    CHECK(memcmp(a, b, sizeof a) == 0);
    eng_sampler_reset(s, 42);
    draw_tokens(s, b, 100);
    CHECK(memcmp(a, b, sizeof a) == 0);
    eng_sampler_reset(s, 43);
    draw_tokens(s, b, 100);
    CHECK(memcmp(a, b, sizeof a) != 0);
    eng_sampler_reset(s, ENG_SEED_RANDOM);
    draw_tokens(s, a, 100);
    eng_sampler_reset(s, ENG_SEED_RANDOM);
    draw_tokens(s, b, 100);
    CHECK(memcmp(a, b, sizeof a) != 0);
    eng_sampler_free(s);
    eng_sampler_free(t);
}

/* ---- selection ------------------------------------------------------------------------------- */

static int by_rank(const void *a, const void *b)
{
    const float *x = a, *y = b; /* {logit, id} */
    if (x[0] != y[0]) return x[0] > y[0] ? -1 : 1;
    return x[1] < y[1] ? -1 : 1;
}

/* Few distinct logits, so that nearly every cut falls among equals; a sort is the reference. */
static void ties_go_to_the_lower_id(void)
{
    enum { VOCAB = 3000 };
    static float logits[VOCAB], sorted[VOCAB][2];
    for (int round = 0; round < 100; round++) {
        int levels = test_range(1, 6), k = test_range(1, round % 2 ? 60 : VOCAB - 1);
        for (int i = 0; i < VOCAB; i++) {
            logits[i] = (float)test_range(-levels, levels) * 0.5f;
            if (logits[i] == 0 && test_range(0, 1)) logits[i] = -0.0f;
            if (round % 4 == 3 && i % 64 == 17) logits[i] += 100; /* evenly spread peaks */
            sorted[i][0] = logits[i];
            sorted[i][1] = (float)i;
        }
        qsort(sorted, VOCAB, sizeof sorted[0], by_rank);
        static bool wanted[VOCAB];
        memset(wanted, 0, sizeof wanted);
        for (int i = 0; i < k; i++) wanted[(int)sorted[i][1]] = true;
        EngSampling set = neutral();
        set.top_k = k;
        EngSampler *s = sampler(&set, VOCAB, 0);
        const EngCandidates *c = eng_sampler_candidates(s, logits, NULL, 0, NULL);
        CHECK_INT(c->n, k);
        for (int i = 0; i < c->n; i++) CHECK_MSG(wanted[c->id[i]], "token %d is kept", c->id[i]);
        eng_sampler_free(s);
    }
}

/* All equal: top-p keeps the first ids, and the last one kept is the one that reaches the mass. */
static void equal_logits_are_cut_by_id(void)
{
    float logits[1000] = {0};
    EngSampling set = neutral();
    set.top_p = 0.2505f;
    EngSampler *s = sampler(&set, 1000, 0);
    const EngCandidates *c = eng_sampler_candidates(s, logits, NULL, 0, NULL);
    CHECK_INT(c->n, 251);
    CHECK_INT(c->id[250], 250);
    eng_sampler_free(s);
    set = neutral();
    set.temperature = 0;
    s = sampler(&set, 1000, 0);
    int32_t token = -1;
    CHECK(eng_sampler_next(s, logits, NULL, 0, &token, NULL));
    CHECK_INT(token, 0);
    eng_sampler_free(s);
}

static void largest_floats_are_ordinary(void)
{
    float logits[] = {-3.4e38f, 3.4e38f, 1e-42f, -1e-42f, 3.3e38f};
    EngSampling set = neutral();
    set.top_k = 4;
    set.top_p = 0.9999f;
    set.typical_p = 0.9999f;
    EngSampler *s = sampler(&set, 5, 0);
    int32_t token = -1;
    CHECK(eng_sampler_next(s, logits, NULL, 0, &token, NULL));
    CHECK_INT(token, 1);
    eng_sampler_free(s);
}

/* ---- promises -------------------------------------------------------------------------------- */

static EngSampling everything(void)
{
    EngSampling set = eng_sampling_defaults();
    set.typical_p = 0.9f;
    set.repeat_penalty = 1.1f;
    set.presence_penalty = 0.1f;
    set.dry_multiplier = 0.8f;
    return set;
}

static void next_allocates_nothing(void)
{
    enum { VOCAB = 5000, HISTORY = 2000 };
    static float logits[VOCAB];
    static int32_t history[HISTORY];
    EngSampling set = everything();
    EngSampler *s = sampler(&set, VOCAB, HISTORY);
    CHECK(test_allocations > 0); /* the counter counts */
    for (int i = 0; i < HISTORY; i++) history[i] = test_range(0, 20);
    long before = test_allocations;
    eng_guard_begin();
    for (int n = 0; n < HISTORY; n += 100) {
        for (int i = 0; i < VOCAB; i++) logits[i] = 5 * test_float();
        int32_t token = -1;
        CHECK(eng_sampler_next(s, logits, history, n, &token, NULL));
        CHECK(token >= 0 && token < VOCAB);
    }
    eng_guard_end();
    CHECK_INT(test_allocations - before, 0);
    eng_sampler_free(s);
}

/* More history than announced, ids outside the vocabulary, breakers outside it, one token. */
static void odd_histories_are_harmless(void)
{
    int32_t history[500], breakers[] = {-5, 3, 1 << 30};
    float logits[10] = {0};
    for (int i = 0; i < 500; i++) history[i] = test_range(-3, 13);
    EngSampling set = everything();
    for (int n_vocab = 1; n_vocab <= 10; n_vocab += 9) {
        EngSampler *s = sampler(&set, n_vocab, 100);
        eng_sampler_set_breakers(s, breakers, 3);
        for (int n = 0; n <= 500; n += 50) {
            int32_t token = -1;
            CHECK(eng_sampler_next(s, logits, history, n, &token, NULL));
            CHECK(token >= 0 && token < n_vocab);
        }
        eng_sampler_free(s);
    }
    eng_sampler_free(NULL);
}

static void check_refusal(EngSampler *s, const float *logits, const char *words)
{
    EngError err = {0};
    int32_t token = -7;
    CHECK(!eng_sampler_next(s, logits, NULL, 0, &token, &err));
    CHECK_INT(err.code, ENG_ERR_REFUSED);
    CHECK_INT(token, -7);
    CHECK_MSG(strstr(err.message, words), "\"%s\" does not say \"%s\"", err.message, words);
    CHECK(!eng_sampler_next(s, logits, NULL, 0, &token, NULL));
}

static void damaged_logits_are_refused(void)
{
    enum { VOCAB = 37 };
    for (int greedy = 0; greedy < 2; greedy++) {
        EngSampling set = greedy ? neutral() : eng_sampling_defaults();
        if (greedy) set.temperature = -0.5f;
        EngSampler *s = sampler(&set, VOCAB, 0);
        float bad[] = {NAN, -NAN, INFINITY};
        for (size_t i = 0; i < TEST_COUNT(bad); i++) {
            float logits[VOCAB] = {0};
            logits[test_range(0, VOCAB - 1)] = bad[i];
            check_refusal(s, logits, "not a finite number");
        }
        float impossible[VOCAB];
        for (int i = 0; i < VOCAB; i++) impossible[i] = -INFINITY;
        check_refusal(s, impossible, "ruled out every token");
        int only = test_range(0, VOCAB - 1);
        impossible[only] = -1e30f;
        int32_t token = -1;
        CHECK(eng_sampler_next(s, impossible, NULL, 0, &token, NULL));
        CHECK_INT(token, only);
        eng_sampler_free(s);
    }
}

static void check_setting(EngSampling set, const char *message)
{
    EngError err = {0};
    CHECK(!eng_sampler_new(&set, 10, 10, &err));
    CHECK_INT(err.code, ENG_ERR_USAGE);
    CHECK_STR(err.message, message);
}

static void settings_out_of_range_are_named(void)
{
    CHECK(eng_sampling_check(
        &(EngSampling){.repeat_penalty = 1, .dry_base = 1, .dry_allowed_length = 1}, NULL));
    EngSampling s = eng_sampling_defaults();
    CHECK(eng_sampling_check(&s, NULL));
    s.top_p = 1.5f;
    check_setting(s, "The setting top_p is 1.5: choose a value from 0 to 1.");
    s = eng_sampling_defaults();
    s.temperature = NAN;
    EngError err = {0};
    CHECK(!eng_sampling_check(&s, &err));
    CHECK(strstr(err.message, "temperature is"));
    s.temperature = 101;
    check_setting(s, "The setting temperature is 101: choose a value from -1 to 100.");
    s = eng_sampling_defaults();
    s.top_k = -1;
    check_setting(s, "The setting top_k is -1: choose a value from 0 to 2147483647.");
    s = eng_sampling_defaults();
    s.repeat_penalty = 0;
    check_setting(s, "The setting repeat_penalty is 0: choose a value from 0.01 to 100.");
    s = eng_sampling_defaults();
    s.dry_allowed_length = 0;
    check_setting(s, "The setting dry_allowed_length is 0: choose a value from 1 to 2147483647.");
    s = eng_sampling_defaults();
    s.max_tokens = -3;
    check_setting(s, "The setting max_tokens is -3: choose a value from 0 to 2147483647.");
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"agrees_with_transformers", agrees_with_transformers},
        {"random_numbers_are_the_published_ones", random_numbers_are_the_published_ones},
        {"draws_follow_the_probabilities", draws_follow_the_probabilities},
        {"a_few_are_as_good_as_all", a_few_are_as_good_as_all},
        {"few_are_not_always_enough", few_are_not_always_enough},
        {"same_seed_same_sequence", same_seed_same_sequence},
        {"ties_go_to_the_lower_id", ties_go_to_the_lower_id},
        {"equal_logits_are_cut_by_id", equal_logits_are_cut_by_id},
        {"largest_floats_are_ordinary", largest_floats_are_ordinary},
        {"next_allocates_nothing", next_allocates_nothing},
        {"odd_histories_are_harmless", odd_histories_are_harmless},
        {"damaged_logits_are_refused", damaged_logits_are_refused},
        {"settings_out_of_range_are_named", settings_out_of_range_are_named},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
