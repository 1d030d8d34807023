/* What the forms of attention (op_attn.c, op_attn_few.c, op_attn_expanded.c) share. */
#ifndef ENG_CPU_OP_ATTN_H
#define ENG_CPU_OP_ATTN_H

#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

enum { LANES = 16 };

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

/* Whether keys of dk and values of dv numbers can be and are worth being multiplied in 16 bits. */
static inline bool fits_i16(const EngKernels *k, int dk, int dv)
{
    return k->i16_pays && dk % 32 == 0 && dv % 16 == 0;
}

/* Queries are multiplied in 16 bits so many at a time, what is made of the rows of a block of
 * positions serving all of them: the numbers of more would not stay in the first cache. Theirs lie
 * group by group. */
enum { GROUP = 32 };

typedef struct {
    void *keys, *values, *room; /* as kernels.h has them, of ENG_Q8_POSITIONS positions */
} Wide;

/* The floats from `at` on that this takes. */
static inline size_t wide_room(float *at, int dk, int dv, Wide *ret)
{
    size_t n = ENG_Q8_POSITIONS;
    size_t keys = n * ((size_t)dk / 2 + (size_t)ENG_I16_BLOCKS(dk));
    size_t values = eng_align_up(eng_i16_values_bytes(dv) / sizeof(float) + 1, LANES);
    *ret = (Wide){at, at + keys, at + keys + values};
    return keys + values + (n + 4) * GROUP;
}

/* Numbers d0 … of n queries, up to a block of ENG_I16_BLOCK, x[i] at d0 of query r + i of `rows`,
 * NULL: zeros, into groups q[dk / 2][GROUP][2] and scale[ENG_I16_BLOCKS(dk)][GROUP]. The n lie in
 * one group: turned together, for what is written for one alone is four bytes of a cache line. */
static inline void block_to_i16(const EngKernels *k, const float *const x[], int n, int dk,
                                int rows, int r, int d0, int16_t *q, float *scale)
{
    int first = r / GROUP * GROUP, some = ENG_MIN(dk - d0, ENG_I16_BLOCK);
    size_t apart = (size_t)ENG_MIN(rows - first, GROUP), at = (size_t)(r - first);
    int16_t block[GROUP][ENG_I16_BLOCK];
    scale += (size_t)first * (size_t)ENG_I16_BLOCKS(dk) + (size_t)(d0 / ENG_I16_BLOCK) * apart + at;
    for (int i = 0; i < n; i++) {
        if (!x[i]) memset(block[i], 0, sizeof block[i]);
        scale[i] = x[i] ? k->to_i16(x[i], block[i], some, ENG_I16_QUERY) : 0;
    }
    q += (size_t)first * (size_t)dk + ((size_t)d0 / 2 * apart + at) * 2;
    for (int d = 0; d < some; d += 2, q += 2 * apart)
        for (int i = 0; i < n; i++) memcpy(q + 2 * i, &block[i][d], 2 * sizeof *q);
}

/* All numbers of n queries, which lie in one group. */
static inline void queries_to_i16(const EngKernels *k, const float *const x[], int n, int dk,
                                  int rows, int r, int16_t *q, float *scale)
{
    for (int d0 = 0; d0 < dk; d0 += ENG_I16_BLOCK) {
        const float *at[GROUP];
        for (int i = 0; i < n; i++) at[i] = x[i] ? x[i] + d0 : NULL;
        block_to_i16(k, at, n, dk, rows, r, d0, q, scale);
    }
}

/* Queries that look at a block of positions in 16 bits. */
typedef struct {
    int rows;
    const int16_t *q;
    const float *q_scale;
    const int32_t *seen; /* of the block's positions */
    float scale;
    float *max, *sum, *keep;
    float *o; /* [dv][rows] */
    float *s; /* [ENG_Q8_POSITIONS][GROUP] */
} Seeing;

/* n: of the block's positions, what of them is in `wide`. */
static inline void see(const EngKernels *k, const Seeing *x, const Wide *wide, int n, int dk,
                       int dv)
{
    for (int j = 0; j < x->rows; j += GROUP) {
        int rows = ENG_MIN(x->rows - j, GROUP), most = 0;
        for (int r = j; r < j + rows; r++) most = ENG_MAX(most, x->seen[r]);
        most = ENG_MIN(most, n);
        if (most == 0) continue;
        k->scores_i16(most, rows, dk, x->q + (size_t)j * (size_t)dk,
                      x->q_scale + j * ENG_I16_BLOCKS(dk), wide->keys, x->s, (size_t)rows);
        k->soften(most, rows, x->scale, x->seen + j, x->s, x->max + j, x->sum + j, x->keep);
        k->values_i16(most, rows, dv, x->s, wide->values, x->keep, wide->room, x->o + j,
                      (size_t)x->rows);
    }
}

/* ---- few queries (op_attn_few.c) ------------------------------------------------------------- */

/* Queries that share a key and are few, at most; KV heads of a piece, at most. */
enum { ATTN_FEW = 16, ATTN_FEW_HEADS = 8 };

/* Tokens row0 … of one session, KV heads kv0 …, positions from … to - 1, the causal limit cuts
 * further. parts: what the i-th head has summed goes to i * apart floats from there, into
 * eng_cpu_few_part() floats; NULL: the past is whole, and the results are those of the op. */
typedef struct {
    int row0, n_tokens, kv0, n_kv, from, to;
    float *parts;
    size_t apart;
} EngFewPiece;

static inline bool attn_is_few(const EngOp *op, int tokens)
{
    const EngOpAttn *a = &op->attn;
    return tokens * (op->src.heads / a->n_kv) <= ATTN_FEW && a->dk % LANES == 0 &&
           a->dv % LANES == 0;
}

size_t eng_cpu_few_part(const EngOp *op);    /* floats */
size_t eng_cpu_few_scratch(const EngOp *op); /* bytes */
void eng_cpu_attn_few(EngCpu *cpu, const EngOp *op, const EngFewPiece *piece, int thread);

/* Result of the r-th query of a KV head of the first token, from so many parts behind each other.
 */
void eng_cpu_merge_few(EngCpu *cpu, const EngOp *op, int kv_head, int r, const float *parts,
                       int n_parts);

#endif
