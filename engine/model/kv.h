/* The KV cache of one session: for each layer the keys and values of its positions 0 … context-1,
 * a token's row contiguous. Cell = position: a session is one sequence, and forgetting its end is
 * counting fewer. Owned by the session, allocated once. */
#ifndef ENG_MODEL_KV_H
#define ENG_MODEL_KV_H

#include "model/graph.h"

typedef struct {
    EngKvType type;
    int context;
    int k_width, v_width; /* numbers per token and layer; v_width 0: values lie inside the keys */
    size_t layer_bytes;
    size_t bytes; /* of all */
    uint8_t *data;
    void *far; /* in a device's memory: the layers whose attention it computes; NULL = none */
} EngKv;

bool eng_kv_init(EngKv *kv, const EngGraph *graph, EngKvType type, int context, EngError *err);
void eng_kv_clear(EngKv *kv);

/* Whether a graph's attention can read such a cache; otherwise ENG_ERR_USAGE. */
bool eng_kv_check(const EngGraph *graph, EngKvType type, EngError *err);

/* Bytes that eng_kv_init would take per token. */
size_t eng_kv_token_bytes(const EngGraph *graph, EngKvType type);

/* Random numbers in [-1, 1) into n cells of each layer, always the same ones. */
void eng_kv_pretend(EngKv *kv, int first, int n);

/* Bytes of n numbers of a row; n a multiple of 32 for ENG_KV_Q8_0, whose rows are EngBlockQ8_0. */
static inline size_t eng_kv_part(EngKvType type, int n)
{
    switch (type) {
    case ENG_KV_F32: return (size_t)n * sizeof(float);
    case ENG_KV_Q8_0: return (size_t)n / 32 * sizeof(EngBlockQ8_0);
    default: return (size_t)n * sizeof(uint16_t);
    }
}

static inline uint8_t *eng_kv_key(const EngKv *kv, int layer, int pos)
{
    return kv->data + (size_t)layer * kv->layer_bytes +
           (size_t)pos * eng_kv_part(kv->type, kv->k_width);
}

static inline uint8_t *eng_kv_value(const EngKv *kv, int layer, int pos)
{
    size_t keys = (size_t)kv->context * eng_kv_part(kv->type, kv->k_width);
    return kv->data + (size_t)layer * kv->layer_bytes + keys +
           (size_t)pos * eng_kv_part(kv->type, kv->v_width);
}

#endif
