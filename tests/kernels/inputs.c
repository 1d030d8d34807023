/* Buffers and inputs of the kernel checks. */
#define TEST_PART
#include "check.h"

Rows rows_new(int n_rows, size_t row, size_t pad)
{
    Rows r = {.stride = row + pad};
    r.base = malloc((size_t)(n_rows - 1) * r.stride + row);
    return r;
}

/* Where the half floats of a block lie; -1 ends the list. */
static const int halves[ENG_TYPE_COUNT][3] = {
    [ENG_TYPE_Q4_0] = {0, -1},    [ENG_TYPE_Q4_1] = {0, 2, -1}, [ENG_TYPE_Q5_0] = {0, -1},
    [ENG_TYPE_Q5_1] = {0, 2, -1}, [ENG_TYPE_Q8_0] = {0, -1},    [ENG_TYPE_Q2_K] = {80, 82, -1},
    [ENG_TYPE_Q3_K] = {108, -1},  [ENG_TYPE_Q4_K] = {0, 2, -1}, [ENG_TYPE_Q5_K] = {0, 2, -1},
    [ENG_TYPE_Q6_K] = {208, -1},  [ENG_TYPE_IQ4_NL] = {0, -1},  [ENG_TYPE_IQ4_XS] = {0, -1},
    [ENG_TYPE_IQ2_XXS] = {0, -1}, [ENG_TYPE_IQ2_XS] = {0, -1},  [ENG_TYPE_IQ2_S] = {0, -1},
    [ENG_TYPE_IQ3_XXS] = {0, -1}, [ENG_TYPE_IQ3_S] = {0, -1},   [ENG_TYPE_IQ1_S] = {0, -1},
    [ENG_TYPE_IQ1_M] = {-1},      [ENG_TYPE_MXFP4] = {-1},
};

static uint16_t random_half(WeightKind kind)
{
    uint16_t sign = (uint16_t)(test_random() & 0x8000);
    switch (kind) {
    case WEIGHTS_SUBNORMAL: return (uint16_t)(sign | test_range(0, 0x3ff));
    case WEIGHTS_EXTREME: return (uint16_t)(sign | (test_range(0, 1) ? 0x7bff : 0x0400));
    default: return eng_f32_to_f16(test_float() * 0.01f);
    }
}

/* The two formats that keep their scale elsewhere: IQ1_M in the top bits of four words, MXFP4 as an
 * exponent. */
static void fill_odd_scale(EngType type, WeightKind kind, uint8_t *block)
{
    if (type == ENG_TYPE_IQ1_M) {
        uint16_t h = random_half(kind);
        for (int i = 0; i < 4; i++)
            block[49 + 2 * i] = (uint8_t)((block[49 + 2 * i] & 15) | (h >> 4 * i & 15) << 4);
    } else if (type == ENG_TYPE_MXFP4) {
        block[0] = (uint8_t)(kind == WEIGHTS_SUBNORMAL ? test_range(0, 2)
                             : kind == WEIGHTS_EXTREME ? (test_range(0, 1) ? 170 : 80)
                                                       : test_range(110, 130));
    }
}

static void fill_float_weights(EngType type, WeightKind kind, uint8_t *row, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float f = kind == WEIGHTS_ZERO        ? 0
                  : kind == WEIGHTS_SUBNORMAL ? test_float() * 0x1p-16f
                  : kind == WEIGHTS_EXTREME   ? test_float() * 60000
                                              : test_float();
        uint16_t h = type == ENG_TYPE_F16 ? eng_f32_to_f16(f) : (uint16_t)(eng_f32_bits(f) >> 16);
        if (type == ENG_TYPE_F32)
            memcpy(row + 4 * i, &f, 4);
        else
            memcpy(row + 2 * i, &h, 2);
    }
}

void fill_weights(EngType type, WeightKind kind, Rows w, int n_rows, int64_t n)
{
    const EngTypeInfo *info = eng_type_info(type);
    for (int r = 0; r < n_rows; r++) {
        uint8_t *row = w.base + (size_t)r * w.stride;
        if (info->act == ENG_ACT_F32) {
            fill_float_weights(type, kind, row, n);
            continue;
        }
        for (int64_t i = 0; i < n / info->block; i++, row += info->bytes) {
            for (int j = 0; j < info->bytes; j++)
                row[j] = kind == WEIGHTS_ALL_ONES ? 0xff
                         : kind == WEIGHTS_ALL_80 ? 0x80
                         : kind == WEIGHTS_ZERO   ? 0
                                                  : (uint8_t)test_random();
            for (int j = 0; halves[type][j] >= 0 && j < 3; j++) {
                uint16_t h = random_half(kind);
                memcpy(row + halves[type][j], &h, 2);
            }
            fill_odd_scale(type, kind, row);
        }
    }
}

void fill_floats(ActKind kind, float *x, int64_t n)
{
    float size = exp2f((float)test_range(-20, 20));
    for (int64_t i = 0; i < n; i++) {
        switch (kind) {
        case ACT_ALL_MAX: x[i] = size; break;
        case ACT_ALL_MIN: x[i] = -size; break;
        case ACT_ALTERNATE: x[i] = i % 2 ? -size : size; break;
        case ACT_ZERO: x[i] = 0; break;
        default: x[i] = test_float() * size;
        }
    }
    if (kind == ACT_OUTLIER) x[test_range(0, (int)n - 1)] *= 1e6f;
}
