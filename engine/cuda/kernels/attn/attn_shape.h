/* How attention lies in a block's shared memory, for the kernels and for the launch that sizes it.
 *
 * Tensor cores (attn_mma.cu): tiles of up to 64 cells, `stages` of them; queries; their weights;
 * what warps tell each other. A row of keys, values or queries is a whole number of 64 halves. */
#ifndef ENG_CUDA_KERNELS_ATTN_SHAPE_H
#define ENG_CUDA_KERNELS_ATTN_SHAPE_H

enum {
    ATTN_F32_QUERIES = 32,
    ATTN_F32_THREADS = 256,
    ATTN_MERGE_THREADS = 128, /* numbers of a block of attn_merge */
    ATTN_CELLS = 64,       /* of a tile at most, of a part of a past at least */
    ATTN_FEW_QUERIES = 16, /* of a block of attn_few_K, attn_wide_K, attn_tall_K */
    ATTN_WIDE_QUERIES = 64,
    ATTN_TALL_QUERIES = 128,
    ATTN_FEW_THREADS = 128,
    ATTN_WIDE_THREADS = 256,
    ATTN_TALL_THREADS = 128,
    ATTN_TALL_DV = 128, /* numbers of a value at most: a warp's columns */
    ATTN_WARP_QUERIES = 32,
    ATTN_TILE_BYTES = 80,  /* an AttnTile */
    ATTN_COLUMN_WARPS = 4, /* of few and wide: warps that share their queries */
};

#define ATTN_PITCH(n) (((n) + 63) / 64 * 64)               /* halves */
#define ATTN_RAW_PITCH(n) (((n) / 32 * 34 + 31) / 16 * 16) /* bytes of a row of q8_0, shifted */
#define ATTN_WEIGHTS_PITCH(cells) ((cells) + 8)            /* halves; an odd number of pieces */

#endif
