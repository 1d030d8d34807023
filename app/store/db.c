#include "store/db.h"

#include <gio/gio.h>
#include <glib/gi18n.h>
#include <stdarg.h>
#include <string.h>

#include "store/rows.h"

#define LATEST (253402300799 * G_USEC_PER_SEC) /* the last second of the year 9999 */

struct HearthDb {
    sqlite3 *sqlite;
    GHashTable *statements; /* SQL → sqlite3_stmt */
    GThread *thread;
};

static void finalize(void *statement) { sqlite3_finalize(statement); }

HearthDb *hearth_db_new(const char *path, bool create, int *ret_rc)
{
    sqlite3 *sqlite = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path ? path : ":memory:", &sqlite, flags, NULL);
    if (rc != SQLITE_OK) {
        *ret_rc = sqlite ? sqlite3_extended_errcode(sqlite) : SQLITE_NOMEM;
        sqlite3_close(sqlite);
        return NULL;
    }
    sqlite3_extended_result_codes(sqlite, 1);
    sqlite3_busy_timeout(sqlite, 5000);
    HearthDb *db = g_new0(HearthDb, 1);
    db->sqlite = sqlite;
    db->thread = g_thread_self();
    db->statements = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, finalize);
    *ret_rc = SQLITE_OK;
    return db;
}

void hearth_db_free(HearthDb *db)
{
    if (!db) return;
    g_assert(g_thread_self() == db->thread);
    g_hash_table_unref(db->statements);
    sqlite3_close(db->sqlite);
    g_free(db);
}

sqlite3 *hearth_db_get_sqlite(HearthDb *db)
{
    g_assert(g_thread_self() == db->thread);
    return db->sqlite;
}

static sqlite3_stmt *prepare(HearthDb *db, const char *sql)
{
    g_assert(g_thread_self() == db->thread);
    sqlite3_stmt *statement = g_hash_table_lookup(db->statements, sql);
    if (statement) {
        sqlite3_reset(statement);
        return statement;
    }
    if (sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL))
        return NULL;
    g_hash_table_insert(db->statements, (char *)sql, statement);
    return statement;
}

static void bind_all(sqlite3_stmt *statement, const char *types, va_list args)
{
    for (int i = 1; types[i - 1]; i++) {
        gint64 number;
        const char *text;
        switch (types[i - 1]) {
        case 'b': sqlite3_bind_int(statement, i, va_arg(args, int)); break;
        case 'i': sqlite3_bind_int64(statement, i, va_arg(args, gint64)); break;
        case 'r':
            number = va_arg(args, gint64);
            if (number)
                sqlite3_bind_int64(statement, i, number);
            else
                sqlite3_bind_null(statement, i);
            break;
        case 'd': sqlite3_bind_double(statement, i, va_arg(args, double)); break;
        case 't':
            text = va_arg(args, const char *);
            sqlite3_bind_text(statement, i, text ? text : "", -1, SQLITE_STATIC);
            break;
        default: g_assert_not_reached();
        }
    }
}

sqlite3_stmt *hearth_db_bind(HearthDb *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = prepare(db, sql);
    if (!statement) return NULL;
    va_list args;
    va_start(args, types);
    bind_all(statement, types, args);
    va_end(args);
    return statement;
}

int hearth_db_run(HearthDb *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = prepare(db, sql);
    if (!statement) return hearth_db_errcode(db);
    va_list args;
    va_start(args, types);
    bind_all(statement, types, args);
    va_end(args);
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {}
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int hearth_db_exec(HearthDb *db, const char *sql)
{
    g_assert(g_thread_self() == db->thread);
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
}

gint64 hearth_db_number(HearthDb *db, const char *sql, int *ret_rc)
{
    sqlite3_stmt *statement = hearth_db_bind(db, sql, "");
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return 0;
    }
    gint64 number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    *ret_rc = sqlite3_reset(statement);
    return number;
}

int hearth_db_errcode(HearthDb *db) { return sqlite3_extended_errcode(db->sqlite); }

char *hearth_db_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    gssize length = sqlite3_column_bytes(statement, column);
    if (!text) return g_strdup("");
    /* Other programs may have written it, NUL and all. */
    if (!g_utf8_validate(text, length, NULL)) return g_utf8_make_valid(text, length);
    return g_strndup(text, (gsize)length);
}

char *hearth_db_name(sqlite3_stmt *statement, int column)
{
    g_autofree char *text = hearth_db_text(statement, column);
    return hearth_name_clean(text);
}

gint64 hearth_db_time(sqlite3_stmt *statement, int column)
{
    return CLAMP(sqlite3_column_int64(statement, column), 0, LATEST);
}

static const char *sentence(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return _("The chat history cannot be saved: the disk is full. Free some space on it.");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return _("The chat history cannot be saved: its file may not be written. Give yourself the "
                 "right to write in Hearth's data folder.");
    case SQLITE_CANTOPEN:
        return _("The chat history cannot be opened: its folder is missing or may not be written. "
                 "Check Hearth's data folder.");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return _("The chat history is in use by another program. Close that program.");
    case SQLITE_NOMEM:
        return _("There is not enough memory for the chat history. Close something.");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return _("The chat history is damaged. Restart Hearth: it then sets the damaged file aside "
                 "and begins a new one.");
    case SQLITE_IOERR:
        return _("The disk refuses to read or write the chat history. Check the disk.");
    default: return NULL;
    }
}

bool hearth_db_error(GError **error, HearthDb *db, int rc)
{
    if ((rc & 0xff) == SQLITE_INTERRUPT) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Cancelled"));
        return false;
    }
    const char *said = sentence(rc);
    if (said) return hearth_error(error, HEARTH_ERROR_FAILED, "%s", said);
    return hearth_error(error, HEARTH_ERROR_FAILED,
                        _("The chat history cannot be used: %s. Restart Hearth."),
                        db ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(rc));
}

bool hearth_db_is_damage(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  /* a table is missing, an index has another format */
    case SQLITE_TOOBIG: /* a length that no text of ours has */
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH: return true;
    default: return false;
    }
}
