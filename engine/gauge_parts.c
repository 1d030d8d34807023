/* Kernels that are no products with weights, each beside the limit that is its own. Those of
 * attention work on what the caches hold, at the shapes of DeepSeek-R1 (one latent head) and of
 * Qwen3 (heads of 128); the others read numbers that no cache holds. */
#include "base/num.h"
#include "gauge.h"

typedef struct {
    const EngKernels *k;
    Attention *a;
    const uint8_t *from; /* PIECE bytes of weights: any bits are finite floats and halves */
    int dk, dv;
} Work;

typedef struct EngGaugePart {
    const char *name, *shape;
    void (*run)(const Work *work);
    EngBound bound;
    double amount; /* of a piece: bytes read, or operations */
    int dk, dv;
} EngGaugePart;

/* ---- attention ------------------------------------------------------------------------------- */

enum { FEW = 8 };

static void scores(const Work *w)
{
    w->k->gemm(POSITIONS, QUERIES, w->dk, w->a->k, STRIDE, 1, w->a->q, QUERIES, NULL, w->a->s,
               QUERIES);
}

static void values(const Work *w)
{
    w->k->gemm(w->dv, QUERIES, POSITIONS, w->a->k, 1, STRIDE, w->a->s, QUERIES, w->a->keep, w->a->o,
               QUERIES);
}

static void scores_few(const Work *w)
{
    w->k->scores_few(POSITIONS, FEW, w->dk, w->a->q, w->a->k, STRIDE, w->a->s, QUERIES);
}

static void values_few(const Work *w)
{
    w->k->values_few(POSITIONS, FEW, w->dv, w->a->s, QUERIES, w->a->k, STRIDE, w->a->keep, w->a->o);
}

static void soften(const Work *w)
{
    int32_t seen[QUERIES];
    float max[QUERIES] = {0}, sum[QUERIES] = {0};
    for (int i = 0; i < QUERIES; i++) seen[i] = POSITIONS;
    w->k->soften(POSITIONS, QUERIES, 0.5f, seen, w->a->s, max, sum, w->a->keep);
}

static void scores_i16(const Work *w)
{
    const int16_t *q = (const int16_t *)(const void *)w->a->q;
    w->k->keys_i16(ENG_Q8_POSITIONS, w->dk, w->a->k, STRIDE, w->a->room);
    for (int j = 0; j < QUERIES; j += GROUP)
        w->k->scores_i16(ENG_Q8_POSITIONS, GROUP, w->dk, q + j * w->dk, w->a->o, w->a->room,
                         w->a->s, GROUP);
}

static void values_i16(const Work *w)
{
    w->k->pairs_i16(ENG_Q8_POSITIONS, w->dv, w->a->k, STRIDE, w->a->values);
    for (int j = 0; j < QUERIES; j += GROUP)
        w->k->values_i16(ENG_Q8_POSITIONS, GROUP, w->dv, w->a->s, w->a->values, w->a->keep,
                         w->a->weights, w->a->o, GROUP);
}

static void scores_q8(const Work *w)
{
    size_t row = (size_t)w->dk / 32 * sizeof(EngBlockQ8_0);
    w->k->scores_q8(ENG_Q8_POSITIONS, QUERIES, w->dk, (const EngQueryQ8 *)(const void *)w->a->q,
                    w->from, row, w->a->k, w->a->s);
}

static void values_q8(const Work *w)
{
    size_t row = (size_t)w->dk / 32 * sizeof(EngBlockQ8_0);
    w->k->values_q8(ENG_Q8_POSITIONS, QUERIES, w->dv, w->a->s, w->from, row, w->a->keep, w->a->keep,
                    w->a->k, w->a->o);
}

/* ---- rows ------------------------------------------------------------------------------------ */

enum { FLOATS = PIECE / (int)sizeof(float) };

static const float *row_at(const Work *w, int at)
{
    return (const float *)(const void *)w->from + at;
}

static void quantize_32(const Work *w)
{
    for (int at = 0; at < FLOATS; at += NUMBERS)
        w->k->quantize[ENG_ACT_Q8_0](row_at(w, at), w->a->o, NUMBERS);
}

static void quantize_256(const Work *w)
{
    for (int at = 0; at < FLOATS; at += NUMBERS)
        w->k->quantize[ENG_ACT_Q8_K](row_at(w, at), w->a->o, NUMBERS);
}

static void norm(const Work *w)
{
    for (int at = 0; at < FLOATS; at += NUMBERS)
        w->k->rms_norm(row_at(w, at), NULL, w->a->o, NUMBERS, 1e-6f);
}

static void silu_mul(const Work *w)
{
    for (int at = 0; at < FLOATS; at += 2 * NUMBERS)
        w->k->silu_mul(row_at(w, at), row_at(w, at + NUMBERS), w->a->o, NUMBERS);
}

static void add_scaled(const Work *w)
{
    for (int at = 0; at < FLOATS; at += NUMBERS)
        w->k->add_scaled(row_at(w, at), w->a->o, NUMBERS, 0);
}

static void from_f16(const Work *w)
{
    const uint16_t *x = (const uint16_t *)(const void *)w->from;
    for (int at = 0; at < 2 * FLOATS; at += NUMBERS) w->k->f16_to_f32(x + at, w->a->o, NUMBERS);
}

static void to_f16(const Work *w)
{
    uint16_t *y = (uint16_t *)(void *)w->a->o;
    for (int at = 0; at < FLOATS; at += NUMBERS) w->k->f32_to_f16(row_at(w, at), y, NUMBERS);
}

static void from_q8_0(const Work *w)
{
    const EngBlockQ8_0 *x = (const EngBlockQ8_0 *)(const void *)w->from;
    const size_t blocks = NUMBERS / 32, all = PIECE / sizeof *x / blocks * blocks;
    for (size_t at = 0; at < all; at += blocks) w->k->q8_0_to_f32(x + at, w->a->o, NUMBERS);
}

/* ---- all of them ----------------------------------------------------------------------------- */

#define PRODUCT(positions, d) (2.0 * (positions)*QUERIES * (d))
#define PRODUCT_FEW(d) (2.0 * POSITIONS * FEW * (d))
#define WIDE(d) (2.0 * ENG_Q8_POSITIONS * QUERIES * (d))
#define EXP 20 /* operations of an exponential in floats: ten multiply-adds */

static const EngGaugePart parts[] = {
    {"scores", "64 x 64 x 576, floats", scores, ENG_BOUND_FLOAT, PRODUCT(POSITIONS, 576), 576, 0},
    {"values", "512 x 64 x 64, floats", values, ENG_BOUND_FLOAT, PRODUCT(POSITIONS, 512), 0, 512},
    {"scores", "64 x 64 x 128, floats", scores, ENG_BOUND_FLOAT, PRODUCT(POSITIONS, 128), 128, 0},
    {"values", "128 x 64 x 64, floats", values, ENG_BOUND_FLOAT, PRODUCT(POSITIONS, 128), 0, 128},
    {"scores", "64 x 8 x 128, floats", scores_few, ENG_BOUND_FLOAT, PRODUCT_FEW(128), 128, 0},
    {"values", "128 x 8 x 64, floats", values_few, ENG_BOUND_FLOAT, PRODUCT_FEW(128), 0, 128},
    {"soften", "64 x 64", soften, ENG_BOUND_FLOAT, (double)EXP *POSITIONS *QUERIES, 0, 0},
    {"scores", "128 x 64 x 576, 16 bits", scores_i16, ENG_BOUND_INT16, WIDE(576), 576, 0},
    {"values", "512 x 64 x 128, 16 bits", values_i16, ENG_BOUND_INT16, WIDE(512), 0, 512},
    {"scores", "128 x 64 x 128, 16 bits", scores_i16, ENG_BOUND_INT16, WIDE(128), 128, 0},
    {"values", "128 x 64 x 128, 16 bits", values_i16, ENG_BOUND_INT16, WIDE(128), 0, 128},
    {"scores", "128 x 64 x 576, bytes", scores_q8, ENG_BOUND_INT8, PRODUCT(ENG_Q8_POSITIONS, 576),
     576, 0},
    {"values", "512 x 64 x 128, bytes", values_q8, ENG_BOUND_INT8, PRODUCT(ENG_Q8_POSITIONS, 512),
     576, 512},
    {"scores", "128 x 64 x 128, bytes", scores_q8, ENG_BOUND_INT8, PRODUCT(ENG_Q8_POSITIONS, 128),
     128, 0},
    {"values", "128 x 64 x 128, bytes", values_q8, ENG_BOUND_INT8, PRODUCT(ENG_Q8_POSITIONS, 128),
     128, 128},
    {"quantize", "by 32 numbers", quantize_32, ENG_BOUND_READ, PIECE, 0, 0},
    {"quantize", "by 256 numbers", quantize_256, ENG_BOUND_READ, PIECE, 0, 0},
    {"rms_norm", "", norm, ENG_BOUND_READ, PIECE, 0, 0},
    {"silu_mul", "", silu_mul, ENG_BOUND_READ, PIECE, 0, 0},
    {"add_scaled", "", add_scaled, ENG_BOUND_READ, PIECE, 0, 0},
    {"f16_to_f32", "", from_f16, ENG_BOUND_READ, PIECE, 0, 0},
    {"f32_to_f16", "", to_f16, ENG_BOUND_READ, PIECE, 0, 0},
    {"q8_0_to_f32", "", from_q8_0, ENG_BOUND_READ, PIECE, 0, 0},
};

/* Arithmetic reads the same piece again and again. */
static void run_part(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    Work w = {eng_kernels(g->level), g->attention + thread, NULL, g->part->dk, g->part->dv};
    (void)n_threads;
    for (int64_t i; (i = eng_pool_next(g->pool, g->count)) >= 0;) {
        int64_t at = g->part->bound == ENG_BOUND_READ ? g->from + i : thread;
        w.from = g->weights + (size_t)at % (WEIGHTS_BYTES / PIECE) * PIECE;
        g->part->run(&w);
    }
}

bool eng_gauge_part(EngGauge *gauge, int i, EngPartSpeed *ret_speed)
{
    if (i < 0 || i >= (int)ENG_LEN(parts)) return false;
    gauge->part = &parts[i];
    bool reads = parts[i].bound == ENG_BOUND_READ;
    int64_t most = reads ? (int64_t)(WEIGHTS_BYTES / PIECE) : INT64_MAX / 4;
    double rate = eng_gauge_rate(gauge, run_part, most);
    *ret_speed = (EngPartSpeed){parts[i].name, parts[i].shape, parts[i].bound,
                                rate * parts[i].amount * 1e-9};
    return true;
}
