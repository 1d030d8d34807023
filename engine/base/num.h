/* Small number helpers: half floats, checked sizes. */
#ifndef ENG_BASE_NUM_H
#define ENG_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ENG_MIN(a, b) ((a) < (b) ? (a) : (b))
#define ENG_MAX(a, b) ((a) > (b) ? (a) : (b))
#define ENG_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline float eng_f32_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t eng_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* IEEE 754 binary16 to binary32, exact for every input (subnormals, infinities, NaN). */
static inline float eng_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 0x3ff;
    if (exp == 31) return eng_f32_from_bits(sign | 0x7f800000 | man << 13);
    if (exp == 0) { /* zero or subnormal: man * 2^-24 */
        float f = (float)man * 0x1p-24f;
        return eng_f32_from_bits(sign | eng_f32_bits(f));
    }
    return eng_f32_from_bits(sign | (exp + 112) << 23 | man << 13);
}

/* Binary32 to binary16, round to nearest even. */
uint16_t eng_f32_to_f16(float f);

static inline float eng_bf16_to_f32(uint16_t h) { return eng_f32_from_bits((uint32_t)h << 16); }

static inline bool eng_mul_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    return !__builtin_mul_overflow(a, b, ret);
}

static inline uint64_t eng_align_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) / align * align;
}

#endif
