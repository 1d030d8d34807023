#include "model/kv.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"

size_t eng_kv_token_bytes(const EngGraph *graph, EngKvType type)
{
    return (size_t)graph->n_layers *
           (eng_kv_part(type, graph->k_width) + eng_kv_part(type, graph->v_width));
}

/* Heads begin with a block, or one's scale would depend on another's numbers. */
bool eng_kv_check(const EngGraph *graph, EngKvType type, EngError *err)
{
    if (type != ENG_KV_Q8_0) return true;
    for (size_t i = 0; i < graph->ops.n; i++) {
        const EngOp *op = &graph->ops.data[i];
        if (op->kind != ENG_OP_ATTN || (op->attn.dk % 32 == 0 && op->attn.dv % 32 == 0)) continue;
        return eng_fail(err, ENG_ERR_USAGE,
                        "This model's attention works on %d and %d numbers, which do not make up "
                        "blocks of 32, as a context in 8 bits needs: choose 16 bits.",
                        op->attn.dk, op->attn.dv);
    }
    return true;
}

bool eng_kv_init(EngKv *kv, const EngGraph *graph, EngKvType type, int context, EngError *err)
{
    if (!eng_kv_check(graph, type, err)) return false;
    *kv = (EngKv){
        .type = type, .context = context, .k_width = graph->k_width, .v_width = graph->v_width};
    kv->layer_bytes =
        (size_t)context * (eng_kv_part(type, kv->k_width) + eng_kv_part(type, kv->v_width));
    uint64_t bytes;
    if (!eng_mul_u64(kv->layer_bytes, (uint64_t)graph->n_layers, &bytes)) bytes = SIZE_MAX;
    kv->bytes = (size_t)bytes;
    char what[64];
    snprintf(what, sizeof what, "the KV cache of %d tokens", context);
    kv->data = eng_try_alloc(kv->bytes, what, err);
    return kv->data != NULL;
}

static void pretend_cell(const EngKv *kv, uint8_t *cell, int width, uint64_t *state)
{
    for (int i = 0; i < width; i++) {
        *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17; /* xorshift64 */
        float x = (float)(*state >> 40) * 0x1p-23f - 1;
        uint16_t half = eng_f32_to_f16(x), scale = eng_f32_to_f16(1.0f / 127);
        if (kv->type == ENG_KV_F32) {
            memcpy(cell + (size_t)i * sizeof x, &x, sizeof x);
        } else if (kv->type == ENG_KV_F16) {
            memcpy(cell + (size_t)i * sizeof half, &half, sizeof half);
        } else {
            EngBlockQ8_0 *block = (EngBlockQ8_0 *)(void *)cell + i / 32;
            block->d = scale;
            block->qs[i % 32] = (int8_t)(127 * x);
        }
    }
}

void eng_kv_pretend(EngKv *kv, int first, int n)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    int layers = kv->layer_bytes ? (int)(kv->bytes / kv->layer_bytes) : 0;
    for (int layer = 0; layer < layers; layer++)
        for (int pos = first; pos < first + n; pos++) {
            pretend_cell(kv, eng_kv_key(kv, layer, pos), kv->k_width, &state);
            pretend_cell(kv, eng_kv_value(kv, layer, pos), kv->v_width, &state);
        }
}

void eng_kv_clear(EngKv *kv)
{
    if (kv->data) eng_big_free(kv->data, kv->bytes);
    *kv = (EngKv){0};
}
