/* What the kernel checks share: the kernels under comparison, buffers that end where the data ends,
 * and inputs built to reach each branch.
 *
 * Every check runs once per level of the ladder above C and only for pointers that the level
 * changed. The portable twin is the specification; the twins themselves are checked against
 * double precision on decoded weights. */
#ifndef KERNEL_CHECK_H
#define KERNEL_CHECK_H

#include <math.h>
#include "base/num.h"
#include "cpu/kernels.h"
#include "test.h"

/* The name of the kernel that runs now; the handler of SIGILL and SIGSEGV prints it. */
extern char kernel_now[64];
void kernel_name(const char *kernel, const char *type, EngCpuLevel level);

/* Calls check(level, table of the level, table of the level below) up the ladder. AVX-VNNI is also
 * checked on machines that have its instructions in AVX-512's encoding alone, and AMX on those that
 * have what its kernels need besides, by the model of amx_model.h. */
void each_level(void (*check)(EngCpuLevel level, const EngKernels *k, const EngKernels *below));

/* n_rows rows of `row` bytes, `stride` bytes apart, in a block of malloc that ends with the last
 * row: ASan sees a kernel that reads on. free(base). */
typedef struct {
    uint8_t *base;
    size_t stride;
} Rows;
Rows rows_new(int n_rows, size_t row, size_t pad);

typedef enum {
    WEIGHTS_RANDOM,
    WEIGHTS_ALL_ONES, /* every quant and group scale at its largest pattern */
    WEIGHTS_ALL_80,   /* -128 in signed bytes */
    WEIGHTS_ZERO,
    WEIGHTS_SUBNORMAL, /* subnormal half scales */
    WEIGHTS_EXTREME,   /* scales at +-65504 */
    WEIGHTS_KINDS
} WeightKind;
void fill_weights(EngType type, WeightKind kind, Rows w, int n_rows, int64_t n);

typedef enum {
    ACT_RANDOM,
    ACT_ALL_MAX,   /* each quant +127 */
    ACT_ALL_MIN,   /* each quant -127 */
    ACT_ALTERNATE, /* +127, -127, … */
    ACT_ZERO,
    ACT_OUTLIER, /* one number a million times the others */
    ACT_KINDS
} ActKind;
void fill_floats(ActKind kind, float *x, int64_t n);

void check_matmul(void);
void check_matmul_c(void);
void check_matmul_one_token(void);
void check_matmul_together(void);
void check_matmul_nan(void);
void check_quantize(void);
void check_gemm(void);
void check_elem(void);
void check_soften(void);
void check_attn_q8(void);
void check_attn_i16(void);
void check_attn_few(void);
void check_cpu_mask(void);
void check_amx_model(void);

int bench(int argc, char **argv);

/* Sixteen queries are a vector; memory is aligned as the engine's is. */
enum { LANES = 16 };

static inline float *floats_new(size_t n)
{
    return aligned_alloc(64, (size_t)eng_align_up(n * sizeof(float) + 1, 64));
}

static inline float *random_floats(size_t n, float size)
{
    float *x = floats_new(n);
    for (size_t i = 0; i < n; i++) x[i] = test_float() * size;
    return x;
}

#endif
