/* One token and IQ1 on AVX-512 with VNNI and VBMI. The grid, 2048 entries of eight numbers of three
 * values, is looked up in registers: 32 loads a block are more than the processor's ports bear, and
 * a permutation looks 64 bytes up among 128 in half a cycle.
 *
 * An entry is two bytes of four numbers each, 2 bits a number. The low byte takes all 2048 places.
 * The grid is sorted, so the high byte takes two values at most among 16 neighbours: the first, and
 * from some place on the next.
 *
 * Rows go in pairs, a half of each vector per row. Codes meet the activations where they stand in
 * their bytes, and the sums of the four places are shifted instead, so that they are 64 times those
 * of the codes. Numbers are 8 (code - 1) ± 1 in eighths; all but the codes goes with the sums of
 * the activations, which products begin at. */
#include "cpu/x86/four_k_avx512.h"
#include "cpu/x86/ladder.h"
#include "load/unpack_iq.h"

typedef struct { /* of a pair of rows, 32 entries each */
    Ints low, high;
} Codes;

typedef struct { /* a block of each of four rows */
    Codes codes[2];
    Ints side[2]; /* IQ1_S: heads; IQ1_M: bytes whose bit 3 says that the side of delta is minus */
} Found;

typedef struct {
    int8_t x[8][32]; /* IQ1_S: [i][e] is number i of the e-th eight */
    Ints sums[2];    /* what products begin at: IQ1_S: where the side of delta is plus, minus */
    Ints eights[2];  /* IQ1_M: sums of eight numbers, in words */
    float d;
} __attribute__((aligned(64))) PairAct;

#include "cpu/x86/pair_vbmi.h"

enum { ENTRIES = 2048, NEIGHBOURS = 16, PARTS = ENTRIES / 128 };

typedef struct {
    uint8_t low[ENTRIES];
    uint8_t first[128], next[128], from[128]; /* of the high byte, by neighbourhood */
} __attribute__((aligned(64))) Grid;

static Grid grid;

static uint8_t codes_of(uint64_t entry, int from)
{
    unsigned codes = 0;
    for (int i = 0; i < 4; i++) {
        int number = (int8_t)(entry >> 8 * (from + i));
        codes |= (unsigned)(number / 8 + 1) << 2 * i;
    }
    return (uint8_t)codes;
}

static void grid_fill(Grid *g)
{
    for (int e = 0; e < ENTRIES; e++) g->low[e] = codes_of(eng_grid_iq1[e], 0);
    for (int n = 0; n < ENTRIES / NEIGHBOURS; n++) {
        const uint64_t *entries = eng_grid_iq1 + NEIGHBOURS * n;
        g->first[n] = codes_of(entries[0], 4);
        g->next[n] = codes_of(entries[NEIGHBOURS - 1], 4);
        while (g->from[n] < NEIGHBOURS && codes_of(entries[g->from[n]], 4) == g->first[n])
            g->from[n]++;
    }
}

/* ---- the grid -------------------------------------------------------------------------------- */

INLINE Ints find_high(const Grid *g, Ints qs, Ints top)
{
    Ints place = bytes(NEIGHBOURS - 1);
    Ints of = _mm512_ternarylogic_epi32(place, right(qs, 4), left(top, 4), 0xca);
    __mmask64 is_next = _mm512_cmpge_epu8_mask(and(qs, place), find_128(g->from, of));
    return choose8(is_next, find_128(g->first, of), find_128(g->next, of));
}

/* Indices are `qs` and three more bits on top, which are the lowest of `top`. */
INLINE void find(const Ints qs[2], const Ints top[2], Codes ret[2])
{
    const Grid *g = &grid; /* read anew: what a loop keeps of it goes to the stack and back */
    __asm__ volatile("" : "+r"(g));
    __mmask64 bit[2][4];
    Ints low[2];
    UNROLL for (int p = 0; p < 2; p++)
    {
        bit[p][0] = _mm512_movepi8_mask(qs[p]);
        UNROLL for (int b = 1; b < 4; b++) bit[p][b] =
            _mm512_test_epi8_mask(top[p], bytes(1 << (b - 1)));
    }
    find_parts(g->low, PARTS, qs, bit, low);
    UNROLL for (int p = 0; p < 2; p++) ret[p] = (Codes){low[p], find_high(g, qs[p], top[p])};
}

/* ---- activations ----------------------------------------------------------------------------- */

INLINE void put_turned(const Act *a, PairAct *to)
{
    Ints turned[4];
    turn_eights(a, turned);
    UNROLL for (int i = 0; i < 8; i++) _mm256_store_si256(
        (__m256i *)to->x[i], _mm512_castsi512_si256(number_of_eights(turned, i)));
    to->d = a->d * (1.0f / 64);
}

INLINE PairAct act_iq1_s(const Act *a)
{
    PairAct ret;
    put_turned(a, &ret);
    Ints sums = _mm512_broadcast_i64x4(_mm256_madd_epi16(load32(a->sums), _mm256_set1_epi16(1)));
    ret.sums[0] = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-56));
    ret.sums[1] = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-72));
    return ret;
}

/* IQ1_M has scales of 16 numbers, two entries: low and high bytes lie side by side, entries 0 … 7
 * and 16 … 23 in one vector, the others in a second. x[4 j + i] has numbers i and 4 + i of those of
 * vector j. */
INLINE PairAct act_iq1_m(const Act *a)
{
    PairAct turned, ret;
    put_turned(a, &turned);
    ret.d = turned.d;
    UNROLL for (int j = 0; j < 2; j++)
    {
        __m256i eights = _mm256_setzero_si256();
        UNROLL for (int i = 0; i < 4; i++)
        {
            __m256i low = load32(turned.x[i]), high = load32(turned.x[4 + i]);
            __m256i x = j ? _mm256_unpackhi_epi8(low, high) : _mm256_unpacklo_epi8(low, high);
            _mm256_store_si256((__m256i *)ret.x[4 * j + i], x);
            eights = _mm256_add_epi16(eights, _mm256_maddubs_epi16(_mm256_set1_epi8(1), x));
        }
        ret.eights[j] = _mm512_broadcast_i64x4(eights);
        ret.sums[j] = _mm512_madd_epi16(ret.eights[j], _mm512_set1_epi16(-64));
    }
    return ret;
}

/* ---- products -------------------------------------------------------------------------------- */

/* Of the codes in a and b; x[i] meets place i of those in a, x[i + b_at] those in b. */
INLINE Ints products(Ints start, Ints a, Ints b, const int8_t (*x)[32], int b_at)
{
    Ints sum[4] = {zero(), zero(), zero(), start};
    UNROLL for (int i = 0; i < 4; i++)
    {
        sum[i] = add_fours(sum[i], and(a, bytes(3 << 2 * i)), twice(x[i]));
        if (b_at) sum[i] = add_fours(sum[i], and(b, bytes(3 << 2 * i)), twice(x[i + b_at]));
    }
    Ints upper = _mm512_add_epi32(left(sum[0], 2), sum[1]);
    Ints lower = _mm512_add_epi32(left(sum[2], 2), sum[3]);
    return _mm512_add_epi32(left(upper, 4), lower);
}

INLINE Floats scaled(Floats acc, Floats d, Ints sums, Ints scales)
{
    return mul_add(d, mul(floats(sums), floats(scales)), acc);
}

INLINE Ints odd_of(Ints a) /* a & 14 | 1 */
{
    return _mm512_ternarylogic_epi32(a, _mm512_set1_epi32(14), _mm512_set1_epi32(1), 0xea);
}

INLINE Found find_iq1_s(const char *const w[FOUR])
{
    const Ints bits = _mm512_set1_epi64(0x1916131009060300);
    Found f;
    Ints qs[2], top[2];
    UNROLL for (int p = 0; p < 2; p++)
    {
        __m256i qh = pair16(w + 2 * p, offsetof(EngBlockIQ1_S, qh));
        qs[p] = pair32(w + 2 * p, offsetof(EngBlockIQ1_S, qs));
        top[p] = _mm512_multishift_epi64_epi8(bits, _mm512_cvtepu32_epi64(qh));
        f.side[p] = _mm512_castsi256_si512(qh);
    }
    find(qs, top, f.codes);
    return f;
}

INLINE void add_iq1_s(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2])
{
    UNROLL for (int p = 0; p < 2; p++)
    {
        __m256i qh = _mm512_castsi512_si256(f->side[p]);
        Ints scales = odd_of(right(_mm512_cvtepu16_epi32(qh), 11));
        Ints start = _mm512_mask_blend_epi32(_mm256_movepi16_mask(qh), a->sums[0], a->sums[1]);
        Ints sums = products(start, f->codes[p].low, f->codes[p].high, a->x, 4);
        acc[p] = scaled(acc[p], pair_d_of(w + 2 * p, a->d), sums, scales);
    }
}

INLINE Found find_iq1_m(const char *const w[FOUR])
{
    Found f;
    Ints qs[2];
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints qh = _mm512_cvtepu8_epi16(pair16(w + 2 * p, offsetof(EngBlockIQ1_M, qh)));
        qs[p] = pair32(w + 2 * p, offsetof(EngBlockIQ1_M, qs));
        f.side[p] = or (qh, left(qh, 4));
    }
    find(qs, f.side, f.codes);
    return f;
}

/* Scales of vector j, three bits each, four in a word. */
INLINE Ints scales_iq1_m(const char *const w[2], int j)
{
    const Ints down =
        _mm512_broadcast_i32x4(_mm_setr_epi32(15, 18, 21, 24)); /* words are upper halves */
    int at = 2 * j, first = (at + 1) << 24 | at << 16 | 0x8080, second = first + 0x04040000;
    const Ints words = _mm512_inserti64x4(
        _mm512_castsi256_si512(both16(_mm_set1_epi32(first), _mm_set1_epi32(second))),
        both16(_mm_set1_epi32(first + 0x08080000), _mm_set1_epi32(second + 0x08080000)), 1);
    const size_t scales = offsetof(EngBlockIQ1_M, scales);
    __m128i both = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(w[0] + scales)),
                                      _mm_loadl_epi64((const __m128i *)(w[1] + scales)));
    return odd_of(_mm512_srlv_epi32(lookup(_mm512_broadcast_i32x4(both), words), down));
}

/* The top four bits of the words of scales together. */
INLINE uint16_t d_iq1_m(const char *w)
{
    uint64_t scales;
    memcpy(&scales, w + offsetof(EngBlockIQ1_M, scales), sizeof scales);
    return (uint16_t)_pext_u64(scales, 0xf000f000f000f000);
}

INLINE void add_iq1_m(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2])
{
    UNROLL for (int p = 0; p < 2; p++)
    {
        Floats d = pair_d(d_iq1_m(w[2 * p]), d_iq1_m(w[2 * p + 1]), a->d);
        __mmask64 minus = _mm512_test_epi8_mask(f->side[p], bytes(8));
        Ints side = choose8(minus, bytes(1), bytes(-1));
        UNROLL for (int j = 0; j < 2; j++)
        {
            Codes c = f->codes[p];
            Ints both =
                j ? _mm512_unpackhi_epi8(c.low, c.high) : _mm512_unpacklo_epi8(c.low, c.high);
            Ints high = j ? _mm512_unpackhi_epi8(zero(), side) : _mm512_unpacklo_epi8(zero(), side);
            Ints start = _mm512_srai_epi32(_mm512_madd_epi16(high, a->eights[j]), 5);
            start = _mm512_add_epi32(start, a->sums[j]);
            Ints sums = products(start, both, both, a->x + 4 * j, 0);
            acc[p] = scaled(acc[p], d, sums, scales_iq1_m(w + 2 * p, j));
        }
    }
}

PAIR_MATMUL(iq1_s, EngBlockIQ1_S)
PAIR_MATMUL(iq1_m, EngBlockIQ1_M)

void eng_kernels_dot_iq_vbmi(EngKernels *k)
{
    grid_fill(&grid);
    below_iq1_s = k->matmul[ENG_TYPE_IQ1_S];
    below_iq1_m = k->matmul[ENG_TYPE_IQ1_M];
    k->matmul[ENG_TYPE_IQ1_S] = matmul_iq1_s;
    k->matmul[ENG_TYPE_IQ1_M] = matmul_iq1_m;
}
