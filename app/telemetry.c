#include "telemetry.h"

#include <engine.h>

#include "error.h"
#include "sync.h"
#include "worker/flow/wake.h"

#define RATES_PER_SECOND 5
#define RATES (HEARTH_TELEMETRY_SECONDS * RATES_PER_SECOND)

struct _HearthTelemetry {
    GObject parent;
    HearthWorker *worker;
    int watchers;
    guint sample_timer;
    HearthWake *rating; /* while an answer is written and somebody watches */
    bool beats;         /* it has rung: at once, and from then on five times a second */
    bool sampling;      /* a thread is at it: never a second one, however long it takes */
    HearthHost *host;

    /* Rings: the newest is at n - 1 modulo the size. */
    HearthSample samples[HEARTH_TELEMETRY_SECONDS];
    double rates[RATES];
    guint64 n_samples, n_rates;
};

G_DEFINE_FINAL_TYPE(HearthTelemetry, hearth_telemetry, G_TYPE_OBJECT)

static guint sampled_signal, rated_signal, host_signal;

/* ---- the machine, once ----------------------------------------------------------------------- */

static void free_host(void *data)
{
    HearthHost *host = data;
    if (!host) return;
    g_free(host->cpu);
    g_free(host->isa);
    g_free(host->isa_limit);
    g_free(host->no_amx);
    g_free(host->gpu);
    g_free(host->gpu_reason);
    for (int i = 0; i < host->n_gpus; i++) g_free(host->gpus[i].name);
    g_free(host->error);
    g_free(host);
}

static HearthHost *host_of(const EngHost *found, const char *error)
{
    HearthHost *host = g_new0(HearthHost, 1);
    host->cpu = g_utf8_make_valid(found->cpu_name, -1);
    host->isa = g_strdup(found->isa);
    host->isa_limit = g_utf8_make_valid(found->isa_limit, -1);
    host->no_amx = *found->no_amx ? hearth_sentence(found->no_amx) : NULL;
    host->cores = found->cores;
    host->threads = found->threads;
    host->nodes = found->nodes;
    host->l1d = found->l1d_bytes;
    host->l2 = found->l2_bytes;
    host->l3 = found->l3_bytes;
    G_STATIC_ASSERT(G_N_ELEMENTS(host->node_bytes) >= ENG_MAX_NODES);
    for (int i = 0; i < found->nodes && i < ENG_MAX_NODES; i++)
        host->node_bytes[i] = found->node_bytes[i];
    host->dram_total = found->dram_total;
    host->gpu = g_utf8_make_valid(found->n_gpus ? found->gpus[0].name : "", -1);
    host->gpu_reason = hearth_sentence(found->gpu_reason);
    host->vram_total = found->n_gpus ? found->gpus[0].vram_total : 0;
    G_STATIC_ASSERT(G_N_ELEMENTS(host->gpus) >= ENG_MAX_GPUS);
    host->n_gpus = found->n_gpus;
    for (int i = 0; i < found->n_gpus; i++) {
        host->gpus[i].name = g_utf8_make_valid(found->gpus[i].name, -1);
        host->gpus[i].vram_total = found->gpus[i].vram_total;
    }
    host->error = g_strdup(error);
    return host;
}

static void probe(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    (void)source;
    (void)data;
    (void)cancellable;
    EngHost found = {0};
    EngError failure = {0};
    bool ok = eng_probe(&found, &failure);
    HearthHost *host = host_of(&found, ok ? NULL : failure.message);
    hearth_release(host);
    g_task_return_pointer(task, host, free_host);
}

static void on_probed(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(HearthTelemetry) telemetry = data;
    (void)source;
    telemetry->host = g_task_propagate_pointer(G_TASK(result), NULL);
    hearth_acquire(telemetry->host);
    g_signal_emit(telemetry, host_signal, 0);
}

/* ---- once a second --------------------------------------------------------------------------- */

/* Memory is asked for on a thread: /proc may be slow on a machine that is short of it. The pool may
 * be the last to let go of a task: the object, the main thread's, goes with the callback instead.
 */
static void ask_usage(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    (void)source;
    (void)data;
    (void)cancellable;
    EngUsage *usage = g_new0(EngUsage, 1);
    eng_host_usage(usage, NULL);
    hearth_release(usage);
    g_task_return_pointer(task, usage, g_free);
}

static double mean_rate(HearthTelemetry *telemetry)
{
    double rates[RATES_PER_SECOND], sum = 0;
    size_t n = hearth_telemetry_get_rates(telemetry, rates, RATES_PER_SECOND);
    gboolean busy;
    g_object_get(telemetry->worker, "busy", &busy, NULL);
    if (!busy || n == 0) return 0;
    for (size_t i = 0; i < n; i++) sum += rates[i];
    return sum / (double)n;
}

static uint64_t vram_of(const HearthHost *host, const HearthModelInfo *info)
{
    int used = info && info->plan ? info->plan->n_gpus : 0;
    uint64_t total = host->vram_total;
    for (int i = 1; i < MIN(used, host->n_gpus); i++) total += host->gpus[i].vram_total;
    return total;
}

static void on_usage(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(HearthTelemetry) telemetry = data;
    (void)source;
    g_autofree EngUsage *usage = g_task_propagate_pointer(G_TASK(result), NULL);
    hearth_acquire(usage);
    telemetry->sampling = false;
    if (telemetry->watchers == 0) return;
    HearthSample sample = {.time = g_get_monotonic_time(),
                           .process = usage->process_bytes,
                           .dram_total = usage->dram_total,
                           .dram_available = usage->dram_available,
                           .rate = mean_rate(telemetry)};
    HearthModelInfo *info = hearth_worker_get_info(telemetry->worker);
    if (info) {
        sample.model_dram = hearth_bytes_total(info->bytes, HEARTH_DEVICE_DRAM);
        sample.model_vram = hearth_bytes_total(info->bytes, HEARTH_DEVICE_VRAM);
    }
    if (telemetry->host && telemetry->host->vram_total) {
        sample.vram_total = vram_of(telemetry->host, info);
        sample.vram_available = sample.vram_total - MIN(sample.vram_total, sample.model_vram);
    }
    g_object_get(telemetry->worker, "context-used", &sample.context_used, "context-size",
                 &sample.context_size, NULL);
    telemetry->samples[telemetry->n_samples++ % HEARTH_TELEMETRY_SECONDS] = sample;
    g_signal_emit(telemetry, sampled_signal, 0);
}

static gboolean sample(void *data)
{
    HearthTelemetry *telemetry = data;
    if (telemetry->sampling) return G_SOURCE_CONTINUE;
    telemetry->sampling = true;
    g_autoptr(GTask) task = g_task_new(NULL, NULL, on_usage, g_object_ref(telemetry));
    g_task_set_source_tag(task, sample);
    g_task_run_in_thread(task, ask_usage);
    return G_SOURCE_CONTINUE;
}

/* ---- five times a second while an answer is written ------------------------------------------ */

static void rate(HearthTelemetry *telemetry)
{
    double now;
    g_object_get(telemetry->worker, "rate", &now, NULL);
    telemetry->rates[telemetry->n_rates++ % RATES] = now;
    g_signal_emit(telemetry, rated_signal, 0);
}

/* A wake and no timer: it comes with the text of the answer then, and costs no frame. */
static void beat(void *data)
{
    HearthTelemetry *telemetry = data;
    bool first = !telemetry->beats;
    telemetry->beats = true;
    hearth_wake_ring(telemetry->rating);
    if (!first) rate(telemetry);
}

static void stop_rating(HearthTelemetry *telemetry)
{
    if (telemetry->rating) hearth_wake_close(telemetry->rating);
    g_clear_pointer(&telemetry->rating, hearth_wake_unref);
}

static void watch_rate(HearthTelemetry *telemetry)
{
    gboolean busy;
    if (!telemetry->worker) return;
    g_object_get(telemetry->worker, "busy", &busy, NULL);
    bool wanted = busy && telemetry->watchers > 0;
    if (wanted && !telemetry->rating) {
        telemetry->rating = hearth_wake_new(RATES_PER_SECOND, beat, telemetry);
        telemetry->beats = false;
        hearth_wake_ring(telemetry->rating);
    } else if (!wanted && telemetry->rating) {
        stop_rating(telemetry);
        rate(telemetry); /* the last one says 0 */
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void hearth_telemetry_dispose(GObject *object)
{
    HearthTelemetry *telemetry = HEARTH_TELEMETRY(object);
    g_clear_handle_id(&telemetry->sample_timer, g_source_remove);
    stop_rating(telemetry);
    telemetry->watchers = 0;
    g_clear_object(&telemetry->worker);
    G_OBJECT_CLASS(hearth_telemetry_parent_class)->dispose(object);
}

static void hearth_telemetry_finalize(GObject *object)
{
    free_host(HEARTH_TELEMETRY(object)->host);
    G_OBJECT_CLASS(hearth_telemetry_parent_class)->finalize(object);
}

static guint new_signal(const char *name)
{
    return g_signal_new(name, HEARTH_TYPE_TELEMETRY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                        G_TYPE_NONE, 0);
}

static void hearth_telemetry_class_init(HearthTelemetryClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    object_class->dispose = hearth_telemetry_dispose;
    object_class->finalize = hearth_telemetry_finalize;
    sampled_signal = new_signal("sampled");
    rated_signal = new_signal("rated");
    host_signal = new_signal("host");
}

static void hearth_telemetry_init(HearthTelemetry *telemetry) { (void)telemetry; }

HearthTelemetry *hearth_telemetry_new(HearthWorker *worker)
{
    HearthTelemetry *telemetry = g_object_new(HEARTH_TYPE_TELEMETRY, NULL);
    telemetry->worker = g_object_ref(worker);
    g_signal_connect_object(worker, "notify::busy", G_CALLBACK(watch_rate), telemetry,
                            G_CONNECT_SWAPPED);
    g_autoptr(GTask) task = g_task_new(NULL, NULL, on_probed, g_object_ref(telemetry));
    g_task_set_source_tag(task, hearth_telemetry_new);
    g_task_run_in_thread(task, probe);
    return telemetry;
}

void hearth_telemetry_watch(HearthTelemetry *telemetry, bool watch)
{
    g_return_if_fail(watch || telemetry->watchers > 0);
    telemetry->watchers += watch ? 1 : -1;
    if (watch && !telemetry->sample_timer) {
        telemetry->sample_timer = g_timeout_add_seconds(1, sample, telemetry);
        sample(telemetry);
    } else if (telemetry->watchers == 0) {
        g_clear_handle_id(&telemetry->sample_timer, g_source_remove);
    }
    watch_rate(telemetry);
}

HearthSample hearth_telemetry_get_sample(HearthTelemetry *telemetry)
{
    if (telemetry->n_samples == 0) return (HearthSample){0};
    return telemetry->samples[(telemetry->n_samples - 1) % HEARTH_TELEMETRY_SECONDS];
}

size_t hearth_telemetry_get_samples(HearthTelemetry *telemetry, HearthSample *ret, size_t max)
{
    guint64 n = MIN(MIN(telemetry->n_samples, HEARTH_TELEMETRY_SECONDS), max);
    for (guint64 i = 0; i < n; i++)
        ret[i] = telemetry->samples[(telemetry->n_samples - n + i) % HEARTH_TELEMETRY_SECONDS];
    return n;
}

size_t hearth_telemetry_get_rates(HearthTelemetry *telemetry, double *ret, size_t max)
{
    guint64 n = MIN(MIN(telemetry->n_rates, RATES), max);
    for (guint64 i = 0; i < n; i++) ret[i] = telemetry->rates[(telemetry->n_rates - n + i) % RATES];
    return n;
}

const HearthHost *hearth_telemetry_get_host(HearthTelemetry *telemetry) { return telemetry->host; }
