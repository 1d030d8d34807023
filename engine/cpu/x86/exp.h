/* exp of small numbers. Written once for every instruction set: the file that includes this has
 * defined Floats, all, mul_add and sub_mul. */
#ifndef ENG_CPU_X86_EXP_H
#define ENG_CPU_X86_EXP_H

/* exp(x) = 2^k * exp(r) with k = round(x / ln 2), |r| <= ln 2 / 2: this is exp(r). ln 2 as a float
 * is off by 2^-29, which k <= 150 of them take to 2^-22; 1 + r and four terms more have by Remez'
 * exchange a relative error of 2^-22. */
INLINE Floats exp_rest(Floats x, Floats k)
{
    Floats r = sub_mul(x, k, all(0.693147181f));
    Floats p = all(8.36915816e-3f);
    p = mul_add(p, r, all(4.1917580e-2f));
    p = mul_add(p, r, all(0.166665231f));
    p = mul_add(p, r, all(0.499989945f));
    p = mul_add(p, r, all(1.0f));
    return mul_add(p, r, all(1.0f));
}

#endif
