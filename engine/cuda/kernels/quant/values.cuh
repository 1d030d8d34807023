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

/* Bytes of 0 … 15 become values. A selector of __byte_perm is a nibble whose top bit must be 0: so
 * the four nibbles are brought together, both halves of the table are asked, and the top bits
 * choose. */
ENG_DEVICE void quant_values(const QuantValues v, int q[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t x = (uint32_t)q[i];
        x = (x | x >> 4) & 0x00ff00ff, x |= x >> 8;
        uint32_t low = __byte_perm(v.word[0], v.word[1], x & 0x7777);
        uint32_t high = __byte_perm(v.word[2], v.word[3], x & 0x7777);
        q[i] = (int)__byte_perm(low, high, 0x3210 | (x & 0x8888) >> 1);
    }
}

#endif
