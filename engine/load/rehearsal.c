#include "load/rehearsal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "load/unpack_iq.h"

enum { ALIGN = 64, PIECE = 1 << 20 };

/* Root mean square of the numbers: that of a trained matrix of some thousand columns. */
static const float wanted_rms = 0.02f;

/* Where a block keeps what its numbers are multiplied by, and what makes their mean zero: a second
 * factor that is `ratio` times the first. */
typedef struct {
    EngType type;
    int d, second; /* offsets of binary16 numbers; -1: there is none */
    float ratio;
} Scaled;
#define ONE(T)                                                                                     \
    {                                                                                              \
        ENG_TYPE_##T, offsetof(EngBlock##T, d), -1, 0                                              \
    }
#define TWO(T, field, ratio)                                                                       \
    {                                                                                              \
        ENG_TYPE_##T, offsetof(EngBlock##T, d), offsetof(EngBlock##T, field), ratio                \
    }
static const Scaled scaled[] = {
    ONE(Q4_0),
    TWO(Q4_1, m, -7.5f),
    ONE(Q5_0),
    TWO(Q5_1, m, -15.5f),
    ONE(Q8_0),
    ONE(Q3_K),
    TWO(Q2_K, dmin, 1.5f),
    ONE(Q6_K),
    TWO(Q4_K, dmin, 7.5f),
    ONE(IQ1_S),
    ONE(IQ2_XXS),
    TWO(Q5_K, dmin, 15.5f),
    ONE(IQ2_XS),
    ONE(IQ2_S),
    ONE(IQ3_XXS),
    ONE(IQ3_S),
    ONE(IQ4_NL),
    ONE(IQ4_XS),
};
#undef ONE
#undef TWO

typedef struct {
    EngType type;
    uint8_t *data;
    uint64_t bytes, filled;
    uint64_t total, largest; /* of the tensors that it stands for */
    uint64_t cursor;         /* where the next tensor begins */
    uint16_t d, second;      /* the factors that give the wanted size */
} Pool;

struct EngRehearsal {
    Pool pools[ENG_TYPE_COUNT]; /* [n_pools] */
    int n_pools;
    float *vectors; /* of the tensors of one dimension: none of them is shared */
    size_t vector_bytes;
};

static bool is_vector(const EngTensor *t) { return t->n_dims == 1 && t->type == ENG_TYPE_F32; }

/* ---- blocks ---------------------------------------------------------------------------------- */

static void put(uint8_t *at, uint16_t half) { memcpy(at, &half, sizeof half); }

static const Scaled *scaled_of(EngType type)
{
    for (size_t i = 0; i < ENG_LEN(scaled); i++)
        if (scaled[i].type == type) return &scaled[i];
    return NULL;
}

/* A block of random bits becomes one of ordinary numbers. */
static void mend(EngType type, uint16_t d, uint16_t second, uint8_t *block)
{
    const Scaled *s = scaled_of(type);
    if (s) {
        put(block + s->d, d);
        if (s->second >= 0) put(block + s->second, second);
    } else if (type == ENG_TYPE_IQ1_M) {
        EngBlockIQ1_M *b = (EngBlockIQ1_M *)(void *)block;
        for (int i = 0; i < 4; i++)
            b->scales[i] = (uint16_t)((b->scales[i] & 0xfff) | (d >> 4 * i & 15) << 12);
    } else if (type == ENG_TYPE_MXFP4) {
        block[0] = 120; /* 2^-8 times half units up to 12 */
    }
}

/* Floats need no scale: a fixed exponent, 2^-6, and a sign of their own. */
static void mend_floats(EngType type, uint64_t *words, size_t n)
{
    uint64_t keep = type == ENG_TYPE_F32   ? 0x807fffff807fffff
                    : type == ENG_TYPE_F16 ? 0x83ff83ff83ff83ff
                                           : 0x807f807f807f807f;
    uint64_t exponent = type == ENG_TYPE_F32   ? 0x3c8000003c800000
                        : type == ENG_TYPE_F16 ? 0x2400240024002400
                                               : 0x3c803c803c803c80;
    for (size_t i = 0; i < n; i++) words[i] = (words[i] & keep) | exponent;
}

static void randomize(uint64_t *words, size_t n, uint64_t seed)
{
    uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* xorshift64 */
        words[i] = state;
    }
}

/* Learns the size that numbers have at a factor of 1, and sets the factors. */
static void calibrate(Pool *pool)
{
    enum { BLOCKS = 32 };
    const EngTypeInfo *info = eng_type_info(pool->type);
    const Scaled *s = scaled_of(pool->type);
    if (!s && pool->type != ENG_TYPE_IQ1_M) return;
    uint64_t bits[BLOCKS * 256 / sizeof(uint64_t)];
    float numbers[BLOCKS * 256];
    uint8_t *blocks = (uint8_t *)bits;
    randomize(bits, ENG_LEN(bits), pool->type);
    float ratio = s ? s->ratio : 0;
    for (int i = 0; i < BLOCKS; i++)
        mend(pool->type, eng_f32_to_f16(1), eng_f32_to_f16(ratio), blocks + i * info->bytes);
    info->to_f32(blocks, numbers, BLOCKS * info->block);
    double squares = 0;
    for (int i = 0; i < BLOCKS * info->block; i++)
        squares += (double)numbers[i] * (double)numbers[i];
    float d = wanted_rms / (float)sqrt(squares / (BLOCKS * info->block));
    pool->d = eng_f32_to_f16(d);
    pool->second = eng_f32_to_f16(d * ratio);
}

/* Pieces hold whole blocks and whole words, but for the last words of a pool. */
static void fill_piece(const Pool *pool, uint64_t at, uint64_t n)
{
    const EngTypeInfo *info = eng_type_info(pool->type);
    uint64_t *words = (uint64_t *)(void *)(pool->data + at);
    size_t n_words = (size_t)(n / sizeof *words);
    randomize(words, n_words, at ^ (uint64_t)pool->type << 56);
    if (info->block == 1) {
        mend_floats(pool->type, words, n_words);
        return;
    }
    size_t bytes = (size_t)info->bytes;
    for (size_t i = 0; i < n / bytes; i++)
        mend(pool->type, pool->d, pool->second, pool->data + at + i * bytes);
}

void eng_rehearsal_fill(EngRehearsal *rehearsal, uint64_t n)
{
    uint64_t done = 0;
    for (int i = 0; i < rehearsal->n_pools; i++) {
        Pool *p = &rehearsal->pools[i];
        uint64_t unit = (uint64_t)eng_type_info(p->type)->bytes * sizeof(uint64_t);
        while (p->filled < p->bytes && done < n) {
            uint64_t piece = ENG_MIN(PIECE / unit * unit, p->bytes - p->filled);
            fill_piece(p, p->filled, piece);
            p->filled += piece;
            done += piece;
        }
    }
}

/* ---- places ---------------------------------------------------------------------------------- */

static Pool *pool_of(EngRehearsal *r, EngType type)
{
    for (int i = 0; i < r->n_pools; i++)
        if (r->pools[i].type == type) return &r->pools[i];
    r->pools[r->n_pools] = (Pool){.type = type};
    return &r->pools[r->n_pools++];
}

/* Tensors begin at whole blocks, too: a pool has only one kind, from its first byte on. */
static uint64_t room(const EngTensor *t)
{
    uint64_t unit = (uint64_t)eng_type_info(t->type)->bytes * ALIGN;
    return (t->bytes + unit - 1) / unit * unit;
}

static void count(EngRehearsal *r, const EngGguf *gguf)
{
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const EngTensor *t = &gguf->tensors[i];
        if (is_vector(t)) {
            r->vector_bytes += (size_t)eng_align_up(t->bytes, ALIGN);
            continue;
        }
        Pool *p = pool_of(r, t->type);
        p->total += room(t);
        p->largest = ENG_MAX(p->largest, room(t));
    }
}

/* What a pool needs it gets; the rest goes to all by what they stand for. */
static bool share_out(EngRehearsal *r, uint64_t dram, EngError *err)
{
    uint64_t least = r->vector_bytes, more = 0;
    for (int i = 0; i < r->n_pools; i++) {
        least += r->pools[i].largest;
        more += r->pools[i].total - r->pools[i].largest;
    }
    if (least > dram) {
        char need[32], given[32];
        eng_bytes_text(least, need);
        eng_bytes_text(dram, given);
        return eng_fail(err, ENG_ERR_MEMORY,
                        "To rehearse this model takes at least %s of DRAM, and it may have %s: "
                        "allow more, or choose a smaller model.",
                        need, given);
    }
    double share = more > dram - least ? (double)(dram - least) / (double)more : 1;
    for (int i = 0; i < r->n_pools; i++) {
        Pool *p = &r->pools[i];
        uint64_t unit = (uint64_t)eng_type_info(p->type)->bytes * ALIGN;
        uint64_t extra = (uint64_t)(share * (double)(p->total - p->largest)) / unit * unit;
        p->bytes = share < 1 ? p->largest + extra : p->total;
    }
    return true;
}

static bool allocate(EngRehearsal *r, EngError *err)
{
    for (int i = 0; i < r->n_pools; i++) {
        Pool *p = &r->pools[i];
        p->data = eng_try_alloc((size_t)p->bytes, "the weights to rehearse with", err);
        if (!p->data) return false;
        calibrate(p);
    }
    r->vectors = eng_try_alloc(r->vector_bytes + ALIGN, "the norms to rehearse with", err);
    return r->vectors != NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void place(EngRehearsal *r, EngGguf *gguf)
{
    float *next = r->vectors;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        EngTensor *t = &gguf->tensors[i];
        if (is_vector(t)) {
            t->data = (const uint8_t *)next;
            float value = ends_with(t->name, ".bias") ? 0 : 1;
            for (uint64_t j = 0; j < t->ne[0]; j++) next[j] = value;
            next += eng_align_up(t->bytes, ALIGN) / sizeof *next;
            continue;
        }
        Pool *p = pool_of(r, t->type);
        if (p->cursor + room(t) > p->bytes) p->cursor = 0;
        t->data = p->data + p->cursor;
        p->cursor += room(t);
    }
}

EngRehearsal *eng_rehearsal_new(EngGguf *gguf, uint64_t dram, EngError *err)
{
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const EngTypeInfo *info = eng_type_info(gguf->tensors[i].type);
        if (info->to_f32) continue;
        eng_fail(err, ENG_ERR_REFUSED,
                 "Tensor \"%.80s\" has type %s, which does not run here: choose another "
                 "quantization of the model.",
                 gguf->tensors[i].name, info->name);
        return NULL;
    }
    EngRehearsal *r = eng_alloc0(sizeof *r);
    count(r, gguf);
    if (share_out(r, dram, err) && allocate(r, err)) {
        place(r, gguf);
        return r;
    }
    eng_rehearsal_free(r);
    return NULL;
}

void eng_rehearsal_free(EngRehearsal *rehearsal)
{
    if (!rehearsal) return;
    for (int i = 0; i < rehearsal->n_pools; i++)
        if (rehearsal->pools[i].data)
            eng_big_free(rehearsal->pools[i].data, (size_t)rehearsal->pools[i].bytes);
    if (rehearsal->vectors) eng_big_free(rehearsal->vectors, rehearsal->vector_bytes + ALIGN);
    free(rehearsal);
}

uint64_t eng_rehearsal_bytes(const EngRehearsal *rehearsal, uint64_t *ret_filled)
{
    uint64_t bytes = 0;
    *ret_filled = 0;
    for (int i = 0; i < rehearsal->n_pools; i++) {
        bytes += rehearsal->pools[i].bytes;
        *ret_filled += rehearsal->pools[i].filled;
    }
    return bytes;
}
