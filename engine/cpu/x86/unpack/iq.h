/* Pieces of the codebook formats' heads that need no more than 128 bits. Included by the families
 * of those formats after their instruction set's words. */
#ifndef ENG_CPU_X86_UNPACK_IQ_H
#define ENG_CPU_X86_UNPACK_IQ_H

/* DO(type, name) for each format. */
#define EACH_IQ(DO)                                                                                \
    DO(ENG_TYPE_IQ1_S, iq1_s);                                                                     \
    DO(ENG_TYPE_IQ1_M, iq1_m);                                                                     \
    DO(ENG_TYPE_IQ2_XXS, iq2_xxs);                                                                 \
    DO(ENG_TYPE_IQ2_XS, iq2_xs);                                                                   \
    DO(ENG_TYPE_IQ2_S, iq2_s);                                                                     \
    DO(ENG_TYPE_IQ3_XXS, iq3_xxs);                                                                 \
    DO(ENG_TYPE_IQ3_S, iq3_s);                                                                     \
    DO(ENG_TYPE_IQ4_XS, iq4_xs);

INLINE __m128i odd(__m128i s) /* 2 s + 1 */
{
    return _mm_add_epi8(_mm_add_epi8(s, s), _mm_set1_epi8(1));
}

INLINE __m128i load8(const void *p) { return _mm_loadl_epi64((const __m128i *)p); }

/* Nibbles of up to eight bytes, in their order. */
INLINE __m128i nibbles(__m128i both)
{
    const __m128i four = _mm_set1_epi8(15);
    return _mm_unpacklo_epi8(_mm_and_si128(both, four),
                             _mm_and_si128(_mm_srli_epi16(both, 4), four));
}

/* Scales of 32 numbers become those of 16, and back. */
INLINE __m128i doubled(__m128i s) { return _mm_unpacklo_epi8(s, s); }

INLINE __m128i every_second(__m128i s)
{
    return _mm_shuffle_epi8(
        s, _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, -1, -1, -1, -1, -1, -1, -1, -1));
}

INLINE __m128i scales_iq1_s(__m128i qh)
{
    __m128i s = _mm_and_si128(_mm_srli_epi16(qh, 12), _mm_set1_epi16(7));
    return doubled(odd(_mm_packus_epi16(s, s)));
}

INLINE __m128i scales_iq3_s(const uint8_t scales[4])
{
    return doubled(odd(nibbles(_mm_cvtsi32_si128((int)word(scales)))));
}

INLINE __m128i scales_iq4_xs(const EngBlockIQ4_XS *b)
{
    /* the pair of bits of scale i, times 2^(14 - 2 i), is at the top of 16 bits */
    __m128i high = _mm_mullo_epi16(_mm_set1_epi16((short)b->scales_h),
                                   _mm_setr_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 64, 16, 4, 1));
    high = _mm_slli_epi16(_mm_srli_epi16(high, 14), 4);
    __m128i low = nibbles(_mm_cvtsi32_si128((int)word(b->scales_l)));
    __m128i s = _mm_or_si128(low, _mm_packus_epi16(high, high));
    return doubled(_mm_sub_epi8(s, _mm_set1_epi8(32)));
}

#endif
