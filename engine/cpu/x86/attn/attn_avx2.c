/* Attention in floats, eight queries to a vector. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/exp_avx2.h"
#include "cpu/x86/ladder.h"

enum { TILE_ROWS = 6, DEPTH = 256 }; /* DEPTH rows of 16 columns of b fill half the first cache */

#include "cpu/x86/attn/attn.h"

/* rows (1 … 6) of 16 columns of c; rows is constant. */
INLINE void tile(const Product *g, int rows, int i, int j, int from, int to)
{
    Floats acc[TILE_ROWS][2];
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < 2; v++)
        {
            const float *c = g->c + (size_t)(i + r) * g->ldc + j + 8 * v;
            acc[r][v] = g->add    ? loadf(c)
                        : g->keep ? _mm256_mul_ps(loadf(c), loadf(g->keep + j + 8 * v))
                                  : all(0);
        }
    }
    const float *a = g->a + (size_t)i * g->a_row, *b = g->b + j;
    for (int p = from; p < to; p++) {
        const float *bp = b + (size_t)p * g->ldb;
        Floats b0 = loadf(bp), b1 = loadf(bp + 8);
        UNROLL for (int r = 0; r < rows; r++)
        {
            Floats factor = all(a[(size_t)r * g->a_row + (size_t)p * g->a_step]);
            acc[r][0] = mul_add(factor, b0, acc[r][0]);
            acc[r][1] = mul_add(factor, b1, acc[r][1]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < 2; v++)
            storef(g->c + (size_t)(i + r) * g->ldc + j + 8 * v, acc[r][v]);
    }
}

INLINE void pass(const Product *g, int m, int n, int from, int to)
{
    for (int j = 0; j < n; j += 16) {
        int i = 0;
        for (; i + TILE_ROWS <= m; i += TILE_ROWS) tile(g, TILE_ROWS, i, j, from, to);
        for (; i + 4 <= m; i += 4) tile(g, 4, i, j, from, to);
        for (; i < m; i++) tile(g, 1, i, j, from, to);
    }
}

static void soften(int n, int rows, float scale, const int32_t *seen, float *s, float *max,
                   float *sum, float *keep)
{
    const Floats none = all(-__builtin_inff()), by = all(scale);
    for (int j = 0; j < rows; j += 8) {
        Ints limit = load(seen + j);
        Floats old = loadf(max + j), most = old, total = all(0);
        for (int i = 0; i < n; i++) { /* max_ps returns its second operand when the first is NaN */
            Floats in = _mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, _mm256_set1_epi32(i)));
            Floats x = _mm256_mul_ps(loadf(s + i * rows + j), by);
            most = _mm256_max_ps(_mm256_blendv_ps(none, x, in), most);
        }
        Floats from = _mm256_and_ps(most, _mm256_cmp_ps(most, none, _CMP_NEQ_OQ));
        for (int i = 0; i < n; i++) {
            Floats in = _mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, _mm256_set1_epi32(i)));
            float *at = s + i * rows + j;
            Floats e = exp8(_mm256_sub_ps(_mm256_mul_ps(loadf(at), by), from));
            e = _mm256_and_ps(e, in);
            total = _mm256_add_ps(total, e);
            storef(at, e);
        }
        Floats kept = exp8(_mm256_sub_ps(old, from));
        storef(keep + j, kept);
        storef(sum + j, mul_add(loadf(sum + j), kept, total));
        storef(max + j, most);
    }
}

static void q8_0_to_f32(const void *x, float *y, int64_t n)
{
    const EngBlockQ8_0 *b = x;
    for (int64_t i = 0; i < n; i += 8) {
        const EngBlockQ8_0 *block = b + i / 32;
        __m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)(block->qs + i % 32));
        storef(y + i, _mm256_mul_ps(floats(_mm256_cvtepi8_epi32(eight)), all(half(block->d))));
    }
}

void eng_kernels_attn_avx2(EngKernels *k)
{
    k->gemm = gemm;
    k->soften = soften;
    k->q8_0_to_f32 = q8_0_to_f32;
}
