/* The arithmetic of CUDA that C++ does not have under its name: one thread's own, nobody meets. */
#ifndef HEARTH_TESTS_GPU_FIBER_MATH_H
#define HEARTH_TESTS_GPU_FIBER_MATH_H

#define FIBER_VECTORS(X)                                                                           \
    X(char, signed char) X(uchar, unsigned char) X(short, short) X(ushort, unsigned short)         \
    X(int, int) X(uint, unsigned) X(float, float)
#define X(name, T)                                                                                 \
    struct __align__(2 * sizeof(T)) name##2 {                                                      \
        T x, y;                                                                                    \
    };                                                                                             \
    struct __align__(4 * sizeof(T)) name##4 {                                                      \
        T x, y, z, w;                                                                              \
    };                                                                                             \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                              \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
FIBER_VECTORS(X)
#undef X

template <class T> T __ldg(const T *at) { return *at; }
template <class T> T __ldcs(const T *at) { return *at; }
template <class T> T __ldcg(const T *at) { return *at; }

template <class To, class From> To fiber_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline float __uint_as_float(unsigned x) { return fiber_bits<float>(x); }
static inline unsigned __float_as_uint(float x) { return fiber_bits<unsigned>(x); }
static inline float __int_as_float(int x) { return fiber_bits<float>(x); }
static inline int __float_as_int(float x) { return fiber_bits<int>(x); }
static inline unsigned short __half_as_ushort(half x) { return fiber_bits<unsigned short>(x); }
static inline half __ushort_as_half(unsigned short x) { return fiber_bits<half>(x); }

/* Exact, without the compiler's slow call: a binary16 shifted into place is 2^-112 too small. */
static inline float half_bits_to_float(uint16_t bits)
{
    uint32_t magnitude = bits & 0x7fffu, sign = (uint32_t)(bits & 0x8000u) << 16;
    if (magnitude >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(magnitude << 13) * 0x1p112f));
}
static inline uint16_t float_to_half_bits(float x) { return __half_as_ushort((half)x); }
static inline float __half2float(half x) { return half_bits_to_float(__half_as_ushort(x)); }
static inline half __float2half(float x) { return (half)x; }
static inline half __float2half_rn(float x) { return (half)x; }

struct __align__(4) half2 {
    half x, y;
};
static inline half2 __halves2half2(half x, half y) { return {x, y}; }
static inline half2 make_half2(half x, half y) { return {x, y}; }
static inline half2 __half2half2(half x) { return {x, x}; }
static inline half2 __float2half2_rn(float x) { return {(half)x, (half)x}; }
static inline half2 __floats2half2_rn(float x, float y) { return {(half)x, (half)y}; }
static inline float2 __half22float2(half2 v) { return {__half2float(v.x), __half2float(v.y)}; }
static inline half __low2half(half2 v) { return v.x; }
static inline half __high2half(half2 v) { return v.y; }
static inline half2 __hadd2(half2 a, half2 b) { return {(half)(a.x + b.x), (half)(a.y + b.y)}; }
static inline half2 __hsub2(half2 a, half2 b) { return {(half)(a.x - b.x), (half)(a.y - b.y)}; }
static inline half2 __hmul2(half2 a, half2 b) { return {(half)(a.x * b.x), (half)(a.y * b.y)}; }
/* One rounding: a product of halves and its sum with a half are exact in double. */
static inline half2 __hfma2(half2 a, half2 b, half2 c)
{
    return {(half)((double)a.x * (double)b.x + (double)c.x),
            (half)((double)a.y * (double)b.y + (double)c.y)};
}

static inline unsigned halves_of(half low, half high)
{
    uint16_t a, b;
    memcpy(&a, &low, 2), memcpy(&b, &high, 2);
    return a | (unsigned)b << 16;
}
static inline half2 halves_as(unsigned x)
{
    uint16_t a = (uint16_t)x, b = (uint16_t)(x >> 16);
    half2 ret;
    memcpy(&ret.x, &a, 2), memcpy(&ret.y, &b, 2);
    return ret;
}
static inline unsigned halves_sub(unsigned x, unsigned y)
{
    half2 d = __hsub2(halves_as(x), halves_as(y));
    return halves_of(d.x, d.y);
}
static inline unsigned halves_multiply_add(unsigned x, unsigned y, unsigned z)
{
    half2 d = __hfma2(halves_as(x), halves_as(y), halves_as(z));
    return halves_of(d.x, d.y);
}

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline long long max(long long a, long long b) { return a > b ? a : b; }
static inline unsigned long long min(unsigned long long a, unsigned long long b)
{
    return a < b ? a : b;
}
static inline unsigned long long max(unsigned long long a, unsigned long long b)
{
    return a > b ? a : b;
}
static inline uint64_t min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The C library has functions of these names. */
#define __expf(x) expf(x)
#define __logf(x) logf(x)
static inline float exp2f_fast(float x) { return exp2f(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline float __int2float_rn(int x) { return (float)x; }

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __brev(unsigned x)
{
    unsigned result = 0;
    for (int i = 0; i < 32; i++)
        result |= (x >> i & 1) << (31 - i);
    return result;
}

static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 32; i += 8)
        c += (int8_t)(a >> i) * (int8_t)(b >> i);
    return c;
}
static inline unsigned __dp4a(unsigned a, unsigned b, unsigned c)
{
    for (int i = 0; i < 32; i += 8)
        c += (uint8_t)(a >> i) * (uint8_t)(b >> i);
    return c;
}
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned select)
{
    uint64_t bytes = (uint64_t)b << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        unsigned which = select >> 4 * i & 15;
        unsigned byte = (unsigned)(bytes >> 8 * (which & 7)) & 0xff;
        if (which & 8) byte = byte & 0x80 ? 0xff : 0;
        result |= byte << 8 * i;
    }
    return result;
}
static inline unsigned permute_bytes(unsigned a, unsigned b, unsigned select)
{
    return __byte_perm(a, b, select);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by)
{
    return (unsigned)(((uint64_t)high << 32 | low) >> (by & 31));
}
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by)
{
    return (unsigned)(((uint64_t)high << 32 | low) << (by & 31) >> 32);
}

/* Four bytes at a time. */
template <class F> unsigned fiber_bytes(unsigned a, unsigned b, F each)
{
    unsigned result = 0;
    for (int i = 0; i < 32; i += 8)
        result |= (unsigned)(uint8_t)each((uint8_t)(a >> i), (uint8_t)(b >> i)) << i;
    return result;
}
static inline unsigned __vadd4(unsigned a, unsigned b)
{
    return fiber_bytes(a, b, [](int x, int y) { return x + y; });
}
static inline unsigned __vsub4(unsigned a, unsigned b)
{
    return fiber_bytes(a, b, [](int x, int y) { return x - y; });
}
static inline unsigned __vcmpeq4(unsigned a, unsigned b)
{
    return fiber_bytes(a, b, [](int x, int y) { return x == y ? 255 : 0; });
}
static inline unsigned __vcmpne4(unsigned a, unsigned b)
{
    return fiber_bytes(a, b, [](int x, int y) { return x != y ? 255 : 0; });
}
static inline unsigned __vsubss4(unsigned a, unsigned b)
{
    return fiber_bytes(a, b, [](int x, int y) {
        int d = (int8_t)x - (int8_t)y;
        return d < -128 ? -128 : d > 127 ? 127 : d;
    });
}

#endif
