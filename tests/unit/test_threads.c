/* Sessions of one model on different threads: the model's compute lock serialises their steps, and
 * each writes what it would write alone. Runs under ThreadSanitizer too. */
#include <pthread.h>

#include "engine.h"
#include "test.h"

enum { SESSIONS = 3, TOKENS = 20 };

typedef struct {
    EngModel *model;
    int number;
    char text[1024];
    EngError err;
} Talk;

static void *talk(void *arg)
{
    Talk *t = arg;
    EngSessionSettings set = {.context = 128, .kv = ENG_KV_F16};
    EngSampling sampling = eng_sampling_defaults();
    sampling.seed = (uint64_t)t->number + 1;
    sampling.max_tokens = TOKENS;
    EngSession *s = eng_session_new(t->model, &set, &t->err);
    EngMessage ask = {"user", t->number % 2 ? "An odd question." : "Even so, what now?", NULL};
    EngStep step = {0};
    bool ok = s && eng_session_sampler(s, &sampling, &t->err) &&
              eng_session_prompt(s, &ask, 1, NULL, &t->err);
    while (ok && step.kind != ENG_DONE) {
        ok = eng_step(&s, 1, &step, &t->err);
        if (ok && step.kind == ENG_TEXT && strlen(t->text) + step.len < sizeof t->text)
            strcat(t->text, step.text);
    }
    eng_session_free(s);
    return NULL;
}

static void sessions_on_threads(void)
{
    EngError err = {0};
    EngModelSettings set = eng_model_defaults();
    set.threads = 2;
    EngModel *m = eng_model_open(TEST_DIR "/../oracle/vectors/v3_split.gguf", &set, &err);
    CHECK_MSG(m, "%s", err.message);
    if (!m) return;
    static Talk alone[SESSIONS], together[SESSIONS];
    pthread_t threads[SESSIONS];
    for (int i = 0; i < SESSIONS; i++) {
        alone[i] = together[i] = (Talk){.model = m, .number = i};
        talk(&alone[i]);
        CHECK_MSG(alone[i].err.code == ENG_OK, "%s", alone[i].err.message);
    }
    for (int i = 0; i < SESSIONS; i++) pthread_create(&threads[i], NULL, talk, &together[i]);
    for (int i = 0; i < SESSIONS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_MSG(together[i].err.code == ENG_OK, "%s", together[i].err.message);
        CHECK_STR(together[i].text, alone[i].text);
        CHECK(alone[i].text[0] != 0);
    }
    eng_model_free(m);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"sessions on threads", sessions_on_threads}};
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
