/* The table of CPU kernels. Every slot is first filled with portable C, which is the kernel's
 * specification; then a ladder of instruction sets overwrites the slots it does better. A kernel is
 * naked mathematics: shapes and types were checked when the model was bound, and no kernel knows
 * threads, ops or models.
 *
 * Adding an instruction set: one file <family>_<isa>.c under x86/ with its own compile flags that
 * exports eng_kernels_<family>_<isa>(EngKernels *), one line in x86/ladder.h, one in meson.build;
 * then tests/kernels compares every pointer that changed with the C twin by itself. */
#ifndef ENG_CPU_KERNELS_H
#define ENG_CPU_KERNELS_H

#include "cpu/features.h"
#include "plan/kernel/kernel.h"

/* 32 numbers of 16 queries as bytes: query j's number 4 f + i is d[j] * q[f][j][i]. */
typedef struct {
    float d[16];
    int32_t start[16]; /* -128 times the sum of a query's bytes */
    int8_t q[8][16][4];
} EngQueryQ8;

/* Most of a call: positions, 32-blocks of dv, queries. */
enum { ENG_Q8_POSITIONS = 128, ENG_Q8_BLOCKS = 64, ENG_Q8_ROWS = 256 };

/* Numbers in 16 bits that share a scale, and the largest that sums of products in 32 bits allow:
 * 64 of keys times queries, ENG_Q8_POSITIONS of values times weights that add up to ENG_I16_SUM. */
enum {
    ENG_I16_BLOCK = 64,
    ENG_I16_KEY = 8191,
    ENG_I16_QUERY = 4095,
    ENG_I16_VALUE = 4095,
    ENG_I16_WEIGHT = 32766,
    ENG_I16_SUM = 520000
};
#define ENG_I16_BLOCKS(dk) (((dk) + ENG_I16_BLOCK - 1) / ENG_I16_BLOCK)

static inline size_t eng_i16_values_bytes(int dv)
{
    return ENG_Q8_POSITIONS * sizeof(float) + (size_t)dv * 2 * (ENG_Q8_POSITIONS + 2);
}

typedef struct {
    /* Activations into the form the weights want. n a multiple of 32 / 256. NaN or infinity in x
     * must come out as NaN in d (never a silent zero). [ENG_ACT_F32] copies. */
    void (*quantize[ENG_ACT_COUNT])(const float *x, void *y, int64_t n);

    /* Each with activations in eng_type_info()->act; NULL where eng_type_info()->to_f32 is. */
    EngMatmulFn *matmul[ENG_TYPE_COUNT];

    /* Attention. A query is a column: `n`, `rows` and strides of matrices of queries are multiples
     * of 16, so that vectors of queries need no tails and no sum goes across a vector.
     *
     * c[i][j] = keep[j] * c[i][j] + sum_p a(i, p) * b[p][j], with a(i, p) = a[i * a_row + p *
     * a_step] for i < m, j < n, p < k. keep NULL: c is written without being read. Strides in
     * floats. */
    void (*gemm)(int m, int n, int k, const float *a, size_t a_row, size_t a_step, const float *b,
                 size_t ldb, const float *keep, float *c, size_t ldc);
    /* Scores of n positions, s[n][rows], become weights exp(scale * s - max); a query sees the
     * first seen[j] positions of these, the others weigh 0. max and sum run on from block to block
     * (first -inf and 0), and what was summed with the old max must be multiplied by keep. Relative
     * error of exp <= 2e-6; a NaN that is seen stays one. */
    void (*soften)(int n, int rows, float scale, const int32_t *seen, float *s, float *max,
                   float *sum, float *keep);

    /* The same two products where queries are too few to fill a vector, which here holds numbers of
     * one: q[rows][dk] and o[rows][dv], rows a multiple of 4, dk and dv of 16. Strides in floats.
     *     s[i][j] = sum_d q[j][d] * k[i][d]
     *     o[j][d] = keep[j] * o[j][d] + sum_i p[i][j] * v[i][d]
     * A sum does not depend on how many queries there are. */
    void (*scores_few)(int n, int rows, int dk, const float *q, const float *k, size_t k_stride,
                       float *s, size_t s_stride);
    void (*values_few)(int n, int rows, int dv, const float *p, size_t p_stride, const float *v,
                       size_t v_stride, const float *keep, float *o);

    /* The same two products with n rows of a q8_0 cache, n <= ENG_Q8_POSITIONS, k_stride and
     * v_stride bytes apart, scales not negative. q[b][rows / 16] is block b of the queries.
     *     s[i][j] = sum_d q[j][d] * k[i][d]
     *     o[d][j] = keep[j] * o[d][j] + sum_i p[i][j] * v[i][d],  p >= 0
     * sum: of all weights of a query up to here. Scores differ by float reordering alone. In the
     * second, p times the scale of v's block may be off by the block's largest scale here times
     * 2^-15 of the query's largest p or 2^-13 of its sum, whichever is more; of equal ones half
     * goes up and half down.
     * `room` takes n * dk * 2 and (n + 3) * (4 * rows + dv / 16 + 32) + 4 * rows bytes.
     * q8_pays: this beats turning the rows into floats for gemm. */
    void (*scores_q8)(int n, int rows, int dk, const EngQueryQ8 *q, const void *k, size_t k_stride,
                      void *room, float *s);
    void (*values_q8)(int n, int rows, int dv, const float *p, const void *v, size_t v_stride,
                      const float *sum, const float *keep, void *room, float *o);
    bool q8_pays;
    void (*q8_0_to_f32)(const void *x, float *y, int64_t n); /* n a multiple of 32 */

    /* The same two products with n rows of floats, n <= ENG_Q8_POSITIONS, strides in floats, in
     * integers of 16 bits, two products to a lane and instruction: dk a multiple of 32, dv of 16.
     * What is made of the rows is a level's own: many tiles of queries share it, and one may look
     * at fewer than its n positions.
     * q[dk / 2][rows][2] and q_scale[ENG_I16_BLOCKS(dk)][rows] are what `to_i16` makes of the
     * blocks of a query. Numbers of a key are off by 2^-14 of the largest of their block, those of
     * a query by 2^-13, those of a value by 2^-13 of its largest; a weight p >= 0 times that
     * largest by 2^-15 of the query's largest here or 2^-19 of their sum here, whichever is more,
     * and of equal ones some go up and some down, so that their sum is right. What a position adds
     * does not depend on positions of weight 0.
     * `keys` take n * (2 * dk + 4 * ENG_I16_BLOCKS(dk)) bytes, `values` eng_i16_values_bytes(dv),
     * `room` (n + 3) * 2 * rows + 4 * rows. p is rows apart.
     * i16_pays: this beats gemm. */
    void (*keys_i16)(int n, int dk, const float *k, size_t k_stride, void *keys);
    void (*scores_i16)(int n, int rows, int dk, const int16_t *q, const float *q_scale,
                       const void *keys, float *s, size_t s_stride);
    void (*pairs_i16)(int n, int dv, const float *v, size_t v_stride, void *values);
    void (*values_i16)(int n, int rows, int dv, const float *p, const void *values,
                       const float *keep, void *room, float *o, size_t o_stride);
    bool i16_pays;
    /* What keys_i16 and pairs_i16 make of the same numbers as floats; strides in halves. */
    void (*keys_f16)(int n, int dk, const uint16_t *k, size_t k_stride, void *keys);
    void (*pairs_f16)(int n, int dv, const uint16_t *v, size_t v_stride, void *values);
    /* x as y times what is returned, |y| <= most; n a multiple of 16. NaN or infinity in x gives
     * NaN. */
    float (*to_i16)(const float *x, int16_t *y, int n, int most);

    void (*f16_to_f32)(const uint16_t *x, float *y, int64_t n);
    void (*f32_to_f16)(const float *x, uint16_t *y, int64_t n);

    void (*rms_norm)(const float *x, const float *w, float *y, int64_t n,
                     float eps);                                               /* w NULL = 1 */
    void (*silu_mul)(const float *gate, const float *up, float *y, int64_t n); /* silu(gate) * up */
    void (*scale)(float *x, int64_t n, float a);                               /* x *= a */
    void (*add_scaled)(const float *x, float *y, int64_t n, float a);          /* y += a * x */

    /* No kernels but their ceilings: n rounds of independent int8 dot products in registers, or of
     * multiply-adds of floats. Return the operations done, two for each multiply-add. */
    int64_t (*int8_peak)(int64_t n);
    int64_t (*float_peak)(int64_t n);
} EngKernels;

/* The table for a level, filled once per level, valid for ever; thread-safe. */
const EngKernels *eng_kernels(EngCpuLevel level);

/* The tables' products by name: the format's and that of the lowest level that has this kernel,
 * "q4_k.avx2". What a level multiplies a type with (NULL as in the table); and the i-th kernel of
 * all, by type and level, with its level, NULL when there are no more. */
const EngKernel *eng_kernel(EngCpuLevel level, EngType type);
const EngKernel *eng_kernel_at(int i, EngCpuLevel *ret_level);

#endif
