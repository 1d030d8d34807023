/* Matrix products with the 256-number blocks. Few tokens: a row at a time, a block's quants are
 * unpacked to unsigned bytes in registers, 32 at a time, and meet the activations of 1 to 4 tokens.
 * Many tokens: tiles of 16 rows.
 *
 * Range. pairs_u8 saturates at 32767; the largest sum of two products here is Q6_K's
 * 2 * 63 * 127 = 16002. Q3_K and Q6_K count from a zero point (4, 32): their quants stay unsigned
 * and zero * sum(s * sums) is subtracted in integers, which is exact. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/rows.h"

typedef struct {
    /* 16 bits each: what lookup needs so that quants 32 v … 32 v + 31 find the scale of their
     * group: entry v of the low half for the first 16, of the high half for the others. */
    Ints scales;
    Ints mins; /* 16 bits, by group of 16; zero * s where the format has a zero point */
    float d, dmin;
} Head;

INLINE Ints scales_at(Ints scales, int v)
{
    return lookup(scales, _mm256_set1_epi16((short)(2 * v + (2 * v + 1) * 256)));
}

/* From 16 signed scales, one per group of 16. */
INLINE Ints scales_of_16(__m128i s)
{
    const __m128i even_odd = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(s, even_odd));
}

INLINE Head head_q2_k(const EngBlockQ2_K *b)
{
    __m128i both = load16(b->scales), four = _mm_set1_epi8(15);
    __m128i m = _mm_and_si128(_mm_srli_epi16(both, 4), four);
    return (Head){scales_of_16(_mm_and_si128(both, four)), _mm256_cvtepi8_epi16(m), half(b->d),
                  half(b->dmin)};
}

INLINE Ints quants_q2_k(const EngBlockQ2_K *b, int v)
{
    return and(right(load(b->qs + v / 4 * 32), v % 4 * 2), bytes(3));
}

INLINE Head head_q3_k(const EngBlockQ3_K *b)
{
    uint32_t a = word(b->scales), c = word(b->scales + 4), top = word(b->scales + 8);
    const uint32_t four = 0x0f0f0f0f, two = 0x30303030;
    __m128i s = _mm_set_epi32(
        (int)((c >> 4 & four) | (top >> 2 & two)), (int)((a >> 4 & four) | (top & two)),
        (int)((c & four) | (top << 2 & two)), (int)((a & four) | (top << 4 & two)));
    s = _mm_sub_epi8(s, _mm_set1_epi8(32));
    float d = half(b->d);
    return (Head){scales_of_16(s), _mm256_slli_epi16(_mm256_cvtepi8_epi16(s), 2), d, d};
}

INLINE Ints quants_q3_k(const EngBlockQ3_K *b, int v)
{
    Ints mask = load(b->hmask), top = v < 2 ? left(mask, 2 - v) : right(mask, v - 2);
    return or (and(right(load(b->qs + v / 4 * 32), v % 4 * 2), bytes(3)), and(top, bytes(4)));
}

/* The 12 bytes of Q4_K and Q5_K, and d and dmin in front of them. */
INLINE Head head_of_32(const uint8_t p[12], uint16_t d, uint16_t dmin)
{
    uint32_t a = word(p), c = word(p + 4), top = word(p + 8);
    const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x30303030;
    __m128i both = _mm_set_epi32((int)((top >> 4 & four) | (c >> 2 & two)), (int)(c & six),
                                 (int)((top & four) | (a >> 2 & two)), (int)(a & six));
    return (Head){_mm256_cvtepu8_epi16(_mm_unpacklo_epi64(both, both)),
                  _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(both, both)), half(d), half(dmin)};
}

INLINE Head head_q4_k(const EngBlockQ4_K *b) { return head_of_32(b->scales, b->d, b->dmin); }

INLINE Ints quants_q4_k(const EngBlockQ4_K *b, int v)
{
    return and(right(load(b->qs + v / 2 * 32), v % 2 * 4), bytes(15));
}

INLINE Head head_q5_k(const EngBlockQ5_K *b) { return head_of_32(b->scales, b->d, b->dmin); }

INLINE Ints quants_q5_k(const EngBlockQ5_K *b, int v)
{
    Ints high = load(b->qh), top = v < 4 ? left(high, 4 - v) : right(high, v - 4);
    return or (and(right(load(b->qs + v / 2 * 32), v % 2 * 4), bytes(15)), and(top, bytes(16)));
}

INLINE Head head_q6_k(const EngBlockQ6_K *b)
{
    __m128i s = load16(b->scales);
    float d = half(b->d);
    return (Head){scales_of_16(s), _mm256_slli_epi16(_mm256_cvtepi8_epi16(s), 5), d, d};
}

INLINE Ints quants_q6_k(const EngBlockQ6_K *b, int v)
{
    int g = v % 4;
    Ints low = right(load(b->ql + v / 4 * 64 + g % 2 * 32), g / 2 * 4),
         high = load(b->qh + v / 4 * 32);
    Ints top = g < 2 ? left(high, 4 - 2 * g) : right(high, 2 * g - 4);
    return or (and(low, bytes(15)), and(top, bytes(48)));
}

INLINE const EngBlockQ8_KA *act(const char *x, size_t x_stride, int t)
{
    return (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
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
            const EngBlockQ8_KA *a = act(x, x_stride, t);                                          \
            Ints mins = pairs_16(h.mins, load(a->sums));                                           \
            sum[t] = has_zero ? sub32(_mm256_setzero_si256(), mins) : _mm256_setzero_si256();      \
            if (!has_zero) acc[t] = _mm256_fnmadd_ps(all(h.dmin * a->d), floats(mins), acc[t]);    \
        }                                                                                          \
        UNROLL for (int v = 0; v < 8; v++)                                                         \
        {                                                                                          \
            Ints q = quants_##name(b, v), s = scales_at(h.scales, v);                              \
            UNROLL for (int t = 0; t < tokens; t++)                                                \
            {                                                                                      \
                Ints x8 = load(act(x, x_stride, t)->q + 32 * v);                                   \
                sum[t] = add32(sum[t], pairs_16(s, pairs_u8(q, x8)));                              \
            }                                                                                      \
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
 * numbers of eight rows. Four activations broadcast to all lanes then give eight rows' sums with no
 * horizontal addition, and sums of 16 bits can take several steps before they are widened
 * (`chain`, chosen per type so that chain * 2 * max(q) * 127 stays below 32768). */
enum { TILE_ROWS = 16, TILE_TOKENS = 4 };

typedef struct {       /* one block of eight rows */
    uint8_t q[64][32]; /* [numbers / 4][row][4] */
    int16_t s[16][16]; /* [group][row][the scale twice] */
    int16_t m[8][16];  /* [group / 2][row][minima of two groups] */
    float d[8], dmin[8];
} __attribute__((aligned(64))) Tile;

INLINE void put_d(float *to, Ints halves)
{
    Ints low = and(halves, _mm256_set1_epi32(0xffff));
    Ints packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    storef(to, _mm256_cvtph_ps(_mm256_castsi256_si128(packed)));
}

INLINE Ints byte_of(Ints a, int i) /* signed byte i of each lane, as 32 bits */
{
    return _mm256_srai_epi32(left(a, 24 - 8 * i), 24);
}

INLINE void put_scales(Tile *tile, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i++)
    {
        Ints s = byte_of(four, i);
        store(tile->s[group + i], _mm256_blend_epi16(s, left(s, 16), 0xaa));
    }
}

INLINE void put_zeros(Tile *tile, int group, Ints four, int shift)
{
    UNROLL for (int i = 0; i < 4; i += 2)
    {
        Ints pair = _mm256_blend_epi16(byte_of(four, i), left(byte_of(four, i + 1), 16), 0xaa);
        store(tile->m[(group + i) / 2], _mm256_slli_epi16(pair, shift));
    }
}

INLINE void put_mins(Tile *tile, int group, Ints four) { put_zeros(tile, group, four, 0); }

#include "cpu/x86/pack_k.h"

typedef struct {
    int group;    /* numbers that share a scale: 16 or 32 */
    int chain;    /* steps that a sum of 16 bits can take */
    int has_zero; /* minima count in units of d, not dmin */
} TileKind;

/* Products of the minima with the activations' sums. */
INLINE void tile_mins(const Tile tile[2], TileKind kind, const char *x, size_t x_stride, int tokens,
                      Ints ret[2][TILE_TOKENS])
{
    const int pairs = 128 / kind.group;
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const EngBlockQ8_KA *a = (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
        int16_t sums[16] __attribute__((aligned(32)));
        Ints all_sums = load(a->sums);
        if (kind.group == 32) { /* sums of 32, at most 32 * 127 */
            all_sums = pairs_16(all_sums, _mm256_set1_epi16(1));
            all_sums = _mm256_permute4x64_epi64(_mm256_packs_epi32(all_sums, all_sums), 0x08);
        }
        store(sums, all_sums);
        ret[0][t] = ret[1][t] = _mm256_setzero_si256();
        UNROLL for (int j = 0; j < pairs; j++)
        {
            Ints two = _mm256_set1_epi32((int)word(sums + 2 * j));
            ret[0][t] = add32(ret[0][t], pairs_16(load(tile[0].m[j]), two));
            ret[1][t] = add32(ret[1][t], pairs_16(load(tile[1].m[j]), two));
        }
    }
}

/* One block of 16 rows with 1 … 4 tokens; `first` sets y, later blocks add to it. */
INLINE void tile_tokens(const Tile tile[2], TileKind kind, const char *x, size_t x_stride,
                        int tokens, bool first, float *y, size_t y_stride)
{
    Ints sum[2][TILE_TOKENS], mins[2][TILE_TOKENS];
    tile_mins(tile, kind, x, x_stride, tokens, mins);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        sum[0][t] =
            kind.has_zero ? sub32(_mm256_setzero_si256(), mins[0][t]) : _mm256_setzero_si256();
        sum[1][t] =
            kind.has_zero ? sub32(_mm256_setzero_si256(), mins[1][t]) : _mm256_setzero_si256();
    }
    for (int at = 0; at < 64; at += kind.chain) {
        Ints part[2][TILE_TOKENS];
        UNROLL for (int c = 0; c < kind.chain; c++)
        {
            Ints w0 = load(tile[0].q[at + c]), w1 = load(tile[1].q[at + c]);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                const EngBlockQ8_KA *a = (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
                Ints four = _mm256_set1_epi32((int)word(a->q + 4 * (at + c)));
                Ints p0 = pairs_u8(w0, four), p1 = pairs_u8(w1, four);
                part[0][t] = c ? add16(part[0][t], p0) : p0;
                part[1][t] = c ? add16(part[1][t], p1) : p1;
            }
        }
        Ints s0 = load(tile[0].s[4 * at / kind.group]), s1 = load(tile[1].s[4 * at / kind.group]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            sum[0][t] = add32(sum[0][t], pairs_16(part[0][t], s0));
            sum[1][t] = add32(sum[1][t], pairs_16(part[1][t], s1));
        }
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        Floats dx = all(((const EngBlockQ8_KA *)(x + (size_t)t * x_stride))->d);
        UNROLL for (int h = 0; h < 2; h++)
        {
            Floats value = _mm256_mul_ps(loadf(tile[h].d), floats(sum[h][t]));
            if (!kind.has_zero)
                value = _mm256_fnmadd_ps(loadf(tile[h].dmin), floats(mins[h][t]), value);
            float *to = y + (size_t)t * y_stride + 8 * h;
            storef(to, first ? _mm256_mul_ps(dx, value) : mul_add(dx, value, loadf(to)));
        }
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
            Tile tile[2];
            const char *block = w + (size_t)r * w_stride + (size_t)i * w_size;
            pack(block, w_stride, tile);
            pack(block + 8 * w_stride, w_stride, tile + 1);
            const char *xi = x + (size_t)i * sizeof(EngBlockQ8_KA);
            int t = 0;
            for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
                tile_tokens(tile, kind, xi + (size_t)t * x_stride, x_stride, TILE_TOKENS, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
            for (; t < n_tokens; t++)
                tile_tokens(tile, kind, xi + (size_t)t * x_stride, x_stride, 1, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
        }
}

/* From this many tokens on, unpacking a tile costs less than it saves. */
enum { TILE_FROM = 8 };

/* chain * 2 * max(q) * 127 < 32768: 8 steps of 15, 4 of 31, 2 of 63, and no step across groups. */
#define MATMUL(name, Block, group, chain, has_zero)                                                \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const RowKind row_kind = {step_##name, 256, sizeof(Block), sizeof(EngBlockQ8_KA)};         \
        const TileKind tile_kind = {group, chain, has_zero};                                       \
        int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                     \
        tile_matmul(pack_##name, tile_kind, sizeof(Block), n, tiled, n_tokens, w, w_stride, x,     \
                    x_stride, y, y_stride);                                                        \
        if (tiled < n_rows)                                                                        \
            rows_matmul(row_kind, n, n_rows - tiled, n_tokens,                                     \
                        (const char *)w + (size_t)tiled * w_stride, w_stride, x, x_stride,         \
                        y + tiled, y_stride);                                                      \
    }
MATMUL(q2_k, EngBlockQ2_K, 16, 4, 0)
MATMUL(q3_k, EngBlockQ3_K, 16, 4, 1)
MATMUL(q4_k, EngBlockQ4_K, 32, 8, 0)
MATMUL(q5_k, EngBlockQ5_K, 32, 4, 0)
MATMUL(q6_k, EngBlockQ6_K, 16, 2, 1)
#undef MATMUL

void eng_kernels_dot_k_avx2(EngKernels *k)
{
    k->matmul[ENG_TYPE_Q2_K] = matmul_q2_k;
    k->matmul[ENG_TYPE_Q3_K] = matmul_q3_k;
    k->matmul[ENG_TYPE_Q4_K] = matmul_q4_k;
    k->matmul[ENG_TYPE_Q5_K] = matmul_q5_k;
    k->matmul[ENG_TYPE_Q6_K] = matmul_q6_k;
}
