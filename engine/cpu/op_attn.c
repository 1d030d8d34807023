/* Attention over the KV cache with an online softmax (FlashAttention, arXiv 2205.14135).
 *
 * A piece of work is a tile: some neighbouring tokens of one session times some query heads that
 * share a KV head, at most tile_queries(), walking over the past in blocks of BLOCK positions. A
 * query is a column of every matrix, so that its softmax runs down a vector's lane. A single token
 * with a past is cut along the past too (flash decoding) into at most SPLITS parts whose results
 * are merged afterwards. These cuts depend on shapes and positions alone; how many heads a tile has
 * may depend on the threads, for it changes no result. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "cpu/op_attn.h"

enum { BLOCK = 64, SPLITS = 8, FEW_SPLITS = 16, SPLIT_LEAST = 128, SLICE = 64 };
/* Queries of a tile at most: more share what is made of a row of the cache, but a tile's own
 * numbers should stay in the second-level cache. In 16 bits those of a group do, and only what a
 * block adds to passes through it. */
enum { TILE_LEAST = 64, TILE_MOST = 256, TILE_NUMBERS = 140 << 10, I16_TIMES = 2 };

/* What the two products are made in. */
typedef enum { FLOATS, BYTES, I16 } Form;

typedef struct {
    int row0, n_tokens; /* rows of the batch */
    int head0, n_heads, kv_head;
    int from, to; /* positions of the past looked at; the causal limit cuts further */
    int queries;  /* that share a key: those of all tiles of the session's run of tokens */
} Tile;

/* Queries of a tile are [token][head], filled up to a multiple of LANES with some that see nothing.
 */
typedef struct {
    int rows; /* queries, filled up */
    Form form;
    float *q;           /* FLOATS: [dk][rows] */
    EngQueryQ8 *packed; /* BYTES: [dk / 32][rows / LANES] in the same place */
    int16_t *q16;       /* I16: groups in the same place */
    float *q_scale;     /* and their scales behind them */
    float *k, *v;       /* cached rows as floats, room_stride() apart */
    Wide wide;          /* of products in I16 */
    float *s;           /* [ENG_Q8_POSITIONS][rows] */
    float *o;           /* [dv][rows] unnormalised, then their max and sum */
    float *max, *sum;   /* [rows] */
    float *keep;        /* [rows] */
    int32_t *seen;      /* [rows] */
} Work;

static int tile_queries(const EngOpAttn *a)
{
    int most = TILE_NUMBERS / (a->dk + a->dv) / TILE_LEAST * TILE_LEAST;
    return ENG_MIN(ENG_MAX(most, TILE_LEAST), TILE_MOST);
}

/* Of a tile, at most: fewer for one token whose short past would make few pieces of work. */
static int heads_per_tile(const EngOp *op, int past)
{
    int most = past < SPLITS / 2 * SPLIT_LEAST ? TILE_LEAST : tile_queries(&op->attn);
    return ENG_MIN(op->src.heads / op->attn.n_kv, most);
}

static int tiles_per_token(const EngOp *op, int heads)
{
    int group = op->src.heads / op->attn.n_kv;
    return op->attn.n_kv * ((group + heads - 1) / heads);
}

/* What a part of the past leaves: o, max and sum of its tile. */
static size_t part_floats(const EngOpAttn *a, int rows)
{
    return (size_t)(a->dv + 2) * (size_t)rows;
}

static size_t q8_room(const EngOpAttn *a, size_t rows) /* floats; of the second product */
{
    return (ENG_Q8_POSITIONS + 3) * (4 * rows + (size_t)a->dv / 16 + 32) / sizeof(float) + rows;
}

static Work work_of(float *room, const EngOpAttn *a, int rows, size_t *ret_floats)
{
    Work w = {.rows = rows};
    size_t n = (size_t)rows, at = 0;
    w.packed = (EngQueryQ8 *)(void *)room;
    w.q16 = (int16_t *)(void *)room;
    w.q_scale = room + (size_t)a->dk / 2 * n;
    w.q = room + at, at += ((size_t)a->dk + LANES) * n;
    w.k = room + at, at += ENG_Q8_POSITIONS * room_stride(a->dk);
    w.v = room + at;
    at += eng_align_up(ENG_MAX(ENG_Q8_POSITIONS * room_stride(a->dv), q8_room(a, n)), LANES);
    at += wide_room(room + at, a->dk, a->dv, &w.wide);
    w.s = room + at, at += ENG_Q8_POSITIONS * n;
    w.o = room + at, at += part_floats(a, rows);
    w.keep = room + at, at += n;
    w.seen = (int32_t *)(void *)(room + at), at += n;
    *ret_floats = at;
    return w;
}

static void put_result(Work *w, const EngOpAttn *a, float *o)
{
    w->o = o;
    w->max = o + (size_t)a->dv * (size_t)w->rows;
    w->sum = w->max + w->rows;
}

static Work work_for(EngCpu *cpu, const EngOpAttn *a, const Tile *t, int thread)
{
    size_t floats;
    Work w = work_of(eng_cpu_scratch(cpu, thread), a, filled_up(t->n_tokens * t->n_heads), &floats);
    put_result(&w, a, w.o);
    return w;
}

void eng_cpu_needs_attn(const EngOp *op, EngCpuNeeds *needs)
{
    static float nowhere;
    size_t floats;
    work_of(&nowhere, &op->attn, I16_TIMES * tile_queries(&op->attn), &floats);
    needs->scratch = ENG_MAX(needs->scratch, floats * sizeof(float));
    for (int past = 0; past < 2; past++) {
        int heads = heads_per_tile(op, past * INT_MAX);
        size_t parts =
            SPLITS * (size_t)tiles_per_token(op, heads) * part_floats(&op->attn, filled_up(heads));
        needs->partial = ENG_MAX(needs->partial, parts * sizeof(float));
    }
    if (!attn_is_few(op, 1)) return;
    size_t parts = FEW_SPLITS * (size_t)op->attn.n_kv * eng_cpu_few_part(op);
    needs->partial = ENG_MAX(needs->partial, parts * sizeof(float));
    needs->scratch = ENG_MAX(needs->scratch, eng_cpu_few_scratch(op));
}

static const float *query(const EngCpu *cpu, const EngOp *op, const Tile *t, int r)
{
    return eng_cpu_row(cpu, op->src, t->row0 + r / t->n_heads) +
           (size_t)(t->head0 + r % t->n_heads) * (size_t)op->src.stride;
}

/* A cache line of floats at a time. */
static void take_queries_as_floats(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    int n = t->n_tokens * t->n_heads;
    for (int d0 = 0; d0 < op->attn.dk; d0 += LANES)
        for (int r = 0; r < w->rows; r++) {
            const float *q = r < n ? query(cpu, op, t, r) : NULL;
            for (int d = d0; d < ENG_MIN(d0 + LANES, op->attn.dk); d++)
                w->q[(size_t)d * (size_t)w->rows + (size_t)r] = q ? q[d] : 0;
        }
}

/* Numbers 32 b … of query r, in the form in which queries meet a q8_0 cache: bytes, also where
 * those become floats again. */
static void put_block(Work *w, const EngBlockQ8_0A *block, int b, int r)
{
    if (w->form == BYTES) {
        EngQueryQ8 *to = &w->packed[b * (w->rows / LANES) + r / LANES];
        to->d[r % LANES] = block->d;
        to->start[r % LANES] = -128 * block->sum;
        for (int four = 0; four < 8; four++) memcpy(to->q[four][r % LANES], block->q + 4 * four, 4);
    } else {
        for (int i = 0; i < 32; i++)
            w->q[(32 * b + i) * w->rows + r] = block->d * (float)block->q[i];
    }
}

static void take_queries_as_bytes(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    static const EngBlockQ8_0A nothing;
    int n = t->n_tokens * t->n_heads;
    for (int b = 0; b < op->attn.dk / 32; b++)
        for (int r = 0; r < w->rows; r++) {
            EngBlockQ8_0A block = nothing;
            if (r < n) cpu->k->quantize[ENG_ACT_Q8_0](query(cpu, op, t, r) + 32 * b, &block, 32);
            put_block(w, &block, b, r);
        }
}

static void take_queries_as_i16(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    int n = t->n_tokens * t->n_heads;
    for (int r = 0; r < w->rows; r += GROUP) {
        const float *x[GROUP];
        int some = ENG_MIN(w->rows - r, GROUP);
        for (int i = 0; i < some; i++) x[i] = r + i < n ? query(cpu, op, t, r + i) : NULL;
        queries_to_i16(cpu->k, x, some, op->attn.dk, w->rows, r, w->q16, w->q_scale);
    }
}

/* Numbers d0 … d0 + n - 1 of each query's result, o[n][rows]. */
static void give_results(EngCpu *cpu, const EngOp *op, const Tile *t, const Work *w, int d0, int n,
                         const float *o)
{
    for (int r = 0; r < t->n_tokens * t->n_heads; r++) {
        float *y = eng_cpu_row(cpu, op->dst, t->row0 + r / t->n_heads) +
                   (size_t)(t->head0 + r % t->n_heads) * (size_t)op->dst.stride + d0;
        for (int d = 0; d < n; d++) y[d] = o[(size_t)d * (size_t)w->rows + (size_t)r];
    }
}

/* Rows of several KV heads lie between each other, which the processor's own prefetchers follow
 * badly. */
static void ask_for(const uint8_t *cells, size_t row, size_t bytes, int n)
{
    for (int i = 0; i < n; i++, cells += row)
        for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(cells + at);
}

/* Positions `at` … at + n - 1 of a tile's KV head. */
typedef struct {
    const EngKv *kv;
    const uint8_t *k, *v;
    int k_width, v_width;
    size_t k_row, v_row; /* bytes from a position to the next */
    bool apart;          /* otherwise a value is the beginning of its key */
    int n;
} Cells;

static Cells cells_at(const EngCpu *cpu, const EngOpAttn *a, const Tile *t, Form form, int at,
                      int n)
{
    const EngKv *kv = cpu->batch->kvs[t->row0];
    bool apart = kv->v_width > 0;
    int k_width = kv->k_width, v_width = apart ? kv->v_width : k_width;
    size_t k_row = eng_kv_part(kv->type, k_width), v_row = eng_kv_part(kv->type, v_width);
    size_t k_bytes = eng_kv_part(kv->type, a->dk), v_bytes = eng_kv_part(kv->type, a->dv);
    const uint8_t *k = eng_kv_key(kv, a->layer, at) + (size_t)t->kv_head * k_bytes, *v = k;
    if (apart) v = eng_kv_value(kv, a->layer, at) + (size_t)t->kv_head * v_bytes;
    if (form == FLOATS) { /* the others' kernels ask themselves */
        int more = ENG_MIN(t->to - at - n, n);
        ask_for(k + (size_t)n * k_row, k_row, k_bytes, more);
        if (apart) ask_for(v + (size_t)n * v_row, v_row, v_bytes, more);
    }
    return (Cells){kv, k, v, k_width, v_width, k_row, v_row, apart, n};
}

static const float *keys_of(const EngCpu *cpu, const EngOpAttn *a, const Cells *c, const Work *w,
                            size_t *ret_stride)
{
    return cached(cpu, c->kv, c->k, c->k_width, c->n, a->dk, w->k, ret_stride);
}

/* `keys`, *stride apart, where values are the beginning of these. */
static const float *values_of(const EngCpu *cpu, const EngOpAttn *a, const Cells *c, const Work *w,
                              const float *keys, size_t *stride)
{
    return c->apart ? cached(cpu, c->kv, c->v, c->v_width, c->n, a->dv, w->v, stride) : keys;
}

static void attend_i16(EngCpu *cpu, const EngOpAttn *a, const Cells *c, const Work *w)
{
    const uint16_t *keys = (const void *)c->k, *values = (const void *)c->v;
    cpu->k->keys_f16(c->n, a->dk, keys, (size_t)c->k_width, w->wide.keys);
    cpu->k->pairs_f16(c->n, a->dv, values, (size_t)c->v_width, w->wide.values);
    Seeing x = {w->rows, w->q16, w->q_scale, w->seen, a->scale,
                w->max,  w->sum, w->keep,    w->o,    w->s};
    see(cpu->k, &x, &w->wide, c->n, a->dk, a->dv);
}

static void attend_floats(EngCpu *cpu, const EngOpAttn *a, const Cells *c, const Work *w)
{
    size_t rows = (size_t)w->rows, stride = 0;
    const float *keys = keys_of(cpu, a, c, w, &stride);
    cpu->k->gemm(c->n, w->rows, a->dk, keys, stride, 1, w->q, rows, NULL, w->s, rows);
    cpu->k->soften(c->n, w->rows, a->scale, w->seen, w->s, w->max, w->sum, w->keep);
    const float *values = values_of(cpu, a, c, w, keys, &stride);
    cpu->k->gemm(a->dv, w->rows, c->n, values, 1, stride, w->s, rows, w->keep, w->o, rows);
}

static void attend_block(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w, int at, int n)
{
    const EngOpAttn *a = &op->attn;
    Cells c = cells_at(cpu, a, t, w->form, at, n);
    for (int r = 0; r < t->n_tokens * t->n_heads; r++)
        w->seen[r] = cpu->batch->positions[t->row0 + r / t->n_heads] - at + 1;
    if (w->form == I16) {
        attend_i16(cpu, a, &c, w);
    } else if (w->form == FLOATS) {
        attend_floats(cpu, a, &c, w);
    } else {
        cpu->k->scores_q8(n, w->rows, a->dk, w->packed, c.k, c.k_row, w->k, w->s);
        cpu->k->soften(n, w->rows, a->scale, w->seen, w->s, w->max, w->sum, w->keep);
        cpu->k->values_q8(n, w->rows, a->dv, w->s, c.v, c.v_row, w->sum, w->keep, w->v, w->o);
    }
}

/* By what all tiles of a run have in common, so that a result does not depend on the tile. */
static Form form_of(const EngKernels *k, const EngOpAttn *a, EngKvType type, int queries)
{
    enum { ENOUGH = 64 }; /* for what it takes to make 16 bits of a row */
    if (type == ENG_KV_Q8_0 && k->q8_pays && a->dv <= 32 * ENG_Q8_BLOCKS) return BYTES;
    if (type == ENG_KV_F16 && fits_i16(k, a->dk, a->dv) && queries >= ENOUGH) return I16;
    return FLOATS;
}

static void take_queries(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    if (w->form == I16)
        take_queries_as_i16(cpu, op, t, w);
    else if (cpu->batch->kvs[t->row0]->type == ENG_KV_Q8_0)
        take_queries_as_bytes(cpu, op, t, w);
    else
        take_queries_as_floats(cpu, op, t, w);
}

/* `same`: as those that this thread took last, of which nothing but what was summed has changed. */
static void attend(EngCpu *cpu, const EngOp *op, const Tile *t, bool same, Work *w)
{
    EngKvType type = cpu->batch->kvs[t->row0]->type;
    w->form = form_of(cpu->k, &op->attn, type, t->queries);
    if (!same) take_queries(cpu, op, t, w);
    for (int r = 0; r < w->rows; r++) {
        w->max[r] = -INFINITY;
        w->sum[r] = 0;
        w->seen[r] = 0;
    }
    memset(w->o, 0, (size_t)op->attn.dv * (size_t)w->rows * sizeof *w->o);
    int step = w->form == FLOATS ? BLOCK : ENG_Q8_POSITIONS;
    for (int at = t->from; at < t->to; at += step)
        attend_block(cpu, op, t, w, at, ENG_MIN(step, t->to - at));
}

static void finish(EngCpu *cpu, const EngOp *op, const Tile *t, Work *w)
{
    for (int r = 0; r < w->rows; r++) w->keep[r] = 1 / w->sum[r];
    for (int d = 0; d < op->attn.dv; d++)
        for (int r = 0; r < w->rows; r++) w->o[d * w->rows + r] *= w->keep[r];
    for (int d = 0; d < op->attn.dv; d += LANES)
        give_results(cpu, op, t, w, d, ENG_MIN(LANES, op->attn.dv - d), w->o + d * w->rows);
}

/* The i-th tile of the tokens from row0 on. */
static Tile tile_of(const EngOp *op, int heads, int i, int row0, int n_tokens, int from, int to)
{
    int group = op->src.heads / op->attn.n_kv;
    int chunks = (group + heads - 1) / heads, h = i % chunks * heads;
    return (Tile){
        row0, n_tokens, i / chunks * group + h, ENG_MIN(heads, group - h), i / chunks, from,
        to,   group};
}

/* Fewer where threads would go without: a query's result is the same in any tile, but not with a
 * q8_0 cache, whose kernels look at queries together. */
static int tile_tokens(const EngCpu *cpu, const EngOp *op, int heads, EngKvType type, Form form)
{
    int least = ENG_MAX(TILE_LEAST / heads, 1);
    int most = (form == I16 ? I16_TIMES : 1) * tile_queries(&op->attn) / heads;
    if (type == ENG_KV_Q8_0) return least;
    int fair = cpu->rows * tiles_per_token(op, heads) / (4 * eng_pool_threads(cpu->pool));
    return ENG_MAX(ENG_MIN(fair, most), least);
}

/* KV heads that a piece of few queries has: all that leave enough pieces for the threads. */
static int heads_together(const EngCpu *cpu, const EngOp *op, int n_splits)
{
    int fair = op->attn.n_kv * n_splits / (4 * eng_pool_threads(cpu->pool));
    return ENG_MAX(1, ENG_MIN(fair, ENG_MIN(op->attn.n_kv, ATTN_FEW_HEADS)));
}

/* Heads of a tile of one token, whose past is in parts: fewer where threads would go without,
 * though each tile makes anew what is made of a row. Queries stand in the same sixteens in any of
 * them. */
static int heads_of_split(const EngCpu *cpu, const EngOp *op, int past, int n_splits)
{
    int heads = heads_per_tile(op, past), threads = eng_pool_threads(cpu->pool);
    while (heads % (2 * LANES) == 0 &&
           tiles_per_token(op, heads) * n_splits < (heads > TILE_LEAST ? 2 : 1) * threads)
        heads /= 2;
    return heads;
}

/* Every thread walks all tiles and works on those whose number it drew. */
static void whole_past(EngCpu *cpu, const EngOp *op, int thread)
{
    int heads = cpu->rows > 1 ? heads_per_tile(op, INT_MAX)
                              : heads_of_split(cpu, op, cpu->batch->positions[0] + 1, 1);
    int tiles = tiles_per_token(op, heads), few = heads_together(cpu, op, 1);
    int64_t mine = eng_pool_next(cpu->pool, INT64_MAX), number = 0;
    for (int row0 = 0, n, run = 0; row0 < cpu->rows; row0 += n) {
        bool begins = row0 == 0 || cpu->batch->kvs[row0] != cpu->batch->kvs[row0 - 1];
        if (begins) n = run = run_length(cpu->batch, row0, cpu->rows);
        if (begins && eng_cpu_attn_expands(cpu, op, row0, n)) continue;
        if (begins && attn_is_few(op, n)) {
            EngFewPiece p = {.row0 = row0, .n_tokens = n, .n_kv = few};
            p.to = cpu->batch->positions[row0 + n - 1] + 1;
            for (; p.kv0 < op->attn.n_kv; p.kv0 += few, number++) {
                if (number != mine) continue;
                if (eng_cpu_is_stopped(cpu)) return;
                p.n_kv = ENG_MIN(few, op->attn.n_kv - p.kv0);
                eng_cpu_attn_few(cpu, op, &p, thread);
                mine = eng_pool_next(cpu->pool, INT64_MAX);
            }
            continue;
        }
        EngKvType type = cpu->batch->kvs[row0]->type;
        Form form = form_of(cpu->k, &op->attn, type, run * op->src.heads / op->attn.n_kv);
        n = run_length(cpu->batch, row0, tile_tokens(cpu, op, heads, type, form));
        for (int i = 0; i < tiles; i++, number++) {
            if (number != mine) continue;
            if (eng_cpu_is_stopped(cpu)) return;
            Tile t = tile_of(op, heads, i, row0, n, 0, cpu->batch->positions[row0 + n - 1] + 1);
            t.queries *= run;
            Work w = work_for(cpu, &op->attn, &t, thread);
            attend(cpu, op, &t, false, &w);
            finish(cpu, op, &t, &w);
            mine = eng_pool_next(cpu->pool, INT64_MAX);
        }
    }
}

static float *part_of(const EngCpu *cpu, const EngOp *op, int heads, int tile, int split)
{
    size_t floats = part_floats(&op->attn, filled_up(heads));
    return cpu->partial + ((size_t)tile * SPLITS + (size_t)split) * floats;
}

/* Numbers d0 … of a tile's results from its parts. A part is to the softmax what a position is: its
 * max is the score, and what it summed is the value. */
static void merge(EngCpu *cpu, const EngOp *op, int heads, int tile, int n_splits, int d0,
                  int thread)
{
    const EngOpAttn *a = &op->attn;
    Tile t = tile_of(op, heads, tile, 0, 1, 0, 0);
    Work w = work_for(cpu, a, &t, thread), part = w;
    size_t rows = (size_t)w.rows;
    for (int i = 0; i < n_splits; i++) {
        put_result(&part, a, part_of(cpu, op, heads, tile, i));
        memcpy(w.s + (size_t)i * rows, part.max, rows * sizeof *w.s);
    }
    for (size_t r = 0; r < rows; r++) w.max[r] = -INFINITY, w.sum[r] = 0, w.seen[r] = n_splits;
    cpu->k->soften(n_splits, w.rows, 1, w.seen, w.s, w.max, w.sum, w.keep);
    memset(w.sum, 0, rows * sizeof *w.sum);
    int n = ENG_MIN(SLICE, a->dv - d0);
    memset(w.o, 0, (size_t)n * rows * sizeof *w.o);
    for (int i = 0; i < n_splits; i++) {
        const float *weight = w.s + (size_t)i * rows;
        put_result(&part, a, part_of(cpu, op, heads, tile, i));
        for (size_t r = 0; r < rows; r++) w.sum[r] += weight[r] * part.sum[r];
        for (size_t d = 0; d < (size_t)n; d++) {
            const float *from = part.o + ((size_t)d0 + d) * rows;
            for (size_t r = 0; r < rows; r++) w.o[d * rows + r] += weight[r] * from[r];
        }
    }
    for (size_t d = 0; d < (size_t)n; d++)
        for (size_t r = 0; r < rows; r++) w.o[d * rows + r] /= w.sum[r];
    give_results(cpu, op, &t, &w, d0, n, w.o);
}

static void split_past(EngCpu *cpu, const EngOp *op, int split_len, int n_splits, int thread)
{
    const EngOpAttn *a = &op->attn;
    int past = cpu->batch->positions[0] + 1, heads = heads_of_split(cpu, op, past, n_splits);
    int tiles = tiles_per_token(op, heads), tile = -1;
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)tiles * n_splits)) >= 0;) {
        bool same = i / n_splits == tile;
        int split = (int)(i % n_splits), from = split * split_len;
        tile = (int)(i / n_splits);
        Tile t = tile_of(op, heads, tile, 0, 1, from, ENG_MIN(from + split_len, past));
        Work w = work_for(cpu, a, &t, thread);
        put_result(&w, a, part_of(cpu, op, heads, tile, split));
        attend(cpu, op, &t, same, &w);
    }
    eng_pool_barrier(cpu->pool, thread);
    int slices = (a->dv + SLICE - 1) / SLICE;
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)tiles * slices)) >= 0;)
        merge(cpu, op, heads, (int)(i / slices), n_splits, (int)(i % slices) * SLICE, thread);
}

static void split_few(EngCpu *cpu, const EngOp *op, int split_len, int n_splits, int thread)
{
    const EngOpAttn *a = &op->attn;
    int past = cpu->batch->positions[0] + 1, together = heads_together(cpu, op, n_splits);
    int groups = (a->n_kv + together - 1) / together, queries = op->src.heads / a->n_kv;
    size_t part = eng_cpu_few_part(op), apart = part * (size_t)n_splits;
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)groups * n_splits)) >= 0;) {
        int split = (int)(i % n_splits), kv0 = (int)(i / n_splits) * together;
        EngFewPiece p = {.n_tokens = 1, .kv0 = kv0, .from = split * split_len, .apart = apart};
        p.to = ENG_MIN(p.from + split_len, past);
        p.n_kv = ENG_MIN(together, a->n_kv - kv0);
        p.parts = cpu->partial + (size_t)kv0 * apart + (size_t)split * part;
        eng_cpu_attn_few(cpu, op, &p, thread);
    }
    eng_pool_barrier(cpu->pool, thread);
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)op->src.heads)) >= 0;) {
        int kv = (int)(i / queries);
        eng_cpu_merge_few(cpu, op, kv, (int)(i % queries), cpu->partial + (size_t)kv * apart,
                          n_splits);
    }
}

void eng_cpu_op_attn(EngCpu *cpu, const EngOp *op, int thread)
{
    bool few = attn_is_few(op, 1);
    int past = cpu->batch->positions[0] + 1, most = few ? FEW_SPLITS : SPLITS;
    int least = ENG_MAX(SPLIT_LEAST, (past + most - 1) / most);
    int split_len = (least + BLOCK - 1) / BLOCK * BLOCK;
    int n_splits = (past + split_len - 1) / split_len;
    if (cpu->rows > 1 || n_splits == 1)
        whole_past(cpu, op, thread);
    else if (few)
        split_few(cpu, op, split_len, n_splits, thread);
    else
        split_past(cpu, op, split_len, n_splits, thread);
}
