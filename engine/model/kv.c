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

bool eng_kv_init(EngKv *kv, const EngGraph *graph, EngKvType type, int context, const int *at,
                 EngError *err)
{
    if (!eng_kv_check(graph, type, err)) return false;
    *kv = (EngKv){.type = type,
                  .context = context,
                  .k_width = graph->k_width,
                  .v_width = graph->v_width,
                  .at = at};
    kv->layer_bytes = eng_kv_value_at(kv, context);
    uint64_t layers = 0, bytes;
    for (int i = 0; i < graph->n_layers; i++) layers += !at || at[i] >= 0;
    if (!eng_mul_u64(kv->layer_bytes, layers, &bytes)) bytes = SIZE_MAX;
    kv->bytes = (size_t)bytes;
    if (kv->bytes == 0) return true;
    char what[64];
    snprintf(what, sizeof what, "the KV cache of %d tokens", context);
    kv->data = eng_try_alloc(kv->bytes, what, err);
    return kv->data != NULL;
}

void eng_kv_random(const EngKv *kv, uint8_t *rows, int width, int n, uint64_t *state)
{
    size_t row = eng_kv_part(kv->type, width), all = (size_t)n * (size_t)width;
    for (size_t i = 0; i < all; i++) {
        *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17; /* xorshift64 */
        float x = (float)(*state >> 40) * 0x1p-23f - 1;
        uint16_t half = eng_f32_to_f16(x), scale = eng_f32_to_f16(1.0f / 127);
        uint8_t *cell = rows + i / (size_t)width * row;
        size_t in = i % (size_t)width;
        if (kv->type == ENG_KV_F32) {
            memcpy(cell + in * sizeof x, &x, sizeof x);
        } else if (kv->type == ENG_KV_F16) {
            memcpy(cell + in * sizeof half, &half, sizeof half);
        } else {
            EngBlockQ8_0 *block = (EngBlockQ8_0 *)(void *)cell + in / 32;
            block->d = scale;
            block->qs[in % 32] = (int8_t)(127 * x);
        }
    }
}

void eng_kv_pretend(EngKv *kv, int first, int n)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    size_t layers = kv->layer_bytes ? kv->bytes / kv->layer_bytes : 0;
    for (size_t i = 0; i < layers; i++) {
        uint8_t *layer = kv->data + i * kv->layer_bytes;
        eng_kv_random(kv, layer + eng_kv_key_at(kv, first), kv->k_width, n, &state);
        if (kv->v_width)
            eng_kv_random(kv, layer + eng_kv_value_at(kv, first), kv->v_width, n, &state);
    }
}

void eng_kv_clear(EngKv *kv)
{
    if (kv->data) eng_big_free(kv->data, kv->bytes);
    *kv = (EngKv){0};
}
