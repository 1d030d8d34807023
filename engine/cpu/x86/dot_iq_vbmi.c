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

typedef struct { /* of a pair of rows, 32 entries each */
    Ints low, high;
} Codes;

INLINE Ints find_128(const uint8_t *table, Ints index)
{
    return _mm512_permutex2var_epi8(load(table), index, load(table + 64));
}

INLINE Ints choose8(__mmask64 where, Ints a, Ints b) { return _mm512_mask_blend_epi8(where, a, b); }

/* Indices are `qs` and three more bits on top, which are the lowest of `top`. Two pairs at once, as
 * the loads of the table are as many as the ports have room for. Parts of the table are chosen
 * among by one bit after the other, as early as there are two, for registers are few. */
INLINE void find_low(const Grid *g, const Ints qs[2], const Ints top[2], Codes ret[2])
{
    __mmask64 bit[2][4];
    Ints wait[2][4];
    UNROLL for (int p = 0; p < 2; p++)
    {
        bit[p][0] = _mm512_movepi8_mask(qs[p]);
        UNROLL for (int b = 1; b < 4; b++) bit[p][b] =
            _mm512_test_epi8_mask(top[p], bytes(1 << (b - 1)));
    }
    UNROLL for (int part = 0; part < PARTS; part++) UNROLL for (int p = 0; p < 2; p++)
    {
        Ints found = find_128(g->low + 128 * part, qs[p]);
        int b = 0;
        for (; b < 4 && part >> b & 1; b++) found = choose8(bit[p][b], wait[p][b], found);
        if (b < 4)
            wait[p][b] = found;
        else
            ret[p].low = found;
    }
}

INLINE Ints find_high(const Grid *g, Ints qs, Ints top)
{
    Ints place = bytes(NEIGHBOURS - 1);
    Ints of = _mm512_ternarylogic_epi32(place, right(qs, 4), left(top, 4), 0xca);
    __mmask64 is_next = _mm512_cmpge_epu8_mask(and(qs, place), find_128(g->from, of));
    return choose8(is_next, find_128(g->first, of), find_128(g->next, of));
}

INLINE void find(const Ints qs[2], const Ints top[2], Codes ret[2])
{
    const Grid *g = &grid; /* read anew: what a loop keeps of it goes to the stack and back */
    __asm__ volatile("" : "+r"(g));
    find_low(g, qs, top, ret);
    UNROLL for (int p = 0; p < 2; p++) ret[p].high = find_high(g, qs[p], top[p]);
}

/* ---- activations ----------------------------------------------------------------------------- */

typedef struct {
    int8_t x[8][32]; /* IQ1_S: [i][e] is number i of the e-th eight */
    Ints sums[2];    /* what products begin at: IQ1_S: where the side of delta is plus, minus */
    Ints eights[2];  /* IQ1_M: sums of eight numbers, in words */
    float d;
} __attribute__((aligned(64))) PairAct;

typedef PairAct PairActFn(const Act *a);

INLINE __m256i both16(__m128i low, __m128i high) { return _mm256_set_m128i(high, low); }

INLINE void put_turned(const Act *a, PairAct *to)
{
    const Ints turn = _mm512_set_epi64(0x3f372f271f170f07, 0x3e362e261e160e06, 0x3d352d251d150d05,
                                       0x3c342c241c140c04, 0x3b332b231b130b03, 0x3a322a221a120a02,
                                       0x3931292119110901, 0x3830282018100800);
    Ints v[4];
    UNROLL for (int i = 0; i < 4; i++) v[i] = _mm512_permutexvar_epi8(turn, load(a->q + 64 * i));
    int8_t halves[2][2][4][16] __attribute__((aligned(64))); /* [odd][half][i / 2] */
    UNROLL for (int h = 0; h < 2; h++)
    {
        store(halves[0][h], _mm512_unpacklo_epi64(v[2 * h], v[2 * h + 1]));
        store(halves[1][h], _mm512_unpackhi_epi64(v[2 * h], v[2 * h + 1]));
    }
    UNROLL for (int i = 0; i < 8; i++) UNROLL for (int h = 0; h < 2; h++)
        _mm_store_si128((__m128i *)to->x[i] + h, load16(halves[i % 2][h][i / 2]));
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

typedef struct { /* a block of each of four rows */
    Codes codes[2];
    Ints side[2]; /* IQ1_S: heads; IQ1_M: bytes whose bit 3 says that the side of delta is minus */
} Found;

typedef Found FindFn(const char *const w[FOUR]);
typedef void AddFn(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2]);

/* 16 or 32 bytes at `at` of a pair of rows. */
INLINE __m256i pair16(const char *const w[2], size_t at)
{
    return both16(load16(w[0] + at), load16(w[1] + at));
}
INLINE Ints pair32(const char *const w[2], size_t at)
{
    return two_runs((const int8_t *)w[0] + at, (const int8_t *)w[1] + at);
}

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

INLINE Floats pair_d(uint16_t first, uint16_t second, float dx)
{
    __m256i halves = both16(_mm_set1_epi16((short)first), _mm_set1_epi16((short)second));
    return mul(_mm512_cvtph_ps(halves), all(dx));
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
        const EngBlockIQ1_S *b = (const EngBlockIQ1_S *)w[2 * p];
        const EngBlockIQ1_S *c = (const EngBlockIQ1_S *)w[2 * p + 1];
        __m256i qh = _mm512_castsi512_si256(f->side[p]);
        Ints scales = odd_of(right(_mm512_cvtepu16_epi32(qh), 11));
        Ints start = _mm512_mask_blend_epi32(_mm256_movepi16_mask(qh), a->sums[0], a->sums[1]);
        Ints sums = products(start, f->codes[p].low, f->codes[p].high, a->x, 4);
        acc[p] = scaled(acc[p], pair_d(b->d, c->d, a->d), sums, scales);
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

/* ---- the walk -------------------------------------------------------------------------------- */

enum { CHUNK = 32 }; /* blocks whose activations are put in order at once */

typedef struct {
    FindFn *find;
    AddFn *add;
    PairActFn *act_of;
    size_t w_size;
} Iq1Kind;

/* Sums of the halves of two vectors, at 0, 4, 8, 12. */
INLINE void totals(const Floats acc[2], float ret[16])
{
    Floats low = _mm512_shuffle_f32x4(acc[0], acc[1], 0x88);
    Floats sum = _mm512_add_ps(low, _mm512_shuffle_f32x4(acc[0], acc[1], 0xdd));
    sum = _mm512_add_ps(sum, _mm512_permute_ps(sum, 0x4e));
    storef(ret, _mm512_add_ps(sum, _mm512_permute_ps(sum, 0xb1)));
}

/* Products of a block are added after the next block's codes are found: the way from a block to its
 * product is longer than the processor looks ahead. */
INLINE void iq1_four_rows(Iq1Kind kind, int blocks, const PairAct *a, const char *const w[FOUR],
                          float ret[16])
{
    const char *at[FOUR] = {w[0], w[1], w[2], w[3]};
    Floats acc[2] = {all(0), all(0)};
    Found f = kind.find(at);
    for (int i = 1; i < blocks; i++) {
        const char *next[FOUR];
        UNROLL for (int s = 0; s < FOUR; s++)
        {
            rows_prefetch(at[s], kind.w_size);
            next[s] = at[s] + kind.w_size;
        }
        Found after = kind.find(next);
        kind.add(at, &f, a + i - 1, acc);
        f = after;
        UNROLL for (int s = 0; s < FOUR; s++) at[s] = next[s];
    }
    UNROLL for (int s = 0; s < FOUR; s++) rows_prefetch(at[s], kind.w_size);
    kind.add(at, &f, a + blocks - 1, acc);
    totals(acc, ret);
}

/* Rows in four streams, as in rows.h, and as in four_matvec the last row fills empty places. */
INLINE void iq1_matvec(Iq1Kind kind, int64_t n, int n_rows, const char *w, size_t w_stride,
                       const char *x, float *y)
{
    int quarter = (n_rows + FOUR - 1) / FOUR;
    for (int64_t from = 0; from < n / 256; from += CHUNK) {
        PairAct acts[CHUNK];
        int blocks = (int)ENG_MIN(n / 256 - from, CHUNK);
        for (int i = 0; i < blocks; i++) acts[i] = kind.act_of((const Act *)x + from + i);
        for (int r = 0; r < quarter; r++) {
            const char *at[FOUR];
            float part[16] __attribute__((aligned(64)));
            UNROLL for (int s = 0; s < FOUR; s++)
            {
                int row = ENG_MIN(r + s * quarter, n_rows - 1);
                at[s] = w + (size_t)row * w_stride + (size_t)from * kind.w_size;
            }
            iq1_four_rows(kind, blocks, acts, at, part);
            for (int s = 0; s < FOUR && r + s * quarter < n_rows; s++) {
                float *to = y + r + s * quarter;
                *to = from == 0 ? part[4 * s] : *to + part[4 * s];
            }
        }
    }
}

/* The kernels of the level below; written when the tables are filled. */
static EngMatmulFn *below_iq1_s, *below_iq1_m;

#define MATMUL(name, Block)                                                                        \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const Iq1Kind kind = {find_##name, add_##name, act_##name, sizeof(Block)};                 \
        if (n_tokens == 1)                                                                         \
            iq1_matvec(kind, n, n_rows, w, w_stride, x, y);                                        \
        else                                                                                       \
            below_##name(n, n_rows, n_tokens, w, w_stride, x, x_stride, y, y_stride);              \
    }
MATMUL(iq1_s, EngBlockIQ1_S)
MATMUL(iq1_m, EngBlockIQ1_M)
#undef MATMUL

void eng_kernels_dot_iq_vbmi(EngKernels *k)
{
    grid_fill(&grid);
    below_iq1_s = k->matmul[ENG_TYPE_IQ1_S];
    below_iq1_m = k->matmul[ENG_TYPE_IQ1_M];
    k->matmul[ENG_TYPE_IQ1_S] = matmul_iq1_s;
    k->matmul[ENG_TYPE_IQ1_M] = matmul_iq1_m;
}
