/* The machine's limits and the speed of its kernels, measured with the threads and the tables that
 * models run with. Kernels get tiles of 32 rows of 2048 numbers, as the engine cuts them, from
 * weights that no cache holds. */
#include "gauge.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "plan/host.h"

enum {
    FEW = 16,     /* tokens of an expert with many beside it: DeepSeek-R1 at 512 */
    TOKENS = 128, /* of prefill */
    ROUNDS = 25,
    LIMIT_ROUNDS = 100, /* what all else is compared with */
    BARRIERS = 2000
};
/* Seconds for one round: short, for then one of them falls between what else the machine does. */
static const double long_enough = 0.005;

/* Numbers that are finite as halves, as bfloat16 and as floats, and no tiny exponent in the first
 * byte of anything: arithmetic near the end of the range is slow. */
static void fill_weights(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    for (int64_t i; (i = eng_pool_next(g->pool, (int64_t)(WEIGHTS_BYTES / PIECE))) >= 0;) {
        uint64_t *p = (uint64_t *)(void *)(g->weights + (size_t)i * PIECE);
        uint64_t state = (uint64_t)i * 0x9e3779b97f4a7c15u + 1;
        for (size_t j = 0; j < PIECE / sizeof *p; j++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* xorshift64 */
            p[j] = (state & 0x3fff3fff3fff3fff) | 0x2010201020102010;
        }
    }
    eng_pool_barrier(g->pool, thread);
}

EngGauge *eng_gauge_new(int threads, EngError *err)
{
    EngCpuLevel level;
    EngSeats seats;
    if (!eng_cpu_level(&level, err) || !eng_host_seats(threads, &seats, err)) return NULL;
    threads = seats.n;
    EngGauge *g = eng_alloc0(sizeof *g);
    g->level = level;
    g->pool = eng_pool_new(threads, seats.seats, err);
    eng_seats_clear(&seats);
    g->weights = g->pool ? eng_try_alloc(WEIGHTS_BYTES, "the weights to measure with", err) : NULL;
    g->attention_bytes = (size_t)threads * sizeof *g->attention;
    if (g->weights)
        g->attention = eng_try_alloc(g->attention_bytes, "the context to measure with", err);
    if (!g->attention) {
        eng_gauge_free(g);
        return NULL;
    }
    g->y = eng_alloc0((size_t)threads * MOST_TOKENS * ROWS * sizeof *g->y);
    g->x = eng_alloc0((size_t)MOST_TOKENS * NUMBERS * sizeof(float));
    eng_pool_run(g->pool, fill_weights, g);
    return g;
}

void eng_gauge_free(EngGauge *gauge)
{
    if (!gauge) return;
    eng_pool_free(gauge->pool);
    if (gauge->weights) eng_big_free(gauge->weights, WEIGHTS_BYTES);
    free(gauge->y);
    free(gauge->x);
    if (gauge->attention) eng_big_free(gauge->attention, gauge->attention_bytes);
    free(gauge);
}

static double seconds(EngGauge *g, EngPoolFn *fn)
{
    double start = eng_sys_now();
    eng_pool_run(g->pool, fn, g);
    return ENG_MAX(eng_sys_now() - start, 1e-9);
}

/* Of pieces of work, at most `most` at once, the most per second. A round that is over too soon has
 * twice as many behind it: what interrupts one, which then took long enough, cannot end that. */
static double best_rate(EngGauge *g, EngPoolFn *fn, int64_t most, int rounds)
{
    g->from = 0;
    g->count = ENG_MIN(eng_pool_threads(g->pool), most);
    double best = 0, left = 3 * rounds * long_enough; /* for where a single piece takes longer */
    for (int i = 0; i < rounds && left > 0;) {
        double spent = seconds(g, fn);
        best = ENG_MAX(best, (double)g->count / spent);
        left -= spent;
        g->from = (g->from + g->count) % most;
        if (spent < long_enough && g->count < most)
            g->count = ENG_MIN(2 * g->count, most);
        else
            i++;
    }
    return best;
}

double eng_gauge_rate(EngGauge *gauge, EngPoolFn *fn, int64_t most)
{
    return best_rate(gauge, fn, most, ROUNDS);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Four streams, for one core cannot fill its line buffers from one, and asked for far ahead, for
 * the processor's own prefetchers stop at each page: as the row kernels read. */
static void read_pieces(void *arg, int thread, int n_threads)
{
    typedef uint64_t Wide __attribute__((vector_size(64)));
    enum { STREAMS = 4, STEPS = PIECE / STREAMS / sizeof(Wide), AHEAD = 12 };
    EngGauge *g = arg;
    (void)thread, (void)n_threads;
    Wide sum[STREAMS] = {{0}};
    for (int64_t i; (i = eng_pool_next(g->pool, g->count)) >= 0;) {
        size_t piece = (size_t)(g->from + i) % (WEIGHTS_BYTES / PIECE);
        const Wide *p = (const Wide *)(const void *)(g->weights + piece * PIECE);
        for (int j = 0; j < STEPS; j++)
            for (int s = 0; s < STREAMS; s++) {
                __builtin_prefetch(p + s * STEPS + j + AHEAD);
                sum[s] ^= p[s * STEPS + j];
            }
    }
    for (int s = 0; s < STREAMS; s++) __asm__ volatile("" : : "m"(sum[s])); /* it was wanted */
}

static void multiply_bytes(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    int64_t ops = eng_kernels(g->level)->int8_peak(g->count);
    if (thread == 0) g->ops = ops;
}

static void multiply_floats(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    int64_t ops = eng_kernels(g->level)->float_peak(g->count);
    if (thread == 0) g->ops = ops;
}

static double peak(EngGauge *g, EngPoolFn *fn)
{
    double rounds = best_rate(g, fn, INT64_MAX / 4, LIMIT_ROUNDS);
    return rounds * ((double)g->ops / (double)g->count) * eng_pool_threads(g->pool) * 1e-9;
}

static void meet(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    for (int64_t i = 0; i < g->count; i++) eng_pool_barrier(g->pool, thread);
}

EngLimits eng_gauge_limits(EngGauge *gauge)
{
    EngLimits l = {.threads = eng_pool_threads(gauge->pool)};
    l.read_gb_s = best_rate(gauge, read_pieces, (int64_t)(WEIGHTS_BYTES / PIECE), LIMIT_ROUNDS) *
                  PIECE * 1e-9;
    l.int8_gop_s = peak(gauge, multiply_bytes);
    l.float_gop_s = peak(gauge, multiply_floats);
    gauge->count = BARRIERS;
    double best = seconds(gauge, meet);
    for (int i = 1; i < LIMIT_ROUNDS; i++) best = ENG_MIN(best, seconds(gauge, meet));
    l.barrier_us = best / BARRIERS * 1e6;
    return l;
}

/* ---- kernels --------------------------------------------------------------------------------- */

static void multiply_tiles(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    EngMatmulFn *matmul = eng_kernel(g->level, g->type)->matmul;
    size_t row = (size_t)eng_row_bytes(g->type, NUMBERS), rows = (size_t)g->rows;
    size_t x_row = eng_act_row_bytes(eng_type_info(g->type)->act, NUMBERS);
    size_t tile = rows * row, n_tiles = WEIGHTS_BYTES / tile;
    float *y = g->y + (size_t)thread * MOST_TOKENS * ROWS;
    for (int64_t i; (i = eng_pool_next(g->pool, g->count)) >= 0;)
        matmul(NUMBERS, g->rows, g->tokens, g->weights + (size_t)(g->from + i) % n_tiles * tile,
               row, g->x, x_row, y, rows);
}

/* Rows of weights that meet so many tokens. */
static double rows_per_second(EngGauge *g, int tokens)
{
    g->tokens = tokens;
    g->rows = tokens == 1 ? ONE_ROWS : ROWS;
    size_t tile = (size_t)g->rows * (size_t)eng_row_bytes(g->type, NUMBERS);
    return g->rows * best_rate(g, multiply_tiles, (int64_t)(WEIGHTS_BYTES / tile), ROUNDS);
}

static void fill_activations(EngGauge *g)
{
    EngAct act = eng_type_info(g->type)->act;
    float row[NUMBERS];
    for (size_t t = 0; t < MOST_TOKENS; t++) {
        for (size_t i = 0; i < NUMBERS; i++) row[i] = (float)((i * 31 + t * 17) % 101) - 50;
        eng_kernels(g->level)->quantize[act](row, g->x + t * eng_act_row_bytes(act, NUMBERS),
                                             NUMBERS);
    }
}

static void measure_kernel(EngGauge *gauge, EngType type, EngKernelSpeed *ret_speed)
{
    gauge->type = type;
    fill_activations(gauge);
    const EngKernel *kernel = eng_kernel(gauge->level, type);
    double bytes = (double)eng_row_bytes(type, NUMBERS), ops = 2.0 * NUMBERS;
    double decode = rows_per_second(gauge, 1);
    *ret_speed = (EngKernelSpeed){
        .type = eng_type_info(type)->name,
        .level = strchr(kernel->name, '.') + 1,
        .decode_gb_s = decode * bytes * 1e-9,
        .decode_gop_s = decode * ops * 1e-9,
        .few_gop_s = rows_per_second(gauge, FEW) * ops * FEW * 1e-9,
        .prefill_gop_s = rows_per_second(gauge, TOKENS) * ops * TOKENS * 1e-9,
    };
}

bool eng_gauge_kernel(EngGauge *gauge, int i, EngKernelSpeed *ret_speed)
{
    uint32_t type = 0;
    for (; type < ENG_TYPE_COUNT; type++)
        if (eng_type_info(type)->to_f32 && i-- == 0) break;
    if (type == ENG_TYPE_COUNT) return false;
    measure_kernel(gauge, (EngType)type, ret_speed);
    return true;
}

double eng_gauge_product(EngGauge *gauge, const char *type, int tokens)
{
    gauge->type = eng_type_named(type);
    if (gauge->type == ENG_TYPE_COUNT || !eng_type_info(gauge->type)->to_f32) return 0;
    tokens = ENG_MAX(1, ENG_MIN(tokens, MOST_TOKENS));
    fill_activations(gauge);
    return rows_per_second(gauge, tokens) * 2e-9 * NUMBERS * tokens;
}

/* ---- attention ------------------------------------------------------------------------------- */

static void attend_bytes(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    const EngKernels *k = eng_kernels(g->level);
    const size_t row = DK / 32 * sizeof(EngBlockQ8_0);
    Attention *a = g->attention + thread;
    const EngQueryQ8 *q = (const EngQueryQ8 *)(const void *)a->q;
    for (int64_t i; (i = eng_pool_next(g->pool, g->count)) >= 0;) {
        const uint8_t *block =
            g->weights + (size_t)((g->from + i) % g->blocks) * ENG_Q8_POSITIONS * row;
        k->scores_q8(ENG_Q8_POSITIONS, QUERIES, DK, q, block, row, a->k, a->s);
        k->values_q8(ENG_Q8_POSITIONS, QUERIES, DV, a->s, block, row, a->keep, a->keep, a->k, a->o);
    }
}

/* As op_attn.c has it for DeepSeek's heads: 128 queries share what is made of a row. */
static void attend_i16(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    const EngKernels *k = eng_kernels(g->level);
    Attention *a = g->attention + thread;
    const int16_t *q = (const int16_t *)(const void *)a->q;
    const uint16_t *cells = (const uint16_t *)(const void *)g->weights;
    for (int64_t i; (i = eng_pool_next(g->pool, g->count)) >= 0;) {
        const uint16_t *block = cells + (size_t)((g->from + i) % g->blocks) * ENG_Q8_POSITIONS * DK;
        for (int p = 0; p < ENG_Q8_POSITIONS; p++)
            k->f16_to_f32(block + p * DK, a->k + p * STRIDE, DK);
        k->keys_i16(ENG_Q8_POSITIONS, DK, a->k, STRIDE, a->room);
        k->pairs_i16(ENG_Q8_POSITIONS, DV, a->k, STRIDE, a->values);
        for (int j = 0; j < 2 * QUERIES; j += GROUP) {
            k->scores_i16(ENG_Q8_POSITIONS, GROUP, DK, q, a->o, a->room, a->s, GROUP);
            k->values_i16(ENG_Q8_POSITIONS, GROUP, DV, a->s, a->values, a->keep, a->weights, a->o,
                          GROUP);
        }
    }
}

static void attend(void *arg, int thread, int n_threads)
{
    EngGauge *g = arg;
    (void)n_threads;
    const EngKernels *k = eng_kernels(g->level);
    Attention *a = g->attention + thread;
    const uint16_t *cells = (const uint16_t *)(const void *)g->weights;
    for (int64_t i; (i = eng_pool_next(g->pool, g->count)) >= 0;) {
        const uint16_t *block = cells + (size_t)((g->from + i) % g->blocks) * POSITIONS * DK;
        for (int p = 0; p < POSITIONS; p++) k->f16_to_f32(block + p * DK, a->k + p * STRIDE, DK);
        k->gemm(POSITIONS, QUERIES, DK, a->k, STRIDE, 1, a->q, QUERIES, NULL, a->s, QUERIES);
        k->gemm(DV, QUERIES, POSITIONS, a->k, 1, STRIDE, a->s, QUERIES, a->keep, a->o, QUERIES);
    }
}

typedef struct {
    EngPoolFn *run;
    int positions, queries; /* of a piece */
    size_t row;             /* bytes that a position has in the cache */
} AttentionForm;

/* Where bytes do not pay they become floats like halves, and as fast. */
static AttentionForm form_of(const EngKernels *k, EngKvType kv)
{
    const size_t bytes = DK / 32 * sizeof(EngBlockQ8_0), halves = DK * sizeof(uint16_t);
    if (kv == ENG_KV_Q8_0 && k->q8_pays)
        return (AttentionForm){attend_bytes, ENG_Q8_POSITIONS, QUERIES, bytes};
    if (kv == ENG_KV_F16 && k->i16_pays)
        return (AttentionForm){attend_i16, ENG_Q8_POSITIONS, 2 * QUERIES, halves};
    return (AttentionForm){attend, POSITIONS, QUERIES, halves};
}

/* Queries are 0: it takes as long, and no sum ever grows. */
double eng_gauge_attention(EngGauge *gauge, EngKvType kv)
{
    AttentionForm form = form_of(eng_kernels(gauge->level), kv);
    gauge->blocks = (int64_t)(WEIGHTS_BYTES / ((size_t)form.positions * form.row));
    double rate = best_rate(gauge, form.run, gauge->blocks, ROUNDS);
    return rate * 2e-9 * form.positions * form.queries * (DK + DV);
}
