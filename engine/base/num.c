#include "base/num.h"

uint16_t eng_f32_to_f16(float f)
{
    uint32_t bits = eng_f32_bits(f), sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
    if (mag > 0x7f800000) return (uint16_t)(sign | 0x7e00);  /* NaN */
    if (mag >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds past 65504, or infinite */
    if (mag < 0x38800000) { /* subnormal half: the addition rounds to a multiple of 2^-24 */
        float r = eng_f32_from_bits(mag) + 0.5f;
        return (uint16_t)(sign | (eng_f32_bits(r) - 0x3f000000));
    }
    uint32_t odd = mag >> 13 & 1;
    return (uint16_t)(sign | ((mag - 0x38000000 + 0xfff + odd) >> 13));
}
