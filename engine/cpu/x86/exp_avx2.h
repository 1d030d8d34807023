/* exp of eight floats, for the softmax and for SiLU. */
#ifndef ENG_CPU_X86_EXP_AVX2_H
#define ENG_CPU_X86_EXP_AVX2_H

#include "cpu/x86/avx2.h"
#include "cpu/x86/exp.h"

/* 2^k is applied in two steps, so that results below the normal range and up to the largest float
 * come out right. Below -104 the result is 0, above 89 infinite; NaN stays. */
INLINE Floats exp8(Floats x)
{
    /* min and max return their second operand when either is NaN */
    x = _mm256_min_ps(all(89.0f), _mm256_max_ps(all(-104.0f), x));
    Floats k = _mm256_round_ps(_mm256_mul_ps(x, all(1.44269504f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    Floats p = exp_rest(x, k);
    Ints whole = _mm256_cvtps_epi32(k), first = _mm256_srai_epi32(whole, 1);
    Ints second = sub32(whole, first), bias = _mm256_set1_epi32(127);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(left(add32(first, bias), 23)));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(left(add32(second, bias), 23)));
}

#endif
