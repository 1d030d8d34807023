/* One token with rows in pairs, a half of each vector per row, on AVX-512 with VNNI and VBMI: how
 * the kernels of the codebook formats look entries up in registers. A permutation looks 64 bytes up
 * among 128 in half a cycle on Zen 5. */
#ifndef ENG_CPU_X86_IQ_PAIR_VBMI_H
#define ENG_CPU_X86_IQ_PAIR_VBMI_H

#include "cpu/x86/four_k_avx512.h"

INLINE Ints find_128(const uint8_t *table, Ints index)
{
    return _mm512_permutex2var_epi8(load(table), index, load(table + 64));
}

INLINE Ints choose8(__mmask64 where, Ints a, Ints b) { return _mm512_mask_blend_epi8(where, a, b); }

/* Of two pairs at once, as the loads of a large table are as many as the ports have room for, from
 * `parts` of 128; bit[p][b]: where an index has the value 128 << b. Parts are chosen among by one
 * bit after the other, as early as there are two, for registers are few. */
INLINE void find_parts(const uint8_t *table, int parts, const Ints index[2], __mmask64 bit[2][4],
                       Ints ret[2])
{
    Ints wait[2][4];
    UNROLL for (int part = 0; part < parts; part++)
    {
        Ints low = load_once(table + 128 * part), high = load_once(table + 128 * part + 64);
        UNROLL for (int p = 0; p < 2; p++)
        {
            Ints found = _mm512_permutex2var_epi8(low, index[p], high);
            int b = 0;
            for (; part >> b & 1; b++) found = choose8(bit[p][b], wait[p][b], found);
            if (part == parts - 1)
                ret[p] = found;
            else
                wait[p][b] = found;
        }
    }
}

INLINE __m256i both16(__m128i low, __m128i high) { return _mm256_set_m128i(high, low); }

/* 16 or 32 bytes at `at` of a pair of rows. */
INLINE __m256i pair16(const char *const w[2], size_t at)
{
    return both16(load16(w[0] + at), load16(w[1] + at));
}
INLINE Ints pair32(const char *const w[2], size_t at)
{
    return two_runs((const int8_t *)w[0] + at, (const int8_t *)w[1] + at);
}

/* 8 bytes at `at`, four times of each row. */
INLINE Ints pair8(const char *const w[2], size_t at)
{
    long long a, b;
    memcpy(&a, w[0] + at, sizeof a);
    memcpy(&b, w[1] + at, sizeof b);
    return _mm512_mask_set1_epi64(_mm512_set1_epi64(a), 0xf0, b);
}

INLINE Floats pair_d(uint16_t first, uint16_t second, float dx)
{
    __m256i halves = both16(_mm_set1_epi16((short)first), _mm_set1_epi16((short)second));
    return mul(_mm512_cvtph_ps(halves), all(dx));
}

/* The d that blocks of a pair of rows begin with. */
INLINE Floats pair_d_of(const char *const w[2], float dx)
{
    uint16_t d[2];
    UNROLL for (int s = 0; s < 2; s++) memcpy(d + s, w[s], sizeof d[s]);
    return pair_d(d[0], d[1], dx);
}

/* Of 64 numbers the eight at each place of an eight. */
INLINE void turn_eights(const Act *a, Ints ret[4])
{
    const Ints turn = _mm512_set_epi64(0x3f372f271f170f07, 0x3e362e261e160e06, 0x3d352d251d150d05,
                                       0x3c342c241c140c04, 0x3b332b231b130b03, 0x3a322a221a120a02,
                                       0x3931292119110901, 0x3830282018100800);
    UNROLL for (int v = 0; v < 4; v++) ret[v] = _mm512_permutexvar_epi8(turn, load(a->q + 64 * v));
}

/* Number i of all 32 eights, twice. */
INLINE Ints number_of_eights(const Ints turned[4], int i)
{
    const Ints pick = _mm512_setr_epi64(i, 8 + i, i, 8 + i, i, 8 + i, i, 8 + i);
    Ints low = _mm512_permutex2var_epi64(turned[0], pick, turned[1]);
    Ints high = _mm512_permutex2var_epi64(turned[2], pick, turned[3]);
    return _mm512_mask_blend_epi64(0xcc, low, high);
}

#endif
