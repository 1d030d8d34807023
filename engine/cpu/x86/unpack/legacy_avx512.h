/* The 32-number blocks of sixteen rows turned into tiles on AVX-512: unsigned bytes from a zero
 * point. The file that includes this has included avx512.h and defined TILE_ROWS and
 *
 *   Tile   some blocks of those rows: q[block][numbers / 4][row][4], d and m[block][row]
 */
#ifndef ENG_CPU_X86_UNPACK_LEGACY_AVX512_H
#define ENG_CPU_X86_UNPACK_LEGACY_AVX512_H

#include "load/unpack_iq.h"

INLINE void put_nibbles(const uint8_t *qs, size_t w_stride, uint8_t q[8][64])
{
    Ints four[4];
    columns((const char *)qs, w_stride, four);
    UNROLL for (int i = 0; i < 4; i++)
    {
        store(q[i], and(four[i], bytes(15)));
        store(q[i + 4], and(right(four[i], 4), bytes(15)));
    }
}

INLINE void put_fives(const uint8_t *qs, const uint8_t *qh, size_t w_stride, uint8_t q[8][64])
{
    Ints top = column((const char *)qh, w_stride); /* bit i of a row: number i */
    put_nibbles(qs, w_stride, q);
    UNROLL for (int i = 0; i < 8; i++)
    {
        Ints own =
            lookup(top, _mm512_broadcast_i32x4(_mm_add_epi8(
                            _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                            _mm_set1_epi8((char)(i / 2)))));
        Ints bit = _mm512_set1_epi32(i % 2 ? (int)0x80402010u : 0x08040201);
        __mmask64 set = _mm512_test_epi8_mask(own, bit);
        store(q[i], or (load(q[i]), _mm512_maskz_mov_epi8(set, bytes(16))));
    }
}

#include "cpu/x86/unpack/pack_legacy.h"

INLINE void pack_q8_0(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockQ8_0 *b = (const EngBlockQ8_0 *)w;
    put_d(&b->d, w_stride, tile->d[i]);
    UNROLL for (int j = 0; j < 2; j++)
    {
        Ints four[4];
        columns((const char *)b->qs + 16 * j, w_stride, four);
        UNROLL for (int c = 0; c < 4; c++)
            store(tile->q[i][4 * j + c], _mm512_xor_si512(four[c], bytes(-128)));
    }
}

/* `zero` makes the values unsigned. */
INLINE void put_values(const int8_t table[16], int zero, const uint8_t *qs, size_t w_stride,
                       uint8_t q[8][64])
{
    Ints values = _mm512_add_epi8(_mm512_broadcast_i32x4(load16(table)), bytes(zero));
    put_nibbles(qs, w_stride, q);
    UNROLL for (int i = 0; i < 8; i++) store(q[i], lookup(values, load(q[i])));
}

INLINE void pack_iq4_nl(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockIQ4_NL *b = (const EngBlockIQ4_NL *)w;
    put_d(&b->d, w_stride, tile->d[i]);
    put_values(eng_values_iq4, 128, b->qs, w_stride, tile->q[i]);
}

INLINE void pack_mxfp4(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockMXFP4 *b = (const EngBlockMXFP4 *)w;
    for (size_t r = 0; r < TILE_ROWS; r++)
        tile->d[i][r] = eng_e8m0_half(((const EngBlockMXFP4 *)(w + r * w_stride))->e);
    put_values(eng_values_mxfp4, 16, b->qs, w_stride, tile->q[i]);
}

#endif
