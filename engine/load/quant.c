/* The type table, the decoders to float, the names of file types. */
#include "load/quant.h"
#include "base/num.h"
#include "load/unpack.h"

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
            for (int j = 0; j < 256; j++) {                                                        \
                float scale = u.d * (float)u.s[j / 16], min = u.dmin * (float)u.m[j / 16];         \
                ret[i * 256 + j] = scale * (float)u.q[j] - min;                                    \
            }                                                                                      \
        }                                                                                          \
    }
DECODER_32(q4_0, EngBlockQ4_0)
DECODER_32(q4_1, EngBlockQ4_1)
DECODER_32(q5_0, EngBlockQ5_0)
DECODER_32(q5_1, EngBlockQ5_1)
DECODER_32(q8_0, EngBlockQ8_0)
DECODER_256(q2_k, EngBlockQ2_K)
DECODER_256(q3_k, EngBlockQ3_K)
DECODER_256(q4_k, EngBlockQ4_K)
DECODER_256(q5_k, EngBlockQ5_K)
DECODER_256(q6_k, EngBlockQ6_K)
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
    [9] = {"Q8_1", 32, 40, ENG_ACT_F32, NULL},
    [15] = {"Q8_K", 256, 292, ENG_ACT_F32, NULL},
    [16] = {"IQ2_XXS", 256, 66, ENG_ACT_F32, NULL},
    [17] = {"IQ2_XS", 256, 74, ENG_ACT_F32, NULL},
    [18] = {"IQ3_XXS", 256, 98, ENG_ACT_F32, NULL},
    [19] = {"IQ1_S", 256, 50, ENG_ACT_F32, NULL},
    [20] = {"IQ4_NL", 32, 18, ENG_ACT_F32, NULL},
    [21] = {"IQ3_S", 256, 110, ENG_ACT_F32, NULL},
    [22] = {"IQ2_S", 256, 82, ENG_ACT_F32, NULL},
    [23] = {"IQ4_XS", 256, 136, ENG_ACT_F32, NULL},
    [24] = {"I8", 1, 1, ENG_ACT_F32, NULL},
    [25] = {"I16", 1, 2, ENG_ACT_F32, NULL},
    [26] = {"I32", 1, 4, ENG_ACT_F32, NULL},
    [27] = {"I64", 1, 8, ENG_ACT_F32, NULL},
    [28] = {"F64", 1, 8, ENG_ACT_F32, NULL},
    [29] = {"IQ1_M", 256, 56, ENG_ACT_F32, NULL},
    [34] = {"TQ1_0", 256, 54, ENG_ACT_F32, NULL},
    [35] = {"TQ2_0", 256, 66, ENG_ACT_F32, NULL},
    [39] = {"MXFP4", 32, 17, ENG_ACT_F32, NULL},
    [40] = {"NVFP4", 64, 36, ENG_ACT_F32, NULL},
    [41] = {"Q1_0", 128, 18, ENG_ACT_F32, NULL},
};

_Static_assert(sizeof(EngBlockQ4_0) == 18 && sizeof(EngBlockQ4_1) == 20, "no padding");
_Static_assert(sizeof(EngBlockQ5_0) == 22 && sizeof(EngBlockQ5_1) == 24, "no padding");
_Static_assert(sizeof(EngBlockQ8_0) == 34 && sizeof(EngBlockQ2_K) == 84, "no padding");
_Static_assert(sizeof(EngBlockQ3_K) == 110 && sizeof(EngBlockQ4_K) == 144, "no padding");
_Static_assert(sizeof(EngBlockQ5_K) == 176 && sizeof(EngBlockQ6_K) == 210, "no padding");

const EngTypeInfo *eng_type_info(uint32_t type)
{
    static const EngTypeInfo unknown = {NULL, 1, 0, ENG_ACT_F32, NULL};
    return type < ENG_TYPE_COUNT && types[type].name ? &types[type] : &unknown;
}

const char *eng_file_type_name(uint32_t file_type)
{
    static const char *const names[] = {
        [0] = "F32",      [1] = "F16",      [2] = "Q4_0",    [3] = "Q4_1",    [7] = "Q8_0",
        [8] = "Q5_0",     [9] = "Q5_1",     [10] = "Q2_K",   [11] = "Q3_K_S", [12] = "Q3_K_M",
        [13] = "Q3_K_L",  [14] = "Q4_K_S",  [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",
        [18] = "Q6_K",    [19] = "IQ2_XXS", [20] = "IQ2_XS", [21] = "Q2_K_S", [22] = "IQ3_XS",
        [23] = "IQ3_XXS", [24] = "IQ1_S",   [25] = "IQ4_NL", [26] = "IQ3_S",  [27] = "IQ3_M",
        [28] = "IQ2_S",   [29] = "IQ2_M",   [30] = "IQ4_XS", [31] = "IQ1_M",  [32] = "BF16",
        [36] = "TQ1_0",   [37] = "TQ2_0",   [38] = "MXFP4",  [39] = "NVFP4",  [40] = "Q1_0",
    };
    return file_type < ENG_LEN(names) ? names[file_type] : NULL;
}
