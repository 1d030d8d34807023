/* The KV cache's three forms: where a cell lies and how four of its numbers become floats. A
 * number's bytes are fetched apart from their conversion, so that fetches can be long on the way
 * while something else is computed. */
#ifndef ENG_CUDA_KERNELS_CACHE_CUH
#define ENG_CUDA_KERNELS_CACHE_CUH

#include "common.cuh"

enum { Q8_BLOCK = 32, Q8_BYTES = 34 };

/* Bytes of n numbers of a row. */
template <int KIND> ENG_DEVICE size_t cache_part(int n)
{
    if (KIND == ENG_CU_KV_F32) return (size_t)n * 4;
    return KIND == ENG_CU_KV_F16 ? (size_t)n * 2 : (size_t)(n / Q8_BLOCK) * Q8_BYTES;
}

template <int KIND> ENG_DEVICE uint8_t *cache_keys(const EngCuRow &t, int layer)
{
    return t.kv + (size_t)layer * t.layer;
}

template <int KIND> ENG_DEVICE uint8_t *cache_values(const EngCuRow &t, int layer, int k_width)
{
    return cache_keys<KIND>(t, layer) + (size_t)t.context * cache_part<KIND>(k_width);
}

/* Numbers i … i + 3 of a row as they lie there, 0 from n on; i a multiple of 4. `wide`: rows begin
 * at multiples of four numbers. */
template <int KIND> struct Raw {
    uint32_t word[KIND == ENG_CU_KV_F32 ? 4 : 2]; /* q8_0: four bytes, then the scale's half */
};

template <int KIND>
ENG_DEVICE Raw<KIND> cache_fetch(const uint8_t *row, int i, int n, bool wide)
{
    Raw<KIND> raw = {};
    if (i >= n) return raw;
    if (KIND == ENG_CU_KV_Q8_0) {
        const uint8_t *block = row + (size_t)(i / Q8_BLOCK) * Q8_BYTES;
        raw.word[0] = load32_by2(block + 2 + i % Q8_BLOCK);
        raw.word[1] = load16(block);
    } else if (KIND == ENG_CU_KV_F16) {
        const uint16_t *x = (const uint16_t *)row + i;
        if (wide) {
            uint2 both = *(const uint2 *)x;
            raw.word[0] = both.x, raw.word[1] = both.y;
        } else {
            raw.word[0] = x[0] | (i + 1 < n ? (uint32_t)x[1] << 16 : 0);
            raw.word[1] = (i + 2 < n ? x[2] : 0u) | (i + 3 < n ? (uint32_t)x[3] << 16 : 0);
        }
    } else {
        const uint32_t *x = (const uint32_t *)row + i;
        if (wide) {
            uint4 all = *(const uint4 *)x;
            raw.word[0] = all.x, raw.word[1] = all.y;
            raw.word[2 % (sizeof raw / 4)] = all.z, raw.word[3 % (sizeof raw / 4)] = all.w;
        } else {
#pragma unroll
            for (int j = 0; j < (int)(sizeof raw / 4); j++)
                raw.word[j] = i + j < n ? x[j] : 0;
        }
    }
    return raw;
}

template <int KIND> ENG_DEVICE float4 cache_numbers(const Raw<KIND> &raw)
{
    uint32_t a = raw.word[0], b = raw.word[1];
    if (KIND == ENG_CU_KV_Q8_0) {
        float d = half_bits_to_float((uint16_t)b);
        return make_float4(d * (float)(int8_t)a, d * (float)(int8_t)(a >> 8),
                           d * (float)(int8_t)(a >> 16), d * (float)(int8_t)(a >> 24));
    }
    if (KIND == ENG_CU_KV_F16)
        return make_float4(half_bits_to_float((uint16_t)a), half_bits_to_float((uint16_t)(a >> 16)),
                           half_bits_to_float((uint16_t)b),
                           half_bits_to_float((uint16_t)(b >> 16)));
    return make_float4(__uint_as_float(a), __uint_as_float(b),
                       __uint_as_float(raw.word[2 % (sizeof raw / 4)]),
                       __uint_as_float(raw.word[3 % (sizeof raw / 4)]));
}

#endif
