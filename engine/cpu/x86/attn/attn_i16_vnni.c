/* Attention in integers of 16 bits, sixteen queries to a vector: an instruction adds two products
 * to each lane, where one of floats adds one. Both products are tiles of 8 x 32 sums: pairs of
 * numbers of keys (along a row) or of values (of two positions) are broadcast, pairs of queries or
 * weights lie side by side in a lane. */
#include <string.h>

#include "cpu/families.h"
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

enum { WIDE = 8, GROUPS = 2 }; /* of a tile: broadcasts, vectors */

/* add_pairs in place: gcc 12 copies each accumulator of the intrinsic's loops. */
INLINE void pairs_into(Ints *sum, Ints a, Ints b)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* sum[w][g] over `steps` pairs: a[w * a_row + step * a_step] and b[step * b_step + 16 g], in words
 * of 32 bits. */
INLINE void pairs_tile(int wide, int groups, int steps, const int32_t *a, size_t a_row,
                       size_t a_step, const int32_t *b, size_t b_step, Ints sum[WIDE][GROUPS])
{
    UNROLL for (int w = 0; w < wide; w++)
    {
        UNROLL for (int g = 0; g < groups; g++) sum[w][g] = zero();
    }
    for (int i = 0; i < steps; i++, a += a_step, b += b_step) {
        Ints bs[GROUPS];
        UNROLL for (int g = 0; g < groups; g++) bs[g] = load(b + 16 * g);
        UNROLL for (int w = 0; w < wide; w++)
        {
            Ints as = _mm512_set1_epi32(a[(size_t)w * a_row]);
            UNROLL for (int g = 0; g < groups; g++) pairs_into(&sum[w][g], bs[g], as);
        }
    }
}

/* Magnitudes order like the integers of their bits; whatever is not finite becomes NaN. */
INLINE Ints magnitude(Floats x)
{
    return and(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

INLINE Floats or_nan(Ints bits)
{
    __mmask16 none = _mm512_cmpge_epu32_mask(bits, _mm512_set1_epi32(0x7f800000));
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(bits, none, _mm512_set1_epi32(0x7fc00000)));
}

INLINE __m256i sixteen(const float *x, Floats factor)
{
    return _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(mul(loadf(x), factor)));
}

/* Whole numbers of 32 bits that fit 16: those of a, then those of b. */
INLINE Ints in_order(Ints a, Ints b)
{
    const Ints order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_permutexvar_epi64(order, _mm512_packs_epi32(a, b));
}

/* NaN where one of n is not finite. */
INLINE float largest(const float *x, int n)
{
    Ints bits = magnitude(loadf(x));
    for (int i = 16; i < n; i += 16) bits = _mm512_max_epu32(bits, magnitude(loadf(x + i)));
    uint32_t most = _mm512_reduce_max_epu32(bits);
    return most >= 0x7f800000 ? __builtin_nanf("")
                              : _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)most)));
}

/* 0 for NaN and for what is too small. */
INLINE float factor_of(float largest, float most)
{
    return largest > 0x1p-110f ? most / largest : 0;
}

static float to_i16(const float *x, int16_t *y, int n, int most)
{
    float amax = largest(x, n), factor = factor_of(amax, (float)most);
    if (factor == 0) memset(y, 0, (size_t)n * sizeof *y);
    for (int i = 0; i < n && factor > 0; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(y + i), sixteen(x + i, all(factor)));
    return amax / (float)most;
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* Words of 32 bits of a row: its numbers, then the scales of their blocks. */
INLINE size_t key_words(int dk) { return (size_t)(dk / 2 + ENG_I16_BLOCKS(dk)); }

static void keys_i16(int n, int dk, const float *k, size_t k_stride, void *keys)
{
    for (int i = 0; i < n; i++, k += k_stride) {
        int16_t *to = (int16_t *)(void *)((int32_t *)keys + (size_t)i * key_words(dk));
        float *d = (float *)(void *)(to + dk);
        for (int b = 0; b < dk; b += ENG_I16_BLOCK)
            *d++ = to_i16(k + b, to + b, ENG_MIN(dk - b, ENG_I16_BLOCK), ENG_I16_KEY);
    }
}

/* 16 halves as floats, times the factor, as whole numbers. */
INLINE Ints whole_f16(const uint16_t *x, Floats factor)
{
    Floats at = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)x));
    return _mm512_cvtps_epi32(mul(at, factor));
}

/* The largest magnitude of n halves, found in their bits; NaN where one is not finite. */
INLINE float largest_f16(const uint16_t *x, int n)
{
    const Ints magnitudes = _mm512_set1_epi16(0x7fff);
    Ints bits = zero();
    int i = 0;
    for (; i + 32 <= n; i += 32) bits = _mm512_max_epu16(bits, and(load(x + i), magnitudes));
    if (i < n) {
        Ints last = _mm512_zextsi256_si512(load32(x + i));
        bits = _mm512_max_epu16(bits, and(last, magnitudes));
    }
    __m256i half_way =
        _mm256_max_epu16(_mm512_castsi512_si256(bits), _mm512_extracti64x4_epi64(bits, 1));
    __m128i eight =
        _mm_max_epu16(_mm256_castsi256_si128(half_way), _mm256_extracti128_si256(half_way, 1));
    eight = _mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-1)));
    uint16_t most = (uint16_t)~_mm_extract_epi16(eight, 0);
    return most >= 0x7c00 ? __builtin_nanf("") : half(most);
}

/* The cache's rows come from memory, and nobody asked for them: too many at once are not fetched
 * but forgotten, and the processor's own prefetchers stop at each page and follow none of the rows
 * that lie between those of other heads. */
enum { ROWS_AHEAD = 8 };

/* A block at once: 32 or 64 halves. */
static void keys_f16(int n, int dk, const uint16_t *k, size_t k_stride, void *keys)
{
    for (int i = 0; i < n; i++, k += k_stride) {
        uint16_t *to = (uint16_t *)((int32_t *)keys + (size_t)i * key_words(dk));
        float *d = (float *)(void *)(to + dk);
        for (int b = 0; b < dk; b += ENG_I16_BLOCK) {
            int d_n = ENG_MIN(dk - b, ENG_I16_BLOCK);
            float amax = largest_f16(k + b, d_n), factor = factor_of(amax, ENG_I16_KEY);
            *d++ = amax / ENG_I16_KEY;
            for (int c = b; c < b + d_n; c += 32) {
                _mm_prefetch(k + ROWS_AHEAD * k_stride + c, _MM_HINT_T0);
                Ints low = factor > 0 ? whole_f16(k + c, all(factor)) : zero();
                Ints high = factor > 0 ? whole_f16(k + c + 16, all(factor)) : zero();
                store(to + c, in_order(low, high));
            }
        }
    }
}

typedef struct {
    const int16_t *q;
    const float *q_scale;
    size_t rows;
    const int32_t *keys;
    int dk;
    float *s;
    size_t s_stride;
} Scores;

/* The blocks' sums add up in memory: there are no registers left for them. */
INLINE void score_tile(int wide, int groups, const Scores *x, int i, int j)
{
    size_t apart = key_words(x->dk), rows = x->rows;
    const int32_t *k = x->keys + (size_t)i * apart;
    const float *d = (const float *)(const void *)(k + x->dk / 2), *q_scale = x->q_scale + j;
    const int32_t *q = (const int32_t *)(const void *)x->q + j;
    for (int left = x->dk / 2, first = true; left > 0; left -= ENG_I16_BLOCK / 2, first = false) {
        int steps = ENG_MIN(left, ENG_I16_BLOCK / 2);
        Ints acc[WIDE][GROUPS];
        pairs_tile(wide, groups, steps, k, apart, 1, q, rows, acc);
        UNROLL for (int g = 0; g < groups; g++)
        {
            Floats scale = loadf(q_scale + 16 * g);
            UNROLL for (int w = 0; w < wide; w++)
            {
                float *at = x->s + (size_t)(i + w) * x->s_stride + j + 16 * g;
                Floats by = mul(scale, all(d[(size_t)w * apart]));
                Floats sum = _mm512_maskz_loadu_ps(first ? 0 : 0xffff, at);
                storef(at, mul_add(floats(acc[w][g]), by, sum));
            }
        }
        k += steps;
        d++;
        q += (size_t)steps * rows;
        q_scale += rows;
    }
}

INLINE void score_groups(int groups, int n, const Scores *x, int j)
{
    int i = 0;
    for (; i + WIDE <= n; i += WIDE) score_tile(WIDE, groups, x, i, j);
    for (; i + 2 <= n; i += 2) score_tile(2, groups, x, i, j);
    if (i < n) score_tile(1, groups, x, i, j);
}

static void scores_i16(int n, int rows, int dk, const int16_t *q, const float *q_scale,
                       const void *keys, float *s, size_t s_stride)
{
    Scores x = {q, q_scale, (size_t)rows, keys, dk, s, s_stride};
    int j = 0;
    for (; j + 32 <= rows; j += 32) score_groups(2, n, &x, j);
    if (j < rows) score_groups(1, n, &x, j);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Two positions' values of eight numbers lie together, and such pairs of all positions, and one
 * more for the caches' sake. */
enum { PAIRS = ENG_Q8_POSITIONS / 2, APART = 8 * (PAIRS + 1) };

typedef struct {
    int pairs, rows;
    const float *unit; /* [ENG_Q8_POSITIONS] of values: what 1 stands for */
    const int32_t *v;  /* [dv / 8][PAIRS + 1][8] */
    float *step;       /* [rows] of weights */
    int32_t *p;        /* [pairs][rows] two positions' weights */
    size_t o_stride;
    float dither[ENG_Q8_POSITIONS];
} Values;

/* The second as the upper halves of lanes. */
INLINE Ints side_by_side(Ints first, Ints second)
{
    return _mm512_mask_blend_epi16(0xaaaaaaaa, first, left(second, 16));
}

INLINE Ints whole(const float *v, float factor)
{
    Floats by = all(factor);
    return _mm512_cvtps_epi32(mul(_mm512_maskz_loadu_ps(factor > 0 ? 0xffff : 0, v), by));
}

INLINE void put_pairs(int32_t *to, Ints first, Ints second)
{
    Ints both = side_by_side(first, second);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_castsi512_si256(both));
    _mm256_storeu_si256((__m256i *)(void *)(to + APART), _mm512_extracti64x4_epi64(both, 1));
}

static void pairs_i16(int n, int dv, const float *v, size_t v_stride, void *values)
{
    float *unit = values;
    for (int i = 0; i < n; i += 2, v += 2 * v_stride) {
        const float *other = i + 1 < n ? v + v_stride : v;
        float amax[2] = {largest(v, dv), i + 1 < n ? largest(other, dv) : 0}, factor[2];
        UNROLL for (int r = 0; r < 2; r++)
        {
            unit[i + r] = amax[r] / ENG_I16_VALUE;
            factor[r] = factor_of(amax[r], ENG_I16_VALUE);
        }
        int32_t *to = (int32_t *)(void *)(unit + ENG_Q8_POSITIONS) + 4 * i;
        for (int d = 0; d < dv; d += 16, to += 2 * APART)
            put_pairs(to, whole(v + d, factor[0]), whole(other + d, factor[1]));
    }
}

static void pairs_f16(int n, int dv, const uint16_t *v, size_t v_stride, void *values)
{
    float *unit = values;
    for (int i = 0; i < n; i += 2, v += 2 * v_stride) {
        const uint16_t *other = i + 1 < n ? v + v_stride : v;
        float amax[2] = {largest_f16(v, dv), i + 1 < n ? largest_f16(other, dv) : 0};
        __mmask16 some[2];
        Floats factor[2];
        UNROLL for (int r = 0; r < 2; r++)
        {
            float by = factor_of(amax[r], ENG_I16_VALUE);
            unit[i + r] = amax[r] / ENG_I16_VALUE;
            some[r] = by > 0 ? 0xffff : 0;
            factor[r] = all(by);
        }
        int32_t *to = (int32_t *)(void *)(unit + ENG_Q8_POSITIONS) + 4 * i;
        for (int d = 0; d < dv; d += 32) {
            _mm_prefetch(v + ROWS_AHEAD * v_stride + d, _MM_HINT_T0);
            _mm_prefetch(other + ROWS_AHEAD * v_stride + d, _MM_HINT_T0);
        }
        for (int d = 0; d < dv; d += 16, to += 2 * APART)
            put_pairs(to, _mm512_maskz_mov_epi32(some[0], whole_f16(v + d, factor[0])),
                      _mm512_maskz_mov_epi32(some[1], whole_f16(other + d, factor[1])));
    }
}

/* Of position i with the dither added, as a whole number. */
INLINE Ints weight(const Values *x, const float *p, int i, Floats factor)
{
    return _mm512_cvtps_epi32(mul_add(mul(loadf(p), all(x->unit[i])), factor, all(x->dither[i])));
}

/* Neither weights nor what 1 stands for have a sign, so that their bits are in order; NaN comes
 * last, whatever its sign. */
INLINE Floats step_of(const Values *x, int n, const float *p)
{
    Ints bits = zero();
    Floats sum = all(0);
    for (int i = 0; i < n; i++, p += x->rows) {
        Floats w = mul(loadf(p), all(x->unit[i]));
        bits = _mm512_max_epu32(bits, _mm512_castps_si512(w));
        sum = _mm512_add_ps(sum, w);
    }
    Floats most = mul(or_nan(bits), all(1.0f / ENG_I16_WEIGHT));
    return _mm512_max_ps(mul(sum, all(1.0f / ENG_I16_SUM)), most); /* most where one is NaN */
}

static void pack_weights(const Values *x, int n, const float *p)
{
    size_t rows = (size_t)x->rows;
    for (int j = 0; j < x->rows; j += 16) {
        const float *at = p + j;
        int32_t *to = x->p + j;
        Floats step = step_of(x, n, at);
        storef(x->step + j, step);
        __mmask16 some = _mm512_cmp_ps_mask(step, all(0x1p-110f), _CMP_GT_OQ);
        Floats factor = _mm512_maskz_div_ps(some, all(1), step);
        int i = 0;
        for (; i + 2 <= n; i += 2, at += 2 * rows, to += rows)
            store(to, side_by_side(weight(x, at, i, factor), weight(x, at + rows, i + 1, factor)));
        if (i < n) store(to, side_by_side(weight(x, at, i, factor), zero()));
    }
}

INLINE void value_tile(int groups, const Values *x, int d, int j, const float *keep, float *o)
{
    Ints acc[WIDE][GROUPS];
    pairs_tile(WIDE, groups, x->pairs, x->v + (size_t)(d / 8) * APART, 1, WIDE, x->p + j,
               (size_t)x->rows, acc);
    UNROLL for (int g = 0; g < groups; g++)
    {
        Floats step = loadf(x->step + j + 16 * g), kept = loadf(keep + j + 16 * g);
        UNROLL for (int w = 0; w < WIDE; w++)
        {
            float *at = o + (size_t)(d + w) * x->o_stride + j + 16 * g;
            storef(at, mul_add(floats(acc[w][g]), step, mul(loadf(at), kept)));
        }
    }
}

static void values_i16(int n, int rows, int dv, const float *p, const void *values,
                       const float *keep, void *room, float *o, size_t o_stride)
{
    Values x = {.pairs = (n + 1) / 2, .rows = rows, .unit = values, .o_stride = o_stride};
    x.v = (const int32_t *)(const void *)(x.unit + ENG_Q8_POSITIONS);
    x.step = room;
    x.p = (int32_t *)(void *)(x.step + rows);
    for (int i = 0; i < ENG_Q8_POSITIONS; i++) x.dither[i] = eng_i16_dither(i);
    pack_weights(&x, n, p);
    int j = 0;
    for (; j + 32 <= rows; j += 32)
        for (int d = 0; d < dv; d += WIDE) value_tile(2, &x, d, j, keep, o);
    for (int d = 0; d < dv && j < rows; d += WIDE) value_tile(1, &x, d, j, keep, o);
}

void eng_kernels_attn_i16_vnni(EngKernels *k)
{
    k->keys_i16 = keys_i16;
    k->keys_f16 = keys_f16;
    k->pairs_f16 = pairs_f16;
    k->scores_i16 = scores_i16;
    k->pairs_i16 = pairs_i16;
    k->values_i16 = values_i16;
    k->to_i16 = to_i16;
    k->i16_pays = true;
}
