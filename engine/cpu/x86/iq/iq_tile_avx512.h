/* Tiles of the codebook formats on AVX-512: their heads, and with VBMI their quants. A file's
 * `find` looks up the entries of four rows; here their codes, which are a quarter of the weights'
 * bytes, are turned, and become weights where they lie across: a lane's four numbers by a shift of
 * each byte's own and a permutation of 64 bytes, which heeds 6 bits of an index and so needs no
 * mask. */
#ifndef ENG_CPU_X86_IQ_IQ_TILE_AVX512_H
#define ENG_CPU_X86_IQ_IQ_TILE_AVX512_H

#include "cpu/x86/k_avx512.h"
#include "cpu/x86/unpack/quants_iq.h"

typedef Head HeadFn(const char *w);

/* d and scales; group: numbers that share one, a constant. */
INLINE void put_heads(HeadFn *head, int group, const char *w, size_t w_stride, Tile *tile)
{
    int8_t s[16][16] __attribute__((aligned(64)));
    for (int r = 0; r < 16; r++) {
        Head h = head(w + (size_t)r * w_stride);
        tile->d[r] = h.d;
        _mm_store_si128((__m128i *)s[r], group == 32 ? every_second(h.s) : h.s);
    }
    Ints four[4];
    columns((const char *)s[0], sizeof s[0], four);
    for (int i = 0; i < 64 / group; i++) put_scales(tile, 4 * i, four[i]);
}

#if defined(__AVX512VBMI__)

/* Of sixteen rows 32 entries of eight numbers: 2 bits of codes for each of numbers 0 … 3 and 4 … 7,
 * and a bit, its sign, for each number. */
typedef struct {
    uint8_t low[16][32], high[16][32], signs[16][32];
} __attribute__((aligned(64))) TileCodes;

/* Of rows r and r + 1. */
INLINE void put_codes(TileCodes *to, int r, Ints low, Ints high, Ints signs)
{
    store(to->low[r], low);
    store(to->high[r], high);
    store(to->signs[r], signs);
}

/* Four numbers of each row: codes and signs of the j-th of four entries, from sign `first` on.
 * `weights`: by code, and 4 more where the number is negative. */
INLINE Ints weights_across(Ints codes, Ints signs, int j, int first, Ints weights)
{
    const Ints at = _mm512_set1_epi64(0x2624222006040200 + 0x0808080808080808 * j);
    const Ints two_below =
        _mm512_set1_epi64(0x21201f1e01003f3e + 0x0101010101010101 * (8 * j + first));
    codes = _mm512_multishift_epi64_epi8(at, codes);
    signs = _mm512_multishift_epi64_epi8(two_below, signs);
    return _mm512_permutexvar_epi8(_mm512_ternarylogic_epi32(bytes(3), codes, signs, 0xca),
                                   weights);
}

INLINE void turn_codes(const TileCodes *c, const uint8_t table[64], Tile *tile)
{
    const Ints weights = load(table);
    for (int i = 0; i < 2; i++) {
        Ints low[4], high[4], signs[4];
        columns((const char *)c->low[0] + 16 * i, sizeof c->low[0], low);
        columns((const char *)c->high[0] + 16 * i, sizeof c->high[0], high);
        columns((const char *)c->signs[0] + 16 * i, sizeof c->signs[0], signs);
        UNROLL for (int v = 0; v < 4; v++)
        {
            UNROLL for (int j = 0; j < 4; j++)
            {
                uint8_t(*to)[64] = tile->q + 8 * (4 * i + v) + 2 * j;
                store(to[0], weights_across(low[v], signs[v], j, 0, weights));
                store(to[1], weights_across(high[v], signs[v], j, 4, weights));
            }
        }
    }
}

#endif

#endif
