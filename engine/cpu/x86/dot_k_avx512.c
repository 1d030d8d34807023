/* Matrix products with the 256-number blocks on AVX-512, with VNNI or without. Few tokens: a row
 * at a time, 64 quants are unpacked to unsigned bytes and meet the activations of 1 to 4 tokens.
 * Many tokens: tiles of 16 rows.
 *
 * Range. pairs_u8 saturates at 32767; the largest sum of two products here is Q6_K's
 * 2 * 63 * 127 = 16002. add_fours and add_pairs add in 32 bits. Q3_K and Q6_K count from a zero
 * point (4, 32): their quants stay unsigned and zero * sum(qx) is subtracted in integers. */
#include "cpu/x86/ladder.h"
#include "cpu/x86/k_avx512.h"

typedef struct {
    Ints scales;  /* spread */
    __m256i mins; /* 16 bits, by group of 16; zero * s where the format has a zero point */
    float d, dmin;
} Head;

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

#if defined(__AVX512VNNI__)
/* As bytes, [group / 4][row][4], for they will go into the quants. A larger tile would be slower.
 */
#define put_small_scales put_scale_bytes
INLINE void put_scale_bytes(Tile *tile, int group, Ints four) { store(tile->s[group / 4], four); }
#endif

#include "cpu/x86/unpack/pack_k.h"
#include "cpu/x86/four_k_avx512.h"

/* Bytes that need all eight bits cost more without VNNI than their scales do. */
#if defined(__AVX512VNNI__)

/* Byte g % 4 of each lane, in the low halves of both its words. */
INLINE Ints scale_words(const Tile *tile, int g)
{
    const Ints lanes = _mm512_broadcast_i32x4(
        _mm_setr_epi16((short)low_of(0), (short)low_of(0), (short)low_of(4), (short)low_of(4),
                       (short)low_of(8), (short)low_of(8), (short)low_of(12), (short)low_of(12)));
    return lookup(load(tile->s[g / 4]), _mm512_add_epi16(lanes, _mm512_set1_epi16(g % 4)));
}

/* Scales go into the quants where these stay bytes: 3 * 15 = 45. */
INLINE void fold_q2_k(const char *w, size_t w_stride, Tile *tile)
{
    pack_q2_k(w, w_stride, tile);
    UNROLL for (int g = 0; g < 16; g++)
    {
        Ints s = scale_words(tile, g);
        UNROLL for (int i = 4 * g; i < 4 * g + 4; i++)
            store(tile->q[i], _mm512_mullo_epi16(load(tile->q[i]), s));
    }
    storef(tile->s[0], loadf(tile->d));
}

/* (q - 4) s is in -124 … 128, and counts from 127. Bytes are multiplied modulo 256. */
INLINE void fold_q3_k(const char *w, size_t w_stride, Tile *tile)
{
    pack_q3_k(w, w_stride, tile);
    const Ints low = _mm512_set1_epi16(255);
    UNROLL for (int g = 0; g < 16; g++)
    {
        Ints s = scale_words(tile, g), four = or (s, left(s, 8));
        four = _mm512_add_epi8(four, four);
        Ints base = sub8(bytes(127), _mm512_add_epi8(four, four));
        UNROLL for (int i = 4 * g; i < 4 * g + 4; i++)
        {
            Ints q = load(tile->q[i]), even = _mm512_mullo_epi16(and(q, low), s);
            Ints odd = _mm512_mullo_epi16(_mm512_andnot_si512(low, q), s);
            store(tile->q[i], _mm512_add_epi8(base, or_bits(odd, even, low)));
        }
    }
    storef(tile->s[0], loadf(tile->d));
}

enum { FOLDED = true, ZERO_Q3_K = 127, MOST_Q2_K = 45, MOST_Q3_K = 255 };

#else
#define fold_q2_k pack_q2_k
#define fold_q3_k pack_q3_k
enum { FOLDED = false, ZERO_Q3_K = 4, MOST_Q2_K = 3, MOST_Q3_K = 7 };
#endif

#define MATMUL_BELOW(name, Block, pack, ...)                                                       \
    const RowKind row_kind = {step_##name, 256, sizeof(Block), sizeof(Act)};                       \
    const TileKind tile_kind = {__VA_ARGS__};                                                      \
    k_matmul(pack##_##name, tile_kind, row_kind, n, n_rows, n_tokens, w, w_stride, x, x_stride, y, \
             y_stride)
#define MATMUL(name, Block, apart, pack, ...)                                                      \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        if (n_tokens == 1) {                                                                       \
            four_matvec(four_##name, apart, sizeof(Block), n, n_rows, w, w_stride, x, y);          \
            return;                                                                                \
        }                                                                                          \
        MATMUL_BELOW(name, Block, pack, __VA_ARGS__);                                              \
    }
MATMUL(q2_k, EngBlockQ2_K, 128, fold, 16, 0, MOST_Q2_K, FOLDED)
MATMUL(q3_k, EngBlockQ3_K, 128, fold, 16, ZERO_Q3_K, MOST_Q3_K, FOLDED)
MATMUL(q4_k, EngBlockQ4_K, 64, pack, 32, 0, 15, false)
MATMUL(q5_k, EngBlockQ5_K, 64, pack, 32, 0, 31, false)
#undef MATMUL

static void matmul_q6_k(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
                        const void *x, size_t x_stride, float *y, size_t y_stride)
{
    MATMUL_BELOW(q6_k, EngBlockQ6_K, pack, 16, 32, 63, false);
}
#undef MATMUL_BELOW

/* Twelve sums, so that none waits for itself. gcc 12 copies the sums of VNNI's intrinsic. */
static int64_t int8_peak(int64_t n)
{
    enum { SUMS = 12 };
    Ints sum[SUMS] = {{0}}, a = bytes(3), b = bytes(5);
    for (int64_t i = 0; i < n; i++) {
        UNROLL for (int j = 0; j < SUMS; j++)
        {
#if defined(__AVX512VNNI__)
            __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum[j]) : "v"(a), "v"(b));
#else
            __asm__ volatile("" : "+v"(a)); /* not the same product every time round */
            sum[j] = add_fours(sum[j], a, b);
#endif
        }
    }
    UNROLL for (int j = 0; j < SUMS; j++) __asm__ volatile("" : : "v"(sum[j]));
    return n * SUMS * 128;
}

/* Twelve sums, so that none waits for itself. */
static int64_t float_peak(int64_t n)
{
    enum { SUMS = 12 };
    __m512 sum[SUMS] = {{0}}, a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    for (int64_t i = 0; i < n; i++) {
        UNROLL for (int j = 0; j < SUMS; j++)
        {
            __asm__ volatile("" : "+v"(a)); /* not the same product every time round */
            sum[j] = _mm512_fmadd_ps(a, b, sum[j]);
        }
    }
    UNROLL for (int j = 0; j < SUMS; j++) __asm__ volatile("" : : "v"(sum[j]));
    return n * SUMS * 32;
}

void ISA(eng_kernels_dot_k)(EngKernels *k)
{
    k->float_peak = float_peak;
    k->int8_peak = int8_peak;
    k->matmul[ENG_TYPE_Q2_K] = matmul_q2_k;
    k->matmul[ENG_TYPE_Q3_K] = matmul_q3_k;
    k->matmul[ENG_TYPE_Q4_K] = matmul_q4_k;
    k->matmul[ENG_TYPE_Q5_K] = matmul_q5_k;
    k->matmul[ENG_TYPE_Q6_K] = matmul_q6_k;
}
