/* What of a model lies where: tensors by their names, as the GGUF format has them. */
#include <string.h>

#include "error.h"
#include "worker/model_info_new.h"
#include "worker/plan_new.h"

static bool has(const char *name, const char *part) { return strstr(name, part) != NULL; }

/* Files from before 2024-04 have a tensor per expert: blk.N.ffn_gate.7.weight. */
static bool is_one_expert(const char *name)
{
    const char *at = strstr(name, ".ffn_");
    at = at ? strchr(at + 1, '.') : NULL;
    return at && g_ascii_isdigit(at[1]);
}

static HearthKind kind_of(const char *name)
{
    if (g_str_has_prefix(name, "token_embd.")) return HEARTH_KIND_EMBEDDING;
    if (g_str_has_prefix(name, "output.")) return HEARTH_KIND_HEAD;
    if (has(name, "_exps.") || is_one_expert(name)) return HEARTH_KIND_EXPERTS;
    if (has(name, "_norm.")) return HEARTH_KIND_OTHER;
    if (has(name, "_shexp.")) return HEARTH_KIND_SHARED_EXPERTS;
    if (has(name, ".ffn_gate.") || has(name, ".ffn_up.") || has(name, ".ffn_down."))
        return HEARTH_KIND_DENSE;
    if (has(name, ".attn_")) return HEARTH_KIND_ATTENTION;
    return HEARTH_KIND_OTHER;
}

/* general.name, else the file's. */
static char *name_of(const EngPeek *peek, const char *path)
{
    if (*peek->name || !path) return g_utf8_make_valid(peek->name, -1);
    return g_filename_display_basename(path);
}

/* What the plan calls otherwise: attention's kind has norms and routers, too, and the head's a
 * token table that is both. */
static const struct {
    EngPlanKind plan;
    HearthKind kinds[2];
} same[] = {
    {ENG_PLAN_ATTENTION, {HEARTH_KIND_ATTENTION, HEARTH_KIND_OTHER}},
    {ENG_PLAN_SHARED, {HEARTH_KIND_SHARED_EXPERTS, HEARTH_KIND_SHARED_EXPERTS}},
    {ENG_PLAN_DENSE, {HEARTH_KIND_DENSE, HEARTH_KIND_DENSE}},
    {ENG_PLAN_HEAD, {HEARTH_KIND_HEAD, HEARTH_KIND_EMBEDDING}},
    {ENG_PLAN_EXPERTS, {HEARTH_KIND_EXPERTS, HEARTH_KIND_EXPERTS}},
};

static uint64_t placed(const EngPlan *plan, EngPlanKind kind, EngPlaceKind place)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->n_rows; i++)
        if (plan->rows[i].kind == kind && plan->rows[i].place.kind == place)
            bytes += plan->rows[i].bytes;
    return bytes;
}

static void move(HearthModelInfo *info, const EngPlan *plan, EngPlaceKind place,
                 HearthDevice device)
{
    for (size_t i = 0; i < G_N_ELEMENTS(same); i++) {
        uint64_t left = placed(plan, same[i].plan, place);
        for (int k = 0; k < 2; k++) {
            uint64_t *bytes = info->bytes[same[i].kinds[k]];
            uint64_t moved = MIN(left, bytes[HEARTH_DEVICE_DRAM]);
            bytes[HEARTH_DEVICE_DRAM] -= moved;
            bytes[device] += moved;
            left -= moved;
        }
    }
}

static void tell_gpu(HearthModelInfo *info, const EngModelInfo *now)
{
    static const HearthGpuState states[] = {[ENG_GPU_NONE] = HEARTH_GPU_NONE,
                                            [ENG_GPU_WORKS] = HEARTH_GPU_WORKS,
                                            [ENG_GPU_SLOWER] = HEARTH_GPU_SLOWER,
                                            [ENG_GPU_NO_ROOM] = HEARTH_GPU_NO_ROOM,
                                            [ENG_GPU_FAILED] = HEARTH_GPU_FAILED};
    g_free(info->gpu);
    g_free(info->gpu_reason);
    info->gpu_state = states[now->gpu_state];
    info->gpu = *now->gpu ? g_utf8_make_valid(now->gpu, -1) : NULL;
    info->gpu_reason = *now->gpu ? NULL : hearth_sentence(now->gpu_reason);
}

/* Where the GPU has no part in it, the model has no plan of its own. Making one asks the driver for
 * its GPU: not when that has just failed. */
static HearthPlan *plan_of(const EngModel *model, const HearthModelInfo *info)
{
    HearthModelSettings settings = info->settings; /* borrowed */
    if (info->gpu_state == HEARTH_GPU_FAILED) return NULL;
    if (info->gpu) return hearth_plan_of(eng_model_plan(model));
    settings.no_gpu = true;
    settings.rules = NULL;
    return hearth_plan_make(model, NULL, &settings, NULL);
}

void hearth_model_info_place(HearthModelInfo *info, const EngModel *model)
{
    EngModelInfo now = eng_model_info(model);
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) {
        uint64_t *bytes = info->bytes[kind];
        if (kind == HEARTH_KIND_KV) continue;
        if (kind != HEARTH_KIND_BUFFERS && kind != HEARTH_KIND_CACHE)
            bytes[HEARTH_DEVICE_DRAM] += bytes[HEARTH_DEVICE_VRAM] + bytes[HEARTH_DEVICE_DISK];
        bytes[HEARTH_DEVICE_VRAM] = bytes[HEARTH_DEVICE_DISK] = 0;
    }
    bool failed = info->gpu && !*now.gpu;
    tell_gpu(info, &now);
    if (failed) g_clear_pointer(&info->plan, hearth_plan_unref);
    if (!info->gpu) return;
    const EngPlan *plan = eng_model_plan(model);
    info->bytes[HEARTH_KIND_BUFFERS][HEARTH_DEVICE_VRAM] =
        placed(plan, ENG_PLAN_BUFFERS, ENG_PLACE_GPU);
    info->bytes[HEARTH_KIND_CACHE][HEARTH_DEVICE_VRAM] =
        now.cache_bytes; /* another program may have taken some of what was planned */
    move(info, plan, ENG_PLACE_GPU, HEARTH_DEVICE_VRAM);
    move(info, plan, ENG_PLACE_DISK, HEARTH_DEVICE_DISK);
}

HearthModelInfo *hearth_model_info_of(const EngModel *model, const EngPeek *peek, const char *path,
                                      const HearthModelSettings *settings)
{
    EngModelInfo info = eng_model_info(model);
    g_autofree char *name = name_of(peek, path);
    g_autofree char *arch = g_utf8_make_valid(peek->arch, -1);
    HearthModelInfo made = {.path = (char *)path,
                            .name = name,
                            .arch = arch,
                            .quant = (char *)peek->quant,
                            .parameters = peek->parameters,
                            .active_parameters = peek->active_parameters,
                            .n_layers = info.n_layers,
                            .n_experts = info.n_experts,
                            .n_experts_used = info.n_experts_used,
                            .context_trained = info.context_trained,
                            .threads = info.threads,
                            .has_template = info.has_template,
                            .settings = *settings}; /* borrowed, as the strings above */
    memcpy(made.kv_bytes_per_token, info.kv_bytes_per_token, sizeof info.kv_bytes_per_token);
    int32_t *tokens = NULL;
    size_t n;
    made.has_vocabulary =
        eng_tokenize(model, "", 0, (EngTokenizeOptions){false, false}, &tokens, &n, NULL);
    g_clear_pointer(&tokens, free);
    for (size_t i = 0; i < peek->n_tensors; i++)
        made.bytes[kind_of(peek->tensors[i].name)][HEARTH_DEVICE_DRAM] += peek->tensors[i].bytes;
    /* What opening derived beside the file are attention's matrices in another order. */
    if (info.weight_bytes > peek->tensor_bytes)
        made.bytes[HEARTH_KIND_ATTENTION][HEARTH_DEVICE_DRAM] +=
            info.weight_bytes - peek->tensor_bytes;
    made.bytes[HEARTH_KIND_BUFFERS][HEARTH_DEVICE_DRAM] = info.compute_bytes;
    HearthModelInfo *ret = hearth_model_info_new(&made);
    hearth_model_info_place(ret, model);
    ret->plan = plan_of(model, ret);
    return ret;
}
