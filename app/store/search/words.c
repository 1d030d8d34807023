#include "store/search/words.h"

#include <string.h>

#define MOST_WORDS 16          /* of a search; more do not make it narrower for a person */
#define LONGEST_QUERY 400      /* characters */
#define LONGEST_TEXT (1 << 20) /* bytes looked at for places */
#define MOST_SPANS 2000

typedef struct {
    char *text; /* folded by the tokenizer; a run: as it stands in texts */
    gsize length;
    bool is_run;
    bool is_prefix;
} Word;

struct HearthWords {
    GArray *words; /* of Word */
    GString *match;
    fts5_tokenizer tokenizer;
    Fts5Tokenizer *instance;
};

static const struct {
    gunichar first, last;
} runs[] = {
    {0x3005, 0x3007},   /* iteration and closing marks, zero */
    {0x3041, 0x312f},   /* kana, bopomofo */
    {0x3400, 0x4dbf},   /* Han, extension A */
    {0x4e00, 0x9fff},   /* Han */
    {0xac00, 0xd7a3},   /* Hangul */
    {0xf900, 0xfaff},   /* Han, compatibility */
    {0xff66, 0xff9d},   /* half-width katakana */
    {0x20000, 0x33fff}, /* Han, further extensions */
};

bool hearth_words_is_run(gunichar c)
{
    if (c < runs[0].first) return false;
    for (size_t i = 0; i < G_N_ELEMENTS(runs); i++)
        if (c >= runs[i].first && c <= runs[i].last) return true;
    return false;
}

/* The end of what begins at `at`: a run, or text without one. */
static const char *segment_end(const char *at, const char *end, bool *ret_is_run)
{
    *ret_is_run = hearth_words_is_run(g_utf8_get_char(at));
    while (at < end) {
        if ((guchar)*at < 0x80) { /* most of most texts */
            if (*ret_is_run) break;
            at++;
            continue;
        }
        if (hearth_words_is_run(g_utf8_get_char(at)) != *ret_is_run) break;
        at = g_utf8_next_char(at);
    }
    return at;
}

/* ---- the tokenizer --------------------------------------------------------------------------- */

static bool find_tokenizer(HearthWords *self, HearthDb *db)
{
    fts5_api *api = NULL;
    sqlite3_stmt *statement = hearth_db_bind(db, "SELECT fts5(?1)", "");
    if (!statement) return false;
    sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    sqlite3_step(statement);
    sqlite3_reset(statement);
    void *data;
    const char *args[] = {"remove_diacritics", "2"};
    return api && api->xFindTokenizer(api, "unicode61", &data, &self->tokenizer) == SQLITE_OK &&
           self->tokenizer.xCreate(data, args, G_N_ELEMENTS(args), &self->instance) == SQLITE_OK;
}

typedef int (*OnToken)(void *data, int flags, const char *token, int n, int start, int end);

static void tokenize(HearthWords *self, const char *text, gsize length, OnToken on_token,
                     void *data)
{
    self->tokenizer.xTokenize(self->instance, data, FTS5_TOKENIZE_DOCUMENT, text, (int)length,
                              on_token);
}

/* ---- what is searched for -------------------------------------------------------------------- */

static void word_clear(Word *word) { g_free(word->text); }

static void add_word(HearthWords *self, const char *text, gsize length, bool is_run)
{
    for (guint i = 0; i < self->words->len; i++) {
        Word *word = &g_array_index(self->words, Word, i);
        if (word->length == length && memcmp(word->text, text, length) == 0) return;
    }
    if (self->words->len == MOST_WORDS || memchr(text, 0, length)) return;
    Word word = {g_strndup(text, length), length, is_run, false};
    g_array_append_val(self->words, word);
}

static int on_query_token(void *data, int flags, const char *token, int n, int start, int end)
{
    (void)flags, (void)start, (void)end;
    add_word(data, token, (gsize)n, false);
    return SQLITE_OK;
}

static void add_match(HearthWords *self, const char *text, gsize length, bool is_prefix)
{
    if (self->match->len) g_string_append(self->match, " AND ");
    g_string_append_c(self->match, '"'); /* tokens hold no quotes */
    g_string_append_len(self->match, text, (gssize)length);
    g_string_append(self->match, is_prefix ? "\" *" : "\"");
}

static int on_match_token(void *data, int flags, const char *token, int n, int start, int end)
{
    (void)flags, (void)start, (void)end;
    add_match(data, token, (gsize)n, false);
    return SQLITE_OK;
}

/* Each pair of neighbours of a run, or its only character. */
static void add_run_match(HearthWords *self, const Word *word)
{
    const char *at = word->text, *next = g_utf8_next_char(at);
    if (!*next) {
        tokenize(self, at, word->length, on_match_token, self);
        return;
    }
    for (; *next; at = g_utf8_next_char(at), next = g_utf8_next_char(next))
        tokenize(self, at, (gsize)(g_utf8_next_char(next) - at), on_match_token, self);
}

static void parse(HearthWords *self, const char *text)
{
    const char *end = text + strlen(text);
    bool is_run = false;
    guint n_before = 0;
    for (const char *at = text, *next; at < end; at = next) {
        next = segment_end(at, end, &is_run);
        n_before = self->words->len;
        if (is_run)
            add_word(self, at, (gsize)(next - at), true);
        else
            tokenize(self, at, (gsize)(next - at), on_query_token, self);
    }
    /* Unfinished: the last word ends where the text ends. */
    gunichar last = end > text ? g_utf8_get_char(g_utf8_prev_char(end)) : 0;
    if (!is_run && self->words->len > n_before && (g_unichar_isalnum(last) || last > 0x7f))
        g_array_index(self->words, Word, self->words->len - 1).is_prefix = true;
    for (guint i = 0; i < self->words->len; i++) {
        const Word *word = &g_array_index(self->words, Word, i);
        if (word->is_run)
            add_run_match(self, word);
        else
            add_match(self, word->text, word->length, word->is_prefix);
    }
}

HearthWords *hearth_words_new(HearthDb *db, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autofree char *query =
        g_utf8_substring(valid, 0, MIN(g_utf8_strlen(valid, -1), LONGEST_QUERY));
    g_autoptr(HearthWords) self = g_new0(HearthWords, 1);
    self->words = g_array_new(FALSE, FALSE, sizeof(Word));
    g_array_set_clear_func(self->words, (GDestroyNotify)word_clear);
    self->match = g_string_new(NULL);
    if (!find_tokenizer(self, db)) return NULL;
    parse(self, query);
    return self->match->len ? g_steal_pointer(&self) : NULL;
}

void hearth_words_free(HearthWords *self)
{
    if (!self) return;
    if (self->instance) self->tokenizer.xDelete(self->instance);
    g_array_unref(self->words);
    g_string_free(self->match, TRUE);
    g_free(self);
}

const char *hearth_words_get_match(HearthWords *self) { return self->match->str; }

/* ---- where it stands ------------------------------------------------------------------------- */

typedef struct {
    HearthWords *words;
    GArray *spans;
    guint offset; /* of the segment in the text */
    guint32 seen; /* bit per word */
} Finder;

G_STATIC_ASSERT(MOST_WORDS <= 32);

static void found(Finder *finder, guint start, guint end, guint word)
{
    finder->seen |= 1u << word;
    HearthSpan span = {start, end, word};
    if (finder->spans && finder->spans->len < MOST_SPANS) g_array_append_val(finder->spans, span);
}

static int on_text_token(void *data, int flags, const char *token, int n, int start, int end)
{
    (void)flags;
    Finder *finder = data;
    GArray *words = finder->words->words;
    for (guint i = 0; i < words->len; i++) {
        const Word *word = &g_array_index(words, Word, i);
        if (word->is_run || (gsize)n < word->length ||
            (!word->is_prefix && (gsize)n > word->length))
            continue;
        if (memcmp(token, word->text, word->length) != 0) continue;
        found(finder, finder->offset + (guint)start, finder->offset + (guint)end, i);
        break;
    }
    return SQLITE_OK;
}

static void find_in_run(Finder *finder, const char *text, const char *at, const char *end)
{
    GArray *words = finder->words->words;
    while (at < end) {
        const char *next = g_utf8_next_char(at);
        for (guint i = 0; i < words->len; i++) {
            const Word *word = &g_array_index(words, Word, i);
            if (!word->is_run || word->length > (gsize)(end - at)) continue;
            if (memcmp(at, word->text, word->length) != 0) continue;
            next = at + word->length;
            found(finder, (guint)(at - text), (guint)(next - text), i);
            break;
        }
        at = next;
    }
}

bool hearth_words_find(HearthWords *self, const char *text, GArray *spans)
{
    Finder finder = {self, spans, 0, 0};
    const char *end = text + strlen(text);
    if (end - text > LONGEST_TEXT) end = g_utf8_find_prev_char(text, text + LONGEST_TEXT);
    for (const char *at = text, *next; at < end; at = next) {
        bool is_run;
        next = segment_end(at, end, &is_run);
        finder.offset = (guint)(at - text);
        if (is_run)
            find_in_run(&finder, text, at, next);
        else
            tokenize(self, at, (gsize)(next - at), on_text_token, &finder);
    }
    return finder.seen == (1u << self->words->len) - 1;
}
