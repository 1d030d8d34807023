/* Attention of few queries that share a key: those of one token's group of heads, or of a few
 * tokens where each head has its own. They do not fill a vector; their numbers do (scores_few,
 * values_few).
 *
 * A piece of work is a stretch of the past for some neighbouring KV heads, which take turns at
 * blocks of BLOCK positions: the cache keeps their parts of a position beside each other, and
 * memory gives half as much where every fourth part is read. What a head gives does not depend on
 * the others of its piece. */
#include <math.h>
#include <string.h>

#include "cpu/op_attn.h"

enum { BLOCK = 32, STRETCH = 16 }; /* positions; those whose floats are in the first cache */

typedef struct {
    int rows;      /* queries of a KV head, filled up with zeros to fours */
    float *q;      /* [heads][rows][dk] */
    float *o;      /* [heads] of part_floats(), where no other place is given */
    float *x;      /* [STRETCH] room_stride() apart: rows of the cache as floats */
    float *s;      /* [BLOCK][LANES] */
    float *keep;   /* [LANES] */
    int32_t *seen; /* [LANES] */
} Work;

/* What a head has summed: [rows][dv] unnormalised, then max and sum [LANES]. */
typedef struct {
    float *o, *max, *sum;
} Part;

static int rows_for(int queries) { return (queries + 3) / 4 * 4; }

size_t eng_cpu_few_part(const EngOp *op) { return (size_t)op->attn.dv * ATTN_FEW + 2 * LANES; }

static Work work_of(float *room, const EngOp *op, size_t *ret_floats)
{
    Work w = {0};
    size_t at = 0, dk = (size_t)op->attn.dk;
    int widest = ENG_MAX(op->attn.dk, op->attn.dv);
    w.q = room + at, at += (size_t)ATTN_FEW_HEADS * ATTN_FEW * dk;
    w.o = room + at, at += ATTN_FEW_HEADS * eng_cpu_few_part(op);
    w.x = room + at, at += STRETCH * room_stride(widest);
    w.s = room + at, at += (size_t)BLOCK * LANES;
    w.keep = room + at, at += LANES;
    w.seen = (int32_t *)(void *)(room + at), at += LANES;
    *ret_floats = at;
    return w;
}

size_t eng_cpu_few_scratch(const EngOp *op)
{
    static float nowhere;
    size_t floats;
    work_of(&nowhere, op, &floats);
    return floats * sizeof(float);
}

static Part part_at(const EngOp *op, const EngFewPiece *p, const Work *w, int head)
{
    size_t floats = eng_cpu_few_part(op);
    float *o = p->parts ? p->parts + (size_t)head * p->apart : w->o + (size_t)head * floats;
    float *max = o + floats - 2 * LANES;
    return (Part){o, max, max + LANES};
}

static int group_of(const EngOp *op) { return op->src.heads / op->attn.n_kv; }

/* Of a KV head, by token and then by head. */
static size_t query_at(const EngOp *op, EngView view, int kv_head, int r)
{
    return (size_t)(kv_head * group_of(op) + r % group_of(op)) * (size_t)view.stride;
}

/* A q8_0 cache meets queries that were bytes, whatever multiplies them. */
static void take_query(EngCpu *cpu, const EngOp *op, const EngFewPiece *p, int head, int r,
                       float *to)
{
    int dk = op->attn.dk, row = p->row0 + r / group_of(op);
    const float *x = eng_cpu_row(cpu, op->src, row) + query_at(op, op->src, p->kv0 + head, r);
    memcpy(to, x, (size_t)dk * sizeof *to);
    if (cpu->batch->kvs[p->row0]->type != ENG_KV_Q8_0) return;
    for (int d = 0; d < dk; d += 32) {
        EngBlockQ8_0A block;
        cpu->k->quantize[ENG_ACT_Q8_0](x + d, &block, 32);
        for (int i = 0; i < 32; i++) to[d + i] = block.d * (float)block.q[i];
    }
}

static void begin(EngCpu *cpu, const EngOp *op, const EngFewPiece *p, const Work *w)
{
    int dk = op->attn.dk, queries = p->n_tokens * group_of(op);
    for (int head = 0; head < p->n_kv; head++) {
        Part part = part_at(op, p, w, head);
        for (int r = 0; r < w->rows; r++) {
            float *q = w->q + (head * w->rows + r) * dk;
            if (r < queries)
                take_query(cpu, op, p, head, r, q);
            else
                memset(q, 0, (size_t)dk * sizeof *q);
        }
        memset(part.o, 0, (size_t)(w->rows * op->attn.dv) * sizeof *part.o);
        for (int r = 0; r < LANES; r++) part.max[r] = -INFINITY, part.sum[r] = 0;
    }
}

/* n rows of a KV head's keys or values from position `at` on, a stretch at a time: asks for the
 * same of the next block, and makes floats of them. All at once would be waited for: few lines can
 * be on their way to a core. */
typedef struct {
    const EngKv *kv;
    const uint8_t *cells;
    int width, d;
    size_t row, bytes;
    bool ask;
} Rows;

static Rows rows_at(const EngOp *op, const EngKv *kv, bool values, int kv_head, int at)
{
    const EngOpAttn *a = &op->attn;
    bool apart = kv->v_width > 0; /* otherwise a value is the beginning of its key */
    bool own = values && apart;
    Rows rows = {kv, NULL,          own ? kv->v_width : kv->k_width, values ? a->dv : a->dk, 0,
                 0,  own || !values};
    rows.row = eng_kv_part(kv->type, rows.width);
    rows.bytes = eng_kv_part(kv->type, rows.d);
    rows.cells = (own ? eng_kv_value(kv, a->layer, at) : eng_kv_key(kv, a->layer, at)) +
                 (size_t)kv_head * eng_kv_part(kv->type, own || !values ? rows.d : a->dk);
    return rows;
}

static const float *next_rows(const EngCpu *cpu, Rows *rows, int n, int ahead, float *room,
                              size_t *ret_stride)
{
    const uint8_t *next = rows->cells + BLOCK * rows->row;
    for (int i = 0; i < ENG_MIN(n, ahead) && rows->ask; i++, next += rows->row)
        for (size_t b = 0; b < rows->bytes; b += 64) __builtin_prefetch(next + b);
    const float *x = cached(cpu, rows->kv, rows->cells, rows->width, n, rows->d, room, ret_stride);
    rows->cells += (size_t)n * rows->row;
    return x;
}

static void attend_block(EngCpu *cpu, const EngOp *op, const EngFewPiece *p, const Work *w,
                         int head, int at, int n)
{
    static const float ones[LANES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const EngOpAttn *a = &op->attn;
    const EngKv *kv = cpu->batch->kvs[p->row0];
    const float *q = w->q + head * w->rows * a->dk, *x;
    Part part = part_at(op, p, w, head);
    size_t stride;
    Rows keys = rows_at(op, kv, false, p->kv0 + head, at);
    Rows values = rows_at(op, kv, true, p->kv0 + head, at);
    for (int i = 0, some; i < n; i += some) {
        some = ENG_MIN(STRETCH, n - i);
        x = next_rows(cpu, &keys, some, p->to - at - BLOCK - i, w->x, &stride);
        cpu->k->scores_few(some, w->rows, a->dk, q, x, stride, w->s + i * LANES, LANES);
    }
    for (int r = 0; r < p->n_tokens * group_of(op); r++)
        w->seen[r] = cpu->batch->positions[p->row0 + r / group_of(op)] - at + 1;
    cpu->k->soften(n, LANES, a->scale, w->seen, w->s, part.max, part.sum, w->keep);
    for (int i = 0, some; i < n; i += some) {
        some = ENG_MIN(STRETCH, n - i);
        x = next_rows(cpu, &values, some, p->to - at - BLOCK - i, w->x, &stride);
        cpu->k->values_few(some, w->rows, a->dv, w->s + i * LANES, LANES, x, stride,
                           i ? ones : w->keep, part.o);
    }
}

static void finish(EngCpu *cpu, const EngOp *op, const EngFewPiece *p, const Work *w)
{
    int dv = op->attn.dv;
    for (int head = 0; head < p->n_kv; head++) {
        Part part = part_at(op, p, w, head);
        for (int r = 0; r < p->n_tokens * group_of(op); r++) {
            float *y = eng_cpu_row(cpu, op->dst, p->row0 + r / group_of(op)) +
                       query_at(op, op->dst, p->kv0 + head, r);
            float by = 1 / part.sum[r];
            for (int d = 0; d < dv; d++) y[d] = part.o[r * dv + d] * by;
        }
    }
}

void eng_cpu_attn_few(EngCpu *cpu, const EngOp *op, const EngFewPiece *piece, int thread)
{
    size_t floats;
    Work w = work_of(eng_cpu_scratch(cpu, thread), op, &floats);
    w.rows = rows_for(piece->n_tokens * group_of(op));
    memset(w.seen, 0, LANES * sizeof *w.seen);
    memset(w.s, 0, (size_t)BLOCK * LANES * sizeof *w.s);
    begin(cpu, op, piece, &w);
    for (int at = piece->from; at < piece->to; at += BLOCK)
        for (int head = 0; head < piece->n_kv; head++)
            attend_block(cpu, op, piece, &w, head, at, ENG_MIN(BLOCK, piece->to - at));
    if (!piece->parts) finish(cpu, op, piece, &w);
}

/* A part of the past is to the softmax what a position is: its max is the score, and what it summed
 * is the value. */
void eng_cpu_merge_few(EngCpu *cpu, const EngOp *op, int kv_head, int r, const float *parts,
                       int n_parts)
{
    size_t dv = (size_t)op->attn.dv, floats = eng_cpu_few_part(op);
    float most = -INFINITY, total = 0;
    float *y = eng_cpu_row(cpu, op->dst, 0) + query_at(op, op->dst, kv_head, r);
    memset(y, 0, dv * sizeof *y);
    for (int i = 0; i < n_parts; i++)
        most = fmaxf(most, parts[(size_t)(i + 1) * floats - 2 * LANES + (size_t)r]);
    for (int i = 0; i < n_parts; i++) {
        const float *part = parts + (size_t)i * floats, *max = part + floats - 2 * LANES;
        float weight = expf(max[r] - most);
        total += weight * max[LANES + r];
        cpu->k->add_scaled(part + (size_t)r * dv, y, op->attn.dv, weight);
    }
    cpu->k->scale(y, op->attn.dv, 1 / total);
}
