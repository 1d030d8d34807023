/* A vocabulary and a text for it, both made of the same bytes:
 *   flags, pre-tokenizer, tokens NUL merges NUL text          tokens and merges separated by \n
 * The first byte of each token is its type. The file around them is sound: fuzz_gguf.c is for
 * those that are not. */
#include "base/num.h"
#include "text/split.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

enum { SPM = 1, PARSE_SPECIAL = 2, NO_SPACE = 4, NO_UNKNOWN = 8 };

typedef EngVec(uint8_t) Bytes;

static void put(Bytes *f, const void *p, size_t n)
{
    eng_vec_reserve(f, f->n + n);
    if (n) memcpy(f->data + f->n, p, n);
    f->n += n;
}

static void put_u32(Bytes *f, uint32_t x) { put(f, &x, 4); }
static void put_u64(Bytes *f, uint64_t x) { put(f, &x, 8); }

static void put_text(Bytes *f, const char *s, size_t n)
{
    put_u64(f, n);
    put(f, s, n);
}

static void put_key(Bytes *f, const char *key, uint32_t kind)
{
    put_text(f, key, strlen(key));
    put_u32(f, kind);
}

/* Number of lines in [s, end). */
static uint64_t count_lines(const char *s, const char *end)
{
    uint64_t n = 1;
    for (; s < end; s++) n += *s == '\n';
    return n;
}

static void put_lines(Bytes *f, const char *key, const char *s, const char *end, size_t skip)
{
    put_key(f, key, ENG_GGUF_ARRAY);
    put_u32(f, ENG_GGUF_STRING);
    put_u64(f, count_lines(s, end));
    for (;;) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((stop ? stop : end) - s), less = ENG_MIN(skip, n);
        put_text(f, s + less, n - less);
        if (!stop) break;
        s = stop + 1;
    }
}

static void put_numbers(Bytes *f, const char *s, const char *end)
{
    const char *start = s;
    put_key(f, "tokenizer.ggml.token_type", ENG_GGUF_ARRAY);
    put_u32(f, ENG_GGUF_I32);
    put_u64(f, count_lines(s, end));
    put_u32(f, (uint8_t)(s < end ? *s : 0) & 7);
    for (; s < end; s++)
        if (*s == '\n') put_u32(f, (uint8_t)(s + 1 < end ? s[1] : 0) & 7);
    put_key(f, "tokenizer.ggml.scores", ENG_GGUF_ARRAY);
    put_u32(f, ENG_GGUF_F32);
    put_u64(f, count_lines(start, end));
    put_u32(f, 0);
    for (s = start; s < end; s++)
        if (*s == '\n') put_u32(f, (uint32_t)(s - start) * 2654435761u); /* any floats, NaN too */
}

static Bytes make_file(unsigned flags, unsigned pre, const char *tokens, const char *end,
                       const char *merges, const char *merges_end)
{
    Bytes f = {0};
    const char *names = eng_split_table[pre % eng_split_table_n].names;
    put(&f, "GGUF", 4);
    put_u32(&f, 3);
    put_u64(&f, 0);
    put_u64(&f, 7 + !!(flags & NO_UNKNOWN));
    put_key(&f, "tokenizer.ggml.model", ENG_GGUF_STRING);
    put_text(&f, flags & SPM ? "llama" : "gpt2", flags & SPM ? 5 : 4);
    put_key(&f, "tokenizer.ggml.pre", ENG_GGUF_STRING);
    put_text(&f, names, strcspn(names, " "));
    put_key(&f, "tokenizer.ggml.add_space_prefix", ENG_GGUF_U32);
    put_u32(&f, !(flags & NO_SPACE));
    put_lines(&f, "tokenizer.ggml.tokens", tokens, end, 1);
    put_lines(&f, "tokenizer.ggml.merges", merges, merges_end, 0);
    put_numbers(&f, tokens, end);
    if (flags & NO_UNKNOWN) {
        put_key(&f, "tokenizer.ggml.unknown_token_id", ENG_GGUF_U32);
        put_u32(&f, UINT32_MAX);
    }
    while (f.n % 32) put(&f, "", 1);
    return f;
}

static void use(const EngTokenizer *tokenizer, unsigned flags, const char *text, size_t n)
{
    EngTokenizeOptions options = {true, flags & PARSE_SPECIAL};
    EngError err = {0};
    int32_t *ids;
    size_t n_ids;
    if (!eng_tokenizer_encode(tokenizer, text, n, options, &ids, &n_ids, &err)) {
        if (!err.message[0]) __builtin_trap();
        return;
    }
    EngUtf8Stream stream = {0};
    for (size_t i = 0; i < n_ids; i++) {
        const char *piece;
        if (ids[i] < 0 || ids[i] >= eng_tokenizer_size(tokenizer)) __builtin_trap();
        size_t len = eng_tokenizer_piece(tokenizer, ids[i], i & 1, i == 0, &piece);
        char *out = malloc(3 * (len + 4) + 1);
        eng_utf8_stream_push(&stream, piece, len, out);
        eng_tokenizer_is_end(tokenizer, ids[i]);
        free(out);
    }
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    EngError err = {0};
    if (size < 2) return 0;
    const char *tokens = (const char *)data + 2, *all = (const char *)data + size;
    const char *end = memchr(tokens, 0, size - 2);
    if (!end) end = all;
    const char *merges = end < all ? end + 1 : all;
    const char *merges_end = memchr(merges, 0, (size_t)(all - merges));
    if (!merges_end) merges_end = all;
    const char *text = merges_end < all ? merges_end + 1 : all;
    Bytes file = make_file(data[0], data[1], tokens, end, merges, merges_end);
    EngGguf *gguf = eng_gguf_open_memory(file.data, file.n, &err);
    if (!gguf) __builtin_trap(); /* the file is sound */
    EngTokenizer *tokenizer = eng_tokenizer_new(gguf, &err);
    if (tokenizer)
        use(tokenizer, data[0], text, (size_t)(all - text));
    else if (!err.message[0])
        __builtin_trap();
    eng_tokenizer_free(tokenizer);
    eng_gguf_free(gguf);
    free(file.data);
    return 0;
}
