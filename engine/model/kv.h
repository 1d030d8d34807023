/* The KV cache of one session: for each layer the keys and values of its positions 0 … context-1,
 * a token's row contiguous. Cell = position: a session is one sequence, and forgetting its end is
 * counting fewer. Owned by the session, allocated once. Layers whose attention is a device's lie
 * where it reads them, laid out alike, and not in `data`. */
#ifndef ENG_MODEL_KV_H
#define ENG_MODEL_KV_H

#include "model/graph.h"

typedef struct {
    EngKvType type;
    int context;
    int k_width, v_width; /* numbers per token and layer; v_width 0: values lie inside the keys */
    size_t layer_bytes;
    size_t bytes; /* of `data` */
    uint8_t *data;
    const int *at; /* [layers] a layer's place in `data`, -1: it is far; NULL = all are there */
    /* In each device's memory (plan/backend.h), by the device's own count of layers. */
    void *far[ENG_MAX_GPUS];
    size_t far_bytes[ENG_MAX_GPUS];
    bool far_is_near[ENG_MAX_GPUS]; /* it is DRAM that the device reads */
} EngKv;

/* `at` is borrowed; the far layers are for the device to allocate. */
bool eng_kv_init(EngKv *kv, const EngGraph *graph, EngKvType type, int context, const int *at,
                 EngError *err);
void eng_kv_clear(EngKv *kv);

/* Whether a graph's attention can read such a cache; otherwise ENG_ERR_USAGE. */
bool eng_kv_check(const EngGraph *graph, EngKvType type, EngError *err);

/* Bytes per token, of all layers. */
size_t eng_kv_token_bytes(const EngGraph *graph, EngKvType type);

/* Random numbers in [-1, 1) into n cells of each layer in `data`, always the same ones; into n rows
 * of `width` numbers one behind the other. */
void eng_kv_pretend(EngKv *kv, int first, int n);
void eng_kv_random(const EngKv *kv, uint8_t *rows, int width, int n, uint64_t *state);

/* Bytes of n numbers of a row; n a multiple of 32 for ENG_KV_Q8_0, whose rows are EngBlockQ8_0. */
static inline size_t eng_kv_part(EngKvType type, int n)
{
    switch (type) {
    case ENG_KV_F32: return (size_t)n * sizeof(float);
    case ENG_KV_Q8_0: return (size_t)n / 32 * sizeof(EngBlockQ8_0);
    default: return (size_t)n * sizeof(uint16_t);
    }
}

/* Where a row of a layer lies, from the layer's beginning. */
static inline size_t eng_kv_key_at(const EngKv *kv, int pos)
{
    return (size_t)pos * eng_kv_part(kv->type, kv->k_width);
}

static inline size_t eng_kv_value_at(const EngKv *kv, int pos)
{
    return eng_kv_key_at(kv, kv->context) + (size_t)pos * eng_kv_part(kv->type, kv->v_width);
}

static inline uint8_t *eng_kv_layer(const EngKv *kv, int layer)
{
    return kv->data + (size_t)(kv->at ? kv->at[layer] : layer) * kv->layer_bytes;
}

static inline uint8_t *eng_kv_key(const EngKv *kv, int layer, int pos)
{
    return eng_kv_layer(kv, layer) + eng_kv_key_at(kv, pos);
}

static inline uint8_t *eng_kv_value(const EngKv *kv, int layer, int pos)
{
    return eng_kv_layer(kv, layer) + eng_kv_value_at(kv, pos);
}

#endif
