#include <sqlite3.h>

#include "store/search/index.h"
#include "store/search/words.h"
#include "fixture.h"
#include "test.h"

/* The conversations found, by the letter of their titles, in order. */
static char *found(Fixture *f, const char *query)
{
    g_autoptr(GPtrArray) hits = fixture_search(f, query, 100);
    GString *names = g_string_new(NULL);
    for (guint i = 0; i < hits->len; i++) {
        HearthHit *hit = hits->pdata[i];
        g_string_append_c(names, hit->title[0]);
        g_autoptr(GError) error = NULL; /* a GMarkup parser stands for Pango's */
        g_autofree char *wrapped = g_strdup_printf("<x>%s %s</x>", hit->title, hit->snippet);
        GMarkupParser none = {0};
        GMarkupParseContext *context = g_markup_parse_context_new(&none, 0, NULL, NULL);
        CHECK_MSG(g_markup_parse_context_parse(context, wrapped, -1, &error) &&
                      g_markup_parse_context_end_parse(context, &error),
                  "%s: %s", wrapped, error->message);
        g_markup_parse_context_free(context);
        CHECK_MSG(!strchr(hit->snippet, '\n'), "two lines: %s", hit->snippet);
    }
    return g_string_free(names, FALSE);
}

static void check_found(Fixture *f, const char *query, const char *want)
{
    g_autofree char *got = found(f, query);
    CHECK_MSG(g_strcmp0(got, want) == 0, "“%s” finds “%s”, not “%s”", query, got, want);
}

/* One conversation per text, its title a letter: A, B, … */
static void fill(Fixture *f, const char *const *texts)
{
    for (int i = 0; texts[i]; i++) {
        char title[] = {(char)('A' + i), 0};
        gint64 c = fixture_conversation(f, title);
        fixture_message(f, c, 0, HEARTH_ROLE_USER, texts[i]);
    }
}

static void finds_words(void)
{
    static const char *const texts[] = {
        "The quick brown fox jumps over the lazy dog.",          /* A */
        "def load_tensor_block(path): return open(path)",        /* B */
        "Über die Brücke führt ein schöner Weg; Straße",         /* C */
        "CamelCase, kebab-case and snake_case are conventions.", /* D */
        "naïve café, e\xcc\x81tude",                             /* E: a combining accent */
        "3.14 and C++ & <b>bold</b> \"quoted\"",                 /* F */
        "привет мир",                                            /* G */
        NULL};
    Fixture f;
    fixture_init_memory(&f);
    fill(&f, texts);
    check_found(&f, "fox", "A");
    check_found(&f, "FOX", "A");
    check_found(&f, "fo", "A");
    check_found(&f, "fo ", ""); /* finished: a word of its own */
    check_found(&f, "f o x", "");
    check_found(&f, "dog quick", "A");
    check_found(&f, "dog qui", "A");
    check_found(&f, "qui dog", ""); /* only the last may be unfinished */
    check_found(&f, "quick cat", "");
    check_found(&f, "ox", ""); /* not inside of words */
    check_found(&f, "tensor", "B");
    check_found(&f, "load_tensor", "B");
    check_found(&f, "load_tensor_block", "B");
    check_found(&f, "load_tensor_bl", "B");
    check_found(&f, "open(path)", "B");
    check_found(&f, "case", "D");
    check_found(&f, "bruck", "C");
    check_found(&f, "Brücke", "C");
    check_found(&f, "uber schöner", "C");
    check_found(&f,
                "u\xcc\x88"
                "ber",
                "C");
    check_found(&f, "STRAßE", "C");
    check_found(&f, "cafe", "E");
    check_found(&f, "etude", "E");
    check_found(&f, "étude", "E");
    check_found(&f, "3.14", "F");
    check_found(&f, "<b>bold</b>", "F");
    check_found(&f, "МИР", "G");
    check_found(&f, "при", "G");
    fixture_clear(&f);
}

static void finds_runs(void)
{
    static const char *const texts[] = {
        "我们使用SQLite数据库，非常好用。",          /* A */
        "数据很多，但是据库二字不连着：数 据 库",    /* B: the pairs, not the run */
        "東京タワーへ行きました。ありがとう",        /* C */
        "한국어를 공부합니다",                       /* D */
        "用",                                        /* E */
        "GPU显存不足时会使用内存 offload 到 DRAM中", /* F */
        "𠀀𠀁𠀂 rare characters",                    /* G */
        "人々は〇を書いた",                          /* H */
        NULL};
    Fixture f;
    fixture_init_memory(&f);
    fill(&f, texts);
    check_found(&f, "数据库", "A");
    check_found(&f, "数据", "BA");
    check_found(&f, "据库", "BA");
    check_found(&f, "据", "BA");
    check_found(&f, "用", "FEA");
    check_found(&f, "好用", "A"); /* at the end of a run */
    check_found(&f, "我们", "A"); /* at the beginning */
    check_found(&f, "们使用", "A");
    check_found(&f, "sqlite", "A"); /* between runs */
    check_found(&f, "SQLite数据", "A");
    check_found(&f, "使用 sqli", "A");
    check_found(&f, "用数据", "");
    check_found(&f, "タワー", "C");
    check_found(&f, "ワー", "C");
    check_found(&f, "京", "C");
    check_found(&f, "行きました", "C");
    check_found(&f, "국어", "D");
    check_found(&f, "한국", "D");
    check_found(&f, "显存 dram", "F");
    check_found(&f, "dram中", "F");
    check_found(&f, "到", "F");
    check_found(&f, "中", "F"); /* the end of the text */
    check_found(&f, "𠀀𠀁", "G");
    check_found(&f, "𠀁", "G");
    check_found(&f, "人々", "H");
    check_found(&f, "〇", "H");
    fixture_clear(&f);
}

static void finds_the_newest_of_each(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 a = fixture_conversation(&f, "A apple"), b = fixture_conversation(&f, "B");
    gint64 c = fixture_conversation(&f, "C apple");
    fixture_message(&f, a, 0, HEARTH_ROLE_USER, "apple one");
    fixture_message(&f, b, 0, HEARTH_ROLE_USER, "apple two");
    gint64 newest = fixture_message(&f, a, 0, HEARTH_ROLE_USER, "apple three");
    fixture_message(&f, a, 0, HEARTH_ROLE_USER, "pear");
    g_autoptr(GPtrArray) hits = fixture_search(&f, "apple", 10);
    CHECK_INT(hits->len, 3);
    for (guint i = 0; i < hits->len; i++) {
        HearthHit *hit = hits->pdata[i];
        if (hit->conversation == a) {
            CHECK_INT(hit->message, newest);
            CHECK_STR(hit->title, "A <b>apple</b>");
            CHECK_STR(hit->snippet, "<b>apple</b> three");
        } else if (hit->conversation == c) {
            CHECK_INT(hit->message, 0);
            CHECK_STR(hit->title, "C <b>apple</b>");
            CHECK_STR(hit->snippet, "");
        } else {
            CHECK_INT(hit->conversation, b);
            CHECK_STR(hit->title, "B");
        }
    }
    CHECK_INT(((HearthHit *)hits->pdata[0])->conversation, a);
    CHECK_INT(((HearthHit *)hits->pdata[1])->conversation, b);
    g_autoptr(GPtrArray) one = fixture_search(&f, "apple", 1);
    CHECK_INT(one->len, 1);
    g_autoptr(GPtrArray) none = fixture_search(&f, "apple", 0);
    CHECK_INT(none->len, 0);
    fixture_clear(&f);
}

static void finds_nothing_deleted(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 a = fixture_conversation(&f, "Apple"), b = fixture_conversation(&f, "B");
    gint64 older = fixture_message(&f, a, 0, HEARTH_ROLE_USER, "apple");
    gint64 message = fixture_message(&f, b, 0, HEARTH_ROLE_USER, "apple");
    check_found(&f, "apple", "B<");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, message);
    check_found(&f, "apple", "<");
    hearth_store_delete(f.store, HEARTH_TABLE_CONVERSATION, a);
    check_found(&f, "apple", "");
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, message);
    check_found(&f, "apple", "B");
    hearth_store_restore(f.store, HEARTH_TABLE_CONVERSATION, a);
    check_found(&f, "apple", "B<");
    HearthMessageRow row = {
        .id = older, .conversation = a, .state = HEARTH_STATE_DONE, .content = "pear"};
    hearth_store_put_message(f.store, &row);
    HearthConversationRow renamed = {.id = a, .title = "A"};
    hearth_store_put_conversation(f.store, &renamed);
    check_found(&f, "apple", "B");
    check_found(&f, "pear", "A");
    fixture_clear(&f);
}

static void finds_answers_at_their_end(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fixture_conversation(&f, "C");
    HearthMessageRow row = {.id = hearth_store_new_id(f.store), .conversation = c};
    hearth_store_put_message(f.store, &row);
    hearth_store_write_partial(f.store, row.id, HEARTH_STATE_ANSWERING, "growing text", "");
    check_found(&f, "growing", "");
    hearth_store_write_partial(f.store, row.id, HEARTH_STATE_STOPPED, "growing text ended", "");
    check_found(&f, "growing", "C");
    hearth_store_write_partial(f.store, row.id, HEARTH_STATE_ANSWERING, "growing text ended on",
                               "");
    check_found(&f, "growing", ""); /* goes on */
    fixture_close(&f);
    fixture_open(&f);
    check_found(&f, "ended on", "C"); /* interrupted */
    g_autofree char *check =
        outside(f.path, "INSERT INTO message_index (message_index, rank) VALUES"
                        " ('integrity-check', 0); SELECT 'sound'");
    CHECK_STR(check, "sound");
    fixture_clear(&f);
}

static void finds_what_others_write(void)
{
    Fixture f;
    fixture_init(&f);
    g_free(outside(f.path,
                   "INSERT INTO conversation (id, title) VALUES (1, 'Outside');"
                   "INSERT INTO message (conversation, content) VALUES (1, '数据库 hello');"
                   "INSERT INTO message (conversation, content) VALUES (1, 'to be changed');"
                   "UPDATE message SET content = 'was changed' WHERE id = 2;"
                   "INSERT INTO message (conversation, content) VALUES (1, 'goes away');"
                   "DELETE FROM message WHERE id = 3;"
                   /* the index is not told of what this replaces */
                   "INSERT OR REPLACE INTO message (id, conversation, content)"
                   " VALUES (2, 1, 'replaced')"));
    check_found(&f, "据库", "O");
    check_found(&f, "hello", "O");
    check_found(&f, "replaced", "O");
    check_found(&f, "changed", "");
    check_found(&f, "goes", "");
    check_found(&f, "outs", "<");
    fixture_clear(&f);
}

static void makes_snippets(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 c = fixture_conversation(&f, "A & B <script>");
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 500; i++) g_string_append_printf(text, "word%d\n\tand ", i);
    g_string_append(text, "a needle & <thread>\r\nin the");
    for (int i = 500; i < 1000; i++) g_string_append_printf(text, " word%d", i);
    fixture_message(&f, c, 0, HEARTH_ROLE_USER, text->str);
    g_autoptr(GPtrArray) hits = fixture_search(&f, "thread needle", 10);
    CHECK_INT(hits->len, 1);
    HearthHit *hit = hits->pdata[0];
    CHECK_STR(hit->title, "A &amp; B &lt;script&gt;");
    CHECK_MSG(strstr(hit->snippet, "a <b>needle</b> &amp; &lt;<b>thread</b>&gt; in the word500"),
              "%s", hit->snippet);
    CHECK(g_str_has_prefix(hit->snippet, "…") && g_str_has_suffix(hit->snippet, "…"));
    CHECK(g_utf8_strlen(hit->snippet, -1) < 260);
    CHECK_MSG(strstr(hit->excerpt, "a " HEARTH_HIT_BEGIN "needle" HEARTH_HIT_END
                                   " & <" HEARTH_HIT_BEGIN "thread" HEARTH_HIT_END ">\r\nin the"),
              "%s", hit->excerpt);
    /* far apart: where the most of them are */
    g_autoptr(GPtrArray) far = fixture_search(&f, "word3 needle thread", 10);
    CHECK(far->len == 1 && strstr(((HearthHit *)far->pdata[0])->snippet, "<b>needle</b>"));
    fixture_clear(&f);
}

/* From the beginning of the paragraph on, and with no marks but ours. */
static void makes_excerpts(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 c = fixture_conversation(&f, "A");
    fixture_message(&f, c, 0, HEARTH_ROLE_USER,
                    "before\n\n- **one**\n- two " HEARTH_HIT_END " needle\nafter");
    g_autoptr(GPtrArray) hits = fixture_search(&f, "needle", 10);
    CHECK_STR(((HearthHit *)hits->pdata[0])->excerpt,
              "- **one**\n- two  " HEARTH_HIT_BEGIN "needle" HEARTH_HIT_END "\nafter");
    g_autofree char *word = g_strnfill(3000, 'a');
    g_autofree char *text = g_strdup_printf("%s 好 pin %s", word, word);
    fixture_message(&f, c, 0, HEARTH_ROLE_USER, text);
    g_autoptr(GPtrArray) pins = fixture_search(&f, "pin", 10);
    const char *excerpt = ((HearthHit *)pins->pdata[0])->excerpt;
    CHECK_MSG(strstr(excerpt, "好 " HEARTH_HIT_BEGIN "pin" HEARTH_HIT_END " aaa"), "%s", excerpt);
    CHECK(strlen(excerpt) < 2000 && g_utf8_validate(excerpt, -1, NULL));
    fixture_clear(&f);
}

static const char *const queries[] = {"",
                                      " ",
                                      "\"",
                                      "'",
                                      "*",
                                      "\"fox",
                                      "fox\"",
                                      "fox*",
                                      "AND",
                                      "fox AND",
                                      "NOT fox",
                                      "fox OR",
                                      "NEAR(fox, 2)",
                                      "words:fox",
                                      "{words}:fox",
                                      "^fox",
                                      "-fox",
                                      "fox + dog",
                                      "(fox",
                                      "fox)",
                                      "\\",
                                      "%",
                                      "_",
                                      ";--",
                                      "\x01\x02",
                                      "\xff\xfe",
                                      "fo\xffx",
                                      "’“”",
                                      "🦊",
                                      "é",
                                      "\xcc\x81",
                                      "$1",
                                      "?1",
                                      "a\xe2\x80\x8b-b",
                                      "数\"据",
                                      "ſ",
                                      "İ",
                                      "ǅ",
                                      "ﬁ"};

static void bears_any_query(void)
{
    static const char bytes[] = "\"'*()^+-:{}fox \xe6\x95\xb0\xf0\x9f";
    Fixture f;
    fixture_init_memory(&f);
    static const char *const texts[] = {"The quick brown fox 数据 and or near not words", "🦊",
                                        NULL};
    fill(&f, texts);
    for (gsize i = 0; i < G_N_ELEMENTS(queries); i++) g_free(found(&f, queries[i]));
    check_found(&f, "\"fox\"", "A");
    check_found(&f, "fox*", "A");
    check_found(&f, "NOT fox", "A"); /* three letters like others */
    check_found(&f, "", "");
    g_autofree char *many = g_strnfill(100000, 'x');
    check_found(&f, many, "");
    g_autoptr(GString) words = g_string_new(NULL);
    for (int i = 0; i < 5000; i++) g_string_append_printf(words, "w%d 数%c ", i, 'a' + i % 26);
    g_free(found(&f, words->str));
    for (int i = 0; i < 300; i++) { /* bytes of any kind, often of the kinds that matter */
        char query[24];
        int n = test_range(0, (int)sizeof query - 1);
        for (int k = 0; k < n; k++)
            query[k] = test_random() % 3 ? bytes[test_random() % (sizeof bytes - 1)]
                                         : (char)(1 + test_random() % 255);
        query[n] = 0;
        g_free(found(&f, query));
    }
    fixture_clear(&f);
}

/* The set of scripts stands in C and in SQL, and texts of any length are cut right. */
static void segments_alike(void)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    CHECK_INT(sqlite3_open(":memory:", &db), SQLITE_OK);
    g_autofree char *segment = hearth_index_segment("?1");
    g_autofree char *sql = g_strdup_printf("SELECT %s", segment);
    CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    int wrong = 0;
    for (gunichar c = 1; c <= 0x10ffff && wrong < 5; c += c < 0x4000 || c > 0x4d00 ? 1 : 7) {
        if (c >= 0xd800 && c < 0xe000) continue;
        char text[8] = {0};
        g_unichar_to_utf8(c, text);
        sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
        sqlite3_step(statement);
        bool is_run = strcmp((const char *)sqlite3_column_text(statement, 0), text) != 0;
        if (is_run != hearth_words_is_run(c)) wrong += printf("# U+%04X\n", c) > 0;
        sqlite3_reset(statement);
        if (c >= 0x34000) c += 0x100;
    }
    CHECK_INT(wrong, 0);
    static const int lengths[] = {1,   2,    99,    100,   101,   102,   199,   200,   201,
                                  202, 1000, 19999, 20000, 20001, 20002, 40000, 40001, 40002};
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GString) text = g_string_new(NULL), want = g_string_new(NULL);
        g_autofree gunichar *c = g_new0(gunichar, lengths[i] + 1);
        bool any = false;
        for (int k = 0; k < lengths[i]; k++) {
            c[k] = (gunichar[]){'a', 'b', ' ', 0x4e2d, 0x6587, 0x20001, 0xff0c}[test_random() % 7];
            any |= hearth_words_is_run(c[k]);
            g_string_append_unichar(text, c[k]);
        }
        for (int k = 0; k < lengths[i]; k++) {
            bool is_run = hearth_words_is_run(c[k]);
            if (is_run) g_string_append_c(want, ' ');
            g_string_append_unichar(want, c[k]);
            if (!is_run) continue;
            g_string_append_c(want, ' ');
            if (!hearth_words_is_run(c[k + 1])) continue;
            g_string_append_unichar(want, c[k]);
            g_string_append_unichar(want, c[k + 1]);
            g_string_append_c(want, ' ');
        }
        sqlite3_bind_text(statement, 1, text->str, -1, SQLITE_STATIC);
        sqlite3_step(statement);
        CHECK_MSG(strcmp((const char *)sqlite3_column_text(statement, 0),
                         any ? want->str : text->str) == 0,
                  "%d characters are cut wrong", lengths[i]);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"finds words", finds_words},
        {"finds runs", finds_runs},
        {"finds the newest of each", finds_the_newest_of_each},
        {"finds nothing deleted", finds_nothing_deleted},
        {"finds answers at their end", finds_answers_at_their_end},
        {"finds what others write", finds_what_others_write},
        {"makes snippets", makes_snippets},
        {"makes excerpts", makes_excerpts},
        {"bears any query", bears_any_query},
        {"segments alike", segments_alike},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
