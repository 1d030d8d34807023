/* IQ1, one token and tiles, on AVX-512 with VNNI and VBMI. The grid, 2048 entries of eight numbers
 * of three values, is looked up in registers: 32 loads a block are more than the processor's ports
 * bear, and a permutation looks 64 bytes up among 128 in half a cycle.
 *
 * An entry is a number of eight digits to the base 3, and the grid is sorted by it. What 16
 * neighbours begin with and how they go on, one of eight ways, is known after few lookups; what is
 * left of an entry is less than 16, so that half a byte of each entry need be looked up instead of
 * one and a half. The sum is the entry's lower four digits, or goes beyond them to the upper four,
 * and both fours are digits by a lookup each.
 *
 * Rows go in pairs, a half of each vector per row. Numbers are 8 (digit - 1) ± 1 in eighths; all
 * but the digits goes with the sums of the activations, which products begin at. */
#include <limits.h>
#include "cpu/x86/iq/pair_vbmi.h"
#include "cpu/x86/ladder.h"
#include "load/unpack_iq.h"

typedef struct { /* of a pair of rows, 32 entries each: four digits in a byte, 0 … 80 */
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

#include "cpu/x86/iq/pair_walk_vbmi.h"

enum { ZERO = 16, MOST = 25 }; /* of a tile */
enum { ENTRIES = 2048, NEIGHBOURS = 16, WAYS = 8, FOURS = 81 };

/* Found by a search for eight ways to which no neighbourhood comes closer than it must. */
static const uint8_t ways[WAYS][NEIGHBOURS] = {
    {0, 2, 5, 8, 10, 12, 14, 16, 18, 25, 30, 34, 37, 38, 50, 56},
    {0, 5, 9, 14, 22, 32, 40, 43, 51, 56, 60, 62, 65, 67, 68, 70},
    {0, 3, 4, 6, 7, 10, 13, 15, 16, 18, 20, 22, 24, 25, 28, 30},
    {1, 3, 6, 10, 14, 18, 21, 24, 33, 35, 43, 50, 57, 60, 62, 67},
    {1, 5, 12, 17, 18, 22, 24, 29, 31, 34, 36, 38, 41, 45, 47, 50},
    {0, 2, 9, 13, 17, 20, 23, 32, 40, 44, 47, 49, 51, 53, 55, 59},
    {0, 2, 4, 6, 9, 10, 11, 12, 18, 46, 48, 50, 52, 54, 56, 64},
    {1, 5, 7, 14, 19, 25, 30, 32, 37, 40, 44, 46, 49, 54, 58, 60},
};

typedef struct {
    uint8_t rest[ENTRIES / 2];             /* of the lower half of entries in low nibbles */
    uint8_t low[128], high[128], way[128]; /* of a neighbourhood; a way times 16 */
    uint8_t ways[128];
    uint8_t numbers[4][128]; /* [i]: 8 times digit i of four */
    uint8_t codes[128];      /* the four digits, 2 bits each */
    uint8_t weights[64];     /* of a code, and of 4 more where the side is minus */
} __attribute__((aligned(64))) Grid;

static Grid grid;

static int entry_of(int e)
{
    int ret = 0;
    for (int i = 7; i >= 0; i--) ret = 3 * ret + (int8_t)(eng_grid_iq1[e] >> 8 * i) / 8 + 1;
    return ret;
}

/* What is left of 16 neighbours from the smallest, which is returned. */
static int rest_of(int n, const uint8_t *way, int ret_rest[NEIGHBOURS])
{
    int least = INT_MAX;
    for (int j = 0; j < NEIGHBOURS; j++) {
        ret_rest[j] = entry_of(NEIGHBOURS * n + j) - way[j];
        least = ENG_MIN(least, ret_rest[j]);
    }
    for (int j = 0; j < NEIGHBOURS; j++) ret_rest[j] -= least;
    return least;
}

static bool fits(const int rest[NEIGHBOURS])
{
    for (int j = 0; j < NEIGHBOURS; j++)
        if (rest[j] > 15) return false;
    return true;
}

static void grid_fill(Grid *g)
{
    memset(g, 0, sizeof *g);
    memcpy(g->ways, ways, sizeof ways);
    for (int n = 0; n < ENTRIES / NEIGHBOURS; n++) {
        int rest[NEIGHBOURS], way = 0, begin = rest_of(n, ways[0], rest);
        while (!fits(rest) && ++way < WAYS) begin = rest_of(n, ways[way], rest);
        begin += FOURS; /* it may be -1 */
        g->way[n] = (uint8_t)(16 * way);
        g->low[n] = (uint8_t)(begin % FOURS), g->high[n] = (uint8_t)(begin / FOURS - 1);
        for (int j = 0; j < NEIGHBOURS; j++) {
            int e = NEIGHBOURS * n + j;
            g->rest[e % (ENTRIES / 2)] |= (uint8_t)(rest[j] << e / (ENTRIES / 2) * 4);
        }
    }
    for (int i = 0, unit = 1; i < 4; i++, unit *= 3)
        for (int e = 0; e < FOURS; e++) {
            g->numbers[i][e] = (uint8_t)(e / unit % 3 * 8);
            g->codes[e] |= (uint8_t)(e / unit % 3 << 2 * i);
        }
    for (int i = 0; i < 64; i++)
        g->weights[i] = (uint8_t)(ZERO + 8 * (i % 4 - 1) + (i & 4 ? -1 : 1));
}

/* ---- the grid -------------------------------------------------------------------------------- */

/* `rest`: of both entries that have the lower ten bits of the index. */
INLINE Codes find_codes(const Grid *g, Ints qs, Ints top, Ints rest)
{
    const Ints place = bytes(NEIGHBOURS - 1);
    Ints of = _mm512_ternarylogic_epi32(place, right(qs, 4), left(top, 4), 0xca);
    rest = choose8(_mm512_test_epi8_mask(top, bytes(4)), rest, right(rest, 4));
    Ints way = find_128(g->ways, or_bits(find_128(g->way, of), qs, place));
    Ints low = add8(add8(find_128(g->low, of), and(rest, bytes(15))), way);
    Ints high = find_128(g->high, of);
    __mmask64 past = _mm512_cmpge_epu8_mask(low, bytes(FOURS));
    return (Codes){_mm512_mask_sub_epi8(low, past, low, bytes(FOURS)),
                   _mm512_mask_add_epi8(high, past, high, bytes(1))};
}

/* Indices are `qs` and three more bits on top, which are the lowest of `top`. */
INLINE void find(const Ints qs[2], const Ints top[2], Codes ret[2])
{
    const Grid *g = &grid; /* read anew: what a loop keeps of it goes to the stack and back */
    __asm__ volatile("" : "+r"(g));
    __mmask64 bit[2][4];
    Ints rest[2];
    UNROLL for (int p = 0; p < 2; p++)
    {
        bit[p][0] = _mm512_movepi8_mask(qs[p]);
        UNROLL for (int b = 1; b < 3; b++) bit[p][b] = _mm512_test_epi8_mask(top[p], bytes(b));
    }
    find_parts(g->rest, ENTRIES / 2 / 128, qs, bit, rest);
    UNROLL for (int p = 0; p < 2; p++) ret[p] = find_codes(g, qs[p], top[p], rest[p]);
}

/* ---- activations ----------------------------------------------------------------------------- */

INLINE void put_turned(const Act *a, PairAct *to)
{
    Ints turned[4];
    turn_eights(a, turned);
    UNROLL for (int i = 0; i < 8; i++) _mm256_store_si256(
        (__m256i *)to->x[i], _mm512_castsi512_si256(number_of_eights(turned, i)));
    to->d = a->d * 0.125f;
}

INLINE void act_iq1_s(const Act *a, PairAct *to)
{
    put_turned(a, to);
    Ints sums = _mm512_broadcast_i64x4(_mm256_madd_epi16(load32(a->sums), _mm256_set1_epi16(1)));
    to->sums[0] = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-7));
    to->sums[1] = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-9));
}

/* IQ1_M has scales of 16 numbers, two entries: low and high bytes lie side by side, entries 0 … 7
 * and 16 … 23 in one vector, the others in a second. x[4 j + i] has numbers i and 4 + i of those of
 * vector j. */
INLINE void act_iq1_m(const Act *a, PairAct *to)
{
    PairAct turned;
    put_turned(a, &turned);
    to->d = turned.d;
    UNROLL for (int j = 0; j < 2; j++)
    {
        __m256i eights = _mm256_setzero_si256();
        UNROLL for (int i = 0; i < 4; i++)
        {
            __m256i low = load32(turned.x[i]), high = load32(turned.x[4 + i]);
            __m256i x = j ? _mm256_unpackhi_epi8(low, high) : _mm256_unpacklo_epi8(low, high);
            _mm256_store_si256((__m256i *)to->x[4 * j + i], x);
            eights = _mm256_add_epi16(eights, _mm256_maddubs_epi16(_mm256_set1_epi8(1), x));
        }
        to->eights[j] = _mm512_broadcast_i64x4(eights);
        to->sums[j] = _mm512_madd_epi16(to->eights[j], _mm512_set1_epi16(-8));
    }
}

/* ---- products -------------------------------------------------------------------------------- */

/* x[i] meets digit i of a, x[4 + i] that of b; without `two` there is no b. */
INLINE Ints products(Ints start, Ints a, Ints b, const int8_t (*x)[32], bool two)
{
    Ints sum[2] = {start, zero()};
    UNROLL for (int i = 0; i < 4; i++)
    {
        sum[0] = add_fours(sum[0], find_128(grid.numbers[i], a), twice(x[i]));
        if (two) sum[1] = add_fours(sum[1], find_128(grid.numbers[i], b), twice(x[4 + i]));
    }
    return two ? _mm512_add_epi32(sum[0], sum[1]) : sum[0];
}

INLINE Floats scaled(Floats acc, Floats d, Ints sums, Ints scales)
{
    return mul_add(d, floats(_mm512_mullo_epi32(sums, scales)), acc);
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
        Ints sums = products(start, f->codes[p].low, f->codes[p].high, a->x, true);
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
            Ints start = _mm512_srai_epi32(_mm512_madd_epi16(high, a->eights[j]), 8);
            start = _mm512_add_epi32(start, a->sums[j]);
            Ints sums = products(start, both, both, a->x + 4 * j, false);
            acc[p] = scaled(acc[p], d, sums, scales_iq1_m(w + 2 * p, j));
        }
    }
}

/* ---- tiles ----------------------------------------------------------------------------------- */

INLINE __mmask64 minus_iq1_s(Ints side)
{
    return _pdep_u64(_mm256_movepi16_mask(_mm512_castsi512_si256(side)), 0x1111111111111111) * 15;
}

INLINE __mmask64 minus_iq1_m(Ints side) { return _mm512_test_epi8_mask(side, bytes(8)); }

#define PUT(name)                                                                                  \
    INLINE void put_##name(const Found *f, int r, TileCodes *to)                                   \
    {                                                                                              \
        UNROLL for (int p = 0; p < 2; p++) put_codes(                                              \
            to, r + 2 * p, find_128(grid.codes, f->codes[p].low),                                  \
            find_128(grid.codes, f->codes[p].high), _mm512_movm_epi8(minus_##name(f->side[p])));   \
    }
PUT(iq1_s)
PUT(iq1_m)
#undef PUT

typedef TileCodes Across;
#define turn_across turn_codes

PAIR_MATMUL(iq1_s, EngBlockIQ1_S, put_iq1_s, grid.weights, 32, ZERO, MOST)
PAIR_MATMUL(iq1_m, EngBlockIQ1_M, put_iq1_m, grid.weights, 16, ZERO, MOST)

void eng_kernels_dot_iq1_vbmi(EngKernels *k)
{
    grid_fill(&grid);
    below_iq1_s = k->matmul[ENG_TYPE_IQ1_S];
    below_iq1_m = k->matmul[ENG_TYPE_IQ1_M];
    k->matmul[ENG_TYPE_IQ1_S] = matmul_iq1_s;
    k->matmul[ENG_TYPE_IQ1_M] = matmul_iq1_m;
}
