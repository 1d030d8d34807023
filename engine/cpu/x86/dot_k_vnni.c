/* Matrix products with the 256-number blocks on AVX-512 with VNNI. Few tokens: a row at a time, 64
 * quants are unpacked to unsigned bytes and meet the activations of 1 to 4 tokens. Many tokens:
 * tiles of 16 rows.
 *
 * Range. pairs_u8 saturates at 32767; the largest sum of two products here is Q6_K's
 * 2 * 63 * 127 = 16002. add_fours and add_pairs add in 32 bits. Q3_K and Q6_K count from a zero
 * point (4, 32): their quants stay unsigned and zero * sum(qx) is subtracted in integers. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/rows.h"

typedef EngBlockQ8_KA Act;

INLINE const Act *act(const char *x, size_t x_stride, int t)
{
    return (const Act *)(x + (size_t)t * x_stride);
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct {
    /* 16 bits each. Quarter i of the vector holds the scales of groups i, 4 + i, 8 + i, 12 + i:
     * entry v serves quants 64 v … 64 v + 63, whose quarters are groups 4 v … 4 v + 3. */
    Ints scales;
    __m256i mins; /* 16 bits, by group of 16; zero * s where the format has a zero point */
    float d, dmin;
} Head;

INLINE Ints scales_at(Ints scales, int v)
{
    return lookup(scales, _mm512_set1_epi16((short)(2 * v + (2 * v + 1) * 256)));
}

/* From 16 signed scales, one per group of 16. */
INLINE Ints spread_scales(__m128i s)
{
    const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const Ints quarters = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    __m256i wide = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(s, turn));
    return _mm512_permutexvar_epi64(quarters, _mm512_castsi256_si512(wide));
}

INLINE Head head_q2_k(const EngBlockQ2_K *b)
{
    __m128i both = load16(b->scales), four = _mm_set1_epi8(15);
    __m128i m = _mm_and_si128(_mm_srli_epi16(both, 4), four);
    return (Head){spread_scales(_mm_and_si128(both, four)), _mm256_cvtepi8_epi16(m), half(b->d),
                  half(b->dmin)};
}

INLINE Ints quants_q2_k(const EngBlockQ2_K *b, int v)
{
    return and(rights(twice(b->qs + v / 2 * 32), v % 2 * 4, v % 2 * 4 + 2), bytes(3));
}

INLINE Head head_q3_k(const EngBlockQ3_K *b)
{
    uint32_t a = word(b->scales), c = word(b->scales + 4), top = word(b->scales + 8);
    const uint32_t four = 0x0f0f0f0f, two = 0x30303030;
    __m128i s = _mm_set_epi32(
        (int)((c >> 4 & four) | (top >> 2 & two)), (int)((a >> 4 & four) | (top & two)),
        (int)((c & four) | (top << 2 & two)), (int)((a & four) | (top << 4 & two)));
    s = _mm_sub_epi8(s, _mm_set1_epi8(32));
    return (Head){spread_scales(s), _mm256_slli_epi16(_mm256_cvtepi8_epi16(s), 2), half(b->d), 0};
}

INLINE Ints quants_q3_k(const EngBlockQ3_K *b, int v)
{
    Ints low = rights(twice(b->qs + v / 2 * 32), v % 2 * 4, v % 2 * 4 + 2), mask = twice(b->hmask);
    Ints top = v == 0 ? lefts(mask, 2, 1) : rights(mask, 2 * v - 2, 2 * v - 1);
    return or (and(low, bytes(3)), and(top, bytes(4)));
}

/* The 12 bytes of Q4_K and Q5_K, and d and dmin in front of them. */
INLINE Head head_of_32(const uint8_t p[12], uint16_t d, uint16_t dmin)
{
    uint32_t a = word(p), c = word(p + 4), top = word(p + 8);
    const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x30303030;
    __m128i both = _mm_set_epi32((int)((top >> 4 & four) | (c >> 2 & two)), (int)(c & six),
                                 (int)((top & four) | (a >> 2 & two)), (int)(a & six));
    return (Head){spread_scales(_mm_unpacklo_epi8(both, both)),
                  _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(both, both)), half(d), half(dmin)};
}

INLINE Head head_q4_k(const EngBlockQ4_K *b) { return head_of_32(b->scales, b->d, b->dmin); }

INLINE Ints quants_q4_k(const EngBlockQ4_K *b, int v)
{
    return and(rights(twice(b->qs + v * 32), 0, 4), bytes(15));
}

INLINE Head head_q5_k(const EngBlockQ5_K *b) { return head_of_32(b->scales, b->d, b->dmin); }

INLINE Ints quants_q5_k(const EngBlockQ5_K *b, int v)
{
    Ints low = rights(twice(b->qs + v * 32), 0, 4), high = twice(b->qh);
    Ints top = v < 2 ? lefts(high, 4 - 2 * v, 3 - 2 * v) : rights(high, 2 * v - 4, 2 * v - 3);
    return or (and(low, bytes(15)), and(top, bytes(16)));
}

INLINE Head head_q6_k(const EngBlockQ6_K *b)
{
    __m128i s = load16(b->scales);
    return (Head){spread_scales(s), _mm256_slli_epi16(_mm256_cvtepi8_epi16(s), 5), half(b->d), 0};
}

INLINE Ints quants_q6_k(const EngBlockQ6_K *b, int v)
{
    Ints low = right(load(b->ql + v / 2 * 64), v % 2 * 4), high = twice(b->qh + v / 2 * 32);
    Ints top = v % 2 ? rights(high, 0, 2) : lefts(high, 4, 2);
    return or (and(low, bytes(15)), and(top, bytes(48)));
}

#define STEP(name, Block, has_zero)                                                                \
    INLINE void step_##name(const char *w, const char *x, size_t x_stride, int tokens,             \
                            Floats *acc)                                                           \
    {                                                                                              \
        const Block *b = (const Block *)w;                                                         \
        Head h = head_##name(b);                                                                   \
        Ints sum[4];                                                                               \
        UNROLL for (int t = 0; t < tokens; t++)                                                    \
        {                                                                                          \
            const Act *a = act(x, x_stride, t);                                                    \
            Ints mins = _mm512_zextsi256_si512(_mm256_madd_epi16(h.mins, load32(a->sums)));        \
            sum[t] = has_zero ? sub32(zero(), mins) : zero();                                      \
            if (!has_zero) acc[t] = sub_mul(acc[t], all(h.dmin * a->d), floats(mins));             \
        }                                                                                          \
        UNROLL for (int v = 0; v < 4; v++)                                                         \
        {                                                                                          \
            Ints q = quants_##name(b, v), s = scales_at(h.scales, v);                              \
            UNROLL for (int t = 0; t < tokens; t++) sum[t] =                                       \
                add_pairs(sum[t], s, pairs_u8(q, load(act(x, x_stride, t)->q + 64 * v)));          \
        }                                                                                          \
        UNROLL for (int t = 0; t < tokens; t++) acc[t] =                                           \
            mul_add(all(h.d * act(x, x_stride, t)->d), floats(sum[t]), acc[t]);                    \
    }
STEP(q2_k, EngBlockQ2_K, 0)
STEP(q3_k, EngBlockQ3_K, 1)
STEP(q4_k, EngBlockQ4_K, 0)
STEP(q5_k, EngBlockQ5_K, 0)
STEP(q6_k, EngBlockQ6_K, 1)
#undef STEP

/* ---- tiles ----------------------------------------------------------------------------------- */

/* A tile lies across: lane r of a vector belongs to row r, and a vector holds four neighbouring
 * numbers of sixteen rows. Four activations broadcast to all lanes give sixteen rows' sums. */
enum { TILE_ROWS = 16, TILE_TOKENS = 8 };

typedef struct {       /* one block of sixteen rows */
    uint8_t q[64][64]; /* [numbers / 4][row][4] */
    float s[16][16];   /* [group][row]: d times the scale */
    int16_t m[8][32];  /* [group / 2][row][minima of two groups] */
    float d[16], dmin[16];
} __attribute__((aligned(64))) Tile;

INLINE void put_d(float *to, Ints halves) { storef(to, low_halves(halves)); }

INLINE void put_scales(Tile *tile, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i++)
        storef(tile->s[group + i], mul(loadf(tile->d), floats(byte_of(four, i))));
}

INLINE void put_mins(Tile *tile, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i += 2)
    {
        Ints first = byte_of(four, i), second = left(byte_of(four, i + 1), 16);
        store(tile->m[(group + i) / 2], _mm512_mask_blend_epi16(0xaaaaaaaa, first, second));
    }
}

/* Sums begin at -zero * sum(qx) instead. */
INLINE void put_zeros(Tile *tile, int group, Ints four, int shift)
{
    (void)tile, (void)group, (void)four, (void)shift;
}

#include "cpu/x86/pack_k.h"

typedef struct {
    int group; /* numbers that share a scale: 16 or 32 */
    int zero;  /* zero point; 0: the format has minima */
} TileKind;

/* dmin times the products of the minima with the activations' sums. */
INLINE Floats tile_mins(const Tile *tile, TileKind kind, const Act *a)
{
    int16_t sums[16] __attribute__((aligned(32)));
    __m256i all_sums = load32(a->sums);
    if (kind.group == 32) { /* sums of 32, at most 32 * 127 */
        all_sums = _mm256_madd_epi16(all_sums, _mm256_set1_epi16(1));
        all_sums = _mm256_zextsi128_si256(_mm256_cvtepi32_epi16(all_sums));
    }
    _mm256_store_si256((__m256i *)sums, all_sums);
    const int pairs = 128 / kind.group;
    Ints mins = zero();
    UNROLL for (int j = 0; j < pairs; j++) mins =
        add_pairs(mins, load(tile->m[j]), all_words(sums + 2 * j));
    return mul(loadf(tile->dmin), floats(mins));
}

/* One block of 16 rows with 1 … 8 tokens; `first` sets y, later blocks add to it. */
INLINE void tile_tokens(const Tile *tile, TileKind kind, const char *x, size_t x_stride, int tokens,
                        bool first, float *y, size_t y_stride)
{
    Floats acc[TILE_TOKENS];
    int32_t start[TILE_TOKENS][16] __attribute__((aligned(64)));
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const Act *a = act(x, x_stride, t);
        acc[t] = kind.zero ? all(0) : sub_mul(all(0), all(1), tile_mins(tile, kind, a));
        if (kind.zero) {
            Ints sums = _mm512_cvtepi16_epi32(load32(a->sums));
            store(start[t], _mm512_mullo_epi32(sums, _mm512_set1_epi32(-kind.zero)));
        }
    }
    for (int group = 0; group < 256 / kind.group; group++) {
        Ints sum[TILE_TOKENS];
        const int steps = kind.group / 4;
        UNROLL for (int t = 0; t < tokens; t++) sum[t] =
            kind.zero ? _mm512_set1_epi32(start[t][group]) : zero();
        UNROLL for (int c = 0; c < steps; c++)
        {
            Ints w = load(tile->q[group * steps + c]);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                const int8_t *q = act(x, x_stride, t)->q + 4 * (group * steps + c);
                sum[t] = add_fours(sum[t], w, all_words(q));
            }
        }
        Floats s = loadf(tile->s[group]);
        UNROLL for (int t = 0; t < tokens; t++) acc[t] = mul_add(s, floats(sum[t]), acc[t]);
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        Floats dx = all(act(x, x_stride, t)->d);
        float *to = y + (size_t)t * y_stride;
        storef(to, first ? mul(dx, acc[t]) : mul_add(dx, acc[t], loadf(to)));
    }
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, TileKind kind, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    int64_t blocks = n / 256, step = 0;
    for (int r = 0; r < n_rows; r += TILE_ROWS)
        for (int64_t i = 0; i < blocks; i++, step++) {
            tile_prefetch(step, blocks, n_rows, TILE_ROWS, w_size, w, w_stride);
            Tile tile;
            pack(w + (size_t)r * w_stride + (size_t)i * w_size, w_stride, &tile);
            const char *xi = x + (size_t)i * sizeof(Act);
            int t = 0;
            for (; t + 8 <= n_tokens; t += 8)
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 8, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
            if (t + 4 <= n_tokens) {
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 4, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
                t += 4;
            }
            for (; t < n_tokens; t++)
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 1, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
        }
}

/* From this many tokens on, unpacking a tile costs less than it saves. */
enum { TILE_FROM = 8 };

#define MATMUL(name, Block, group, zero)                                                           \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const RowKind row_kind = {step_##name, 256, sizeof(Block), sizeof(Act)};                   \
        const TileKind tile_kind = {group, zero};                                                  \
        int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                     \
        tile_matmul(pack_##name, tile_kind, sizeof(Block), n, tiled, n_tokens, w, w_stride, x,     \
                    x_stride, y, y_stride);                                                        \
        if (tiled < n_rows)                                                                        \
            rows_matmul(row_kind, n, n_rows - tiled, n_tokens,                                     \
                        (const char *)w + (size_t)tiled * w_stride, w_stride, x, x_stride,         \
                        y + tiled, y_stride);                                                      \
    }
MATMUL(q2_k, EngBlockQ2_K, 16, 0)
MATMUL(q3_k, EngBlockQ3_K, 16, 4)
MATMUL(q4_k, EngBlockQ4_K, 32, 0)
MATMUL(q5_k, EngBlockQ5_K, 32, 0)
MATMUL(q6_k, EngBlockQ6_K, 16, 32)
#undef MATMUL

void eng_kernels_dot_k_vnni(EngKernels *k)
{
    k->matmul[ENG_TYPE_Q2_K] = matmul_q2_k;
    k->matmul[ENG_TYPE_Q3_K] = matmul_q3_k;
    k->matmul[ENG_TYPE_Q4_K] = matmul_q4_k;
    k->matmul[ENG_TYPE_Q5_K] = matmul_q5_k;
    k->matmul[ENG_TYPE_Q6_K] = matmul_q6_k;
}
