/* One block of quantized weights as plain numbers: quants, group scales, group minima. This is what
 * the block formats mean; the decoders to float and the portable kernels both begin here, so a
 * format is spelled out once in C. The vector kernels unpack in registers and are compared with it.
 *
 * Bit positions follow the decoders of the `gguf` package. */
#ifndef ENG_LOAD_UNPACK_H
#define ENG_LOAD_UNPACK_H

#include "base/num.h"
#include "load/quant.h"

/* 32 numbers: weight i = d * q[i] + m. */
typedef struct {
    float d, m; /* m is -0 where the format has none, for x + -0 is x for every x */
    int8_t q[32];
} EngUnpacked32;

/* 256 numbers in 16 groups: weight i = (d * s[i / 16]) * q[i] - dmin * m[i / 16]. */
typedef struct {
    float d, dmin;
    int8_t q[256];
    int16_t s[16], m[16];
} EngUnpacked256;

/* Nibbles of 16 bytes: the low ones are weights 0 … 15, the high ones 16 … 31. */
static inline void eng_unpack_nibbles(const uint8_t qs[16], int zero, int8_t ret_q[32])
{
    for (int i = 0; i < 16; i++) {
        ret_q[i] = (int8_t)((qs[i] & 15) - zero);
        ret_q[i + 16] = (int8_t)((qs[i] >> 4) - zero);
    }
}

/* The same with a fifth bit for each weight in qh. */
static inline void eng_unpack_fives(const uint8_t qs[16], const uint8_t qh[4], int zero,
                                    int8_t ret_q[32])
{
    eng_unpack_nibbles(qs, 0, ret_q);
    for (int i = 0; i < 32; i++)
        ret_q[i] = (int8_t)((ret_q[i] | (qh[i / 8] >> i % 8 & 1) << 4) - zero);
}

static inline void eng_unpack_q4_0(const EngBlockQ4_0 *b, EngUnpacked32 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->m = -0.0f;
    eng_unpack_nibbles(b->qs, 8, ret->q);
}

static inline void eng_unpack_q4_1(const EngBlockQ4_1 *b, EngUnpacked32 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->m = eng_f16_to_f32(b->m);
    eng_unpack_nibbles(b->qs, 0, ret->q);
}

static inline void eng_unpack_q5_0(const EngBlockQ5_0 *b, EngUnpacked32 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->m = -0.0f;
    eng_unpack_fives(b->qs, b->qh, 16, ret->q);
}

static inline void eng_unpack_q5_1(const EngBlockQ5_1 *b, EngUnpacked32 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->m = eng_f16_to_f32(b->m);
    eng_unpack_fives(b->qs, b->qh, 0, ret->q);
}

static inline void eng_unpack_q8_0(const EngBlockQ8_0 *b, EngUnpacked32 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->m = -0.0f;
    memcpy(ret->q, b->qs, 32);
}

/* Two-bit quants: each 32 bytes hold four runs of 32 weights, one per bit pair. Here and below
 * loops over runs stand outside: compilers then take many weights at once. */
static inline void eng_unpack_pairs(const uint8_t qs[64], int8_t ret_q[256])
{
    for (int half = 0; half < 2; half++)
        for (int run = 0; run < 4; run++)
            for (int i = 0; i < 32; i++)
                ret_q[128 * half + 32 * run + i] = (int8_t)(qs[32 * half + i] >> 2 * run & 3);
}

static inline void eng_unpack_q2_k(const EngBlockQ2_K *b, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->dmin = eng_f16_to_f32(b->dmin);
    for (int g = 0; g < 16; g++) ret->s[g] = b->scales[g] & 15, ret->m[g] = b->scales[g] >> 4;
    eng_unpack_pairs(b->qs, ret->q);
}

/* Scales: 6 bits, the low four in bytes 0 … 7 (low nibbles first), the high two in bytes 8 … 11.
 * A set bit in hmask means "do not subtract 4". */
static inline void eng_unpack_q3_k(const EngBlockQ3_K *b, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->dmin = 0;
    for (int g = 0; g < 16; g++) {
        int low = b->scales[g % 8] >> (g / 8 * 4) & 15,
            high = b->scales[8 + g % 4] >> (g / 4 * 2) & 3;
        ret->s[g] = (int16_t)((low | high << 4) - 32), ret->m[g] = 0;
    }
    eng_unpack_pairs(b->qs, ret->q);
    for (int run = 0; run < 8; run++)
        for (int i = 0; i < 32; i++)
            ret->q[32 * run + i] =
                (int8_t)(ret->q[32 * run + i] + 4 * (b->hmask[i] >> run & 1) - 4);
}

/* Eight scales and eight minima of 6 bits in 12 bytes, for groups of 32: the first four of each
 * in bytes 0 … 3 and 4 … 7; of the others the low four bits in bytes 8 … 11 and the high two on
 * top of the first eight bytes. */
static inline void eng_unpack_scales_k(const uint8_t p[12], int16_t ret_s[16], int16_t ret_m[16])
{
    for (int g = 0; g < 4; g++) {
        ret_s[2 * g] = ret_s[2 * g + 1] = p[g] & 63;
        ret_m[2 * g] = ret_m[2 * g + 1] = p[g + 4] & 63;
        ret_s[2 * g + 8] = ret_s[2 * g + 9] = (int16_t)((p[g + 8] & 15) | p[g] >> 6 << 4);
        ret_m[2 * g + 8] = ret_m[2 * g + 9] = (int16_t)(p[g + 8] >> 4 | p[g + 4] >> 6 << 4);
    }
}

static inline void eng_unpack_q4_k(const EngBlockQ4_K *b, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->dmin = eng_f16_to_f32(b->dmin);
    eng_unpack_scales_k(b->scales, ret->s, ret->m);
    for (int part = 0; part < 4; part++)
        for (int i = 0; i < 32; i++) {
            ret->q[64 * part + i] = (int8_t)(b->qs[32 * part + i] & 15);
            ret->q[64 * part + 32 + i] = (int8_t)(b->qs[32 * part + i] >> 4);
        }
}

static inline void eng_unpack_q5_k(const EngBlockQ5_K *b, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->dmin = eng_f16_to_f32(b->dmin);
    eng_unpack_scales_k(b->scales, ret->s, ret->m);
    for (int part = 0; part < 4; part++)
        for (int i = 0; i < 32; i++) {
            int qs = b->qs[32 * part + i], qh = b->qh[i] >> 2 * part;
            ret->q[64 * part + i] = (int8_t)((qs & 15) | (qh & 1) << 4);
            ret->q[64 * part + 32 + i] = (int8_t)(qs >> 4 | (qh & 2) << 3);
        }
}

static inline void eng_unpack_q6_k(const EngBlockQ6_K *b, EngUnpacked256 *ret)
{
    ret->d = eng_f16_to_f32(b->d), ret->dmin = 0;
    for (int g = 0; g < 16; g++) ret->s[g] = b->scales[g], ret->m[g] = 0;
    for (int half = 0; half < 2; half++)
        for (int run = 0; run < 4; run++)
            for (int i = 0; i < 32; i++) {
                int low = b->ql[64 * half + 32 * (run % 2) + i] >> run / 2 * 4 & 15;
                int high = b->qh[32 * half + i] >> 2 * run & 3;
                ret->q[128 * half + 32 * run + i] = (int8_t)((low | high << 4) - 32);
            }
}

#endif
