/* A GGUF file, v2 or v3, single or split: its key-values and its tensor directory.
 *
 * The file is untrusted. After a successful open every string lies inside the mapped bytes, every
 * array's length fits them, no key has two values, every tensor's type is known by name, its
 * shape's product fits 64 bits, its bytes lie inside the data section of its part, aligned, and
 * overlap no other tensor's. Format: the GGUF specification (ggml repository, docs/gguf.md). */
#ifndef ENG_LOAD_GGUF_H
#define ENG_LOAD_GGUF_H

#include "base/file.h"
#include "base/mem.h"
#include "load/quant.h"

typedef enum { /* value types as numbered in the file */
               ENG_GGUF_U8,
               ENG_GGUF_I8,
               ENG_GGUF_U16,
               ENG_GGUF_I16,
               ENG_GGUF_U32,
               ENG_GGUF_I32,
               ENG_GGUF_F32,
               ENG_GGUF_BOOL,
               ENG_GGUF_STRING,
               ENG_GGUF_ARRAY,
               ENG_GGUF_U64,
               ENG_GGUF_I64,
               ENG_GGUF_F64
} EngGgufKind;

typedef struct {
    const char *s; /* inside the mapped file: NOT NUL-terminated, not necessarily UTF-8 */
    uint64_t n;    /* bytes */
} EngGgufString;

typedef struct {
    EngGgufString key;
    EngGgufKind kind;
    EngGgufKind item;     /* ENG_GGUF_ARRAY: kind of its items (never ARRAY) */
    uint64_t count;       /* ENG_GGUF_ARRAY: items */
    const uint8_t *bytes; /* the value; of an array its first item (unaligned) */
    uint64_t size;        /* bytes there */
} EngGgufKv;

typedef struct {
    char *name; /* NUL-terminated copy, arena */
    EngType type;
    int n_dims;
    uint64_t ne[4]; /* elements per dimension, innermost first; 1 beyond n_dims */
    uint64_t bytes;
    uint64_t offset;     /* in its part's file */
    int part;            /* index of the part */
    const uint8_t *data; /* NULL when only a header was given */
} EngTensor;

typedef struct {
    EngArena arena;
    char arch[65]; /* general.architecture, or "" */
    EngMap *parts;
    int n_parts;
    int part, part_count; /* of the file given: split.no + 1, split.count (1 of 1 when not split) */
    EngGgufKv *kvs;       /* of the first part */
    size_t n_kvs;
    EngTensor *tensors; /* of all parts; sorted by name */
    size_t n_tensors;
    uint64_t tensor_bytes; /* sum */
} EngGguf;

/* Opens a file and, when it is the first of several parts, the others beside it. */
EngGguf *eng_gguf_open(const char *path, EngError *err);

/* A whole single-part file in memory; `data` must outlive it. */
EngGguf *eng_gguf_open_memory(const void *data, uint64_t size, EngError *err);

/* Header only: `size` first bytes of a part of `file_size` bytes. ENG_ERR_MORE when the header is
 * longer. No tensor gets data. */
EngGguf *eng_gguf_open_header(const void *data, uint64_t size, uint64_t file_size, EngError *err);

/* The headers of all parts of a model, in order; copied. No tensor gets data. */
EngGguf *eng_gguf_open_headers(const EngHeader *headers, size_t n, EngError *err);

void eng_gguf_free(EngGguf *gguf);

/* False when a part of the file could not be read, now or before. */
bool eng_gguf_check(const EngGguf *gguf, EngError *err);

/* Look-ups. A missing key gives NULL / the default; a key of another kind is an error. `key` may
 * hold "%s" once, replaced by general.architecture. */
const EngGgufKv *eng_gguf_find(const EngGguf *gguf, const char *key);
bool eng_gguf_u64(const EngGguf *gguf, const char *key, uint64_t missing, uint64_t *ret,
                  EngError *err); /* any integer kind or bool; negative is an error */
/* Or an array of those, one for each layer, which must all be the same. */
bool eng_gguf_u64_of_all(const EngGguf *gguf, const char *key, uint64_t missing, uint64_t *ret,
                         EngError *err);
bool eng_gguf_f32(const EngGguf *gguf, const char *key, float missing, float *ret, EngError *err);
bool eng_gguf_string(const EngGguf *gguf, const char *key, EngGgufString *ret, EngError *err);
/* missing: {NULL, 0} */
/* Array of `kind`; missing: count 0. *ret_items is unaligned bytes (strings: use the next call). */
bool eng_gguf_array(const EngGguf *gguf, const char *key, EngGgufKind kind,
                    const uint8_t **ret_items, uint64_t *ret_count, EngError *err);
/* Walks an array of strings: *pos starts at its first byte and moves on. The array was checked at
 * open, so count calls are safe. */
EngGgufString eng_gguf_next_string(const uint8_t **pos);

EngTensor *eng_gguf_tensor(const EngGguf *gguf, const char *name); /* NULL when missing */

/* The part that an address lies in; NULL = it is not of the file. */
const EngMap *eng_gguf_part(const EngGguf *gguf, const uint8_t *data);

#endif
