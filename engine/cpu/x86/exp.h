/* exp of small numbers. Written once for every instruction set: the file that includes this has
 * defined Floats, all, mul_add and sub_mul. */
#ifndef ENG_CPU_X86_EXP_H
#define ENG_CPU_X86_EXP_H

/* exp(x) = 2^k * exp(r) with k = round(x / ln 2), |r| <= ln 2 / 2: this is exp(r), with ln 2 split
 * in two (Cody and Waite) and by Taylor's series to r^7, truncation below 2^-30. */
INLINE Floats exp_rest(Floats x, Floats k)
{
    Floats r = sub_mul(x, k, all(0.693359375f));
    r = sub_mul(r, k, all(-2.12194440e-4f));
    Floats p = all(1.0f / 5040);
    p = mul_add(p, r, all(1.0f / 720));
    p = mul_add(p, r, all(1.0f / 120));
    p = mul_add(p, r, all(1.0f / 24));
    p = mul_add(p, r, all(1.0f / 6));
    p = mul_add(p, r, all(0.5f));
    p = mul_add(p, r, all(1.0f));
    return mul_add(p, r, all(1.0f));
}

#endif
