/* Q2_K … Q6_K and IQ4_XS: 256 weights, scales of their groups of 16 or 32 inside the block. */
#ifndef ENG_CUDA_KERNELS_QUANT_K_CUH
#define ENG_CUDA_KERNELS_QUANT_K_CUH

#include "quant.cuh"
#include "values.cuh"

/* Two-bit quants: 32 bytes hold four groups of 32 weights, one per bit pair. */
template <int ALIGN> ENG_DEVICE void quant_pairs(const uint8_t *qs, unsigned run, int q[4])
{
    uint32_t w[4];
    quant_load<ALIGN, true>(qs + 32 * (run / 8) + 16 * (run % 2), w);
    unsigned shift = 2 * (run / 2 % 4);
#pragma unroll
    for (int i = 0; i < 4; i++) q[i] = (int)(w[i] >> shift & 0x03030303);
}

/* A piece is all four pairs of 16 bytes. */
struct QuantPairs : QuantApart {
    static __device__ __forceinline__ unsigned run(unsigned piece, unsigned i, unsigned r)
    {
        return 8 * (piece / 2) | 4 * i | 2 * r | piece % 2;
    }
};

template <> struct QuantBits<ENG_TYPE_Q2_K> : QuantPairs {
    static constexpr int block = 256, bytes = sizeof(EngBlockQ2_K);
    static constexpr QuantMinima minima = QUANT_BY_RUN;
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        quant_pairs<4>(b + offsetof(EngBlockQ2_K, qs), run, q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        uint32_t dm = *(const uint32_t *)(b + offsetof(EngBlockQ2_K, d));
        unsigned sm = b[offsetof(EngBlockQ2_K, scales) + run];
        return make_float2(half_bits_to_float((uint16_t)dm) * (float)(sm & 15),
                           half_bits_to_float((uint16_t)(dm >> 16)) * (float)(sm >> 4));
    }
};

/* Scales of 6 bits: the low four in bytes 0 … 7 (low nibbles first), the high two in 8 … 11. A bit
 * of hmask that is not set takes 4 off. */
template <> struct QuantBits<ENG_TYPE_Q3_K> : QuantPairs {
    static constexpr int block = 256, bytes = sizeof(EngBlockQ3_K);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t high[4];
        quant_pairs<2>(b + offsetof(EngBlockQ3_K, qs), run, q);
        quant_load<2, true>(b + offsetof(EngBlockQ3_K, hmask) + 16 * (run % 2), high);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t four = (high[i] >> (run / 2) & 0x01010101) << 2;
            q[i] = (int)quant_minus((uint32_t)q[i] | four, 4);
        }
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        const uint8_t *scales = b + offsetof(EngBlockQ3_K, scales);
        int low = scales[run % 8] >> (run / 8 * 4) & 15,
            high = scales[8 + run % 4] >> (run / 4 * 2) & 3;
        float d = quant_half(b + offsetof(EngBlockQ3_K, d));
        return make_float2(d * (float)((low | high << 4) - 32), 0);
    }
};

/* The first 16 bytes of Q4_K and Q5_K: d, dmin, and eight scales and minima of 6 bits: the first
 * four of each in bytes 0 … 3 and 4 … 7; of the others the low four bits in bytes 8 … 11 and the
 * high two on top of the first eight bytes. */
ENG_DEVICE float2 quant_scale_k(const uint8_t *b, unsigned group)
{
    uint32_t w[4];
    quant_load<16>(b, w);
    unsigned shift = 8 * (group % 4);
    unsigned s = w[1] >> shift, m = w[2] >> shift, more = w[3] >> shift;
    bool first = group < 4;
    unsigned scale = first ? s & 63 : (more & 15) | (s >> 2 & 48);
    unsigned minimum = first ? m & 63 : (more >> 4 & 15) | (m >> 2 & 48);
    return make_float2(half_bits_to_float((uint16_t)w[0]) * (float)scale,
                       half_bits_to_float((uint16_t)(w[0] >> 16)) * (float)minimum);
}

/* Nibbles of 64 weights in 32 bytes: the low ones are the first group. */
ENG_DEVICE void quant_nibbles_k(const uint8_t *qs, unsigned run, int q[4])
{
    uint32_t w[4];
    quant_load<16>(qs + 32 * (run / 4) + 16 * (run % 2), w);
    unsigned shift = 4 * (run / 2 % 2);
#pragma unroll
    for (int i = 0; i < 4; i++) q[i] = (int)(w[i] >> shift & 0x0f0f0f0f);
}

template <> struct QuantBits<ENG_TYPE_Q4_K> : QuantApart {
    static constexpr int block = 256, bytes = sizeof(EngBlockQ4_K);
    static constexpr QuantMinima minima = QUANT_BY_GROUP;
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        quant_nibbles_k(b + offsetof(EngBlockQ4_K, qs), run, q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        return quant_scale_k(b, run / 2);
    }
};

template <> struct QuantBits<ENG_TYPE_Q5_K> : QuantApart {
    static constexpr int block = 256, bytes = sizeof(EngBlockQ5_K);
    static constexpr QuantMinima minima = QUANT_BY_GROUP;
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t high[4];
        quant_nibbles_k(b + offsetof(EngBlockQ5_K, qs), run, q);
        quant_load<16>(b + offsetof(EngBlockQ5_K, qh) + 16 * (run % 2), high);
#pragma unroll
        for (int i = 0; i < 4; i++) q[i] |= (int)((high[i] >> (run / 2) & 0x01010101) << 4);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        return quant_scale_k(b, run / 2);
    }
};

/* 64 bytes of ql hold 128 weights, the first 64 in the low nibbles; 32 bytes of qh have the upper
 * bit pairs of the same 128, a pair per group of 32. A piece is 16 bytes of qh, all four pairs, and
 * twice 16 bytes of ql, whose runs are 64 apart. */
template <> struct QuantBits<ENG_TYPE_Q6_K> : QuantApart {
    static constexpr int block = 256, bytes = sizeof(EngBlockQ6_K);
    static __device__ __forceinline__ unsigned run(unsigned piece, unsigned i, unsigned r)
    {
        return 8 * (piece / 2) | 4 * r | 2 * i | piece % 2;
    }
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t low[4], high[4];
        quant_load<2, true>(b + offsetof(EngBlockQ6_K, ql) + 64 * (run / 8) + 16 * (run % 4), low);
        quant_load<2, true>(b + offsetof(EngBlockQ6_K, qh) + 32 * (run / 8) + 16 * (run % 2), high);
        unsigned nibble = 4 * (run / 4 % 2), pair = 2 * (run / 2 % 4);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t x = (low[i] >> nibble & 0x0f0f0f0f) | (high[i] >> pair & 0x03030303) << 4;
            q[i] = (int)quant_minus(x, 32);
        }
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        int8_t s = (int8_t)b[offsetof(EngBlockQ6_K, scales) + run];
        return make_float2(quant_half(b + offsetof(EngBlockQ6_K, d)) * (float)s, 0);
    }
};

/* Groups of 32 laid out like IQ4_NL's; the scale of a group has four bits in scales_l and two in
 * scales_h. */
template <> struct QuantBits<ENG_TYPE_IQ4_XS> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ4_XS);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t w[4];
        quant_load<8>(b + offsetof(EngBlockIQ4_XS, qs) + 16 * (run / 2), w);
        quant_values16(QUANT_VALUES(eng_values_iq4), w, run % 2, q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        uint2 head = *(const uint2 *)b; /* d, scales_h; scales_l */
        unsigned group = run / 2;
        int low = head.y >> 4 * group & 15, high = head.x >> (16 + 2 * group) & 3;
        return make_float2(half_bits_to_float((uint16_t)head.x) * (float)((low | high << 4) - 32),
                           0);
    }
};

#endif
