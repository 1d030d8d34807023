/* The codebook formats as plain numbers, in the two forms of unpack.h: what IQ1 … IQ4 and MXFP4
 * mean. Scales such as d * (0.5 + s) / 4 become (d / 8) * (2 s + 1): the products with at most six
 * bits of a number are exact in a float, so the order of operations leaves no trace. */
#ifndef ENG_LOAD_UNPACK_IQ_H
#define ENG_LOAD_UNPACK_IQ_H

#include "load/iq_grids.h"
#include "load/unpack.h"

static inline void eng_unpack_values(const int8_t values[16], const uint8_t qs[16],
                                     int8_t ret_q[32])
{
    eng_unpack_nibbles(qs, 0, ret_q);
    for (int i = 0; i < 32; i++) ret_q[i] = values[ret_q[i]];
}

/* Half of 2^(e - 127), for the values are doubled; the two smallest are subnormal. */
static inline float eng_e8m0_half(uint8_t e)
{
    return eng_f32_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

static inline void eng_unpack_iq4_nl(const EngBlockIQ4_NL *b, EngUnpacked32 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->m = -0.0f;
    eng_unpack_values(eng_values_iq4, b->qs, ret->q);
}

static inline void eng_unpack_mxfp4(const EngBlockMXFP4 *b, EngUnpacked32 *ret)
{
    ret->d = eng_e8m0_half(b->e), ret->m = -0.0f;
    eng_unpack_values(eng_values_mxfp4, b->qs, ret->q);
}

/* The scale of 32 numbers has four bits in scales_l and two in scales_h. */
static inline int eng_scale_iq4_xs(const EngBlockIQ4_XS *b, int i)
{
    int low = b->scales_l[i / 2] >> (i % 2 * 4) & 15, high = b->scales_h >> (2 * i) & 3;
    return (low | high << 4) - 32;
}

static inline void eng_unpack_iq4_xs(const EngBlockIQ4_XS *b, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->dmin = 0;
    memset(ret->m, 0, sizeof ret->m);
    for (int i = 0; i < 8; i++) {
        ret->s[2 * i] = ret->s[2 * i + 1] = (int16_t)eng_scale_iq4_xs(b, i);
        eng_unpack_values(eng_values_iq4, b->qs + 16 * i, ret->q + 32 * i);
    }
}

/* Seven sign bits and their parity: the number of minus signs among eight is even. */
static inline uint8_t eng_signs_of_7(uint32_t seven)
{
    seven &= 127;
    return (uint8_t)(seven | (uint32_t)__builtin_parity(seven) << 7);
}

/* `count` bytes of a grid entry, minus where a bit of signs is set. */
static inline void eng_unpack_entry(uint64_t entry, uint8_t signs, int count, int8_t *ret_q)
{
    for (int i = 0; i < count; i++) {
        int q = (int)(entry >> 8 * i & 255);
        ret_q[i] = (int8_t)(signs >> i & 1 ? -q : q);
    }
}

static inline uint32_t eng_unpack_word(const uint8_t p[4])
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void eng_unpack_d_iq(uint16_t d, float factor, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(d) * factor, ret->dmin = 0;
    memset(ret->m, 0, sizeof ret->m);
}

static inline void eng_unpack_iq2_xxs(const EngBlockIQ2_XXS *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(b->d, 0.125f, ret);
    for (int i = 0; i < 8; i++) {
        const uint8_t *index = b->qs + 8 * i;
        uint32_t more = eng_unpack_word(index + 4);
        ret->s[2 * i] = ret->s[2 * i + 1] = (int16_t)(2 * (more >> 28) + 1);
        for (int j = 0; j < 4; j++)
            eng_unpack_entry(eng_grid_iq2_xxs[index[j]], eng_signs_of_7(more >> 7 * j), 8,
                             ret->q + 32 * i + 8 * j);
    }
}

static inline void eng_unpack_iq2_xs(const EngBlockIQ2_XS *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(b->d, 0.125f, ret);
    for (int g = 0; g < 16; g++)
        ret->s[g] = (int16_t)(2 * (b->scales[g / 2] >> (g % 2 * 4) & 15) + 1);
    for (int i = 0; i < 32; i++)
        eng_unpack_entry(eng_grid_iq2_xs[b->qs[i] & 511], eng_signs_of_7(b->qs[i] >> 9), 8,
                         ret->q + 8 * i);
}

static inline void eng_unpack_iq2_s(const EngBlockIQ2_S *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(b->d, 0.125f, ret);
    for (int g = 0; g < 16; g++)
        ret->s[g] = (int16_t)(2 * (b->scales[g / 2] >> (g % 2 * 4) & 15) + 1);
    for (int i = 0; i < 32; i++) {
        int index = b->qs[i] | (b->qh[i / 4] >> (i % 4 * 2) & 3) << 8;
        eng_unpack_entry(eng_grid_iq2_s[index], b->signs[i], 8, ret->q + 8 * i);
    }
}

static inline void eng_unpack_iq3_xxs(const EngBlockIQ3_XXS *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(b->d, 0.25f, ret);
    for (int i = 0; i < 8; i++) {
        uint32_t more = eng_unpack_word(b->signs + 4 * i);
        ret->s[2 * i] = ret->s[2 * i + 1] = (int16_t)(2 * (more >> 28) + 1);
        for (int j = 0; j < 8; j++) {
            uint8_t signs = eng_signs_of_7(more >> 7 * (j / 2));
            eng_unpack_entry(eng_grid_iq3_xxs[b->qs[8 * i + j]], signs >> j % 2 * 4, 4,
                             ret->q + 32 * i + 4 * j);
        }
    }
}

static inline void eng_unpack_iq3_s(const EngBlockIQ3_S *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(b->d, 1, ret);
    for (int g = 0; g < 16; g++)
        ret->s[g] = (int16_t)(2 * (b->scales[g / 4] >> (g / 2 % 2 * 4) & 15) + 1);
    for (int i = 0; i < 64; i++) {
        int index = b->qs[i] | (b->qh[i / 8] >> i % 8 & 1) << 8;
        eng_unpack_entry(eng_grid_iq3_s[index], b->signs[i / 2] >> i % 2 * 4, 4, ret->q + 4 * i);
    }
}

static inline void eng_unpack_entry_iq1(int index, int down, int8_t ret_q[8])
{
    for (int i = 0; i < 8; i++)
        ret_q[i] = (int8_t)((int8_t)(eng_grid_iq1[index] >> 8 * i) + (down ? -1 : 1));
}

static inline void eng_unpack_iq1_s(const EngBlockIQ1_S *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(b->d, 0.125f, ret);
    for (int i = 0; i < 8; i++) {
        int more = b->qh[i];
        ret->s[2 * i] = ret->s[2 * i + 1] = (int16_t)(2 * (more >> 12 & 7) + 1);
        for (int j = 0; j < 4; j++)
            eng_unpack_entry_iq1(b->qs[4 * i + j] | (more >> 3 * j & 7) << 8, more >> 15,
                                 ret->q + 32 * i + 8 * j);
    }
}

static inline uint16_t eng_d_iq1_m(const EngBlockIQ1_M *b)
{
    return (uint16_t)(b->scales[0] >> 12 | (b->scales[1] >> 8 & 0xf0) |
                      (b->scales[2] >> 4 & 0xf00) | (b->scales[3] & 0xf000));
}

static inline void eng_unpack_iq1_m(const EngBlockIQ1_M *b, EngUnpacked256 *ret)
{
    eng_unpack_d_iq(eng_d_iq1_m(b), 0.125f, ret);
    for (int g = 0; g < 16; g++)
        ret->s[g] = (int16_t)(2 * (b->scales[g / 4] >> (g % 4 * 3) & 7) + 1);
    for (int i = 0; i < 32; i++) {
        int more = b->qh[i / 2] >> (i % 2 * 4) & 15;
        eng_unpack_entry_iq1(b->qs[i] | (more & 7) << 8, more >> 3, ret->q + 8 * i);
    }
}

#endif
