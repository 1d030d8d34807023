/* Products of weights with activations, by name: what a rule can choose for a tensor. The CPU has
 * its own for each format and instruction set (cpu/kernels.h); plug-ins add more (registry.h). The
 * GPU's, one for each format (cuda/cuda.h), stand for all launches that multiply with it. */
#ifndef ENG_PLAN_KERNEL_KERNEL_H
#define ENG_PLAN_KERNEL_KERNEL_H

#include <ctype.h>
#include <stdio.h>

#include "load/quant.h"

/* y[t * y_stride + r] = dot(row r of w, row t of x) for r < n_rows, t < n_tokens.
 * n: numbers per row, a multiple of the weight type's block. w_stride, x_stride: bytes from one row
 * to the next. y_stride: floats. x is in the kernel's form of activations.
 * The result for (r, t) must not depend on n_rows or n_tokens by more than float reordering, and
 * for n_tokens == 1 not on n_rows at all (rows are dealt to threads in any grouping). */
typedef void EngMatmulFn(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
                         const void *x, size_t x_stride, float *y, size_t y_stride);

typedef struct EngKernel {
    const char *name;    /* "q4_k.vnni" */
    EngType type;        /* of the weights */
    EngAct act;          /* form in which it takes activations */
    EngMatmulFn *matmul; /* NULL: the GPU's */
} EngKernel;

enum { ENG_KERNEL_NAME = 24 };

/* "q4_k.cuda": of a format and what the kernel was written for. */
static inline void eng_kernel_name(EngType type, const char *level, char ret[ENG_KERNEL_NAME])
{
    snprintf(ret, ENG_KERNEL_NAME, "%s.%s", eng_type_info(type)->name, level);
    for (char *c = ret; *c; c++) *c = (char)tolower((unsigned char)*c);
}

#endif
