/* Matrix products with the 256-number blocks. Few tokens: a row at a time, a block's quants are
 * unpacked to unsigned bytes in registers, 32 at a time, and meet the activations of 1 to 4 tokens.
 * Many tokens: tiles of 16 rows (tile_k_avx2.h), unpacked here.
 *
 * Range. pairs_u8 saturates at 32767; the largest sum of two products here is Q6_K's
 * 2 * 63 * 127 = 16002. Q3_K and Q6_K count from a zero point (4, 32): their quants stay unsigned
 * and zero * sum(s * sums) is subtracted in integers, which is exact. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/rows.h"
#include "cpu/x86/tile_k_avx2.h"

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
    __m128i s = _mm_set_epi32((int)((c >> 4 & four) | (top >> 2 & two)),
                              (int)((a >> 4 & four) | (top & two)),
                              (int)((c & four) | (top << 2 & two)),
                              (int)((a & four) | (top << 4 & two)));
    s = _mm_sub_epi8(s, _mm_set1_epi8(32));
    float d = half(b->d);
    return (Head){scales_of_16(s), _mm256_slli_epi16(_mm256_cvtepi8_epi16(s), 2), d, d};
}

INLINE Ints quants_q3_k(const EngBlockQ3_K *b, int v)
{
    Ints mask = load(b->hmask), top = v < 2 ? left(mask, 2 - v) : right(mask, v - 2);
    return or(and(right(load(b->qs + v / 4 * 32), v % 4 * 2), bytes(3)), and(top, bytes(4)));
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
    return or(and(right(load(b->qs + v / 2 * 32), v % 2 * 4), bytes(15)), and(top, bytes(16)));
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
    Ints low = right(load(b->ql + v / 4 * 64 + g % 2 * 32), g / 2 * 4), high = load(b->qh + v / 4 * 32);
    Ints top = g < 2 ? left(high, 4 - 2 * g) : right(high, 2 * g - 4);
    return or(and(low, bytes(15)), and(top, bytes(48)));
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
            if (!has_zero)                                                                         \
                acc[t] = _mm256_fnmadd_ps(all(h.dmin * a->d), floats(mins), acc[t]);               \
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
        UNROLL for (int t = 0; t < tokens; t++)                                                    \
            acc[t] = mul_add(all(h.d * act(x, x_stride, t)->d), floats(sum[t]), acc[t]);               \
    }
STEP(q2_k, EngBlockQ2_K, 0)
STEP(q3_k, EngBlockQ3_K, 1)
STEP(q4_k, EngBlockQ4_K, 0)
STEP(q5_k, EngBlockQ5_K, 0)
STEP(q6_k, EngBlockQ6_K, 1)
#undef STEP

/* ---- tiles: the same formats, eight rows at once ---------------------------------------------- */

/* Two-bit quants of 32 bytes, four columns of them: dwords `at` … `at + 3` of the four runs. */
INLINE void put_pairs(Tile *tile, int half_, int run, int at, const Ints four[4], const Ints *top)
{
    UNROLL for (int p = 0; p < 4; p++)
    {
        UNROLL for (int i = 0; i < 4; i++)
        {
            int v = run + p; /* which 32 numbers of the block */
            Ints q = and(right(four[i], 2 * p), bytes(3));
            if (top) {
                Ints bit = v < 2 ? left(top[i], 2 - v) : right(top[i], v - 2);
                q = or(q, and(bit, bytes(4)));
            }
            store(tile->q[8 * v + at + i][half_], q);
        }
    }
}

INLINE void pack_q2_k(const char *w, size_t w_stride, int half_, Tile *tile)
{
    const EngBlockQ2_K *b = (const EngBlockQ2_K *)w;
    Ints four[4];
    columns((const char *)b->scales, w_stride, four);
    for (int i = 0; i < 4; i++) {
        put_scales(tile, half_, 4 * i, and(four[i], bytes(15)));
        put_mins(tile, half_, 4 * i, and(right(four[i], 4), bytes(15)), 0);
    }
    for (int i = 0; i < 4; i++) {
        columns((const char *)b->qs + 16 * i, w_stride, four);
        UNROLL for (int odd = 0; odd < 2; odd++)
            if (i % 2 == odd) put_pairs(tile, half_, i / 2 * 4, 4 * odd, four, NULL);
    }
    Ints d = column((const char *)&b->d, w_stride);
    storef(tile->d[half_], low_halves(d));
    storef(tile->dmin[half_], low_halves(right(d, 16)));
}

INLINE void pack_q3_k(const char *w, size_t w_stride, int half_, Tile *tile)
{
    const EngBlockQ3_K *b = (const EngBlockQ3_K *)w;
    Ints low[2], top = column((const char *)b->scales + 8, w_stride), four[4], mask[2][4];
    UNROLL for (int i = 0; i < 2; i++) low[i] = column((const char *)b->scales + 4 * i, w_stride);
    UNROLL for (int i = 0; i < 4; i++)
    {
        Ints high = i < 2 ? left(top, 4 - 2 * i) : right(top, 2 * i - 4);
        Ints s = or(and(right(low[i % 2], i / 2 * 4), bytes(15)), and(high, bytes(48)));
        s = _mm256_sub_epi8(s, bytes(32));
        put_scales(tile, half_, 4 * i, s);
        put_mins(tile, half_, 4 * i, s, 2);
    }
    columns((const char *)b->hmask, w_stride, mask[0]);
    columns((const char *)b->hmask + 16, w_stride, mask[1]);
    UNROLL for (int i = 0; i < 4; i++)
    {
        columns((const char *)b->qs + 16 * i, w_stride, four);
        put_pairs(tile, half_, i / 2 * 4, i % 2 * 4, four, mask[i % 2]);
    }
    storef(tile->d[half_], low_halves(right(column((const char *)&b->d - 2, w_stride), 16)));
}

/* d, dmin and the 12 bytes of scales, which stand together at the front. */
INLINE void pack_head_of_32(const char *w, size_t w_stride, int half_, Tile *tile)
{
    Ints head[4], four = bytes(15), six = bytes(63), two = bytes(48);
    columns(w, w_stride, head);
    Ints a = head[1], c = head[2], top = head[3];
    storef(tile->d[half_], low_halves(head[0]));
    storef(tile->dmin[half_], low_halves(right(head[0], 16)));
    put_scales(tile, half_, 0, and(a, six));
    put_scales(tile, half_, 4, or(and(top, four), and(right(a, 2), two)));
    put_mins(tile, half_, 0, and(c, six), 0);
    put_mins(tile, half_, 4, or(and(right(top, 4), four), and(right(c, 2), two)), 0);
}

INLINE void pack_q4_k(const char *w, size_t w_stride, int half_, Tile *tile)
{
    const EngBlockQ4_K *b = (const EngBlockQ4_K *)w;
    pack_head_of_32(w, w_stride, half_, tile);
    for (int i = 0; i < 8; i++) {
        Ints four[4];
        columns((const char *)b->qs + 16 * i, w_stride, four);
        int at = i / 2 * 16 + i % 2 * 4;
        UNROLL for (int j = 0; j < 4; j++)
        {
            store(tile->q[at + j][half_], and(four[j], bytes(15)));
            store(tile->q[at + 8 + j][half_], and(right(four[j], 4), bytes(15)));
        }
    }
}

INLINE void pack_q5_k(const char *w, size_t w_stride, int half_, Tile *tile)
{
    const EngBlockQ5_K *b = (const EngBlockQ5_K *)w;
    pack_head_of_32(w, w_stride, half_, tile);
    Ints high[2][4];
    columns((const char *)b->qh, w_stride, high[0]);
    columns((const char *)b->qh + 16, w_stride, high[1]);
    for (int i = 0; i < 8; i++) {
        Ints four[4];
        columns((const char *)b->qs + 16 * i, w_stride, four);
        int at = i / 2 * 16 + i % 2 * 4;
        UNROLL for (int j = 0; j < 4; j++)
        {
            Ints *top = &high[i % 2][j]; /* its lowest bits belong to the next quants */
            Ints first = and(left(*top, 4), bytes(16)), second = and(left(*top, 3), bytes(16));
            *top = right(*top, 2);
            store(tile->q[at + j][half_], or(and(four[j], bytes(15)), first));
            store(tile->q[at + 8 + j][half_], or(and(right(four[j], 4), bytes(15)), second));
        }
    }
}

INLINE void pack_q6_k(const char *w, size_t w_stride, int half_, Tile *tile)
{
    const EngBlockQ6_K *b = (const EngBlockQ6_K *)w;
    Ints four[4], high[4];
    columns((const char *)b->scales, w_stride, four);
    for (int i = 0; i < 4; i++) {
        put_scales(tile, half_, 4 * i, four[i]);
        put_mins(tile, half_, 4 * i, four[i], 5);
    }
    for (int i = 0; i < 4; i++) { /* 16 of the 32 numbers of each run of a half block */
        int at = i / 2 * 32 + i % 2 * 4;
        columns((const char *)b->qh + 16 * i, w_stride, high);
        UNROLL for (int run = 0; run < 2; run++)
        {
            columns((const char *)b->ql + i / 2 * 64 + run * 32 + i % 2 * 16, w_stride, four);
            UNROLL for (int j = 0; j < 4; j++)
            {
                Ints first = and(left(high[j], 4 - 2 * run), bytes(48));
                Ints second = and(run ? right(high[j], 2) : high[j], bytes(48));
                store(tile->q[at + 8 * run + j][half_], or(and(four[j], bytes(15)), first));
                store(tile->q[at + 16 + 8 * run + j][half_],
                      or(and(right(four[j], 4), bytes(15)), second));
            }
        }
    }
    storef(tile->d[half_], low_halves(right(column((const char *)&b->d - 2, w_stride), 16)));
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
