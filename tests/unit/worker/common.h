/* What the tests of the worker share: a main loop that waits for something, and an answer with all
 * that was told of it. */
#ifndef TEST_WORKER_H
#define TEST_WORKER_H

#include <glib/gstdio.h>

#include "models/ember.h"
#include "test.h"
#include "worker/request.h"
#include "worker/worker.h"

#define CONTEXT 1024

/* ---- the main loop --------------------------------------------------------------------------- */

static inline gboolean on_time_out(void *data)
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

static inline void run_for(int ms)
{
    bool over = false;
    g_timeout_add((guint)ms, on_time_out, &over);
    while (!over) g_main_context_iteration(NULL, TRUE);
}

/* ---- an answer and all that was told of it --------------------------------------------------- */

typedef struct {
    HearthJob *job;
    GString *text, *thinking;
    bool ended;
    int changes;
    unsigned seen; /* 1 << state, of the states that were told */
    gint64 first, last;
} Answer;

static inline void on_changed(HearthJob *job, Answer *answer)
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

static inline HearthRequest *request_new(const char *question, int max_tokens)
{
    HearthRequest *request = hearth_request_new();
    hearth_request_add(request, "user", question, NULL);
    request->context = CONTEXT;
    request->sampling.temperature = 0;
    request->sampling.max_tokens = max_tokens;
    return request;
}

/* Ember as a file in which no token ends an answer: it goes on for as long as there is context. */
static inline const char *endless(void)
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

static inline HearthRequest *babble_new(void)
{
    HearthRequest *request = request_new("Tell me everything.", 0);
    request->context = 1 << 16;
    return request;
}

static inline void answer_begin(Answer *answer, HearthWorker *worker, HearthRequest *request)
{
    *answer = (Answer){.text = g_string_new(NULL), .thinking = g_string_new(NULL)};
    answer->job = hearth_worker_submit(worker, request);
    g_signal_connect(answer->job, "changed", G_CALLBACK(on_changed), answer);
}

static inline void answer_clear(Answer *answer)
{
    g_signal_handlers_disconnect_by_data(answer->job, answer);
    g_object_unref(answer->job);
    g_string_free(answer->text, TRUE);
    g_string_free(answer->thinking, TRUE);
}

static inline void remove_endless(void)
{
    g_autofree char *folder = g_path_get_dirname(endless());
    g_remove(endless());
    g_rmdir(folder);
}

static inline HearthWorker *worker_new(const char *path)
{
    HearthWorker *worker = hearth_worker_new();
    hearth_worker_load(worker, path, NULL);
    return worker;
}

static inline void worker_free(HearthWorker *worker)
{
    hearth_worker_close(worker);
    g_object_unref(worker);
}

static inline bool is_ready(HearthWorker *worker)
{
    return hearth_worker_get_state(worker) == HEARTH_MODEL_READY;
}

#endif
