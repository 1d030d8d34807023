/* GGUF files that lie. One small sound file is built, and each case puts one wrong number into one
 * of its fields: the reader must refuse it with a sentence that says why. */
#include "load/gguf.h"

#include "test.h"

typedef enum { /* fields of the sound file */
               MAGIC,
               VERSION,
               N_TENSORS,
               N_KVS,
               KEY_LEN,
               KEY_TEXT,
               KV_KIND,
               STRING_LEN,
               ALIGN_KIND,
               ALIGN,
               ARRAY_ITEM,
               ARRAY_COUNT,
               ARRAY_DATA,
               KEY_B,
               TEXT_LEN,
               SPLIT_COUNT,
               NAME_LEN,
               NAME_TEXT,
               N_DIMS,
               SHAPE0,
               SHAPE1,
               TYPE,
               OFFSET,
               NAME_B,
               SHAPE_B,
               TYPE_B,
               OFFSET_B,
               HEADER_END,
               FIELDS
} Field;

typedef struct {
    uint8_t bytes[1024];
    size_t n;
    size_t at[FIELDS];
} File;

static void put(File *f, const void *p, size_t n)
{
    memcpy(f->bytes + f->n, p, n);
    f->n += n;
}

static void put_u32(File *f, uint32_t x) { put(f, &x, sizeof x); }
static void put_u64(File *f, uint64_t x) { put(f, &x, sizeof x); }

static void put_text(File *f, const char *s)
{
    put_u64(f, strlen(s));
    put(f, s, strlen(s));
}

static void put_key(File *f, const char *key, uint32_t kind)
{
    put_text(f, key);
    put_u32(f, kind);
}

static void mark(File *f, Field field) { f->at[field] = f->n; }

static void put_kvs(File *f)
{
    mark(f, KEY_LEN);
    f->at[KEY_TEXT] = f->n + 8;
    put_text(f, "general.architecture");
    mark(f, KV_KIND);
    put_u32(f, ENG_GGUF_STRING);
    mark(f, STRING_LEN);
    put_text(f, "llama");
    put_text(f, "general.alignment");
    mark(f, ALIGN_KIND);
    put_u32(f, ENG_GGUF_U32);
    mark(f, ALIGN);
    put_u32(f, 32);
    put_key(f, "list_a", ENG_GGUF_ARRAY);
    mark(f, ARRAY_ITEM);
    put_u32(f, ENG_GGUF_U16);
    mark(f, ARRAY_COUNT);
    put_u64(f, 3);
    mark(f, ARRAY_DATA);
    put(f, "\1\0\2\0\3\0", 6);
    f->at[KEY_B] = f->n + 8 + 5;
    put_key(f, "list_b", ENG_GGUF_ARRAY);
    put_u32(f, ENG_GGUF_STRING);
    put_u64(f, 2);
    mark(f, TEXT_LEN);
    put_text(f, "one");
    put_text(f, "");
    put_key(f, "split.count", ENG_GGUF_U32);
    mark(f, SPLIT_COUNT);
    put_u32(f, 1);
}

static void put_tensors(File *f)
{
    mark(f, NAME_LEN);
    f->at[NAME_TEXT] = f->n + 8;
    put_text(f, "a");
    mark(f, N_DIMS);
    put_u32(f, 2);
    mark(f, SHAPE0);
    put_u64(f, 8);
    mark(f, SHAPE1);
    put_u64(f, 4);
    mark(f, TYPE);
    put_u32(f, ENG_TYPE_F32);
    mark(f, OFFSET);
    put_u64(f, 0);
    f->at[NAME_B] = f->n + 8;
    put_text(f, "b");
    put_u32(f, 1);
    mark(f, SHAPE_B);
    put_u64(f, 64);
    mark(f, TYPE_B);
    put_u32(f, ENG_TYPE_Q8_0);
    mark(f, OFFSET_B);
    put_u64(f, 128);
}

static File sound(void)
{
    File f = {.n = 0};
    put(&f, "GGUF", 4);
    f.at[VERSION] = f.n;
    put_u32(&f, 3);
    mark(&f, N_TENSORS);
    put_u64(&f, 2);
    mark(&f, N_KVS);
    put_u64(&f, 5);
    put_kvs(&f);
    put_tensors(&f);
    mark(&f, HEADER_END);
    f.n = (f.n + 31) / 32 * 32 + 128 + 68;
    return f;
}

typedef struct {
    const char *name;
    Field field;
    int width; /* bytes */
    uint64_t value;
    const char *says; /* part of the sentence */
} Case;

static const Case cases[] = {
    {"another magic", MAGIC, 4, 0x46474747, "not a GGUF"},
    {"version 0", VERSION, 4, 0, "version 0"},
    {"version 1", VERSION, 4, 1, "version 1"},
    {"version 4", VERSION, 4, 4, "version 4"},
    {"big-endian", VERSION, 4, 0x03000000, "big-endian"},
    {"more tensors than there are", N_TENSORS, 8, 3, ""},
    {"absurd tensor count", N_TENSORS, 8, 1ull << 40, "more entries"},
    {"largest tensor count", N_TENSORS, 8, UINT64_MAX, "more entries"},
    {"more key-values than there are", N_KVS, 8, 6, ""},
    {"absurd key-value count", N_KVS, 8, 1ull << 40, "more entries"},
    {"largest key-value count", N_KVS, 8, UINT64_MAX, "more entries"},
    {"key beyond the file", KEY_LEN, 8, 1 << 20, "longer than the file"},
    {"largest key length", KEY_LEN, 8, UINT64_MAX, "longer than the file"},
    {"unknown value kind", KV_KIND, 4, 13, "unknown kind"},
    {"largest value kind", KV_KIND, 4, UINT32_MAX, "unknown kind"},
    {"value of another kind", KV_KIND, 4, ENG_GGUF_F64, ""},
    {"value beyond the file", STRING_LEN, 8, 1 << 20, "longer than the file"},
    {"largest value length", STRING_LEN, 8, UINT64_MAX - 7, "longer than the file"},
    {"alignment 0", ALIGN, 4, 0, "alignment"},
    {"alignment no power of two", ALIGN, 4, 48, "alignment"},
    {"largest alignment", ALIGN, 4, UINT32_MAX, "alignment"},
    {"alignment is a float", ALIGN_KIND, 4, ENG_GGUF_F32, "alignment"},
    {"array of arrays", ARRAY_ITEM, 4, ENG_GGUF_ARRAY, "unknown kind"},
    {"array of an unknown kind", ARRAY_ITEM, 4, 99, "unknown kind"},
    {"array beyond the file", ARRAY_COUNT, 8, 1 << 20, "longer than the file"},
    {"array size overflows", ARRAY_COUNT, 8, (1ull << 63) + 1, "longer than the file"},
    {"text in an array beyond the file", TEXT_LEN, 8, 1 << 20, "longer than the file"},
    {"the same key twice", KEY_B, 1, 'a', "two values for \"list_a\""},
    {"thousands of parts", SPLIT_COUNT, 4, 70000, "split"},
    {"tensor name beyond the file", NAME_LEN, 8, 1 << 20, "longer than the file"},
    {"empty tensor name", NAME_LEN, 8, 0, "name"},
    {"zero byte in a tensor name", NAME_TEXT, 1, 0, "name"},
    {"no dimensions", N_DIMS, 4, 0, "dimensions"},
    {"five dimensions", N_DIMS, 4, 5, "dimensions"},
    {"dimension 0", SHAPE0, 8, 0, "empty"},
    {"negative dimension", SHAPE0, 8, UINT64_MAX, "large"},
    {"shape's product overflows", SHAPE1, 8, 1ull << 61, "large"},
    {"shape's bytes overflow", SHAPE1, 8, 1ull << 59, ""},
    {"shape beyond the file", SHAPE1, 8, 400, ""},
    {"unknown type", TYPE, 4, 77, "type number 77"},
    {"largest type", TYPE, 4, UINT32_MAX, "type number"},
    {"rows that are no whole blocks", SHAPE_B, 8, 40, "rows"},
    {"unaligned offset", OFFSET_B, 8, 130, "aligned"},
    {"offset beyond the file", OFFSET_B, 8, 1 << 20, "outside"},
    {"offset overflows", OFFSET_B, 8, UINT64_MAX - 31, "outside"},
    {"overlap", OFFSET_B, 8, 96, "overlaps"},
    {"the same bytes twice", OFFSET_B, 8, 0, "overlaps"},
    {"the same name twice", NAME_B, 1, 'a', "two tensors"},
};

static bool is_sentence(const char *s)
{
    size_t n = strlen(s);
    return n > 20 && s[n - 1] == '.' && s[0] >= 'A' && s[0] <= 'Z';
}

/* An exact heap copy, so that the sanitizer sees a read of one byte too many. */
static uint8_t *heap_copy(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    return copy;
}

static void accepts_the_sound_file(void)
{
    File f = sound();
    for (uint32_t version = 2; version <= 3; version++) {
        memcpy(f.bytes + f.at[VERSION], &version, 4);
        EngError err = {0};
        uint8_t *copy = heap_copy(f.bytes, f.n);
        EngGguf *gguf = eng_gguf_open_memory(copy, f.n, &err);
        CHECK_MSG(gguf, "%s", err.message);
        if (gguf) {
            CHECK_INT(gguf->n_kvs, 5);
            CHECK_INT(gguf->n_tensors, 2);
            CHECK_STR(gguf->arch, "llama");
            CHECK_INT(eng_gguf_tensor(gguf, "b")->bytes, 68);
            CHECK(eng_gguf_tensor(gguf, "b")->data == copy + f.n - 68);
        }
        eng_gguf_free(gguf);
        free(copy);
    }
}

static void refuses_each_lie(void)
{
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const Case *c = &cases[i];
        File f = sound();
        memcpy(f.bytes + f.at[c->field], &c->value, (size_t)c->width);
        uint8_t *copy = heap_copy(f.bytes, f.n);
        EngError err = {0};
        EngGguf *gguf = eng_gguf_open_memory(copy, f.n, &err);
        CHECK_MSG(!gguf, "%s: accepted", c->name);
        CHECK_MSG(err.code == ENG_ERR_REFUSED, "%s: code %d", c->name, err.code);
        CHECK_MSG(is_sentence(err.message) && strstr(err.message, c->says), "%s: \"%s\"", c->name,
                  err.message);
        eng_gguf_free(gguf);
        gguf = eng_gguf_open_header(copy, f.at[HEADER_END], f.n, &err);
        CHECK_MSG(!gguf, "%s: accepted as a header", c->name);
        eng_gguf_free(gguf);
        free(copy);
    }
}

/* Counts that may stand once for each layer. */
static void one_number_for_all_layers(void)
{
    static const struct {
        const char *key;
        uint8_t data[6];
        uint64_t value; /* 0 = refused */
        const char *says;
    } lists[] = {{"list_a", {7, 1, 7, 1, 7, 1}, 263, ""},
                 {"list_a", {7, 1, 7, 1, 7, 2}, 0, "\"list_a\" differs from layer to layer"},
                 {"list_b", {0}, 0, "\"list_b\" should be a whole number"},
                 {"list_c", {0}, 5, ""},
                 {"general.alignment", {0}, 32, ""}};
    for (size_t i = 0; i < TEST_COUNT(lists); i++) {
        File f = sound();
        memcpy(f.bytes + f.at[ARRAY_DATA], lists[i].data, 6);
        EngError err = {0};
        EngGguf *gguf = eng_gguf_open_memory(f.bytes, f.n, &err);
        uint64_t got = 0;
        bool ok = gguf && eng_gguf_u64_of_all(gguf, lists[i].key, 5, &got, &err);
        CHECK_MSG(ok == (lists[i].value != 0) && got == lists[i].value, "%zu: %d", i, (int)got);
        CHECK_MSG(strstr(err.message, lists[i].says), "%zu: \"%s\"", i, err.message);
        eng_gguf_free(gguf);
    }
}

static void refuses_a_file_cut_short(void)
{
    File f = sound();
    for (size_t n = 0; n < f.n; n++) {
        uint8_t *copy = heap_copy(f.bytes, n);
        EngError err = {0};
        EngGguf *gguf = eng_gguf_open_memory(copy, n, &err);
        CHECK_MSG(!gguf && err.code == ENG_ERR_REFUSED && is_sentence(err.message),
                  "cut to %zu bytes: \"%s\"", n, err.message);
        eng_gguf_free(gguf);
        free(copy);
    }
}

static void asks_for_more_of_a_header(void)
{
    File f = sound();
    for (size_t n = 0; n < f.n; n++) {
        uint8_t *copy = heap_copy(f.bytes, n);
        EngError err = {0};
        EngGguf *gguf = eng_gguf_open_header(copy, n, f.n, &err);
        if (n < f.at[HEADER_END]) {
            CHECK_MSG(!gguf && err.code == ENG_ERR_MORE, "%zu bytes: code %d", n, err.code);
        } else {
            CHECK_MSG(gguf && gguf->n_tensors == 2 && !gguf->tensors[0].data, "%zu bytes: %s", n,
                      err.message);
        }
        eng_gguf_free(gguf);
        free(copy);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"accepts the sound file", accepts_the_sound_file},
        {"refuses each lie", refuses_each_lie},
        {"one number for all layers", one_number_for_all_layers},
        {"refuses a file cut short", refuses_a_file_cut_short},
        {"asks for more of a header", asks_for_more_of_a_header},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
