#include "store/purge.h"

#define AT_ONCE "100"

/* Runs a DELETE and adds to *ret_n how many rows went. */
static int run_delete(HearthDb *db, const char *sql, gint64 value, int *ret_n)
{
    int rc = hearth_db_run(db, sql, "i", value);
    if (!rc) *ret_n += sqlite3_changes(hearth_db_get_sqlite(db));
    return rc;
}

/* Its messages first: all at once they could be thousands. */
static int delete_conversation(HearthDb *db, gint64 id, int *ret_n)
{
    int n = 0;
    int rc =
        run_delete(db,
                   "DELETE FROM message WHERE id IN (SELECT m.id FROM message m"
                   " JOIN conversation c ON c.id = m.conversation"
                   " WHERE m.conversation = ?1 AND c.deleted_at IS NOT NULL LIMIT " AT_ONCE ")",
                   id, &n);
    if (!rc && !n)
        rc = run_delete(db, "DELETE FROM conversation WHERE id = ?1 AND deleted_at IS NOT NULL", id,
                        &n);
    *ret_n += n;
    return rc;
}

static int delete_old(HearthDb *db, const HearthPurge *purge, int *ret_n)
{
    static const char *const deletes[] = {
        ("DELETE FROM message WHERE id IN (SELECT id FROM message"
         " WHERE deleted_at < ?1 AND deleted_at IS NOT NULL LIMIT " AT_ONCE ")"),
        ("UPDATE conversation SET former_folder = 0 WHERE former_folder IN"
         " (SELECT id FROM folder WHERE deleted_at < ?1)"),
        "DELETE FROM folder WHERE deleted_at < ?1",
        "DELETE FROM persona WHERE deleted_at < ?1",
    };
    int rc = SQLITE_OK;
    for (gsize i = 0; !rc && i < G_N_ELEMENTS(deletes); i++)
        rc = run_delete(db, deletes[i], purge->before, ret_n);
    if (rc) return rc;
    sqlite3_stmt *statement = hearth_db_bind(db,
                                             "SELECT id FROM conversation WHERE deleted_at < ?1 AND"
                                             " deleted_at IS NOT NULL AND id <= ?2 LIMIT 1",
                                             "ii", purge->before, purge->last_id);
    if (!statement) return hearth_db_errcode(db);
    gint64 id = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    rc = sqlite3_reset(statement);
    return rc || !id ? rc : delete_conversation(db, id, ret_n);
}

static int delete_only(HearthDb *db, GArray *only, int *ret_n)
{
    int rc = SQLITE_OK, n = 0;
    while (!rc && !n && only->len) {
        gint64 id = g_array_index(only, gint64, only->len - 1);
        rc = delete_conversation(db, id, &n);
        if (!rc && !n) g_array_set_size(only, only->len - 1);
    }
    *ret_n += n;
    return rc;
}

int hearth_purge_step(HearthPurge *purge, HearthDb *db, bool *ret_more)
{
    int n = 0;
    *ret_more = false;
    int rc = hearth_db_exec(db, "BEGIN IMMEDIATE");
    if (!rc) rc = purge->only ? delete_only(db, purge->only, &n) : delete_old(db, purge, &n);
    if (!rc) rc = hearth_db_exec(db, "COMMIT");
    if (!rc && !n) { /* all is deleted: the space */
        gint64 free = hearth_db_number(db, "PRAGMA freelist_count", &rc);
        if (!rc && free > 0) rc = hearth_db_exec(db, "PRAGMA incremental_vacuum(200)");
        gint64 left = rc ? 0 : hearth_db_number(db, "PRAGMA freelist_count", &rc);
        *ret_more = !rc && left > 0 && left < free;
        return rc;
    }
    if (rc && !sqlite3_get_autocommit(hearth_db_get_sqlite(db))) hearth_db_exec(db, "ROLLBACK");
    *ret_more = !rc;
    return rc;
}
