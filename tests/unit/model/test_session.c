/* Sessions over the tiny reference models of tests/oracle/vectors: prefix reuse, prefill in chunks,
 * stopping between steps, several sessions in one step, ends of an answer, bad weights, and that a
 * decode step allocates nothing. Random weights write nonsense, but always the same nonsense. */
#include <math.h>
#include <unistd.h>

#include "alloc.h"
#include "engine.h"
#include "sessions.h"
#include "test.h"

#define VECTORS TEST_DIR "/../oracle/vectors/"

static EngModel *open_model(const char *file, int threads, int batch)
{
    EngError err = {0};
    EngModelSettings s = eng_model_defaults();
    s.threads = threads;
    s.batch = batch;
    EngModel *m = eng_model_open(file, &s, &err);
    CHECK_MSG(m, "%s: %s", file, err.message);
    return m;
}

typedef struct {
    char text[4096];
    size_t len;
    int prefills;
    EngStopReason reason;
    long allocations; /* in steps that wrote text */
} Answer;

static Answer answer(EngSession *s, const EngMessage *messages, size_t n)
{
    Answer a = {0};
    EngError err = {0};
    EngStep step = {0};
    bool ok = eng_session_prompt(s, messages, n, NULL, &err);
    while (ok && step.kind != ENG_DONE) {
        long before = test_allocations;
        ok = eng_step(&s, 1, &step, &err);
        if (!ok) break;
        if (step.kind == ENG_PREFILL) a.prefills++;
        if (step.kind != ENG_TEXT) continue;
        a.allocations += test_allocations - before;
        if (a.len + step.len < sizeof a.text) memcpy(a.text + a.len, step.text, step.len);
        a.len += step.len;
    }
    CHECK_MSG(ok, "%s", err.message);
    if (step.kind == ENG_DONE) a.reason = step.reason;
    return a;
}

static const EngMessage hello[] = {{"user", "Hello there, how are you?", NULL}};

static void decode_allocates_nothing(void)
{
    static const char *const files[] = {"v3_fused", "v3_q4_k_m", "qwen3moe", "mixtral", "llama"};
    for (size_t i = 0; i < TEST_COUNT(files); i++) {
        char path[512];
        snprintf(path, sizeof path, VECTORS "%s.gguf", files[i]);
        EngModel *m = open_model(path, 2, 512);
        if (!m) continue;
        EngSession *s = open_session(m, 256, 60, 7);
        Answer a = answer(s, hello, 1);
        CHECK_MSG(a.allocations == 0, "%s: %ld allocations", files[i], a.allocations);
        CHECK(a.len > 0);
        eng_session_free(s);
        eng_model_free(m);
    }
}

static void second_turn_computes_what_is_new(void)
{
    EngModel *m = open_model(VECTORS "v3_split.gguf", 2, 512);
    if (!m) return;
    EngSession *s = open_session(m, 256, 20, 1);
    Answer first = answer(s, hello, 1);
    first.text[first.len] = 0;
    EngStats one = eng_session_stats(s);
    CHECK_INT(one.reused_tokens, 0);
    /* The template-less form puts "assistant:" before the answer and "assistant: " when it is
     * history, so the whole first prompt is common. */
    EngMessage turns[] = {hello[0], {"assistant", first.text, NULL}, {"user", "Go on.", NULL}};
    Answer again = answer(s, turns, 3);
    EngStats two = eng_session_stats(s);
    CHECK_MSG(two.reused_tokens >= one.prompt_tokens, "%d reused of %d", two.reused_tokens,
              one.prompt_tokens);
    EngSession *fresh = open_session(m, 256, 20, 1);
    Answer want = answer(fresh, turns, 3);
    CHECK(again.len == want.len && memcmp(again.text, want.text, want.len) == 0);
    Answer same = answer(s, turns, 3); /* the very same prompt: all but its last token is there */
    CHECK_INT(eng_session_stats(s).reused_tokens, eng_session_stats(s).prompt_tokens - 1);
    CHECK(same.len == want.len && memcmp(same.text, want.text, want.len) == 0);
    eng_session_free(fresh);
    eng_session_free(s);
    eng_model_free(m);
}

static void prefill_comes_in_chunks(void)
{
    EngModel *m = open_model(VECTORS "qwen3moe.gguf", 1, 8);
    if (!m) return;
    EngSession *s = open_session(m, 256, 5, 3);
    Answer a = answer(s, hello, 1);
    int tokens = eng_session_stats(s).prompt_tokens;
    CHECK_INT(a.prefills, (tokens + 7) / 8);
    /* Stop inside the prompt, then ask again: what was computed is still there. */
    EngError err = {0};
    EngStep step;
    eng_session_rewind(s, 0);
    CHECK(eng_session_prompt(s, hello, 1, NULL, &err));
    CHECK(eng_step(&s, 1, &step, &err));
    CHECK_INT(step.kind, ENG_PREFILL);
    CHECK_INT(step.done, 8);
    CHECK_INT(step.total, tokens);
    Answer b = answer(s, hello, 1);
    CHECK_INT(eng_session_stats(s).reused_tokens, 8);
    CHECK(a.len == b.len && memcmp(a.text, b.text, a.len) == 0);
    eng_session_free(s);
    eng_model_free(m);
}

static void a_chunk_is_left_off(void)
{
    EngModel *m = open_model(VECTORS "v3_split.gguf", 2, 64);
    if (!m) return;
    EngSession *s = open_session(m, 256, 20, 3);
    Answer want = answer(s, hello, 1);
    EngError err = {0};
    EngStep step;
    int stop = 0, tokens = eng_session_stats(s).prompt_tokens;
    eng_session_rewind(s, 0);
    eng_session_pace(s, 10, &stop);
    CHECK(eng_session_prompt(s, hello, 1, NULL, &err) && eng_step(&s, 1, &step, &err));
    CHECK_INT(step.done, 10);
    stop = 1;
    for (int i = 0; i < 3; i++) {
        CHECK(eng_step(&s, 1, &step, &err));
        CHECK(step.kind == ENG_PREFILL && step.done == 10 && step.total == tokens);
    }
    stop = 0;
    Answer got = {0};
    while (eng_step(&s, 1, &step, &err) && step.kind != ENG_DONE)
        if (step.kind == ENG_TEXT) {
            memcpy(got.text + got.len, step.text, step.len);
            got.len += step.len;
        }
    CHECK(got.len == want.len && memcmp(got.text, want.text, want.len) == 0);
    eng_session_free(s);
    eng_model_free(m);
}

static void seed_decides_whatever_the_threads(void)
{
    Answer first = {0};
    for (int threads = 1; threads <= 4; threads++) {
        EngModel *m = open_model(VECTORS "v3_q4_k_m.gguf", threads, 512);
        if (!m) return;
        EngSession *s = open_session(m, 256, 50, 12345);
        Answer a = answer(s, hello, 1);
        if (threads == 1) first = a;
        CHECK_MSG(a.len == first.len && memcmp(a.text, first.text, a.len) == 0, "%d threads",
                  threads);
        if (threads == 1) {
            EngSession *other = open_session(m, 256, 50, 54321);
            Answer b = answer(other, hello, 1);
            CHECK(a.len != b.len || memcmp(a.text, b.text, a.len) != 0);
            eng_session_free(other);
        }
        eng_session_free(s);
        eng_model_free(m);
    }
}

static void sessions_share_steps(void)
{
    enum { N = 5 };
    EngModel *m = open_model(VECTORS "v3_fused.gguf", 2, 16);
    if (!m) return;
    static const char *const asked[N] = {"One?", "A longer question, to be read in two chunks.",
                                         "3", "four four four", "Five is the last of them."};
    char got[N][2048] = {{0}};
    EngSession *s[N];
    EngError err = {0};
    for (int i = 0; i < N; i++) {
        s[i] = open_session(m, 128, 12, (uint64_t)i + 1);
        EngMessage q = {"user", asked[i], NULL};
        CHECK_MSG(eng_session_prompt(s[i], &q, 1, NULL, &err), "%s", err.message);
    }
    EngStep steps[N];
    for (int idle = 0, round = 0; idle < N && round < 200; round++) {
        CHECK_MSG(eng_step(s, N, steps, &err), "%s", err.message);
        idle = 0;
        for (int i = 0; i < N; i++) {
            if (steps[i].kind == ENG_TEXT) strncat(got[i], steps[i].text, 64);
            idle += steps[i].kind == ENG_IDLE;
        }
    }
    for (int i = 0; i < N; i++) { /* F32 weights: alone or together, the same tokens are drawn */
        EngSession *alone = open_session(m, 128, 12, (uint64_t)i + 1);
        EngMessage q = {"user", asked[i], NULL};
        Answer a = answer(alone, &q, 1);
        a.text[a.len] = 0;
        CHECK_STR(got[i], a.text);
        eng_session_free(alone);
        eng_session_free(s[i]);
    }
    eng_model_free(m);
}

static void answers_end(void)
{
    EngModel *m = open_model(VECTORS "llama.gguf", 1, 512);
    if (!m) return;
    EngSession *s = open_session(m, 256, 9, 2);
    Answer a = answer(s, hello, 1);
    EngStats st = eng_session_stats(s);
    CHECK(a.reason == ENG_STOP_LENGTH || a.reason == ENG_STOP_END);
    if (a.reason == ENG_STOP_LENGTH) CHECK_INT(st.tokens, 9);
    eng_session_free(s);
    s = open_session(m, st.prompt_tokens + 3, 0, 2);
    a = answer(s, hello, 1);
    CHECK_INT(a.reason, ENG_STOP_CONTEXT);
    CHECK_INT(eng_session_stats(s).tokens, 3);
    eng_session_free(s);
    s = open_session(m, st.prompt_tokens, 0, 2);
    EngError err = {0};
    CHECK(!eng_session_prompt(s, hello, 1, NULL, &err));
    CHECK_INT(err.code, ENG_ERR_CONTEXT);
    CHECK(strstr(err.message, "larger context") != NULL);
    EngStep step;
    CHECK(eng_step(&s, 1, &step, &err)); /* nothing was asked: nothing to do */
    CHECK_INT(step.kind, ENG_IDLE);
    eng_session_free(s);
    eng_model_free(m);
}

static void bad_requests_are_errors(void)
{
    EngModel *m = open_model(VECTORS "llama.gguf", 1, 512);
    if (!m) return;
    EngError err = {0};
    EngSession *s = open_session(m, 64, 0, 2);
    int32_t beyond[] = {1, 104};
    CHECK(!eng_session_eval(s, beyond, 2, NULL, &err));
    CHECK_INT(err.code, ENG_ERR_REFUSED);
    int32_t many[65] = {0};
    CHECK(!eng_session_eval(s, many, 65, NULL, &err));
    CHECK_INT(err.code, ENG_ERR_CONTEXT);
    CHECK(eng_session_logits(s) == NULL);
    EngSampling odd = eng_sampling_defaults();
    odd.top_p = 1.5f;
    CHECK(!eng_session_sampler(s, &odd, &err));
    CHECK_INT(err.code, ENG_ERR_USAGE);
    EngSessionSettings huge = {.context = 1 << 24, .kv = ENG_KV_F32}, wrong = {.context = -1};
    CHECK(eng_session_new(m, &wrong, &err) == NULL);
    CHECK_INT(err.code, ENG_ERR_USAGE);
    EngSession *t = eng_session_new(m, &huge, &err); /* a few GiB: granted or refused by name */
    if (!t) CHECK(err.code == ENG_ERR_MEMORY && strstr(err.message, "KV cache"));
    eng_session_free(t);
    eng_session_free(s);
    eng_model_free(m);
}

static _Alignas(64) unsigned char file[1 << 20];

static size_t read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(file, 1, sizeof file, f) : 0;
    if (f) fclose(f);
    CHECK(n > 16384 && n < sizeof file);
    return n > 16384 ? n : 0;
}

static void weights_alone_compute(void)
{
    size_t n = read_file(VECTORS "llama.gguf");
    const char key[] = "tokenizer.ggml.model";
    for (size_t at = 0; at + sizeof key < n; at++)
        if (memcmp(file + at, key, sizeof key - 1) == 0) file[at] = 'T'; /* no such key any more */
    EngError err = {0};
    EngModel *m = n ? eng_model_open_memory(file, n, NULL, &err) : NULL;
    CHECK_MSG(m, "%s", err.message);
    if (!m) return;
    EngSession *s = open_session(m, 64, 0, 1);
    float logits[2 * 104];
    CHECK(eng_session_eval(s, (int32_t[]){5, 6}, 2, logits, &err));
    CHECK(!eng_session_prompt(s, hello, 1, NULL, &err));
    CHECK_INT(err.code, ENG_ERR_REFUSED);
    int32_t *tokens;
    size_t n_tokens;
    CHECK(!eng_tokenize(m, "a", 1, (EngTokenizeOptions){0}, &tokens, &n_tokens, &err));
    CHECK(strstr(err.message, "no vocabulary") != NULL);
    eng_session_free(s);
    eng_model_free(m);
}

/* A file whose output matrix holds a NaN opens (nobody reads all weights first) and is found out at
 * the first answer. */
static void damaged_weights_are_noticed(void)
{
    size_t n = read_file(VECTORS "llama.gguf");
    if (n == 0) return;
    /* The tail of the file is weights: float32 NaN over the last 8 KiB. */
    for (size_t at = n / 4 * 4 - 8192; at + 4 <= n; at += 4)
        memcpy(file + at, &(uint32_t){0x7fc00000}, 4);
    EngError err = {0};
    EngModelSettings set = eng_model_defaults();
    EngModel *m = eng_model_open_memory(file, n, &set, &err);
    if (!m) { /* the NaN fell into a norm */
        CHECK_INT(err.code, ENG_ERR_REFUSED);
        return;
    }
    EngSession *s = open_session(m, 64, 0, 1);
    float logits[2 * 104];
    CHECK(!eng_session_eval(s, (int32_t[]){5, 6}, 2, logits, &err));
    CHECK_INT(err.code, ENG_ERR_REFUSED);
    CHECK(strstr(err.message, "not a number") != NULL);
    eng_session_free(s);
    eng_model_free(m);
}

static void models_in_parts_load(void)
{
    EngModel *m = open_model(VECTORS "llama_shards-00001-of-00003.gguf", 1, 512);
    if (!m) return;
    uint64_t done = 0, total = 1;
    for (int i = 0; i < 10 && done < total; i++) CHECK(eng_model_load(m, &done, &total, NULL));
    CHECK(done == total && total > 0);
    eng_model_free(m);
    EngError err = {0};
    CHECK(eng_model_open(VECTORS "llama_shards-00002-of-00003.gguf", NULL, &err) == NULL);
    CHECK_INT(err.code, ENG_ERR_REFUSED);
    CHECK(strstr(err.message, "00001") != NULL);
}

/* Reading a page of a file that became shorter would end the program. */
static void a_file_that_shrinks_is_an_error(void)
{
    size_t n = read_file(VECTORS "llama.gguf");
    char path[] = "shrinks-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, file, n) == (ssize_t)n);
    EngModel *m = open_model(path, 2, 512);
    unlink(path); /* a file without a name is still a file */
    EngSession *s = open_session(m, 64, 0, 1);
    EngError err = {0};
    uint64_t done, total;
    CHECK_MSG(eng_session_eval(s, (int32_t[]){5, 6}, 2, NULL, &err), "%s", err.message);
    CHECK(ftruncate(fd, (off_t)n / 2) == 0);
    for (int i = 0; i < 2; i++) {
        err = (EngError){0};
        CHECK(!eng_session_eval(s, (int32_t[]){5, 6}, 2, NULL, &err));
        CHECK_INT(err.code, ENG_ERR_IO);
        CHECK(strstr(err.message, "became shorter") != NULL);
    }
    CHECK(!eng_model_load(m, &done, &total, &err));
    eng_session_free(s);
    eng_model_free(m);
    close(fd);
}

/* Relative distance of two rows of logits. */
static double distance(const float *a, const float *b, int n)
{
    double d = 0, w = 0;
    for (int i = 0; i < n; i++) {
        d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        w += (double)b[i] * b[i];
    }
    return sqrt(d / w);
}

/* A single token cuts a long past into parts and merges them; a prompt walks it whole. Both are the
 * same sum, so exact weights and an exact cache must give the same logits but for rounding. */
static void a_long_past_is_merged_rightly(void)
{
    enum { PAST = 2500, MORE = 6, VOCAB = 104 };
    static const char *const files[] = {"v3_split", "llama", "qwen3moe"};
    static int32_t tokens[PAST + MORE];
    static float whole[MORE * VOCAB], single[VOCAB];
    for (size_t i = 0; i < TEST_COUNT(files); i++) {
        char path[512];
        snprintf(path, sizeof path, VECTORS "%s.gguf", files[i]);
        EngModel *m = open_model(path, 2, 512);
        if (!m) continue;
        EngError err = {0};
        EngSessionSettings set = {.context = PAST + MORE, .kv = ENG_KV_F32};
        EngSession *s = eng_session_new(m, &set, &err);
        for (int t = 0; t < PAST + MORE; t++) tokens[t] = test_range(2, VOCAB - 1);
        CHECK_MSG(eng_session_eval(s, tokens, PAST, NULL, &err), "%s", err.message);
        CHECK_MSG(eng_session_eval(s, tokens + PAST, MORE, whole, &err), "%s", err.message);
        eng_session_rewind(s, PAST);
        for (int t = 0; t < MORE; t++) {
            CHECK(eng_session_eval(s, tokens + PAST + t, 1, single, &err));
            double d = distance(single, whole + (size_t)t * VOCAB, VOCAB);
            CHECK_MSG(d <= 2e-5, "%s, token %d: %.3g", files[i], PAST + t, d);
        }
        eng_session_free(s);
        eng_model_free(m);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"decode allocates nothing", decode_allocates_nothing},
        {"second turn computes what is new", second_turn_computes_what_is_new},
        {"prefill comes in chunks", prefill_comes_in_chunks},
        {"a chunk is left off", a_chunk_is_left_off},
        {"seed decides whatever the threads", seed_decides_whatever_the_threads},
        {"sessions share steps", sessions_share_steps},
        {"answers end", answers_end},
        {"bad requests are errors", bad_requests_are_errors},
        {"weights alone compute", weights_alone_compute},
        {"damaged weights are noticed", damaged_weights_are_noticed},
        {"a file that shrinks is an error", a_file_that_shrinks_is_an_error},
        {"models in parts load", models_in_parts_load},
        {"a long past is merged rightly", a_long_past_is_merged_rightly},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
