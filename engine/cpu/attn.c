/* Attention's products and its softmax. */
#include <math.h>
#include "base/num.h"
#include "cpu/families.h"

static void gemm(int m, int n, int k, const float *a, size_t a_row, size_t a_step, const float *b,
                 size_t ldb, const float *keep, float *c, size_t ldc)
{
    for (int i = 0; i < m; i++) {
        float *ci = c + (size_t)i * ldc;
        for (int j = 0; j < n; j++) ci[j] = keep ? ci[j] * keep[j] : 0;
        for (int p = 0; p < k; p++) {
            float factor = a[(size_t)i * a_row + (size_t)p * a_step];
            const float *bp = b + (size_t)p * ldb;
            for (int j = 0; j < n; j++) ci[j] += factor * bp[j];
        }
    }
}

static void soften(int n, int rows, float scale, const int32_t *seen, float *s, float *max,
                   float *sum, float *keep)
{
    for (int j = 0; j < rows; j++) {
        float most = max[j], total = 0, *sj = s + j;
        for (int i = 0; i < n && i < seen[j]; i++) most = fmaxf(most, sj[i * rows] * scale);
        float from = most == -INFINITY ? 0 : most;
        keep[j] = expf(max[j] - from);
        for (int i = 0; i < n; i++) {
            sj[i * rows] = i < seen[j] ? expf(sj[i * rows] * scale - from) : 0;
            total += sj[i * rows];
        }
        sum[j] = sum[j] * keep[j] + total;
        max[j] = most;
    }
}

static void scores_few(int n, int rows, int dk, const float *q, const float *k, size_t k_stride,
                       float *s, size_t s_stride)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < rows; j++) {
            float sum = 0;
            for (int d = 0; d < dk; d++) sum += q[j * dk + d] * k[(size_t)i * k_stride + (size_t)d];
            s[(size_t)i * s_stride + (size_t)j] = sum;
        }
}

static void values_few(int n, int rows, int dv, const float *p, size_t p_stride, const float *v,
                       size_t v_stride, const float *keep, float *o)
{
    for (int j = 0; j < rows; j++)
        for (int d = 0; d < dv; d++) {
            float sum = o[j * dv + d] * keep[j];
            for (int i = 0; i < n; i++)
                sum += p[(size_t)i * p_stride + (size_t)j] * v[(size_t)i * v_stride + (size_t)d];
            o[j * dv + d] = sum;
        }
}

static void scores_q8(int n, int rows, int dk, const EngQueryQ8 *q, const void *k, size_t k_stride,
                      void *room, float *s)
{
    (void)room;
    for (int i = 0; i < n; i++) {
        const void *row = (const uint8_t *)k + (size_t)i * k_stride;
        const EngBlockQ8_0 *block = row;
        for (int j = 0; j < rows; j++) {
            float sum = 0;
            for (int b = 0; b < dk / 32; b++) {
                const EngQueryQ8 *qb = q + b * (rows / 16) + j / 16;
                int32_t dot = 0;
                for (int d = 0; d < 32; d++) dot += qb->q[d / 4][j % 16][d % 4] * block[b].qs[d];
                sum += (float)dot * (qb->d[j % 16] * eng_f16_to_f32(block[b].d));
            }
            s[i * rows + j] = sum;
        }
    }
}

static void values_q8(int n, int rows, int dv, const float *p, const void *v, size_t v_stride,
                      const float *sum, const float *keep, void *room, float *o)
{
    (void)sum;
    (void)room;
    for (int d = 0; d < dv; d++) {
        for (int j = 0; j < rows; j++) o[d * rows + j] *= keep[j];
        for (int i = 0; i < n; i++) {
            const void *row = (const uint8_t *)v + (size_t)i * v_stride;
            const EngBlockQ8_0 *block = (const EngBlockQ8_0 *)row + d / 32;
            float value = eng_f16_to_f32(block->d) * (float)block->qs[d % 32];
            for (int j = 0; j < rows; j++) o[d * rows + j] += p[i * rows + j] * value;
        }
    }
}

static float to_i16(const float *x, int16_t *y, int n, int most)
{
    float amax = eng_finite_amax(x, n);
    float factor = amax > 0x1p-110f ? (float)most / amax : 0;
    for (int i = 0; i < n; i++) y[i] = factor > 0 ? (int16_t)lrintf(x[i] * factor) : 0;
    return amax / (float)most;
}

/* A row: its numbers, then the scales of their blocks. */
static size_t key_bytes(int dk)
{
    return (size_t)dk * sizeof(int16_t) + (size_t)ENG_I16_BLOCKS(dk) * sizeof(float);
}

static void keys_i16(int n, int dk, const float *k, size_t k_stride, void *keys)
{
    for (int i = 0; i < n; i++) {
        int16_t *key = (int16_t *)(void *)((uint8_t *)keys + (size_t)i * key_bytes(dk));
        float *scale = (float *)(void *)(key + dk);
        for (int b = 0; b < dk; b += ENG_I16_BLOCK) {
            int d_n = dk - b < ENG_I16_BLOCK ? dk - b : ENG_I16_BLOCK;
            *scale++ = to_i16(k + (size_t)i * k_stride + b, key + b, d_n, ENG_I16_KEY);
        }
    }
}

static void scores_i16(int n, int rows, int dk, const int16_t *q, const float *q_scale,
                       const void *keys, float *s, size_t s_stride)
{
    for (int i = 0; i < n; i++)
        for (int b = 0; b < dk; b += ENG_I16_BLOCK) {
            const int16_t *key = (const void *)((const uint8_t *)keys + (size_t)i * key_bytes(dk));
            const float *scale = (const float *)(const void *)(key + dk) + b / ENG_I16_BLOCK;
            int d_n = dk - b < ENG_I16_BLOCK ? dk - b : ENG_I16_BLOCK;
            for (int j = 0; j < rows; j++) {
                int32_t dot = 0;
                for (int d = b; d < b + d_n; d++) dot += key[d] * q[(d / 2 * rows + j) * 2 + d % 2];
                float by = *scale * q_scale[b / ENG_I16_BLOCK * rows + j];
                float *to = s + (size_t)i * s_stride + j;
                *to = fmaf((float)dot, by, b ? *to : 0);
            }
        }
}

static float more(float a, float b) { return b > a || isnan(b) ? b : a; }

/* One query. unit[n]: what 1 stands for in a value. */
static void weights_i16(int n, int rows, const float *p, const float *unit, int32_t *weight,
                        float *ret_step)
{
    float most = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        float w = p[i * rows] * unit[i];
        most = more(most, w);
        sum += w;
    }
    float step = more(most * (1.0f / ENG_I16_WEIGHT), sum * (1.0f / ENG_I16_SUM));
    float factor = step > 0x1p-110f ? 1 / step : 0;
    for (int i = 0; i < n && factor > 0; i++)
        weight[i] = (int32_t)lrintf(fmaf(p[i * rows] * unit[i], factor, eng_i16_dither(i)));
    *ret_step = step;
}

/* What 1 stands for in each position's value, then their numbers. */
static void pairs_i16(int n, int dv, const float *v, size_t v_stride, void *values)
{
    float *unit = values;
    int16_t *value = (int16_t *)(void *)(unit + ENG_Q8_POSITIONS);
    for (int i = 0; i < n; i++)
        unit[i] = to_i16(v + (size_t)i * v_stride, value + i * dv, dv, ENG_I16_VALUE);
}

static float halves_to_i16(const uint16_t *x, int16_t *y, int n, int most)
{
    float amax = 0;
    for (int i = 0; i < n; i++) amax = more(amax, fabsf(eng_f16_to_f32(x[i])));
    amax = isinf(amax) ? NAN : amax;
    float factor = amax > 0x1p-110f ? (float)most / amax : 0;
    for (int i = 0; i < n; i++)
        y[i] = factor > 0 ? (int16_t)lrintf(eng_f16_to_f32(x[i]) * factor) : 0;
    return amax / (float)most;
}

static void keys_f16(int n, int dk, const uint16_t *k, size_t k_stride, void *keys)
{
    for (int i = 0; i < n; i++, k += k_stride) {
        int16_t *key = (int16_t *)(void *)((uint8_t *)keys + (size_t)i * key_bytes(dk));
        float *scale = (float *)(void *)(key + dk);
        for (int b = 0; b < dk; b += ENG_I16_BLOCK) {
            int d_n = dk - b < ENG_I16_BLOCK ? dk - b : ENG_I16_BLOCK;
            *scale++ = halves_to_i16(k + b, key + b, d_n, ENG_I16_KEY);
        }
    }
}

static void pairs_f16(int n, int dv, const uint16_t *v, size_t v_stride, void *values)
{
    float *unit = values;
    int16_t *value = (int16_t *)(void *)(unit + ENG_Q8_POSITIONS);
    for (int i = 0; i < n; i++)
        unit[i] = halves_to_i16(v + (size_t)i * v_stride, value + i * dv, dv, ENG_I16_VALUE);
}

static void values_i16(int n, int rows, int dv, const float *p, const void *values,
                       const float *keep, void *room, float *o, size_t o_stride)
{
    const float *unit = values;
    const int16_t *value = (const int16_t *)(const void *)(unit + ENG_Q8_POSITIONS);
    (void)room;
    for (int j = 0; j < rows; j++) {
        int32_t weight[ENG_Q8_POSITIONS] = {0};
        float step;
        weights_i16(n, rows, p + j, unit, weight, &step);
        for (int d = 0; d < dv; d++) {
            int32_t dot = 0;
            for (int i = 0; i < n; i++) dot += weight[i] * value[i * dv + d];
            float *to = o + (size_t)d * o_stride + j;
            *to = fmaf((float)dot, step, *to * keep[j]);
        }
    }
}

static void q8_0_to_f32(const void *x, float *y, int64_t n)
{
    eng_type_info(ENG_TYPE_Q8_0)->to_f32(x, y, n);
}

void eng_kernels_attn_c(EngKernels *k)
{
    k->gemm = gemm;
    k->soften = soften;
    k->scores_few = scores_few;
    k->values_few = values_few;
    k->scores_q8 = scores_q8;
    k->values_q8 = values_q8;
    k->q8_pays = false;
    k->keys_i16 = keys_i16;
    k->keys_f16 = keys_f16;
    k->pairs_f16 = pairs_f16;
    k->scores_i16 = scores_i16;
    k->pairs_i16 = pairs_i16;
    k->values_i16 = values_i16;
    k->i16_pays = false;
    k->to_i16 = to_i16;
    k->q8_0_to_f32 = q8_0_to_f32;
}
