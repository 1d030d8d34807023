#include "store/opening.h"

#include <gio/gio.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <string.h>

#include "store/schema.h"
#include "store/search/index.h"
#include "store/table/table.h"

/* Larger ones are not copied into memory. */
#define LARGEST_COPY ((gint64)256 << 20)

typedef enum {
    FOUND_SOUND,   /* or new */
    FOUND_DAMAGED, /* set aside */
    FOUND_NEWER,   /* written by a newer Hearth: set aside */
    FOUND_FOREIGN, /* somebody else's database: set aside */
    FOUND_REFUSED  /* the system does not let us: rc says why */
} Found;

/* Nothing may be changed in a file that will be set aside, not even by closing it. */
static void set_checkpoint_on_close(HearthDb *db, bool on)
{
    sqlite3_db_config(hearth_db_get_sqlite(db), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !on, NULL);
}

static gint64 file_size(const char *path)
{
    GStatBuf status;
    return g_stat(path, &status) == 0 ? (gint64)status.st_size : -1;
}

/* Not ours from its first bytes on. What cannot be read is not damaged: SQLite will say why. */
static bool is_garbage(const char *path)
{
    char start[16];
    gsize n = 0;
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileInputStream) stream = g_file_read(file, NULL, NULL);
    if (!stream ||
        !g_input_stream_read_all(G_INPUT_STREAM(stream), start, sizeof start, &n, NULL, NULL))
        return false;
    return n > 0 && (n < sizeof start || memcmp(start, "SQLite format 3", sizeof start) != 0);
}

static Found verdict(int rc)
{
    if (!rc) return FOUND_SOUND;
    return hearth_db_is_damage(rc) ? FOUND_DAMAGED : FOUND_REFUSED;
}

/* The newest rows of each table, whole: pages that are used most, and every column's type. */
static int test_read(HearthDb *db)
{
    static const char *const reads[] = {
        "SELECT count(length(title) + length(draft) + length(options)) FROM"
        " (SELECT * FROM conversation ORDER BY id DESC LIMIT 50)",
        "SELECT count(length(content) + length(thinking) + deleted_at) FROM"
        " (SELECT * FROM message ORDER BY id DESC LIMIT 50)",
        "SELECT count(length(name)) FROM folder",
        "SELECT count(length(name)) FROM persona",
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; !rc && i < G_N_ELEMENTS(reads); i++) hearth_db_number(db, reads[i], &rc);
    return rc;
}

/* All of it, after trouble. */
static int close_look(HearthDb *db)
{
    sqlite3_stmt *statement = hearth_db_bind(db, "PRAGMA quick_check(1)", "");
    if (!statement) return hearth_db_errcode(db);
    int rc = SQLITE_CORRUPT;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *said = (const char *)sqlite3_column_text(statement, 0);
        rc = g_strcmp0(said, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_reset(statement);
    return rc ? rc : hearth_index_rebuild(db);
}

static Found look(HearthDb *db, int *ret_rc)
{
    gint64 version = hearth_db_number(db, "PRAGMA user_version", ret_rc);
    if (*ret_rc) return verdict(*ret_rc);
    if (version > HEARTH_SCHEMA_VERSION) return FOUND_NEWER;
    if (version < 0) return FOUND_FOREIGN;
    gint64 things = hearth_db_number(db, "SELECT count(*) FROM sqlite_schema", ret_rc);
    if (*ret_rc) return verdict(*ret_rc);
    if (version == 0) return things ? FOUND_FOREIGN : FOUND_SOUND;
    *ret_rc = test_read(db);
    return verdict(*ret_rc);
}

/* WAL can only be asked for once the file is known to be ours; it changes the file. The write at
 * the end shows now, not with the first message, whether the disk takes anything. */
static int prepare(HearthDb *db)
{
    int rc = hearth_db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL;"
                                "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = NORMAL;"
                                "PRAGMA journal_size_limit = 16777216;"
                                "PRAGMA cache_size = -16384;"
                                "PRAGMA temp_store = MEMORY;");
    if (!rc) rc = hearth_schema_migrate(db);
    if (!rc) rc = hearth_db_exec(db, "PRAGMA foreign_keys = ON");
    if (!rc) rc = hearth_table_message_interrupt(db);
    if (!rc) rc = hearth_db_exec(db, "PRAGMA user_version = " G_STRINGIFY(HEARTH_SCHEMA_VERSION));
    return rc;
}

/* The database with its log; the log must keep the database's name to be found. */
static const char *const suffixes[] = {"-wal", "-shm", ""};

/* What is said here is nobody else's business. SQLite gives the log the mode of the database, so
 * this one is made before SQLite makes it; what an older Hearth or a copy has left open is closed.
 * A right that is refused shows when the file is opened. */
static void make_private(const char *path)
{
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileOutputStream) made = g_file_create(file, G_FILE_CREATE_PRIVATE, NULL, NULL);
    for (size_t i = 0; !made && i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *one = g_strconcat(path, suffixes[i], NULL);
        GStatBuf status;
        if (g_stat(one, &status) == 0 && (status.st_mode & 077))
            g_chmod(one, status.st_mode & 0700);
    }
}

static bool set_aside(const char *path, char **ret_to)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *date = g_date_time_format(now, "%Y%m%d-%H%M%S");
    g_autofree char *to = g_strdup_printf("%s.damaged-%s", path, date);
    for (int i = 2; g_file_test(to, G_FILE_TEST_EXISTS); i++) {
        g_free(to);
        to = g_strdup_printf("%s.damaged-%s-%d", path, date, i);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *old = g_strconcat(path, suffixes[i], NULL);
        g_autofree char *new = g_strconcat(to, suffixes[i], NULL);
        if (!g_file_test(old, G_FILE_TEST_EXISTS) || g_rename(old, new) == 0) continue;
        while (i-- > 0) { /* a database never stays without its log */
            g_autofree char *from = g_strconcat(to, suffixes[i], NULL);
            g_autofree char *back = g_strconcat(path, suffixes[i], NULL);
            g_rename(from, back);
        }
        return false;
    }
    *ret_to = g_steal_pointer(&to);
    return true;
}

static char *aside_notice(Found found, const char *to)
{
    switch (found) {
    case FOUND_NEWER:
        return g_strdup_printf(_("The chat history was written by a newer version of Hearth. It "
                                 "was set aside untouched as %s, and a new one begun."),
                               to);
    case FOUND_FOREIGN:
        return g_strdup_printf(_("The file of the chat history is the database of another program. "
                                 "It was set aside untouched as %s, and a new one begun."),
                               to);
    default:
        return g_strdup_printf(_("The chat history was damaged. It was set aside untouched as %s, "
                                 "and a new one begun."),
                               to);
    }
}

static char *mark_path(const char *path) { return g_strconcat(path, ".check", NULL); }

/* One look at the file. *ret_db: open and ready when FOUND_SOUND. */
static Found try_open(const char *path, HearthDb **ret_db, int *ret_rc)
{
    *ret_db = NULL;
    g_autofree char *wal = g_strconcat(path, "-wal", NULL);
    make_private(path);
    /* SQLite would delete the log of an empty file: all that is left of it. */
    if (file_size(path) == 0 && file_size(wal) > 0) return FOUND_DAMAGED;
    if (is_garbage(path)) return FOUND_DAMAGED;
    HearthDb *db = hearth_db_new(path, true, ret_rc);
    if (!db) return verdict(*ret_rc);
    set_checkpoint_on_close(db, false);
    Found found = look(db, ret_rc);
    g_autofree char *mark = mark_path(path);
    if (found == FOUND_SOUND && g_file_test(mark, G_FILE_TEST_EXISTS)) {
        *ret_rc = close_look(db);
        found = verdict(*ret_rc);
        if (found == FOUND_SOUND) g_unlink(mark);
    }
    if (found == FOUND_SOUND && sqlite3_db_readonly(hearth_db_get_sqlite(db), "main") == 1) {
        *ret_rc = SQLITE_READONLY;
        found = FOUND_REFUSED;
    }
    if (found == FOUND_SOUND) {
        *ret_rc = prepare(db);
        /* Perhaps it is only the search index, into which an interrupted answer goes here. */
        if (hearth_db_is_damage(*ret_rc)) {
            *ret_rc = close_look(db);
            if (!*ret_rc) *ret_rc = prepare(db);
        }
        found = verdict(*ret_rc);
    }
    if (found != FOUND_SOUND) {
        hearth_db_free(db);
        return found;
    }
    set_checkpoint_on_close(db, true);
    *ret_db = db;
    return FOUND_SOUND;
}

/* In memory, with what can be read of the file. */
static HearthDb *open_in_memory(const char *path)
{
    int rc;
    HearthDb *db = hearth_db_new(NULL, true, &rc);
    g_assert(db);
    /* As it is, then without its log: the log cannot be used where nothing may be written. */
    static const char *const how[] = {"?mode=ro", "?mode=ro&immutable=1"};
    bool small = path && file_size(path) > 0 && file_size(path) <= LARGEST_COPY;
    for (size_t i = 0; small && i < G_N_ELEMENTS(how); i++) {
        g_autofree char *escaped = g_uri_escape_string(path, "/:", false);
        g_autofree char *uri = g_strconcat("file:", escaped, how[i], NULL);
        sqlite3 *file = NULL;
        sqlite3_backup *backup = NULL;
        if (sqlite3_open_v2(uri, &file, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == 0)
            backup = sqlite3_backup_init(hearth_db_get_sqlite(db), "main", file, "main");
        bool copied = backup && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
        sqlite3_backup_finish(backup);
        sqlite3_close(file);
        if (copied && look(db, &rc) == FOUND_SOUND && prepare(db) == SQLITE_OK) return db;
        hearth_db_free(db);
        db = hearth_db_new(NULL, true, &rc);
        g_assert(db);
    }
    rc = prepare(db);
    g_assert(rc == SQLITE_OK);
    return db;
}

static void set_error(GError **error, int rc)
{
    g_autoptr(GError) why = NULL;
    hearth_db_error(&why, NULL, rc);
    hearth_error(error, HEARTH_ERROR_FAILED, "%s %s", why->message,
                 _("Until then nothing that you write is kept when Hearth ends."));
}

HearthDb *hearth_opening_run(const char *path, char **ret_notice, GError **error)
{
    *ret_notice = NULL;
    if (!path) return open_in_memory(NULL);
    HearthDb *db;
    int rc = SQLITE_OK;
    Found found = try_open(path, &db, &rc);
    if (found != FOUND_SOUND && found != FOUND_REFUSED) {
        g_autofree char *to = NULL;
        if (!set_aside(path, &to)) {
            set_error(error, SQLITE_READONLY);
            return open_in_memory(NULL);
        }
        g_autofree char *mark = mark_path(path);
        g_unlink(mark);
        *ret_notice = aside_notice(found, to);
        found = try_open(path, &db, &rc);
    }
    if (found == FOUND_SOUND) return db;
    set_error(error, rc ? rc : SQLITE_IOERR);
    return open_in_memory(path);
}

void hearth_opening_mark(const char *path)
{
    if (!path) return;
    g_autofree char *mark = mark_path(path);
    g_file_set_contents_full(mark, "", 0, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}
