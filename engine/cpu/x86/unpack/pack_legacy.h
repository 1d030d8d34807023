/* Tiles of the 32-number blocks whose numbers are nibbles, with or without a fifth bit. Written
 * once for every instruction set: the file that includes this has defined Ints, Tile, column,
 * low_halves, right and storef, and put_nibbles and put_fives, in which the sets differ. */
#ifndef ENG_CPU_X86_UNPACK_PACK_LEGACY_H
#define ENG_CPU_X86_UNPACK_PACK_LEGACY_H

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

#endif
