/* Models come and go under the worker: progress and refusals, memory that is really returned, and
 * ends at any moment, after which every answer has a last state and the text that it had. */
#include <engine.h>
#include <unistd.h>

#include "common.h"

#define VECTORS TEST_VECTORS "/"
#define MIB ((uint64_t)1 << 20)

static HearthModelState state_of(HearthWorker *worker) { return hearth_worker_get_state(worker); }

static bool is_settled(HearthWorker *worker) { return state_of(worker) != HEARTH_MODEL_LOADING; }

/* The endless Ember with `mib` MiB of nothing behind it. */
static char *large_file(uint64_t mib)
{
    g_autofree char *folder = g_path_get_dirname(endless());
    char *path = g_build_filename(folder, "large.gguf", NULL), *bytes;
    gsize n;
    CHECK(g_file_get_contents(endless(), &bytes, &n, NULL));
    CHECK(g_file_set_contents(path, bytes, (gssize)n, NULL));
    CHECK(truncate(path, (off_t)(mib * MIB)) == 0);
    g_free(bytes);
    return path;
}

static void remove_file(char *path)
{
    g_remove(path);
    g_free(path);
}

static uint64_t resident(void)
{
    EngUsage usage = {0};
    CHECK(eng_host_usage(&usage, NULL));
    return usage.process_bytes;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

typedef struct {
    int told;
    uint64_t loaded, total;
    double speed;
} Progress;

static void on_loaded(HearthWorker *worker, GParamSpec *spec, Progress *progress)
{
    uint64_t loaded, total;
    (void)spec;
    g_object_get(worker, "loaded", &loaded, "total", &total, "speed", &progress->speed, NULL);
    CHECK_MSG(loaded >= progress->loaded || loaded == 0, "%llu after %llu",
              (unsigned long long)loaded, (unsigned long long)progress->loaded);
    progress->loaded = loaded;
    progress->total = total;
    progress->told++;
}

static void gives_memory_back(void)
{
    enum { MIBS = 300 };
    char *path = large_file(MIBS), *shown;
    HearthWorker *worker = hearth_worker_new();
    Progress progress = {0};
    Answer answer;
    g_signal_connect(worker, "notify::loaded", G_CALLBACK(on_loaded), &progress);
    uint64_t before = resident();
    hearth_worker_load(worker, path, &(HearthModelSettings){.threads = 1});
    g_object_get(worker, "path", &shown, NULL);
    CHECK_STR(shown, path);
    g_free(shown);
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    CHECK(answer.seen & 1u << HEARTH_STATE_LOADING);
    RUN_UNTIL(is_ready(worker)); /* the model's news and the answer's come each on their own */
    CHECK(progress.total == MIBS * MIB && progress.loaded == progress.total && progress.speed > 0);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_STR(info->path, path);
    CHECK_INT(info->threads, 1);
    uint64_t full = resident();
    CHECK_MSG(full > before + MIBS * MIB * 9 / 10, "%llu MiB more",
              (unsigned long long)((full - before) / MIB));
    hearth_worker_unload(worker);
    RUN_UNTIL(state_of(worker) == HEARTH_MODEL_NONE);
    uint64_t after = resident();
    CHECK_MSG(after + MIBS * MIB * 9 / 10 < full, "of %llu MiB %llu stayed",
              (unsigned long long)((full - before) / MIB),
              (unsigned long long)((after - before) / MIB));
    CHECK(hearth_worker_get_info(worker) == NULL);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    CHECK(answer.text->len > 0);
    answer_clear(&answer);
    worker_free(worker);
    remove_file(path);
}

static void cancels_a_load(void)
{
    char *path = large_file(1500);
    HearthWorker *worker = hearth_worker_new();
    Progress progress = {0};
    Answer waiting;
    g_signal_connect(worker, "notify::loaded", G_CALLBACK(on_loaded), &progress);
    hearth_worker_load(worker, path, NULL);
    answer_begin(&waiting, worker, babble_new());
    RUN_UNTIL(progress.loaded > 0);
    CHECK(progress.loaded < progress.total);
    gint64 time = g_get_monotonic_time();
    hearth_worker_unload(worker);
    RUN_UNTIL(state_of(worker) == HEARTH_MODEL_NONE);
    double seconds = (double)(g_get_monotonic_time() - time) / G_USEC_PER_SEC;
    CHECK_MSG(seconds < 2, "%.1f s", seconds);
    RUN_UNTIL(waiting.ended);
    CHECK_INT(hearth_job_get_state(waiting.job), HEARTH_STATE_FAILED);
    answer_clear(&waiting);

    progress = (Progress){0};
    hearth_worker_load(worker, path, NULL);
    answer_begin(&waiting, worker, request_new("What is Hearth?", 5));
    RUN_UNTIL(progress.loaded > 0);
    hearth_worker_load(worker, NULL, NULL); /* another model instead: the answer waits for it */
    CHECK_INT(state_of(worker), HEARTH_MODEL_LOADING);
    RUN_UNTIL(waiting.ended);
    CHECK_INT(hearth_job_get_state(waiting.job), HEARTH_STATE_LENGTH);
    RUN_UNTIL(is_ready(worker));
    CHECK(hearth_worker_get_info(worker)->path == NULL);
    answer_clear(&waiting);
    worker_free(worker);
    remove_file(path);
}

/* A stop while the model loads ends the answer; the loading goes on. */
/* As at the start of the program, whose window is there before the loading begins. */
static void waits_for_a_model_to_come(void)
{
    HearthWorker *worker = hearth_worker_new();
    Answer answer, stopped;
    hearth_worker_expect(worker, NULL);
    CHECK_INT(state_of(worker), HEARTH_MODEL_LOADING);
    answer_begin(&answer, worker, request_new("What is Hearth?", 4));
    answer_begin(&stopped, worker, request_new("What is Hearth?", 4));
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_LOADING);
    hearth_job_stop(stopped.job);
    RUN_UNTIL(stopped.ended);
    run_for(50);
    CHECK(!answer.ended);
    hearth_worker_load(worker, NULL, NULL);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_LENGTH);
    answer_clear(&answer);
    /* It need not come, and all may end before it does. */
    hearth_worker_expect(worker, NULL);
    answer_begin(&answer, worker, request_new("What is Hearth?", 4));
    hearth_worker_unload(worker);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_FAILED);
    answer_clear(&answer);
    hearth_worker_expect(worker, NULL);
    answer_begin(&answer, worker, request_new("What is Hearth?", 4));
    hearth_worker_close(worker);
    CHECK(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    answer_clear(&answer);
    answer_clear(&stopped);
    worker_free(worker);
}

static void stops_an_answer_that_waits(void)
{
    char *path = large_file(600);
    HearthWorker *worker = hearth_worker_new();
    Answer answer;
    hearth_worker_load(worker, path, NULL);
    answer_begin(&answer, worker, babble_new());
    hearth_job_stop(answer.job);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    CHECK_INT(state_of(worker), HEARTH_MODEL_LOADING);
    RUN_UNTIL(is_settled(worker));
    CHECK(is_ready(worker));
    answer_clear(&answer);
    worker_free(worker);
    remove_file(path);
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static void check_refused(HearthWorker *worker, const char *path, const char *word)
{
    Answer answer;
    hearth_worker_load(worker, path, NULL);
    CHECK(hearth_worker_get_error(worker) == NULL);
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.ended && is_settled(worker));
    const char *error = hearth_worker_get_error(worker);
    CHECK_INT(state_of(worker), HEARTH_MODEL_FAILED);
    CHECK_MSG(error && strstr(error, word), "%s: \"%s\" has no \"%s\"", path,
              error ? error : "(null)", word);
    CHECK(hearth_worker_get_info(worker) == NULL);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_FAILED);
    CHECK_STR(hearth_job_get_error(answer.job)->message, error);
    answer_clear(&answer);
    answer_begin(&answer, worker, babble_new()); /* the same to who asks when all is told */
    RUN_UNTIL(answer.ended);
    CHECK_STR(hearth_job_get_error(answer.job)->message, error);
    answer_clear(&answer);
}

static void refuses_what_is_no_model(void)
{
    HearthWorker *worker = hearth_worker_new();
    g_autofree char *folder = g_path_get_dirname(endless());
    g_autofree char *garbage = g_build_filename(folder, "garbage.gguf", NULL);
    CHECK(g_file_set_contents(garbage, "This is a letter to a friend, not a model.", -1, NULL));
    check_refused(worker, garbage, "GGUF");
    check_refused(worker, folder, "not a file");
    check_refused(worker, "/nowhere/at/all.gguf", "check the path");
    check_refused(worker, VECTORS "llama_shards-00002-of-00003.gguf", "00001");
    CHECK(g_chmod(garbage, 0) == 0);
    if (g_access(garbage, R_OK) != 0) check_refused(worker, garbage, "Permission denied");
    g_remove(garbage);
    hearth_worker_load(worker, NULL, NULL);
    Answer answer;
    answer_begin(&answer, worker, request_new("What is Hearth?", 5));
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_LENGTH);
    answer_clear(&answer);
    worker_free(worker);
}

/* `worker` has the endless Ember. Asked for meanwhile, an answer is its. */
static void check_kept(HearthWorker *worker, const char *path, const HearthModelSettings *settings,
                       const char *word)
{
    HearthModelInfo *had = hearth_worker_get_info(worker);
    uint64_t bytes = had->bytes[HEARTH_KIND_KV][HEARTH_DEVICE_DRAM];
    g_autofree char *shown = NULL;
    Answer answer;
    CHECK(bytes > 0 && hearth_worker_get_last_stats(worker).tokens == 5);
    hearth_worker_load(worker, path, settings);
    CHECK_INT(state_of(worker), HEARTH_MODEL_LOADING);
    answer_begin(&answer, worker, request_new("What is Hearth?", 5));
    RUN_UNTIL(is_settled(worker));
    CHECK_INT(state_of(worker), HEARTH_MODEL_READY);
    const char *error = hearth_worker_get_error(worker);
    CHECK_MSG(error && strstr(error, word), "%s: \"%s\" has no \"%s\"", path ? path : "Ember",
              error ? error : "(null)", word);
    g_object_get(worker, "path", &shown, NULL);
    CHECK_STR(shown, endless());
    HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_STR(info->path, endless());
    CHECK(info->bytes[HEARTH_KIND_KV][HEARTH_DEVICE_DRAM] == bytes);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_LENGTH);
    CHECK(answer.text->len > 0);
    answer_clear(&answer);
}

/* The endless Ember with some letters behind `key` turned into others. */
static char *altered(const char *key, const char *from, const char *to)
{
    char *path = large_file(1), *bytes;
    gsize n;
    CHECK(g_file_get_contents(endless(), &bytes, &n, NULL));
    char *at = memmem(bytes, n, key, strlen(key));
    if (at) at = memmem(at, 100, from, strlen(from));
    CHECK(at != NULL);
    if (at) memcpy(at, to, strlen(to));
    CHECK(g_file_set_contents(path, bytes, (gssize)n, NULL));
    g_free(bytes);
    return path;
}

static void keeps_the_model_when_another_is_bad(void)
{
    HearthWorker *worker = worker_new(endless());
    g_autofree char *folder = g_path_get_dirname(endless());
    g_autofree char *garbage = g_build_filename(folder, "garbage.gguf", NULL);
    char *cut = large_file(1);
    Answer answer;
    CHECK(g_file_set_contents(garbage, "This is a letter to a friend, not a model.", -1, NULL));
    answer_begin(&answer, worker, request_new("What is Hearth?", 5));
    RUN_UNTIL(answer.ended);
    RUN_UNTIL(hearth_worker_get_last_stats(worker).tokens == 5);
    answer_clear(&answer);
    check_kept(worker, garbage, NULL, "GGUF");
    check_kept(worker, "/nowhere/at/all.gguf", NULL, "check the path");
    check_kept(worker, cut, NULL, "cut short");
    remove_file(cut);
    char *wrong = altered("tokenizer.ggml.model", "gpt2", "gpt9");
    check_kept(worker, wrong, NULL, "gpt9");
    remove_file(wrong);
    wrong = altered("output_norm.weight", "norm", "form"); /* what the forward pass needs */
    check_kept(worker, wrong, NULL, "output_norm");
    remove_file(wrong);
    HearthModelSettings settings = {.rules = (char *)"nothing device=moon"};
    check_kept(worker, endless(), &settings, "moon");
    check_kept(worker, NULL, &settings, "moon");
    g_remove(garbage);

    /* What is wished for while it is being looked at counts, and a good file is loaded. */
    hearth_worker_load(worker, garbage, NULL);
    hearth_worker_load(worker, NULL, NULL);
    RUN_UNTIL(is_settled(worker));
    CHECK_INT(state_of(worker), HEARTH_MODEL_READY);
    CHECK(hearth_worker_get_error(worker) == NULL);
    CHECK(hearth_worker_get_info(worker)->path == NULL);
    hearth_worker_load(worker, garbage, NULL);
    hearth_worker_unload(worker);
    RUN_UNTIL(state_of(worker) == HEARTH_MODEL_NONE);
    worker_free(worker);
}

/* A projector of images has an architecture of its own name. */
static void refuses_a_projector(void)
{
    HearthWorker *worker = hearth_worker_new();
    char *path = large_file(1), *bytes;
    gsize n;
    CHECK(g_file_get_contents(endless(), &bytes, &n, NULL));
    char *arch = memmem(bytes, n, "deepseek2", 9);
    if (arch) memcpy(arch, "clip-like", 9);
    CHECK(g_file_set_contents(path, bytes, (gssize)n, NULL));
    check_refused(worker, path, "clip-like");
    g_free(bytes);
    worker_free(worker);
    remove_file(path);
}

static void keeps_the_text_when_the_file_shrinks(void)
{
    HearthWorker *worker = hearth_worker_new();
    char *path = large_file(20);
    Answer answer;
    hearth_worker_load(worker, path, NULL);
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    CHECK(truncate(path, 1 << 20) == 0);
    RUN_UNTIL(answer.ended);
    const GError *error = hearth_job_get_error(answer.job);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_FAILED);
    CHECK_MSG(error && strstr(error->message, "became shorter"), "%s",
              error ? error->message : "no error");
    CHECK(answer.text->len > 0 && hearth_job_get_stats(answer.job).tokens > 0);
    answer_clear(&answer);
    worker_free(worker);
    remove_file(path);
}

/* ---- in the middle of things ------------------------------------------------------------------
 */

static void loads_while_answering(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer first, second;
    answer_begin(&first, worker, babble_new());
    answer_begin(&second, worker, request_new("What is Hearth?", 5));
    RUN_UNTIL(first.text->len > 0);
    hearth_worker_load(worker, NULL, NULL);
    CHECK(hearth_worker_get_info(worker) == NULL);
    RUN_UNTIL(first.ended && second.ended);
    CHECK_INT(hearth_job_get_state(first.job), HEARTH_STATE_STOPPED);
    CHECK_INT(hearth_job_get_state(second.job), HEARTH_STATE_LENGTH);
    RUN_UNTIL(is_ready(worker));
    answer_clear(&first);
    answer_clear(&second);
    worker_free(worker);
}

/* It is stopped only for a model that can be loaded. */
static void goes_on_when_another_is_bad(void)
{
    HearthWorker *worker = worker_new(endless());
    Answer answer;
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    for (int i = 0; i < 3; i++) {
        hearth_worker_load(worker, "/nowhere/at/all.gguf", NULL);
        RUN_UNTIL(hearth_worker_get_error(worker) != NULL);
        CHECK_INT(state_of(worker), HEARTH_MODEL_READY);
        gsize had = answer.text->len;
        RUN_UNTIL(answer.ended || answer.text->len > had);
        CHECK(!answer.ended);
    }
    hearth_worker_load(worker, NULL, NULL);
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_STOPPED);
    RUN_UNTIL(is_ready(worker));
    CHECK(hearth_worker_get_info(worker)->path == NULL);
    answer_clear(&answer);
    worker_free(worker);
}

/* Closes at a random moment of whatever goes on. */
static void close_somewhere(const char *large)
{
    enum { JOBS = 4 };
    static const char *const nowhere = "/nowhere/at/all.gguf";
    const char *const paths[] = {NULL, endless(), large, nowhere};
    HearthWorker *worker = hearth_worker_new();
    Answer answers[JOBS];
    size_t had[JOBS];
    int n = test_range(0, JOBS);
    if (test_range(0, 9))
        hearth_worker_load(worker, paths[test_range(0, 3)],
                           &(HearthModelSettings){.threads = test_range(0, 2)});
    if (test_range(0, 1)) RUN_UNTIL(is_settled(worker));
    for (int i = 0; i < n; i++) {
        HearthRequest *request = babble_new();
        request->conversation = i;
        request->context = test_range(0, 1) ? 4096 : 8192;
        if (test_range(0, 1)) request->sampling.max_tokens = test_range(1, 40);
        for (int k = test_range(0, 3) * 100; k > 0; k--) /* a long prompt, or a short one */
            hearth_request_add(request, "user", "And what about the seven of them?", NULL);
        answer_begin(&answers[i], worker, request);
        if (test_range(0, 1)) run_for(test_range(0, 30));
        if (test_range(0, 4) == 0) hearth_job_stop(answers[i].job);
    }
    if (test_range(0, 3) == 0) hearth_worker_load(worker, paths[test_range(0, 3)], NULL);
    if (test_range(0, 5) == 0) hearth_worker_unload(worker);
    run_for(test_range(0, 80));
    for (int i = 0; i < n; i++) had[i] = answers[i].text->len;
    gint64 time = g_get_monotonic_time();
    hearth_worker_close(worker);
    double seconds = (double)(g_get_monotonic_time() - time) / G_USEC_PER_SEC;
    CHECK_MSG(seconds < 5, "closing took %.1f s", seconds);
    for (int i = 0; i < n; i++) {
        CHECK(!hearth_state_is_running(hearth_job_get_state(answers[i].job)));
        CHECK(answers[i].ended || hearth_job_get_error(answers[i].job));
        CHECK(answers[i].text->len >= had[i]);
        answer_clear(&answers[i]);
    }
    CHECK_INT(state_of(worker), HEARTH_MODEL_NONE);
    worker_free(worker);
}

static void closes_at_any_moment(void)
{
    char *large = large_file(200);
    for (int i = 0; i < 40; i++) close_somewhere(large);
    remove_file(large);
}

static void is_quiet_once_closed(void)
{
    HearthWorker *worker = worker_new(NULL);
    Answer answer;
    RUN_UNTIL(is_ready(worker));
    hearth_worker_close(worker);
    hearth_worker_close(worker);
    hearth_worker_load(worker, NULL, NULL);
    hearth_worker_unload(worker);
    CHECK_INT(state_of(worker), HEARTH_MODEL_NONE);
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.ended);
    CHECK_INT(hearth_job_get_state(answer.job), HEARTH_STATE_FAILED);
    answer_clear(&answer);
    g_object_unref(worker);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"gives memory back", gives_memory_back},
        {"cancels a load", cancels_a_load},
        {"waits for a model to come", waits_for_a_model_to_come},
        {"stops an answer that waits", stops_an_answer_that_waits},
        {"refuses what is no model", refuses_what_is_no_model},
        {"refuses a projector", refuses_a_projector},
        {"goes on when another is bad", goes_on_when_another_is_bad},
        {"keeps the model when another is bad", keeps_the_model_when_another_is_bad},
        {"keeps the text when the file shrinks", keeps_the_text_when_the_file_shrinks},
        {"loads while answering", loads_while_answering},
        {"closes at any moment", closes_at_any_moment},
        {"is quiet once closed", is_quiet_once_closed},
    };
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    remove_endless();
    return rc;
}
