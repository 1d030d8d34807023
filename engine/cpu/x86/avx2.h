/* AVX2, FMA and F16C in plain words, and what the AVX2 kernels share. Included only by files that
 * are compiled with those flags. The products with block formats are compiled a second time, with
 * AVX-VNNI; ISA names what they export. Tests compile them once more, with the same instructions in
 * AVX-512's encoding, which other machines have. */
#ifndef ENG_CPU_X86_AVX2_H
#define ENG_CPU_X86_AVX2_H

#include <immintrin.h>
#include "base/num.h"
#include "cpu/kernels.h"

typedef __m256i Ints; /* 32 x 8, 16 x 16 or 8 x 32 bits */
typedef __m256 Floats;

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE Ints load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE __m128i load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE void store(void *p, Ints a) { _mm256_storeu_si256((__m256i *)p, a); }
INLINE Floats loadf(const float *p) { return _mm256_loadu_ps(p); }
INLINE void storef(float *p, Floats a) { _mm256_storeu_ps(p, a); }
INLINE Ints and (Ints a, Ints b) { return _mm256_and_si256(a, b); }
INLINE Ints or (Ints a, Ints b) { return _mm256_or_si256(a, b); }
INLINE Ints bytes(int a) { return _mm256_set1_epi8((char)a); }
INLINE Ints each32(int a) { return _mm256_set1_epi32(a); }
INLINE Ints in_lanes(__m128i a) { return _mm256_broadcastsi128_si256(a); } /* of 128 bits */
INLINE Ints add8(Ints a, Ints b) { return _mm256_add_epi8(a, b); }
/* Bytes of `value` where those of a share a bit with `bits`. */
INLINE Ints where_set(Ints a, Ints bits, Ints value)
{
    Ints clear = _mm256_cmpeq_epi8(and(a, bits), _mm256_setzero_si256());
    return _mm256_andnot_si256(clear, value);
}
INLINE Ints add16(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
INLINE Ints add32(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
INLINE Ints sub8(Ints a, Ints b) { return _mm256_sub_epi8(a, b); }
INLINE Ints sub32(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
/* Bytes have no shifts of their own: bits that cross into a neighbour must be masked off. */
INLINE Ints right(Ints a, int n) { return _mm256_srli_epi32(a, n); }
INLINE Ints left(Ints a, int n) { return _mm256_slli_epi32(a, n); }
/* a unsigned, b signed bytes: 16 sums of two products, *saturated* to 16 bits. */
INLINE Ints pairs_u8(Ints a, Ints b) { return _mm256_maddubs_epi16(a, b); }
/* 8 sums of two products of 16 bits. */
INLINE Ints pairs_16(Ints a, Ints b) { return _mm256_madd_epi16(a, b); }

/* add_fours: sum + 8 sums of four products of unsigned a and signed b bytes; add_pairs: of two
 * products of 16 bits. A tile's products of one group of numbers are added step by step to `part`,
 * and then are `sums_of` or, each times its scale (which stands there twice), `scaled_sums_of` it.
 * Without VNNI a part has sums of 16 bits, and not more steps may be taken than these have room
 * for; two products must fit in any case. */
#if defined(__AVXVNNI__) || (defined(__AVX512VNNI__) && defined(__AVX512VL__))
#if defined(__AVXVNNI__)
#define ISA(name) name##_avxvnni
#else
#define ISA(name) name##_evex
#endif
#define WHOLE_GROUPS true
INLINE Ints add_fours(Ints sum, Ints a, Ints b) { return _mm256_dpbusd_epi32(sum, a, b); }
INLINE Ints add_pairs(Ints sum, Ints a, Ints b) { return _mm256_dpwssd_epi32(sum, a, b); }
INLINE Ints add_step(Ints part, bool first, Ints a, Ints b)
{
    return add_fours(first ? _mm256_setzero_si256() : part, a, b);
}
INLINE Ints sums_of(Ints part) { return part; }
INLINE Ints scaled_sums_of(Ints part, Ints scales)
{
    return _mm256_mullo_epi32(part, _mm256_srai_epi32(scales, 16));
}
#else
#define ISA(name) name##_avx2
#define WHOLE_GROUPS false
INLINE Ints add_pairs(Ints sum, Ints a, Ints b) { return add32(sum, pairs_16(a, b)); }
INLINE Ints add_fours(Ints sum, Ints a, Ints b)
{
    return add_pairs(sum, pairs_u8(a, b), _mm256_set1_epi16(1));
}
INLINE Ints add_step(Ints part, bool first, Ints a, Ints b)
{
    return first ? pairs_u8(a, b) : add16(part, pairs_u8(a, b));
}
INLINE Ints sums_of(Ints part) { return pairs_16(part, _mm256_set1_epi16(1)); }
INLINE Ints scaled_sums_of(Ints part, Ints scales) { return pairs_16(part, scales); }
#endif

INLINE Ints lookup(Ints table, Ints index) { return _mm256_shuffle_epi8(table, index); }
INLINE Ints join(__m128i low, __m128i high) { return _mm256_set_m128i(high, low); }
INLINE Floats floats(Ints a) { return _mm256_cvtepi32_ps(a); }
INLINE Floats all(float a) { return _mm256_set1_ps(a); }
INLINE Floats mul_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
/* c - a b */
INLINE Floats sub_mul(Floats c, Floats a, Floats b) { return _mm256_fnmadd_ps(a, b, c); }

INLINE float sum4(__m128 a)
{
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}

INLINE float total(Floats a)
{
    return sum4(_mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)));
}

INLINE float half(uint16_t h) { return _cvtsh_ss(h); }

/* Half floats in the low 16 bits of each lane. */
INLINE Floats low_halves(Ints a)
{
    Ints low = and(a, _mm256_set1_epi32(0xffff));
    Ints packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}

/* Four bytes of any alignment. */
INLINE uint32_t word(const void *p)
{
    uint32_t w;
    __builtin_memcpy(&w, p, sizeof w);
    return w;
}

/* 16 bytes at `w` of eight rows, turned: ret[i] holds bytes 4 i … 4 i + 3 of each row. */
INLINE void columns(const char *w, size_t w_stride, Ints ret[4])
{
    Ints row[4];
    UNROLL for (int i = 0; i < 4; i++) row[i] =
        join(load16(w + (size_t)i * w_stride), load16(w + (size_t)(i + 4) * w_stride));
    Ints a = _mm256_unpacklo_epi32(row[0], row[1]), b = _mm256_unpackhi_epi32(row[0], row[1]);
    Ints c = _mm256_unpacklo_epi32(row[2], row[3]), d = _mm256_unpackhi_epi32(row[2], row[3]);
    ret[0] = _mm256_unpacklo_epi64(a, c), ret[1] = _mm256_unpackhi_epi64(a, c);
    ret[2] = _mm256_unpacklo_epi64(b, d), ret[3] = _mm256_unpackhi_epi64(b, d);
}

/* Four bytes at `w` of eight rows. */
INLINE Ints column(const char *w, size_t w_stride)
{
    int v[8];
    UNROLL for (size_t i = 0; i < 8; i++) v[i] = (int)word(w + i * w_stride);
    return _mm256_setr_epi32(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
}

#endif
