/* Matrix products with float weights, F32, F16 and BF16: activations stay float. */
#include "base/num.h"
#include "cpu/families.h"

static void quantize_f32(const float *x, void *y, int64_t n)
{
    memcpy(y, x, (size_t)n * sizeof *x);
}

static float weight_f32(const float *w) { return *w; }
static float weight_f16(const uint16_t *w) { return eng_f16_to_f32(*w); }
static float weight_bf16(const uint16_t *w) { return eng_bf16_to_f32(*w); }

/* Eight partial sums: the order of additions that a vector unit takes, and a smaller rounding
 * error than one long chain. */
#define MATMUL(name, Weight)                                                                       \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        for (int r = 0; r < n_rows; r++)                                                           \
            for (int t = 0; t < n_tokens; t++) {                                                   \
                const Weight *row = (const Weight *)((const char *)w + (size_t)r * w_stride);      \
                const float *act = (const float *)((const char *)x + (size_t)t * x_stride);        \
                float sum[8] = {0};                                                                \
                for (int64_t i = 0; i < n; i++) sum[i % 8] += weight_##name(row + i) * act[i];     \
                y[(size_t)t * y_stride + (size_t)r] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) +    \
                                                      ((sum[4] + sum[5]) + (sum[6] + sum[7]));     \
            }                                                                                      \
    }
MATMUL(f32, float)
MATMUL(f16, uint16_t)
MATMUL(bf16, uint16_t)
#undef MATMUL

/* What a compiler makes of many sums at once. */
static int64_t float_peak(int64_t n)
{
    enum { SUMS = 64 };
    float sum[SUMS] = {0}, a = 0.5f, b = 0.25f;
    for (int64_t i = 0; i < n; i++) {
        __asm__ volatile("" : "+m"(a), "+m"(b)); /* not the same product every time round */
        for (int j = 0; j < SUMS; j++) sum[j] = sum[j] * a + b;
    }
    __asm__ volatile("" : : "m"(sum));
    return n * SUMS * 2;
}

void eng_kernels_dot_float_c(EngKernels *k)
{
    k->float_peak = float_peak;
    k->quantize[ENG_ACT_F32] = quantize_f32;
    k->matmul[ENG_TYPE_F32] = matmul_f32;
    k->matmul[ENG_TYPE_F16] = matmul_f16;
    k->matmul[ENG_TYPE_BF16] = matmul_bf16;
}
