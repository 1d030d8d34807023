#include <glib/gstdio.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "store/schema.h"
#include "test.h"

/* ---- helpers --------------------------------------------------------------------------------- */

static GBytes *contents(const char *path)
{
    char *text = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &text, &length, NULL)) return NULL;
    return g_bytes_new_take(text, length);
}

static void set_contents(const char *path, const void *bytes, gsize length)
{
    FILE *file = fopen(path, "wb"); /* in place: g_file_set_contents would make a new file */
    CHECK(file && (!length || fwrite(bytes, 1, length, file) == length));
    if (file) fclose(file);
}

/* The path of what was set aside, from the sentence. */
static char *aside_path(Fixture *f)
{
    g_autoptr(GDir) dir = g_dir_open(f->folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir)))
        if (g_str_has_prefix(name, "history.db.damaged-") && !g_str_has_suffix(name, "-wal") &&
            !g_str_has_suffix(name, "-shm"))
            return g_build_filename(f->folder, name, NULL);
    return NULL;
}

static void fill(Fixture *f)
{
    for (int k = 0; k < 5; k++) {
        gint64 c = fixture_conversation(f, "Conversation"), at = 0;
        for (int i = 0; i < 60; i++)
            at = fixture_message(f, c, at, i % 2,
                                 "some text, 一些文字, that fills the pages of a file");
    }
    fixture_wait(f);
}

/* Closed, opened again: it was set aside as it was, with its log, and a new one works. */
static void check_set_aside(Fixture *f, bool with_log)
{
    g_autofree char *log = g_strconcat(f->path, "-wal", NULL);
    g_autoptr(GBytes) before = contents(f->path);
    g_autoptr(GBytes) log_before = contents(log);
    CHECK(!with_log || log_before);
    fixture_open(f);
    CHECK(!f->refusal);
    g_autofree char *aside = aside_path(f);
    CHECK_MSG(aside && f->notice && strstr(f->notice, aside), "the sentence is: %s", f->notice);
    if (aside) {
        g_autoptr(GBytes) after = contents(aside);
        CHECK(after && g_bytes_equal(before, after));
        g_autofree char *log_aside = g_strconcat(aside, "-wal", NULL);
        g_autoptr(GBytes) log_after = contents(log_aside);
        CHECK(!log_before || (log_after && g_bytes_equal(log_before, log_after)));
    }
    g_autoptr(HearthOverview) overview = fixture_overview(f);
    CHECK_INT(overview->conversations->len, 0);
    gint64 c = fixture_conversation(f, "new");
    fixture_close(f);
    fixture_open(f);
    CHECK(!f->notice && !f->refusal);
    g_autoptr(HearthOverview) again = fixture_overview(f);
    CHECK(find_conversation(again, c));
    fixture_clear(f);
}

/* SQL by another program that ends without emptying the log. */
static void outside_with_log(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- set aside ------------------------------------------------------------------------------- */

static void sets_a_newer_one_aside(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    fixture_close(&f);
    g_free(outside(f.path, "PRAGMA user_version = 99"));
    check_set_aside(&f, false);
}

static void sets_a_newer_one_aside_with_its_log(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    fixture_close(&f);
    outside_with_log(f.path, "PRAGMA user_version = 99; CREATE TABLE more (x)");
    check_set_aside(&f, true);
}

static void sets_a_foreign_one_aside(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_close(&f);
    g_remove(f.path);
    g_free(outside(f.path, "CREATE TABLE recipes (name TEXT)"));
    check_set_aside(&f, false);
}

static void sets_one_without_tables_aside(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    fixture_close(&f);
    g_free(outside(f.path, "DROP TABLE message"));
    check_set_aside(&f, false);
}

static void sets_garbage_aside(void)
{
    for (int i = 0; i < 4; i++) {
        Fixture f;
        fixture_init(&f);
        fixture_close(&f);
        guchar garbage[20000];
        gsize length = (gsize[]){1, 100, 4096, sizeof garbage}[i];
        for (gsize k = 0; k < length; k++) garbage[k] = (guchar)test_random();
        set_contents(f.path, garbage, length);
        check_set_aside(&f, false);
    }
}

static void sets_a_truncated_one_aside(void)
{
    for (int i = 0; i < 5; i++) {
        Fixture f;
        fixture_init(&f);
        fill(&f);
        fixture_close(&f);
        g_autoptr(GBytes) all = contents(f.path);
        gsize length = g_bytes_get_size(all);
        gsize kept = (gsize[]){50, 100, 4096, length / 2, length - 4096}[i];
        set_contents(f.path, g_bytes_get_data(all, NULL), kept);
        check_set_aside(&f, false);
    }
}

/* All that is left is the log: SQLite would delete it. */
static void sets_the_log_of_an_empty_one_aside(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_close(&f);
    outside_with_log(f.path, "INSERT INTO conversation (title) VALUES ('x')");
    set_contents(f.path, "", 0);
    check_set_aside(&f, true);
}

static void takes_an_empty_file(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_close(&f);
    set_contents(f.path, "", 0);
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    fill(&f);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK_INT(overview->conversations->len, 5);
    fixture_clear(&f);
}

/* ---- damage inside --------------------------------------------------------------------------- */

/* Ones and zeros in random pages: the store may notice at once, later or never, but it never stops
 * working, and after it has noticed a start or two make all well. */
static void survives_damaged_pages(void)
{
    int noticed = 0;
    for (int i = 0; i < 40; i++) {
        Fixture f;
        fixture_init(&f);
        fill(&f);
        fixture_close(&f);
        g_autoptr(GBytes) all = contents(f.path);
        gsize length = g_bytes_get_size(all);
        g_autofree guchar *bytes = g_memdup2(g_bytes_get_data(all, NULL), length);
        for (int k = test_range(1, 6); k > 0; k--) {
            gsize page = test_random() % (length / 4096) * 4096;
            gsize from = test_random() % 4096, n = test_random() % (4096 - from);
            for (gsize at = from; at < from + n; at++)
                bytes[page + at] = (guchar)(i % 2 ? test_random() : 0);
        }
        set_contents(f.path, bytes, length);
        for (int round = 0; round < 3; round++) {
            fixture_open(&f);
            CHECK(!f.refusal);
            noticed += f.notice != NULL;
            if (!f.notice || round == 2) {
                fixture_try_everything(&f);
                gint64 c = fixture_conversation(&f, "after");
                fixture_message(&f, c, 0, HEARTH_ROLE_USER, "after");
            }
            hearth_store_close(f.store, 1);
            fixture_close(&f);
        }
        fixture_clear(&f);
    }
    CHECK(noticed > 0);
}

/* What only a reader of all of it meets: the next start knows where to look. */
static void notices_damage_that_a_read_met(void)
{
    Fixture f;
    fixture_init(&f);
    for (int i = 0; i < 400; i++) {
        g_autofree char *draft = g_strdup_printf("Draft-%03d-%s", i,
                                                 "a text of a hundred bytes, so "
                                                 "that there are many pages");
        HearthConversationRow row = {.id = hearth_store_new_id(f.store), .draft = draft};
        hearth_store_put_conversation(f.store, &row);
    }
    fixture_wait(&f);
    fixture_close(&f);
    g_autoptr(GBytes) all = contents(f.path);
    gsize length = g_bytes_get_size(all);
    g_autofree char *bytes = g_memdup2(g_bytes_get_data(all, NULL), length);
    char *at = memmem(bytes, length, "Draft-100-", 10);
    CHECK(at);
    if (at) memset(bytes + (gsize)(at - bytes) / 4096 * 4096, 0x55, 4096);
    set_contents(f.path, bytes, length);
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    fixture_try_everything(&f);
    fixture_close(&f);
    check_set_aside(&f, false);
}

/* The index alone is damaged: the conversations are not lost for that. */
static void makes_the_index_again(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    fixture_close(&f);
    g_free(outside(f.path, "UPDATE message_index_data SET block = x'ffffffffffff' WHERE id > 10"));
    g_autofree char *mark = g_strconcat(f.path, ".check", NULL);
    CHECK(g_file_set_contents(mark, "", 0, NULL)); /* as after trouble */
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    CHECK(!g_file_test(mark, G_FILE_TEST_EXISTS));
    g_autoptr(GPtrArray) hits = fixture_search(&f, "文字 pages", 100);
    CHECK_INT(hits->len, 5);
    fixture_close(&f);
    g_free(outside(f.path, "UPDATE message_index_data SET block = x'ffffffffffff' WHERE id > 10;"
                           "UPDATE message_index_data SET block = x'00' WHERE id = 10"));
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    gint64 c = fixture_conversation(&f, "C");
    fixture_message(&f, c, 0, HEARTH_ROLE_USER, "written over a damaged index");
    g_autoptr(GPtrArray) found = fixture_search(&f, "damaged index", 100);
    CHECK_INT(found->len, 1);
    CHECK_INT(f.n_trouble, 0);
    fixture_clear(&f);
}

/* What FTS5 itself can neither mend nor drop. Met by the close look after trouble, by an answer that
 * was interrupted, or by the first thing written. */
static void makes_an_unusable_index_again(void)
{
    static const char *const damages[] = {
        "DELETE FROM $_config",  "UPDATE $_config SET v = 0", "DELETE FROM $_data",
        "DROP TABLE $_config",   "DROP TABLE $_data",         "DROP TABLE $_idx",
        "DROP VIEW $_words",
    };
    for (size_t i = 0; i < 3 * 2 * G_N_ELEMENTS(damages); i++) {
        Fixture f;
        fixture_init(&f);
        gint64 old = fixture_conversation(&f, "Conversation");
        fixture_message(&f, old, 0, HEARTH_ROLE_USER, "some text, 一些文字");
        fixture_wait(&f);
        fixture_close(&f);
        g_autofree char *mark = g_strconcat(f.path, ".check", NULL);
        if (i % 3 == 0) CHECK(g_file_set_contents(mark, "", 0, NULL));
        if (i % 3 == 1)
            g_free(outside(f.path, "UPDATE message SET state = 1 WHERE id ="
                                   " (SELECT max(id) FROM message)"));
        g_autoptr(GString) sql = g_string_new(damages[i / 6]);
        g_string_replace(sql, "$", i / 3 % 2 ? "title_index" : "message_index", 0);
        g_free(outside(f.path, sql->str));
        fixture_open(&f);
        CHECK_MSG(!f.notice && !f.refusal, "%s, way %zu: %s %s", sql->str, i % 3, f.notice,
                  f.refusal);
        gint64 c = fixture_conversation(&f, "A title of its own");
        fixture_message(&f, c, 0, HEARTH_ROLE_USER, "written over a damaged index");
        fixture_wait(&f);
        g_autoptr(HearthOverview) overview = fixture_overview(&f);
        CHECK_INT(overview->conversations->len, 2);
        g_autoptr(GPtrArray) found = fixture_search(&f, "damaged index", 100);
        g_autoptr(GPtrArray) title = fixture_search(&f, "of its own", 100);
        CHECK_MSG(found->len == 1 && title->len == 1, "%s, way %zu: found %u and %u", sql->str,
                  i % 3, found->len, title->len);
        CHECK_MSG(f.n_trouble == 0, "%s, way %zu", sql->str, i % 3);
        fixture_clear(&f);
    }
}

/* ---- older ----------------------------------------------------------------------------------- */

static void migrates_from_the_first_version(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    fixture_close(&f);
    /* what the first version lacked */
    g_free(outside(
        f.path,
        "DROP TABLE unsent; DROP TRIGGER message_index_insert; DROP TRIGGER message_index_before;"
        "DROP TRIGGER message_index_after; DROP TRIGGER message_index_delete;"
        "DROP TRIGGER title_index_insert; DROP TRIGGER title_index_before;"
        "DROP TRIGGER title_index_after; DROP TRIGGER title_index_delete;"
        "DROP TABLE message_index; DROP TABLE title_index; DROP VIEW message_index_words;"
        "DROP VIEW title_index_words; PRAGMA user_version = 1"));
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    g_autoptr(GPtrArray) hits = fixture_search(&f, "文字 pages", 100);
    CHECK_INT(hits->len, 5);
    g_autoptr(GPtrArray) titles = fixture_search(&f, "conversat", 100);
    CHECK_INT(titles->len, 5);
    g_autofree char *version = outside(f.path, "PRAGMA user_version");
    CHECK_STR(version, G_STRINGIFY(HEARTH_SCHEMA_VERSION));
    fixture_clear(&f);
}

/* history-2.db.gz: what the second version wrote. */
static void migrates_from_the_second_version(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_close(&f);
    g_autoptr(GFile) packed = g_file_new_for_path(TEST_DIR "/history-2.db.gz");
    g_autoptr(GFile) file = g_file_new_for_path(f.path);
    g_autoptr(GFileInputStream) in = g_file_read(packed, NULL, NULL);
    g_autoptr(GFileOutputStream) out = g_file_replace(file, NULL, FALSE, 0, NULL, NULL);
    g_autoptr(GZlibDecompressor) gunzip = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
    g_autoptr(GInputStream) bytes =
        g_converter_input_stream_new(G_INPUT_STREAM(in), G_CONVERTER(gunzip));
    CHECK(g_output_stream_splice(G_OUTPUT_STREAM(out), bytes, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET,
                                 NULL, NULL) > 0);
    g_autofree char *before = outside(f.path, "PRAGMA user_version");
    CHECK_STR(before, "2");
    fixture_open(&f);
    CHECK_MSG(!f.notice && !f.refusal, "%s%s", f.notice, f.refusal);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK_INT(overview->conversations->len, 1);
    CHECK(overview->folders->len == 1 && overview->personas->len == 1);
    HearthConversationRow *row = find_conversation(overview, 10);
    CHECK(row && row->folder == 1 && row->persona == 2 && row->head == 12 && !row->unsent);
    if (row) CHECK_STR(row->draft, "a draft of then");
    g_autoptr(GPtrArray) hits = fixture_search(&f, "回答", 10);
    CHECK_INT(hits->len, 1);
    fixture_put_unsent(&f, 10, 11, "", "edited since");
    g_autoptr(GPtrArray) unsent = fixture_unsent(&f, 10);
    CHECK_INT(unsent->len, 1);
    fixture_clear(&f);
}

/* ---- nobody else's business ------------------------------------------------------------------ */

/* The rights of others on a file; -1: it is not there. */
static int rights_of_others(const char *path, const char *suffix)
{
    g_autofree char *file = g_strconcat(path, suffix, NULL);
    struct stat status;
    return stat(file, &status) == 0 ? (int)(status.st_mode & 077) : -1;
}

static void is_private(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    mode_t before = umask(0);
    Fixture f;
    fixture_init(&f);
    fill(&f);
    for (int i = 0; i < 3; i++) CHECK_INT(rights_of_others(f.path, suffixes[i]), 0);
    fixture_close(&f);
    outside_with_log(f.path, "PRAGMA user_version = 99; CREATE TABLE more (x)");
    for (int i = 0; i < 2; i++) { /* as an older Hearth left it */
        g_autofree char *file = g_strconcat(f.path, suffixes[i], NULL);
        CHECK_INT(chmod(file, 0644), 0);
    }
    fixture_open(&f); /* sets it aside */
    g_autofree char *aside = aside_path(&f);
    CHECK(aside);
    for (int i = 0; aside && i < 2; i++) CHECK_INT(rights_of_others(aside, suffixes[i]), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(rights_of_others(f.path, suffixes[i]), 0);
    fixture_close(&f);
    CHECK_INT(chmod(f.path, 0664), 0);
    fixture_open(&f);
    CHECK_INT(rights_of_others(f.path, ""), 0);
    fixture_clear(&f);
    umask(before);
}

/* ---- where nothing may be written ------------------------------------------------------------ */

#define NOBODY 65534

/* Root may write everywhere: as somebody who may not. False: cannot be tried. */
static bool become_nobody(Fixture *f)
{
    if (geteuid() != 0) return true;
    return chown(f->folder, NOBODY, NOBODY) == 0 && chown(f->path, NOBODY, NOBODY) == 0 &&
           seteuid(NOBODY) == 0;
}

static void become_root(void)
{
    if (getuid() == 0 && seteuid(0) != 0) abort();
}

/* The program works, with what can be read, and says so. */
static void check_in_memory(Fixture *f, guint n_conversations)
{
    fixture_open(f);
    CHECK_MSG(f->refusal && strstr(f->refusal, "kept"), "the sentence is: %s", f->refusal);
    g_autoptr(HearthOverview) overview = fixture_overview(f);
    CHECK_INT(overview->conversations->len, n_conversations);
    gint64 c = fixture_conversation(f, "in memory");
    fixture_message(f, c, 0, HEARTH_ROLE_USER, "findable");
    g_autoptr(GPtrArray) hits = fixture_search(f, "findable", 10);
    CHECK_INT(hits->len, 1);
    g_autoptr(HearthOverview) after = fixture_overview(f);
    CHECK(find_conversation(after, c));
    CHECK_INT(f->n_trouble, 0);
    fixture_close(f);
}

static void works_where_the_folder_is_missing(void)
{
    Fixture f = {0};
    f.path = g_strdup("/nonexistent-folder/history.db");
    check_in_memory(&f, 0);
    fixture_clear(&f);
}

static void works_where_the_file_is_a_folder(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_close(&f);
    g_remove(f.path);
    CHECK_INT(g_mkdir(f.path, 0700), 0);
    check_in_memory(&f, 0);
    fixture_clear(&f);
}

/* What was written before the file could be opened is in it afterwards, each thing once. */
static void opens_at_last(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 old = fixture_conversation(&f, "old");
    fixture_close(&f);
    g_autofree char *away = g_strconcat(f.path, ".away", NULL);
    CHECK(g_rename(f.path, away) == 0 && g_mkdir(f.path, 0700) == 0);
    fixture_open(&f);
    CHECK(f.refusal);
    gint64 c = fixture_conversation(&f, "new"), other = fixture_conversation(&f, "deleted");
    gint64 question = fixture_message(&f, c, 0, HEARTH_ROLE_USER, "question");
    gint64 answer = fixture_message(&f, c, question, HEARTH_ROLE_ASSISTANT, "");
    for (int i = 0; i < 300; i++) {
        g_autofree char *text = g_strdup_printf("answer %d", i);
        hearth_store_write_partial(f.store, answer, HEARTH_STATE_ANSWERING, text, "hm");
        if (i % 50 == 0) fixture_wait(&f);
    }
    hearth_store_delete(f.store, HEARTH_TABLE_CONVERSATION, other);
    g_autoptr(GError) error = NULL;
    CHECK(!fixture_import(&f, away, NULL, &error) && error);
    fixture_try_again(&f);
    CHECK_MSG(f.refusal, "a folder was opened");
    g_autoptr(GPtrArray) still = fixture_messages(&f, c);
    CHECK_INT(still->len, 2);
    CHECK(g_rmdir(f.path) == 0 && g_rename(away, f.path) == 0);
    hearth_store_write_partial(f.store, answer, HEARTH_STATE_ANSWERING, "answer 300", "hm");
    fixture_try_again(&f);
    CHECK_MSG(!f.refusal && !f.notice, "%s", f.refusal);
    gint64 later = fixture_message(&f, c, answer, HEARTH_ROLE_USER, "later");
    for (int round = 0; round < 2; round++) {
        g_autoptr(HearthOverview) overview = fixture_overview(&f);
        CHECK_INT(overview->conversations->len, 2);
        CHECK(find_conversation(overview, old) && find_conversation(overview, c));
        g_autoptr(GPtrArray) messages = fixture_messages(&f, c);
        CHECK(messages->len == 3 && find_message(messages, later));
        HearthMessageRow *row = find_message(messages, answer);
        CHECK_STR(row ? row->content : NULL, "answer 300");
        g_autoptr(GPtrArray) hits = fixture_search(&f, "question", 10);
        CHECK_INT(hits->len, 1);
        fixture_close(&f);
        fixture_open(&f);
    }
    CHECK_INT(f.n_trouble, 0);
    fixture_clear(&f);
}

static void works_in_a_read_only_folder(void)
{
    Fixture f;
    fixture_init(&f);
    fill(&f);
    fixture_close(&f);
    if (!become_nobody(&f)) {
        test_skip("the user cannot be changed");
        return;
    }
    CHECK_INT(chmod(f.path, 0400), 0);
    check_in_memory(&f, 5); /* a file that may not be written, in a folder that may */
    CHECK_INT(chmod(f.path, 0600), 0);
    CHECK_INT(chmod(f.folder, 0500), 0);
    check_in_memory(&f, 5); /* a file that may, in a folder that may not */
    set_contents(f.path, "garbage that cannot be set aside", 32);
    check_in_memory(&f, 0);
    CHECK_INT(chmod(f.folder, 0700), 0);
    become_root();
    fixture_clear(&f);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"sets a newer one aside", sets_a_newer_one_aside},
        {"sets a newer one aside with its log", sets_a_newer_one_aside_with_its_log},
        {"sets a foreign one aside", sets_a_foreign_one_aside},
        {"sets one without tables aside", sets_one_without_tables_aside},
        {"sets garbage aside", sets_garbage_aside},
        {"sets a truncated one aside", sets_a_truncated_one_aside},
        {"sets the log of an empty one aside", sets_the_log_of_an_empty_one_aside},
        {"takes an empty file", takes_an_empty_file},
        {"survives damaged pages", survives_damaged_pages},
        {"notices damage that a read met", notices_damage_that_a_read_met},
        {"makes the index again", makes_the_index_again},
        {"makes an unusable index again", makes_an_unusable_index_again},
        {"migrates from the first version", migrates_from_the_first_version},
        {"migrates from the second version", migrates_from_the_second_version},
        {"is private", is_private},
        {"works where the folder is missing", works_where_the_folder_is_missing},
        {"works where the file is a folder", works_where_the_file_is_a_folder},
        {"opens at last", opens_at_last},
        {"works in a read-only folder", works_in_a_read_only_folder},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
