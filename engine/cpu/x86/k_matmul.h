/* A product of weights in 256-number blocks, tile by tile or row by row. Written once for every
 * instruction set: the file that includes this has defined PackFn, TileKind, TILE_ROWS and
 * tile_matmul, and rows.h before them. */
#ifndef ENG_CPU_X86_K_MATMUL_H
#define ENG_CPU_X86_K_MATMUL_H

/* From this many tokens on, unpacking a tile costs less than it saves. */
enum { TILE_FROM = 3 };

/* Tiles for many tokens, rows for few and for those that fill no tile. */
INLINE void k_matmul(PackFn *pack, TileKind tile_kind, RowKind row_kind, int64_t n, int n_rows,
                     int n_tokens, const void *w, size_t w_stride, const void *x, size_t x_stride,
                     float *y, size_t y_stride)
{
    int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;
    tile_matmul(pack, tile_kind, row_kind.w_size, n, tiled, n_tokens, w, w_stride, x, x_stride, y,
                y_stride);
    if (tiled < n_rows)
        rows_matmul(row_kind, n, n_rows - tiled, n_tokens,
                    (const char *)w + (size_t)tiled * w_stride, w_stride, x, x_stride, y + tiled,
                    y_stride);
}

#endif
