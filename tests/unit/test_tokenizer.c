/* The tokenizer against what other implementations made of the same texts:
 *   recorded/…   vectors/tokenizer, by `tokenizers` and SentencePiece (make_tokenizer_vectors.py)
 *   vocabularies real ones with llama.cpp's test texts, in $HEARTH_SHARED/vocab
 * and what no reference says: bytes that are no text, huge texts, files that lie. */
#include "text/split.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <pthread.h>

#include "test.h"

#define VECTORS TEST_DIR "/vectors/tokenizer/"

typedef EngVec(uint8_t) Bytes;

static Bytes read_file(const char *path)
{
    Bytes bytes = {0};
    FILE *f = fopen(path, "rb");
    if (!f) return bytes;
    for (int c; (c = getc(f)) != EOF;) eng_vec_push(&bytes, (uint8_t)c);
    fclose(f);
    return bytes;
}

static void put(Bytes *bytes, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) eng_vec_push(bytes, ((const uint8_t *)p)[i]);
}

static void put_u32(Bytes *bytes, uint32_t x) { put(bytes, &x, 4); }
static void put_u64(Bytes *bytes, uint64_t x) { put(bytes, &x, 8); }

static void put_text(Bytes *bytes, const char *s)
{
    put_u64(bytes, strlen(s));
    put(bytes, s, strlen(s));
}

static void put_string(Bytes *bytes, const char *key, const char *value)
{
    put_text(bytes, key);
    put_u32(bytes, ENG_GGUF_STRING);
    put_text(bytes, value);
}

typedef struct {
    Bytes file;
    EngGguf *gguf;
    EngTokenizer *tokenizer;
    EngError err;
} Model;

static void load(Model *m)
{
    m->gguf = eng_gguf_open_memory(m->file.data, m->file.n, &m->err);
    m->tokenizer = m->gguf ? eng_tokenizer_new(m->gguf, &m->err) : NULL;
}

static void unload(Model *m)
{
    eng_tokenizer_free(m->tokenizer);
    eng_gguf_free(m->gguf);
    free(m->file.data);
    memset(m, 0, sizeof *m);
}

/* A recorded vocabulary; its pre-tokenizer ("gpt-2") replaced by `pre` unless that is NULL. */
static Model recorded(const char *name, const char *pre)
{
    Model m = {0};
    char path[512];
    snprintf(path, sizeof path, VECTORS "%s.gguf", name);
    Bytes raw = read_file(path);
    const char key[] = "tokenizer.ggml.pre";
    uint8_t *at = pre && raw.n ? memmem(raw.data, raw.n, key, sizeof key - 1) : NULL;
    size_t head = at ? (size_t)(at - raw.data) + sizeof key - 1 + 4 : raw.n;
    put(&m.file, raw.data, head);
    if (at) {
        put_text(&m.file, pre);
        put(&m.file, raw.data + head + 8 + 5, raw.n - head - 8 - 5); /* after "gpt-2" */
        while (m.file.n % 32) put(&m.file, "", 1);
    }
    free(raw.data);
    load(&m);
    CHECK_MSG(m.tokenizer, "%s %s: %s", name, pre ? pre : "", m.err.message);
    return m;
}

static bool same(const Model *m, const char *text, size_t n, bool special, const int32_t *want,
                 size_t n_want, const char *what)
{
    int32_t *got = NULL;
    size_t n_got = 0;
    EngError err = {0};
    bool ok = eng_tokenizer_encode(m->tokenizer, text, n, (EngTokenizeOptions){false, special},
                                   &got, &n_got, &err);
    CHECK_MSG(ok, "%s: %s", what, err.message);
    bool equal = ok && n_got == n_want;
    size_t at = 0;
    while (equal && at < n_got && got[at] == want[at]) at++;
    equal &= at == n_got;
    CHECK_MSG(equal, "%s: \"%.*s\" (%zu bytes): %zu tokens, not %zu; first different: %zu", what,
              (int)n, text, n, n_got, n_want, at);
    free(got);
    return equal;
}

/* ---- recorded texts -------------------------------------------------------------------------- */

static int hex(int c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static int check_lines(const Model *m, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, VECTORS "%s", file);
    Bytes lines = read_file(path);
    eng_vec_push(&lines, 0);
    int count = 0;
    for (char *line = (char *)lines.data; *line; count++) {
        bool special = *line == '1';
        EngVec(char) text = {0};
        EngVec(int32_t) ids = {0};
        char *s = line + 2;
        for (; *s != ' '; s += 2)
            if (*s != '-')
                eng_vec_push(&text, (char)(hex(s[0]) * 16 + hex(s[1])));
            else
                s--;
        while (*s == ' ' && s[1] != '\n') eng_vec_push(&ids, (int32_t)strtol(s + 1, &s, 10));
        same(m, text.data, text.n, special, ids.data, ids.n, file);
        free(text.data);
        free(ids.data);
        line = strchr(s, '\n') + 1;
    }
    free(lines.data);
    return count;
}

static void byte_pairs(void)
{
    DIR *dir = opendir(VECTORS);
    int files = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *suffix = strstr(e->d_name, ".bpe.txt");
        if (!suffix) continue;
        char pre[64];
        snprintf(pre, sizeof pre, "%.*s", (int)(suffix - e->d_name), e->d_name);
        Model m = recorded("bpe", pre);
        if (m.tokenizer) CHECK(check_lines(&m, e->d_name) >= 40);
        unload(&m);
        files++;
    }
    if (dir) closedir(dir);
    CHECK_MSG(files >= 30, "%d files of vectors", files);
}

static void sentence_pieces(void)
{
    static const char *const names[] = {"spm", "spm-noprefix", "spm-unk"};
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        char file[64];
        Model m = recorded(names[i], NULL);
        snprintf(file, sizeof file, "%s.txt", names[i]);
        if (m.tokenizer) CHECK(check_lines(&m, file) >= 100);
        unload(&m);
    }
}

static void check_vocabulary(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "vocab/ggml-vocab-%s.gguf", name);
    Model m = {0};
    m.file = read_file(test_shared(path));
    load(&m);
    CHECK_MSG(m.tokenizer, "%s: %s", name, m.err.message);
    strcat(path, ".inp");
    Bytes texts = read_file(test_shared(path));
    eng_vec_push(&texts, 0);
    strcpy(strrchr(path, '.'), ".out");
    Bytes answers = read_file(test_shared(path));
    eng_vec_push(&answers, 0);
    const char *text = (const char *)texts.data, *end;
    char *answer = (char *)answers.data;
    int count = 0;
    for (; m.tokenizer && (end = strstr(text, "\n__ggml_vocab_test__\n")); count++) {
        EngVec(int32_t) ids = {0};
        for (; *answer == ' ';) eng_vec_push(&ids, (int32_t)strtol(answer, &answer, 10));
        same(&m, text, (size_t)(end - text), false, ids.data, ids.n, name);
        free(ids.data);
        answer = strchr(answer, '\n') + 1;
        text = strchr(end + 1, '\n') + 1;
    }
    CHECK_MSG(count >= 40, "%s: %d texts", name, count);
    free(texts.data);
    free(answers.data);
    unload(&m);
}

static void vocabularies(void)
{
    static const char *const names[] = {"deepseek-llm", "falcon", "gpt-2", "llama-spm", "phi-3"};
    if (!test_shared("vocab/ggml-vocab-gpt-2.gguf")) {
        test_skip("HEARTH_SHARED has no vocab/");
        return;
    }
    for (size_t i = 0; i < TEST_COUNT(names); i++) check_vocabulary(names[i]);
}

/* ---- texts that no reference takes ----------------------------------------------------------- */

/* The bytes of the tokens are the bytes of the text, whatever those are. */
static void check_round_trip(const Model *m, const char *text, size_t n, const char *what)
{
    int32_t *ids;
    size_t n_ids, at = 0;
    if (!m->tokenizer) return;
    bool ok =
        eng_tokenizer_encode(m->tokenizer, text, n, (EngTokenizeOptions){0}, &ids, &n_ids, NULL);
    CHECK_MSG(ok, "%s: not encoded", what);
    if (!ok) return;
    for (size_t i = 0; i < n_ids; i++) {
        const char *piece;
        size_t len = eng_tokenizer_piece(m->tokenizer, ids[i], false, i == 0, &piece);
        bool fits = len <= n - at && memcmp(piece, text + at, len) == 0;
        CHECK_MSG(fits, "%s: token %zu (%d) at byte %zu of %zu", what, i, ids[i], at, n);
        if (!fits) break;
        at += len;
    }
    CHECK_MSG(at == n, "%s: %zu of %zu bytes came back", what, at, n);
    free(ids);
}

static void any_bytes(void)
{
    static const char *const pres[] = {"gpt-2",        "llama-bpe", "deepseek-v3", "kimi-k2",
                                       "deepseek-llm", "afmoe",     "laguna",      "superbpe"};
    for (size_t p = 0; p <= TEST_COUNT(pres); p++) {
        bool spm = p == TEST_COUNT(pres);
        Model m = spm ? recorded("spm", NULL) : recorded("bpe", pres[p]);
        for (int round = 0; round < 200; round++) {
            char text[64];
            size_t n = (size_t)test_range(0, sizeof text);
            for (size_t i = 0; i < n; i++) {
                const char *likely = "\xe4\xb8\xad \xcc\x81g1\n";
                text[i] = test_random() & 1 ? likely[test_range(0, 8)] : (char)test_random();
            }
            check_round_trip(&m, text, n, spm ? "spm" : pres[p]);
        }
        unload(&m);
    }
}

/* Every pre-tokenizer on runs of 100 KB. Quadratic time would need hours here. */
static void long_texts(void)
{
    static const char *const units[] = {
        "a", "A", " ", "7", "=", "\xe4\xb8\xad", "\xcc\x81", "a ", "\n", " \t", "\xf0\x9f\x99\x82",
        "'"};
    const size_t n = 100000;
    char *text = malloc(n + 8);
    for (size_t p = 0; p < eng_split_table_n; p++) {
        char pre[32];
        const char *names = eng_split_table[p].names;
        snprintf(pre, sizeof pre, "%.*s", (int)strcspn(names, " "), names);
        Model m = recorded("bpe", pre);
        for (size_t u = 0; u < TEST_COUNT(units); u++) {
            size_t at = 0, unit = strlen(units[u]);
            if (eng_split_table[p].nfc && *units[u] == '\xcc') continue;
            for (; at + unit <= n; at += unit) memcpy(text + at, units[u], unit);
            text[at] = 'x'; /* so that runs do not end where the text does */
            check_round_trip(&m, text, at + 1, pre);
        }
        unload(&m);
    }
    free(text);
}

static void ten_megabytes(void)
{
    const size_t n = 10 << 20;
    char *text = malloc(n);
    for (size_t i = 0; i < n; i++) text[i] = (char)test_range('a', 'z');
    for (size_t i = 0; i < n; i += (size_t)test_range(1, 12)) text[i] = ' ';
    Model m = recorded("bpe", "llama-bpe");
    check_round_trip(&m, text, n, "words on one line");
    memset(text, 'a', n);
    check_round_trip(&m, text, n, "one word");
    unload(&m);
    m = recorded("bpe", "gpt-4o"); /* whose first alternative gives back every capital */
    memset(text, 'A', n);
    check_round_trip(&m, text, n, "capitals");
    unload(&m);
    free(text);
}

static void *encode_again(void *arg)
{
    for (int i = 0; i < 20; i++) CHECK(check_lines(arg, "deepseek-v3.bpe.txt") == 150);
    return NULL;
}

static void threads(void)
{
    Model m = recorded("bpe", "deepseek-v3");
    pthread_t other;
    if (!m.tokenizer || pthread_create(&other, NULL, encode_again, &m) != 0) {
        CHECK(!"no second thread");
        return;
    }
    encode_again(&m);
    pthread_join(other, NULL);
    unload(&m);
}

/* ---- pieces, ends, streams ------------------------------------------------------------------- */

static size_t piece_of(const Model *m, const char *text, bool special, bool first, char *ret)
{
    const char *bytes;
    int32_t id = eng_tokenizer_find(m->tokenizer, text, strlen(text));
    size_t n = eng_tokenizer_piece(m->tokenizer, id, special, first, &bytes);
    memcpy(ret, bytes, n);
    ret[n] = '\0';
    return n;
}

static void pieces(void)
{
    char s[64];
    const char *bytes;
    Model m = recorded("bpe", NULL);
    if (!m.tokenizer) return;
    CHECK_INT(piece_of(&m, "<|im_end|>", false, false, s), 0);
    piece_of(&m, "<|im_end|>", true, false, s);
    CHECK_STR(s, "<|im_end|>");
    piece_of(&m, "<think>", false, false, s);
    CHECK_STR(s, "<think>");
    piece_of(&m, "\xc4\xa0the", false, true, s);
    CHECK_STR(s, " the");
    CHECK_INT(eng_tokenizer_piece(m.tokenizer, -1, true, false, &bytes), 0);
    CHECK_INT(
        eng_tokenizer_piece(m.tokenizer, eng_tokenizer_size(m.tokenizer), true, false, &bytes), 0);
    CHECK_INT(eng_tokenizer_find(m.tokenizer, "no such token", 13), -1);
    int32_t end = eng_tokenizer_find(m.tokenizer, "<|im_end|>", 10);
    CHECK(eng_tokenizer_is_end(m.tokenizer, end));
    CHECK(eng_tokenizer_is_end(m.tokenizer, eng_tokenizer_eos(m.tokenizer)));
    CHECK(!eng_tokenizer_is_end(m.tokenizer, eng_tokenizer_bos(m.tokenizer)));
    CHECK(!eng_tokenizer_is_end(m.tokenizer, -1));
    unload(&m);
    m = recorded("spm", NULL);
    piece_of(&m, "\xe2\x96\x81the", false, true, s);
    CHECK_STR(s, "the");
    piece_of(&m, "\xe2\x96\x81the", false, false, s);
    CHECK_STR(s, " the");
    piece_of(&m, "<0x0A>", false, false, s);
    CHECK_STR(s, "\n");
    CHECK_INT(piece_of(&m, "</s>", false, false, s), 0);
    CHECK(eng_tokenizer_adds_bos(m.tokenizer));
    unload(&m);
}

static void stream(void)
{
    EngUtf8Stream s = {0};
    char out[64];
    CHECK_INT(eng_utf8_stream_push(&s, "a\xe4\xb8", 3, out), 1);
    CHECK_STR(out, "a");
    CHECK_INT(eng_utf8_stream_push(&s, "\xad", 1, out), 3);
    CHECK_STR(out, "\xe4\xb8\xad");
    /* The examples of the Unicode Standard, table 3-8 and 3-11: maximal parts are one U+FFFD. */
    eng_utf8_stream_push(&s, "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", 9, out);
    CHECK_STR(out, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                   "\xef\xbf\xbd\xef\xbf\xbd"
                   "A");
    eng_utf8_stream_push(&s, "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9, out);
    CHECK_STR(out, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                   "A");
    eng_utf8_stream_push(&s, "\xf0\x9f", 2, out);
    CHECK_STR(out, "");
    CHECK_INT(eng_utf8_stream_flush(&s, out), 3);
    CHECK_STR(out, "\xef\xbf\xbd");
    CHECK_INT(eng_utf8_stream_flush(&s, out), 0);
}

/* ---- files that lie -------------------------------------------------------------------------- */

typedef struct {
    const char *what, *model, *pre, *want; /* want: part of the message; NULL = accepted */
    const char *tokens, *merges;           /* separated by '\n' */
    int n_types, n_scores;                 /* -1 = no such key */
    int64_t eos;                           /* -1 = no such key */
} Lie;

static void put_lines(Bytes *bytes, const char *key, const char *lines)
{
    uint64_t n = 1;
    for (const char *s = lines; *s; s++) n += *s == '\n';
    put_text(bytes, key);
    put_u32(bytes, ENG_GGUF_ARRAY);
    put_u32(bytes, ENG_GGUF_STRING);
    put_u64(bytes, n);
    for (; n; n--) {
        size_t len = strcspn(lines, "\n");
        put_u64(bytes, len);
        put(bytes, lines, len);
        lines += len + 1;
    }
}

static void put_numbers(Bytes *bytes, const char *key, EngGgufKind kind, int n)
{
    put_text(bytes, key);
    put_u32(bytes, ENG_GGUF_ARRAY);
    put_u32(bytes, kind);
    put_u64(bytes, (uint64_t)n);
    for (int i = 0; i < n; i++) put_u32(bytes, kind == ENG_GGUF_I32 ? 1 + i % 7 : 0x7fc00000);
}

static Bytes lie_file(const Lie *lie)
{
    Bytes f = {0};
    put(&f, "GGUF", 4);
    put_u32(&f, 3);
    put_u64(&f, 0);
    put_u64(&f, !!lie->model + !!lie->pre + !!lie->tokens + !!lie->merges + (lie->n_types >= 0) +
                    (lie->n_scores >= 0) + (lie->eos >= 0));
    if (lie->model) put_string(&f, "tokenizer.ggml.model", lie->model);
    if (lie->pre) put_string(&f, "tokenizer.ggml.pre", lie->pre);
    if (lie->tokens) put_lines(&f, "tokenizer.ggml.tokens", lie->tokens);
    if (lie->merges) put_lines(&f, "tokenizer.ggml.merges", lie->merges);
    if (lie->n_types >= 0) put_numbers(&f, "tokenizer.ggml.token_type", ENG_GGUF_I32, lie->n_types);
    if (lie->n_scores >= 0) put_numbers(&f, "tokenizer.ggml.scores", ENG_GGUF_F32, lie->n_scores);
    if (lie->eos >= 0) {
        put_text(&f, "tokenizer.ggml.eos_token_id");
        put_u32(&f, ENG_GGUF_U32);
        put_u32(&f, (uint32_t)lie->eos);
    }
    while (f.n % 32) put(&f, "", 1);
    return f;
}

static void lies(void)
{
    static const Lie all[] = {
        {"no model", NULL, NULL, "no vocabulary", "a\nb", "a b", -1, -1, -1},
        {"other model", "bert", NULL, "\"bert\"", "a\nb", "a b", -1, -1, -1},
        {"no tokens", "gpt2", NULL, "no tokens", NULL, "a b", -1, -1, -1},
        {"other pre", "gpt2", "quux-9", "\"quux-9\"", "a\nb", "a b", -1, -1, -1},
        {"empty pre", "gpt2", "", "pre-tokenizer \"\"", "a\nb", "a b", -1, -1, -1},
        {"two names", "gpt2", "llama3 falcon3", "not known", "a\nb", "a b", -1, -1, -1},
        {"no merges", "gpt2", NULL, "no merges", "a\nb", NULL, -1, -1, -1},
        {"few types", "gpt2", NULL, "2 tokens but 1 token types", "a\nb", "a b", 1, -1, -1},
        {"many scores", "llama", NULL, "2 tokens but 3 scores", "a\nb", NULL, -1, 3, -1},
        {"no scores", "llama", NULL, "no scores", "a\nb", NULL, -1, -1, -1},
        {"id", "gpt2", NULL, "eos_token_id is 2", "a\nb", "a b", -1, -1, 2},
        {"no id", "gpt2", NULL, NULL, "a\nb", "a b", -1, -1, 0xffffffff},
        {"merges of nothing", "gpt2", NULL, NULL, "a\nb\nab", "a b\nb a\nq\n \nab ab\n\na  b", -1,
         -1, -1},
        {"twice the same", "gpt2", NULL, NULL, "a\nb\na\nb\nab\nab", "a b", 6, -1, -1},
        {"empty tokens", "gpt2", NULL, NULL, "\n\n\na\n\n", "a b", 6, -1, 0},
        {"no text", "gpt2", NULL, NULL, "\xff\n\xc4\n\xed\xa0\x80\n\xc4\xa0\xff\n\xff\xff",
         "\xff \xc4\n\xff \xff", 5, -1, -1},
        {"strange pieces", "llama", NULL, NULL, "\n<0xZZ>\n<0x4\n\xe2\x96\n\xe2\x96\x81\na\n<0x41>",
         NULL, 7, 7, -1},
        {"NaN scores", "llama", NULL, NULL, "<unk>\na\nb\nab\naa\naab\nba", NULL, -1, 7, -1},
    };
    static const char text[] = "ab aab\xff\xc4\xa0 \xe2\x96\x81 baab<unk>\n";
    for (size_t i = 0; i < TEST_COUNT(all); i++) {
        Model m = {.file = lie_file(&all[i])};
        load(&m);
        bool right = all[i].want ? !m.tokenizer && m.err.code == ENG_ERR_REFUSED &&
                                       strstr(m.err.message, all[i].want)
                                 : m.tokenizer != NULL;
        CHECK_MSG(right, "%s: %s", all[i].what, m.tokenizer ? "accepted" : m.err.message);
        int32_t *ids;
        size_t n;
        for (int special = 0; special < 2 && m.tokenizer; special++) {
            CHECK(eng_tokenizer_encode(m.tokenizer, text, sizeof text,
                                       (EngTokenizeOptions){true, special}, &ids, &n, NULL));
            for (size_t k = 0; k < n; k++)
                CHECK(ids[k] >= 0 && ids[k] < eng_tokenizer_size(m.tokenizer));
            free(ids);
        }
        unload(&m);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"byte_pairs", byte_pairs},
        {"sentence_pieces", sentence_pieces},
        {"vocabularies", vocabularies},
        {"any_bytes", any_bytes},
        {"long_texts", long_texts},
        {"ten_megabytes", ten_megabytes},
        {"threads", threads},
        {"pieces", pieces},
        {"stream", stream},
        {"lies", lies},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
