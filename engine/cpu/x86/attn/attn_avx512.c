/* Attention in floats, sixteen queries to a vector. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/exp.h"
#include "cpu/x86/ladder.h"

enum { TILE_ROWS = 6, DEPTH = 96 }; /* so many rows of 64 columns: most of the first cache */

#include "cpu/x86/attn/attn.h"

/* rows x 16 vectors of c, constants; rows * vectors <= 24. */
INLINE void tile(const Product *g, int rows, int vectors, int i, int j, int from, int to)
{
    Floats acc[12][4];
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const float *c = g->c + (size_t)(i + r) * g->ldc + j + 16 * v;
            acc[r][v] = g->add    ? loadf(c)
                        : g->keep ? mul(loadf(c), loadf(g->keep + j + 16 * v))
                                  : all(0);
        }
    }
    const float *a = g->a + (size_t)i * g->a_row, *b = g->b + j;
    for (int p = from; p < to; p++) {
        Floats bs[4];
        UNROLL for (int v = 0; v < vectors; v++) bs[v] = loadf(b + (size_t)p * g->ldb + 16 * v);
        UNROLL for (int r = 0; r < rows; r++)
        {
            Floats factor = all(a[(size_t)r * g->a_row + (size_t)p * g->a_step]);
            UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = mul_add(factor, bs[v], acc[r][v]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vectors; v++)
            storef(g->c + (size_t)(i + r) * g->ldc + j + 16 * v, acc[r][v]);
    }
}

INLINE void columns_of(const Product *g, int m, int vectors, int j, int from, int to)
{
    int i = 0, most = vectors == 1 ? 2 * TILE_ROWS : TILE_ROWS;
    for (; i + most <= m; i += most) tile(g, most, vectors, i, j, from, to);
    for (; i + 4 <= m; i += 4) tile(g, 4, vectors, i, j, from, to);
    for (; i + 2 <= m; i += 2) tile(g, 2, vectors, i, j, from, to);
    for (; i < m; i++) tile(g, 1, vectors, i, j, from, to);
}

INLINE void pass(const Product *g, int m, int n, int from, int to)
{
    int j = 0;
    for (; j + 64 <= n; j += 64) columns_of(g, m, 4, j, from, to);
    for (; j + 32 <= n; j += 32) columns_of(g, m, 2, j, from, to);
    for (; j < n; j += 16) columns_of(g, m, 1, j, from, to);
}

/* As exp8 of exp_avx2.h, of what is not above 0; 2^k is applied by the instruction for it. */
INLINE Floats exp16(Floats x)
{
    x = _mm512_max_ps(all(-104.0f), x); /* NaN stays */
    Floats k = _mm512_roundscale_ps(mul(x, all(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    return _mm512_scalef_ps(exp_rest(x, k), k);
}

INLINE __mmask16 sees(Ints limit, int i)
{
    return _mm512_cmpgt_epi32_mask(limit, _mm512_set1_epi32(i));
}

/* Of unscaled scores, which the scale keeps in order. max_ps returns its second operand when the
 * first is NaN. */
INLINE Floats most_of(int n, int all_see, size_t rows, Ints limit, const float *s)
{
    Floats most = all(-__builtin_inff());
    int i = 0;
    for (; i < all_see; i++) most = _mm512_max_ps(loadf(s + (size_t)i * rows), most);
    for (; i < n; i++)
        most = _mm512_mask_max_ps(most, sees(limit, i), loadf(s + (size_t)i * rows), most);
    return most;
}

static void soften(int n, int rows, float scale, const int32_t *seen, float *s, float *max,
                   float *sum, float *keep)
{
    const Floats none = all(-__builtin_inff()), by = all(scale);
    for (int j = 0; j < rows; j += 16) {
        Ints limit = load(seen + j);
        int least = _mm512_reduce_min_epi32(limit), i = 0;
        int all_see = ENG_MIN(ENG_MAX(least, 0), n);
        Floats old = loadf(max + j), total = all(0);
        Floats most = _mm512_max_ps(mul(most_of(n, all_see, (size_t)rows, limit, s + j), by), old);
        __mmask16 any = _mm512_cmp_ps_mask(most, none, _CMP_NEQ_OQ);
        Floats from = _mm512_maskz_mov_ps(any, most);
        float *at = s + j;
        for (; i < all_see; i++, at += rows) {
            Floats e = exp16(_mm512_sub_ps(mul(loadf(at), by), from));
            total = _mm512_add_ps(total, e);
            storef(at, e);
        }
        for (; i < n; i++, at += rows) {
            Floats e = exp16(_mm512_sub_ps(mul(loadf(at), by), from));
            e = _mm512_maskz_mov_ps(sees(limit, i), e);
            total = _mm512_add_ps(total, e);
            storef(at, e);
        }
        Floats kept = exp16(_mm512_sub_ps(old, from));
        storef(keep + j, kept);
        storef(sum + j, mul_add(loadf(sum + j), kept, total));
        storef(max + j, most);
    }
}

static void f16_to_f32(const uint16_t *x, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        storef(y + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(x + i))));
    for (; i < n; i++) y[i] = half(x[i]);
}

static void q8_0_to_f32(const void *x, float *y, int64_t n)
{
    const EngBlockQ8_0 *block = x;
    for (; n > 0; n -= 32, block++, y += 32) {
        Floats d = all(half(block->d));
        for (int i = 0; i < 32; i += 16) {
            __m128i bytes = _mm_loadu_si128((const void *)(block->qs + i));
            storef(y + i, mul(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), d));
        }
    }
}

void eng_kernels_attn_avx512(EngKernels *k)
{
    k->f16_to_f32 = f16_to_f32;
    k->q8_0_to_f32 = q8_0_to_f32;
    k->gemm = gemm;
    k->soften = soften;
}
