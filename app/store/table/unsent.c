#include "store/table/table.h"

/* Of a conversation or message that is gone for good there is nothing to keep. */
int hearth_table_unsent_put(HearthDb *db, const HearthUnsentRow *row)
{
    return hearth_db_run(db,
                         "INSERT INTO unsent (id, conversation, message, name, content)"
                         " SELECT ?1, ?2, ?3, ?4, ?5"
                         " WHERE EXISTS (SELECT 1 FROM conversation WHERE id = ?2)"
                         "  AND (?3 IS NULL OR EXISTS (SELECT 1 FROM message WHERE id = ?3))"
                         " ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
                         "  content = excluded.content",
                         "iirtt", row->id, row->conversation, row->message, row->name,
                         row->content);
}

int hearth_table_unsent_delete(HearthDb *db, gint64 id)
{
    return hearth_db_run(db, "DELETE FROM unsent WHERE id = ?1", "i", id);
}

GPtrArray *hearth_table_unsent_list(HearthDb *db, gint64 conversation, int *ret_rc)
{
    sqlite3_stmt *statement =
        hearth_db_bind(db,
                       "SELECT id, message, name, content FROM unsent WHERE conversation = ?1"
                       " ORDER BY id",
                       "i", conversation);
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)hearth_unsent_row_free);
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return NULL;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        HearthUnsentRow *row = g_new0(HearthUnsentRow, 1);
        row->id = sqlite3_column_int64(statement, 0);
        row->conversation = conversation;
        row->message = sqlite3_column_int64(statement, 1);
        row->name = hearth_db_text(statement, 2);
        row->content = hearth_db_text(statement, 3);
        g_ptr_array_add(rows, row);
    }
    *ret_rc = sqlite3_reset(statement);
    return *ret_rc ? NULL : g_steal_pointer(&rows);
}
