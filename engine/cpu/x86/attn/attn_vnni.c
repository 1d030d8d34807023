/* Attention over a q8_0 cache without turning it into floats, sixteen queries to a vector: scores
 * from bytes, four products to a lane and instruction; sums of values from 16 bits, two to a lane.
 *
 * The instruction for bytes wants one side unsigned: keys have 128 added, which the queries' sums
 * take back. Values of a block of positions are brought to one scale per 32 columns, 5 bits finer
 * than the bytes they come from, and weights to 13 bits of each query's largest; 64 products of 13
 * and 12 bits fill 31. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

enum { BETWEEN = 16, FINER = 32, WEIGHT_MOST = 8191 };

/* add_fours and add_pairs in place: gcc 12 copies each accumulator of the intrinsics' loops. */
INLINE void fours_into(Ints *sum, Ints a, Ints b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

INLINE void pairs_into(Ints *sum, Ints a, Ints b)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* ---- scores ---------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *k; /* [n][dk], 128 added */
    const float *d;   /* [n][dk / 32] */
    int dk;
} Keys;

static Keys raise_keys(int n, int dk, const uint8_t *k, size_t k_stride, void *room)
{
    uint8_t *bytes_at = room;
    float *d = (float *)(void *)(bytes_at + (size_t)n * (size_t)dk);
    Keys keys = {bytes_at, d, dk};
    for (int i = 0; i < n; i++) {
        const EngBlockQ8_0 *block = (const EngBlockQ8_0 *)(const void *)(k + (size_t)i * k_stride);
        for (int b = 0; b < dk / 32; b++, block++, bytes_at += 32) {
            __m256i raised = _mm256_xor_si256(load32(block->qs), _mm256_set1_epi8((char)0x80));
            _mm256_storeu_si256((__m256i *)(void *)bytes_at, raised);
            *d++ = half(block->d);
        }
    }
    return keys;
}

/* positions (1 … 6) x groups of 16 queries (1 … 2), constants. q: the first group's first block. */
INLINE void score_tile(int positions, int groups, const EngQueryQ8 *q, size_t q_step,
                       const Keys *keys, int i, float *s, int rows)
{
    Floats sum[6][2];
    UNROLL for (int p = 0; p < positions; p++)
    {
        UNROLL for (int g = 0; g < groups; g++) sum[p][g] = all(0);
    }
    int blocks = keys->dk / 32;
    const uint8_t *k = keys->k + (size_t)i * (size_t)keys->dk;
    const float *d = keys->d + (size_t)i * (size_t)blocks;
    for (int b = 0; b < blocks; b++, q += q_step, k += 32, d++) {
        Ints acc[6][2];
        UNROLL for (int g = 0; g < groups; g++)
        {
            Ints start = load(q[g].start);
            UNROLL for (int p = 0; p < positions; p++) acc[p][g] = start;
        }
        UNROLL for (int four = 0; four < 8; four++)
        {
            Ints qs[2];
            UNROLL for (int g = 0; g < groups; g++) qs[g] = load(q[g].q[four]);
            UNROLL for (int p = 0; p < positions; p++)
            {
                Ints ks = all_words(k + (size_t)p * (size_t)keys->dk + 4 * four);
                UNROLL for (int g = 0; g < groups; g++) fours_into(&acc[p][g], ks, qs[g]);
            }
        }
        UNROLL for (int g = 0; g < groups; g++)
        {
            Floats scale = loadf(q[g].d);
            UNROLL for (int p = 0; p < positions; p++) sum[p][g] = mul_add(
                floats(acc[p][g]), mul(scale, all(d[(size_t)p * (size_t)blocks])), sum[p][g]);
        }
    }
    UNROLL for (int p = 0; p < positions; p++)
    {
        UNROLL for (int g = 0; g < groups; g++) storef(s + (i + p) * rows + 16 * g, sum[p][g]);
    }
}

INLINE void score_groups(int groups, int n, int rows, const EngQueryQ8 *q, const Keys *keys,
                         float *s)
{
    size_t step = (size_t)rows / 16;
    int i = 0;
    for (; i + 6 <= n; i += 6) score_tile(6, groups, q, step, keys, i, s, rows);
    for (; i + 4 <= n; i += 4) score_tile(4, groups, q, step, keys, i, s, rows);
    for (; i < n; i++) score_tile(1, groups, q, step, keys, i, s, rows);
}

static void scores_q8(int n, int rows, int dk, const EngQueryQ8 *q, const void *k, size_t k_stride,
                      void *room, float *s)
{
    Keys keys = raise_keys(n, dk, k, k_stride, room);
    int g = 0;
    for (; g + 2 <= rows / 16; g += 2) score_groups(2, n, rows, q + g, &keys, s + 16 * g);
    if (g < rows / 16) score_groups(1, n, rows, q + g, &keys, s + 16 * g);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Pairs of positions: [pairs][rows] weights of each query, [pairs][v_row] values, the first in the
 * low half. v_row is no power of two, or a column would share a few of the cache's sets. */
typedef struct {
    int pairs, rows, v_row;
    const int32_t *p, *v;
    const float *step;  /* [rows] what a weight of 1 stands for */
    const float *scale; /* [dv / 32] what a value of 1 stands for */
} Pairs;

/* In each block of 32, values lie as interleaving leaves them: columns 0-3 8-11 16-19 24-27, then
 * the others. Four neighbours stay together. */
INLINE int slot_of(int d) { return (d & ~31) + (d >> 2 & 1) * 16 + (d >> 3 & 3) * 4; }

INLINE Ints pair_up(const EngBlockQ8_0 *a, const EngBlockQ8_0 *b, int factor_a, int factor_b,
                    Ints *ret_high)
{
    Ints first = _mm512_slli_epi16(_mm512_cvtepi8_epi16(load32(a->qs)), 8);
    Ints second = _mm512_slli_epi16(_mm512_cvtepi8_epi16(load32(b->qs)), 8);
    first = _mm512_mulhrs_epi16(first, _mm512_set1_epi16((short)factor_a));
    second = _mm512_mulhrs_epi16(second, _mm512_set1_epi16((short)factor_b));
    *ret_high = _mm512_unpackhi_epi16(first, second);
    return _mm512_unpacklo_epi16(first, second);
}

/* The scales of all blocks, d[n][blocks], and the largest of each column: NaN when one of them is
 * not finite. */
static void column_scales(int n, int blocks, const uint8_t *v, size_t v_stride, float *d,
                          float *most)
{
    float poison[ENG_Q8_BLOCKS] = {0};
    for (int b = 0; b < blocks; b++) most[b] = 0;
    for (int i = 0; i < n; i++, d += blocks) {
        const void *row = v + (size_t)i * v_stride;
        const EngBlockQ8_0 *block = row;
        for (int b = 0; b < blocks; b++) d[b] = half(block[b].d);
        for (int b = 0; b < blocks; b++) {
            most[b] = d[b] > most[b] ? d[b] : most[b];
            poison[b] += 0 * d[b];
        }
    }
    for (int b = 0; b < blocks; b++) most[b] += poison[b];
}

static void align_values(int n, int dv, const uint8_t *v, size_t v_stride, int32_t *to,
                         float *scale)
{
    static const EngBlockQ8_0 nothing;
    float d[ENG_Q8_POSITIONS * ENG_Q8_BLOCKS], factor[ENG_Q8_BLOCKS];
    int blocks = dv / 32;
    column_scales(n, blocks, v, v_stride, d, scale);
    for (int b = 0; b < blocks; b++) {
        factor[b] = scale[b] > 0 ? 4096 / scale[b] : 0;
        scale[b] /= FINER;
    }
    for (int i = 0; i < n; i += 2, v += 2 * v_stride, to += BETWEEN) {
        const void *one = v, *two = v + v_stride;
        for (int b = 0; b < blocks; b++, to += 32) {
            const float *scales = d + i * blocks + b;
            bool both = i + 1 < n;
            int first = _mm_cvtss_si32(_mm_set_ss(scales[0] * factor[b]));
            int second = both ? _mm_cvtss_si32(_mm_set_ss(scales[blocks] * factor[b])) : 0;
            Ints high, low = pair_up((const EngBlockQ8_0 *)one + b,
                                     both ? (const EngBlockQ8_0 *)two + b : &nothing, first, second,
                                     &high);
            store(to, low);
            store(to + 16, high);
        }
    }
}

static void align_weights(int n, int rows, const float *p, int32_t *to, float *step)
{
    for (int j = 0; j < rows; j += 16) {
        Floats most = all(0);
        for (int i = 0; i < n; i++) most = _mm512_max_ps(loadf(p + i * rows + j), most);
        __mmask16 some = _mm512_cmp_ps_mask(most, all(0), _CMP_GT_OQ);
        Floats factor = _mm512_maskz_div_ps(some, all(WEIGHT_MOST), most);
        storef(step + j, mul(most, all(1.0f / WEIGHT_MOST)));
        for (int i = 0; i < n; i += 2) {
            Ints pair = _mm512_cvtps_epi32(mul(loadf(p + i * rows + j), factor));
            if (i + 1 < n) {
                Ints next = _mm512_cvtps_epi32(mul(loadf(p + (i + 1) * rows + j), factor));
                pair = or (pair, left(next, 16));
            }
            store(to + (i / 2) * rows + j, pair);
        }
    }
}

/* Four columns of groups of 16 queries (1 or 2, constant). */
INLINE void value_tile(int groups, const Pairs *x, int d, int j, const float *keep, float *o)
{
    Ints acc[4][2];
    UNROLL for (int c = 0; c < 4; c++)
    {
        UNROLL for (int g = 0; g < groups; g++) acc[c][g] = zero();
    }
    const int32_t *v = x->v + slot_of(d), *p = x->p + j;
    for (int i = 0; i < x->pairs; i++, v += x->v_row, p += x->rows) {
        Ints ps[2];
        UNROLL for (int g = 0; g < groups; g++) ps[g] = load(p + 16 * g);
        UNROLL for (int c = 0; c < 4; c++)
        {
            Ints vs = all_words(v + c);
            UNROLL for (int g = 0; g < groups; g++) pairs_into(&acc[c][g], ps[g], vs);
        }
    }
    UNROLL for (int g = 0; g < groups; g++)
    {
        Floats by = mul(loadf(x->step + j + 16 * g), all(x->scale[d / 32]));
        Floats kept = loadf(keep + j + 16 * g);
        UNROLL for (int c = 0; c < 4; c++)
        {
            float *at = o + (d + c) * x->rows + j + 16 * g;
            storef(at, mul_add(floats(acc[c][g]), by, mul(loadf(at), kept)));
        }
    }
}

static void values_q8(int n, int rows, int dv, const float *p, const void *v, size_t v_stride,
                      const float *keep, void *room, float *o)
{
    float scale[ENG_Q8_BLOCKS], *step = room;
    int32_t *weights = (int32_t *)(void *)(step + rows);
    int32_t *values = weights + (n + 1) / 2 * rows;
    align_weights(n, rows, p, weights, step);
    align_values(n, dv, v, v_stride, values, scale);
    Pairs x = {(n + 1) / 2, rows, dv + BETWEEN, weights, values, step, scale};
    int j = 0;
    for (; j + 32 <= rows; j += 32)
        for (int d = 0; d < dv; d += 4) value_tile(2, &x, d, j, keep, o);
    for (; j < rows; j += 16)
        for (int d = 0; d < dv; d += 4) value_tile(1, &x, d, j, keep, o);
}

void eng_kernels_attn_vnni(EngKernels *k)
{
    k->scores_q8 = scores_q8;
    k->values_q8 = values_q8;
    k->q8_pays = true;
}
