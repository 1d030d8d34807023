/* IQ2, one token and tiles, on AVX-512 with VNNI and VBMI. Rows go in pairs: byte e of a vector is
 * entry e % 32 of row e / 32. Of each entry there are three bytes: its signs, and two of codes, 2
 * bits a number: those of numbers 0, 1, 4, 5 and of 2, 3, 6, 7, which a permutation of bytes looks
 * 64 up among 128 in half a cycle.
 *
 * Signs stand at the place of their number, so that codes and signs can be brought together in
 * nibbles: the codes of every second number with the signs of the others' places. A permutation of
 * 64 bytes heeds 6 bits of an index: what is above the nibble need not be taken off, only be the
 * same to the table. It gives weights as unsigned bytes, which count from a zero point. */
#include "cpu/x86/iq/pair_vbmi.h"
#include "cpu/x86/ladder.h"
#include "load/unpack_iq.h"

enum { ZERO = 43, NUMBERS = 8 };

typedef struct { /* of a block of each of four rows */
    Ints codes[2][2], signs[2];
    Ints scales[2]; /* IQ2_XXS: of 32 numbers, in 32 bits; the others: of 16, in words */
} Found;

typedef struct {
    int8_t x[NUMBERS][64]; /* [i]: number i ^ (i >> 1 & 1) of the 32 eights, twice */
    Ints start;            /* IQ2_XXS: what products begin at; the others: sums of 16, in words */
    float d;
} __attribute__((aligned(64))) PairAct;

#include "cpu/x86/iq/pair_walk_vbmi.h"

typedef struct { /* [0]: numbers 0, 1, 4, 5; [1]: numbers 2, 3, 6, 7 */
    uint8_t xxs[2][256], xs[2][512], s[2][1024];
    uint8_t signs[128];     /* of seven bits */
    uint8_t weights[4][64]; /* by nibbles: see nibbles_of */
} __attribute__((aligned(64))) Tables;

static Tables tables;

/* Sizes are 8, 25 and 43. */
static unsigned code_of(uint64_t entry, int number)
{
    int size = (int)(entry >> 8 * number & 255);
    return size == 8 ? 0 : size == 25 ? 1 : 2;
}

static void put_entry(uint64_t entry, uint8_t *first, uint8_t *second)
{
    for (int i = 0; i < NUMBERS; i++) {
        uint8_t *to = i & 2 ? second : first;
        *to |= (uint8_t)(code_of(entry, i) << ((i & 1) + (i >> 2) * 2) * 2);
    }
}

/* Nibbles hold a code at `code_at` and a sign at `sign_at`. */
static void put_weights(int code_at, int sign_at, uint8_t to[64])
{
    static const uint8_t sizes[4] = {8, 25, 43, 43};
    for (int i = 0; i < 64; i++) {
        int size = sizes[i >> code_at & 3];
        to[i] = (uint8_t)(i >> sign_at & 1 ? ZERO - size : ZERO + size);
    }
}

static void tables_fill(Tables *t)
{
    memset(t, 0, sizeof *t);
    for (int e = 0; e < 256; e++) put_entry(eng_grid_iq2_xxs[e], t->xxs[0] + e, t->xxs[1] + e);
    for (int e = 0; e < 512; e++) put_entry(eng_grid_iq2_xs[e], t->xs[0] + e, t->xs[1] + e);
    for (int e = 0; e < 1024; e++) put_entry(eng_grid_iq2_s[e], t->s[0] + e, t->s[1] + e);
    for (int i = 0; i < 128; i++) t->signs[i] = eng_signs_of_7((uint32_t)i);
    put_weights(2, 0, t->weights[0]);
    put_weights(2, 1, t->weights[1]);
    put_weights(0, 3, t->weights[2]);
    put_weights(0, 2, t->weights[3]);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

INLINE void act_turned(const Act *a, PairAct *to)
{
    Ints turned[4];
    to->d = a->d * 0.125f;
    turn_eights(a, turned);
    UNROLL for (int i = 0; i < NUMBERS; i++)
        store(to->x[i], number_of_eights(turned, i ^ (i >> 1 & 1)));
}

/* Of numbers i and 4 + i for i = 0, 1, 3, 2. */
INLINE void nibbles_of(const Ints codes[2], Ints signs, Ints ret[4])
{
    const Ints low = bytes(0x33);
    ret[0] = _mm512_ternarylogic_epi32(left(codes[0], 2), signs, low, 0xd8);
    ret[1] = _mm512_ternarylogic_epi32(codes[0], signs, low, 0xd8);
    ret[2] = _mm512_ternarylogic_epi32(right(codes[1], 2), signs, low, 0xe4);
    ret[3] = _mm512_ternarylogic_epi32(codes[1], signs, low, 0xe4);
}

INLINE Ints weights_of(Ints nibbles, int i)
{
    return _mm512_permutexvar_epi8(nibbles, load(tables.weights[i]));
}

/* ---- IQ2_XXS --------------------------------------------------------------------------------- */

INLINE void act_iq2_xxs(const Act *a, PairAct *to)
{
    act_turned(a, to);
    Ints sums = _mm512_broadcast_i64x4(_mm256_madd_epi16(load32(a->sums), _mm256_set1_epi16(1)));
    to->start = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-ZERO));
}

INLINE Found find_iq2_xxs(const char *const w[FOUR])
{
    const Ints indices = _mm512_set_epi64(
        0x7b7a797873727170, 0x6b6a696863626160, 0x5b5a595853525150, 0x4b4a494843424140,
        0x3b3a393833323130, 0x2b2a292823222120, 0x1b1a191813121110, 0x0b0a090803020100);
    const Ints uppers =
        _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const Ints sevens = _mm512_set1_epi64(0x352e2720150e0700);
    Found f;
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints first = load_once(((const EngBlockIQ2_XXS *)w[2 * p])->qs);
        Ints second = load_once(((const EngBlockIQ2_XXS *)w[2 * p + 1])->qs);
        Ints index = _mm512_permutex2var_epi8(first, indices, second);
        Ints upper = _mm512_permutex2var_epi32(first, uppers, second);
        __mmask64 top = _mm512_movepi8_mask(index);
        UNROLL for (int i = 0; i < 2; i++) f.codes[p][i] =
            choose8(top, find_128(tables.xxs[i], index), find_128(tables.xxs[i] + 128, index));
        f.signs[p] = find_128(tables.signs, _mm512_multishift_epi64_epi8(sevens, upper));
        f.scales[p] = or (right(upper, 27), _mm512_set1_epi32(1));
    }
    return f;
}

INLINE void add_iq2_xxs(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2])
{
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints nibbles[4], sum[2] = {a->start, zero()};
        nibbles_of(f->codes[p], f->signs[p], nibbles);
        UNROLL for (int i = 0; i < 4; i++)
        {
            sum[0] = add_fours(sum[0], weights_of(nibbles[i], i), load(a->x[i]));
            sum[1] = add_fours(sum[1], weights_of(right(nibbles[i], 4), i), load(a->x[4 + i]));
        }
        Ints sums = _mm512_mullo_epi32(_mm512_add_epi32(sum[0], sum[1]), f->scales[p]);
        acc[p] = mul_add(pair_d_of(w + 2 * p, a->d), floats(sums), acc[p]);
    }
}

/* ---- IQ2_XS, IQ2_S --------------------------------------------------------------------------- */

INLINE void act_of_16(const Act *a, PairAct *to)
{
    act_turned(a, to);
    to->start = twice(a->sums);
}

INLINE void act_iq2_xs(const Act *a, PairAct *to) { act_of_16(a, to); }
INLINE void act_iq2_s(const Act *a, PairAct *to) { act_of_16(a, to); }

/* 2 s + 1 in words: of nibble i the bits 4 i - 1 … 4 i + 3, of which the lowest is not its own. */
INLINE Ints scales_of_16(const char *const w[2], size_t at)
{
    const Ints bits = _mm512_broadcast_i64x4(_mm256_setr_epi64x(
        0x000b00070003003f, 0x001b00170013000f, 0x002b00270023001f, 0x003b00370033002f));
    Ints s = _mm512_multishift_epi64_epi8(bits, pair8(w, at));
    return _mm512_ternarylogic_epi32(s, _mm512_set1_epi16(30), _mm512_set1_epi16(1), 0xea);
}

/* A word of sums is of two entries, whose 16 numbers share a scale. */
INLINE void add_of_16(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2])
{
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints nibbles[4], s = f->scales[p], sum[2] = {zero(), zero()};
        sum[0] = _mm512_madd_epi16(_mm512_mullo_epi16(s, _mm512_set1_epi16(-ZERO)), a->start);
        nibbles_of(f->codes[p], f->signs[p], nibbles);
        UNROLL for (int i = 0; i < 4; i++)
        {
            Ints low = pairs_u8(weights_of(nibbles[i], i), load(a->x[i]));
            Ints high = pairs_u8(weights_of(right(nibbles[i], 4), i), load(a->x[4 + i]));
            sum[0] = add_pairs(sum[0], s, low), sum[1] = add_pairs(sum[1], s, high);
        }
        acc[p] =
            mul_add(pair_d_of(w + 2 * p, a->d), floats(_mm512_add_epi32(sum[0], sum[1])), acc[p]);
    }
}

INLINE Found find_iq2_xs(const char *const w[FOUR])
{
    const Ints even = _mm512_set_epi64(0x7e7c7a7876747270, 0x6e6c6a6866646260, 0x5e5c5a5856545250,
                                       0x4e4c4a4846444240, 0x3e3c3a3836343230, 0x2e2c2a2826242220,
                                       0x1e1c1a1816141210, 0x0e0c0a0806040200);
    const Tables *t = &tables; /* read anew: a loop has no registers for it */
    __asm__ volatile("" : "+r"(t));
    Found f;
    Ints index[2], codes[2];
    __mmask64 bit[2][4];
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints first = load_once(((const EngBlockIQ2_XS *)w[2 * p])->qs);
        Ints second = load_once(((const EngBlockIQ2_XS *)w[2 * p + 1])->qs);
        index[p] = _mm512_permutex2var_epi8(first, even, second);
        Ints upper = _mm512_permutex2var_epi8(first, or (even, bytes(1)), second);
        bit[p][0] = _mm512_movepi8_mask(index[p]);
        bit[p][1] = _mm512_test_epi8_mask(upper, bytes(1));
        f.signs[p] = find_128(tables.signs, right(upper, 1));
        f.scales[p] = scales_of_16(w + 2 * p, offsetof(EngBlockIQ2_XS, scales));
    }
    UNROLL for (int i = 0; i < 2; i++)
    {
        find_parts(t->xs[i], 4, index, bit, codes);
        UNROLL for (int p = 0; p < 2; p++) f.codes[p][i] = codes[p];
    }
    return f;
}

INLINE Found find_iq2_s(const char *const w[FOUR])
{
    const Ints twos = _mm512_broadcast_i64x4(_mm256_setr_epi64x(
        0x0e0c0a0806040200, 0x1e1c1a1816141210, 0x2e2c2a2826242220, 0x3e3c3a3836343230));
    Found f;
    Ints index[2], codes[2];
    __mmask64 bit[2][4];
    UNROLL for (int p = 0; p < 2; p++)
    {
        index[p] = pair32(w + 2 * p, offsetof(EngBlockIQ2_S, qs));
        Ints qh = pair8(w + 2 * p, offsetof(EngBlockIQ2_S, qh));
        Ints top = _mm512_multishift_epi64_epi8(twos, qh);
        bit[p][0] = _mm512_movepi8_mask(index[p]);
        bit[p][1] = _mm512_test_epi8_mask(top, bytes(1));
        bit[p][2] = _mm512_test_epi8_mask(top, bytes(2));
        f.signs[p] = pair32(w + 2 * p, offsetof(EngBlockIQ2_S, signs));
        f.scales[p] = scales_of_16(w + 2 * p, offsetof(EngBlockIQ2_S, scales));
    }
    UNROLL for (int i = 0; i < 2; i++)
    {
        find_parts(tables.s[i], 8, index, bit, codes);
        UNROLL for (int p = 0; p < 2; p++) f.codes[p][i] = codes[p];
    }
    return f;
}

#define add_iq2_xs add_of_16
#define add_iq2_s add_of_16

/* ---- tiles ----------------------------------------------------------------------------------- */

INLINE void put_codes_of_four(const Found *f, int r, TileCodes *to)
{
    const Ints lower = bytes(15);
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints first = f->codes[p][0], second = f->codes[p][1];
        Ints low = _mm512_ternarylogic_epi32(lower, first, left(second, 4), 0xca);
        Ints high = _mm512_ternarylogic_epi32(lower, right(first, 4), second, 0xca);
        put_codes(to, r + 2 * p, low, high, f->signs[p]);
    }
}

typedef TileCodes Across;
#define turn_across turn_codes

PAIR_MATMUL(iq2_xxs, EngBlockIQ2_XXS, put_codes_of_four, tables.weights[3], 32, ZERO, 2 * ZERO)
PAIR_MATMUL(iq2_xs, EngBlockIQ2_XS, put_codes_of_four, tables.weights[3], 16, ZERO, 2 * ZERO)
PAIR_MATMUL(iq2_s, EngBlockIQ2_S, put_codes_of_four, tables.weights[3], 16, ZERO, 2 * ZERO)

void eng_kernels_dot_iq2_vbmi(EngKernels *k)
{
    tables_fill(&tables);
    below_iq2_xxs = k->matmul[ENG_TYPE_IQ2_XXS];
    below_iq2_xs = k->matmul[ENG_TYPE_IQ2_XS];
    below_iq2_s = k->matmul[ENG_TYPE_IQ2_S];
    k->matmul[ENG_TYPE_IQ2_XXS] = matmul_iq2_xxs;
    k->matmul[ENG_TYPE_IQ2_XS] = matmul_iq2_xs;
    k->matmul[ENG_TYPE_IQ2_S] = matmul_iq2_s;
}
