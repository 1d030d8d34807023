#include "worker/thread.h"

#include <glib/gi18n.h>
#include <string.h>

#include "error_from.h"
#include "sync.h"
#include "worker/model_info_new.h"
#include "worker/plan_new.h"
#include "worker/reply.h"

#define REPORTS_PER_SECOND 10 /* with the text, see job.c */

typedef struct {
    HearthStream *stream;
    HearthRequest *request;
} Task;

typedef struct {
    guint serial;
    bool load; /* else: no model */
    char *path;
    HearthModelSettings settings;
} Wish;

struct HearthThread {
    int refs; /* atomic */
    GThread *thread;
    HearthWake *wake;

    GMutex lock; /* of all up to the next comment */
    GCond changed;
    bool quit;
    Wish wish;
    GQueue tasks; /* of Task */
    HearthReport report;
    EngModel *model;
    char *model_path; /* its file; NULL = built in, or no model */
    int users;        /* threads that count tokens or plan with it */
    bool expects;     /* a wish for a model is about to come: answers wait for it */
    int flag;         /* atomic: the running step is to be left off */

    /* The thread's own. */
    guint serial; /* of the wish that was fulfilled */
    guint looked; /* at the wish of this number, and it is to be loaded */
    HearthSessions sessions;
    HearthModelInfo *info;               /* without KV caches */
    uint64_t kv_bytes[HEARTH_N_DEVICES]; /* as told */
};

void hearth_report_clear(HearthReport *report)
{
    g_clear_pointer(&report->info, hearth_model_info_unref);
    g_clear_pointer(&report->error, g_free);
}

bool hearth_thread_no_model(GError **error)
{
    return hearth_error(error, HEARTH_ERROR_USAGE,
                        _("No model is loaded: open one, or use the built-in one."));
}

static void free_task(Task *task)
{
    hearth_stream_unref(task->stream);
    hearth_request_free(task->request);
    g_free(task);
}

static void clear_wish(Wish *wish)
{
    g_clear_pointer(&wish->path, g_free);
    hearth_model_settings_clear(&wish->settings);
}

static bool is_interrupted(void *data)
{
    HearthThread *t = data;
    hearth_lock(&t->lock);
    bool interrupted = t->quit || t->wish.serial != t->serial;
    hearth_unlock(&t->lock);
    return interrupted;
}

/* What is told of the model that is there. KV caches come and go with sessions, so what they take
 * is added each time. */
static HearthModelInfo *info_now(HearthThread *t)
{
    HearthModelInfo *info = hearth_model_info_new(t->info);
    memcpy(info->bytes[HEARTH_KIND_KV], t->kv_bytes, sizeof t->kv_bytes);
    return info;
}

/* ---- reporting ------------------------------------------------------------------------------- */

static void report_model(HearthThread *t, HearthModelState state, const char *error)
{
    hearth_lock(&t->lock);
    HearthReport *r = &t->report;
    hearth_report_clear(r);
    *r = (HearthReport){.serial = t->serial,
                        .state = state,
                        .info = state == HEARTH_MODEL_READY ? info_now(t) : NULL,
                        .error = g_strdup(error),
                        .loaded = r->loaded,
                        .total = r->total,
                        .speed = r->speed};
    if (state != HEARTH_MODEL_READY) r->loaded = r->total = 0;
    hearth_unlock(&t->lock);
    hearth_wake_ring(t->wake);
}

static void report_loading(HearthThread *t, uint64_t loaded, uint64_t total, double speed)
{
    double left = speed > 0 ? (double)(total - loaded) / speed : -1;
    hearth_lock(&t->lock);
    t->report.loaded = loaded;
    t->report.total = total;
    t->report.speed = speed;
    for (GList *link = t->tasks.head; link; link = link->next)
        hearth_stream_set_progress(((Task *)link->data)->stream, HEARTH_STATE_LOADING,
                                   (gint64)loaded, (gint64)total, left);
    hearth_unlock(&t->lock);
    hearth_wake_ring(t->wake);
}

static void report_busy(HearthThread *t, bool busy)
{
    hearth_lock(&t->lock);
    t->report.busy = busy;
    hearth_unlock(&t->lock);
    hearth_wake_ring(t->wake);
}

/* Whether the GPU has failed since it was told. */
static bool look_at_gpu(HearthThread *t)
{
    if (!t->info->gpu || *eng_model_info(t->model).gpu) return false;
    HearthModelInfo *info = hearth_model_info_new(t->info);
    hearth_model_info_place(info, t->model);
    hearth_model_info_unref(t->info);
    t->info = info;
    return true;
}

/* KV caches come and go with sessions, and so may the GPU: the information is made anew then. */
static void report_measured(void *data, double rate, int used, int size)
{
    HearthThread *t = data;
    uint64_t vram, dram = hearth_sessions_bytes(&t->sessions, &vram) - vram;
    HearthModelInfo *info = NULL;
    if (look_at_gpu(t) || dram != t->kv_bytes[HEARTH_DEVICE_DRAM] ||
        vram != t->kv_bytes[HEARTH_DEVICE_VRAM]) {
        t->kv_bytes[HEARTH_DEVICE_DRAM] = dram;
        t->kv_bytes[HEARTH_DEVICE_VRAM] = vram;
        info = info_now(t);
    }
    hearth_lock(&t->lock);
    t->report.rate = rate;
    t->report.context_used = used;
    t->report.context_size = size;
    if (info) {
        hearth_model_info_unref(t->report.info);
        t->report.info = info;
    }
    hearth_unlock(&t->lock);
    hearth_wake_ring(t->wake);
}

static void report_answered(void *data, const HearthStats *stats)
{
    HearthThread *t = data;
    hearth_lock(&t->lock);
    t->report.last = *stats;
    hearth_unlock(&t->lock);
}

/* What waits for its turn gets this state; or ends, when `error` says why. */
static void tell_tasks(HearthThread *t, HearthState state, const GError *error)
{
    hearth_lock(&t->lock);
    for (GList *link = t->tasks.head; link; link = link->next) {
        Task *task = link->data;
        if (hearth_state_is_running(state))
            hearth_stream_set_state(task->stream, state);
        else
            hearth_stream_end(task->stream, state, NULL, error ? g_error_copy(error) : NULL);
    }
    if (!hearth_state_is_running(state)) g_queue_clear_full(&t->tasks, (GDestroyNotify)free_task);
    hearth_unlock(&t->lock);
}

/* ---- the model ------------------------------------------------------------------------------- */

static void free_model(HearthThread *t)
{
    hearth_lock(&t->lock);
    EngModel *model = g_steal_pointer(&t->model);
    g_clear_pointer(&t->model_path, g_free);
    while (t->users > 0) hearth_wait(&t->changed, &t->lock);
    hearth_unlock(&t->lock);
    hearth_sessions_clear(&t->sessions);
    memset(t->kv_bytes, 0, sizeof t->kv_bytes);
    g_clear_pointer(&t->info, hearth_model_info_unref);
    eng_model_free(model);
}

/* Slice by slice; false when interrupted or failed (`failure` then says so). */
static bool bring_in(HearthThread *t, EngModel *model, EngError *failure)
{
    uint64_t done = 0, total = 1, before = 0;
    double speed = 0, smooth = 0.2; /* a slice's part in the speed that is shown */
    gint64 time = g_get_monotonic_time();
    while (done < total) {
        if (is_interrupted(t) || !eng_model_load(model, &done, &total, failure)) return false;
        gint64 now = g_get_monotonic_time();
        double slice = (double)(done - before) * G_USEC_PER_SEC / (double)MAX(now - time, 1);
        speed = before == 0 ? slice : speed + smooth * (slice - speed);
        time = now;
        before = done;
        report_loading(t, done, total, speed);
    }
    return true;
}

static void load(HearthThread *t, const Wish *wish)
{
    EngError failure = {0};
    HearthModelInfo *info = NULL;
    gint64 begun = g_get_monotonic_time();
    tell_tasks(t, HEARTH_STATE_LOADING, NULL);
    report_model(t, HEARTH_MODEL_LOADING, NULL);
    EngModel *model = hearth_model_open(wish->path, &wish->settings, &info, &failure);
    if (model && bring_in(t, model, &failure)) {
        info->load_s = (double)(g_get_monotonic_time() - begun) / G_USEC_PER_SEC;
        hearth_model_info_place(info, model); /* the GPU may have failed meanwhile */
        t->info = info;
        hearth_sessions_init(&t->sessions, model);
        hearth_lock(&t->lock);
        t->model = model;
        t->model_path = g_strdup(wish->path);
        hearth_unlock(&t->lock);
        tell_tasks(t, HEARTH_STATE_QUEUED, NULL);
        report_model(t, HEARTH_MODEL_READY, NULL);
        return;
    }
    hearth_model_info_unref(info);
    eng_model_free(model);
    if (!failure.code) return; /* interrupted: the next wish is the one that is told about */
    g_autoptr(GError) error = NULL;
    hearth_error_from_engine(&error, &failure);
    tell_tasks(t, HEARTH_STATE_FAILED, error);
    report_model(t, HEARTH_MODEL_FAILED, error->message);
}

/* Before the model that is there goes: two do not fit into memory. False: it stays, and answers
 * that waited for the other one are its. */
static bool look(HearthThread *t, const Wish *wish)
{
    EngError failure = {0};
    hearth_lock(&t->lock);
    HearthReport before = t->report;
    hearth_unlock(&t->lock);
    tell_tasks(t, HEARTH_STATE_LOADING, NULL);
    report_model(t, HEARTH_MODEL_LOADING, NULL);
    if (hearth_model_check(wish->path, &wish->settings, t->model, &failure)) return true;
    g_autoptr(GError) error = NULL;
    hearth_error_from_engine(&error, &failure);
    tell_tasks(t, HEARTH_STATE_QUEUED, NULL);
    report_model(t, HEARTH_MODEL_READY, error->message);
    hearth_lock(&t->lock);
    t->report.last = before.last;
    t->report.context_used = before.context_used;
    t->report.context_size = before.context_size;
    hearth_unlock(&t->lock);
    hearth_wake_ring(t->wake);
    return false;
}

static void fulfil(HearthThread *t, Wish *wish)
{
    if (wish->load && t->info && t->looked != t->serial && !look(t, wish)) return;
    free_model(t);
    if (wish->load) {
        load(t, wish);
        return;
    }
    g_autoptr(GError) error = NULL;
    hearth_thread_no_model(&error);
    tell_tasks(t, HEARTH_STATE_FAILED, error);
    report_model(t, HEARTH_MODEL_NONE, NULL);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Asked for when there is none any more, or before the main thread heard that there is none. */
static void refuse(HearthThread *t, Task *task)
{
    GError *error = NULL;
    hearth_lock(&t->lock);
    if (t->report.error)
        hearth_error(&error, HEARTH_ERROR_REFUSED, "%s", t->report.error);
    else
        hearth_thread_no_model(&error);
    hearth_unlock(&t->lock);
    hearth_stream_end(task->stream, HEARTH_STATE_FAILED, NULL, error);
}

/* Under the lock. */
static Wish copy_wish(const HearthThread *t)
{
    return (Wish){.serial = t->wish.serial,
                  .load = t->wish.load,
                  .path = g_strdup(t->wish.path),
                  .settings = hearth_model_settings_copy(&t->wish.settings)};
}

/* Between two steps of an answer. It is stopped for another model only when that one can be
 * loaded: otherwise the wish is done with, and the answer goes on. */
static bool gives_way(void *data)
{
    HearthThread *t = data;
    hearth_lock(&t->lock);
    bool quit = t->quit, asked = t->wish.serial != t->serial;
    guint before = t->serial;
    Wish wish = {0};
    if (asked && !quit && t->wish.load) {
        wish = copy_wish(t);
        t->serial = wish.serial;
        g_atomic_int_set(&t->flag, 0); /* the next wish sets it again */
    }
    hearth_unlock(&t->lock);
    if (quit || !asked || !wish.load) return quit || asked;
    bool loads = look(t, &wish);
    clear_wish(&wish);
    if (!loads) {
        report_busy(t, true);
        return is_interrupted(t) && gives_way(t);
    }
    t->looked = t->serial;
    t->serial = before; /* next() takes it */
    return true;
}

static void answer(HearthThread *t, Task *task)
{
    const HearthReplyHost host = {&t->flag, gives_way, report_measured, report_answered, t};
    if (!hearth_stream_is_wanted(task->stream)) return;
    if (!t->info) {
        refuse(t, task);
        return;
    }
    report_busy(t, true);
    hearth_stream_set_model(task->stream, t->info->name);
    hearth_reply_run(task->stream, task->request, &t->sessions, &host);
    report_busy(t, false);
}

/* Waits for something to do. False: the end. Either a wish or a task. */
static bool next(HearthThread *t, Wish *ret_wish, Task **ret_task)
{
    *ret_task = NULL;
    *ret_wish = (Wish){0};
    hearth_lock(&t->lock);
    while (!t->quit && t->wish.serial == t->serial && (t->expects || g_queue_is_empty(&t->tasks)))
        hearth_wait(&t->changed, &t->lock);
    bool quit = t->quit;
    if (!quit && t->wish.serial != t->serial) {
        *ret_wish = copy_wish(t);
        t->serial = t->wish.serial;
    } else if (!quit) {
        *ret_task = g_queue_pop_head(&t->tasks);
        g_atomic_int_set(&t->flag, 0); /* of the task before; wishes set it under the lock */
    }
    hearth_unlock(&t->lock);
    return !quit;
}

static void *run(void *data)
{
    HearthThread *t = data;
    Wish wish;
    Task *task;
    while (next(t, &wish, &task)) {
        if (task) {
            answer(t, task);
            free_task(task);
        } else {
            fulfil(t, &wish);
            clear_wish(&wish);
        }
    }
    tell_tasks(t, HEARTH_STATE_STOPPED, NULL);
    free_model(t);
    report_model(t, HEARTH_MODEL_NONE, NULL);
    return NULL;
}

/* ---- main thread ----------------------------------------------------------------------------- */

HearthThread *hearth_thread_new(void (*deliver)(void *data), void *data)
{
    HearthThread *t = g_new0(HearthThread, 1);
    t->refs = 1;
    t->wake = hearth_wake_new(REPORTS_PER_SECOND, deliver, data);
    g_mutex_init(&t->lock);
    g_cond_init(&t->changed);
    g_queue_init(&t->tasks);
    t->thread = g_thread_new("worker", run, t);
    return t;
}

HearthThread *hearth_thread_ref(HearthThread *thread)
{
    g_atomic_int_inc(&thread->refs);
    return thread;
}

void hearth_thread_unref(HearthThread *thread)
{
    if (!thread || !g_atomic_int_dec_and_test(&thread->refs)) return;
    hearth_report_clear(&thread->report);
    clear_wish(&thread->wish);
    g_queue_clear_full(&thread->tasks, (GDestroyNotify)free_task);
    g_mutex_clear(&thread->lock);
    g_cond_clear(&thread->changed);
    hearth_wake_unref(thread->wake);
    g_free(thread);
}

void hearth_thread_close(HearthThread *thread)
{
    hearth_lock(&thread->lock);
    thread->quit = true;
    g_atomic_int_set(&thread->flag, 1);
    g_cond_broadcast(&thread->changed);
    hearth_unlock(&thread->lock);
    g_thread_join(thread->thread);
    hearth_wake_close(thread->wake);
}

static guint wish_for(HearthThread *t, bool load, const char *path,
                      const HearthModelSettings *settings)
{
    hearth_lock(&t->lock);
    clear_wish(&t->wish);
    t->wish.serial++;
    t->wish.load = load;
    t->wish.path = g_strdup(path);
    if (settings) t->wish.settings = hearth_model_settings_copy(settings);
    guint serial = t->wish.serial;
    t->expects = false;
    g_atomic_int_set(&t->flag, 1);
    g_cond_broadcast(&t->changed);
    hearth_unlock(&t->lock);
    return serial;
}

void hearth_thread_expect(HearthThread *thread)
{
    hearth_lock(&thread->lock);
    thread->expects = true;
    hearth_unlock(&thread->lock);
}

guint hearth_thread_load(HearthThread *thread, const char *path,
                         const HearthModelSettings *settings)
{
    return wish_for(thread, true, path, settings);
}

guint hearth_thread_unload(HearthThread *thread) { return wish_for(thread, false, NULL, NULL); }

void hearth_thread_submit(HearthThread *thread, HearthStream *stream, HearthRequest *request)
{
    Task *task = g_new(Task, 1);
    *task = (Task){hearth_stream_ref(stream), request};
    hearth_lock(&thread->lock);
    /* The main thread may not have heard yet that the model is there. */
    if (thread->report.state == HEARTH_MODEL_READY)
        hearth_stream_set_state(stream, HEARTH_STATE_QUEUED);
    g_queue_push_tail(&thread->tasks, task);
    g_cond_broadcast(&thread->changed);
    hearth_unlock(&thread->lock);
}

void hearth_thread_read(HearthThread *thread, HearthReport *ret_report)
{
    hearth_lock(&thread->lock);
    *ret_report = thread->report;
    ret_report->error = g_strdup(thread->report.error);
    if (ret_report->info) hearth_model_info_ref(ret_report->info);
    hearth_unlock(&thread->lock);
}

/* ---- any thread ------------------------------------------------------------------------------ */

/* The loaded model, which stays until it is let go of; NULL = none. `path`: the one wanted. */
static EngModel *hold_model(HearthThread *thread, bool any, const char *path)
{
    hearth_lock(&thread->lock);
    EngModel *model = any || g_strcmp0(thread->model_path, path) == 0 ? thread->model : NULL;
    if (model) thread->users++;
    hearth_unlock(&thread->lock);
    return model;
}

static void let_go(HearthThread *thread)
{
    hearth_lock(&thread->lock);
    thread->users--;
    g_cond_broadcast(&thread->changed);
    hearth_unlock(&thread->lock);
}

HearthPlan *hearth_thread_plan(HearthThread *thread, const char *path,
                               const HearthModelSettings *settings, GError **error)
{
    EngModel *model = hold_model(thread, false, path);
    HearthPlan *plan = hearth_plan_make(model, path, settings, error);
    if (model) let_go(thread);
    return plan;
}

int hearth_thread_count(HearthThread *thread, const char *text, GError **error)
{
    EngModel *model = hold_model(thread, true, NULL);
    if (!model) {
        hearth_thread_no_model(error);
        return -1;
    }
    int32_t *tokens = NULL;
    size_t n = 0;
    EngError failure = {0};
    EngTokenizeOptions options = {.add_bos = false, .parse_special = true};
    bool ok = eng_tokenize(model, text, strlen(text), options, &tokens, &n, &failure);
    free(tokens);
    let_go(thread);
    if (!ok) hearth_error_from_engine(error, &failure);
    return ok ? (int)MIN(n, (size_t)G_MAXINT) : -1;
}
