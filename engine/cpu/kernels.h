/* The table of CPU kernels. Every slot is first filled with portable C, which is the kernel's
 * specification; then a ladder of instruction sets overwrites the slots it does better. A kernel is
 * naked mathematics: shapes and types were checked when the model was bound, and no kernel knows
 * threads, ops or models.
 *
 * Adding an instruction set: one file x86/<family>_<isa>.c with its own compile flags that exports
 * eng_kernels_<family>_<isa>(EngKernels *), one line in x86/ladder.h, one in meson.build; then
 * tests/kernels compares every pointer that changed with the C twin by itself. */
#ifndef ENG_CPU_KERNELS_H
#define ENG_CPU_KERNELS_H

#include "cpu/features.h"
#include "load/quant.h"

/* y[t * y_stride + r] = dot(row r of w, row t of x) for r < n_rows, t < n_tokens.
 * n: numbers per row, a multiple of the weight type's block. w_stride, x_stride: bytes from one row
 * to the next. y_stride: floats. x is in the weight type's activation form (eng_type_info()->act).
 * The result for (r, t) must not depend on n_rows or n_tokens by more than float reordering, and
 * for n_tokens == 1 not on n_rows at all (rows are dealt to threads in any grouping). */
typedef void EngMatmulFn(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
                         const void *x, size_t x_stride, float *y, size_t y_stride);

typedef struct {
    /* Activations into the form the weights want. n a multiple of 32 / 256. NaN or infinity in x
     * must come out as NaN in d (never a silent zero). [ENG_ACT_F32] copies. */
    void (*quantize[ENG_ACT_COUNT])(const float *x, void *y, int64_t n);

    EngMatmulFn *matmul[ENG_TYPE_COUNT]; /* NULL where eng_type_info()->to_f32 is NULL */

    /* Small float GEMMs for attention; strides in floats.
     * nt: c[m][n] = alpha * sum_k a[m][k] * b[n][k].   nn: c[m][n] += sum_k a[m][k] * b[k][n]. */
    void (*gemm_nt)(int m, int n, int k, float alpha, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc);
    void (*gemm_nn)(int m, int n, int k, const float *a, size_t lda, const float *b, size_t ldb,
                    float *c, size_t ldc);

    void (*f16_to_f32)(const uint16_t *x, float *y, int64_t n);
    void (*f32_to_f16)(const float *x, uint16_t *y, int64_t n);

    void (*rms_norm)(const float *x, const float *w, float *y, int64_t n,
                     float eps);                                               /* w NULL = 1 */
    void (*silu_mul)(const float *gate, const float *up, float *y, int64_t n); /* silu(gate) * up */
    /* x[i] = exp(x[i] - max), returns their sum. Relative error of exp <= 2e-6; exp(-inf) = 0. */
    float (*exp_sum)(float *x, int64_t n, float max);
    float (*max)(const float *x, int64_t n);     /* n >= 1; any NaN in x may be ignored */
    void (*scale)(float *x, int64_t n, float a); /* x *= a */
    void (*add_scaled)(const float *x, float *y, int64_t n, float a); /* y += a * x */

    /* No kernel but their ceiling: n rounds of independent int8 dot products in registers. Returns
     * the operations done, two for each multiply-add. */
    int64_t (*int8_peak)(int64_t n);
} EngKernels;

/* The table for a level, filled once per level, valid for ever; thread-safe. */
const EngKernels *eng_kernels(EngCpuLevel level);

#endif
