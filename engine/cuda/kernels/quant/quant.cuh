/* What the bits of a weight block mean, for kernels: one Quant<type> per format of names.h, told
 * from load/unpack.h, whose decoders the tests hold it to. The formats are in quant_legacy.cuh,
 * k.cuh, iq.cuh and (F32, F16, BF16) float.cuh.
 *
 * A block is runs of 16 neighbouring weights. `sixteen` gives a run's quants as bytes, four to a
 * word, the first in the lowest byte; `scale` gives {s, m}: weight = s * q - m. That is all that a
 * format says; from it come
 *     unpack8, unpack16   neighbours as floats, for anybody;
 *     part      32 weights in registers as a lane of matvec holds them: two runs. A lane has a
 *               piece of a block at a time, `together` parts, whose runs are chosen (run) so that
 *               it reads few bytes of which it uses only some, and few scales. In Q2_K … Q6_K a
 *               nibble's neighbour belongs to another group of 32, so the runs of a part lie apart.
 * Minima: one per group of 32 (BY_GROUP) is counted once, with the activations' d * sum: by the
 * part i of a piece that of run i.
 *
 * Blocks have the alignment of their size within a row, of 16 at most: the tensor's is 16. */
#ifndef ENG_CUDA_KERNELS_QUANT_CUH
#define ENG_CUDA_KERNELS_QUANT_CUH

#include "../common.cuh"
#include "../../../load/quant.h"

enum QuantMinima { QUANT_NONE, QUANT_BY_GROUP, QUANT_BY_RUN };

template <int TYPE> struct Quant;
template <int TYPE> struct QuantBits;

/* What most formats have; a QuantBits overrides it. run: which of the block's is run r of part i of
 * a piece. Bits are put together by |, which lets the compiler see what does not depend on i. */
struct QuantNatural {
    static constexpr QuantMinima minima = QUANT_NONE;
    static constexpr bool apart = false;
    static __device__ __forceinline__ unsigned run(unsigned piece, unsigned i, unsigned r)
    {
        return 4 * piece | 2 * i | r;
    }
};

/* Nibbles of two groups of 32 share bytes: part h has run h of both. */
struct QuantApart {
    static constexpr QuantMinima minima = QUANT_NONE;
    static constexpr bool apart = true;
    static __device__ __forceinline__ unsigned run(unsigned piece, unsigned i, unsigned r)
    {
        return 4 * piece | 2 * r | i;
    }
};

/* 16 bytes at an address that is a multiple of ALIGN. INSIDE: the four bytes behind them may be
 * read too, because they are of the same block. */
template <int ALIGN, bool INSIDE = false>
ENG_DEVICE void quant_load(const uint8_t *p, uint32_t w[4])
{
    if constexpr (ALIGN == 16) {
        uint4 v = *(const uint4 *)p;
        w[0] = v.x, w[1] = v.y, w[2] = v.z, w[3] = v.w;
    } else if constexpr (ALIGN == 8) {
        uint2 v = *(const uint2 *)p, u = *(const uint2 *)(p + 8);
        w[0] = v.x, w[1] = v.y, w[2] = u.x, w[3] = u.y;
    } else if constexpr (ALIGN == 2) { /* words around it: half as many loads as by two bytes */
        unsigned over = (unsigned)(uintptr_t)p & 2;
        const uint32_t *words = (const uint32_t *)(p - over);
        uint32_t last = 0, next = words[0];
        if (INSIDE) last = words[4];
        if (!INSIDE && over) last = load16(p + 14);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t word = next;
            next = i < 3 ? words[i + 1] : last;
            w[i] = __funnelshift_r(word, next, 8 * over);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++)
            w[i] = ALIGN == 4 ? *(const uint32_t *)(p + 4 * i) : load32_by1(p + 4 * i);
    }
}

ENG_DEVICE float quant_half(const uint8_t *p) { return half_bits_to_float(load16(p)); }

/* Each byte minus zero, for bytes of at most 127 + zero: with the top bit as a borrow's place no
 * byte touches its neighbour. */
ENG_DEVICE uint32_t quant_minus(uint32_t bytes, unsigned zero)
{
    return (bytes + (0x80 - zero) * 0x01010101u) ^ 0x80808080u;
}

/* Bit i of the lowest four becomes byte i, 0 or 1. */
ENG_DEVICE uint32_t quant_spread(uint32_t bits)
{
    return ((bits & 15) * 0x00204081u) & 0x01010101u;
}

/* 32 weights of one row, two runs. */
struct QuantPart {
    int q[8];
    float s[2], m[2]; /* BY_GROUP: the group's minimum is m[0] */
};

template <int TYPE> struct Quant {
    using Bits = QuantBits<TYPE>;
    static constexpr int block = Bits::block, bytes = Bits::bytes;
    static constexpr int parts = block / 32;
    static constexpr unsigned together = parts > 1 ? 2 : 1;
    static constexpr QuantMinima minima = Bits::minima;
    static constexpr bool apart = Bits::apart;

    /* Column, within the block, at which run r of a part begins. */
    static __device__ __forceinline__ unsigned run(unsigned piece, unsigned i, unsigned r)
    {
        return 16 * Bits::run(piece, i, r);
    }

    static __device__ __forceinline__ void part(const uint8_t *b, unsigned piece, unsigned i,
                                                QuantPart &ret)
    {
#pragma unroll
        for (unsigned r = 0; r < 2; r++) {
            unsigned at = Bits::run(piece, i, r);
            Bits::sixteen(b, at, ret.q + 4 * r);
            float2 scale = Bits::scale(b, at);
            ret.s[r] = scale.x, ret.m[r] = scale.y;
        }
        if (apart && minima == QUANT_BY_GROUP && i == 1) ret.m[0] = ret.m[1];
    }

    /* Weights 16 i … 16 i + 15 of the block. */
    static __device__ __forceinline__ void unpack16(const uint8_t *b, int i, float out[16])
    {
        int q[4];
        Bits::sixteen(b, (unsigned)i, q);
        float2 scale = Bits::scale(b, (unsigned)i);
#pragma unroll
        for (int j = 0; j < 16; j++)
            out[j] = scale.x * (float)(int8_t)(q[j / 4] >> 8 * (j % 4)) - scale.y;
    }

    /* Weights 8 i … 8 i + 7; both halves of a run are decoded where the compiler cannot tell i. */
    static __device__ __forceinline__ void unpack8(const uint8_t *b, int i, float out[8])
    {
        int q[4];
        Bits::sixteen(b, (unsigned)i / 2, q);
        float2 scale = Bits::scale(b, (unsigned)i / 2);
        int low = i % 2 ? q[2] : q[0], high = i % 2 ? q[3] : q[1];
#pragma unroll
        for (int j = 0; j < 8; j++)
            out[j] = scale.x * (float)(int8_t)((j < 4 ? low : high) >> 8 * (j % 4)) - scale.y;
    }
};

/* Four bytes of activations; runs begin at multiples of 16. */
ENG_DEVICE void quant_act(const int8_t *q, int ret[4])
{
    int4 v = *(const int4 *)q;
    ret[0] = v.x, ret[1] = v.y, ret[2] = v.z, ret[3] = v.w;
}

ENG_DEVICE int quant_dot16(const int w[4], const int a[4], int sum)
{
#pragma unroll
    for (int i = 0; i < 4; i++) sum = __dp4a(w[i], a[i], sum);
    return sum;
}

#endif
