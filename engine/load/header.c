/* Writes GGUF headers. Format: the GGUF specification (ggml repository, docs/gguf.md), version 3.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "load/gguf.h"

enum { ALIGN = 32 };

typedef EngVec(uint8_t) Bytes;

/* The machine's byte order is the format's: little-endian. */
static void put(Bytes *b, const void *p, size_t n)
{
    eng_vec_reserve(b, b->n + n);
    memcpy(b->data + b->n, p, n);
    b->n += n;
}

static void put_u32(Bytes *b, uint32_t x) { put(b, &x, sizeof x); }
static void put_u64(Bytes *b, uint64_t x) { put(b, &x, sizeof x); }

static void put_text(Bytes *b, const char *text)
{
    put_u64(b, strlen(text));
    put(b, text, strlen(text));
}

static void put_value(Bytes *b, const EngMetaValue *v)
{
    put_text(b, v->key);
    if (v->text) {
        put_u32(b, ENG_GGUF_STRING);
        put_text(b, v->text);
    } else if (v->whole) {
        put_u32(b, ENG_GGUF_U64);
        put_u64(b, (uint64_t)v->number);
    } else {
        float number = (float)v->number;
        put_u32(b, ENG_GGUF_F32);
        put(b, &number, sizeof number);
    }
}

static bool put_tensor(Bytes *b, const EngTensorShape *t, uint64_t *offset, EngError *err)
{
    EngType type = eng_type_named(t->type);
    if (type == ENG_TYPE_COUNT)
        return eng_fail(err, ENG_ERR_USAGE, "No weights of type \"%.40s\" run here.", t->type);
    uint64_t rows = 1;
    for (int i = 1; i < t->n_dims; i++) rows *= t->shape[i];
    if (t->shape[0] % (uint64_t)eng_type_info(type)->block != 0)
        return eng_fail(err, ENG_ERR_USAGE,
                        "Rows of %llu numbers, as \"%.60s\" has them, cannot be %s.",
                        (unsigned long long)t->shape[0], t->name, t->type);
    put_text(b, t->name);
    put_u32(b, (uint32_t)t->n_dims);
    for (int i = 0; i < t->n_dims; i++) put_u64(b, t->shape[i]);
    put_u32(b, (uint32_t)type);
    put_u64(b, *offset);
    *offset = eng_align_up(*offset + rows * eng_row_bytes(type, t->shape[0]), ALIGN);
    return true;
}

bool eng_header_write(const EngMetaValue *values, size_t n_values, const EngTensorShape *tensors,
                      size_t n_tensors, EngHeader *ret_header, EngError *err)
{
    Bytes b = {0};
    put(&b, "GGUF", 4);
    put_u32(&b, 3);
    put_u64(&b, n_tensors);
    put_u64(&b, n_values);
    for (size_t i = 0; i < n_values; i++) put_value(&b, &values[i]);
    uint64_t offset = 0;
    for (size_t i = 0; i < n_tensors; i++)
        if (!put_tensor(&b, &tensors[i], &offset, err)) {
            free(b.data);
            return false;
        }
    *ret_header = (EngHeader){b.data, b.n, eng_align_up(b.n, ALIGN) + offset};
    return true;
}
