/* Formats of 32 weights with one scale: bytes 0 … 15 hold weights 0 … 15 in their low nibbles and
 * 16 … 31 in the high ones. Rows of the 18, 22, 34 byte blocks are aligned to 2 only, MXFP4's 17
 * to nothing. */
#ifndef ENG_CUDA_KERNELS_QUANT_LEGACY_CUH
#define ENG_CUDA_KERNELS_QUANT_LEGACY_CUH

#include "quant.cuh"
#include "values.cuh"

template <int ALIGN> ENG_DEVICE void quant_nibbles(const uint8_t *qs, unsigned run, int q[4])
{
    uint32_t w[4];
    quant_load<ALIGN>(qs, w);
#pragma unroll
    for (int i = 0; i < 4; i++) q[i] = (int)(w[i] >> 4 * run & 0x0f0f0f0f);
}

/* The same with the fifth bits: bit i of `fifth` belongs to weight i. */
template <int ALIGN>
ENG_DEVICE void quant_fives(const uint8_t *qs, uint32_t fifth, unsigned run, int q[4])
{
    quant_nibbles<ALIGN>(qs, run, q);
#pragma unroll
    for (int i = 0; i < 4; i++) q[i] |= (int)(quant_spread(fifth >> (16 * run + 4 * i)) << 4);
}

template <> struct QuantBits<ENG_TYPE_Q4_0> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockQ4_0);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        quant_nibbles<2>(b + offsetof(EngBlockQ4_0, qs), run, q);
#pragma unroll
        for (int i = 0; i < 4; i++) q[i] = (int)quant_minus((uint32_t)q[i], 8);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        return make_float2(quant_half(b), 0);
    }
};

template <> struct QuantBits<ENG_TYPE_Q4_1> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockQ4_1);
    static constexpr QuantMinima minima = QUANT_BY_GROUP;
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        quant_nibbles<4>(b + offsetof(EngBlockQ4_1, qs), run, q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        uint32_t dm = *(const uint32_t *)b;
        return make_float2(half_bits_to_float((uint16_t)dm),
                           -half_bits_to_float((uint16_t)(dm >> 16)));
    }
};

template <> struct QuantBits<ENG_TYPE_Q5_0> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockQ5_0);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t fifth = load32_by2(b + offsetof(EngBlockQ5_0, qh));
        quant_fives<2>(b + offsetof(EngBlockQ5_0, qs), fifth, run, q);
#pragma unroll
        for (int i = 0; i < 4; i++) q[i] = (int)quant_minus((uint32_t)q[i], 16);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        return make_float2(quant_half(b), 0);
    }
};

template <> struct QuantBits<ENG_TYPE_Q5_1> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockQ5_1);
    static constexpr QuantMinima minima = QUANT_BY_GROUP;
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t fifth = *(const uint32_t *)(b + offsetof(EngBlockQ5_1, qh));
        quant_fives<8>(b + offsetof(EngBlockQ5_1, qs), fifth, run, q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        uint32_t dm = *(const uint32_t *)b;
        return make_float2(half_bits_to_float((uint16_t)dm),
                           -half_bits_to_float((uint16_t)(dm >> 16)));
    }
};

template <> struct QuantBits<ENG_TYPE_Q8_0> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockQ8_0);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        quant_load<2>(b + offsetof(EngBlockQ8_0, qs) + 16 * run, (uint32_t *)q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        return make_float2(quant_half(b), 0);
    }
};

template <> struct QuantBits<ENG_TYPE_IQ4_NL> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockIQ4_NL);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t w[4];
        quant_load<2>(b + offsetof(EngBlockIQ4_NL, qs), w);
        quant_values16(QUANT_VALUES(eng_values_iq4), w, run, q);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        return make_float2(quant_half(b), 0);
    }
};

template <> struct QuantBits<ENG_TYPE_MXFP4> : QuantNatural {
    static constexpr int block = 32, bytes = sizeof(EngBlockMXFP4);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t w[4];
        quant_load<1>(b + offsetof(EngBlockMXFP4, qs), w);
        quant_values16(QUANT_VALUES(eng_values_mxfp4), w, run, q);
    }
    /* Half of 2^(e - 127), for the values are doubled; the two smallest are subnormal. */
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned)
    {
        unsigned e = b[0];
        return make_float2(__uint_as_float(e < 2 ? 0x00200000u << e : (e - 1) << 23), 0);
    }
};

#endif
