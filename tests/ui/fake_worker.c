#include "fake_worker.h"

#include <string.h>

#include "error.h"
#include "worker/job_stream.h"
#include "worker/model_info_new.h"
#include "worker/request.h"

struct _HearthWorker {
    GObject parent;
    HearthModelState state;
    HearthModelInfo *info;
    char *error, *counted;
    double speed;
    int used, size, asked;
    HearthJob *job;
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

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthWorker *self = HEARTH_WORKER(object);
    (void)spec;
    switch (id) {
    case STATE: g_value_set_int(value, (int)self->state); break;
    case INFO: g_value_set_boxed(value, self->info); break;
    case PATH: g_value_set_string(value, self->info ? self->info->path : ""); break;
    case ERROR: g_value_set_string(value, self->error); break;
    case SPEED: g_value_set_double(value, self->speed); break;
    case CONTEXT_USED: g_value_set_int(value, self->used); break;
    case CONTEXT_SIZE: g_value_set_int(value, self->size); break;
    default: break;
    }
}

static void finalize(GObject *object)
{
    HearthWorker *self = HEARTH_WORKER(object);
    hearth_model_info_unref(self->info);
    g_clear_object(&self->job);
    g_free(self->error);
    g_free(self->counted);
    G_OBJECT_CLASS(hearth_worker_parent_class)->finalize(object);
}

static void hearth_worker_class_init(HearthWorkerClass *class)
{
    GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
    G_OBJECT_CLASS(class)->get_property = get_property;
    G_OBJECT_CLASS(class)->finalize = finalize;
    properties[STATE] = g_param_spec_int("state", NULL, NULL, 0, 3, 0, flags);
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
    g_object_class_install_properties(G_OBJECT_CLASS(class), N_PROPERTIES, properties);
}

static void hearth_worker_init(HearthWorker *self) { (void)self; }

/* ---- what the program calls ------------------------------------------------------------------ */

HearthWorker *hearth_worker_new(void) { return g_object_new(HEARTH_TYPE_WORKER, NULL); }
void hearth_worker_close(HearthWorker *worker) { (void)worker; }

void hearth_worker_expect(HearthWorker *worker, const char *path)
{
    (void)worker;
    (void)path;
}

void hearth_worker_load(HearthWorker *worker, const char *path, const HearthModelSettings *settings)
{
    (void)settings;
    bool built_in = !path || !*path;
    fake_worker_set_model(worker, HEARTH_MODEL_READY, built_in ? NULL : path,
                          built_in ? "Ember" : "Other", NULL);
}

void hearth_worker_unload(HearthWorker *worker)
{
    fake_worker_set_model(worker, HEARTH_MODEL_NONE, NULL, NULL, NULL);
}

HearthModelState hearth_worker_get_state(HearthWorker *worker) { return worker->state; }
HearthModelInfo *hearth_worker_get_info(HearthWorker *worker) { return worker->info; }
const char *hearth_worker_get_error(HearthWorker *worker) { return worker->error; }

HearthStats hearth_worker_get_last_stats(HearthWorker *worker)
{
    (void)worker;
    return (HearthStats){0};
}

void hearth_worker_plan_async(HearthWorker *worker, const char *path,
                              const HearthModelSettings *settings, GCancellable *cancellable,
                              GAsyncReadyCallback done, void *data)
{
    g_autoptr(GTask) task = g_task_new(worker, cancellable, done, data);
    (void)path;
    (void)settings;
    g_task_return_new_error(task, HEARTH_ERROR, HEARTH_ERROR_FAILED, "There is no engine here.");
}

HearthPlan *hearth_worker_plan_finish(HearthWorker *worker, GAsyncResult *result, GError **error)
{
    (void)worker;
    return g_task_propagate_pointer(G_TASK(result), error);
}

HearthJob *hearth_worker_submit(HearthWorker *worker, HearthRequest *request)
{
    hearth_request_free(request);
    worker->asked++;
    HearthJob *job = hearth_job_new(HEARTH_STATE_QUEUED);
    g_set_object(&worker->job, job);
    return job;
}

void hearth_worker_count_async(HearthWorker *worker, const char *text, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data)
{
    g_autoptr(GTask) task = g_task_new(worker, cancellable, done, data);
    g_free(worker->counted);
    worker->counted = g_strdup(text);
    g_task_return_int(task, (gssize)strlen(text) / 4 + 1);
}

int hearth_worker_count_finish(HearthWorker *worker, GAsyncResult *result, GError **error)
{
    (void)worker;
    return (int)g_task_propagate_int(G_TASK(result), error);
}

/* ---- what the test calls --------------------------------------------------------------------- */

void fake_worker_set_model(HearthWorker *worker, HearthModelState state, const char *path,
                           const char *name, const char *error)
{
    HearthModelInfo like = {.path = (char *)path,
                            .name = (char *)name,
                            .arch = (char *)"llama",
                            .quant = (char *)"Q8_0",
                            .context_trained = 16384};
    worker->state = state;
    hearth_model_info_unref(worker->info);
    worker->info = name ? hearth_model_info_new(&like) : NULL;
    g_free(worker->error);
    worker->error = g_strdup(error);
    g_object_notify(G_OBJECT(worker), "info");
    g_object_notify(G_OBJECT(worker), "error");
    g_object_notify(G_OBJECT(worker), "state");
}

void fake_worker_set_context(HearthWorker *worker, int used, int size)
{
    worker->used = used;
    worker->size = size;
    g_object_notify(G_OBJECT(worker), "context-used");
    g_object_notify(G_OBJECT(worker), "context-size");
}

void fake_worker_set_speed(HearthWorker *worker, double speed) { worker->speed = speed; }

HearthStream *fake_worker_stream(HearthWorker *worker)
{
    return worker->job ? hearth_job_get_stream(worker->job) : NULL;
}

void fake_worker_flush(HearthWorker *worker)
{
    if (worker->job) hearth_job_flush(worker->job);
}

int fake_worker_asked(HearthWorker *worker) { return worker->asked; }
const char *fake_worker_counted(HearthWorker *worker) { return worker->counted; }
