/* What the two forms of attention (op_attn.c, op_attn_expanded.c) share. */
#ifndef ENG_CPU_OP_ATTN_H
#define ENG_CPU_OP_ATTN_H

#include "base/num.h"
#include "cpu/cpu.h"

enum { LANES = 16, TILE = 64 };

static inline int filled_up(int queries) { return (int)eng_align_up((uint64_t)queries, LANES); }

/* Floats between rows in scratch: no power of two, or a column of them would share a few of the
 * cache's sets. */
static inline size_t room_stride(int d) { return eng_align_up((uint64_t)d, LANES) + LANES; }

/* Tokens from row0 on that belong together: one session, at most `most`. */
static inline int run_length(const EngBatch *batch, int row0, int most)
{
    int n = 1;
    while (n < most && row0 + n < batch->n && batch->kvs[row0 + n] == batch->kvs[row0]) n++;
    return n;
}

/* n rows of d numbers of the cache as floats: in place, or converted into `room`. */
static inline const float *cached(const EngCpu *cpu, const EngKv *kv, const uint8_t *cells,
                                  int width, int n, int d, float *room, size_t *ret_stride)
{
    if (kv->type == ENG_KV_F32) {
        *ret_stride = (size_t)width;
        return (const float *)(const void *)cells;
    }
    size_t row = eng_kv_part(kv->type, width);
    *ret_stride = room_stride(d);
    for (int i = 0; i < n; i++, cells += row) {
        float *to = room + (size_t)i * *ret_stride;
        if (kv->type == ENG_KV_Q8_0)
            cpu->k->q8_0_to_f32(cells, to, d);
        else
            cpu->k->f16_to_f32((const uint16_t *)(const void *)cells, to, d);
    }
    return room;
}

#endif
