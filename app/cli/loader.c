#include "cli/loader.h"

#include "cli/base/console.h"
#include "cli/base/io.h"
#include "models/ember.h"

static EngModel *open_model(const char *path, const EngModelSettings *settings, GError **error)
{
    EngError failure = {0};
    EngModel *model;
    if (path) {
        model = eng_model_open(path, settings, &failure);
    } else {
        size_t size;
        const void *data = hearth_ember_data(&size);
        model = eng_model_open_memory(data, size, settings, &failure);
    }
    if (!model) hearth_error_from_engine(error, &failure);
    return model;
}

static void show(const char *doing, uint64_t done, uint64_t total, gint64 start)
{
    double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    hearth_console_progress("%s %.0f %% · %.0f MiB/s", doing,
                            total ? 100.0 * (double)done / (double)total : 100.0,
                            seconds > 0 ? (double)done / seconds / 1048576 : 0.0);
}

bool hearth_loader_bring_in(EngModel *model, const char *doing, GError **error)
{
    gint64 start = g_get_monotonic_time();
    uint64_t done = 0, total = 1;
    while (done < total) {
        EngError failure = {0};
        if (!eng_model_load(model, &done, &total, &failure)) {
            hearth_console_progress_done();
            return hearth_error_from_engine(error, &failure);
        }
        if (doing) show(doing, done, total, start);
        if (hearth_console_take_interrupt()) {
            hearth_console_progress_done();
            return hearth_error(error, HEARTH_ERROR_FAILED,
                                "Stopped while the model was being loaded.");
        }
    }
    hearth_console_progress_done();
    return true;
}

bool hearth_loader_gpu(const HearthGpuOptions *gpu, EngModelSettings *settings, char **ret_rules,
                       GError **error)
{
    *ret_rules = NULL;
    settings->vram = gpu->vram;
    settings->gpus = gpu->gpus;
    if (gpu->stream) eng_streaming(gpu->stream, &settings->streaming); /* a choice of the options */
    settings->no_gpu = gpu->use && g_str_equal(gpu->use, "off");
    if (gpu->rules && !hearth_io_read_text(gpu->rules, "file of rules", ret_rules, error)) return false;
    settings->rules = *ret_rules;
    return true;
}

static void tell(const EngModel *model)
{
    EngModelInfo info = eng_model_info(model);
    g_autofree char *said = g_strdup_printf("the CPU computes alone: %s.", info.gpu_reason);
    hearth_console_complain(said);
}

void hearth_loader_tell_gpu(const HearthGpuOptions *gpu, const EngModel *model)
{
    if (gpu->vram && !eng_model_plan(model)) tell(model);
}

bool hearth_loader_tell_lost(const EngModel *model)
{
    bool lost = eng_model_plan(model) && !*eng_model_info(model).gpu;
    if (lost) tell(model);
    return lost;
}

EngModel *hearth_loader_open(const HearthLoad *load, double *ret_seconds, GError **error)
{
    EngModelSettings settings = eng_model_defaults();
    g_autofree char *rules = NULL;
    if (!hearth_loader_gpu(&load->gpu, &settings, &rules, error)) return NULL;
    settings.context = load->context;
    settings.kv = load->kv;
    if (load->threads) settings.threads = load->threads;
    if (load->batch) settings.batch = load->batch;
    settings.copy = load->copy;
    settings.experts = load->experts.used;
    settings.defer = load->experts.defer;
    g_autoptr(EngModel) model = open_model(load->path, &settings, error);
    gint64 start = g_get_monotonic_time();
    if (!model || !hearth_loader_bring_in(model, load->quiet ? NULL : "Loading model", error))
        return NULL;
    if (ret_seconds) *ret_seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    hearth_loader_tell_gpu(&load->gpu, model);
    return g_steal_pointer(&model);
}

EngModel *hearth_loader_open_vocab(const char *path, GError **error)
{
    EngModelSettings settings = eng_model_defaults();
    settings.vocab_only = true;
    return open_model(path, &settings, error);
}
