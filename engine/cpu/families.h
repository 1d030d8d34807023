/* The portable kernels by family. Each call fills the slots of its family in the table. */
#ifndef ENG_CPU_FAMILIES_H
#define ENG_CPU_FAMILIES_H

#include "cpu/kernels.h"

void eng_kernels_dot_float_c(EngKernels *k);  /* F32 F16 BF16 */
void eng_kernels_dot_legacy_c(EngKernels *k); /* 32-number blocks, and their activations */
void eng_kernels_dot_k_c(EngKernels *k);      /* 256-number blocks, and their activations */
void eng_kernels_attn_c(EngKernels *k);
void eng_kernels_elem_c(EngKernels *k);

/* Largest magnitude in x; NaN when a NaN or an infinity is in x. Magnitudes of floats order like
 * the integers of their bits, and everything that is not finite lies above everything that is. */
static inline float eng_finite_amax(const float *x, int n)
{
    uint32_t bits = 0;
    for (int i = 0; i < n; i++) {
        uint32_t b;
        __builtin_memcpy(&b, x + i, sizeof b);
        b &= 0x7fffffff;
        bits = b > bits ? b : bits;
    }
    if (bits >= 0x7f800000) bits = 0x7fc00000;
    float amax;
    __builtin_memcpy(&amax, &bits, sizeof amax);
    return amax;
}

/* What is added to the weight of position i before it is rounded to 16 bits, in [-1/2, 1/2]: steps
 * of the golden ratio, so that of equal weights every few neighbours have the right sum. */
static inline float eng_i16_dither(int i)
{
    return (float)(int32_t)((uint32_t)i * 2654435769u) * 0x1p-32f;
}

/* Factor that takes a block with this magnitude to [-127, 127]. 0 for NaN (d carries it) and for
 * blocks so small that the factor would overflow. */
static inline float eng_quant_factor(float amax) { return amax > 0x1p-120f ? 127.0f / amax : 0.0f; }

#endif
