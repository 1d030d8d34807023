/* The worker over Ember, the real model that comes with Hearth: what it says is what a session of
 * the engine says, news come at the pace they should, and a stop stops. */
#include "worker/job_stream.h"
#include "common.h"

/* ---- what the engine says by itself ---------------------------------------------------------- */

/* `path` NULL = Ember. */
static char *direct_answer(const char *path, const char *question, int max_tokens)
{
    size_t size;
    const void *data = hearth_ember_data(&size);
    EngError err = {0};
    EngModel *model =
        path ? eng_model_open(path, NULL, &err) : eng_model_open_memory(data, size, NULL, &err);
    EngSessionSettings settings = {.context = 8192, .kv = ENG_KV_F16};
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
    g_autofree char *want = direct_answer(NULL, ASKED, 0);
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
    for (int kind = 0; kind < HEARTH_KIND_CACHE; kind++)
        CHECK_MSG(info->bytes[kind][HEARTH_DEVICE_DRAM] > 0, "kind %d has no bytes", kind);
    answer_clear(&answer);
    worker_free(worker);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A fast model makes thousands of tokens a second; the main loop hears of them thirty times. */
static void streams_at_its_pace(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    RUN_UNTIL(is_ready(worker));
    double cpu = cpu_seconds();
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    run_for(700);
    hearth_job_stop(answer.job);
    RUN_UNTIL(answer.ended);
    cpu = cpu_seconds() - cpu;
    double seconds = (double)(answer.last - answer.first) / G_USEC_PER_SEC;
    int tokens = hearth_job_get_stats(answer.job).tokens;
    g_autofree char *want = direct_answer(endless(), "Tell me everything.", tokens);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    CHECK_STR(answer.text->str, want);
    CHECK_MSG(answer.changes <= 30 * seconds + 2, "%d changes in %.2f s", answer.changes, seconds);
    CHECK_MSG(answer.changes > 3, "%d changes", answer.changes);
    printf("# %d tokens in %.2f s, %d changes, main thread %.2f %% of a core\n", tokens, seconds,
           answer.changes, 100 * cpu / seconds);
    answer_clear(&answer);
    worker_free(worker);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void stops_within_a_token(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    double worst = 0;
    for (int i = 0; i < 10; i++) {
        answer_begin(&answer, worker, babble_new());
        RUN_UNTIL(answer.text->len > 0);
        run_for(test_range(0, 60));
        gint64 time = g_get_monotonic_time();
        hearth_job_stop(answer.job);
        hearth_job_take_text(answer.job, answer.text, answer.thinking);
        size_t len = answer.text->len;
        hearth_job_stop(answer.job);
        RUN_UNTIL(answer.ended);
        worst = MAX(worst, (double)(answer.last - time) / 1000);
        CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
        CHECK(hearth_job_get_error(answer.job) == NULL &&
              hearth_job_get_stats(answer.job).tokens > 0);
        /* One token was in the making; Ember's longest have some 30 bytes. */
        CHECK_MSG(answer.text->len <= len + 40, "%zu bytes after the stop", answer.text->len - len);
        answer_clear(&answer);
    }
    printf("# told of a stop after %.1f ms at most\n", worst);
    worker_free(worker);
}

static HearthRequest *long_prompt(int repeats)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < repeats; i++)
        g_string_append_printf(text, "Sentence %d is about nothing in particular. ", i);
    HearthRequest *request = request_new(text->str, 20);
    request->context = 32768;
    g_string_free(text, TRUE);
    return request;
}

static void stops_while_reading(void)
{
    HearthWorker *worker = worker_new(NULL);
    Answer answer;
    gint64 done, total;
    double left;
    RUN_UNTIL(is_ready(worker));
    answer_begin(&answer, worker, long_prompt(2000));
    do {
        RUN_UNTIL(answer.changes > 0);
        answer.changes = 0;
        hearth_job_get_progress(answer.job, &done, &total, &left);
    } while (!answer.ended &&
             (hearth_job_get_state(answer.job) != HEARTH_STATE_READING || done == 0));
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_READING);
    CHECK_MSG(done > 0 && done < total && total > 10000 && left > 0, "%ld of %ld, %.2f s left",
              (long)done, (long)total, left);
    gint64 time = g_get_monotonic_time();
    hearth_job_stop(answer.job);
    RUN_UNTIL(answer.ended);
    printf("# stopped reading after %.1f ms\n", (double)(answer.last - time) / 1000);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    CHECK_INT(answer.text->len, 0);
    answer_clear(&answer);
    worker_free(worker);
}

/* ---- several --------------------------------------------------------------------------------- */

static void answers_in_turn(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer first, second, third;
    RUN_UNTIL(is_ready(worker));
    answer_begin(&first, worker, babble_new());
    answer_begin(&second, worker, babble_new());
    HearthRequest *request = babble_new();
    request->sampling.max_tokens = 10;
    request->conversation = 3;
    answer_begin(&third, worker, request);
    CHECK_INT(hearth_job_get_state(second.job), HEARTH_STATE_QUEUED);
    CHECK_INT(hearth_job_get_state(third.job), HEARTH_STATE_QUEUED);
    RUN_UNTIL(first.text->len > 0);
    CHECK(!first.ended);
    hearth_job_stop(second.job);
    RUN_UNTIL(second.ended);
    CHECK_MSG(!first.ended, "a stop in the queue waited for the answer before");
    CHECK_INT(hearth_job_get_state(second.job), HEARTH_STATE_STOPPED);
    CHECK_INT(second.text->len, 0);
    CHECK_INT(hearth_job_get_state(third.job), HEARTH_STATE_QUEUED);
    hearth_job_stop(first.job);
    RUN_UNTIL(third.ended);
    CHECK(first.ended && first.last <= third.last);
    CHECK_INT(hearth_job_get_state(first.job), HEARTH_STATE_STOPPED);
    CHECK_INT(hearth_job_get_state(third.job), HEARTH_STATE_LENGTH);
    g_autofree char *want = direct_answer(endless(), "Tell me everything.", 10);
    CHECK_STR(third.text->str, want);
    answer_clear(&first);
    answer_clear(&second);
    answer_clear(&third);
    worker_free(worker);
}

static int reused(HearthWorker *worker, gint64 conversation, int context)
{
    Answer answer;
    HearthRequest *request = request_new(ASKED, 5);
    request->conversation = conversation;
    request->context = context;
    answer_begin(&answer, worker, request);
    RUN_UNTIL(answer.ended);
    int tokens = hearth_job_get_stats(answer.job).reused_tokens;
    answer_clear(&answer);
    return tokens;
}

static uint64_t kv_bytes(HearthWorker *worker)
{
    run_for(100); /* the information may come after the answer's end */
    return hearth_worker_get_info(worker)->bytes[HEARTH_KIND_KV][HEARTH_DEVICE_DRAM];
}

static void keeps_a_few_sessions(void)
{
    HearthWorker *worker = worker_new(NULL);
    RUN_UNTIL(is_ready(worker));
    CHECK_INT(kv_bytes(worker), 0);
    for (gint64 c = 1; c <= 4; c++) CHECK_INT(reused(worker, c, 256), 0);
    uint64_t four = kv_bytes(worker);
    CHECK_INT(four, 4 * 256 * hearth_model_info_kv_bytes(hearth_worker_get_info(worker), "f16"));
    for (gint64 c = 1; c <= 4; c++) CHECK(reused(worker, c, 256) > 2);
    CHECK_INT(reused(worker, 5, 256), 0); /* and conversation 1 goes */
    CHECK_INT(kv_bytes(worker), four);
    CHECK(reused(worker, 2, 256) > 2);
    CHECK_INT(reused(worker, 1, 256), 0); /* and 3 */
    CHECK(reused(worker, 4, 256) > 2);
    CHECK_INT(reused(worker, 4, 512), 0); /* another context is another cache */
    CHECK_INT(kv_bytes(worker), four / 4 * 5);
    CHECK_INT(reused(worker, 0, 256), 0);
    CHECK_INT(reused(worker, 0, 256), 0); /* nobody's */
    worker_free(worker);
}

/* ---- the engine's ends ----------------------------------------------------------------------- */

static void says_when_the_context_is_full(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    HearthRequest *request = long_prompt(100);
    request->context = 200;
    answer_begin(&answer, worker, request);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_CONTEXT_FULL);
    const GError *error = hearth_job_get_error(answer.job);
    CHECK_MSG(error && strstr(error->message, " 200") && strstr(error->message, "tokens"), "%s",
              error ? error->message : "no error");
    CHECK_INT(hearth_job_get_stats(answer.job).tokens, 0);
    answer_clear(&answer);

    request = babble_new();
    request->context = 200;
    answer_begin(&answer, worker, request);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_CONTEXT_FULL);
    CHECK(answer.text->len > 100);
    error = hearth_job_get_error(answer.job);
    CHECK_MSG(error && strstr(error->message, "200 tokens is full"), "%s",
              error ? error->message : "no error");
    answer_clear(&answer);

    request = request_new(ASKED, 0);
    request->sampling.top_p = 7;
    answer_begin(&answer, worker, request);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_FAILED);
    CHECK(hearth_job_get_error(answer.job) != NULL);
    answer_clear(&answer);
    worker_free(worker);
}

static void goes_on(void)
{
    HearthWorker *worker = worker_new(NULL);
    Answer part, rest;
    HearthRequest *request = request_new(ASKED, 6);
    request->conversation = 9;
    answer_begin(&part, worker, request);
    RUN_UNTIL(part.ended);
    CHECK_INT(hearth_job_get_state(part.job), HEARTH_STATE_LENGTH);
    request = request_new(ASKED, 0);
    request->conversation = 9;
    request->goes_on = true;
    hearth_request_add(request, "assistant", part.text->str, NULL);
    answer_begin(&rest, worker, request);
    RUN_UNTIL(rest.ended);
    HearthStats stats = hearth_job_get_stats(rest.job);
    CHECK_INT(hearth_job_get_state(rest.job), HEARTH_STATE_DONE);
    CHECK_INT(stats.reused_tokens, stats.prompt_tokens - 1);
    g_string_append(part.text, rest.text->str);
    g_autofree char *want = direct_answer(NULL, ASKED, 0);
    CHECK_STR(part.text->str, want);
    answer_clear(&part);
    answer_clear(&rest);
    worker_free(worker);
}

/* ---- what else is told ----------------------------------------------------------------------- */

typedef struct {
    int rates, used;
    double highest;
    int most_used;
} Told;

static void on_rate(HearthWorker *worker, GParamSpec *spec, Told *told)
{
    double rate;
    (void)spec;
    g_object_get(worker, "rate", &rate, NULL);
    told->rates++;
    told->highest = MAX(told->highest, rate);
}

static void on_used(HearthWorker *worker, GParamSpec *spec, Told *told)
{
    int used;
    (void)spec;
    g_object_get(worker, "context-used", &used, NULL);
    told->used++;
    told->most_used = MAX(told->most_used, used);
}

static void tells_rate_and_context(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    Told told = {0};
    gboolean busy;
    double rate;
    int size;
    RUN_UNTIL(is_ready(worker));
    g_signal_connect(worker, "notify::rate", G_CALLBACK(on_rate), &told);
    g_signal_connect(worker, "notify::context-used", G_CALLBACK(on_used), &told);
    gint64 time = g_get_monotonic_time();
    answer_begin(&answer, worker, babble_new());
    run_for(1500);
    g_object_get(worker, "busy", &busy, "context-size", &size, NULL);
    CHECK(busy);
    CHECK_INT(size, 1 << 16);
    hearth_job_stop(answer.job);
    RUN_UNTIL(answer.ended);
    run_for(100);
    double seconds = (double)(g_get_monotonic_time() - time) / G_USEC_PER_SEC;
    HearthStats stats = hearth_job_get_stats(answer.job);
    double mean = stats.tokens / stats.decode_s;
    CHECK_MSG(told.rates >= 3 && told.rates <= 5 * seconds + 2, "%d in %.1f s", told.rates,
              seconds);
    CHECK_MSG(told.used >= 3 && told.used <= 5 * seconds + 3, "%d in %.1f s", told.used, seconds);
    CHECK_MSG(told.highest > mean / 10 && told.highest < mean * 10, "%.0f, and %.0f in the mean",
              told.highest, mean);
    CHECK(told.most_used > stats.prompt_tokens &&
          told.most_used <= stats.prompt_tokens + stats.tokens);
    g_object_get(worker, "busy", &busy, "rate", &rate, NULL);
    CHECK(!busy && rate == 0);
    answer_clear(&answer);
    worker_free(worker);
}

typedef struct {
    int n;
    GError *error;
    bool done;
} Count;

static void on_counted(GObject *source, GAsyncResult *result, void *data)
{
    Count *count = data;
    count->n = hearth_worker_count_finish(HEARTH_WORKER(source), result, &count->error);
    count->done = true;
}

static void counts_beside_an_answer(void)
{
    enum { COUNTS = 60 };
    static const char text[] = "One two three: <|end|> four, five.\n";
    Count counts[COUNTS] = {0};
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    hearth_worker_count_async(worker, text, NULL, on_counted, &counts[0]);
    RUN_UNTIL(counts[0].done && is_ready(worker));
    if (counts[0].error) { /* it may have come before the model */
        CHECK_INT(counts[0].n, -1);
        CHECK(strstr(counts[0].error->message, "No model"));
        g_clear_error(&counts[0].error);
    }
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    for (int i = 0; i < COUNTS; i++) {
        counts[i].done = false;
        hearth_worker_count_async(worker, text, NULL, on_counted, &counts[i]);
    }
    for (int i = 0; i < COUNTS; i++) {
        RUN_UNTIL(counts[i].done);
        CHECK_MSG(!counts[i].error && counts[i].n > 5 && counts[i].n == counts[0].n, "%d tokens",
                  counts[i].n);
    }
    CHECK(!answer.ended);
    for (int i = 0; i < COUNTS; i++) {
        counts[i].done = false;
        hearth_worker_count_async(worker, text, NULL, on_counted, &counts[i]);
    }
    hearth_worker_unload(worker); /* waits for those that have begun */
    for (int i = 0; i < COUNTS; i++) {
        RUN_UNTIL(counts[i].done);
        CHECK(counts[i].error ? counts[i].n == -1 : counts[i].n > 5);
        g_clear_error(&counts[i].error);
    }
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    answer_clear(&answer);
    worker_free(worker);
}

/* C strings end at a NUL: what follows must not be lost for that. */
static void keeps_what_follows_a_nul(void)
{
    HearthJob *job = hearth_job_new(HEARTH_STATE_QUEUED);
    g_autoptr(GString) text = g_string_new(NULL);
    HearthStats stats = {0};
    hearth_stream_add(hearth_job_get_stream(job), HEARTH_STATE_ANSWERING, false, "a\0b\0", 4,
                      &stats);
    hearth_job_take_text(job, text, NULL);
    CHECK_STR(text->str, "a\xef\xbf\xbd"
                         "b\xef\xbf\xbd");
    CHECK_INT(text->len, strlen(text->str));
    g_object_unref(job);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"keeps what follows a NUL", keeps_what_follows_a_nul},
        {"asks and gets the engine's text", asks_and_gets_the_engines_text},
        {"streams at its pace", streams_at_its_pace},
        {"stops within a token", stops_within_a_token},
        {"stops while reading", stops_while_reading},
        {"answers in turn", answers_in_turn},
        {"keeps a few sessions", keeps_a_few_sessions},
        {"says when the context is full", says_when_the_context_is_full},
        {"goes on", goes_on},
        {"tells rate and context", tells_rate_and_context},
        {"counts beside an answer", counts_beside_an_answer},
    };
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    remove_endless();
    return rc;
}
