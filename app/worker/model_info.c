#include "worker/model_info_new.h"

#define AUTOMATIC_CONTEXT 4096 /* the engine's choice, when the model was trained with more */

typedef struct {
    HearthModelInfo info;
    int refs; /* atomic */
} Counted;

G_DEFINE_BOXED_TYPE(HearthModelInfo, hearth_model_info, hearth_model_info_ref,
                    hearth_model_info_unref)

HearthModelInfo *hearth_model_info_new(const HearthModelInfo *like)
{
    Counted *counted = g_new0(Counted, 1);
    counted->refs = 1;
    counted->info = *like;
    counted->info.path = g_strdup(like->path);
    counted->info.name = g_strdup(like->name);
    counted->info.arch = g_strdup(like->arch);
    counted->info.quant = g_strdup(like->quant);
    counted->info.settings = hearth_model_settings_copy(&like->settings);
    counted->info.gpu = g_strdup(like->gpu);
    counted->info.gpu_reason = g_strdup(like->gpu_reason);
    if (like->plan) hearth_plan_ref(like->plan);
    return &counted->info;
}

HearthModelInfo *hearth_model_info_ref(HearthModelInfo *info)
{
    g_atomic_int_inc(&((Counted *)info)->refs);
    return info;
}

void hearth_model_info_unref(HearthModelInfo *info)
{
    if (!info || !g_atomic_int_dec_and_test(&((Counted *)info)->refs)) return;
    g_free(info->path);
    g_free(info->name);
    g_free(info->arch);
    g_free(info->quant);
    hearth_model_settings_clear(&info->settings);
    g_free(info->gpu);
    g_free(info->gpu_reason);
    hearth_plan_unref(info->plan);
    g_free(info);
}

int hearth_model_info_context(const HearthModelInfo *info, int wanted)
{
    if (wanted) return wanted;
    return info->context_trained ? MIN(info->context_trained, AUTOMATIC_CONTEXT)
                                 : AUTOMATIC_CONTEXT;
}

uint64_t hearth_model_info_kv_bytes(const HearthModelInfo *info, const char *type)
{
    G_STATIC_ASSERT(G_N_ELEMENTS(info->kv_bytes_per_token) == ENG_KV_TYPES);
    EngKvType known = ENG_KV_F16;
    eng_kv_type(type, &known);
    return info->kv_bytes_per_token[known];
}
