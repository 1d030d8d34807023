/* Products of float vectors: matrix products with F32, F16 and BF16 weights, and the small
 * products of attention. Weights become float as they are loaded; tiles of rows x tokens keep
 * every loaded vector in use several times. */
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
                     size_t w_stride, const char *x, size_t x_stride, float alpha, float *y,
                     size_t y_stride)
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
            y[(size_t)t * y_stride + (size_t)r] = alpha * sum;
        }
    }
}

INLINE void dot_rows(FloatKind kind, int64_t n, int n_rows, int tokens, int rows, const char *w,
                     size_t w_stride, const char *x, size_t x_stride, float alpha, float *y,
                     size_t y_stride)
{
    int r = 0;
    for (; r + rows <= n_rows; r += rows)
        dot_tile(kind, n, rows, tokens, w + (size_t)r * w_stride, w_stride, x, x_stride, alpha,
                 y + r, y_stride);
    for (; r < n_rows; r++)
        dot_tile(kind, n, 1, tokens, w + (size_t)r * w_stride, w_stride, x, x_stride, alpha, y + r,
                 y_stride);
}

INLINE void dot_all(FloatKind kind, int64_t n, int n_rows, int n_tokens, const char *w,
                    size_t w_stride, const char *x, size_t x_stride, float alpha, float *y,
                    size_t y_stride)
{
    int t = 0;
    for (; t + 4 <= n_tokens; t += 4)
        dot_rows(kind, n, n_rows, 4, 2, w, w_stride, x + (size_t)t * x_stride, x_stride, alpha,
                 y + (size_t)t * y_stride, y_stride);
    for (; t < n_tokens; t++)
        dot_rows(kind, n, n_rows, 1, 4, w, w_stride, x + (size_t)t * x_stride, x_stride, alpha,
                 y + (size_t)t * y_stride, y_stride);
}

#define MATMUL(name)                                                                               \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const FloatKind kind = {load_##name, one_##name};                                          \
        dot_all(kind, n, n_rows, n_tokens, w, w_stride, x, x_stride, 1, y, y_stride);              \
    }
MATMUL(f32)
MATMUL(f16)
MATMUL(bf16)
#undef MATMUL

static void gemm_nt(int m, int n, int k, float alpha, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc)
{
    const FloatKind kind = {load_f32, one_f32};
    dot_all(kind, k, n, m, (const char *)b, ldb * sizeof *b, (const char *)a, lda * sizeof *a,
            alpha, c, ldc);
}

/* rows (1 … 4) of c, `vectors` (1 … 4) times 8 columns, or the first `tail` columns of one vector.
 */
INLINE void nn_tile(int rows, int vectors, Ints tail, int k, const float *a, size_t lda,
                    const float *b, size_t ldb, float *c, size_t ldc)
{
    Floats acc[4][4];
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vectors; v++) acc[r][v] =
            _mm256_maskload_ps(c + (size_t)r * ldc + 8 * v, tail);
    }
    for (int p = 0; p < k; p++) {
        Floats bs[4];
        UNROLL for (int v = 0; v < vectors; v++) bs[v] =
            _mm256_maskload_ps(b + (size_t)p * ldb + 8 * v, tail);
        UNROLL for (int r = 0; r < rows; r++)
        {
            Floats factor = _mm256_broadcast_ss(a + (size_t)r * lda + p);
            UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = mul_add(factor, bs[v], acc[r][v]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vectors; v++)
            _mm256_maskstore_ps(c + (size_t)r * ldc + 8 * v, tail, acc[r][v]);
    }
}

INLINE void nn_rows(int rows, int n, int k, const float *a, size_t lda, const float *b, size_t ldb,
                    float *c, size_t ldc)
{
    const Ints whole = _mm256_set1_epi32(-1), lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int vectors = rows == 1 ? 4 : 2, j = 0;
    for (; j + 8 * vectors <= n; j += 8 * vectors)
        nn_tile(rows, vectors, whole, k, a, lda, b + j, ldb, c + j, ldc);
    for (; j < n; j += 8)
        nn_tile(rows, 1, _mm256_cmpgt_epi32(_mm256_set1_epi32(n - j), lane), k, a, lda, b + j, ldb,
                c + j, ldc);
}

static void gemm_nn(int m, int n, int k, const float *a, size_t lda, const float *b, size_t ldb,
                    float *c, size_t ldc)
{
    int i = 0;
    for (; i + 4 <= m; i += 4)
        nn_rows(4, n, k, a + (size_t)i * lda, lda, b, ldb, c + (size_t)i * ldc, ldc);
    for (; i < m; i++) nn_rows(1, n, k, a + (size_t)i * lda, lda, b, ldb, c + (size_t)i * ldc, ldc);
}

void eng_kernels_dot_float_avx2(EngKernels *k)
{
    k->matmul[ENG_TYPE_F32] = matmul_f32;
    k->matmul[ENG_TYPE_F16] = matmul_f16;
    k->matmul[ENG_TYPE_BF16] = matmul_bf16;
    k->gemm_nt = gemm_nt;
    k->gemm_nn = gemm_nn;
}
