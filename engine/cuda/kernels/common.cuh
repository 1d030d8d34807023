/* What every kernel file includes first: the GPU's own operations under names that also run on the
 * CPU. Under nvcc they are intrinsics or the only inline PTX of the tree; under g++ (-x c++
 * -std=c++17) they come from tests/gpu/fiber.h, where a block's threads are fibers.
 *
 * A kernel is written
 *     ENG_KERNEL(name, EngCuArgs a) { … }              any block size, or
 *     ENG_KERNEL_BOUNDS(threads, blocks, name, EngCuArgs a) { … }   __launch_bounds__, or
 *     ENG_KERNEL_AHEAD(threads, blocks, name, EngCuArgs a, ahead) { … }   where `ahead` is run
 *         before what was launched before has ended: it may ask for weights, which stay as they are
 * with its name as in names.h; the argument is always called a. Dynamic shared memory:
 * DYN_SHARED(float, tile); 16-byte aligned. Whole warps meet in shuffles, ballots and mma, from the
 * same line: fibers insist on it. A thread must not leave before the last __syncthreads of its
 * block. */
#ifndef ENG_CUDA_KERNELS_COMMON_CUH
#define ENG_CUDA_KERNELS_COMMON_CUH

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "args.h"
#include "names.h"

enum { WARP = 32 };
#define FULL_WARP 0xffffffffu

#ifndef __CUDACC__
#include "fiber.h"
#else

#include <cuda_fp16.h>

#define ENG_KERNEL_AS(bounds, name, arg, ahead)                                                    \
    template <class Args> static __device__ __forceinline__ void name##_body(const Args &a);       \
    extern "C" __global__ void bounds name(const __grid_constant__ arg)                            \
    {                                                                                              \
        ahead;                                                                                     \
        wait_for_previous();                                                                       \
        name##_body(a);                                                                            \
    }                                                                                              \
    template <class Args> static __device__ __forceinline__ void name##_body(const Args &a)
#define ENG_KERNEL(name, arg) ENG_KERNEL_AS(, name, arg, )
#define ENG_KERNEL_BOUNDS(threads, blocks, name, arg)                                              \
    ENG_KERNEL_AS(__launch_bounds__(threads, blocks), name, arg, )
#define ENG_KERNEL_AHEAD(threads, blocks, name, arg, ahead)                                        \
    ENG_KERNEL_AS(__launch_bounds__(threads, blocks), name, arg, ahead)
#define DYN_SHARED(T, name)                                                                        \
    extern __shared__ __align__(16) unsigned char eng_dynamic_shared[];                            \
    T *const name = reinterpret_cast<T *>(eng_dynamic_shared)
#define ENG_DEVICE static __device__ __forceinline__

/* The kernel launched next may be started now, and what this one reads or overwrites is there from
 * here on. Each kernel passes here, so that of a row of them each has those before it behind it.
 * Before 9.0, and where device.c does not ask for it, kernels start one after the other anyhow. */
ENG_DEVICE void wait_for_previous()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Asks for memory to come into L2; `bytes` from an address on, both multiples of 16. */
ENG_DEVICE void prefetch_l2(const void *from, uint32_t bytes)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
#endif
}

ENG_DEVICE float half_bits_to_float(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
ENG_DEVICE uint16_t float_to_half_bits(float x) { return __half_as_ushort(__float2half_rn(x)); }

/* A pointer to global memory that the compiler keeps instead of finding it anew from what it came
 * from, which costs more than a register. */
template <class T> ENG_DEVICE const T *keep_pointer(const T *p)
{
    asm("" : "+l"(p));
    __builtin_assume(__isGlobal(p));
    return p;
}

/* __byte_perm without its masking of the selectors, which must be below 8. */
ENG_DEVICE uint32_t permute_bytes(uint32_t low, uint32_t high, uint32_t select)
{
    uint32_t ret;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(ret) : "r"(low), "r"(high), "r"(select));
    return ret;
}

/* Two halves at once. multiply_add rounds once. */
ENG_DEVICE uint32_t halves_sub(uint32_t x, uint32_t y)
{
    uint32_t ret;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(ret) : "r"(x), "r"(y));
    return ret;
}
ENG_DEVICE uint32_t halves_multiply_add(uint32_t x, uint32_t y, uint32_t z)
{
    uint32_t ret;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(ret) : "r"(x), "r"(y), "r"(z));
    return ret;
}

/* A barrier of some whole warps of a block, `threads` threads in all: 0 or 1. Numbers in registers
 * would cost a block all sixteen that the hardware has. */
ENG_DEVICE void sync_some(int which, int threads)
{
    if (which == 0)
        asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
    else
        asm volatile("bar.sync 2, %0;" ::"r"(threads) : "memory");
}

/* 2^x to about 2 units in the last place; 0 where the result is smaller than 2^-126. */
ENG_DEVICE float exp2f_fast(float x)
{
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/* Flags shared with the host (and its other devices). */
ENG_DEVICE uint32_t load_acquire_sys(const volatile uint32_t *at)
{
    uint32_t value;
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(at) : "memory");
    return value;
}

ENG_DEVICE void store_release_sys(volatile uint32_t *at, uint32_t value)
{
    asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(at), "r"(value) : "memory");
}

/* c += a * b on tensor cores: a 16 x 16, b 16 x 8 halves, two to a register, c 16 x 8 floats.
 * With g = lane / 4 and q = lane % 4:
 *   a[0]: row g, columns 2q, 2q + 1; a[1]: row g + 8; a[2], a[3]: the same 8 columns further right
 *   b[0]: column g, rows 2q, 2q + 1; b[1]: 8 rows further down
 *   c[0], c[1]: row g, columns 2q, 2q + 1; c[2], c[3]: row g + 8 */
ENG_DEVICE void mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
    for (int k = 0; k < 2; k++)
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                     "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
#endif
}

/* Four 8 x 8 matrices of halves out of shared memory: lane 8 j + i gives the address of row i of
 * matrix j (16 bytes, aligned to 16); r[j] gets row lane / 4, columns 2 (lane % 4) and the next, of
 * matrix j, or of its transpose. */
ENG_DEVICE void ldmatrix_x4(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

ENG_DEVICE void ldmatrix_x4_trans(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

/* Says that p is in global memory, which a pointer out of memory does not tell: loads by it are then
 * of that kind alone. */
ENG_DEVICE void in_global(const void *p) { __builtin_assume(__isGlobal(p)); }

/* 16 bytes from global to shared memory, both aligned to 16, there after cp_async_wait; only the
 * first `bytes` (0 … 16) are read, the rest is zeros. wait<n>: all but the last n groups committed
 * are there. Before sm_80 a plain copy. */
ENG_DEVICE void cp_async16(void *shared, const void *global, int bytes = 16)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(shared)),
                 "l"(global), "r"(bytes)
                 : "memory");
#else
    if (bytes == 16) {
        *(uint4 *)shared = *(const uint4 *)global;
    } else {
        for (int i = 0; i < 16; i++)
            ((uint8_t *)shared)[i] = i < bytes ? ((const uint8_t *)global)[i] : (uint8_t)0;
    }
#endif
}

ENG_DEVICE void cp_async_commit()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int N> ENG_DEVICE void cp_async_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

#endif /* __CUDACC__ */

/* Two floats as halves, the first in the low bits, rounded to nearest; what is finite stays finite:
 * half's largest beyond it. */
ENG_DEVICE uint32_t floats_to_halves(float low, float high)
{
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
    uint32_t halves;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(halves) : "f"(high), "f"(low));
    return halves;
#else
    low = low > 65504 ? 65504 : low < -65504 ? -65504 : low;
    high = high > 65504 ? 65504 : high < -65504 ? -65504 : high;
    return float_to_half_bits(low) | (uint32_t)float_to_half_bits(high) << 16;
#endif
}

ENG_DEVICE float bf16_bits_to_float(uint16_t bits) { return __uint_as_float((uint32_t)bits << 16); }

/* Bytes of a file's blocks, which promise only so much alignment. */
ENG_DEVICE uint16_t load16_by1(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
ENG_DEVICE uint16_t load16(const uint8_t *p) { return *(const uint16_t *)p; }
ENG_DEVICE uint32_t load32_by2(const uint8_t *p)
{
    return (uint32_t)load16(p) | (uint32_t)load16(p + 2) << 16;
}
ENG_DEVICE uint32_t load32_by1(const uint8_t *p)
{
    return (uint32_t)load16_by1(p) | (uint32_t)load16_by1(p + 2) << 16;
}

ENG_DEVICE float warp_sum(float x)
{
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(FULL_WARP, x, step);
    return x;
}

/* The warp's largest and smallest, in one instruction where the card has it. */
ENG_DEVICE uint32_t warp_max_unsigned(uint32_t x)
{
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
    return __reduce_max_sync(FULL_WARP, x);
#else
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) x = max(x, __shfl_xor_sync(FULL_WARP, x, step));
    return x;
#endif
}
ENG_DEVICE uint32_t warp_min_unsigned(uint32_t x) { return ~warp_max_unsigned(~x); }

ENG_DEVICE float warp_max(float x)
{
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2)
        x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, step));
    return x;
}

/* ---- activations as bytes ---- */

/* What stands for the magnitude of x in a maximum, in which a NaN would be lost. */
ENG_DEVICE float quantize_size(float x)
{
    float size = fabsf(x);
    return size <= 3.402823466e38f ? size : INFINITY;
}

/* One of a warp's 32 numbers, whose largest magnitude is `most`; returns d: number = d * q, not a
 * number when one of them is not finite. *ret_sum: of the 32 q. */
ENG_DEVICE float quantize_one(float x, float most, int *ret_q, int *ret_sum)
{
    bool lost = most == INFINITY;
    int q = most == 0 || lost ? 0 : __float2int_rn(x / most * 127.0f), sum = q;
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) sum += __shfl_xor_sync(FULL_WARP, sum, step);
    *ret_q = q, *ret_sum = sum;
    return lost ? NAN : most / 127.0f;
}

/* Number `at` of what EngCuAct has as bytes; the numbers of a warp are neighbours, the first a
 * multiple of 32. */
ENG_DEVICE void quantize_store(int8_t *bytes, float *scales, size_t at, float x)
{
    int q, sum;
    float d = quantize_one(x, warp_max(quantize_size(x)), &q, &sum);
    bytes[at] = (int8_t)q;
    if (at % WARP == 0) scales[at / WARP * 2] = d, scales[at / WARP * 2 + 1] = d * (float)sum;
}

#endif
