/* The type table, the decoders to float, the names of file types. */
#include "load/quant.h"
#include "base/num.h"
#include "load/unpack_iq.h"

/* A decoder is part of its format down to the order of float operations: d * q + m, and
 * (d * s) * q - dmin * m, each step rounded to float (-ffp-contract=off). */
#define DECODER_32(name, Block)                                                                    \
    static void name##_to_f32(const void *row, float *ret, int64_t n)                              \
    {                                                                                              \
        const Block *b = row;                                                                      \
        EngUnpacked32 u;                                                                           \
        for (int64_t i = 0; i < n / 32; i++) {                                                     \
            eng_unpack_##name(b + i, &u);                                                          \
            for (int j = 0; j < 32; j++) ret[i * 32 + j] = u.d * (float)u.q[j] + u.m;              \
        }                                                                                          \
    }
#define DECODER_256(name, Block)                                                                   \
    static void name##_to_f32(const void *row, float *ret, int64_t n)                              \
    {                                                                                              \
        const Block *b = row;                                                                      \
        EngUnpacked256 u;                                                                          \
        for (int64_t i = 0; i < n / 256; i++) {                                                    \
            eng_unpack_##name(b + i, &u);                                                          \
            for (int g = 0; g < 16; g++) {                                                         \
                float scale = u.d * (float)u.s[g], min = u.dmin * (float)u.m[g];                   \
                float *to = ret + i * 256 + g * 16;                                                \
                for (int j = 0; j < 16; j++) to[j] = scale * (float)u.q[16 * g + j] - min;         \
            }                                                                                      \
        }                                                                                          \
    }
DECODER_32(q4_0, EngBlockQ4_0)
DECODER_32(q4_1, EngBlockQ4_1)
DECODER_32(q5_0, EngBlockQ5_0)
DECODER_32(q5_1, EngBlockQ5_1)
DECODER_32(q8_0, EngBlockQ8_0)
DECODER_32(iq4_nl, EngBlockIQ4_NL)
DECODER_32(mxfp4, EngBlockMXFP4)
DECODER_256(q2_k, EngBlockQ2_K)
DECODER_256(q3_k, EngBlockQ3_K)
DECODER_256(q4_k, EngBlockQ4_K)
DECODER_256(q5_k, EngBlockQ5_K)
DECODER_256(q6_k, EngBlockQ6_K)
DECODER_256(iq1_s, EngBlockIQ1_S)
DECODER_256(iq1_m, EngBlockIQ1_M)
DECODER_256(iq2_xxs, EngBlockIQ2_XXS)
DECODER_256(iq2_xs, EngBlockIQ2_XS)
DECODER_256(iq2_s, EngBlockIQ2_S)
DECODER_256(iq3_xxs, EngBlockIQ3_XXS)
DECODER_256(iq3_s, EngBlockIQ3_S)
DECODER_256(iq4_xs, EngBlockIQ4_XS)
#undef DECODER_32
#undef DECODER_256

static void f32_to_f32(const void *row, float *ret, int64_t n)
{
    memcpy(ret, row, (size_t)n * sizeof *ret);
}

static void f16_to_f32(const void *row, float *ret, int64_t n)
{
    const uint16_t *h = row;
    for (int64_t i = 0; i < n; i++) ret[i] = eng_f16_to_f32(h[i]);
}

static void bf16_to_f32(const void *row, float *ret, int64_t n)
{
    const uint16_t *h = row;
    for (int64_t i = 0; i < n; i++) ret[i] = eng_bf16_to_f32(h[i]);
}

/* Rows without a decoder are listed by `inspect` and refused by the binder. Bytes per block are
 * those of the GGUF specification; where the number has no enum constant the engine never needs
 * to name it. */
static const EngTypeInfo types[ENG_TYPE_COUNT] = {
    [ENG_TYPE_F32] = {"F32", 1, 4, ENG_ACT_F32, f32_to_f32},
    [ENG_TYPE_F16] = {"F16", 1, 2, ENG_ACT_F32, f16_to_f32},
    [ENG_TYPE_BF16] = {"BF16", 1, 2, ENG_ACT_F32, bf16_to_f32},
    [ENG_TYPE_Q4_0] = {"Q4_0", 32, sizeof(EngBlockQ4_0), ENG_ACT_Q8_0, q4_0_to_f32},
    [ENG_TYPE_Q4_1] = {"Q4_1", 32, sizeof(EngBlockQ4_1), ENG_ACT_Q8_0, q4_1_to_f32},
    [ENG_TYPE_Q5_0] = {"Q5_0", 32, sizeof(EngBlockQ5_0), ENG_ACT_Q8_0, q5_0_to_f32},
    [ENG_TYPE_Q5_1] = {"Q5_1", 32, sizeof(EngBlockQ5_1), ENG_ACT_Q8_0, q5_1_to_f32},
    [ENG_TYPE_Q8_0] = {"Q8_0", 32, sizeof(EngBlockQ8_0), ENG_ACT_Q8_0, q8_0_to_f32},
    [ENG_TYPE_Q2_K] = {"Q2_K", 256, sizeof(EngBlockQ2_K), ENG_ACT_Q8_K, q2_k_to_f32},
    [ENG_TYPE_Q3_K] = {"Q3_K", 256, sizeof(EngBlockQ3_K), ENG_ACT_Q8_K, q3_k_to_f32},
    [ENG_TYPE_Q4_K] = {"Q4_K", 256, sizeof(EngBlockQ4_K), ENG_ACT_Q8_K, q4_k_to_f32},
    [ENG_TYPE_Q5_K] = {"Q5_K", 256, sizeof(EngBlockQ5_K), ENG_ACT_Q8_K, q5_k_to_f32},
    [ENG_TYPE_Q6_K] = {"Q6_K", 256, sizeof(EngBlockQ6_K), ENG_ACT_Q8_K, q6_k_to_f32},
    [ENG_TYPE_IQ1_S] = {"IQ1_S", 256, sizeof(EngBlockIQ1_S), ENG_ACT_Q8_K, iq1_s_to_f32},
    [ENG_TYPE_IQ1_M] = {"IQ1_M", 256, sizeof(EngBlockIQ1_M), ENG_ACT_Q8_K, iq1_m_to_f32},
    [ENG_TYPE_IQ2_XXS] = {"IQ2_XXS", 256, sizeof(EngBlockIQ2_XXS), ENG_ACT_Q8_K, iq2_xxs_to_f32},
    [ENG_TYPE_IQ2_XS] = {"IQ2_XS", 256, sizeof(EngBlockIQ2_XS), ENG_ACT_Q8_K, iq2_xs_to_f32},
    [ENG_TYPE_IQ2_S] = {"IQ2_S", 256, sizeof(EngBlockIQ2_S), ENG_ACT_Q8_K, iq2_s_to_f32},
    [ENG_TYPE_IQ3_XXS] = {"IQ3_XXS", 256, sizeof(EngBlockIQ3_XXS), ENG_ACT_Q8_K, iq3_xxs_to_f32},
    [ENG_TYPE_IQ3_S] = {"IQ3_S", 256, sizeof(EngBlockIQ3_S), ENG_ACT_Q8_K, iq3_s_to_f32},
    [ENG_TYPE_IQ4_XS] = {"IQ4_XS", 256, sizeof(EngBlockIQ4_XS), ENG_ACT_Q8_K, iq4_xs_to_f32},
    [ENG_TYPE_IQ4_NL] = {"IQ4_NL", 32, sizeof(EngBlockIQ4_NL), ENG_ACT_Q8_0, iq4_nl_to_f32},
    [ENG_TYPE_MXFP4] = {"MXFP4", 32, sizeof(EngBlockMXFP4), ENG_ACT_Q8_0, mxfp4_to_f32},
    [9] = {"Q8_1", 32, 40, ENG_ACT_F32, NULL},
    [15] = {"Q8_K", 256, 292, ENG_ACT_F32, NULL},
    [24] = {"I8", 1, 1, ENG_ACT_F32, NULL},
    [25] = {"I16", 1, 2, ENG_ACT_F32, NULL},
    [26] = {"I32", 1, 4, ENG_ACT_F32, NULL},
    [27] = {"I64", 1, 8, ENG_ACT_F32, NULL},
    [28] = {"F64", 1, 8, ENG_ACT_F32, NULL},
    [34] = {"TQ1_0", 256, 54, ENG_ACT_F32, NULL},
    [35] = {"TQ2_0", 256, 66, ENG_ACT_F32, NULL},
    [40] = {"NVFP4", 64, 36, ENG_ACT_F32, NULL},
    [41] = {"Q1_0", 128, 18, ENG_ACT_F32, NULL},
};

_Static_assert(sizeof(EngBlockQ4_0) == 18 && sizeof(EngBlockQ4_1) == 20, "no padding");
_Static_assert(sizeof(EngBlockQ5_0) == 22 && sizeof(EngBlockQ5_1) == 24, "no padding");
_Static_assert(sizeof(EngBlockQ8_0) == 34 && sizeof(EngBlockQ2_K) == 84, "no padding");
_Static_assert(sizeof(EngBlockQ3_K) == 110 && sizeof(EngBlockQ4_K) == 144, "no padding");
_Static_assert(sizeof(EngBlockQ5_K) == 176 && sizeof(EngBlockQ6_K) == 210, "no padding");
_Static_assert(sizeof(EngBlockIQ1_S) == 50 && sizeof(EngBlockIQ1_M) == 56, "no padding");
_Static_assert(sizeof(EngBlockIQ2_XXS) == 66 && sizeof(EngBlockIQ2_XS) == 74, "no padding");
_Static_assert(sizeof(EngBlockIQ2_S) == 82 && sizeof(EngBlockIQ3_XXS) == 98, "no padding");
_Static_assert(sizeof(EngBlockIQ3_S) == 110 && sizeof(EngBlockIQ4_XS) == 136, "no padding");
_Static_assert(sizeof(EngBlockIQ4_NL) == 18 && sizeof(EngBlockMXFP4) == 17, "no padding");

const EngTypeInfo *eng_type_info(uint32_t type)
{
    static const EngTypeInfo unknown = {NULL, 1, 0, ENG_ACT_F32, NULL};
    return type < ENG_TYPE_COUNT && types[type].name ? &types[type] : &unknown;
}

EngType eng_type_named(const char *name)
{
    for (uint32_t i = 0; i < ENG_TYPE_COUNT; i++)
        if (types[i].to_f32 && strcmp(types[i].name, name) == 0) return (EngType)i;
    return ENG_TYPE_COUNT;
}

const char *eng_file_type_name(uint32_t file_type)
{
    static const char *const names[] = {
        [0] = "F32",     [1] = "F16",     [2] = "Q4_0",       [3] = "Q4_1",    [7] = "Q8_0",
        [8] = "Q5_0",    [9] = "Q5_1",    [10] = "Q2_K",      [11] = "Q3_K_S", [12] = "Q3_K_M",
        [13] = "Q3_K_L", [14] = "Q4_K_S", [15] = "Q4_K_M",    [16] = "Q5_K_S", [17] = "Q5_K_M",
        [28] = "IQ2_S",  [29] = "IQ2_M",  [30] = "IQ4_XS",    [31] = "IQ1_M",  [32] = "BF16",
        [36] = "TQ1_0",  [37] = "TQ2_0",  [38] = "MXFP4_MOE", [39] = "NVFP4",  [40] = "Q1_0",
    };
    return file_type < ENG_LEN(names) ? names[file_type] : NULL;
}
