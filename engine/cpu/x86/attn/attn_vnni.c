/* Attention over a q8_0 cache without turning it into floats, sixteen queries to a vector, four
 * products of bytes to a lane and instruction. One side of it must be unsigned: keys have 128
 * added, which the queries' sums take back, and weights are not negative. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

/* add_fours in place: gcc 12 copies each accumulator of the intrinsic's loops. */
INLINE void fours_into(Ints *sum, Ints a, Ints b)
{
    __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

INLINE __mmask16 first_of(int n) { return (__mmask16)(n < 16 ? (1 << n) - 1 : 0xffff); }

/* Scales of the 16 blocks from `at` on, those of the mask; 0 for others, which are not read. */
INLINE Floats scales_at(const void *at, __mmask16 mask)
{
    const Ints size = _mm512_set1_epi32(sizeof(EngBlockQ8_0));
    Ints where = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    where = _mm512_mullo_epi32(where, size);
    return low_halves(_mm512_mask_i32gather_epi32(zero(), mask, where, at, 1));
}

/* ---- scores ---------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *k; /* [n][dk], 128 added */
    const float *d;   /* [n][dk / 32] */
    int dk;
} Keys;

/* The cache's rows come from memory, and nobody asked for them: too many at once are not fetched
 * but forgotten, and the processor's own prefetchers stop at each page and follow none of the rows
 * that lie between those of other heads. */
INLINE void ask_for_row(const uint8_t *row, size_t stride, size_t bytes)
{
    enum { ROWS_AHEAD = 8 };
    for (size_t at = 0; at < bytes; at += 64)
        _mm_prefetch(row + ROWS_AHEAD * stride + at, _MM_HINT_T0);
}

static Keys raise_keys(int n, int dk, const uint8_t *k, size_t k_stride, void *room)
{
    uint8_t *bytes_at = room;
    float *d = (float *)(void *)(bytes_at + (size_t)n * (size_t)dk);
    Keys keys = {bytes_at, d, dk};
    int blocks = dk / 32;
    for (int i = 0; i < n; i++, k += k_stride, d += blocks) {
        ask_for_row(k, k_stride, (size_t)blocks * sizeof(EngBlockQ8_0));
        const EngBlockQ8_0 *block = (const EngBlockQ8_0 *)(const void *)k;
        for (int b = 0; b < blocks; b++, bytes_at += 32) {
            __m256i raised = _mm256_xor_si256(load32(block[b].qs), _mm256_set1_epi8((char)0x80));
            _mm256_storeu_si256((__m256i *)(void *)bytes_at, raised);
        }
        for (int b = 0; b < blocks; b += 16) {
            __mmask16 mask = first_of(blocks - b);
            _mm512_mask_storeu_ps(d + b, mask, scales_at(block + b, mask));
        }
    }
    return keys;
}

/* positions (1 … 6) x groups of 16 queries (1 … 2), constants. q: the first group's first block. */
INLINE void score_tile(int positions, int groups, const EngQueryQ8 *q, size_t q_step,
                       const Keys *keys, int i, float *s, int rows)
{
    Floats sum[6][2];
    UNROLL for (int p = 0; p < positions; p++)
    {
        UNROLL for (int g = 0; g < groups; g++) sum[p][g] = all(0);
    }
    int blocks = keys->dk / 32;
    const uint8_t *k = keys->k + (size_t)i * (size_t)keys->dk;
    const float *d = keys->d + (size_t)i * (size_t)blocks;
    for (int b = 0; b < blocks; b++, q += q_step, k += 32, d++) {
        Ints acc[6][2];
        UNROLL for (int g = 0; g < groups; g++)
        {
            Ints start = load(q[g].start);
            UNROLL for (int p = 0; p < positions; p++) acc[p][g] = start;
        }
        UNROLL for (int four = 0; four < 8; four++)
        {
            Ints qs[2];
            UNROLL for (int g = 0; g < groups; g++) qs[g] = load(q[g].q[four]);
            UNROLL for (int p = 0; p < positions; p++)
            {
                Ints ks = all_words(k + (size_t)p * (size_t)keys->dk + 4 * four);
                UNROLL for (int g = 0; g < groups; g++) fours_into(&acc[p][g], ks, qs[g]);
            }
        }
        UNROLL for (int g = 0; g < groups; g++)
        {
            Floats scale = loadf(q[g].d);
            UNROLL for (int p = 0; p < positions; p++) sum[p][g] = mul_add(
                floats(acc[p][g]), mul(scale, all(d[(size_t)p * (size_t)blocks])), sum[p][g]);
        }
    }
    UNROLL for (int p = 0; p < positions; p++)
    {
        UNROLL for (int g = 0; g < groups; g++) storef(s + (i + p) * rows + 16 * g, sum[p][g]);
    }
}

INLINE void score_groups(int groups, int n, int rows, const EngQueryQ8 *q, const Keys *keys,
                         float *s)
{
    size_t step = (size_t)rows / 16;
    int i = 0;
    for (; i + 6 <= n; i += 6) score_tile(6, groups, q, step, keys, i, s, rows);
    for (; i + 4 <= n; i += 4) score_tile(4, groups, q, step, keys, i, s, rows);
    for (; i < n; i++) score_tile(1, groups, q, step, keys, i, s, rows);
}

static void scores_q8(int n, int rows, int dk, const EngQueryQ8 *q, const void *k, size_t k_stride,
                      void *room, float *s)
{
    Keys keys = raise_keys(n, dk, k, k_stride, room);
    int g = 0;
    for (; g + 2 <= rows / 16; g += 2) score_groups(2, n, rows, q + g, &keys, s + 16 * g);
    if (g < rows / 16) score_groups(1, n, rows, q + g, &keys, s + 16 * g);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Sums of weights times values. A weight is multiplied by its position's scale for each block of 32
 * columns anew, so that values stay the bytes that they are, and comes in two bytes of its own: the
 * sums of the upper ones are worth 256 of the lower. Where a query has seen much more than the
 * largest weight here, the upper ones do. Positions go in fours, in a lane's bytes in the order
 * 0 2 1 3, to which two vectors of pairs of 16 bits come together. */
typedef struct {
    int fours, rows, blocks;
    uint32_t *p;          /* [2 fours][rows] two positions' weights, MOST the largest of a query */
    uint32_t *scale;      /* [2 fours][blocks] two positions' scales, MOST the largest of a block */
    uint32_t *high, *low; /* [fours][rows] four positions' weights times scales of a block */
    uint32_t *v;          /* [fours][32] four positions' values of it, see column_of */
    float *step;          /* [rows] what a weight times a scale of 1 stands for */
    float *most;          /* [blocks] largest scale */
    bool *rough;          /* [rows / 16] the upper bytes do */
} Values;

enum { MOST = 65535 }; /* of weights and of scales */

/* Without lower bytes, small weights must not all come to nothing: what is added before the cut
 * runs through [0, 1) in the order of a van der Corput sequence, so that of equal weights every few
 * neighbours have the right sum. For two positions each. */
static const uint32_t dither[ENG_Q8_POSITIONS / 4] = {
    0x00820002, 0x00c20042, 0x00a20022, 0x00e20062, 0x00920012, 0x00d20052, 0x00b20032, 0x00f20072,
    0x008a000a, 0x00ca004a, 0x00aa002a, 0x00ea006a, 0x009a001a, 0x00da005a, 0x00ba003a, 0x00fa007a,
    0x00860006, 0x00c60046, 0x00a60026, 0x00e60066, 0x00960016, 0x00d60056, 0x00b60036, 0x00f60076,
    0x008e000e, 0x00ce004e, 0x00ae002e, 0x00ee006e, 0x009e001e, 0x00de005e, 0x00be003e, 0x00fe007e};

/* Blocks whose scales are not all finite get NaN as the largest. */
static void take_scales(const Values *x, int n, const uint8_t *v, size_t v_stride)
{
    for (int b = 0; b < x->blocks; b += 16) {
        __mmask16 mask = first_of(x->blocks - b);
        Floats d[ENG_Q8_POSITIONS], most = all(0), poison = all(0);
        for (int i = 0; i < n; i++) {
            ask_for_row(v + (size_t)i * v_stride + (size_t)b * sizeof(EngBlockQ8_0), v_stride,
                        (size_t)ENG_MIN(x->blocks - b, 16) * sizeof(EngBlockQ8_0));
            d[i] = scales_at(v + (size_t)i * v_stride + (size_t)b * sizeof(EngBlockQ8_0), mask);
            most = _mm512_max_ps(d[i], most);
            poison = mul_add(d[i], all(0), poison);
        }
        __mmask16 some = _mm512_cmp_ps_mask(most, all(0), _CMP_GT_OQ);
        Floats factor = _mm512_maskz_div_ps(some, all(MOST), most);
        _mm512_mask_storeu_ps(x->most + b, mask, _mm512_add_ps(most, poison));
        for (int i = 0; i < 4 * x->fours; i += 2) {
            Ints pair = i < n ? _mm512_cvtps_epi32(mul(d[i], factor)) : zero();
            if (i + 1 < n) pair = or (pair, left(_mm512_cvtps_epi32(mul(d[i + 1], factor)), 16));
            _mm512_mask_storeu_epi32(x->scale + i / 2 * x->blocks + b, mask, pair);
        }
    }
}

/* Bits of a where the mask has one, else of b. */
INLINE Ints mix(Ints mask, Ints a, Ints b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }

static void take_weights(const Values *x, int n, const float *p, const float *sum)
{
    for (int j = 0; j < x->rows; j += 16) {
        Floats most = all(0);
        for (int i = 0; i < n; i++) most = _mm512_max_ps(loadf(p + i * x->rows + j), most);
        x->rough[j / 16] =
            _mm512_cmp_ps_mask(mul(most, all(64)), loadf(sum + j), _CMP_LE_OQ) == 0xffff;
        __mmask16 some = _mm512_cmp_ps_mask(most, all(0), _CMP_GT_OQ);
        Floats factor = _mm512_maskz_div_ps(some, all(MOST), most);
        storef(x->step + j, mul(most, all(0x1p16f / MOST / MOST)));
        for (int i = 0; i < 4 * x->fours; i += 2) {
            const float *at = p + i * x->rows + j;
            Ints pair = i < n ? _mm512_cvtps_epi32(mul(loadf(at), factor)) : zero();
            if (i + 1 < n)
                pair = or (pair, left(_mm512_cvtps_epi32(mul(loadf(at + x->rows), factor)), 16));
            store(x->p + i / 2 * x->rows + j, pair);
        }
    }
}

INLINE Ints product(const uint32_t *p, uint32_t scale)
{
    return _mm512_mulhi_epu16(load(p), _mm512_set1_epi32((int)scale));
}

/* Weights of `n` queries from j on times the scales of block b. */
INLINE void weigh(bool rough, const Values *x, int b, int j, int n)
{
    const Ints upper = _mm512_set1_epi16((short)0xff00);
    const uint32_t *scale = x->scale + b;
    for (int f = 0; f < x->fours; f++, scale += 2 * x->blocks) {
        const uint32_t *add = dither + 2 * f % (ENG_Q8_POSITIONS / 4);
        for (int at = f * x->rows + j, end = at + n; at < end; at += 16) {
            const uint32_t *p = x->p + at + f * x->rows;
            Ints one = product(p, scale[0]), two = product(p + x->rows, scale[x->blocks]);
            if (rough) {
                one = _mm512_adds_epu16(one, _mm512_set1_epi32((int)add[0]));
                two = _mm512_adds_epu16(two, _mm512_set1_epi32((int)add[1]));
            } else {
                store(x->low + at, mix(upper, _mm512_slli_epi16(two, 8), one));
            }
            store(x->high + at, mix(upper, two, _mm512_srli_epi16(one, 8)));
        }
    }
}

/* The value bytes of block b, four positions to a lane. */
static void turn_values(const Values *x, int n, int b, const uint8_t *v, size_t v_stride)
{
    static const EngBlockQ8_0 nothing;
    for (int i = 0; i < 4 * x->fours; i += 4) {
        __m256i row[4];
        UNROLL for (int r = 0; r < 4; r++)
        {
            const void *at = v + (size_t)(i + r) * v_stride;
            row[r] = load32((i + r < n ? (const EngBlockQ8_0 *)at + b : &nothing)->qs);
        }
        __m256i low = _mm256_unpacklo_epi8(row[0], row[2]);
        __m256i high = _mm256_unpackhi_epi8(row[0], row[2]);
        __m256i low2 = _mm256_unpacklo_epi8(row[1], row[3]);
        __m256i high2 = _mm256_unpackhi_epi8(row[1], row[3]);
        __m256i *to = (__m256i *)(void *)(x->v + 8 * i);
        _mm256_storeu_si256(to, _mm256_unpacklo_epi16(low, low2));
        _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi16(low, low2));
        _mm256_storeu_si256(to + 2, _mm256_unpacklo_epi16(high, high2));
        _mm256_storeu_si256(to + 3, _mm256_unpackhi_epi16(high, high2));
    }
}

/* Where turn_values leaves a column: 0-3 16-19 4-7 20-23 … */
INLINE int column_of(int place) { return place / 8 * 4 + (place >> 2 & 1) * 16 + place % 4; }

/* `columns` places of groups of 16 queries, constants; at most 16 sums. */
INLINE void add_values(int columns, int groups, const Values *x, const uint32_t *by, int place,
                       Ints acc[16][4])
{
    const uint32_t *v = x->v + place;
    for (int f = 0; f < x->fours; f++, v += 32, by += x->rows) {
        Ints ps[4];
        UNROLL for (int g = 0; g < groups; g++) ps[g] = load(by + 16 * g);
        UNROLL for (int c = 0; c < columns; c++)
        {
            Ints vs = all_words(v + c);
            UNROLL for (int g = 0; g < groups; g++) fours_into(&acc[c][g], ps[g], vs);
        }
    }
}

INLINE void value_tile(int columns, int groups, bool rough, const Values *x, int b, int place,
                       int j, const float *keep, float *o)
{
    Ints acc[16][4];
    UNROLL for (int c = 0; c < columns; c++)
    {
        UNROLL for (int g = 0; g < groups; g++) acc[c][g] = zero();
    }
    add_values(columns, groups, x, x->high + j, place, acc);
    UNROLL for (int c = 0; c < columns; c++)
    {
        UNROLL for (int g = 0; g < groups; g++) acc[c][g] = left(acc[c][g], 8);
    }
    if (!rough) add_values(columns, groups, x, x->low + j, place, acc);
    UNROLL for (int g = 0; g < groups; g++)
    {
        Floats step = mul(loadf(x->step + j + 16 * g), all(x->most[b]));
        Floats kept = loadf(keep + j + 16 * g);
        UNROLL for (int c = 0; c < columns; c++)
        {
            float *at = o + (32 * b + column_of(place + c)) * x->rows + j + 16 * g;
            storef(at, mul_add(floats(acc[c][g]), step, mul(loadf(at), kept)));
        }
    }
}

INLINE void value_block(int columns, int groups, bool rough, const Values *x, int b, int j,
                        const float *keep, float *o)
{
    weigh(rough, x, b, j, 16 * groups);
    for (int place = 0; place < 32; place += columns)
        value_tile(columns, groups, rough, x, b, place, j, keep, o);
}

/* Groups from j on for which the upper bytes do, or for which they do not: up to four. */
INLINE int groups_alike(const Values *x, int j)
{
    int n = 1, first = j / 16, most = ENG_MIN(x->rows / 16 - first, 4);
    while (n < most && x->rough[first + n] == x->rough[first]) n++;
    return n == 3 ? 2 : n;
}

INLINE int value_groups(bool rough, const Values *x, int b, int j, const float *keep, float *o)
{
    int groups = groups_alike(x, j);
    if (groups == 4)
        value_block(4, 4, rough, x, b, j, keep, o);
    else if (groups == 2)
        value_block(8, 2, rough, x, b, j, keep, o);
    else
        value_block(16, 1, rough, x, b, j, keep, o);
    return 16 * groups;
}

static void values_q8(int n, int rows, int dv, const float *p, const void *v, size_t v_stride,
                      const float *sum, const float *keep, void *room, float *o)
{
    float most[ENG_Q8_BLOCKS];
    bool rough[ENG_Q8_ROWS / 16];
    Values x = {.fours = (n + 3) / 4, .rows = rows, .blocks = dv / 32, .step = room};
    x.most = most;
    x.rough = rough;
    x.p = (uint32_t *)room + rows;
    x.high = x.p + 2 * x.fours * rows;
    x.low = x.high + x.fours * rows;
    x.v = x.low + x.fours * rows;
    x.scale = x.v + 32 * x.fours;
    take_weights(&x, n, p, sum);
    take_scales(&x, n, v, v_stride);
    for (int b = 0; b < x.blocks; b++) {
        turn_values(&x, n, b, v, v_stride);
        for (int j = 0; j < rows;)
            j += x.rough[j / 16] ? value_groups(true, &x, b, j, keep, o)
                                 : value_groups(false, &x, b, j, keep, o);
    }
}

void eng_kernels_attn_vnni(EngKernels *k)
{
    k->scores_q8 = scores_q8;
    k->values_q8 = values_q8;
    k->q8_pays = true;
}
