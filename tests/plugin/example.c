/* A plug-in as anyone might write one: rows of Q8_0 and Q4_K times activations as they are, without
 * rounding them to bytes first, and Q8_0 times bytes, as Hearth's own kernels do it. Plain C: a
 * real one would use the machine's vectors. */
#include "hearth_plugin.h"

#include <math.h>

/* ---- the formats ----------------------------------------------------------------------------- */

static float half(const uint8_t *p)
{
    unsigned bits = p[0] | (unsigned)p[1] << 8, exp = bits >> 10 & 31, man = bits & 1023;
    float size = exp == 31 ? (man ? NAN : INFINITY)
                 : exp     ? ldexpf((float)(man | 1024), (int)exp - 25)
                           : ldexpf((float)man, -24);
    return bits >> 15 ? -size : size;
}

/* block_q8_0: a scale, 32 bytes. */
enum { Q8_0 = 8, Q8_0_NUMBERS = 32, Q8_0_BYTES = 34 };

static void decode_q8_0(const uint8_t *block, float *ret)
{
    float d = half(block);
    for (int i = 0; i < Q8_0_NUMBERS; i++) ret[i] = d * (float)(int8_t)block[2 + i];
}

/* block_q4_K: the scales of scales and of minima; eight of each in 6 bits, the first four of both
 * in bytes of their own, whose upper two bits complete the others; then 32 bytes for each two
 * groups of 32 numbers, the first in the lower halves. */
enum { Q4_K = 12, Q4_K_NUMBERS = 256, Q4_K_BYTES = 144 };

static void decode_q4_k(const uint8_t *block, float *ret)
{
    float d = half(block), dmin = half(block + 2);
    const uint8_t *s = block + 4, *q = block + 16;
    for (int g = 0; g < 8; g++) {
        int scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
        int min = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4;
        for (int i = 0; i < 32; i++) {
            int four = g % 2 ? q[g / 2 * 32 + i] >> 4 : q[g / 2 * 32 + i] & 15;
            ret[32 * g + i] = d * (float)scale * (float)four - dmin * (float)min;
        }
    }
}

/* ---- products -------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, int n) /* n a multiple of 8 */
{
    float sum[8] = {0};
    for (int i = 0; i < n; i++) sum[i % 8] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

#define PRODUCT(name, numbers, bytes)                                                              \
    static void multiply_##name(int64_t n, int n_rows, int n_tokens, const void *w,                \
                                size_t w_stride, const void *x, size_t x_stride, float *y,         \
                                size_t y_stride)                                                   \
    {                                                                                              \
        for (int r = 0; r < n_rows; r++) {                                                         \
            const uint8_t *row = (const uint8_t *)w + (size_t)r * w_stride;                        \
            for (int t = 0; t < n_tokens; t++) y[(size_t)t * y_stride + (size_t)r] = 0;            \
            for (int64_t at = 0; at < n; at += numbers, row += bytes) {                            \
                float block[numbers];                                                              \
                decode_##name(row, block);                                                         \
                for (int t = 0; t < n_tokens; t++) {                                               \
                    const char *act = (const char *)x + (size_t)t * x_stride;                      \
                    y[(size_t)t * y_stride + (size_t)r] +=                                         \
                        dot(block, (const float *)(const void *)act + at, numbers);                \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
PRODUCT(q8_0, Q8_0_NUMBERS, Q8_0_BYTES)
PRODUCT(q4_k, Q4_K_NUMBERS, Q4_K_BYTES)
#undef PRODUCT

static void multiply_q8_0_bytes(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
                                const void *x, size_t x_stride, float *y, size_t y_stride)
{
    for (int r = 0; r < n_rows; r++)
        for (int t = 0; t < n_tokens; t++) {
            const uint8_t *block = (const uint8_t *)w + (size_t)r * w_stride;
            const char *act = (const char *)x + (size_t)t * x_stride;
            const HearthBlockQ8_0 *a = (const HearthBlockQ8_0 *)(const void *)act;
            float all = 0;
            for (int64_t at = 0; at < n; at += Q8_0_NUMBERS, block += Q8_0_BYTES, a++) {
                int32_t sum = 0;
                for (int i = 0; i < Q8_0_NUMBERS; i++) sum += (int8_t)block[2 + i] * a->q[i];
                all += a->d * (half(block) * (float)sum);
            }
            y[(size_t)t * y_stride + (size_t)r] = all;
        }
}

HEARTH_PLUGIN(host)
{
    static const HearthKernel kernels[] = {
        {sizeof(HearthKernel), Q8_0, HEARTH_ACTIVATION_F32, "example.q8_0", multiply_q8_0},
        {sizeof(HearthKernel), Q4_K, HEARTH_ACTIVATION_F32, "example.q4_k", multiply_q4_k},
        {sizeof(HearthKernel), Q8_0, HEARTH_ACTIVATION_Q8_0, "example.q8_0.bytes",
         multiply_q8_0_bytes},
    };
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (!host->add_kernel(host, &kernels[i])) return;
}
