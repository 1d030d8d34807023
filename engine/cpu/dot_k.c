/* Matrix products with the 256-number blocks, Q2_K … Q6_K and IQ1 … IQ4_XS: per block
 * dx * (d * sum over groups of s * sum(q * qx) - dmin * sum over groups of m * sum(qx)).
 * All sums are integers: |s q| <= 32 * 128, |qx| <= 127 keep 256 products below 2^27. */
#include "cpu/families.h"
#include "load/unpack_iq.h"

static void quantize_q8_k(const float *x, void *y, int64_t n)
{
    EngBlockQ8_KA *b = y;
    for (int64_t i = 0; i < n / 256; i++, b++, x += 256) {
        float amax = eng_finite_amax(x, 256), factor = eng_quant_factor(amax);
        b->d = amax / 127.0f;
        for (int g = 0; g < 16; g++) {
            int sum = 0;
            for (int j = 16 * g; j < 16 * g + 16; j++) {
                b->q[j] = factor == 0 ? 0 : (int8_t)__builtin_lrintf(x[j] * factor);
                sum += b->q[j];
            }
            b->sums[g] = (int16_t)sum;
        }
    }
}

static float block_dot(const EngUnpacked256 *u, const EngBlockQ8_KA *a)
{
    int32_t scaled = 0, mins = 0;
    for (int g = 0; g < 16; g++) {
        int32_t sum = 0;
        for (int j = 16 * g; j < 16 * g + 16; j++) sum += u->q[j] * a->q[j];
        scaled += u->s[g] * sum;
        mins += u->m[g] * a->sums[g];
    }
    return a->d * (u->d * (float)scaled - u->dmin * (float)mins);
}

#define MATMUL(name, Block)                                                                        \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        for (int t = 0; t < n_tokens; t++)                                                         \
            for (int r = 0; r < n_rows; r++) y[(size_t)t * y_stride + (size_t)r] = 0;              \
        for (int r = 0; r < n_rows; r++) {                                                         \
            const Block *row = (const Block *)((const char *)w + (size_t)r * w_stride);            \
            for (int64_t i = 0; i < n / 256; i++) {                                                \
                EngUnpacked256 u;                                                                  \
                eng_unpack_##name(row + i, &u);                                                    \
                for (int t = 0; t < n_tokens; t++) {                                               \
                    const EngBlockQ8_KA *a =                                                       \
                        (const EngBlockQ8_KA *)((const char *)x + (size_t)t * x_stride) + i;       \
                    y[(size_t)t * y_stride + (size_t)r] += block_dot(&u, a);                       \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
MATMUL(q2_k, EngBlockQ2_K)
MATMUL(q3_k, EngBlockQ3_K)
MATMUL(q4_k, EngBlockQ4_K)
MATMUL(q5_k, EngBlockQ5_K)
MATMUL(q6_k, EngBlockQ6_K)
MATMUL(iq1_s, EngBlockIQ1_S)
MATMUL(iq1_m, EngBlockIQ1_M)
MATMUL(iq2_xxs, EngBlockIQ2_XXS)
MATMUL(iq2_xs, EngBlockIQ2_XS)
MATMUL(iq2_s, EngBlockIQ2_S)
MATMUL(iq3_xxs, EngBlockIQ3_XXS)
MATMUL(iq3_s, EngBlockIQ3_S)
MATMUL(iq4_xs, EngBlockIQ4_XS)
#undef MATMUL

/* What a compiler makes of the loops above when nothing is unpacked. */
static int64_t int8_peak(int64_t n)
{
    static const int8_t a[256] = {1}, b[256] = {2};
    const int8_t *p = a, *q = b;
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        __asm__ volatile("" : "+r"(p), "+r"(q)); /* not the same product every time round */
        for (int j = 0; j < 256; j++) sum += p[j] * q[j];
    }
    __asm__ volatile("" : : "r"(sum));
    return n * 512;
}

void eng_kernels_dot_k_c(EngKernels *k)
{
    k->int8_peak = int8_peak;
    k->quantize[ENG_ACT_Q8_K] = quantize_q8_k;
    k->matmul[ENG_TYPE_Q2_K] = matmul_q2_k;
    k->matmul[ENG_TYPE_Q3_K] = matmul_q3_k;
    k->matmul[ENG_TYPE_Q4_K] = matmul_q4_k;
    k->matmul[ENG_TYPE_Q5_K] = matmul_q5_k;
    k->matmul[ENG_TYPE_Q6_K] = matmul_q6_k;
    k->matmul[ENG_TYPE_IQ1_S] = matmul_iq1_s;
    k->matmul[ENG_TYPE_IQ1_M] = matmul_iq1_m;
    k->matmul[ENG_TYPE_IQ2_XXS] = matmul_iq2_xxs;
    k->matmul[ENG_TYPE_IQ2_XS] = matmul_iq2_xs;
    k->matmul[ENG_TYPE_IQ2_S] = matmul_iq2_s;
    k->matmul[ENG_TYPE_IQ3_XXS] = matmul_iq3_xxs;
    k->matmul[ENG_TYPE_IQ3_S] = matmul_iq3_s;
    k->matmul[ENG_TYPE_IQ4_XS] = matmul_iq4_xs;
}
