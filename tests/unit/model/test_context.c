/* The KV cache in each of its forms, with both kinds of attention, over models of random weights:
 * how far the forms are apart, that a long past cut into parts is the same past, and that nothing
 * of this depends on threads or on what was forgotten. */
#include <math.h>

#include "thought_model.h"

enum { PAST = 1100, MORE = 5 };

static const char *const families[] = {"qwen3moe", "deepseek2"};

static EngModel *open_model(const char *family, int threads)
{
    EngError err = {0};
    EngHeader header = thought_model(family, "F32");
    EngModelSettings settings = {.threads = threads, .batch = 256};
    EngModel *model = eng_model_rehearse(&header, 1, (uint64_t)1 << 30, &settings, &err);
    free((void *)header.data);
    CHECK_MSG(model, "%s: %s", family, err.message);
    uint64_t done = 0, total = 1;
    while (model && done < total) CHECK(eng_model_load(model, &done, &total, &err));
    return model;
}

static EngSession *open_session(EngModel *model, EngKvType kv)
{
    EngError err = {0};
    EngSessionSettings set = {.context = PAST + MORE, .kv = kv};
    EngSession *s = eng_session_new(model, &set, &err);
    CHECK_MSG(s, "%s", err.message);
    return s;
}

static void evaluate(EngSession *s, const int32_t *tokens, int n, float *ret_logits)
{
    EngError err = {0};
    CHECK_MSG(eng_session_eval(s, tokens, (size_t)n, ret_logits, &err), "%s", err.message);
}

static double distance(const float *x, const float *want, int n)
{
    double d = 0, w = 0;
    for (int i = 0; i < n; i++) {
        double e = (double)x[i] - (double)want[i];
        d += e * e;
        w += (double)want[i] * (double)want[i];
    }
    return sqrt(d / w);
}

static int32_t tokens[PAST + MORE];

static void random_tokens(void)
{
    for (int t = 0; t < PAST + MORE; t++) tokens[t] = test_range(0, VOCAB - 1);
}

/* A half has 11 bits: 2^-12 of a number at most; a block of bytes 2^-8 of its largest. */
static void forms_are_near(void)
{
    static float want[VOCAB], got[VOCAB];
    random_tokens();
    for (size_t i = 0; i < TEST_COUNT(families); i++) {
        EngModel *model = open_model(families[i], 2);
        EngSession *exact = open_session(model, ENG_KV_F32);
        evaluate(exact, tokens, PAST, NULL);
        evaluate(exact, tokens + PAST, 1, want);
        static const EngKvType forms[] = {ENG_KV_F16, ENG_KV_Q8_0};
        static const double bounds[] = {0.003, 0.04};
        for (size_t f = 0; f < TEST_COUNT(forms); f++) {
            EngSession *s = open_session(model, forms[f]);
            CHECK(eng_session_stats(s).kv_bytes < eng_session_stats(exact).kv_bytes * 6 / 10);
            evaluate(s, tokens, PAST, NULL);
            evaluate(s, tokens + PAST, 1, got);
            double d = distance(got, want, VOCAB);
            CHECK_MSG(d < bounds[f] && d > 0, "%s, form %zu: %.3g", families[i], f, d);
            eng_session_free(s);
        }
        eng_session_free(exact);
        eng_model_free(model);
    }
}

/* One token walks a long past in parts, several walk it whole. Bytes: queries are rounded in the
 * same way in both, so that only the order of sums differs. */
static void parts_are_the_whole(void)
{
    static float whole[MORE * VOCAB], single[VOCAB];
    static const EngKvType forms[] = {ENG_KV_F32, ENG_KV_Q8_0};
    static const double bounds[] = {2e-5, 0.005};
    random_tokens();
    for (size_t i = 0; i < 2 * TEST_COUNT(families); i++) {
        const char *family = families[i / 2];
        EngModel *model = open_model(family, 2);
        EngSession *s = open_session(model, forms[i % 2]);
        evaluate(s, tokens, PAST, NULL);
        evaluate(s, tokens + PAST, MORE, whole);
        eng_session_rewind(s, PAST);
        for (int t = 0; t < MORE; t++) {
            evaluate(s, tokens + PAST + t, 1, single);
            double d = distance(single, whole + (size_t)t * VOCAB, VOCAB);
            CHECK_MSG(d < bounds[i % 2], "%s, form %zu, token %d: %.3g", family, i % 2, PAST + t,
                      d);
        }
        eng_session_free(s);
        eng_model_free(model);
    }
}

/* What was forgotten leaves no trace, and neither do threads: the same bits. */
static void nothing_else_matters(void)
{
    static float first[VOCAB], again[VOCAB], other[VOCAB];
    random_tokens();
    for (size_t i = 0; i < TEST_COUNT(families); i++) {
        EngModel *model = open_model(families[i], 1), *many = open_model(families[i], 3);
        EngSession *s = open_session(model, ENG_KV_Q8_0), *m = open_session(many, ENG_KV_Q8_0);
        evaluate(s, tokens, PAST, NULL);
        evaluate(s, tokens + PAST, 1, first);
        eng_session_rewind(s, PAST / 2);
        evaluate(s, tokens, 40, NULL); /* something else */
        eng_session_rewind(s, PAST / 2);
        evaluate(s, tokens + PAST / 2, PAST - PAST / 2, NULL);
        evaluate(s, tokens + PAST, 1, again);
        CHECK_MSG(distance(again, first, VOCAB) < 0.005, "%s: %.3g", families[i],
                  distance(again, first, VOCAB));
        evaluate(m, tokens, PAST, NULL);
        evaluate(m, tokens + PAST, 1, other);
        CHECK(memcmp(other, first, sizeof first) == 0);
        eng_session_free(s);
        eng_session_free(m);
        eng_model_free(model);
        eng_model_free(many);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"forms are near", forms_are_near},
        {"parts are the whole", parts_are_the_whole},
        {"nothing else matters", nothing_else_matters},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
