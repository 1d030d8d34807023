#include "worker/worker.h"

#include <string.h>

#include "error.h"
#include "sync.h"
#include "worker/job_stream.h"
#include "worker/thread.h"

struct _HearthWorker {
    GObject parent;
    HearthThread *thread; /* NULL once closed */
    GPtrArray *jobs;      /* of HearthJob: those that have not ended */
    guint serial;         /* of the last wish for a model */
    HearthReport shown;   /* what the properties say */
    char *path;
};

G_DEFINE_FINAL_TYPE(HearthWorker, hearth_worker, G_TYPE_OBJECT)

enum {
    STATE = 1,
    INFO,
    PATH,
    LOADED,
    TOTAL,
    SPEED,
    ERROR,
    BUSY,
    RATE,
    CONTEXT_USED,
    CONTEXT_SIZE,
    N_PROPERTIES
};
static GParamSpec *properties[N_PROPERTIES];

/* ---- properties ------------------------------------------------------------------------------ */

static void hearth_worker_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthWorker *worker = HEARTH_WORKER(object);
    const HearthReport *shown = &worker->shown;
    switch (id) {
    case STATE: g_value_set_int(value, (int)shown->state); break;
    case INFO: g_value_set_boxed(value, shown->info); break;
    case PATH: g_value_set_string(value, worker->path); break;
    case LOADED: g_value_set_uint64(value, shown->loaded); break;
    case TOTAL: g_value_set_uint64(value, shown->total); break;
    case SPEED: g_value_set_double(value, shown->speed); break;
    case ERROR: g_value_set_string(value, shown->error); break;
    case BUSY: g_value_set_boolean(value, shown->busy); break;
    case RATE: g_value_set_double(value, shown->rate); break;
    case CONTEXT_USED: g_value_set_int(value, shown->context_used); break;
    case CONTEXT_SIZE: g_value_set_int(value, shown->context_size); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

/* Takes over `next` and tells what is new in it; all of it is in place before the first is told. */
static void show(HearthWorker *worker, HearthReport *next)
{
    HearthReport old = worker->shown;
    const bool changed[N_PROPERTIES] = {
        [STATE] = old.state != next->state,
        [INFO] = old.info != next->info,
        [LOADED] = old.loaded != next->loaded,
        [TOTAL] = old.total != next->total,
        [SPEED] = old.speed != next->speed,
        [ERROR] = g_strcmp0(old.error, next->error) != 0,
        [BUSY] = old.busy != next->busy || memcmp(&old.last, &next->last, sizeof old.last) != 0,
        [RATE] = old.rate != next->rate,
        [CONTEXT_USED] = old.context_used != next->context_used,
        [CONTEXT_SIZE] = old.context_size != next->context_size,
    };
    GObject *object = G_OBJECT(worker);
    worker->shown = *next;
    *next = (HearthReport){0};
    g_object_freeze_notify(object);
    for (int id = 1; id < N_PROPERTIES; id++)
        if (changed[id]) g_object_notify_by_pspec(object, properties[id]);
    g_object_thaw_notify(object);
    hearth_report_clear(&old);
}

static void set_path(HearthWorker *worker, const char *path)
{
    if (g_strcmp0(path, worker->path) == 0) return;
    g_free(worker->path);
    worker->path = g_strdup(path);
    g_object_notify_by_pspec(G_OBJECT(worker), properties[PATH]);
}

/* What the thread says of an older wish is not news. */
static void deliver(void *data)
{
    HearthWorker *worker = data;
    HearthReport report;
    if (!worker->thread) return;
    hearth_thread_read(worker->thread, &report);
    if (report.serial == worker->serial) {
        g_object_ref(worker);
        g_object_freeze_notify(G_OBJECT(worker));
        if (report.info) set_path(worker, report.info->path ? report.info->path : "");
        show(worker, &report);
        g_object_thaw_notify(G_OBJECT(worker));
        g_object_unref(worker);
    }
    hearth_report_clear(&report);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void hearth_worker_dispose(GObject *object)
{
    hearth_worker_close(HEARTH_WORKER(object));
    G_OBJECT_CLASS(hearth_worker_parent_class)->dispose(object);
}

static void hearth_worker_finalize(GObject *object)
{
    HearthWorker *worker = HEARTH_WORKER(object);
    hearth_report_clear(&worker->shown);
    g_ptr_array_unref(worker->jobs);
    g_free(worker->path);
    G_OBJECT_CLASS(hearth_worker_parent_class)->finalize(object);
}

static void hearth_worker_class_init(HearthWorkerClass *class)
{
    const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    object_class->get_property = hearth_worker_get_property;
    object_class->dispose = hearth_worker_dispose;
    object_class->finalize = hearth_worker_finalize;
    properties[STATE] = g_param_spec_int("state", NULL, NULL, HEARTH_MODEL_NONE,
                                         HEARTH_MODEL_FAILED, HEARTH_MODEL_NONE, flags);
    properties[INFO] = g_param_spec_boxed("info", NULL, NULL, HEARTH_TYPE_MODEL_INFO, flags);
    properties[PATH] = g_param_spec_string("path", NULL, NULL, "", flags);
    properties[LOADED] = g_param_spec_uint64("loaded", NULL, NULL, 0, G_MAXUINT64, 0, flags);
    properties[TOTAL] = g_param_spec_uint64("total", NULL, NULL, 0, G_MAXUINT64, 0, flags);
    properties[SPEED] = g_param_spec_double("speed", NULL, NULL, 0, G_MAXDOUBLE, 0, flags);
    properties[ERROR] = g_param_spec_string("error", NULL, NULL, NULL, flags);
    properties[BUSY] = g_param_spec_boolean("busy", NULL, NULL, FALSE, flags);
    properties[RATE] = g_param_spec_double("rate", NULL, NULL, 0, G_MAXDOUBLE, 0, flags);
    properties[CONTEXT_USED] = g_param_spec_int("context-used", NULL, NULL, 0, G_MAXINT, 0, flags);
    properties[CONTEXT_SIZE] = g_param_spec_int("context-size", NULL, NULL, 0, G_MAXINT, 0, flags);
    g_object_class_install_properties(object_class, N_PROPERTIES, properties);
}

static void hearth_worker_init(HearthWorker *worker)
{
    worker->jobs = g_ptr_array_new_with_free_func(g_object_unref);
    worker->path = g_strdup("");
    worker->thread = hearth_thread_new(deliver, worker);
}

HearthWorker *hearth_worker_new(void) { return g_object_new(HEARTH_TYPE_WORKER, NULL); }

/* The jobs are told at once: their owners may be about to save, and the main loop may not run any
 * more. */
void hearth_worker_close(HearthWorker *worker)
{
    HearthThread *thread = g_steal_pointer(&worker->thread);
    if (!thread) return;
    g_object_ref(worker);
    hearth_thread_close(thread);
    hearth_thread_unref(thread);
    while (worker->jobs->len > 0) {
        HearthJob *job = g_ptr_array_steal_index(worker->jobs, 0);
        hearth_job_flush(job);
        g_object_unref(job);
    }
    HearthReport none = {0};
    show(worker, &none);
    g_object_unref(worker);
}

/* ---- the model ------------------------------------------------------------------------------- */

static void show_wish(HearthWorker *worker, HearthModelState state, const char *path)
{
    HearthReport report = {.serial = worker->serial, .state = state};
    g_object_freeze_notify(G_OBJECT(worker));
    set_path(worker, path);
    show(worker, &report);
    g_object_thaw_notify(G_OBJECT(worker));
}

void hearth_worker_expect(HearthWorker *worker, const char *path)
{
    if (!worker->thread) return;
    g_autofree char *copy = g_strdup(path ? path : "");
    hearth_thread_expect(worker->thread);
    worker->serial++; /* of the wish to come: what is said of the model before is no news */
    show_wish(worker, HEARTH_MODEL_LOADING, copy);
}

static const HearthModelSettings automatic = {0};

void hearth_worker_load(HearthWorker *worker, const char *path, const HearthModelSettings *settings)
{
    if (!worker->thread) return;
    g_autofree char *copy = g_strdup(path ? path : ""); /* may be our own */
    worker->serial =
        hearth_thread_load(worker->thread, *copy ? copy : NULL, settings ? settings : &automatic);
    show_wish(worker, HEARTH_MODEL_LOADING, copy);
}

void hearth_worker_unload(HearthWorker *worker)
{
    if (!worker->thread) return;
    worker->serial = hearth_thread_unload(worker->thread);
}

HearthModelState hearth_worker_get_state(HearthWorker *worker) { return worker->shown.state; }
HearthModelInfo *hearth_worker_get_info(HearthWorker *worker) { return worker->shown.info; }
const char *hearth_worker_get_error(HearthWorker *worker) { return worker->shown.error; }
HearthStats hearth_worker_get_last_stats(HearthWorker *worker) { return worker->shown.last; }

/* ---- answers --------------------------------------------------------------------------------- */

static void on_job_changed(HearthJob *job, HearthWorker *worker)
{
    if (!hearth_state_is_running(hearth_job_get_state(job))) g_ptr_array_remove(worker->jobs, job);
}

HearthJob *hearth_worker_submit(HearthWorker *worker, struct HearthRequest *request)
{
    HearthModelState model = worker->shown.state;
    HearthJob *job =
        hearth_job_new(model == HEARTH_MODEL_LOADING ? HEARTH_STATE_LOADING : HEARTH_STATE_QUEUED);
    if (worker->thread && (model == HEARTH_MODEL_LOADING || model == HEARTH_MODEL_READY)) {
        g_ptr_array_add(worker->jobs, g_object_ref(job));
        g_signal_connect_object(job, "changed", G_CALLBACK(on_job_changed), worker, 0);
        hearth_thread_submit(worker->thread, hearth_job_get_stream(job), request);
        return job;
    }
    GError *error = NULL;
    if (worker->shown.error)
        hearth_error(&error, HEARTH_ERROR_REFUSED, "%s", worker->shown.error);
    else
        hearth_thread_no_model(&error);
    hearth_stream_end(hearth_job_get_stream(job), HEARTH_STATE_FAILED, NULL, error);
    hearth_request_free(request);
    return job;
}

/* ---- asking beside the answer ---------------------------------------------------------------- */

/* The pool may be the last to let go of a task: the worker, which belongs to the main thread, is
 * never in one that goes there. */
typedef struct {
    HearthThread *thread;
    char *text; /* to count; or the path, NULL = built in */
    HearthModelSettings settings;
} Question;

static void free_question(void *data)
{
    Question *question = data;
    hearth_acquire(question);
    hearth_thread_unref(question->thread);
    hearth_model_settings_clear(&question->settings);
    g_free(question->text);
    g_free(question);
}

/* Takes the question's contents; `task` is what the asker has. */
static void ask(HearthWorker *worker, GTask *task, Question contents, GTaskThreadFunc work,
                GAsyncReadyCallback answered)
{
    if (!worker->thread) {
        GError *error = NULL;
        hearth_thread_no_model(&error);
        g_task_return_error(task, error);
        g_free(contents.text);
        hearth_model_settings_clear(&contents.settings);
        return;
    }
    Question *question = g_new(Question, 1);
    *question = contents;
    question->thread = hearth_thread_ref(worker->thread);
    g_autoptr(GTask) asking =
        g_task_new(NULL, g_task_get_cancellable(task), answered, g_object_ref(task));
    g_task_set_task_data(asking, question, free_question);
    hearth_release(question);
    g_task_run_in_thread(asking, work);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void count_tokens(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    Question *question = data;
    hearth_acquire(question);
    GError *error = NULL;
    int n = hearth_thread_count(question->thread, question->text, &error);
    hearth_release(question);
    if (error)
        g_task_return_error(task, error);
    else
        g_task_return_int(task, n);
}

static void on_counted(GObject *source, GAsyncResult *counted, void *data)
{
    g_autoptr(GTask) task = data;
    GError *error = NULL;
    (void)source;
    int n = (int)g_task_propagate_int(G_TASK(counted), &error);
    if (error)
        g_task_return_error(task, error);
    else
        g_task_return_int(task, n);
}

void hearth_worker_count_async(HearthWorker *worker, const char *text, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data)
{
    g_autoptr(GTask) task = g_task_new(worker, cancellable, done, data);
    g_task_set_source_tag(task, hearth_worker_count_async);
    ask(worker, task, (Question){.text = g_strdup(text)}, count_tokens, on_counted);
}

int hearth_worker_count_finish(HearthWorker *worker, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, worker), -1);
    return (int)g_task_propagate_int(G_TASK(result), error);
}

/* ---- planning -------------------------------------------------------------------------------- */

static void make_plan(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    Question *question = data;
    hearth_acquire(question);
    GError *error = NULL;
    HearthPlan *plan =
        hearth_thread_plan(question->thread, question->text, &question->settings, &error);
    hearth_release(question);
    if (plan) {
        hearth_release(plan);
        g_task_return_pointer(task, plan, (GDestroyNotify)hearth_plan_unref);
    } else {
        g_task_return_error(task, error);
    }
}

static void on_planned(GObject *source, GAsyncResult *planned, void *data)
{
    g_autoptr(GTask) task = data;
    GError *error = NULL;
    (void)source;
    HearthPlan *plan = g_task_propagate_pointer(G_TASK(planned), &error);
    if (plan) {
        hearth_acquire(plan);
        g_task_return_pointer(task, plan, (GDestroyNotify)hearth_plan_unref);
    } else {
        g_task_return_error(task, error);
    }
}

void hearth_worker_plan_async(HearthWorker *worker, const char *path,
                              const HearthModelSettings *settings, GCancellable *cancellable,
                              GAsyncReadyCallback done, void *data)
{
    g_autoptr(GTask) task = g_task_new(worker, cancellable, done, data);
    g_task_set_source_tag(task, hearth_worker_plan_async);
    Question question = {.text = path && *path ? g_strdup(path) : NULL,
                         .settings = hearth_model_settings_copy(settings ? settings : &automatic)};
    ask(worker, task, question, make_plan, on_planned);
}

HearthPlan *hearth_worker_plan_finish(HearthWorker *worker, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, worker), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}
