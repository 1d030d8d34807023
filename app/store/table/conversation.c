#include "store/table/table.h"

/* A folder or persona that is gone for good reads as none instead of failing the write. */
int hearth_table_conversation_put(HearthDb *db, const HearthConversationRow *row)
{
    g_autofree char *title = hearth_name_clean(row->title);
    return hearth_db_run(
        db,
        "INSERT INTO conversation (id, title, titled, pinned, folder, persona, created, updated,"
        "  head, options, draft)"
        " VALUES (?1, ?2, ?3, ?4, (SELECT id FROM folder WHERE id = ?5),"
        "  (SELECT id FROM persona WHERE id = ?6), ?7, ?8, ?9, ?10, ?11)"
        " ON CONFLICT (id) DO UPDATE SET title = excluded.title, titled = excluded.titled,"
        "  pinned = excluded.pinned, folder = excluded.folder, persona = excluded.persona,"
        "  created = excluded.created, updated = excluded.updated, head = excluded.head,"
        "  options = excluded.options, draft = excluded.draft,"
        "  former_folder = CASE WHEN excluded.folder IS NULL THEN former_folder ELSE 0 END",
        "itbbiiiiitt", row->id, title, row->titled, row->pinned, row->folder, row->persona,
        row->created, row->updated, row->head, row->options, row->draft);
}

int hearth_table_conversation_delete(HearthDb *db, gint64 id, gint64 now)
{
    return hearth_db_run(
        db, "UPDATE conversation SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL", "ii",
        id, now);
}

int hearth_table_conversation_restore(HearthDb *db, gint64 id)
{
    return hearth_db_run(db, "UPDATE conversation SET deleted_at = NULL WHERE id = ?1", "i", id);
}

static HearthConversationRow *read_row(sqlite3_stmt *statement)
{
    HearthConversationRow *row = g_new0(HearthConversationRow, 1);
    row->id = sqlite3_column_int64(statement, 0);
    row->title = hearth_db_name(statement, 1);
    row->titled = sqlite3_column_int(statement, 2);
    row->pinned = sqlite3_column_int(statement, 3);
    row->folder = sqlite3_column_int64(statement, 4);
    row->persona = sqlite3_column_int64(statement, 5);
    row->created = hearth_db_time(statement, 6);
    row->updated = hearth_db_time(statement, 7);
    row->head = sqlite3_column_int64(statement, 8);
    row->options = hearth_db_text(statement, 9);
    row->draft = hearth_db_text(statement, 10);
    row->unsent = sqlite3_column_int(statement, 11);
    return row;
}

GPtrArray *hearth_table_conversation_list(HearthDb *db, gint64 id, int *ret_rc)
{
    sqlite3_stmt *statement =
        hearth_db_bind(db,
                       "SELECT c.id, title, titled, pinned, folder.id, persona, created, updated,"
                       "  head, options, draft,"
                       "  EXISTS (SELECT 1 FROM unsent WHERE unsent.conversation = c.id)"
                       " FROM conversation c"
                       " LEFT JOIN folder ON folder.id = c.folder AND folder.deleted_at IS NULL"
                       " WHERE c.deleted_at IS NULL AND (?1 = 0 OR c.id = ?1)"
                       " ORDER BY updated DESC, c.id DESC",
                       "i", id);
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)hearth_conversation_row_free);
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return NULL;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) g_ptr_array_add(rows, read_row(statement));
    *ret_rc = sqlite3_reset(statement);
    return *ret_rc ? NULL : g_steal_pointer(&rows);
}
