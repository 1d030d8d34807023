/* Matrix products with the 32-number blocks, Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 IQ4_NL MXFP4:
 * per block dx * (d * sum(q * qx) + m * sum(qx)), the sums in integers. */
#include "cpu/families.h"
#include "load/unpack_iq.h"

static void quantize_q8_0(const float *x, void *y, int64_t n)
{
    EngBlockQ8_0A *b = y;
    for (int64_t i = 0; i < n / 32; i++, b++, x += 32) {
        float amax = eng_finite_amax(x, 32), factor = eng_quant_factor(amax);
        b->d = amax / 127.0f;
        b->sum = 0;
        for (int j = 0; j < 32; j++) {
            b->q[j] = factor == 0 ? 0 : (int8_t)__builtin_lrintf(x[j] * factor);
            b->sum += b->q[j];
        }
    }
}

#define MATMUL(name, Block, has_min)                                                               \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        for (int t = 0; t < n_tokens; t++)                                                         \
            for (int r = 0; r < n_rows; r++) y[(size_t)t * y_stride + (size_t)r] = 0;              \
        for (int r = 0; r < n_rows; r++) {                                                         \
            const Block *row = (const Block *)((const char *)w + (size_t)r * w_stride);            \
            for (int64_t i = 0; i < n / 32; i++) {                                                 \
                EngUnpacked32 u;                                                                   \
                eng_unpack_##name(row + i, &u);                                                    \
                for (int t = 0; t < n_tokens; t++) {                                               \
                    const EngBlockQ8_0A *a =                                                       \
                        (const EngBlockQ8_0A *)((const char *)x + (size_t)t * x_stride) + i;       \
                    int32_t sum = 0;                                                               \
                    for (int j = 0; j < 32; j++) sum += u.q[j] * a->q[j];                          \
                    float part = u.d * (float)sum;                                                 \
                    if (has_min) part += u.m * (float)a->sum;                                      \
                    y[(size_t)t * y_stride + (size_t)r] += a->d * part;                            \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
MATMUL(q4_0, EngBlockQ4_0, 0)
MATMUL(q4_1, EngBlockQ4_1, 1)
MATMUL(q5_0, EngBlockQ5_0, 0)
MATMUL(q5_1, EngBlockQ5_1, 1)
MATMUL(q8_0, EngBlockQ8_0, 0)
MATMUL(iq4_nl, EngBlockIQ4_NL, 0)
MATMUL(mxfp4, EngBlockMXFP4, 0)
#undef MATMUL

void eng_kernels_dot_legacy_c(EngKernels *k)
{
    k->quantize[ENG_ACT_Q8_0] = quantize_q8_0;
    k->matmul[ENG_TYPE_Q4_0] = matmul_q4_0;
    k->matmul[ENG_TYPE_Q4_1] = matmul_q4_1;
    k->matmul[ENG_TYPE_Q5_0] = matmul_q5_0;
    k->matmul[ENG_TYPE_Q5_1] = matmul_q5_1;
    k->matmul[ENG_TYPE_Q8_0] = matmul_q8_0;
    k->matmul[ENG_TYPE_IQ4_NL] = matmul_iq4_nl;
    k->matmul[ENG_TYPE_MXFP4] = matmul_mxfp4;
}
