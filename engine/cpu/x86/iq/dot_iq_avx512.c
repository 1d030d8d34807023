/* Matrix products with the codebook formats of 256 numbers on AVX-512, with VNNI or without. Signs
 * go to the activations and the weights stay magnitudes, unsigned bytes as pairs_u8 wants them: its
 * largest sum of two products is IQ4_XS's 2 * 127 * 127 = 32258, below 2^15. */
#include "cpu/x86/iq/four_iq4_avx512.h"
#include "cpu/x86/iq/iq_tile_avx512.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/unpack/quants_iq.h"

/* ---- rows and tiles -------------------------------------------------------------------------- */

/* Each scale twice in 16 bits, and those of quants 64 v … 64 v + 63, four times each. */
INLINE Ints scale_pairs(__m128i s)
{
    Ints wide = _mm512_cvtepi8_epi32(s);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, wide, left(wide, 16));
}

INLINE Ints pairs_at(Ints pairs, int v)
{
    const Ints quarters = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_epi32(_mm512_or_si512(quarters, _mm512_set1_epi32(4 * v)), pairs);
}

/* zero_point: what makes bytes unsigned. */
INLINE void turn(const Block16 *rows, int group, int zero_point, Tile *tile)
{
    Ints four[4];
    for (int i = 0; i < 16; i++) {
        columns((const char *)rows->q[0] + 16 * i, sizeof rows->q[0], four);
        UNROLL for (int j = 0; j < 4; j++)
            store(tile->q[4 * i + j], _mm512_add_epi8(four[j], bytes(zero_point)));
    }
    columns((const char *)rows->s[0], sizeof rows->s[0], four);
    const int fours = 64 / group;
    UNROLL for (int i = 0; i < fours; i++) put_scales(tile, 4 * i, four[i]);
}

#define PACK(name, group, zero_point)                                                              \
    INLINE void pack_##name(const char *w, size_t w_stride, Tile *tile)                            \
    {                                                                                              \
        Block16 rows;                                                                              \
        rows_##name(w, w_stride, group, tile->d, &rows);                                           \
        turn(&rows, group, zero_point, tile);                                                      \
    }
PACK(iq1_s, 32, 16)
PACK(iq1_m, 16, 16)
PACK(iq2_xxs, 32, 64)
PACK(iq2_xs, 16, 64)
PACK(iq2_s, 16, 64)
PACK(iq3_xxs, 32, 64)
PACK(iq3_s, 32, 16)
#undef PACK

INLINE Head head_at_iq4_xs(const char *w) { return head_iq4_xs((const EngBlockIQ4_XS *)w); }

/* Quants lie in order, and a lane looks its own up. */
INLINE void pack_iq4_xs(const char *w, size_t w_stride, Tile *tile)
{
    const Ints values = _mm512_broadcast_i32x4(load16(eng_values_iq4));
    const Ints raised = _mm512_add_epi8(values, bytes(-128));
    const char *qs = (const char *)((const EngBlockIQ4_XS *)w)->qs;
    put_heads(head_at_iq4_xs, 32, w, w_stride, tile);
    for (int i = 0; i < 8; i++) {
        Ints four[4];
        columns(qs + 16 * i, w_stride, four);
        UNROLL for (int j = 0; j < 4; j++)
        {
            store(tile->q[8 * i + j], lookup(raised, and(four[j], bytes(15))));
            store(tile->q[8 * i + 4 + j], lookup(raised, and(right(four[j], 4), bytes(15))));
        }
    }
}

#define KERNEL(name, Block, group, zero_point, most)                                               \
    INLINE void step_##name(const char *w, const char *x, size_t x_stride, int tokens,             \
                            Floats *acc)                                                           \
    {                                                                                              \
        const Block *b = (const Block *)w;                                                         \
        Head h = head_##name(b);                                                                   \
        Ints scales = scale_pairs(h.s), sum[4];                                                    \
        UNROLL for (int t = 0; t < tokens; t++) sum[t] = zero();                                   \
        UNROLL for (int v = 0; v < 4; v++)                                                         \
        {                                                                                          \
            Quants q = quants_##name(b, &h, v);                                                    \
            Ints s = pairs_at(scales, v);                                                          \
            UNROLL for (int t = 0; t < tokens; t++)                                                \
            {                                                                                      \
                Ints x8 = load(act(x, x_stride, t)->q + 64 * v);                                   \
                sum[t] = add_pairs(sum[t], s, pairs_u8(q.size, negated(x8, q.minus)));             \
            }                                                                                      \
        }                                                                                          \
        UNROLL for (int t = 0; t < tokens; t++) acc[t] =                                           \
            mul_add(all(h.d * act(x, x_stride, t)->d), floats(sum[t]), acc[t]);                    \
    }                                                                                              \
    static void below_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,  \
                             const void *x, size_t x_stride, float *y, size_t y_stride)            \
    {                                                                                              \
        const RowKind row_kind = {step_##name, 256, sizeof(Block), sizeof(Act)};                   \
        const TileKind tile_kind = {group, zero_point, most};                                      \
        k_matmul(pack_##name, tile_kind, row_kind, n, n_rows, n_tokens, w, w_stride, x, x_stride,  \
                 y, y_stride);                                                                     \
    }
KERNEL(iq1_s, EngBlockIQ1_S, 32, 16, 25)
KERNEL(iq1_m, EngBlockIQ1_M, 16, 16, 25)
KERNEL(iq2_xxs, EngBlockIQ2_XXS, 32, 64, 107)
KERNEL(iq2_xs, EngBlockIQ2_XS, 16, 64, 107)
KERNEL(iq2_s, EngBlockIQ2_S, 16, 64, 107)
KERNEL(iq3_xxs, EngBlockIQ3_XXS, 32, 64, 126)
KERNEL(iq3_s, EngBlockIQ3_S, 32, 16, 31)
KERNEL(iq4_xs, EngBlockIQ4_XS, 32, 128, 255)
#undef KERNEL

/* One token in fours; the kernels above have the rest. */
#define MATMUL(name, Block, act_of)                                                                \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        if (n_tokens == 1)                                                                         \
            iq_matvec(four_##name, act_of, sizeof(Block), n, n_rows, w, w_stride, x, y);           \
        else                                                                                       \
            below_##name(n, n_rows, n_tokens, w, w_stride, x, x_stride, y, y_stride);              \
    }
MATMUL(iq1_s, EngBlockIQ1_S, act_iq1)
MATMUL(iq2_xxs, EngBlockIQ2_XXS, act_iq2)
MATMUL(iq2_xs, EngBlockIQ2_XS, act_iq2)
MATMUL(iq2_s, EngBlockIQ2_S, act_iq2)
MATMUL(iq3_xxs, EngBlockIQ3_XXS, act_iq3)
MATMUL(iq3_s, EngBlockIQ3_S, act_plain)
#if defined(__AVX512VNNI__)
MATMUL(iq4_xs, EngBlockIQ4_XS, act_iq4)
#else
#define matmul_iq4_xs below_iq4_xs
#endif
#undef MATMUL

void ISA(eng_kernels_dot_iq)(EngKernels *k)
{
    iq_tables_fill(&iq_tables);
    k->matmul[ENG_TYPE_IQ1_S] = matmul_iq1_s;
    k->matmul[ENG_TYPE_IQ1_M] = below_iq1_m;
    k->matmul[ENG_TYPE_IQ2_XXS] = matmul_iq2_xxs;
    k->matmul[ENG_TYPE_IQ2_XS] = matmul_iq2_xs;
    k->matmul[ENG_TYPE_IQ2_S] = matmul_iq2_s;
    k->matmul[ENG_TYPE_IQ3_XXS] = matmul_iq3_xxs;
    k->matmul[ENG_TYPE_IQ3_S] = matmul_iq3_s;
    k->matmul[ENG_TYPE_IQ4_XS] = matmul_iq4_xs;
}
