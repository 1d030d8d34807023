/* AVX-512, with VNNI where that is at hand, in plain words: the same words as avx2.h, twice as
 * wide. Included only by files that are compiled with those flags; those that multiply block
 * formats are compiled twice, without VNNI and with it, and ISA names what they export. */
#ifndef ENG_CPU_X86_AVX512_H
#define ENG_CPU_X86_AVX512_H

#include <immintrin.h>
#include "base/num.h"
#include "cpu/kernels.h"

typedef __m512i Ints; /* 64 x 8, 32 x 16 or 16 x 32 bits */
typedef __m512 Floats;

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE Ints load(const void *p) { return _mm512_loadu_si512(p); }
INLINE __m128i load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE __m256i load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE Ints twice(const void *p) { return _mm512_broadcast_i64x4(load32(p)); } /* 32 bytes */
INLINE void store(void *p, Ints a) { _mm512_storeu_si512(p, a); }
INLINE Floats loadf(const float *p) { return _mm512_loadu_ps(p); }
INLINE void storef(float *p, Floats a) { _mm512_storeu_ps(p, a); }
INLINE Ints zero(void) { return _mm512_setzero_si512(); }
INLINE Ints and (Ints a, Ints b) { return _mm512_and_si512(a, b); }
INLINE Ints or (Ints a, Ints b) { return _mm512_or_si512(a, b); }
INLINE Ints bytes(int a) { return _mm512_set1_epi8((char)a); }
INLINE Ints each32(int a) { return _mm512_set1_epi32(a); }
INLINE Ints in_lanes(__m128i a) { return _mm512_broadcast_i32x4(a); } /* of 128 bits */
INLINE Ints add8(Ints a, Ints b) { return _mm512_add_epi8(a, b); }
/* Bytes of `value` where those of a share a bit with `bits`. */
INLINE Ints where_set(Ints a, Ints bits, Ints value)
{
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(a, bits), value);
}
INLINE Ints sub8(Ints a, Ints b) { return _mm512_sub_epi8(a, b); }
INLINE Ints sub32(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
/* Bytes have no shifts of their own: bits that cross into a neighbour must be masked off. */
INLINE Ints right(Ints a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
INLINE Ints left(Ints a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
/* The lower half by `low`, the upper half by `high` bits. */
INLINE Ints halves_of(int low, int high)
{
    return _mm512_inserti64x4(_mm512_set1_epi32(low), _mm256_set1_epi32(high), 1);
}
INLINE Ints rights(Ints a, int low, int high) { return _mm512_srlv_epi32(a, halves_of(low, high)); }
INLINE Ints lefts(Ints a, int low, int high) { return _mm512_sllv_epi32(a, halves_of(low, high)); }
/* a unsigned, b signed bytes: 32 sums of two products, *saturated* to 16 bits. */
INLINE Ints pairs_u8(Ints a, Ints b) { return _mm512_maddubs_epi16(a, b); }
/* sum + 16 sums of four products of unsigned a and signed b bytes, any two of which fit 16 bits
 * (without VNNI they must); of two products of 16 bits. */
#if defined(__AVX512VNNI__)
#define ISA(name) name##_vnni
INLINE int zero_left(int zero_point, int most) { return (void)most, zero_point; }
INLINE Ints add_fours(Ints sum, Ints a, Ints b) { return _mm512_dpbusd_epi32(sum, a, b); }
INLINE Ints add_pairs(Ints sum, Ints a, Ints b) { return _mm512_dpwssd_epi32(sum, a, b); }
#else
#define ISA(name) name##_avx512
#if !defined(__clang__)
__asm__(".arch .noavx512_vnni"); /* a VNNI instruction in plain text would not be noticed */
#endif
INLINE Ints add_pairs(Ints sum, Ints a, Ints b)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}
INLINE Ints add_fours(Ints sum, Ints a, Ints b)
{
    return add_pairs(sum, pairs_u8(a, b), _mm512_set1_epi16(1));
}
/* Of a less 128, whose bytes may be any: their signs go to b. */
INLINE Ints add_wide_fours(Ints sum, Ints a, Ints b)
{
    Ints less = _mm512_xor_si512(a, bytes(-128));
    __mmask64 minus = _mm512_movepi8_mask(less);
    return add_fours(sum, _mm512_abs_epi8(less), _mm512_mask_sub_epi8(b, minus, zero(), b));
}
/* How many of `steps` sums of two products 16 bits have room for when bytes reach `most`: a power
 * of two; 0: none. */
INLINE int chain_of(int most, int steps)
{
    int chain = 32767 / (2 * 127 * most);
    return chain >= steps ? steps : chain >= 4 ? 4 : chain >= 2 ? 2 : chain;
}
/* What is left to take off the sums of bytes that count from `zero_point`. */
INLINE int zero_left(int zero_point, int most)
{
    return chain_of(most, 1) == 0 ? zero_point - 128 : zero_point;
}
INLINE Ints add_step(Ints part, bool first, Ints a, Ints b)
{
    return first ? pairs_u8(a, b) : _mm512_add_epi16(part, pairs_u8(a, b));
}
#endif
INLINE Ints lookup(Ints table, Ints index) { return _mm512_shuffle_epi8(table, index); }
INLINE Floats floats(Ints a) { return _mm512_cvtepi32_ps(a); }
INLINE Floats all(float a) { return _mm512_set1_ps(a); }
INLINE Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
INLINE Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
INLINE Floats mul_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
/* c - a b */
INLINE Floats sub_mul(Floats c, Floats a, Floats b) { return _mm512_fnmadd_ps(a, b, c); }
INLINE float total(Floats a) { return _mm512_reduce_add_ps(a); }

/* Of four vectors at once, in a third of the instructions; each is added up in the same order. */
INLINE __m128 four_totals(const Floats a[4])
{
    Floats ab = _mm512_add_ps(_mm512_unpacklo_ps(a[0], a[1]), _mm512_unpackhi_ps(a[0], a[1]));
    Floats cd = _mm512_add_ps(_mm512_unpacklo_ps(a[2], a[3]), _mm512_unpackhi_ps(a[2], a[3]));
    Floats all = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

INLINE float half(uint16_t h) { return _cvtsh_ss(h); }

/* Four bytes of any alignment. */
INLINE uint32_t word(const void *p)
{
    uint32_t w;
    __builtin_memcpy(&w, p, sizeof w);
    return w;
}

INLINE Ints all_words(const void *p) { return _mm512_set1_epi32((int)word(p)); }

/* 16 bytes at `w` of sixteen rows, turned: ret[i] holds bytes 4 i … 4 i + 3 of each row. */
INLINE void columns(const char *w, size_t w_stride, Ints ret[4])
{
    Ints row[4];
    UNROLL for (size_t i = 0; i < 4; i++)
    {
        const char *at = w + i * w_stride;
        row[i] = _mm512_castsi128_si512(load16(at));
        row[i] = _mm512_inserti32x4(row[i], load16(at + 4 * w_stride), 1);
        row[i] = _mm512_inserti32x4(row[i], load16(at + 8 * w_stride), 2);
        row[i] = _mm512_inserti32x4(row[i], load16(at + 12 * w_stride), 3);
    }
    Ints a = _mm512_unpacklo_epi32(row[0], row[1]), b = _mm512_unpackhi_epi32(row[0], row[1]);
    Ints c = _mm512_unpacklo_epi32(row[2], row[3]), d = _mm512_unpackhi_epi32(row[2], row[3]);
    ret[0] = _mm512_unpacklo_epi64(a, c), ret[1] = _mm512_unpackhi_epi64(a, c);
    ret[2] = _mm512_unpacklo_epi64(b, d), ret[3] = _mm512_unpackhi_epi64(b, d);
}

/* Four bytes at `w` of sixteen rows. */
INLINE Ints column(const char *w, size_t w_stride)
{
    int v[16];
    UNROLL for (size_t i = 0; i < 16; i++) v[i] = (int)word(w + i * w_stride);
    return _mm512_setr_epi32(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10],
                             v[11], v[12], v[13], v[14], v[15]);
}

/* Half floats in the low 16 bits of each lane. */
INLINE Floats low_halves(Ints a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }

INLINE Ints byte_of(Ints a, int i) /* signed byte i of each lane, as 32 bits */
{
    return _mm512_srai_epi32(left(a, 24 - 8 * i), 24);
}

#endif
