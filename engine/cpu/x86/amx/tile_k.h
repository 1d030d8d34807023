/* Products of the 256-number blocks with many tokens on AMX: sixteen rows of weights and sixteen
 * tokens at a time.
 *
 * A group's scale goes into its quants, which makes numbers of up to 13 bits, and these are split
 * into two planes of signed bytes, s q = 128 high + low with low in 0 … 127: a tile instruction
 * then adds up 64 numbers, whatever the size of the groups, and a block's sums leave the tiles
 * once. They are exact: 256 * 127 * 127 and 128 * 256 * 127 * 32 fill 28 bits.
 *
 * A family brings a function that packs one block of sixteen rows. */
#ifndef ENG_CPU_X86_AMX_TILE_K_H
#define ENG_CPU_X86_AMX_TILE_K_H

#include "cpu/x86/amx/amx.h"
#include "cpu/x86/avx512.h"

typedef EngBlockQ8_KA Act;

enum { TILE_ROWS = 16, TILE_TOKENS = 16, TILES = 2 };
enum { AMX_FROM = 8 }; /* fewer tokens leave too much of a tile empty */

typedef struct {          /* one block of sixteen rows */
    int8_t q[64][64];     /* [numbers / 4][row][4] */
    int8_t scales[4][64]; /* [group / 4][row][4] */
    int8_t mins[4][64];
    float d[16], dmin[16];
    int8_t low[64][64], high[64][64]; /* scale times quant, as q lies */
    int16_t m[8][32];                 /* [numbers / 32][row][minima of two 16s] */
} __attribute__((aligned(64))) Tile;

INLINE void put_d(float *to, Ints halves) { storef(to, low_halves(halves)); }

INLINE void put_scales(Tile *tile, int group, Ints four) { store(tile->scales[group / 4], four); }

INLINE void put_mins(Tile *tile, int group, Ints four) { store(tile->mins[group / 4], four); }

/* Taken off the quants before they are scaled. */
INLINE void put_zeros(Tile *tile, int group, Ints four, int shift)
{
    (void)tile, (void)group, (void)four, (void)shift;
}

typedef struct {
    int group; /* numbers that share a scale: 16 or 32 */
    int zero;  /* zero point of the quants */
    bool mins; /* the format has minima */
    bool high; /* s q leaves a signed byte */
} TileKind;

/* Signed bytes of each lane's words, the low or the high ones, less the zero point, times a scale.
 */
INLINE Ints scaled(Ints q, bool odd, int zero, Ints scale)
{
    if (!odd) q = _mm512_slli_epi16(q, 8);
    q = _mm512_sub_epi16(_mm512_srai_epi16(q, 8), _mm512_set1_epi16((short)zero));
    return _mm512_mullo_epi16(q, scale);
}

INLINE Ints both_bytes(Ints even, Ints odd) /* the low bytes of words */
{
    return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, even, _mm512_slli_epi16(odd, 8));
}

INLINE Ints twice_each(Ints words) /* the low 16 bits of a lane in both halves */
{
    return _mm512_mask_blend_epi16(0xaaaaaaaa, words, left(words, 16));
}

INLINE Ints byte_at(const int8_t fours[4][64], int group)
{
    return byte_of(load(fours[group / 4]), group % 4);
}

INLINE void put_planes(Tile *tile, TileKind kind)
{
    const int steps = kind.group / 4;
    for (int group = 0; group < 256 / kind.group; group++) {
        Ints s = twice_each(byte_at(tile->scales, group));
        for (int c = group * steps; c < (group + 1) * steps; c++) {
            Ints q = load(tile->q[c]);
            Ints even = scaled(q, false, kind.zero, s), odd = scaled(q, true, kind.zero, s);
            Ints both = both_bytes(even, odd);
            store(tile->low[c], kind.high ? and(both, bytes(127)) : both);
            if (kind.high)
                store(tile->high[c],
                      both_bytes(_mm512_srai_epi16(even, 7), _mm512_srai_epi16(odd, 7)));
        }
    }
    for (int j = 0; kind.mins && j < 8; j++) {
        int first = kind.group == 32 ? j : 2 * j, second = kind.group == 32 ? j : 2 * j + 1;
        store(tile->m[j], _mm512_mask_blend_epi16(0xaaaaaaaa, byte_at(tile->mins, first),
                                                  left(byte_at(tile->mins, second), 16)));
    }
}

typedef struct {
    int32_t low[TILE_TOKENS][16], high[TILE_TOKENS][16]; /* [token][row] */
} __attribute__((aligned(64))) Sums;

/* Tiles 0 and 1 hold the sums of the first sixteen rows, 2 and 3 those of the others; 4 are
 * activations, 5 and 6 weights. */
static const AmxConfig tile_config = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16},
};

#define ADD_TILE(tile, k, to_low, to_high)                                                         \
    do {                                                                                           \
        amx_load(5, (tile)->low[16 * (k)], 64);                                                    \
        amx_add_ss(to_low, 4, 5);                                                                  \
        if (kind.high) {                                                                           \
            amx_load(6, (tile)->high[16 * (k)], 64);                                               \
            amx_add_ss(to_high, 4, 6);                                                             \
        }                                                                                          \
    } while (0)
#define STORE_SUMS(sums, from_low, from_high)                                                      \
    do {                                                                                           \
        amx_store(from_low, (sums)->low, 64);                                                      \
        if (kind.high) amx_store(from_high, (sums)->high, 64);                                     \
    } while (0)

/* x: the first 64 numbers of sixteen tokens. */
INLINE void tile_sums(const Tile *tile, int tiles, TileKind kind, const int8_t *x, size_t x_stride,
                      Sums *sums)
{
    amx_zero(0);
    amx_zero(1);
    amx_zero(2);
    amx_zero(3);
    for (int k = 0; k < 4; k++) {
        amx_load(4, x + 64 * k, x_stride);
        ADD_TILE(tile, k, 0, 1);
        if (tiles > 1) ADD_TILE(tile + 1, k, 2, 3);
    }
    STORE_SUMS(sums, 0, 1);
    if (tiles > 1) STORE_SUMS(sums + 1, 2, 3);
}

/* Products of a token's sums with the minima. */
INLINE Ints tile_mins(const Tile *tile, const Act *a)
{
    Ints mins = _mm512_setzero_si512();
    UNROLL for (int j = 0; j < 8; j++) mins =
        add_pairs(mins, load(tile->m[j]), all_words(a->sums + 2 * j));
    return mins;
}

INLINE void put_sums(const Tile *tile, TileKind kind, const Sums *sums, const char *x,
                     size_t x_stride, int tokens, bool first, float *y, size_t y_stride)
{
    Floats d = loadf(tile->d), dmin = kind.mins ? loadf(tile->dmin) : all(0);
    for (int t = 0; t < tokens; t++, x += x_stride, y += y_stride) {
        const Act *a = (const Act *)x;
        Ints sum = load(sums->low[t]);
        if (kind.high) sum = _mm512_add_epi32(sum, left(load(sums->high[t]), 7));
        Floats value = mul(d, floats(sum));
        if (kind.mins) value = sub_mul(value, dmin, floats(tile_mins(tile, a)));
        storef(y, first ? mul(all(a->d), value) : mul_add(all(a->d), value, loadf(y)));
    }
}

/* All tokens with one block of 16 or 32 rows. The last few are made sixteen with zeros. */
INLINE void tile_all(const Tile *tile, int tiles, TileKind kind, int n_tokens, const char *x,
                     size_t x_stride, bool first, float *y, size_t y_stride)
{
    for (int t = 0; t < n_tokens; t += TILE_TOKENS) {
        const char *xt = x + (size_t)t * x_stride;
        int tokens = ENG_MIN(n_tokens - t, TILE_TOKENS);
        Sums sums[TILES];
        int8_t padded[TILE_TOKENS][256];
        if (tokens < TILE_TOKENS) {
            memset(padded, 0, sizeof padded);
            for (int i = 0; i < tokens; i++)
                memcpy(padded[i], ((const Act *)(xt + (size_t)i * x_stride))->q, 256);
            tile_sums(tile, tiles, kind, padded[0], 256, sums);
        } else {
            tile_sums(tile, tiles, kind, ((const Act *)xt)->q, x_stride, sums);
        }
        for (int h = 0; h < tiles; h++)
            put_sums(tile + h, kind, sums + h, xt, x_stride, tokens, first,
                     y + (size_t)t * y_stride + h * TILE_ROWS, y_stride);
    }
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, TileKind kind, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    amx_configure(&tile_config);
    for (int r = 0; r < n_rows; r += TILES * TILE_ROWS) {
        int tiles = ENG_MIN((n_rows - r) / TILE_ROWS, TILES);
        for (int64_t i = 0; i < n / 256; i++) {
            Tile tile[TILES];
            for (int h = 0; h < tiles; h++) {
                pack(w + (size_t)(r + h * TILE_ROWS) * w_stride + (size_t)i * w_size, w_stride,
                     tile + h);
                put_planes(tile + h, kind);
            }
            tile_all(tile, tiles, kind, n_tokens, x + (size_t)i * sizeof(Act), x_stride, i == 0,
                     y + r, y_stride);
        }
    }
    amx_release();
}

/* Few tokens, and rows that fill no tile, go to the kernel of the level below. */
INLINE void tiles_or_below(PackFn *pack, TileKind kind, size_t w_size, EngMatmulFn *below,
                           int64_t n, int n_rows, int n_tokens, const char *w, size_t w_stride,
                           const char *x, size_t x_stride, float *y, size_t y_stride)
{
    int tiled = n_tokens < AMX_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;
    if (tiled)
        tile_matmul(pack, kind, w_size, n, tiled, n_tokens, w, w_stride, x, x_stride, y, y_stride);
    if (tiled < n_rows)
        below(n, n_rows - tiled, n_tokens, w + (size_t)tiled * w_stride, w_stride, x, x_stride,
              y + tiled, y_stride);
}

/* below_name: written when the tables are filled. */
#define MATMUL(name, Block, ...)                                                                   \
    static EngMatmulFn *below_##name;                                                              \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const TileKind kind = {__VA_ARGS__};                                                       \
        tiles_or_below(pack_##name, kind, sizeof(Block), below_##name, n, n_rows, n_tokens, w,     \
                       w_stride, x, x_stride, y, y_stride);                                        \
    }
#define SET(TYPE, name) below_##name = k->matmul[TYPE], k->matmul[TYPE] = matmul_##name

#endif
