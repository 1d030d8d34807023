#include "load/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#define DAMAGED "This GGUF file is damaged: %s. Download it again."

/* Smallest encodings, to refuse absurd counts before anything is sized by them. */
enum { MIN_KV = 8 + 4 + 1, MIN_TENSOR = 8 + 4 + 4 + 8 };

typedef struct {
    EngCursor c;
    EngGguf *gguf;
    int part;
    uint64_t file_size;
    bool partial; /* the bytes are only the file's beginning */
    EngError *err;
} Reader;

static bool ran_out(Reader *r)
{
    if (r->partial) return eng_fail(r->err, ENG_ERR_MORE, "More of the file's header is needed.");
    return eng_fail(r->err, ENG_ERR_REFUSED,
                    "This GGUF file is cut short: its header ends at byte %" PRIu64 " of %" PRIu64
                    ". Download it again.",
                    r->c.pos, r->file_size);
}

static bool damaged(Reader *r, const char *what)
{
    return eng_fail(r->err, ENG_ERR_REFUSED, DAMAGED, what);
}

/* A count of items of at least `least` bytes each cannot exceed what is left of the file. */
static bool plausible(Reader *r, uint64_t count, uint64_t least)
{
    return count <= (r->file_size - ENG_MIN(r->c.pos, r->file_size)) / least;
}

static uint64_t kind_size(uint32_t kind)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kind < ENG_LEN(sizes) ? sizes[kind] : 0;
}

static bool read_string(Reader *r, EngGgufString *ret)
{
    uint64_t n = eng_cursor_u64(&r->c);
    if (!r->c.short_by && !plausible(r, n, 1))
        return damaged(r, "a string is longer than the file");
    const uint8_t *s = eng_cursor_bytes(&r->c, n);
    if (!s) return ran_out(r);
    *ret = (EngGgufString){(const char *)s, n};
    return true;
}

static bool read_array(Reader *r, EngGgufKv *kv)
{
    uint32_t item = eng_cursor_u32(&r->c);
    kv->count = eng_cursor_u64(&r->c);
    if (r->c.short_by) return ran_out(r);
    uint64_t size = kind_size(item);
    if (size == 0 && item != ENG_GGUF_STRING)
        return damaged(r, "an array holds items of unknown kind");
    kv->item = (EngGgufKind)item;
    if (!plausible(r, kv->count, size ? size : 8))
        return damaged(r, "an array is longer than the file");
    kv->bytes = r->c.data + r->c.pos;
    uint64_t start = r->c.pos;
    if (size) {
        if (!eng_cursor_bytes(&r->c, kv->count * size)) return ran_out(r);
    } else {
        EngGgufString s;
        for (uint64_t i = 0; i < kv->count; i++)
            if (!read_string(r, &s)) return false;
    }
    kv->size = r->c.pos - start;
    return true;
}

static bool read_kv(Reader *r, EngGgufKv *kv)
{
    if (!read_string(r, &kv->key)) return false;
    uint32_t kind = eng_cursor_u32(&r->c);
    if (r->c.short_by) return ran_out(r);
    if (kind > ENG_GGUF_F64) return damaged(r, "a value has an unknown kind");
    kv->kind = (EngGgufKind)kind;
    if (kind == ENG_GGUF_ARRAY) return read_array(r, kv);
    if (kind == ENG_GGUF_STRING) {
        EngGgufString s;
        if (!read_string(r, &s)) return false;
        kv->bytes = (const uint8_t *)s.s;
        kv->size = s.n;
        return true;
    }
    kv->size = kind_size(kind);
    kv->bytes = eng_cursor_bytes(&r->c, kv->size);
    return kv->bytes ? true : ran_out(r);
}

static bool tensor_size(Reader *r, EngTensor *t)
{
    const EngTypeInfo *info = eng_type_info(t->type);
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (!eng_mul_u64(n, t->ne[i], &n) || n > INT64_MAX)
            return eng_fail(r->err, ENG_ERR_REFUSED, DAMAGED, "a tensor's shape is absurdly large");
    if (t->ne[0] % (uint64_t)info->block != 0)
        return eng_fail(
            r->err, ENG_ERR_REFUSED,
            "This GGUF file is damaged: rows of tensor \"%.60s\" are no multiple of %d as "
            "%s needs. Download it again.",
            t->name, info->block, info->name);
    if (!eng_mul_u64(n / (uint64_t)info->block, (uint64_t)info->bytes, &t->bytes))
        return damaged(r, "a tensor's size is absurdly large");
    return true;
}

static bool read_tensor(Reader *r, EngTensor *t)
{
    EngGgufString name = {0};
    if (!read_string(r, &name)) return false;
    if (name.n == 0 || name.n > 255 || memchr(name.s, 0, name.n))
        return damaged(r, "a tensor's name is empty, too long or not text");
    uint32_t n_dims = eng_cursor_u32(&r->c);
    if (r->c.short_by) return ran_out(r);
    if (n_dims < 1 || n_dims > 4)
        return damaged(r, "a tensor does not have one to four dimensions");
    t->name = eng_arena_strndup(&r->gguf->arena, name.s, name.n);
    t->n_dims = (int)n_dims;
    for (int i = 0; i < 4; i++) t->ne[i] = i < t->n_dims ? eng_cursor_u64(&r->c) : 1;
    uint32_t type = eng_cursor_u32(&r->c);
    t->offset = eng_cursor_u64(&r->c);
    t->part = r->part;
    if (r->c.short_by) return ran_out(r);
    for (int i = 0; i < 4; i++)
        if (t->ne[i] == 0) return damaged(r, "a tensor is empty");
    if (!eng_type_info(type)->name)
        return eng_fail(r->err, ENG_ERR_REFUSED,
                        "Tensor \"%.80s\" has type number %" PRIu32
                        ", which this version does not know: use a newer version of Hearth or "
                        "another quantization of the model.",
                        t->name, type);
    t->type = (EngType)type;
    return tensor_size(r, t);
}

static int by_offset(const void *a, const void *b)
{
    const EngTensor *x = *(EngTensor *const *)a, *y = *(EngTensor *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Turns offsets within the data section into offsets within the file and proves that the tensors
 * lie inside it, apart from each other. */
static bool place_tensors(Reader *r, size_t first, size_t n, uint64_t align)
{
    uint64_t base = eng_align_up(r->c.pos, align);
    EngTensor **order = eng_alloc0((n + 1) * sizeof(EngTensor *));
    for (size_t i = 0; i < n; i++) order[i] = &r->gguf->tensors[first + i];
    qsort(order, n, sizeof *order, by_offset);
    bool ok = true;
    uint64_t end = 0;
    for (size_t i = 0; i < n; i++) {
        EngTensor *t = order[i];
        uint64_t room = r->file_size > base ? r->file_size - base : 0;
        if (t->offset % align != 0)
            ok = eng_fail(r->err, ENG_ERR_REFUSED,
                          "This GGUF file is damaged: tensor \"%.100s\" is not aligned to %" PRIu64
                          " bytes. Download it again.",
                          t->name, align);
        else if (t->offset < end)
            ok =
                eng_fail(r->err, ENG_ERR_REFUSED,
                         "This GGUF file is damaged: tensor \"%.60s\" overlaps \"%.60s\". Download "
                         "it again.",
                         t->name, order[i - 1]->name);
        else if (t->bytes > room || t->offset > room - t->bytes)
            ok = eng_fail(
                r->err, ENG_ERR_REFUSED,
                "This GGUF file is cut short: tensor \"%.80s\" lies outside the file's %" PRIu64
                " bytes. Download it again.",
                t->name, r->file_size);
        if (!ok) break;
        end = t->offset + t->bytes;
        t->offset += base;
        if (!r->partial) t->data = r->c.data + t->offset;
    }
    free(order);
    return ok;
}

static bool read_alignment(Reader *r, const EngGgufKv *kvs, size_t n, uint64_t *ret)
{
    *ret = 32;
    for (size_t i = 0; i < n; i++) {
        const EngGgufKv *kv = &kvs[i];
        if (kv->key.n != 17 || memcmp(kv->key.s, "general.alignment", 17) != 0) continue;
        if (kv->kind != ENG_GGUF_U32) return damaged(r, "its alignment is not a 32-bit number");
        EngCursor c = {kv->bytes, kv->size, 0, false};
        *ret = eng_cursor_u32(&c);
        if (*ret < 1 || *ret > 1 << 24 || (*ret & (*ret - 1)) != 0 || *ret % 4 != 0)
            return damaged(r, "its alignment is no power of two from 4");
    }
    return true;
}

static bool read_header(Reader *r, uint64_t *ret_tensors, uint64_t *ret_kvs)
{
    const uint8_t *magic = eng_cursor_bytes(&r->c, 4);
    if (magic && memcmp(magic, "GGUF", 4) != 0)
        return eng_fail(
            r->err, ENG_ERR_REFUSED,
            "This is not a GGUF file: it does not begin with \"GGUF\". Choose a model in "
            "GGUF form.");
    uint32_t version = eng_cursor_u32(&r->c);
    *ret_tensors = eng_cursor_u64(&r->c);
    *ret_kvs = eng_cursor_u64(&r->c);
    if (r->c.short_by) {
        if (!magic && !r->partial)
            return eng_fail(r->err, ENG_ERR_REFUSED,
                            "This is not a GGUF file: it has only %" PRIu64
                            " bytes. Choose a model in GGUF form.",
                            r->file_size);
        return ran_out(r);
    }
    if (version != 2 && version != 3) {
        bool swapped = version == 0x03000000 || version == 0x02000000;
        return eng_fail(r->err, ENG_ERR_REFUSED,
                        swapped ? "This GGUF file is big-endian (version %" PRIu32
                                  "): get the little-endian one."
                                : "This GGUF file has version %" PRIu32
                                  ", and this program reads 2 and 3: get a current file.",
                        version);
    }
    if (!plausible(r, *ret_kvs, MIN_KV) || !plausible(r, *ret_tensors, MIN_TENSOR))
        return damaged(r, "it announces more entries than its length can hold");
    return true;
}

static int by_key(const void *a, const void *b)
{
    const EngGgufString *x = a, *y = b;
    int order = memcmp(x->s, y->s, ENG_MIN(x->n, y->n));
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* Of two values for one key, readers differ in which they take. */
static bool keys_differ(Reader *r, const EngGgufKv *kvs, size_t n)
{
    EngGgufString *keys = eng_alloc0((n + 1) * sizeof *keys);
    for (size_t i = 0; i < n; i++) keys[i] = kvs[i].key;
    qsort(keys, n, sizeof *keys, by_key);
    bool ok = true;
    for (size_t i = 1; ok && i < n; i++)
        if (by_key(&keys[i - 1], &keys[i]) == 0)
            ok = eng_fail(r->err, ENG_ERR_REFUSED,
                          "This GGUF file is damaged: it has two values for \"%.*s\". Download it "
                          "again.",
                          (int)ENG_MIN(keys[i].n, 100), keys[i].s);
    free(keys);
    return ok;
}

/* Reads one part: its key-values go to *ret_kvs, its tensors are appended to gguf->tensors. */
static bool read_part(Reader *r, EngGgufKv **ret_kvs, size_t *ret_n_kvs)
{
    EngGguf *g = r->gguf;
    uint64_t n_tensors = 0, n_kvs = 0, align = 0;
    if (!read_header(r, &n_tensors, &n_kvs)) return false;
    /* Grown as entries turn out to be there: an announced count alone reserves nothing large. */
    EngVec(EngGgufKv) kvs = {0};
    bool ok = true;
    for (uint64_t i = 0; ok && i < n_kvs; i++) {
        EngGgufKv kv = {0};
        ok = read_kv(r, &kv);
        if (ok) eng_vec_push(&kvs, kv);
    }
    *ret_kvs = kvs.data;
    *ret_n_kvs = kvs.n;
    if (!ok || !keys_differ(r, kvs.data, kvs.n) || !read_alignment(r, kvs.data, kvs.n, &align))
        return false;
    EngVec(EngTensor) tensors = {g->tensors, g->n_tensors, g->n_tensors};
    for (uint64_t i = 0; ok && i < n_tensors; i++) {
        EngTensor t = {0};
        ok = read_tensor(r, &t);
        if (ok) eng_vec_push(&tensors, t);
    }
    size_t first = g->n_tensors;
    g->tensors = tensors.data;
    g->n_tensors = tensors.n;
    return ok && place_tensors(r, first, tensors.n - first, align);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const EngTensor *)a)->name, ((const EngTensor *)b)->name);
}

/* Sorts the directory for look-up and refuses two tensors of one name. */
static bool finish(EngGguf *g, EngError *err)
{
    if (g->n_tensors > 1) qsort(g->tensors, g->n_tensors, sizeof *g->tensors, by_name);
    for (size_t i = 0; i < g->n_tensors; i++) {
        g->tensor_bytes += g->tensors[i].bytes;
        if (i > 0 && strcmp(g->tensors[i - 1].name, g->tensors[i].name) == 0)
            return eng_fail(err, ENG_ERR_REFUSED,
                            "This GGUF file is damaged: it has two tensors named \"%.100s\". "
                            "Download it again.",
                            g->tensors[i].name);
    }
    return true;
}

static bool read_arch_and_split(EngGguf *g, EngError *err)
{
    EngGgufString arch;
    if (!eng_gguf_string(g, "general.architecture", &arch, err)) return false;
    if (arch.n >= sizeof g->arch || memchr(arch.s ? arch.s : "", 0, arch.n))
        return eng_fail(err, ENG_ERR_REFUSED, DAMAGED, "the name of its architecture is no name");
    if (arch.n) memcpy(g->arch, arch.s, arch.n);
    uint64_t no, count;
    if (!eng_gguf_u64(g, "split.no", 0, &no, err) ||
        !eng_gguf_u64(g, "split.count", 1, &count, err))
        return false;
    if (count == 0) count = 1; /* written by some tools for a file that was merged again */
    if (count > 9999 || no >= count)
        return eng_fail(err, ENG_ERR_REFUSED, DAMAGED, "its split numbers make no sense");
    g->part = (int)no + 1;
    g->part_count = (int)count;
    return true;
}

/* "name-00001-of-00003.gguf" of part i (from 1), or false when the name has no such form. */
static bool part_path(const char *path, int count, int i, char *ret, size_t size)
{
    char suffix[32];
    int n = snprintf(suffix, sizeof suffix, "-00001-of-%05d.gguf", count);
    size_t len = strlen(path);
    if (len < (size_t)n || strcmp(path + len - (size_t)n, suffix) != 0) return false;
    int stem = (int)(len - (size_t)n);
    return snprintf(ret, size, "%.*s-%05d-of-%05d.gguf", stem, path, i, count) < (int)size;
}

/* Part `i` of `file_size` bytes, of which g->parts[i] has the first; `name` is for messages. */
static bool read_other_part(EngGguf *g, int i, const char *name, uint64_t file_size, EngError *err)
{
    const EngMap *map = &g->parts[i];
    Reader r = {{map->data, map->size, 0, false}, g, i, file_size, map->size < file_size, err};
    EngGgufKv *kvs = NULL;
    size_t n_kvs = 0;
    bool ok = read_part(&r, &kvs, &n_kvs);
    if (ok) { /* the part must say that it is the part it is named after */
        EngGguf as_part = {.kvs = kvs, .n_kvs = n_kvs};
        uint64_t no = 0;
        ok = eng_gguf_u64(&as_part, "split.no", 0, &no, err);
        if (ok && no != (uint64_t)i)
            ok = eng_fail(err, ENG_ERR_REFUSED,
                          "\"%.150s\" says it is part %" PRIu64 ": download the parts again.", name,
                          no + 1);
    }
    free(kvs);
    return ok;
}

static bool open_part(EngGguf *g, const char *path, int i, EngError *err)
{
    char name[4096];
    if (!part_path(path, g->part_count, i + 1, name, sizeof name))
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This is a model in %d parts, and the other parts are found by the name "
                        "…-00001-of-%05d.gguf: give the files their original names.",
                        g->part_count, g->part_count);
    if (!eng_map_open(&g->parts[i], name, err)) return false;
    g->n_parts = i + 1;
    return read_other_part(g, i, name, g->parts[i].size, err);
}

/* Room for the other parts, when this is the first. */
static bool expect_parts(EngGguf *g, EngError *err)
{
    if (g->part != 1)
        return eng_fail(
            err, ENG_ERR_REFUSED,
            "This is part %d of %d of a model: open the first part, …-00001-of-%05d.gguf.", g->part,
            g->part_count, g->part_count);
    EngMap first = g->parts[0];
    free(g->parts);
    g->parts = eng_alloc0((size_t)g->part_count * sizeof *g->parts);
    g->parts[0] = first;
    return true;
}

static bool parts_complete(const EngGguf *g, EngError *err)
{
    uint64_t total;
    if (!eng_gguf_u64(g, "split.tensors.count", g->n_tensors, &total, err)) return false;
    if (total != g->n_tensors)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "The %d parts hold %zu tensors together instead of %" PRIu64
                        ": download the parts again.",
                        g->part_count, g->n_tensors, total);
    return true;
}

static bool open_other_parts(EngGguf *g, const char *path, EngError *err)
{
    if (!expect_parts(g, err)) return false;
    for (int i = 1; i < g->part_count; i++)
        if (!open_part(g, path, i, err)) return false;
    return parts_complete(g, err);
}

bool eng_gguf_check(const EngGguf *gguf, EngError *err)
{
    for (int i = 0; i < gguf->n_parts; i++)
        if (!eng_map_check(&gguf->parts[i], err)) return false;
    return true;
}

/* `path` finds the other parts; `header_only` leaves them and all data alone. */
static EngGguf *open_map(EngMap map, uint64_t file_size, const char *path, bool header_only,
                         EngError *err)
{
    EngGguf *g = eng_alloc0(sizeof *g);
    g->parts = eng_alloc0(sizeof *g->parts);
    g->parts[0] = map;
    g->n_parts = 1;
    Reader r = {{map.data, map.size, 0, false}, g, 0, file_size, map.size < file_size, err};
    bool ok = read_part(&r, &g->kvs, &g->n_kvs) && read_arch_and_split(g, err);
    if (ok && g->part_count > 1 && !header_only) {
        if (path)
            ok = open_other_parts(g, path, err);
        else
            ok = eng_fail(err, ENG_ERR_REFUSED,
                          "A model in parts cannot be opened from memory: open its first file.");
    }
    if (ok && finish(g, err) && eng_gguf_check(g, err)) {
        for (size_t i = 0; header_only && i < g->n_tensors; i++) g->tensors[i].data = NULL;
        return g;
    }
    eng_gguf_free(g);
    return NULL;
}

EngGguf *eng_gguf_open(const char *path, EngError *err)
{
    EngMap map;
    if (!eng_map_open(&map, path, err)) return NULL;
    return open_map(map, map.size, path, false, err);
}

EngGguf *eng_gguf_open_memory(const void *data, uint64_t size, EngError *err)
{
    return open_map((EngMap){data, size, false}, size, NULL, false, err);
}

EngGguf *eng_gguf_open_header(const void *data, uint64_t size, uint64_t file_size, EngError *err)
{
    EngMap map = {data, ENG_MIN(size, file_size), false};
    return open_map(map, file_size, NULL, true, err);
}

static bool read_headers(EngGguf *g, const EngHeader *headers, size_t n, EngError *err)
{
    if ((size_t)g->part_count != n)
        return eng_fail(err, ENG_ERR_REFUSED, "This is a model in %d parts, and %zu are here.",
                        g->part_count, n);
    if (!expect_parts(g, err)) return false;
    for (size_t i = 1; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "part %zu", i + 1);
        g->parts[i] = (EngMap){headers[i].data, headers[i].size, false};
        g->n_parts = (int)i + 1;
        if (!read_other_part(g, (int)i, name, headers[i].file_size, err)) return false;
    }
    return parts_complete(g, err);
}

EngGguf *eng_gguf_open_headers(const EngHeader *headers, size_t n, EngError *err)
{
    EngArena arena = {0};
    EngHeader *kept = eng_arena_alloc(&arena, n * sizeof *kept);
    for (size_t i = 0; i < n; i++) {
        kept[i] = headers[i];
        void *copy = eng_arena_alloc(&arena, kept[i].size);
        kept[i].data = memcpy(copy, headers[i].data, kept[i].size);
    }
    EngGguf *g = eng_alloc0(sizeof *g);
    g->arena = arena;
    g->parts = eng_alloc0(sizeof *g->parts);
    g->parts[0] = (EngMap){kept[0].data, kept[0].size, false};
    g->n_parts = 1;
    Reader r = {{kept[0].data, kept[0].size, 0, false}, g, 0, kept[0].file_size, true, err};
    bool ok = read_part(&r, &g->kvs, &g->n_kvs) && read_arch_and_split(g, err) &&
              read_headers(g, kept, n, err) && finish(g, err);
    for (size_t i = 0; i < g->n_tensors; i++) g->tensors[i].data = NULL;
    if (ok) return g;
    eng_gguf_free(g);
    return NULL;
}

void eng_gguf_free(EngGguf *gguf)
{
    if (!gguf) return;
    for (int i = 0; i < gguf->n_parts; i++) eng_map_close(&gguf->parts[i]);
    eng_arena_clear(&gguf->arena);
    free(gguf->parts);
    free(gguf->kvs);
    free(gguf->tensors);
    free(gguf);
}

EngTensor *eng_gguf_tensor(const EngGguf *gguf, const char *name)
{
    size_t lo = 0, hi = gguf->n_tensors;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, gguf->tensors[mid].name);
        if (order == 0) return &gguf->tensors[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const EngMap *eng_gguf_part(const EngGguf *gguf, const uint8_t *data)
{
    for (int i = 0; i < gguf->n_parts; i++) {
        const EngMap *part = &gguf->parts[i];
        if (data >= part->data && data < part->data + part->size) return part;
    }
    return NULL;
}
