/* IQ3, one token and tiles, on AVX-512 with VNNI and VBMI. A vector has the 64 entries of a row's
 * block, four numbers each. Of an entry there are two bytes of codes, 3 bits a number in the
 * nibbles of numbers 0 and 1, 2 and 3, and its signs stand on top of the nibbles: a nibble is an
 * index into sixteen weights, unsigned because they count from a zero point. A permutation of 64
 * bytes heeds 6 bits of an index: what is above the nibble need not be taken off, only be the same
 * to the table.
 *
 * 64 bits of sums are a group of 32 numbers; those of two rows go into one vector to be scaled. */
#include "cpu/x86/iq/pair_vbmi.h"
#include "cpu/x86/ladder.h"
#include "load/unpack_iq.h"

enum { ZERO_XXS = 62, ZERO_S = 15, NUMBERS = 4 };

typedef struct { /* [0]: numbers 0 and 1; [1]: numbers 2 and 3 */
    uint8_t xxs[2][256], s[2][512];
    uint8_t signs_7[128]; /* of seven bits: bits 3, 7, 2, 6, 1, 5, 0, 4 are signs 0 … 7 */
    uint8_t signs_4[64];  /* of four bits: bits 3, 7, 2, 6 */
    uint8_t weights_xxs[64], weights_s[64];
} __attribute__((aligned(64))) Tables;

static Tables tables;

typedef struct { /* a block of each of four rows */
    Ints nibbles[FOUR][2], scales[2];
} Found;

typedef struct {
    int8_t x[NUMBERS][64]; /* [i]: number i of the 64 fours */
    Ints start;            /* what products begin at */
    float d;
} __attribute__((aligned(64))) PairAct;

#include "cpu/x86/iq/pair_walk_vbmi.h"

/* ---- tables ---------------------------------------------------------------------------------- */

/* Sizes are 4, 12 … 52, 62 and 1, 3 … 15. */
static void put_entry(uint32_t entry, int unit, uint8_t *first, uint8_t *second)
{
    for (int i = 0; i < NUMBERS; i++) {
        uint8_t *to = i < 2 ? first : second;
        *to |= (uint8_t)((int)(entry >> 8 * i & 255) / unit << i % 2 * 4);
    }
}

static const uint8_t place_of[8] = {3, 7, 2, 6, 1, 5, 0, 4};

static void tables_fill(Tables *t)
{
    memset(t, 0, sizeof *t);
    for (int e = 0; e < 256; e++) put_entry(eng_grid_iq3_xxs[e], 8, t->xxs[0] + e, t->xxs[1] + e);
    for (int e = 0; e < 512; e++) put_entry(eng_grid_iq3_s[e], 2, t->s[0] + e, t->s[1] + e);
    for (int e = 0; e < 128; e++)
        for (int i = 0; i < 8; i++)
            t->signs_7[e] |= (uint8_t)((eng_signs_of_7((uint32_t)e) >> i & 1) << place_of[i]);
    for (int e = 0; e < 64; e++) {
        int code = e & 7, xxs = code < 7 ? 8 * code + 4 : 62, s = 2 * code + 1, minus = e & 8;
        for (int i = 0; i < NUMBERS; i++) t->signs_4[e] |= (uint8_t)((e >> i & 1) << place_of[i]);
        t->weights_xxs[e] = (uint8_t)(minus ? ZERO_XXS - xxs : ZERO_XXS + xxs);
        t->weights_s[e] = (uint8_t)(minus ? ZERO_S - s : ZERO_S + s);
    }
}

/* ---- pieces ---------------------------------------------------------------------------------- */

INLINE void act_of_fours(const Act *a, int zero_point, float factor, PairAct *to)
{
    const Ints turn =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const Ints first = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
    Ints v[4], sums = _mm512_cvtepi16_epi32(load32(a->sums));
    UNROLL for (int i = 0; i < 4; i++) v[i] = lookup(load(a->q + 64 * i), turn);
    to->d = a->d * factor;
    to->start = _mm512_mullo_epi32(sums, _mm512_set1_epi32(-zero_point));
    UNROLL for (int i = 0; i < NUMBERS; i++)
    {
        Ints pick = _mm512_add_epi32(first, _mm512_set1_epi32(i));
        Ints low = _mm512_permutex2var_epi32(v[0], pick, v[1]);
        Ints high = _mm512_permutex2var_epi32(v[2], pick, v[3]);
        store(to->x[i], _mm512_mask_blend_epi32(0xff00, low, high));
    }
}

INLINE void act_iq3_xxs(const Act *a, PairAct *to) { act_of_fours(a, ZERO_XXS, 0.25f, to); }
INLINE void act_iq3_s(const Act *a, PairAct *to) { act_of_fours(a, ZERO_S, 1, to); }

/* signs: those of numbers 0 and 1 on top of the nibbles, of numbers 2 and 3 one bit below. */
INLINE void put_nibbles(Ints first, Ints second, Ints signs, Ints ret[2])
{
    const Ints codes = bytes(0x77);
    ret[0] = _mm512_ternarylogic_epi32(first, signs, codes, 0xe4);
    ret[1] = _mm512_ternarylogic_epi32(second, left(signs, 1), codes, 0xe4);
}

INLINE void add_iq3(const char *const w[FOUR], const Found *f, const PairAct *a,
                    const uint8_t weights[64], Floats acc[2])
{
    const Ints even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const Ints table = load(weights);
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints sum[2];
        UNROLL for (int r = 0; r < 2; r++)
        {
            sum[r] = a->start;
            UNROLL for (int i = 0; i < 2; i++)
            {
                Ints both = f->nibbles[2 * p + r][i];
                Ints low = _mm512_permutexvar_epi8(both, table);
                Ints high = _mm512_permutexvar_epi8(right(both, 4), table);
                sum[r] = add_fours(sum[r], low, load(a->x[2 * i]));
                sum[r] = add_fours(sum[r], high, load(a->x[2 * i + 1]));
            }
        }
        Ints odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        Ints sums = _mm512_add_epi32(_mm512_permutex2var_epi32(sum[0], even, sum[1]),
                                     _mm512_permutex2var_epi32(sum[0], odd, sum[1]));
        sums = _mm512_mullo_epi32(sums, f->scales[p]);
        acc[p] = mul_add(pair_d_of(w + 2 * p, a->d), floats(sums), acc[p]);
    }
}

/* ---- IQ3_XXS --------------------------------------------------------------------------------- */

INLINE Found find_iq3_xxs(const char *const w[FOUR])
{
    const Ints sevens = _mm512_set1_epi64(0x352e2720150e0700);
    const Ints spread = _mm512_set1_epi64(0x16180e1006083e00); /* the last four two bits up */
    const Ints each = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    Found f;
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints words = pair32(w + 2 * p, offsetof(EngBlockIQ3_XXS, signs));
        Ints signs = find_128(tables.signs_7, _mm512_multishift_epi64_epi8(sevens, words));
        f.scales[p] = or (right(words, 27), _mm512_set1_epi32(1));
        UNROLL for (int r = 0; r < 2; r++)
        {
            Ints index = load_once(((const EngBlockIQ3_XXS *)w[2 * p + r])->qs), codes[2];
            __mmask64 top = _mm512_movepi8_mask(index);
            UNROLL for (int i = 0; i < 2; i++) codes[i] =
                choose8(top, find_128(tables.xxs[i], index), find_128(tables.xxs[i] + 128, index));
            Ints own =
                _mm512_permutexvar_epi32(_mm512_add_epi32(each, _mm512_set1_epi32(8 * r)), signs);
            put_nibbles(codes[0], codes[1], _mm512_multishift_epi64_epi8(spread, own),
                        f.nibbles[2 * p + r]);
        }
    }
    return f;
}

INLINE void add_iq3_xxs(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2])
{
    add_iq3(w, f, a, tables.weights_xxs, acc);
}

/* ---- IQ3_S ----------------------------------------------------------------------------------- */

/* 2 s + 1 in 32 bits, from eight nibbles of each row. */
INLINE Ints scales_iq3_s_pair(const char *const w[2])
{
    const Ints down = _mm512_broadcast_i64x4(_mm256_setr_epi32(31, 3, 7, 11, 15, 19, 23, 27));
    const size_t at = offsetof(EngBlockIQ3_S, scales);
    Ints s = _mm512_mask_set1_epi32(all_words(w[0] + at), 0xff00, (int)word(w[1] + at));
    s = _mm512_rorv_epi32(s, down);
    return _mm512_ternarylogic_epi32(s, _mm512_set1_epi32(30), _mm512_set1_epi32(1), 0xea);
}

INLINE Found find_iq3_s(const char *const w[FOUR])
{
    const Ints halves = _mm512_set1_epi64(0x1c1814100c080400);
    const Ints table = load(tables.signs_4);
    Found f;
    UNROLL for (int p = 0; p < 2; p++)
    {
        Ints index[2], codes[2][2];
        __mmask64 bit[2][4];
        UNROLL for (int r = 0; r < 2; r++)
        {
            const EngBlockIQ3_S *b = (const EngBlockIQ3_S *)w[2 * p + r];
            uint64_t top;
            memcpy(&top, b->qh, sizeof top);
            index[r] = load_once(b->qs);
            bit[r][0] = _mm512_movepi8_mask(index[r]), bit[r][1] = top;
        }
        UNROLL for (int i = 0; i < 2; i++) find_parts(tables.s[i], 4, index, bit, codes[i]);
        UNROLL for (int r = 0; r < 2; r++)
        {
            Ints words =
                _mm512_cvtepu32_epi64(load32(((const EngBlockIQ3_S *)w[2 * p + r])->signs));
            Ints signs = _mm512_multishift_epi64_epi8(halves, words);
            put_nibbles(codes[0][r], codes[1][r], _mm512_permutexvar_epi8(signs, table),
                        f.nibbles[2 * p + r]);
        }
        f.scales[p] = scales_iq3_s_pair(w + 2 * p);
    }
    return f;
}

INLINE void add_iq3_s(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2])
{
    add_iq3(w, f, a, tables.weights_s, acc);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

typedef struct { /* of sixteen rows */
    uint8_t first[16][64], second[16][64];
} __attribute__((aligned(64))) Across;

INLINE void put_nibbles_of_four(const Found *f, int r, Across *to)
{
    UNROLL for (int s = 0; s < FOUR; s++)
    {
        store(to->first[r + s], f->nibbles[s][0]);
        store(to->second[r + s], f->nibbles[s][1]);
    }
}

INLINE void turn_across(const Across *n, const uint8_t table[64], Tile *tile)
{
    const Ints weights = load(table);
    for (int i = 0; i < 4; i++) {
        Ints first[4], second[4];
        columns((const char *)n->first[0] + 16 * i, sizeof n->first[0], first);
        columns((const char *)n->second[0] + 16 * i, sizeof n->second[0], second);
        UNROLL for (int v = 0; v < 4; v++)
        {
            UNROLL for (int j = 0; j < 4; j++)
            {
                const Ints at = _mm512_set1_epi64(0x2420242004000400 + 0x0808080808080808 * j);
                Ints low = _mm512_multishift_epi64_epi8(at, first[v]);
                Ints high = _mm512_multishift_epi64_epi8(at, second[v]);
                Ints both = _mm512_mask_blend_epi16(0xaaaaaaaa, low, high);
                store(tile->q[16 * i + 4 * v + j], _mm512_permutexvar_epi8(both, weights));
            }
        }
    }
}

PAIR_MATMUL(iq3_xxs, EngBlockIQ3_XXS, put_nibbles_of_four, tables.weights_xxs, 32, ZERO_XXS,
            2 * ZERO_XXS)
PAIR_MATMUL(iq3_s, EngBlockIQ3_S, put_nibbles_of_four, tables.weights_s, 32, ZERO_S, 2 * ZERO_S)

void eng_kernels_dot_iq3_vbmi(EngKernels *k)
{
    tables_fill(&tables);
    below_iq3_xxs = k->matmul[ENG_TYPE_IQ3_XXS];
    below_iq3_s = k->matmul[ENG_TYPE_IQ3_S];
    k->matmul[ENG_TYPE_IQ3_XXS] = matmul_iq3_xxs;
    k->matmul[ENG_TYPE_IQ3_S] = matmul_iq3_s;
}
