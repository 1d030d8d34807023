/* What of a model lies where: tensors by their names, as the GGUF format has them. */
#include <string.h>

#include "worker/model_info_new.h"

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

HearthModelInfo *hearth_model_info_of(const EngModel *model, const EngPeek *peek, const char *path)
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
                            .has_template = info.has_template};
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
    return hearth_model_info_new(&made);
}
