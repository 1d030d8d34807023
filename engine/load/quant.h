/* Tensor element types of GGUF files, as data: one row per type, used by every part that needs to
 * know how many bytes a row takes or what its numbers are.
 *
 * A quantized type stores `block` numbers in `bytes` bytes. The block formats are ggml's; sources:
 * the GGUF specification and the `gguf` package's decoders, which the tests compare bit for bit. */
#ifndef ENG_LOAD_QUANT_H
#define ENG_LOAD_QUANT_H

#include <stdint.h>
#include <stddef.h>

typedef enum { /* values are ggml's type numbers in the file */
               ENG_TYPE_F32 = 0,
               ENG_TYPE_F16 = 1,
               ENG_TYPE_Q4_0 = 2,
               ENG_TYPE_Q4_1 = 3,
               ENG_TYPE_Q5_0 = 6,
               ENG_TYPE_Q5_1 = 7,
               ENG_TYPE_Q8_0 = 8,
               ENG_TYPE_Q2_K = 10,
               ENG_TYPE_Q3_K = 11,
               ENG_TYPE_Q4_K = 12,
               ENG_TYPE_Q5_K = 13,
               ENG_TYPE_Q6_K = 14,
               ENG_TYPE_IQ2_XXS = 16,
               ENG_TYPE_IQ2_XS = 17,
               ENG_TYPE_IQ3_XXS = 18,
               ENG_TYPE_IQ1_S = 19,
               ENG_TYPE_IQ4_NL = 20,
               ENG_TYPE_IQ3_S = 21,
               ENG_TYPE_IQ2_S = 22,
               ENG_TYPE_IQ4_XS = 23,
               ENG_TYPE_IQ1_M = 29,
               ENG_TYPE_BF16 = 30,
               ENG_TYPE_MXFP4 = 39,
               ENG_TYPE_COUNT = 42 /* one past the largest number any known file uses */
} EngType;

/* Form in which activations meet weights of a type. */
typedef enum {
    ENG_ACT_F32,  /* float, with F32, F16, BF16 weights */
    ENG_ACT_Q8_0, /* EngBlockQ8_0A, with the 32-number block types */
    ENG_ACT_Q8_K, /* EngBlockQ8_KA, with the 256-number block types */
    ENG_ACT_COUNT
} EngAct;

typedef struct {
    const char *name; /* "Q4_K"; NULL = unknown type number */
    int block;        /* numbers per block */
    int bytes;        /* bytes per block */
    EngAct act;
    void (*to_f32)(const void *row, float *ret, int64_t n); /* n a multiple of block; NULL = the
                                                             * type is known by name but not run */
} EngTypeInfo;

/* Never NULL; an unknown number gives a row whose name is NULL. */
const EngTypeInfo *eng_type_info(uint32_t type);

/* The type that is called so ("Q4_K"); ENG_TYPE_COUNT: none that the engine runs. */
EngType eng_type_named(const char *name);

/* Bytes of n numbers, n a multiple of the block. */
static inline uint64_t eng_row_bytes(EngType type, uint64_t n)
{
    const EngTypeInfo *t = eng_type_info(type);
    return n / (uint64_t)t->block * (uint64_t)t->bytes;
}

/* "Q4_K_M" … for general.file_type; NULL when unknown. */
const char *eng_file_type_name(uint32_t file_type);

/* Weight blocks, little-endian, no padding. d, dmin, m: binary16 bits. */
typedef struct {
    uint16_t d;
    uint8_t qs[16];
} EngBlockQ4_0;
typedef struct {
    uint16_t d, m;
    uint8_t qs[16];
} EngBlockQ4_1;
typedef struct {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
} EngBlockQ5_0;
typedef struct {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
} EngBlockQ5_1;
typedef struct {
    uint16_t d;
    int8_t qs[32];
} EngBlockQ8_0;
typedef struct {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
} EngBlockQ2_K;
typedef struct {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
} EngBlockQ3_K;
typedef struct {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qs[128];
} EngBlockQ4_K;
typedef struct {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
} EngBlockQ5_K;
typedef struct {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
} EngBlockQ6_K;

/* Codebook formats. qs are indices into a grid (iq_grids.h) or nibbles into sixteen values; where
 * a scale s is stored, the group's scale is d * (2 s + 1), times a power of two of the format. */
typedef struct {
    uint16_t d;
    uint8_t qs[64]; /* by 32 numbers: 4 indices, then 4 x 7 bits of signs and 4 of scale */
} EngBlockIQ2_XXS;
typedef struct {
    uint16_t d;
    uint16_t qs[32]; /* 9 bits of index, 7 of signs */
    uint8_t scales[8];
} EngBlockIQ2_XS;
typedef struct {
    uint16_t d;
    uint8_t qs[32], signs[32];
    uint8_t qh[8];
    uint8_t scales[8];
} EngBlockIQ2_S;
typedef struct {
    uint16_t d;
    uint8_t qs[64];
    uint8_t signs[32]; /* by 32 numbers: 4 x 7 bits of signs and 4 of scale */
} EngBlockIQ3_XXS;
typedef struct {
    uint16_t d;
    uint8_t qs[64], qh[8], signs[32], scales[4];
} EngBlockIQ3_S;
typedef struct {
    uint16_t d;
    uint8_t qs[32];
    uint16_t qh[8]; /* by 32 numbers: 4 x 3 bits of index, 3 of scale, the side of delta */
} EngBlockIQ1_S;
typedef struct {
    uint8_t qs[32];
    uint8_t qh[16];     /* by 8 numbers: 3 bits of index, the side of delta */
    uint16_t scales[4]; /* 4 x 3 bits of scale; the top four bits together are d */
} EngBlockIQ1_M;
typedef struct {
    uint16_t d;
    uint8_t qs[16];
} EngBlockIQ4_NL;
typedef struct {
    uint16_t d, scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
} EngBlockIQ4_XS;
typedef struct {
    uint8_t e; /* a power of two */
    uint8_t qs[16];
} EngBlockMXFP4;

/* Activation blocks, ours alone (never in a file). value = d * q. */
typedef struct {
    float d;
    int32_t sum;
    int8_t q[32];
} EngBlockQ8_0A; /* sum of q */
typedef struct {
    float d;
    int8_t q[256];
    int16_t sums[16];
} EngBlockQ8_KA; /* sums of 16 q */

/* Bytes of an activation row of n numbers. n is a multiple of the block of the weights it meets. */
static inline size_t eng_act_row_bytes(EngAct act, int64_t n)
{
    switch (act) {
    case ENG_ACT_Q8_0: return (size_t)(n / 32) * sizeof(EngBlockQ8_0A);
    case ENG_ACT_Q8_K: return (size_t)(n / 256) * sizeof(EngBlockQ8_KA);
    default: return (size_t)n * sizeof(float);
    }
}

#endif
