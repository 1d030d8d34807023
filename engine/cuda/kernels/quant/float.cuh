/* F32, F16 and BF16 weights, which meet float activations. Rows may have any number of columns, so
 * a block is one number and rows are aligned to it alone. */
#ifndef ENG_CUDA_KERNELS_QUANT_FLOAT_CUH
#define ENG_CUDA_KERNELS_QUANT_FLOAT_CUH

#include "quant.cuh"

template <int TYPE> struct QuantFloat {
    static constexpr int block = 1, bytes = TYPE == ENG_TYPE_F32 ? 4 : 2;

    static __device__ __forceinline__ float one(const uint8_t *p)
    {
        if constexpr (TYPE == ENG_TYPE_F32) return *(const float *)p;
        if constexpr (TYPE == ENG_TYPE_F16) return quant_half(p);
        if constexpr (TYPE == ENG_TYPE_BF16) return bf16_bits_to_float(load16(p));
    }

    /* Numbers 8 i … 8 i + 7 from p on. */
    static __device__ __forceinline__ void unpack8(const uint8_t *p, int i, float out[8])
    {
#pragma unroll
        for (int j = 0; j < 8; j++) out[j] = one(p + (size_t)(8 * i + j) * bytes);
    }

    /* The same where p is aligned to 16. */
    static __device__ __forceinline__ void unpack8_wide(const uint8_t *p, int i, float out[8])
    {
        uint32_t w[2 * bytes];
#pragma unroll
        for (int j = 0; j < bytes / 2; j++)
            quant_load<16>(p + (size_t)(8 * i) * bytes + 16 * j, w + 4 * j);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            if constexpr (TYPE == ENG_TYPE_F32) {
                out[j] = __uint_as_float(w[j]);
            } else {
                uint16_t bits = (uint16_t)(w[j / 2] >> 16 * (j % 2));
                out[j] = TYPE == ENG_TYPE_F16 ? half_bits_to_float(bits) : bf16_bits_to_float(bits);
            }
        }
    }
};

template <> struct Quant<ENG_TYPE_F32> : QuantFloat<ENG_TYPE_F32> {
};
template <> struct Quant<ENG_TYPE_F16> : QuantFloat<ENG_TYPE_F16> {
};
template <> struct Quant<ENG_TYPE_BF16> : QuantFloat<ENG_TYPE_BF16> {
};

#endif
