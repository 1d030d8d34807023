/* Attention over latent vectors in its expanded form (EngOpAttn.absorbed tells of the other): the
 * keys and values of a head are made from the cached latents, key = [k_b^T c, rotary part], value =
 * v_b c, and meet queries that no matrix was taken through. With DeepSeek's shapes that is 320
 * multiply-adds for a token, a position and a head, where the absorbed form has 1088; but a
 * position costs 131072 more once for each chunk of tokens, and the absorbing products of a token,
 * which are as many, fall away. So a chunk of a prompt is expanded, and a token by itself is not.
 *
 * A piece of work is a head and some neighbouring tokens of one session. It walks over the past in
 * blocks of positions, expands each, and takes all its tiles of TILE tokens through it, whose
 * queries, sums, maxima and outputs stay in scratch. Blocks begin at multiples of BLOCK and tiles
 * at multiples of TILE tokens of the session's run, however the pieces are cut. */
#include <math.h>
#include <string.h>

#include "cpu/op_attn.h"

/* MOST: tokens of a piece; each further piece expands the past anew. LEAST: as few as that when
 * there would be fewer than PIECES for each thread. */
enum { TILE = 64, BLOCK = 128, MOST = 2048, LEAST = 256, PIECES = 4 };

typedef struct {
    const EngOp *keys, *attn, *values; /* HEADS, ATTN, HEADS */
    int nope, rope, rank, dk, dv;      /* dk = nope + rope; dv of the expanded value */
    int k_at, width;                   /* an expanded row: value, from k_at on key; its matrices' */
    bool i16; /* in 16 bits, or floats: may_i16, where the cache is known */
} Mla;

static Mla mla_of(const EngOp *attn)
{
    const EngOp *keys = attn - 1, *values = attn + 1;
    Mla m = {.keys = keys,
             .attn = attn,
             .values = values,
             .nope = keys->src.n,
             .rank = attn->attn.dv,
             .rope = attn->attn.dk - attn->attn.dv,
             .dv = values->dst.n};
    m.dk = m.nope + m.rope;
    m.k_at = filled_up(m.dv);
    m.width = m.k_at + filled_up(m.nope);
    return m;
}

static bool may_i16(const EngCpu *cpu, const Mla *m, int row)
{
    return cpu->batch->kvs[row]->type != ENG_KV_F32 && m->rank % 32 == 0 &&
           fits_i16(cpu->k, m->dk, m->dv);
}

/* ---- which form ------------------------------------------------------------------------------ */

/* The attention that an op is part of, when the run that goes on has all three; otherwise a device
 * has some of them, and hands over what the absorbed form needs. NULL: none. */
static const EngOp *attention_of(const EngCpu *cpu, const EngOp *op)
{
    const EngOp *ops = cpu->graph->ops.data;
    int at = (int)(op - ops), from = ENG_MAX(at - 1, cpu->first + 1);
    for (int i = from; i <= at + 1 && i + 1 < cpu->end; i++)
        if (ops[i].kind == ENG_OP_ATTN && ops[i].attn.absorbed) return &ops[i];
    return NULL;
}

/* By multiply-adds and what they take, beside one of gemm's 16: in 16 bits, with the bytes of a
 * q8_0 cache, and of a matrix in blocks with its activations' rounding. */
static bool pays(const Mla *m, bool bytes, int64_t past, int64_t n)
{
    enum { FLOAT = 16, WIDE = 10, CACHED = 7, BLOCK_BYTE = 6 };
    int64_t unit = m->i16 ? WIDE : FLOAT;
    int64_t seen = n * past + n * (n + 1) / 2, filled = (n + LANES - 1) / LANES * LANES;
    int64_t matrices = (int64_t)m->rank * (m->nope + m->dv);
    int64_t absorbed =
        seen * (2 * m->rank + m->rope) * (bytes ? CACHED : unit) + n * matrices * BLOCK_BYTE;
    int64_t times = (n + MOST - 1) / MOST;
    int64_t expanded =
        seen * filled / n * (m->dk + m->dv) * unit + times * (past + n) * matrices * unit;
    return expanded < absorbed;
}

bool eng_cpu_attn_expands(const EngCpu *cpu, const EngOp *attn, int row0, int n)
{
    if (attention_of(cpu, attn) != attn) return false;
    Mla m = mla_of(attn);
    m.i16 = may_i16(cpu, &m, row0);
    bool bytes = cpu->batch->kvs[row0]->type == ENG_KV_Q8_0 && cpu->k->q8_pays;
    return pays(&m, bytes, cpu->batch->positions[row0], n);
}

bool eng_cpu_left_out(const EngCpu *cpu, const EngOp *op, EngCpuOp *phase)
{
    bool for_some = phase == eng_cpu_attn_expanded;
    if (op->kind != ENG_OP_ATTN && op->kind != ENG_OP_HEADS) return false;
    const EngOp *attn = attention_of(cpu, op);
    if (!attn) return for_some;
    bool some = false, all = true;
    for (int row0 = 0, n; row0 < cpu->rows; row0 += n) {
        n = run_length(cpu->batch, row0, cpu->rows);
        bool expands = eng_cpu_attn_expands(cpu, attn, row0, n);
        some |= expands;
        all &= expands;
    }
    return for_some ? op != attn + 1 || !some : all;
}

/* ---- scratch --------------------------------------------------------------------------------- */

/* Queries of a tile are its tokens, filled up with some that see nothing. */
typedef struct {
    float *q;         /* [dk][rows] floats, or as scores_i16 wants them: in half the place */
    float *q_scale;   /* … and their scales behind them */
    float *o;         /* [dv][rows] unnormalised */
    float *max, *sum; /* [rows] */
} Tile;

typedef struct {
    float *matrices; /* [rank] room_stride(width) apart: v_b^T and k_b of the head, filled up */
    int16_t *narrow; /* the same as groups of queries in 16 bits */
    float *scales;   /* … and their scales */
    Wide past;       /* of latents, without values */
    Wide wide;       /* of expanded rows */
    float *latent;   /* [BLOCK] room_stride(rank + rope) apart */
    float *kv;       /* [BLOCK] row_stride() apart */
    float *s;        /* [BLOCK][TILE] */
    float *keep;     /* [TILE] */
    int32_t *seen;   /* [TILE] */
    float *tiles;    /* [tiles] of tile_floats */
} Work;

static size_t row_stride(const Mla *m) { return room_stride(m->width + m->rope); }

static size_t tile_floats(const Mla *m) { return (size_t)(m->dk + m->dv + 2 + LANES) * TILE; }

static Tile tile_at(const Mla *m, const Work *w, int i)
{
    float *q = w->tiles + (size_t)i * tile_floats(m), *o = q + (size_t)(m->dk + LANES) * TILE;
    float *max = o + (size_t)m->dv * TILE;
    return (Tile){q, q + (size_t)m->dk / 2 * TILE, o, max, max + TILE};
}

static Work work_of(float *room, const Mla *m, int most_tokens, size_t *ret_floats)
{
    Work w = {0};
    size_t at = 0, tiles = ((size_t)ENG_MIN(most_tokens, MOST) + TILE - 1) / TILE;
    w.matrices = room + at, at += (size_t)m->rank * room_stride(m->width);
    w.narrow = (int16_t *)(void *)(room + at);
    w.scales = room + at + (size_t)m->rank / 2 * (size_t)m->width;
    at += ((size_t)m->rank / 2 + LANES) * (size_t)m->width;
    at += wide_room(room + at, m->rank, 0, &w.past);
    at += wide_room(room + at, m->dk, m->dv, &w.wide);
    w.latent = room + at;
    at += ENG_MAX(BLOCK * room_stride(m->rank + m->rope), ENG_I16_BLOCK * (size_t)m->nope);
    w.kv = room + at, at += BLOCK * row_stride(m);
    w.s = room + at, at += BLOCK * TILE;
    w.keep = room + at, at += TILE;
    w.seen = (int32_t *)(void *)(room + at), at += TILE;
    w.tiles = room + at, at += tiles * tile_floats(m);
    *ret_floats = at;
    return w;
}

void eng_cpu_needs_expanded(const EngOp *attn, int max_tokens, EngCpuNeeds *needs)
{
    static float nowhere;
    size_t floats;
    Mla m = mla_of(attn);
    work_of(&nowhere, &m, max_tokens, &floats);
    needs->scratch = ENG_MAX(needs->scratch, floats * sizeof(float));
}

/* ---- a piece --------------------------------------------------------------------------------- */

typedef struct {
    int run0, run_end; /* rows of the session */
    int row0, n;       /* rows of the piece, from a tile's beginning on */
    int head;
} Piece;

static int rows_of(const Piece *p, int tile)
{
    return filled_up(ENG_MIN(TILE, p->n - tile * TILE));
}

static const float *at_head(const EngCpu *cpu, EngView v, int row, int head)
{
    return eng_cpu_row(cpu, v, row) + (size_t)head * (size_t)v.stride;
}

/* d0 … of each query, from `view`, whose numbers from `from` on they are: a cache line at a time.
 */
static void take_part(const EngCpu *cpu, const Piece *p, int tile, EngView view, int from, int n,
                      float *q)
{
    int rows = rows_of(p, tile), tokens = ENG_MIN(TILE, p->n - tile * TILE);
    for (int d0 = 0; d0 < n; d0 += LANES)
        for (int r = 0; r < rows; r++) {
            const float *x = NULL;
            if (r < tokens) x = at_head(cpu, view, p->row0 + tile * TILE + r, p->head) + from;
            for (int d = d0; d < ENG_MIN(d0 + LANES, n); d++)
                q[(size_t)d * (size_t)rows + (size_t)r] = x ? x[d] : 0;
        }
}

/* A query lies in two parts. They are put together in the latents' place, free between blocks. */
static void take_i16(const EngCpu *cpu, const Mla *m, const Piece *p, const Work *w, int tile)
{
    Tile t = tile_at(m, w, tile);
    int rows = rows_of(p, tile);
    for (int r = 0; r < rows; r += GROUP) {
        const float *x[GROUP];
        int some = ENG_MIN(rows - r, GROUP);
        for (int i = 0; i < some; i++) {
            int at = tile * TILE + r + i, row = p->row0 + at;
            float *one = w->latent + (size_t)i * (size_t)m->dk;
            x[i] = at < p->n ? one : NULL;
            if (!x[i]) continue;
            memcpy(one, at_head(cpu, m->keys->src, row, p->head), (size_t)m->nope * sizeof *one);
            memcpy(one + m->nope, at_head(cpu, m->attn->src, row, p->head) + m->rank,
                   (size_t)m->rope * sizeof *one);
        }
        queries_to_i16(cpu->k, x, some, m->dk, rows, r, (int16_t *)(void *)t.q, t.q_scale);
    }
}

static void begin_tile(const EngCpu *cpu, const Mla *m, const Piece *p, const Work *w, int tile)
{
    Tile t = tile_at(m, w, tile);
    int rows = rows_of(p, tile);
    if (m->i16) {
        take_i16(cpu, m, p, w, tile);
    } else {
        take_part(cpu, p, tile, m->keys->src, 0, m->nope, t.q);
        take_part(cpu, p, tile, m->attn->src, m->rank, m->rope, t.q + m->nope * rows);
    }
    memset(t.o, 0, (size_t)m->dv * (size_t)rows * sizeof *t.o);
    for (int r = 0; r < rows; r++) t.max[r] = -INFINITY, t.sum[r] = 0;
}

static void row_of(const EngWeight *w, int head, int row, float *ret)
{
    eng_type_info(w->type)->to_f32(eng_weight_rows(w, head, row), ret, w->cols);
}

/* As floats, once for all of the past. k_b lies as gemm wants it; v_b is turned, some rows at a
 * time, in the latents' place. */
static void take_matrices(const Mla *m, int head, const Work *w)
{
    const EngWeight *k_b = &m->keys->heads.w, *v_b = &m->values->heads.w;
    size_t apart = room_stride(m->width);
    memset(w->matrices, 0, (size_t)m->rank * apart * sizeof *w->matrices);
    for (int r = 0; r < m->rank; r++)
        row_of(k_b, head, r, w->matrices + (size_t)r * apart + m->k_at);
    for (int d0 = 0; d0 < m->dv; d0 += LANES) {
        int n = ENG_MIN(LANES, m->dv - d0);
        for (int d = 0; d < n; d++) row_of(v_b, head, d0 + d, w->latent + (size_t)(d * m->rank));
        for (int r = 0; r < m->rank; r++)
            for (int d = 0; d < n; d++)
                w->matrices[(size_t)r * apart + (size_t)(d0 + d)] = w->latent[d * m->rank + r];
    }
}

/* Columns c … of the head's matrices in 16 bits, up to the end of their group or to `end`. */
static int columns_from(int c, int end) { return ENG_MIN(GROUP - c % GROUP, end - c); }

static void narrow_values(const EngCpu *cpu, const Mla *m, int head, const Work *w)
{
    for (int c = 0, n; c < m->k_at; c += n) {
        const float *x[GROUP];
        n = columns_from(c, m->k_at);
        for (int i = 0; i < n; i++) {
            float *row = w->latent + (size_t)i * (size_t)m->rank;
            x[i] = c + i < m->dv ? row : NULL;
            if (x[i]) row_of(&m->values->heads.w, head, c + i, row);
        }
        queries_to_i16(cpu->k, x, n, m->rank, m->width, c, w->narrow, w->scales);
    }
}

/* Rows r0 … r0 + n - 1 of k_b as numbers r0 … of its columns. */
static void narrow_keys(const EngCpu *cpu, const Mla *m, int head, int r0, int n, const Work *w)
{
    for (int r = 0; r < n; r++) row_of(&m->keys->heads.w, head, r0 + r, w->latent + r * m->nope);
    for (int c = m->k_at, some; c < m->width; c += some) {
        float turned[GROUP][ENG_I16_BLOCK];
        const float *x[GROUP];
        some = columns_from(c, m->width);
        for (int i = 0; i < some; i++) {
            const float *from = w->latent + c + i - m->k_at;
            x[i] = c + i - m->k_at < m->nope ? turned[i] : NULL;
            for (int r = 0; x[i] && r < n; r++) turned[i][r] = from[r * m->nope];
        }
        block_to_i16(cpu->k, x, some, m->rank, m->width, c, r0, w->narrow, w->scales);
    }
}

/* The same, whose columns meet latents as queries meet keys: v_b's rows are these, k_b is turned
 * some rows at a time. The latents' place holds the rows. */
static void narrow_matrices(const EngCpu *cpu, const Mla *m, int head, const Work *w)
{
    narrow_values(cpu, m, head, w);
    for (int r0 = 0; r0 < m->rank; r0 += ENG_I16_BLOCK)
        narrow_keys(cpu, m, head, r0, ENG_MIN(ENG_I16_BLOCK, m->rank - r0), w);
}

static void expand_i16(EngCpu *cpu, const Mla *m, const Work *w, int n, const float *latent,
                       size_t stride)
{
    cpu->k->keys_i16(n, m->rank, latent, stride, w->past.keys);
    for (int c = 0; c < m->width; c += GROUP)
        cpu->k->scores_i16(
            n, ENG_MIN(m->width - c, GROUP), m->rank, w->narrow + (size_t)c * (size_t)m->rank,
            w->scales + c * ENG_I16_BLOCKS(m->rank), w->past.keys, w->kv + c, row_stride(m));
}

/* A block of the past, and what all tiles share of it. */
static void expand(EngCpu *cpu, const Mla *m, const Piece *p, const Work *w, int at, int n)
{
    const EngKv *kv = cpu->batch->kvs[p->row0];
    size_t stride, row = row_stride(m);
    const float *latent = cached(cpu, kv, eng_kv_key(kv, m->attn->attn.layer, at), kv->k_width, n,
                                 m->rank + m->rope, w->latent, &stride);
    if (m->i16)
        expand_i16(cpu, m, w, n, latent, stride);
    else
        cpu->k->gemm(n, m->width, m->rank, latent, stride, 1, w->matrices, room_stride(m->width),
                     NULL, w->kv, row);
    for (int i = 0; i < n; i++)
        memcpy(w->kv + (size_t)i * row + m->k_at + m->nope, latent + (size_t)i * stride + m->rank,
               (size_t)m->rope * sizeof *w->kv);
    if (!m->i16) return;
    cpu->k->keys_i16(n, m->dk, w->kv + m->k_at, row, w->wide.keys);
    cpu->k->pairs_i16(n, m->dv, w->kv, row, w->wide.values);
}

static void attend(EngCpu *cpu, const Mla *m, const Piece *p, const Work *w, int tile, int at,
                   int n)
{
    Tile t = tile_at(m, w, tile);
    const int32_t *positions = cpu->batch->positions + p->row0 + tile * TILE;
    int rows = rows_of(p, tile), tokens = ENG_MIN(TILE, p->n - tile * TILE);
    n = ENG_MIN(n, positions[tokens - 1] + 1 - at);
    if (n <= 0) return;
    float scale = m->attn->attn.scale;
    for (int r = 0; r < rows; r++) w->seen[r] = r < tokens ? positions[r] - at + 1 : 0;
    if (m->i16) {
        const int16_t *q = (const int16_t *)(const void *)t.q;
        Seeing x = {rows, q, t.q_scale, w->seen, scale, t.max, t.sum, w->keep, t.o, w->s};
        see(cpu->k, &x, &w->wide, n, m->dk, m->dv);
        return;
    }
    size_t ld = (size_t)rows;
    cpu->k->gemm(n, rows, m->dk, w->kv + m->k_at, row_stride(m), 1, t.q, ld, NULL, w->s, ld);
    cpu->k->soften(n, rows, scale, w->seen, w->s, t.max, t.sum, w->keep);
    cpu->k->gemm(m->dv, rows, n, w->kv, 1, row_stride(m), w->s, ld, w->keep, t.o, ld);
}

static void finish_tile(EngCpu *cpu, const Mla *m, const Piece *p, const Work *w, int tile)
{
    Tile t = tile_at(m, w, tile);
    int rows = rows_of(p, tile), tokens = ENG_MIN(TILE, p->n - tile * TILE);
    EngView view = m->values->dst;
    for (int d0 = 0; d0 < m->dv; d0 += LANES)
        for (int r = 0; r < tokens; r++) {
            float *y = eng_cpu_row(cpu, view, p->row0 + tile * TILE + r) +
                       (size_t)p->head * (size_t)view.stride;
            for (int d = d0; d < ENG_MIN(d0 + LANES, m->dv); d++)
                y[d] = t.o[(size_t)d * (size_t)rows + (size_t)r] / t.sum[r];
        }
}

static void do_piece(EngCpu *cpu, const Mla *m, const Piece *p, int thread)
{
    size_t floats;
    Work w = work_of(eng_cpu_scratch(cpu, thread), m, cpu->base.max_tokens, &floats);
    int tiles = (p->n + TILE - 1) / TILE;
    const int32_t *positions = cpu->batch->positions;
    int past = positions[p->run_end - 1] + 1, to = positions[p->row0 + p->n - 1] + 1;
    if (m->i16)
        narrow_matrices(cpu, m, p->head, &w);
    else
        take_matrices(m, p->head, &w);
    for (int i = 0; i < tiles; i++) begin_tile(cpu, m, p, &w, i);
    for (int at = 0; at < to; at += BLOCK) {
        int n = ENG_MIN(BLOCK, past - at);
        expand(cpu, m, p, &w, at, n);
        for (int i = 0; i < tiles; i++) attend(cpu, m, p, &w, i, at, n);
    }
    for (int i = 0; i < tiles; i++) finish_tile(cpu, m, p, &w, i);
}

/* Tokens of a piece of a run of n. */
static int piece_tokens(const EngCpu *cpu, int heads, int n)
{
    int enough = PIECES * eng_pool_threads(cpu->pool), parts = (enough + heads - 1) / heads;
    int tokens = ENG_MIN(ENG_MAX((n + parts - 1) / parts, LEAST), MOST);
    return (tokens + TILE - 1) / TILE * TILE;
}

/* Every thread walks all pieces and works on those whose number it drew; the last tokens, which see
 * most, come first. */
void eng_cpu_attn_expanded(EngCpu *cpu, const EngOp *op, int thread)
{
    Mla m = mla_of(op - 1);
    int heads = m.attn->src.heads;
    int64_t mine = eng_pool_next(cpu->pool, INT64_MAX), number = 0;
    for (int run0 = 0, n; run0 < cpu->rows; run0 += n) {
        n = run_length(cpu->batch, run0, cpu->rows);
        if (!eng_cpu_attn_expands(cpu, m.attn, run0, n)) continue;
        int most = piece_tokens(cpu, heads, n), parts = (n + most - 1) / most;
        for (; mine < number + (int64_t)heads * parts; mine = eng_pool_next(cpu->pool, INT64_MAX)) {
            if (eng_cpu_is_stopped(cpu)) return;
            int part = parts - 1 - (int)((mine - number) / heads);
            Piece p = {run0, run0 + n, run0 + part * most, ENG_MIN(most, n - part * most),
                       (int)((mine - number) % heads)};
            m.i16 = may_i16(cpu, &m, run0);
            do_piece(cpu, &m, &p, thread);
        }
        number += (int64_t)heads * parts;
    }
}
