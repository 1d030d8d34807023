/* The 32-number blocks of a vector's rows turned into tiles. Written once for every instruction
 * set: the file that includes this has included its words (avx2.h, avx512.h) and defined
 *
 *   Tile        some blocks of those rows: q[block][numbers / 4][row][4], d and m[block][row]
 *   WIDE_ZERO   zero point that makes quants of all 8 bits unsigned; 0 where they stay signed */
#ifndef ENG_CPU_X86_UNPACK_PACK_LEGACY_H
#define ENG_CPU_X86_UNPACK_PACK_LEGACY_H

#include "load/unpack_iq.h"

INLINE void put_d(const uint16_t *d, size_t w_stride, float *to)
{
    storef(to, low_halves(column((const char *)d, w_stride)));
}

INLINE void put_d_and_m(const uint16_t *d, size_t w_stride, float *to_d, float *to_m)
{
    Ints both = column((const char *)d, w_stride);
    storef(to_d, low_halves(both));
    storef(to_m, low_halves(right(both, 16)));
}

INLINE void put_nibbles(const uint8_t *qs, size_t w_stride, uint8_t q[8][sizeof(Ints)])
{
    Ints four[4];
    columns((const char *)qs, w_stride, four);
    UNROLL for (int i = 0; i < 4; i++)
    {
        store(q[i], and(four[i], bytes(15)));
        store(q[i + 4], and(right(four[i], 4), bytes(15)));
    }
}

INLINE void put_fives(const uint8_t *qs, const uint8_t *qh, size_t w_stride,
                      uint8_t q[8][sizeof(Ints)])
{
    const __m128i first = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    Ints top = column((const char *)qh, w_stride); /* bit i of a row: number i */
    put_nibbles(qs, w_stride, q);
    UNROLL for (int i = 0; i < 8; i++)
    {
        Ints own = lookup(top, in_lanes(_mm_add_epi8(first, _mm_set1_epi8((char)(i / 2)))));
        Ints bits = each32(i % 2 ? (int)0x80402010u : 0x08040201);
        store(q[i], or (load(q[i]), where_set(own, bits, bytes(16))));
    }
}

/* Nibbles as the sixteen values of `table`; `zero` makes these unsigned. */
INLINE void put_values(const int8_t table[16], int zero, const uint8_t *qs, size_t w_stride,
                       uint8_t q[8][sizeof(Ints)])
{
    Ints values = add8(in_lanes(load16(table)), bytes(zero));
    put_nibbles(qs, w_stride, q);
    UNROLL for (int i = 0; i < 8; i++) store(q[i], lookup(values, load(q[i])));
}

INLINE void pack_q4_0(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockQ4_0 *b = (const EngBlockQ4_0 *)w;
    put_d(&b->d, w_stride, tile->d[i]);
    put_nibbles(b->qs, w_stride, tile->q[i]);
}

INLINE void pack_q4_1(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockQ4_1 *b = (const EngBlockQ4_1 *)w;
    put_d_and_m(&b->d, w_stride, tile->d[i], tile->m[i]);
    put_nibbles(b->qs, w_stride, tile->q[i]);
}

INLINE void pack_q5_0(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockQ5_0 *b = (const EngBlockQ5_0 *)w;
    put_d(&b->d, w_stride, tile->d[i]);
    put_fives(b->qs, b->qh, w_stride, tile->q[i]);
}

INLINE void pack_q5_1(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockQ5_1 *b = (const EngBlockQ5_1 *)w;
    put_d_and_m(&b->d, w_stride, tile->d[i], tile->m[i]);
    put_fives(b->qs, b->qh, w_stride, tile->q[i]);
}

INLINE void pack_q8_0(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockQ8_0 *b = (const EngBlockQ8_0 *)w;
    put_d(&b->d, w_stride, tile->d[i]);
    UNROLL for (int j = 0; j < 2; j++)
    {
        Ints four[4];
        columns((const char *)b->qs + 16 * j, w_stride, four);
        UNROLL for (int c = 0; c < 4; c++)
            store(tile->q[i][4 * j + c], add8(four[c], bytes(WIDE_ZERO)));
    }
}

INLINE void pack_iq4_nl(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockIQ4_NL *b = (const EngBlockIQ4_NL *)w;
    put_d(&b->d, w_stride, tile->d[i]);
    put_values(eng_values_iq4, WIDE_ZERO, b->qs, w_stride, tile->q[i]);
}

INLINE void pack_mxfp4(const char *w, size_t w_stride, Tile *tile, int i)
{
    const EngBlockMXFP4 *b = (const EngBlockMXFP4 *)w;
    for (size_t r = 0; r < sizeof(Floats) / sizeof(float); r++)
        tile->d[i][r] = eng_e8m0_half(((const EngBlockMXFP4 *)(w + r * w_stride))->e);
    put_values(eng_values_mxfp4, 16, b->qs, w_stride, tile->q[i]);
}

#endif
