#include <glib/gstdio.h>
#include <sys/stat.h>

#include "store/files/import.h"
#include "fixture.h"
#include "test.h"

static char *in_folder(Fixture *f, const char *name)
{
    return g_build_filename(f->folder, name, NULL);
}

static char *read_file(const char *path)
{
    char *text = NULL;
    CHECK_MSG(g_file_get_contents(path, &text, NULL, NULL), "%s is missing", path);
    return text ? text : g_strdup("");
}

/* Two conversations, one with branches, and some that are not to be exported. */
static gint64 fill(Fixture *f)
{
    gint64 folder = fixture_folder(f, "Work \"quoted\""),
           persona = fixture_persona(f, "P", "Be\nP.");
    fixture_folder(f, "Empty");
    gint64 gone = fixture_conversation(f, "Deleted");
    fixture_message(f, gone, 0, HEARTH_ROLE_USER, "deleted");
    hearth_store_delete(f->store, HEARTH_TABLE_CONVERSATION, gone);
    gint64 c = hearth_store_new_id(f->store);
    HearthConversationRow row = {.id = c,
                                 .title = "Title, 标题\nsecond line",
                                 .titled = true,
                                 .pinned = true,
                                 .folder = folder,
                                 .persona = persona,
                                 .created = 1700000000000000,
                                 .updated = 1700000000000002,
                                 .draft = "draft \x01\t\"",
                                 .options = "{\"temperature\":0.5}"};
    hearth_store_put_conversation(f->store, &row);
    gint64 question = fixture_message(f, c, 0, HEARTH_ROLE_USER, "Question?");
    HearthMessageRow answer = {.id = hearth_store_new_id(f->store),
                               .conversation = c,
                               .parent = question,
                               .role = HEARTH_ROLE_ASSISTANT,
                               .state = HEARTH_STATE_STOPPED,
                               .content = "Look:\n```c\nint x;",
                               .thinking = "I think\n\nso.",
                               .model = "Ember",
                               .created = 5,
                               .stats = {7, 3, 9, 0.1, 1.0 / 3, 1e-9, 12345.678}};
    hearth_store_put_message(f->store, &answer);
    gint64 other = fixture_message(f, c, question, HEARTH_ROLE_ASSISTANT, "Another version");
    gint64 lost = fixture_message(f, c, other, HEARTH_ROLE_USER, "taken away");
    hearth_store_delete(f->store, HEARTH_TABLE_MESSAGE, lost);
    HearthMessageRow failed = {.id = hearth_store_new_id(f->store),
                               .conversation = c,
                               .parent = answer.id,
                               .role = HEARTH_ROLE_ASSISTANT,
                               .state = HEARTH_STATE_FAILED,
                               .error = "It broke."};
    hearth_store_put_message(f->store, &failed);
    row.head = failed.id;
    hearth_store_put_conversation(f->store, &row);
    gint64 plain = fixture_conversation(f, "Plain");
    fixture_message(f, plain, 0, HEARTH_ROLE_USER, "alone");
    return c;
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static void exports_markdown(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fill(&f);
    g_autofree char *path = in_folder(&f, "out.md");
    g_autoptr(GError) error = NULL;
    CHECK(fixture_export(&f, c, HEARTH_EXPORT_MARKDOWN, path, &error));
    g_autofree char *text = read_file(path);
    CHECK_MSG(g_str_has_prefix(text, "# Title, 标题 second line\n\n*2023-11-1"), "%s", text);
    char *turns = strstr(text, "## You");
    CHECK_STR(turns, "## You\n\nQuestion?\n\n"
                     "## Ember\n\n<details>\n<summary>Thinking</summary>\n\nI think\n\nso.\n\n"
                     "</details>\n\nLook:\n```c\nint x;\n```\n\n"
                     "## Answer\n\n> It broke.\n\n");
    CHECK(fixture_export(&f, 0, HEARTH_EXPORT_MARKDOWN, path, &error));
    g_autofree char *all = read_file(path);
    CHECK(strstr(all, "# Plain") && strstr(all, "# Title") && !strstr(all, "Deleted"));
    CHECK(strstr(all, "\n---\n") && strstr(all, "alone"));
    CHECK(!strstr(all, "Another version") && !strstr(all, "taken away"));
    fixture_clear(&f);
}

static void exports_deep_and_round(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fixture_conversation(&f, "deep"), at = 0;
    for (int i = 0; i < 10000; i++) at = fixture_message(&f, c, at, i % 2, "x");
    gint64 circle = fixture_conversation(&f, "circle");
    gint64 a = fixture_message(&f, circle, 0, HEARTH_ROLE_USER, "a");
    gint64 b = fixture_message(&f, circle, a, HEARTH_ROLE_USER, "b");
    fixture_message(&f, circle, a, HEARTH_ROLE_USER, "c");
    g_autofree char *sql = g_strdup_printf(
        "UPDATE message SET parent = %" G_GINT64_FORMAT " WHERE id = %" G_GINT64_FORMAT, b, a);
    fixture_wait(&f);
    g_free(outside(f.path, sql));
    g_autofree char *path = in_folder(&f, "out.md");
    CHECK(fixture_export(&f, c, HEARTH_EXPORT_MARKDOWN, path, NULL));
    g_autofree char *text = read_file(path);
    int n = 0;
    for (const char *turn = text; (turn = strstr(turn, "\n## ")); turn++) n++;
    CHECK_INT(n, 10000);
    CHECK(fixture_export(&f, circle, HEARTH_EXPORT_MARKDOWN, path, NULL));
    fixture_clear(&f);
}

/* The file is the temporary one under another name: what this one allows, that one did. */
static void exports_for_its_owner(void)
{
    Fixture f;
    mode_t before = umask(0);
    fixture_init(&f);
    fill(&f);
    g_autofree char *path = in_folder(&f, "all.json"), *part = in_folder(&f, ".all.json.part");
    CHECK(g_file_set_contents(path, "", 0, NULL) && g_file_set_contents(part, "", 0, NULL));
    CHECK(g_chmod(path, 0666) == 0 && g_chmod(part, 0666) == 0); /* of a run that was killed */
    CHECK(fixture_export(&f, 0, HEARTH_EXPORT_JSON, path, NULL));
    GStatBuf status;
    CHECK_INT(g_stat(path, &status), 0);
    CHECK_INT(status.st_mode & 0777, 0600);
    umask(before);
    fixture_clear(&f);
}

static void refuses_to_export(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fill(&f);
    g_autofree char *nowhere = in_folder(&f, "missing/out.json"), *path = in_folder(&f, "out.json");
    g_autofree char *part = in_folder(&f, ".out.json.part");
    g_autoptr(GError) error = NULL;
    CHECK(!fixture_export(&f, c, HEARTH_EXPORT_JSON, nowhere, &error) && error);
    g_clear_error(&error);
    CHECK(g_file_set_contents(path, "precious", -1, NULL));
    CHECK(!fixture_export(&f, 4711, HEARTH_EXPORT_JSON, path, &error) && error);
    g_autofree char *text = read_file(path);
    CHECK_STR(text, "precious");
    CHECK(!g_file_test(part, G_FILE_TEST_EXISTS));
    fixture_clear(&f);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* An export without what an import makes anew: ids by the order in which they come. */
static char *without_ids(const char *json)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GRegex) regex =
        g_regex_new("\"(id|parent|head|folder|persona)\":([0-9]+)", 0, 0, NULL);
    GString *out = g_string_new(NULL);
    g_autoptr(GMatchInfo) match = NULL;
    int last = 0;
    g_regex_match(regex, json, 0, &match);
    for (; g_match_info_matches(match); g_match_info_next(match, NULL)) {
        int start, end;
        g_match_info_fetch_pos(match, 2, &start, &end);
        g_string_append_len(out, json + last, start - last);
        char *id = g_match_info_fetch(match, 2);
        gpointer number = g_hash_table_lookup(seen, id);
        if (!number) number = GUINT_TO_POINTER(g_hash_table_size(seen) + 1);
        g_string_append_printf(out, strcmp(id, "0") == 0 ? "none" : "#%u",
                               GPOINTER_TO_UINT(number));
        g_hash_table_replace(seen, id, number);
        last = end;
    }
    g_string_append(out, json + last);
    return g_string_free(out, FALSE);
}

static void round_trips(void)
{
    Fixture from, to;
    fixture_init(&from);
    fixture_init(&to);
    fill(&from);
    g_autofree char *first = in_folder(&from, "a.json"), *second = in_folder(&to, "b.json");
    CHECK(fixture_export(&from, 0, HEARTH_EXPORT_JSON, first, NULL));
    for (int i = 0; i < 10; i++) hearth_store_new_id(to.store);
    guint n = 0;
    g_autoptr(GError) error = NULL;
    CHECK_MSG(fixture_import(&to, first, &n, &error), "%s", error->message);
    CHECK_INT(n, 2);
    CHECK(fixture_export(&to, 0, HEARTH_EXPORT_JSON, second, NULL));
    g_autofree char *a = read_file(first), *b = read_file(second);
    g_autofree char *plain_a = without_ids(a), *plain_b = without_ids(b);
    CHECK_STR(plain_b, plain_a);
    CHECK(strstr(a, "taken away") == NULL && strstr(a, "Deleted") == NULL && strstr(a, "Empty"));
    g_autoptr(GPtrArray) hits = fixture_search(&to, "another version", 10);
    CHECK_INT(hits->len, 1);
    /* again: conversations are added, folders and personas of the same name are the same */
    CHECK(fixture_import(&to, first, &n, NULL));
    g_autoptr(HearthOverview) overview = fixture_overview(&to);
    CHECK_INT(overview->conversations->len, 4);
    CHECK_INT(overview->folders->len, 2);
    CHECK_INT(overview->personas->len, 1);
    fixture_clear(&from);
    fixture_clear(&to);
}

/* A conversation alone, with what it uses; and while answers are being written. */
static void exports_one(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fill(&f);
    g_autofree char *path = in_folder(&f, "a.json");
    CHECK(fixture_export(&f, c, HEARTH_EXPORT_JSON, path, NULL));
    g_autofree char *text = read_file(path);
    CHECK(strstr(text, "标题") && !strstr(text, "Plain") && !strstr(text, "Empty"));
    CHECK(strstr(text, "Work"));
    fixture_clear(&f);
}

static void imports_deep(void)
{
    Fixture from, to;
    fixture_init(&from);
    fixture_init(&to);
    gint64 c = fixture_conversation(&from, "deep"), at = 0;
    for (int i = 0; i < 10000; i++) at = fixture_message(&from, c, at, i % 2, "x");
    g_autofree char *path = in_folder(&from, "a.json");
    CHECK(fixture_export(&from, 0, HEARTH_EXPORT_JSON, path, NULL));
    CHECK(fixture_import(&to, path, NULL, NULL));
    g_autoptr(HearthOverview) overview = fixture_overview(&to);
    HearthConversationRow *row = overview->conversations->pdata[0];
    g_autoptr(GPtrArray) messages = fixture_messages(&to, row->id);
    CHECK_INT(messages->len, 10000);
    for (guint i = 1; i < messages->len; i++)
        if (((HearthMessageRow *)messages->pdata[i])->parent !=
            ((HearthMessageRow *)messages->pdata[i - 1])->id) {
            CHECK_MSG(false, "the chain breaks at %u", i);
            break;
        }
    fixture_clear(&from);
    fixture_clear(&to);
}

#define HEAD "{\"format\":\"hearth-history\",\"version\":1,"
#define ONE(messages) HEAD "\"conversations\":[{\"id\":1,\"messages\":[" messages "]}]}"

static const char *const lies[] = {
    "",
    "{}",
    "[]",
    "null",
    "hello",
    "{\"format\":\"hearth-history\"}",
    "{\"format\":\"other\",\"version\":1,\"conversations\":[]}",
    "{\"format\":\"hearth-history\",\"version\":2,\"conversations\":[]}",
    "{\"format\":\"hearth-history\",\"version\":\"1\",\"conversations\":[]}",
    HEAD "\"conversations\":[]",
    HEAD "\"conversations\":[]}}",
    HEAD "\"conversations\":[],}",
    HEAD "\"conversations\":[]} // comment",
    HEAD "\"conversations\":[/* */]}",
    HEAD "\"conversations\":[],\"conversations\":[]}",
    HEAD "\"conversations\":[1]}",
    HEAD "\"conversations\":[{}]}",
    HEAD "\"conversations\":[{\"id\":0}]}",
    HEAD "\"conversations\":[{\"id\":-1}]}",
    HEAD "\"conversations\":[{\"id\":\"1\"}]}",
    HEAD "\"conversations\":[{\"id\":1.5}]}",
    HEAD "\"conversations\":[{\"id\":1,\"folder\":7}]}",
    HEAD "\"conversations\":[{\"id\":1,\"persona\":7}]}",
    HEAD "\"conversations\":[{\"id\":1,\"title\":7}]}",
    HEAD "\"conversations\":[{\"id\":1,\"title\":null}]}",
    HEAD "\"conversations\":[{\"id\":1,\"pinned\":1}]}",
    HEAD "\"conversations\":[{\"id\":1,\"options\":\"[]\"}]}",
    HEAD "\"conversations\":[{\"id\":1,\"options\":\"{\\\"a\\\":{\\\"b\\\":{\\\"c\\\":{\\\"d\\\":"
         "{}}}}}\"}]}",
    HEAD "\"conversations\":[{\"id\":1,\"messages\":{}}]}",
    ONE("1"),
    ONE("{}"),
    ONE("{\"id\":1},{\"id\":1}"),
    ONE("{\"id\":1,\"parent\":1}"),
    ONE("{\"id\":1,\"parent\":2}"),
    ONE("{\"id\":1,\"parent\":2},{\"id\":2,\"parent\":1}"),
    ONE("{\"id\":9},{\"id\":1,\"parent\":3},{\"id\":2,\"parent\":1},{\"id\":3,\"parent\":2}"),
    ONE("{\"id\":1,\"role\":\"system\"}"),
    ONE("{\"id\":1,\"role\":1}"),
    ONE("{\"id\":1,\"state\":\"odd\"}"),
    ONE("{\"id\":1,\"stats\":7}"),
    ONE("{\"id\":1,\"stats\":{\"tokens\":-1}}"),
    ONE("{\"id\":1,\"stats\":{\"tokens\":1e99}}"),
    ONE("{\"id\":1,\"stats\":{\"tokens\":99999999999}}"),
    ONE("{\"id\":1,\"stats\":{\"decode_s\":1e999}}"),
    ONE("{\"id\":1,\"content\":\"\xff\"}"),
    ONE("{\"id\":1,\"content\":[\"a\"]}"),
    ONE("{\"id\":1,\"created\":-5}"),
    HEAD "\"folders\":[{\"id\":1,\"name\":2}],\"conversations\":[]}",
    HEAD "\"folders\":[{\"id\":1},{\"id\":1}],\"conversations\":[]}",
    HEAD "\"personas\":[{\"name\":\"x\"}],\"conversations\":[]}",
    HEAD "\"x\":[[[[[[[[[[[[]]]]]]]]]]]],\"conversations\":[]}"};

static void refuses_lies(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *path = in_folder(&f, "lie.json");
    for (gsize i = 0; i < G_N_ELEMENTS(lies); i++) {
        CHECK(g_file_set_contents(path, lies[i], -1, NULL));
        g_autoptr(GError) error = NULL;
        CHECK_MSG(!fixture_import(&f, path, NULL, &error), "taken: %s", lies[i]);
        CHECK_MSG(error && strstr(error->message, "Nothing was imported"), "%s: %s", lies[i],
                  error ? error->message : "no error");
    }
    static const struct {
        const char *text, *cause;
    } causes[] = {{"{\"format\":", "no JSON"},
                  {"{}", "not written by Hearth"},
                  {" [{\"title\":\"A list, as others write it\"}]", "not written by Hearth"}};
    for (gsize i = 0; i < G_N_ELEMENTS(causes); i++) {
        CHECK(g_file_set_contents(path, causes[i].text, -1, NULL));
        g_autoptr(GError) error = NULL;
        CHECK(!fixture_import(&f, path, NULL, &error));
        CHECK_MSG(strstr(error->message, causes[i].cause), "%s: %s", causes[i].text,
                  error->message);
    }
    g_autofree char *rows = outside(f.path, "SELECT (SELECT count(*) FROM conversation) +"
                                            " (SELECT count(*) FROM message) +"
                                            " (SELECT count(*) FROM folder)");
    CHECK_STR(rows, "0");
    fixture_clear(&f);
}

/* One rotten apple: the others are taken. */
static void leaves_out_what_is_not_sound(void)
{
#define GOOD(id, message)                                                                          \
    "{\"id\":" id ",\"title\":\"good " id "\",\"messages\":[{\"id\":" message "}]}"
    static const struct {
        const char *conversations;
        guint n;
        const char *said; /* NULL: all were taken */
    } cases[] = {
        {GOOD("1", "11") "," GOOD("2", "12"), 2, NULL},
        {GOOD("1", "11") ",{\"id\":1}", 1, "1 conversation was left out, since it has an identity"},
        {GOOD("1", "11") ",7,{\"title\":7}," GOOD("2", "12"), 2,
         "2 conversations were left out, the first one since a conversation is not readable."},
        /* what the bad one used up is free for the next */
        {"{\"id\":1,\"messages\":[{\"id\":11},{\"id\":12,\"parent\":9}]}," GOOD("1", "11"), 1,
         "since a message lacks the one before it."},
        {"{\"id\":3,\"messages\":[{\"id\":5},{\"id\":5}]}," GOOD("4", "5"), 1, "identity twice."},
        /* the head is only where to begin to read: the newest message */
        {"{\"id\":1,\"head\":77,\"title\":\"headless\",\"messages\":[{\"id\":11},{\"id\":12,"
         "\"parent\":11}]}",
         1, NULL},
    };
    Fixture f;
    fixture_init(&f);
    g_autofree char *path = in_folder(&f, "some.json");
    guint all = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text =
            g_strconcat(HEAD "\"conversations\":[", cases[i].conversations, "]}", NULL);
        CHECK(g_file_set_contents(path, text, -1, NULL));
        g_autoptr(GError) error = NULL;
        g_autofree char *said = NULL;
        guint n = 0;
        CHECK_MSG(fixture_import_sound(&f, path, &n, &said, &error), "%s: %s", text,
                  error->message);
        CHECK_INT(n, cases[i].n);
        CHECK_MSG(cases[i].said ? said && strstr(said, cases[i].said) : !said, "%s: %s", text,
                  said);
        all += cases[i].n;
    }
    g_autofree char *count = outside(f.path, "SELECT count(*) FROM conversation WHERE deleted_at"
                                             " IS NULL AND title <> ''");
    CHECK_INT(g_ascii_strtoll(count, NULL, 10), all);
    g_autofree char *head = outside(f.path, "SELECT max(m.id) = c.head FROM message m JOIN"
                                            " conversation c ON c.id = m.conversation"
                                            " WHERE c.title = 'headless'");
    CHECK_STR(head, "1");
    fixture_clear(&f);
}

/* Deeper than any stack. */
static void refuses_depth(void)
{
    static const char *const kinds[] = {"[", "{\"a\":", "\"[\"", "[\"/*\","};
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(GString) text = g_string_new(HEAD "\"conversations\":[");
        for (int k = 0; k < 1000000; k++) g_string_append(text, kinds[i]);
        g_autoptr(HearthImport) import = hearth_import_new(NULL);
        CHECK(!hearth_import_parse(import, text->str, text->len, NULL));
    }
}

static void mutate(GString *text, const char *good)
{
    static const char bytes[] = "{}[]\",:\\0123456789-eE.tfnu \n/*\xc3\xff";
    gsize at = test_random() % text->len;
    int n = test_range(1, 40);
    switch (test_random() % 4) {
    case 0: text->str[at] = bytes[test_random() % (sizeof bytes - 1)]; break;
    case 1: g_string_erase(text, (gssize)at, MIN(n, (gssize)(text->len - at))); break;
    case 2:
        g_string_insert_len(text, (gssize)at, good + test_random() % (strlen(good) - 40), n);
        break;
    default: text->str[at] ^= (char)(1 << test_random() % 8); break;
    }
    if (!text->len) g_string_append_c(text, '{');
}

/* Mutations of a good export: each is taken whole or leaves nothing. */
static void bears_mutations(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    g_autofree char *path = in_folder(&f, "a.json");
    CHECK(fixture_export(&f, 0, HEARTH_EXPORT_JSON, path, NULL));
    g_autofree char *good = read_file(path);
    int taken = 0;
    for (int i = 0; i < 3000; i++) {
        g_autoptr(GString) text = g_string_new(good);
        for (int k = test_range(1, 4); k > 0; k--) mutate(text, good);
        g_autoptr(HearthImport) import = hearth_import_new(NULL);
        g_autoptr(GError) error = NULL;
        bool ok = hearth_import_parse(import, text->str, text->len, &error);
        CHECK(ok == !error);
        taken += ok;
        if (i % 50) continue; /* into a database, these */
        CHECK(g_file_set_contents(path, text->str, (gssize)text->len, NULL));
        g_autoptr(HearthOverview) before = fixture_overview(&f);
        guint n = 0;
        CHECK(fixture_import(&f, path, &n, NULL) == ok);
        g_autoptr(HearthOverview) after = fixture_overview(&f);
        CHECK_INT(after->conversations->len, before->conversations->len + n);
    }
    CHECK_MSG(taken > 0, "no mutation was taken");
    fixture_clear(&f);
}

static void on_answer(GObject *source, GAsyncResult *result, void *data)
{
    (void)source;
    *(GAsyncResult **)data = g_object_ref(result);
}

/* An import that stops in the middle was never there, and its rows go away. */
static void leaves_nothing_when_cancelled(void)
{
    Fixture f;
    fixture_init(&f);
    for (int k = 0; k < 20; k++) {
        gint64 c = fixture_conversation(&f, "long"), at = 0;
        for (int i = 0; i < 500; i++)
            at = fixture_message(&f, c, at, i % 2, "some words in each message");
    }
    g_autofree char *path = in_folder(&f, "a.json");
    CHECK(fixture_export(&f, 0, HEARTH_EXPORT_JSON, path, NULL));
    g_autoptr(GFile) file = g_file_new_for_path(path);
    for (int round = 0; round < 6; round++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        GAsyncResult *result = NULL;
        hearth_store_import_async(f.store, file, cancellable, on_answer, &result);
        gint64 end = g_get_monotonic_time() + 40000 * round;
        while (!result && g_get_monotonic_time() < end) g_main_context_iteration(NULL, FALSE);
        g_cancellable_cancel(cancellable);
        while (!result) g_main_context_iteration(NULL, TRUE);
        guint n = 0;
        bool ok = hearth_store_import_finish(f.store, result, &n, NULL, NULL);
        g_object_unref(result);
        g_autoptr(HearthOverview) overview = fixture_overview(&f);
        if (ok) break; /* it was quicker */
        CHECK_INT(overview->conversations->len, 20);
        g_autoptr(GPtrArray) hits = fixture_search(&f, "words", 100);
        CHECK_INT(hits->len, 20);
    }
    g_autofree char *left = NULL;
    for (int i = 0; i < 500 && g_strcmp0(left, "0") != 0; i++) {
        g_free(left);
        left = outside(f.path, "SELECT count(*) FROM conversation WHERE deleted_at IS NOT NULL");
        fixture_wait(&f);
        g_usleep(20000);
    }
    CHECK_STR(left, "0");
    fixture_clear(&f);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"exports Markdown", exports_markdown},
        {"exports deep and round", exports_deep_and_round},
        {"exports for its owner", exports_for_its_owner},
        {"refuses to export", refuses_to_export},
        {"round trips", round_trips},
        {"exports one", exports_one},
        {"imports deep", imports_deep},
        {"refuses lies", refuses_lies},
        {"leaves out what is not sound", leaves_out_what_is_not_sound},
        {"refuses depth", refuses_depth},
        {"bears mutations", bears_mutations},
        {"leaves nothing when cancelled", leaves_nothing_when_cancelled},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
