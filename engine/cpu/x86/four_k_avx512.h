/* One token and the 256-number blocks on AVX-512, with VNNI or without: four rows at once, so that
 * what does not depend on the row (activations in the order of the quants) and what is small per
 * row (scales, minima, d) is computed once for four. A 128-bit lane of `heads` belongs to a row.
 *
 * Quants come in the order in which a block stores them: a vector is two runs of 32 numbers, whose
 * activations are put side by side. Scales are words that a byte shuffle finds for each lane. */
#ifndef ENG_CPU_X86_FOUR_K_AVX512_H
#define ENG_CPU_X86_FOUR_K_AVX512_H

#include "cpu/x86/k_avx512.h"

enum { FOUR = 4 };

typedef struct {
    Ints x[4];           /* activations in the order of the quants */
    Ints sums_a, sums_b; /* of groups 0 … 7 and 8 … 15, in each lane */
    float d;
} FourAct;

/* [16 rows' … ] acc: sums of each row; mins: lane r is to be subtracted from row r. */
typedef struct {
    Floats acc[FOUR], mins;
} FourSums;

/* In a register: folded into each use, a load would cross cache lines as many times. */
INLINE Ints load_once(const void *p)
{
    Ints a = load(p);
    __asm__("" : "+v"(a));
    return a;
}

typedef void FourFn(const char *const w[FOUR], const FourAct *a, FourSums *sums);

INLINE Ints lanes_of(const void *p) { return _mm512_broadcast_i32x4(load16(p)); }

INLINE Ints two_runs(const int8_t *low, const int8_t *high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(load32(low)), load32(high), 1);
}

/* `apart`: numbers between the two runs of a vector: 64 in Q4_K and Q5_K, 128 in Q2_K and Q3_K. */
INLINE void four_act(const Act *a, int apart, FourAct *to)
{
    to->sums_a = lanes_of(a->sums), to->sums_b = lanes_of(a->sums + 8), to->d = a->d;
    UNROLL for (int v = 0; v < 4; v++)
    {
        int from = apart == 64 ? v / 2 * 128 + v % 2 * 32 : 32 * v;
        to->x[v] = two_runs(a->q + from, a->q + from + apart);
    }
}

/* 16 bytes at `at` of each row, a lane each. */
INLINE Ints four_heads(const char *const w[FOUR], ptrdiff_t at)
{
    Ints h = _mm512_castsi128_si512(load16(w[0] + at));
    h = _mm512_inserti32x4(h, load16(w[1] + at), 1);
    h = _mm512_inserti32x4(h, load16(w[2] + at), 2);
    return _mm512_inserti32x4(h, load16(w[3] + at), 3);
}

INLINE Ints lane_all(Ints a, int lane)
{
    switch (lane) {
    case 0: return _mm512_shuffle_i32x4(a, a, 0x00);
    case 1: return _mm512_shuffle_i32x4(a, a, 0x55);
    case 2: return _mm512_shuffle_i32x4(a, a, 0xaa);
    default: return _mm512_shuffle_i32x4(a, a, 0xff);
    }
}

/* Shuffle indices: byte b of a lane to its low or high words' halves, the other half zero. */
INLINE int low_of(int b) { return 0x8000 | b; }
INLINE int high_of(int b) { return b << 8 | 0x80; }

INLINE Ints index_of(int a, int b, int c, int d) /* a word for each of four lanes */
{
    __m128i l0 = _mm_set1_epi16((short)a), l1 = _mm_set1_epi16((short)b);
    __m128i l2 = _mm_set1_epi16((short)c), l3 = _mm_set1_epi16((short)d);
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(l1, l0)),
                              _mm256_set_m128i(l3, l2), 1);
}

/* Bytes from … from + 7 of each lane as words, into their low or high halves. */
INLINE Ints eight_words(Ints a, int from, bool high)
{
    Ints index = _mm512_broadcast_i32x4(
        high ? _mm_setr_epi16((short)high_of(from), (short)high_of(from + 1),
                              (short)high_of(from + 2), (short)high_of(from + 3),
                              (short)high_of(from + 4), (short)high_of(from + 5),
                              (short)high_of(from + 6), (short)high_of(from + 7))
             : _mm_setr_epi16((short)low_of(from), (short)low_of(from + 1), (short)low_of(from + 2),
                              (short)low_of(from + 3), (short)low_of(from + 4),
                              (short)low_of(from + 5), (short)low_of(from + 6),
                              (short)low_of(from + 7)));
    return lookup(a, index);
}

INLINE Ints rol_halves(Ints a, int low, int high)
{
    return _mm512_rolv_epi32(a, halves_of(low, high));
}

INLINE Ints or_bits(Ints a, Ints b, Ints mask) /* a | b & mask */
{
    return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
}

/* d and dmin of four rows, from dword `at` of each lane, times dx. */
INLINE __m256 four_d(Ints heads, int at, float dx)
{
    Ints index = _mm512_setr_epi32(at, at + 4, at + 8, at + 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    __m128i halves = _mm512_castsi512_si128(_mm512_permutexvar_epi32(index, heads));
    return _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(dx));
}

/* Entry 2 r + which of d, in lane r. */
INLINE Floats d_by_lane(__m256 d, int which)
{
    Ints index = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
    return _mm512_permutexvar_ps(_mm512_add_epi32(index, _mm512_set1_epi32(which)),
                                 _mm512_castps256_ps512(d));
}

INLINE __m128 lane_totals(Floats a)
{
    const Ints firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    a = _mm512_add_ps(a, _mm512_permute_ps(a, 0x4e));
    a = _mm512_add_ps(a, _mm512_permute_ps(a, 0xb1));
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, a));
}

INLINE void four_add(FourSums *sums, int r, const float *d, Ints products)
{
    sums->acc[r] = mul_add(all(d[2 * r]), floats(products), sums->acc[r]);
}

/* ---- Q4_K, Q5_K ------------------------------------------------------------------------------ */

/* Lanes [d dmin, a, c, top] become bytes [s4 … s7, s0 … s3, m0 … m7]. */
INLINE Ints scales_and_mins_of_32(Ints heads)
{
    Ints first = and(heads, bytes(63)), low = _mm512_shuffle_epi32(heads, _MM_PERM_DDDD);
    low = _mm512_srlv_epi32(low, _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 4, 0)));
    Ints second = or_bits(and(low, bytes(15)), right(heads, 2), bytes(48));
    return _mm512_mask_shuffle_epi32(first, 0x9999, second, _MM_PERM_CCBB);
}

INLINE Ints index_of_32(int v) /* scales of groups g and g + 2 */
{
    int g = v / 2 * 4 + v % 2, a = low_of((g + 4) % 8), b = low_of((g + 6) % 8);
    return index_of(a, a, b, b);
}

INLINE void four_of_32(const char *const w[FOUR], const FourAct *a, FourSums *sums, bool fifth)
{
    Ints heads = four_heads(w, 0), both = scales_and_mins_of_32(heads);
    __m256 dd = four_d(heads, 0, a->d);
    float d[8] __attribute__((aligned(32)));
    _mm256_store_ps(d, dd);
    /* a minimum serves two groups of 16 sums */
    const __m128i twice_low =
        _mm_setr_epi16((short)low_of(8), (short)low_of(8), (short)low_of(9), (short)low_of(9),
                       (short)low_of(10), (short)low_of(10), (short)low_of(11), (short)low_of(11));
    Ints index = _mm512_broadcast_i32x4(twice_low);
    Ints mins = _mm512_madd_epi16(lookup(both, index), a->sums_a);
    index = _mm512_add_epi16(index, _mm512_set1_epi16(4));
    mins = add_pairs(mins, lookup(both, index), a->sums_b);
    sums->mins = mul_add(d_by_lane(dd, 1), floats(mins), sums->mins);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        const char *qs = w[r] + (fifth ? 48 : 16);
        Ints scales = lane_all(both, r), sum = zero(), nibbles = zero();
        Ints top = fifth ? twice(w[r] + 16) : zero();
        UNROLL for (int v = 0; v < 4; v++)
        {
            static const int turn[4][2] = {{4, 2}, {3, 1}, {0, 30}, {31, 29}};
            if (v % 2 == 0) nibbles = load_once(qs + v / 2 * 64);
            Ints q = and(right(nibbles, v % 2 * 4), bytes(15));
            if (fifth) q = or_bits(q, rol_halves(top, turn[v][0], turn[v][1]), bytes(16));
            sum = add_pairs(sum, lookup(scales, index_of_32(v)), pairs_u8(q, a->x[v]));
        }
        four_add(sums, r, d, sum);
    }
}

INLINE void four_q4_k(const char *const w[FOUR], const FourAct *a, FourSums *sums)
{
    four_of_32(w, a, sums, false);
}

INLINE void four_q5_k(const char *const w[FOUR], const FourAct *a, FourSums *sums)
{
    four_of_32(w, a, sums, true);
}

/* ---- Q2_K, Q3_K ------------------------------------------------------------------------------ */

/* Numbers of vectors v and v + 1, v even, are two fields of a byte, and the second stay where they
 * are, four times too large. So are the scales of the first. Sums of four products fit 16 bits,
 * those of both vectors one, and a lane of each vector shares a scale. */

INLINE Ints index_of_16(int v, bool high) /* scales for the sums of vectors v and v + 1 */
{
    const Ints second =
        _mm512_set4_epi32(high ? 0x02000200 : 0x00020002, high ? 0x02000200 : 0x00020002, 0, 0);
    int g = 2 * v;
    Ints first = high ? index_of(high_of(g), high_of(g + 1), high_of(g + 8), high_of(g + 9))
                      : index_of(low_of(g), low_of(g + 1), low_of(g + 8), low_of(g + 9));
    return _mm512_add_epi8(first, second);
}

INLINE Ints add_scaled(Ints sum, Ints scales, int v, bool high, const Ints q[4], const Ints x[4])
{
    Ints first = add_fours(zero(), q[v], x[v]), second = add_fours(zero(), q[v + 1], x[v + 1]);
    return add_pairs(sum, lookup(scales, index_of_16(v, high)), _mm512_packs_epi32(first, second));
}

INLINE void four_q2_k(const char *const w[FOUR], const FourAct *a, FourSums *sums)
{
    const EngBlockQ2_K *b[FOUR];
    UNROLL for (int r = 0; r < FOUR; r++) b[r] = (const EngBlockQ2_K *)w[r];
    Ints heads = four_heads(w, offsetof(EngBlockQ2_K, scales));
    Ints m = and(right(heads, 4), bytes(15)), s = and(heads, bytes(15));
    s = _mm512_mask_slli_epi16(s, 0x55555555, s, 2);
    __m128i halves = _mm_setr_epi32((int)word(&b[0]->d), (int)word(&b[1]->d), (int)word(&b[2]->d),
                                    (int)word(&b[3]->d));
    __m256 dd = _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(a->d));
    float d[8] __attribute__((aligned(32)));
    _mm256_store_ps(d, _mm256_mul_ps(dd, _mm256_set1_ps(0.25f)));
    Ints mins = _mm512_madd_epi16(eight_words(m, 0, false), a->sums_a);
    mins = add_pairs(mins, eight_words(m, 8, false), a->sums_b);
    sums->mins = mul_add(d_by_lane(dd, 1), floats(mins), sums->mins);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        Ints scales = lane_all(s, r), qs = load_once(b[r]->qs), last = right(qs, 4), sum = zero();
        Ints q[4] = {and(qs, bytes(3)), and(qs, bytes(12)), and(last, bytes(3)),
                     and(last, bytes(12))};
        UNROLL for (int v = 0; v < 4; v += 2) sum = add_scaled(sum, scales, v, false, q, a->x);
        four_add(sums, r, d, sum);
    }
}

/* Scales are signed and stand in the high halves of words, 256 times too large. */
INLINE void four_q3_k(const char *const w[FOUR], const FourAct *a, FourSums *sums)
{
    /* from two bytes before the scales, so as not to read behind the block */
    Ints heads = four_heads(w, offsetof(EngBlockQ3_K, scales) - 2);
    heads = _mm512_bsrli_epi128(heads, 2);
    Ints low = _mm512_shuffle_epi32(heads, _MM_PERM_BABA);
    low = _mm512_srlv_epi32(low, _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 4, 4)));
    Ints top = _mm512_shuffle_epi32(heads, _MM_PERM_CCCC);
    top = _mm512_rolv_epi32(top, _mm512_broadcast_i32x4(_mm_setr_epi32(4, 2, 0, 30)));
    Ints s = sub8(or_bits(and(low, bytes(15)), top, bytes(48)), bytes(32));
    __m256 dd = four_d(heads, 3, a->d * (1.0f / 1024));
    float d[8] __attribute__((aligned(32)));
    _mm256_store_ps(d, dd);
    Ints mins = _mm512_madd_epi16(eight_words(s, 0, true), a->sums_a);
    mins = left(add_pairs(mins, eight_words(s, 8, true), a->sums_b), 4); /* zero point 4 */
    sums->mins = mul_add(d_by_lane(dd, 0), floats(mins), sums->mins);
    const __mmask64 even = 0x3333333333333333;
    UNROLL for (int i = 0; i < 2; i++) s = _mm512_mask_add_epi8(s, even, s, s);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        const EngBlockQ3_K *b = (const EngBlockQ3_K *)w[r];
        Ints scales = lane_all(s, r), qs = load_once(b->qs), last = right(qs, 4), sum = zero();
        Ints mask = rights(twice(b->hmask), 0, 4);
        Ints q[4] = {or_bits(and(qs, bytes(3)), left(mask, 2), bytes(4)),
                     or_bits(and(qs, bytes(12)), left(mask, 3), bytes(16)),
                     or_bits(and(last, bytes(3)), mask, bytes(4)),
                     or_bits(and(last, bytes(12)), left(mask, 1), bytes(16))};
        UNROLL for (int v = 0; v < 4; v += 2) sum = add_scaled(sum, scales, v, true, q, a->x);
        four_add(sums, r, d, sum);
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

INLINE void four_rows(FourFn *four, size_t w_size, int blocks, const FourAct *a,
                      const char *const w[FOUR], float ret[FOUR])
{
    const char *at[FOUR] = {w[0], w[1], w[2], w[3]};
    FourSums sums = {{{0}}, {0}};
    for (int i = 0; i < blocks; i++) {
        UNROLL for (int s = 0; s < FOUR; s++) rows_prefetch(at[s], w_size);
        four(at, a + i, &sums);
        UNROLL for (int s = 0; s < FOUR; s++) at[s] += w_size;
    }
    _mm_storeu_ps(ret, _mm_sub_ps(four_totals(sums.acc), lane_totals(sums.mins)));
}

/* Rows in four streams, as in rows.h. A row gives the same result in whichever four it is: rows
 * that are left over are computed with the last one in the empty places. */
INLINE void four_matvec(FourFn *four, int apart, size_t w_size, int64_t n, int n_rows,
                        const char *w, size_t w_stride, const char *x, float *y)
{
    int quarter = (n_rows + FOUR - 1) / FOUR;
    for (int64_t from = 0; from < n / 256; from += ACTS_AT_ONCE) {
        FourAct acts[ACTS_AT_ONCE];
        int blocks = (int)ENG_MIN(n / 256 - from, ACTS_AT_ONCE);
        for (int i = 0; i < blocks; i++) four_act((const Act *)x + from + i, apart, acts + i);
        for (int r = 0; r < quarter; r++) {
            const char *at[FOUR];
            float part[FOUR];
            UNROLL for (int s = 0; s < FOUR; s++)
            {
                int row = ENG_MIN(r + s * quarter, n_rows - 1);
                at[s] = w + (size_t)row * w_stride + (size_t)from * w_size;
            }
            four_rows(four, w_size, blocks, acts, at, part);
            for (int s = 0; s < FOUR && r + s * quarter < n_rows; s++) {
                float *to = y + r + s * quarter;
                *to = from == 0 ? part[s] : *to + part[s];
            }
        }
    }
}

#endif
