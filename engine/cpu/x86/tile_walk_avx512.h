/* Goes over a matrix tile by tile. Written once for every family of formats: the file that includes
 * this has included tile_avx512.h and defined
 *
 *   Tile, Act    256 numbers of sixteen rows; a block of activations, ACTS of them to a tile
 *   TileKind     what is known of a format; kind_of(kind, left) of a tile when `left` numbers of a
 *                row are left; runs_of(kind) how often tile_tokens calls ask_some
 *   PackFn       what turns blocks into a Tile, called by tile_pack(pack, kind, w, w_stride, tile)
 *   tile_tokens  one or two tiles with 1 … 6 tokens; `first` sets y, later ones add to it */
#ifndef ENG_CPU_X86_TILE_WALK_AVX512_H
#define ENG_CPU_X86_TILE_WALK_AVX512_H

INLINE void tile_all(const Tile *tile, int tiles, TileKind kind, int n_tokens, const char *x,
                     size_t x_stride, bool first, float *y, size_t y_stride, Ask *ask)
{
    int t = 0;
    for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, TILE_TOKENS, first,
                    y + (size_t)t * y_stride, y_stride, ask);
    if (t + 4 <= n_tokens) {
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, 4, first,
                    y + (size_t)t * y_stride, y_stride, ask);
        t += 4;
    }
    if (t + 2 <= n_tokens) {
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, 2, first,
                    y + (size_t)t * y_stride, y_stride, ask);
        t += 2;
    }
    for (; t < n_tokens; t++)
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, 1, first,
                    y + (size_t)t * y_stride, y_stride, ask);
}

/* n_rows a multiple of 16; w_size: bytes of 256 numbers. */
INLINE void tile_matmul(PackFn *pack, TileKind any, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    int64_t across = (n + 255) / 256, step = 0;
    for (int r = 0; r < n_rows; r += TILES * TILE_ROWS) {
        int tiles = r + TILE_ROWS < n_rows ? TILES : 1;
        for (int64_t i = 0; i < across; i++, step++) {
            TileKind kind = kind_of(any, n - 256 * i);
            Ask ask = ask_for(step, across, n_rows, n_tokens, runs_of(kind), w_size, w, w_stride);
            Tile tile[TILES];
            for (int h = 0; h < tiles; h++)
                tile_pack(pack, kind,
                          w + (size_t)(r + h * TILE_ROWS) * w_stride + (size_t)i * w_size, w_stride,
                          tile + h);
            const char *xi = x + (size_t)i * ACTS * sizeof(Act);
            if (tiles == TILES)
                tile_all(tile, TILES, kind, n_tokens, xi, x_stride, i == 0, y + r, y_stride, &ask);
            else
                tile_all(tile, 1, kind, n_tokens, xi, x_stride, i == 0, y + r, y_stride, &ask);
        }
    }
}

#endif
