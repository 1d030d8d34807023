/* Attention of few queries in floats, sixteen numbers of a head to a vector: four queries meet four
 * positions, or 64 numbers of values, at a time. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

/* Of each sixteen numbers their sum: lane 4 i + j is that of x[i][j]. */
INLINE Floats sums(Floats x[4][4])
{
    Floats row[4]; /* each four lanes: what is left of x[i][0 … 3] */
    UNROLL for (int i = 0; i < 4; i++)
    {
        Floats a = add(_mm512_unpacklo_ps(x[i][0], x[i][1]), _mm512_unpackhi_ps(x[i][0], x[i][1]));
        Floats b = add(_mm512_unpacklo_ps(x[i][2], x[i][3]), _mm512_unpackhi_ps(x[i][2], x[i][3]));
        __m512d da = _mm512_castps_pd(a), db = _mm512_castps_pd(b);
        row[i] = add(_mm512_castpd_ps(_mm512_unpacklo_pd(da, db)),
                     _mm512_castpd_ps(_mm512_unpackhi_pd(da, db)));
    }
    Floats a =
        add(_mm512_shuffle_f32x4(row[0], row[1], 0x44), _mm512_shuffle_f32x4(row[0], row[1], 0xee));
    Floats b =
        add(_mm512_shuffle_f32x4(row[2], row[3], 0x44), _mm512_shuffle_f32x4(row[2], row[3], 0xee));
    return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

static void scores_few(int n, int rows, int dk, const float *q, const float *k, size_t k_stride,
                       float *s, size_t s_stride)
{
    for (int i = 0; i < n; i += 4) {
        const float *key[4]; /* after the last one that again */
        for (int p = 0; p < 4; p++) key[p] = k + (size_t)ENG_MIN(i + p, n - 1) * k_stride;
        for (int j = 0; j < rows; j += 4) {
            const float *query = q + (size_t)j * (size_t)dk;
            Floats acc[4][4];
            UNROLL for (int p = 0; p < 16; p++) acc[p / 4][p % 4] = all(0);
            for (int d = 0; d < dk; d += 16) {
                Floats x[4];
                UNROLL for (int p = 0; p < 4; p++) x[p] = loadf(key[p] + d);
                UNROLL for (int r = 0; r < 4; r++)
                {
                    Floats y = loadf(query + r * dk + d);
                    UNROLL for (int p = 0; p < 4; p++) acc[p][r] = mul_add(x[p], y, acc[p][r]);
                }
            }
            float four[16];
            storef(four, sums(acc));
            for (int p = 0; p < 4 && i + p < n; p++)
                __builtin_memcpy(s + (size_t)(i + p) * s_stride + j, four + 4 * p, 16);
        }
    }
}

typedef struct {
    int n;
    const float *p;
    size_t p_stride;
    const float *v;
    size_t v_stride;
    const float *keep;
} Values;

/* 16 * vectors numbers of four queries; vectors is constant. */
INLINE void sum_values(const Values *w, int vectors, int j, int d, size_t o_stride, float *o)
{
    Floats acc[4][4];
    UNROLL for (int r = 0; r < 4; r++)
    {
        Floats kept = all(w->keep[j + r]);
        UNROLL for (int c = 0; c < vectors; c++) acc[r][c] =
            mul(loadf(o + (size_t)r * o_stride + 16 * c), kept);
    }
    for (int i = 0; i < w->n; i++) {
        const float *value = w->v + (size_t)i * w->v_stride + d;
        const float *weight = w->p + (size_t)i * w->p_stride + j;
        Floats x[4];
        UNROLL for (int c = 0; c < vectors; c++) x[c] = loadf(value + 16 * c);
        UNROLL for (int r = 0; r < 4; r++)
        {
            Floats y = all(weight[r]);
            UNROLL for (int c = 0; c < vectors; c++) acc[r][c] = mul_add(x[c], y, acc[r][c]);
        }
    }
    UNROLL for (int r = 0; r < 4; r++)
    {
        UNROLL for (int c = 0; c < vectors; c++)
            storef(o + (size_t)r * o_stride + 16 * c, acc[r][c]);
    }
}

static void values_few(int n, int rows, int dv, const float *p, size_t p_stride, const float *v,
                       size_t v_stride, const float *keep, float *o)
{
    const Values w = {n, p, p_stride, v, v_stride, keep};
    for (int j = 0; j < rows; j += 4) {
        size_t stride = (size_t)dv;
        float *to = o + (size_t)j * stride;
        int d = 0;
        for (; d + 64 <= dv; d += 64) sum_values(&w, 4, j, d, stride, to + d);
        for (; d < dv; d += 16) sum_values(&w, 1, j, d, stride, to + d);
    }
}

void eng_kernels_attn_few_avx512(EngKernels *k)
{
    k->scores_few = scores_few;
    k->values_few = values_few;
}
