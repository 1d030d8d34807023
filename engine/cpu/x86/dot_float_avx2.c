/* Matrix products with F32, F16 and BF16 weights. Weights become float as they are loaded; tiles of
 * rows x tokens keep every loaded vector in use several times. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"

typedef Floats LoadFn(const char *row, int64_t i); /* eight weights from number i on */
typedef float OneFn(const char *row, int64_t i);

INLINE Floats load_f32(const char *row, int64_t i) { return loadf((const float *)row + i); }
INLINE Floats load_f16(const char *row, int64_t i)
{
    return _mm256_cvtph_ps(load16((const uint16_t *)row + i));
}
INLINE Floats load_bf16(const char *row, int64_t i)
{
    Ints wide = _mm256_cvtepu16_epi32(load16((const uint16_t *)row + i));
    return _mm256_castsi256_ps(left(wide, 16));
}
INLINE float one_f32(const char *row, int64_t i) { return ((const float *)row)[i]; }
INLINE float one_f16(const char *row, int64_t i) { return half(((const uint16_t *)row)[i]); }
INLINE float one_bf16(const char *row, int64_t i)
{
    return eng_bf16_to_f32(((const uint16_t *)row)[i]);
}

typedef struct {
    LoadFn *load;
    OneFn *one;
} FloatKind;

/* rows (1 … 4) x tokens (1 … 4), constants, with rows * tokens <= 8 accumulators. A row's result
 * does not depend on its neighbours: each has one accumulator and the same order. */
INLINE void dot_tile(FloatKind kind, int64_t n, int rows, int tokens, const char *w,
                     size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    Floats acc[4][4] = {{{0}}};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        Floats weights[4];
        UNROLL for (int r = 0; r < rows; r++) weights[r] = kind.load(w + (size_t)r * w_stride, i);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            Floats xs = loadf((const float *)(x + (size_t)t * x_stride) + i);
            UNROLL for (int r = 0; r < rows; r++) acc[r][t] = mul_add(weights[r], xs, acc[r][t]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int t = 0; t < tokens; t++)
        {
            float sum = total(acc[r][t]);
            for (int64_t j = i; j < n; j++)
                sum += kind.one(w + (size_t)r * w_stride, j) *
                       ((const float *)(x + (size_t)t * x_stride))[j];
            y[(size_t)t * y_stride + (size_t)r] = sum;
        }
    }
}

INLINE void dot_rows(FloatKind kind, int64_t n, int n_rows, int tokens, int rows, const char *w,
                     size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    int r = 0;
    for (; r + rows <= n_rows; r += rows)
        dot_tile(kind, n, rows, tokens, w + (size_t)r * w_stride, w_stride, x, x_stride, y + r,
                 y_stride);
    for (; r < n_rows; r++)
        dot_tile(kind, n, 1, tokens, w + (size_t)r * w_stride, w_stride, x, x_stride, y + r,
                 y_stride);
}

INLINE void dot_all(FloatKind kind, int64_t n, int n_rows, int n_tokens, const char *w,
                    size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    int t = 0;
    for (; t + 4 <= n_tokens; t += 4)
        dot_rows(kind, n, n_rows, 4, 2, w, w_stride, x + (size_t)t * x_stride, x_stride,
                 y + (size_t)t * y_stride, y_stride);
    for (; t < n_tokens; t++)
        dot_rows(kind, n, n_rows, 1, 4, w, w_stride, x + (size_t)t * x_stride, x_stride,
                 y + (size_t)t * y_stride, y_stride);
}

#define MATMUL(name)                                                                               \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const FloatKind kind = {load_##name, one_##name};                                          \
        dot_all(kind, n, n_rows, n_tokens, w, w_stride, x, x_stride, y, y_stride);                 \
    }
MATMUL(f32)
MATMUL(f16)
MATMUL(bf16)
#undef MATMUL

/* Ten sums, so that none waits for itself. */
static int64_t float_peak(int64_t n)
{
    enum { SUMS = 10 };
    __m256 sum[SUMS] = {{0}}, a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    for (int64_t i = 0; i < n; i++) {
        UNROLL for (int j = 0; j < SUMS; j++)
        {
            __asm__ volatile("" : "+x"(a)); /* not the same product every time round */
            sum[j] = _mm256_fmadd_ps(a, b, sum[j]);
        }
    }
    UNROLL for (int j = 0; j < SUMS; j++) __asm__ volatile("" : : "x"(sum[j]));
    return n * SUMS * 16;
}

void eng_kernels_dot_float_avx2(EngKernels *k)
{
    k->float_peak = float_peak;
    k->matmul[ENG_TYPE_F32] = matmul_f32;
    k->matmul[ENG_TYPE_F16] = matmul_f16;
    k->matmul[ENG_TYPE_BF16] = matmul_bf16;
}
