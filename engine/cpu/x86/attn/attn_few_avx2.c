/* Attention of few queries in floats, eight numbers of a head to a vector: four queries meet two
 * positions, or 16 numbers of values, at a time. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"

/* Of each eight numbers their sum: lane j is that of x[j]. */
INLINE __m128 sums(Floats x[4])
{
    Floats four = _mm256_hadd_ps(_mm256_hadd_ps(x[0], x[1]), _mm256_hadd_ps(x[2], x[3]));
    return _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1));
}

static void scores_few(int n, int rows, int dk, const float *q, const float *k, size_t k_stride,
                       float *s, size_t s_stride)
{
    for (int i = 0; i < n; i += 2) {
        const float *k0 = k + (size_t)i * k_stride, *k1 = i + 1 < n ? k0 + k_stride : k0;
        for (int j = 0; j < rows; j += 4) {
            const float *query = q + (size_t)j * (size_t)dk;
            Floats acc[2][4];
            UNROLL for (int r = 0; r < 8; r++) acc[r / 4][r % 4] = all(0);
            for (int d = 0; d < dk; d += 8) {
                Floats x0 = loadf(k0 + d), x1 = loadf(k1 + d);
                UNROLL for (int r = 0; r < 4; r++)
                {
                    Floats y = loadf(query + r * dk + d);
                    acc[0][r] = mul_add(x0, y, acc[0][r]);
                    acc[1][r] = mul_add(x1, y, acc[1][r]);
                }
            }
            float *to = s + (size_t)i * s_stride + j;
            _mm_storeu_ps(to, sums(acc[0]));
            if (i + 1 < n) _mm_storeu_ps(to + s_stride, sums(acc[1]));
        }
    }
}

static void values_few(int n, int rows, int dv, const float *p, size_t p_stride, const float *v,
                       size_t v_stride, const float *keep, float *o)
{
    for (int j = 0; j < rows; j += 4)
        for (int d = 0; d < dv; d += 16) {
            float *to = o + (size_t)j * (size_t)dv + d;
            Floats acc[4][2];
            UNROLL for (int r = 0; r < 4; r++)
            {
                acc[r][0] = _mm256_mul_ps(loadf(to + r * dv), all(keep[j + r]));
                acc[r][1] = _mm256_mul_ps(loadf(to + r * dv + 8), all(keep[j + r]));
            }
            for (int i = 0; i < n; i++) {
                const float *value = v + (size_t)i * v_stride + d;
                const float *weight = p + (size_t)i * p_stride + j;
                Floats x0 = loadf(value), x1 = loadf(value + 8);
                UNROLL for (int r = 0; r < 4; r++)
                {
                    acc[r][0] = mul_add(x0, all(weight[r]), acc[r][0]);
                    acc[r][1] = mul_add(x1, all(weight[r]), acc[r][1]);
                }
            }
            UNROLL for (int r = 0; r < 4; r++)
            {
                storef(to + r * dv, acc[r][0]);
                storef(to + r * dv + 8, acc[r][1]);
            }
        }
}

void eng_kernels_attn_few_avx2(EngKernels *k)
{
    k->scores_few = scores_few;
    k->values_few = values_few;
}
