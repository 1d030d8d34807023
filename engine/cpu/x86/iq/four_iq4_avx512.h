/* One token and IQ4_XS on AVX-512 with VNNI, four rows at once: see four_iq_avx512.h.
 *
 * A 128-bit lane of quants is a group of 32 numbers, the first sixteen in low nibbles and the
 * others in high ones. A nibble is an index into sixteen weights, unsigned because they count from
 * -128; without VNNI the sum of two products would not fit. Sums of a lane are scaled as floats:
 * eight products of a byte each do not fit 16 bits either. */
#ifndef ENG_CPU_X86_IQ_FOUR_IQ4_AVX512_H
#define ENG_CPU_X86_IQ_FOUR_IQ4_AVX512_H

#include "cpu/x86/iq/four_iq_avx512.h"

/* x: of groups 0 … 3 the first numbers, the others; of groups 4 … 7 the same. */
INLINE void act_iq4(const Act *a, IqAct *to)
{
    Ints sums[2];
    to->d = a->d;
    UNROLL for (int v = 0; v < 2; v++)
    {
        Ints low = load(a->q + 128 * v), high = load(a->q + 128 * v + 64);
        to->x[2 * v] = _mm512_shuffle_i64x2(low, high, 0x88);
        to->x[2 * v + 1] = _mm512_shuffle_i64x2(low, high, 0xdd);
        sums[v] = add_fours(zero(), bytes(128), to->x[2 * v]);
        sums[v] = sub32(zero(), add_fours(sums[v], bytes(128), to->x[2 * v + 1]));
    }
    to->sums = sums[0], to->down = sums[1];
}

/* Eight words for each row, a lane each, from the first 8 bytes of a block: d, two more bits of
 * each scale, and nibbles. */
INLINE Ints scales_of_iq4(Ints heads)
{
    const Ints low_at = _mm512_broadcast_i32x4(
        _mm_setr_epi16((short)low_of(4), (short)low_of(4), (short)low_of(5), (short)low_of(5),
                       (short)low_of(6), (short)low_of(6), (short)low_of(7), (short)low_of(7)));
    const Ints high_at = _mm512_broadcast_i32x4(
        _mm_setr_epi16((short)high_of(2), (short)high_of(2), (short)high_of(2), (short)high_of(2),
                       (short)high_of(3), (short)high_of(3), (short)high_of(3), (short)high_of(3)));
    const Ints low_down = _mm512_set1_epi64(0x0004000000040000);
    const Ints high_down = _mm512_set1_epi64(0x000a000800060004);
    Ints low = _mm512_srlv_epi16(lookup(heads, low_at), low_down);
    Ints high = _mm512_srlv_epi16(lookup(heads, high_at), high_down);
    low = or_bits(and(low, _mm512_set1_epi16(15)), high, _mm512_set1_epi16(48));
    return _mm512_sub_epi16(low, _mm512_set1_epi16(32));
}

INLINE void four_iq4_xs(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    const Ints lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const Ints halves = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2);
    const Ints weights = _mm512_xor_si512(in_lanes(load16(eng_values_iq4)), bytes(128));
    Ints heads = four_heads(w, 0), s = scales_of_iq4(heads);
    Floats d = _mm512_castps256_ps512(four_d(heads, 0, a->d));
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        __m256i two = r < 2 ? _mm512_castsi512_si256(s) : _mm512_extracti64x4_epi64(s, 1);
        Floats ds =
            _mm512_permutexvar_ps(_mm512_add_epi32(halves, _mm512_set1_epi32(r / 2 * 4)), d);
        ds = mul(ds, floats(_mm512_cvtepi16_epi32(two))); /* of two rows: found once for both */
        UNROLL for (int v = 0; v < 2; v++)
        {
            Ints qs = load_once(((const EngBlockIQ4_XS *)w[r])->qs + 64 * v);
            Ints low = lookup(weights, and(qs, bytes(15)));
            Ints high = lookup(weights, and(right(qs, 4), bytes(15)));
            Ints sum = add_fours(v ? a->down : a->sums, low, a->x[2 * v]);
            sum = add_fours(sum, high, a->x[2 * v + 1]);
            Ints own = _mm512_add_epi32(lanes, _mm512_set1_epi32(r % 2 * 8 + 4 * v));
            sums->acc[r] = mul_add(_mm512_permutexvar_ps(own, ds), floats(sum), sums->acc[r]);
        }
    }
}

#endif
