/* What a file holds, from its header alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "model/arch.h"

/* Experts beyond those used per token do not count as active; nor does the token table, of which a
 * token reads one row. */
static uint64_t active_elements(const EngTensor *t, uint64_t n, uint64_t used, uint64_t experts)
{
    if (strcmp(t->name, "token_embd.weight") == 0) return t->ne[0];
    bool expert = strstr(t->name, "_exps.") != NULL;
    int layer, index;
    char part[16];
    if (sscanf(t->name, "blk.%d.ffn_%15[a-z].%d.weight", &layer, part, &index) == 3) expert = true;
    return expert && experts > 0 ? n / experts * used : n;
}

static void count(EngPeek *p, const EngGguf *g, uint64_t used, uint64_t experts)
{
    uint64_t by_type[ENG_TYPE_COUNT] = {0};
    bool whole =
        g->part_count == 1 || g->n_parts == g->part_count; /* all parts' tensors are here */
    bool tied = whole && eng_gguf_tensor(g, "output.weight") == NULL;
    p->tensors = eng_alloc0((g->n_tensors + 1) * sizeof *p->tensors);
    p->n_tensors = g->n_tensors;
    for (size_t i = 0; i < g->n_tensors; i++) {
        const EngTensor *t = &g->tensors[i];
        EngPeekTensor *out = &p->tensors[i];
        uint64_t n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
        out->name = eng_strndup(t->name, strlen(t->name));
        out->type = eng_type_info(t->type)->name;
        out->n_dims = t->n_dims;
        memcpy(out->shape, t->ne, sizeof out->shape);
        out->bytes = t->bytes;
        p->parameters += n;
        p->active_parameters += active_elements(t, n, used, experts);
        if (tied && strcmp(t->name, "token_embd.weight") == 0) p->active_parameters += n; /* head */
        p->tensor_bytes += t->bytes;
        by_type[t->type] += t->bytes;
    }
    uint32_t most = 0;
    for (uint32_t i = 1; i < ENG_TYPE_COUNT; i++)
        if (by_type[i] > by_type[most]) most = i;
    if (p->n_tensors) snprintf(p->quant, sizeof p->quant, "%s", eng_type_info(most)->name);
}

/* Reasons are those that the header shows; opening checks everything. */
static void judge(EngPeek *p, const EngGguf *g)
{
    p->supported = false;
    if (g->n_tensors == 0 && g->part_count == 1) {
        snprintf(p->reason, sizeof p->reason, "This file holds a vocabulary and no weights.");
        return;
    }
    if (!eng_arch_find(g->arch)) {
        char names[64];
        eng_arch_names(names, sizeof names);
        snprintf(p->reason, sizeof p->reason,
                 "Its family \"%.63s\" is none of those that run here (%s).", p->arch, names);
        return;
    }
    for (size_t i = 0; i < g->n_tensors; i++)
        if (!eng_type_info(g->tensors[i].type)->to_f32) {
            snprintf(p->reason, sizeof p->reason,
                     "Tensor \"%.80s\" has type %s, which does not run here.", g->tensors[i].name,
                     eng_type_info(g->tensors[i].type)->name);
            return;
        }
    p->supported = true;
}

static EngPeek *peek(EngGguf *g, EngError *err)
{
    EngPeek *p = eng_alloc0(sizeof *p);
    EngGgufString name;
    uint64_t layers = 0, experts = 0, used = 0, file_type = UINT64_MAX;
    bool ok = eng_gguf_string(g, "general.name", &name, err) &&
              eng_gguf_u64(g, "%s.context_length", 0, &p->context, err) &&
              eng_gguf_u64(g, "%s.block_count", 0, &layers, err) &&
              eng_gguf_u64(g, "%s.expert_count", 0, &experts, err) &&
              eng_gguf_u64(g, "%s.expert_used_count", 0, &used, err) &&
              eng_gguf_u64(g, "general.file_type", UINT64_MAX, &file_type, err);
    if (ok && (layers > 1 << 20 || experts > 1 << 20 || used > experts))
        ok = eng_fail(err, ENG_ERR_REFUSED,
                      "This GGUF file is damaged: its numbers of layers and experts make no sense. "
                      "Download it again.");
    if (!ok) {
        eng_peek_free(p);
        return NULL;
    }
    snprintf(p->arch, sizeof p->arch, "%.63s", g->arch);
    snprintf(p->name, sizeof p->name, "%.*s", (int)ENG_MIN(name.n, sizeof p->name - 1),
             name.s ? name.s : "");
    p->n_layers = (int)layers;
    p->n_experts = (int)experts;
    p->n_experts_used = (int)used;
    p->part = g->part;
    p->n_parts = g->part_count;
    count(p, g, used, experts);
    const char *type = file_type <= UINT32_MAX ? eng_file_type_name((uint32_t)file_type) : NULL;
    if (type) snprintf(p->quant, sizeof p->quant, "%s", type);
    judge(p, g);
    return p;
}

EngPeek *eng_peek(const char *path, EngError *err)
{
    EngGguf *g = eng_gguf_open(path, err);
    EngPeek *p = g ? peek(g, err) : NULL;
    eng_gguf_free(g);
    return p;
}

EngPeek *eng_peek_bytes(const void *data, size_t size, uint64_t file_size, EngError *err)
{
    EngGguf *g = eng_gguf_open_header(data, size, file_size, err);
    EngPeek *p = g ? peek(g, err) : NULL;
    eng_gguf_free(g);
    return p;
}

void eng_peek_free(EngPeek *peek)
{
    if (!peek) return;
    for (size_t i = 0; i < peek->n_tensors; i++) free(peek->tensors[i].name);
    free(peek->tensors);
    free(peek);
}
