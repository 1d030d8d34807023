/* Typed look-ups of key-values: see gguf.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "load/gguf.h"

static bool key_is(const EngGgufKv *kv, const char *key)
{
    size_t n = strlen(key);
    return kv->key.n == n && memcmp(kv->key.s, key, n) == 0;
}

static const EngGgufKv *find_plain(const EngGguf *gguf, const char *key)
{
    for (size_t i = 0; i < gguf->n_kvs; i++)
        if (key_is(&gguf->kvs[i], key)) return &gguf->kvs[i];
    return NULL;
}

const EngGgufKv *eng_gguf_find(const EngGguf *gguf, const char *key)
{
    const char *slot = strstr(key, "%s");
    if (!slot) return find_plain(gguf, key);
    char full[256];
    int n = snprintf(full, sizeof full, "%.*s%s%s", (int)(slot - key), key, gguf->arch, slot + 2);
    return n > 0 && n < (int)sizeof full ? find_plain(gguf, full) : NULL;
}

static bool wrong_kind(const EngGgufKv *kv, const char *want, EngError *err)
{
    return eng_fail(err, ENG_ERR_REFUSED,
                    "This GGUF file is damaged: \"%.*s\" should be %s. Download it again.",
                    (int)ENG_MIN(kv->key.n, 100), kv->key.s, want);
}

static bool read_whole(const EngGgufKv *kv, EngGgufKind kind, EngCursor *c, uint64_t *ret,
                       EngError *err)
{
    int64_t negative = 0;
    uint64_t x = 0;
    switch (kind) {
    case ENG_GGUF_U8:
    case ENG_GGUF_BOOL: x = eng_cursor_u8(c); break;
    case ENG_GGUF_U16: x = eng_cursor_u16(c); break;
    case ENG_GGUF_U32: x = eng_cursor_u32(c); break;
    case ENG_GGUF_U64: x = eng_cursor_u64(c); break;
    case ENG_GGUF_I8: x = (uint64_t)(negative = (int8_t)eng_cursor_u8(c)); break;
    case ENG_GGUF_I16: x = (uint64_t)(negative = (int16_t)eng_cursor_u16(c)); break;
    case ENG_GGUF_I32: x = (uint64_t)(negative = (int32_t)eng_cursor_u32(c)); break;
    case ENG_GGUF_I64: x = (uint64_t)(negative = (int64_t)eng_cursor_u64(c)); break;
    default: return wrong_kind(kv, "a whole number", err);
    }
    if (negative < 0) return wrong_kind(kv, "0 or more", err);
    *ret = x;
    return true;
}

bool eng_gguf_u64(const EngGguf *gguf, const char *key, uint64_t missing, uint64_t *ret,
                  EngError *err)
{
    const EngGgufKv *kv = eng_gguf_find(gguf, key);
    if (!kv) {
        *ret = missing;
        return true;
    }
    EngCursor c = {kv->bytes, kv->size, 0, false};
    return read_whole(kv, kv->kind, &c, ret, err);
}

bool eng_gguf_u64_of_all(const EngGguf *gguf, const char *key, uint64_t missing, uint64_t *ret,
                         EngError *err)
{
    const EngGgufKv *kv = eng_gguf_find(gguf, key);
    if (!kv || kv->kind != ENG_GGUF_ARRAY) return eng_gguf_u64(gguf, key, missing, ret, err);
    if (kv->count == 0) return wrong_kind(kv, "a whole number", err);
    EngCursor c = {kv->bytes, kv->size, 0, false};
    uint64_t first = 0, x;
    for (uint64_t i = 0; i < kv->count; i++) {
        if (!read_whole(kv, kv->item, &c, &x, err)) return false;
        if (i == 0) first = x;
        if (x != first)
            return eng_fail(
                err, ENG_ERR_REFUSED,
                "In this model \"%.*s\" differs from layer to layer, which this version "
                "does not know: use a newer version of Hearth.",
                (int)ENG_MIN(kv->key.n, 100), kv->key.s);
    }
    *ret = first;
    return true;
}

bool eng_gguf_f32(const EngGguf *gguf, const char *key, float missing, float *ret, EngError *err)
{
    const EngGgufKv *kv = eng_gguf_find(gguf, key);
    if (!kv) {
        *ret = missing;
        return true;
    }
    EngCursor c = {kv->bytes, kv->size, 0, false};
    if (kv->kind == ENG_GGUF_F32) {
        *ret = eng_f32_from_bits(eng_cursor_u32(&c));
    } else if (kv->kind == ENG_GGUF_F64) {
        uint64_t bits = eng_cursor_u64(&c);
        double d;
        memcpy(&d, &bits, sizeof d);
        *ret = (float)d;
    } else {
        return wrong_kind(kv, "a floating-point number", err);
    }
    return true;
}

bool eng_gguf_string(const EngGguf *gguf, const char *key, EngGgufString *ret, EngError *err)
{
    const EngGgufKv *kv = eng_gguf_find(gguf, key);
    if (kv && kv->kind != ENG_GGUF_STRING) return wrong_kind(kv, "text", err);
    *ret = kv ? (EngGgufString){(const char *)kv->bytes, kv->size} : (EngGgufString){NULL, 0};
    return true;
}

bool eng_gguf_array(const EngGguf *gguf, const char *key, EngGgufKind kind,
                    const uint8_t **ret_items, uint64_t *ret_count, EngError *err)
{
    const EngGgufKv *kv = eng_gguf_find(gguf, key);
    if (kv && (kv->kind != ENG_GGUF_ARRAY || (kv->item != kind && kv->count > 0)))
        return wrong_kind(kv, "an array of another kind", err);
    *ret_items = kv ? kv->bytes : NULL;
    *ret_count = kv ? kv->count : 0;
    return true;
}

EngGgufString eng_gguf_next_string(const uint8_t **pos)
{
    EngCursor c = {*pos, UINT64_MAX, 0, false};
    EngGgufString s = {NULL, eng_cursor_u64(&c)};
    s.s = (const char *)*pos + 8;
    *pos += 8 + s.n;
    return s;
}
