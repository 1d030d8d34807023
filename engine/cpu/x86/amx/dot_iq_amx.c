/* The codebook formats of 256 numbers on AMX. */
#include "cpu/x86/amx/tile_k.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/unpack/quants_iq.h"

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
        rows_##name(w, w_stride, 16, tile->d, &rows);                                              \
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

void AMX_ISA(eng_kernels_dot_iq)(EngKernels *k) { EACH_IQ(SET) }
