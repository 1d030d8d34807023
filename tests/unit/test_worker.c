/* The worker over Ember, the real model that comes with Hearth: what it says is what a session of
 * the engine says, news come at the pace they should, and nothing is lost whatever interrupts. */
#include <glib/gstdio.h>

#include "models/ember.h"
#include "test.h"
#include "worker/request.h"
#include "worker/worker.h"

#define CONTEXT 1024

/* ---- the main loop ----------------------------------------------------------------------------
 */

static gboolean on_time_out(void *data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* Runs the main loop until `condition` holds; false after two minutes. */
#define RUN_UNTIL(condition)                                                                       \
    ({                                                                                             \
        bool late_ = false;                                                                        \
        guint timer_ = g_timeout_add_seconds(120, on_time_out, &late_);                            \
        while (!late_ && !(condition)) g_main_context_iteration(NULL, TRUE);                       \
        if (!late_) g_source_remove(timer_);                                                       \
        CHECK_MSG(!late_, "after two minutes: %s", #condition);                                    \
        !late_;                                                                                    \
    })

static void run_for(int ms)
{
    bool over = false;
    g_timeout_add((guint)ms, on_time_out, &over);
    while (!over) g_main_context_iteration(NULL, TRUE);
}

/* ---- an answer and all that was told of it ----------------------------------------------------
 */

typedef struct {
    HearthJob *job;
    GString *text, *thinking;
    bool ended;
    int changes;
    unsigned seen; /* 1 << state, of the states that were told */
    gint64 first, last;
} Answer;

static void on_changed(HearthJob *job, Answer *answer)
{
    HearthState state = hearth_job_get_state(job);
    CHECK(!answer->ended);
    answer->seen |= 1u << state;
    answer->changes++;
    answer->last = g_get_monotonic_time();
    if (!answer->first) answer->first = answer->last;
    hearth_job_take_text(job, answer->text, answer->thinking);
    answer->ended = !hearth_state_is_running(state);
}

static HearthRequest *request_new(const char *question, int max_tokens)
{
    HearthRequest *request = hearth_request_new();
    hearth_request_add(request, "user", question, NULL);
    request->context = CONTEXT;
    request->sampling.temperature = 0;
    request->sampling.max_tokens = max_tokens;
    return request;
}

/* Ember as a file in which no token ends an answer: it goes on for as long as there is context. */
static const char *endless(void)
{
    static char *path;
    if (path) return path;
    static const char eos[] = "tokenizer.ggml.eos_token_id", end[] = "<|end|>";
    size_t size;
    const void *data = hearth_ember_data(&size);
    g_autofree char *copy = g_memdup2(data, size);
    char *at = memmem(copy, size, eos, sizeof eos - 1);
    CHECK(at != NULL);
    if (at) memset(at + sizeof eos - 1 + 4, 0, 4); /* key, type, then the id */
    for (char *p = copy; (p = memmem(p, size - (size_t)(p - copy), end, sizeof end - 1));)
        memcpy(p, "<|enx|>", sizeof end - 1);
    g_autofree char *folder = g_dir_make_tmp("hearth-test-XXXXXX", NULL);
    path = g_build_filename(folder, "endless.gguf", NULL);
    CHECK(g_file_set_contents(path, copy, (gssize)size, NULL));
    return path;
}

static HearthRequest *babble_new(void)
{
    HearthRequest *request = request_new("Tell me everything.", 0);
    request->context = 1 << 16;
    return request;
}

static void answer_begin(Answer *answer, HearthWorker *worker, HearthRequest *request)
{
    *answer = (Answer){.text = g_string_new(NULL), .thinking = g_string_new(NULL)};
    answer->job = hearth_worker_submit(worker, request);
    g_signal_connect(answer->job, "changed", G_CALLBACK(on_changed), answer);
}

static void answer_clear(Answer *answer)
{
    g_signal_handlers_disconnect_by_data(answer->job, answer);
    g_object_unref(answer->job);
    g_string_free(answer->text, TRUE);
    g_string_free(answer->thinking, TRUE);
}

static HearthWorker *worker_new(const char *path)
{
    HearthWorker *worker = hearth_worker_new();
    hearth_worker_load(worker, path, 0);
    return worker;
}

static void worker_free(HearthWorker *worker)
{
    hearth_worker_close(worker);
    g_object_unref(worker);
}

static bool is_ready(HearthWorker *worker)
{
    return hearth_worker_get_state(worker) == HEARTH_MODEL_READY;
}

/* ---- what the engine says by itself -----------------------------------------------------------
 */

static char *direct_answer(const char *question, int max_tokens)
{
    size_t size;
    const void *data = hearth_ember_data(&size);
    EngError err = {0};
    EngModel *model = eng_model_open_memory(data, size, NULL, &err);
    EngSessionSettings settings = {.context = CONTEXT, .kv = ENG_KV_F16};
    EngSession *session = model ? eng_session_new(model, &settings, &err) : NULL;
    EngSampling sampling = eng_sampling_defaults();
    sampling.temperature = 0;
    sampling.max_tokens = max_tokens;
    EngMessage message = {.role = "user", .content = question};
    GString *text = g_string_new(NULL);
    EngStep step = {0};
    bool ok = session && eng_session_sampler(session, &sampling, &err) &&
              eng_session_prompt(session, &message, 1, NULL, &err);
    while (ok && step.kind != ENG_DONE) {
        ok = eng_step(&session, 1, &step, &err);
        if (ok && step.kind == ENG_TEXT) g_string_append_len(text, step.text, (gssize)step.len);
    }
    CHECK_MSG(ok, "%s", err.message);
    eng_session_free(session);
    eng_model_free(model);
    return g_string_free(text, FALSE);
}

static const char ASKED[] = "What is Hearth?";

static void asks_and_gets_the_engines_text(void)
{
    HearthWorker *worker = worker_new(NULL);
    Answer answer;
    CHECK_INT(hearth_worker_get_state(worker), HEARTH_MODEL_LOADING);
    answer_begin(&answer, worker, request_new(ASKED, 0));
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_LOADING);
    RUN_UNTIL(answer.ended);
    g_autofree char *want = direct_answer(ASKED, 0);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_DONE);
    CHECK(answer.text->len > 20);
    CHECK_STR(answer.text->str, want);
    CHECK_STR(hearth_job_get_model(answer.job), "Ember");
    CHECK(hearth_job_get_error(answer.job) == NULL);
    HearthStats stats = hearth_job_get_stats(answer.job);
    CHECK(stats.prompt_tokens > 2 && stats.tokens > 5 && stats.first_token_s > 0);
    CHECK(stats.decode_s > 0 && stats.prefill_s > 0);
    RUN_UNTIL(is_ready(worker));
    HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_STR(info->name, "Ember");
    CHECK_STR(info->arch, "deepseek2");
    CHECK(info->path == NULL && info->has_template && info->has_vocabulary);
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++)
        CHECK_MSG(info->bytes[kind][HEARTH_DEVICE_DRAM] > 0, "kind %d has no bytes", kind);
    answer_clear(&answer);
    worker_free(worker);
}

static void stops_and_goes_away(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    run_for(200);
    hearth_job_stop(answer.job);
    hearth_job_stop(answer.job);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    CHECK(answer.seen & 1u << HEARTH_STATE_ANSWERING);
    answer_clear(&answer);
    hearth_worker_unload(worker);
    RUN_UNTIL(hearth_worker_get_state(worker) == HEARTH_MODEL_NONE);
    CHECK(hearth_worker_get_info(worker) == NULL);
    answer_begin(&answer, worker, request_new(ASKED, 0));
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_FAILED);
    CHECK(g_strrstr(hearth_job_get_error(answer.job)->message, "No model is loaded"));
    answer_clear(&answer);
    worker_free(worker);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"asks and gets the engine's text", asks_and_gets_the_engines_text},
        {"stops and goes away", stops_and_goes_away},
    };
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    g_autofree char *folder = g_path_get_dirname(endless());
    g_remove(endless());
    g_rmdir(folder);
    return rc;
}
