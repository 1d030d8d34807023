/* The codebook formats of 256 numbers on AMX. */
#include "cpu/x86/amx/tile_k.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/unpack/quants_iq.h"

typedef struct { /* a block of sixteen rows, before it is turned */
    int8_t q[TILE_ROWS][256], s[TILE_ROWS][16];
} __attribute__((aligned(64))) Block16;

INLINE void turn(const Block16 *rows, Tile *tile)
{
    Ints four[4];
    for (int i = 0; i < 16; i++) {
        columns((const char *)rows->q[0] + 16 * i, sizeof rows->q[0], four);
        UNROLL for (int j = 0; j < 4; j++) store(tile->q[4 * i + j], four[j]);
    }
    columns((const char *)rows->s[0], sizeof rows->s[0], four);
    UNROLL for (int i = 0; i < 4; i++) put_scales(tile, 4 * i, four[i]);
}

#define KERNEL(name, Block)                                                                        \
    INLINE void pack_##name(const char *w, size_t w_stride, Tile *tile)                            \
    {                                                                                              \
        Block16 rows;                                                                              \
        for (int r = 0; r < TILE_ROWS; r++, w += w_stride) {                                       \
            const Block *b = (const Block *)w;                                                     \
            Head h = head_##name(b);                                                               \
            tile->d[r] = h.d;                                                                      \
            _mm_store_si128((__m128i *)rows.s[r], h.s);                                            \
            UNROLL for (int v = 0; v < 4; v++)                                                     \
            {                                                                                      \
                Quants q = quants_##name(b, &h, v);                                                \
                store(rows.q[r] + 64 * v, negated(q.size, q.minus));                               \
            }                                                                                      \
        }                                                                                          \
        turn(&rows, tile);                                                                         \
    }                                                                                              \
    MATMUL(name, Block, .group = 16, .high = true)
KERNEL(iq1_s, EngBlockIQ1_S)
KERNEL(iq1_m, EngBlockIQ1_M)
KERNEL(iq2_xxs, EngBlockIQ2_XXS)
KERNEL(iq2_xs, EngBlockIQ2_XS)
KERNEL(iq2_s, EngBlockIQ2_S)
KERNEL(iq3_xxs, EngBlockIQ3_XXS)
KERNEL(iq3_s, EngBlockIQ3_S)
KERNEL(iq4_xs, EngBlockIQ4_XS)
#undef KERNEL

void AMX_ISA(eng_kernels_dot_iq)(EngKernels *k)
{
    SET(ENG_TYPE_IQ1_S, iq1_s);
    SET(ENG_TYPE_IQ1_M, iq1_m);
    SET(ENG_TYPE_IQ2_XXS, iq2_xxs);
    SET(ENG_TYPE_IQ2_XS, iq2_xs);
    SET(ENG_TYPE_IQ2_S, iq2_s);
    SET(ENG_TYPE_IQ3_XXS, iq3_xxs);
    SET(ENG_TYPE_IQ3_S, iq3_s);
    SET(ENG_TYPE_IQ4_XS, iq4_xs);
}
