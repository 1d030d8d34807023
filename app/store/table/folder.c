#include "store/table/table.h"

int hearth_table_folder_put(HearthDb *db, const HearthFolderRow *row)
{
    g_autofree char *name = hearth_name_clean(row->name);
    return hearth_db_run(db,
                         "INSERT INTO folder (id, name) VALUES (?1, ?2)"
                         " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                         "it", row->id, name);
}

int hearth_table_folder_delete(HearthDb *db, gint64 id, gint64 now)
{
    int rc =
        hearth_db_run(db, "UPDATE folder SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL",
                      "ii", id, now);
    if (rc) return rc;
    return hearth_db_run(db,
                         "UPDATE conversation SET folder = NULL, former_folder = ?1"
                         " WHERE folder = ?1 AND folder IS NOT NULL",
                         "i", id);
}

/* What was put into another folder meanwhile stays there. */
int hearth_table_folder_restore(HearthDb *db, gint64 id)
{
    int rc = hearth_db_run(db, "UPDATE folder SET deleted_at = NULL WHERE id = ?1", "i", id);
    if (rc) return rc;
    return hearth_db_run(db,
                         "UPDATE conversation SET folder = ?1, former_folder = 0"
                         " WHERE former_folder = ?1 AND folder IS NULL"
                         "  AND EXISTS (SELECT 1 FROM folder WHERE id = ?1)",
                         "i", id);
}

GPtrArray *hearth_table_folder_list(HearthDb *db, int *ret_rc)
{
    sqlite3_stmt *statement = hearth_db_bind(db,
                                             "SELECT id, name FROM folder WHERE deleted_at IS NULL"
                                             " ORDER BY id",
                                             "");
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)hearth_folder_row_free);
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return NULL;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        HearthFolderRow *row = g_new0(HearthFolderRow, 1);
        row->id = sqlite3_column_int64(statement, 0);
        row->name = hearth_db_name(statement, 1);
        g_ptr_array_add(rows, row);
    }
    *ret_rc = sqlite3_reset(statement);
    return *ret_rc ? NULL : g_steal_pointer(&rows);
}
