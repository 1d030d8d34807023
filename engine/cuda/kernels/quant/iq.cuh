/* The codebook formats IQ1 … IQ3: entries of a grid, eight weights (IQ3: four) each, with signs
 * beside them (IQ2, IQ3) or moved by an eighth (IQ1). Blocks are aligned to 2, IQ1_M's to 8. */
#ifndef ENG_CUDA_KERNELS_QUANT_IQ_CUH
#define ENG_CUDA_KERNELS_QUANT_IQ_CUH

#include "quant.cuh"
#include "grids.cuh"

/* Bit i of eight becomes bit 4 i. */
ENG_DEVICE uint32_t quant_spread8(uint32_t bits)
{
    bits = (bits | bits << 12) & 0x000f000f;
    bits = (bits | bits << 6) & 0x03030303;
    return (bits | bits << 3) & 0x11111111;
}

/* Eight weights of an entry of IQ2; signs: eight bits, 1: minus, which 4 more in a selector are. */
ENG_DEVICE void quant_entry_iq2(uint32_t selectors, uint32_t signs, int q[2])
{
    selectors |= quant_spread8(signs & 255) << 2;
    q[0] = (int)permute_bytes(quant_plus_iq2, quant_minus_iq2, selectors);
    q[1] = (int)permute_bytes(quant_plus_iq2, quant_minus_iq2, selectors >> 16);
}

/* Four magnitudes, minus where one of the lowest four bits of signs is set. None is 0, so that the
 * 1 that makes ~x into -x never carries into the next byte. */
ENG_DEVICE int quant_signed(uint32_t four, uint32_t signs)
{
    uint32_t minus = quant_spread(signs);
    return (int)((four ^ minus * 255) + minus);
}

/* Seven sign bits and their parity: the number of minus signs among eight is even. */
ENG_DEVICE uint32_t quant_signs_of_7(uint32_t seven)
{
    seven &= 127;
    return seven | (uint32_t)(__popc(seven) & 1) << 7;
}

/* d * factor * (2 s + 1) */
ENG_DEVICE float2 quant_scale_iq(float d, unsigned s)
{
    return make_float2(d * (float)(2 * s + 1), 0);
}

template <> struct QuantBits<ENG_TYPE_IQ2_XXS> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ2_XXS);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        const uint8_t *group = b + offsetof(EngBlockIQ2_XXS, qs) + 8 * (run / 2);
        uint32_t index = load16(group + 2 * (run % 2));
        uint32_t more = load32_by2(group + 4) >> 14 * (run % 2);
        quant_entry_iq2(quant_grid_iq2_xxs.of[index & 255], quant_signs_of_7(more), q);
        quant_entry_iq2(quant_grid_iq2_xxs.of[index >> 8], quant_signs_of_7(more >> 7), q + 2);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        const uint8_t *group = b + offsetof(EngBlockIQ2_XXS, qs) + 8 * (run / 2);
        return quant_scale_iq(quant_half(b) * 0.125f, load32_by2(group + 4) >> 28);
    }
};

template <> struct QuantBits<ENG_TYPE_IQ2_XS> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ2_XS);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t x = load32_by2(b + offsetof(EngBlockIQ2_XS, qs) + 4 * run);
        quant_entry_iq2(quant_grid_iq2_xs.of[x & 511], quant_signs_of_7(x >> 9), q);
        quant_entry_iq2(quant_grid_iq2_xs.of[x >> 16 & 511], quant_signs_of_7(x >> 25), q + 2);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        unsigned s = b[offsetof(EngBlockIQ2_XS, scales) + run / 2];
        return quant_scale_iq(quant_half(b) * 0.125f, s >> 4 * (run % 2) & 15);
    }
};

template <> struct QuantBits<ENG_TYPE_IQ2_S> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ2_S);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t index = load16(b + offsetof(EngBlockIQ2_S, qs) + 2 * run);
        uint32_t signs = load16(b + offsetof(EngBlockIQ2_S, signs) + 2 * run);
        uint32_t high = b[offsetof(EngBlockIQ2_S, qh) + run / 2] >> 4 * (run % 2);
        quant_entry_iq2(quant_grid_iq2_s.of[(index & 255) | (high & 3) << 8], signs, q);
        quant_entry_iq2(quant_grid_iq2_s.of[index >> 8 | (high >> 2 & 3) << 8], signs >> 8, q + 2);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        unsigned s = b[offsetof(EngBlockIQ2_S, scales) + run / 2];
        return quant_scale_iq(quant_half(b) * 0.125f, s >> 4 * (run % 2) & 15);
    }
};

template <> struct QuantBits<ENG_TYPE_IQ3_XXS> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ3_XXS);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t index = load32_by2(b + offsetof(EngBlockIQ3_XXS, qs) + 4 * run);
        uint32_t more =
            load32_by2(b + offsetof(EngBlockIQ3_XXS, signs) + 4 * (run / 2)) >> 14 * (run % 2);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t signs = quant_signs_of_7(more >> 7 * (i / 2)) >> 4 * (i % 2);
            q[i] = quant_signed(eng_grid_iq3_xxs[index >> 8 * i & 255], signs);
        }
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        uint32_t more = load32_by2(b + offsetof(EngBlockIQ3_XXS, signs) + 4 * (run / 2));
        return quant_scale_iq(quant_half(b) * 0.25f, more >> 28);
    }
};

template <> struct QuantBits<ENG_TYPE_IQ3_S> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ3_S);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t index = load32_by2(b + offsetof(EngBlockIQ3_S, qs) + 4 * run);
        uint32_t high = b[offsetof(EngBlockIQ3_S, qh) + run / 2] >> 4 * (run % 2);
        uint32_t signs = load16(b + offsetof(EngBlockIQ3_S, signs) + 2 * run);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t entry = (index >> 8 * i & 255) | (high >> i & 1) << 8;
            q[i] = quant_signed(eng_grid_iq3_s[entry], signs >> 4 * i);
        }
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        unsigned s = b[offsetof(EngBlockIQ3_S, scales) + run / 4];
        return quant_scale_iq(quant_half(b), s >> 4 * (run / 2 % 2) & 15);
    }
};

/* Eight numbers of -8, 0, 8, all moved by 1 up or `down`. */
ENG_DEVICE void quant_entry_iq1(uint32_t index, bool down, int q[2])
{
    uint32_t selectors = quant_grid_iq1.of[index], values = down ? quant_down_iq1 : quant_up_iq1;
    q[0] = (int)permute_bytes(values, 0, selectors);
    q[1] = (int)permute_bytes(values, 0, selectors >> 16);
}

template <> struct QuantBits<ENG_TYPE_IQ1_S> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ1_S);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t index = load16(b + offsetof(EngBlockIQ1_S, qs) + 2 * run);
        uint32_t more = load16(b + offsetof(EngBlockIQ1_S, qh) + 2 * (run / 2));
        uint32_t high = more >> 6 * (run % 2);
        quant_entry_iq1((index & 255) | (high & 7) << 8, more >> 15, q);
        quant_entry_iq1(index >> 8 | (high >> 3 & 7) << 8, more >> 15, q + 2);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        uint32_t more = load16(b + offsetof(EngBlockIQ1_S, qh) + 2 * (run / 2));
        return quant_scale_iq(quant_half(b) * 0.125f, more >> 12 & 7);
    }
};

template <> struct QuantBits<ENG_TYPE_IQ1_M> : QuantNatural {
    static constexpr int block = 256, bytes = sizeof(EngBlockIQ1_M);
    static __device__ __forceinline__ void sixteen(const uint8_t *b, unsigned run, int q[4])
    {
        uint32_t index = load16(b + offsetof(EngBlockIQ1_M, qs) + 2 * run);
        uint32_t more = b[offsetof(EngBlockIQ1_M, qh) + run];
        quant_entry_iq1((index & 255) | (more & 7) << 8, more >> 3 & 1, q);
        quant_entry_iq1(index >> 8 | (more >> 4 & 7) << 8, more >> 7, q + 2);
    }
    static __device__ __forceinline__ float2 scale(const uint8_t *b, unsigned run)
    {
        uint2 scales = *(const uint2 *)(b + offsetof(EngBlockIQ1_M, scales));
        uint32_t d = (scales.x >> 12 & 15) | (scales.x >> 24 & 0xf0) | (scales.y >> 4 & 0xf00) |
                     (scales.y >> 16 & 0xf000);
        uint32_t s = (run / 8 ? scales.y : scales.x) >> (16 * (run / 4 % 2) + 3 * (run % 4));
        return quant_scale_iq(half_bits_to_float((uint16_t)d) * 0.125f, s & 7);
    }
};

#endif
