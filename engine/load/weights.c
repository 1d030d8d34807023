#include "load/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

void eng_binder_init(EngBinder *binder, const EngGguf *gguf, EngArena *arena, EngError *err)
{
    *binder = (EngBinder){.gguf = gguf,
                          .arena = arena,
                          .used = eng_alloc0(gguf->n_tensors + 1),
                          .ok = true,
                          .err = err};
}

void eng_binder_clear(EngBinder *binder)
{
    free(binder->used);
    binder->used = NULL;
}

static void fail(EngBinder *b, const char *name, const char *what)
{
    if (b->ok)
        eng_fail(b->err, ENG_ERR_REFUSED, "Tensor \"%.80s\" %s: get another file of this model.",
                 name, what);
    b->ok = false;
}

/* `name` is one of this program's own formats: a "%d" in it is the layer. */
static void expand(char *ret, size_t size, const char *name, int layer)
{
    const char *slot = strstr(name, "%d");
    if (slot)
        snprintf(ret, size, "%.*s%d%s", (int)(slot - name), name, layer, slot + 2);
    else
        snprintf(ret, size, "%s", name);
}

static const EngTensor *look_up(EngBinder *b, const char *full, bool required)
{
    const EngTensor *t = eng_gguf_tensor(b->gguf, full);
    if (t)
        b->used[t - b->gguf->tensors] = true;
    else if (required)
        fail(b, full, "is missing from the file");
    return t;
}

bool eng_binder_has(const EngBinder *binder, const char *name, int layer)
{
    char full[256];
    expand(full, sizeof full, name, layer);
    return eng_gguf_tensor(binder->gguf, full) != NULL;
}

static bool shape_is(EngBinder *b, const EngTensor *t, int64_t cols, int64_t rows, int64_t mats)
{
    if (t->ne[0] == (uint64_t)cols && t->ne[1] == (uint64_t)rows && t->ne[2] == (uint64_t)mats &&
        t->ne[3] == 1)
        return true;
    char what[128];
    snprintf(what, sizeof what,
             "has shape %" PRIu64 "x%" PRIu64 "x%" PRIu64 " instead of %" PRId64 "x%" PRId64
             "x%" PRId64,
             t->ne[0], t->ne[1], t->ne[2], cols, rows, mats);
    fail(b, t->name, what);
    return false;
}

static bool runs(EngBinder *b, const EngTensor *t)
{
    const EngTypeInfo *info = eng_type_info(t->type);
    if (info->to_f32) return true;
    char what[96];
    snprintf(what, sizeof what, "has type %s, which this version cannot compute", info->name);
    fail(b, t->name, what);
    return false;
}

static EngWeight as_weight(const EngTensor *t)
{
    EngWeight w = {.data = t->data,
                   .type = t->type,
                   .cols = (int64_t)t->ne[0],
                   .rows = (int64_t)t->ne[1],
                   .mats = (int64_t)t->ne[2]};
    w.row_bytes = (size_t)eng_row_bytes(t->type, t->ne[0]);
    w.mat_bytes = w.row_bytes * (size_t)w.rows;
    return w;
}

EngWeight eng_bind(EngBinder *binder, bool required, const char *name, int layer, int64_t cols,
                   int64_t rows, int64_t mats)
{
    char full[256];
    expand(full, sizeof full, name, layer);
    const EngTensor *t = look_up(binder, full, required);
    if (!t || !shape_is(binder, t, cols, rows, mats) || !runs(binder, t)) return (EngWeight){0};
    return as_weight(t);
}

static EngWeight bind_apart(EngBinder *b, const char *old, int layer, int64_t cols, int64_t rows,
                            int64_t mats)
{
    char head[256], full[320];
    expand(head, sizeof head, old, layer); /* leaves the second %d */
    EngWeight all = {0};
    const uint8_t **data = eng_arena_alloc(b->arena, (size_t)mats * sizeof *data);
    for (int64_t i = 0; i < mats; i++) {
        expand(full, sizeof full, head, (int)i);
        const EngTensor *t = look_up(b, full, true);
        if (!t || !shape_is(b, t, cols, rows, 1) || !runs(b, t)) return (EngWeight){0};
        if (i == 0) all = as_weight(t);
        if (t->type != all.type) {
            fail(b, full, "has another type than its layer's first expert");
            return (EngWeight){0};
        }
        data[i] = t->data;
    }
    all.mats = mats;
    all.mat_data = data;
    return all;
}

EngWeight eng_bind_experts(EngBinder *binder, const char *name, const char *old, int layer,
                           int64_t cols, int64_t rows, int64_t mats)
{
    if (old && !eng_binder_has(binder, name, layer)) {
        char head[256], first[320];
        expand(head, sizeof head, old, layer);
        expand(first, sizeof first, head, 0);
        if (eng_gguf_tensor(binder->gguf, first))
            return bind_apart(binder, old, layer, cols, rows, mats);
    }
    return eng_bind(binder, true, name, layer, cols, rows, mats);
}

const float *eng_bind_vector(EngBinder *binder, bool required, const char *name, int layer,
                             int64_t n)
{
    char full[256];
    expand(full, sizeof full, name, layer);
    const EngTensor *t = look_up(binder, full, required);
    if (!t || !shape_is(binder, t, n, 1, 1) || !runs(binder, t)) return NULL;
    if (binder->outline) return eng_arena_alloc(binder->arena, (size_t)n * sizeof(float));
    const float *v = (const float *)(const void *)t->data;
    if (t->type != ENG_TYPE_F32) {
        float *copy = eng_arena_alloc(binder->arena, (size_t)n * sizeof *copy);
        eng_type_info(t->type)->to_f32(t->data, copy, n);
        v = copy;
    }
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i])) {
            fail(binder, full, "holds a value that is not a number");
            return NULL;
        }
    return v;
}

/* Tensors that carry nothing to compute with: tables that older tools stored for convenience. */
static bool harmless(const char *name)
{
    static const char *const ends[] = {".attn_rot_embd", ".rotary_emb.inv_freq",
                                       ".attn_rot_embd.weight"};
    size_t n = strlen(name);
    for (size_t i = 0; i < ENG_LEN(ends); i++) {
        size_t m = strlen(ends[i]);
        if (n >= m && strcmp(name + n - m, ends[i]) == 0) return true;
    }
    return false;
}

bool eng_binder_finish(EngBinder *binder, int n_layers)
{
    for (size_t i = 0; binder->ok && i < binder->gguf->n_tensors; i++) {
        const char *name = binder->gguf->tensors[i].name;
        int layer = -1;
        if (sscanf(name, "blk.%d.", &layer) == 1 && layer >= n_layers) continue;
        if (!binder->used[i] && !harmless(name))
            fail(binder, name, "is not part of this model family as this version knows it");
    }
    return binder->ok;
}
