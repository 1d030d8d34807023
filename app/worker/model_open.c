#include "models/ember.h"
#include "worker/model_info_new.h"
#include "worker/plan_new.h"

static EngModelSettings settings_of(const HearthModelSettings *want)
{
    EngModelSettings settings = eng_model_defaults();
    settings.threads = want->threads;
    settings.context = want->context;
    if (want->kv) eng_kv_type(want->kv, &settings.kv);
    settings.no_gpu = want->no_gpu;
    settings.gpus = hearth_plan_gpus(want);
    settings.vram = want->vram;
    if (hearth_model_settings_count_rules(want->rules)) settings.rules = want->rules;
    return settings;
}

EngModel *hearth_model_open(const char *path, const HearthModelSettings *want,
                            HearthModelInfo **ret_info, EngError *failure)
{
    size_t size;
    const void *ember = hearth_ember_data(&size);
    EngModelSettings settings = settings_of(want);
    EngModel *model = path ? eng_model_open(path, &settings, failure)
                           : eng_model_open_memory(ember, size, &settings, failure);
    if (!model) return NULL;
    EngPeek *peek = path ? eng_peek(path, failure) : eng_peek_bytes(ember, size, size, failure);
    if (!peek) {
        eng_model_free(model);
        return NULL;
    }
    *ret_info = hearth_model_info_of(model, peek, path, want);
    eng_peek_free(peek);
    return model;
}

bool hearth_model_check(const char *path, const HearthModelSettings *want, const EngModel *gone,
                        EngError *failure)
{
    size_t size;
    const void *ember = hearth_ember_data(&size);
    EngModelSettings settings = settings_of(want);
    return path ? eng_model_check(path, &settings, gone, failure)
                : eng_model_check_memory(ember, size, &settings, gone, failure);
}
