/* The 256-number formats turned into tiles, as many rows at once as a vector has lanes of 32 bits:
 * a vector holds four neighbouring bytes of each row, so unpacking shifts and masks all rows
 * together. For every instruction set: the file that includes this has defined the words used
 * here, and its own
 *
 *   Tile            one block of those rows; q[n / 4][row][4] are the quants
 *   columns, column bytes of all rows, turned
 *   put_d           half floats (low 16 bits of each lane) into d or dmin; called before the rest
 *   put_scales      four groups' scales, from four signed bytes of each lane
 *   put_mins        the same with four minima
 *   put_zeros       the same for a zero point: minima are the scales times 2^shift, in units of d
 */
#ifndef ENG_CPU_X86_UNPACK_PACK_K_H
#define ENG_CPU_X86_UNPACK_PACK_K_H

/* Scales of two- and three-bit quants, where a file does not treat them in a way of its own. */
#ifndef put_small_scales
#define put_small_scales put_scales
#endif

/* Two-bit quants of 32 bytes, four columns of them: dwords `at` … `at + 3` of the four runs. */
INLINE void put_pairs(Tile *tile, int run, int at, const Ints four[4], const Ints *top)
{
    UNROLL for (int p = 0; p < 4; p++)
    {
        UNROLL for (int i = 0; i < 4; i++)
        {
            int v = run + p; /* which 32 numbers of the block */
            Ints q = and(right(four[i], 2 * p), bytes(3));
            if (top) {
                Ints bit = v < 2 ? left(top[i], 2 - v) : right(top[i], v - 2);
                q = or (q, and(bit, bytes(4)));
            }
            store(tile->q[8 * v + at + i], q);
        }
    }
}

INLINE void pack_q2_k(const char *w, size_t w_stride, Tile *tile)
{
    const EngBlockQ2_K *b = (const EngBlockQ2_K *)w;
    Ints four[4], d = column((const char *)&b->d, w_stride);
    put_d(tile->d, d);
    put_d(tile->dmin, right(d, 16));
    columns((const char *)b->scales, w_stride, four);
    for (int i = 0; i < 4; i++) {
        put_small_scales(tile, 4 * i, and(four[i], bytes(15)));
        put_mins(tile, 4 * i, and(right(four[i], 4), bytes(15)));
    }
    for (int i = 0; i < 4; i++) {
        columns((const char *)b->qs + 16 * i, w_stride, four);
        put_pairs(tile, i / 2 * 4, i % 2 * 4, four, NULL);
    }
}

INLINE void pack_q3_k(const char *w, size_t w_stride, Tile *tile)
{
    const EngBlockQ3_K *b = (const EngBlockQ3_K *)w;
    put_d(tile->d, right(column((const char *)&b->d - 2, w_stride), 16));
    Ints low[2], top = column((const char *)b->scales + 8, w_stride), four[4], mask[2][4];
    UNROLL for (int i = 0; i < 2; i++) low[i] = column((const char *)b->scales + 4 * i, w_stride);
    UNROLL for (int i = 0; i < 4; i++)
    {
        Ints high = i < 2 ? left(top, 4 - 2 * i) : right(top, 2 * i - 4);
        Ints s = or (and(right(low[i % 2], i / 2 * 4), bytes(15)), and(high, bytes(48)));
        s = sub8(s, bytes(32));
        put_small_scales(tile, 4 * i, s);
        put_zeros(tile, 4 * i, s, 2);
    }
    columns((const char *)b->hmask, w_stride, mask[0]);
    columns((const char *)b->hmask + 16, w_stride, mask[1]);
    UNROLL for (int i = 0; i < 4; i++)
    {
        columns((const char *)b->qs + 16 * i, w_stride, four);
        put_pairs(tile, i / 2 * 4, i % 2 * 4, four, mask[i % 2]);
    }
}

/* d, dmin and the 12 bytes of scales, which stand together at the front. */
INLINE void pack_head_of_32(const char *w, size_t w_stride, Tile *tile)
{
    Ints head[4], four = bytes(15), six = bytes(63), two = bytes(48);
    columns(w, w_stride, head);
    Ints a = head[1], c = head[2], top = head[3];
    put_d(tile->d, head[0]);
    put_d(tile->dmin, right(head[0], 16));
    put_scales(tile, 0, and(a, six));
    put_scales(tile, 4, or (and(top, four), and(right(a, 2), two)));
    put_mins(tile, 0, and(c, six));
    put_mins(tile, 4, or (and(right(top, 4), four), and(right(c, 2), two)));
}

INLINE void pack_q4_k(const char *w, size_t w_stride, Tile *tile)
{
    const EngBlockQ4_K *b = (const EngBlockQ4_K *)w;
    pack_head_of_32(w, w_stride, tile);
    for (int i = 0; i < 8; i++) {
        Ints four[4];
        columns((const char *)b->qs + 16 * i, w_stride, four);
        int at = i / 2 * 16 + i % 2 * 4;
        UNROLL for (int j = 0; j < 4; j++)
        {
            store(tile->q[at + j], and(four[j], bytes(15)));
            store(tile->q[at + 8 + j], and(right(four[j], 4), bytes(15)));
        }
    }
}

INLINE void pack_q5_k(const char *w, size_t w_stride, Tile *tile)
{
    const EngBlockQ5_K *b = (const EngBlockQ5_K *)w;
    pack_head_of_32(w, w_stride, tile);
    Ints high[2][4];
    columns((const char *)b->qh, w_stride, high[0]);
    columns((const char *)b->qh + 16, w_stride, high[1]);
    for (int i = 0; i < 8; i++) {
        Ints four[4];
        columns((const char *)b->qs + 16 * i, w_stride, four);
        int at = i / 2 * 16 + i % 2 * 4;
        UNROLL for (int j = 0; j < 4; j++)
        {
            Ints *top = &high[i % 2][j]; /* its lowest bits belong to the next quants */
            Ints first = and(left(*top, 4), bytes(16)), second = and(left(*top, 3), bytes(16));
            *top = right(*top, 2);
            store(tile->q[at + j], or (and(four[j], bytes(15)), first));
            store(tile->q[at + 8 + j], or (and(right(four[j], 4), bytes(15)), second));
        }
    }
}

INLINE void pack_q6_k(const char *w, size_t w_stride, Tile *tile)
{
    const EngBlockQ6_K *b = (const EngBlockQ6_K *)w;
    put_d(tile->d, right(column((const char *)&b->d - 2, w_stride), 16));
    Ints four[4], high[4];
    columns((const char *)b->scales, w_stride, four);
    for (int i = 0; i < 4; i++) {
        put_scales(tile, 4 * i, four[i]);
        put_zeros(tile, 4 * i, four[i], 5);
    }
    for (int i = 0; i < 4; i++) { /* 16 of the 32 numbers of each run of a half block */
        int at = i / 2 * 32 + i % 2 * 4;
        columns((const char *)b->qh + 16 * i, w_stride, high);
        UNROLL for (int run = 0; run < 2; run++)
        {
            columns((const char *)b->ql + i / 2 * 64 + run * 32 + i % 2 * 16, w_stride, four);
            UNROLL for (int j = 0; j < 4; j++)
            {
                Ints first = and(left(high[j], 4 - 2 * run), bytes(48));
                Ints second = and(run ? right(high[j], 2) : high[j], bytes(48));
                store(tile->q[at + 8 * run + j], or (and(four[j], bytes(15)), first));
                store(tile->q[at + 16 + 8 * run + j],
                      or (and(right(four[j], 4), bytes(15)), second));
            }
        }
    }
}

#endif
