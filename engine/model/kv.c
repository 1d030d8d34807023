#include "model/kv.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"

size_t eng_kv_token_bytes(const EngGraph *graph, EngKvType type)
{
    size_t item = type == ENG_KV_F32 ? 4 : 2;
    return (size_t)graph->n_layers * (size_t)(graph->k_width + graph->v_width) * item;
}

bool eng_kv_init(EngKv *kv, const EngGraph *graph, EngKvType type, int context, EngError *err)
{
    *kv = (EngKv){.type = type,
                  .context = context,
                  .k_width = graph->k_width,
                  .v_width = graph->v_width,
                  .item = type == ENG_KV_F32 ? 4 : 2};
    kv->layer_bytes = (size_t)context * (size_t)(kv->k_width + kv->v_width) * kv->item;
    uint64_t bytes;
    if (!eng_mul_u64(kv->layer_bytes, (uint64_t)graph->n_layers, &bytes)) bytes = SIZE_MAX;
    kv->bytes = (size_t)bytes;
    char what[64];
    snprintf(what, sizeof what, "the KV cache of %d tokens", context);
    kv->data = eng_try_alloc(kv->bytes, what, err);
    return kv->data != NULL;
}

void eng_kv_clear(EngKv *kv)
{
    if (kv->data) eng_big_free(kv->data, kv->bytes);
    *kv = (EngKv){0};
}
