/* Nibbles that mean one of sixteen numbers (iq_grids.h: IQ4_NL, IQ4_XS, MXFP4). The sixteen are
 * four words in registers, looked up four at a time by byte permutes: no memory, no divergence. */
#ifndef ENG_CUDA_KERNELS_QUANT_VALUES_CUH
#define ENG_CUDA_KERNELS_QUANT_VALUES_CUH

#include "grids.cuh"

struct QuantValues {
    uint32_t word[4];
};

/* Words of a table as constants of the compiler's. */
#define QUANT_BYTE(t, i) ((uint32_t)(uint8_t)t[i] << 8 * ((i) % 4))
#define QUANT_WORD(t, i)                                                                           \
    (QUANT_BYTE(t, 4 * (i)) | QUANT_BYTE(t, 4 * (i) + 1) | QUANT_BYTE(t, 4 * (i) + 2) |            \
     QUANT_BYTE(t, 4 * (i) + 3))
#define QUANT_VALUES(t)                                                                            \
    QuantValues                                                                                    \
    {                                                                                              \
        {                                                                                          \
            QUANT_WORD(t, 0), QUANT_WORD(t, 1), QUANT_WORD(t, 2), QUANT_WORD(t, 3)                 \
        }                                                                                          \
    }

/* Eight nibbles become values: those of the low nibbles of the four bytes, and of the high ones. A
 * selector is a nibble whose top bit must be 0: so both halves of the table are asked, and the top
 * bits choose. Only the lowest four selectors of a word count. */
ENG_DEVICE uint2 quant_values(const QuantValues v, uint32_t nibbles)
{
    uint32_t x = nibbles & 0x77777777, which = 0x32103210 | (nibbles & 0x88888888) >> 1, y[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        uint32_t low = permute_bytes(v.word[0], v.word[1], x >> 16 * i);
        uint32_t high = permute_bytes(v.word[2], v.word[3], x >> 16 * i);
        y[i] = permute_bytes(low, high, which >> 16 * i);
    }
    return make_uint2(__byte_perm(y[0], y[1], 0x6420), __byte_perm(y[0], y[1], 0x7531));
}

/* Those of 16 bytes' nibbles, low or `high`. */
ENG_DEVICE void quant_values16(const QuantValues v, const uint32_t w[4], bool high, int q[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint2 both = quant_values(v, w[i]);
        q[i] = (int)(high ? both.y : both.x);
    }
}

#endif
