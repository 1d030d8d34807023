/* Keys and values into each token's cell, the same bytes as the CPU writes (op_basic.c): a session
 * can move from one to the other. One block per token, a warp per 32 numbers. */
#include "cache.cuh"

/* As eng_f32_to_f16: what is not a number becomes that one. */
ENG_DEVICE uint16_t half_bits(float x)
{
    uint32_t sign = __float_as_uint(x) >> 16 & 0x8000u;
    return isnan(x) ? (uint16_t)(sign | 0x7e00u) : float_to_half_bits(x);
}

/* A warp's 32 numbers, as quantize_q8_0 of engine/cpu/dot_legacy.c. */
ENG_DEVICE void store_q8(uint8_t *block, float x, int lane)
{
    unsigned bits = __float_as_uint(x) & 0x7fffffffu;
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2)
        bits = max(bits, __shfl_xor_sync(FULL_WARP, bits, step));
    if (bits >= 0x7f800000u) bits = 0x7fc00000u;
    float most = __uint_as_float(bits), factor = most > 0x1p-120f ? 127.0f / most : 0.0f;
    block[2 + lane] = factor == 0.0f ? 0 : (uint8_t)(int8_t)__float2int_rn(x * factor);
    if (lane == 0) *(uint16_t *)block = half_bits(most / 127.0f);
}

template <int KIND> ENG_DEVICE void store(const EngCuView &v, int row, uint8_t *cell)
{
    int lane = (int)threadIdx.x % WARP, all = v.heads * v.n;
    for (int at = (int)threadIdx.x - lane; at < all; at += (int)blockDim.x) {
        int i = at + lane;
        const float *x =
            v.data + (size_t)row * v.row + (size_t)(i / v.n) * v.stride + (size_t)(i % v.n);
        if (KIND == ENG_CU_KV_Q8_0)
            store_q8(cell + cache_part<KIND>(at), *x, lane); /* v.n is a multiple of 32 */
        else if (i < all && KIND == ENG_CU_KV_F32)
            ((float *)cell)[i] = *x;
        else if (i < all)
            ((uint16_t *)cell)[i] = half_bits(*x);
    }
}

template <int KIND> ENG_DEVICE void store_both(const EngCuKvStore &a)
{
    int row = (int)blockIdx.x, k_width = a.key.heads * a.key.n;
    const EngCuRow &t = a.tokens[row];
    uint8_t *keys = cache_keys<KIND>(t, a.layer);
    store<KIND>(a.key, row, keys + (size_t)t.position * cache_part<KIND>(k_width));
    if (!a.value.data) return;
    uint8_t *values = cache_values<KIND>(t, a.layer, k_width);
    store<KIND>(a.value, row,
                values + (size_t)t.position * cache_part<KIND>(a.value.heads * a.value.n));
}

ENG_KERNEL(kv_store_f16, EngCuKvStore a) { store_both<ENG_CU_KV_F16>(a); }
ENG_KERNEL(kv_store_f32, EngCuKvStore a) { store_both<ENG_CU_KV_F32>(a); }
ENG_KERNEL(kv_store_q8_0, EngCuKvStore a) { store_both<ENG_CU_KV_Q8_0>(a); }
