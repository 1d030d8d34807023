#include "worker/model_info_new.h"

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
    g_free(info);
}

uint64_t hearth_model_info_total(const HearthModelInfo *info, HearthDevice device)
{
    uint64_t total = 0;
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) total += info->bytes[kind][device];
    return total;
}

uint64_t hearth_model_info_kv_bytes(const HearthModelInfo *info, const char *type)
{
    G_STATIC_ASSERT(G_N_ELEMENTS(info->kv_bytes_per_token) == ENG_KV_TYPES);
    EngKvType known = ENG_KV_F16;
    eng_kv_type(type, &known);
    return info->kv_bytes_per_token[known];
}
