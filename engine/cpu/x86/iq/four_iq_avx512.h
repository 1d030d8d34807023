/* One token and the codebook formats on AVX-512, with VNNI or without: four rows at once, so that
 * what does not depend on the row is computed once for four, and four chains are in flight.
 *
 * The small grids are looked up without memory, in registers: an entry is a word of codes, and
 * `find` looks up 32 indices at once (the gather instructions cost 27 cycles here, whatever their
 * width). Codes and signs meet in nibbles, and a nibble is an index into sixteen weights, unsigned
 * because they count from a zero point; the products start at -zero * sum(qx), so they are exact.
 *
 * Word e of a vector is eight (IQ2) or four (IQ3) numbers, so 64 bits of every vector are the same
 * 32 numbers, which share a scale. Activations are brought into the order of the nibbles. */
#ifndef ENG_CPU_X86_IQ_FOUR_IQ_AVX512_H
#define ENG_CPU_X86_IQ_FOUR_IQ_AVX512_H

#include "cpu/x86/four_k_avx512.h"
#include "cpu/x86/unpack/iq.h"
#include "load/unpack_iq.h"

typedef struct {
    Ints x[4]; /* activations in the order of a format's quants */
    Ints sums; /* what the products begin at */
    Ints down; /* IQ1: the same where the side of delta is minus */
    float d;
} IqAct;

typedef void IqActFn(const Act *a, IqAct *to);
typedef void IqFn(const char *const w[FOUR], const IqAct *a, FourSums *sums);

/* Entries as words, made from the grids when the kernels are chosen. */
typedef struct {
    uint16_t signs[128];   /* of seven bits: nibble i has those of numbers i and 4 + i on top */
    uint16_t iq2_xxs[256]; /* nibble i: codes of numbers i and 4 + i, 2 bits each */
    uint16_t iq2_xs[512], iq2_s[1024]; /* the same */
    uint16_t iq3_xxs[256];             /* nibble i: code of number i */
    uint16_t iq3_s[512];               /* nibble i: number i itself */
    uint64_t iq1[2048];                /* 0, 8, 16 */
} __attribute__((aligned(64))) IqTables;

static IqTables iq_tables;

/* Sizes of IQ2 are 8, 25 and 43. */
static uint16_t codes_iq2(uint64_t entry)
{
    unsigned codes = 0;
    for (int i = 0; i < 8; i++) {
        int size = (int)(entry >> 8 * i & 255);
        codes |= (size == 8 ? 0u : size == 25 ? 1u : 2u) << (i % 4 * 4 + i / 4 * 2);
    }
    return (uint16_t)codes;
}

static void iq_tables_fill(IqTables *t)
{
    memset(t, 0, sizeof *t);
    for (int e = 0; e < 1024; e++) {
        if (e < 256) t->iq2_xxs[e] = codes_iq2(eng_grid_iq2_xxs[e]);
        if (e < 512) t->iq2_xs[e] = codes_iq2(eng_grid_iq2_xs[e]);
        t->iq2_s[e] = codes_iq2(eng_grid_iq2_s[e]);
    }
    for (int e = 0; e < 512; e++)
        for (int i = 0; i < 8; i++) {
            int at = i % 4 * 4, byte = 8 * i;
            if (e < 128)
                t->signs[e] |=
                    (uint16_t)((eng_signs_of_7((uint32_t)e) >> i & 1) << (at + 2 + i / 4));
            if (e < 256 && i < 4)
                t->iq3_xxs[e] |= (uint16_t)((eng_grid_iq3_xxs[e] >> byte & 255) / 8 << at);
            if (i < 4) t->iq3_s[e] |= (uint16_t)((eng_grid_iq3_s[e] >> byte & 255) << at);
        }
    for (int e = 0; e < 2048; e++) /* no byte carries into the next */
        t->iq1[e] = (eng_grid_iq1[e] ^ 0x8080808080808080) - 0x7878787878787878;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* Entry of each word's low bits in 64, 128 or 256 words. */
INLINE Ints find_64(const uint16_t *table, Ints index)
{
    return _mm512_permutex2var_epi16(load(table), index, load(table + 32));
}

INLINE __mmask32 has(Ints index, int bit)
{
    return _mm512_test_epi16_mask(index, _mm512_set1_epi16((short)bit));
}

INLINE Ints find_128(const uint16_t *table, __mmask32 upper, Ints index)
{
    return _mm512_mask_blend_epi16(upper, find_64(table, index), find_64(table + 64, index));
}

INLINE Ints find_256(const uint16_t *table, Ints index)
{
    __mmask32 upper = has(index, 64);
    return _mm512_mask_blend_epi16(has(index, 128), find_128(table, upper, index),
                                   find_128(table + 128, upper, index));
}

/* Shuffle index of four words of each 64 bits: byte pairs a, b, c, d; with 128 for a zero. */
INLINE Ints in_64(int a, int b, int c, int d)
{
    Ints first =
        _mm512_set1_epi64((long long)((uint64_t)(uint16_t)a | (uint64_t)(uint16_t)b << 16 |
                                      (uint64_t)(uint16_t)c << 32 | (uint64_t)(uint16_t)d << 48));
    return _mm512_add_epi8(first, _mm512_set4_epi32(0x08080808, 0x08080808, 0, 0));
}

/* Of four times seven bits in bytes at … at + 3 of each 64 bits. */
INLINE Ints signs_of_7(Ints words, int at)
{
    int first = at | (at + 1) << 8;
    Ints index = lookup(words, in_64(first, first, first + 0x101, first + 0x202));
    index = _mm512_srlv_epi16(index, _mm512_set1_epi64(0x0005000600070000));
    return find_128(iq_tables.signs, has(index, 64), index);
}

/* 2 s + 1 of the four bits on top of each 32. */
INLINE Ints odd_of_top(Ints a) { return or (right(a, 27), _mm512_set1_epi32(1)); }

INLINE void four_d_to(const char *const w[FOUR], float dx, float d[8])
{
    _mm256_store_ps(d, four_d(four_heads(w, 0), 0, dx));
}

INLINE void iq_add(FourSums *sums, int r, const float *d, Ints scales, Ints sum, const Ints x[4],
                   const Ints q[4])
{
    UNROLL for (int p = 0; p < 4; p++) sum = add_fours(sum, q[p], x[p]);
    sums->acc[r] = mul_add(all(d[2 * r]), mul(floats(sum), floats(scales)), sums->acc[r]);
}

/* ---- IQ2_XXS, IQ3_XXS ------------------------------------------------------------------------ */

/* Words of numbers 0 2, 1 3, 4 6 and 5 7 of each eight. */
INLINE void act_of_nibbles(const Act *a, int zero_point, IqAct *to)
{
    const Ints turn =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15));
    const Ints pick = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    Ints v[4], sums = _mm512_cvtepi16_epi32(load32(a->sums));
    UNROLL for (int i = 0; i < 4; i++) v[i] = lookup(load(a->q + 64 * i), turn);
    to->d = a->d, to->sums = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-zero_point));
    UNROLL for (int p = 0; p < 4; p += 2)
    {
        Ints index = _mm512_add_epi32(pick, _mm512_set1_epi32(p));
        Ints low = _mm512_permutex2var_epi32(v[0], index, v[1]);
        Ints high = _mm512_permutex2var_epi32(v[2], index, v[3]);
        to->x[p] = _mm512_shuffle_i64x2(low, high, 0x44);
        to->x[p + 1] = _mm512_shuffle_i64x2(low, high, 0xee);
    }
}

INLINE Ints values(__m128i sixteen, Ints nibbles)
{
    return lookup(_mm512_broadcast_i32x4(sixteen), and(nibbles, bytes(15)));
}

enum { ZERO_IQ2 = 43, ZERO_IQ3 = 62 };

INLINE void act_iq2(const Act *a, IqAct *to) { act_of_nibbles(a, ZERO_IQ2, to); }
INLINE void act_iq3(const Act *a, IqAct *to) { act_of_nibbles(a, ZERO_IQ3, to); }

/* From words of codes and of signs: bits of a nibble are two of a code, the sign of the first four
 * numbers, that of the last four. */
INLINE void quants_iq2(Ints grid, Ints signs, Ints q[4])
{
    const Ints codes = bytes(0x33);
    const __m128i first = _mm_setr_epi8(51, 68, 86, 86, 35, 18, 0, 0, 51, 68, 86, 86, 35, 18, 0, 0);
    const __m128i last = _mm_setr_epi8(51, 68, 86, 86, 51, 68, 86, 86, 35, 18, 0, 0, 35, 18, 0, 0);
    Ints low = _mm512_ternarylogic_epi32(codes, grid, signs, 0xca);
    Ints high = _mm512_ternarylogic_epi32(codes, right(grid, 2), signs, 0xca);
    q[0] = values(first, low), q[1] = values(first, right(low, 4));
    q[2] = values(last, high), q[3] = values(last, right(high, 4));
}

INLINE void four_iq2_xxs(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    float d[8] __attribute__((aligned(32)));
    four_d_to(w, a->d * 0.125f, d);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        Ints words = load_once(((const EngBlockIQ2_XXS *)w[r])->qs), q[4];
        Ints grid =
            find_256(iq_tables.iq2_xxs, lookup(words, in_64(0x8000, 0x8001, 0x8002, 0x8003)));
        quants_iq2(grid, signs_of_7(words, 4), q);
        iq_add(sums, r, d, odd_of_top(_mm512_shuffle_epi32(words, _MM_PERM_DDBB)), a->sums, a->x,
               q);
    }
}

INLINE void four_iq3_xxs(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    const Ints codes = bytes(0x77);
    const __m128i weights =
        _mm_setr_epi8(66, 74, 82, 90, 98, 106, 114, 124, 58, 50, 42, 34, 26, 18, 10, 0);
    float d[8] __attribute__((aligned(32)));
    four_d_to(w, a->d * 0.25f, d);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        const EngBlockIQ3_XXS *b = (const EngBlockIQ3_XXS *)w[r];
        Ints qs = load_once(b->qs), words = _mm512_cvtepu32_epi64(load32(b->signs));
        Ints signs = signs_of_7(words, 0);
        Ints low = find_256(iq_tables.iq3_xxs, qs);
        Ints high = find_256(iq_tables.iq3_xxs, _mm512_srli_epi16(qs, 8));
        low = _mm512_ternarylogic_epi32(codes, low, left(signs, 1), 0xca);
        high = _mm512_ternarylogic_epi32(codes, high, signs, 0xca);
        Ints q[4] = {values(weights, low), values(weights, right(low, 4)), values(weights, high),
                     values(weights, right(high, 4))};
        iq_add(sums, r, d, odd_of_top(_mm512_shuffle_epi32(words, _MM_PERM_CCAA)), a->sums, a->x,
               q);
    }
}

/* ---- IQ2_XS, IQ2_S --------------------------------------------------------------------------- */

/* Entries of two rows, from `parts` of 64; bit[b]: where an index has the value 64 << b. Parts are
 * chosen among by one bit after the other, as early as there are two, for registers are few, and
 * two rows share the loads. */
INLINE void find_two(const uint16_t *table, int parts, const Ints index[2], __mmask32 bit[2][4],
                     Ints ret[2])
{
    Ints wait[2][4];
    UNROLL for (int part = 0; part < parts; part++) UNROLL for (int r = 0; r < 2; r++)
    {
        Ints found = find_64(table + 64 * part, index[r]);
        int b = 0;
        for (; part >> b & 1; b++) found = _mm512_mask_blend_epi16(bit[r][b], wait[r][b], found);
        if (part == parts - 1)
            ret[r] = found;
        else
            wait[r][b] = found;
    }
}

/* The scale of each 16 numbers, 2 s + 1. */
INLINE Ints odd_nibbles(const uint8_t scales[8])
{
    return _mm512_cvtepi8_epi32(odd(nibbles(load8(scales))));
}

INLINE void four_iq2_xs(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    float d[8] __attribute__((aligned(32)));
    four_d_to(w, a->d * 0.125f, d);
    UNROLL for (int r = 0; r < FOUR; r += 2)
    {
        const EngBlockIQ2_XS *b[2] = {(const EngBlockIQ2_XS *)w[r],
                                      (const EngBlockIQ2_XS *)w[r + 1]};
        Ints words[2] = {load_once(b[0]->qs), load_once(b[1]->qs)}, grid[2];
        __mmask32 bit[2][4];
        UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 3; j++) bit[i][j] =
            has(words[i], 64 << j);
        find_two(iq_tables.iq2_xs, 8, words, bit, grid);
        UNROLL for (int i = 0; i < 2; i++)
        {
            Ints seven = _mm512_srli_epi16(words[i], 9), q[4];
            quants_iq2(grid[i], find_128(iq_tables.signs, has(seven, 64), seven), q);
            iq_add(sums, r + i, d, odd_nibbles(b[i]->scales), a->sums, a->x, q);
        }
    }
}

/* Words of signs from a byte of eight: those of numbers i and 4 + i to the top of nibble i. */
INLINE Ints signs_of_8(const uint8_t signs[32])
{
    const __m128i pairs =
        _mm_setr_epi8(0, 0x04, 0x40, 0x44, 0x08, 0x0c, 0x48, 0x4c, (char)0x80, (char)0x84,
                      (char)0xc0, (char)0xc4, (char)0x88, (char)0x8c, (char)0xc8, (char)0xcc);
    Ints both = _mm512_cvtepu8_epi16(load32(signs));
    both = or (both, left(both, 6)); /* in the upper byte, two bits lower */
    return values(pairs, _mm512_ternarylogic_epi32(bytes(3), both, right(both, 2), 0xca));
}

INLINE void four_iq2_s(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    float d[8] __attribute__((aligned(32)));
    four_d_to(w, a->d * 0.125f, d);
    UNROLL for (int r = 0; r < FOUR; r += 2)
    {
        const EngBlockIQ2_S *b[2] = {(const EngBlockIQ2_S *)w[r], (const EngBlockIQ2_S *)w[r + 1]};
        Ints index[2], grid[2];
        __mmask32 bit[2][4];
        UNROLL for (int i = 0; i < 2; i++)
        {
            uint64_t top;
            memcpy(&top, b[i]->qh, sizeof top);
            index[i] = _mm512_cvtepu8_epi16(load32(b[i]->qs));
            bit[i][0] = has(index[i], 64), bit[i][1] = has(index[i], 128);
            bit[i][2] = (__mmask32)_pext_u64(top, 0x5555555555555555);
            bit[i][3] = (__mmask32)_pext_u64(top, 0xaaaaaaaaaaaaaaaa);
        }
        find_two(iq_tables.iq2_s, 16, index, bit, grid);
        UNROLL for (int i = 0; i < 2; i++)
        {
            Ints q[4];
            quants_iq2(grid[i], signs_of_8(b[i]->signs), q);
            iq_add(sums, r + i, d, odd_nibbles(b[i]->scales), a->sums, a->x, q);
        }
    }
}

/* ---- IQ3_S ----------------------------------------------------------------------------------- */

INLINE void act_plain(const Act *a, IqAct *to) { act_of_nibbles(a, 0, to); }

INLINE Ints find_512(const uint16_t table[512], __mmask32 upper, Ints index)
{
    return _mm512_mask_blend_epi16(upper, find_256(table, index), find_256(table + 256, index));
}

/* Its signs are plain bits, which the activations take. */
INLINE void four_iq3_s(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    static const short bit_of[4] = {0x0401, 0x0802, 0x4010, (short)0x8020};
    float d[8] __attribute__((aligned(32)));
    four_d_to(w, a->d, d);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        const EngBlockIQ3_S *b = (const EngBlockIQ3_S *)w[r];
        uint64_t top;
        memcpy(&top, b->qh, sizeof top);
        Ints qs = load_once(b->qs), signs = _mm512_cvtepu8_epi16(load32(b->signs));
        signs = or (signs, left(signs, 8));
        Ints low = find_512(iq_tables.iq3_s, (__mmask32)_pext_u64(top, 0x5555555555555555), qs);
        Ints high = find_512(iq_tables.iq3_s, (__mmask32)_pext_u64(top, 0xaaaaaaaaaaaaaaaa),
                             _mm512_srli_epi16(qs, 8));
        Ints x[4], q[4] = {low, right(low, 4), high, right(high, 4)};
        UNROLL for (int p = 0; p < 4; p++)
        {
            __mmask64 minus = _mm512_test_epi8_mask(signs, _mm512_set1_epi16(bit_of[p]));
            x[p] = _mm512_mask_sub_epi8(a->x[p], minus, zero(), a->x[p]);
            q[p] = and(q[p], bytes(15));
        }
        iq_add(sums, r, d, _mm512_cvtepi8_epi32(scales_iq3_s(b->scales)), zero(), x, q);
    }
}

/* ---- IQ1_S ----------------------------------------------------------------------------------- */

/* Vector j is the j-th eight of each 32 numbers. */
INLINE void act_iq1(const Act *a, IqAct *to)
{
    const Ints pick = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
    to->d = a->d;
    Ints eights = zero(), sum = zero();
    UNROLL for (int p = 0; p < 4; p += 2)
    {
        Ints index = _mm512_add_epi64(pick, _mm512_set1_epi64(p));
        Ints low = _mm512_permutex2var_epi64(load(a->q), index, load(a->q + 64));
        Ints high = _mm512_permutex2var_epi64(load(a->q + 128), index, load(a->q + 192));
        to->x[p] = _mm512_shuffle_i64x2(low, high, 0x44);
        to->x[p + 1] = _mm512_shuffle_i64x2(low, high, 0xee);
    }
    UNROLL for (int j = 0; j < 4; j++)
    {
        eights = add_fours(eights, bytes(8), to->x[j]);
        sum = add_fours(sum, bytes(1), to->x[j]);
    }
    to->sums = sub32(sum, eights);
    to->down = sub32(sub32(zero(), sum), eights);
}

/* Entries of indices 0, 4, 8 … 28. A broadcast from memory needs no more than the load, and to
 * blend it in there are two ports. */
INLINE Ints eight_entries(const uint64_t *grid, const uint16_t *index)
{
    Ints all;
    __asm__("vpbroadcastq %1, %0" : "=v"(all) : "m"(grid[index[0]]));
    UNROLL for (int i = 1; i < 8; i++) __asm__("vpbroadcastq %1, %0%{%2%}" : "+v"(all) :
                                               "m"(grid[index[4 * i]]), "Yk"((__mmask8)(1 << i)));
    return all;
}

/* In eighths, numbers are u - 8 ± 1: all but u goes with the sums of the activations, lane by lane,
 * for a float would round the large parts of a small difference. */
INLINE void four_iq1_s(const char *const w[FOUR], const IqAct *a, FourSums *sums)
{
    uint16_t index[FOUR][32] __attribute__((aligned(64)));
    Ints qh = four_heads(w, offsetof(EngBlockIQ1_S, qh));
    Ints scales = or (and(_mm512_srli_epi16(qh, 11), _mm512_set1_epi16(14)), _mm512_set1_epi16(1));
    __mmask8 minus[FOUR];
    float d[8] __attribute__((aligned(32)));
    four_d_to(w, a->d * 0.125f, d);
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        const EngBlockIQ1_S *b = (const EngBlockIQ1_S *)w[r];
        Ints more = _mm512_cvtepu16_epi64(load16(b->qh));
        Ints top = lookup(more, in_64(0x100, 0x100, 0x100, 0x8001));
        minus[r] = _mm512_test_epi64_mask(more, _mm512_set1_epi64(0x8000));
        top = _mm512_mullo_epi16(top, _mm512_set1_epi64(0x0080000400200100));
        Ints low = _mm512_cvtepu8_epi16(load32(b->qs));
        store(index[r], or_bits(low, top, _mm512_set1_epi16(0x700)));
    }
    __asm__("" : "+m"(index)); /* not taken apart in registers */
    UNROLL for (int r = 0; r < FOUR; r++)
    {
        const Ints words =
            _mm512_setr_epi64(0, 0x10001, 0x20002, 0x30003, 0x40004, 0x50005, 0x60006, 0x70007);
        Ints own = or (words, left(words, 16));
        own = _mm512_or_si512(_mm512_shuffle_epi32(own, _MM_PERM_CCAA), _mm512_set1_epi16(8 * r));
        Ints scale = _mm512_maskz_permutexvar_epi16(0x55555555, own, scales);
        Ints sum = _mm512_mask_blend_epi64(minus[r], a->sums, a->down);
        UNROLL for (int j = 0; j < 4; j++) sum =
            add_fours(sum, eight_entries(iq_tables.iq1, index[r] + j), a->x[j]);
        four_add(sums, r, d, _mm512_madd_epi16(sum, scale)); /* 16 numbers a lane, below 2^15 */
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

INLINE void iq_four_rows(IqFn *four, size_t w_size, int blocks, const IqAct *a,
                         const char *const w[FOUR], float ret[FOUR])
{
    const char *at[FOUR] = {w[0], w[1], w[2], w[3]};
    FourSums sums = {{{0}}, {0}};
    for (int i = 0; i < blocks; i++) {
        UNROLL for (int s = 0; s < FOUR; s++) rows_prefetch(at[s], w_size);
        four(at, a + i, &sums);
        UNROLL for (int s = 0; s < FOUR; s++) at[s] += w_size;
    }
    _mm_storeu_ps(ret, four_totals(sums.acc));
}

/* Rows in four streams, as in rows.h, and as in four_matvec the last row fills empty places. */
INLINE void iq_matvec(IqFn *four, IqActFn *act_of, size_t w_size, int64_t n, int n_rows,
                      const char *w, size_t w_stride, const char *x, float *y)
{
    int quarter = (n_rows + FOUR - 1) / FOUR;
    for (int64_t from = 0; from < n / 256; from += ACTS_AT_ONCE) {
        IqAct acts[ACTS_AT_ONCE];
        int blocks = (int)ENG_MIN(n / 256 - from, ACTS_AT_ONCE);
        for (int i = 0; i < blocks; i++) act_of((const Act *)x + from + i, acts + i);
        for (int r = 0; r < quarter; r++) {
            const char *at[FOUR];
            float part[FOUR];
            UNROLL for (int s = 0; s < FOUR; s++)
            {
                int row = ENG_MIN(r + s * quarter, n_rows - 1);
                at[s] = w + (size_t)row * w_stride + (size_t)from * w_size;
            }
            iq_four_rows(four, w_size, blocks, acts, at, part);
            for (int s = 0; s < FOUR && r + s * quarter < n_rows; s++) {
                float *to = y + r + s * quarter;
                *to = from == 0 ? part[s] : *to + part[s];
            }
        }
    }
}

#endif
