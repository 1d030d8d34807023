/* Attention over the KV cache with an online softmax (FlashAttention, arXiv 2205.14135).
 *
 * A piece of work is a tile: some neighbouring tokens of one session times some query heads that
 * share a KV head, at most TILE rows of queries, walking over the past in blocks of BLOCK
 * positions. A single token with a long past is cut along the past too (flash decoding) into at
 * most SPLITS parts whose results are merged afterwards. All cuts depend on shapes and positions
 * alone. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

enum { TILE = 64, TILE_HEADS = 16, BLOCK = 64, SPLITS = 32, SPLIT_LEAST = 512 };

void eng_cpu_needs_attn(const EngOp *op, EngCpuNeeds *needs)
{
    size_t dk = (size_t)op->attn.dk, dv = (size_t)op->attn.dv;
    size_t floats = TILE * dk + BLOCK * dk + BLOCK * dv + TILE * BLOCK + TILE * dv + 2 * TILE;
    needs->scratch = ENG_MAX(needs->scratch, floats * sizeof(float));
    size_t partial = (size_t)op->src.heads * SPLITS * (dv + 2) * sizeof(float);
    needs->partial = ENG_MAX(needs->partial, partial);
}

typedef struct {
    int row0, n_tokens; /* rows of the batch */
    int head0, n_heads, kv_head;
    int from, to; /* positions of the past looked at; the causal limit cuts further */
} Tile;

/* Rows of a tile are [token][head]. */
typedef struct {
    float *q, *k, *v, *s; /* [TILE][dk], [BLOCK][dk], [BLOCK][dv], [TILE][BLOCK] */
    float *o, *max, *sum; /* [TILE][dv] unnormalised, [TILE], [TILE] */
} Work;

static Work work_of(EngCpu *cpu, const EngOpAttn *a, int thread)
{
    Work w;
    w.q = eng_cpu_scratch(cpu, thread);
    w.k = w.q + (size_t)TILE * (size_t)a->dk;
    w.v = w.k + (size_t)BLOCK * (size_t)a->dk;
    w.s = w.v + (size_t)BLOCK * (size_t)a->dv;
    w.o = w.s + TILE * BLOCK;
    w.max = w.o + (size_t)TILE * (size_t)a->dv;
    w.sum = w.max + TILE;
    return w;
}

/* n rows of d numbers of the cache as floats: in place, or converted into `room`. */
static const float *cached(const EngCpu *cpu, const EngKv *kv, const uint8_t *cells, int width,
                           int n, int d, float *room, size_t *ret_stride)
{
    if (kv->type == ENG_KV_F32) {
        *ret_stride = (size_t)width;
        return (const float *)(const void *)cells;
    }
    const uint16_t *half = (const uint16_t *)(const void *)cells;
    *ret_stride = (size_t)d;
    if (width == d) {
        cpu->k->f16_to_f32(half, room, (int64_t)n * d);
        return room;
    }
    for (int i = 0; i < n; i++)
        cpu->k->f16_to_f32(half + (size_t)i * (size_t)width, room + (size_t)i * (size_t)d, d);
    return room;
}

/* One row's scores become weights relative to its running maximum; what was summed before is
 * brought to the new maximum. */
static void weigh(const EngCpu *cpu, Work *w, int r, int valid, int n, int dv)
{
    float *s = w->s + (size_t)r * BLOCK;
    if (valid > 0) {
        float max = fmaxf(w->max[r], cpu->k->max(s, valid));
        float sum = cpu->k->exp_sum(s, valid, max);
        if (max != w->max[r]) {
            float shrink = expf(w->max[r] - max);
            w->sum[r] *= shrink;
            cpu->k->scale(w->o + (size_t)r * (size_t)dv, dv, shrink);
            w->max[r] = max;
        }
        w->sum[r] += sum;
    }
    for (int i = ENG_MAX(valid, 0); i < n; i++) s[i] = 0;
}

static void attend(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    const EngOpAttn *a = &op->attn;
    const EngKv *kv = cpu->batch->kvs[t->row0];
    int rows = t->n_tokens * t->n_heads, dk = a->dk, dv = a->dv;
    for (int r = 0; r < rows; r++) {
        const float *q = eng_cpu_row(cpu, op->src, t->row0 + r / t->n_heads) +
                         (size_t)(t->head0 + r % t->n_heads) * (size_t)op->src.stride;
        memcpy(w->q + (size_t)r * (size_t)dk, q, (size_t)dk * sizeof *q);
        w->max[r] = -INFINITY;
        w->sum[r] = 0;
    }
    memset(w->o, 0, (size_t)rows * (size_t)dv * sizeof *w->o);
    for (int at = t->from; at < t->to; at += BLOCK) {
        int n = ENG_MIN(BLOCK, t->to - at);
        size_t k_stride, v_stride;
        const uint8_t *cells = eng_kv_key(kv, a->layer, at) + (size_t)(t->kv_head * dk) * kv->item;
        const float *k = cached(cpu, kv, cells, kv->k_width, n, dk, w->k, &k_stride), *v = k;
        v_stride = k_stride;
        if (kv->v_width > 0) {
            cells = eng_kv_value(kv, a->layer, at) + (size_t)(t->kv_head * dv) * kv->item;
            v = cached(cpu, kv, cells, kv->v_width, n, dv, w->v, &v_stride);
        }
        cpu->k->gemm_nt(rows, n, dk, a->scale, w->q, (size_t)dk, k, k_stride, w->s, BLOCK);
        for (int r = 0; r < rows; r++) {
            int last = cpu->batch->positions[t->row0 + r / t->n_heads];
            weigh(cpu, w, r, ENG_MIN(n, last - at + 1), n, dv);
        }
        cpu->k->gemm_nn(rows, dv, n, w->s, BLOCK, v, v_stride, w->o, (size_t)dv);
    }
}

static void finish(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    int dv = op->attn.dv;
    for (int r = 0; r < t->n_tokens * t->n_heads; r++) {
        float *y = eng_cpu_row(cpu, op->dst, t->row0 + r / t->n_heads) +
                   (size_t)(t->head0 + r % t->n_heads) * (size_t)op->dst.stride;
        memcpy(y, w->o + (size_t)r * (size_t)dv, (size_t)dv * sizeof *y);
        cpu->k->scale(y, dv, 1 / w->sum[r]);
    }
}

/* Tokens from row0 on that belong together: one session, at most `most`. */
static int run_length(const EngBatch *batch, int row0, int most)
{
    int n = 1;
    while (n < most && row0 + n < batch->n && batch->kvs[row0 + n] == batch->kvs[row0]) n++;
    return n;
}

/* Every thread walks all tiles and works on those whose number it drew. */
static void whole_past(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpAttn *a = &op->attn;
    int group = op->src.heads / a->n_kv, heads = ENG_MIN(group, TILE_HEADS);
    Work w = work_of(cpu, a, thread);
    int64_t mine = eng_pool_next(cpu->pool, INT64_MAX), number = 0;
    for (int row0 = 0, n; row0 < cpu->rows; row0 += n) {
        n = run_length(cpu->batch, row0, TILE / heads);
        for (int kv_head = 0; kv_head < a->n_kv; kv_head++)
            for (int h = 0; h < group; h += heads, number++) {
                if (number != mine) continue;
                Tile t = {row0,
                          n,
                          kv_head * group + h,
                          ENG_MIN(heads, group - h),
                          kv_head,
                          0,
                          cpu->batch->positions[row0 + n - 1] + 1};
                attend(cpu, op, &t, &w);
                finish(cpu, op, &t, &w);
                mine = eng_pool_next(cpu->pool, INT64_MAX);
            }
    }
}

static float *partial_of(const EngCpu *cpu, const EngOpAttn *a, int head, int split)
{
    return cpu->partial + ((size_t)head * SPLITS + (size_t)split) * (size_t)(a->dv + 2);
}

static void merge(EngCpu *cpu, const EngOp *op, int head, int n_splits)
{
    const EngOpAttn *a = &op->attn;
    float *y = eng_cpu_row(cpu, op->dst, 0) + (size_t)head * (size_t)op->dst.stride;
    float max = -INFINITY, sum = 0;
    for (int i = 0; i < n_splits; i++) max = fmaxf(max, partial_of(cpu, a, head, i)[a->dv]);
    memset(y, 0, (size_t)a->dv * sizeof *y);
    for (int i = 0; i < n_splits; i++) {
        const float *p = partial_of(cpu, a, head, i);
        float part = expf(p[a->dv] - max);
        cpu->k->add_scaled(p, y, a->dv, part);
        sum += part * p[a->dv + 1];
    }
    cpu->k->scale(y, a->dv, 1 / sum);
}

static void split_past(EngCpu *cpu, const EngOp *op, int split_len, int n_splits, int thread)
{
    const EngOpAttn *a = &op->attn;
    int group = op->src.heads / a->n_kv, heads = ENG_MIN(group, TILE_HEADS);
    int chunks = (group + heads - 1) / heads, past = cpu->batch->positions[0] + 1;
    Work w = work_of(cpu, a, thread);
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)a->n_kv * chunks * n_splits)) >= 0;) {
        int split = (int)(i % n_splits), chunk = (int)(i / n_splits % chunks);
        int kv_head = (int)(i / n_splits / chunks), h = chunk * heads;
        Tile t = {0,
                  1,
                  kv_head * group + h,
                  ENG_MIN(heads, group - h),
                  kv_head,
                  split * split_len,
                  ENG_MIN((split + 1) * split_len, past)};
        attend(cpu, op, &t, &w);
        for (int r = 0; r < t.n_heads; r++) {
            float *p = partial_of(cpu, a, t.head0 + r, split);
            memcpy(p, w.o + (size_t)r * (size_t)a->dv, (size_t)a->dv * sizeof *p);
            p[a->dv] = w.max[r];
            p[a->dv + 1] = w.sum[r];
        }
    }
    eng_pool_barrier(cpu->pool, thread);
    for (int64_t h; (h = eng_pool_next(cpu->pool, op->src.heads)) >= 0;)
        merge(cpu, op, (int)h, n_splits);
}

void eng_cpu_op_attn(EngCpu *cpu, const EngOp *op, int thread)
{
    int past = cpu->batch->positions[0] + 1;
    int least = ENG_MAX(SPLIT_LEAST, (past + SPLITS - 1) / SPLITS);
    int split_len = (least + BLOCK - 1) / BLOCK * BLOCK,
        n_splits = (past + split_len - 1) / split_len;
    if (cpu->rows == 1 && n_splits > 1)
        split_past(cpu, op, split_len, n_splits, thread);
    else
        whole_past(cpu, op, thread);
}
